"""Deployments: from one pod template to the next, keeping enough pods available on the way.

Each template of a Deployment has its ReplicaSet, named by the template's hash. `plan` (in `deployment_plan`)
takes one step: it makes the ReplicaSet of the current template, or scales one up or some down within maxSurge
and maxUnavailable, or tidies up, and says what the status is. Upstream: pkg/controller/deployment.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from podium.base.clock import rfc3339
from podium.controllers.common import pods as podlib
from podium.controllers.common.claim import ORPHANS, claim, controlled_by, plan_claims
from podium.controllers.common.status import put_condition
from podium.controllers.common.template import same_template
from podium.controllers.deployment_plan import has_deadline, plan
from podium.controllers.deployment_rollback import plan_rollback, wants_rollback
from podium.machinery import labels, meta
from podium.machinery.errors import AlreadyExists, ApiError, Conflict, NotFound, Object
from podium.resources.apps.deployments import DEPLOYMENTS
from podium.resources.apps.replicasets import REPLICASETS
from podium.resources.core.pods import PODS
from podium.runtime.controller import (
    Caches,
    Context,
    Controller,
    Watch,
    namespace_is_terminating,
    own_key,
)
from podium.runtime.informer import Delta


async def _reconcile(context: Context, key: str) -> float | None:
    deployment = context.caches[DEPLOYMENTS].get(key)
    if deployment is None:
        return None
    selector = labels.from_label_selector(deployment["spec"].get("selector"))
    if selector.empty:
        context.recorder.event(
            deployment,
            "Warning",
            "SelectingAll",
            "This deployment is selecting all pods. A non-empty selector is required.",
        )
        seen = {**(deployment.get("status") or {}), "observedGeneration": meta.generation(deployment)}
        await _write_status(context, deployment, seen, meta.annotations(deployment))
        return None
    sets = context.caches[REPLICASETS]
    candidates = [
        *sets.by_index(ORPHANS, meta.uid(deployment)),
        *sets.by_index(ORPHANS, f"{meta.namespace(deployment)}/"),
    ]
    claims = plan_claims(deployment, selector, candidates)
    replica_sets = await claim(context.client, DEPLOYMENTS, deployment, REPLICASETS, claims)
    if wants_rollback(deployment) and not deployment["spec"].get("paused") and not meta.deleting(deployment):
        await _roll_back(context, deployment, replica_sets)
        return None
    step = plan(deployment, replica_sets, _alive(context, deployment, replica_sets), context.clock.now())
    if step.create is not None:
        await _create(context, deployment, step.create)
    for rs in step.update:
        await context.client.update(REPLICASETS, rs)
    for message in step.events:
        context.recorder.event(deployment, "Normal", "ScalingReplicaSet", message)
    for rs in step.delete:
        try:
            await context.client.delete(REPLICASETS, meta.name(rs), meta.namespace(rs), uid=meta.uid(rs))
        except NotFound:
            continue
    await _write_status(context, deployment, step.status, step.annotations)
    return step.again_s


def _alive(context: Context, deployment: Object, replica_sets: Iterable[Object]) -> frozenset[str]:
    """Return the uids of those that have pods which have not ended. Only Recreate asks for that."""
    if not _recreates(deployment):
        return frozenset()
    pods = context.caches[PODS]
    return frozenset(
        meta.uid(rs)
        for rs in replica_sets
        if any(not podlib.is_finished(pod) for pod in pods.by_index(ORPHANS, meta.uid(rs)))
    )


def _recreates(deployment: Object) -> bool:
    return bool((deployment["spec"].get("strategy") or {}).get("type") == "Recreate")


async def _roll_back(context: Context, deployment: Object, replica_sets: list[Object]) -> None:
    """Go back to the revision that a client of an old API version has asked for; the rollout comes next."""
    rollback = plan_rollback(deployment, replica_sets)
    await context.client.update(DEPLOYMENTS, rollback.deployment)
    context.recorder.event(deployment, rollback.event_type, rollback.reason, rollback.message)


async def _write_status(
    context: Context, deployment: Object, status: Object, annotations: Mapping[str, str]
) -> None:
    if status == deployment.get("status") and annotations == meta.annotations(deployment):
        return
    new = meta.copy_path(deployment, "metadata")
    if annotations:
        new["metadata"]["annotations"] = dict(annotations)
    new["status"] = status
    await context.client.update(DEPLOYMENTS, new, subresource="status")


async def _create(context: Context, deployment: Object, rs: Object) -> None:
    """Make the new ReplicaSet. Raises when the step cannot go on; the next look starts afresh."""
    try:
        await context.client.create(REPLICASETS, rs)
        return
    except AlreadyExists:
        live = await context.client.get(REPLICASETS, meta.name(rs), meta.namespace(rs))
        if meta.controlled_by(live, deployment) and same_template(
            live["spec"]["template"], deployment["spec"]["template"]
        ):
            raise Conflict(f"the cache lacks ReplicaSet {meta.key(live)}") from None
        # Another template has this hash: the next try hashes with the higher count.
        status = dict(deployment.get("status") or {})
        status["collisionCount"] = int(status.get("collisionCount") or 0) + 1
        await _write_status(context, deployment, status, meta.annotations(deployment))
        raise Conflict(f"hash collision on ReplicaSet {meta.key(live)}") from None
    except ApiError as error:
        if not namespace_is_terminating(error):
            await _tell_failure(context, deployment, rs, error)
        raise


async def _tell_failure(context: Context, deployment: Object, rs: Object, error: ApiError) -> None:
    message = f'Failed to create new replica set "{meta.name(rs)}": {error.message}'
    context.recorder.event(deployment, "Warning", "ReplicaSetCreateError", message)
    if not has_deadline(deployment):
        return
    at = rfc3339(context.clock.now())
    failed = {
        "type": "Progressing",
        "status": "False",
        "lastUpdateTime": at,
        "lastTransitionTime": at,
        "reason": "ReplicaSetCreateError",
        "message": message,
    }
    status = dict(deployment.get("status") or {})
    status["conditions"] = put_condition(list(status.get("conditions") or ()), failed)
    await _write_status(context, deployment, status, meta.annotations(deployment))


def _keys_of_replica_set(delta: Delta, caches: Caches) -> Iterable[str]:
    keys: set[str] = set()
    for rs in (delta.old, delta.new):
        reference = meta.controller_ref(rs) if rs is not None else None
        if rs is not None and reference is not None and reference.get("kind") == DEPLOYMENTS.kind:
            keys.add(f"{meta.namespace(rs)}/{reference['name']}")
    rs = delta.new
    if rs is not None and meta.controller_ref(rs) is None and not meta.deleting(rs):
        for deployment in caches[DEPLOYMENTS].list(meta.namespace(rs)):
            selector = labels.from_label_selector(deployment["spec"].get("selector"))
            if not selector.empty and selector.matches(meta.labels(rs)):
                keys.add(meta.key(deployment))
    return keys


def _keys_of_pod(delta: Delta, caches: Caches) -> Iterable[str]:
    """Only Recreate looks at pods: it waits for the last old one to be gone or to end."""
    pod = delta.new if delta.new is not None else delta.old
    assert pod is not None
    if delta.new is not None and not podlib.is_finished(delta.new):
        return ()
    reference = meta.controller_ref(pod)
    rs = (
        caches[REPLICASETS].get(f"{meta.namespace(pod)}/{reference['name']}")
        if reference is not None
        else None
    )
    owner = meta.controller_ref(rs) if rs is not None else None
    if owner is None or owner.get("kind") != DEPLOYMENTS.kind:
        return ()
    key = f"{meta.namespace(pod)}/{owner['name']}"
    deployment = caches[DEPLOYMENTS].get(key)
    if deployment is None or not _recreates(deployment):
        return ()
    return (key,)


DEPLOYMENT = Controller(
    name="deployment-controller",
    watches=(
        Watch(resource=DEPLOYMENTS, keys_of=own_key),
        Watch(resource=REPLICASETS, keys_of=_keys_of_replica_set, indexes={ORPHANS: controlled_by}),
        Watch(resource=PODS, keys_of=_keys_of_pod, indexes={ORPHANS: controlled_by}),
    ),
    reconcile=_reconcile,
    workers=8,
)
