"""Which names a service has, and what a zone says of names that have no records."""

from __future__ import annotations

from typing import Any

import pytest

from podium.dns.zone import NOTHING, Records, Service, Zone, service_records

ZONE = "cluster.local"
BASE = "web.shop.svc.cluster.local"


def service(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "web", "namespace": "shop"}, "spec": spec}


def endpoint_slice(*endpoints: dict[str, Any], port: int = 8080) -> dict[str, Any]:
    return {
        "metadata": {"name": "web-1", "namespace": "shop"},
        "addressType": "IPv4",
        "endpoints": list(endpoints),
        "ports": [{"name": "http", "port": port, "protocol": "TCP"}],
    }


def test_a_cluster_ip_has_an_address_a_port_and_a_reverse_name() -> None:
    spec = service(
        clusterIP="10.96.0.7",
        clusterIPs=["10.96.0.7"],
        ports=[{"name": "http", "port": 80, "protocol": "TCP"}],
    )
    records = service_records(spec, [], zone=ZONE)
    assert records == {
        BASE: Records(addresses=("10.96.0.7",), services=(Service(80, BASE),)),
        f"_http._tcp.{BASE}": Records(services=(Service(80, BASE),)),
        "7.0.96.10.in-addr.arpa": Records(pointer=BASE),
    }


def test_a_headless_service_has_its_ready_endpoints() -> None:
    slices = [
        endpoint_slice(
            {"addresses": ["10.244.0.5"], "hostname": "web-0", "conditions": {"ready": True}},
            {"addresses": ["10.244.0.6"]},
            {"addresses": ["10.244.0.7"], "conditions": {"ready": False}},
        )
    ]
    records = service_records(service(clusterIP="None"), slices, zone=ZONE)
    assert records[BASE].addresses == ("10.244.0.5", "10.244.0.6")
    assert records[f"web-0.{BASE}"].addresses == ("10.244.0.5",)
    assert records[f"10-244-0-6.{BASE}"].addresses == ("10.244.0.6",)
    assert records[f"_http._tcp.{BASE}"].services == (
        Service(8080, f"web-0.{BASE}"),
        Service(8080, f"10-244-0-6.{BASE}"),
    )
    assert records["5.0.244.10.in-addr.arpa"].pointer == f"web-0.{BASE}"
    assert not any("10-244-0-7" in name for name in records)


def test_endpoints_that_are_not_ready_are_published_on_demand() -> None:
    slices = [endpoint_slice({"addresses": ["10.244.0.7"], "conditions": {"ready": False}})]
    spec = service(clusterIP="None", publishNotReadyAddresses=True)
    assert service_records(spec, slices, zone=ZONE)[BASE].addresses == ("10.244.0.7",)


def test_an_external_name_is_an_alias() -> None:
    spec = service(type="ExternalName", externalName="Example.org.")
    assert service_records(spec, [], zone=ZONE) == {BASE: Records(alias="example.org")}


@pytest.fixture
def zone() -> Zone:
    zone = Zone(ZONE)
    zone.set_namespaces(["shop", "default"])
    zone.replace("shop/web", {BASE: Records(addresses=("10.96.0.7",))})
    return zone


@pytest.mark.parametrize(
    ("name", "found"),
    [
        (BASE, Records(addresses=("10.96.0.7",))),
        ("shop.svc.cluster.local", NOTHING),
        ("svc.cluster.local", NOTHING),
        ("cluster.local", NOTHING),
        ("other.svc.cluster.local", None),
        (f"nope.{BASE}", None),
        ("10-244-0-5.shop.pod.cluster.local", Records(addresses=("10.244.0.5",))),
        ("10-244-0-5.unknown.pod.cluster.local", None),
        ("10-244-0.shop.pod.cluster.local", None),
        ("shop.pod.cluster.local", NOTHING),
        ("dns-version.cluster.local", Records(text="1.1.0")),
    ],
)
def test_find(zone: Zone, name: str, found: Records | None) -> None:
    assert zone.find(name) == found


def test_names_go_with_their_service(zone: Zone) -> None:
    zone.replace("shop/web", {})
    assert zone.find(BASE) is None
    assert zone.find("shop.svc.cluster.local") is None


@pytest.mark.parametrize(
    ("name", "ours"),
    [(BASE, True), ("cluster.local", True), ("example.org", False), ("acluster.local", False)],
)
def test_the_zone_ends_at_its_name(zone: Zone, name: str, ours: bool) -> None:
    assert zone.holds(name) is ours
