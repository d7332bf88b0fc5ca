"""create: POST to a collection."""

from __future__ import annotations

from podium.apiserver.http.body import read_object
from podium.apiserver.http.negotiation import negotiate
from podium.apiserver.http.options import write_options
from podium.apiserver.http.writing import answer
from podium.apiserver.registry.call import Call
from podium.apiserver.registry.create import create
from podium.apiserver.registry.registry import Registry
from podium.base.http.message import Request, Response


async def create_object(registry: Registry, call: Call, request: Request) -> Response:
    wanted = negotiate(registry, call.served, request)
    write_options(request, call, "CreateOptions")
    obj = await read_object(registry, call, request)
    call.name = obj["metadata"].get("name") or ""
    result = await create(registry, call, obj)
    return answer(registry, result, request, wanted)
