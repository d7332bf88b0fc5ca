"""What a service asks of a node."""

from __future__ import annotations

from typing import Any

import pytest

from podium.proxy.plan import Endpoint, service_key_of_slice, service_ports

READY: dict[str, Any] = {"ready": True}


def service(*, labels: Any = None, status: Any = None, **spec: Any) -> dict[str, Any]:
    whole = {
        "type": "ClusterIP",
        "clusterIP": "10.96.0.7",
        "clusterIPs": ["10.96.0.7"],
        "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080}],
        **spec,
    }
    metadata = {"name": "web", "namespace": "shop", "labels": labels or {}}
    return {"metadata": metadata, "spec": whole, "status": status or {}}


def endpoint(address: str, node: str = "a", **conditions: bool) -> dict[str, Any]:
    return {"addresses": [address], "nodeName": node, "conditions": conditions or READY}


def slice_of(*endpoints: dict[str, Any], name: str = "http") -> dict[str, Any]:
    return {
        "metadata": {"name": "s", "namespace": "shop", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4",
        "endpoints": list(endpoints),
        "ports": [{"name": name, "port": 8080, "protocol": "TCP"}],
    }


def addresses(endpoints: tuple[Endpoint, ...]) -> list[str]:
    return [e.address for e in endpoints]


@pytest.mark.parametrize(
    ("endpoints", "chosen"),
    [
        pytest.param([endpoint("1"), endpoint("2")], ["1", "2"], id="ready"),
        pytest.param([endpoint("1"), endpoint("2", ready=False)], ["1"], id="not ready is left out"),
        pytest.param([{"addresses": ["1"]}], ["1"], id="without conditions is ready"),
        pytest.param(
            [endpoint("1", ready=False, serving=True, terminating=True), endpoint("2", ready=False)],
            ["1"],
            id="terminating serves when nothing else does",
        ),
        pytest.param(
            [endpoint("1", ready=False, serving=True, terminating=True), endpoint("2")],
            ["2"],
            id="terminating is left out otherwise",
        ),
        pytest.param([], [], id="none"),
    ],
)
def test_the_choice_of_endpoints(endpoints: list[dict[str, Any]], chosen: list[str]) -> None:
    (port,) = service_ports(service(), [slice_of(*endpoints)], node="a")
    assert addresses(port.endpoints) == chosen


@pytest.mark.parametrize(
    ("policies", "internal", "external"),
    [
        ({}, ["1", "2"], ["1", "2"]),
        ({"internalTrafficPolicy": "Local"}, ["1"], ["1", "2"]),
        ({"externalTrafficPolicy": "Local"}, ["1", "2"], ["1"]),
    ],
    ids=["cluster", "internal local", "external local"],
)
def test_traffic_policies(policies: dict[str, str], internal: list[str], external: list[str]) -> None:
    slices = [slice_of(endpoint("1", "a"), endpoint("2", "b"))]
    (port,) = service_ports(service(type="NodePort", **policies), slices, node="a")
    assert (addresses(port.endpoints), addresses(port.external_endpoints)) == (internal, external)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(service(clusterIP="None", clusterIPs=["None"]), id="headless"),
        pytest.param(service(type="ExternalName", clusterIP="", clusterIPs=[]), id="external name"),
        pytest.param(service(labels={"service.kubernetes.io/service-proxy-name": "other"}), id="other proxy"),
        pytest.param(service(clusterIP="fd00::1", clusterIPs=["fd00::1"]), id="IPv6 only"),
        pytest.param(None, id="deleted"),
    ],
)
def test_services_that_are_not_ours(other: dict[str, Any] | None) -> None:
    assert service_ports(other, [slice_of(endpoint("1"))], node="a") == ()


def test_ports_match_by_name() -> None:
    ports = [
        {"name": "http", "port": 80, "protocol": "TCP"},
        {"name": "dns", "port": 53, "protocol": "UDP", "nodePort": 30053},
    ]
    slices = [slice_of(endpoint("1")), slice_of(endpoint("2"), name="dns")]
    http, dns = service_ports(service(ports=ports), slices, node="a")
    assert (http.protocol, addresses(http.endpoints)) == ("tcp", ["1"])
    assert (dns.protocol, dns.node_port, addresses(dns.endpoints)) == ("udp", 30053, ["2"])


def test_external_addresses_and_affinity() -> None:
    status = {"loadBalancer": {"ingress": [{"ip": "192.0.2.9"}, {"ip": "192.0.2.8", "ipMode": "Proxy"}]}}
    spec = {"externalIPs": ["198.51.100.1", "2001:db8::1"], "sessionAffinity": "ClientIP"}
    (port,) = service_ports(service(status=status, **spec), [], node="a")
    assert port.external_addresses == ("192.0.2.9", "198.51.100.1")
    assert port.affinity_s == 10800


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({}, "shop/web"),
        ({"addressType": "IPv6"}, None),
        ({"metadata": {"name": "s", "namespace": "x"}}, None),
    ],
)
def test_the_service_of_a_slice(change: dict[str, Any], key: str | None) -> None:
    assert service_key_of_slice({**slice_of(), **change}) == key
