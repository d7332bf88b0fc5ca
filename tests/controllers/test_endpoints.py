"""EndpointSlices and Endpoints: who is behind a Service, in as few changes as possible."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from podium.controllers import endpoints, endpointslice
from podium.controllers.common import topology_hints
from podium.controllers.common.trigger_times import ANNOTATION
from podium.controllers.endpointslice_plan import MANAGED_BY, MANAGER, SERVICE_NAME, Plan, plan
from podium.machinery import meta
from podium.machinery.errors import Object
from podium.resources.core.endpoints import ENDPOINTS
from podium.resources.core.nodes import NODES
from podium.resources.core.pods import PODS
from podium.resources.core.services import SERVICES
from podium.resources.discovery.endpointslices import ENDPOINTSLICES
from tests.controllers.builders import events, pod, running
from tests.runtime.fakes import FakeApi

NODE = {
    "apiVersion": "v1",
    "kind": "Node",
    "metadata": {"name": "n1", "labels": {"topology.kubernetes.io/zone": "z"}},
}
GOING = "2026-01-01T00:00:00Z"
GOING_ON = {"deletionTimestamp": GOING, "finalizers": ["podium.dev/f"]}


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
        async with running(api, [endpointslice.endpointslice(), endpoints.endpoints()]):
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


# --- slices: what is touched


def test_a_rolling_change_of_a_thousand_touches_few_slices() -> None:
    """One pod after another is replaced, as a Deployment does; each step writes one slice."""
    pods = {f"p{n}": pod(f"p{n}", ip=f"10.0.{n // 250}.{n % 250}") for n in range(1000)}
    slices = settled(service(), list(pods.values()))
    assert [len(s["endpoints"]) for s in slices] == [100] * 10
    written = 0
    for n in range(0, 1000, 25):
        del pods[f"p{n}"]
        pods[f"new{n}"] = pod(f"new{n}", ip=f"10.1.{n // 250}.{n % 250}")
        decided = plan(service(), pods.values(), {"n1": NODE}, slices)
        assert (len(decided.create), len(decided.delete)) == (0, 0)
        written += len(decided.update)
        slices = applied(slices, decided)
    assert written == 40
    assert sum(len(s["endpoints"]) for s in slices) == 1000


def test_the_fullest_of_the_slices_that_change_are_filled_first() -> None:
    pods = [pod(f"p{n}", ip=f"10.0.0.{n}") for n in range(150)]
    slices = settled(service(), pods)
    left = [p for p in pods if p["metadata"]["name"] not in ("p0", "p149")]
    decided = plan(service(), [*left, pod("new", ip="10.1.0.1")], {"n1": NODE}, slices)
    assert sorted(len(s["endpoints"]) for s in decided.update) == [49, 100]


def test_other_ports_turn_a_slice_into_another() -> None:
    """One write instead of a deletion and a creation."""
    pods = [pod("a", ip="10.0.0.1")]
    (slice_,) = settled(service(), pods)
    moved = service(ports=[{"name": "http", "port": 80, "targetPort": 9090, "protocol": "TCP"}])
    decided = plan(moved, pods, {"n1": NODE}, [slice_])
    assert (decided.create, decided.delete) == ([], [])
    (changed,) = decided.update
    assert (meta.name(changed), changed["ports"][0]["port"]) == (meta.name(slice_), 9090)


def test_slices_of_an_earlier_service_of_that_name_go() -> None:
    pods = [pod("a", ip="10.0.0.1")]
    (slice_,) = settled(service(), pods)
    again = service()
    again["metadata"]["uid"] = "another"
    decided = plan(again, pods, {"n1": NODE}, [slice_])
    assert (len(decided.create), decided.update, decided.delete) == (1, [], [slice_])


# --- hints


def zoned(name: str, zone: str, cpu: str = "1", ready: str = "True", **labels: str) -> Object:
    return {
        "metadata": {"name": name, "labels": {"topology.kubernetes.io/zone": zone, **labels}},
        "status": {"allocatable": {"cpu": cpu}, "conditions": [{"type": "Ready", "status": ready}]},
    }


def hints(slices: list[Object]) -> dict[str, Any]:
    return {
        one["targetRef"]["name"]: [zone["name"] for zone in one.get("hints", {}).get("forZones", ())]
        for slice_ in slices
        for one in slice_["endpoints"]
    }


AUTO = {"service.kubernetes.io/topology-mode": "Auto"}


def with_auto(**spec: Any) -> Object:
    made = service(**spec)
    made["metadata"]["annotations"] = AUTO
    return made


def test_endpoints_are_shared_out_by_the_cpus_of_zones() -> None:
    nodes = [zoned("n1", "z1", "2"), zoned("n2", "z2", "1"), zoned("n3", "z2", "1")]
    pods = [pod(f"p{n}", ip=f"10.0.0.{n}", node="n1" if n < 5 else "n2") for n in range(6)]
    by_name = {node["metadata"]["name"]: node for node in nodes}
    decided = plan(with_auto(), pods, by_name, [], lambda: topology_hints.ratios(nodes))
    (slice_,) = decided.create
    for_zone = [zone for (zone,) in hints([slice_]).values()]
    assert (for_zone.count("z1"), for_zone.count("z2")) == (3, 3), "z1 gives two of its five away"
    assert decided.zones == {"IPv4": {"z1": 3, "z2": 3}}
    kept = applied([], decided)
    again = plan(with_auto(), pods, by_name, kept, lambda: topology_hints.ratios(nodes))
    assert (again.create, again.update, again.delete) == ([], [], [])
    plain = plan(service(), pods, by_name, kept)
    assert set(map(str, hints(plain.update).values())) == {"[]"}, "asked for no longer"


@pytest.mark.parametrize(
    ("nodes", "why"),
    [
        pytest.param([zoned("n1", "z1"), zoned("n2", "")], "Insufficient Node information", id="no zone"),
        pytest.param([zoned("n1", "z1")], "Insufficient Node information", id="one zone"),
        pytest.param(
            [zoned("n1", "z1"), zoned("n2", "z2", "0")], "Insufficient Node information", id="no CPUs"
        ),
        pytest.param(
            [zoned("n1", "z1"), zoned("n2", "z2"), zoned("n3", "z3")],
            "Insufficient number of endpoints (2 endpoints, 3 zones)",
            id="too few endpoints",
        ),
        pytest.param(
            [zoned("n1", "z1", "3"), zoned("n2", "z2", "1")],
            "Unable to allocate minimum required endpoints to each zone without exceeding overload threshold "
            "(2 endpoints, 2 zones)",
            id="too unequal",
        ),
    ],
)
def test_why_there_are_no_hints(nodes: list[Object], why: str) -> None:
    pods = [pod("a", ip="10.0.0.1"), pod("b", ip="10.0.0.2")]
    by_name = {"n1": zoned("n1", "z1")}
    decided = plan(with_auto(), pods, by_name, [], lambda: topology_hints.ratios(nodes))
    assert decided.no_hints[0].startswith(why)
    assert decided.no_hints[0].endswith(", addressType: IPv4")
    assert hints(decided.create) == {"a": [], "b": []}


def test_whose_cpus_count() -> None:
    nodes = [
        zoned("n1", "z1"),
        zoned("n2", "z2"),
        zoned("down", "z1", ready="False"),
        zoned("master", "z2", **{"node-role.kubernetes.io/control-plane": ""}),
    ]
    assert topology_hints.ratios(nodes) == {"z1": 0.5, "z2": 0.5}
    assert not topology_hints.overloaded({"z1": 2, "z2": 2}, {"z1": 0.5, "z2": 0.5})
    assert topology_hints.overloaded({"z1": 2, "z2": 2}, {"z1": 0.9, "z2": 0.1})
    assert topology_hints.overloaded({"z1": 2}, {"z1": 0.5, "z2": 0.5})


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        ("PreferClose", {"forZones": [{"name": "z"}]}),
        ("PreferSameNode", {"forZones": [{"name": "z"}], "forNodes": [{"name": "n1"}]}),
        (None, None),
    ],
)
def test_hints_come_and_go_with_the_wish(wish: str | None, expected: Any) -> None:
    pods = [pod("a", ip="1.1.1.1"), pod("b", ip="1.1.1.2", ready=False)]
    before = settled(service(trafficDistribution="PreferSameZone"), pods)
    (slice_,) = settled(service(trafficDistribution=wish), pods, before)
    ready, unready = sorted(slice_["endpoints"], key=lambda one: str(one["addresses"]))
    assert ready.get("hints") == expected
    assert "hints" not in unready


# --- the controllers


def test_events_tell_of_hints() -> None:
    async def go() -> None:
        api = FakeApi()
        api.put(SERVICES, with_auto())
        for name, zone in (("n1", "z1"), ("n2", "z2")):
            api.put(NODES, {"apiVersion": "v1", "kind": "Node", **zoned(name, zone)})
            api.put(PODS, pod(f"on-{name}", ip="10.0.0.1", node=name))
        async with running(api, [endpointslice.endpointslice()]):
            await api.clock.advance(1)
            assert (
                "TopologyAwareHintsEnabled",
                "Topology Aware Hints has been enabled, addressType: IPv4",
            ) in (events(api))
            api.change(NODES, "n2", lambda node: node["metadata"]["labels"].clear())
            await api.clock.advance(1)
            (slice_,) = api.all(ENDPOINTSLICES)
            assert hints([slice_]) == {"on-n1": [], "on-n2": []}
            assert ("TopologyAwareHintsDisabled", NO_NODES) in events(api)

    asyncio.run(go())


NO_NODES = (
    "Insufficient Node information: allocatable CPU or zone not specified on one or more nodes, "
    "addressType: IPv4"
)


def test_a_missing_node_is_told_of() -> None:
    async def go() -> None:
        api = FakeApi()
        api.put(SERVICES, service())
        api.put(PODS, pod("a", ip="10.0.0.1"))
        async with running(api, [endpointslice.endpointslice()]):
            await api.clock.advance(1)
        assert events(api) == [
            (
                "FailedToUpdateEndpointSlices",
                "Error updating Endpoint Slices for Service default/web: "
                "skipping Pod a for Service default/web: Node n1 Not Found",
            )
        ]

    asyncio.run(go())


def test_the_time_of_the_change_is_noted() -> None:
    async def go() -> None:
        api = FakeApi()
        api.put(NODES, NODE)
        made = service()
        made["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
        api.put(SERVICES, made)
        backend = pod("a", ip="10.0.0.1")
        backend["status"]["conditions"][0]["lastTransitionTime"] = "2026-01-01T00:00:05Z"

        def noted() -> set[str | None]:
            found = [*api.all(ENDPOINTSLICES), *api.all(ENDPOINTS)]
            return {meta.annotations(one).get(ANNOTATION) for one in found}

        async with running(api, [endpointslice.endpointslice(), endpoints.endpoints()]):
            await api.clock.advance(1)
            assert noted() == {"2026-01-01T00:00:00Z"}, "that of the Service, while it is new"
            api.put(PODS, backend)
            await api.clock.advance(1)
            assert noted() == {"2026-01-01T00:00:05Z"}
            api.remove(PODS, "default/a")
            await api.clock.advance(1)
            assert noted() == {None}, "nobody says when a pod went"

    asyncio.run(go())


def test_a_service_that_is_going_serves_to_its_end() -> None:
    async def go() -> None:
        api = FakeApi()
        api.put(NODES, NODE)
        api.put(PODS, pod("a", ip="10.0.0.1"))
        api.put(SERVICES, service())
        async with running(api, [endpointslice.endpointslice(), endpoints.endpoints()]):
            await api.clock.advance(1)
            api.change(SERVICES, "default/web", lambda s: s["metadata"].update(GOING_ON))
            api.put(PODS, pod("b", ip="10.0.0.2"))
            await api.clock.advance(1)
            (slice_,) = api.all(ENDPOINTSLICES)
            assert len(slice_["endpoints"]) == 2
            api.remove(ENDPOINTSLICES, meta.key(slice_))
            await api.clock.advance(1)
            assert api.all(ENDPOINTSLICES) == [], "the garbage collector is at it"
            assert len(api.all(ENDPOINTS)[0]["subsets"][0]["addresses"]) == 2

    asyncio.run(go())


def test_endpoints_go_with_their_service_whoever_made_them() -> None:
    async def go() -> None:
        api = FakeApi()
        for name, notes in (
            ("left", {}),
            ("web", {}),
            ("leader", {"control-plane.alpha.kubernetes.io/leader": "{}"}),
        ):
            api.put(
                ENDPOINTS,
                {
                    "apiVersion": "v1",
                    "kind": "Endpoints",
                    "metadata": {"name": name, "annotations": notes},
                },
            )
        api.put(SERVICES, service(selector=None))
        async with running(api, [endpoints.endpoints()]):
            await api.clock.advance(1)
            assert set(api.table(ENDPOINTS)) == {"default/web", "default/leader"}, "left is a leftover"
            api.put(ENDPOINTS, {"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "early"}})
            await api.clock.advance(1)
            assert "default/early" in api.table(ENDPOINTS), "its Service may be about to come"
            api.remove(SERVICES, "default/web")
            await api.clock.advance(1)
            assert set(api.table(ENDPOINTS)) == {"default/early", "default/leader"}

    asyncio.run(go())


@pytest.mark.parametrize(
    ("ready", "unready", "expected"),
    [
        pytest.param(600, 400, (600, 400), id="as many as there may be"),
        pytest.param(600, 500, (600, 400), id="those that are ready first"),
        pytest.param(1200, 50, (1000, 0), id="more than enough"),
    ],
)
def test_a_thousand_addresses_at_most(ready: int, unready: int, expected: tuple[int, int]) -> None:
    pods = [pod(f"z{n}", ip=f"10.0.{n // 250}.{n % 250}") for n in range(ready)]
    pods += [pod(f"a{n}", ip=f"10.9.{n // 250}.{n % 250}", ready=False) for n in range(unready)]
    made = endpoints.plan(service(), pods, None)
    assert made is not None
    (subset,) = made["subsets"]
    assert (len(subset["addresses"]), len(subset.get("notReadyAddresses", ()))) == expected
    truncated = meta.annotations(made).get("endpoints.kubernetes.io/over-capacity")
    assert truncated == ("truncated" if ready + unready > 1000 else None)
    assert endpoints.plan(service(), pods, made) is None
