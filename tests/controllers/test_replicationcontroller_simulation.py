"""ReplicationControllers, simulated: as many pods as wanted, adopted and released by their labels."""

from __future__ import annotations

from collections.abc import Sequence

from podium.controllers.common.pods import is_active
from podium.controllers.replicaset import REPLICATIONCONTROLLER
from podium.machinery import meta
from podium.machinery.errors import Object
from podium.resources.core.pods import PODS
from podium.resources.core.replicationcontrollers import REPLICATIONCONTROLLERS
from podium.runtime.controller import Controller
from tests.controllers.builders import template
from tests.controllers.simulation.replicas import check_no_double_creation, owned_pods
from tests.controllers.simulation.seeds import seeds
from tests.controllers.simulation.world import World, Write, simulate

KEY = "default/web"


class ReplicationControllers(World):
    """One ReplicationController, and pods that are given to it and taken from it."""

    COMMANDS = 0.5

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.given = 0

    def controllers(self) -> Sequence[Controller]:
        return (REPLICATIONCONTROLLER,)

    def begin(self) -> None:
        spec = {"replicas": self.random.randint(0, 5), "selector": {"app": "web"}, "template": template()}
        metadata = {"name": "web", "namespace": "default"}
        self.api.put(
            REPLICATIONCONTROLLERS,
            {"apiVersion": "v1", "kind": "ReplicationController", "metadata": metadata, "spec": spec},
        )

    def controller(self) -> Object:
        return self.api.table(REPLICATIONCONTROLLERS)[KEY]

    def command(self) -> None:
        self.random.choice((self.scale, self.scale, self.give, self.take, self.take_back))()

    def scale(self) -> None:
        replicas = self.random.randint(0, 6)
        self.api.change(REPLICATIONCONTROLLERS, KEY, lambda rc: rc["spec"].update(replicas=replicas))

    def give(self) -> None:
        """Somebody makes a pod that the controller should take for its own."""
        self.given += 1
        metadata = {"name": f"given-{self.given}", "namespace": "default", "labels": {"app": "web"}}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template()["spec"]}
        self.api.put(PODS, {**pod, "status": {"phase": "Pending"}})

    def take(self) -> None:
        self.relabel("debug")

    def take_back(self) -> None:
        self.relabel("web")

    def relabel(self, app: str) -> None:
        key = self.troubles.a_pod()
        if key is not None:
            self.api.change(PODS, key, lambda pod: pod["metadata"].update(labels={"app": app}))

    def check_write(self, write: Write) -> None:
        # A pod that is given or comes back after the controller has looked is one too many for a while.
        if write.resource is PODS and write.verb == "create" and not self.given_lately():
            check_no_double_creation(self, REPLICATIONCONTROLLER.name, REPLICATIONCONTROLLERS, write.obj)

    def given_lately(self) -> bool:
        """Tell whether a pod of ours, or one to be adopted, is not yet in the controller's cache."""
        known_at = self.knew(REPLICATIONCONTROLLER.name, KEY, PODS)
        return any(
            revision > known_at
            and plural == PODS.group_plural
            and kind == "MODIFIED"
            and meta.labels(obj) == {"app": "web"}
            for revision, plural, kind, obj in self.api.log
        )

    def check_rest(self) -> None:
        now = self.controller()
        assert len(owned_pods(self, now)) == now["spec"]["replicas"] == now["status"]["replicas"]
        assert now["status"].get("availableReplicas", 0) == now["spec"]["replicas"]
        assert now["status"]["observedGeneration"] == now["metadata"]["generation"]
        for pod in self.api.all(PODS):
            if not is_active(pod):
                continue
            mine = meta.controlled_by(pod, now)
            assert mine == (meta.labels(pod) == {"app": "web"}), f"{meta.name(pod)}: owned {mine}"


@seeds(50)
def test_pods_are_as_many_as_wanted(seed: int) -> None:
    simulate(ReplicationControllers, seed)
