"""Validation shared by all resources: names, labels, addresses, metadata."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from podium.machinery import validation as v
from podium.machinery.errors import FieldError
from podium.machinery.resource import Resource

LABEL_RULE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start "
    "and end "
    "with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
SUBDOMAIN_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and "
    "must start "
    "and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
KEY_RULE = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
VALUE_RULE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and "
    "must start "
    "and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for "
    "validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
IP = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
CIDR = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"

STRINGS: list[tuple[Callable[[str], list[str]], str, list[str]]] = [
    (v.dns1123_label_errors, "web-0", []),
    (v.dns1123_label_errors, "Web", [LABEL_RULE]),
    (v.dns1123_label_errors, "", [LABEL_RULE]),
    (v.dns1123_label_errors, "a.b", ["must not contain dots"]),
    (v.dns1123_label_errors, "a\n", [LABEL_RULE]),
    (v.dns1123_label_errors, "a" * 64, ["must be no more than 63 characters"]),
    (v.dns1123_subdomain_errors, "a.b-c.d", []),
    (v.dns1123_subdomain_errors, "a..b", [SUBDOMAIN_RULE]),
    (v.dns1123_subdomain_errors, "a" * 254, ["must be no more than 253 characters"]),
    (v.dns1035_label_errors, "a1", []),
    (v.path_segment_errors, "system:node", []),
    (v.path_segment_errors, "a/b%c", ["may not contain '/'", "may not contain '%'"]),
    (v.path_segment_errors, "..", ["may not be '..'"]),
    (v.qualified_name_errors, "example.com/Name_1", []),
    (v.qualified_name_errors, "bad key", [KEY_RULE]),
    (v.qualified_name_errors, "/x", ["prefix part must be non-empty"]),
    (v.qualified_name_errors, "", ["name part must be non-empty", KEY_RULE]),
    (v.qualified_name_errors, "a" * 64, ["name part must be no more than 63 bytes"]),
    (v.label_value_errors, "", []),
    (v.label_value_errors, "a b", [VALUE_RULE]),
    (v.label_value_errors, "a" * 64, ["must be no more than 63 bytes"]),
    (v.port_name_errors, "http-1", []),
    (v.port_name_errors, "1", ["must contain at least one letter (a-z)"]),
    (v.port_name_errors, "a--b", ["must not contain consecutive hyphens"]),
    (v.port_name_errors, "a" * 16, ["must be no more than 15 characters"]),
    (v.env_var_name_errors, "A.b-C d", []),
    (v.env_var_name_errors, "", ["environment variable name must be non-empty"]),
    (
        v.env_var_name_errors,
        "a=b",
        ["a valid environment variable name must consist only of printable ASCII characters other than '='"],
    ),
    (v.config_map_key_errors, "a.b_c-D", []),
    (v.config_map_key_errors, "..", ["must not be '..'"]),
    (v.config_map_key_errors, "..a", ["must not start with '..'"]),
    (v.percent_errors, "25%", []),
]


@pytest.mark.parametrize(
    ("rule", "text", "errors"), STRINGS, ids=[f"{rule.__name__}({text!r:.20})" for rule, text, _ in STRINGS]
)
def test_strings(rule: Callable[[str], list[str]], text: str, errors: list[str]) -> None:
    assert rule(text) == errors


@pytest.mark.parametrize(
    ("rule", "number", "errors"),
    [
        (v.port_number_errors, 0, ["must be between 1 and 65535, inclusive"]),
        (v.port_number_errors, 65535, []),
        (v.user_id_errors, -1, ["must be between 0 and 2147483647, inclusive"]),
    ],
)
def test_numbers(rule: Callable[[int], list[str]], number: int, errors: list[str]) -> None:
    assert rule(number) == errors


CONFIG_MAP = Resource(
    version="v1",
    kind="ConfigMap",
    plural="configmaps",
    namespaced=True,
    schema="io.k8s.api.core.v1.ConfigMap",
)
NODE = Resource(version="v1", kind="Node", plural="nodes", namespaced=False, schema="io.k8s.api.core.v1.Node")


def texts(errors: list[FieldError]) -> list[str]:
    return [str(error) for error in errors]


CREATIONS: list[tuple[str, Resource, dict[str, Any], list[str]]] = [
    ("fine", CONFIG_MAP, {"name": "a", "namespace": "b"}, []),
    (
        "no name",
        CONFIG_MAP,
        {"namespace": "b"},
        ["metadata.name: Required value: name or generateName is required"],
    ),
    ("no namespace", CONFIG_MAP, {"name": "a"}, ["metadata.namespace: Required value"]),
    (
        "namespace where none is",
        NODE,
        {"name": "a", "namespace": "b"},
        ["metadata.namespace: Forbidden: not allowed on this type"],
    ),
    (
        "bad name",
        CONFIG_MAP,
        {"name": "A_", "namespace": "b"},
        [f'metadata.name: Invalid value: "A_": {SUBDOMAIN_RULE}'],
    ),
    ("generated", CONFIG_MAP, {"generateName": "a-", "name": "a-x", "namespace": "b"}, []),
    (
        "labels",
        NODE,
        {"name": "a", "labels": {"bad key": "x", "good": "bad value"}},
        [
            f'metadata.labels: Invalid value: "bad key": {KEY_RULE}',
            f'metadata.labels: Invalid value: "bad value": {VALUE_RULE}',
        ],
    ),
    (
        "annotations",
        NODE,
        {"name": "a", "annotations": {"UPPER.example/x": "y", "b": "z" * 262144}},
        ["metadata.annotations: Too long: may not be more than 262144 bytes"],
    ),
    (
        "owners",
        NODE,
        {
            "name": "a",
            "ownerReferences": [
                {"apiVersion": "v1", "kind": "A", "name": "x", "uid": "1", "controller": True},
                {"apiVersion": "g/", "kind": "B", "name": "y", "uid": "", "controller": True},
            ],
        },
        [
            'metadata.ownerReferences.apiVersion: Invalid value: "g/": version must not be empty',
            'metadata.ownerReferences.uid: Invalid value: "": must not be empty',
            'metadata.ownerReferences: Invalid value: [{"apiVersion":"v1","kind":"A","name":"x","uid":"1",'
            '"controller":true},{"apiVersion":"g/","kind":"B","name":"y","uid":"","controller":true}]: '
            'Only one reference can have Controller set to true. Found "true" in references for A/x and B/y',
        ],
    ),
    (
        "finalizers",
        NODE,
        {"name": "a", "finalizers": ["orphan", "foregroundDeletion"]},
        [
            'metadata.finalizers: Invalid value: ["orphan","foregroundDeletion"]: finalizer orphan and '
            "foregroundDeletion cannot be both set"
        ],
    ),
    (
        "generation",
        NODE,
        {"name": "a", "generation": -1},
        ["metadata.generation: Invalid value: -1: must be greater than or equal to 0"],
    ),
    (
        "managed fields",
        NODE,
        {"name": "a", "managedFields": [{"operation": "Guess", "fieldsType": "V2"}]},
        [
            'metadata.managedFields[0].operation: Invalid value: "Guess": must be `Apply` or `Update`',
            'metadata.managedFields[0].fieldsType: Invalid value: "V2": must be `FieldsV1`',
        ],
    ),
]


@pytest.mark.parametrize(
    ("resource", "meta", "errors"), [c[1:] for c in CREATIONS], ids=[c[0] for c in CREATIONS]
)
def test_metadata_on_creation(resource: Resource, meta: dict[str, Any], errors: list[str]) -> None:
    assert texts(v.validate_object_meta({"metadata": meta}, resource)) == errors


OLD = {"name": "a", "uid": "1", "resourceVersion": "5", "creationTimestamp": "2026-01-01T00:00:00Z"}
UPDATES: list[tuple[str, dict[str, Any], dict[str, Any], list[str]]] = [
    ("same", OLD, OLD, []),
    ("time in another zone", {**OLD, "creationTimestamp": "2026-01-01T01:00:00+01:00"}, OLD, []),
    ("name", {**OLD, "name": "b"}, OLD, ['metadata.name: Invalid value: "b": field is immutable']),
    ("uid", {**OLD, "uid": "2"}, OLD, ['metadata.uid: Invalid value: "2": field is immutable']),
    (
        "deletion undone",
        OLD,
        {**OLD, "deletionTimestamp": "2026-01-01T00:00:00Z"},
        ["metadata.deletionTimestamp: Invalid value: null: field is immutable"],
    ),
    (
        "no version",
        {key: value for key, value in OLD.items() if key != "resourceVersion"},
        OLD,
        ['metadata.resourceVersion: Invalid value: "": must be specified for an update'],
    ),
    (
        "generation back",
        OLD,
        {**OLD, "generation": 2},
        ["metadata.generation: Invalid value: 0: must not be decremented"],
    ),
    (
        "finalizer added while going",
        {**OLD, "deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["x/b", "x/a"]},
        {**OLD, "deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["x/a"]},
        [
            "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, "
            'found new finalizers []string{"x/b"}'
        ],
    ),
]


@pytest.mark.parametrize(("new", "old", "errors"), [u[1:] for u in UPDATES], ids=[u[0] for u in UPDATES])
def test_metadata_on_update(new: dict[str, Any], old: dict[str, Any], errors: list[str]) -> None:
    assert texts(v.validate_object_meta_update({"metadata": new}, {"metadata": old})) == errors


def test_label_selector_in_an_object() -> None:
    selector = {
        "matchExpressions": [
            {"key": "a", "operator": "In"},
            {"key": "a", "operator": "Exists", "values": ["x"]},
            {"key": "a", "operator": "Near"},
        ]
    }
    assert texts(v.validate_label_selector(selector, "spec.selector")) == [
        "spec.selector.matchExpressions[0].values: Required value: must be specified when `operator` is "
        "'In' or "
        "'NotIn'",
        "spec.selector.matchExpressions[1].values: Forbidden: may not be specified when `operator` is "
        "'Exists' or "
        "'DoesNotExist'",
        'spec.selector.matchExpressions[2].operator: Invalid value: "Near": not a valid selector operator',
    ]


def test_field_manager() -> None:
    assert texts(v.validate_field_manager("bad\x01name")) == [
        r'fieldManager: Invalid value: "bad\x01name": invalid character U+0001 (at position 3)'
    ]
    assert texts(v.validate_field_manager("a" * 129)) == [
        "fieldManager: Too long: may not be more than 128 bytes"
    ]
    assert v.validate_field_manager("My Tool ü") == []


def test_conditions() -> None:
    good = {"type": "A", "status": "True", "reason": "R", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    assert v.validate_conditions([good], "status.conditions") == []
    errors = texts(
        v.validate_conditions([good, {**good, "status": "Yes", "reason": ""}], "status.conditions")
    )
    assert errors == [
        'status.conditions[1].type: Duplicate value: "A"',
        'status.conditions[1].status: Unsupported value: "Yes": supported values: "False", "True", "Unknown"',
        "status.conditions[1].reason: Required value",
    ]
