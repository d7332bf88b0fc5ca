"""The scale subresource: a small object that stands for the replicas of a larger one."""

from __future__ import annotations

from typing import Any

import orjson

from podium.apiserver.chain import RequestInfo
from podium.apiserver.http.body import media_type, read_object
from podium.apiserver.http.negotiation import accepted
from podium.apiserver.http.options import get_version, write_options
from podium.apiserver.http.respond import encoded
from podium.apiserver.registry.call import Call
from podium.apiserver.registry.decode import DecodeError, prune
from podium.apiserver.registry.fields import track_update
from podium.apiserver.registry.patch import TYPES, decode_patch, invalid_patch, merged
from podium.apiserver.registry.read import get
from podium.apiserver.registry.registry import Registry
from podium.apiserver.registry.update import check_name, modify
from podium.base.http.message import Request, Response
from podium.machinery.errors import FieldError, Invalid, Object, UnsupportedMediaType
from podium.machinery.meta import deep_copy
from podium.machinery.resource import Scale

_KIND, _VERSION = "Scale", "autoscaling/v1"
_SCHEMA = "io.k8s.api.autoscaling.v1.Scale"
_METADATA = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")


async def scale(registry: Registry, call: Call, request: Request, info: RequestInfo) -> Response:
    """Answer get, update and patch of a scale."""
    wanted = accepted(request.headers.get("accept"))
    if info.verb == "get":
        entry = await get(registry, call, revision=get_version(request))
        return _answer(call, call.served.object(entry), request, wanted.media_type)
    if info.verb == "patch":
        return await _patch(registry, call, request, wanted.media_type)
    write_options(request, call, "UpdateOptions")
    sent = await read_object(registry, call, request, kind=_KIND, api_version=_VERSION, schema=_SCHEMA)
    check_name(call, sent)
    result = await _write(registry, call, lambda _current: sent)
    return _answer(call, result, request, wanted.media_type)


async def _patch(registry: Registry, call: Call, request: Request, media: str) -> Response:
    type = media_type(request)
    if type not in TYPES:
        raise UnsupportedMediaType("415: Unsupported Media Type", details={})
    write_options(request, call, "PatchOptions")
    patch, duplicates = decode_patch(call, type, await request.read_body())

    def change(current: Object) -> Object:
        new: Object = deep_copy(merged(registry, type, current, patch, _SCHEMA))
        try:
            prune(registry, call, new, duplicates, _SCHEMA)
        except DecodeError as error:
            raise invalid_patch(type, patch, new, str(error)) from None
        check_name(call, new)
        return new

    return _answer(call, await _write(registry, call, change), request, media)


async def _write(registry: Registry, call: Call, change: Any) -> Object:
    """Carry the replicas of the changed scale over to the object; return the object."""
    declared = call.served.resource.scale
    assert declared is not None

    async def transform(old: Object) -> Object:
        new = change(of(declared, old))
        replicas = (new.get("spec") or {}).get("replicas") or 0
        if replicas < 0:
            error = FieldError.invalid("spec.replicas", replicas, "must be greater than or equal to 0")
            raise Invalid.of(_KIND, "autoscaling", call.name, [error])
        changed: Object = deep_copy(old)
        _put(changed, declared.replicas, replicas)
        metadata = new.get("metadata") or {}
        changed["metadata"]["resourceVersion"] = metadata.get("resourceVersion") or ""
        if metadata.get("uid"):
            changed["metadata"]["uid"] = metadata["uid"]
        track_update(registry, call, changed, old)
        return changed

    result = await modify(registry, call, transform, tracked=True)
    return result.as_object()


def of(declared: Scale, obj: Object) -> Object:
    """Return the Scale of an object."""
    metadata = {name: obj["metadata"][name] for name in _METADATA if name in obj["metadata"]}
    replicas = _get(obj, declared.replicas)
    status: Object = {"replicas": _get(obj, declared.status_replicas) or 0}
    selector = declared.selector(obj)
    if selector:
        status["selector"] = selector
    spec = {"replicas": replicas} if replicas else {}
    return {"kind": _KIND, "apiVersion": _VERSION, "metadata": metadata, "spec": spec, "status": status}


def _answer(call: Call, obj: Object, request: Request, media: str) -> Response:
    declared = call.served.resource.scale
    assert declared is not None
    return encoded(orjson.dumps(of(declared, obj)), request, media_type=media)


def _get(obj: Object, path: str) -> Any:
    value: Any = obj
    for part in path.removeprefix(".").split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _put(obj: Object, path: str, value: Any) -> None:
    *parents, last = path.removeprefix(".").split(".")
    for part in parents:
        obj = obj.setdefault(part, {})
    obj[last] = value
