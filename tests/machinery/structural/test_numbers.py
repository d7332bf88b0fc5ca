"""Numbers of custom resources: what upstream says of their ranges, and how they are kept."""

from __future__ import annotations

from typing import Any

import pytest

from podium.machinery.errors import quoted
from podium.machinery.golang import number
from podium.machinery.structural.numbers import narrower
from podium.machinery.structural.values import Validator

INTEGER, NUMBER = {"type": "integer"}, {"type": "number"}
HEAD = 'Invalid value: "": '


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        (INTEGER, 2.0, []),
        (INTEGER, 2**63 - 1, []),
        (
            INTEGER,
            1e21,
            [
                'v: Invalid value: "number": v in body must be of type integer: "number"',
                f"<nil>: {HEAD}Checked value must be of type integer (default format) in v",
            ],
        ),
        (
            INTEGER | {"format": "int32"},
            2**31,
            [f"<nil>: {HEAD}Checked value must be of type integer with format int32 in v"],
        ),
        (
            INTEGER | {"format": "int32"},
            True,
            ['v: Invalid value: "": v in body must be of type int32: ""'],
        ),
        (INTEGER | {"format": "uint8"}, 300, []),
        (NUMBER | {"minimum": 1.5}, 1, []),
        (
            NUMBER | {"minimum": 1.5},
            1e-7,
            ["v: Invalid value: 1e-07: v in body should be greater than or equal to 1.5"],
        ),
        (NUMBER | {"maximum": 4.5}, 5, ["v: Invalid value: 5: v in body should be less than or equal to 4"]),
        (INTEGER | {"multipleOf": 2}, 3.0, ["v: Invalid value: 3: v in body should be a multiple of 2"]),
        (NUMBER | {"multipleOf": 0.1}, 0.3, []),
        (
            INTEGER | {"multipleOf": 1.5},
            3,
            [f"<nil>: {HEAD}MultipleOf value must be of type integer (default format) in v"],
        ),
        (INTEGER | {"enum": [1, 2]}, 2.0, []),
        (
            {"type": "string", "enum": ["a"], "nullable": True},
            None,
            ["v: Unsupported value: null: supported"],
        ),
        ({"type": "string", "format": "date"}, [], []),
    ],
)
def test_values(schema: dict[str, Any], value: Any, expected: list[str]) -> None:
    found = [str(error) for error in Validator(schema).validate(value, "v").errors]
    assert len(found) == len(expected)
    for error, start in zip(found, expected, strict=True):
        assert error.startswith(start)


def test_what_has_no_fraction_is_kept_without_one() -> None:
    schema = {
        "type": "object",
        "properties": {
            "n": NUMBER,
            "l": {"type": "array", "items": INTEGER},
            "any": {"x-kubernetes-preserve-unknown-fields": True},
            "s": {"type": "string"},
        },
    }
    narrow = narrower(schema, whole=True)
    assert narrow is not None
    made = narrow({"n": 2.0, "l": [1.0, 1.5], "any": {"x": [3.0]}, "s": "a", "large": 1.0})
    assert repr(made) == "{'n': 2, 'l': [1, 1.5], 'any': {'x': [3]}, 's': 'a', 'large': 1.0}"
    assert narrower({"type": "object", "properties": {"s": {"type": "string"}}}) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [(1e-7, "1e-07"), (1e21, "1e+21"), (2.0, "2"), (1.5, "1.5"), (1234567.5, "1.2345675e+06"), (7, "7")],
)
def test_numbers_in_messages(value: float, text: str) -> None:
    assert number(value) == text


def test_texts_in_messages() -> None:
    assert quoted('a"\x00\n\u200b') == '"a\\"\\x00\\n\\u200b"'
