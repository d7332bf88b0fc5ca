"""Deployments and ReplicaSets, simulated: no rollout leaves its bounds, the last command is what counts."""

from __future__ import annotations

from collections.abc import Sequence

from podium.controllers.common.pods import is_active, is_available, is_finished
from podium.controllers.deployment import DEPLOYMENT
from podium.controllers.deployment_plan import fenceposts
from podium.controllers.replicaset import REPLICASET
from podium.machinery import meta
from podium.machinery.errors import Object
from podium.resources.apps.deployments import DEPLOYMENTS
from podium.resources.apps.replicasets import REPLICASETS
from podium.resources.core.pods import PODS
from podium.runtime.controller import Controller
from tests.controllers.builders import deployment, template
from tests.controllers.simulation.replicas import check_no_double_creation
from tests.controllers.simulation.seeds import seeds
from tests.controllers.simulation.world import World, Write, simulate

KEY = "default/web"
REVISION = "deployment.kubernetes.io/revision"


class Rollouts(World):
    """One Deployment, whose user scales it and changes its template, strategy and mind."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.surge_bound = 0
        self.available_bound = 0
        self.was_available = False
        """As many pods were available as must be, and the controller has said so."""
        self.always_recreate = self.chance(0.2)
        self.only_recreate = False
        """Whether the strategy has been Recreate since the last rollout that was completed."""

    def controllers(self) -> Sequence[Controller]:
        return DEPLOYMENT, REPLICASET

    def begin(self) -> None:
        replicas = self.random.randint(1, 6)
        obj = deployment(replicas=replicas, revisionHistoryLimit=2)
        if self.always_recreate:
            obj["spec"]["strategy"] = {"type": "Recreate"}
        self.api.put(DEPLOYMENTS, obj)
        self.note_bounds(anew=True)

    def deployment(self) -> Object:
        return self.api.table(DEPLOYMENTS)[KEY]

    # The user

    def command(self) -> None:
        choice = self.random.choice(("scale", "image", "image", "strategy", "pause", "relabel", "settings"))
        if choice == "relabel":
            self.take_a_pod_away()
            return
        rolling = not self.is_complete()
        self.api.change(DEPLOYMENTS, KEY, getattr(self, choice))
        self.note_bounds(anew=False)
        if (choice == "scale" and rolling) or choice == "settings":
            # All ReplicaSets get their share, whoever of them serves; pods that served may do so no longer.
            self.available_bound = 0
        if choice == "pause":
            self.only_recreate = False  # the last ReplicaSet that there is gets the pods then

    def scale(self, obj: Object) -> None:
        obj["spec"]["replicas"] = self.random.randint(0, 8)

    def image(self, obj: Object) -> None:
        obj["spec"]["template"] = template(image=self.random.choice("abcdef"))

    def strategy(self, obj: Object) -> None:
        if self.always_recreate:
            return
        rolling = {
            "maxSurge": self.random.choice((1, "25%", "100%")),
            "maxUnavailable": self.random.choice((0, "25%", 2)),
        }
        obj["spec"]["strategy"] = self.random.choice(
            (
                {"type": "RollingUpdate", "rollingUpdate": rolling},
                {"type": "RollingUpdate", "rollingUpdate": rolling},
                {"type": "Recreate"},
            )
        )

    def pause(self, obj: Object) -> None:
        obj["spec"]["paused"] = not obj["spec"].get("paused", False)

    def settings(self, obj: Object) -> None:
        obj["spec"]["minReadySeconds"] = self.random.choice((0, 5, 40))
        obj["spec"]["revisionHistoryLimit"] = self.random.choice((0, 1, 3))

    def take_a_pod_away(self) -> None:
        """A pod is relabelled for debugging: it is the ReplicaSet's no longer."""
        key = self.troubles.a_pod()
        if key is not None and self.pods_fail:
            self.api.change(PODS, key, lambda pod: pod["metadata"].update(labels={"app": "debug"}))

    def finish(self) -> None:
        self.api.change(DEPLOYMENTS, KEY, lambda d: d["spec"].update(paused=False))

    # What must hold at each write

    def check_write(self, write: Write) -> None:
        if write.resource is PODS and write.verb == "create":
            check_no_double_creation(self, REPLICASET.name, REPLICASETS, write.obj)
            self.check_recreate(write.obj)
        if write.resource is REPLICASETS:
            total = self.wanted()
            self.require(total <= self.surge_bound, f"{total} pods wanted, bound {self.surge_bound}")
        if write.resource is PODS and write.verb == "delete":
            self.check_availability(write.obj)
        self.note_bounds(anew=self.is_complete())

    def check_availability(self, deleted: Object) -> None:
        if self.pods_fail or not self.was_available:
            return
        now = self.available()
        self.require(now >= self.available_bound, f"only {now} available, must be {self.available_bound}")

    def check_recreate(self, pod: Object) -> None:
        if not self.only_recreate:
            return
        alive = [p for p in self.api.all(PODS) if not is_finished(p) and meta.labels(p) != {"app": "debug"}]
        images = {p["spec"]["containers"][0]["image"] for p in alive}
        self.require(len(images) == 1, f"{images} at once, although to be recreated")

    def wanted(self) -> int:
        return sum(rs["spec"]["replicas"] for rs in self.api.all(REPLICASETS))

    def pods(self) -> list[Object]:
        return [p for p in self.api.all(PODS) if is_active(p) and meta.labels(p) != {"app": "debug"}]

    def available(self) -> int:
        """Return how many pods are available, each by what its own ReplicaSet asks for."""
        now = self.api.clock.now()
        sets = {meta.uid(rs): rs["spec"].get("minReadySeconds", 0) for rs in self.api.all(REPLICASETS)}
        return sum(is_available(pod, sets[meta.owner_references(pod)[0]["uid"]], now) for pod in self.pods())

    def note_bounds(self, *, anew: bool) -> None:
        """Take the bounds from the Deployment as it is now. Until a change has been followed, what an earlier
        one allowed may still be there."""
        now = self.deployment()
        surge, unavailable = fenceposts(now)
        replicas = now["spec"]["replicas"]
        recreate = now["spec"]["strategy"]["type"] == "Recreate"
        least = 0 if recreate else replicas - unavailable
        if anew:
            self.surge_bound, self.available_bound = replicas + surge, least
            self.only_recreate = recreate
        else:
            self.surge_bound = max(self.surge_bound, replicas + surge, self.wanted())
            self.available_bound = min(self.available_bound, least)
            self.only_recreate = self.only_recreate and recreate
        said = (now.get("status") or {}).get("availableReplicas", 0)
        self.was_available = min(said, self.available()) >= self.available_bound

    def is_complete(self) -> bool:
        now = self.deployment()
        status, replicas = now.get("status") or {}, now["spec"]["replicas"]
        return bool(
            status.get("observedGeneration") == now["metadata"]["generation"]
            and status.get("updatedReplicas", 0) == status.get("replicas", 0) == replicas
            and len(self.pods()) == replicas == self.wanted() == self.available()
        )

    # What must hold at the end

    def check_rest(self) -> None:
        now = self.deployment()
        replicas = now["spec"]["replicas"]
        assert len(self.pods()) == replicas
        image = now["spec"]["template"]["spec"]["containers"][0]["image"]
        assert {p["spec"]["containers"][0]["image"] for p in self.pods()} <= {image}
        self.check_status(now, replicas)
        sets = self.api.all(REPLICASETS)
        old = [rs for rs in sets if not rs["spec"]["replicas"]]
        limit = now["spec"]["revisionHistoryLimit"] + (replicas == 0)
        assert len(old) <= limit, f"{len(old)} old ReplicaSets are kept, at most {limit}"
        revisions = [int(rs["metadata"]["annotations"][REVISION]) for rs in sets]
        assert len(set(revisions)) == len(revisions)
        assert now["metadata"]["annotations"][REVISION] == str(max(revisions))

    def check_status(self, now: Object, replicas: int) -> None:
        status = now["status"]
        assert status.get("updatedReplicas", 0) == replicas
        assert status.get("availableReplicas", 0) == replicas
        assert status["observedGeneration"] == now["metadata"]["generation"]
        conditions = {c["type"]: (c["status"], c["reason"]) for c in status["conditions"]}
        assert conditions["Available"] == ("True", "MinimumReplicasAvailable")
        assert conditions["Progressing"] == ("True", "NewReplicaSetAvailable")


@seeds(220)
def test_rollouts_stay_in_their_bounds(seed: int) -> None:
    simulate(Rollouts, seed)
