"""Deployments and ReplicaSets in a world of stale caches, broken watches, restarts and lost answers.

One seed is one run: random commands of a user and random troubles, in fake time. While it runs, no
ReplicaSet may get more pods than it wants, and no rollout may leave its bounds; afterwards the world must
agree with the last command.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest

from podium.controllers.common.pods import is_active, is_ready
from podium.controllers.deployment import DEPLOYMENT
from podium.controllers.deployment_plan import fenceposts
from podium.controllers.replicaset import REPLICASET
from podium.machinery import meta
from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources.apps.deployments import DEPLOYMENTS
from podium.resources.apps.replicasets import REPLICASETS
from podium.resources.core.pods import PODS
from podium.runtime.controller import Context, Controller
from tests.controllers.builders import deployment, running, template
from tests.runtime.fakes import FakeApi, api_error

KEY = "default/web"
STEPS = 25


class World:
    def __init__(self, seed: int, *, chaos: bool) -> None:
        self.random = random.Random(seed)
        self.chaos = chaos
        self.api = FakeApi()
        self.surge_bound = 0
        self.available_bound = 0
        self.was_available = False
        self.known: dict[str, int] = {}
        """The version of the ReplicaSets that the last reconcile of each key began with."""
        self.violations: list[str] = []
        self.api.on_write = self.check

    def controllers(self) -> tuple[Controller, Controller]:
        async def reconcile(context: Context, key: str) -> float | None:
            self.known[key] = context.caches[REPLICASETS].version
            return await REPLICASET.reconcile(context, key)

        return DEPLOYMENT, replace(REPLICASET, reconcile=reconcile)

    # Invariants, asked at each write

    def require(self, holds: bool, message: str) -> None:
        # Collected: an exception here would look like a failed write to the controller.
        if not holds:
            self.violations.append(message)

    def check(self, verb: str, resource: Resource, obj: Object) -> None:
        if resource is PODS and verb == "create":
            self.check_no_double_creation(obj)
        if resource is REPLICASETS:
            total = sum(rs["spec"]["replicas"] for rs in self.api.all(REPLICASETS))
            self.require(total <= self.surge_bound, f"{total} pods wanted, bound {self.surge_bound}")
        if resource is PODS and verb == "delete" and not self.chaos and self.was_available:
            self.require(self.available() >= self.available_bound, f"only {self.available()} available")

    def check_no_double_creation(self, pod: Object) -> None:
        reference = meta.controller_ref(pod)
        assert reference is not None
        owned = [
            p
            for p in self.api.all(PODS)
            if is_active(p) and (meta.controller_ref(p) or {}).get("uid") == reference["uid"]
        ]
        # The controller may not know yet of a later, smaller size.
        known = self.known[f"default/{reference['name']}"]
        sizes = [0]
        for revision, plural, _, obj in self.api.log:
            if plural == REPLICASETS.group_plural and meta.uid(obj) == reference["uid"]:
                if revision <= known:
                    sizes = []
                sizes.append(obj["spec"]["replicas"])
        self.require(len(owned) <= max(sizes), f"{len(owned)} pods of {reference['name']}, wanted {sizes}")

    def available(self) -> int:
        return sum(is_active(p) and is_ready(p) for p in self.api.all(PODS))

    # The user

    def command(self) -> None:
        choice = self.random.choice(("scale", "image", "image", "strategy", "pause"))

        def change(obj: Object) -> None:
            spec = obj["spec"]
            if choice == "scale":
                spec["replicas"] = self.random.randint(0, 8)
            elif choice == "image":
                spec["template"] = template(image=self.random.choice("abcd"))
            elif choice == "strategy":
                rolling = {
                    "maxSurge": self.random.choice((1, "25%", "100%")),
                    "maxUnavailable": self.random.choice((0, "25%", 2)),
                }
                spec["strategy"] = {"type": "RollingUpdate", "rollingUpdate": rolling}
            else:
                spec["paused"] = not spec.get("paused", False)

        self.api.change(DEPLOYMENTS, KEY, change)
        self.note_bounds()

    def note_bounds(self) -> None:
        now = self.api.table(DEPLOYMENTS)[KEY]
        surge, unavailable = fenceposts(now)
        replicas = now["spec"]["replicas"]
        current = sum(rs["spec"]["replicas"] for rs in self.api.all(REPLICASETS))
        # Until a change has been followed, what an earlier one allowed may still be there.
        self.surge_bound = max(self.surge_bound, replicas + surge, current)
        self.available_bound = min(self.available_bound, replicas - unavailable)

    # The nodes

    def nodes_work(self, *, everything: bool = False) -> None:
        for pod in list(self.api.all(PODS)):
            if not everything and self.random.random() < 0.4:
                continue
            if meta.deleting(pod):
                self.api.remove(PODS, meta.key(pod))
            elif not is_ready(pod):
                self.api.change(PODS, meta.key(pod), self.make_ready)
        if self.available() >= self.available_bound:
            self.was_available = True

    def make_ready(self, pod: Object) -> None:
        pod["spec"]["nodeName"] = "n1"
        now = self.api.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
        pod["status"] = {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": now}],
        }

    # Trouble

    def trouble(self) -> None:
        choice = self.random.choice(
            ("hold", "hold", "release", "break", "compact", "kill", "unready", "lose")
        )
        pods = [p for p in self.api.all(PODS) if is_active(p)]
        if choice == "hold":
            self.api.hold(self.random.choice((PODS, REPLICASETS, DEPLOYMENTS)))
        elif choice == "release":
            self.api.held.clear()
            self.api.break_watches()
        elif choice == "break":
            self.api.break_watches()
        elif choice == "compact":
            self.api.compact()
            self.api.break_watches()
        elif choice == "kill" and pods:
            self.api.remove(PODS, meta.key(self.random.choice(pods)))
        elif choice == "unready" and pods:

            def unready(pod: Object) -> None:
                pod["status"] = {"phase": "Running", "conditions": [{"type": "Ready", "status": "False"}]}

            self.api.change(PODS, meta.key(self.random.choice(pods)), unready)
        elif choice == "lose":
            self.lose_an_answer()

    def lose_an_answer(self) -> None:
        """The next write is done or not, and its answer gets lost in either case."""
        spent = False

        def once(verb: str, resource: Resource, obj: Object) -> Exception | None:
            nonlocal spent
            if spent:
                return None
            spent = True
            return self.random.choice((ConnectionError("lost"), api_error(500)))

        if self.random.random() < 0.5:
            self.api.fail_after = once
        else:
            self.api.fail = once


async def simulate(seed: int, *, chaos: bool) -> None:
    world = World(seed, chaos=chaos)
    world.api.put(DEPLOYMENTS, deployment(replicas=world.random.randint(1, 6)))
    world.available_bound = 99
    world.note_bounds()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(running(world.api, world.controllers()))
        for _ in range(STEPS):
            if world.random.random() < 0.3:
                world.command()
            if chaos and world.random.random() < 0.4:
                world.trouble()
            if chaos and world.random.random() < 0.08:
                await stack.aclose()
                await stack.enter_async_context(running(world.api, world.controllers()))
            world.nodes_work()
            await world.api.clock.advance(world.random.choice((0.01, 1, 30)))
        world.api.held.clear()
        world.api.break_watches()
        world.api.change(DEPLOYMENTS, KEY, lambda d: d["spec"].update(paused=False))
        for _ in range(60):
            world.nodes_work(everything=True)
            await world.api.clock.advance(20)
        assert not world.violations
        check_converged(world)
        writes = len(world.api.writes)
        await world.api.clock.advance(3600)
        assert len(world.api.writes) == writes, "a world at rest is left alone"


def check_converged(world: World) -> None:
    now = world.api.table(DEPLOYMENTS)[KEY]
    replicas = now["spec"]["replicas"]
    pods = [p for p in world.api.all(PODS) if is_active(p)]
    assert len(pods) == replicas
    assert {p["spec"]["containers"][0]["image"] for p in pods} <= {
        now["spec"]["template"]["spec"]["containers"][0]["image"]
    }
    status = now["status"]
    assert status.get("updatedReplicas", 0) == replicas
    assert status.get("availableReplicas", 0) == replicas
    assert status["observedGeneration"] == now["metadata"]["generation"]
    conditions = {c["type"]: (c["status"], c["reason"]) for c in status["conditions"]}
    assert conditions["Available"] == ("True", "MinimumReplicasAvailable")
    assert conditions["Progressing"] == ("True", "NewReplicaSetAvailable")
    revisions = [
        int(rs["metadata"]["annotations"]["deployment.kubernetes.io/revision"])
        for rs in world.api.all(REPLICASETS)
    ]
    assert len(set(revisions)) == len(revisions)
    assert now["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == str(max(revisions))


@pytest.mark.parametrize("seed", range(40))
def test_rollouts_stay_in_their_bounds(seed: int) -> None:
    asyncio.run(simulate(seed, chaos=False))


@pytest.mark.parametrize("seed", range(1000, 1060))
def test_trouble_delays_but_never_misleads(seed: int) -> None:
    asyncio.run(simulate(seed, chaos=True))
