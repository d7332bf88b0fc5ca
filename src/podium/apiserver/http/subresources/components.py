"""componentstatuses: a deprecated view of the control plane's health, made up on request."""

from __future__ import annotations

import orjson

from podium.apiserver.chain import RequestInfo
from podium.apiserver.http.negotiation import accepted
from podium.apiserver.http.respond import encoded
from podium.apiserver.registry.call import Call
from podium.apiserver.registry.registry import Registry
from podium.apiserver.registry.update import not_found
from podium.base.http.message import Request, Response
from podium.machinery import table
from podium.machinery.errors import Object

_NAMES = ("etcd-0",)


async def components(registry: Registry, call: Call, request: Request, info: RequestInfo) -> Response:
    """Answer get and list. The store is healthy, else this server would not answer."""
    wanted = accepted(request.headers.get("accept"), registry.media_types)
    kind = {"kind": "ComponentStatus", "apiVersion": "v1"}
    if info.name and info.name not in _NAMES:
        raise not_found(call)
    found = [{**kind, **_status(name)} for name in _NAMES if info.name in ("", name)]
    if wanted.form == "Table":
        body: Object = table.table(call.served.resource, found, now=registry.clock.now())
    elif info.name:
        body = found[0]
    else:
        items = [_status(name) for name in _NAMES]
        body = {"kind": "ComponentStatusList", "apiVersion": "v1", "metadata": {}, "items": items}
    return encoded(orjson.dumps(body), request, media_type=wanted.media_type)


def _status(name: str) -> Object:
    condition = {"type": "Healthy", "status": "True", "message": "ok"}
    return {"metadata": {"name": name}, "conditions": [condition]}
