"""get and list: the cache's bytes in the form that the client accepts."""

from __future__ import annotations

from podium.apiserver.http.negotiation import negotiate
from podium.apiserver.http.options import get_version, list_options
from podium.apiserver.http.representation import form_of, shown
from podium.apiserver.registry.call import Call
from podium.apiserver.registry.read import get, list_entries
from podium.apiserver.registry.registry import Registry
from podium.base.http.message import Request, Response


async def get_object(registry: Registry, call: Call, request: Request) -> Response:
    wanted = negotiate(registry, call.served, request)
    revision = get_version(request)
    include = request.parameter("includeObject") if wanted.form else ""
    entry = await get(registry, call, revision=revision)
    form = form_of(call.served, wanted, registry.clock, include=include, is_list=False)
    return shown(lambda form: form.one(entry), form, request, wanted)


async def list_objects(registry: Registry, call: Call, request: Request) -> Response:
    wanted = negotiate(registry, call.served, request, listing=True)
    options = list_options(request, call.served, call.namespace)
    include = request.parameter("includeObject") if wanted.form else ""
    form = form_of(call.served, wanted, registry.clock, include=include, is_list=True)
    listing = await list_entries(registry, call, options)
    return shown(lambda form: form.list(listing), form, request, wanted)
