"""What the volume binder decides about one claim or one volume. Pure.

A binding has two halves: the volume's reference to the claim, which is written first and decides whose it
is, and the claim's name of the volume. Whatever happens in between, the next look at either finishes it or
takes it back. Upstream: pkg/controller/volume/persistentvolume.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from podium.machinery import meta
from podium.machinery.errors import Object
from podium.resources.core.persistentvolumes import storage_class
from podium.resources.core.volume_binding import (
    BIND_COMPLETED,
    BOUND_BY_CONTROLLER,
    PROVISIONED_BY,
    SELECTED_NODE,
    STORAGE_PROVISIONER,
    STORAGE_PROVISIONER_BETA,
    annotated,
    best_match,
    bound_claim,
    bound_volume,
    claim_of,
    has_class,
    is_bound_to,
    misfit,
    modes_differ,
    phase_of,
    waits_for_consumer,
    with_annotations,
)
from podium.resources.storage.storageclasses import newest_default
from podium.runtime.events import reference_to

BUILT_IN_PREFIX = "kubernetes.io/"
FINALIZER = "kubernetes.io/pv-controller"
EXTERNAL_FINALIZER = "external-provisioner.volume.kubernetes.io/finalizer"
PRE_RESIZE_CAPACITY = "volume.alpha.kubernetes.io/pre-resize-capacity"
MIGRATED: Mapping[str, str] = {
    "kubernetes.io/aws-ebs": "ebs.csi.aws.com",
    "kubernetes.io/azure-disk": "disk.csi.azure.com",
    "kubernetes.io/azure-file": "file.csi.azure.com",
    "kubernetes.io/cinder": "cinder.csi.openstack.org",
    "kubernetes.io/gce-pd": "pd.csi.storage.gke.io",
    "kubernetes.io/portworx-volume": "pxd.portworx.com",
    "kubernetes.io/vsphere-volume": "csi.vsphere.vmware.com",
}
"""Provisioners that were part of Kubernetes once, and the drivers that do their work now."""


@dataclass(frozen=True, slots=True)
class Said:
    """An event to be written."""

    about: Object
    type: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to write: the volume before the claim, of each the object before its status, events last."""

    volume: Object | None = None
    claim: Object | None = None
    events: tuple[Said, ...] = ()
    look_at_claim: str = ""
    """The key of a claim whose turn it is now."""
    again: bool = False
    """The claim waits for something, and says so again after a while."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a claim's fate depends on."""

    volumes: Mapping[str, Object]
    candidates: Sequence[Object] = ()
    """The volumes among which the claim's may be: those of its class, and those reserved for it."""
    classes: Mapping[str, Object]
    waiting_pods: Sequence[str] = ()
    """The names of pods that use the claim and have no node yet."""
    provisioners: Collection[str] = ()
    """The built-in ones."""
    provisioning: bool = True


def plan_claim(claim: Object, around: Surroundings) -> Plan:
    """Decide about a claim."""
    name = meta.dig(claim, "spec", "volumeName") or ""
    volume = around.volumes.get(name)
    if annotated(claim, BIND_COMPLETED):
        return _plan_bound(claim, name, volume)
    if not name:
        return _plan_any_volume(claim, around)
    if volume is None:
        return Plan(claim=_pending(claim))
    return _plan_named_volume(claim, volume)


def _plan_bound(claim: Object, name: str, volume: Object | None) -> Plan:
    if not name:
        return _lost(
            claim,
            "ClaimLost",
            "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!",
        )
    if volume is None:
        return _lost(
            claim, "ClaimLost", "Bound claim has lost its PersistentVolume. Data on the volume is lost!"
        )
    reference = claim_of(volume)
    if reference is None or reference.get("uid") == meta.uid(claim):
        return _bind(volume, claim)
    return _lost(
        claim,
        "ClaimMisbound",
        "Two claims are bound to the same volume, this one is bound incorrectly",
    )


def _lost(claim: Object, reason: str, message: str) -> Plan:
    if phase_of(claim) == "Lost":
        return Plan()
    return Plan(claim=_with_status(claim, "Lost", None), events=(Said(claim, "Warning", reason, message),))


def _plan_any_volume(claim: Object, around: Surroundings) -> Plan:
    class_name = storage_class(claim)
    cls = around.classes.get(class_name) if class_name else None
    delayed = waits_for_consumer(cls)
    volume = best_match(claim, around.candidates, only_reserved=delayed)
    if volume is not None:
        return _bind(volume, claim)
    default = None if has_class(claim) else newest_default(around.classes.values())
    if default is not None:
        return Plan(claim={**claim, "spec": {**claim["spec"], "storageClassName": meta.name(default)}})
    if delayed and not annotated(claim, SELECTED_NODE):
        return _waiting(claim, "Normal", *_wait_for_consumer(around.waiting_pods))
    if not class_name:
        message = "no persistent volumes available for this claim and no storage class is set"
        return _waiting(claim, "Normal", "FailedBinding", message)
    if not around.provisioning:
        return Plan()
    return _provision(claim, class_name, cls, around.provisioners)


def _wait_for_consumer(pods: Sequence[str]) -> tuple[str, str]:
    if not pods:
        return "WaitForFirstConsumer", "waiting for first consumer to be created before binding"
    noun = "pods" if len(pods) > 1 else "pod"
    return "WaitForPodScheduled", f"waiting for {noun} {','.join(pods)} to be scheduled"


def _provision(claim: Object, class_name: str, cls: Object | None, built_in: Collection[str]) -> Plan:
    """Say who is to make a volume. The built-in provisioners and others alike wait for this annotation."""
    if cls is None:
        message = f'storageclass.storage.k8s.io "{class_name}" not found'
        return _repeated(claim, Said(claim, "Warning", "ProvisioningFailed", message))
    provisioner = cls.get("provisioner") or ""
    named = MIGRATED.get(provisioner, provisioner)
    if named.startswith(BUILT_IN_PREFIX) and named not in built_in:
        message = f"no volume plugin matched name: {named}"
        return _repeated(claim, Said(claim, "Warning", "ProvisioningFailed", message))
    if meta.annotations(claim).get(STORAGE_PROVISIONER) != named:
        claim = with_annotations(claim, {STORAGE_PROVISIONER: named, STORAGE_PROVISIONER_BETA: named})
    if named in built_in:
        return Plan(claim=claim)
    message = (
        f"Waiting for a volume to be created either by the external provisioner '{named}' or manually by the "
        "system administrator. If volume creation is delayed, please verify that the provisioner is running "
        "and correctly registered."
    )
    return _repeated(claim, Said(claim, "Normal", "ExternalProvisioning", message))


def _plan_named_volume(claim: Object, volume: Object) -> Plan:
    if claim_of(volume) is None:
        problem = misfit(volume, claim)
        if not problem:
            return _bind(volume, claim)
        message = f'Cannot bind to requested volume "{meta.name(volume)}": {problem}'
        return _waiting(claim, "Warning", "VolumeMismatch", message)
    if is_bound_to(volume, claim):
        return _bind(volume, claim)
    message = f'volume "{meta.name(volume)}" already bound to a different claim.'
    return _waiting(claim, "Warning", "FailedBinding", message)


def _waiting(claim: Object, type: str, reason: str, message: str) -> Plan:
    return _repeated(_pending(claim), Said(claim, type, reason, message))


def _repeated(claim: Object, said: Said) -> Plan:
    return Plan(claim=claim, events=(said,), again=True)


def _pending(claim: Object) -> Object:
    return _with_status(claim, "Pending", None)


def _bind(volume: Object, claim: Object) -> Plan:
    volume = with_phase(bound_volume(volume, claim, reference_to(claim)), "Bound")
    return Plan(volume=volume, claim=_with_status(bound_claim(claim, volume), "Bound", volume))


def _with_status(claim: Object, phase: str, volume: Object | None) -> Object:
    """Return the claim in a phase, with what it has of a volume."""
    status = dict(claim.get("status") or {})
    before = status.get("phase") or ""
    if volume is None:
        for name in ("accessModes", "capacity", "currentVolumeAttributesClassName"):
            status.pop(name, None)
    else:
        spec = volume["spec"]
        status["accessModes"] = spec.get("accessModes") or []
        if before != phase:
            # Later on the capacity is what the one who resizes says.
            resizing = meta.annotations(volume).get(PRE_RESIZE_CAPACITY)
            status["capacity"] = {"storage": resizing} if resizing else dict(spec.get("capacity") or {})
            attributes = spec.get("volumeAttributesClassName")
            if before == "Pending" and attributes is not None:
                status["currentVolumeAttributesClassName"] = attributes
    status["phase"] = phase
    return {**claim, "status": status}


def with_phase(volume: Object, phase: str, message: str = "") -> Object:
    """Return the volume in a phase; one that it is in already keeps its message."""
    if phase_of(volume) == phase:
        return volume
    status = {**(volume.get("status") or {}), "phase": phase}
    status.pop("message", None)
    return {**volume, "status": {**status, "message": message} if message else status}


def plan_volume(volume: Object, claim: Object | None, built_in: Collection[str] = ()) -> Plan:
    """Decide about a volume. `claim` is the one that it refers to; None when that one is gone.

    `built_in` are the provisioners that run here, beside those that upstream knows of.
    """
    volume = with_settled_finalizers(volume, built_in)
    reference = claim_of(volume)
    if reference is None or not reference.get("uid"):
        return Plan(volume=with_phase(volume, "Available"))
    if claim is None:
        return _plan_released(volume)
    name = meta.dig(claim, "spec", "volumeName") or ""
    if not name:
        return _plan_half_bound(volume, claim)
    if name == meta.name(volume):
        return Plan(volume=with_phase(volume, "Bound"))
    made_for_it = annotated(volume, PROVISIONED_BY)
    if made_for_it and volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete":
        return _plan_released(volume)
    return Plan(volume=unbound(volume))


def _plan_half_bound(volume: Object, claim: Object) -> Plan:
    if not modes_differ(claim, volume):
        return Plan(look_at_claim=meta.key(claim))
    to_volume = (
        f'Cannot bind PersistentVolume to requested PersistentVolumeClaim "{meta.name(claim)}" '
        "due to incompatible volumeMode."
    )
    to_claim = (
        f'Cannot bind PersistentVolume "{meta.name(volume)}" to requested PersistentVolumeClaim '
        "due to incompatible volumeMode."
    )
    return Plan(
        events=(
            Said(volume, "Warning", "VolumeMismatch", to_volume),
            Said(claim, "Warning", "VolumeMismatch", to_claim),
        )
    )


def _plan_released(volume: Object) -> Plan:
    """A volume whose claim is gone. What comes of it then is reclaiming's (volume_reclaim.py)."""
    released = phase_of(volume) in ("Released", "Failed")
    return Plan(volume=volume if released else with_phase(volume, "Released"))


def unbound(volume: Object) -> Object:
    """Return the volume free again; one that its owner had reserved stays reserved."""
    spec = dict(volume["spec"])
    metadata = dict(meta.metadata(volume))
    if annotated(volume, BOUND_BY_CONTROLLER):
        del spec["claimRef"]
        rest = {k: v for k, v in meta.annotations(volume).items() if k != BOUND_BY_CONTROLLER}
        metadata.pop("annotations", None)
        if rest:
            metadata["annotations"] = rest
    else:
        spec["claimRef"] = {k: v for k, v in spec["claimRef"].items() if k != "uid"}
    return with_phase({**volume, "metadata": metadata, "spec": spec}, "Available")


def with_settled_finalizers(volume: Object, built_in: Collection[str] = ()) -> Object:
    """Return the volume held by us as long as deleting it means that a built-in provisioner has work."""
    provisioner = meta.annotations(volume).get(PROVISIONED_BY, "")
    ours = provisioner in built_in or provisioner.startswith(BUILT_IN_PREFIX)
    if not ours or provisioner in MIGRATED:
        return volume
    before = meta.finalizers(volume)
    after = [name for name in before if name != EXTERNAL_FINALIZER]
    held = volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete"
    if held and FINALIZER not in after and not meta.deleting(volume):
        after.append(FINALIZER)
    elif not held and FINALIZER in after:
        after.remove(FINALIZER)
    if after == before:
        return volume
    return {**volume, "metadata": {**meta.metadata(volume), "finalizers": after}}
