"""What an APIService says, and in which order clients shall see what several of them say. Pure."""

from __future__ import annotations

import binascii
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from podium.apiserver.registry.versions import preference
from podium.machinery.errors import Object

AVAILABLE = "Available"
DEFAULT_PORT = 443


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """One group and version that an extension API server answers."""

    name: str
    group: str
    version: str
    namespace: str
    """Of the Service."""
    service: str
    port: int = DEFAULT_PORT
    ca_pem: bytes = b""
    """Whom to trust; empty: the authorities of this machine."""
    insecure: bool = False
    group_priority: int = 0
    version_priority: int = 0
    available: bool = False

    @property
    def path(self) -> str:
        """The path that the server must answer discovery at."""
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"

    @property
    def backend(self) -> tuple[str, str, int, bytes, bool]:
        """What tells one backend from another: registrations that share this share connections."""
        return self.namespace, self.service, self.port, self.ca_pem, self.insecure


def registration(api_service: Object) -> Registration | None:
    """Return what an APIService registers; None for those that this server answers itself."""
    spec = api_service.get("spec") or {}
    service = spec.get("service")
    if not service:
        return None
    return Registration(
        name=api_service["metadata"]["name"],
        group=spec.get("group") or "",
        version=spec.get("version") or "",
        namespace=service.get("namespace") or "",
        service=service.get("name") or "",
        port=service.get("port") or DEFAULT_PORT,
        ca_pem=_decoded(spec.get("caBundle") or ""),
        insecure=bool(spec.get("insecureSkipTLSVerify")),
        group_priority=spec.get("groupPriorityMinimum") or 0,
        version_priority=spec.get("versionPriority") or 0,
        available=is_available(api_service),
    )


def _decoded(bundle: str) -> bytes:
    try:
        return binascii.a2b_base64(bundle)
    except ValueError:
        return b""


def condition(api_service: Object) -> Object | None:
    """Return the condition Available."""
    for one in (api_service.get("status") or {}).get("conditions") or ():
        if one.get("type") == AVAILABLE:
            found: Object = one
            return found
    return None


def is_available(api_service: Object) -> bool:
    found = condition(api_service)
    return found is not None and found.get("status") == "True"


def with_condition(
    conditions: Sequence[Object], status: str, reason: str, message: str, now: str
) -> list[Object]:
    """Return the conditions with Available as given; its time moves only when its status does."""
    made: Object = {
        "type": AVAILABLE,
        "status": status,
        "lastTransitionTime": now,
        "reason": reason,
        "message": message,
    }
    result = []
    found = False
    for one in conditions:
        if one.get("type") != AVAILABLE or found:
            result.append(one)
            continue
        found = True
        if one.get("status") == status:
            made["lastTransitionTime"] = one.get("lastTransitionTime")
        result.append(made)
    return result if found else [*result, made]


@dataclass(frozen=True, slots=True)
class Placed:
    """A group and version with its priorities."""

    group: str
    version: str
    group_priority: int
    version_priority: int


def in_order(placed: Iterable[Placed]) -> dict[str, list[str]]:
    """Return the versions of each group, as clients shall prefer them: groups by the highest of their
    priorities, then by name; versions by priority, then v2 before v1 before v1beta1."""
    groups: dict[str, list[Placed]] = {}
    for one in placed:
        groups.setdefault(one.group, []).append(one)
    ordered = sorted(groups.items(), key=lambda item: (-max(one.group_priority for one in item[1]), item[0]))
    return {
        group: [
            one.version
            for one in sorted(versions, key=lambda one: (-one.version_priority, preference(one.version)))
        ]
        for group, versions in ordered
    }
