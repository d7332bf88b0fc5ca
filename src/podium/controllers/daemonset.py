"""DaemonSets: one pod on every node that the template fits, replaced node by node when the template changes.

`plan` (in `daemonset_plan`) decides for all nodes at once. Upstream: pkg/controller/daemon.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from podium.base.backoff import Backoff
from podium.controllers.common import revisions as revisions_io
from podium.controllers.common.claim import ORPHANS, claim, controlled_by, plan_claims
from podium.controllers.common.history import (
    HASH,
    duplicates,
    expendable,
    plan_history,
)
from podium.controllers.common.pod_control import create_pod, delete_pod, in_parallel, slow_start
from podium.controllers.daemonset_plan import node_of, plan, pod_for
from podium.machinery import labels, meta
from podium.machinery.errors import Object
from podium.resources.apps.controllerrevisions import CONTROLLERREVISIONS
from podium.resources.apps.daemonsets import DAEMONSETS
from podium.resources.core.nodes import NODES
from podium.resources.core.pods import PODS
from podium.runtime.controller import Caches, Context, Controller, Watch, own_key
from podium.runtime.informer import Delta

BURST_MAX = 250
"""Pods made or deleted for one DaemonSet in one go."""
FAILED_POD_BACKOFF = Backoff(initial_s=1.0, max_s=900.0)
"""How long the pods that fail on one node are left alone: a pod that cannot run there must not be made anew
in a tight loop."""
FORGOTTEN_AFTER_S = 2 * FAILED_POD_BACKOFF.max_s
"""After so long without a failure the next one counts as the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Failure:
    count: int
    at_s: float


class _Failures:
    """How often failed pods were replaced, by DaemonSet and node. A new generation starts afresh."""

    def __init__(self) -> None:
        self._entries: dict[str, dict[str, _Failure]] = {}
        self._generations: dict[str, object] = {}

    def resting(self, daemon_set: Object, now_s: float) -> dict[str, float]:
        """Return the nodes of a DaemonSet on which failed pods stay, and for how long."""
        key = meta.key(daemon_set)
        generation = (meta.uid(daemon_set), (daemon_set.get("status") or {}).get("observedGeneration"))
        if self._generations.get(key) != generation:
            self._generations[key] = generation
            self._entries[key] = {}
        entries = self._entries[key] = {
            node: failure
            for node, failure in self._entries[key].items()
            if now_s - failure.at_s <= FORGOTTEN_AFTER_S
        }
        left = {
            node: failure.at_s + FAILED_POD_BACKOFF.delay_s(failure.count) - now_s
            for node, failure in entries.items()
        }
        return {node: left_s for node, left_s in left.items() if left_s > 0}

    def replaced(self, key: str, node: str, now_s: float) -> None:
        before = self._entries[key].get(node)
        self._entries[key][node] = _Failure(count=before.count + 1 if before else 1, at_s=now_s)

    def forget(self, key: str) -> None:
        self._entries.pop(key, None)
        self._generations.pop(key, None)


async def _reconcile(context: Context, key: str, failures: _Failures) -> float | None:
    daemon_set = context.caches[DAEMONSETS].get(key)
    if daemon_set is None or meta.deleting(daemon_set):
        failures.forget(key)
        return None
    selector = labels.from_label_selector(daemon_set["spec"].get("selector"))
    if selector.empty:
        message = "This daemon set is selecting all pods. A non-empty selector is required."
        context.recorder.event(daemon_set, "Warning", "SelectingAll", message)
        return None
    pods = await _claimed(context, daemon_set, selector)
    revisions = await _revisions(context, daemon_set, selector)
    history = plan_history(daemon_set, revisions)
    current = await revisions_io.keep(context, DAEMONSETS, daemon_set, history)
    double = duplicates(daemon_set, revisions, current)
    pods = await _relabelled(
        context, pods, {meta.labels(r)[HASH] for r in double}, meta.labels(current)[HASH]
    )
    await revisions_io.drop(context, double)
    resting = failures.resting(daemon_set, context.clock.monotonic_s())
    again_s = await _carry_out(context, daemon_set, pods, meta.labels(current)[HASH], failures, resting)
    in_use = {meta.labels(pod).get(HASH, "") for pod in pods}
    others = [r for r in revisions if r not in double]
    surplus = expendable(daemon_set, others, in_use, {meta.name(current)}, used_count=True)
    await revisions_io.drop(context, surplus)
    waits = [wait for wait in (again_s, *resting.values()) if wait is not None]
    return min(waits, default=None)


async def _claimed(context: Context, daemon_set: Object, selector: labels.Selector) -> list[Object]:
    cache = context.caches[PODS]
    candidates = [
        *cache.by_index(ORPHANS, meta.uid(daemon_set)),
        *cache.by_index(ORPHANS, f"{meta.namespace(daemon_set)}/"),
    ]
    claims = plan_claims(daemon_set, selector, candidates)
    return await claim(context.client, DAEMONSETS, daemon_set, PODS, claims)


async def _revisions(context: Context, daemon_set: Object, selector: labels.Selector) -> list[Object]:
    """Return the DaemonSet's revisions; one without a hash is called by its name."""
    found = await revisions_io.owned(context, DAEMONSETS, daemon_set, selector)
    for number, revision in enumerate(found):
        if HASH not in meta.labels(revision):
            named = meta.copy_path(revision, "metadata", "labels")
            named["metadata"]["labels"][HASH] = meta.name(revision)
            answer = await context.client.update(CONTROLLERREVISIONS, named)
            found[number] = {**named, "metadata": answer["metadata"]}
    return found


async def _relabelled(
    context: Context, pods: Sequence[Object], given_up: set[str], hash_: str
) -> list[Object]:
    """Give pods of revisions that are double the hash of the one that stays; return all pods.

    Upstream does so for pods of any revision, which then are never updated.
    """
    result = list(pods)
    for number, pod in enumerate(pods):
        if meta.labels(pod).get(HASH) in given_up:
            patch = {"metadata": {"labels": {HASH: hash_}}}
            answer = await context.client.patch(PODS, meta.name(pod), patch, meta.namespace(pod))
            result[number] = {**pod, "metadata": answer["metadata"]}
    return result


async def _carry_out(
    context: Context,
    daemon_set: Object,
    pods: Sequence[Object],
    hash_: str,
    failures: _Failures,
    resting: dict[str, float],
) -> float | None:
    """Make and delete pods as planned, and write the status; return when to look again."""
    decided = plan(daemon_set, pods, context.caches[NODES].list(), hash_, context.clock.now(), resting)
    for pod in decided.failed:
        failures.replaced(meta.key(daemon_set), node_of(pod), context.clock.monotonic_s())
        message = f"Found failed daemon pod {meta.key(pod)} on node {node_of(pod)}, will try to kill it"
        context.recorder.event(daemon_set, "Warning", "FailedDaemonPod", message)
    for pod in decided.succeeded:
        message = f"Found succeeded daemon pod {meta.key(pod)} on node {node_of(pod)}, will try to delete it"
        context.recorder.event(daemon_set, "Normal", "SucceededDaemonPod", message)

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
    return decided.again_s


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
