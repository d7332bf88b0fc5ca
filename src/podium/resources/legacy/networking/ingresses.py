"""Ingress: extensions/v1beta1 and networking.k8s.io/v1beta1.

A backend names its service and port side by side, and the backend of last resort is just `backend`. Both have
a path type that says nothing where none is given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from podium.machinery.derived import Package
from podium.machinery.errors import Object
from podium.resources.defaulting import absent, given, items
from podium.resources.legacy.older import copied, older
from podium.resources.legacy.packages import EXTENSIONS as EXTENSIONS_PACKAGE
from podium.resources.legacy.packages import INGRESS_CHANGES
from podium.resources.networking import ingresses as v1

NETWORKING = Package(
    name="io.k8s.api.networking.v1beta1",
    group="networking.k8s.io",
    version="v1beta1",
    bases=("io.k8s.api.networking.v1",),
    changes=INGRESS_CHANGES,
)

Backend = Callable[[Object], Object]


def to_v1(ingress: Object) -> Object:
    """Return the Ingress with backends as networking.k8s.io/v1 has them."""
    result = copied(ingress, "spec")
    spec = given(result, "spec")
    if spec is not None:
        _replace_backends(spec, _backend_to_v1)
        _rename(spec, "backend", "defaultBackend")
    return result


def from_v1(ingress: Object) -> Object:
    """Return the Ingress with backends as the older versions have them."""
    result = copied(ingress, "spec")
    spec = given(result, "spec")
    if spec is not None:
        _rename(spec, "defaultBackend", "backend")
        _replace_backends(spec, _backend_from_v1)
    return result


def _rename(obj: Object, old: str, new: str) -> None:
    if old in obj:
        obj[new] = obj.pop(old)


def _paths(spec: Object) -> Iterator[Object]:
    for rule in items(spec, "rules"):
        yield from items(given(rule, "http"), "paths")


def _replace_backends(spec: Object, replaced: Backend) -> None:
    for holder in (spec, *_paths(spec)):
        backend = given(holder, "backend")
        if backend is not None:
            holder["backend"] = replaced(backend)


def _backend_to_v1(backend: Object) -> Object:
    result = dict(backend)
    name, port = result.pop("serviceName", None), result.pop("servicePort", None)
    if name or port or isinstance(port, str):
        service: Object = {"name": name or ""}
        service["port"] = _port(port)
        result["service"] = service
    return result


def _port(port: Any) -> Object:
    if isinstance(port, str):
        return {"name": port} if port else {}
    return {"number": port} if port else {}


def _backend_from_v1(backend: Object) -> Object:
    result = dict(backend)
    service = result.pop("service", None)
    port: Any = 0
    if service is not None:
        if service.get("name"):
            result["serviceName"] = service["name"]
        named = service.get("port") or {}
        port = named.get("name") or named.get("number") or 0
    # This version writes the port even when it is none.
    result["servicePort"] = port
    return result


def _defaults(ingress: Object) -> None:
    v1.INGRESSES.defaults(ingress)
    for path in _paths(ingress["spec"]):
        absent(path, "pathType", "ImplementationSpecific")


EXTENSIONS = older(
    v1.INGRESSES,
    EXTENSIONS_PACKAGE,
    deprecated=(1, 14),
    removed=(1, 22),
    to_storage=to_v1,
    from_storage=from_v1,
    defaults=_defaults,
)
V1BETA1 = older(
    v1.INGRESSES,
    NETWORKING,
    deprecated=(1, 19),
    removed=(1, 22),
    to_storage=to_v1,
    from_storage=from_v1,
    defaults=_defaults,
)
