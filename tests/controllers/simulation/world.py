"""The world of a simulation: what one subclasses to simulate a controller, and the life it leads.

A life: `begin`; then some steps in each of which a user may give a `command` and something may go wrong,
with random pauses, while controllers, kubelets and the garbage collector work; then everything is well
again, and the world must come to rest (nobody writes any more), agree with `check_rest`, and stay at rest.
"""

from __future__ import annotations

import asyncio
import logging
import random
import traceback
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from typing import ClassVar

from podium.machinery import meta
from podium.machinery.errors import ApiError, Object
from podium.machinery.resource import Resource
from podium.resources.core.pods import PODS
from podium.runtime.controller import Context, Controller, Failed, Reconcile, Watch
from tests.controllers.builders import running
from tests.controllers.simulation.api import SimulatedApi
from tests.controllers.simulation.loop import run
from tests.controllers.simulation.seeds import ONE_VARIABLE
from tests.controllers.simulation.surroundings import GarbageCollector, Kubelets
from tests.controllers.simulation.troubles import Troubles

EXPECTED_FAILURES = (ApiError, Failed, ConnectionError, TimeoutError, OSError)
"""What a reconcile may raise; anything else is a bug of the controller."""
REST_S_MAX = 20_000.0
IDLE_S = 3600.0
STOP_S_MAX = 60.0
"""Controllers that are told to stop write nothing more, and have ended by then."""
TURNS_TO_HEAR = 10
"""Of the loop, until all their tasks have been told; what arrives at the API meanwhile was sent before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """One write of a controller, just done."""

    verb: str
    """create, update, patch, delete"""
    resource: Resource
    obj: Object
    """What is stored now; after a delete what was there."""


class World:
    """One cluster. The attributes in capitals may be changed by subclasses."""

    STEPS: ClassVar[int] = 20
    COMMANDS: ClassVar[float] = 0.3
    """How likely a step begins with a command."""
    PAUSES_S: ClassVar[Sequence[float]] = (0, 0.05, 1, 5, 30)
    NODES: ClassVar[Sequence[str]] = ("n1", "n2", "n3")
    QUIET_S: ClassVar[float] = 100.0
    """A world in which nothing is written for so long is at rest."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.api = SimulatedApi(self.random)
        self.api.on_write = self._wrote
        self.trouble = self.random.random() < 0.75
        """Whether programs and the network fail in this life."""
        self.pods_fail = self.trouble and self.random.random() < 0.5
        """Whether pods fail too: then availability is not in the controllers' hands alone."""
        self.violations: list[str] = []
        self.restarts = 0
        self.calm = False
        """The steps are over: nothing goes wrong any more."""
        self.kubelets = Kubelets(self.api, self.place, self.outcome)
        self.garbage = GarbageCollector(self.api)
        self.troubles = Troubles(self.api, lambda: self._watched, self.restart)
        self._watched: list[Resource] = []
        self._knew: dict[tuple[str, str], dict[str, int]] = {}
        self._looked_at: dict[tuple[str, str], datetime] = {}
        self._stopped = asyncio.Event()

    # What a simulation fills in

    def controllers(self) -> Sequence[Controller]:
        """Return the controllers, made anew: state that a restart loses must be lost."""
        raise NotImplementedError

    def begin(self) -> None:
        """Make the first objects, with `self.api.put`."""
        raise NotImplementedError

    def command(self) -> None:
        """Do one random thing that a user might do, with `self.random` and `self.api.change` and others."""
        raise NotImplementedError

    def check_write(self, write: Write) -> None:
        """Look, with `require`, whether the world is as it must always be. Called at each write of a
        controller, when it is done and before anybody else acts."""

    def finish(self) -> None:
        """Give the last commands, those without which the world would not come to rest (resume, scale)."""

    def check_rest(self) -> None:
        """Assert that the world at rest agrees with the last commands."""

    async def epilogue(self) -> None:
        """What comes after all this: a deletion, say, that leaves nothing to check the rest of."""

    def place(self, pod: Object) -> str | None:
        """Return the node for a new pod; None: it waits."""
        return self.random.choice(self.NODES)

    def outcome(self, pod: Object) -> Object | None:
        """Return the status with which a ready pod ends, or None while it goes on (as services do)."""
        return None

    # For use in these

    def require(self, holds: bool, message: str) -> None:
        """Note a violated invariant. (An exception would look like a failed write to the controller.)"""
        if not holds:
            self.violations.append(f"at {self.api.stamp()}: {message}")

    def knew(self, controller: str, key: str, resource: Resource) -> int:
        """Return the revision of the cache of `resource` when `controller` last began to look at `key`."""
        return self._knew.get((controller, key), {}).get(resource.group_plural, 0)

    def looked_at(self, controller: str, key: str) -> datetime:
        """Return when that was."""
        return self._looked_at[controller, key]

    def known(self, controller: str, key: str, resource: Resource, obj: Object) -> Object:
        """Return `obj` as the cache showed it then."""
        known_at = self.knew(controller, key, resource)
        return self.api.versions(resource, meta.uid(obj), known_at=known_at)[0]

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    # The life

    async def live(self) -> None:
        """Live one life. Raises AssertionError when it goes wrong."""
        self.begin()
        tasks = [asyncio.create_task(self._keep_running()), asyncio.create_task(self._surroundings())]
        try:
            await asyncio.sleep(0)
            for _ in range(self.STEPS):
                self._step()
                await asyncio.sleep(self.random.choice(self.PAUSES_S))
                self._assert_no_violation()
            self.calm = True
            self.troubles.heal()
            self.finish()
            await self.come_to_rest()
            self._assert_no_violation()
            self.check_rest()
            self._check_no_orphans()
            await self.stay_at_rest()
            await self.epilogue()
            self._assert_no_violation()
        finally:
            for task in tasks:
                task.cancel()
            for result in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(result, Exception):
                    raise result

    def _step(self) -> None:
        if self.chance(self.COMMANDS):
            self.command()
        if self.trouble and self.chance(0.5):
            self.troubles.something(with_pods=self.pods_fail)

    async def come_to_rest(self) -> None:
        """Return when nobody has written anything for a while."""
        waited_s = 0.0
        before = -1
        while before != self.api.revision:
            before = self.api.revision
            await asyncio.sleep(self.QUIET_S)
            self._assert_no_violation()
            waited_s += self.QUIET_S
            assert waited_s < REST_S_MAX, "the world does not come to rest"

    async def stay_at_rest(self) -> None:
        """A world at rest is left alone: not even a write that changes nothing."""
        before = list(self.api.writes)
        await asyncio.sleep(IDLE_S)
        assert self.api.writes == before, f"written at rest: {self.api.writes[len(before) :][:5]}"

    def _assert_no_violation(self) -> None:
        assert not self.violations, "\n".join(self.violations[:5])

    def _check_no_orphans(self) -> None:
        alive = {meta.uid(obj) for table in self.api.objects.values() for obj in table.values()}
        for pod in self.api.all(PODS):
            reference = meta.controller_ref(pod)
            assert reference is None or reference["uid"] in alive, (
                f"{meta.key(pod)} is left without its owner"
            )

    # Those who work meanwhile

    def restart(self) -> None:
        """Stop the controllers where they are; others are started a little later."""
        self.restarts += 1
        self._stopped.set()

    async def _keep_running(self) -> None:
        while True:
            controllers = [self._followed(controller) for controller in self.controllers()]
            resources = [watch.resource for controller in controllers for watch in controller.watches]
            self._watched = list({resource.group_plural: resource for resource in resources}.values())
            for resource in self._watched:
                self.garbage.knows(resource)
            self._stopped.clear()
            async with AsyncExitStack() as stack:
                await stack.enter_async_context(running(self.api, controllers))
                await self._stopped.wait()
                await self._stop(stack)
            await asyncio.sleep(0 if self.calm else self.random.choice((0, 1, 20)))

    async def _stop(self, stack: AsyncExitStack) -> None:
        stopping = asyncio.ensure_future(stack.aclose())
        for _ in range(TURNS_TO_HEAR):
            await asyncio.sleep(0)
        before = len(self.api.writes)
        try:
            async with asyncio.timeout(STOP_S_MAX):
                await stopping
        except TimeoutError:
            self.require(False, "the controllers do not stop")
            raise
        sent = self.api.writes[before:]
        self.require(not sent, f"written by controllers that were told to stop: {sent[:3]}")

    def _followed(self, controller: Controller) -> Controller:
        """Return `controller` with an ear on what it knows, and with nothing left to the order of sets."""
        return replace(
            controller,
            reconcile=self._reconcile(controller),
            watches=tuple(_in_order(watch) for watch in controller.watches),
        )

    def _reconcile(self, controller: Controller) -> Reconcile:
        async def reconcile(context: Context, key: str) -> float | None:
            self._knew[controller.name, key] = {
                watch.resource.group_plural: context.caches[watch.resource].version
                for watch in controller.watches
            }
            self._looked_at[controller.name, key] = self.api.clock.now()
            try:
                return await controller.reconcile(context, key)
            except EXPECTED_FAILURES:
                raise
            except Exception:
                self.require(False, f"{controller.name} crashed: {traceback.format_exc()}")
                raise

        return reconcile

    async def _surroundings(self) -> None:
        pause_s = 1.0
        while True:
            before = self.api.revision
            self.kubelets.work(1.0 if self.calm else 0.4)
            if self.calm or self.chance(0.4):
                self.garbage.work()
            # Nobody has to look often where nothing happens.
            pause_s = 1.0 if self.api.revision != before else min(pause_s * 2, 40)
            await asyncio.sleep(pause_s if self.calm else self.random.choice((0.1, 1, 5)))

    def _wrote(self, verb: str, resource: Resource, obj: Object) -> None:
        self.check_write(Write(verb=verb, resource=resource, obj=obj))
        self.troubles.wrote()


def _in_order(watch: Watch) -> Watch:
    return replace(watch, keys_of=lambda delta, caches: sorted(watch.keys_of(delta, caches)))


def simulate(world: type[World], seed: int) -> None:
    """Live the life of `seed`. A failure says how to see it again."""
    random.seed(seed)  # of back-offs and the like, which use the module's
    log = logging.getLogger("podium")
    level = log.level
    log.setLevel(logging.CRITICAL)  # failures are everyday here
    try:
        run(world(seed).live())
    except Exception as error:
        raise AssertionError(f"seed {seed} ({ONE_VARIABLE}={seed} runs it alone): {error!r}") from error
    finally:
        log.setLevel(level)
