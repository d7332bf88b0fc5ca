"""delete: DELETE of one object."""

from __future__ import annotations

import orjson

from podium.apiserver.http.body import read_options
from podium.apiserver.http.negotiation import negotiate
from podium.apiserver.http.options import delete_options
from podium.apiserver.http.respond import STATUS, encoded
from podium.apiserver.http.writing import answer
from podium.apiserver.registry import unreadable
from podium.apiserver.registry.call import Call
from podium.apiserver.registry.delete import delete
from podium.apiserver.registry.registry import Registry
from podium.apiserver.registry.result import Result
from podium.base.http.message import Request, Response
from podium.machinery.errors import Object

_JOB_WARNING = (
    "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove "
    "them or set propagationPolicy=Orphan to suppress this warning"
)

SUCCESS = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}


async def delete_object(registry: Registry, call: Call, request: Request) -> Response:
    wanted = negotiate(registry, call.served, request)
    body = await read_options(registry, request, call.served.resource)
    options = delete_options(request, body, call)
    if options.ignore_read_error:
        await unreadable.delete(registry, call)
        details = {"name": call.name, "kind": call.served.resource.kind}
        return encoded(
            orjson.dumps({**SUCCESS, "details": details}),
            request,
            media_type=wanted.media_type,
            definition=STATUS,
        )
    if (
        call.served.resource.default_propagation == "Orphan"
        and options.propagation is None
        and options.orphan_dependents is None
    ):
        call.warn(_JOB_WARNING)
    result = await delete(registry, call, options)
    gone, result.created = result.created, False
    if gone and not call.served.resource.delete_returns_object:
        status = orjson.dumps(success(call, result))
        return encoded(status, request, media_type=wanted.media_type, definition=STATUS)
    return answer(registry, result, request, wanted)


def success(call: Call, result: Result) -> Object:
    """Return the Status that says what was deleted."""
    resource = call.served.resource
    details: Object = {"name": call.name}
    if resource.group:
        details["group"] = resource.group
    details["kind"] = resource.plural
    details["uid"] = result.as_object()["metadata"]["uid"]
    return {**SUCCESS, "details": details}
