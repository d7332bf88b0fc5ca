"""A PodGroup stays until none of its pods is active any more.

Its finalizer is put on by admission. Upstream: pkg/controller/scheduling/podgroupprotection.
"""

from __future__ import annotations

from collections.abc import Iterable

from podium.controllers.common import pods as podlib
from podium.machinery import meta
from podium.machinery.errors import NotFound, Object
from podium.resources.core.pods import PODS
from podium.resources.scheduling.podgroups import PODGROUPS
from podium.runtime.controller import Caches, Context, Controller, Watch
from podium.runtime.informer import Delta

FINALIZER = "scheduling.k8s.io/podgroup-protection"
_ACTIVE = "active pod of group"


def groups_of(pod: Object) -> list[str]:
    """Return the key of the group that a pod belongs to, if it does."""
    name = meta.dig(pod, "spec", "schedulingGroup", "podGroupName")
    return [f"{meta.namespace(pod)}/{name}"] if name else []


def _active_in(pod: Object) -> list[str]:
    return [] if podlib.is_finished(pod) else groups_of(pod)


def _is_held(group: Object) -> bool:
    return meta.deleting(group) and FINALIZER in meta.finalizers(group)


async def _reconcile(context: Context, key: str) -> float | None:
    group = context.caches[PODGROUPS].get(key)
    if group is None or not _is_held(group) or context.caches[PODS].by_index(_ACTIVE, key):
        return None
    rest = [name for name in meta.finalizers(group) if name != FINALIZER]
    try:
        await context.client.update(
            PODGROUPS, {**group, "metadata": {**group["metadata"], "finalizers": rest}}
        )
    except NotFound:
        return None
    return None


def _keys_of_group(delta: Delta, _caches: Caches) -> Iterable[str]:
    return (meta.key(delta.new),) if delta.new is not None and _is_held(delta.new) else ()


def _keys_of_pod(delta: Delta, _caches: Caches) -> Iterable[str]:
    """A pod that is over: gone, or finished."""
    return groups_of(delta.object) if delta.new is None or podlib.is_finished(delta.new) else ()


PODGROUP_PROTECTION = Controller(
    name="podgroup-protection-controller",
    watches=(
        Watch(resource=PODGROUPS, keys_of=_keys_of_group),
        Watch(resource=PODS, keys_of=_keys_of_pod, indexes={_ACTIVE: _active_in}),
    ),
    reconcile=_reconcile,
    workers=1,
)
