"""What holds for everything that keeps a number of pods alike: ReplicaSets and ReplicationControllers."""

from __future__ import annotations

from podium.controllers.common.pods import is_active
from podium.controllers.replicaset import selector_of
from podium.machinery import meta
from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources.core.pods import PODS
from tests.controllers.simulation.world import World


def owned_pods(world: World, owner: Object) -> list[Object]:
    """Return the active pods that belong to `owner`, and match its selector."""
    selector = selector_of(owner)
    return [
        pod
        for pod in world.api.all(PODS)
        if is_active(pod) and meta.controlled_by(pod, owner) and selector.matches(meta.labels(pod))
    ]


def check_no_double_creation(world: World, controller: str, resource: Resource, pod: Object) -> None:
    """Require, now that `pod` was created, that its owner has no more pods than it wants. The controller
    need not know of a later, smaller size than the one that its cache showed."""
    reference = meta.controller_ref(pod)
    assert reference is not None
    known_at = world.knew(controller, f"{meta.namespace(pod)}/{reference['name']}", resource)
    versions = world.api.versions(resource, reference["uid"], known_at=known_at)
    wanted = max(version["spec"]["replicas"] for version in versions)
    count = len(owned_pods(world, versions[-1]))
    world.require(count <= wanted, f"{count} pods of {reference['name']}, at most {wanted} wanted")
