"""Upstream's conformance tests of admission webhooks (test/e2e/apimachinery/webhook.go), by their names."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from podium.apiserver.chain import User
from podium.apiserver.http.subresources import streams
from podium.apiserver.registry.call import Call
from podium.base.http.message import Headers, Request
from podium.machinery.errors import ApiError, Object
from podium.resources.core import pods
from tests.apiserver.admission.webhooks.hooks import (
    CONFIGMAPS,
    CRDS,
    MUTATING,
    PODS,
    VALIDATING,
    Hooks,
    allow,
    config_map,
    configuration,
    define,
    deny,
    patch,
    pod,
    rule,
    run,
    set_data,
    version,
    webhook,
)
from tests.apiserver.harness import Api

UNWANTED = "the configmap contains unwanted key and value"


def judge(request: Object) -> Object:
    """Refuse config maps with the wrong data, as the webhook of the tests does."""
    for obj in (request["object"] or {}, request["oldObject"] or {}):
        if (obj.get("data") or {}).get("webhook-e2e-test") == "webhook-disallow":
            return {"allowed": False, "status": {"message": UNWANTED, "reason": UNWANTED}}
    return {"allowed": True}


def judge_pods(request: Object) -> Object:
    if request["object"]["spec"]["containers"][0]["name"] == "webhook-disallow":
        return {"allowed": False, "status": {"message": "the pod contains unwanted container name"}}
    return {"allowed": True}


def test_should_include_webhook_resources_in_discovery_documents(tmp_path: Path) -> None:
    async def test(running: Api, _hooks: Hooks) -> None:
        groups = (await running.ok("GET", "/apis"))["groups"]
        group = next(one for one in groups if one["name"] == "admissionregistration.k8s.io")
        assert {"groupVersion": "admissionregistration.k8s.io/v1", "version": "v1"} in group["versions"]
        listed = await running.ok("GET", "/apis/admissionregistration.k8s.io/v1")
        names = {one["name"] for one in listed["resources"]}
        assert {"mutatingwebhookconfigurations", "validatingwebhookconfigurations"} <= names

    run(tmp_path, test)


def test_should_be_able_to_deny_pod_and_configmap_creation(tmp_path: Path) -> None:
    async def hang(_request: Object) -> Object:
        await asyncio.Event().wait()
        return {}

    async def test(running: Api, hooks: Hooks) -> None:
        hooks.replies |= {"/pods": judge_pods, "/configmaps": judge, "/hang": hang}
        bypass = {
            "matchExpressions": [{"key": "skip-webhook-admission", "operator": "NotIn", "values": ["yes"]}]
        }
        hanging = {"matchLabels": {"hang": "yes"}}
        await running.ok(
            "POST",
            VALIDATING,
            configuration(
                "deny",
                webhook(hooks, "/pods", rule("pods"), namespaceSelector=bypass),
                webhook(
                    hooks,
                    "/configmaps",
                    rule("configmaps", operations=["CREATE", "UPDATE", "DELETE"]),
                    namespaceSelector=bypass,
                ),
                webhook(hooks, "/hang", rule("pods"), objectSelector=hanging, timeoutSeconds=1),
            ),
        )
        status, body = await running.call("POST", PODS, pod("a", "webhook-disallow"))
        assert status == 400
        assert body["message"] == (
            'admission webhook "pods.example.com" denied the request: '
            "the pod contains unwanted container name"
        )
        hangs = pod("hangs")
        hangs["metadata"]["labels"] = {"hang": "yes"}
        status, body = await running.call("POST", PODS, hangs)
        assert status == 500
        assert body["message"] == (
            'Internal error occurred: failed calling webhook "hang.example.com": failed to call webhook: '
            f'Post "{hooks.url}/hang?timeout=1s": context deadline exceeded'
        )
        assert (await running.send("GET", f"{PODS}/hangs")).status == 404
        bad = config_map("bad", webhook_e2e_test="webhook-disallow")
        status, body = await running.call("POST", CONFIGMAPS, bad)
        assert status == 400
        assert UNWANTED in body["message"]
        assert body["reason"] == UNWANTED
        await running.ok("POST", CONFIGMAPS, config_map("good", admit="this"))
        good = await running.ok("GET", f"{CONFIGMAPS}/good")
        good["data"]["webhook-e2e-test"] = "webhook-disallow"
        assert (await running.call("PUT", f"{CONFIGMAPS}/good", good))[1]["message"].endswith(UNWANTED)
        merge = {"data": {"webhook-e2e-test": "webhook-disallow"}}
        kind = "application/strategic-merge-patch+json"
        assert (await running.call("PATCH", f"{CONFIGMAPS}/good", merge, type=kind))[0] == 400
        skipped = {"metadata": {"name": "skipped", "labels": {"skip-webhook-admission": "yes"}}}
        await running.ok("POST", "/api/v1/namespaces", skipped)
        await running.ok("POST", CONFIGMAPS.replace("default", "skipped"), bad)

    run(tmp_path, test)


def test_should_be_able_to_deny_attaching_pod(tmp_path: Path) -> None:
    async def test(running: Api, hooks: Hooks) -> None:
        hooks.replies["/attach"] = deny("attaching to pod 'to-be-attached-pod' is not allowed")
        attach = rule("pods/attach", operations=["CONNECT"])
        await running.ok("POST", VALIDATING, configuration("deny", webhook(hooks, "/attach", attach)))
        await running.ok("POST", PODS, pod("to-be-attached-pod"))
        call, request = streaming_call(
            running, "to-be-attached-pod", "attach", "stdin=true&container=example"
        )
        with pytest.raises(ApiError, match="attaching to pod 'to-be-attached-pod' is not allowed"):
            await streams._admit(running.server.registry, call, request)
        (asked,) = hooks.requests("/attach")
        assert asked["operation"] == "CONNECT"
        assert asked["subResource"] == "attach"
        assert asked["object"] == {
            "kind": "PodAttachOptions",
            "apiVersion": "v1",
            "stdin": True,
            "container": "example",
        }

    run(tmp_path, test)


def streaming_call(running: Api, name: str, subresource: str, query: str) -> tuple[Call, Request]:
    call = Call(
        served=running.server.catalog.of(pods.PODS),
        user=User(name="alice"),
        namespace="default",
        name=name,
        subresource=subresource,
    )

    async def read() -> bytes:
        return b""

    target = f"{PODS}/{name}/{subresource}?{query}"
    return call, Request(method="POST", target=target, headers=Headers([]), read_body=read)


def test_should_be_able_to_deny_custom_resource_creation_update_and_deletion(tmp_path: Path) -> None:
    async def test(running: Api, hooks: Hooks) -> None:
        await define(running, "widgets", "Widget", version("v1"))
        hooks.replies["/custom"] = judge
        every = rule("widgets", operations=["CREATE", "UPDATE", "DELETE"], group="example.com")
        await running.ok("POST", VALIDATING, configuration("deny", webhook(hooks, "/custom", every)))
        widgets = "/apis/example.com/v1/namespaces/default/widgets"
        kind = {"apiVersion": "example.com/v1", "kind": "Widget"}
        bad = {**kind, "metadata": {"name": "bad"}, "data": {"webhook-e2e-test": "webhook-disallow"}}
        assert (await running.call("POST", widgets, bad))[0] == 400
        await running.ok("POST", widgets, {**kind, "metadata": {"name": "good"}, "data": {"a": "b"}})
        merge, patched = "application/merge-patch+json", {"data": {"webhook-e2e-test": "webhook-disallow"}}
        status, body = await running.call("PATCH", f"{widgets}/good", patched, type=merge)
        assert status == 400
        assert UNWANTED in body["message"]
        await running.ok("DELETE", f"{VALIDATING}/deny")
        await running.ok("PATCH", f"{widgets}/good", patched, type=merge)
        await running.ok("POST", VALIDATING, configuration("deny", webhook(hooks, "/custom", every)))
        assert (await running.call("DELETE", f"{widgets}/good"))[0] == 400
        fixed = {"data": {"webhook-e2e-test": "webhook-allow"}}
        assert (await running.call("PATCH", f"{widgets}/good", fixed, type=merge))[0] == 400, "the old one"
        asked = hooks.requests("/custom")[-2]
        assert asked["operation"] == "DELETE"
        assert asked["object"] is None
        assert asked["oldObject"]["metadata"]["name"] == "good"

    run(tmp_path, test)


def test_should_unconditionally_reject_operations_on_fail_closed_webhook(tmp_path: Path) -> None:
    async def test(running: Api, hooks: Hooks) -> None:
        broken = webhook(hooks, "/configmaps", rule("configmaps"), failurePolicy="Fail")
        # The server's certificate is of another authority.
        broken["clientConfig"]["caBundle"] = ""
        await running.ok("POST", VALIDATING, configuration("closed", broken))
        status, body = await running.call("POST", CONFIGMAPS, config_map("a"))
        assert status == 500
        assert body["reason"] == "InternalError"
        assert 'failed calling webhook "configmaps.example.com"' in body["message"]
        assert "x509: certificate signed by unknown authority" in body["message"]
        assert hooks.asked == []

    run(tmp_path, test)


def test_should_mutate_configmap(tmp_path: Path) -> None:
    async def test(running: Api, hooks: Hooks) -> None:
        hooks.replies["/one"] = set_data("mutation-stage-1", after="mutation-start")
        hooks.replies["/two"] = set_data("mutation-stage-2", after="mutation-stage-1")
        await running.ok(
            "POST",
            MUTATING,
            configuration(
                "mutate",
                webhook(hooks, "/one", rule("configmaps")),
                webhook(hooks, "/two", rule("configmaps")),
            ),
        )
        made = await running.ok("POST", CONFIGMAPS, config_map("a", mutation_start="yes"))
        stages = {"mutation-start": "yes", "mutation-stage-1": "yes", "mutation-stage-2": "yes"}
        assert made["data"] == stages
        assert (await running.ok("GET", f"{CONFIGMAPS}/a"))["data"] == stages

    run(tmp_path, test)


def test_should_mutate_pod_and_apply_defaults_after_mutation(tmp_path: Path) -> None:
    container = {"name": "webhook-added-init-container", "image": "webhook-added-image"}

    async def test(running: Api, hooks: Hooks) -> None:
        hooks.replies["/pods"] = lambda _request: patch(
            {"op": "add", "path": "/spec/initContainers", "value": [container]}
        )
        await running.ok("POST", MUTATING, configuration("mutate", webhook(hooks, "/pods", rule("pods"))))
        made = await running.ok("POST", PODS, pod("a"))
        (added,) = made["spec"]["initContainers"]
        assert added["name"] == "webhook-added-init-container"
        assert added["terminationMessagePolicy"] == "File"
        assert [mount["name"] for mount in added["volumeMounts"]], (
            "the service account's, from the second look"
        )

    run(tmp_path, test)


def test_should_not_be_able_to_mutate_or_prevent_deletion_of_webhook_configuration_objects(
    tmp_path: Path,
) -> None:
    async def test(running: Api, hooks: Hooks) -> None:
        hooks.replies["/deny"] = deny("nobody may touch this")
        hooks.replies["/change"] = lambda _request: patch(
            {"op": "add", "path": "/metadata/labels", "value": {"added-label": "yes"}}
        )
        configurations = rule(
            "validatingwebhookconfigurations",
            "mutatingwebhookconfigurations",
            operations=["*"],
            group="admissionregistration.k8s.io",
        )
        await running.ok("POST", VALIDATING, configuration("deny", webhook(hooks, "/deny", configurations)))
        await running.ok("POST", MUTATING, configuration("change", webhook(hooks, "/change", configurations)))
        for collection in (VALIDATING, MUTATING):
            made = await running.ok("POST", collection, configuration("dummy"))
            assert "labels" not in made["metadata"]
            await running.ok("DELETE", f"{collection}/dummy")
        assert hooks.asked == []

    run(tmp_path, test)


def test_should_mutate_custom_resource(tmp_path: Path) -> None:
    async def test(running: Api, hooks: Hooks) -> None:
        await define(running, "widgets", "Widget", version("v1"))
        made = await _mutated(running, hooks)
        assert made["data"] == {
            "mutation-start": "yes",
            "mutation-stage-1": "yes",
            "mutation-stage-2": "yes",
        }

    run(tmp_path, test)


async def _mutated(running: Api, hooks: Hooks) -> Object:
    hooks.replies["/one"] = set_data("mutation-stage-1", after="mutation-start")
    hooks.replies["/two"] = set_data("mutation-stage-2", after="mutation-stage-1")
    widgets = rule("widgets", group="example.com")
    await running.ok(
        "POST",
        MUTATING,
        configuration("mutate", webhook(hooks, "/one", widgets), webhook(hooks, "/two", widgets)),
    )
    obj: Object = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "a"}}
    obj["data"] = {"mutation-start": "yes"}
    made: Object = await running.ok("POST", "/apis/example.com/v1/namespaces/default/widgets", obj)
    return made


def test_should_mutate_custom_resource_with_pruning(tmp_path: Path) -> None:
    texts = {"mutation-start": {"type": "string"}, "mutation-stage-1": {"type": "string"}}
    data = {"type": "object", "properties": texts}

    async def test(running: Api, hooks: Hooks) -> None:
        schema = {"type": "object", "properties": {"data": data}}
        await define(running, "widgets", "Widget", version("v1", schema=schema))
        made = await _mutated(running, hooks)
        assert made["data"] == {"mutation-start": "yes", "mutation-stage-1": "yes"}

    run(tmp_path, test)


def test_should_deny_crd_creation(tmp_path: Path) -> None:
    async def test(running: Api, hooks: Hooks) -> None:
        hooks.replies["/crd"] = deny("the crd contains unwanted label")
        crds = rule("customresourcedefinitions", operations=["*"], group="apiextensions.k8s.io")
        labelled = {"matchLabels": {"webhook-e2e-test": "webhook-disallow"}}
        hook = webhook(hooks, "/crd", crds, objectSelector=labelled)
        await running.ok("POST", VALIDATING, configuration("deny", hook))
        names = {"plural": "widgets", "singular": "widget", "kind": "Widget"}
        definition = {
            "metadata": {"name": "widgets.example.com", "labels": {"webhook-e2e-test": "webhook-disallow"}},
            "spec": {"group": "example.com", "scope": "Cluster", "names": names, "versions": [version("v1")]},
        }
        status, body = await running.call("POST", CRDS, definition)
        assert status == 400
        assert "the crd contains unwanted label" in body["message"]

    run(tmp_path, test)


def test_should_mutate_custom_resource_with_different_stored_version(tmp_path: Path) -> None:
    async def test(running: Api, hooks: Hooks) -> None:
        await define(running, "widgets", "Widget", version("v1"), version("v2", storage=False))
        hooks.replies["/one"] = set_data("mutation-stage-1", after="mutation-start")
        every = rule("widgets", operations=["CREATE", "UPDATE"], group="example.com", apiVersions=["*"])
        await running.ok("POST", MUTATING, configuration("mutate", webhook(hooks, "/one", every)))
        obj = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "a"}, "data": {}}
        v1, v2 = (f"/apis/example.com/{one}/namespaces/default/widgets" for one in ("v1", "v2"))
        await running.ok("POST", v1, obj)
        storage = [version("v1", storage=False), version("v2")]
        moved = {"spec": {"versions": storage}}
        await running.ok("PATCH", f"{CRDS}/widgets.example.com", moved, type="application/merge-patch+json")
        patched = {"data": {"mutation-start": "yes"}}
        made = await running.ok("PATCH", f"{v1}/a", patched, type="application/merge-patch+json")
        assert made["data"] == {"mutation-start": "yes", "mutation-stage-1": "yes"}
        assert (await running.ok("GET", f"{v2}/a"))["data"] == made["data"]

    run(tmp_path, test)


@pytest.mark.parametrize(
    ("timeout_s", "policy", "status"),
    [
        pytest.param(1, "Fail", 500, id="shorter-than-the-latency"),
        pytest.param(1, "Ignore", 201, id="shorter-and-ignored"),
        pytest.param(10, "Fail", 201, id="longer"),
        pytest.param(None, "Fail", 201, id="the-default"),
    ],
)
def test_should_honor_timeout(tmp_path: Path, timeout_s: int | None, policy: str, status: int) -> None:
    async def slow(_request: Object) -> Object:
        if timeout_s == 1:
            await asyncio.Event().wait()
        return {"allowed": True}

    async def test(running: Api, hooks: Hooks) -> None:
        hooks.replies["/slow"] = slow
        hook = webhook(hooks, "/slow", rule("configmaps"), failurePolicy=policy)
        if timeout_s is not None:
            hook["timeoutSeconds"] = timeout_s
        await running.ok("POST", VALIDATING, configuration("slow", hook))
        answered, body = await running.call("POST", CONFIGMAPS, config_map("a"))
        assert answered == status
        assert hooks.queries == [f"timeout={timeout_s or 10}s"]
        if status == 500:
            assert "context deadline exceeded" in body["message"]

    run(tmp_path, test)


@pytest.mark.parametrize("collection", [VALIDATING, MUTATING], ids=["validating", "mutating"])
def test_patching_or_updating_a_webhook_should_work(tmp_path: Path, collection: str) -> None:
    async def test(running: Api, hooks: Hooks) -> None:
        hooks.replies["/cm"] = judge if collection == VALIDATING else set_data("mutation-stage-1")
        hook = webhook(hooks, "/cm", rule("configmaps"))
        made = await running.ok("POST", collection, configuration("changing", hook))
        bad = config_map("bad", webhook_e2e_test="webhook-disallow")

        async def works() -> bool:
            status, body = await running.call("POST", f"{CONFIGMAPS}?dryRun=All", bad)
            return status == 400 or "mutation-stage-1" in body["data"]

        assert await works()
        made["webhooks"][0]["rules"][0]["operations"] = ["UPDATE"]
        await running.ok("PUT", f"{collection}/changing", made)
        assert not await works()
        operations = [{"op": "replace", "path": "/webhooks/0/rules/0/operations/0", "value": "CREATE"}]
        await running.ok("PATCH", f"{collection}/changing", operations, type="application/json-patch+json")
        assert await works()

    run(tmp_path, test)


@pytest.mark.parametrize("collection", [VALIDATING, MUTATING], ids=["validating", "mutating"])
def test_listing_webhooks_should_work(tmp_path: Path, collection: str) -> None:
    async def test(running: Api, hooks: Hooks) -> None:
        hooks.replies["/cm"] = judge if collection == VALIDATING else set_data("mutation-stage-1")
        for index in range(3):
            whole = configuration(f"many-{index}", webhook(hooks, "/cm", rule("configmaps")))
            whole["metadata"]["labels"] = {"of": "these"}
            await running.ok("POST", collection, whole)
        listed = await running.ok("GET", f"{collection}?labelSelector=of%3Dthese")
        assert len(listed["items"]) == 3
        bad = config_map("bad", webhook_e2e_test="webhook-disallow")
        status, body = await running.call("POST", f"{CONFIGMAPS}?dryRun=All", bad)
        assert status == 400 or "mutation-stage-1" in body["data"]
        await running.ok("DELETE", f"{collection}?labelSelector=of%3Dthese")
        made = await running.ok("POST", CONFIGMAPS, bad)
        assert "mutation-stage-1" not in made["data"]

    run(tmp_path, test)


def test_a_webhook_that_nobody_needs_is_not_called(tmp_path: Path) -> None:
    async def test(running: Api, hooks: Hooks) -> None:
        hooks.replies["/pods"] = allow
        await running.ok("POST", VALIDATING, configuration("pods", webhook(hooks, "/pods", rule("pods"))))
        await running.ok("POST", CONFIGMAPS, config_map("a"))
        assert hooks.asked == []

    run(tmp_path, test)


NOT_SKIPPED = {"name": "skip-me", "expression": "object.metadata.name != 'skip-me'"}


@pytest.mark.parametrize("collection", [VALIDATING, MUTATING], ids=["validating", "mutating"])
def test_should_be_able_to_create_and_update_webhook_configurations_with_match_conditions(
    tmp_path: Path, collection: str
) -> None:
    async def test(running: Api, hooks: Hooks) -> None:
        first = {"name": "expression-1", "expression": "object.metadata.namespace == 'production'"}
        hook = webhook(hooks, "/cm", rule("configmaps"), matchConditions=[first])
        made = await running.ok("POST", collection, configuration("c", hook))
        assert made["webhooks"][0]["matchConditions"] == [first]
        second = {"name": "expression-2", "expression": "object.metadata.namespace == 'staging'"}
        made["webhooks"][0]["matchConditions"] = [second]
        made = await running.ok("PUT", f"{collection}/c", made)
        assert made["webhooks"][0]["matchConditions"] == [second]

    run(tmp_path, test)


@pytest.mark.parametrize("collection", [VALIDATING, MUTATING], ids=["validating", "mutating"])
def test_should_reject_webhook_configurations_with_invalid_match_conditions(
    tmp_path: Path, collection: str
) -> None:
    async def test(running: Api, hooks: Hooks) -> None:
        bad = {"name": "invalid-expression-1", "expression": "... [] bad expression"}
        hook = webhook(hooks, "/cm", rule("configmaps"), matchConditions=[bad])
        status, body = await running.call("POST", collection, configuration("c", hook))
        assert status == 422
        assert "webhooks[0].matchConditions[0].expression" in body["message"]
        assert "compilation failed" in body["message"]

    run(tmp_path, test)


def test_should_mutate_everything_except_skip_me_configmaps(tmp_path: Path) -> None:
    async def test(running: Api, hooks: Hooks) -> None:
        hooks.replies["/cm"] = set_data("mutation-stage-1")
        hook = webhook(hooks, "/cm", rule("configmaps"), matchConditions=[NOT_SKIPPED])
        await running.ok("POST", MUTATING, configuration("c", hook))
        made = await running.ok("POST", CONFIGMAPS, config_map("some"))
        assert made["data"] == {"mutation-stage-1": "yes"}
        skipped = await running.ok("POST", CONFIGMAPS, config_map("skip-me", a="b"))
        assert skipped["data"] == {"a": "b"}
        text = running.server.metrics.registry.text().decode()
        labels = 'name="cm.example.com",kind="webhook",type="admit",operation="CREATE"'
        assert f"apiserver_admission_match_condition_exclusions_total{{{labels}}} 1" in text

    run(tmp_path, test)


@pytest.mark.parametrize(("policy", "status"), [("Fail", 403), ("Ignore", 201)])
def test_a_condition_that_fails_is_a_failure(tmp_path: Path, policy: str, status: int) -> None:
    async def test(running: Api, hooks: Hooks) -> None:
        failing = {"name": "fails", "expression": "object.nosuch == 1"}
        hook = webhook(hooks, "/cm", rule("configmaps"), matchConditions=[failing], failurePolicy=policy)
        await running.ok("POST", VALIDATING, configuration("c", hook))
        answered, body = await running.call("POST", CONFIGMAPS, config_map("a"))
        assert answered == status
        assert hooks.asked == []
        if status == 403:
            assert body["message"] == (
                "configmaps \"a\" is forbidden: expression 'object.nosuch == 1' resulted in error: "
                "no such key: nosuch"
            )

    run(tmp_path, test)
