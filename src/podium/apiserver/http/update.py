"""update: PUT to an object, or to a subresource that bears the same kind."""

from __future__ import annotations

from podium.apiserver.http.body import read_object
from podium.apiserver.http.negotiation import negotiate
from podium.apiserver.http.options import write_options
from podium.apiserver.http.writing import answer
from podium.apiserver.registry.call import Call
from podium.apiserver.registry.registry import Registry
from podium.apiserver.registry.update import check_name, update
from podium.base.http.message import Request, Response


async def update_object(registry: Registry, call: Call, request: Request) -> Response:
    wanted = negotiate(registry, call.served, request)
    write_options(request, call, "UpdateOptions")
    obj = await read_object(registry, call, request)
    check_name(call, obj)
    result = await update(registry, call, obj)
    return answer(registry, result, request, wanted)
