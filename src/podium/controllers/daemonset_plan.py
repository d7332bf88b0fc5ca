"""Where a DaemonSet's pods are to be, and which come and go next. Pure; `daemonset` carries it out.

First each node is brought in order: a pod where there is none, none where it may not stay, no more than one
(two where pods surge), nothing that has ended. Only when there is nothing to bring in order are pods of older
revisions replaced, within maxUnavailable, or beside new ones within maxSurge.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from podium.controllers.common import pods as podlib
from podium.controllers.common.history import HASH
from podium.controllers.common.node_fit import untolerated, wants_node
from podium.controllers.common.percent import scaled
from podium.controllers.common.pod_control import pod_from_template
from podium.controllers.common.status import without_zeros
from podium.machinery import meta
from podium.machinery.errors import Object

TEMPLATE_GENERATION_ANNOTATION = "deprecated.daemonset.template.generation"
TEMPLATE_GENERATION = "pod-template-generation"
_TOLERATED = (
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
)


@dataclass(slots=True, kw_only=True)
class Plan:
    create: list[str] = field(default_factory=list)
    """The nodes that get a pod."""
    delete: list[Object] = field(default_factory=list)
    failed: list[Object] = field(default_factory=list)
    """Of those deleted, the ones that had failed."""
    succeeded: list[Object] = field(default_factory=list)
    """And those that had succeeded."""
    status: Object = field(default_factory=dict)
    again_s: float | None = None


def plan(
    daemon_set: Object,
    pods: Sequence[Object],
    nodes: Sequence[Object],
    hash_: str,
    now: datetime,
    resting: Collection[str] = (),
) -> Plan:
    """Decide which nodes get pods and which pods go.

    `hash_` is the current revision's; on the nodes in `resting` failed pods stay for now.
    """
    step = _Step(daemon_set, pods, nodes, hash_, now)
    step.bring_in_order(resting)
    rolling = (daemon_set["spec"].get("updateStrategy") or {}).get("type") != "OnDelete"
    if rolling and not step.result.create and not step.result.delete:
        step.update()
    step.finish()
    return step.result


@dataclass(slots=True, kw_only=True)
class _Pair:
    """A node's pod of the current revision and its pod of another one."""

    new: Object | None = None
    old: Object | None = None
    crowded: bool = False
    """There are several of one kind; which of them stay is not decided here."""


class _Step:
    def __init__(
        self, daemon_set: Object, pods: Sequence[Object], nodes: Sequence[Object], hash_: str, now: datetime
    ) -> None:
        self.daemon_set, self.hash, self.now = daemon_set, hash_, now
        self.spec: Object = daemon_set["spec"]
        self.min_ready_s = int(self.spec.get("minReadySeconds") or 0)
        self.generation = meta.annotations(daemon_set).get(TEMPLATE_GENERATION_ANNOTATION)
        self.pods: dict[str, list[Object]] = {}
        for pod in sorted(pods, key=_seniority):
            node = node_of(pod)
            # One that has ended and is being deleted waits for others' finalizers only.
            if node and not (meta.deleting(pod) and podlib.is_finished(pod)):
                self.pods.setdefault(node, []).append(pod)
        self.fit = {meta.name(node): fits(self.spec["template"]["spec"], node) for node in nodes}
        desired = sum(start for start, _ in self.fit.values())
        self.surge, self.unavailable = limits(self.spec, desired)
        self.surges = limits(self.spec, 1)[0] > 0
        self.desired = desired
        self.result = Plan()

    # Bringing nodes in order

    def bring_in_order(self, resting: Collection[str]) -> None:
        for name, (start, stay) in self.fit.items():
            pods = self.pods.get(name, [])
            if start and not pods:
                self.result.create.append(name)
            elif stay:
                running = self._without_ended(pods, resting=name in resting)
                self._without_surplus(name, running, start=start)
            else:
                self.result.delete += [pod for pod in pods if not meta.deleting(pod)]
        # Such a pod is nobody else's to delete: it never got to its node.
        for name, pods in self.pods.items():
            if name not in self.fit:
                self.result.delete += [pod for pod in pods if not podlib.node_name(pod)]

    def _without_ended(self, pods: Sequence[Object], *, resting: bool) -> list[Object]:
        """Have those deleted that have ended; return those that run."""
        running = []
        for pod in pods:
            if meta.deleting(pod):
                continue
            if podlib.phase(pod) == "Failed":
                if not resting:
                    resting = True  # the next one of this node waits
                    self.result.failed.append(pod)
                    self.result.delete.append(pod)
            elif podlib.phase(pod) == "Succeeded":
                self.result.succeeded.append(pod)
                self.result.delete.append(pod)
            else:
                running.append(pod)
        return running

    def _without_surplus(self, node: str, running: Sequence[Object], *, start: bool) -> None:
        if not self.surges:
            self.result.delete += running[1:]
            return
        if not running and start:
            self.result.create.append(node)  # beside the one that is going
        if len(running) < 2:
            return
        new = [pod for pod in running if meta.labels(pod).get(HASH) == self.hash]
        old = [pod for pod in running if meta.labels(pod).get(HASH) != self.hash]
        self.result.delete += [*new[1:], *old[1:]]
        if new and old and (not podlib.is_ready(old[0]) or self._available(new[0])):
            self.result.delete.append(old[0])

    # Replacing pods of other revisions

    def update(self) -> None:
        wanted = [name for name, (start, _) in self.fit.items() if start]
        nodes = dict.fromkeys((*self.pods, *wanted))
        pairs = {name: self._pair(self.pods.get(name, ())) for name in nodes}
        if self.surge:
            self._update_beside(pairs)
        else:
            self._update_in_place(pairs)

    def _update_in_place(self, pairs: dict[str, _Pair]) -> None:
        missing = 0
        broken, candidates = [], []
        for pair in pairs.values():
            if pair.crowded or (pair.new is None) == (pair.old is None):
                missing += 1
            elif pair.old is None:
                missing += not self._available(pair.new)
            elif self._available(pair.old):
                candidates.append(pair.old)
            else:
                broken.append(pair.old)  # nothing is lost by replacing it
                missing += 1
        self.result.delete += [*broken, *candidates[: max(0, self.unavailable - missing)]]

    def _update_beside(self, pairs: dict[str, _Pair]) -> None:
        surging = available = 0
        unserved, candidates, unwanted = [], [], []
        for name, pair in pairs.items():
            if pair.crowded:
                surging += 1
                continue
            available += self._available(pair.old if pair.old is not None else pair.new)
            if pair.old is None:
                continue
            starts = self.fit.get(name, (False, False))[0]
            if pair.new is not None:
                if self._available(pair.new):
                    self.result.delete.append(pair.old)
                else:
                    surging += 1
            elif not self._available(pair.old):
                if starts:
                    unserved.append(name)
                else:
                    self.result.delete.append(pair.old)
            elif starts:
                candidates.append(name)
            else:
                unwanted.append(pair.old)
        # One that serves where it is no longer wanted goes when enough of the others do.
        self.result.delete += unwanted[: max(0, available - self.desired)]
        self.result.create += [*unserved, *candidates[: max(0, self.surge - surging)]]

    def _pair(self, pods: Iterable[Object]) -> _Pair:
        pair = _Pair()
        for pod in pods:
            if meta.deleting(pod):
                continue
            if self._is_updated(pod):
                if pair.new is not None:
                    return _Pair(crowded=True)
                pair.new = pod
            else:
                if pair.old is not None:
                    return _Pair(crowded=True)
                pair.old = pod
        return pair

    def _is_updated(self, pod: Object) -> bool:
        carried = meta.labels(pod)
        if self.generation and carried.get(TEMPLATE_GENERATION) == self.generation:
            return True
        return carried.get(HASH) == self.hash

    def _available(self, pod: Object | None) -> bool:
        return pod is not None and podlib.is_available(pod, self.min_ready_s, self.now)

    # The status

    def finish(self) -> None:
        status = {
            **(self.daemon_set.get("status") or {}),
            **self._counts(),
            "observedGeneration": meta.generation(self.daemon_set),
        }
        kept = ("currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady")
        self.result.status = without_zeros(status, keep=kept)
        waits = [
            wait
            for pods in self.pods.values()
            for pod in pods
            if (wait := podlib.available_in_s(pod, self.min_ready_s, self.now)) is not None and wait > 0
        ]
        self.result.again_s = min(waits, default=None)

    def _counts(self) -> Object:
        scheduled = misscheduled = ready = updated = available = 0
        for name, (start, _) in self.fit.items():
            pods = self.pods.get(name)
            if not pods:
                continue
            if not start:
                misscheduled += 1
                continue
            scheduled += 1
            ready += podlib.is_ready(pods[0])
            available += self._available(pods[0])
            updated += self._is_updated(pods[0])
        return {
            "currentNumberScheduled": scheduled,
            "numberMisscheduled": misscheduled,
            "desiredNumberScheduled": self.desired,
            "numberReady": ready,
            "updatedNumberScheduled": updated,
            "numberAvailable": available,
            "numberUnavailable": self.desired - available,
        }


def _seniority(pod: Object) -> tuple[bool, str, str]:
    """The order of pods on a node: those that got there first, the older ones first."""
    return (
        not podlib.node_name(pod),
        str(meta.metadata(pod).get("creationTimestamp") or ""),
        meta.name(pod),
    )


def tolerations(spec: Object) -> list[Object]:
    """Return what a daemon's pods tolerate: what the template says, and troubles of the node itself."""
    wanted = [*_TOLERATED]
    if spec.get("hostNetwork"):
        wanted.append(("node.kubernetes.io/network-unavailable", "NoSchedule"))
    result = list(spec.get("tolerations") or ())
    for key, effect in wanted:
        added: Object = {"key": key, "operator": "Exists", "effect": effect}
        # One that names the same taint is replaced: its tolerationSeconds would end the pod after a time.
        same = [n for n, own in enumerate(result) if _names_taint(own) == _names_taint(added)]
        for n in same:
            result[n] = added
        if not same:
            result.append(added)
    return result


def _names_taint(toleration: Object) -> tuple[object, ...]:
    return tuple(toleration.get(part) or "" for part in ("key", "effect", "operator", "value"))


def fits(spec: Object, node: Object) -> tuple[bool, bool]:
    """Return whether a pod of this spec should be started on the node, and whether one there may stay."""
    if not wants_node(spec, node):
        return False, False
    effects = untolerated(tolerations(spec), node)
    return not effects, "NoExecute" not in effects


def pod_for(daemon_set: Object, node: str, hash_: str) -> Object:
    """Return the pod for one node: bound to it by affinity, so that the scheduler places it."""
    template = daemon_set["spec"]["template"]
    extra = [(HASH, hash_)]
    generation = meta.annotations(daemon_set).get(TEMPLATE_GENERATION_ANNOTATION)
    if generation:
        extra.append((TEMPLATE_GENERATION, generation))
    pod = pod_from_template(template, daemon_set, labels=extra)
    spec = pod["spec"]
    spec["tolerations"] = tolerations(spec)
    affinity = spec.setdefault("affinity", {}).setdefault("nodeAffinity", {})
    affinity["requiredDuringSchedulingIgnoredDuringExecution"] = {
        "nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}]
    }
    return pod


def node_of(pod: Object) -> str:
    """Return the node a daemon's pod is on, or is meant for."""
    if podlib.node_name(pod):
        return podlib.node_name(pod)
    terms = meta.dig(
        pod,
        "spec",
        "affinity",
        "nodeAffinity",
        "requiredDuringSchedulingIgnoredDuringExecution",
        "nodeSelectorTerms",
        default=(),
    )
    for term in terms:
        for match in term.get("matchFields") or ():
            if match.get("key") == "metadata.name" and len(match.get("values") or ()) == 1:
                return str(match["values"][0])
    return ""


def limits(spec: Object, desired: int) -> tuple[int, int]:
    """Return how many nodes may have two pods, and how many none, while pods are replaced."""
    strategy = spec.get("updateStrategy") or {}
    if strategy.get("type") == "OnDelete":
        return 0, 0
    rolling = strategy.get("rollingUpdate") or {}
    surge = scaled(rolling.get("maxSurge", 0), desired, round_up=True)
    unavailable = scaled(rolling.get("maxUnavailable", 1), desired, round_up=True)
    return surge, unavailable if surge or unavailable else 1
