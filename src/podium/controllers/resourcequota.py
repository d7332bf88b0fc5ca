"""Resource quotas: what a namespace uses, counted anew whenever it may have changed.

The API server refuses what a quota does not allow by counting for itself (admission/resource_quota); the
status is what it may trust as limits, and what users read. Pods, services and claims (of storage, of devices)
are followed whole, because they use more than one of themselves; everything else, custom resources included,
by its metadata, and only once a quota counts it. What comes to be served, or is served no more, is noticed.
Upstream: pkg/controller/resourcequota.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime

from podium.base.clock import Clock
from podium.base.log import Log
from podium.client.client import Client
from podium.machinery import meta
from podium.machinery.amounts import add
from podium.machinery.errors import ApiError, Object
from podium.machinery.quantity import ZERO, canonical
from podium.machinery.resource import Resource
from podium.resources.apiextensions.customresourcedefinitions import CUSTOMRESOURCEDEFINITIONS
from podium.resources.apiregistration.apiservices import APISERVICES
from podium.resources.core.persistentvolumeclaims import PERSISTENTVOLUMECLAIMS
from podium.resources.core.pods import PODS
from podium.resources.core.quota_usage import (
    COMPUTE,
    DEVICES,
    PLAIN_COUNTS,
    Usage,
    attributes_classes,
    matches_scopes,
    overdue_s,
    usage_of,
)
from podium.resources.core.resourcequotas import RESOURCEQUOTAS
from podium.resources.core.services import SERVICES
from podium.resources.resource.resourceclaims import RESOURCECLAIMS
from podium.runtime.controller import Caches, Context, Controller, ControllerRun, Environment, Watch
from podium.runtime.discovery import changes_what_is_served, discover
from podium.runtime.informer import Delta, Informer
from podium.runtime.metadata import MetadataClient

NAME = "resourcequota-controller"
REDISCOVERY_DELAY_S = 1.0
"""Until the API server serves what has just been defined, and others like it have come too."""
PAUSE_S = 0.25
"""A quota whose namespace is changing all the time is written this often, not at every change."""
_FOLLOWED = (PODS, SERVICES, PERSISTENTVOLUMECLAIMS, RESOURCECLAIMS)
_PREFIX = "count/"

_log = Log("podium.quota")

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
    if name.endswith(DEVICES):
        return RESOURCECLAIMS.group_plural
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
        same = same and attributes_classes(delta.old) == attributes_classes(delta.new)
        return () if same and delta.old.get("spec") == delta.new.get("spec") else quotas

    return keys


def _keys_of_quota(delta: Delta, _caches: Caches) -> Iterable[str]:
    if delta.old is not None and delta.new is not None and delta.old.get("spec") == delta.new.get("spec"):
        return ()  # our own status
    return (meta.key(delta.object),)


class _Counted:
    """The metadata caches of what quotas count, each begun when the first quota names its resource."""

    def __init__(self, client: Client, clock: Clock, group: asyncio.TaskGroup) -> None:
        self._client = client
        self._metadata = MetadataClient(client)
        self._clock = clock
        self._group = group
        self._served: Mapping[str, Resource] = {}
        self._followed: dict[str, tuple[Informer, asyncio.Task[None]]] = {}

    async def informer(self, group_plural: str, subscribe: Callable[[Delta], None]) -> Informer | None:
        """Return the filled cache of a resource; None when it is not served."""
        if not self._served:
            await self.rediscover()
        resource = self._served.get(group_plural)
        if resource is None or not resource.namespaced or "list" not in resource.verbs:
            return None
        if group_plural not in self._followed:
            informer = Informer(self._metadata, resource, clock=self._clock)
            informer.subscribe(subscribe)
            task = self._group.create_task(informer.run(), name=f"quotas of {group_plural}")
            self._followed[group_plural] = (informer, task)
        informer, task = self._followed[group_plural]
        filled = asyncio.ensure_future(informer.wait_synced())
        try:
            await asyncio.wait((filled, task), return_when=asyncio.FIRST_COMPLETED)
        finally:
            filled.cancel()
        return informer if informer.synced else None

    @property
    def asked(self) -> bool:
        """Some quota has counted what is found by discovery."""
        return bool(self._served)

    async def rediscover(self) -> None:
        """Take over what is served now; what is not any more is followed no longer. Raises ApiError."""
        found = await discover(self._client)
        self._served = {resource.group_plural: resource for resource in found}
        for name in [name for name in self._followed if name not in self._served]:
            _, task = self._followed.pop(name)
            task.cancel()


def resourcequota(counted: _Counted) -> Controller:
    """Return the controller that counts."""
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
        again_s: float | None = None
        for name in meta.dig(quota, "spec", "hard", default={}):
            group_plural = counted_resource(name)
            if group_plural is None or group_plural in objects:
                continue
            watched = next((r for r in _FOLLOWED if r.group_plural == group_plural), None)
            if watched is not None:
                objects[group_plural] = context.caches[watched].list(namespace)
                if watched is PODS:
                    objects["pods"], again_s = _not_overdue(objects["pods"], context.clock.now())
                continue
            informer = await counted.informer(group_plural, changed)
            if informer is not None:
                objects[group_plural] = informer.list(namespace)
        status = plan(quota, objects)
        if status != quota.get("status"):
            written_at_s[key] = context.clock.monotonic_s()
            await context.client.update(RESOURCEQUOTAS, {**quota, "status": status}, subresource="status")
        return again_s

    return Controller(
        name=NAME,
        watches=(
            Watch(resource=RESOURCEQUOTAS, keys_of=_keys_of_quota),
            *(Watch(resource=r, keys_of=_keys_of(r.group_plural)) for r in _FOLLOWED),
        ),
        reconcile=reconcile,
    )


def _not_overdue(pods: Iterable[Object], now: datetime) -> tuple[list[Object], float | None]:
    """Return the pods that count, and in how many seconds the next of them will not."""
    counted, ends = [], []
    for pod in pods:
        late_s = overdue_s(pod, now)
        if late_s is None or late_s <= 0:
            counted.append(pod)
            if late_s is not None:
                ends.append(max(-late_s, PAUSE_S))
    return counted, min(ends, default=None)


class ResourceQuotaController:
    """The controller with the metadata caches that it needs."""

    name = NAME

    async def run(self, environment: Environment) -> None:
        """Run until cancelled."""
        client = environment.client_of(NAME)
        served_changed = asyncio.Event()

        def on_change(delta: Delta) -> None:
            if changes_what_is_served(delta):
                served_changed.set()

        for resource in (CUSTOMRESOURCEDEFINITIONS, APISERVICES):
            environment.informers.get(resource).subscribe(on_change)
        async with asyncio.TaskGroup() as group:
            counted = _Counted(client, environment.clock, group)
            run = ControllerRun(resourcequota(counted), environment)
            group.create_task(run.run())
            while True:
                await served_changed.wait()
                await environment.clock.sleep(REDISCOVERY_DELAY_S)
                served_changed.clear()
                if not counted.asked:
                    continue
                try:
                    await counted.rediscover()
                except (ApiError, ConnectionError, TimeoutError, OSError) as error:
                    _log.warning("discovery failed", error=repr(error))
                    served_changed.set()
                    continue
                for quota in environment.informers.get(RESOURCEQUOTAS).list():
                    run.queue.add(meta.key(quota))


RESOURCEQUOTA = ResourceQuotaController()
