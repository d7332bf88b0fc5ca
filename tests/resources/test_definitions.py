"""Definitions of custom resources: what upstream refuses beside their schemas, and where it says so."""

from __future__ import annotations

from typing import Any

import pytest

from podium.machinery.errors import Object
from podium.resources.apiextensions.format_warnings import warn_of_formats
from podium.resources.apiextensions.validation import (
    validate_definition,
    validate_definition_status,
    validate_definition_update,
)

SCHEMA = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "properties": {"color": {"type": "string"}, "size": {"type": "number"}},
        }
    },
}


def version(name: str = "v1", **more: Any) -> Object:
    made = {"name": name, "served": True, "storage": name == "v1", "schema": {"openAPIV3Schema": SCHEMA}}
    return made | more


def definition(*versions: Object, **spec: Any) -> Object:
    group = spec.get("group", "example.org")
    return {
        "metadata": {"name": f"things.{group}", "annotations": spec.pop("annotations", {})},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": "things", "singular": "thing", "kind": "Thing", "listKind": "ThingList"},
            "versions": list(versions) or [version()],
            **spec,
        },
        "status": {"storedVersions": ["v1"]},
    }


def errors(*versions: Object, **spec: Any) -> list[str]:
    return [str(error) for error in validate_definition(definition(*versions, **spec))]


def test_a_plain_definition_is_fine() -> None:
    assert errors() == []


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ({"name": "A", "type": "string", "jsonPath": ".spec.color"}, []),
        (
            {"name": "", "type": "text", "jsonPath": ""},
            [
                "spec.additionalPrinterColumns[0].name: Required value",
                'spec.additionalPrinterColumns[0].type: Invalid value: "text": must be one of '
                "boolean,date,integer,number,string",
                "spec.additionalPrinterColumns[0].JSONPath: Required value",
            ],
        ),
        (
            {"name": "A", "type": "integer", "format": "int8", "jsonPath": "spec"},
            [
                'spec.additionalPrinterColumns[0].format: Invalid value: "int8": must be one of '
                "byte,date,date-time,double,float,int32,int64,password",
                'spec.additionalPrinterColumns[0].JSONPath: Invalid value: "spec": must be a simple json '
                "path starting with .",
            ],
        ),
    ],
)
def test_columns(column: Object, expected: list[str]) -> None:
    assert errors(version(additionalPrinterColumns=[column])) == expected


@pytest.mark.parametrize(
    ("scale", "expected"),
    [
        ({"specReplicasPath": ".spec.n", "statusReplicasPath": ".status.n"}, []),
        (
            {"specReplicasPath": "", "statusReplicasPath": ".spec.n"},
            [
                "spec.subresources.scale.specReplicasPath: Required value",
                'spec.subresources.scale.statusReplicasPath: Invalid value: ".spec.n": should be a json path '
                "under .status",
            ],
        ),
        (
            {"specReplicasPath": ".spec.n", "statusReplicasPath": ".status.n", "labelSelectorPath": ".x"},
            [
                'spec.subresources.scale.labelSelectorPath: Invalid value: ".x": should be a json path under '
                "either .spec or .status"
            ],
        ),
    ],
)
def test_scale(scale: Object, expected: list[str]) -> None:
    assert errors(version(subresources={"scale": scale})) == expected


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        ([".spec.color"], []),
        ([""], ["[0].jsonPath: Required value"]),
        (
            [".spec.nosuch"],
            ['[0].jsonPath: Invalid value: ".spec.nosuch": is an invalid path: does not refer'],
        ),
        (
            ["spec"],
            ['[0].jsonPath: Invalid value: "spec": is an invalid path: expected [ or . but got: spec'],
        ),
        ([".spec['color']"], ["[0].jsonPath: Invalid value: \".spec['color']\": is an invalid path: array"]),
        ([".spec.size"], ['[0].jsonPath: Invalid value: ".spec.size": must point to a field of type string']),
        ([".spec.color"] * 2, ['[1].jsonPath: Duplicate value: ".spec.color"']),
    ],
)
def test_selectable_fields(paths: list[str], expected: list[str]) -> None:
    found = errors(version(selectableFields=[{"jsonPath": path} for path in paths]))
    assert len(found) == len(expected)
    for error, start in zip(found, expected, strict=True):
        assert error.startswith(f"spec.selectableFields{start}")


def test_there_may_be_eight_selectable_fields_and_more_only_if_there_were() -> None:
    names = [f"f{number}" for number in range(9)]
    schema = {"type": "object", "properties": {name: {"type": "string"} for name in names}}
    many = version(
        schema={"openAPIV3Schema": schema}, selectableFields=[{"jsonPath": f".{name}"} for name in names]
    )
    assert errors(many) == ["spec.selectableFields: Too many: 9: must have at most 8 items"]
    assert validate_definition_update(definition(many), definition(many)) == []


def test_what_versions_differ_in_is_told_of_the_version() -> None:
    bad = [{"name": "A", "type": "string", "jsonPath": "x"}]
    (error,) = errors(version(), version("v2", additionalPrinterColumns=bad))
    assert error.startswith("spec.versions[1].additionalPrinterColumns[0].JSONPath: Invalid value")


@pytest.mark.parametrize(
    ("deprecated", "warning", "detail"),
    [
        (False, "x", "can only be set for deprecated versions"),
        (True, "", "must not be an empty string"),
        (True, "x" * 257, "must be <= 256 characters long"),
        (
            True,
            "a\tb",
            "must only contain printable UTF-8 characters; non-printable character found at index 1",
        ),
    ],
)
def test_deprecation_warnings(deprecated: bool, warning: str, detail: str) -> None:
    (error,) = errors(version(deprecated=deprecated, deprecationWarning=warning))
    assert error.startswith("spec.versions[0].deprecationWarning: Invalid value: ")
    assert error.endswith(detail)


def test_a_status_subresource_splits_the_root_of_the_schema() -> None:
    schema = SCHEMA | {"maxProperties": 5}
    (error,) = errors(version(schema={"openAPIV3Schema": schema}, subresources={"status": {}}))
    assert error.startswith('spec.validation.openAPIV3Schema: Invalid value: {"ID":"","Schema":""')
    assert "only [Description Type Format Title" in error
    assert errors(version(schema={"openAPIV3Schema": schema})) == []


def test_null_is_no_object() -> None:
    assert errors(version(schema={"openAPIV3Schema": SCHEMA | {"nullable": True}})) == [
        "spec.validation.openAPIV3Schema.nullable: Forbidden: nullable cannot be true at the root"
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://github.com/kubernetes/kubernetes/pull/1", ""),
        ("unapproved, an experiment", ""),
        ("", "Required value: protected groups must have approval annotation"),
        ("yes", 'Invalid value: "yes": protected groups must have approval annotation'),
    ],
)
def test_approval_of_protected_groups(text: str, expected: str) -> None:
    found = errors(group="x.k8s.io", annotations={"api-approved.kubernetes.io": text} if text else {})
    assert [
        error.startswith(f"metadata.annotations[api-approved.kubernetes.io]: {expected}") for error in found
    ] == ([True] if expected else [])


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (
            {"conversion": {}},
            ["spec.conversion.strategy: Required value"],
        ),
        (
            {"versions": []},
            [
                "spec.versions: Invalid value: []: must have exactly one version marked as storage version",
                "status.storedVersions[0]: Invalid value",
            ],
        ),
        (
            {
                "names": {
                    "plural": "things",
                    "singular": "thing",
                    "kind": "A",
                    "listKind": "B",
                    "shortNames": [""],
                }
            },
            ['spec.names.shortNames[0]: Invalid value: "": a DNS-1035 label'],
        ),
        (
            {
                "conversion": {
                    "strategy": "Webhook",
                    "webhook": {"clientConfig": {"url": "https://a:b"}, "conversionReviewVersions": ["v1"]},
                }
            },
            [
                "spec.conversion.webhookClientConfig.url: Required value: url must be a valid URL: parse "
                '"https://a:b": invalid port ":b" after host'
            ],
        ),
    ],
)
def test_what_a_definition_says(spec: Object, expected: list[str]) -> None:
    found = errors(**spec)
    assert len(found) == len(expected)
    for error, start in zip(found, expected, strict=True):
        assert error.startswith(start)


def test_schemas_of_old_need_not_be_structural_while_nothing_is_pruned() -> None:
    loose = version(schema={"openAPIV3Schema": {"properties": {"a": {"type": "array"}}}})
    old = definition(loose, preserveUnknownFields=True)
    assert [error.field for error in validate_definition(old)] == [
        "spec.validation.openAPIV3Schema.properties[a].items",
        "spec.validation.openAPIV3Schema.type",
        "spec.preserveUnknownFields",
    ]
    assert validate_definition_update(old, old) == []
    (error, *_) = validate_definition_update(definition(loose), old)
    assert error.field == "spec.validation.openAPIV3Schema.properties[a].items"


@pytest.mark.parametrize(
    ("before", "now", "fields"),
    [
        ("", "YQ==", ["spec.conversion.webhookClientConfig.caBundle"]),
        ("YQ==", "Yg==", []),
        ("", "", []),
    ],
)
def test_certificates_of_a_definition_in_use(before: str, now: str, fields: list[str]) -> None:
    def converting(bundle: str) -> Object:
        client = {"url": "https://a", "caBundle": bundle}
        webhook = {"clientConfig": client, "conversionReviewVersions": ["v1"]}
        return definition(conversion={"strategy": "Webhook", "webhook": webhook})

    old = converting(before)
    assert validate_definition_update(converting(now), old) == []
    old["status"]["conditions"] = [{"type": "Established", "status": "True"}]
    assert [error.field for error in validate_definition_update(converting(now), old)] == fields


def test_a_changed_group_is_told_where_it_changed() -> None:
    new = definition(group="other.example.org")
    new["metadata"]["name"] = "things.example.org"
    assert [error.field for error in validate_definition_update(new, definition())] == ["spec.group"]


def test_versions_of_conversion_reviews() -> None:
    webhook = {"clientConfig": {"url": "https://x.example/c"}, "conversionReviewVersions": ["v2", "v2", "V3"]}
    found = errors(conversion={"strategy": "Webhook", "webhook": webhook})
    assert found[0] == 'spec.conversion.conversionReviewVersions[1]: Invalid value: "v2": duplicate version'
    assert found[1].startswith('spec.conversion.conversionReviewVersions[2]: Invalid value: "V3": a DNS-1035')
    assert found[2].endswith("must include at least one of v1, v1beta1")


def test_a_version_on_record_must_stay() -> None:
    gone = definition(version("v2", storage=True))
    gone["status"]["storedVersions"] = ["v1", "v2"]
    (error,) = validate_definition(gone)
    assert error.field == "status.storedVersions[0]"
    assert "missing from spec.versions; v1 was previously a storage version" in error.message


def test_a_rule_that_cost_too_much_before_may_stay() -> None:
    texts = {"type": "array", "items": {"type": "string"}}
    rule = {"rule": "self.l.all(x, self.l.exists(y, x == y))"}
    costly = {"type": "object", "properties": {"l": texts}, "x-kubernetes-validations": [rule]}
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": costly}}}
    old = definition(version(schema=schema))
    new = definition(version(schema=schema, served=False))
    # What a single rule costs is not held against it any more, what all cost together is.
    single = [error for error in validate_definition(new) if "estimated rule cost exceeds" in error.message]
    assert len(single) == 1
    later = [
        error
        for error in validate_definition_update(new, old)
        if "estimated rule cost exceeds" in error.message
    ]
    assert later == []


def test_the_accepted_names_of_a_status_are_names() -> None:
    new = definition()
    new["status"]["acceptedNames"] = {"plural": "Things", "kind": "Thing"}
    (error,) = validate_definition_status(new, definition())
    assert error.field == "status.acceptedNames.plural"


def test_unknown_formats_are_warned_of_once() -> None:
    fields = {
        "a": {"type": "string", "format": "phone"},
        "b": {"type": "integer", "format": "int16"},
        "c": {"type": "string", "format": "date"},
    }
    part = {"type": "object", "properties": fields}
    new = definition(version(schema={"openAPIV3Schema": part}))
    assert warn_of_formats(new, None) == ['unrecognized format "phone"', 'unrecognized format "int16"']
    assert warn_of_formats(new, new) == []
