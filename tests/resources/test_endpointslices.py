"""Endpoint slices: what is refused, and what is warned of."""

from __future__ import annotations

from typing import Any

import pytest

from podium.resources.discovery.endpointslices import ENDPOINTSLICES
from tests.resources.refusals import changed, faults


def of(kind: str, *addresses: str, **endpoint: Any) -> Any:
    return {
        "metadata": {"name": "s"},
        "addressType": kind,
        "endpoints": [{"addresses": list(addresses), **endpoint}],
    }


A = "endpoints[0].addresses"
H = "endpoints[0].hints"


def hints(key: str, *names: str) -> Any:
    return of("IPv4", "10.0.0.1", hints={key: [{"name": name} for name in names]})


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        (of("IPv4", "10.0.0.1"), []),
        (of("IPv6", "2001:db8::1"), []),
        (of("FQDN", "a.example."), []),
        (of("IPv4"), [f"{A}: Required value: must contain at least 1 address"]),
        (of("IPv4", "10.0.0.01"), [f'{A}[0]: Invalid value: "10.0.0.01": must not have leading 0s']),
        (of("IPv4", "2001:db8::1"), [f'{A}: Invalid value: "2001:db8::1": must be an IPv4 address']),
        (
            of("IPv6", "2001:DB8::1"),
            [f'{A}[0]: Invalid value: "2001:DB8::1": must be in canonical form ("2001:db8::1")'],
        ),
        (
            of("FQDN", "example"),
            [
                f'{A}[0]: Invalid value: "example": should be a domain with at least two segments separated '
                "by dots"
            ],
        ),
        (hints("forZones", "a", "b"), []),
        (hints("forZones", "a", "a"), [f'{H}.forZones[1].name: Duplicate value: "a"']),
        (hints("forNodes", *"abcdefghi"), [f"{H}.forNodes: Too many: 9: must have at most 8 items"]),
    ],
)
def test_slices(obj: Any, expected: list[str]) -> None:
    assert faults(ENDPOINTSLICES, obj) == expected


def test_endpoints_that_stay_are_not_blamed() -> None:
    odd = of("IPv4", "10.0.0.01")
    assert faults(ENDPOINTSLICES, changed(odd, {"ports": [{"name": "a", "port": 1}]}), odd) == []
    assert len(faults(ENDPOINTSLICES, changed(odd, {"endpoints": [{"addresses": []}]}), odd)) == 1
    assert faults(ENDPOINTSLICES, changed(odd, {"addressType": "FQDN"}), odd) == [
        'addressType: Invalid value: "FQDN": field is immutable'
    ]


def test_warnings() -> None:
    name = of("FQDN", "a.example")
    assert ENDPOINTSLICES.warnings(name, None) == ["spec.addressType: FQDN endpoints are deprecated"]
    assert ENDPOINTSLICES.warnings(name, name) == []
    odd = of("IPv4", "10.0.0.01")
    assert ENDPOINTSLICES.warnings(odd, odd) == [
        f'{A}[0]: non-standard IP address "10.0.0.01" is invalid: use "10.0.0.1"'
    ]
    ours = {"endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"}
    assert ENDPOINTSLICES.warnings(changed(odd, {"metadata": {"labels": ours}}), odd) == []
