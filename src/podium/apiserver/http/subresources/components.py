"""componentstatuses: a deprecated view of the control plane's health, made up on request."""

from __future__ import annotations

import orjson

from podium.apiserver.chain import RequestInfo
from podium.apiserver.http.respond import encoded
from podium.apiserver.registry.call import Call
from podium.apiserver.registry.registry import Registry
from podium.apiserver.registry.update import not_found
from podium.base.http.message import Request, Response
from podium.machinery.errors import Object

_NAMES = ("etcd-0",)
_WARNING = "v1 ComponentStatus is deprecated in v1.19+"


async def components(registry: Registry, call: Call, request: Request, info: RequestInfo) -> Response:
    """Answer get and list. The store is healthy, else this server would not answer."""
    call.warn(_WARNING)
    if info.name:
        if info.name not in _NAMES:
            raise not_found(call)
        found: Object = {"kind": "ComponentStatus", "apiVersion": "v1", **_status(info.name)}
        return encoded(orjson.dumps(found), request)
    listed = {
        "kind": "ComponentStatusList",
        "apiVersion": "v1",
        "metadata": {},
        "items": [_status(name) for name in _NAMES],
    }
    return encoded(orjson.dumps(listed), request)


def _status(name: str) -> Object:
    condition = {"type": "Healthy", "status": "True", "message": "ok"}
    return {"metadata": {"name": name}, "conditions": [condition]}
