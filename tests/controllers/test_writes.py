"""How much controllers write: for one change no more than upstream's, and nothing that is known to fail."""

from __future__ import annotations

import asyncio
from collections import Counter

from podium.controllers.common.endpoints import services_of_pod
from podium.controllers.common.pod_control import BURST_MAX
from podium.controllers.deployment import DEPLOYMENT
from podium.controllers.endpoints import endpoints
from podium.controllers.endpointslice import endpointslice
from podium.controllers.namespace import NAMESPACE
from podium.controllers.replicaset import REPLICASET
from podium.controllers.serviceaccount import SERVICEACCOUNT
from podium.machinery import meta
from podium.machinery.errors import Object
from podium.resources.apps.deployments import DEPLOYMENTS
from podium.resources.apps.replicasets import REPLICASETS
from podium.resources.core.configmaps import CONFIGMAPS
from podium.resources.core.events import EVENTS
from podium.resources.core.namespaces import NAMESPACES
from podium.resources.core.nodes import NODES
from podium.resources.core.pods import PODS
from podium.resources.core.services import SERVICES
from podium.runtime.controller import Caches
from podium.runtime.informer import Delta, Informer
from tests.controllers.builders import deployment, pod, replica_set, running
from tests.controllers.test_endpoints import NODE, service
from tests.controllers.test_namespace import going, namespace
from tests.runtime.fakes import FakeApi, settle


def written(api: FakeApi, since: int = 0) -> Counter[tuple[str, str]]:
    """Return how often each verb was used on each resource."""
    return Counter((verb, resource) for verb, resource, _ in api.writes[since:])


async def quiet(api: FakeApi) -> None:
    """Let time pass until nobody writes any more."""
    before = -1
    while before != len(api.writes):
        before = len(api.writes)
        await api.clock.advance(1)
        await settle(1000)


def all_become_ready(api: FakeApi) -> None:
    for key in list(api.table(PODS)):
        api.change(PODS, key, lambda p: p.update(status=pod("any")["status"]))


def test_a_new_deployment() -> None:
    """Upstream: a ReplicaSet, its pods; then a status of each for what has been observed, for the pods that
    were made, one burst at a time, and for their being ready."""

    async def go() -> None:
        api = FakeApi()
        replicas = 2 * BURST_MAX + 1
        async with running(api, [DEPLOYMENT, REPLICASET]):
            api.put(DEPLOYMENTS, deployment(replicas=replicas))
            await quiet(api)
            all_become_ready(api)
            await quiet(api)
            assert api.table(DEPLOYMENTS)["default/web"]["status"]["availableReplicas"] == replicas
            counts = written(api)
            bursts = 3
            assert counts["create", "replicasets.apps"] == 1
            assert counts["create", "pods"] == replicas
            assert counts["update", "replicasets.apps"] <= 1 + bursts + 1
            assert counts["update", "deployments.apps"] <= 1 + 1 + bursts + 1
            # One of the Deployment; of the ReplicaSet ten, and then the same one counted, up to 25.
            assert counts["create", "events"] + counts["patch", "events"] <= 1 + 25
            assert counts.total() == sum(
                count for (verb, _), count in counts.items() if verb in ("create", "update", "patch")
            ), "nothing is deleted, or read to be deleted"

    asyncio.run(go())


def test_what_changes_nothing_is_not_written() -> None:
    async def go() -> None:
        api = FakeApi()
        api.put(NODES, NODE)
        api.put(SERVICES, service())
        async with running(api, [DEPLOYMENT, REPLICASET, endpoints(), endpointslice()]):
            api.put(DEPLOYMENTS, deployment(replicas=3))
            await api.clock.advance(1)
            all_become_ready(api)
            await api.clock.advance(1)
            before = len(api.writes)
            for key in list(api.table(PODS)):
                api.change(PODS, key, lambda p: p["metadata"].update(annotations={"note": "x"}))
            api.change(SERVICES, "default/web", lambda s: s["metadata"].update(annotations={"note": "x"}))
            (key,) = api.table(REPLICASETS)
            api.change(REPLICASETS, key, lambda rs: rs["metadata"].update(finalizers=["example.com/x"]))
            await api.clock.advance(3600)
            assert not written(api, before)

    asyncio.run(go())


def test_a_namespace_goes_with_one_deletion_of_its_pods_and_few_words() -> None:
    async def go() -> None:
        api = FakeApi()
        api.served = (PODS, CONFIGMAPS)
        api.put(NAMESPACES, namespace())
        api.put(CONFIGMAPS, {"metadata": {"name": "c", "namespace": "ns"}})
        for number in range(20):
            ending = pod(f"p{number}", namespace="ns")
            ending["spec"]["terminationGracePeriodSeconds"] = 30
            api.put(PODS, ending)
        async with running(api, [NAMESPACE]):
            await api.clock.advance(1)
            before = len(api.writes)
            api.change(NAMESPACES, "ns", going)
            await api.clock.advance(1)
            for number in range(20):
                api.remove(PODS, f"ns/p{number}")
                await api.clock.advance(0.1)
            await api.clock.advance(0.1)
            assert "ns" not in api.table(NAMESPACES)
            counts = written(api, before)
            # FakeApi counts a collection's deletion by its objects: once each, not once a round.
            assert counts["delete", "pods"] == 20
            assert counts["delete", "configmaps"] == 1
            # Terminating; pods remain; finalized.
            assert counts["update", "namespaces"] == 3
            assert counts.total() == 24

    asyncio.run(go())


def test_nothing_is_made_in_a_namespace_that_goes() -> None:
    async def go() -> None:
        api = FakeApi()
        api.put(NAMESPACES, namespace())
        ours = replica_set("rs", replicas=3)
        ours["metadata"]["namespace"] = "ns"
        ours = api.put(REPLICASETS, ours)
        asked: list[str] = []

        def ask(verb: str, resource: object, obj: Object) -> Exception | None:
            if verb == "create" and resource in (PODS, EVENTS):
                asked.append(meta.namespace(obj))
            return None

        async with running(api, [SERVICEACCOUNT, REPLICASET]):
            await api.clock.advance(1)
            api.fail = ask
            api.change(
                NAMESPACES, "ns", lambda n: n["metadata"].update(finalizers=["x"], deletionTimestamp="t")
            )
            for key in list(api.table(PODS)):
                api.remove(PODS, key)
                await api.clock.advance(0.1)
            await api.clock.advance(60)
            assert asked == []
            status = api.table(REPLICASETS)["ns/rs"]["status"]
            assert status["replicas"] == 0
            assert "conditions" not in status, "it has not failed"

            # The cache may have been behind, and the namespace be a new one: that is found out.
            api.remove(NAMESPACES, "ns")
            api.put(NAMESPACES, namespace())
            await api.clock.advance(10)
            assert len(api.all(PODS)) == 3

    asyncio.run(go())


def test_services_are_looked_at_only_for_what_shows_in_their_endpoints() -> None:
    async def go() -> None:
        api = FakeApi()
        api.put(SERVICES, service())
        other = service()
        other["metadata"]["name"] = "other"
        other["spec"]["selector"] = {"app": "web", "tier": "front"}
        api.put(SERVICES, other)
        services = Informer(api.client(), SERVICES)
        caches = Caches({SERVICES.group_plural: services})
        for watch in endpoints().watches:
            if watch.resource is SERVICES:
                for name, index_of in watch.indexes.items():
                    services.add_index(name, index_of)
        task = asyncio.ensure_future(services.run())
        await services.wait_synced()
        before = pod("a", ip="10.0.0.1", ready=False)

        def asked(**changes: Object) -> list[str]:
            return sorted(services_of_pod(Delta(old=before, new={**before, **changes}), caches))

        assert asked(metadata={**before["metadata"], "annotations": {"a": "b"}}) == []
        assert asked(status={**before["status"], "startTime": "2026-01-01T00:00:00Z"}) == []
        assert asked(status=pod("a", ip="10.0.0.1")["status"]) == ["default/web"]
        assert asked(status=pod("a", ip="10.0.0.2", ready=False)["status"]) == ["default/web"]
        assert asked(metadata={**before["metadata"], "labels": {"app": "web", "tier": "front"}}) == [
            "default/other",
            "default/web",
        ]
        assert asked(metadata={**before["metadata"], "labels": {}}) == ["default/web"]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(go())
