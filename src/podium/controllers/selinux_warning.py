"""Warns of pods that use one volume with different SELinux labels, before such clusters change their ways.

Off unless it is named, as upstream's: it takes for granted that nodes have SELinux. Nothing is written but
events; the metric tells of all conflicts there are. Upstream: pkg/controller/volume/selinuxwarning.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from podium.base.metrics import Registry
from podium.controllers.common import pods as podlib
from podium.controllers.selinux_conflicts import Conflict, Volume, VolumeUses, labels_of_mounts, use_of
from podium.controllers.volume_protection import BY_CLAIM, claims_of_pod
from podium.machinery import meta
from podium.machinery.errors import Object
from podium.resources.core.persistentvolumeclaims import PERSISTENTVOLUMECLAIMS
from podium.resources.core.persistentvolumes import PERSISTENTVOLUMES
from podium.resources.core.pods import PODS
from podium.resources.core.volume_binding import key_of_claim
from podium.resources.storage.csidrivers import CSIDRIVERS
from podium.runtime.controller import Caches, Context, Controller, Watch
from podium.runtime.informer import Delta

NAME = "selinux-warning-controller"


def volume_behind(source: Object, *, supported: frozenset[str]) -> Volume | None:
    """Return what a volume's source (a pod's own, or a PersistentVolume's spec) is.

    `supported` are the CSI drivers that mount with labels. None: nothing that pods could share, or nothing
    that the controller manager of upstream's knows.
    """
    if csi := source.get("csi"):
        driver, handle = csi.get("driver"), csi.get("volumeHandle")
        if not handle:
            return None  # made for one pod
        return Volume(
            name=f"csi/{driver}^{handle}", mounts_with_label=driver in supported, csi_driver=str(driver)
        )
    if path := source.get("hostPath"):
        return Volume(name=f"host-path/{path.get('path')}", mounts_with_label=False)
    if nfs := source.get("nfs"):
        return Volume(name=f"nfs/{nfs.get('server')}/{nfs.get('path')}", mounts_with_label=False)
    if fc := source.get("fc"):
        target = [fc.get("targetWWNs"), fc.get("lun")] if fc.get("targetWWNs") else fc.get("wwids")
        return Volume(name=f"fc/{target}", mounts_with_label=True)
    if iscsi := source.get("iscsi"):
        target = ":".join(str(iscsi.get(part)) for part in ("targetPortal", "iqn", "lun"))
        return Volume(name=f"iscsi/{target}", mounts_with_label=True)
    return None


class _Warnings:
    """The controller's work, and what it remembers."""

    def __init__(self) -> None:
        self.uses = VolumeUses()

    async def reconcile(self, context: Context, key: str) -> float | None:
        pod = context.caches[PODS].get(key)
        if pod is None or podlib.is_finished(pod):
            self.uses.drop(key)
            return None
        supported = frozenset(map(meta.name, filter(_mounts_with_label, context.caches[CSIDRIVERS].list())))
        volumes = {volume["name"]: volume for volume in pod["spec"].get("volumes") or ()}
        for name, labels in sorted(labels_of_mounts(pod).items()):
            source = _source(volumes.get(name) or {}, pod, context.caches)
            if source is None:
                continue  # The claim is not bound; when it is, the pod is looked at again.
            if len(labels) > 1:
                context.recorder.event(
                    pod,
                    "Warning",
                    "MultipleSELinuxLabels",
                    f'Volume "{name}" is mounted twice with different SELinux labels inside this pod',
                )
                continue
            volume = volume_behind(source, supported=supported)
            if volume is not None:
                label = next(iter(labels), "")
                use = use_of(pod, label, mounts_with_label=volume.mounts_with_label)
                self._tell(context, self.uses.add(key, volume, use))
        return None

    def _tell(self, context: Context, conflicts: Iterable[Conflict]) -> None:
        for conflict in conflicts:
            pod = context.caches[PODS].get(conflict.pod)
            if pod is None:
                return  # Solved, by the deletion of one of the two.
            context.recorder.event(pod, "Normal", conflict.reason, conflict.message)

    def keys_of_driver(self, delta: Delta, _caches: Caches) -> Iterable[str]:
        before, after = (one is not None and _mounts_with_label(one) for one in (delta.old, delta.new))
        return self.uses.pods_of_driver(meta.name(delta.object)) if before != after else ()


def _mounts_with_label(driver: Object) -> bool:
    return bool(meta.dig(driver, "spec", "seLinuxMount"))


def _source(volume: Object, pod: Object, caches: Caches) -> Object | None:
    """Return the source of a pod's volume, or the spec of the PersistentVolume that its claim is bound to."""
    if claim := volume.get("persistentVolumeClaim"):
        name = claim.get("claimName")
    elif volume.get("ephemeral"):
        name = f"{meta.name(pod)}-{volume.get('name')}"
    else:
        return volume
    found = caches[PERSISTENTVOLUMECLAIMS].get(f"{meta.namespace(pod)}/{name}")
    bound_to = caches[PERSISTENTVOLUMES].get(meta.dig(found, "spec", "volumeName", default=""))
    if found is None or bound_to is None or meta.dig(bound_to, "spec", "claimRef", "uid") != meta.uid(found):
        return None
    spec: Object = bound_to["spec"]
    return spec


def _keys_of_pod(delta: Delta, _caches: Caches) -> Iterable[str]:
    """What matters of a pod never changes: it comes, and it ends."""
    old, new = delta.old, delta.new
    if old is not None and new is not None and (podlib.is_finished(old) or not podlib.is_finished(new)):
        return ()
    return (meta.key(delta.object),)


def _keys_of_claim(delta: Delta, caches: Caches) -> Iterable[str]:
    if _bound(delta.new, "spec", "volumeName") == _bound(delta.old, "spec", "volumeName"):
        return ()
    return [meta.key(pod) for pod in caches[PODS].by_index(BY_CLAIM, meta.key(delta.object))]


def _keys_of_volume(delta: Delta, caches: Caches) -> Iterable[str]:
    if delta.new is None or _bound(delta.new, "spec", "claimRef", "uid") == _bound(
        delta.old, "spec", "claimRef", "uid"
    ):
        return ()
    return [meta.key(pod) for pod in caches[PODS].by_index(BY_CLAIM, key_of_claim(delta.new))]


def _bound(obj: Object | None, *path: str) -> Any:
    return meta.dig(obj, *path) or ""


class _Figures:
    """The conflicts that there are, counted under upstream's name when somebody asks."""

    def __init__(self, registry: Registry, uses: VolumeUses) -> None:
        self._uses = uses
        self._family = registry.gauge(
            "selinux_warning_controller_selinux_volume_conflict",
            "Pods that use one volume in ways that SELinux does not let them use it together.",
            *("property", "pod1_namespace", "pod1_name", "pod1_value"),
            *("pod2_namespace", "pod2_name", "pod2_value"),
        )
        registry.before_collection(self._read)

    def _read(self) -> None:
        self._family.clear()
        for c in self._uses.conflicts():
            one, other = meta.split_key(c.pod), meta.split_key(c.other_pod)
            self._family.labels(c.about, *one, c.value, *other, c.other_value).set(1)


def conflict_figures(registry: Registry, uses: VolumeUses | None = None) -> object:
    """Have the conflicts among `uses` counted."""
    return _Figures(registry, uses or VolumeUses())


def selinux_warning() -> Controller:
    """Return the controller."""
    warnings = _Warnings()

    def measure(registry: Registry) -> object:
        return conflict_figures(registry, warnings.uses)

    def on_start(context: Context) -> None:
        context.metrics.of(measure)

    return Controller(
        name=NAME,
        component="selinux_warning",
        watches=(
            Watch(resource=PODS, keys_of=_keys_of_pod, indexes={BY_CLAIM: claims_of_pod}),
            Watch(resource=PERSISTENTVOLUMECLAIMS, keys_of=_keys_of_claim),
            Watch(resource=PERSISTENTVOLUMES, keys_of=_keys_of_volume),
            Watch(resource=CSIDRIVERS, keys_of=warnings.keys_of_driver),
        ),
        reconcile=warnings.reconcile,
        workers=1,
        on_start=on_start,
    )
