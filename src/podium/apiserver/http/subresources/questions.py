"""Kinds that are questions (SubjectAccessReview, TokenReview, ...): created, answered, and never stored."""

from __future__ import annotations

from podium.apiserver.chain import Question, RequestInfo
from podium.apiserver.http.body import read_object
from podium.apiserver.http.negotiation import accept_of, accepted
from podium.apiserver.http.options import write_options
from podium.apiserver.http.writing import answer
from podium.apiserver.registry.call import Call
from podium.apiserver.registry.create import match_namespace
from podium.apiserver.registry.fields import track_create
from podium.apiserver.registry.registry import Registry
from podium.apiserver.registry.result import Result
from podium.base.http.message import Request, Response
from podium.machinery.errors import ServiceUnavailable


async def ask(registry: Registry, call: Call, request: Request, info: RequestInfo) -> Response:
    """Answer POST to the collection of such a kind."""
    wanted = accepted(accept_of(request), registry.media_types, tables=False)
    write_options(request, call, "CreateOptions")
    obj = await read_object(registry, call, request)
    match_namespace(call, obj["metadata"])
    served = call.served
    resource = served.resource
    track_create(registry, call, obj)
    attributes = await registry.admit(call, "CREATE", obj)
    await registry.validate(attributes)
    reply = registry.answers.get(resource.group_plural)
    if reply is None:
        raise ServiceUnavailable(f"nobody answers {resource.group_plural} on this server")
    question = Question(
        resource=served.storage, namespace=call.namespace, object=served.to_storage(obj), user=call.user
    )
    answered = served.from_storage(await reply(question))
    registry.schema_of(resource.schema).complete(answered)
    return answer(registry, Result(served=served, object=answered, created=True), request, wanted)
