"""update: PUT to an object, or to a subresource that bears the same kind."""

from __future__ import annotations

from podium.apiserver.http.body import read_object
from podium.apiserver.http.negotiation import accepted
from podium.apiserver.http.options import write_options
from podium.apiserver.http.writing import answer
from podium.apiserver.registry.call import Call
from podium.apiserver.registry.create import match_namespace
from podium.apiserver.registry.registry import Registry
from podium.apiserver.registry.update import update
from podium.base.http.message import Request, Response
from podium.machinery.errors import BadRequest, Object


async def update_object(registry: Registry, call: Call, request: Request) -> Response:
    wanted = accepted(request.headers.get("accept"))
    write_options(request, call, "UpdateOptions")
    obj = await read_object(registry, call, request)
    check_name(call, obj)
    result = await update(registry, call, obj)
    return answer(registry, result, request, wanted)


def check_name(call: Call, obj: Object) -> None:
    """See that the body names the object of the path."""
    metadata = obj["metadata"]
    name = metadata.get("name") or ""
    if not name:
        raise BadRequest(
            f"the name of the object ({call.name} based on URL) was undeterminable: name must be provided"
        )
    if name != call.name:
        raise BadRequest(f"the name of the object ({name}) does not match the name on the URL ({call.name})")
    match_namespace(call, metadata)
