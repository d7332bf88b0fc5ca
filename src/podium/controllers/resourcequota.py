"""Resource quotas: what a namespace uses, counted anew whenever it may have changed.

The API server refuses what a quota does not allow by counting for itself (admission/resource_quota); the
status is what it may trust as limits, and what users read. Pods, services and claims are followed whole,
because they use more than one of themselves; everything else by its metadata, and only once a quota counts
it. Upstream: pkg/controller/resourcequota.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping

from podium.client.client import Client
from podium.machinery import meta
from podium.machinery.amounts import add
from podium.machinery.errors import Object
from podium.machinery.quantity import ZERO, canonical
from podium.machinery.resource import Resource
from podium.resources.core.persistentvolumeclaims import PERSISTENTVOLUMECLAIMS
from podium.resources.core.pods import PODS
from podium.resources.core.quota_usage import COMPUTE, PLAIN_COUNTS, Usage, matches_scopes, usage_of
from podium.resources.core.resourcequotas import RESOURCEQUOTAS
from podium.resources.core.services import SERVICES
from podium.runtime.controller import Caches, Context, Controller, ControllerRun, Environment, Watch
from podium.runtime.discovery import discover
from podium.runtime.informer import Delta, Informer, Informers
from podium.runtime.metadata import MetadataClient

NAME = "resourcequota-controller"
PAUSE_S = 0.25
"""A quota whose namespace is changing all the time is written this often, not at every change."""
_FOLLOWED = (PODS, SERVICES, PERSISTENTVOLUMECLAIMS)
_PREFIX = "count/"

Objects = Mapping[str, Iterable[Object]]
"""The objects of a namespace, by group and plural."""


def counted_resource(name: str) -> str | None:
    """Return whose objects (group and plural) an amount of this name is counted from; None: of nobody known.

    `count/deployments.apps` is deployments.apps, `limits.cpu` and `pods` are pods.
    """
    if name.startswith(_PREFIX):
        return name.removeprefix(_PREFIX)
    if name in PLAIN_COUNTS:
        return name
    if name.startswith("services."):
        return "services"
    if name == "requests.storage" or ".storageclass.storage.k8s.io/" in name:
        return "persistentvolumeclaims"
    if name in ("pods", *COMPUTE) or name.startswith(("requests.", "limits.", "hugepages-")):
        return "pods"
    return None


def plan(quota: Object, objects: Objects) -> Object:
    """Return the quota's status. What is counted from resources that `objects` lacks is left out."""
    hard: Mapping[str, str] = meta.dig(quota, "spec", "hard", default={})
    total: Usage = {}
    for group_plural, found in objects.items():
        for obj in found:
            if matches_scopes(quota, group_plural, obj):
                add(total, usage_of(group_plural, obj))
    used = {name: str(total.get(name, ZERO)) for name in hard if counted_resource(name) in objects}
    return {"hard": {name: canonical(text) for name, text in hard.items()}, "used": used}


def _quotas_of_namespace(delta: Delta, caches: Caches) -> list[str]:
    return [meta.key(quota) for quota in caches[RESOURCEQUOTAS].list(meta.namespace(delta.object))]


def _keys_of(group_plural: str) -> Callable[[Delta, Caches], Iterable[str]]:
    def keys(delta: Delta, caches: Caches) -> Iterable[str]:
        quotas = _quotas_of_namespace(delta, caches)
        if not quotas or delta.old is None or delta.new is None:
            return quotas
        same = usage_of(group_plural, delta.old) == usage_of(group_plural, delta.new)
        return () if same and delta.old.get("spec") == delta.new.get("spec") else quotas

    return keys


def _keys_of_quota(delta: Delta, _caches: Caches) -> Iterable[str]:
    if delta.old is not None and delta.new is not None and delta.old.get("spec") == delta.new.get("spec"):
        return ()  # our own status
    return (meta.key(delta.object),)


class _Counted:
    """The metadata caches of what quotas count, each begun when the first quota names its resource."""

    def __init__(self, client: Client, informers: Informers) -> None:
        self._client = client
        self._informers = informers
        self._served: dict[str, Resource] = {}
        self._followed: dict[str, Informer] = {}

    async def informer(self, group_plural: str, subscribe: Callable[[Delta], None]) -> Informer | None:
        """Return the filled cache of a resource; None when it is not served."""
        known = self._followed.get(group_plural)
        if known is None:
            if group_plural not in self._served:
                found = await discover(self._client)
                self._served = {resource.group_plural: resource for resource in found}
            resource = self._served.get(group_plural)
            if resource is None or not resource.namespaced:
                return None
            known = self._informers.get(resource)
            if group_plural not in self._followed:
                self._followed[group_plural] = known
                known.subscribe(subscribe)
        await known.wait_synced()
        return known


def resourcequota(client: Client, metadata: Informers) -> Controller:
    """Return the controller; `metadata` are informers of metadata that somebody runs."""
    counted = _Counted(client, metadata)
    written_at_s: dict[str, float] = {}

    async def reconcile(context: Context, key: str) -> float | None:
        quota = context.caches[RESOURCEQUOTAS].get(key)
        if quota is None:
            written_at_s.pop(key, None)
            return None
        wait_s = written_at_s.get(key, -PAUSE_S) + PAUSE_S - context.clock.monotonic_s()
        if wait_s > 0 and (quota.get("status") or {}).get("hard") == meta.dig(quota, "spec", "hard"):
            return wait_s

        def changed(delta: Delta) -> None:
            for other in _quotas_of_namespace(delta, context.caches):
                context.queue.add(other)

        objects: dict[str, Iterable[Object]] = {}
        namespace = meta.namespace(quota)
        for name in meta.dig(quota, "spec", "hard", default={}):
            group_plural = counted_resource(name)
            if group_plural is None or group_plural in objects:
                continue
            watched = next((r for r in _FOLLOWED if r.group_plural == group_plural), None)
            if watched is not None:
                objects[group_plural] = context.caches[watched].list(namespace)
                continue
            informer = await counted.informer(group_plural, changed)
            if informer is not None:
                objects[group_plural] = informer.list(namespace)
        status = plan(quota, objects)
        if status != quota.get("status"):
            written_at_s[key] = context.clock.monotonic_s()
            await context.client.update(RESOURCEQUOTAS, {**quota, "status": status}, subresource="status")
        return None

    return Controller(
        name=NAME,
        watches=(
            Watch(resource=RESOURCEQUOTAS, keys_of=_keys_of_quota),
            *(Watch(resource=r, keys_of=_keys_of(r.group_plural)) for r in _FOLLOWED),
        ),
        reconcile=reconcile,
    )


class ResourceQuotaController:
    """The controller with the metadata caches that it needs."""

    name = NAME

    async def run(self, environment: Environment) -> None:
        """Run until cancelled."""
        client = environment.client_of(NAME)
        metadata = Informers(MetadataClient(client), clock=environment.clock)
        async with asyncio.TaskGroup() as group:
            group.create_task(metadata.run())
            group.create_task(ControllerRun(resourcequota(client, metadata), environment).run())


RESOURCEQUOTA = ResourceQuotaController()
