"""The part of volume binding that talks: it follows claims and volumes, and has them bound for a pod.

The scheduler writes its half (the volume's reference to the claim, or the claim's node) and waits for the
controllers to write theirs; only then may the pod be bound.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from podium.base.clock import Clock
from podium.client.client import Client
from podium.machinery import meta
from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources.core.persistentvolumeclaims import PERSISTENTVOLUMECLAIMS
from podium.resources.core.persistentvolumes import PERSISTENTVOLUMES
from podium.resources.core.volume_binding import SELECTED_NODE, claim_of, is_fully_bound
from podium.resources.storage.csidrivers import CSIDRIVERS
from podium.resources.storage.csistoragecapacities import CSISTORAGECAPACITIES
from podium.resources.storage.storageclasses import STORAGECLASSES
from podium.runtime.informer import Delta, Informer
from podium.scheduler.snapshot import Snapshot
from podium.scheduler.volume_choice import Choice, reaches
from podium.scheduler.volumes import Assumable, Volumes

BIND_TIMEOUT_S = 600.0


class BindingFailed(OSError):
    """The volumes cannot be had as it was decided. The message is upstream's."""


class VolumeBinder:
    """Keeps `volumes` as the API has it, and carries choices out."""

    def __init__(
        self, client: Client, volumes: Volumes, snapshot: Snapshot, clock: Clock, changed: Callable[[], None]
    ) -> None:
        """`changed` is told when pods may have become schedulable."""
        self._client = client
        self._volumes = volumes
        self._snapshot = snapshot
        self._clock = clock
        self._changed = changed
        self._halves = (
            self._follow(PERSISTENTVOLUMECLAIMS, self._into(volumes.claims)),
            self._follow(PERSISTENTVOLUMES, self._into(volumes.volumes)),
        )
        self._informers = (
            *self._halves,
            self._follow(STORAGECLASSES, self._into_plain(volumes.classes)),
            self._follow(CSIDRIVERS, self._into_plain(volumes.drivers)),
            self._follow(CSISTORAGECAPACITIES, self._into_plain(volumes.capacities)),
        )

    def _follow(self, resource: Resource, handler: Callable[[Delta], None]) -> Informer:
        informer = Informer(self._client, resource, clock=self._clock)
        informer.subscribe(handler)
        return informer

    def _into(self, table: Assumable) -> Callable[[Delta], None]:
        def handle(delta: Delta) -> None:
            if delta.new is None:
                table.remove(meta.key(delta.object))
            else:
                table.put(delta.new)
                self._changed()

        return handle

    def _into_plain(self, table: dict[str, Object]) -> Callable[[Delta], None]:
        def handle(delta: Delta) -> None:
            if delta.new is None:
                table.pop(meta.key(delta.object), None)
            else:
                table[meta.key(delta.new)] = delta.new
                self._changed()

        return handle

    def start(self, group: asyncio.TaskGroup) -> None:
        for informer in self._informers:
            group.create_task(informer.run())

    async def wait_synced(self) -> None:
        for informer in self._informers:
            await informer.wait_synced()

    # One pod

    def assume(self, choice: Choice) -> None:
        """Let a choice count from now on."""
        for volume, _ in choice.volumes:
            self._volumes.volumes.assume(volume)
        for claim in choice.claims:
            self._volumes.claims.assume(claim)

    def forget(self, choice: Choice) -> None:
        """Take a choice back; what has been written of it stands, until the next try."""
        for volume, _ in choice.volumes:
            self._volumes.volumes.restore(meta.key(volume))
        for claim in choice.claims:
            self._volumes.claims.restore(meta.key(claim))
        self._changed()

    async def write(self, choice: Choice) -> Choice:
        """Write the scheduler's half of each binding; return it as written. Raises ApiError."""
        volumes = [
            (await self._client.update(PERSISTENTVOLUMES, volume), claim) for volume, claim in choice.volumes
        ]
        claims = [await self._client.update(PERSISTENTVOLUMECLAIMS, claim) for claim in choice.claims]
        return Choice(volumes=tuple(volumes), claims=tuple(claims))

    async def wait_bound(self, node_name: str, written: Choice, gone: Awaitable[None]) -> None:
        """Return when all claims are bound, or the pod is `gone`. Raises `BindingFailed`."""
        problem = ""

        def settled() -> bool:
            nonlocal problem
            try:
                return self._all_bound(written, node_name)
            except BindingFailed as error:
                problem = str(error)
                return True

        late = asyncio.ensure_future(self._clock.sleep(BIND_TIMEOUT_S))
        waits = [late, asyncio.ensure_future(gone)]
        waits += [asyncio.ensure_future(informer.wait_until(settled)) for informer in self._halves]
        try:
            done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()
        if problem:
            raise BindingFailed(f"binding volumes: {problem}")
        if done == {late}:
            raise BindingFailed("binding volumes: context deadline exceeded")

    def _all_bound(self, written: Choice, node_name: str) -> bool:
        bound = True
        for volume, claim in written.volumes:
            name = meta.name(volume)
            seen = self._volumes.volumes.known(name)
            if seen is None:
                raise BindingFailed(f'failed to check binding: could not find v1.PersistentVolume "{name}"')
            if meta.resource_version(seen) < meta.resource_version(volume):
                bound = False
                continue
            if not (claim_of(seen) or {}).get("uid"):
                raise BindingFailed(f'ClaimRef got reset for pv "{name}"')
            self._check_reached(seen, node_name)
            bound &= is_fully_bound(self._claim(claim))
        for claim in written.claims:
            now = self._claim(claim)
            if meta.resource_version(now) < meta.resource_version(claim):
                bound = False
                continue
            selected = meta.annotations(now).get(SELECTED_NODE)
            if not meta.annotations(now):
                raise BindingFailed(f'selectedNode annotation reset for PVC "{meta.name(now)}"')
            if selected != node_name:
                raise BindingFailed(f'provisioning failed for PVC "{meta.name(now)}"')
            made = self._volumes.volumes.known(meta.dig(now, "spec", "volumeName") or "")
            if made is None:
                bound = False
                continue
            self._check_reached(made, node_name)
            bound &= is_fully_bound(now)
        return bound

    def _claim(self, claim: Object) -> Object:
        found = self._volumes.claims.known(meta.key(claim))
        if found is None:
            text = f'failed to check binding: could not find v1.PersistentVolumeClaim "{meta.key(claim)}"'
            raise BindingFailed(text)
        return found

    def _check_reached(self, volume: Object, node_name: str) -> None:
        rows, row = reaches(volume, self._snapshot), self._snapshot.row(node_name)
        if rows is not None and (row is None or not rows[row]):
            raise BindingFailed(
                f'pv "{meta.name(volume)}" node affinity doesn\'t match node "{node_name}": no matching '
                "NodeSelectorTerms"
            )
