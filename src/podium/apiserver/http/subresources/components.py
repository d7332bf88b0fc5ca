"""componentstatuses: a deprecated view of the control plane's health, made up on request."""

from __future__ import annotations

import orjson

from podium.apiserver.chain import RequestInfo
from podium.apiserver.http.negotiation import Accepted, accept_of, accepted
from podium.apiserver.http.representation import form_of, shown
from podium.apiserver.http.respond import encoded
from podium.apiserver.registry.call import Call
from podium.apiserver.registry.registry import Registry
from podium.base.http.message import Request, Response
from podium.machinery import table
from podium.machinery.errors import NotFound, Object

_NAMES = ("etcd-0",)


async def components(registry: Registry, call: Call, request: Request, info: RequestInfo) -> Response:
    """Answer get and list. The store is healthy, else this server would not answer."""
    # A list of what is not stored has no protobuf here: clients take JSON as well.
    wanted = accepted(accept_of(request), registry.media_types, protobuf=bool(info.name))
    include = request.parameter("includeObject") if wanted.form else ""
    form = form_of(call.served, wanted, registry.clock, include=include, is_list=not info.name)
    if info.name:
        if info.name not in _NAMES:
            raise NotFound.of("componentstatus", "", info.name)
        return shown(lambda form: form.object(_status(info.name)), form, request, wanted)
    body = _list(registry, call, wanted, include)
    return encoded(orjson.dumps(body), request, media_type=wanted.media_type)


def _list(registry: Registry, call: Call, wanted: Accepted, include: str) -> Object:
    found = [_status(name) for name in _NAMES]
    if wanted.form == "Table":
        now = registry.clock.now()
        return table.table(call.served.resource, found, now=now, include_object=include or "Metadata")
    if wanted.form:
        items = [table.partial_metadata(one) for one in found]
        api_version = f"meta.k8s.io/{wanted.version}"
        return {"kind": wanted.form, "apiVersion": api_version, "metadata": {}, "items": items}
    return {"kind": "ComponentStatusList", "apiVersion": "v1", "metadata": {}, "items": found}


def _status(name: str) -> Object:
    condition = {"type": "Healthy", "status": "True", "message": "ok"}
    return {"metadata": {"name": name}, "conditions": [condition]}
