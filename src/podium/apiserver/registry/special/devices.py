"""Claims for devices that ask for more than others may have: admin access, for which namespaces are marked.

Upstream: pkg/registry/resource/utils.go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from podium.apiserver.registry.call import Call
from podium.machinery.errors import FieldError, Object
from podium.machinery.meta import dig, labels
from podium.resources.checks import objects
from podium.resources.core.namespaces import NAMESPACES
from podium.resources.resource.resourceclaims import RESOURCECLAIMS
from podium.resources.resource.resourceclaimtemplates import RESOURCECLAIMTEMPLATES

if TYPE_CHECKING:
    from podium.apiserver.registry.registry import Registry

ADMIN_LABEL = "resource.kubernetes.io/admin-access"
_REQUESTS = {
    (RESOURCECLAIMS.group, RESOURCECLAIMS.plural): ("spec", "devices", "requests"),
    (RESOURCECLAIMTEMPLATES.group, RESOURCECLAIMTEMPLATES.plural): ("spec", "spec", "devices", "requests"),
}


def not_by_creator(registry: Registry, call: Call, stored: Object) -> list[FieldError]:
    """Return why a new claim, or a template of claims, may not have the admin access it asks for."""
    path = _REQUESTS.get((call.served.storage.group, call.served.storage.plural))
    if path is None:
        return []
    for index, request in enumerate(objects(dig(stored, *path))):
        if dig(request, "exactly", "adminAccess") is True:
            # Upstream names a claim's field in templates too.
            return _unmarked(registry, call, f"spec.devices.requests[{index}].adminAccess")
    return []


def is_claim_status(call: Call) -> bool:
    storage = call.served.storage
    return call.subresource == "status" and storage.group_plural == RESOURCECLAIMS.group_plural


def not_by_status(registry: Registry, call: Call, stored: Object, stored_old: Object) -> list[FieldError]:
    """Return why an allocation may not grant admin access that was not granted before."""
    found = _granted(stored)
    if found is None or _granted(stored_old) is not None:
        return []
    return _unmarked(registry, call, f"status.allocation.devices.results[{found}].adminAccess")


def _granted(claim: Object) -> int | None:
    results = objects(dig(claim, "status", "allocation", "devices", "results"))
    return next((index for index, one in enumerate(results) if one.get("adminAccess") is True), None)


def _unmarked(registry: Registry, call: Call, field: str) -> list[FieldError]:
    namespace = registry.peek(NAMESPACES, "", call.namespace)
    if namespace is not None and labels(namespace).get(ADMIN_LABEL) == "true":
        return []
    detail = f"admin access to devices requires the `{ADMIN_LABEL}: true` label on the containing namespace"
    return [FieldError.forbidden(field, detail)]
