"""Claims: from the claim that a pod names to the volume behind it, and how that is made ready.

A claim is followed when the pod starts; what it is bound to never changes. Of persistent volumes this kubelet
has two kinds: paths of the node, and local directories. Upstream: pkg/kubelet/volumemanager/populator and
pkg/volume/{hostpath,local}.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from podium.kubelet.environment import ConfigFault
from podium.kubelet.volumes.host_path import host_path
from podium.kubelet.volumes.ownership import give_to_group
from podium.machinery import meta
from podium.machinery.errors import Object

FINALIZER = "kubernetes.io/pvc-protection"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A volume of a pod that is a claim."""

    volume: str
    claim: str
    ephemeral: bool = False
    """The claim must have been made for this very pod."""


def claimed(pod: Object) -> Iterator[Claimed]:
    """Return those volumes of a pod that are claims."""
    for volume in pod["spec"].get("volumes") or ():
        name = volume["name"]
        if claim := volume.get("persistentVolumeClaim"):
            yield Claimed(volume=name, claim=str(claim.get("claimName")))
        elif volume.get("ephemeral"):
            yield Claimed(volume=name, claim=f"{meta.name(pod)}-{name}", ephemeral=True)


def read_only(pod: Object) -> frozenset[str]:
    """Return the volumes that no container may write to, whatever its mount says."""
    volumes = pod["spec"].get("volumes") or ()
    return frozenset(v["name"] for v in volumes if (v.get("persistentVolumeClaim") or {}).get("readOnly"))


def volume_of(pod: Object, wanted: Claimed, claim: Object | None) -> str:
    """Return the name of the PersistentVolume that a claim is bound to. Raises ConfigFault."""
    key = f"{meta.namespace(pod)}/{wanted.claim}"
    if claim is None:
        text = f'failed to fetch PVC from API server: persistentvolumeclaims "{wanted.claim}" not found'
        raise ConfigFault(f"error processing PVC {key}: {text}")
    if wanted.ephemeral and not meta.controlled_by(claim, pod):
        raise ConfigFault(f"PVC {key} was not created for pod {meta.key(pod)} (pod is not owner)")
    if meta.deleting(claim) and FINALIZER not in meta.finalizers(claim):
        raise ConfigFault(f"error processing PVC {key}: PVC is being deleted")
    if meta.dig(claim, "status", "phase") != "Bound":
        raise ConfigFault(f"error processing PVC {key}: PVC is not bound")
    name = meta.dig(claim, "spec", "volumeName")
    if not name:
        raise ConfigFault(f"error processing PVC {key}: PVC has empty pvc.Spec.VolumeName")
    return str(name)


def source_of(wanted: Claimed, claim: Object, name: str, volume: Object | None) -> Object:
    """Return the spec of the PersistentVolume behind a claim. Raises ConfigFault."""
    where = f"error processing PVC {meta.key(claim)}: "
    if volume is None:
        text = f'failed to fetch PV {name} from API server: persistentvolumes "{name}" not found'
        raise ConfigFault(where + text)
    reference = meta.dig(volume, "spec", "claimRef")
    if reference is None:
        text = f"found PV object {name} but it has a nil pv.Spec.ClaimRef indicating it is not yet bound"
        raise ConfigFault(f"{where}{text} to the claim")
    if reference.get("uid") != meta.uid(claim):
        text = f"found PV object {name} but its pv.Spec.ClaimRef.UID {reference.get('uid')} does not point to"
        raise ConfigFault(f"{where}{text} claim.UID {meta.uid(claim)}")
    spec: Object = volume["spec"]
    mode = spec.get("volumeMode") or "Filesystem"
    if mode != "Filesystem":
        raise ConfigFault(f"volume {wanted.volume} has volumeMode {mode}, but is specified in volumeMounts")
    return spec


def set_up(spec: Object, *, gid: int | None, first: bool) -> str:
    """Return where the volume with this spec is on the node. Raises ConfigFault, OSError.

    `first`: the pod has not used it yet; then its group is given what is in a local directory.
    """
    if source := spec.get("hostPath"):
        return host_path(source)
    if source := spec.get("local"):
        path = Path(str(source["path"]))
        if ".." in path.parts:
            raise ConfigFault(f"invalid path: {path} must not contain '..'")
        if not path.is_dir():
            raise ConfigFault(f'path "{path}" does not exist' if not path.exists() else _no_directory(path))
        if first and gid is not None:
            give_to_group(path, gid)
        return str(path)
    kinds = ", ".join(kind for kind in spec if isinstance(spec[kind], dict) and kind not in _NO_SOURCES)
    raise ConfigFault(f"this kubelet has no volume plugin for {kinds}")


_NO_SOURCES = ("capacity", "claimRef", "nodeAffinity")


def _no_directory(path: Path) -> str:
    return f"{path} is no directory, and this kubelet makes no filesystems on devices"
