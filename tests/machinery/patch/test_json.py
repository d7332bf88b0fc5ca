"""JSON patch: RFC 6902 and upstream's liberties."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.machinery.depth import DEPTH_MAX
from podium.machinery.errors import BadRequest, Invalid, TooLarge
from podium.machinery.meta import deep_copy
from podium.machinery.patch import json as json_patch

DOC: dict[str, Any] = {"a": {"b": "1"}, "l": [1, 2, 3], "x/y~z": True}

APPLIED: list[tuple[str, list[Any], dict[str, Any]]] = [
    ("nothing", [], DOC),
    ("add a member", [{"op": "add", "path": "/a/c", "value": 2}], {**DOC, "a": {"b": "1", "c": 2}}),
    ("add over a member", [{"op": "add", "path": "/a/b", "value": 2}], {**DOC, "a": {"b": 2}}),
    ("insert", [{"op": "add", "path": "/l/1", "value": 9}], {**DOC, "l": [1, 9, 2, 3]}),
    ("append", [{"op": "add", "path": "/l/-", "value": 9}], {**DOC, "l": [1, 2, 3, 9]}),
    ("insert at the end", [{"op": "add", "path": "/l/3", "value": 9}], {**DOC, "l": [1, 2, 3, 9]}),
    ("remove a member", [{"op": "remove", "path": "/a/b"}], {**DOC, "a": {}}),
    ("remove an element", [{"op": "remove", "path": "/l/0"}], {**DOC, "l": [2, 3]}),
    ("remove from the end", [{"op": "remove", "path": "/l/-1"}], {**DOC, "l": [1, 2]}),
    ("replace", [{"op": "replace", "path": "/l/1", "value": 9}], {**DOC, "l": [1, 9, 3]}),
    ("copy what is missing", [{"op": "copy", "path": "/n", "from": "/m"}], {**DOC, "n": None}),
    ("replace what is missing", [{"op": "replace", "path": "/n", "value": 9}], {**DOC, "n": 9}),
    (
        "escapes",
        [{"op": "remove", "path": "/x~1y~0z"}],
        {key: value for key, value in DOC.items() if key != "x/y~z"},
    ),
    ("move", [{"op": "move", "from": "/a/b", "path": "/b"}], {**DOC, "a": {}, "b": "1"}),
    ("copy nothing", [{"op": "copy", "from": "/none", "path": "/c"}], {**DOC, "c": None}),
    ("copy", [{"op": "copy", "from": "/a", "path": "/c"}], {**DOC, "c": {"b": "1"}}),
    ("a missing value is null", [{"op": "add", "path": "/a"}], {**DOC, "a": None}),
    ("a path is read from its first slash on", [{"op": "add", "path": "x/a", "value": 1}], {**DOC, "a": 1}),
    ("replace the whole", [{"op": "replace", "path": "", "value": {"n": 1}}], {"n": 1}),
    ("test holds", [{"op": "test", "path": "/l", "value": [1, 2, 3]}], DOC),
    ("test of what is missing against null", [{"op": "test", "path": "/n", "value": None}], DOC),
]


@pytest.mark.parametrize(("patch", "result"), [c[1:] for c in APPLIED], ids=[c[0] for c in APPLIED])
def test_applied(patch: list[Any], result: dict[str, Any]) -> None:
    before = deep_copy(DOC)
    assert json_patch.apply(DOC, patch) == result
    assert before == DOC


FAILING: list[Any] = [
    [{"op": "test", "path": "/a/b", "value": "2"}],
    [{"op": "test", "path": "/x~1y~0z", "value": 1}],
    [{"op": "remove", "path": "/n"}],
    [{"op": "remove", "path": "/l/3"}],
    [{"op": "add", "path": "/n/x", "value": 1}],
    [{"op": "add", "path": "/l/5", "value": 1}],
    [{"op": "add", "path": "/a/b/c", "value": 1}],
    [{"op": "add", "path": "no-slash", "value": 1}],
    [{"op": "fly", "path": "/a"}],
    [{"op": "copy", "path": "/a", "from": "/n/x"}],
    [{"path": "/a"}],
    [{}],
]


@pytest.mark.parametrize("patch", FAILING, ids=str)
def test_what_cannot_be_performed_is_one_general_refusal(patch: list[Any]) -> None:
    with pytest.raises(Invalid) as caught:
        json_patch.apply(DOC, patch)
    assert caught.value.message == "the server rejected our request due to an error in our request"
    assert caught.value.status()["details"] == {}


def test_null_changes_nothing() -> None:
    assert json_patch.apply(DOC, None) == DOC


def test_what_is_no_list_of_operations() -> None:
    with pytest.raises(BadRequest) as caught:
        json_patch.apply(DOC, {"data": {}})
    assert caught.value.message == (
        "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp"
    )


def test_members_of_operations_are_checked() -> None:
    json_patch.check([{"op": "add", "path": "/a", "from": None, "value": 1}, None])
    with pytest.raises(BadRequest, match=r"number into Go struct field jsonPatchOp\.path of type"):
        json_patch.check([{"path": 1}])


def test_ten_thousand_operations_are_enough() -> None:
    operation = {"op": "add", "path": "/n", "value": 1}
    assert json_patch.apply(DOC, [operation] * 10_000)["n"] == 1
    with pytest.raises(TooLarge, match="maximum operations in a JSON patch is 10000, got 10001"):
        json_patch.apply(DOC, [operation] * 10_001)


_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("ab", max_size=2),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("ab/~", max_size=2), inner, max_size=3)
    ),
    max_leaves=8,
)
_objects = st.dictionaries(st.text("ab/~", max_size=2), _values, max_size=4)


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


@given(_objects, _objects)
def test_replacing_every_member_turns_one_object_into_another(
    old: dict[str, Any], new: dict[str, Any]
) -> None:
    patch = [{"op": "remove", "path": f"/{_escaped(key)}"} for key in old]
    patch += [{"op": "add", "path": f"/{_escaped(key)}", "value": value} for key, value in new.items()]
    before = deep_copy(old)
    assert json_patch.apply(old, patch) == new
    assert old == before


@given(_objects, st.text("ab", min_size=1, max_size=2), _values)
def test_adding_and_removing_again_changes_nothing(obj: dict[str, Any], key: str, value: Any) -> None:
    rest = {name: part for name, part in obj.items() if name != key}
    patch = [{"op": "add", "path": f"/{key}", "value": value}, {"op": "remove", "path": f"/{key}"}]
    assert json_patch.apply(rest, patch) == rest


def test_copies_of_one_patch_are_bounded_together() -> None:
    obj = {"data": {"k": "v" * 100}}
    doubling = [{"op": "copy", "from": "/data", "path": f"/data/{number}"} for number in range(40)]
    with pytest.raises(Invalid):
        json_patch.apply(obj, doubling)
    assert json_patch.apply(obj, doubling[:10])


def test_a_patch_cannot_make_an_object_too_deep() -> None:
    value: Any = 1
    for _ in range(DEPTH_MAX):
        value = {"a": value}
    operation = {"op": "add", "path": "/data", "value": value}
    with pytest.raises(Invalid):
        json_patch.apply({}, [operation])
