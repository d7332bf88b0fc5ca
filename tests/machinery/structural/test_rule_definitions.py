"""Rules in definitions: what upstream refuses, where, and what their costs come to."""

from __future__ import annotations

from typing import Any

import pytest

from podium.machinery.structural.definition import schema_errors

TEXT = {"type": "string"}
HINT = (
    "(try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and "
    "strings are declared)"
)
SHOWN = '"Message":"","MessageExpression":"","Reason":null,"FieldPath":"","OptionalOldSelf":null'


def of(part: dict[str, Any], *rules: dict[str, Any] | str) -> list[str]:
    """Return the errors of a schema whose property `s` is the part with the rules."""
    made = [{"rule": rule} if isinstance(rule, str) else rule for rule in rules]
    schema = {
        "type": "object",
        "properties": {"s": part | ({"x-kubernetes-validations": made} if made else {})},
    }
    return [
        str(error).replace("x.properties[s].x-kubernetes-validations", "RULES")
        for error in schema_errors(schema, "x")
    ]


def lists(inner: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "array", "items": inner} | more


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"rule": "self == 'a'"}, []),
        ({"rule": " "}, ["RULES[0].rule: Required value: rule is not specified"]),
        (
            {"rule": "self == 'a'", "message": " "},
            ['RULES[0].message: Invalid value: " ": must be non-empty if specified'],
        ),
        (
            {"rule": "self == 'a'", "message": "a\nb"},
            ['RULES[0].message: Invalid value: "a\\nb": must not contain line breaks'],
        ),
        (
            {"rule": "self ==\n'a'"},
            ["RULES[0].message: Required value: message must be specified if rule contains line breaks"],
        ),
        (
            {"rule": "self == 'a'", "messageExpression": " "},
            ["RULES[0].messageExpression: Required value: messageExpression must be non-empty if specified"],
        ),
        (
            {"rule": "self == 'a'", "reason": "Bad"},
            [
                'RULES[0].reason: Unsupported value: "Bad": supported values: "FieldValueDuplicate", '
                '"FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"'
            ],
        ),
        (
            {"rule": "self == 'a'", "fieldPath": ".nosuch"},
            ['RULES[0].fieldPath: Invalid value: ".nosuch": must be a valid path'],
        ),
        (
            {"rule": "self"},
            [
                f'RULES[0].rule: Invalid value: {{"Rule":"self",{SHOWN}}}: '
                "cel expression must evaluate to a bool"
            ],
        ),
        (
            {"rule": "self.x > 1"},
            [
                f'RULES[0].rule: Invalid value: {{"Rule":"self.x \\u003e 1",{SHOWN}}}: compilation failed: '
                "ERROR: <input>:1:5: type 'string' does not support field selection\n | self.x > 1\n | ....^"
            ],
        ),
        (
            {"rule": "self == 'a'", "optionalOldSelf": True},
            ["RULES[0].optionalOldSelf: Invalid value: true: may not be set if oldSelf is not used in rule"],
        ),
    ],
)
def test_what_a_rule_says_is_checked(rule: dict[str, Any], expected: list[str]) -> None:
    assert of(TEXT, rule) == expected


@pytest.mark.parametrize(
    ("expression", "detail"),
    [
        ("self.size()", "messageExpression must evaluate to a string"),
        ("self.nosuch()", "messageExpression compilation failed: ERROR: <input>:1:12: undeclared reference"),
        ("self.find('(')", "messageExpression instantiation failed: error parsing regexp: missing closing )"),
    ],
)
def test_the_expression_of_a_message_is_checked(expression: str, detail: str) -> None:
    (error,) = of(TEXT, {"rule": "self == 'a'", "messageExpression": expression})
    assert error.startswith("RULES[0].messageExpression: Invalid value: {")
    assert f"}}: {detail}" in error


def test_old_values_must_be_told_to_belong_to_the_new_ones() -> None:
    rule = {"x-kubernetes-validations": [{"rule": "self == oldSelf"}]}
    (error,) = of(lists(TEXT | rule, maxItems=5))
    assert error == (
        'x.properties[s].items.x-kubernetes-validations[0].rule: Invalid value: "self == oldSelf": oldSelf '
        "cannot be used on the uncorrelatable portion of the schema within x.properties[s]"
    )
    keyed = {"type": "object", "required": ["k"], "properties": {"k": TEXT | {"maxLength": 5}}}
    keys = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"], "maxItems": 5}
    assert of(lists(keyed | rule, **keys)) == []


def test_a_rule_that_may_cost_too_much_is_refused() -> None:
    inside = lists(lists(TEXT))
    errors = of(inside, "self.all(x, x.all(y, y == 'a'))")
    assert (
        errors[0]
        == f"RULES[0].rule: Forbidden: estimated rule cost exceeds budget by factor of more than 100x {HINT}"
    )
    bounded = lists(lists(TEXT | {"maxLength": 10}, maxItems=10), maxItems=10)
    assert of(bounded, "self.all(x, x.all(y, y == 'a'))") == []


def test_the_excess_is_told_in_two_ways() -> None:
    def refused(length: int) -> str:
        return of(
            lists(TEXT | {"maxLength": length}, maxItems=1000), "self.all(x, x.contains('abcdefghijk'))"
        )[0]

    assert "by factor of 1.2" in refused(16_000)
    assert "by factor of 7.2x" in refused(90_000)


def test_a_rule_counts_as_often_as_its_schema_can_occur() -> None:
    rule = {"x-kubernetes-validations": [{"rule": "self.contains('a')"}]}
    assert of(lists(TEXT | {"maxLength": 100} | rule, maxItems=1000)) == []
    (error,) = of(lists(TEXT | {"maxLength": 100} | rule))
    assert "estimated rule cost exceeds budget" in error


def test_all_rules_together_may_cost_too_much() -> None:
    rules = ["self.all(x, x.contains('abcdefghijk'))"] * 11
    part = lists(TEXT | {"maxLength": 12_000}, maxItems=1000)
    errors = of(part, *rules)
    assert errors == [
        *(
            f"RULES[{index}].rule: Forbidden: contributed to estimated rule cost total exceeding cost limit "
            "for entire OpenAPIv3 schema"
            for index in range(4)
        ),
        "x: Forbidden: x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema "
        f"exceeds budget by factor of 1.056440x {HINT}",
    ]


def test_rules_wait_until_their_schema_is_right() -> None:
    (error,) = of(TEXT | {"pattern": "("}, "self.nosuch")
    assert "must be a valid regular expression" in error


def test_rules_beside_a_wrong_schema_are_looked_at() -> None:
    wrong = {"type": "array", "items": TEXT, "uniqueItems": True}
    right = {"type": "string", "x-kubernetes-validations": [{"rule": "nosuch"}]}
    errors = schema_errors({"type": "object", "properties": {"a": wrong, "b": right}}, "x")
    assert [error.field for error in errors] == [
        "x.properties[a].uniqueItems",
        "x.properties[b].x-kubernetes-validations[0].rule",
    ]


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (
            TEXT | {"default": "b", "x-kubernetes-validations": [{"rule": "self == 'a'"}]},
            ["x.properties[s].default: Invalid value: \"b\": failed rule: self == 'a'"],
        ),
        (
            TEXT
            | {
                "default": "b",
                "x-kubernetes-validations": [{"rule": "oldSelf.hasValue()", "optionalOldSelf": True}],
            },
            ['x.properties[s].default: Invalid value: "b": failed rule: oldSelf.hasValue()'],
        ),
        (
            {"type": "object", "properties": {"a": TEXT}, "default": {"b": 1}},
            ['x.properties[s].default: Invalid value: {"b":1}: must not have unknown fields'],
        ),
        (
            {
                "type": "object",
                "required": ["a"],
                "properties": {"a": TEXT | {"default": "x"}},
                "default": {},
            },
            ["x.properties[s].default.a: Required value"],
        ),
        (
            {"type": "object", "properties": {"a": {"type": "integer"}}, "default": {"a": "b"}},
            [
                'x.properties[s].default.a: Invalid value: "string": a in body must be of type integer: '
                '"string"'
            ],
        ),
    ],
)
def test_defaults_must_be_good_values(part: dict[str, Any], expected: list[str]) -> None:
    assert of(part) == expected


def test_what_every_object_has_gets_no_defaults() -> None:
    named = {"type": "object", "properties": {"name": TEXT | {"default": "x"}}}
    errors = schema_errors({"type": "object", "properties": {"metadata": named}}, "x")
    assert [str(error) for error in errors] == [
        "x.properties[metadata].properties[name].default: Forbidden: must not be set in top-level metadata"
    ]
