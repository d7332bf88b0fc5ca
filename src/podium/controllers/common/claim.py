"""Which dependents belong to a controller: adoption and release by selector and owner reference.

An object belongs to the controller its ownerReference names. One that nobody controls is adopted when the
selector matches it; one that we control is released when the selector no longer does. `plan_claims` decides,
`claim` acts. Upstream: pkg/controller/controller_ref_manager.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from podium.client.client import Client
from podium.machinery import meta
from podium.machinery.errors import Conflict, Invalid, NotFound, Object
from podium.machinery.labels import Selector
from podium.machinery.resource import Resource


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What to do about each candidate."""

    owned: tuple[Object, ...]
    adopt: tuple[Object, ...]
    release: tuple[Object, ...]


def plan_claims(owner: Object, selector: Selector, candidates: Iterable[Object]) -> Claims:
    """Sort `candidates` (of the owner's namespace) into what is ours, becomes ours, stops being ours."""
    owned, adopt, release = [], [], []
    owner_deleting = meta.deleting(owner)
    for candidate in candidates:
        reference = meta.controller_ref(candidate)
        matches = selector.matches(meta.labels(candidate))
        if reference is not None:
            if reference.get("uid") != meta.uid(owner):
                continue
            if matches:
                owned.append(candidate)
            elif not owner_deleting:
                release.append(candidate)
        elif matches and not owner_deleting and not meta.deleting(candidate):
            adopt.append(candidate)
    return Claims(owned=tuple(owned), adopt=tuple(adopt), release=tuple(release))


async def claim(
    client: Client,
    owner_resource: Resource,
    owner: Object,
    resource: Resource,
    claims: Claims,
    *,
    finalizer: str = "",
) -> list[Object]:
    """Carry out `claims`; return what is ours afterwards.

    Before adopting, the owner is read from the server: one that is gone or going must not adopt. Raises
    Conflict then. What is adopted gets the `finalizer`, what is released loses it.
    """
    ours = list(claims.owned)
    for candidate in claims.release:
        await _release(client, resource, owner, candidate, finalizer)
    if claims.adopt:
        live = await client.get(owner_resource, meta.name(owner), meta.namespace(owner) or None)
        if meta.uid(live) != meta.uid(owner) or meta.deleting(live):
            raise Conflict(f"{owner['kind']} {meta.key(owner)} is gone or going; it adopts nothing")
    for candidate in claims.adopt:
        adopted = await _adopt(client, resource, owner, candidate, finalizer)
        if adopted is not None:
            ours.append(adopted)
    return ours


async def _adopt(
    client: Client, resource: Resource, owner: Object, candidate: Object, finalizer: str
) -> Object | None:
    metadata = {
        "uid": meta.uid(candidate),
        "resourceVersion": meta.metadata(candidate)["resourceVersion"],
        "ownerReferences": [*meta.owner_references(candidate), meta.owner_reference(owner)],
    }
    if finalizer and finalizer not in meta.finalizers(candidate):
        metadata["finalizers"] = [*meta.finalizers(candidate), finalizer]
    patch = {"metadata": metadata}
    try:
        answer = await client.patch(resource, meta.name(candidate), patch, meta.namespace(candidate))
    except NotFound:
        return None
    return {"apiVersion": resource.api_version, "kind": resource.kind, **answer}


async def _release(
    client: Client, resource: Resource, owner: Object, candidate: Object, finalizer: str
) -> None:
    references = [r for r in meta.owner_references(candidate) if r.get("uid") != meta.uid(owner)]
    metadata: Object = {
        "uid": meta.uid(candidate),
        "resourceVersion": meta.metadata(candidate)["resourceVersion"],
        "ownerReferences": references or None,
    }
    if finalizer in meta.finalizers(candidate):
        left = [name for name in meta.finalizers(candidate) if name != finalizer]
        metadata["finalizers"] = left or None
    patch = {"metadata": metadata}
    try:
        await client.patch(resource, meta.name(candidate), patch, meta.namespace(candidate))
    except (NotFound, Invalid):
        return  # gone, or made anew under its name


ORPHANS = "controlled-by"
"""The index of dependents: the controller's uid, or `NAMESPACE/` for those that nobody controls."""


def controlled_by(obj: Object) -> tuple[str, ...]:
    """The index function of `ORPHANS`."""
    reference = meta.controller_ref(obj)
    return (str(reference.get("uid")) if reference is not None else f"{meta.namespace(obj)}/",)
