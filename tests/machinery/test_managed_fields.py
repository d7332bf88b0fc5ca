"""managedFields on ordinary writes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.machinery import fieldset
from podium.machinery import managed_fields as managed
from podium.machinery.compare import compare, field_set
from podium.machinery.fieldset import FieldSet
from podium.machinery.meta import deep_copy
from podium.machinery.schema import Schema, Schemas

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(seconds=5)
SCHEMAS = Schemas.load()
CONFIG_MAP = SCHEMAS.compile("io.k8s.api.core.v1.ConfigMap")
POD = SCHEMAS.compile("io.k8s.api.core.v1.Pod")
SERVICE = SCHEMAS.compile("io.k8s.api.core.v1.Service")
ROLE = SCHEMAS.compile("io.k8s.api.rbac.v1.Role")
EVENT = SCHEMAS.compile("io.k8s.api.core.v1.Event")


def written(
    new: dict[str, Any],
    old: dict[str, Any] | None = None,
    schema: Schema = CONFIG_MAP,
    manager: str = "me",
    now: datetime = NOW,
    **options: Any,
) -> dict[str, Any]:
    """Return `new` as the API server would have it after this write."""
    obj: dict[str, Any] = deep_copy(new)
    schema.decode(obj)
    schema.complete(obj)
    managed.update(obj, old, manager=manager, api_version="v1", now=now, schema=schema, **options)
    return obj


def owned(obj: dict[str, Any], manager: str = "me") -> FieldSet | None:
    for entry in obj["metadata"].get("managedFields") or ():
        if entry["manager"] == manager:
            fields: FieldSet = entry["fieldsV1"]
            return fields
    return None


META = {"name": "a", "namespace": "b", "uid": "u"}
CREATED: list[tuple[str, Schema, dict[str, Any], FieldSet | None]] = [
    ("nothing", CONFIG_MAP, {}, None),
    ("a map and its entries", CONFIG_MAP, {"data": {"x": "1"}}, {"f:data": {".": {}, "f:x": {}}}),
    ("an empty map is no field", CONFIG_MAP, {"data": {}}, None),
    ("an empty required list is one", ROLE, {"rules": []}, {"f:rules": {}}),
    (
        "an associative list that is always there",
        POD,
        {"spec": {"containers": [{"name": "c", "image": "i"}]}},
        {
            "f:spec": {
                "f:containers": {'k:{"name":"c"}': {".": {}, "f:image": {}, "f:name": {}, "f:resources": {}}}
            }
        },
    ),
    (
        "an associative list with two keys",
        SERVICE,
        {"spec": {"ports": [{"port": 80, "protocol": "UDP"}]}},
        {
            "f:spec": {
                "f:ports": {
                    ".": {},
                    'k:{"port":80,"protocol":"UDP"}': {
                        ".": {},
                        "f:port": {},
                        "f:protocol": {},
                        "f:targetPort": {},
                    },
                }
            }
        },
    ),
    (
        "references without a name",
        POD,
        {"spec": {"imagePullSecrets": [{"name": "a"}, {}]}},
        {"f:spec": {"f:imagePullSecrets": {".": {}, 'k:{"name":"a"}': {}, 'k:{"name":""}': {}}}},
    ),
    ("atomic structures", EVENT, {"involvedObject": {"kind": "Pod"}}, {"f:involvedObject": {}}),
    ("atomic lists", POD, {"spec": {"tolerations": [{"key": "a"}]}}, {"f:spec": {"f:tolerations": {}}}),
    (
        "structures by reference",
        POD,
        {"spec": {"securityContext": {}, "affinity": {"nodeAffinity": {}}}},
        {"f:spec": {"f:securityContext": {}, "f:affinity": {".": {}, "f:nodeAffinity": {}}}},
    ),
]


@pytest.mark.parametrize(("schema", "obj", "fields"), [c[1:] for c in CREATED], ids=[c[0] for c in CREATED])
def test_a_creator_owns_what_it_set(schema: Schema, obj: dict[str, Any], fields: FieldSet | None) -> None:
    assert owned(written({"metadata": META, **obj}, schema=schema)) == fields


def test_metadata_is_owned_but_for_what_the_server_sets() -> None:
    obj = written(
        {
            "metadata": {
                **META,
                "generateName": "a-",
                "resourceVersion": "5",
                "creationTimestamp": "2026-01-01T00:00:00Z",
                "labels": {"l": "m"},
                "finalizers": ["x/y"],
                "ownerReferences": [{"apiVersion": "v1", "kind": "K", "name": "n", "uid": "u"}],
            }
        }
    )
    assert owned(obj) == {
        "f:metadata": {
            "f:generateName": {},
            "f:labels": {".": {}, "f:l": {}},
            "f:finalizers": {".": {}, 'v:"x/y"': {}},
            "f:ownerReferences": {".": {}, 'k:{"uid":"u"}': {}},
        }
    }


def test_ownership_moves_with_the_value() -> None:
    first = written({"metadata": META, "data": {"k": "1", "l": "1"}}, manager="one")
    second = written({"metadata": META, "data": {"k": "2", "l": "1"}}, first, manager="two")
    assert owned(second, "one") == {"f:data": {".": {}, "f:l": {}}}
    assert owned(second, "two") == {"f:data": {"f:k": {}}}


def test_what_is_removed_nobody_owns() -> None:
    first = written({"metadata": META, "data": {"k": "1"}}, manager="one")
    second = written({"metadata": META}, first, manager="two")
    assert "managedFields" not in second["metadata"]


def test_a_write_that_changes_nothing_changes_no_time() -> None:
    first = written({"metadata": META, "data": {"k": "1"}})
    second = written({"metadata": META, "data": {"k": "1"}}, first, now=LATER)
    assert second["metadata"]["managedFields"] == first["metadata"]["managedFields"]


def test_another_change_by_the_same_manager_joins_its_entry() -> None:
    first = written({"metadata": META, "data": {"k": "1"}})
    second = written({"metadata": META, "data": {"k": "1", "l": "1"}}, first, now=LATER)
    (entry,) = second["metadata"]["managedFields"]
    assert entry == {
        "manager": "me",
        "operation": "Update",
        "apiVersion": "v1",
        "time": "2026-01-01T00:00:05Z",
        "fieldsType": "FieldsV1",
        "fieldsV1": {"f:data": {".": {}, "f:k": {}, "f:l": {}}},
    }


def test_the_object_before_stays_as_it_is() -> None:
    first = written({"metadata": META, "data": {"k": "1"}}, manager="one")
    before = deep_copy(first)
    written({"metadata": META, "data": {"k": "2"}}, first, manager="two")
    assert first == before


def test_subresources_have_entries_of_their_own() -> None:
    first = written({"metadata": META, "spec": {"nodeName": "n"}}, schema=POD)
    second = written(
        {"metadata": META, "spec": {"nodeName": "n"}, "status": {"phase": "Running"}},
        first,
        POD,
        subresource="status",
    )
    assert [entry.get("subresource") for entry in second["metadata"]["managedFields"]] == [None, "status"]


def test_fields_that_a_write_cannot_set_are_not_owned() -> None:
    obj = written(
        {"metadata": META, "spec": {"nodeName": "n"}, "status": {"phase": "Running"}},
        schema=POD,
        ignored=(("status",),),
    )
    assert owned(obj) == {"f:spec": {"f:nodeName": {}}}


@pytest.mark.parametrize("cleared", [[], [{}]], ids=["empty list", "one empty entry"])
def test_a_client_can_clear_the_owners(cleared: list[Any]) -> None:
    first = written({"metadata": META, "data": {"k": "1"}})
    second = written({"metadata": {**META, "managedFields": cleared}, "data": {"k": "2"}}, first)
    assert "managedFields" not in second["metadata"]
    third = written({"metadata": META, "data": {"k": "3"}}, second)
    assert "managedFields" not in third["metadata"], "an update starts no tracking"


def test_a_client_that_knows_no_managed_fields_keeps_them() -> None:
    first = written({"metadata": META, "data": {"k": "1"}})
    sent = {"metadata": {**META, "managedFields": [{"operation": "Guess"}]}, "data": {"k": "1"}}
    assert written(sent, first)["metadata"]["managedFields"] == first["metadata"]["managedFields"]


def test_entries_are_ordered_by_operation_and_age() -> None:
    def entry(manager: str, operation: str, second: int) -> dict[str, Any]:
        return managed.new_entry(
            manager, operation, "v1", "", {"f:data": {}}, NOW + timedelta(seconds=second)
        )

    entries = [
        entry("u2", "Update", 2),
        entry("a", "Apply", 9),
        entry("u1", "Update", 1),
        entry("b", "Update", 1),
    ]
    assert [each["manager"] for each in managed.in_order(entries)] == ["a", "b", "u1", "u2"]


def test_the_eleventh_updater_makes_the_oldest_ancient() -> None:
    obj = written({"metadata": META, "data": {"k": "0"}}, manager="m0")
    for index in range(1, 13):
        data = {**obj["data"], f"k{index}": "1"}
        obj = written(
            {"metadata": META, "data": data}, obj, manager=f"m{index}", now=NOW + timedelta(seconds=index)
        )
    entries = obj["metadata"]["managedFields"]
    assert len(entries) == 10
    assert entries[0]["manager"] == "ancient-changes"
    assert entries[0]["fieldsV1"] == {
        "f:data": {".": {}, "f:k": {}, "f:k1": {}, "f:k2": {}, "f:k3": {}}
    } or set(entries[0]["fieldsV1"]["f:data"]) == {".", "f:k", "f:k1", "f:k2"}
    assert [entry["manager"] for entry in entries[1:]] == [f"m{index}" for index in range(4, 13)][-9:]


def test_times_alone_make_no_write() -> None:
    first = written({"metadata": META, "data": {"k": "1"}})
    second = deep_copy(first)
    second["metadata"]["managedFields"][0]["time"] = "2027-01-01T00:00:00Z"
    managed.ignore_new_times(second, first)
    assert second == first
    third = deep_copy(second)
    third["metadata"]["managedFields"][0]["time"] = "2027-01-01T00:00:00Z"
    third["data"]["k"] = "2"
    managed.ignore_new_times(third, first)
    assert third["metadata"]["managedFields"][0]["time"] == "2027-01-01T00:00:00Z"


def test_objects_without_a_schema_are_granular_but_for_lists() -> None:
    obj: dict[str, Any] = {"metadata": dict(META), "spec": {"a": {"b": 1}, "l": [{"x": 1}]}}
    managed.update(obj, None, manager="me", api_version="g/v1", now=NOW, schema=None)
    assert owned(obj) == {"f:spec": {".": {}, "f:a": {".": {}, "f:b": {}}, "f:l": {}}}


def test_items_that_share_a_key_are_owned_as_one() -> None:
    obj = written(
        {"metadata": META, "spec": {"containers": [{"name": "c", "env": [{"name": "A"}, {"name": "A"}]}]}},
        schema=POD,
    )
    container = owned(obj)["f:spec"]["f:containers"]['k:{"name":"c"}']  # type: ignore[index]
    assert container["f:env"] == {".": {}, 'k:{"name":"A"}': {}}


# --- the algebra of sets ---

_trees: st.SearchStrategy[FieldSet] = st.recursive(
    st.just({}),
    lambda inner: st.dictionaries(st.sampled_from(["f:a", "f:b", "f:c", "."]), inner, max_size=3).map(
        lambda tree: {key: {} if key == "." else node for key, node in tree.items()}
    ),
    max_leaves=8,
)


def _top(tree: FieldSet) -> FieldSet:
    return {key: node for key, node in tree.items() if key != "."}


_sets = _trees.map(_top)


def members(tree: FieldSet) -> set[tuple[str, ...]]:
    return set(fieldset.paths(tree))


@given(_sets, _sets)
def test_sets_behave_as_sets(left: FieldSet, right: FieldSet) -> None:
    before = deep_copy(left), deep_copy(right)
    assert members(fieldset.union(left, right)) == members(left) | members(right)
    assert members(fieldset.difference(left, right)) == members(left) - members(right)
    assert members(fieldset.intersection(left, right)) == members(left) & members(right)
    assert (left, right) == before


@given(_sets, _sets)
def test_excluding_takes_everything_below(left: FieldSet, right: FieldSet) -> None:
    gone = members(right)
    expected = {path for path in members(left) if not any(path[: len(prefix)] == prefix for prefix in gone)}
    assert members(fieldset.without_below(left, right)) == expected


def test_paths_are_printed_as_upstream_prints_them() -> None:
    path = ("f:spec", "f:containers", 'k:{"name":"c"}', "f:args")
    assert fieldset.text(path) == '.spec.containers[name="c"].args'
    assert fieldset.text(("f:metadata", "f:finalizers", 'v:"x/y"')) == '.metadata.finalizers[="x/y"]'


_names = st.sampled_from("abc")
_objects = st.fixed_dictionaries(
    {},
    optional={
        "data": st.dictionaries(_names, _names, max_size=3),
        "immutable": st.booleans(),
        "metadata": st.fixed_dictionaries({}, optional={"labels": st.dictionaries(_names, _names)}),
    },
)


@given(_objects, _objects)
def test_comparing_the_other_way_round_swaps_added_and_removed(
    old: dict[str, Any], new: dict[str, Any]
) -> None:
    there = compare(old, new, CONFIG_MAP.shape)
    back = compare(new, old, CONFIG_MAP.shape)
    assert members(there.removed) <= members(back.changed)
    assert members(back.removed) <= members(there.changed)
    assert bool(there) == bool(back) == (old != new)


@given(_objects)
def test_what_an_object_has_is_what_it_adds_to_nothing(obj: dict[str, Any]) -> None:
    assert members(field_set(obj, CONFIG_MAP.shape)) <= members(compare({}, obj, CONFIG_MAP.shape).changed)
