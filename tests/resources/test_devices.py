"""Devices: classes, claims, slices, rules; and v1beta1 in the words of v1."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from podium.machinery.errors import Object
from podium.resources.resource.devicetaintrules import DEVICETAINTRULES
from podium.resources.resource.resourceclaims import RESOURCECLAIMS, RESOURCECLAIMS_V1BETA1
from podium.resources.resource.resourceslices import RESOURCESLICES, RESOURCESLICES_V1BETA1

LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric "
    "characters or '-', and must start and "
    "end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)


def changed(obj: Object, path: str, value: Any) -> Object:
    """Return a copy with the value at a dotted path, in which numbers are indices, replaced or removed."""
    made = copy.deepcopy(obj)
    *parts, last = path.split(".")
    holder: Any = made
    for part in parts:
        holder = holder[int(part)] if part.isdigit() else holder[part]
    if value is None:
        holder.pop(last, None)
    else:
        holder[int(last) if last.isdigit() else last] = value
    return made


def texts(errors: list[Any]) -> list[str]:
    return [str(error) for error in errors]


CLAIM: Object = {
    "metadata": {"name": "claim"},
    "spec": {
        "devices": {
            "requests": [
                {
                    "name": "gpu",
                    "exactly": {"deviceClassName": "gpus", "allocationMode": "ExactCount", "count": 1},
                },
                {
                    "name": "any",
                    "firstAvailable": [
                        {"name": "big", "deviceClassName": "gpus", "allocationMode": "All"},
                    ],
                },
            ],
            "constraints": [{"requests": ["gpu", "any/big"], "matchAttribute": "example.com/model"}],
        }
    },
}
REQUEST = "spec.devices.requests.0"


@pytest.mark.parametrize(
    ("path", "value", "errors"),
    [
        ("metadata.name", "claim", []),
        (
            f"{REQUEST}.exactly",
            None,
            [
                "spec.devices.requests[0]: Required value: exactly one of `exactly` or `firstAvailable` is "
                "required",
            ],
        ),
        (
            f"{REQUEST}.exactly.count",
            0,
            [
                "spec.devices.requests[0].exactly.count: Invalid value: 0: must be greater than zero",
            ],
        ),
        (
            f"{REQUEST}.exactly.allocationMode",
            "Some",
            [
                "spec.devices.requests[0].exactly.allocationMode: Unsupported value: "
                '"Some": supported values: '
                '"All", "ExactCount"',
            ],
        ),
        (
            f"{REQUEST}.exactly.tolerations",
            [{"key": "a", "operator": "Exists", "value": "b"}, {"operator": "Equal", "effect": "Never"}],
            [
                "spec.devices.requests[0].exactly.tolerations[0].value: Invalid value: "
                '"b": must be empty for '
                "operator `Exists`",
                "spec.devices.requests[0].exactly.tolerations[1].effect: Unsupported "
                'value: "Never": supported '
                'values: "NoExecute", "NoSchedule", "None"',
            ],
        ),
        (
            "spec.devices.constraints.0.requests",
            ["gpu", "gpu", "any/small"],
            [
                'spec.devices.constraints[0].requests[2]: Invalid value: "any/small": must be the name of a '
                "request in the claim or the name of a request and a subrequest separated by '/'",
                'spec.devices.constraints[0].requests[1]: Duplicate value: "gpu"',
            ],
        ),
        (
            "spec.devices.constraints.0.matchAttribute",
            "model",
            [
                'spec.devices.constraints[0].matchAttribute: Invalid value: "model": a fully qualified name '
                "must be a domain and a name separated by a slash",
            ],
        ),
        (
            "spec.devices.config",
            [{"opaque": {"driver": "example.com", "parameters": 7}}],
            [
                'spec.devices.config[0].opaque.parameters: Invalid value: "<value omitted>": must be a valid '
                "JSON object",
            ],
        ),
    ],
)
def test_claims(path: str, value: Any, errors: list[str]) -> None:
    assert texts(RESOURCECLAIMS.validate(changed(CLAIM, path, value))) == errors


def test_too_many_requests_are_counted_and_not_looked_at() -> None:
    claim = changed(CLAIM, "spec.devices.requests", [{"name": "?"}] * 33)
    claim = changed(claim, "spec.devices.constraints", None)
    assert texts(RESOURCECLAIMS.validate(claim)) == [
        "spec.devices.requests: Too many: 33: must have at most 32 items"
    ]


RESULT: Object = {"request": "gpu", "driver": "example.com", "pool": "pool", "device": "dev-0"}
ALLOCATION: Object = {"devices": {"results": [RESULT]}}
CONSUMER: Object = {"resource": "pods", "name": "pod", "uid": "1"}


@pytest.mark.parametrize(
    ("status", "old", "errors"),
    [
        ({"allocation": ALLOCATION, "reservedFor": [CONSUMER]}, {}, []),
        (
            {"reservedFor": [CONSUMER]},
            {},
            ["status.reservedFor: Forbidden: may not be specified when `allocated` is not set"],
        ),
        (
            {"allocation": ALLOCATION, "devices": [{**RESULT, "device": "dev-1"}]},
            {},
            [
                'status.devices[0]: Invalid value: {"Driver":"example.com","Pool":"pool","Device":"dev-1",'
                '"ShareID":""}: must be an allocated device in the claim',
            ],
        ),
        (
            {"allocation": ALLOCATION, "reservedFor": [CONSUMER, CONSUMER]},
            {},
            ['status.reservedFor[1]: Duplicate value: "1"'],
        ),
        (
            {"allocation": {"devices": {"results": [{**RESULT, "request": "other"}]}}},
            {},
            [
                'status.allocation.devices.results[0].request: Invalid value: "other": must be the name of a '
                "request in the claim or the name of a request and a subrequest separated by '/'",
            ],
        ),
    ],
)
def test_status_of_claims(status: Object, old: Object, errors: list[str]) -> None:
    new = {**CLAIM, "status": status}
    assert texts(RESOURCECLAIMS.validate_status_update(new, {**CLAIM, "status": old})) == errors


def test_an_allocation_stays() -> None:
    old = {**CLAIM, "status": {"allocation": ALLOCATION}}
    new = {**CLAIM, "status": changed({"allocation": ALLOCATION}, "allocation.devices.results", [])}
    (error,) = RESOURCECLAIMS.validate_status_update(new, old)
    assert (error.field, error.reason) == ("status.allocation", "FieldValueInvalid")
    assert error.message.endswith("field is immutable")


SLICE: Object = {
    "metadata": {"name": "slice"},
    "spec": {
        "driver": "example.com",
        "pool": {"name": "node-1", "resourceSliceCount": 1, "generation": 1},
        "nodeName": "node-1",
        "devices": [
            {
                "name": "dev-0",
                "attributes": {"model": {"string": "a100"}, "example.com/cores": {"int": 8}},
                "capacity": {"memory": {"value": "40Gi"}},
            }
        ],
    },
}
DEVICE = "spec.devices.0"


@pytest.mark.parametrize(
    ("path", "value", "errors"),
    [
        ("metadata.name", "slice", []),
        (
            "spec.nodeName",
            None,
            [
                "spec: Required value: exactly one of `nodeName`, `nodeSelector`, `allNodes`, "
                "`perDeviceNodeSelection` is required",
            ],
        ),
        (
            "spec.allNodes",
            True,
            [
                'spec: Invalid value: "{`nodeName`, `allNodes`}": exactly one of `nodeName`, `nodeSelector`, '
                "`allNodes`, `perDeviceNodeSelection` is required, but multiple fields are set",
            ],
        ),
        (
            f"{DEVICE}.attributes.model",
            {"string": "a", "int": 1},
            [
                'spec.devices[0].attributes[model]: Invalid value: {"string":"a","int":1}: exactly one value '
                "must be specified",
            ],
        ),
        (
            f"{DEVICE}.attributes.model",
            {"version": "1.2"},
            [
                'spec.devices[0].attributes[model].version: Invalid value: "1.2": must '
                "be a string compatible "
                "with semver.org spec 2.0.0",
            ],
        ),
        (
            f"{DEVICE}.allNodes",
            True,
            [
                "spec.devices[0]: Invalid value: null: `nodeName`, `nodeSelector` and `allNodes` can only be "
                "set if `perDeviceNodeSelection` is set to true in the ResourceSlice spec",
            ],
        ),
        (
            f"{DEVICE}.capacity.memory.requestPolicy",
            {"default": "1Gi"},
            [
                "spec.devices[0].capacity[memory].requestPolicy: Forbidden: allowMultipleAllocations must be "
                "true",
            ],
        ),
        (
            f"{DEVICE}.bindingConditions",
            ["a"],
            [
                "spec.devices[0].bindingFailureConditions: Invalid value: null: bindingFailureConditions are "
                "required to use bindingConditions",
            ],
        ),
        (
            f"{DEVICE}.taints",
            [{"key": "k", "effect": "Gone"}],
            [
                'spec.devices[0].taints[0].effect: Unsupported value: "Gone": supported values: "NoExecute", '
                '"NoSchedule", "None"',
            ],
        ),
        (f"{DEVICE}.name", "Dev", [f'spec.devices[0].name: Invalid value: "Dev": {LABEL}']),
    ],
)
def test_slices(path: str, value: Any, errors: list[str]) -> None:
    assert texts(RESOURCESLICES.validate(changed(SLICE, path, value))) == errors


@pytest.mark.parametrize(
    ("policy", "errors"),
    [
        ({"default": "1Gi", "validValues": ["1Gi", "2Gi"]}, []),
        ({"default": "3Gi", "validValues": ["1Gi", "2Gi"]}, ["default value is not valid"]),
        (
            {"default": "1Gi", "validValues": ["2Gi", "1Gi", "50Gi"]},
            ["values must be sorted", "option is larger than capacity value: 40Gi"],
        ),
        ({"default": "1Gi", "validRange": {"min": "1Gi", "max": "4Gi", "step": "1Gi"}}, []),
        (
            {"default": "1Gi", "validRange": {"min": "2Gi", "max": "5Gi", "step": "2Gi"}},
            [
                "default is less than min: 2Gi",
                "value is not a multiple of a given step (2Gi) from (2Gi)",
                "value is not a multiple of a given step (2Gi) from (2Gi)",
            ],
        ),
    ],
)
def test_policies_of_shared_capacity(policy: Object, errors: list[str]) -> None:
    shared = changed(SLICE, f"{DEVICE}.allowMultipleAllocations", True)
    found = RESOURCESLICES.validate(changed(shared, f"{DEVICE}.capacity.memory.requestPolicy", policy))
    assert len(found) == len(errors)
    assert all(wanted in error.message for error, wanted in zip(found, errors, strict=True))


def test_taints_are_stamped_once() -> None:
    rule: Object = {"spec": {"taint": {"key": "k", "effect": "NoSchedule"}}}
    assert DEVICETAINTRULES.stamp is not None
    DEVICETAINTRULES.stamp(rule, None, "2026-01-01T00:00:00Z")
    assert rule["spec"]["taint"]["timeAdded"] == "2026-01-01T00:00:00Z"
    same = copy.deepcopy(rule)
    DEVICETAINTRULES.stamp(same, rule, "2026-02-02T00:00:00Z")
    assert same == rule
    other = changed(rule, "spec.taint.effect", "NoExecute")
    DEVICETAINTRULES.stamp(other, rule, "2026-02-02T00:00:00Z")
    assert other["spec"]["taint"]["timeAdded"] == "2026-02-02T00:00:00Z"


def test_v1beta1_claims_are_v1_claims() -> None:
    old: Object = {
        "metadata": {"name": "claim"},
        "spec": {
            "devices": {
                "requests": [
                    {"name": "gpu", "deviceClassName": "gpus"},
                    {
                        "name": "any",
                        "deviceClassName": "",
                        "firstAvailable": [{"name": "big", "deviceClassName": "gpus"}],
                    },
                ]
            }
        },
    }
    RESOURCECLAIMS_V1BETA1.defaults(old)
    assert old["spec"]["devices"]["requests"][0] == {
        "name": "gpu",
        "deviceClassName": "gpus",
        "allocationMode": "ExactCount",
        "count": 1,
    }
    kept = RESOURCECLAIMS_V1BETA1.to_storage(copy.deepcopy(old))
    assert kept["spec"]["devices"]["requests"][0]["exactly"]["deviceClassName"] == "gpus"
    assert "exactly" not in kept["spec"]["devices"]["requests"][1]
    assert RESOURCECLAIMS.validate(kept) == []
    assert RESOURCECLAIMS_V1BETA1.from_storage(kept) == old


def test_v1beta1_slices_are_v1_slices() -> None:
    old = RESOURCESLICES_V1BETA1.from_storage(SLICE)
    assert old["spec"]["devices"][0] == {
        "name": "dev-0",
        "basic": {
            "attributes": {"model": {"string": "a100"}, "example.com/cores": {"int": 8}},
            "capacity": {"memory": {"value": "40Gi"}},
        },
    }
    assert RESOURCESLICES_V1BETA1.to_storage(old) == SLICE
