"""Volumes of CSI drivers are attached to the nodes that need them, and detached from those that do not.

A VolumeAttachment asks the driver's attacher, which is no part of Kubernetes; its name follows from volume,
driver and node. What is attached is said in the node's status, for its kubelet. A volume that a node still
has in use is detached only when the node has been ill for a while, or is out of service. Attachments that
others have made are left alone. Upstream: pkg/controller/volume/attachdetach.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from podium.controllers.common import pods as podlib
from podium.controllers.node_lifecycle import BY_NODE, node_of_pod
from podium.controllers.volume_protection import claims_of_pod
from podium.machinery import meta
from podium.machinery.errors import AlreadyExists, NotFound, Object
from podium.resources.core.nodes import NODES
from podium.resources.core.persistentvolumeclaims import PERSISTENTVOLUMECLAIMS
from podium.resources.core.persistentvolumes import PERSISTENTVOLUMES
from podium.resources.core.pods import PODS
from podium.resources.core.volume_binding import access_modes, is_fully_bound, key_of_claim
from podium.resources.storage.csidrivers import CSIDRIVERS
from podium.resources.storage.volumeattachments import VOLUMEATTACHMENTS
from podium.runtime.controller import Caches, Context, Controller, Watch
from podium.runtime.informer import Delta

NAME = "persistentvolume-attach-detach-controller"
COMPONENT = "attachdetach-controller"
MANAGED = "volumes.kubernetes.io/controller-managed-attach-detach"
KEEP_TERMINATED = "volumes.kubernetes.io/keep-terminated-pod-volumes"
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"
FORCE_AFTER_S = 360.0
"""How long a volume may stay in use on a node that is not ready, once nobody wants it there."""
BY_CLAIM = "claim"
_BY_VOLUME = "volume"
_SHARED = frozenset(("ReadWriteMany", "ReadOnlyMany"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A volume that pods of a node need."""

    volume: Object
    pods: tuple[Object, ...]
    elsewhere: tuple[Object, ...] = ()
    """Pods of other nodes that use it."""


@dataclass(frozen=True, slots=True)
class Event:
    about: Object
    type: str
    reason: str
    message: str


@dataclass(slots=True, kw_only=True)
class Plan:
    """What to do for one node: the node's status is written before anything is detached."""

    attach: list[Object] = field(default_factory=list)
    detach: list[Object] = field(default_factory=list)
    attached: list[Object] = field(default_factory=list)
    """What the node's status is to say."""
    waiting: list[str] = field(default_factory=list)
    """Attachments that nobody wants and the node has still in use."""
    events: list[Event] = field(default_factory=list)


def attachment_name(volume: Object, node_name: str) -> str:
    """Return the name of the VolumeAttachment of a CSI volume on a node."""
    csi = volume["spec"]["csi"]
    digest = hashlib.sha256(f"{csi['volumeHandle']}{csi['driver']}{node_name}".encode())
    return f"csi-{digest.hexdigest()}"


def unique_name(volume: Object) -> str:
    """Return the volume's name in the status of nodes."""
    csi = volume["spec"]["csi"]
    return f"kubernetes.io/csi/{csi['driver']}^{csi['volumeHandle']}"


def plan(
    node: Object,
    wanted: Mapping[str, Wanted],
    attachments: Sequence[tuple[Object, Object]],
    rivals: Mapping[str, Sequence[Object]],
    overdue: Iterable[str] = (),
) -> Plan:
    """Decide about a node. `wanted`: by volume name; `attachments`: ours on this node, with their volumes;
    `rivals`: attachments of the wanted volumes to other nodes; `overdue`: those not wanted for too long."""
    result = Plan()
    name = meta.name(node)
    force = not meta.condition_true(node, "Ready") and set(overdue)
    out_of_service = any(t.get("key") == OUT_OF_SERVICE for t in meta.dig(node, "spec", "taints", default=()))
    in_use = set(meta.dig(node, "status", "volumesInUse", default=()))
    present = set()
    for attachment, volume in attachments:
        volume_name = meta.name(volume)
        present.add(volume_name)
        status: Object = attachment.get("status") or {}
        if volume_name in wanted and not meta.deleting(attachment):
            result.events += _news(attachment, wanted[volume_name])
        elif volume_name not in wanted and not meta.deleting(attachment):
            forced = out_of_service or bool(force and meta.name(attachment) in force)
            if unique_name(volume) not in in_use or forced:
                result.detach.append(attachment)
                continue
            result.waiting.append(meta.name(attachment))
        if status.get("attached") and not meta.deleting(attachment):
            result.attached.append({"name": unique_name(volume), "devicePath": ""})
    for volume_name, want in wanted.items():
        if volume_name in present:
            continue
        if rivals.get(volume_name) and not access_modes(want.volume) & _SHARED:
            result.events += _multi_attach(want)
            continue
        result.attach.append(_attachment(want.volume, name))
    result.attached.sort(key=lambda entry: str(entry["name"]))
    return result


def _attachment(volume: Object, node_name: str) -> Object:
    return {
        "apiVersion": VOLUMEATTACHMENTS.api_version,
        "kind": VOLUMEATTACHMENTS.kind,
        "metadata": {"name": attachment_name(volume, node_name)},
        "spec": {
            "attacher": volume["spec"]["csi"]["driver"],
            "nodeName": node_name,
            "source": {"persistentVolumeName": meta.name(volume)},
        },
    }


def _news(attachment: Object, want: Wanted) -> list[Event]:
    """Return what to tell the pods that wait for an attachment."""
    status: Object = attachment.get("status") or {}
    waiting = [pod for pod in want.pods if podlib.phase(pod) == "Pending"]
    name = meta.name(want.volume)
    if status.get("attached"):
        text = f'AttachVolume.Attach succeeded for volume "{name}" '
        return [Event(pod, "Normal", "SuccessfulAttachVolume", text) for pod in waiting]
    error = (status.get("attachError") or {}).get("message")
    if error:
        text = f'AttachVolume.Attach failed for volume "{name}" : {error}'
        return [Event(pod, "Warning", "FailedAttachVolume", text) for pod in waiting]
    return []


def _multi_attach(want: Wanted) -> list[Event]:
    head = f'Multi-Attach error for volume "{meta.name(want.volume)}" '
    events = []
    for pod in want.pods:
        local = sorted(meta.name(o) for o in want.elsewhere if meta.namespace(o) == meta.namespace(pod))
        others = len(want.elsewhere) - len(local)
        if not want.elsewhere:
            tail = "Volume is already exclusively attached to one node and can't be attached to another"
        elif local:
            tail = f"Volume is already used by pod(s) {', '.join(local)}"
            tail += f" and {others} pod(s) in different namespaces" if others else ""
        else:
            tail = f"Volume is already used by {others} pod(s) in different namespaces"
        events.append(Event(pod, "Warning", "FailedAttachVolume", head + tail))
    return events


class _AttachDetach:
    """What is remembered from one look to the next."""

    def __init__(self, force_after_s: float | None) -> None:
        self._force_after_s = force_after_s
        self._unwanted_since_s: dict[str, float] = {}
        self._told: dict[str, frozenset[tuple[str, str]]] = {}

    async def reconcile(self, context: Context, key: str) -> float | None:
        node = context.caches[NODES].get(key)
        if node is None:
            # Nothing is in use there any more, and nothing can be attached.
            gone = plan(
                _gone(key), _wanted(context.caches, _gone(key)), _attachments(context.caches, key), {}
            )
            self._told.pop(key, None)
            await self._detach(context, gone.detach)
            return None
        if meta.annotations(node).get(MANAGED) != "true":
            return None
        wanted = _wanted(context.caches, node)
        ours = _attachments(context.caches, key)
        rivals = {
            name: [
                one
                for one in context.caches[VOLUMEATTACHMENTS].by_index(_BY_VOLUME, name)
                if one["spec"].get("nodeName") != key
            ]
            for name in wanted
        }
        now_s = context.clock.monotonic_s()
        decided = plan(node, wanted, ours, rivals, self._overdue(now_s))
        await self._perform(context, node, decided)
        return self._wait_for(decided.waiting, ours, now_s)

    def _overdue(self, now_s: float) -> list[str]:
        if self._force_after_s is None:
            return []
        limit_s = now_s - self._force_after_s
        return [name for name, since_s in self._unwanted_since_s.items() if since_s <= limit_s]

    def _wait_for(
        self, waiting: Sequence[str], ours: Sequence[tuple[Object, Object]], now_s: float
    ) -> float | None:
        """Note since when attachments are not wanted; return when the first of them is overdue."""
        for attachment, _ in ours:
            if meta.name(attachment) not in waiting:
                self._unwanted_since_s.pop(meta.name(attachment), None)
        if not waiting or self._force_after_s is None:
            return None
        ends = [self._unwanted_since_s.setdefault(name, now_s) + self._force_after_s for name in waiting]
        return max(1.0, min(ends) - now_s)

    async def _perform(self, context: Context, node: Object, decided: Plan) -> None:
        key = meta.name(node)
        said = frozenset((meta.uid(event.about), event.message) for event in decided.events)
        for event in decided.events:
            if (meta.uid(event.about), event.message) not in self._told.get(key, ()):
                context.recorder.event(event.about, event.type, event.reason, event.message)
        self._told[key] = said
        if decided.attached != (meta.dig(node, "status", "volumesAttached") or []):
            patch = {"status": {"volumesAttached": decided.attached or None}}
            await context.client.patch(NODES, key, patch, type="merge", subresource="status")
        for attachment in decided.attach:
            try:
                await context.client.create(VOLUMEATTACHMENTS, attachment)
            except AlreadyExists:
                continue
        await self._detach(context, decided.detach)

    async def _detach(self, context: Context, attachments: Iterable[Object]) -> None:
        for attachment in attachments:
            self._unwanted_since_s.pop(meta.name(attachment), None)
            try:
                await context.client.delete(
                    VOLUMEATTACHMENTS, meta.name(attachment), uid=meta.uid(attachment)
                )
            except NotFound:
                continue


def _gone(name: str) -> Object:
    """Return what stands for a node that is not there."""
    return {"metadata": {"name": name}}


def _wanted(caches: Caches, node: Object) -> dict[str, Wanted]:
    """Return what the pods of a node need to have attached."""
    keep = meta.annotations(node).get(KEEP_TERMINATED) == "true"
    found: dict[str, list[Object]] = {}
    for pod in caches[PODS].by_index(BY_NODE, meta.name(node)):
        if podlib.is_finished(pod) and not keep:
            continue
        for claim_key in claims_of_pod(pod):
            volume = _volume_of(caches, claim_key)
            if volume is not None and _is_attachable(caches, volume):
                found.setdefault(meta.name(volume), []).append(pod)
    wanted = {}
    for name, pods in found.items():
        volume = caches[PERSISTENTVOLUMES].get(name)
        assert volume is not None, "it has just been looked up"
        users = caches[PODS].by_index(BY_CLAIM, key_of_claim(volume))
        others = [p for p in users if podlib.node_name(p) not in ("", meta.name(node))]
        elsewhere = tuple(p for p in others if not podlib.is_finished(p))
        wanted[name] = Wanted(volume=volume, pods=tuple(sorted(pods, key=meta.name)), elsewhere=elsewhere)
    return wanted


def _volume_of(caches: Caches, claim_key: str) -> Object | None:
    claim = caches[PERSISTENTVOLUMECLAIMS].get(claim_key)
    if claim is None or not is_fully_bound(claim):
        return None
    volume = caches[PERSISTENTVOLUMES].get(claim["spec"]["volumeName"])
    bound = volume is not None and meta.dig(volume, "spec", "claimRef", "uid") == meta.uid(claim)
    return volume if bound else None


def _is_attachable(caches: Caches, volume: Object) -> bool:
    csi = meta.dig(volume, "spec", "csi")
    if csi is None:
        return False
    driver = caches[CSIDRIVERS].get(csi["driver"])
    return driver is None or meta.dig(driver, "spec", "attachRequired") is not False


def _attachments(caches: Caches, node_name: str) -> list[tuple[Object, Object]]:
    """Return our attachments to a node, with their volumes."""
    found = []
    for attachment in caches[VOLUMEATTACHMENTS].by_index(BY_NODE, node_name):
        name = meta.dig(attachment, "spec", "source", "persistentVolumeName")
        volume = caches[PERSISTENTVOLUMES].get(name) if name else None
        if volume is None or meta.dig(volume, "spec", "csi") is None:
            continue
        if meta.name(attachment) == attachment_name(volume, node_name):
            found.append((attachment, volume))
    return found


# Which changes concern which nodes


def _node_of_attachment(attachment: Object) -> Iterable[str]:
    return (attachment["spec"]["nodeName"],)


def _volume_of_attachment(attachment: Object) -> Iterable[str]:
    name = meta.dig(attachment, "spec", "source", "persistentVolumeName")
    return (name,) if name else ()


def _keys_of_pod(delta: Delta, caches: Caches) -> Iterable[str]:
    pods = [pod for pod in (delta.old, delta.new) if pod is not None]
    if not any(claims_of_pod(pod) for pod in pods):
        return ()
    return {podlib.node_name(pod) for pod in pods} - {""}


def _nodes_of_claim(caches: Caches, claim_key: str) -> set[str]:
    return {podlib.node_name(pod) for pod in caches[PODS].by_index(BY_CLAIM, claim_key)} - {""}


def _keys_of_claim(delta: Delta, caches: Caches) -> Iterable[str]:
    return _nodes_of_claim(caches, meta.key(delta.object))


def _keys_of_volume(delta: Delta, caches: Caches) -> Iterable[str]:
    if meta.dig(delta.object, "spec", "csi") is None:
        return ()
    attached = caches[VOLUMEATTACHMENTS].by_index(_BY_VOLUME, meta.name(delta.object))
    nodes = {str(one["spec"]["nodeName"]) for one in attached}
    return nodes | _nodes_of_claim(caches, key_of_claim(delta.object))


def _keys_of_attachment(delta: Delta, caches: Caches) -> Iterable[str]:
    """Its node; when it goes, also nodes that wait for the volume."""
    keys = set(_node_of_attachment(delta.object))
    if delta.new is None:
        for name in _volume_of_attachment(delta.object):
            volume = caches[PERSISTENTVOLUMES].get(name)
            if volume is not None:
                keys |= _nodes_of_claim(caches, key_of_claim(volume))
    return keys


def _keys_of_node(delta: Delta, _caches: Caches) -> Iterable[str]:
    """A node that comes, goes, or says something new of its volumes; heartbeats do not matter."""
    both = delta.old is not None and delta.new is not None
    if both and _facts(delta.old or {}) == _facts(delta.new or {}):
        return ()
    return (meta.name(delta.object),)


def _facts(node: Object) -> tuple[object, ...]:
    status: Object = node.get("status") or {}
    return (
        status.get("volumesInUse"),
        status.get("volumesAttached"),
        meta.annotations(node).get(MANAGED),
        meta.condition_true(node, "Ready"),
        meta.dig(node, "spec", "taints"),
    )


def attach_detach(*, force_after_s: float | None = FORCE_AFTER_S) -> Controller:
    """Return the controller. `force_after_s` None: what is in use is never detached by force."""
    return Controller(
        name=NAME,
        component=COMPONENT,
        service_account=COMPONENT,
        watches=(
            Watch(resource=NODES, keys_of=_keys_of_node),
            Watch(
                resource=PODS,
                keys_of=_keys_of_pod,
                indexes={BY_NODE: node_of_pod, BY_CLAIM: claims_of_pod},
            ),
            Watch(resource=PERSISTENTVOLUMECLAIMS, keys_of=_keys_of_claim),
            Watch(resource=PERSISTENTVOLUMES, keys_of=_keys_of_volume),
            Watch(
                resource=VOLUMEATTACHMENTS,
                keys_of=_keys_of_attachment,
                indexes={BY_NODE: _node_of_attachment, _BY_VOLUME: _volume_of_attachment},
            ),
            Watch(resource=CSIDRIVERS),
        ),
        reconcile=_AttachDetach(force_after_s).reconcile,
        workers=1,  # two looks at once could attach one exclusive volume to two nodes
    )
