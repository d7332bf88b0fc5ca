"""StatefulSets, simulated: pods keep their names and claims, come, go, and are replaced in order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from podium.controllers.common.history import HASH
from podium.controllers.common.percent import scaled
from podium.controllers.common.pods import is_active, is_available, is_finished
from podium.controllers.statefulset import statefulset
from podium.controllers.statefulset_plan import ordinal, replicas_of, start_of
from podium.machinery import meta
from podium.machinery.errors import Object
from podium.resources.apps.controllerrevisions import CONTROLLERREVISIONS
from podium.resources.apps.statefulsets import STATEFULSETS
from podium.resources.core.persistentvolumeclaims import PERSISTENTVOLUMECLAIMS
from podium.resources.core.pods import PODS
from podium.runtime.controller import Controller
from tests.controllers.builders import template
from tests.controllers.simulation.seeds import seeds
from tests.controllers.simulation.world import World, Write, simulate

KEY = "default/web"
CONTROLLER = "statefulset-controller"


def image_of(obj: Object) -> str:
    return str(obj["spec"]["containers"][0]["image"])


class StatefulSets(World):
    """One StatefulSet, ordered or parallel, with claims, whose user changes all that may be changed."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.ordered = self.chance(0.6)
        self.several = self.chance(0.5)
        """Whether the gate MaxUnavailableStatefulSet is on."""
        self.policy = {
            "whenDeleted": self.random.choice(("Retain", "Delete")),
            "whenScaled": self.random.choice(("Retain", "Delete")),
        }
        self.ordinals_made: set[int] = set()
        self.left: set[str] = set()
        """The names of claims whose pods were scaled away, and not wanted again while they were going."""

    def controllers(self) -> Sequence[Controller]:
        return (statefulset(max_unavailable=self.several),)

    def begin(self) -> None:
        self.api.put(
            STATEFULSETS,
            {
                "apiVersion": "apps/v1",
                "kind": "StatefulSet",
                "metadata": {"name": "web", "namespace": "default"},
                "spec": {
                    "replicas": self.random.randint(1, 4),
                    "selector": {"matchLabels": {"app": "web"}},
                    "serviceName": "web",
                    "template": template(),
                    "podManagementPolicy": "OrderedReady" if self.ordered else "Parallel",
                    "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
                    "persistentVolumeClaimRetentionPolicy": self.policy,
                    "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {}}],
                    "revisionHistoryLimit": 2,
                },
            },
        )

    def stateful_set(self) -> Object:
        return self.api.table(STATEFULSETS)[KEY]

    # The user

    def command(self) -> None:
        choice = self.random.choice(
            ("scale", "image", "image", "strategy", "settings", "start", "bounce", "delete_pod")
        )
        if choice != "delete_pod":
            self.api.change(STATEFULSETS, KEY, getattr(self, choice))
        elif self.pods_fail:
            self.delete_pod()

    def scale(self, obj: Object) -> None:
        obj["spec"]["replicas"] = self.random.randint(0, 5)

    def bounce(self, obj: Object) -> None:
        """Scale down, and think better of it."""
        replicas = obj["spec"]["replicas"]
        obj["spec"]["replicas"] = replicas // 2
        asyncio.get_running_loop().call_later(
            self.random.choice((1, 5, 10)),
            lambda: (
                self.calm
                or self.api.change(STATEFULSETS, KEY, lambda now: now["spec"].update(replicas=replicas))
            ),
        )

    def image(self, obj: Object) -> None:
        obj["spec"]["template"] = template(image=self.random.choice("abcdef"))

    def strategy(self, obj: Object) -> None:
        if self.chance(0.2):
            obj["spec"]["updateStrategy"] = {"type": "OnDelete"}
            return
        rolling = {
            "partition": self.random.choice((0, 0, 1, 3)),
            "maxUnavailable": self.random.choice((1, 2, "50%")),
        }
        obj["spec"]["updateStrategy"] = {"type": "RollingUpdate", "rollingUpdate": rolling}

    def settings(self, obj: Object) -> None:
        obj["spec"]["minReadySeconds"] = self.random.choice((0, 5, 40))
        obj["spec"]["revisionHistoryLimit"] = self.random.choice((0, 1, 3))

    def start(self, obj: Object) -> None:
        obj["spec"]["ordinals"] = {"start": self.random.choice((0, 0, 2))}

    def delete_pod(self) -> None:
        key = self.troubles.a_pod()
        if key is not None:
            pod = self.api.table(PODS)[key]
            if pod["spec"].get("nodeName"):
                stamp = {"deletionTimestamp": self.api.stamp(), "deletionGracePeriodSeconds": 30}
                self.api.change(PODS, key, lambda pod: pod["metadata"].update(stamp))
            else:
                self.api.remove(PODS, key)

    def finish(self) -> None:
        """Somebody takes away ended pods that are too many: for two of them the controller waits for ever, as
        upstream's."""
        for number, pod in self.pods().items():
            if is_finished(pod) and number not in wanted(self.stateful_set()):
                self.api.remove(PODS, meta.key(pod))

    # What must hold at each write

    def check_write(self, write: Write) -> None:
        if write.resource is PODS and write.verb == "create":
            self.ordinals_made.add(self.number(write.obj))
            self.require_for_some(self.may_create, write.obj, "was made out of turn")
            self.check_claim_is_its_own(write.obj)
        if write.resource is PODS and write.verb == "delete":
            self.require_for_some(self.may_delete, write.obj, "was deleted out of turn")
            self.left.add(f"data-{meta.name(write.obj)}")
        self.left -= {f"data-web-{n}" for n in wanted(self.stateful_set())}

    def check_claim_is_its_own(self, pod: Object) -> None:
        """A claim that belongs to an earlier pod of this name goes with that pod."""
        claim = self.api.get(PERSISTENTVOLUMECLAIMS, f"default/data-{meta.name(pod)}")
        owners = meta.owner_references(claim) if claim is not None else ()
        gone = [owner for owner in owners if owner["kind"] == "Pod" and owner["uid"] != meta.uid(pod)]
        self.require(not gone, f"{meta.name(pod)} was made with a claim that is about to go")

    def require_for_some(self, may: Callable[[Object, Object], bool], pod: Object, message: str) -> None:
        """Require that the act is right for one of the versions that the controller may take the set for."""
        known_at = self.knew(CONTROLLER, KEY, STATEFULSETS)
        versions = self.api.versions(STATEFULSETS, meta.uid(self.stateful_set()), known_at=known_at)
        self.require(any(may(version, pod) for version in versions), f"{meta.name(pod)} {message}")

    def may_create(self, version: Object, pod: Object) -> bool:
        number = self.number(pod)
        if number not in wanted(version):
            return False
        before = [n for n in wanted(version) if n < number]
        return not self.ordered or self.pods_fail or all(self.serves(version, n) for n in before)

    def may_delete(self, version: Object, pod: Object) -> bool:
        if self.pods_fail:
            return True  # it may have failed, or stand in the way of one that has
        if self.number(pod) in wanted(version):
            return self.may_replace(version, pod)
        above = [n for n in self.pods() if n > self.number(pod) and n not in wanted(version)]
        return not self.ordered or not above

    def may_replace(self, version: Object, pod: Object) -> bool:
        number, strategy = self.number(pod), version["spec"]["updateStrategy"]
        rolling = strategy.get("rollingUpdate") or {}
        if strategy["type"] != "RollingUpdate" or number < start_of(version) + rolling.get("partition", 0):
            return False
        image = image_of(version["spec"]["template"])
        if image_of(pod) == image:
            return False
        if self.several:
            limit = max(1, scaled(rolling.get("maxUnavailable", 1), replicas_of(version), round_up=False))
            return sum(not self.serves(version, n) for n in wanted(version)) <= limit
        above = [n for n in wanted(version) if n > number]
        return all(self.serves(version, n) and image_of(self.pods()[n]) == image for n in above)

    def serves(self, version: Object, number: int) -> bool:
        pod = self.pods().get(number)
        seconds = version["spec"].get("minReadySeconds", 0)
        return pod is not None and is_active(pod) and is_available(pod, seconds, self.api.clock.now())

    def pods(self) -> dict[int, Object]:
        return {self.number(pod): pod for pod in self.api.all(PODS)}

    def number(self, pod: Object) -> int:
        number = ordinal("web", pod)
        assert number is not None
        return number

    # What must hold at the end

    def check_rest(self) -> None:
        now = self.stateful_set()
        assert sorted(self.pods()) == list(wanted(now))
        self.check_revisions(now)
        self.check_claims(now)
        status = now["status"]
        assert status["observedGeneration"] == now["metadata"]["generation"]
        for count in ("replicas", "readyReplicas", "availableReplicas"):
            assert status.get(count, 0) == replicas_of(now), count

    def check_revisions(self, now: Object) -> None:
        status, strategy = now["status"], now["spec"]["updateStrategy"]
        if strategy["type"] == "RollingUpdate":
            image = image_of(now["spec"]["template"])
            partition = start_of(now) + strategy["rollingUpdate"].get("partition", 0)
            updated = {image_of(pod) for number, pod in self.pods().items() if number >= partition}
            assert updated <= {image}
        carried = {meta.labels(pod)[HASH] for pod in self.pods().values()}
        used = carried | {status["currentRevision"], status["updateRevision"]}
        names = {meta.name(revision) for revision in self.api.all(CONTROLLERREVISIONS)}
        assert carried <= names, "a pod's revision is gone"
        assert len(names - used) <= now["spec"]["revisionHistoryLimit"], "too much history is kept"

    def check_claims(self, now: Object) -> None:
        claims = {meta.name(claim) for claim in self.api.all(PERSISTENTVOLUMECLAIMS)}
        needed = {f"data-web-{n}" for n in wanted(now)}
        assert needed <= claims, "a pod's claim is missing"
        if self.policy["whenScaled"] == "Retain":
            assert {f"data-web-{n}" for n in self.ordinals_made} <= claims, "a claim is lost"
        elif not self.pods_fail:
            kept = claims & self.left
            assert not kept, f"claims of pods that were scaled away are kept: {kept}"

    async def epilogue(self) -> None:
        """The set is deleted: its pods go with it, and its claims if they should."""
        uid = meta.uid(self.stateful_set())
        before = len(self.api.all(PERSISTENTVOLUMECLAIMS))
        needed = {f"data-web-{n}" for n in wanted(self.stateful_set())}
        self.api.remove(STATEFULSETS, KEY)
        await self.come_to_rest()
        assert not self.api.all(PODS)
        claims = {meta.name(claim) for claim in self.api.all(PERSISTENTVOLUMECLAIMS)}
        if self.policy["whenDeleted"] == "Retain":
            assert len(claims) == before, "a claim is lost with the set"
        else:
            assert not claims & needed, f"claims of {uid} are kept"


def wanted(version: Object) -> range:
    return range(start_of(version), start_of(version) + replicas_of(version))


@seeds(190)
def test_stateful_sets_keep_their_order(seed: int) -> None:
    simulate(StatefulSets, seed)
