"""Quotas, limits, endpoints and claims: what upstream's checks find, and what was wrong before and may "
"stay."""

from __future__ import annotations

from typing import Any

import pytest

from podium.machinery.errors import Object
from podium.resources.core.endpoints import ENDPOINTS
from podium.resources.core.limitranges import LIMITRANGES
from podium.resources.core.persistentvolumeclaims import PERSISTENTVOLUMECLAIMS
from podium.resources.core.resourcequotas import RESOURCEQUOTAS
from tests.resources.refusals import changed, faults

UNFIT = "unsupported scope applied to resource"


def named(**body: Any) -> Object:
    return {"metadata": {"name": "x", "namespace": "default"}, **body}


def quota(hard: Object, **spec: Any) -> Object:
    return named(spec={"hard": hard, **spec})


def limits(**item: Any) -> Object:
    return named(spec={"limits": [item]})


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"hard": {"requests.hugepages-2Mi": "1Gi"}}, []),
        (
            {"hard": {"limits.ephemeral-storage": "1Gi"}, "scopes": ["NotBestEffort"]},
            [f'spec.scopes: Invalid value: ["NotBestEffort"]: {UNFIT}'],
        ),
        (
            {"hard": {"pods": "1", "requests.storage": "1Gi"}, "scopes": ["VolumeAttributesClass"]},
            [f'spec.scopes: Invalid value: ["VolumeAttributesClass"]: {UNFIT}'],
        ),
        (
            {
                "hard": {"pods": "1"},
                "scopeSelector": {
                    "matchExpressions": [
                        {"scopeName": "BestEffort", "operator": "Exists"},
                        {"scopeName": "NotBestEffort", "operator": "Exists"},
                    ]
                },
            },
            ["spec.scopeSelector.matchExpressions: Invalid value: null: conflicting scopes"],
        ),
    ],
)
def test_quotas(spec: Object, expected: list[str]) -> None:
    assert faults(RESOURCEQUOTAS, named(spec=spec)) == expected


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (
            {"type": "a b"},
            [
                'spec.limits[0].type: Invalid value: "a b": name part must consist of alphanumeric '
                "characters, "
                "'-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or "
                "'my.name',  or '123-abc', regex used for validation is "
                "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
            ],
        ),
        (
            {"type": "Container", "min": {"cpu": "3"}, "max": {"cpu": "2"}, "default": {"cpu": "1"}},
            [
                'spec.limits[0].min[cpu]: Invalid value: "3": min value 3 is greater than max value 2',
                'spec.limits[0].defaultRequest[cpu]: Invalid value: "1": min value 3 is greater than default '
                "request value 1",
                'spec.limits[0].default[cpu]: Invalid value: "3": min value 3 is greater than default '
                "value 1",
            ],
        ),
        (
            {
                "type": "Container",
                "max": {"cpu": "1"},
                "default": {"cpu": "2"},
                "defaultRequest": {"cpu": "1"},
            },
            ['spec.limits[0].default[cpu]: Invalid value: "1": default value 2 is greater than max value 1'],
        ),
        (
            {"type": "Pod", "max": {"cpu": "1"}, "default": {"cpu": "2"}},
            ["spec.limits[0].default: Forbidden: may not be specified when `type` is 'Pod'"],
        ),
        (
            {
                "type": "Container",
                "default": {"example.com/gpu": "2"},
                "defaultRequest": {"example.com/gpu": "1"},
            },
            [
                'spec.limits[0].defaultRequest[example.com/gpu]: Invalid value: "1": default value 2 '
                "must equal to "
                "defaultRequest value 1 in example.com/gpu"
            ],
        ),
        (
            {
                "type": "Container",
                "min": {"cpu": "1"},
                "max": {"cpu": "2"},
                "maxLimitRequestRatio": {"cpu": "3"},
            },
            [
                'spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: "3": ratio 3 is greater than '
                "max/min = "
                "2.000000"
            ],
        ),
    ],
)
def test_limits(item: Object, expected: list[str]) -> None:
    assert faults(LIMITRANGES, limits(**item)) == expected


def test_endpoints_that_stay_are_not_blamed() -> None:
    old = named(subsets=[{"addresses": [{"ip": "127.0.0.1"}], "ports": [{"port": 80}]}])
    ENDPOINTS.defaults(old)
    assert faults(ENDPOINTS, old) == [
        'subsets[0].addresses[0].ip: Invalid value: "127.0.0.1": may not be in the loopback range '
        "(127.0.0.0/8, ::1/128)"
    ]
    assert faults(ENDPOINTS, changed(old, {"metadata": {"labels": {"a": "b"}}}), old) == []
    more = changed(old, {"subsets": [*old["subsets"], {"addresses": [{"ip": "10.0.0.1"}]}]})
    assert len(faults(ENDPOINTS, more, old)) == 1


def claim(**spec: Any) -> Object:
    made = named(
        spec={"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, **spec},
        status={"phase": "Pending"},
    )
    PERSISTENTVOLUMECLAIMS.defaults(made)
    return made


@pytest.mark.parametrize(
    ("spec", "fields"),
    [
        (
            {"accessModes": [], "selector": {"matchLabels": {"a": "!"}}},
            ["accessModes", "selector.matchLabels"],
        ),
        (
            {"accessModes": ["Some"], "selector": {"matchLabels": {"a": "!"}}},
            ["selector.matchLabels", "accessModes"],
        ),
        ({"accessModes": ["ReadWriteOncePod", "ReadWriteOncePod"]}, []),
        ({"accessModes": ["ReadWriteOncePod", "Some"]}, ["accessModes"]),
    ],
)
def test_claims(spec: Object, fields: list[str]) -> None:
    found = faults(PERSISTENTVOLUMECLAIMS, claim(**spec))
    assert [fault.partition(": ")[0] for fault in found] == [f"spec.{field}" for field in fields]


@pytest.mark.parametrize(
    "spec",
    [
        {"selector": {"matchExpressions": [{"key": "a", "operator": "In", "values": ["!"]}]}},
        {"dataSourceRef": {"apiGroup": "Not Valid", "kind": "K", "name": "n"}},
    ],
    ids=["selector", "group"],
)
def test_a_claim_that_newer_rules_refuse_may_still_be_written(spec: Object) -> None:
    old = claim(**spec)
    PERSISTENTVOLUMECLAIMS.prepare_create(old)
    assert faults(PERSISTENTVOLUMECLAIMS, old)
    assert faults(PERSISTENTVOLUMECLAIMS, changed(old, {"metadata": {"labels": {"a": "b"}}}), old) == []
