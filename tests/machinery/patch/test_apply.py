"""Server-side apply."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.machinery.errors import BadRequest, Conflict, PlainError
from podium.machinery.meta import deep_copy
from podium.machinery.patch import apply as server_side
from podium.machinery.schema import Schemas

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SCHEMAS = Schemas.load()
POD = SCHEMAS.compile("io.k8s.api.core.v1.Pod")
CONFIG_MAP = SCHEMAS.compile("io.k8s.api.core.v1.ConfigMap")


def apply_pod(live: dict[str, Any] | None, spec: Any, manager: str, *, force: bool = False) -> dict[str, Any]:
    config = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec}
    result = server_side.apply(
        live, config, manager=manager, force=force, api_version="v1", kind="Pod", now=NOW, schema=POD
    )
    copy: dict[str, Any] = deep_copy(result)
    POD.decode(copy)
    POD.complete(copy)
    return copy


def apply_data(
    live: dict[str, Any] | None, data: dict[str, str], manager: str, **options: Any
) -> dict[str, Any]:
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data}
    result = server_side.apply(
        live,
        config,
        manager=manager,
        api_version="v1",
        kind="ConfigMap",
        now=NOW,
        schema=CONFIG_MAP,
        **{"force": False, **options},
    )
    copy: dict[str, Any] = deep_copy(result)
    CONFIG_MAP.decode(copy)
    CONFIG_MAP.complete(copy)
    return copy


def containers(obj: dict[str, Any]) -> list[str]:
    return [container["name"] for container in obj["spec"]["containers"] or ()]


ORDERS = [
    ("a", "b", "ab"),
    ("ab", "ba", "ba"),
    ("abc", "cxa", "bcxa"),
    ("abc", "xb", "axbc"),
    ("", "ab", "ab"),
    ("abc", "c", "abc"),
]


@pytest.mark.parametrize(("live", "applied", "merged"), ORDERS, ids=[f"{o[0]}+{o[1]}" for o in ORDERS])
def test_the_appliers_order_is_woven_into_the_live_one(live: str, applied: str, merged: str) -> None:
    obj = apply_pod(None, {"containers": [{"name": name} for name in live]}, "one")
    obj = apply_pod(obj, {"containers": [{"name": name} for name in applied]}, "two")
    assert "".join(containers(obj)) == merged


def test_what_an_applier_leaves_out_goes_away_with_all_that_is_in_it() -> None:
    obj = apply_pod(None, {"containers": [{"name": "a", "image": "i"}, {"name": "b", "image": "j"}]}, "one")
    obj = apply_pod(obj, {"containers": [{"name": "a"}]}, "one")
    assert obj["spec"]["containers"] == [{"name": "a", "resources": {}}]


def test_an_item_that_others_have_a_part_in_stays() -> None:
    obj = apply_pod(None, {"containers": [{"name": "a", "image": "i"}]}, "one")
    obj = apply_pod(obj, {"containers": [{"name": "a", "workingDir": "/"}]}, "two")
    obj = apply_pod(obj, {}, "one")
    assert obj["spec"]["containers"] == [{"name": "a", "workingDir": "/", "resources": {}}]


def test_a_conflict_names_field_and_owner() -> None:
    obj = apply_pod(None, {"containers": [{"name": "a", "image": "i"}], "nodeName": "n"}, "one")
    with pytest.raises(Conflict) as caught:
        apply_pod(obj, {"containers": [{"name": "a", "image": "j"}], "nodeName": "m"}, "two")
    assert caught.value.message == (
        'Apply failed with 2 conflicts: conflicts with "one":\n- .spec.nodeName\n'
        '- .spec.containers[name="a"].image'
    )
    assert [cause["field"] for cause in (caught.value.details or {})["causes"]] == [
        ".spec.nodeName",
        '.spec.containers[name="a"].image',
    ]


def test_force_takes_the_field_over() -> None:
    obj = apply_data(None, {"k": "1"}, "one")
    obj = apply_data(obj, {"k": "2"}, "two", force=True)
    assert obj["data"] == {"k": "2"}
    assert [entry["manager"] for entry in obj["metadata"]["managedFields"]] == ["two"]


def test_what_kubectl_has_applied_from_its_side_is_no_conflict_and_the_rest_is() -> None:
    last = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"applied":"1","since":"1"}}'
    live = apply_data(None, {"applied": "1", "since": "2", "never": "1"}, "kubectl-client-side-apply")
    live["metadata"]["annotations"] = {server_side.LAST_APPLIED: last}
    wanted = {"applied": "9", "since": "9", "never": "9"}
    for manager, disputed in (
        ("kubectl", [".data.never", ".data.since"]),
        ("other", [f".data.{k}" for k in sorted(wanted)]),
    ):
        with pytest.raises(Conflict) as conflict:
            apply_data(live, wanted, manager)
        assert conflict.value.details is not None
        assert [cause["field"] for cause in conflict.value.details["causes"]] == disputed
    assert apply_data(live, {"applied": "9"}, "kubectl")["data"]["applied"] == "9"


def test_leaving_out_all_labels_leaves_the_rest_of_the_metadata() -> None:
    config: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "a", "labels": {"x": "y"}},
    }
    options: dict[str, Any] = {
        "manager": "me",
        "force": False,
        "api_version": "v1",
        "kind": "ConfigMap",
        "now": NOW,
        "schema": CONFIG_MAP,
    }
    live = server_side.apply(None, config, **options)
    live["metadata"]["uid"] = "u"
    result = server_side.apply(live, {**config, "metadata": {"name": "a"}}, **options)
    assert result["metadata"] == {"name": "a", "uid": "u"}


def test_the_same_value_is_no_conflict() -> None:
    obj = apply_data(None, {"k": "1"}, "one")
    obj = apply_data(obj, {"k": "1"}, "two")
    assert {entry["manager"] for entry in obj["metadata"]["managedFields"]} == {"one", "two"}


REFUSED: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"kind": "Secret", "apiVersion": "v1"}, BadRequest, "invalid object type: /v1, Kind=Secret"),
    ({}, BadRequest, "invalid object type: /, Kind="),
    (
        {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"managedFields": []}},
        BadRequest,
        "metadata.managedFields must be nil",
    ),
    (
        {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "a"}, "dat": {}},
        PlainError,
        "failed to create typed patch object (/a; /v1, Kind=ConfigMap): .dat: field not declared in schema",
    ),
    (
        {
            "kind": "ConfigMap",
            "apiVersion": "v1",
            "metadata": {"name": "a", "namespace": "n"},
            "data": {"x": 1},
        },
        PlainError,
        "failed to create typed patch object (n/a; /v1, Kind=ConfigMap): .data.x: expected string, "
        "got &value.valueUnstructured{Value:1}",
    ),
]


@pytest.mark.parametrize(("config", "error", "message"), REFUSED, ids=[r[2][:45] for r in REFUSED])
def test_refused(config: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        server_side.apply(
            None,
            config,
            manager="me",
            force=False,
            api_version="v1",
            kind="ConfigMap",
            now=NOW,
            schema=CONFIG_MAP,
        )
    assert getattr(caught.value, "message", "") == message


def test_duplicate_items_are_refused() -> None:
    with pytest.raises(PlainError, match=r'\.spec\.containers: duplicate entries for key \[name="a"\]'):
        apply_pod(None, {"containers": [{"name": "a"}, {"name": "a"}]}, "one")


def test_items_that_are_null_are_refused() -> None:
    with pytest.raises(PlainError, match=r"\.spec\.containers: element 0: .* may not have a null element"):
        apply_pod(None, {"containers": [None]}, "one")


_data = st.dictionaries(st.sampled_from("abc"), st.sampled_from("12"), max_size=3)


@given(st.lists(st.tuples(st.sampled_from(["one", "two", "three"]), _data), max_size=8))
def test_against_a_model_of_who_wants_what(history: list[tuple[str, dict[str, str]]]) -> None:
    """Force every apply; the object is then what the last to say so wanted, of what anybody still wants."""
    wants: dict[str, dict[str, str]] = {}
    live: dict[str, Any] | None = None
    for manager, data in history:
        wants = {
            other: {key: value for key, value in mine.items() if data.get(key, value) == value}
            for other, mine in wants.items()
        }
        wants[manager] = data
        before = deep_copy(live)
        after = apply_data(live, data, manager, force=True)
        assert live == before
        live = after
        expected: dict[str, str] = {}
        for mine in wants.values():
            expected |= mine
        assert live.get("data", {}) == expected
        owners = {
            entry["manager"]: {key[2:] for key in entry["fieldsV1"].get("f:data", {}) if key != "."}
            for entry in live["metadata"].get("managedFields", ())
        }
        for name, mine in wants.items():
            assert owners.get(name, set()) == set(mine)


@given(_data, _data)
def test_applying_twice_is_applying_once(first: dict[str, str], second: dict[str, str]) -> None:
    live = apply_data(apply_data(None, first, "one"), second, "two", force=True)
    assert apply_data(live, second, "two") == live
