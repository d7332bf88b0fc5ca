"""What webhooks see, in which order, and what their answers and failures mean; over real TLS."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import Any

import orjson
import pytest

from podium.apiserver.admission.webhooks.plugin import ValidatingAdmissionWebhook
from podium.apiserver.chain import ViewChange
from podium.apiserver.registry.call import Call
from podium.base.http.client import HttpTransport
from podium.base.http.message import Headers, Response
from podium.base.http.server import Server
from podium.machinery.errors import Object
from podium.resources.core.configmaps import CONFIGMAPS as RESOURCE
from tests.apiserver.admission.webhooks.hooks import (
    CONFIGMAPS,
    MUTATING,
    PODS,
    VALIDATING,
    Hooks,
    allow,
    authority,
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


def metrics(running: Api) -> dict[str, str]:
    text = running.server.metrics.registry.text().decode()
    lines = (line.rpartition(" ") for line in text.splitlines() if "webhook" in line and line[0] != "#")
    return {name: value for name, _, value in lines}


def test_what_a_webhook_is_asked(tmp_path: Path) -> None:
    async def test(running: Api, hooks: Hooks) -> None:
        hooks.replies["/cm"] = allow
        every = rule("configmaps", operations=["*"])
        await running.ok("POST", VALIDATING, configuration("c", webhook(hooks, "/cm", every)))
        await running.ok("POST", f"{CONFIGMAPS}?fieldManager=me", config_map("a", x="1"))
        await running.ok("DELETE", f"{CONFIGMAPS}/a?dryRun=All")
        created, deleted = hooks.asked[0][1], hooks.asked[1][1]["request"]
        assert (created["apiVersion"], created["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
        asked = created["request"]
        assert len(asked.pop("uid")) == 36
        assert asked.pop("object")["data"] == {"x": "1"}
        assert asked == {
            "kind": {"group": "", "version": "v1", "kind": "ConfigMap"},
            "resource": {"group": "", "version": "v1", "resource": "configmaps"},
            "requestKind": {"group": "", "version": "v1", "kind": "ConfigMap"},
            "requestResource": {"group": "", "version": "v1", "resource": "configmaps"},
            "name": "a",
            "namespace": "default",
            "operation": "CREATE",
            "userInfo": {"username": "system:anonymous", "groups": ["system:unauthenticated"]},
            "oldObject": None,
            "dryRun": False,
            "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1", "fieldManager": "me"},
        }
        assert deleted["dryRun"] is True
        assert deleted["options"]["kind"] == "DeleteOptions"
        assert deleted["oldObject"]["metadata"]["resourceVersion"]

    run(tmp_path, test)


def test_a_namespace_is_in_itself(tmp_path: Path) -> None:
    async def test(running: Api, hooks: Hooks) -> None:
        hooks.replies["/ns"] = allow
        hook = webhook(
            hooks,
            "/ns",
            rule("namespaces", operations=["*"], scope="Cluster"),
            namespaceSelector={"matchLabels": {"a": "b"}},
        )
        await running.ok("POST", VALIDATING, configuration("c", hook))
        await running.ok("POST", "/api/v1/namespaces", {"metadata": {"name": "no"}})
        await running.ok("POST", "/api/v1/namespaces", {"metadata": {"name": "yes", "labels": {"a": "b"}}})
        await running.ok("DELETE", "/api/v1/namespaces/yes")
        assert [(r["operation"], r["namespace"], r["name"]) for r in hooks.requests("/ns")] == [
            ("CREATE", "yes", "yes"),
            ("DELETE", "yes", "yes"),
        ]

    run(tmp_path, test)


@pytest.mark.parametrize(("policy", "seen"), [("Equivalent", 1), ("Exact", 0)])
def test_match_policy_shows_the_version_that_the_webhook_knows(
    tmp_path: Path, policy: str, seen: int
) -> None:
    scaler: Object = {
        "metadata": {"name": "a"},
        "spec": {
            "maxReplicas": 3,
            "scaleTargetRef": {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"},
            "targetCPUUtilizationPercentage": 70,
        },
    }

    async def test(running: Api, hooks: Hooks) -> None:
        hooks.replies["/v2"] = lambda request: patch(
            {"op": "replace", "path": "/spec/metrics/0/resource/target/averageUtilization", "value": 60},
            {"op": "add", "path": "/spec/nonsense", "value": 1},
        )
        v2 = rule("horizontalpodautoscalers", group="autoscaling", apiVersions=["v2"])
        hook = webhook(hooks, "/v2", v2, matchPolicy=policy)
        await running.ok("POST", MUTATING, configuration("c", hook))
        path = "/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers"
        made = await running.ok("POST", path, scaler)
        asked = hooks.requests("/v2")
        assert len(asked) == seen
        assert made["apiVersion"] == "autoscaling/v1"
        assert made["spec"]["targetCPUUtilizationPercentage"] == (60 if seen else 70)
        if seen:
            assert asked[0]["kind"]["version"] == asked[0]["resource"]["version"] == "v2"
            assert asked[0]["requestKind"]["version"] == asked[0]["requestResource"]["version"] == "v1"
            assert asked[0]["object"]["apiVersion"] == "autoscaling/v2"

    run(tmp_path, test)


def test_a_custom_resource_is_shown_in_the_version_asked_for(tmp_path: Path) -> None:
    async def test(running: Api, hooks: Hooks) -> None:
        await define(running, "widgets", "Widget", version("v1"), version("v2", storage=False))
        hooks.replies["/v2"] = set_data("mutated")
        v2 = rule("widgets", group="example.com", apiVersions=["v2"])
        await running.ok("POST", MUTATING, configuration("c", webhook(hooks, "/v2", v2)))
        obj = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "a"}}
        made = await running.ok("POST", "/apis/example.com/v1/namespaces/default/widgets", obj)
        assert made["apiVersion"] == "example.com/v1"
        assert made["data"] == {"mutated": "yes"}
        assert hooks.requests("/v2")[0]["object"]["apiVersion"] == "example.com/v2"

    run(tmp_path, test)


def test_configurations_go_by_name_and_webhooks_by_place(tmp_path: Path) -> None:
    async def test(running: Api, hooks: Hooks) -> None:
        paths = ["/a2", "/a1", "/b1", "/b2"]
        for path in paths:
            hooks.replies[path] = allow
        maps = rule("configmaps")
        for name, own in (("b", paths[2:]), ("a", paths[:2])):
            await running.ok(
                "POST", MUTATING, configuration(name, *(webhook(hooks, path, maps) for path in own))
            )
        await running.ok("POST", CONFIGMAPS, config_map("x"))
        assert [path for path, _ in hooks.asked] == paths

    run(tmp_path, test)


def test_who_wants_to_sees_what_changed_behind_it(tmp_path: Path) -> None:
    async def test(running: Api, hooks: Hooks) -> None:
        hooks.replies |= {"/first": allow, "/never": allow, "/changes": set_data("late")}
        maps = rule("configmaps")
        await running.ok(
            "POST",
            MUTATING,
            configuration(
                "c",
                webhook(hooks, "/first", maps, reinvocationPolicy="IfNeeded"),
                webhook(hooks, "/never", maps),
                webhook(hooks, "/changes", maps, reinvocationPolicy="IfNeeded"),
            ),
        )
        await running.ok("POST", CONFIGMAPS, config_map("x"))
        # The one that changed is not asked again about its own change.
        assert [path for path, _ in hooks.asked] == ["/first", "/never", "/changes", "/first"]
        assert hooks.requests("/first")[1]["object"]["data"] == {"late": "yes"}

    run(tmp_path, test)


@pytest.mark.parametrize("effects", ["None", "NoneOnDryRun", "Some", "Unknown"])
def test_dry_runs_spare_webhooks_with_side_effects(tmp_path: Path, effects: str) -> None:
    async def test(running: Api, hooks: Hooks) -> None:
        hooks.replies["/cm"] = allow
        hook = webhook(hooks, "/cm", rule("configmaps"), sideEffects="NoneOnDryRun")
        await running.ok("POST", VALIDATING, configuration("c", hook))
        # Configurations from before v1 may say "Some", which nobody can write any more.
        plugin = next(
            p for p in running.server.registry.admission if isinstance(p, ValidatingAdmissionWebhook)
        )
        plugin._follow(ViewChange(old=None, new=configuration("c", {**hook, "sideEffects": effects})))
        status, body = await running.call("POST", f"{CONFIGMAPS}?dryRun=All", config_map("a"))
        if effects in ("None", "NoneOnDryRun"):
            assert status == 201
        else:
            assert status == 400
            assert body["message"] == 'admission webhook "cm.example.com" does not support dry run'
            assert hooks.asked == []

    run(tmp_path, test)


def test_the_older_review_is_spoken_where_it_comes_first(tmp_path: Path) -> None:
    async def test(running: Api, hooks: Hooks) -> None:
        # Neither patchType nor uid are wanted of it.
        encoded = base64.b64encode(b'[{"op":"add","path":"/data","value":{"old":"yes"}}]').decode()
        hooks.replies["/cm"] = lambda _request: {"allowed": True, "patch": encoded, "uid": ""}
        hook = webhook(hooks, "/cm", rule("configmaps"), admissionReviewVersions=["v9", "v1beta1", "v1"])
        await running.ok("POST", MUTATING, configuration("c", hook))
        made = await running.ok("POST", CONFIGMAPS, config_map("a"))
        assert made["data"] == {"old": "yes"}
        assert hooks.asked[0][1]["apiVersion"] == "admission.k8s.io/v1beta1"

    run(tmp_path, test)


def _answer(response: Object | None, **more: Any) -> Response:
    body = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response, **more}
    return Response(body=orjson.dumps(body))


BAD_ANSWERS = [
    pytest.param(Response(status=302, headers=Headers([("location", "/cm")])), "status code 302", id="moved"),
    pytest.param(Response(status=404), "the server could not find the requested resource", id="404"),
    pytest.param(
        Response(status=500, body=b"oops"), 'an error on the server ("oops") has prevented', id="500"
    ),
    pytest.param(Response(body=b"{"), "failed to call webhook: ", id="no-json"),
    pytest.param(Response(body=b"x" * 9_000_000), "the answer is longer than 8388608 bytes", id="too-long"),
    pytest.param(
        _answer(None), "received invalid webhook response: webhook response was absent", id="no-response"
    ),
    pytest.param(_answer({"uid": "other", "allowed": True}), 'expected response.uid="', id="another-uid"),
]


@pytest.mark.parametrize("collection", [VALIDATING, MUTATING], ids=["validating", "mutating"])
@pytest.mark.parametrize("policy", ["Fail", "Ignore"])
@pytest.mark.parametrize(("response", "why"), BAD_ANSWERS)
def test_bad_answers_are_failures(
    tmp_path: Path, collection: str, policy: str, response: Response, why: str
) -> None:
    async def test(running: Api, hooks: Hooks) -> None:
        hooks.raw["/cm"] = response
        hook = webhook(hooks, "/cm", rule("configmaps"), failurePolicy=policy)
        await running.ok("POST", collection, configuration("c", hook))
        status, body = await running.call("POST", CONFIGMAPS, config_map("a"))
        kind = "admit" if collection == MUTATING else "validating"
        opened = f'apiserver_admission_webhook_fail_open_count{{name="cm.example.com",type="{kind}"}}'
        if policy == "Ignore":
            assert status == 201
            assert metrics(running)[opened] == "1"
        else:
            assert status == 500
            assert body["message"].startswith(
                'Internal error occurred: failed calling webhook "cm.example.com": '
            )
            assert why in body["message"]
            assert body["details"]["causes"][0]["message"] in body["message"]
            assert opened not in metrics(running)

    run(tmp_path, test)


BAD_PATCHES = [
    pytest.param({"patch": base64.b64encode(b"[]").decode()}, "but not response.patchType", id="no-type"),
    pytest.param({"patchType": "JSONPatch"}, "response.patchType but not response.patch", id="no-patch"),
    pytest.param({"patchType": "JSONPatch", "patch": "%%"}, "illegal base64 data", id="no-base64"),
    pytest.param(
        {"patchType": "JSONPatch", "patch": base64.b64encode(b"{}").decode()},
        "undecodable patch",
        id="object",
    ),
    pytest.param(
        {"patchType": "Merge", "patch": base64.b64encode(b'[{"op":"add"}]').decode()},
        'unsupported patch type "Merge"',
        id="unknown-type",
    ),
]


@pytest.mark.parametrize(("response", "why"), BAD_PATCHES)
def test_bad_patches_are_failures(tmp_path: Path, response: Object, why: str) -> None:
    async def test(running: Api, hooks: Hooks) -> None:
        hooks.replies["/cm"] = lambda _request: {"allowed": True, **response}
        await running.ok("POST", MUTATING, configuration("c", webhook(hooks, "/cm", rule("configmaps"))))
        status, body = await running.call("POST", CONFIGMAPS, config_map("a"))
        assert status == 500
        assert 'failed calling webhook "cm.example.com"' in body["message"]
        assert why in body["message"]

    run(tmp_path, test)


@pytest.mark.parametrize(
    ("operation", "path"),
    [
        pytest.param({"op": "remove", "path": "/data/missing"}, CONFIGMAPS, id="cannot-be-done"),
        pytest.param({"op": "add", "path": "/data", "value": 7}, CONFIGMAPS, id="wrong-type"),
    ],
)
def test_a_patch_that_does_not_fit_is_an_internal_error_whatever_the_policy(
    tmp_path: Path, operation: Object, path: str
) -> None:
    async def test(running: Api, hooks: Hooks) -> None:
        hooks.replies["/cm"] = lambda _request: patch(operation)
        hook = webhook(hooks, "/cm", rule("configmaps"), failurePolicy="Ignore")
        await running.ok("POST", MUTATING, configuration("c", hook))
        status, body = await running.call("POST", path, config_map("a"))
        assert status == 500
        assert body["reason"] == "InternalError"
        assert body["message"].startswith("Internal error occurred: ")

    run(tmp_path, test)


def test_a_deletion_cannot_be_patched(tmp_path: Path) -> None:
    async def test(running: Api, hooks: Hooks) -> None:
        hooks.replies["/cm"] = set_data_blindly
        hook = webhook(hooks, "/cm", rule("configmaps", operations=["DELETE"]))
        await running.ok("POST", MUTATING, configuration("c", hook))
        await running.ok("POST", CONFIGMAPS, config_map("a"))
        status, body = await running.call("DELETE", f"{CONFIGMAPS}/a")
        assert status == 500
        assert body["message"].endswith(
            'admission webhook "cm.example.com" attempted to modify the object, which is not supported for '
            "this operation"
        )

    run(tmp_path, test)


def set_data_blindly(_request: Object) -> Object:
    return patch({"op": "add", "path": "/data", "value": {"a": "b"}})


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        pytest.param(
            {"status": {"code": 418, "message": "no", "reason": "Teapot", "details": {"name": "pot"}}},
            {"code": 418, "reason": "Teapot", "details": {"name": "pot"}, "message": ": no"},
            id="everything",
        ),
        pytest.param({"status": {"reason": "Because"}}, {"code": 400, "message": ": Because"}, id="reason"),
        pytest.param({}, {"code": 400, "message": " without explanation"}, id="nothing"),
        pytest.param({"status": {"code": 200}}, {"code": 400, "message": " without explanation"}, id="200"),
    ],
)
def test_a_refusal_is_the_webhooks_own_status(tmp_path: Path, response: Object, expected: Object) -> None:
    async def test(running: Api, hooks: Hooks) -> None:
        hooks.replies["/cm"] = lambda _request: {"allowed": False, **response}
        await running.ok("POST", VALIDATING, configuration("c", webhook(hooks, "/cm", rule("configmaps"))))
        status, body = await running.call("POST", CONFIGMAPS, config_map("a"))
        message = f'admission webhook "cm.example.com" denied the request{expected.pop("message")}'
        assert body["message"] == message
        assert status == body["code"]
        assert {key: body[key] for key in expected} == expected

    run(tmp_path, test)


def test_validating_webhooks_are_asked_at_once(tmp_path: Path) -> None:
    async def test(running: Api, hooks: Hooks) -> None:
        both = asyncio.Barrier(2)

        async def together(_request: Object) -> Object:
            await both.wait()
            return {"allowed": True}

        hooks.replies |= {"/a": together, "/b": together}
        maps = rule("configmaps")
        both_hooks = configuration("c", webhook(hooks, "/a", maps), webhook(hooks, "/b", maps))
        await running.ok("POST", VALIDATING, both_hooks)
        await running.ok("POST", CONFIGMAPS, config_map("a"))

    run(tmp_path, test)


def test_warnings_notes_and_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Call] = []
    created = Call.__init__

    def remember(self: Call, **given: Any) -> None:
        created(self, **given)
        calls.append(self)

    async def test(running: Api, hooks: Hooks) -> None:
        hooks.replies["/m"] = lambda _request: patch(
            {"op": "add", "path": "/data", "value": {"a": "b"}},
            warnings=["think"],
            auditAnnotations={"why": "because", "not a key": "x"},
        )
        hooks.replies["/v"] = deny("no", code=403)
        maps = rule("configmaps")
        await running.ok("POST", MUTATING, configuration("m", webhook(hooks, "/m", maps)))
        await running.ok("POST", VALIDATING, configuration("v", webhook(hooks, "/v", maps)))
        monkeypatch.setattr(Call, "__init__", remember)
        response = await running.send("POST", CONFIGMAPS, config_map("a"))
        assert response.status == 403
        assert response.headers.get("warning") == '299 - "think"'
        notes = calls[0].annotations
        assert notes["m.example.com/why"] == "because"
        assert not [key for key in notes if "not a key" in key]
        mutation = orjson.loads(notes["mutation.webhook.admission.k8s.io/round_0_index_0"])
        assert mutation == {"configuration": "m", "webhook": "m.example.com", "mutated": True}
        # Nobody keeps what quotes the request, so it is not even made.
        assert "patch.webhook.admission.k8s.io/round_0_index_0" not in notes
        counted = metrics(running)
        prefix = "apiserver_admission_webhook"
        labels = 'operation="CREATE",code="200",rejected="false"'
        assert counted[f'{prefix}_request_total{{name="m.example.com",type="admit",{labels}}}'] == "1"
        labels = 'type="validating",operation="CREATE",error_type="no_error",rejection_code="403"'
        assert counted[f'{prefix}_rejection_count{{name="v.example.com",{labels}}}'] == "1"

    run(tmp_path, test)


def test_a_webhook_behind_a_service(tmp_path: Path) -> None:
    """The certificate must be the service's: an address's would not do."""

    async def test(running: Api, hooks: Hooks) -> None:
        hooks.replies["/cm"] = deny("reached")
        port = hooks.server.port
        spec = {"type": "ExternalName", "externalName": "localhost"}
        services = "/api/v1/namespaces/default/services"
        await running.ok("POST", services, {"metadata": {"name": "hook"}, "spec": spec})
        await running.ok("POST", services, {"metadata": {"name": "other"}, "spec": spec})
        bundle = base64.b64encode(authority().certificate_pem).decode()
        messages = {}
        for name in ("hook", "other", "missing"):
            hook = webhook(hooks, "/cm", rule("configmaps"))
            hook["clientConfig"] = {
                "service": {"namespace": "default", "name": name, "port": port, "path": "/cm"},
                "caBundle": bundle,
            }
            await running.ok("POST", VALIDATING, configuration("c", hook))
            messages[name] = (await running.call("POST", CONFIGMAPS, config_map("a")))[1]["message"]
            await running.ok("DELETE", f"{VALIDATING}/c")
        assert messages["hook"].endswith("denied the request: reached")
        assert "tls: failed to verify certificate" in messages["other"]
        where = f'Post "https://missing.default.svc:{port}/cm?timeout=10s": service "missing" not found'
        assert messages["missing"].endswith(where)

    run(tmp_path, test)


def test_nobody_at_the_address(tmp_path: Path) -> None:
    async def test(running: Api, hooks: Hooks) -> None:
        hook = webhook(hooks, "/cm", rule("configmaps"))
        hook["clientConfig"]["url"] = "https://127.0.0.1:1/cm"
        await running.ok("POST", VALIDATING, configuration("c", hook))
        _, body = await running.call("POST", CONFIGMAPS, config_map("a"))
        assert body["message"].endswith(
            'Post "https://127.0.0.1:1/cm?timeout=10s": dial tcp 127.0.0.1:1: connect: connection refused'
        )

    run(tmp_path, test)


def test_managed_fields_that_make_no_sense_are_taken_back(tmp_path: Path) -> None:
    async def test(running: Api, hooks: Hooks) -> None:
        hooks.replies["/cm"] = lambda _request: patch(
            {"op": "replace", "path": "/metadata/managedFields", "value": [{"operation": "Nonsense"}]}
        )
        await running.ok("POST", MUTATING, configuration("c", webhook(hooks, "/cm", rule("configmaps"))))
        response = await running.send("POST", CONFIGMAPS, config_map("a", x="y"))
        assert "managedFields was in an invalid state" in response.headers.get("warning")
        made = await running.ok("GET", f"{CONFIGMAPS}/a")
        assert [entry["manager"] for entry in made["metadata"]["managedFields"]] == ["tester"]

    run(tmp_path, test)


def test_deleting_a_collection_asks_for_each_object(tmp_path: Path) -> None:
    async def test(running: Api, hooks: Hooks) -> None:
        hooks.replies["/cm"] = allow
        hook = webhook(hooks, "/cm", rule("configmaps", operations=["DELETE"]))
        await running.ok("POST", VALIDATING, configuration("c", hook))
        for name in ("a", "b"):
            await running.ok("POST", CONFIGMAPS, config_map(name, {"of": "these"}))
        await running.ok("DELETE", f"{CONFIGMAPS}?labelSelector=of")
        assert [r["oldObject"]["metadata"]["name"] for r in hooks.requests("/cm")] == ["a", "b"]

    run(tmp_path, test)


def test_a_status_and_a_binding_are_subresources(tmp_path: Path) -> None:
    async def test(running: Api, hooks: Hooks) -> None:
        hooks.replies["/pods"] = allow
        parts = rule("pods/*", operations=["*"])
        await running.ok("POST", VALIDATING, configuration("c", webhook(hooks, "/pods", parts)))
        await running.ok("POST", PODS, pod("a"))
        assert hooks.requests("/pods")[0].get("subResource", "") == ""
        binding = {"metadata": {"name": "a"}, "target": {"kind": "Node", "name": "n"}}
        await running.ok("POST", f"{PODS}/a/binding", binding)
        await running.ok(
            "PATCH",
            f"{PODS}/a/status",
            {"status": {"phase": "Running"}},
            type="application/merge-patch+json",
        )
        assert [(r.get("subResource"), r["kind"]["kind"]) for r in hooks.requests("/pods")[1:]] == [
            ("binding", "Binding"),
            ("status", "Pod"),
        ]

    run(tmp_path, test)


def test_without_configurations_nobody_is_asked(tmp_path: Path) -> None:
    async def test(running: Api, hooks: Hooks) -> None:
        def asked() -> set[str]:
            steps = running.server.registry._steps
            hooks = [*steps.hooks("admit", RESOURCE), *steps.hooks("validate", RESOURCE)]
            return {name for name, _ in hooks} & {
                "MutatingAdmissionWebhook",
                "ValidatingAdmissionWebhook",
            }

        assert asked() == set()
        hooks.replies["/cm"] = allow
        await running.ok("POST", MUTATING, configuration("c", webhook(hooks, "/cm", rule("configmaps"))))
        assert asked() == {"MutatingAdmissionWebhook"}
        await running.ok("DELETE", f"{MUTATING}/c")
        assert asked() == set()

    run(tmp_path, test)


def test_requests_over_a_socket(tmp_path: Path) -> None:
    """Requests are handled without a task until they have to wait, which calling webhooks is."""

    async def test(running: Api, hooks: Hooks) -> None:
        hooks.replies |= {"/m": set_data("m"), "/a": allow, "/b": allow}
        maps = rule("configmaps")
        await running.ok("POST", MUTATING, configuration("m", webhook(hooks, "/m", maps)))
        both = configuration("v", webhook(hooks, "/a", maps), webhook(hooks, "/b", maps))
        await running.ok("POST", VALIDATING, both)
        front = Server(running.server.handler)
        await front.start("127.0.0.1", 0, None)
        client = HttpTransport(f"http://127.0.0.1:{front.port}", ssl_context=None)
        body = orjson.dumps({"kind": "ConfigMap", "apiVersion": "v1", **config_map("a")})
        async with client.request("POST", CONFIGMAPS, body=body) as response:
            assert response.status == 201
            assert orjson.loads(await response.read())["data"] == {"m": "yes"}
        await client.close()
        await front.stop()

    run(tmp_path, test)


def test_a_scale_is_shown_and_changed_as_one(tmp_path: Path) -> None:
    labels = {"app": "a"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "pause"}]}}
    deployment = {
        "metadata": {"name": "a"},
        "spec": {"selector": {"matchLabels": labels}, "template": template},
    }

    async def test(running: Api, hooks: Hooks) -> None:
        hooks.replies["/m"] = lambda _request: patch({"op": "replace", "path": "/spec/replicas", "value": 7})
        hooks.replies["/v"] = allow
        scales = rule("deployments/scale", group="apps", operations=["UPDATE"])
        await running.ok("POST", MUTATING, configuration("m", webhook(hooks, "/m", scales)))
        await running.ok("POST", VALIDATING, configuration("v", webhook(hooks, "/v", scales)))
        path = "/apis/apps/v1/namespaces/default/deployments"
        await running.ok("POST", path, deployment)
        merge = "application/merge-patch+json"
        made = await running.ok("PATCH", f"{path}/a/scale", {"spec": {"replicas": 3}}, type=merge)
        assert made["spec"]["replicas"] == 7
        assert (await running.ok("GET", f"{path}/a"))["spec"]["replicas"] == 7
        changed, judged = hooks.requests("/m")[0], hooks.requests("/v")[0]
        assert changed["kind"] == {"group": "autoscaling", "version": "v1", "kind": "Scale"}
        assert changed["object"]["spec"]["replicas"] == 3
        assert changed["oldObject"]["spec"]["replicas"] == 1
        assert judged["object"]["kind"] == "Scale"
        assert judged["object"]["spec"]["replicas"] == 7

    run(tmp_path, test)
