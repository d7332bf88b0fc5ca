"""DaemonSets, simulated: one pod on every node that fits, while nodes and templates change."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

from podium.controllers.common.history import HASH
from podium.controllers.common.pods import is_active, is_available, node_name
from podium.controllers.daemonset import daemonset
from podium.controllers.daemonset_plan import limits, node_of
from podium.machinery import meta
from podium.machinery.errors import Object
from podium.resources.apps.controllerrevisions import CONTROLLERREVISIONS
from podium.resources.apps.daemonsets import DAEMONSETS
from podium.resources.core.nodes import NODES
from podium.resources.core.pods import PODS
from podium.runtime.controller import Controller
from tests.controllers.builders import template
from tests.controllers.simulation.seeds import seeds
from tests.controllers.simulation.world import World, Write, simulate

KEY = "default/web"
CONTROLLER = "daemonset-controller"


def image_of(obj: Object) -> str:
    return str(obj["spec"]["containers"][0]["image"])


class DaemonSets(World):
    """One DaemonSet; in every other life nodes come, go and are tainted."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.nodes_change = self.chance(0.5)
        self.on_delete = self.chance(0.15)
        self.nodes_made = 0

    def controllers(self) -> Sequence[Controller]:
        return (daemonset(),)

    def begin(self) -> None:
        for _ in range(self.random.randint(1, 5)):
            self.add_node()
        self.api.put(
            DAEMONSETS,
            {
                "apiVersion": "apps/v1",
                "kind": "DaemonSet",
                "metadata": {"name": "web", "namespace": "default"},
                "spec": {
                    "selector": {"matchLabels": {"app": "web"}},
                    "template": template(),
                    "updateStrategy": self.some_strategy(),
                    "revisionHistoryLimit": 2,
                },
            },
        )

    def some_strategy(self) -> Object:
        if self.on_delete:
            return {"type": "OnDelete"}
        rolling = self.random.choice(
            (
                {"maxSurge": 0, "maxUnavailable": 1},
                {"maxSurge": 0, "maxUnavailable": "50%"},
                {"maxSurge": 1, "maxUnavailable": 0},
                {"maxSurge": "50%", "maxUnavailable": 0},
            )
        )
        return {"type": "RollingUpdate", "rollingUpdate": rolling}

    def daemon_set(self) -> Object:
        return self.api.table(DAEMONSETS)[KEY]

    # The user

    def command(self) -> None:
        if self.nodes_change and self.chance(0.5):
            self.random.choice((self.add_node, self.remove_node, self.taint, self.untaint))()
            return
        choice = self.random.choice(("image", "image", "strategy", "settings"))
        self.api.change(DAEMONSETS, KEY, getattr(self, choice))

    def image(self, obj: Object) -> None:
        obj["spec"]["template"] = template(image=self.random.choice("abcdef"))

    def strategy(self, obj: Object) -> None:
        obj["spec"]["updateStrategy"] = self.some_strategy()

    def settings(self, obj: Object) -> None:
        obj["spec"]["minReadySeconds"] = self.random.choice((0, 5, 40))
        obj["spec"]["revisionHistoryLimit"] = self.random.choice((0, 1, 3))

    def add_node(self) -> None:
        self.nodes_made += 1
        metadata = {"name": f"n{self.nodes_made}"}
        self.api.put(
            NODES, {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": {}, "status": {}}
        )

    def remove_node(self) -> None:
        """A node goes; its pods are found dead some time later."""
        nodes = sorted(self.api.table(NODES))
        if nodes:
            name = self.random.choice(nodes)
            self.api.remove(NODES, name)
            asyncio.get_running_loop().call_later(self.random.choice((0, 1, 40)), self.bury, name)

    def bury(self, node: str) -> None:
        for pod in self.api.all(PODS):
            if node_name(pod) == node:
                self.api.remove(PODS, meta.key(pod))

    def taint(self) -> None:
        key = self.random.choice(("dedicated", "node.kubernetes.io/unschedulable"))
        self.set_taints([{"key": key, "effect": self.random.choice(("NoSchedule", "NoExecute"))}])

    def untaint(self) -> None:
        self.set_taints([])

    def set_taints(self, taints: list[Object]) -> None:
        nodes = sorted(self.api.table(NODES))
        if nodes:
            self.api.change(NODES, self.random.choice(nodes), lambda node: node["spec"].update(taints=taints))

    def place(self, pod: Object) -> str | None:
        """Each pod goes to the node that it is made for."""
        name = node_of(pod)
        return name if name in self.api.table(NODES) else None

    # What must hold at each write

    def check_write(self, write: Write) -> None:
        if write.resource is PODS and write.verb == "create":
            self.check_creation(write.obj)
        if write.resource is PODS and write.verb == "delete":
            self.check_deletion(write.obj)

    def versions(self) -> list[Object]:
        """Return what the controller may take the set for."""
        known_at = self.knew(CONTROLLER, KEY, DAEMONSETS)
        return self.api.versions(DAEMONSETS, meta.uid(self.daemon_set()), known_at=known_at)

    def check_creation(self, pod: Object) -> None:
        node = node_of(pod)
        there = [p for p in self.api.all(PODS) if node_of(p) == node]
        active = [p for p in there if is_active(p)]
        hashes = Counter(meta.labels(p)[HASH] for p in active)
        self.require(max(hashes.values()) == 1, f"two pods of one revision on {node}")
        most = [limits(version["spec"], self.desired())[0] for version in self.versions()]
        surging = len(self.surging())
        if not any(most):
            self.require(len(there) == 1, f"a second pod on {node}, without surge")
        self.require(len(active) <= 2, f"{len(active)} pods on {node}")
        if not self.nodes_change and not self.pods_fail:
            self.require(surging <= max(most), f"{surging} nodes have two pods, at most {max(most)} may")

    def surging(self) -> set[str]:
        """Return the nodes with a second pod beside one that served when the controller looked. (Beside
        one that does not, as upstream, any number are made.)"""
        pods = Counter(node_of(pod) for pod in self.active())
        return {node_of(pod) for pod in self.active() if pods[node_of(pod)] > 1 and self.was_available(pod)}

    def was_available(self, pod: Object) -> bool:
        seconds = min(version["spec"].get("minReadySeconds", 0) for version in self.versions())
        known = self.known(CONTROLLER, KEY, PODS, pod)
        return is_available(known, seconds, self.looked_at(CONTROLLER, KEY))

    def check_deletion(self, pod: Object) -> None:
        if self.nodes_change or self.pods_fail:
            return
        self.require(not self.on_delete, f"{meta.name(pod)} was deleted, by OnDelete")
        unserved = [self.unserved(version) for version in self.versions()]
        allowed = [limits(version["spec"], self.desired())[1] for version in self.versions()]
        self.require(
            any(count <= most for count, most in zip(unserved, allowed, strict=True))
            or not self.served_before(pod),
            f"{unserved} nodes without a pod that serves, at most {allowed} may be",
        )

    def unserved(self, version: Object) -> int:
        """Return how many nodes have no available pod that stays."""
        seconds, now = version["spec"].get("minReadySeconds", 0), self.api.clock.now()
        served = {node_of(p) for p in self.active() if is_available(p, seconds, now)}
        return sum(node not in served for node in self.api.table(NODES))

    def served_before(self, deleted: Object) -> bool:
        """Tell whether `deleted` was, when the controller looked, the pod by which its node was served."""
        others = [pod for pod in self.active() if node_of(pod) == node_of(deleted)]
        return self.was_available(deleted) and not any(self.was_available(pod) for pod in others)

    def desired(self) -> int:
        return sum(starts(node) for node in self.api.all(NODES))

    def active(self) -> list[Object]:
        return [pod for pod in self.api.all(PODS) if is_active(pod)]

    # What must hold at the end

    def check_rest(self) -> None:
        now = self.daemon_set()
        fit = {meta.name(node): (starts(node), stays(node)) for node in self.api.all(NODES)}
        pods = Counter(node_of(pod) for pod in self.active())
        for name, (start, stay) in fit.items():
            assert pods[name] == 1 if start else pods[name] <= stay, f"{pods[name]} pods on {name}"
        assert set(pods) <= set(fit), "pods without a node"
        if not self.on_delete:
            stayed = [pod for pod in self.active() if fit[node_of(pod)][0]]
            assert {image_of(pod) for pod in stayed} <= {image_of(now["spec"]["template"])}
        desired = self.desired()
        status = now["status"]
        assert status["observedGeneration"] == now["metadata"]["generation"]
        counts = ("desiredNumberScheduled", "currentNumberScheduled", "numberReady", "numberAvailable")
        assert [status.get(count, 0) for count in counts] == [desired] * 4
        self.check_history(now)

    def check_history(self, now: Object) -> None:
        used = {meta.labels(pod)[HASH] for pod in self.active()}
        revisions = self.api.all(CONTROLLERREVISIONS)
        newest = max(revisions, key=lambda revision: int(revision["revision"]))
        old = [r for r in revisions if r is not newest and meta.labels(r)[HASH] not in used]
        assert len(old) <= now["spec"]["revisionHistoryLimit"], "too much history is kept"


def starts(node: Object) -> bool:
    """Tell whether a daemon should be started on this node: those of cordoned nodes are."""
    taints = [(taint["key"], taint["effect"]) for taint in node["spec"].get("taints") or ()]
    return all(taint == ("node.kubernetes.io/unschedulable", "NoSchedule") for taint in taints)


def stays(node: Object) -> bool:
    """Tell whether one that is there may stay."""
    return all(taint["effect"] != "NoExecute" for taint in node["spec"].get("taints") or ())


@seeds(190)
def test_daemons_are_where_they_should_be(seed: int) -> None:
    simulate(DaemonSets, seed)
