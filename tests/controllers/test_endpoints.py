"""EndpointSlices and Endpoints: who is behind a Service, in as few changes as possible."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from podium.controllers import endpoints, endpointslice
from podium.controllers.endpointslice import MANAGED_BY, MANAGER, SERVICE_NAME, Plan, plan
from podium.machinery import meta
from podium.machinery.errors import Object
from podium.resources.core.nodes import NODES
from podium.resources.core.pods import PODS
from podium.resources.core.services import SERVICES
from podium.resources.discovery.endpointslices import ENDPOINTSLICES
from tests.controllers.builders import pod, running
from tests.runtime.fakes import FakeApi

NODE = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {"name": "n1", "labels": {"topology.kubernetes.io/zone": "z"}},
}
GOING = "2026-01-01T00:00:00Z"


def service(**spec: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "namespace": "default", "uid": "uid-web-svc", "labels": {"team": "a"}},
        "spec": {
            "selector": {"app": "web"},
            "clusterIP": "10.96.0.9",
            "ipFamilies": ["IPv4"],
            "ports": [{"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP"}],
            **spec,
        },
    }


def applied(slices: list[Object], decided: Plan) -> list[Object]:
    """Return the slices after the plan, as an API server would keep them."""
    changed = {meta.name(s): s for s in decided.update}
    gone = {meta.name(s) for s in decided.delete}
    kept = [changed.get(meta.name(s), s) for s in slices if meta.name(s) not in gone]
    for number, made in enumerate(decided.create):
        copy = meta.deep_copy(made)
        copy["metadata"]["name"] = f"web-{len(slices)}-{number}"
        kept.append(copy)
    return kept


def settled(svc: Object, pods: list[Object], slices: list[Object] | None = None) -> list[Object]:
    slices = applied(slices or [], plan(svc, pods, {"n1": NODE}, slices or []))
    again = plan(svc, pods, {"n1": NODE}, slices)
    assert (again.create, again.update, again.delete) == ([], [], []), "the second look changes nothing"
    return slices


def test_a_slice_in_full() -> None:
    (slice_,) = settled(service(), [pod("a", ip="10.0.0.1")])
    assert slice_["metadata"]["generateName"] == "web-"
    assert slice_["metadata"]["labels"] == {"team": "a", SERVICE_NAME: "web", MANAGED_BY: MANAGER}
    assert slice_["metadata"]["ownerReferences"][0]["name"] == "web"
    assert slice_["addressType"] == "IPv4"
    assert slice_["ports"] == [{"name": "http", "port": 8080, "protocol": "TCP"}]
    assert slice_["endpoints"] == [
        {
            "addresses": ["10.0.0.1"],
            "conditions": {"ready": True, "serving": True, "terminating": False},
            "targetRef": {"kind": "Pod", "namespace": "default", "name": "a", "uid": "uid-a"},
            "nodeName": "n1",
            "zone": "z",
        }
    ]


@pytest.mark.parametrize(
    ("backend", "spec", "expected"),
    [
        pytest.param(pod("a", ip="1.1.1.1", ready=False), {}, (False, False, False), id="not ready"),
        pytest.param(
            pod("a", ip="1.1.1.1", deletionTimestamp=GOING), {}, (False, True, True), id="terminating"
        ),
        pytest.param(
            pod("a", ip="1.1.1.1", ready=False),
            {"publishNotReadyAddresses": True},
            (True, False, False),
            id="published although not ready",
        ),
    ],
)
def test_conditions(backend: Object, spec: Object, expected: tuple[bool, bool, bool]) -> None:
    (slice_,) = settled(service(**spec), [backend])
    conditions = slice_["endpoints"][0]["conditions"]
    assert (conditions["ready"], conditions["serving"], conditions["terminating"]) == expected


@pytest.mark.parametrize(
    "backend",
    [
        pytest.param(pod("a"), id="no address"),
        pytest.param(pod("a", ip="1.1.1.1", phase="Succeeded"), id="ended"),
        pytest.param(pod("a", ip="1.1.1.1", node="unknown"), id="on a node that does not exist"),
    ],
)
def test_who_is_left_out(backend: Object) -> None:
    (slice_,) = settled(service(), [backend])
    assert (slice_["endpoints"], slice_["ports"]) == ([], [])


def test_a_headless_service_names_its_pods() -> None:
    backend = pod("a", ip="1.1.1.1")
    backend["spec"].update(hostname="a", subdomain="web")
    (slice_,) = settled(service(clusterIP="None"), [backend])
    assert slice_["endpoints"][0]["hostname"] == "a"
    assert slice_["metadata"]["labels"]["service.kubernetes.io/headless"] == ""


def test_a_named_port_may_differ_between_pods() -> None:
    def with_port(name: str, number: int) -> Object:
        backend = pod(name, ip=f"1.1.1.{number % 256}")
        backend["spec"] = {
            "nodeName": "n1",
            "containers": [{"name": "c", "ports": [{"name": "web", "containerPort": number}]}],
        }
        return backend

    ports = [{"name": "http", "port": 80, "targetPort": "web", "protocol": "TCP"}]
    slices = settled(service(ports=ports), [with_port("a", 8080), with_port("b", 9090)])
    assert sorted(s["ports"][0]["port"] for s in slices) == [8080, 9090]


def test_a_hundred_to_a_slice_and_few_changes() -> None:
    pods = [pod(f"p{n}", ip=f"10.0.{n // 250}.{n % 250}") for n in range(250)]
    slices = settled(service(), pods)
    assert sorted(len(s["endpoints"]) for s in slices) == [50, 100, 100]
    one_more = [*pods, pod("new", ip="10.1.0.1")]
    decided = plan(service(), one_more, {"n1": NODE}, slices)
    assert (len(decided.create), len(decided.update), len(decided.delete)) == (0, 1, 0)
    one_less = pods[1:]
    decided = plan(service(), one_less, {"n1": NODE}, slices)
    assert (len(decided.create), len(decided.update), len(decided.delete)) == (0, 1, 0)
    emptied = settled(service(), [], slices)
    assert [s["endpoints"] for s in emptied] == [[]]


def test_both_families() -> None:
    backend = pod("a", ip="10.0.0.1")
    backend["status"]["podIPs"] = [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}]
    slices = settled(service(ipFamilies=["IPv4", "IPv6"]), [backend])
    assert {s["addressType"]: s["endpoints"][0]["addresses"] for s in slices} == {
        "IPv4": ["10.0.0.1"],
        "IPv6": ["fd00::1"],
    }


def test_traffic_distribution_gives_hints() -> None:
    (slice_,) = settled(service(trafficDistribution="PreferSameZone"), [pod("a", ip="1.1.1.1")])
    assert slice_["endpoints"][0]["hints"] == {"forZones": [{"name": "z"}]}


def test_endpoints_have_ready_and_unready_addresses() -> None:
    pods = [pod("a", ip="10.0.0.2"), pod("b", ip="10.0.0.1"), pod("c", ip="10.0.0.3", ready=False)]
    made = endpoints.plan(service(), pods, None)
    assert made is not None
    (subset,) = made["subsets"]
    assert [a["ip"] for a in subset["addresses"]] == ["10.0.0.1", "10.0.0.2"]
    assert [a["ip"] for a in subset["notReadyAddresses"]] == ["10.0.0.3"]
    assert subset["ports"] == [{"name": "http", "port": 8080, "protocol": "TCP"}]
    assert made["metadata"]["labels"] == {
        "team": "a",
        "endpoints.kubernetes.io/managed-by": "endpoint-controller",
    }
    assert endpoints.plan(service(), pods, made) is None
    empty = endpoints.plan(service(), [], made)
    assert empty is not None
    assert "subsets" not in empty


def test_slices_follow_pods_and_nodes() -> None:
    async def go() -> None:
        api = FakeApi()
        api.put(SERVICES, service())
        api.put(PODS, pod("a", ip="10.0.0.1"))
        async with running(api, [endpointslice.ENDPOINTSLICE, endpoints.ENDPOINT]):
            await api.clock.advance(1)
            (slice_,) = api.all(ENDPOINTSLICES)
            assert slice_["endpoints"] == []
            api.put(NODES, NODE)
            await api.clock.advance(1)
            (slice_,) = api.all(ENDPOINTSLICES)
            assert [e["addresses"] for e in slice_["endpoints"]] == [["10.0.0.1"]]
            api.change(PODS, "default/a", lambda p: p["metadata"].update(labels={"app": "other"}))
            await api.clock.advance(1)
            (slice_,) = api.all(ENDPOINTSLICES)
            assert slice_["endpoints"] == []

    asyncio.run(go())
