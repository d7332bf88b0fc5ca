"""Structural schemas: what they refuse, prune, default and check."""

from __future__ import annotations

from typing import Any

import pytest

from podium.machinery.regexp import compiled
from podium.machinery.structural.defaulting import defaulter
from podium.machinery.structural.definition import schema_errors
from podium.machinery.structural.jsonpath import PathError, compile_path
from podium.machinery.structural.lists import list_errors
from podium.machinery.structural.pruning import drop_nulls, prune
from podium.machinery.structural.values import ABSENT, Validator

STRING = {"type": "string"}
INTEGER = {"type": "integer"}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


@pytest.mark.parametrize(
    ("schema", "errors"),
    [
        pytest.param(_object(a=STRING), [], id="sound"),
        pytest.param({}, ["s.type: Required value: must not be empty at the root"], id="no type"),
        pytest.param(
            _object(a={"type": "array"}),
            ["s.properties[a].items: Required value: must be specified"],
            id="items",
        ),
        pytest.param(
            _object(a={**INTEGER, "default": "x"}),
            ['s.properties[a].default: Invalid value: "string":  in body must be of type integer: "string"'],
            id="default",
        ),
        pytest.param(
            _object(a={**STRING, "anyOf": [{"type": "string"}]}),
            ["s.properties[a].anyOf[0].type: Forbidden: must be empty to be structural"],
            id="nested type",
        ),
        pytest.param(
            _object(a={"x-kubernetes-int-or-string": True, "anyOf": [INTEGER, STRING]}),
            [],
            id="int or string",
        ),
        pytest.param(
            _object(a={"type": "array", "items": _object(k=STRING), "x-kubernetes-list-type": "map"}),
            [
                "s.properties[a].x-kubernetes-list-map-keys: Required value: must not be empty if "
                "x-kubernetes-list-type is map"
            ],
            id="list map keys",
        ),
        pytest.param(
            _object(a={"type": "array", "items": _object(k=STRING), "x-kubernetes-list-type": "set"}),
            [
                "s.properties[a].items.x-kubernetes-map-type: Invalid value: null: must be atomic as item of "
                "a list with x-kubernetes-list-type=set"
            ],
            id="a set of objects, blamed by their list type",
        ),
        pytest.param(
            _object(a={**STRING, "type": "null"}),
            [
                's.properties[a].type: Unsupported value: "null": supported values: "array", "boolean", '
                '"integer", "number", "object", "string"',
                "s.properties[a].type: Forbidden: type cannot be set to null, use nullable as an alternative",
            ],
            id="null is no type, twice",
        ),
        pytest.param(
            _object(a={"x-kubernetes-map-type": "atomic", "x-kubernetes-int-or-string": True}),
            ["s.properties[a].type: Required value: must be object if x-kubernetes-map-type is specified"],
            id="a map type without a type",
        ),
        pytest.param(
            _object(a={"$ref": "", "additionalItems": False}),
            [
                "s.properties[a].additionalItems: Forbidden: additionalItems is not supported",
                "s.properties[a].$ref: Forbidden: $ref is not supported",
            ],
            id="what is not supported may not be empty either, and hides what is not structural",
        ),
        pytest.param(_object(a={"x-kubernetes-int-or-string": True, "default": 1.5}), [], id="any default"),
        pytest.param(
            _object(a={**_object(metadata=_object()), "x-kubernetes-embedded-resource": True, "default": {}}),
            [
                "s.properties[a].default.apiVersion: Required value",
                "s.properties[a].default.kind: Required value",
            ],
            id="the default of a whole object is one",
        ),
        pytest.param(
            _object(
                a={
                    **_object(metadata={**_object(name=STRING), "default": {"name": 1}}),
                    "x-kubernetes-embedded-resource": True,
                }
            ),
            [
                's.properties[a].properties[metadata].default: Invalid value: {"name":1}: must result in '
                'valid metadata: metadata: Invalid value: {"name":1}: json: cannot unmarshal number into Go '
                "struct field ObjectMeta.name of type string"
            ],
            id="the default of metadata",
        ),
    ],
)
def test_definition(schema: dict[str, Any], errors: list[str]) -> None:
    assert [str(error) for error in schema_errors(schema, "s")] == errors


def test_pruning_keeps_what_is_specified_and_preserved() -> None:
    schema = _object(
        spec=_object(known=STRING, any={"type": "object", "x-kubernetes-preserve-unknown-fields": True})
    )
    obj = {"kind": "W", "metadata": {"x": 1}, "spec": {"known": "a", "b": 1, "any": {"c": 1}}, "top": 1}
    assert prune(obj, schema) == ["spec.b", "top"]
    assert obj == {"kind": "W", "metadata": {"x": 1}, "spec": {"known": "a", "any": {"c": 1}}}


def test_defaults_fill_gaps_and_forbidden_nulls() -> None:
    schema = _object(
        a={**STRING, "default": "one"},
        n={**INTEGER, "default": 5, "nullable": True},
        plain=STRING,
        nested={**_object(z={**STRING, "default": "deep"}), "default": {}},
    )
    fill = defaulter(schema)
    assert fill is not None
    obj: dict[str, Any] = {"a": None, "n": None, "plain": None}
    fill(obj)
    drop_nulls(obj, schema)
    assert obj == {"a": "one", "n": None, "nested": {"z": "deep"}}


def test_an_update_is_not_blamed_for_what_it_leaves_alone() -> None:
    schema = _object(a={**INTEGER, "maximum": 3}, b={**INTEGER, "maximum": 3})
    validator = Validator(schema)
    old = {"a": 9, "b": 1}
    assert [error.field for error in validator.validate({"a": 9, "b": 8}, "", old).errors] == ["b"]
    assert [error.field for error in validator.validate({"a": 9, "b": 8}, "").errors] == ["a", "b"]


def test_items_of_a_map_are_followed_by_their_keys() -> None:
    items = {**_object(k=STRING, v={**INTEGER, "maximum": 3}), "required": ["k"]}
    schema = {
        "type": "array",
        "items": items,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["k"],
    }
    old = [{"k": "a", "v": 9}]
    new = [{"k": "b", "v": 9}, {"k": "a", "v": 9}]
    assert [error.field for error in Validator(schema).validate(new, "l", old).errors] == ["l[0].v"]


def test_sets_hold_nothing_twice() -> None:
    schema = {"type": "array", "items": STRING, "x-kubernetes-list-type": "set"}
    errors = list_errors(["a", "a", "b", "a"], schema, "tags", ABSENT)
    assert [str(error) for error in errors] == ['tags[1]: Duplicate value: "a"']


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".spec.size", [3]),
        ('.status.conditions[?(@.type=="Ready")].status', ["True"]),
        (".spec.list[*].n", ["a", "b"]),
        (".spec.list[-1].n", ["b"]),
        (".spec['size']", [3]),
        (".nothing.here", []),
    ],
)
def test_paths(path: str, found: list[Any]) -> None:
    obj = {
        "spec": {"size": 3, "list": [{"n": "a"}, {"n": "b"}]},
        "status": {"conditions": [{"type": "Other", "status": "False"}, {"type": "Ready", "status": "True"}]},
    }
    assert compile_path(path)(obj) == found


def test_senseless_paths_are_refused() -> None:
    with pytest.raises(PathError):
        compile_path(".a[")


def test_the_end_of_the_text_is_not_before_a_line_break() -> None:
    assert compiled("^[a-z]+$").search("abc") is not None
    assert compiled("^[a-z]+$").search("abc\n") is None
    assert compiled("^[[:alpha:]]$").search("Q") is not None
