"""What becomes of a volume whose claim is gone, by its reclaim policy.

Retain leaves it. Delete asks the provisioner it came from, if that is a built-in one, and then deletes the
PersistentVolume. Recycle empties it by a pod and gives it back (host paths and NFS alone can be). A volume
of an outside provisioner is that one's to delete. Upstream: pkg/controller/volume/persistentvolume.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from podium.base.clock import parse_rfc3339
from podium.controllers.common import pods as podlib
from podium.controllers.volume_binding_plan import BUILT_IN_PREFIX, FINALIZER, unbound, with_phase
from podium.controllers.volume_protection import claims_of_pod
from podium.controllers.volume_provisioning import Provisioner, ProvisionerError
from podium.machinery import meta
from podium.machinery.errors import NotFound, Object
from podium.resources.core.persistentvolumeclaims import PERSISTENTVOLUMECLAIMS
from podium.resources.core.persistentvolumes import PERSISTENTVOLUMES
from podium.resources.core.pods import PODS
from podium.resources.core.volume_binding import (
    MIGRATED_TO,
    PROVISIONED_BY,
    annotated,
    capacity,
    claim_of,
    key_of_claim,
    phase_of,
)
from podium.runtime.controller import Caches, Context, Controller, Watch
from podium.runtime.informer import Delta

NAME = "persistentvolume-reclaiming"
RECYCLER_NAMESPACE = "default"
RECYCLER_PREFIX = "recycler-for-"
RECYCLER_IMAGE = "registry.k8s.io/build-image/debian-base:bookworm-v1.0.6"
RECYCLER_SCRIPT = 'test -e /scrub && find /scrub -mindepth 1 -delete && test -z "$(ls -A /scrub)" || exit 1'
RECYCLABLE = {"hostPath": 60, "nfs": 300}
"""The sources that can be emptied, and how long that may take, in seconds."""
RECYCLE_S_PER_GIB = 30
FAILED_RECYCLER_KEPT_S = 60.0
"""How long a pod that failed is there to be looked at, before another one tries."""
BY_CLAIM = "claim"
_GIB = 2**30


def is_released(volume: Object, claim: Object | None) -> bool:
    """Tell whether the claim that a volume was bound to needs it no more. `claim`: found by name."""
    reference = claim_of(volume)
    if reference is None or not reference.get("uid"):
        return False
    if claim is None or meta.uid(claim) != reference["uid"]:
        return True
    elsewhere = meta.dig(claim, "spec", "volumeName") or ""
    return bool(elsewhere) and elsewhere != meta.name(volume)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """Who deletes a volume: a provisioner, nobody here, or nobody at all for the reason in `problem`."""

    provisioner: Provisioner | None = None
    problem: str = ""


def deletion_of(volume: Object, provisioners: Sequence[Provisioner]) -> Deletion:
    """Find who deletes the volume."""
    made_by = meta.annotations(volume).get(PROVISIONED_BY, "")
    if made_by:
        found = next((p for p in provisioners if p.name == made_by), None)
        if found is None and made_by.startswith(BUILT_IN_PREFIX):
            return Deletion(problem=f"no volume plugin matched name: {made_by}")
        return Deletion(provisioner=found)
    if annotated(volume, MIGRATED_TO) or meta.dig(volume, "spec", "csi") is not None:
        return Deletion()
    found = next((p for p in provisioners if p.owns(volume)), None)
    if found is None:
        name = meta.name(volume)
        text = f'error getting deleter volume plugin for volume "{name}": no deletable volume plugin matched'
        return Deletion(problem=text)
    return Deletion(provisioner=found)


def recycler_pod(volume: Object) -> Object | None:
    """Return the pod that empties a volume, None when its kind cannot be emptied."""
    kind = next((kind for kind in RECYCLABLE if meta.dig(volume, "spec", kind) is not None), None)
    if kind is None:
        return None
    source = dict(volume["spec"][kind])
    if kind == "hostPath":
        source.pop("type", None)
    seconds = max(RECYCLABLE[kind], capacity(volume).value() // _GIB * RECYCLE_S_PER_GIB)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": RECYCLER_PREFIX + meta.name(volume), "namespace": RECYCLER_NAMESPACE},
        "spec": {
            "activeDeadlineSeconds": seconds,
            "restartPolicy": "Never",
            "volumes": [{"name": "vol", kind: source}],
            "containers": [
                {
                    "name": "pv-recycler",
                    "image": RECYCLER_IMAGE,
                    "command": ["/bin/sh"],
                    "args": ["-c", RECYCLER_SCRIPT],
                    "volumeMounts": [{"name": "vol", "mountPath": "/scrub"}],
                }
            ],
        },
    }


def reclaiming(provisioners: Sequence[Provisioner], component: str, service_account: str) -> Controller:
    """Return the controller that deletes and empties released volumes."""

    async def reconcile(context: Context, key: str) -> float | None:
        volume = context.caches[PERSISTENTVOLUMES].get(key)
        if volume is None or not _wants_reclaiming(volume):
            return None
        claim = context.caches[PERSISTENTVOLUMECLAIMS].get(key_of_claim(volume))
        if not is_released(volume, claim):
            return None
        if volume["spec"]["persistentVolumeReclaimPolicy"] == "Delete":
            await _delete(context, volume, deletion_of(volume, provisioners))
            return None
        return await _recycle(context, volume)

    return Controller(
        name=NAME,
        component=component,
        service_account=service_account,
        watches=(
            Watch(resource=PERSISTENTVOLUMES, keys_of=_keys_of_volume, indexes={BY_CLAIM: claim_keys}),
            Watch(resource=PERSISTENTVOLUMECLAIMS),
            Watch(resource=PODS, keys_of=_keys_of_pod, indexes={BY_CLAIM: claims_of_pod}),
        ),
        reconcile=reconcile,
    )


def _wants_reclaiming(volume: Object) -> bool:
    policy = volume["spec"].get("persistentVolumeReclaimPolicy")
    return (
        phase_of(volume) in ("Released", "Failed")
        and policy in ("Delete", "Recycle")
        and not annotated(volume, MIGRATED_TO)
    )


async def _delete(context: Context, volume: Object, deletion: Deletion) -> None:
    if deletion.problem:
        await _fail(context, volume, "VolumeFailedDelete", deletion.problem)
        return
    if deletion.provisioner is None:
        return
    try:
        current = await context.client.get(PERSISTENTVOLUMES, meta.name(volume))
    except NotFound:
        return
    if meta.uid(current) != meta.uid(volume) or claim_of(current) != claim_of(volume):
        return  # it has got another life meanwhile
    try:
        await deletion.provisioner.delete(volume)
    except ProvisionerError as error:
        await _fail(context, current, "VolumeFailedDelete", str(error))
        raise
    # Deleted first and let go then: before that, the binder would hold it again.
    await context.client.delete(PERSISTENTVOLUMES, meta.name(volume), uid=meta.uid(volume))
    await _let_go(context, meta.name(volume))


async def _let_go(context: Context, name: str) -> None:
    try:
        volume = await context.client.get(PERSISTENTVOLUMES, name)
    except NotFound:
        return
    if FINALIZER in meta.finalizers(volume):
        rest = [finalizer for finalizer in meta.finalizers(volume) if finalizer != FINALIZER]
        metadata = {**meta.metadata(volume), "finalizers": rest}
        await context.client.update(PERSISTENTVOLUMES, {**volume, "metadata": metadata})


async def _recycle(context: Context, volume: Object) -> float | None:
    """Bring the recycler pod one step further; return when to look again."""
    wanted = recycler_pod(volume)
    if wanted is None:
        await _fail(context, volume, "VolumeFailedRecycle", "No recycler plugin found for the volume!")
        return None
    pod = context.caches[PODS].get(meta.key(wanted))
    if pod is None:
        users = context.caches[PODS].by_index(BY_CLAIM, key_of_claim(volume))
        names = sorted(meta.key(user) for user in users if not podlib.is_finished(user))
        if names and context.caches[PERSISTENTVOLUMECLAIMS].get(key_of_claim(volume)) is None:
            message = f"Volume is used by pods: {','.join(names)}"
            context.recorder.event(volume, "Normal", "VolumeFailedRecycle", message)
            return None
        await context.client.create(PODS, wanted)
        return None
    if meta.deleting(pod) or not podlib.is_finished(pod):
        return None
    if podlib.phase(pod) == "Failed":
        why = meta.dig(pod, "status", "message") or "pod failed, pod.Status.Message unknown"
        text = f"Recycle failed: failed to recycle volume: {why}"
        await _fail(context, volume, "VolumeFailedRecycle", text)
        until = parse_rfc3339(_ended(pod)) + timedelta(seconds=FAILED_RECYCLER_KEPT_S)
        left_s = (until - context.clock.now()).total_seconds()
        if left_s > 0:
            return left_s
    else:
        context.recorder.event(volume, "Normal", "VolumeRecycled", "Volume recycled")
        free = unbound(volume)
        stored = await context.client.update(PERSISTENTVOLUMES, free)
        await context.client.update(PERSISTENTVOLUMES, with_phase(stored, "Available"), subresource="status")
    await context.client.delete(PODS, meta.name(pod), meta.namespace(pod), uid=meta.uid(pod))
    return None


def _ended(pod: Object) -> str:
    """Return when the pod ended, as far as it says; else when it began."""
    for status in (pod.get("status") or {}).get("containerStatuses") or ():
        finished = meta.dig(status, "state", "terminated", "finishedAt")
        if finished:
            return str(finished)
    return str(meta.metadata(pod)["creationTimestamp"])


async def _fail(context: Context, volume: Object, reason: str, message: str) -> None:
    """Say on the volume what went wrong, once."""
    if phase_of(volume) == "Failed":
        return
    await context.client.update(
        PERSISTENTVOLUMES, with_phase(volume, "Failed", message), subresource="status"
    )
    context.recorder.event(volume, "Warning", reason, message)


def _keys_of_volume(delta: Delta, _caches: Caches) -> Iterable[str]:
    return (meta.name(delta.new),) if delta.new is not None and _wants_reclaiming(delta.new) else ()


def _keys_of_pod(delta: Delta, caches: Caches) -> Iterable[str]:
    """The volume that a recycler pod is for; when a user of a claim ends, the claim's former volumes."""
    pod = delta.object
    name = meta.name(pod)
    if meta.namespace(pod) == RECYCLER_NAMESPACE and name.startswith(RECYCLER_PREFIX):
        return (name.removeprefix(RECYCLER_PREFIX),)
    if delta.new is not None and not podlib.is_finished(delta.new):
        return ()
    cache = caches[PERSISTENTVOLUMES]
    volumes = [volume for key in claims_of_pod(pod) for volume in cache.by_index(BY_CLAIM, key)]
    return [meta.name(volume) for volume in volumes if _wants_reclaiming(volume)]


def claim_keys(volume: Object) -> Iterable[str]:
    """The index function of `BY_CLAIM` for volumes: the claim that a volume is for."""
    key = key_of_claim(volume)
    return (key,) if key else ()
