"""Every directive of strategic merge patches, on a schema that has one field of every kind.

Upstream: apimachinery/pkg/util/strategicpatch.
"""

from __future__ import annotations

from typing import Any

import pytest

from podium.machinery.meta import deep_copy
from podium.machinery.patch import strategic
from podium.machinery.schema import Schema
from podium.machinery.shape import Field, Shape

STRING = Shape(kind="string", go_type="string")
NUMBER = Shape(kind="int64", go_type="int64")


def _list(element: Shape) -> Shape:
    return Shape(kind="list", go_type=f"[]{element.go_type}", element=element)


def _field(name: str, shape: Shape, *strategies: str, key: str = "") -> Field:
    return Field(
        name=name, shape=shape, pointer=True, always=False, merge_key=key, strategies=frozenset(strategies)
    )


def _item_fields() -> dict[str, Field]:
    return {
        field.name: field
        for field in (
            _field("name", STRING),
            _field("value", STRING),
            _field("other", STRING),
            _field("map", Shape(kind="map", go_type="map[string]string", element=STRING)),
            _field("replaced", ITEM, "replace"),
            _field("kept", ITEM, "retainKeys"),
            _field("merging", _list(ITEM), "merge", key="name"),
            _field("mergingKept", _list(ITEM), "merge", "retainKeys", key="name"),
            _field("whole", _list(ITEM)),
            _field("numbers", _list(NUMBER), "merge"),
            _field("words", _list(STRING)),
        )
    }


ITEM = Shape(kind="struct", go_type="t.Item", lazy_fields=_item_fields)
SCHEMA = Schema("item", ITEM)


def named(*names: str, **more: Any) -> list[dict[str, Any]]:
    return [{"name": name, **more} for name in names]


CASES: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "replace a map": (
        {"map": {"a": "1", "b": "2"}},
        {"map": {"$patch": "replace", "c": "3"}},
        {"map": {"c": "3"}},
    ),
    "replace everything": ({"name": "a", "value": "b"}, {"$patch": "replace", "other": "c"}, {"other": "c"}),
    "delete a map": (
        {"map": {"a": "1"}, "name": "x"},
        {"map": {"$patch": "delete"}},
        {"map": {}, "name": "x"},
    ),
    "delete what is not there": ({"name": "x"}, {"map": {"$patch": "delete"}}, {"name": "x"}),
    "a field that is always replaced": (
        {"replaced": {"name": "a", "value": "b"}},
        {"replaced": {"name": "c"}},
        {"replaced": {"name": "c"}},
    ),
    "null in a new map": ({}, {"map": {"a": None, "b": "1"}}, {"map": {"b": "1"}}),
    "null for what is not there": ({"name": "a"}, {"value": None}, {"name": "a"}),
    "a list that does not merge": ({"words": ["a", "b"]}, {"words": ["c"]}, {"words": ["c"]}),
    "an empty list where lists merge": ({"merging": named("a")}, {"merging": []}, {"merging": named("a")}),
    "an empty list where they do not": ({"words": ["a"]}, {"words": []}, {"words": []}),
    "elements by their key": (
        {"merging": [{"name": "a", "value": "1"}, {"name": "b"}]},
        {"merging": [{"name": "a", "other": "2"}]},
        {"merging": [{"name": "a", "value": "1", "other": "2"}, {"name": "b"}]},
    ),
    "delete an element": (
        {"merging": named("a", "b", "c")},
        {"merging": [{"$patch": "delete", "name": "b"}]},
        {"merging": named("a", "c")},
    ),
    "delete all elements of a key": (
        {"merging": named("a", "b", "a")},
        {"merging": [{"$patch": "delete", "name": "a"}]},
        {"merging": named("b")},
    ),
    "delete, and add another": (
        {"merging": named("a", "b")},
        {"merging": [{"$patch": "delete", "name": "a"}, {"name": "c"}]},
        {"merging": named("c", "b")},
    ),
    "replace a list": (
        {"merging": named("a", "b")},
        {"merging": [{"$patch": "replace"}, {"name": "c"}]},
        {"merging": named("c")},
    ),
    "empty a list": ({"merging": named("a")}, {"merging": [{"$patch": "replace"}]}, {"merging": []}),
    "delete in a list that is not there": (
        {"name": "x"},
        {"merging": [{"$patch": "delete", "name": "a"}, {"name": "b"}]},
        {"name": "x", "merging": named("b")},
    ),
    "a merging list in a merging list": (
        {"merging": [{"name": "a", "merging": named("x", "y")}]},
        {
            "merging": [
                {"name": "a", "merging": [{"$patch": "delete", "name": "x"}, {"name": "y", "value": "1"}]}
            ]
        },
        {"merging": [{"name": "a", "merging": [{"name": "y", "value": "1"}]}]},
    ),
    "scalars merge as a set": ({"numbers": [1, 2]}, {"numbers": [2, 3]}, {"numbers": [1, 2, 3]}),
    "scalars twice": ({"numbers": [1, 1, 2]}, {"numbers": [3, 3]}, {"numbers": [3, 1, 2]}),
    "delete scalars": (
        {"numbers": [1, 2, 3, 2]},
        {"$deleteFromPrimitiveList/numbers": [2, 9]},
        {"numbers": [1, 3]},
    ),
    "delete scalars of a list that does not merge": (
        {"words": ["a", "b"]},
        {"$deleteFromPrimitiveList/words": ["a"]},
        {"words": ["b"]},
    ),
    "delete scalars, and add others": (
        {"numbers": [1, 2]},
        {"$deleteFromPrimitiveList/numbers": [1], "numbers": [4]},
        {"numbers": [4, 2]},
    ),
    "delete scalars from nothing": ({"name": "a"}, {"$deleteFromPrimitiveList/numbers": [1]}, {"name": "a"}),
    "delete all scalars": ({"numbers": [1]}, {"$deleteFromPrimitiveList/numbers": None}, {}),
    "order of elements": (
        {"merging": named("a", "b", "c")},
        {"$setElementOrder/merging": named("c", "a", "b")},
        {"merging": named("c", "a", "b")},
    ),
    "order of some": (
        {"merging": named("a", "b", "c", "d")},
        {"$setElementOrder/merging": named("d", "b")},
        {"merging": named("a", "c", "d", "b")},
    ),
    "order with additions": (
        {"merging": named("a", "b")},
        {"$setElementOrder/merging": named("c", "b", "a"), "merging": named("c")},
        {"merging": named("c", "b", "a")},
    ),
    "order with deletions": (
        {"merging": named("a", "b", "c")},
        {"$setElementOrder/merging": named("c", "a"), "merging": [{"$patch": "delete", "name": "b"}]},
        {"merging": named("c", "a")},
    ),
    "order of what is not there": ({"name": "x"}, {"$setElementOrder/merging": named("a")}, {"name": "x"}),
    "order of a new list": (
        {},
        {"$setElementOrder/merging": named("b", "a"), "merging": named("b", "a")},
        {"merging": named("b", "a")},
    ),
    "order of scalars": (
        {"numbers": [1, 2, 3]},
        {"$setElementOrder/numbers": [3, 1], "numbers": [3]},
        {"numbers": [2, 3, 1]},
    ),
    "order of a list that does not merge": (
        {"words": ["a", "b"]},
        {"$setElementOrder/words": ["c"], "words": ["c"]},
        {"words": ["c"]},
    ),
    "keep some keys": (
        {"kept": {"name": "a", "value": "1", "other": "2"}},
        {"kept": {"$retainKeys": ["name", "value"], "value": "3"}},
        {"kept": {"name": "a", "value": "3"}},
    ),
    "keep some keys of an element": (
        {"mergingKept": [{"name": "a", "value": "1", "other": "2"}, {"name": "b"}]},
        {"mergingKept": [{"$retainKeys": ["name", "other"], "name": "a", "other": "3"}]},
        {"mergingKept": [{"name": "a", "other": "3"}, {"name": "b"}]},
    ),
    "keep some keys of a new element": (
        {},
        {"mergingKept": [{"$retainKeys": ["name"], "name": "a"}]},
        {"mergingKept": named("a")},
    ),
    "keep keys, and set one to null": (
        {"kept": {"name": "a", "value": "1"}},
        {"kept": {"$retainKeys": ["name"], "value": None}},
        {"kept": {"name": "a"}},
    ),
    "elements of one key twice on the server": (
        {"merging": [{"name": "a", "value": "1"}, {"name": "a", "value": "2"}]},
        {"merging": [{"name": "a", "other": "x"}]},
        {"merging": [{"name": "a", "value": "1", "other": "x"}, {"name": "a", "value": "2"}]},
    ),
    "elements of one key twice in the patch": (
        {"merging": named("a")},
        {"merging": [{"name": "a", "value": "1"}, {"name": "a", "value": "2"}]},
        {"merging": [{"name": "a", "value": "2"}]},
    ),
}


@pytest.mark.parametrize(("original", "patch", "result"), CASES.values(), ids=CASES)
def test_directives(original: dict[str, Any], patch: dict[str, Any], result: dict[str, Any]) -> None:
    before = deep_copy(original), deep_copy(patch)
    assert strategic.apply(original, patch, SCHEMA) == result
    assert (original, patch) == before
