"""DaemonSets: one pod on every node that the template fits, replaced node by node when the template changes.

`plan` decides for all nodes at once. Upstream: pkg/controller/daemon.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from podium.base.backoff import Backoff
from podium.controllers.common import pods as podlib
from podium.controllers.common import revisions as revisions_io
from podium.controllers.common.claim import ORPHANS, claim, controlled_by, plan_claims
from podium.controllers.common.history import HASH, expendable, plan_history
from podium.controllers.common.node_fit import untolerated, wants_node
from podium.controllers.common.percent import scaled
from podium.controllers.common.pod_control import (
    BURST_MAX,
    create_pod,
    delete_pod,
    in_parallel,
    pod_from_template,
    slow_start,
)
from podium.controllers.common.status import without_zeros
from podium.machinery import labels, meta
from podium.machinery.errors import Object
from podium.resources.apps.controllerrevisions import CONTROLLERREVISIONS
from podium.resources.apps.daemonsets import DAEMONSETS
from podium.resources.core.nodes import NODES
from podium.resources.core.pods import PODS
from podium.runtime.controller import Caches, Context, Controller, Watch, own_key
from podium.runtime.informer import Delta

TEMPLATE_GENERATION_ANNOTATION = "deprecated.daemonset.template.generation"
TEMPLATE_GENERATION = "pod-template-generation"
FAILED_POD_BACKOFF = Backoff(initial_s=1.0, max_s=900.0)
"""How long the pods that fail on one node are left alone: a pod that cannot run there must not be made anew
in a tight loop."""
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
    status: Object = field(default_factory=dict)
    again_s: float | None = None


def tolerations(spec: Object) -> list[Object]:
    """Return what a daemon's pods tolerate: what the template says, and troubles of the node itself."""
    wanted = [*_TOLERATED]
    if spec.get("hostNetwork"):
        wanted.append(("node.kubernetes.io/network-unavailable", "NoSchedule"))
    own = list(spec.get("tolerations") or ())
    added = [{"key": key, "operator": "Exists", "effect": effect} for key, effect in wanted]
    return [*own, *(toleration for toleration in added if toleration not in own)]


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
    spec = daemon_set["spec"]
    min_ready_s = int(spec.get("minReadySeconds") or 0)
    by_node: dict[str, list[Object]] = {}
    for pod in pods:
        by_node.setdefault(node_of(pod), []).append(pod)
    fit = {meta.name(node): fits(spec["template"]["spec"], node) for node in nodes}
    result = Plan()
    for name, (start, stay) in fit.items():
        _plan_node(by_node.get(name, []), start, stay, name, name in resting, result)
    if (spec.get("updateStrategy") or {}).get("type") != "OnDelete":
        desired = [name for name, (start, _) in fit.items() if start]
        _plan_update(daemon_set, by_node, desired, hash_, min_ready_s, now, result)
    waits = [
        wait
        for pod in pods
        if (wait := podlib.available_in_s(pod, min_ready_s, now)) is not None and wait > 0
    ]
    result.again_s = min(waits, default=None)
    result.status = _status(daemon_set, by_node, fit, hash_, min_ready_s, now)
    return result


def _plan_node(
    pods: Sequence[Object], start: bool, stay: bool, node: str, resting: bool, result: Plan
) -> None:
    if start and not pods:
        result.create.append(node)
        return
    if not stay:
        result.delete += [pod for pod in pods if not meta.deleting(pod)]
        return
    running = []
    for pod in pods:
        if meta.deleting(pod):
            continue
        if podlib.phase(pod) == "Failed" and not resting:
            result.delete.append(pod)
            result.failed.append(pod)
        elif podlib.phase(pod) == "Succeeded":
            result.delete.append(pod)
        elif not podlib.is_finished(pod):
            running.append(pod)
    by_revision: dict[str, list[Object]] = {}
    for pod in running:
        by_revision.setdefault(meta.labels(pod).get(HASH, ""), []).append(pod)
    for same in by_revision.values():
        # Two of one kind: the one that has been there longer stays.
        same.sort(key=lambda pod: meta.metadata(pod).get("creationTimestamp") or "")
        result.delete += same[1:]


def _plan_update(
    daemon_set: Object,
    by_node: Mapping[str, Sequence[Object]],
    desired: Sequence[str],
    hash_: str,
    min_ready_s: int,
    now: datetime,
    result: Plan,
) -> None:
    """Replace pods of old revisions: within maxUnavailable, or beside new ones within maxSurge."""
    rolling = (daemon_set["spec"].get("updateStrategy") or {}).get("rollingUpdate") or {}
    surge = scaled(rolling.get("maxSurge", 0), len(desired), round_up=True)
    limit = scaled(rolling.get("maxUnavailable", 1), len(desired), round_up=True)
    if not surge and not limit:
        limit = 1
    unavailable = 0
    surging = 0
    candidates: list[Object] = []
    waiting: list[tuple[str, bool]] = []
    for node in desired:
        live = [p for p in by_node.get(node, ()) if podlib.is_active(p) and p not in result.delete]
        new = next((p for p in live if meta.labels(p).get(HASH) == hash_), None)
        old = next((p for p in live if meta.labels(p).get(HASH) != hash_), None)
        new_serves = new is not None and podlib.is_available(new, min_ready_s, now)
        old_serves = old is not None and podlib.is_available(old, min_ready_s, now)
        if not new_serves and not old_serves:
            unavailable += 1
        if old is None:
            continue
        if surge:
            if new_serves:
                result.delete.append(old)
            elif new is not None:
                surging += 1
            else:
                waiting.append((node, old_serves))
        elif not old_serves:
            result.delete.append(old)  # nothing is lost by replacing it
        else:
            candidates.append(old)
    if surge:
        waiting.sort(key=lambda entry: entry[1])  # where nothing serves, first
        result.create += [node for node, _ in waiting[: max(0, surge - surging)]]
    else:
        result.delete += candidates[: max(0, limit - unavailable)]


def _status(
    daemon_set: Object,
    by_node: Mapping[str, Sequence[Object]],
    fit: Mapping[str, tuple[bool, bool]],
    hash_: str,
    min_ready_s: int,
    now: datetime,
) -> Object:
    counts = dict.fromkeys(
        (
            "currentNumberScheduled",
            "numberMisscheduled",
            "desiredNumberScheduled",
            "numberReady",
            "updatedNumberScheduled",
            "numberAvailable",
        ),
        0,
    )
    for name, (start, _) in fit.items():
        pods = [pod for pod in by_node.get(name, ()) if not meta.deleting(pod)] or by_node.get(name, ())
        if not start:
            counts["numberMisscheduled"] += bool(pods)
            continue
        counts["desiredNumberScheduled"] += 1
        if not pods:
            continue
        counts["currentNumberScheduled"] += 1
        pod = min(pods, key=lambda pod: meta.metadata(pod).get("creationTimestamp") or "")
        counts["numberReady"] += podlib.is_ready(pod)
        counts["numberAvailable"] += podlib.is_available(pod, min_ready_s, now)
        counts["updatedNumberScheduled"] += any(meta.labels(p).get(HASH) == hash_ for p in pods)
    status: Object = {
        **counts,
        "observedGeneration": meta.generation(daemon_set),
        "numberUnavailable": counts["desiredNumberScheduled"] - counts["numberAvailable"],
        "collisionCount": (daemon_set.get("status") or {}).get("collisionCount"),
    }
    kept = ("currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady")
    return without_zeros(status, keep=kept)


class _Failures:
    """How often, and until when no more, failed pods were replaced on each node."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], int] = {}
        self._until_s: dict[tuple[str, str], float] = {}

    def resting(self, key: str, now_s: float) -> dict[str, float]:
        """Return the nodes of a DaemonSet on which failed pods stay, and for how long."""
        return {
            node: until_s - now_s
            for (owner, node), until_s in self._until_s.items()
            if owner == key and until_s > now_s
        }

    def replaced(self, key: str, node: str, now_s: float) -> None:
        count = self._counts[key, node] = self._counts.get((key, node), 0) + 1
        self._until_s[key, node] = now_s + FAILED_POD_BACKOFF.delay_s(count)

    def well(self, key: str, node: str) -> None:
        self._counts.pop((key, node), None)
        self._until_s.pop((key, node), None)

    def forget(self, key: str) -> None:
        for owner, node in [pair for pair in self._counts if pair[0] == key]:
            self.well(owner, node)


async def _reconcile(context: Context, key: str, failures: _Failures) -> float | None:
    daemon_set = context.caches[DAEMONSETS].get(key)
    if daemon_set is None or meta.deleting(daemon_set):
        failures.forget(key)
        return None
    selector = labels.from_label_selector(daemon_set["spec"].get("selector"))
    uid, namespace = meta.uid(daemon_set), meta.namespace(daemon_set)
    revisions = context.caches[CONTROLLERREVISIONS].by_index(ORPHANS, uid)
    history = plan_history(daemon_set, revisions)
    await revisions_io.keep(context, DAEMONSETS, daemon_set, history)
    hash_ = meta.labels(history.update)[HASH]
    cache = context.caches[PODS]
    claims = plan_claims(
        daemon_set, selector, [*cache.by_index(ORPHANS, uid), *cache.by_index(ORPHANS, f"{namespace}/")]
    )
    pods = await claim(context.client, DAEMONSETS, daemon_set, PODS, claims)
    now = context.clock.now()
    now_s = context.clock.monotonic_s()
    for pod in pods:
        if podlib.is_ready(pod):
            failures.well(key, node_of(pod))
    resting = failures.resting(key, now_s)
    decided = plan(daemon_set, pods, context.caches[NODES].list(), hash_, now, resting)
    for pod in decided.failed:
        failures.replaced(key, node_of(pod), now_s)
        context.recorder.event(
            daemon_set,
            "Warning",
            "FailedDaemonPod",
            f"Found failed daemon pod {meta.key(pod)} on node {node_of(pod)}, will try to kill it",
        )

    async def create(node: str) -> None:
        await create_pod(context, daemon_set, pod_for(daemon_set, node, hash_))

    async def delete(pod: Object) -> None:
        await delete_pod(context, daemon_set, pod)

    error = await slow_start(decided.create[:BURST_MAX], create)
    error = await in_parallel(decided.delete[:BURST_MAX], delete) or error
    if decided.status != daemon_set.get("status"):
        await context.client.update(
            DAEMONSETS, {**daemon_set, "status": decided.status}, subresource="status"
        )
    if error is not None:
        raise error
    in_use = {meta.labels(pod).get(HASH, "") for pod in pods}
    await revisions_io.drop(context, expendable(daemon_set, revisions, in_use, {meta.name(history.update)}))
    waits = [wait for wait in (decided.again_s, *resting.values()) if wait is not None]
    return min(waits, default=None)


def _keys_of_pod(delta: Delta, caches: Caches) -> Iterable[str]:
    keys: set[str] = set()
    for pod in (delta.old, delta.new):
        reference = meta.controller_ref(pod) if pod is not None else None
        if pod is not None and reference is not None and reference.get("kind") == DAEMONSETS.kind:
            keys.add(f"{meta.namespace(pod)}/{reference['name']}")
    pod = delta.new
    if pod is not None and meta.controller_ref(pod) is None:
        for candidate in caches[DAEMONSETS].list(meta.namespace(pod)):
            if labels.from_label_selector(candidate["spec"].get("selector")).matches(meta.labels(pod)):
                keys.add(meta.key(candidate))
    return keys


def _keys_of_node(delta: Delta, caches: Caches) -> Iterable[str]:
    """What decides where daemons run: labels, taints, being there at all. Heartbeats do not."""
    old, new = delta.old, delta.new
    if old is not None and new is not None and _placement(old) == _placement(new):
        return ()
    return [meta.key(daemon_set) for daemon_set in caches[DAEMONSETS].list()]


def _placement(node: Object) -> object:
    return meta.labels(node), (node.get("spec") or {}).get("taints")


def _keys_of_revision(delta: Delta, _caches: Caches) -> Iterable[str]:
    reference = meta.controller_ref(delta.object)
    if delta.new is not None or reference is None or reference.get("kind") != DAEMONSETS.kind:
        return ()
    return (f"{meta.namespace(delta.object)}/{reference['name']}",)


def daemonset() -> Controller:
    """Return the controller."""
    failures = _Failures()

    async def reconcile(context: Context, key: str) -> float | None:
        return await _reconcile(context, key, failures)

    return Controller(
        name="daemonset-controller",
        service_account="daemon-set-controller",
        watches=(
            Watch(resource=DAEMONSETS, keys_of=own_key),
            Watch(resource=PODS, keys_of=_keys_of_pod, indexes={ORPHANS: controlled_by}),
            Watch(resource=NODES, keys_of=_keys_of_node),
            Watch(resource=CONTROLLERREVISIONS, keys_of=_keys_of_revision, indexes={ORPHANS: controlled_by}),
        ),
        reconcile=reconcile,
    )
