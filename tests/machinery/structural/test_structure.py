"""What makes a schema structural: upstream's refusals, and what it lets pass."""

from __future__ import annotations

from typing import Any

import pytest

from podium.machinery.structural.definition import schema_errors

TEXT = {"type": "string"}
EITHER = {"x-kubernetes-int-or-string": True}
BOTH = [{"type": "integer"}, {"type": "string"}]


def whole(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


@pytest.mark.parametrize(
    "schema",
    [
        pytest.param(whole(a=EITHER | TEXT), id="an int-or-string may have a type"),
        pytest.param(whole(a=EITHER | {"anyOf": BOTH}), id="and says so in anyOf"),
        pytest.param(whole(a=EITHER | {"allOf": [{"anyOf": BOTH}, {"pattern": "^a"}]}), id="or in allOf"),
        pytest.param(
            {"x-kubernetes-preserve-unknown-fields": True},
            id="what keeps all needs no type, not even the root",
        ),
        pytest.param(whole(a={"type": "object", "additionalProperties": False}), id="an empty object"),
        pytest.param(
            whole(
                a={
                    "type": "object",
                    "x-kubernetes-embedded-resource": True,
                    "properties": {"metadata": whole(name=TEXT, labels={"type": "object"})},
                }
            ),
            id="an embedded resource may say more of its metadata",
        ),
        pytest.param(whole(metadata=whole(name=TEXT | {"maxLength": 5})), id="names may be restricted"),
        pytest.param(
            whole(spec={"type": "object", "oneOf": [{"required": ["a"]}, {"required": ["b"]}]}),
            id="junctors may require",
        ),
        pytest.param(whole(a={"type": "array", "items": EITHER}), id="items without a type"),
        pytest.param(
            whole(a={"type": "object", "not": {"additionalProperties": False}}),
            id="nothing said in a junctor",
        ),
    ],
)
def test_passes(schema: dict[str, Any]) -> None:
    assert [str(error) for error in schema_errors(schema, "s")] == []


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({}, ["s.type: Required value: must not be empty at the root"]),
        ({"type": "string"}, ['s.type: Invalid value: "string": must be object at the root']),
        (
            {"type": "object", "additionalProperties": TEXT},
            ["s.additionalProperties: Forbidden: must not be used at the root"],
        ),
        (
            whole(a=EITHER | {"x-kubernetes-preserve-unknown-fields": True}),
            [
                "s.properties[a].x-kubernetes-preserve-unknown-fields: Invalid value: true: must be false if "
                "x-kubernetes-int-or-string is true"
            ],
        ),
        (
            whole(a={"x-kubernetes-embedded-resource": True, "properties": {"x": TEXT}}),
            [
                "s.properties[a].type: Required value: must be object if x-kubernetes-embedded-resource "
                "is true"
            ],
        ),
        (
            whole(a=TEXT | {"anyOf": [{"type": "string"}]}),
            ["s.properties[a].anyOf[0].type: Forbidden: must be empty to be structural"],
        ),
        (
            whole(a={"type": "object", "not": {"properties": {"metadata": {"maxProperties": 1}}}}),
            [
                "s.properties[a].not.properties[metadata]: Forbidden: must not be specified in a nested "
                "context"
            ],
        ),
        (
            {"type": "object", "anyOf": [{"properties": {"x": {"maxLength": 1}}}]},
            ["s.properties[x]: Required value: because it is defined in s.anyOf[0].properties[x]"],
        ),
        (
            whole(metadata=whole(labels={"type": "object"})),
            [
                "s.properties[metadata]: Forbidden: must not specify anything other than name and "
                "generateName, but metadata is implicitly specified"
            ],
        ),
        (
            whole(a=TEXT | {"pattern": "("}),
            [
                's.properties[a].pattern: Invalid value: "(": must be a valid regular expression, but '
                "isn't: error parsing regexp: missing closing ): `(`"
            ],
        ),
    ],
)
def test_refuses(schema: dict[str, Any], expected: list[str]) -> None:
    assert [str(error) for error in schema_errors(schema, "s")] == expected
