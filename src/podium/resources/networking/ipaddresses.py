"""IPAddress, networking.k8s.io/v1."""

from __future__ import annotations

from dataclasses import replace

from podium.machinery.addresses import ip_errors
from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources import deferred
from podium.resources.defaulting import child
from podium.resources.printing import AGE, NAME, NONE, column, spec
from podium.resources.twins import deprecated, twin


def _defaults(address: Object) -> None:
    child(address, "spec")


def _parent(address: Object) -> str:
    parent = spec(address).get("parentRef")
    if not parent:
        return NONE
    resource = f"{parent.get('resource') or ''}.{parent.get('group') or ''}".rstrip(".").lower()
    parts = [resource, parent.get("namespace"), parent.get("name") or ""]
    return "/".join(part for part in parts if part is not None and part != "")


IPADDRESSES = Resource(
    group="networking.k8s.io",
    version="v1",
    kind="IPAddress",
    plural="ipaddresses",
    namespaced=False,
    short_names=("ip",),
    schema="io.k8s.api.networking.v1.IPAddress",
    metadata_again=1,
    defaults=_defaults,
    columns=(
        NAME,
        column("ParentRef", _parent),
        # Upstream's rows have this cell, and its table has no column for it.
        replace(AGE, defined=False),
    ),
    name_errors=ip_errors,
    validate=deferred.check("networking.validation", "validate_address"),
    validate_update=deferred.update_check("networking.validation", "validate_address_update"),
)

IPADDRESSES_V1BETA1 = twin(
    IPADDRESSES,
    "v1beta1",
    deprecation=deprecated("networking.k8s.io/v1beta1", "IPAddress", "1.34", "1.37"),
)
