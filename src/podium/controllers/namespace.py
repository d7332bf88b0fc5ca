"""Deleting a namespace means deleting all that is in it, then letting the namespace go.

Everything that discovery shows as namespaced and deletable goes, pods first (so that what they use outlives
them). What remains, and why, shows in the namespace's conditions. Upstream: pkg/controller/namespace.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from podium.base.clock import parse_rfc3339
from podium.controllers.common import pods as podlib
from podium.machinery import meta
from podium.machinery.errors import ApiError, MethodNotAllowed, NotFound, Object
from podium.machinery.resource import Resource
from podium.resources.core.namespaces import NAMESPACES
from podium.resources.core.pods import PODS
from podium.runtime.controller import Caches, Context, Controller, Watch
from podium.runtime.discovery import discover_all
from podium.runtime.informer import Delta
from podium.runtime.metadata import MetadataClient

FINALIZER = "kubernetes"
PARALLEL_MAX = 8
LOOK_AGAIN_S_MIN = 0.5
LOOK_AGAIN_S_MAX = 15.0
PODS_LOOK_AGAIN_S = 16.0
"""While pods end; that the last one goes is noticed at once. Upstream: half of their grace, and a second."""


@dataclass(slots=True, kw_only=True)
class Remains:
    """What a round of deletion has left."""

    counts: dict[str, int] = field(default_factory=dict)
    """How many objects, by resource as messages name it."""
    finalizers: Counter[str] = field(default_factory=Counter)
    pods_end: bool = False
    """Pods remain, and all that is left to do about them is to wait."""
    discovery_error: str = ""
    deletion_errors: list[str] = field(default_factory=list)

    @property
    def done(self) -> bool:
        return not self.counts and not self.discovery_error and not self.deletion_errors


def conditions(before: Sequence[Object], remains: Remains, now: datetime) -> list[Object]:
    """Return the namespace's conditions after a round of deletion."""
    wanted = [
        _condition(
            "NamespaceDeletionDiscoveryFailure",
            remains.discovery_error,
            "DiscoveryFailed",
            "ResourcesDiscovered",
            "All resources successfully discovered",
        ),
        _condition(
            "NamespaceDeletionGroupVersionParsingFailure",
            "",
            "GroupVersionParsingFailed",
            "ParsedGroupVersions",
            "All legacy kube types successfully parsed",
        ),
        _condition(
            "NamespaceDeletionContentFailure",
            ", ".join(sorted(remains.deletion_errors)),
            "ContentDeletionFailed",
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization",
            prefix=f"Failed to delete all resource types, {len(remains.deletion_errors)} remaining: ",
        ),
        _condition(
            "NamespaceContentRemaining",
            ", ".join(f"{name} has {n} resource instances" for name, n in sorted(remains.counts.items())),
            "SomeResourcesRemain",
            "ContentRemoved",
            "All content successfully removed",
            prefix="Some resources are remaining: ",
        ),
        _condition(
            "NamespaceFinalizersRemaining",
            ", ".join(f"{name} in {n} resource instances" for name, n in sorted(remains.finalizers.items())),
            "SomeFinalizersRemain",
            "ContentHasNoFinalizers",
            "All content-preserving finalizers finished",
            prefix="Some content in the namespace has finalizers remaining: ",
        ),
    ]
    result = list(before)
    for condition in wanted:
        result = meta.set_condition(result, condition, now)
    return result


def _condition(type: str, trouble: str, bad: str, good: str, fine: str, *, prefix: str = "") -> Object:
    if trouble:
        return {"type": type, "status": "True", "reason": bad, "message": prefix + trouble}
    return {"type": type, "status": "False", "reason": good, "message": fine}


async def _delete_content(context: Context, namespace: str) -> Remains:
    remains = Remains()
    try:
        found = await discover_all(context.client)
    except ApiError as error:
        remains.discovery_error = error.message
        return remains
    if found.unknown:  # what is known goes; the namespace stays until the rest can be
        failed = ", ".join(sorted(f"{gv}: stale GroupVersion discovery: {gv}" for gv in found.unknown))
        remains.discovery_error = (
            f"Discovery failed for some groups, {len(found.unknown)} failing: "
            f"unable to retrieve the complete list of server APIs: {failed}"
        )
    deletable = [r for r in found.resources if r.namespaced and {"delete", "list"} <= set(r.verbs)]
    client = MetadataClient(context.client)
    gate = asyncio.Semaphore(PARALLEL_MAX)

    async def delete(resource: Resource) -> None:
        async with gate:
            await _delete_resource(context, client, resource, namespace, remains, ends_later(resource))

    def ends_later(resource: Resource) -> bool:
        return resource in pods and _may_take_time(context, namespace)

    pods = [r for r in deletable if r.group_plural == PODS.group_plural]
    for resource in pods:
        await delete(resource)
    if remains.counts or remains.deletion_errors:
        remains.pods_end = not remains.deletion_errors
        return remains  # the rest outlives the pods
    async with asyncio.TaskGroup() as group:
        for resource in deletable:
            if resource not in pods:
                group.create_task(delete(resource))
    return remains


async def _delete_resource(
    context: Context,
    client: MetadataClient,
    resource: Resource,
    namespace: str,
    remains: Remains,
    ends_later: bool,
) -> None:
    """Delete all objects of one resource and note what is left. With `ends_later` that is no surprise."""
    try:
        items = (await client.list(resource, namespace)).get("items") or []
        staying = [item for item in items if not meta.deleting(item)]
        if staying:
            await _delete_items(context, resource, namespace, staying)
            items = (await client.list(resource, namespace)).get("items") or []
    except (NotFound, MethodNotAllowed):
        return  # served no more, or listed but not deletable
    except ApiError as error:
        remains.deletion_errors.append(error.message)
        return
    if items:
        remains.counts[f"{resource.plural}.{resource.group}"] = len(items)
        for item in items:
            remains.finalizers.update(meta.finalizers(item))
        if not ends_later and not any(meta.finalizers(item) for item in items):
            remains.deletion_errors.append(
                f"unexpected items still remain in namespace: {namespace} for gvr: "
                f"{resource.group}/{resource.version}, Resource={resource.plural}"
            )


def _may_take_time(context: Context, namespace: str) -> bool:
    """Tell whether some pod may still be within the time that it has to end."""
    pods = [pod for pod in context.caches[PODS].list(namespace) if not podlib.is_finished(pod)]
    grace_s = max(
        (int(meta.dig(p, "spec", "terminationGracePeriodSeconds", default=0)) for p in pods), default=0
    )
    since = meta.metadata(context.caches[NAMESPACES].get(namespace) or {}).get("deletionTimestamp")
    if not since:
        return False
    return (context.clock.now() - parse_rfc3339(since)).total_seconds() < grace_s


async def _delete_items(
    context: Context, resource: Resource, namespace: str, items: Sequence[Object]
) -> None:
    if "deletecollection" in resource.verbs:
        try:
            await context.client.delete_collection(resource, namespace, propagation="Background")
            return
        except (NotFound, MethodNotAllowed):
            pass
    for item in items:
        try:
            await context.client.delete(resource, meta.name(item), namespace, propagation="Background")
        except NotFound:
            continue


async def _reconcile(context: Context, key: str) -> float | None:
    cached = context.caches[NAMESPACES].get(key)
    if cached is None or not meta.deleting(cached):
        return None
    try:
        namespace = await context.client.get(NAMESPACES, key)
    except NotFound:
        return None
    if not meta.deleting(namespace) or meta.uid(namespace) != meta.uid(cached):
        return None
    if (namespace.get("status") or {}).get("phase") != "Terminating":
        new = meta.copy_path(namespace, "status")
        new["status"]["phase"] = "Terminating"
        namespace = await context.client.update(NAMESPACES, new, subresource="status")
    finalizers = (namespace.get("spec") or {}).get("finalizers") or []
    if not finalizers:
        return None
    remains = await _delete_content(context, key)
    before = (namespace.get("status") or {}).get("conditions") or []
    after = conditions(before, remains, context.clock.now())
    stays = not remains.done or bool(set(finalizers) - {FINALIZER} or meta.finalizers(namespace))
    if after != before and stays:
        new = meta.copy_path(namespace, "status")
        new["status"]["conditions"] = after
        namespace = await context.client.update(NAMESPACES, new, subresource="status")
    if remains.done:
        if FINALIZER in finalizers:
            new = meta.copy_path(namespace, "spec")
            new["spec"]["finalizers"] = [name for name in finalizers if name != FINALIZER]
            await context.client.update(NAMESPACES, new, subresource="finalize")
        return None
    return PODS_LOOK_AGAIN_S if remains.pods_end else look_again_s(namespace, context.clock.now())


def look_again_s(namespace: Object, now: datetime) -> float:
    """Return when to look again at what is held by finalizers: soon at first, more seldom the longer it
    takes."""
    since = meta.metadata(namespace).get("deletionTimestamp")
    if not since:
        return LOOK_AGAIN_S_MIN
    age_s = (now - parse_rfc3339(since)).total_seconds()
    return min(LOOK_AGAIN_S_MAX, max(LOOK_AGAIN_S_MIN, age_s / 4))


def _keys_of_namespace(delta: Delta, _caches: Caches) -> Iterable[str]:
    """A namespace whose deletion begins, or goes on because a finalizer has gone. What this controller itself
    says in its conditions is no reason to look again."""
    old, new = delta.old, delta.new
    if new is None or not meta.deleting(new):
        return ()
    if old is not None and meta.deleting(old) and old.get("spec") == new.get("spec"):
        return ()
    return (meta.key(new),)


def _keys_of_pod(delta: Delta, caches: Caches) -> Iterable[str]:
    """The last pod that goes from a namespace being deleted lets its deletion go on."""
    if delta.new is not None:
        return ()
    name = meta.namespace(delta.object)
    namespace = caches[NAMESPACES].get(name)
    if namespace is None or not meta.deleting(namespace) or caches[PODS].count(name):
        return ()
    return (name,)


NAMESPACE = Controller(
    name="namespace-controller",
    watches=(
        Watch(resource=NAMESPACES, keys_of=_keys_of_namespace),
        Watch(resource=PODS, keys_of=_keys_of_pod),
    ),
    reconcile=_reconcile,
    workers=4,
)
