"""Endpoints that users write, mirrored to slices."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from podium.controllers.endpointslice_mirroring import (
    MANAGER,
    Plan,
    endpointslice_mirroring,
    is_mirrored,
    plan,
)
from podium.machinery import meta
from podium.machinery.errors import Object
from podium.resources.core.endpoints import ENDPOINTS
from podium.resources.core.events import EVENTS
from podium.resources.core.services import SERVICES
from podium.resources.discovery.endpointslices import ENDPOINTSLICES
from tests.controllers.builders import running
from tests.runtime.fakes import FakeApi, settle

HTTP = {"name": "http", "port": 80, "protocol": "TCP"}
DNS = {"name": "dns", "port": 53, "protocol": "UDP"}


def subset(*ready: str, not_ready: tuple[str, ...] = (), ports: list[Object] | None = None) -> Object:
    made: Object = {"ports": [HTTP] if ports is None else ports}
    for field, ips in (("addresses", ready), ("notReadyAddresses", not_ready)):
        if ips:
            made[field] = [{"ip": ip} for ip in ips]
    return made


def endpoints(*subsets: Object, **metadata: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {"name": "db", "namespace": "default", "uid": "uid-db", **metadata},
        "subsets": list(subsets),
    }


def service(**spec: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "db", "namespace": "default"},
        "spec": {"clusterIP": "10.96.0.7", **spec},
    }


def made(decided: Plan) -> list[tuple[str, str, list[tuple[str, bool]]]]:
    """Return the slices to be created as family, ports, and addresses with their readiness."""
    return [
        (
            slice_["addressType"],
            " ".join(port["name"] for port in slice_["ports"]),
            [(one["addresses"][0], one["conditions"]["ready"]) for one in slice_["endpoints"]],
        )
        for slice_ in decided.create
    ]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        pytest.param(
            [subset("10.0.0.2", "10.0.0.1", not_ready=("10.0.0.3",))],
            [("IPv4", "http", [("10.0.0.1", True), ("10.0.0.2", True), ("10.0.0.3", False)])],
            id="one subset",
        ),
        pytest.param(
            [subset("10.0.0.1"), subset("10.0.0.2")],
            [("IPv4", "http", [("10.0.0.1", True), ("10.0.0.2", True)])],
            id="subsets with the same ports",
        ),
        pytest.param(
            [subset("10.0.0.1"), subset("10.0.0.1", ports=[DNS])],
            [("IPv4", "http", [("10.0.0.1", True)]), ("IPv4", "dns", [("10.0.0.1", True)])],
            id="other ports",
        ),
        pytest.param(
            [subset("10.0.0.1", "fd00::1")],
            [("IPv4", "http", [("10.0.0.1", True)]), ("IPv6", "http", [("fd00::1", True)])],
            id="both families",
        ),
        pytest.param(
            [subset("10.0.0.1"), subset(not_ready=("10.0.0.1",))],
            [("IPv4", "http", [("10.0.0.1", True)])],
            id="ready anywhere",
        ),
        pytest.param([], [], id="none"),
    ],
)
def test_slices(written: list[Object], expected: list[Any]) -> None:
    assert made(plan(endpoints(*written), [])) == expected


def test_what_a_slice_carries_over() -> None:
    source = endpoints(
        {
            "ports": [HTTP],
            "addresses": [{"ip": "10.0.0.1", "hostname": "a", "nodeName": "n", "targetRef": {"kind": "Pod"}}],
        },
        labels={"team": "x"},
        annotations={"note": "y", "kubectl.kubernetes.io/last-applied-configuration": "{}"},
    )
    (slice_,) = plan(source, []).create
    assert slice_["metadata"]["labels"] == {
        "team": "x",
        "kubernetes.io/service-name": "db",
        "endpointslice.kubernetes.io/managed-by": MANAGER,
    }
    assert slice_["metadata"]["annotations"] == {"note": "y"}
    assert slice_["metadata"]["ownerReferences"][0]["kind"] == "Endpoints"
    assert slice_["endpoints"] == [
        {
            "addresses": ["10.0.0.1"],
            "conditions": {"ready": True},
            "hostname": "a",
            "nodeName": "n",
            "targetRef": {"kind": "Pod"},
        }
    ]


def stored(slice_: Object, name: str) -> Object:
    return {**slice_, "metadata": {**slice_["metadata"], "name": name, "resourceVersion": "1", "uid": name}}


def test_slices_change_in_place() -> None:
    before = endpoints(subset("10.0.0.1"))
    slices = [stored(plan(before, []).create[0], "db-a")]
    assert plan(before, slices) == Plan()
    (changed,) = plan(endpoints(subset("10.0.0.2")), slices).update
    assert changed["metadata"]["name"] == "db-a" and "generateName" not in changed["metadata"]
    # Other ports: the slice that would go takes them.
    moved = plan(endpoints(subset("10.0.0.1", ports=[DNS])), slices)
    assert (moved.create, moved.delete, len(moved.update)) == ([], [], 1)
    assert plan(endpoints(), slices).delete == slices
    twice = [*slices, stored(slices[0], "db-b")]
    assert [meta.name(s) for s in plan(before, twice).delete] == ["db-b"]
    made_anew = endpoints(subset("10.0.0.1"), uid="uid-another")
    assert len(plan(made_anew, slices).update) == 1


def test_what_is_left_out_is_told() -> None:
    decided = plan(endpoints(subset("10.0.0.1", "nonsense", "10.0.0.2", "10.0.0.3")), [], per_subset_max=2)
    assert made(decided) == [("IPv4", "http", [("10.0.0.1", True), ("10.0.0.2", True)])]
    assert dict(decided.warnings) == {
        "InvalidIPAddress": "Skipped 1 invalid IP addresses when mirroring to EndpointSlices",
        "TooManyAddressesToMirror": "A max of 2 addresses can be mirrored to EndpointSlices per Endpoints "
        "subset. 2 addresses were skipped",
    }


@pytest.mark.parametrize(
    ("source", "of", "expected"),
    [
        (endpoints(), service(), True),
        (endpoints(), service(selector={"app": "x"}), False),
        (endpoints(), None, False),
        (None, service(), False),
        (endpoints(labels={"endpointslice.kubernetes.io/skip-mirror": "true"}), service(), False),
        (endpoints(annotations={"control-plane.alpha.kubernetes.io/leader": "{}"}), service(), False),
    ],
)
def test_what_is_mirrored(source: Object | None, of: Object | None, expected: bool) -> None:
    assert is_mirrored(source, of) is expected


def test_slices_follow_their_endpoints_and_service() -> None:
    async def run() -> None:
        api = FakeApi()
        api.put(ENDPOINTS, endpoints(subset("10.0.0.1", "nonsense")))
        async with running(api, [endpointslice_mirroring()]):
            await settle(200)
            assert api.all(ENDPOINTSLICES) == []
            api.put(SERVICES, service())
            await settle(200)
            (slice_,) = api.all(ENDPOINTSLICES)
            assert [event["reason"] for event in api.all(EVENTS)] == ["InvalidIPAddress"]
            api.put(ENDPOINTS, endpoints(subset("10.0.0.9")))
            await settle(200)
            (changed,) = api.all(ENDPOINTSLICES)
            assert meta.name(changed) == meta.name(slice_)
            assert changed["endpoints"][0]["addresses"] == ["10.0.0.9"]
            api.put(SERVICES, service(selector={"app": "x"}))
            await settle(200)
            assert api.all(ENDPOINTSLICES) == []

    asyncio.run(run())
