"""Admission that is attacked, and webhooks that attack: bypasses, hanging, loops, garbage, too much."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson

from podium.apiserver.admission import Choice
from podium.base.http.message import Headers, Request, Response
from podium.base.http.server import Server
from podium.machinery.errors import Object
from tests.apiserver.admission.webhooks.hooks import MUTATING, VALIDATING, Hooks, serving
from tests.apiserver.security.cluster import N1, NS, ROOT, Cluster, cluster, pod, run

MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolic"
CONFIGMAPS = f"{NS}/configmaps"


def rules(*resources: str) -> list[Object]:
    return [{"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": list(resources)}]


def hooked(
    directory: Path,
    attack: Callable[[Cluster, Hooks], Awaitable[None]],
    *,
    timeout_s: int = 1,
    **webhook: Any,
) -> None:
    """Let an attack loose on a server with a webhook `mutating` and one `validating`, for ConfigMaps."""

    @asynccontextmanager
    async def webhooks(made: Cluster) -> AsyncIterator[Hooks]:
        hooks = Hooks()
        await hooks.server.start("127.0.0.1", 0, serving())
        for path, kind in ((MUTATING, "mutating"), (VALIDATING, "validating")):
            one = {
                "name": f"{kind}.example.com",
                "clientConfig": hooks.client(f"/{kind}"),
                "rules": rules("configmaps"),
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
                "timeoutSeconds": timeout_s,
                **webhook,
            }
            hooks.replies[f"/{kind}"] = lambda _request: {"allowed": True}
            await made.ok("POST", path, {"metadata": {"name": kind}, "webhooks": [one]})
        try:
            yield hooks
        finally:
            await hooks.server.stop()

    async def whole() -> None:
        async with asyncio.timeout(60), cluster(directory) as made, webhooks(made) as hooks:
            await attack(made, hooks)

    asyncio.run(whole())


def config_map(name: str = "c") -> Object:
    return {"metadata": {"name": name}}


def test_a_webhook_that_hangs_holds_up_nobody_else(tmp_path: Path) -> None:
    async def attack(cluster: Cluster, hooks: Hooks) -> None:
        never = asyncio.Event()

        async def hang(_request: Object) -> Object:
            await never.wait()
            return {"allowed": True}

        hooks.replies["/validating"] = hang
        waiting = [
            asyncio.create_task(cluster.call(ROOT, "POST", CONFIGMAPS, config_map(f"c{n}")))
            for n in range(100)
        ]
        await asyncio.sleep(0)
        await cluster.ok("POST", f"{NS}/secrets", {"metadata": {"name": "other"}})
        await cluster.ok("GET", CONFIGMAPS)
        for status, answer in await asyncio.gather(*waiting):
            assert (status, answer["reason"]) == (500, "InternalError")
            assert answer["message"].endswith("context deadline exceeded")
        never.set()

    hooked(tmp_path, attack)


def test_a_webhook_that_writes_what_it_is_asked_about_comes_to_an_end(tmp_path: Path) -> None:
    """Each write asks the webhook, which writes: the first one's time is the time of all."""
    written = 0

    async def attack(cluster: Cluster, hooks: Hooks) -> None:
        async def write_another(_request: Object) -> Object:
            nonlocal written
            written += 1
            await cluster.call(ROOT, "POST", CONFIGMAPS, config_map(f"loop-{written}"))
            return {"allowed": True}

        hooks.replies["/mutating"] = write_another
        status, answer = await cluster.call(ROOT, "POST", CONFIGMAPS, config_map())
        assert (status, "context deadline exceeded" in answer["message"]) == (500, True)
        hooks.replies["/mutating"] = lambda _request: {"allowed": True}
        await cluster.ok("POST", CONFIGMAPS, config_map())

    hooked(tmp_path, attack)


def patched(operations: Any) -> Object:
    raw = operations if isinstance(operations, bytes) else orjson.dumps(operations)
    return {"allowed": True, "patchType": "JSONPatch", "patch": base64.b64encode(raw).decode()}


def test_webhooks_that_answer_too_much_or_nonsense(tmp_path: Path) -> None:
    async def attack(cluster: Cluster, hooks: Hooks) -> None:
        huge = [{"op": "add", "path": "/data", "value": {"a": "x" * 10_000_000}}]
        doubling = [{"op": "add", "path": "/data", "value": {"a": "x" * 1000}}] + [
            {"op": "copy", "from": "/metadata", "path": f"/metadata/l{level}"} for level in range(40)
        ]
        deep = b'[{"op":"add","path":"/data","value":' + b"[" * 50_000 + b"]" * 50_000 + b"}]"
        for reply in (
            patched(huge),
            patched(doubling),
            patched([{"op": "test", "path": "/data", "value": 1}] * 20_000),
            patched(deep),
            patched([{"op": "replace", "path": "/metadata", "value": None}]),
            patched([{"op": "replace", "path": "", "value": {"kind": "Secret", "apiVersion": "v1"}}]),
            patched([{"op": "add", "path": "/metadata/namespace", "value": "kube-system"}]),
            {"allowed": True, "patchType": "JSONPatch", "patch": "not base64"},
            {"allowed": "yes"},
            {"allowed": True, "uid": "another"},
        ):
            hooks.replies["/mutating"] = lambda _request, reply=reply: reply  # type: ignore[misc]
            status, answer = await cluster.call(ROOT, "POST", CONFIGMAPS, config_map())
            assert status >= 400, (reply if len(str(reply)) < 500 else "", answer)
        hooks.replies["/mutating"] = lambda _request: {"allowed": True}
        for raw in (b"", b"{", b"[" * 1_000_000, b"null", b"\xff\xfe", b'{"kind":"AdmissionReview"}'):
            hooks.raw["/validating"] = Response(
                headers=Headers([("content-type", "application/json")]), body=raw
            )
            status, answer = await cluster.call(ROOT, "POST", CONFIGMAPS, config_map())
            assert status == 500, answer
        hooks.raw["/validating"] = Response(
            status=302, headers=Headers([("location", f"{hooks.url}/mutating")])
        )
        before = len(hooks.asked)
        assert (await cluster.call(ROOT, "POST", CONFIGMAPS, config_map()))[0] == 500
        assert [path for path, _ in hooks.asked[before:]] == ["/mutating", "/validating"], (
            "no redirect is followed"
        )
        assert (await cluster.ok("GET", CONFIGMAPS))["items"] == []
        assert all(
            one["metadata"]["name"] != "other" for one in (await cluster.ok("GET", f"{NS}/secrets"))["items"]
        )

    hooked(tmp_path, attack, timeout_s=10)


def test_nobody_locks_the_cluster_out(tmp_path: Path) -> None:
    """A webhook that refuses everything can still be taken away, and is not asked about that."""

    async def attack(cluster: Cluster, hooks: Hooks) -> None:
        for path, kind in ((MUTATING, "mutating"), (VALIDATING, "validating")):
            everything = [{"op": "replace", "path": "/webhooks/0/rules", "value": rules("*/*")}]
            await cluster.ok("PATCH", f"{path}/{kind}", everything, type=JSON_PATCH)
            hooks.replies[f"/{kind}"] = lambda _request: {"allowed": False}
        assert (await cluster.call(ROOT, "POST", f"{NS}/secrets", config_map()))[0] == 400
        asked = len(hooks.asked)
        for path, kind in ((MUTATING, "mutating"), (VALIDATING, "validating")):
            await cluster.ok("DELETE", f"{path}/{kind}")
        assert len(hooks.asked) == asked
        await cluster.ok("POST", f"{NS}/secrets", config_map())

    hooked(tmp_path, attack)


def test_cve_2021_25735_admission_of_a_node_sees_what_was_there(tmp_path: Path) -> None:
    """What is there is compared with what is to come: neither may be shown as the other, however it is
    written."""

    async def attack(cluster: Cluster) -> None:
        constraints = {
            "resourceRules": [
                {
                    "apiGroups": [""],
                    "apiVersions": ["v1"],
                    "operations": ["UPDATE"],
                    "resources": ["nodes", "nodes/status"],
                }
            ]
        }
        frozen = (
            "!('frozen' in oldObject.metadata.?labels.orValue({})) || "
            "(object.metadata.?labels.orValue({}) == oldObject.metadata.?labels.orValue({}) && "
            "object.spec == oldObject.spec)"
        )
        spec = {"matchConstraints": constraints, "validations": [{"expression": frozen, "message": "frozen"}]}
        await cluster.ok("POST", f"{POLICIES}ies", {"metadata": {"name": "frozen"}, "spec": spec})
        bound = {"policyName": "frozen", "validationActions": ["Deny"]}
        await cluster.ok("POST", f"{POLICIES}ybindings", {"metadata": {"name": "frozen"}, "spec": bound})
        node = "/api/v1/nodes/n1"
        await cluster.ok("PATCH", node, {"metadata": {"labels": {"frozen": "yes"}}}, type=MERGE)
        before = await cluster.ok("GET", node)

        async def denied(who: str, method: str, path: str, body: Any, **more: Any) -> None:
            status, answer = await cluster.call(who, method, path, body, **more)
            assert (status, "denied request: frozen" in answer["message"]) == (422, True), answer

        thawed = {**before, "metadata": {**before["metadata"], "labels": {}}, "spec": {"unschedulable": True}}
        await denied(ROOT, "PUT", node, thawed)
        await denied(N1, "PUT", node, {**before, "metadata": {**before["metadata"], "labels": {}}})
        await denied(
            ROOT, "PATCH", node, {"metadata": {"labels": None}, "spec": {"unschedulable": True}}, type=MERGE
        )
        removal = [{"op": "remove", "path": "/metadata/labels/frozen"}]
        await denied(ROOT, "PATCH", node, removal, type=JSON_PATCH)
        await denied(ROOT, "PATCH", f"{node}/status", {"metadata": {"labels": {"frozen": None}}}, type=MERGE)
        applied = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1", "labels": {"frozen": "no"}}}
        await denied(
            ROOT, "PATCH", f"{node}?fieldManager=a&force=true", applied, type="application/apply-patch+yaml"
        )
        after = await cluster.ok("GET", node)
        assert (after["metadata"]["labels"], after["spec"]) == (before["metadata"]["labels"], before["spec"])

    run(tmp_path, attack)


def test_cve_2023_2727_ephemeral_containers_run_no_image_that_is_not_allowed(tmp_path: Path) -> None:
    reviewed: list[Object] = []

    async def review(request: Request) -> Response:
        asked = orjson.loads(await request.read_body())
        reviewed.append(asked["spec"])
        allowed = all(one["image"].startswith("registry/") for one in asked["spec"]["containers"])
        body = orjson.dumps({**asked, "status": {"allowed": allowed, "reason": "not from the registry"}})
        return Response(headers=Headers([("content-type", "application/json")]), body=body)

    async def whole() -> None:
        server = Server(review)
        await server.start("127.0.0.1", 0, None)
        file = tmp_path / "kubeconfig"
        file.write_text(
            "current-context: c\ncontexts: [{name: c, context: {cluster: c}}]\n"
            f"clusters: [{{name: c, cluster: {{server: 'http://127.0.0.1:{server.port}/'}}}}]\n"
        )
        settings = {"imagePolicy": {"kubeConfigFile": str(file), "defaultAllow": False}}
        choice = Choice(enabled=["ImagePolicyWebhook"], configurations={"ImagePolicyWebhook": settings})
        async with asyncio.timeout(60), cluster(tmp_path, choice=choice) as made:
            await attack(made)
        await server.stop()

    async def attack(cluster: Cluster) -> None:
        evil = {"name": "e", "image": "evil/image:1"}
        bad = pod("bad")
        bad["spec"]["containers"].append(evil)
        assert "not from the registry" in await cluster.refused(ROOT, "POST", f"{NS}/pods", bad)
        bad = pod("bad", initContainers=[evil])
        assert "not from the registry" in await cluster.refused(ROOT, "POST", f"{NS}/pods", bad)
        await cluster.ok("POST", f"{NS}/pods", pod("p", "n1"))
        path = f"{NS}/pods/p/ephemeralcontainers"
        debug = {"spec": {"ephemeralContainers": [evil]}}
        for kind in (MERGE, "application/strategic-merge-patch+json"):
            assert "not from the registry" in await cluster.refused(ROOT, "PATCH", path, debug, type=kind)
        found = await cluster.ok("GET", f"{NS}/pods/p")
        found["spec"]["ephemeralContainers"] = [evil]
        assert "not from the registry" in await cluster.refused(ROOT, "PUT", path, found)
        image = {"spec": {"containers": [{"name": "c", "image": "evil/image:1"}]}}
        kind = "application/strategic-merge-patch+json"
        assert "not from the registry" in await cluster.refused(
            ROOT, "PATCH", f"{NS}/pods/p", image, type=kind
        )
        allowed = {"spec": {"ephemeralContainers": [{"name": "d", "image": "registry/debug:1"}]}}
        await cluster.ok("PATCH", path, allowed, type=MERGE)
        assert reviewed[-1]["containers"] == [{"image": "registry/debug:1"}]

    asyncio.run(whole())


def test_cve_2023_2728_and_2024_3177_pods_name_no_secret_that_is_not_the_accounts(tmp_path: Path) -> None:
    """Not as ephemeral containers, and not as the source of a whole environment either."""

    async def attack(cluster: Cluster) -> None:
        await cluster.ok("POST", f"{NS}/secrets", {"metadata": {"name": "coveted"}})
        annotations = {"kubernetes.io/enforce-mountable-secrets": "true"}
        await cluster.ok(
            "PATCH", f"{NS}/serviceaccounts/default", {"metadata": {"annotations": annotations}}, type=MERGE
        )
        await cluster.ok("POST", f"{NS}/pods", pod("p", "n1"))
        source = [{"secretRef": {"name": "coveted"}}]
        bad = pod("bad")
        bad["spec"]["containers"][0]["envFrom"] = source
        told = (
            'referencing secret.secretName="coveted" is not allowed because service account default does not'
        )
        assert f"container c with envFrom {told}" in await cluster.refused(ROOT, "POST", f"{NS}/pods", bad)
        debug = {"spec": {"ephemeralContainers": [{"name": "d", "image": "i", "envFrom": source}]}}
        why = await cluster.refused(ROOT, "PATCH", f"{NS}/pods/p/ephemeralcontainers", debug, type=MERGE)
        assert f"ephemeral container d with envFrom {told}" in why
        account = {"secrets": [{"name": "coveted"}]}
        await cluster.ok("PATCH", f"{NS}/serviceaccounts/default", account, type=MERGE)
        await cluster.ok("PATCH", f"{NS}/pods/p/ephemeralcontainers", debug, type=MERGE)

    run(tmp_path, attack)
