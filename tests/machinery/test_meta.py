"""Accessors and small builders on plain objects."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar

import pytest

from podium.machinery import meta

NOW = datetime(2026, 1, 1, tzinfo=UTC)

POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {
        "name": "p",
        "namespace": "ns",
        "uid": "u",
        "resourceVersion": "7",
        "labels": {"a": "b"},
        "ownerReferences": [
            {"kind": "Other", "uid": "x"},
            {"kind": "ReplicaSet", "uid": "y", "controller": True},
        ],
    },
}


def test_accessors_read_an_object() -> None:
    assert meta.name(POD) == "p"
    assert meta.namespace(POD) == "ns"
    assert meta.uid(POD) == "u"
    assert meta.resource_version(POD) == 7
    assert meta.labels(POD) == {"a": "b"}
    assert not meta.deleting(POD)


@pytest.mark.parametrize("obj", [{}, {"metadata": None}, {"metadata": {"labels": None}}], ids=str)
def test_accessors_take_what_is_missing_as_empty(obj: dict[str, Any]) -> None:
    assert (meta.name(obj), meta.namespace(obj), meta.uid(obj)) == ("", "", "")
    assert (dict(meta.labels(obj)), dict(meta.annotations(obj)), meta.finalizers(obj)) == ({}, {}, [])
    assert meta.resource_version(obj) == 0
    assert meta.controller_ref(obj) is None


@pytest.mark.parametrize(
    ("obj", "key"),
    [(POD, "ns/p"), ({"metadata": {"name": "n"}}, "n")],
    ids=["namespaced", "cluster-scoped"],
)
def test_key_and_back(obj: dict[str, Any], key: str) -> None:
    assert meta.key(obj) == key
    assert meta.split_key(key) == (meta.namespace(obj), meta.name(obj))


def test_the_controller_is_the_owner_that_says_so() -> None:
    reference = meta.controller_ref(POD)
    assert reference is not None
    assert reference["uid"] == "y"
    assert meta.controlled_by(POD, {"metadata": {"uid": "y"}})
    assert not meta.controlled_by(POD, {"metadata": {"uid": "x"}})


def test_owner_reference() -> None:
    assert meta.owner_reference(POD) == {
        "apiVersion": "v1",
        "kind": "Pod",
        "name": "p",
        "uid": "u",
        "controller": True,
        "blockOwnerDeletion": True,
    }
    assert "controller" not in meta.owner_reference(POD, controller=False)


def test_deep_copy_shares_no_container() -> None:
    original = {"a": [{"b": 1}], "c": {"d": "e"}}
    copy = meta.deep_copy(original)
    assert copy == original
    copy["a"][0]["b"] = 2
    copy["c"]["d"] = "f"
    assert original == {"a": [{"b": 1}], "c": {"d": "e"}}


@pytest.mark.parametrize("odd", [2**70, "\ud800", 1.5, None], ids=repr)
def test_deep_copy_takes_any_value(odd: object) -> None:
    original = {"a": [odd]}
    copy = meta.deep_copy(original)
    assert copy == original
    assert copy["a"] is not original["a"]


def test_copy_path_leaves_the_original_alone() -> None:
    copy = meta.copy_path(POD, "metadata", "annotations")
    copy["metadata"]["annotations"]["x"] = "y"
    assert "annotations" not in POD["metadata"]
    assert copy["metadata"]["labels"] is POD["metadata"]["labels"]


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (("metadata", "name"), "p"),
        (("metadata", "ownerReferences", 1, "uid"), "y"),
        (("metadata", "ownerReferences", 5), None),
        (("spec", "nodeName"), None),
    ],
    ids=str,
)
def test_dig(path: tuple[str | int, ...], found: object) -> None:
    assert meta.dig(POD, *path) == found


class TestSetCondition:
    OLD: ClassVar[dict[str, Any]] = {
        "type": "Ready",
        "status": "True",
        "lastTransitionTime": "2025-01-01T00:00:00Z",
    }

    def test_new_type_is_appended_with_the_time(self) -> None:
        result = meta.set_condition([self.OLD], {"type": "Other", "status": "True"}, NOW)
        assert result == [
            self.OLD,
            {"type": "Other", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"},
        ]

    def test_same_status_keeps_the_time(self) -> None:
        result = meta.set_condition([self.OLD], {"type": "Ready", "status": "True", "reason": "R"}, NOW)
        assert result[0]["lastTransitionTime"] == "2025-01-01T00:00:00Z"
        assert result[0]["reason"] == "R"

    def test_other_status_moves_the_time(self) -> None:
        result = meta.set_condition([self.OLD], {"type": "Ready", "status": "False"}, NOW)
        assert result[0]["lastTransitionTime"] == "2026-01-01T00:00:00Z"

    def test_no_change_returns_the_very_list(self) -> None:
        before = [self.OLD]
        assert meta.set_condition(before, {"type": "Ready", "status": "True"}, NOW) is before
