"""StatefulSets: pods with names, in order, each with its own claims.

Pod `NAME-ORDINAL` keeps its name and its claims for life. `plan` (in `statefulset_plan`) says the next
writes: in order and one at a time, or (Parallel) all at once. Upstream: pkg/controller/statefulset.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from podium.controllers.common import revisions as revisions_io
from podium.controllers.common.claim import ORPHANS, claim, controlled_by, plan_claims
from podium.controllers.common.history import HASH, expendable, plan_history, template_of
from podium.controllers.common.pod_control import in_parallel, slow_start
from podium.controllers.statefulset_claims import claims_for
from podium.controllers.statefulset_plan import Plan, made_of_current, ordinal, plan, pod_for
from podium.machinery import labels, meta
from podium.machinery.errors import AlreadyExists, ApiError, NotFound, Object
from podium.resources.apps.controllerrevisions import CONTROLLERREVISIONS
from podium.resources.apps.statefulsets import STATEFULSETS
from podium.resources.core.persistentvolumeclaims import PERSISTENTVOLUMECLAIMS
from podium.resources.core.pods import PODS
from podium.runtime.controller import (
    Caches,
    Context,
    Controller,
    Failed,
    Watch,
    namespace_is_terminating,
    own_key,
)
from podium.runtime.informer import Delta


async def _reconcile(context: Context, key: str, *, max_unavailable: bool) -> float | None:
    stateful_set = context.caches[STATEFULSETS].get(key)
    if stateful_set is None:
        return None
    selector = labels.from_label_selector(stateful_set["spec"].get("selector"))
    revisions = await revisions_io.owned(context, STATEFULSETS, stateful_set, selector)
    pods = await _claimed(context, stateful_set, selector)
    history = plan_history(stateful_set, revisions)
    update = await revisions_io.keep(context, STATEFULSETS, stateful_set, history)
    wanted = (stateful_set.get("status") or {}).get("currentRevision")
    current = next((r for r in revisions if meta.name(r) == wanted), update)
    decided = plan(
        stateful_set,
        pods,
        meta.name(update),
        meta.name(current),
        context.clock.now(),
        _claims_by_name(context, stateful_set),
        max_unavailable=max_unavailable,
    )
    error: Exception | None = None
    try:
        await _carry_out(context, stateful_set, decided, current=current, update=update)
    except (ApiError, Failed, OSError) as failure:
        error = failure  # and no `finally`: one that is cancelled must not write any more
    if decided.status != stateful_set.get("status"):
        await context.client.update(
            STATEFULSETS, {**stateful_set, "status": decided.status}, subresource="status"
        )
    in_use = {meta.labels(pod).get(HASH, "") for pod in pods}
    kept = {meta.name(update), meta.name(current)}
    await revisions_io.drop(context, expendable(stateful_set, revisions, in_use, kept))
    if error is not None:
        raise error
    return decided.again_s


async def _claimed(context: Context, stateful_set: Object, selector: labels.Selector) -> list[Object]:
    """Return the set's pods, those adopted now included: by their labels, and by their names."""
    name = meta.name(stateful_set)
    cache = context.caches[PODS]
    candidates = [
        *cache.by_index(ORPHANS, meta.uid(stateful_set)),
        *(
            pod
            for pod in cache.by_index(ORPHANS, f"{meta.namespace(stateful_set)}/")
            if ordinal(name, pod) is not None
        ),
    ]
    claims = plan_claims(stateful_set, selector, candidates)
    return await claim(context.client, STATEFULSETS, stateful_set, PODS, claims)


def _claims_by_name(context: Context, stateful_set: Object) -> Mapping[str, Object]:
    if not stateful_set["spec"].get("volumeClaimTemplates"):
        return {}
    claims = context.caches[PERSISTENTVOLUMECLAIMS].list(meta.namespace(stateful_set))
    return {meta.name(claim): claim for claim in claims}


async def _carry_out(
    context: Context, stateful_set: Object, decided: Plan, *, current: Object, update: Object
) -> None:
    await _own_claims(context, stateful_set, decided)
    for number in decided.complete:
        await _make_claims(context, stateful_set, f"{meta.name(stateful_set)}-{number}", number)
    for pod in decided.repair:
        await _repair(context, stateful_set, pod)

    async def create(number: int) -> None:
        revision = current if made_of_current(stateful_set, number) else update
        pod = pod_for(stateful_set, template_of(revision), number, meta.name(revision))
        await _create(context, stateful_set, pod, number)

    async def delete(pod: Object) -> None:
        await _delete(context, stateful_set, pod)

    error = await slow_start(decided.create, create)
    if error is None:
        error = await in_parallel(decided.delete, delete)
    if error is not None:
        raise error


async def _own_claims(context: Context, stateful_set: Object, decided: Plan) -> None:
    """Make the set or a pod the owner of claims, or nobody, as the retention policy wants it."""
    for contested in decided.contested:
        message = (
            f"PersistentVolumeClaim {meta.name(contested)} has a conflicting OwnerReference that acts as a "
            "manging controller, the retention policy is ignored for this claim"  # upstream's spelling
        )
        context.recorder.event(stateful_set, "Warning", "ConflictingController", message)
    for owned in decided.claims:
        try:
            await context.client.update(PERSISTENTVOLUMECLAIMS, owned.claim)
        except ApiError as error:
            what = f"could not update claim {meta.name(owned.claim)} for delete policy ownerRefs"
            _tell(context, stateful_set, "Update", meta.name(owned.pod), f"{what}: {error.message}")
            raise
    for name in {meta.name(owned.pod): None for owned in decided.claims if owned.told}:
        _tell(context, stateful_set, "Update", name)


async def _repair(context: Context, stateful_set: Object, pod: Object) -> None:
    try:
        await context.client.update(PODS, pod)
    except ApiError as error:
        _tell(context, stateful_set, "Update", meta.name(pod), error.message)
        raise
    _tell(context, stateful_set, "Update", meta.name(pod))


async def _create(context: Context, stateful_set: Object, pod: Object, number: int) -> None:
    try:
        await _make_claims(context, stateful_set, meta.name(pod), number)
        await context.client.create(PODS, pod)
    except AlreadyExists:
        raise
    except (ApiError, Failed) as error:
        if not (isinstance(error, ApiError) and namespace_is_terminating(error)):
            why = error.message if isinstance(error, ApiError) else str(error)
            _tell(context, stateful_set, "Create", meta.name(pod), why)
        raise
    _tell(context, stateful_set, "Create", meta.name(pod))


async def _make_claims(context: Context, stateful_set: Object, pod_name: str, number: int) -> None:
    """Make the claims of a pod that are missing. Raises when one cannot be had now."""
    for wanted in claims_for(stateful_set, number):
        found = context.caches[PERSISTENTVOLUMECLAIMS].get(meta.key(wanted))
        if found is None:
            await _make_claim(context, stateful_set, pod_name, wanted)
        elif meta.deleting(found):
            raise Failed(f"pvc {meta.name(wanted)} is being deleted")


async def _make_claim(context: Context, stateful_set: Object, pod_name: str, wanted: Object) -> None:
    name, where = meta.name(wanted), f"Pod {pod_name} in StatefulSet {meta.name(stateful_set)}"
    try:
        await context.client.create(PERSISTENTVOLUMECLAIMS, wanted)
    except AlreadyExists:
        raise
    except ApiError as error:
        if namespace_is_terminating(error):
            raise
        message = f"Create Claim {name} for {where} failed error: {error.message}"
        context.recorder.event(stateful_set, "Warning", "FailedCreate", message)
        raise Failed(f"failed to create PVC {name}: {error.message}") from error
    message = f"Create Claim {name} {where} success"
    context.recorder.event(stateful_set, "Normal", "SuccessfulCreate", message)


async def _delete(context: Context, stateful_set: Object, pod: Object) -> None:
    try:
        await context.client.delete(PODS, meta.name(pod), meta.namespace(pod), uid=meta.uid(pod))
    except NotFound:
        pass
    except ApiError as error:
        _tell(context, stateful_set, "Delete", meta.name(pod), error.message)
        raise
    _tell(context, stateful_set, "Delete", meta.name(pod))


def _tell(context: Context, stateful_set: Object, verb: str, pod_name: str, error: str = "") -> None:
    """Record what has become of a pod; `error` says why it went wrong."""
    end = f"failed error: {error}" if error else "successful"
    context.recorder.event(
        stateful_set,
        "Warning" if error else "Normal",
        f"{'Failed' if error else 'Successful'}{verb}",
        f"{verb} Pod {pod_name} in StatefulSet {meta.name(stateful_set)} {end}",
    )


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


def _keys_of_claim(delta: Delta, caches: Caches) -> Iterable[str]:
    """A claim that goes may be what a pod's creation waits for."""
    if delta.new is not None:
        return ()
    name, namespace = meta.name(delta.object), meta.namespace(delta.object)
    return [
        meta.key(stateful_set)
        for stateful_set in caches[STATEFULSETS].list(namespace)
        if any(
            name.startswith(f"{meta.name(template)}-{meta.name(stateful_set)}-")
            for template in stateful_set["spec"].get("volumeClaimTemplates") or ()
        )
    ]


def statefulset(*, max_unavailable: bool = False) -> Controller:
    """Return the controller. `max_unavailable`: the gate MaxUnavailableStatefulSet."""

    async def reconcile(context: Context, key: str) -> float | None:
        return await _reconcile(context, key, max_unavailable=max_unavailable)

    return Controller(
        name="statefulset-controller",
        watches=(
            Watch(resource=STATEFULSETS, keys_of=own_key),
            Watch(resource=PODS, keys_of=_keys_of_pod, indexes={ORPHANS: controlled_by}),
            Watch(resource=CONTROLLERREVISIONS, indexes={ORPHANS: controlled_by}),
            Watch(resource=PERSISTENTVOLUMECLAIMS, keys_of=_keys_of_claim),
        ),
        reconcile=reconcile,
    )


STATEFULSET = statefulset()
