"""What the API server serves, as `Resource` values, whether built in or defined at run time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import orjson

from podium.base.clock import Clock
from podium.client.client import Client
from podium.machinery import meta
from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.runtime.informer import Delta

KINDS_KEPT_S = 30.0
"""A definition may be replaced by another of the same kind and other names."""
_ACCEPT = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovered:
    """What is served, as far as is known."""

    resources: list[Resource]
    """Each in the version its group prefers. They know names, scope and verbs, no defaults and validation."""
    unknown: list[str]
    """Group versions whose servers have not been heard of."""


async def discover(client: Client) -> list[Resource]:
    """Return every resource known to be served. Raises ApiError."""
    return (await discover_all(client)).resources


async def discover_all(client: Client) -> Discovered:
    """Return every resource known to be served, and of what it is not known. Raises ApiError."""
    asking = Client(client.transport, user_agent=client.user_agent, accept=_ACCEPT)
    found: list[Resource] = []
    unknown: list[str] = []
    for path in ("/api", "/apis"):
        document = cast(Object, orjson.loads(await asking.raw("GET", path)))
        for group in document.get("items") or ():
            found += resources_of_group(group)
            unknown += _unknown_versions(group)
    return Discovered(resources=found, unknown=unknown)


class Kinds:
    """Which resources are of a kind, as the server says; asked again for one not known, and now and then."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], list[Resource]] = {}
        self._until_s = 0.0

    async def resources(self, client: Client, clock: Clock, group: str, kind: str) -> list[Resource]:
        """Return the resources of a kind, in the versions preferred, if it is served. Raises ApiError."""
        now_s = clock.monotonic_s()
        if (group, kind) not in self._known or now_s >= self._until_s:
            known: dict[tuple[str, str], list[Resource]] = {}
            for resource in await discover(client):
                known.setdefault((resource.group, resource.kind), []).append(resource)
            self._known, self._until_s = known, now_s + KINDS_KEPT_S
        return self._known.get((group, kind), [])


def _unknown_versions(group: Object) -> list[str]:
    name = (group.get("metadata") or {}).get("name") or ""
    versions = group.get("versions") or ()
    return [f"{name}/{v['version']}" for v in versions if v.get("freshness") == "Stale"]


def changes_what_is_served(delta: Delta) -> bool:
    """Tell whether a change of a CustomResourceDefinition or an APIService makes resources come or go."""
    return delta.old is None or delta.new is None or _is_served(delta.old) != _is_served(delta.new)


def _is_served(obj: Object) -> bool:
    return meta.condition_true(obj, "Established") or meta.condition_true(obj, "Available")


def resources_of_group(group: Object) -> list[Resource]:
    """Return the resources of one APIGroupDiscovery, each once, in the first version that has it."""
    name = (group.get("metadata") or {}).get("name") or ""
    found: dict[str, Resource] = {}
    for version in group.get("versions") or ():
        if version.get("freshness") == "Stale":
            continue
        for entry in version.get("resources") or ():
            plural = entry["resource"]
            kind = entry.get("responseKind") or {}
            if plural in found:
                continue
            found[plural] = Resource(
                group=name,
                version=version["version"],
                kind=kind.get("kind") or "",
                plural=plural,
                singular=entry.get("singularResource") or "",
                namespaced=entry.get("scope") == "Namespaced",
                verbs=tuple(entry.get("verbs") or ()),
                schema="",
                status=any(sub.get("subresource") == "status" for sub in entry.get("subresources") or ()),
            )
    return list(found.values())
