"""What a cluster has around the controllers of a simulation: a scheduler with kubelets, a garbage collector.

They act on the store directly, and at random: each turn only part of what could be done.
"""

from __future__ import annotations

from collections.abc import Callable

from podium.controllers.common import pods as podlib
from podium.machinery import meta
from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources.core.pods import PODS
from tests.controllers.simulation.api import SimulatedApi

Outcome = Callable[[Object], Object | None]
"""What becomes of a pod that runs and is ready: a new status, or None when it goes on."""


class Kubelets:
    """Binds pods, lets them run, ends those that are deleted."""

    def __init__(self, api: SimulatedApi, place: Callable[[Object], str | None], outcome: Outcome) -> None:
        """`place` says which node a pod gets, None when it has to wait."""
        self.api = api
        self._place = place
        self._outcome = outcome

    def work(self, likely: float) -> None:
        """Do for each pod, each with this probability, the next thing that is to be done."""
        for pod in self.api.all(PODS):
            if self.api.random.random() < likely:
                self._next(pod)

    def _next(self, pod: Object) -> None:
        key = meta.key(pod)
        if meta.deleting(pod):
            self._end(pod)
        elif podlib.is_finished(pod):
            return
        elif not podlib.node_name(pod):
            node = self._place(pod)
            if node is not None:
                self.api.change(PODS, key, lambda pod: pod["spec"].update(nodeName=node))
        elif not podlib.is_ready(pod):
            self.api.change(PODS, key, lambda pod: pod.update(status=self.ready_status()))
        else:
            status = self._outcome(pod)
            if status is not None:
                self.api.change(PODS, key, lambda pod: pod.update(status=status))

    def ready_status(self) -> Object:
        """Return the status of a pod that has just become ready."""
        at = self.api.stamp()
        return {
            "phase": "Running",
            "startTime": at,
            "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": at}],
        }

    def _end(self, pod: Object) -> None:
        """End a pod that is being deleted: it is gone, unless somebody's finalizer keeps it."""
        if not meta.finalizers(pod):
            self.api.remove(PODS, meta.key(pod))
        elif not podlib.is_finished(pod):
            self.api.change(PODS, meta.key(pod), _killed)


def _killed(pod: Object) -> None:
    pod["metadata"]["deletionGracePeriodSeconds"] = 0
    pod["status"] = {"phase": "Failed", "conditions": [{"type": "Ready", "status": "False"}]}


class GarbageCollector:
    """Deletes what belongs to something that is gone; the one of a world in which no two names are alike."""

    def __init__(self, api: SimulatedApi) -> None:
        self.api = api
        self._looked_at = 0
        self._resources: dict[str, Resource] = {}

    def knows(self, resource: Resource) -> None:
        """Be told of a resource whose objects may own, or belong to, others."""
        self._resources[resource.group_plural] = resource

    def work(self) -> None:
        """Bring everything to where it belongs."""
        while self._looked_at != self.api.revision:
            self._looked_at = self.api.revision
            alive = {meta.uid(obj): obj for table in self.api.objects.values() for obj in table.values()}
            for resource in list(self._resources.values()):
                for obj in self.api.all(resource):
                    self._look_at(resource, obj, alive)

    def _look_at(self, resource: Resource, obj: Object, alive: dict[str, Object]) -> None:
        finalizers = meta.finalizers(obj)
        if meta.deleting(obj) and "orphan" in finalizers:
            self._orphan(resource, obj)
            return
        if meta.deleting(obj) and "foregroundDeletion" in finalizers and not self._dependents(obj):
            self._set(resource, obj, finalizers=[])
            return
        references = meta.owner_references(obj)
        if not references or meta.deleting(obj):
            return
        owners = [alive[r["uid"]] for r in references if r["uid"] in alive]
        if all(meta.deleting(o) and "foregroundDeletion" in meta.finalizers(o) for o in owners):
            self._delete(resource, obj)

    def _dependents(self, owner: Object) -> list[tuple[Resource, Object]]:
        return [
            (resource, obj)
            for resource in self._resources.values()
            for obj in self.api.all(resource)
            if any(r["uid"] == meta.uid(owner) for r in meta.owner_references(obj))
        ]

    def _orphan(self, resource: Resource, owner: Object) -> None:
        for of, obj in self._dependents(owner):
            kept = [r for r in meta.owner_references(obj) if r["uid"] != meta.uid(owner)]
            self._set(of, obj, ownerReferences=kept)
        self._set(resource, owner, finalizers=[])

    def _set(self, resource: Resource, obj: Object, **metadata: object) -> None:
        self.api.change(resource, meta.key(obj), lambda o: o["metadata"].update(metadata))

    def _delete(self, resource: Resource, obj: Object) -> None:
        if resource is PODS and podlib.node_name(obj) and not podlib.is_finished(obj):
            self._set(resource, obj, deletionTimestamp=self.api.stamp(), deletionGracePeriodSeconds=30)
        elif meta.finalizers(obj):
            self._set(resource, obj, deletionTimestamp=self.api.stamp())
        else:
            self.api.remove(resource, meta.key(obj))
