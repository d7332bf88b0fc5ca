"""Claims that are to grow: they are told who is to make their volume larger.

No volume is resized by the controllers themselves any more: a resizer outside does it, and the kubelet. For
volumes of kinds that were part of Kubernetes once, the resizer's name is put on the claim. Upstream:
pkg/controller/volume/expand.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from podium.controllers.volume_binding_plan import MIGRATED, PRE_RESIZE_CAPACITY
from podium.machinery import meta
from podium.machinery.errors import ApiError, NotFound, Object
from podium.machinery.quantity import ZERO, Quantity, parse
from podium.resources.core.persistentvolumeclaims import PERSISTENTVOLUMECLAIMS
from podium.resources.core.persistentvolumes import PERSISTENTVOLUMES
from podium.resources.core.volume_binding import annotated, claim_of, phase_of, requested
from podium.runtime.controller import Caches, Context, Controller, Watch
from podium.runtime.informer import Delta

NAME = "persistentvolume-expander-controller"
RESIZER = "volume.kubernetes.io/storage-resizer"
REASON = "ExternalExpanding"
_SOURCES: Mapping[str, str] = {
    "awsElasticBlockStore": "kubernetes.io/aws-ebs",
    "azureDisk": "kubernetes.io/azure-disk",
    "azureFile": "kubernetes.io/azure-file",
    "cinder": "kubernetes.io/cinder",
    "gcePersistentDisk": "kubernetes.io/gce-pd",
    "portworxVolume": "kubernetes.io/portworx-volume",
    "vsphereVolume": "kubernetes.io/vsphere-volume",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    message: str = ""
    """What to tell about the claim; empty: it has the size that it wants."""
    resizer: str = ""
    """The annotation to set, if it is not set yet."""


def has(claim: Object) -> Quantity:
    text = meta.dig(claim, "status", "capacity", "storage")
    return parse(text) if text else ZERO


def plan(claim: Object, volume: Object) -> Plan:
    """Decide about a bound claim. Raises ValueError when the volume is not the claim's."""
    if (claim_of(volume) or {}).get("uid") != meta.uid(claim):
        raise ValueError(f"persistent Volume is not bound to PVC being updated : {meta.key(claim)}")
    if not has(claim) < requested(claim) and not annotated(volume, PRE_RESIZE_CAPACITY):
        return Plan()
    kind = next((name for source, name in _SOURCES.items() if meta.dig(volume, "spec", source)), "")
    if not kind:
        return Plan(message="waiting for an external controller to expand this PVC")
    resizer = MIGRATED[kind]
    return Plan(
        message=f"CSI migration enabled for {kind}; waiting for external resizer to expand the pvc",
        resizer="" if meta.annotations(claim).get(RESIZER) == resizer else resizer,
    )


async def _reconcile(context: Context, key: str) -> float | None:
    claim = context.caches[PERSISTENTVOLUMECLAIMS].get(key)
    if claim is None or phase_of(claim) != "Bound":
        return None
    try:
        volume = await context.client.get(PERSISTENTVOLUMES, meta.dig(claim, "spec", "volumeName") or "")
    except NotFound:
        return None  # the binder says that it is lost
    try:
        decided = plan(claim, volume)
    except ValueError:
        return None
    if decided.message:
        context.recorder.event(claim, "Normal", REASON, decided.message)
    if decided.resizer:
        patch = {"metadata": {"annotations": {RESIZER: decided.resizer}}}
        try:
            await context.client.patch(
                PERSISTENTVOLUMECLAIMS,
                meta.name(claim),
                patch,
                meta.namespace(claim),
                type="strategic",
                subresource="status",
            )
        except ApiError as error:
            message = f"error setting resizer annotation to pvc {key}, with error {error.message}"
            context.recorder.event(claim, "Warning", REASON, message)
            raise
    return None


def _keys_of_claim(delta: Delta, _caches: Caches) -> Iterable[str]:
    """A claim that is found bound, wants more than it wanted, or has got more than it had."""
    old, new = delta.old, delta.new
    if new is None or phase_of(new) != "Bound":
        return ()
    if old is not None and not requested(old) < requested(new) and not has(old) < has(new):
        return ()
    return (meta.key(new),)


VOLUME_EXPAND = Controller(
    name=NAME,
    component="volume_expand",
    service_account="expand-controller",
    watches=(Watch(resource=PERSISTENTVOLUMECLAIMS, keys_of=_keys_of_claim),),
    reconcile=_reconcile,
)
