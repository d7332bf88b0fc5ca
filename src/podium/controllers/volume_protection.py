"""Volumes and claims in use stay: a finalizer holds them until nobody uses them any more.

A claim is used by pods that are not finished, a volume by the claim it is bound to, a VolumeAttributesClass
by the claims and volumes that name it. Upstream: pkg/controller/volume/{pvcprotection,pvprotection}.
"""

from __future__ import annotations

from collections.abc import Iterable

from podium.controllers.common import pods as podlib
from podium.machinery import meta
from podium.machinery.errors import NotFound, Object
from podium.machinery.resource import Resource
from podium.resources.core.persistentvolumeclaims import PERSISTENTVOLUMECLAIMS
from podium.resources.core.persistentvolumes import PERSISTENTVOLUMES
from podium.resources.core.pods import PODS
from podium.resources.storage.volumeattributesclasses import VOLUMEATTRIBUTESCLASSES
from podium.runtime.controller import Caches, Context, Controller, Watch, own_key
from podium.runtime.informer import Delta

CLAIM_FINALIZER = "kubernetes.io/pvc-protection"
VOLUME_FINALIZER = "kubernetes.io/pv-protection"
CLASS_FINALIZER = "kubernetes.io/vac-protection"
BY_CLAIM = "claim"


def claims_of_pod(pod: Object) -> list[str]:
    """Return the keys of the claims that a pod mounts, those of its ephemeral volumes included."""
    result = []
    for volume in (pod.get("spec") or {}).get("volumes") or ():
        source = volume.get("persistentVolumeClaim")
        if source:
            result.append(f"{meta.namespace(pod)}/{source.get('claimName')}")
        elif volume.get("ephemeral"):
            result.append(f"{meta.namespace(pod)}/{meta.name(pod)}-{volume.get('name')}")
    return result


def plan(obj: Object, finalizer: str, *, used: bool) -> list[str] | None:
    """Return the finalizers that the object should have; None when it has them."""
    have = meta.finalizers(obj)
    if not meta.deleting(obj):
        return [*have, finalizer] if finalizer not in have else None
    if finalizer in have and not used:
        return [name for name in have if name != finalizer]
    return None


async def _write(context: Context, resource: Resource, obj: Object, finalizers: list[str] | None) -> None:
    if finalizers is None:
        return
    metadata = {**obj["metadata"], "finalizers": finalizers}
    try:
        await context.client.update(resource, {**obj, "metadata": metadata})
    except NotFound:
        return


def _uses(pod: Object) -> bool:
    """Tell whether the pod may be using its claims: it has a node, and has not finished."""
    return not podlib.is_finished(pod) and bool(podlib.node_name(pod))


async def _reconcile_claim(context: Context, key: str) -> float | None:
    claim = context.caches[PERSISTENTVOLUMECLAIMS].get(key)
    if claim is None:
        return None
    used = meta.deleting(claim) and (
        any(_uses(pod) for pod in context.caches[PODS].by_index(BY_CLAIM, key))
        or await _used_by_the_live(context, claim)
    )
    await _write(context, PERSISTENTVOLUMECLAIMS, claim, plan(claim, CLAIM_FINALIZER, used=used))
    return None


async def _used_by_the_live(context: Context, claim: Object) -> bool:
    """Ask the server: the cache of pods may not know yet of a pod that has just been placed."""
    if CLAIM_FINALIZER not in meta.finalizers(claim):
        return False
    answer = await context.client.list(PODS, meta.namespace(claim))
    key = meta.key(claim)
    return any(_uses(pod) and key in claims_of_pod(pod) for pod in answer.get("items") or ())


def _keys_of_pod(delta: Delta, caches: Caches) -> Iterable[str]:
    if delta.new is not None and not podlib.is_finished(delta.new) and not meta.deleting(delta.new):
        return ()
    cache = caches[PERSISTENTVOLUMECLAIMS]
    keys = claims_of_pod(delta.object)
    return [key for key in keys if (claim := cache.get(key)) is not None and meta.deleting(claim)]


CLAIM_PROTECTION = Controller(
    name="persistentvolumeclaim-protection-controller",
    service_account="pvc-protection-controller",
    watches=(
        Watch(resource=PERSISTENTVOLUMECLAIMS, keys_of=own_key),
        Watch(resource=PODS, keys_of=_keys_of_pod, indexes={BY_CLAIM: claims_of_pod}),
    ),
    reconcile=_reconcile_claim,
)


async def _reconcile_volume(context: Context, key: str) -> float | None:
    volume = context.caches[PERSISTENTVOLUMES].get(key)
    if volume is not None:
        used = meta.dig(volume, "status", "phase") == "Bound"
        await _write(context, PERSISTENTVOLUMES, volume, plan(volume, VOLUME_FINALIZER, used=used))
    return None


VOLUME_PROTECTION = Controller(
    name="persistentvolume-protection-controller",
    service_account="pv-protection-controller",
    watches=(Watch(resource=PERSISTENTVOLUMES, keys_of=own_key),),
    reconcile=_reconcile_volume,
)


def classes_of(obj: Object) -> list[str]:
    """Return the VolumeAttributesClasses that a claim or a volume names."""
    names = (
        meta.dig(obj, "spec", "volumeAttributesClassName"),
        meta.dig(obj, "status", "currentVolumeAttributesClassName"),
        meta.dig(obj, "status", "modifyVolumeStatus", "targetVolumeAttributesClassName"),
    )
    return [str(name) for name in names if name]


async def _reconcile_class(context: Context, key: str) -> float | None:
    cls = context.caches[VOLUMEATTRIBUTESCLASSES].get(key)
    if cls is not None:
        users = [*context.caches[PERSISTENTVOLUMECLAIMS].list(), *context.caches[PERSISTENTVOLUMES].list()]
        used = meta.deleting(cls) and any(key in classes_of(obj) for obj in users)
        await _write(context, VOLUMEATTRIBUTESCLASSES, cls, plan(cls, CLASS_FINALIZER, used=used))
    return None


def _classes_left(delta: Delta, _caches: Caches) -> Iterable[str]:
    """The classes that an object named and names no more."""
    if delta.old is None:
        return ()
    now = classes_of(delta.new) if delta.new is not None else []
    return [name for name in classes_of(delta.old) if name not in now]


CLASS_PROTECTION = Controller(
    name="volumeattributesclass-protection-controller",
    watches=(
        Watch(resource=VOLUMEATTRIBUTESCLASSES, keys_of=own_key),
        Watch(resource=PERSISTENTVOLUMECLAIMS, keys_of=_classes_left),
        Watch(resource=PERSISTENTVOLUMES, keys_of=_classes_left),
    ),
    reconcile=_reconcile_class,
)
