"""Volumes of pods that are claims: made with the pod, and nobody else's."""

from __future__ import annotations

import asyncio

from podium.controllers.ephemeral_volume import EPHEMERAL_VOLUME
from podium.machinery import meta
from podium.machinery.errors import Object
from podium.resources.core.persistentvolumeclaims import PERSISTENTVOLUMECLAIMS
from podium.resources.core.pods import PODS
from tests.controllers.builders import events, pod, running
from tests.runtime.fakes import FakeApi, api_error


def with_volume() -> Object:
    made = pod("p")
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"accessModes": ["ReadWriteOnce"]}}
    made["spec"]["volumes"] = [{"name": "data", "ephemeral": {"volumeClaimTemplate": template}}]
    return made


def test_a_pod_has_its_claim_back() -> None:
    async def go() -> None:
        api = FakeApi()
        owner = api.put(PODS, with_volume())
        async with running(api, [EPHEMERAL_VOLUME]):
            await api.clock.advance(1)
            made = api.table(PERSISTENTVOLUMECLAIMS)["default/p-data"]
            assert meta.controlled_by(made, owner)
            assert (made["metadata"]["labels"], made["spec"]) == (
                {"a": "b"},
                {"accessModes": ["ReadWriteOnce"]},
            )
            api.remove(PERSISTENTVOLUMECLAIMS, "default/p-data")
            await api.clock.advance(1)
            assert "default/p-data" in api.table(PERSISTENTVOLUMECLAIMS)
            assert events(api) == []

    asyncio.run(go())


def test_a_claim_of_somebody_else_is_told_of() -> None:
    async def go() -> None:
        api = FakeApi()
        api.put(PODS, with_volume())
        api.put(PERSISTENTVOLUMECLAIMS, {"metadata": {"name": "p-data"}})
        async with running(api, [EPHEMERAL_VOLUME]):
            await api.clock.advance(1)
        why = "PVC default/p-data was not created for pod default/p (pod is not owner)"
        assert events(api) == [("FailedBinding", f"ephemeral volume data: {why}")]

    asyncio.run(go())


def test_a_claim_that_cannot_be_made_is_told_of() -> None:
    async def go() -> None:
        api = FakeApi()
        api.put(PODS, with_volume())
        api.fail = lambda verb, resource, obj: api_error(403) if resource is PERSISTENTVOLUMECLAIMS else None
        async with running(api, [EPHEMERAL_VOLUME]):
            await api.clock.advance(0.001)
        why = "create PVC p-data: made to fail"
        assert ("FailedBinding", f"ephemeral volume data: {why}") in events(api)

    asyncio.run(go())
