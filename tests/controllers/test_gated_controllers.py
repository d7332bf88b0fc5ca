"""The small controllers of features that are off by default."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from podium.base.clock import rfc3339
from podium.base.metrics import Registry
from podium.controllers.clustertrustbundle_publisher import SIGNER, bundle_name, clustertrustbundle_publisher
from podium.controllers.clustertrustbundle_publisher import plan as publish
from podium.controllers.podcertificaterequest_cleaner import PODCERTIFICATEREQUEST_CLEANER
from podium.controllers.podgroup_protection import FINALIZER, PODGROUP_PROTECTION
from podium.controllers.resourcepoolstatusrequest import RESOURCEPOOLSTATUSREQUEST, answer, ends_at
from podium.controllers.storageversion_gc import STORAGEVERSION_GC, without
from podium.machinery import meta
from podium.machinery.errors import Object
from podium.resources.apiserverinternal.storageversions import STORAGEVERSIONS
from podium.resources.certificates.clustertrustbundles import CLUSTERTRUSTBUNDLES
from podium.resources.certificates.podcertificaterequests import PODCERTIFICATEREQUESTS
from podium.resources.coordination.leases import LEASES
from podium.resources.core.pods import PODS
from podium.resources.resource.resourcepoolstatusrequests import RESOURCEPOOLSTATUSREQUESTS
from podium.resources.resource.resourceslices import RESOURCESLICES
from podium.resources.scheduling.podgroups import PODGROUPS
from tests.controllers.builders import pod, running
from tests.runtime.fakes import START, FakeApi, settle


def test_a_pods_request_for_a_certificate_goes_after_a_quarter_of_an_hour() -> None:
    async def run() -> None:
        api = FakeApi()
        api.put(PODCERTIFICATEREQUESTS, {"metadata": {"name": "a"}, "spec": {}})
        async with running(api, [PODCERTIFICATEREQUEST_CLEANER]):
            await api.clock.advance(14 * 60)
            await settle()
            assert len(api.all(PODCERTIFICATEREQUESTS)) == 1
            await api.clock.advance(61)
            await settle()
            assert api.all(PODCERTIFICATEREQUESTS) == []

    asyncio.run(run())


def _bundle(name: str, ca: str) -> Object:
    return {"metadata": {"name": name}, "spec": {"signerName": SIGNER, "trustBundle": ca}}


@pytest.mark.parametrize(
    ("existing", "create", "update", "delete"),
    [
        ([], True, False, []),
        ([_bundle(bundle_name("new"), "new")], False, False, []),
        ([_bundle(bundle_name("new"), "touched")], False, True, []),
        ([_bundle(bundle_name("old"), "old")], True, False, [bundle_name("old")]),
    ],
)
def test_the_bundle_of_the_servers_ca(
    existing: list[Object], delete: list[str], *, create: bool, update: bool
) -> None:
    decided = publish(existing, "new")
    assert (decided.create is not None, decided.update is not None) == (create, update)
    assert list(decided.delete) == delete


def test_the_bundle_comes_back() -> None:
    async def run() -> None:
        api, registry = FakeApi(), Registry()
        api.put(CLUSTERTRUSTBUNDLES, _bundle(bundle_name("old"), "old"))
        async with running(api, [clustertrustbundle_publisher("ca")], registry=registry):
            await settle(100)
            assert set(api.table(CLUSTERTRUSTBUNDLES)) == {bundle_name("ca")}
            api.remove(CLUSTERTRUSTBUNDLES, bundle_name("ca"))
            await settle(100)
            assert set(api.table(CLUSTERTRUSTBUNDLES)) == {bundle_name("ca")}
        assert 'clustertrustbundle_publisher_sync_total{code="200"}' in registry.text().decode()

    asyncio.run(run())


def _lease(name: str, component: str = "kube-apiserver") -> Object:
    labels = {"apiserver.kubernetes.io/identity": component}
    return {"metadata": {"name": name, "namespace": "kube-system", "labels": labels}, "spec": {}}


def _stored(*entries: tuple[str, str], common: str | None = None) -> Object:
    listed = [{"apiServerID": server, "encodingVersion": version} for server, version in entries]
    return {
        "metadata": {"name": "apps.deployments", "generation": 1},
        "status": {"storageVersions": listed, "commonEncodingVersion": common},
    }


def test_what_is_left_of_a_storage_version() -> None:
    rest = without(_stored(("a", "v1"), ("b", "v2")), {"b"}, START)
    assert rest is not None
    assert rest["status"]["commonEncodingVersion"] == "v1"
    assert [c["reason"] for c in rest["status"]["conditions"]] == ["CommonEncodingVersionSet"]
    rest = without(_stored(("a", "v1"), ("b", "v2"), ("c", "v1"), common="v1"), {"c"}, START)
    assert rest is not None and "commonEncodingVersion" not in rest["status"]
    assert without(_stored(("a", "v1")), {"a"}, START) is None


def test_a_server_that_leaves_takes_its_entries_along() -> None:
    async def run() -> None:
        api = FakeApi()
        api.put(LEASES, _lease("a"))
        api.put(LEASES, _lease("b"))
        api.put(LEASES, _lease("manager", component="kube-controller-manager"))
        api.put(STORAGEVERSIONS, _stored(("a", "v1"), ("b", "v1"), ("manager", "v1"), common="v1"))

        def known() -> list[str]:
            found = api.table(STORAGEVERSIONS)["apps.deployments"]["status"]["storageVersions"]
            return [entry["apiServerID"] for entry in found]

        async with running(api, [STORAGEVERSION_GC]):
            await settle(100)
            assert known() == ["a", "b"]
            api.remove(LEASES, "kube-system/a")
            await settle(100)
            assert known() == ["b"]
            api.remove(LEASES, "kube-system/b")
            await settle(100)
            assert api.all(STORAGEVERSIONS) == []

    asyncio.run(run())


def test_a_group_of_pods_waits_for_the_last_one() -> None:
    async def run() -> None:
        api = FakeApi()
        group = {"metadata": {"name": "g", "finalizers": [FINALIZER]}, "spec": {}}
        api.put(PODGROUPS, group)
        for name in ("a", "b"):
            made = pod(name)
            made["spec"]["schedulingGroup"] = {"podGroupName": "g"}
            api.put(PODS, made)
        async with running(api, [PODGROUP_PROTECTION]):
            await settle(100)
            api.change(PODGROUPS, "default/g", lambda g: g["metadata"].update(deletionTimestamp="now"))
            api.change(PODS, "default/a", lambda p: p["status"].update(phase="Succeeded"))
            await settle(100)
            assert len(api.all(PODGROUPS)) == 1
            api.remove(PODS, "default/b")
            await settle(100)
            assert api.all(PODGROUPS) == []

    asyncio.run(run())


def _slice(
    name: str, pool: str, *devices: str, count: int = 1, generation: int = 1, node: str = "n"
) -> Object:
    return {
        "metadata": {"name": name},
        "spec": {
            "driver": "d",
            "nodeName": node,
            "pool": {"name": pool, "generation": generation, "resourceSliceCount": count},
            "devices": [{"name": device} for device in devices],
        },
    }


def _question(**spec: Any) -> Object:
    metadata = {"name": "q", "creationTimestamp": rfc3339(START)}
    return {"metadata": metadata, "spec": {"driver": "d", **spec}}


def _claim(pool: str) -> Object:
    results = [{"driver": "d", "pool": pool, "device": "x"}]
    return {"status": {"allocation": {"devices": {"results": results}}}}


def test_an_answer_counts_the_current_generation() -> None:
    slices = [
        _slice("old", "p", "x", "y", "z"),
        _slice("new", "p", "x", "y", generation=2),
        _slice("other", "half", "x", count=2),
    ]
    status = answer(_question(), slices, [_claim("p")], START)
    assert status["poolCount"] == 2
    half, whole = status["pools"]
    assert half["validationError"] == "pool d/half is incomplete: observed 1/2 slices at generation 1"
    assert (whole["totalDevices"], whole["allocatedDevices"], whole["availableDevices"]) == (2, 1, 1)
    assert whole["nodeName"] == "n"
    assert status["conditions"][0]["message"] == "Calculated status for 2 pools (1 incomplete)"
    limited = answer(_question(limit=1), slices, [], START)
    assert (limited["poolCount"], len(limited["pools"])) == (2, 1)
    assert answer(_question(poolName="p"), slices, [], START)["poolCount"] == 1
    assert answer(_question(driver="e"), slices, [], START)["poolCount"] == 0


def test_how_long_questions_are_kept() -> None:
    assert ends_at(_question()) == START + timedelta(days=1)
    answered = {**_question(), "status": answer(_question(), [], [], START + timedelta(minutes=5))}
    assert ends_at(answered) == START + timedelta(minutes=65)


def test_a_question_waits_for_the_missing_slice() -> None:
    async def run() -> None:
        api, registry = FakeApi(), Registry()
        api.put(RESOURCESLICES, _slice("one", "p", "x", count=2))
        api.put(RESOURCEPOOLSTATUSREQUESTS, _question())
        async with running(api, [RESOURCEPOOLSTATUSREQUEST], registry=registry):
            await settle(100)
            assert api.all(RESOURCEPOOLSTATUSREQUESTS)[0].get("status") is None
            api.put(RESOURCESLICES, _slice("two", "p", "y", count=2))
            await settle(100)
            asked = api.all(RESOURCEPOOLSTATUSREQUESTS)[0]
            assert meta.dig(asked, "status", "pools", 0, "totalDevices") == 2
            await api.clock.advance(3601)
            await settle(100)
            assert api.all(RESOURCEPOOLSTATUSREQUESTS) == []
        line = 'resourcepoolstatusrequest_controller_requests_processed_total{driver_name="d"} 1'
        assert line in registry.text().decode()

    asyncio.run(run())
