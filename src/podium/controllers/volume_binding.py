"""The volume binder: claims get volumes, volumes lose claims. What it decides is in volume_binding_plan.py.

One worker looks at claims and volumes one after the other: two looks at once could give one volume to two
claims. Keys with a namespace are claims, keys without are volumes. Making, deleting and cleaning volumes
takes its time, and is done beside it (volume_provisioning.py, volume_reclaim.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from podium.controllers.common import pods as podlib
from podium.controllers.common.by_key import ByKey
from podium.controllers.figures import VolumeMetrics
from podium.controllers.volume_binding_plan import Plan, Said, Surroundings, plan_claim, plan_volume
from podium.controllers.volume_protection import claims_of_pod
from podium.controllers.volume_provisioning import Provisioner, provisioning
from podium.controllers.volume_reclaim import BY_CLAIM, claim_keys, reclaiming
from podium.machinery import meta
from podium.machinery.errors import NotFound, Object
from podium.machinery.resource import Resource
from podium.resources.core.persistentvolumeclaims import PERSISTENTVOLUMECLAIMS
from podium.resources.core.persistentvolumes import PERSISTENTVOLUMES, storage_class
from podium.resources.core.pods import PODS
from podium.resources.core.volume_binding import (
    BIND_COMPLETED,
    annotated,
    claim_of,
    has_class,
    key_of_claim,
    phase_of,
)
from podium.resources.storage.storageclasses import STORAGECLASSES, is_default
from podium.runtime.controller import Caches, Context, Controller, ControllerRun, Environment, Watch
from podium.runtime.informer import Delta

NAME = "persistentvolume-binder-controller"
COMPONENT = "persistentvolume-controller"
SERVICE_ACCOUNT = "persistent-volume-binder"
SAY_AGAIN_S = 15.0
"""How often a claim that waits says what for: upstream's --pvclaimbinder-sync-period."""
BY_VOLUME = "volume"
BY_CLASS = "unbound of class"
"""Of claims as of volumes: those that wait for the other half."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeBinder:
    """The binder, and what is done beside it."""

    name: str = NAME
    provisioners: Sequence[Provisioner] = ()
    dynamic_provisioning: bool = True

    async def run(self, environment: Environment) -> None:
        """Run until cancelled."""
        parts = (self.binder(), *self._beside())
        runs = [ControllerRun(part, environment) for part in parts]
        async with asyncio.TaskGroup() as group:
            for run in runs:
                group.create_task(run.run())

    def binder(self) -> Controller:
        """Return the part that binds."""

        async def reconcile(context: Context, key: str) -> float | None:
            if "/" in key:
                return await self._reconcile_claim(context, key)
            return await self._reconcile_volume(context, key)

        return Controller(
            name=NAME,
            component=COMPONENT,
            service_account=SERVICE_ACCOUNT,
            workers=1,
            watches=(
                Watch(
                    resource=PERSISTENTVOLUMECLAIMS,
                    keys_of=_keys_of_claim,
                    indexes={BY_VOLUME: _named_volume, BY_CLASS: _class_of_unbound},
                ),
                Watch(
                    resource=PERSISTENTVOLUMES,
                    keys_of=_keys_of_volume,
                    indexes={BY_CLAIM: claim_keys, BY_CLASS: _class_of_free},
                ),
                Watch(resource=STORAGECLASSES, keys_of=_keys_of_class),
                Watch(resource=PODS, keys_of=_keys_of_pod, indexes={BY_CLAIM: claims_of_pod}),
            ),
            reconcile=reconcile,
            on_start=lambda context: context.metrics.of(VolumeMetrics).follow(context),
        )

    def _beside(self) -> Iterable[Controller]:
        yield reclaiming(self.provisioners, COMPONENT, SERVICE_ACCOUNT)
        if self.provisioners and self.dynamic_provisioning:
            yield provisioning(self.provisioners, COMPONENT, SERVICE_ACCOUNT)

    async def _reconcile_claim(self, context: Context, key: str) -> float | None:
        claim = context.caches[PERSISTENTVOLUMECLAIMS].get(key)
        if claim is None:
            return None
        pods = context.caches[PODS].by_index(BY_CLAIM, key)
        cache = context.caches[PERSISTENTVOLUMES]
        reserved = cache.by_index(BY_CLAIM, key)
        around = Surroundings(
            volumes=ByKey(cache),
            candidates=[*reserved, *cache.by_index(BY_CLASS, storage_class(claim))],
            classes=ByKey(context.caches[STORAGECLASSES]),
            waiting_pods=sorted(meta.name(pod) for pod in pods if _waits(pod)),
            provisioners=self._names(),
            provisioning=self.dynamic_provisioning,
        )
        plan = plan_claim(claim, around)
        volume = around.volumes.get(meta.name(plan.volume)) if plan.volume is not None else None
        await _perform(context, plan, volume, claim)
        return SAY_AGAIN_S if plan.again else None

    async def _reconcile_volume(self, context: Context, key: str) -> float | None:
        volume = context.caches[PERSISTENTVOLUMES].get(key)
        if volume is not None:
            claim = await _claim_of(context, volume)
            await _perform(context, plan_volume(volume, claim, self._names()), volume, claim)
        return None

    def _names(self) -> list[str]:
        return [provisioner.name for provisioner in self.provisioners]


def _waits(pod: Object) -> bool:
    return not podlib.is_finished(pod) and not podlib.node_name(pod)


async def _claim_of(context: Context, volume: Object) -> Object | None:
    """Return the very claim that a volume refers to, None when there is no such claim any more.

    A volume may be here before its claim is, so the server is asked before a claim counts as gone.
    """
    reference = claim_of(volume)
    if reference is None or not reference.get("uid"):
        return None
    claim = context.caches[PERSISTENTVOLUMECLAIMS].get(key_of_claim(volume))
    if claim is not None and meta.uid(claim) == reference["uid"]:
        return claim
    if claim is None and phase_of(volume) in ("Released", "Failed"):
        return None
    try:
        claim = await context.client.get(
            PERSISTENTVOLUMECLAIMS, reference.get("name") or "", reference.get("namespace")
        )
    except NotFound:
        return None
    return claim if meta.uid(claim) == reference["uid"] else None


async def _perform(context: Context, plan: Plan, volume: Object | None, claim: Object | None) -> None:
    if plan.volume is not None and volume is not None:
        await write(context, PERSISTENTVOLUMES, volume, plan.volume)
    if plan.claim is not None and claim is not None:
        await write(context, PERSISTENTVOLUMECLAIMS, claim, plan.claim)
    tell(context, plan.events)
    if plan.look_at_claim:
        context.queue.add(plan.look_at_claim)


async def write(context: Context, resource: Resource, before: Object, after: Object) -> Object:
    """Write what differs: the object, then its status. Returns the object as it is now."""
    current = before
    if any(before.get(part) != after.get(part) for part in ("metadata", "spec")):
        current = await context.client.update(resource, after)
    if before.get("status") != after.get("status"):
        version = {"resourceVersion": meta.metadata(current)["resourceVersion"]}
        wanted = {**after, "metadata": {**meta.metadata(after), **version}}
        current = await context.client.update(resource, wanted, subresource="status")
    return current


def tell(context: Context, events: Iterable[Said]) -> None:
    for said in events:
        context.recorder.event(said.about, said.type, said.reason, said.message)


# Which changes concern whom


def _class_of_free(volume: Object) -> Iterable[str]:
    free = phase_of(volume) == "Available" and claim_of(volume) is None
    return (storage_class(volume),) if free else ()


def _named_volume(claim: Object) -> Iterable[str]:
    name = meta.dig(claim, "spec", "volumeName")
    return (name,) if name else ()


def _class_of_unbound(claim: Object) -> Iterable[str]:
    unbound = not annotated(claim, BIND_COMPLETED) and not meta.dig(claim, "spec", "volumeName")
    return (storage_class(claim),) if unbound else ()


def _keys_of_claim(delta: Delta, caches: Caches) -> Iterable[str]:
    """The claim; when it has gone or chosen, also the volumes that may have been its."""
    key = meta.key(delta.object)
    if delta.new is not None and delta.old is not None and _named(delta.old) == _named(delta.new):
        return (key,)
    volumes = {meta.name(volume) for volume in caches[PERSISTENTVOLUMES].by_index(BY_CLAIM, key)}
    named = {_named(claim) for claim in (delta.old, delta.new) if claim is not None}
    return (key, *sorted(volumes | (named - {""})))


def _named(claim: Object) -> str:
    return str(meta.dig(claim, "spec", "volumeName") or "")


def _keys_of_volume(delta: Delta, caches: Caches) -> Iterable[str]:
    """The volume, the claims that it is for or that name it, and those that may take it now."""
    volume = delta.object
    claims = caches[PERSISTENTVOLUMECLAIMS]
    keys = {*claim_keys(volume), *(meta.key(c) for c in claims.by_index(BY_VOLUME, meta.name(volume)))}
    if delta.new is not None and phase_of(volume) == "Available" and claim_of(volume) is None:
        keys.update(meta.key(claim) for claim in claims.by_index(BY_CLASS, storage_class(volume)))
    return (meta.name(volume), *sorted(keys))


def _keys_of_class(delta: Delta, caches: Caches) -> Iterable[str]:
    claims = caches[PERSISTENTVOLUMECLAIMS]
    found = claims.by_index(BY_CLASS, meta.name(delta.object))
    if delta.new is not None and is_default(delta.new):
        found = [*found, *(claim for claim in claims.by_index(BY_CLASS, "") if not has_class(claim))]
    return sorted(meta.key(claim) for claim in found)


def _keys_of_pod(delta: Delta, caches: Caches) -> Iterable[str]:
    """The claims of a new pod: they say whom they wait for."""
    if delta.old is not None or delta.new is None or not _waits(delta.new):
        return ()
    claims = caches[PERSISTENTVOLUMECLAIMS]
    return [
        key
        for key in claims_of_pod(delta.new)
        if (claim := claims.get(key)) is not None and not annotated(claim, BIND_COMPLETED)
    ]
