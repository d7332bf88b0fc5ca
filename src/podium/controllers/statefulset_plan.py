"""What a StatefulSet's next step is. Pure; `statefulset` carries the steps out.

Pods come and go in order, each waiting for those before it, or (Parallel) all at once. Example: 3 replicas in
order, a new template; `2` is a pod of the old one, `2'` of the new one, `(2')` one that is not ready yet:

  0 1 2 -> 0 1 - -> 0 1 (2') -> 0 1 2' -> 0 - 2' -> ... -> 0' 1' 2'
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from podium.controllers.common import pods as podlib
from podium.controllers.common.history import HASH
from podium.controllers.common.percent import scaled
from podium.controllers.common.pod_control import pod_from_template
from podium.controllers.common.status import without_zeros
from podium.controllers.statefulset_claims import claim_name, is_contested, is_stale, of_pod, with_owners
from podium.machinery import meta
from podium.machinery.errors import Object

POD_NAME = "statefulset.kubernetes.io/pod-name"
POD_INDEX = "apps.kubernetes.io/pod-index"


@dataclass(frozen=True, slots=True, kw_only=True)
class Owned:
    """A claim as its owners should be."""

    claim: Object
    pod: Object
    told: bool
    """An event says so: the set wants the pod, which has started."""


@dataclass(slots=True, kw_only=True)
class Plan:
    """One step. Writes come in this order: `claims`, `complete`, `repair`, `create`, `delete`, the status."""

    claims: list[Owned] = field(default_factory=list)
    contested: list[Object] = field(default_factory=list)
    """Claims that somebody else controls."""
    complete: list[int] = field(default_factory=list)
    """The ordinals of pods that wait, perhaps for a claim that is missing."""
    repair: list[Object] = field(default_factory=list)
    """Pods without the labels or volumes of their name, as they should be."""
    create: list[int] = field(default_factory=list)
    """The ordinals of pods to make."""
    delete: list[Object] = field(default_factory=list)
    status: Object = field(default_factory=dict)
    again_s: float | None = None


def ordinal(set_name: str, pod: Object) -> int | None:
    """Return the pod's number, None when its name is not of this set."""
    match = re.fullmatch(re.escape(set_name) + r"-(0|[1-9][0-9]*)", meta.name(pod))
    return int(match.group(1)) if match else None


def plan(
    stateful_set: Object,
    pods: Sequence[Object],
    update: str,
    current: str,
    now: datetime,
    claims: Mapping[str, Object] | None = None,
    *,
    max_unavailable: bool = False,
) -> Plan:
    """Decide the next writes.

    `update` and `current` are names of revisions, `claims` the namespace's claims by name. `max_unavailable`:
    the gate MaxUnavailableStatefulSet.
    """
    step = _Step(stateful_set, pods, update, current, now, claims or {})
    step.count()
    if not meta.deleting(stateful_set):
        step.go(max_unavailable=max_unavailable)
    step.finish()
    return step.result


class _Step:
    def __init__(
        self,
        stateful_set: Object,
        pods: Sequence[Object],
        update: str,
        current: str,
        now: datetime,
        claims: Mapping[str, Object],
    ) -> None:
        self.set = stateful_set
        self.spec: Object = stateful_set["spec"]
        self.update, self.current, self.now, self.all_claims = update, current, now, claims
        start = start_of(stateful_set)
        self.replicas = replicas_of(stateful_set)
        self.wanted = range(start, start + self.replicas)
        self.min_ready_s = int(self.spec.get("minReadySeconds") or 0)
        self.ordered = self.spec.get("podManagementPolicy") != "Parallel"
        name = meta.name(stateful_set)
        self.pods = {number: pod for pod in pods if (number := ordinal(name, pod)) is not None}
        self.condemned = sorted((n for n in self.pods if n not in self.wanted), reverse=True)
        self.result = Plan()
        self.status: Object = {}

    # The order of things

    def go(self, *, max_unavailable: bool) -> None:
        """Plan as far as nothing has to be waited for."""
        for number in self.wanted:
            if self._keep(number) and self.ordered:
                return
        for number in self.condemned:
            self._own_claims(number, told=False)
        for number in self.condemned:
            if self._condemn(number) and self.ordered:
                return
        strategy = strategy_of(self.set)
        if strategy.get("type") == "OnDelete":
            return
        rolling = strategy.get("rollingUpdate") or {}
        if max_unavailable:
            self._replace_several(rolling)
        else:
            self._replace_one(rolling)

    def _keep(self, number: int) -> bool:
        """Plan for a pod that is wanted; return whether the next ones have to wait for it."""
        pod = self.pods.get(number)
        if pod is None:
            name = f"{meta.name(self.set)}-{number}"
            claims = of_pod(self.set, number, self.all_claims)
            if not any(is_stale(self.set, claim, name) for claim in claims):
                self.result.create.append(number)
            return True
        if podlib.is_finished(pod):
            if not meta.deleting(pod):
                self.result.delete.append(pod)  # made anew once it is gone
            return True
        waits = podlib.phase(pod) == "Pending"
        if waits:
            self.result.complete.append(number)
            self._own_claims(number, told=False)
        if self.ordered and not self._serves(pod):
            return True
        if not waits:
            self._own_claims(number, told=True)
        repaired = as_it_should_be(self.set, pod, number)
        if repaired is not None:
            self.result.repair.append(repaired)
        return False

    def _condemn(self, number: int) -> bool:
        """Plan for a pod that is too many; return whether the next ones have to wait."""
        pod = self.pods[number]
        if meta.deleting(pod):
            return True
        if self.ordered and not self._serves(pod) and number != self._first_sick():
            return True  # the lower ones first have to be well; a sick one goes when it is the lowest
        self.result.delete.append(pod)
        return True

    def _first_sick(self) -> int | None:
        """Return the lowest ordinal that does not serve, those that are wanted first."""
        sick = [n for n in (*self.wanted, *reversed(self.condemned)) if not self._available(self.pods.get(n))]
        return sick[0] if sick else None

    def _replace_one(self, rolling: Object) -> None:
        """Replace a pod of another revision: from the highest ordinal down to the partition."""
        for number in reversed(self.wanted[int(rolling.get("partition") or 0) :]):
            pod = self.pods.get(number)
            if pod is None:
                return
            if self._is_old(pod):
                self._replace(pod)
                return
            if not self._available(pod):
                return

    def _replace_several(self, rolling: Object) -> None:
        """Replace pods of another revision, as many as may be missing at once."""
        value = rolling.get("maxUnavailable")
        limit = max(1, scaled(1 if value is None else value, self.replicas, round_up=False))
        free = limit - sum(not self._available(self.pods.get(number)) for number in self.wanted)
        for number in reversed(self.wanted[int(rolling.get("partition") or 0) :]):
            pod = self.pods.get(number)
            if free > 0 and pod is not None and self._is_old(pod):
                self._replace(pod)
                free -= 1

    def _replace(self, pod: Object) -> None:
        if pod not in self.result.delete:
            self.result.delete.append(pod)
        self.status["currentReplicas"] = max(0, self.status["currentReplicas"] - 1)

    # What pods are

    def _is_old(self, pod: Object) -> bool:
        return meta.labels(pod).get(HASH) != self.update and not meta.deleting(pod)

    def _available(self, pod: Object | None) -> bool:
        return (
            pod is not None
            and not meta.deleting(pod)
            and podlib.is_available(pod, self.min_ready_s, self.now)
        )

    def _serves(self, pod: Object) -> bool:
        return self._available(pod) and podlib.phase(pod) == "Running"

    def _own_claims(self, number: int, *, told: bool) -> None:
        pod = self.pods[number]
        for claim in of_pod(self.set, number, self.all_claims):
            changed = with_owners(claim, self.set, pod, wanted=number in self.wanted)
            if changed is None:
                continue
            if is_contested(claim, self.set, pod):
                self.result.contested.append(claim)
            self.result.claims.append(Owned(claim=changed, pod=pod, told=told))

    # The status

    def count(self) -> None:
        pods = list(self.pods.values())
        ready = [pod for pod in pods if podlib.phase(pod) == "Running" and podlib.is_ready(pod)]
        live = [pod for pod in pods if not meta.deleting(pod)]
        self.status = {
            "observedGeneration": meta.generation(self.set),
            "replicas": len(pods),
            "readyReplicas": len(ready),
            "currentReplicas": sum(meta.labels(pod).get(HASH) == self.current for pod in live),
            "updatedReplicas": sum(meta.labels(pod).get(HASH) == self.update for pod in live),
            "currentRevision": self.current,
            "updateRevision": self.update,
            "collisionCount": int((self.set.get("status") or {}).get("collisionCount") or 0),
            "availableReplicas": sum(podlib.is_available(pod, self.min_ready_s, self.now) for pod in ready),
        }

    def finish(self) -> None:
        status = self.status
        done = (status["updatedReplicas"], status["readyReplicas"], status["replicas"])
        if strategy_of(self.set).get("type") == "RollingUpdate" and done == (self.replicas,) * 3:
            status["currentReplicas"] = status["updatedReplicas"]
            status["currentRevision"] = self.update
        kept = ("replicas", "availableReplicas", "collisionCount")
        self.result.status = without_zeros(status, keep=kept)
        waits = [
            wait
            for pod in self.pods.values()
            if (wait := podlib.available_in_s(pod, self.min_ready_s, self.now)) is not None and wait > 0
        ]
        self.result.again_s = min(waits, default=None)


def start_of(stateful_set: Object) -> int:
    """Return the first ordinal."""
    return int((stateful_set["spec"].get("ordinals") or {}).get("start") or 0)


def replicas_of(stateful_set: Object) -> int:
    replicas = stateful_set["spec"].get("replicas")
    return 1 if replicas is None else int(replicas)


def strategy_of(stateful_set: Object) -> Object:
    strategy: Object = stateful_set["spec"].get("updateStrategy") or {
        "type": "RollingUpdate",
        "rollingUpdate": {"partition": 0},
    }
    return strategy


def made_of_current(stateful_set: Object, number: int) -> bool:
    """Whether a pod made now is of the current revision, and not of the one it is being updated to."""
    strategy = strategy_of(stateful_set)
    rolling = strategy.get("rollingUpdate")
    if rolling is None:
        kept = int((stateful_set.get("status") or {}).get("currentReplicas") or 0)
        return strategy.get("type") == "RollingUpdate" and number < start_of(stateful_set) + kept
    return number < start_of(stateful_set) + int(rolling.get("partition") or 0)


def pod_for(stateful_set: Object, template: Object, number: int, revision: str) -> Object:
    """Return the pod with this ordinal."""
    name = f"{meta.name(stateful_set)}-{number}"
    pod = pod_from_template(template, stateful_set, labels=[*_identity(name, number), (HASH, revision)])
    del pod["metadata"]["generateName"]
    pod["metadata"]["name"] = name
    spec = pod["spec"]
    spec["hostname"] = name
    if stateful_set["spec"].get("serviceName"):
        spec["subdomain"] = stateful_set["spec"]["serviceName"]
    volumes = _volumes(stateful_set, name, spec.get("volumes") or ())
    if volumes:
        spec["volumes"] = volumes
    return pod


def as_it_should_be(stateful_set: Object, pod: Object, number: int) -> Object | None:
    """Return a pod that was made or changed by others as a pod of this name has to be; None when it is so."""
    name = meta.name(pod)
    made = pod
    if meta.labels(pod).get(POD_NAME) != name:
        made = meta.copy_path(made, "metadata", "labels")
        made["metadata"]["labels"].update(_identity(name, number))
    wanted = _claim_names(stateful_set, name)
    volumes = (pod.get("spec") or {}).get("volumes") or ()
    has = {v.get("name"): (v.get("persistentVolumeClaim") or {}).get("claimName") for v in volumes}
    if any(has.get(volume) != claim for volume, claim in wanted.items()):
        made = meta.copy_path(made, "spec")
        made["spec"]["volumes"] = _volumes(stateful_set, name, volumes)
    return made if made is not pod else None


def _identity(name: str, number: int) -> list[tuple[str, str]]:
    return [(POD_NAME, name), (POD_INDEX, str(number))]


def _claim_names(stateful_set: Object, pod_name: str) -> dict[str, str]:
    templates = stateful_set["spec"].get("volumeClaimTemplates") or ()
    return {meta.name(template): claim_name(template, pod_name) for template in templates}


def _volumes(stateful_set: Object, pod_name: str, given: Sequence[Object]) -> list[Object]:
    """Return the claims' volumes, and those of the template whose names are not taken by them."""
    claims = _claim_names(stateful_set, pod_name)
    return [
        *({"name": n, "persistentVolumeClaim": {"claimName": claim}} for n, claim in claims.items()),
        *(volume for volume in given if volume.get("name") not in claims),
    ]
