"""JSON merge patch: the RFC's own examples, and laws."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.machinery.errors import BadRequest
from podium.machinery.meta import deep_copy
from podium.machinery.patch import merge

RFC_7386: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]


@pytest.mark.parametrize(("target", "patch", "result"), RFC_7386, ids=str)
def test_the_examples_of_the_rfc(
    target: dict[str, Any], patch: dict[str, Any], result: dict[str, Any]
) -> None:
    before = deep_copy(target)
    assert merge.apply(target, patch) == result
    assert target == before


def test_what_is_no_object() -> None:
    with pytest.raises(BadRequest) as caught:
        merge.apply({}, [1])
    assert caught.value.message == (
        "error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}"
    )


def test_unchanged_parts_are_shared() -> None:
    target = {"a": {"deep": [1]}, "b": {"c": 1}}
    assert merge.apply(target, {"b": {"c": 2}})["a"] is target["a"]


_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab", max_size=2),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=1), inner, max_size=3)
    ),
    max_leaves=8,
)
_objects = st.dictionaries(st.text("abc", max_size=1), _values, max_size=3)


@given(_objects, _objects)
def test_applying_twice_is_applying_once(target: dict[str, Any], patch: dict[str, Any]) -> None:
    once = merge.apply(target, patch)
    assert merge.apply(once, patch) == once


@given(_objects, _objects)
def test_neither_side_changes(target: dict[str, Any], patch: dict[str, Any]) -> None:
    before = deep_copy(target), deep_copy(patch)
    merge.apply(target, patch)
    assert (target, patch) == before


@given(_objects)
def test_an_empty_patch_changes_nothing(target: dict[str, Any]) -> None:
    assert merge.apply(target, {}) == target


def test_members_that_are_null_go_away_inside_lists_too() -> None:
    assert merge.apply({"l": 1}, {"l": [{"a": None, "b": [None, {"c": None}]}]}) == {"l": [{"b": [None, {}]}]}
