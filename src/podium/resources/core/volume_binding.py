"""Which volume a claim gets, and how the two say so. Pure; the binder and the scheduler go by it.

Upstream: k8s.io/component-helpers/storage/volume.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from podium.machinery import meta
from podium.machinery.errors import Object
from podium.machinery.labels import from_label_selector
from podium.machinery.quantity import ZERO, Quantity, QuantityError, parse
from podium.resources.core.persistentvolumes import CLASS_ANNOTATION, storage_class

BIND_COMPLETED = "pv.kubernetes.io/bind-completed"
BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
MIGRATED_TO = "pv.kubernetes.io/migrated-to"
SELECTED_NODE = "volume.kubernetes.io/selected-node"
STORAGE_PROVISIONER = "volume.kubernetes.io/storage-provisioner"
STORAGE_PROVISIONER_BETA = "volume.beta.kubernetes.io/storage-provisioner"
NO_PROVISIONER = "kubernetes.io/no-provisioner"


def annotated(obj: Object, name: str) -> bool:
    """Tell whether the object carries the annotation, whatever its value."""
    return name in meta.annotations(obj)


def with_annotations(obj: Object, values: Mapping[str, str]) -> Object:
    """Return a copy of the object with these annotations too."""
    metadata = {**meta.metadata(obj), "annotations": {**meta.annotations(obj), **values}}
    return {**obj, "metadata": metadata}


def has_class(claim: Object) -> bool:
    """Tell whether the claim says anything about its storage class, if only that it wants none."""
    return annotated(claim, CLASS_ANNOTATION) or meta.dig(claim, "spec", "storageClassName") is not None


def waits_for_consumer(cls: Object | None) -> bool:
    """Tell whether the claims of a storage class are bound only when a pod that uses them has a node."""
    return cls is not None and cls.get("volumeBindingMode") == "WaitForFirstConsumer"


def claim_of(volume: Object) -> Object | None:
    """Return the reference to the claim that a volume is for."""
    reference: Object | None = meta.dig(volume, "spec", "claimRef")
    return reference


def key_of_claim(volume: Object) -> str:
    """Return the key of the claim that a volume is for, "" for a volume that is for anybody."""
    reference = claim_of(volume)
    return f"{reference.get('namespace')}/{reference.get('name')}" if reference else ""


def is_bound_to(volume: Object, claim: Object) -> bool:
    """Tell whether the volume is for this claim; a reference without uid means a claim of any."""
    reference = claim_of(volume)
    if reference is None or key_of_claim(volume) != meta.key(claim):
        return False
    return not reference.get("uid") or bool(reference["uid"] == meta.uid(claim))


def is_fully_bound(claim: Object) -> bool:
    """Tell whether both halves of the claim's binding have been written."""
    return bool(meta.dig(claim, "spec", "volumeName")) and annotated(claim, BIND_COMPLETED)


def phase_of(obj: Object) -> str:
    return str(meta.dig(obj, "status", "phase", default="Pending"))


def capacity(volume: Object) -> Quantity:
    return _storage(meta.dig(volume, "spec", "capacity"))


def requested(claim: Object) -> Quantity:
    return _storage(meta.dig(claim, "spec", "resources", "requests"))


def _storage(amounts: Mapping[str, str] | None) -> Quantity:
    try:
        return parse((amounts or {}).get("storage", "0"))
    except QuantityError:
        return ZERO


def modes_differ(claim: Object, volume: Object) -> bool:
    """Tell whether one is a file system and the other a block device."""
    wanted, offered = (meta.dig(obj, "spec", "volumeMode") or "Filesystem" for obj in (claim, volume))
    return bool(wanted != offered)


def access_modes(obj: Object) -> frozenset[str]:
    return frozenset(meta.dig(obj, "spec", "accessModes", default=()))


def attributes_class(obj: Object) -> str:
    return str(meta.dig(obj, "spec", "volumeAttributesClassName") or "")


def misfit(volume: Object, claim: Object) -> str:
    """Return why a claim cannot have the volume that it names, "" if it can."""
    if meta.deleting(volume):
        return f'the volume is marked for deletion "{meta.name(volume)}"'
    if capacity(volume).value() < requested(claim).value():
        return "requested PV is too small"
    if storage_class(volume) != storage_class(claim):
        return "storageClassName does not match"
    if attributes_class(volume) != attributes_class(claim):
        return "volumeAttributesClassName does not match"
    if modes_differ(claim, volume):
        return "incompatible volumeMode"
    if not access_modes(claim) <= access_modes(volume):
        return "incompatible accessMode"
    return ""


def candidates(claim: Object, volumes: Iterable[Object]) -> list[Object]:
    """Return the volumes that the claim may have: those reserved for it, else all that are free and fit.

    A selector that cannot be read matches nothing.
    """
    fitting = [volume for volume in volumes if _may_have(claim, volume)]
    reserved = [volume for volume in fitting if is_bound_to(volume, claim)]
    return reserved or [volume for volume in fitting if _is_free_for(claim, volume)]


def best_match(claim: Object, volumes: Iterable[Object], *, only_reserved: bool = False) -> Object | None:
    """Return the volume that the claim gets: the one reserved for it, else the smallest that fits.

    Volumes with fewer access modes go first. With `only_reserved`, a volume nobody has reserved is not
    taken (its choice is the scheduler's).
    """
    found = candidates(claim, volumes)
    if only_reserved:
        found = [volume for volume in found if is_bound_to(volume, claim)]
    return min(found, key=_order, default=None)


def _order(volume: Object) -> tuple[int, int, str]:
    return len(access_modes(volume)), capacity(volume).nanos, meta.name(volume)


def _may_have(claim: Object, volume: Object) -> bool:
    return (
        access_modes(claim) <= access_modes(volume)
        and (claim_of(volume) is None or is_bound_to(volume, claim))
        and not capacity(volume) < requested(claim)
        and not modes_differ(claim, volume)
        and attributes_class(volume) == attributes_class(claim)
        and not meta.deleting(volume)
    )


def _is_free_for(claim: Object, volume: Object) -> bool:
    if phase_of(volume) != "Available" or storage_class(volume) != storage_class(claim):
        return False
    selector = meta.dig(claim, "spec", "selector")
    try:
        return selector is None or from_label_selector(selector).matches(meta.labels(volume))
    except ValueError:
        return False


def bound_volume(volume: Object, claim: Object, reference: Object) -> Object:
    """Return the volume with its half of the binding: `reference` to the claim, and who made the choice."""
    known = claim_of(volume)
    chosen = not is_bound_to(volume, claim)
    if known is None or key_of_claim(volume) != meta.key(claim) or known.get("uid") != meta.uid(claim):
        volume = {**volume, "spec": {**volume["spec"], "claimRef": reference}}
    if chosen and not annotated(volume, BOUND_BY_CONTROLLER):
        volume = with_annotations(volume, {BOUND_BY_CONTROLLER: "yes"})
    return volume


def bound_claim(claim: Object, volume: Object) -> Object:
    """Return the claim with its half of the binding."""
    marks = {}
    if meta.dig(claim, "spec", "volumeName") != meta.name(volume):
        claim = {**claim, "spec": {**claim["spec"], "volumeName": meta.name(volume)}}
        marks[BOUND_BY_CONTROLLER] = meta.annotations(claim).get(BOUND_BY_CONTROLLER, "yes")
    if not annotated(claim, BIND_COMPLETED):
        marks[BIND_COMPLETED] = "yes"
    return with_annotations(claim, marks) if marks else claim
