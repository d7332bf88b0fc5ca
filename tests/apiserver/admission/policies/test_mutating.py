"""Mutating policies: patches of both types, order, reinvocation, failures; upstream's conformance tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from podium.machinery.errors import Object
from tests.apiserver.admission.policies.building import (
    DEPLOYMENTS,
    MUTATING,
    apply,
    deployment,
    json_patch,
    mutate,
    mutating,
)
from tests.apiserver.admission.webhooks.hooks import CONFIGMAPS, PODS, Hooks, config_map, pod, rule, run
from tests.apiserver.harness import Api

DEPLOYED = [rule("deployments", group="apps")]
PODS_MADE = [rule("pods")]


def test_should_mutate_a_deployment_with_annotations(tmp_path: Path) -> None:
    text = 'Object{metadata: Object.metadata{annotations: {"mutated-by": "admission-policy"}}}'

    async def test(running: Api, _hooks: Hooks) -> None:
        await mutate(running, mutating("p", apply(text), rules=DEPLOYED))
        made = await running.ok("POST", DEPLOYMENTS, deployment("a"))
        assert made["metadata"]["annotations"] == {"mutated-by": "admission-policy"}

    run(tmp_path, test)


def test_should_mutate_a_deployment(tmp_path: Path) -> None:
    async def test(running: Api, _hooks: Hooks) -> None:
        policy = mutating("p", apply("Object{spec: Object.spec{replicas: 1337}}"), rules=DEPLOYED)
        await mutate(running, policy)
        made = await running.ok("POST", DEPLOYMENTS, deployment("a"))
        assert made["spec"]["replicas"] == 1337
        assert made["spec"]["template"]["spec"]["containers"][0]["name"] == "c"

    run(tmp_path, test)


def test_lists_are_merged_by_their_keys_and_defaults_follow(tmp_path: Path) -> None:
    text = """Object{spec: Object.spec{
        containers: [Object.spec.containers{name: 'sidecar', image: 'pause'},
                     Object.spec.containers{name: 'example', imagePullPolicy: 'Always'}]}}"""

    async def test(running: Api, _hooks: Hooks) -> None:
        await mutate(running, mutating("p", apply(text), rules=PODS_MADE))
        made = await running.ok("POST", PODS, pod("a"))
        containers = {one["name"]: one for one in made["spec"]["containers"]}
        assert containers["example"]["imagePullPolicy"] == "Always"
        assert containers["example"]["image"] == "pause"
        assert containers["sidecar"]["terminationMessagePolicy"] == "File"
        assert containers["sidecar"]["volumeMounts"], "the service account's, from the second look"

    run(tmp_path, test)


@pytest.mark.parametrize(
    ("text", "data"),
    [
        pytest.param(
            "[JSONPatch{op: 'add', path: '/data/b', value: 'new'}]", {"a": "1", "b": "new"}, id="add"
        ),
        pytest.param("[JSONPatch{op: 'remove', path: '/data/a'}]", None, id="remove"),
        pytest.param(
            "[JSONPatch{op: 'test', path: '/data/a', value: 'other'}, "
            "JSONPatch{op: 'remove', path: '/data/a'}]",
            {"a": "1"},
            id="test-fails",
        ),
        pytest.param(
            "[JSONPatch{op: 'copy', from: '/data/a', path: '/data/c'}]", {"a": "1", "c": "1"}, id="copy"
        ),
        pytest.param(
            "has(object.nosuch) ? [JSONPatch{op: 'remove', path: '/data/a'}] : []", {"a": "1"}, id="nothing"
        ),
    ],
)
def test_json_patches(tmp_path: Path, text: str, data: Object | None) -> None:
    async def test(running: Api, _hooks: Hooks) -> None:
        await mutate(running, mutating("p", json_patch(text)))
        made = await running.ok("POST", CONFIGMAPS, config_map("a", a="1"))
        assert made.get("data") == data

    run(tmp_path, test)


FAILURES = [
    pytest.param(
        json_patch("[JSONPatch{op: 'remove', path: '/data/nosuch'}]"),
        "policy 'p' with binding 'p-b' denied request: JSON Patch: ",
        403,
        id="json-patch",
    ),
    pytest.param(
        json_patch("[JSONPatch{op: 'add', path: object.nosuch, value: 1}]"),
        "policy 'p' with binding 'p-b' denied request: expression '[JSONPatch{op: 'add', "
        "path: object.nosuch, value: 1}]' resulted in error: no such key: nosuch",
        403,
        id="evaluation",
    ),
    pytest.param(
        apply("Object{nosuch: 1}"),
        "policy 'p' with binding 'p-b' denied request: error applying patch: failed to convert patch "
        "object to typed object: .nosuch: field not declared in schema",
        403,
        id="no-such-field",
    ),
    pytest.param(
        apply("Object{metadata: Object.wrong{}}"),
        "policy 'p' with binding 'p-b' denied request: type mismatch: unexpected type name \"Object.wrong\", "
        'expected "Object.metadata", which matches field name path from root Object type',
        403,
        id="type-name",
    ),
    pytest.param(
        json_patch("[JSONPatch{op: 'add', path: '/nosuch', value: 1}]"),
        'Internal error occurred: strict decoding error: unknown field "nosuch"',
        500,
        id="unknown-field",
    ),
]


@pytest.mark.parametrize(("mutation", "message", "code"), FAILURES)
@pytest.mark.parametrize("failure", ["Fail", "Ignore"])
def test_failures(tmp_path: Path, mutation: Object, message: str, code: int, failure: str) -> None:
    async def test(running: Api, _hooks: Hooks) -> None:
        await mutate(running, mutating("p", mutation, failurePolicy=failure))
        status, body = await running.call("POST", CONFIGMAPS, config_map("a"))
        if failure == "Ignore" and code == 403:
            assert status == 201
            return
        assert status == code
        assert body["message"].startswith(message)
        if code == 403:
            assert body["reason"] == "Invalid"
            assert body["details"]["causes"] == [{"message": body["message"]}]

    run(tmp_path, test)


def test_what_can_only_be_set_whole_is_left_alone(tmp_path: Path) -> None:
    text = "Object{spec: Object.spec{containers: [Object.spec.containers{name: 'example', args: ['x']}]}}"

    async def test(running: Api, _hooks: Hooks) -> None:
        await mutate(running, mutating("p", apply(text), rules=PODS_MADE))
        status, body = await running.call("POST", PODS, pod("a"))
        assert status == 403
        assert body["message"].endswith(
            "error applying patch: invalid ApplyConfiguration: may not mutate atomic arrays, maps or "
            "structs: .spec.containers[0].args"
        )

    run(tmp_path, test)


def _append(letter: str) -> Object:
    text = "object.?data.log.orValue('')"
    patch = f"JSONPatch{{op: 'add', path: '/data/log', value: {text} + '{letter}'}}"
    return json_patch(f"[{patch}]")


def test_policies_go_by_name_and_see_each_others_changes(tmp_path: Path) -> None:
    async def test(running: Api, _hooks: Hooks) -> None:
        await mutate(running, mutating("q", _append("q")))
        await mutate(running, mutating("p", _append("1"), _append("2")))
        made = await running.ok("POST", CONFIGMAPS, config_map("a", x="y"))
        assert made["data"]["log"] == "12q"

    run(tmp_path, test)


def test_who_wants_to_sees_what_changed_behind_it(tmp_path: Path) -> None:
    async def test(running: Api, _hooks: Hooks) -> None:
        await mutate(running, mutating("p", _append("p"), reinvocationPolicy="IfNeeded"))
        await mutate(running, mutating("q", _append("q")))
        made = await running.ok("POST", CONFIGMAPS, config_map("a", x="y"))
        assert made["data"]["log"] == "pqp"

    run(tmp_path, test)


def test_variables_parameters_and_conditions(tmp_path: Path) -> None:
    async def test(running: Api, _hooks: Hooks) -> None:
        await running.ok("POST", CONFIGMAPS, config_map("settings", team="blue"))
        policy = mutating(
            "p",
            apply("Object{metadata: Object.metadata{labels: {'team': variables.team}}}"),
            rules=PODS_MADE,
            paramKind={"apiVersion": "v1", "kind": "ConfigMap"},
            variables=[
                {"name": "team", "expression": "params.data.team + '-' + namespaceObject.metadata.name"}
            ],
            matchConditions=[{"name": "c", "expression": "object.metadata.name != 'skip'"}],
        )
        await mutate(running, policy, paramRef={"name": "settings", "parameterNotFoundAction": "Deny"})
        made = await running.ok("POST", PODS, pod("a"))
        assert made["metadata"]["labels"] == {"team": "blue-default"}
        skipped = await running.ok("POST", PODS, pod("skip"))
        assert "labels" not in skipped["metadata"]

    run(tmp_path, test)


def test_shown_in_the_version_that_the_policy_knows(tmp_path: Path) -> None:
    scaler = {
        "metadata": {"name": "a"},
        "spec": {
            "maxReplicas": 3,
            "scaleTargetRef": {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"},
        },
    }

    async def test(running: Api, _hooks: Hooks) -> None:
        rules = [rule("horizontalpodautoscalers", group="autoscaling", apiVersions=["v2"])]
        policy = mutating("p", apply("Object{spec: Object.spec{maxReplicas: 9}}"), rules=rules)
        policy["spec"]["matchConditions"] = [
            {"name": "v2", "expression": "object.apiVersion == 'autoscaling/v2'"}
        ]
        await mutate(running, policy)
        path = "/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers"
        made = await running.ok("POST", path, scaler)
        assert (made["apiVersion"], made["spec"]["maxReplicas"]) == ("autoscaling/v1", 9)

    run(tmp_path, test)


@pytest.mark.parametrize(
    ("mutation", "message"),
    [
        pytest.param(apply("{'a': 1}"), "must evaluate to Object but got map(string, int)", id="no-object"),
        pytest.param(
            json_patch("Object{}"), "must evaluate to list(JSONPatch) but got Object", id="no-patches"
        ),
        pytest.param({"patchType": "JSONPatch"}, "must be specified when patchType is JSONPatch", id="none"),
        pytest.param(
            {"patchType": "Merge"}, 'supported values: "ApplyConfiguration", "JSONPatch"', id="type"
        ),
        pytest.param(
            {**apply("Object{}"), **{"jsonPatch": {"expression": "[]"}}},
            "must not be specified when patchType is ApplyConfiguration",
            id="both",
        ),
    ],
)
def test_mutations_are_checked_when_they_are_written(tmp_path: Path, mutation: Object, message: str) -> None:
    async def test(running: Api, _hooks: Hooks) -> None:
        status, body = await running.call("POST", MUTATING, mutating("p", mutation))
        assert status == 422
        assert message in body["message"]

    run(tmp_path, test)
