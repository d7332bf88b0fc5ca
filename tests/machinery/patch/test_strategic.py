"""Strategic merge patch: lists merged by key, directives, order; as recorded from upstream."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.machinery.errors import BadRequest, PlainError
from podium.machinery.meta import deep_copy, dig
from podium.machinery.patch import strategic
from podium.machinery.schema import Schema, Schemas

SCHEMAS = Schemas.load()
POD = SCHEMAS.compile("io.k8s.api.core.v1.Pod")
DEPLOYMENT = SCHEMAS.compile("io.k8s.api.apps.v1.Deployment")
NODE = SCHEMAS.compile("io.k8s.api.core.v1.Node")


def pod(**spec: Any) -> dict[str, Any]:
    return {"spec": spec}


CONTAINERS = [
    {"name": "one", "image": "i", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]},
    {"name": "two", "image": "j"},
]

MERGED: list[tuple[str, Schema, dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ("nothing", POD, pod(containers=CONTAINERS), {}, pod(containers=CONTAINERS)),
    ("scalar", POD, pod(nodeName="a"), pod(nodeName="b"), pod(nodeName="b")),
    ("null removes", POD, pod(nodeName="a"), pod(nodeName=None), pod()),
    (
        "map",
        POD,
        {"metadata": {"labels": {"a": "1", "b": "2"}}},
        {"metadata": {"labels": {"a": None, "c": "3"}}},
        {"metadata": {"labels": {"b": "2", "c": "3"}}},
    ),
    (
        "element by key",
        POD,
        pod(containers=CONTAINERS),
        pod(containers=[{"name": "two", "image": "k"}]),
        pod(containers=[CONTAINERS[0], {"name": "two", "image": "k"}]),
    ),
    (
        "new element comes first",
        POD,
        pod(volumes=[{"name": "v"}]),
        pod(volumes=[{"name": "w"}]),
        pod(volumes=[{"name": "w"}, {"name": "v"}]),
    ),
    (
        "woven order",
        POD,
        pod(containers=[CONTAINERS[0]]),
        pod(containers=[{"name": "one", "env": [{"name": "B", "value": "3"}, {"name": "C", "value": "4"}]}]),
        pod(
            containers=[
                {
                    "name": "one",
                    "image": "i",
                    "env": [
                        {"name": "A", "value": "1"},
                        {"name": "B", "value": "3"},
                        {"name": "C", "value": "4"},
                    ],
                }
            ]
        ),
    ),
    (
        "set of scalars",
        POD,
        {"metadata": {"finalizers": ["a"]}},
        {"metadata": {"finalizers": ["b"]}},
        {"metadata": {"finalizers": ["b", "a"]}},
    ),
    (
        "atomic list",
        POD,
        pod(containers=[{"name": "c", "args": ["x", "y"]}]),
        pod(containers=[{"name": "c", "args": ["z"]}]),
        pod(containers=[{"name": "c", "args": ["z"]}]),
    ),
    (
        "list without a strategy",
        NODE,
        {"spec": {"taints": [{"key": "a"}]}},
        {"spec": {"taints": [{"key": "b"}]}},
        {"spec": {"taints": [{"key": "b"}]}},
    ),
    (
        "$patch: delete",
        POD,
        pod(containers=CONTAINERS),
        pod(
            containers=[
                {"name": "two", "$patch": "delete"},
                {"name": "one", "env": [{"name": "A", "$patch": "delete"}]},
            ]
        ),
        pod(containers=[{"name": "one", "image": "i", "env": [{"name": "B", "value": "2"}]}]),
    ),
    (
        "$patch: delete of a map",
        POD,
        {"metadata": {"labels": {"a": "1"}}},
        {"metadata": {"labels": {"$patch": "delete"}}},
        {"metadata": {"labels": {}}},
    ),
    (
        "$patch: replace of a list",
        POD,
        pod(containers=CONTAINERS),
        pod(containers=[{"$patch": "replace"}, {"name": "only", "image": "m"}]),
        pod(containers=[{"name": "only", "image": "m"}]),
    ),
    (
        "$patch: replace of a map",
        POD,
        {"metadata": {"labels": {"a": "1"}}},
        {"metadata": {"labels": {"$patch": "replace", "z": "z"}}},
        {"metadata": {"labels": {"z": "z"}}},
    ),
    (
        "$retainKeys",
        DEPLOYMENT,
        {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}},
        {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}},
        {"spec": {"strategy": {"type": "Recreate"}}},
    ),
    (
        "$retainKeys in an element",
        POD,
        pod(volumes=[{"name": "v", "emptyDir": {}}]),
        pod(volumes=[{"name": "v", "$retainKeys": ["name", "secret"], "secret": {"secretName": "s"}}]),
        pod(volumes=[{"name": "v", "secret": {"secretName": "s"}}]),
    ),
    (
        "$deleteFromPrimitiveList",
        POD,
        {"metadata": {"finalizers": ["a", "b"]}},
        {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}},
        {"metadata": {"finalizers": ["b"]}},
    ),
    (
        "$setElementOrder",
        POD,
        pod(containers=[CONTAINERS[1]]),
        pod(
            **{
                "$setElementOrder/containers": [{"name": "three"}, {"name": "two"}],
                "containers": [{"name": "three", "image": "k"}],
            }
        ),
        pod(containers=[{"name": "three", "image": "k"}, CONTAINERS[1]]),
    ),
    (
        "$setElementOrder alone",
        POD,
        pod(containers=CONTAINERS),
        pod(**{"$setElementOrder/containers": [{"name": "two"}, {"name": "one"}]}),
        pod(containers=[CONTAINERS[1], CONTAINERS[0]]),
    ),
    (
        "directives in what is new",
        POD,
        pod(),
        pod(
            volumes=[
                {"name": "v", "$retainKeys": ["name"], "emptyDir": None},
                {"name": "w", "$patch": "delete"},
            ]
        ),
        pod(volumes=[{"name": "v"}]),
    ),
    (
        "a change of type",
        POD,
        {"metadata": {"labels": {"a": "b"}}},
        {"metadata": {"labels": "x"}},
        {"metadata": {"labels": "x"}},
    ),
]


@pytest.mark.parametrize(
    ("schema", "original", "patch", "result"), [c[1:] for c in MERGED], ids=[c[0] for c in MERGED]
)
def test_merged(
    schema: Schema, original: dict[str, Any], patch: dict[str, Any], result: dict[str, Any]
) -> None:
    before = deep_copy(original), deep_copy(patch)
    assert strategic.apply(original, patch, schema) == result
    assert (original, patch) == before


ORIGINAL = pod(containers=[{"name": "c", "image": "one"}])
REFUSED: list[tuple[Any, type[Exception], str]] = [
    (
        pod(containers=[{"image": "two"}]),
        PlainError,
        "map: map[image:two] does not contain declared merge key: name",
    ),
    (
        pod(containers=[{"name": "c", "$patch": "explode"}]),
        PlainError,
        "unknown patch type: explode in map: map[$patch:explode name:c]",
    ),
    (
        pod(**{"$setElementOrder/containers": [{"name": "a"}], "containers": [{"name": "c", "image": "x"}]}),
        PlainError,
        "The order in patch list:\n[map[image:x name:c]]\n doesn't match $setElementOrder "
        "list:\n[map[name:a]]\n",
    ),
    (
        pod(containers=["c"]),
        PlainError,
        "list element types are not identical: [[map[image:one name:c]] [c]]",
    ),
    (
        pod(containers=[["c"]]),
        PlainError,
        "list element types are not identical: [[map[image:one name:c]] [[c]]]",
    ),
    (
        pod(imagePullSecrets=[["c"]], **{"$setElementOrder/imagePullSecrets": []}),
        PlainError,
        "expected a map[string]interface {}, but received a []interface {}",
    ),
    (
        pod(containers=[{"name": "c", "$patch": 1}]),
        PlainError,
        "unknown patch type: %!s(int64=1) in map: map[$patch:1 name:c]",
    ),
    (
        pod(**{"$setElementOrder/foo": []}),
        PlainError,
        'unable to find api field in struct PodSpec for the json field "foo"',
    ),
    (
        pod(containers=[{"$patch": "merge"}]),
        PlainError,
        "merging lists cannot yet be specified in the patch",
    ),
    (pod(**{"$retainKeys": "x"}), BadRequest, "invalid patch format of retainKeys"),
    (pod(**{"$retainKeys": [], "nodeName": "x"}), BadRequest, "invalid patch format of retainKeys"),
    ([], BadRequest, "json: cannot unmarshal array into Go value of type map[string]interface {}"),
]


@pytest.mark.parametrize(("patch", "error", "message"), REFUSED, ids=[r[2][:40] for r in REFUSED])
def test_refused(patch: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        strategic.apply(ORIGINAL, patch, POD)
    assert getattr(caught.value, "message", "") == message


def test_an_untranslated_error_has_no_reason() -> None:
    with pytest.raises(PlainError) as caught:
        strategic.apply(ORIGINAL, pod(containers=[{"image": "two"}]), POD)
    assert "reason" not in caught.value.status()
    assert caught.value.status()["code"] == 500


_names = st.sampled_from("abcd")
_containers = st.lists(
    st.fixed_dictionaries({"name": _names, "image": st.sampled_from("xyz")}),
    max_size=4,
    unique_by=lambda container: container["name"],
)
_pods = st.builds(
    lambda containers, labels: {"metadata": {"labels": labels}, "spec": {"containers": containers}},
    _containers,
    st.dictionaries(_names, _names, max_size=3),
)


@given(_pods)
def test_an_empty_patch_changes_nothing(obj: dict[str, Any]) -> None:
    assert strategic.apply(obj, {}, POD) == obj


@given(_pods)
def test_an_object_is_a_patch_that_changes_nothing_in_itself(obj: dict[str, Any]) -> None:
    assert strategic.apply(obj, obj, POD) == obj


@given(_pods, _pods)
def test_applying_twice_is_applying_once(obj: dict[str, Any], patch: dict[str, Any]) -> None:
    once = strategic.apply(obj, patch, POD)
    assert strategic.apply(once, patch, POD) == once


@given(_pods, _pods)
def test_no_element_is_lost_or_doubled(obj: dict[str, Any], patch: dict[str, Any]) -> None:
    result = strategic.apply(obj, patch, POD)

    def names(each: dict[str, Any]) -> list[str]:
        return [container["name"] for container in dig(each, "spec", "containers", default=[])]

    assert sorted(names(result)) == sorted({*names(obj), *names(patch)})
