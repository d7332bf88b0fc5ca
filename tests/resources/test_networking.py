"""Ingresses, their classes, network policies and address ranges: what is refused, and what is warned of."""

from __future__ import annotations

from typing import Any

import pytest

from podium.resources.networking.ingressclasses import INGRESSCLASSES
from podium.resources.networking.ingresses import INGRESSES
from podium.resources.networking.ipaddresses import IPADDRESSES
from podium.resources.networking.networkpolicies import NETWORKPOLICIES
from podium.resources.networking.servicecidrs import SERVICECIDRS
from tests.resources.refusals import changed, faults

SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "
    "start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
BACKEND = {"service": {"name": "s", "port": {"number": 80}}}


def ingress(rule: Any = None, **spec: Any) -> Any:
    path = {"path": "/", "pathType": "Prefix", "backend": BACKEND}
    rules = [{"host": "a.example", "http": {"paths": [path]}}] if rule is None else [rule]
    return {"metadata": {"name": "i", "namespace": "d"}, "spec": {"rules": rules, **spec}}


def of_path(**path: Any) -> Any:
    return ingress({"http": {"paths": [{"path": "/", "pathType": "Exact", "backend": BACKEND, **path}]}})


PATH = "spec.rules[0].http.paths[0]"


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        (ingress(), []),
        (ingress(tls=[{"hosts": ["*.a"], "secretName": "tls"}]), []),
        (
            ingress(tls=[{"hosts": ["A"], "secretName": "T"}]),
            [
                f'spec.tls[0].hosts[0]: Invalid value: "A": {SUBDOMAIN}',
                f'spec.tls[0].secretName: Invalid value: "T": {SUBDOMAIN}',
            ],
        ),
        (
            ingress({"host": "1.2.3.4", "http": {"paths": []}}),
            [
                'spec.rules[0].host: Invalid value: "1.2.3.4": must be a DNS name, not an IP address',
                "spec.rules[0].http.paths: Required value",
            ],
        ),
        (of_path(pathType=None), [f"{PATH}.pathType: Required value: pathType must be specified"]),
        (
            of_path(path="a//b"),
            [
                f'{PATH}.path: Invalid value: "a//b": must be an absolute path',
                f"{PATH}.path: Invalid value: \"a//b\": must not contain '//'",
            ],
        ),
        (
            of_path(backend={}),
            [f'{PATH}.backend: Invalid value: "": resource or service backend is required'],
        ),
        (
            of_path(backend={"resource": {"apiGroup": "X", "kind": "a/b", "name": ""}}),
            [
                f'{PATH}.backend.resource.apiGroup: Invalid value: "X": {SUBDOMAIN}',
                f"{PATH}.backend.resource.kind: Invalid value: \"a/b\": may not contain '/'",
                f"{PATH}.backend.resource.name: Required value",
            ],
        ),
        (
            changed(
                ingress(ingressClassName="b"),
                {"metadata": {"annotations": {"kubernetes.io/ingress.class": "a"}}},
            ),
            [
                'annotations.kubernetes.io/ingress.class: Invalid value: "a": must match `ingressClassName` '
                "when both are specified"
            ],
        ),
    ],
)
def test_ingresses(obj: Any, expected: list[str]) -> None:
    assert faults(INGRESSES, obj) == expected


def test_an_ingress_keeps_what_an_older_release_let_in() -> None:
    odd = ingress({"host": "*.example", "http": {"paths": []}}, tls=[{"secretName": "T"}])
    assert len(faults(INGRESSES, odd)) == 2
    assert faults(INGRESSES, odd, odd) == []
    assert len(faults(INGRESSES, odd, ingress())) == 2


def test_the_status_of_an_ingress() -> None:
    def status(*balancers: Any) -> Any:
        return {**ingress(), "status": {"loadBalancer": {"ingress": list(balancers)}}}

    new = status({"ip": "1.2.3.04"}, {"hostname": "1.2.3.4"}, {"hostname": "a.example", "ip": "10.0.0.1"})
    assert faults(INGRESSES, new, status(), subresource="status") == [
        'status.loadBalancer.ingress[0].ip: Invalid value: "1.2.3.04": must not have leading 0s',
        'status.loadBalancer.ingress[1].hostname: Invalid value: "1.2.3.4": must be a DNS name, not an IP '
        "address",
    ]
    assert len(faults(INGRESSES, new, new, subresource="status")) == 1
    mapped = status({"ip": "2001:DB8::1"})
    assert INGRESSES.warnings(mapped, status()) == [
        'status.loadBalancer.ingress[0]: IPv6 address "2001:DB8::1" should be in RFC 5952 canonical format '
        '("2001:db8::1")'
    ]
    assert INGRESSES.warnings(mapped, mapped) == []


def test_the_class_annotation_is_deprecated() -> None:
    old_way = changed(ingress(), {"metadata": {"annotations": {"kubernetes.io/ingress.class": "a"}}})
    assert INGRESSES.warnings(old_way, None) == [
        "annotation \"kubernetes.io/ingress.class\" is deprecated, please use 'spec.ingressClassName' instead"
    ]
    assert INGRESSES.warnings(changed(old_way, {"spec": {"ingressClassName": "a"}}), None) == []


def ingress_class(controller: str = "acme.io/foo", **parameters: Any) -> Any:
    spec: Any = {"controller": controller}
    if parameters:
        spec["parameters"] = {"kind": "K", "name": "n", **parameters}
    return {"metadata": {"name": "c"}, "spec": spec}


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        (ingress_class(), []),
        (ingress_class(scope="Namespace", namespace="d"), []),
        (ingress_class(""), ["spec.controller: Required value"]),
        (
            ingress_class("acme"),
            [
                'spec.controller: Invalid value: "acme": must be a domain-prefixed path (such as '
                '"acme.io/foo")'
            ],
        ),
        (
            ingress_class("acme.io/" + "a" * 250),
            ["spec.controller: Too long: may not be more than 250 bytes"],
        ),
        (
            ingress_class(kind="", name="a/b", namespace="d"),
            [
                "spec.parameters.kind: Required value",
                "spec.parameters.name: Invalid value: \"a/b\": may not contain '/'",
                "spec.parameters.namespace: Forbidden: `parameters.scope` is set to 'Cluster'",
            ],
        ),
        (
            ingress_class(scope="Namespace"),
            ["spec.parameters.namespace: Required value: `parameters.scope` is set to 'Namespace'"],
        ),
        (
            ingress_class(scope="World"),
            ['spec.parameters.scope: Unsupported value: "World": supported values: "Cluster", "Namespace"'],
        ),
    ],
)
def test_ingress_classes(obj: Any, expected: list[str]) -> None:
    assert faults(INGRESSCLASSES, obj) == expected


def test_the_controller_of_a_class_stays() -> None:
    assert faults(INGRESSCLASSES, ingress_class("b.c/d"), ingress_class()) == [
        'spec.controller: Invalid value: "b.c/d": field is immutable'
    ]


def policy(cidr: str, *holes: str) -> Any:
    block = {"cidr": cidr, "except": list(holes)}
    return {
        "metadata": {"name": "p"},
        "spec": {"podSelector": {}, "ingress": [{"from": [{"ipBlock": block}]}]},
    }


BLOCK = "spec.ingress[0].from[0].ipBlock"


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        (policy("10.0.0.0/8", "10.1.0.0/16"), []),
        (policy(""), [f"{BLOCK}.cidr: Required value"]),
        (
            policy("10.0.0.1/8", "11.0.0.0/16"),
            [
                f'{BLOCK}.cidr: Invalid value: "10.0.0.1/8": must not have bits set beyond the prefix length',
                f'{BLOCK}.except[0]: Invalid value: "11.0.0.0/16": must be a strict subset of `cidr`',
            ],
        ),
        (
            policy("10.0.0.0/8", "x"),
            [
                f'{BLOCK}.except[0]: Invalid value: "x": must be a valid CIDR value, (e.g. 10.9.8.0/24 or '
                "2001:db8::/64)"
            ],
        ),
    ],
)
def test_network_policies(obj: Any, expected: list[str]) -> None:
    assert faults(NETWORKPOLICIES, obj) == expected


def test_a_policy_keeps_its_odd_ranges_and_is_warned_of_them() -> None:
    odd = policy("10.0.0.1/8")
    assert faults(NETWORKPOLICIES, odd, odd) == []
    assert len(faults(NETWORKPOLICIES, odd, policy("10.0.0.0/8"))) == 1
    assert NETWORKPOLICIES.warnings(odd, None) == [
        f'{BLOCK}.cidr: CIDR value "10.0.0.1/8" is ambiguous in this context (should be "10.0.0.0/8" or '
        '"10.0.0.1/32"?)'
    ]


def cidrs(*values: str) -> Any:
    return {"metadata": {"name": "c"}, "spec": {"cidrs": list(values)}}


@pytest.mark.parametrize(
    ("new", "old", "expected"),
    [
        (cidrs("10.0.0.0/16", "fd00::/112"), None, []),
        (cidrs(), None, ["spec.cidrs: Required value: at least one CIDR required"]),
        (
            cidrs("10.0.0.0/16", "10.1.0.0/16"),
            None,
            [
                'spec.cidrs: Invalid value: ["10.0.0.0/16","10.1.0.0/16"]: may specify no more than one IP '
                "for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"
            ],
        ),
        (cidrs("10.0.0.0/16", "fd00::/112"), cidrs("10.0.0.0/16"), []),
        (
            cidrs("10.1.0.0/16"),
            cidrs("10.0.0.0/16"),
            ['spec.cidrs[0]: Invalid value: "10.1.0.0/16": field is immutable'],
        ),
        (
            cidrs("10.0.0.0/16"),
            cidrs("10.0.0.0/16", "fd00::/112"),
            ['spec.cidrs: Invalid value: ["10.0.0.0/16"]: field is immutable'],
        ),
    ],
)
def test_service_cidrs(new: Any, old: Any, expected: list[str]) -> None:
    assert faults(SERVICECIDRS, new, old) == expected


def test_the_owner_of_an_address() -> None:
    def address(**parent: str) -> Any:
        return {"metadata": {"name": "10.0.0.1"}, "spec": {"parentRef": parent}}

    assert faults(IPADDRESSES, address(resource="services", name="a", namespace="d")) == []
    assert faults(IPADDRESSES, address(resource="a/b", group="X")) == [
        f'spec.parentRef.group: Invalid value: "X": {SUBDOMAIN}',
        "spec.parentRef.resource: Invalid value: \"a/b\": may not contain '/'",
        "spec.parentRef.name: Required value",
    ]
