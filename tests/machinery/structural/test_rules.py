"""Rules of custom resources when objects are written: which run, what they say, and what they may cost."""

from __future__ import annotations

from typing import Any

import pytest

from podium.machinery import cel
from podium.machinery.structural.rules import rules_of

TEXT, NUMBER = {"type": "string"}, {"type": "integer"}


def spec(properties: dict[str, Any], *rules: dict[str, Any] | str) -> dict[str, Any]:
    """A resource's schema whose spec has the properties and the rules."""
    return {"type": "object", "properties": {"spec": obj(properties, *rules)}}


def obj(properties: dict[str, Any], *rules: dict[str, Any] | str) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "x-kubernetes-validations": made(rules)}


def made(rules: tuple[dict[str, Any] | str, ...]) -> list[dict[str, Any]]:
    return [{"rule": rule} if isinstance(rule, str) else rule for rule in rules]


def faults(schema: dict[str, Any], new: Any, old: Any = None) -> list[str]:
    """Return the errors for an object with the spec `new`, which was `old`."""
    rules = rules_of(schema)
    assert rules is not None
    before = {"spec": old} if old is not None else None
    verdict = rules.check({"spec": new}, before) if before is not None else rules.check({"spec": new})
    return [str(error) for error in verdict.errors]


BOUNDS = spec({"min": NUMBER, "max": NUMBER}, "self.min <= self.max")


def test_a_rule_that_holds_says_nothing() -> None:
    assert faults(BOUNDS, {"min": 1, "max": 2}) == []


def test_a_schema_without_rules_has_nothing_to_run() -> None:
    assert rules_of({"type": "object", "properties": {"spec": {"type": "object"}}}) is None


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"rule": "self.max > 5"}, "spec: Invalid value: failed rule: self.max > 5"),
        ({"rule": "self.max > 5", "message": " too small "}, "spec: Invalid value: too small"),
        (
            {"rule": "self.max > 5", "message": "m", "messageExpression": "'max is ' + string(self.max)"},
            "spec: Invalid value: max is 2",
        ),
        (
            {"rule": "self.max > 5", "message": "m", "messageExpression": "self.nosuch.orValue('')"},
            "spec: Invalid value: m",
        ),
        (
            {"rule": "self.max > 5", "messageExpression": "' '"},
            "spec: Invalid value: failed rule: self.max > 5",
        ),
        ({"rule": "self.max > 5", "reason": "FieldValueForbidden", "message": "m"}, "spec: Forbidden: m"),
        ({"rule": "self.max > 5", "reason": "FieldValueRequired", "message": "m"}, "spec: Required value: m"),
        ({"rule": "self.max > 5", "reason": "FieldValueDuplicate"}, "spec: Duplicate value"),
        ({"rule": "self.max > 5", "fieldPath": ".max", "message": "m"}, "spec.max: Invalid value: m"),
        ({"rule": "self.max > 5", "fieldPath": "['max']", "message": "m"}, "spec.max: Invalid value: m"),
        (
            {"rule": "self.max / (self.max - 2) > 5"},
            'spec: Invalid value: "object": division by zero evaluating rule: self.max / (self.max - 2) > 5',
        ),
        (
            {"rule": "self.any + 1 > 5"},
            "spec: Invalid value: \"object\": 'no such overload': call arguments did not match a supported "
            "operator, function or macro signature for rule: self.any + 1 > 5",
        ),
    ],
)
def test_what_a_broken_rule_says(rule: dict[str, Any], expected: str) -> None:
    schema = spec({"max": NUMBER, "any": {"x-kubernetes-int-or-string": True}}, rule)
    assert faults(schema, {"max": 2, "any": "x"}) == [expected]


def test_rules_stand_at_every_level() -> None:
    schema = spec(
        {
            "name": TEXT | {"x-kubernetes-validations": made(("self != 'bad'",))},
            "ports": {"type": "array", "items": obj({"port": NUMBER}, "self.port > 0")},
            "labels": {
                "type": "object",
                "additionalProperties": TEXT | {"x-kubernetes-validations": made(("size(self) < 3",))},
            },
        },
        "has(self.name)",
    )
    found = faults(
        schema, {"name": "bad", "ports": [{"port": 1}, {"port": 0}], "labels": {"a": "ok", "b": "long"}}
    )
    assert found == [
        'spec.labels[b]: Invalid value: "long": failed rule: size(self) < 3',
        "spec.name: Invalid value: \"bad\": failed rule: self != 'bad'",
        "spec.ports[1]: Invalid value: failed rule: self.port > 0",
    ]


def test_the_root_sees_name_and_kind_and_has_no_path() -> None:
    rules = rules_of(
        {
            "type": "object",
            "x-kubernetes-validations": made(("self.metadata.name.startsWith('x') && self.kind == 'Thing'",)),
        }
    )
    assert rules is not None
    good = rules.check({"kind": "Thing", "metadata": {"name": "x1", "labels": {"a": "b"}}})
    assert good.errors == []
    (error,) = rules.check({"kind": "Thing", "metadata": {"name": "y"}}).errors
    assert error.field == "<nil>"


def test_an_embedded_resource_has_metadata_too() -> None:
    embedded = {"type": "object", "x-kubernetes-embedded-resource": True}
    embedded |= {"x-kubernetes-validations": made(("self.metadata.name == 'x'",))}
    embedded |= {"x-kubernetes-preserve-unknown-fields": True}
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"it": embedded}}}}
    assert faults(schema, {"it": {"metadata": {"name": "x"}}}) == []
    assert len(faults(schema, {"it": {"metadata": {"name": "y"}}})) == 1


# --- updates


def test_a_transition_rule_waits_for_an_old_value() -> None:
    schema = spec({"n": NUMBER | {"x-kubernetes-validations": made(("self >= oldSelf",))}})
    assert faults(schema, {"n": 1}) == []
    assert faults(schema, {"n": 1}, {}) == []
    assert faults(schema, {"n": 2}, {"n": 1}) == []
    assert faults(schema, {"n": 1}, {"n": 2}) == ["spec.n: Invalid value: 1: failed rule: self >= oldSelf"]


def test_an_optional_old_value_lets_a_transition_rule_run_on_create() -> None:
    rule = {"rule": "oldSelf.hasValue() ? self >= oldSelf.value() : self == 0", "optionalOldSelf": True}
    schema = spec({"n": NUMBER | {"x-kubernetes-validations": made((rule,))}})
    assert faults(schema, {"n": 0}) == []
    assert len(faults(schema, {"n": 1})) == 1
    assert faults(schema, {"n": 5}, {"n": 4}) == []
    assert len(faults(schema, {"n": 3}, {"n": 4})) == 1


def test_items_of_a_map_list_are_told_apart_by_their_keys() -> None:
    items = obj({"name": TEXT, "n": NUMBER}, "self.n >= oldSelf.n")
    ports = {"type": "array", "items": items, "x-kubernetes-list-type": "map"}
    schema = spec({"l": ports | {"x-kubernetes-list-map-keys": ["name"]}})
    old = {"l": [{"name": "a", "n": 1}, {"name": "b", "n": 5}]}
    assert (
        faults(schema, {"l": [{"name": "b", "n": 5}, {"name": "a", "n": 1}, {"name": "c", "n": 0}]}, old)
        == []
    )
    assert faults(schema, {"l": [{"name": "b", "n": 4}]}, old) == [
        "spec.l[0]: Invalid value: failed rule: self.n >= oldSelf.n"
    ]


def test_what_an_update_leaves_alone_is_not_held_against_it() -> None:
    schema = spec({"a": TEXT | {"x-kubernetes-validations": made(("self == 'good'",))}, "b": TEXT})
    rules = rules_of(schema)
    assert rules is not None
    verdict = rules.check({"spec": {"a": "bad", "b": "2"}}, {"spec": {"a": "bad", "b": "1"}})
    assert verdict.errors == []
    assert [error.field for error in verdict.ratcheted] == ["spec.a"]
    assert faults(schema, {"a": "worse"}, {"a": "bad"}) == [
        "spec.a: Invalid value: \"worse\": failed rule: self == 'good'"
    ]


def test_an_atomic_list_is_the_same_only_as_a_whole() -> None:
    items = TEXT | {"x-kubernetes-validations": made(("self == 'good'",))}
    schema = spec({"l": {"type": "array", "items": items}})
    assert faults(schema, {"l": ["bad"]}, {"l": ["bad"]}) == []
    assert len(faults(schema, {"l": ["bad", "good"]}, {"l": ["bad"]})) == 1


# --- costs

EXPENSIVE = "lists.range(2000).all(x, lists.range(2000).all(y, x + y >= 0))"


def test_one_call_has_a_limit() -> None:
    (fault,) = faults(spec({"n": NUMBER}, EXPENSIVE, "self.n == 5"), {"n": 1})
    assert fault == (
        "spec: Invalid value: \"object\": 'operation cancelled: actual cost limit exceeded': no further "
        f"validation rules will be run due to call cost exceeds limit for rule: {EXPENSIVE}"
    )


def test_all_rules_together_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cel, "OBJECT_COST_MAX", 20_000)
    schema = spec({"n": NUMBER}, *(["lists.range(1000).all(x, x >= 0)"] * 5), "self.n == 5")
    (fault,) = faults(schema, {"n": 1})
    assert fault == (
        'spec: Invalid value: "object": validation failed due to running out of cost budget, no further '
        "validation rules will be run"
    )
