"""Evictions under a disruption budget, simulated: however many ask at once, enough pods are left.

The API server's part is here done step by step, with time between the steps, so that anything may come
between: read the pod, take one disruption from the budget (compare and swap), delete the pod.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from podium.apiserver.http.subresources.eviction import check_budget, may_go_without_asking
from podium.controllers.common.percent import scaled
from podium.controllers.common.pods import is_active, is_ready
from podium.controllers.disruption import disruption
from podium.controllers.replicaset import REPLICASET
from podium.machinery import meta
from podium.machinery.errors import ApiError, Object
from podium.resources.apps.replicasets import REPLICASETS
from podium.resources.core.pods import PODS
from podium.resources.policy.poddisruptionbudgets import PODDISRUPTIONBUDGETS
from podium.runtime.controller import Controller
from tests.controllers.builders import replica_set
from tests.controllers.simulation.seeds import seeds
from tests.controllers.simulation.world import World, simulate

KEY = "default/web"


class Evictions(World):
    """A ReplicaSet with a budget that changes, and impatient people who drain its nodes."""

    COMMANDS = 0.7
    QUIET_S = 150.0  # an eviction that was granted and did not come is forgotten after two minutes

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.pods_fail = False  # what fails by itself no budget can prevent
        self.replicas = self.random.randint(2, 8)
        self.evicted = 0
        self.limit = 0

    def controllers(self) -> Sequence[Controller]:
        return REPLICASET, disruption()

    def begin(self) -> None:
        owner = replica_set("web", replicas=self.replicas)
        del owner["status"]
        self.api.put(REPLICASETS, owner)
        metadata = {"name": "web", "namespace": "default"}
        spec = {"selector": {"matchLabels": {"app": "web"}}, **self.some_bound()}
        self.api.put(
            PODDISRUPTIONBUDGETS,
            {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": metadata, "spec": spec},
        )

    def some_bound(self) -> Object:
        some = self.random.choice((1, 2, "25%", "50%"))
        return {"maxUnavailable": some} if self.chance(0.5) else {"minAvailable": some}

    # The people

    def command(self) -> None:
        if self.chance(0.2):
            self.change_budget()
            return
        keys = [meta.key(pod) for pod in self.api.all(PODS)]
        for key in self.random.sample(keys, k=min(len(keys), self.random.randint(1, 4))):
            asyncio.get_running_loop().create_task(self.evict(key))

    def change_budget(self) -> None:
        bound = self.some_bound()

        def change(budget: Object) -> None:
            budget["spec"] = {"selector": budget["spec"]["selector"], **bound}

        self.api.change(PODDISRUPTIONBUDGETS, KEY, change)

    async def evict(self, key: str) -> None:
        pod = self.api.get(PODS, key)
        if pod is None or may_go_without_asking(pod) or not await self.may_go(meta.name(pod)):
            return
        await self.api.travel(1)
        if self.chance(0.1):
            return  # the API server dies here: the disruption is spent, and the pod stays
        now = self.api.get(PODS, key)
        if now is None or meta.uid(now) != meta.uid(pod) or meta.deleting(now):
            return
        stamp = {"deletionTimestamp": self.api.stamp(), "deletionGracePeriodSeconds": 30}
        self.api.change(PODS, key, lambda pod: pod["metadata"].update(stamp))
        self.evicted += 1
        self.check_eviction()

    async def may_go(self, name: str) -> bool:
        """Take a disruption from the budget; tell whether there was one."""
        while True:
            before = self.api.table(PODDISRUPTIONBUDGETS)[KEY]
            try:
                check_budget(before)
            except ApiError:
                return False
            await self.api.travel(0.1)
            if self.api.table(PODDISRUPTIONBUDGETS)[KEY] is not before:
                continue  # somebody wrote meanwhile
            self.api.change(PODDISRUPTIONBUDGETS, KEY, lambda budget: self.spend(budget, name))
            self.limit = self.needed()
            return True

    def spend(self, budget: Object, name: str) -> None:
        budget["status"]["disruptionsAllowed"] -= 1
        budget["status"].setdefault("disruptedPods", {})[name] = self.api.stamp()

    # What must hold

    def check_eviction(self) -> None:
        healthy = sum(is_active(pod) and is_ready(pod) for pod in self.api.all(PODS))
        # An eviction that was granted comes although the budget is made narrower meanwhile.
        needed = min(self.limit, self.needed())
        self.require(healthy >= needed, f"{healthy} healthy pods after an eviction, {needed} are needed")

    def needed(self) -> int:
        spec = self.api.table(PODDISRUPTIONBUDGETS)[KEY]["spec"]
        if "maxUnavailable" in spec:
            return max(0, self.replicas - scaled(spec["maxUnavailable"], self.replicas, round_up=True))
        return scaled(spec["minAvailable"], self.replicas, round_up=True)

    def check_rest(self) -> None:
        status = self.api.table(PODDISRUPTIONBUDGETS)[KEY]["status"]
        assert status["currentHealthy"] == self.replicas == len(self.api.all(PODS)), status
        assert status["desiredHealthy"] == self.needed()
        assert status["disruptionsAllowed"] == max(0, self.replicas - self.needed())
        assert not status.get("disruptedPods")


@seeds(50)
def test_evictions_leave_enough_pods(seed: int) -> None:
    simulate(Evictions, seed)
