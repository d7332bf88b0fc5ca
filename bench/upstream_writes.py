"""What upstream's controllers write for the changes that `bench.controllers` makes, from how their code goes.

Each line is the least that upstream 1.36 gets by with: as if every look of a controller came when all that
it could see had happened. Where a status follows progress, upstream writes it again at each look that finds
other counts, and nothing slows it down but its client's rate (`--kube-api-qps`, 20 a second for each
controller): such lines are a range. Writes that are refused count too: they cost the API server as much.

- pkg/controller/replicaset, manageReplicas: at most 500 pods to a look (BurstReplicas), and the status
  afterwards, from the pods seen before. So B = replicas / 500 looks write B statuses, the first of them
  because of observedGeneration; one more shows the last burst, one more that the pods are ready.
- client-go/tools/record: events of one object that differ only in their message are combined from the tenth
  on, which is a patch of one of them; after 25 the object's tokens are used up.
- pkg/controller/deployment: sync.go writes the status once when it has made the ReplicaSet (Progressing) and
  once at the end of the same look (Available), which conflicts and is tried again; then once for each status
  of the ReplicaSet that has other counts: B bursts and the readiness.
- pkg/scheduler: a binding and an event (events.k8s.io) for each pod.
- pkg/controller/namespace/deletion: each look deletes the collections of all 31 namespaced resources, without
  asking first what there is; while there are pods, only those (KEP-5080), again at each look (every 16 s).
- pkg/controller/replicaset in such a namespace: the first pod that goes has each ReplicaSet ask for a new
  one; it is refused, and the expectation of it keeps the ReplicaSet from asking again for five minutes.
- pkg/controller/endpoint, staging/src/k8s.io/endpointslice: pods that end leave the Endpoints, and are marked
  in the slices; the slices are written once more when they have gone.
- pkg/controller/garbagecollector: what the namespace controller has not reached yet when its owner has gone
  is deleted here, after reading it: at most each ReplicaSet, pod and slice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

BURST = 500
EVENTS_COMBINED_FROM = 10
EVENTS_OF_ONE_OBJECT = 25
NAMESPACED_RESOURCES = 31
REQUESTS_A_SECOND = 20
NAMESPACE_LOOK_S = 5
"""How long the namespace controller waits after an event of a namespace, such as its own status update."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """Some controller's writes of one sort."""

    who: str
    what: str
    """A verb and a resource, as `bench.control_plane.Asked` has them."""
    least: int
    changes: int = 0
    """How often there is something else to say, for what is written as things progress: a write for each at
    most, as far as the client's rate allows."""
    a_second: float = REQUESTS_A_SECOND

    def most(self, seconds: float) -> int:
        return max(self.least, min(self.changes, self.least + round(self.a_second * seconds)))


def rollout(deployments: int, replicas: int) -> Sequence[Expected]:
    """New Deployments, until all their pods are available."""
    pods, bursts = deployments * replicas, -(-replicas // BURST)
    told = min(replicas, EVENTS_OF_ONE_OBJECT)
    made = min(told, EVENTS_COMBINED_FROM)
    each_is_made_and_ready = deployments + 2 * pods
    return (
        Expected(who="deployment-controller", what="create replicasets", least=deployments),
        Expected(
            who="deployment-controller",
            what="update deployments/status",
            least=deployments * (2 + bursts + 1),
            changes=deployments + each_is_made_and_ready,
        ),
        Expected(who="deployment-controller", what="create events", least=deployments),
        Expected(who="replicaset-controller", what="create pods", least=pods),
        Expected(
            who="replicaset-controller",
            what="update replicasets/status",
            least=deployments * (bursts + 2),
            changes=each_is_made_and_ready,
        ),
        Expected(who="replicaset-controller", what="create events", least=deployments * made),
        Expected(who="replicaset-controller", what="patch events", least=deployments * (told - made)),
        Expected(who="kube-scheduler", what="create pods/binding", least=pods),
        Expected(who="kube-scheduler", what="create events", least=pods),
    )


def namespace_deletion(deployments: int, replicas: int, services: int) -> Sequence[Expected]:
    """A namespace that goes with its Deployments, their pods, and Services that each select one of them."""
    pods = deployments * replicas
    each_ends_and_goes = 2 * pods
    looks_a_second = 1 / NAMESPACE_LOOK_S
    return (
        Expected(
            who="namespace-controller",
            what="update namespaces/status",
            least=2,
            changes=pods,
            a_second=looks_a_second,
        ),
        Expected(who="namespace-controller", what="update namespaces/finalize", least=1),
        Expected(
            who="namespace-controller",
            what="deletecollection",
            least=1 + NAMESPACED_RESOURCES,
            changes=pods,
            a_second=looks_a_second,
        ),
        Expected(who="replicaset-controller", what="create pods", least=deployments),
        Expected(
            who="replicaset-controller",
            what="update replicasets/status",
            least=2 * deployments,
            changes=each_ends_and_goes,
        ),
        Expected(
            who="deployment-controller",
            what="update deployments/status",
            least=2 * deployments,
            changes=each_ends_and_goes,
        ),
        Expected(
            who="endpoint-controller", what="update endpoints", least=services, changes=services * replicas
        ),
        Expected(
            who="endpointslice-controller",
            what="update endpointslices",
            least=2 * services,
            changes=2 * services * replicas,
        ),
        *(
            Expected(who="generic-garbage-collector", what=f"delete {resource}", least=0, changes=count)
            for resource, count in (
                ("pods", pods),
                ("replicasets", deployments),
                ("endpointslices", services),
            )
        ),
    )
