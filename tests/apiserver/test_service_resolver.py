"""Where a Service is reached: its own address or an endpoint, and what is said when it is not."""

from __future__ import annotations

import pytest

from podium.apiserver.streaming.service_resolver import (
    Address,
    Unresolvable,
    cluster_address,
    endpoint_addresses,
)
from podium.machinery.errors import Object


def service(**spec: object) -> Object:
    ports = [{"port": 443, "name": "https", "targetPort": 8443}]
    return {
        "metadata": {"name": "api", "namespace": "ns"},
        "spec": {
            "type": "ClusterIP",
            "clusterIP": "10.0.0.9",
            "ports": ports,
            "ipFamilies": ["IPv4"],
            **spec,
        },
    }


def endpoint_slice(
    *addresses: str, port: str = "https", family: str = "IPv4", ready: bool | None = True
) -> Object:
    conditions = {} if ready is None else {"ready": ready}
    return {
        "addressType": family,
        "ports": [{"name": port, "port": 8443}],
        "endpoints": [{"addresses": [address], "conditions": conditions} for address in addresses],
    }


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (service(), Address("10.0.0.9", 443)),
        (service(type="NodePort"), Address("10.0.0.9", 443)),
        (service(type="ExternalName", externalName="localhost", ports=[]), Address("localhost", 443)),
    ],
)
def test_own_address(made: Object, expected: Address) -> None:
    assert cluster_address(made, 443) == expected


@pytest.mark.parametrize(
    ("made", "port", "message"),
    [
        (service(clusterIP="None"), 443, 'cannot route to service with ClusterIP "None"'),
        (service(), 80, 'no service port 80 found for service "api"'),
        (service(type="Other"), 443, 'unsupported service type "Other"'),
    ],
)
def test_no_own_address(made: Object, port: int, message: str) -> None:
    with pytest.raises(Unresolvable, match=f"^{message}$"):
        cluster_address(made, port)


def test_ready_endpoints_of_the_first_family() -> None:
    slices = [
        endpoint_slice("fd00::1", family="IPv6"),
        endpoint_slice("10.1.0.1", "10.1.0.2"),
        endpoint_slice("10.1.0.3", ready=False),
        endpoint_slice("10.1.0.4", ready=None),
        endpoint_slice("10.1.0.5", port="other"),
    ]
    found = endpoint_addresses(service(), slices, 443)
    assert [address.host for address in found] == ["10.1.0.1", "10.1.0.2", "10.1.0.4"]
    assert {address.port for address in found} == {8443}
    assert endpoint_addresses(service(), slices[:1], 443)[0].url == "https://[fd00::1]:8443"


@pytest.mark.parametrize(
    ("made", "slices", "message"),
    [
        (service(), [], 'no endpoints available for service "api"'),
        (service(), [endpoint_slice("10.1.0.1", ready=False)], 'no endpoints available for service "api"'),
        (service(type="ExternalName"), [], 'unsupported service type "ExternalName"'),
    ],
)
def test_no_endpoints(made: Object, slices: list[Object], message: str) -> None:
    with pytest.raises(Unresolvable, match=f"^{message}$"):
        endpoint_addresses(made, slices, 443)
