"""StatefulSets: pods with names, in order, each with its own claims.

Pod `NAME-ORDINAL` keeps its name and its claims for life. `plan` says the next writes: in order and one at a
time, or (Parallel) all at once. Upstream: pkg/controller/statefulset.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from podium.controllers.common import pods as podlib
from podium.controllers.common import revisions as revisions_io
from podium.controllers.common.claim import ORPHANS, claim, controlled_by, plan_claims
from podium.controllers.common.history import HASH, expendable, plan_history, template_of
from podium.controllers.common.pod_control import pod_from_template
from podium.controllers.common.status import without_zeros
from podium.machinery import labels, meta
from podium.machinery.errors import AlreadyExists, ApiError, NotFound, Object
from podium.resources.apps.controllerrevisions import CONTROLLERREVISIONS
from podium.resources.apps.statefulsets import STATEFULSETS
from podium.resources.core.persistentvolumeclaims import PERSISTENTVOLUMECLAIMS
from podium.resources.core.pods import PODS
from podium.runtime.controller import Caches, Context, Controller, Watch, namespace_is_terminating, own_key
from podium.runtime.informer import Delta

POD_NAME = "statefulset.kubernetes.io/pod-name"
POD_INDEX = "apps.kubernetes.io/pod-index"


@dataclass(slots=True, kw_only=True)
class Plan:
    create: list[int] = field(default_factory=list)
    """The ordinals of pods to make."""
    delete: list[Object] = field(default_factory=list)
    status: Object = field(default_factory=dict)
    again_s: float | None = None


def ordinal(set_name: str, pod: Object) -> int | None:
    """Return the pod's number, None when its name is not of this set."""
    match = re.fullmatch(re.escape(set_name) + r"-(0|[1-9][0-9]*)", meta.name(pod))
    return int(match.group(1)) if match else None


def plan(stateful_set: Object, pods: Sequence[Object], update: str, current: str, now: datetime) -> Plan:
    """Decide the next writes. `update` and `current` are names of revisions."""
    spec = stateful_set["spec"]
    name = meta.name(stateful_set)
    start = int((spec.get("ordinals") or {}).get("start") or 0)
    replicas = int(spec["replicas"] if spec.get("replicas") is not None else 1)
    min_ready_s = int(spec.get("minReadySeconds") or 0)
    by_ordinal = {number: pod for pod in pods if (number := ordinal(name, pod)) is not None}
    wanted = range(start, start + replicas)
    condemned = sorted((n for n in by_ordinal if n not in wanted), reverse=True)
    result = Plan()
    if not meta.deleting(stateful_set):
        _plan_pods(spec, by_ordinal, wanted, condemned, update, min_ready_s, now, result)
    waits = [
        wait
        for pod in pods
        if (wait := podlib.available_in_s(pod, min_ready_s, now)) is not None and wait > 0
    ]
    result.again_s = min(waits, default=None)
    result.status = _status(stateful_set, list(by_ordinal.values()), update, current, min_ready_s, now)
    return result


def _plan_pods(
    spec: Object,
    by_ordinal: dict[int, Object],
    wanted: range,
    condemned: Sequence[int],
    update: str,
    min_ready_s: int,
    now: datetime,
    result: Plan,
) -> None:
    parallel = spec.get("podManagementPolicy") == "Parallel"

    def healthy(number: int) -> bool:
        pod = by_ordinal.get(number)
        return pod is not None and not meta.deleting(pod) and podlib.is_available(pod, min_ready_s, now)

    for number in wanted:
        pod = by_ordinal.get(number)
        if pod is None:
            result.create.append(number)
        elif podlib.is_finished(pod) and not meta.deleting(pod):
            result.delete.append(pod)  # made anew once it is gone
        elif healthy(number):
            continue
        if not parallel:
            return  # the next ones wait for this one
    sick = [number for number in condemned if not healthy(number)]
    for number in condemned:
        pod = by_ordinal[number]
        if not meta.deleting(pod):
            # In order: the highest first, and only while those below are well.
            if not parallel and sick and number in sick and number != min(sick):
                return
            result.delete.append(pod)
        if not parallel:
            return
    _plan_update(spec, by_ordinal, wanted, update, healthy, result)


def _plan_update(
    spec: Object,
    by_ordinal: dict[int, Object],
    wanted: range,
    update: str,
    healthy: Callable[[int], bool],
    result: Plan,
) -> None:
    """Replace pods of older revisions: from the highest ordinal down to the partition, one at a time."""
    strategy = spec.get("updateStrategy") or {}
    if strategy.get("type") == "OnDelete" or result.create or result.delete:
        return
    partition = int((strategy.get("rollingUpdate") or {}).get("partition") or 0)
    for number in reversed(wanted):
        if number < wanted.start + partition:
            return
        pod = by_ordinal.get(number)
        if pod is None:
            return
        if meta.labels(pod).get(HASH) != update and not meta.deleting(pod):
            result.delete.append(pod)
            return
        if not healthy(number):
            return


def _status(
    stateful_set: Object, pods: Sequence[Object], update: str, current: str, min_ready_s: int, now: datetime
) -> Object:
    spec = stateful_set["spec"]
    live = [pod for pod in pods if podlib.phase(pod) and not meta.deleting(pod)]
    made = [pod for pod in pods if podlib.phase(pod)]
    ready = sum(podlib.phase(pod) == "Running" and podlib.is_ready(pod) for pod in made)
    updated = sum(meta.labels(pod).get(HASH) == update for pod in live)
    replicas = int(spec["replicas"] if spec.get("replicas") is not None else 1)
    finished = updated == len(made) == ready == replicas
    if finished and (spec.get("updateStrategy") or {}).get("type") != "OnDelete":
        current = update
    status: Object = {
        "observedGeneration": meta.generation(stateful_set),
        "replicas": len(made),
        "readyReplicas": ready,
        "currentReplicas": sum(meta.labels(pod).get(HASH) == current for pod in live),
        "updatedReplicas": updated,
        "currentRevision": current,
        "updateRevision": update,
        "collisionCount": int((stateful_set.get("status") or {}).get("collisionCount") or 0),
        "availableReplicas": sum(podlib.is_available(pod, min_ready_s, now) for pod in live),
    }
    return without_zeros(status, keep=("replicas", "availableReplicas", "collisionCount"))


def pod_for(stateful_set: Object, template: Object, number: int, revision: str) -> Object:
    """Return the pod with this ordinal."""
    name = f"{meta.name(stateful_set)}-{number}"
    extra = [(POD_NAME, name), (POD_INDEX, str(number)), (HASH, revision)]
    pod = pod_from_template(template, stateful_set, labels=extra)
    del pod["metadata"]["generateName"]
    pod["metadata"]["name"] = name
    spec = pod["spec"]
    spec["hostname"] = name
    if stateful_set["spec"].get("serviceName"):
        spec["subdomain"] = stateful_set["spec"]["serviceName"]
    claims = {
        meta.name(c): claim_name(c, name) for c in stateful_set["spec"].get("volumeClaimTemplates") or ()
    }
    others = [volume for volume in spec.get("volumes") or () if volume.get("name") not in claims]
    volumes = [
        *({"name": n, "persistentVolumeClaim": {"claimName": claim}} for n, claim in claims.items()),
        *others,
    ]
    if volumes:
        spec["volumes"] = volumes
    return pod


def claim_name(claim_template: Object, pod_name: str) -> str:
    return f"{meta.name(claim_template)}-{pod_name}"


def claims_for(stateful_set: Object, number: int) -> list[Object]:
    """Return the claims of the pod with this ordinal."""
    pod_name = f"{meta.name(stateful_set)}-{number}"
    match_labels = (stateful_set["spec"].get("selector") or {}).get("matchLabels") or {}
    result = []
    for template in stateful_set["spec"].get("volumeClaimTemplates") or ():
        metadata = {
            "name": claim_name(template, pod_name),
            "namespace": meta.namespace(stateful_set),
            "labels": {**meta.labels(template), **match_labels},
            "annotations": dict(meta.annotations(template)),
        }
        result.append(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": {key: value for key, value in metadata.items() if value},
                "spec": meta.deep_copy(template.get("spec") or {}),
            }
        )
    return result


async def _reconcile(context: Context, key: str) -> float | None:
    stateful_set = context.caches[STATEFULSETS].get(key)
    if stateful_set is None:
        return None
    name, namespace, uid = meta.name(stateful_set), meta.namespace(stateful_set), meta.uid(stateful_set)
    selector = labels.from_label_selector(stateful_set["spec"].get("selector"))
    cache = context.caches[PODS]
    candidates = [
        *cache.by_index(ORPHANS, uid),
        *(pod for pod in cache.by_index(ORPHANS, f"{namespace}/") if ordinal(name, pod) is not None),
    ]
    claims = plan_claims(stateful_set, selector, candidates)
    pods = await claim(context.client, STATEFULSETS, stateful_set, PODS, claims)
    revisions = context.caches[CONTROLLERREVISIONS].by_index(ORPHANS, uid)
    history = plan_history(stateful_set, revisions)
    await revisions_io.keep(context, STATEFULSETS, stateful_set, history)
    update = meta.name(history.update)
    current = (stateful_set.get("status") or {}).get("currentRevision") or update
    current_revision = next((r for r in revisions if meta.name(r) == current), history.update)
    decided = plan(stateful_set, pods, update, current, context.clock.now())
    partition = int(
        meta.dig(stateful_set, "spec", "updateStrategy", "rollingUpdate", "partition", default=0)
    ) + int(meta.dig(stateful_set, "spec", "ordinals", "start", default=0))
    try:
        for number in decided.create:
            revision = current_revision if number < partition else history.update
            pod = pod_for(stateful_set, template_of(revision), number, meta.name(revision))
            await _create(context, stateful_set, pod, number)
        for pod in decided.delete:
            await _delete(context, stateful_set, pod)
    finally:
        if decided.status != stateful_set.get("status"):
            await context.client.update(
                STATEFULSETS, {**stateful_set, "status": decided.status}, subresource="status"
            )
    in_use = {meta.labels(pod).get(HASH, "") for pod in pods}
    await revisions_io.drop(context, expendable(stateful_set, revisions, in_use, {update, current}))
    return decided.again_s


async def _create(context: Context, stateful_set: Object, pod: Object, number: int) -> None:
    where = f"in StatefulSet {meta.name(stateful_set)}"
    name = meta.name(pod)
    try:
        for wanted in claims_for(stateful_set, number):
            key = meta.key(wanted)
            if context.caches[PERSISTENTVOLUMECLAIMS].get(key) is not None:
                continue
            try:
                await context.client.create(PERSISTENTVOLUMECLAIMS, wanted)
            except AlreadyExists:
                continue
            message = f"create Claim {meta.name(wanted)} Pod {name} {where} success"
            context.recorder.event(stateful_set, "Normal", "SuccessfulCreate", message)
        await context.client.create(PODS, pod)
    except ApiError as error:
        if not namespace_is_terminating(error):
            message = f"create Pod {name} {where} failed error: {error.message}"
            context.recorder.event(stateful_set, "Warning", "FailedCreate", message)
        raise
    context.recorder.event(
        stateful_set, "Normal", "SuccessfulCreate", f"create Pod {name} {where} successful"
    )


async def _delete(context: Context, stateful_set: Object, pod: Object) -> None:
    where = f"delete Pod {meta.name(pod)} in StatefulSet {meta.name(stateful_set)}"
    try:
        await context.client.delete(PODS, meta.name(pod), meta.namespace(pod), uid=meta.uid(pod))
    except NotFound:
        return
    except ApiError as error:
        message = f"{where} failed error: {error.message}"
        context.recorder.event(stateful_set, "Warning", "FailedDelete", message)
        raise
    context.recorder.event(stateful_set, "Normal", "SuccessfulDelete", f"{where} successful")


def _keys_of_pod(delta: Delta, caches: Caches) -> Iterable[str]:
    keys: set[str] = set()
    for pod in (delta.old, delta.new):
        reference = meta.controller_ref(pod) if pod is not None else None
        if pod is not None and reference is not None and reference.get("kind") == STATEFULSETS.kind:
            keys.add(f"{meta.namespace(pod)}/{reference['name']}")
    if not keys:
        # An orphan with the right name is adopted; a stranger's pod with the name is waited for.
        head, dash, tail = meta.name(delta.object).rpartition("-")
        key = f"{meta.namespace(delta.object)}/{head}"
        if dash and tail.isdecimal() and caches[STATEFULSETS].get(key) is not None:
            keys.add(key)
    return keys


STATEFULSET = Controller(
    name="statefulset-controller",
    watches=(
        Watch(resource=STATEFULSETS, keys_of=own_key),
        Watch(resource=PODS, keys_of=_keys_of_pod, indexes={ORPHANS: controlled_by}),
        Watch(resource=CONTROLLERREVISIONS, indexes={ORPHANS: controlled_by}),
        Watch(resource=PERSISTENTVOLUMECLAIMS),
    ),
    reconcile=_reconcile,
)
