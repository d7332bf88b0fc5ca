"""The generic verbs through the whole chain, over a real store."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from tests.apiserver.harness import Api, api

CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"


def configmap(name: str, **data: str) -> Any:
    return {"metadata": {"name": name}, "data": data}


def pod(name: str, **spec: Any) -> Any:
    return {"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i"}], **spec}}


def test_a_write_is_visible_to_the_next_read(tmp_path: Path) -> None:
    async def main() -> None:
        async with api(tmp_path) as server:
            created = await server.ok("POST", CONFIGMAPS, configmap("a", x="1"))
            assert await server.ok("GET", f"{CONFIGMAPS}/a") == created
            listed = await server.ok("GET", CONFIGMAPS)
            assert [item["metadata"]["name"] for item in listed["items"]] == ["a"]
            assert "kind" not in listed["items"][0]

    asyncio.run(main())


def test_state_survives_a_restart(tmp_path: Path) -> None:
    async def main() -> None:
        async with api(tmp_path) as server:
            created = await server.ok("POST", CONFIGMAPS, configmap("a", x="1"))
        async with api(tmp_path) as server:
            assert await server.ok("GET", f"{CONFIGMAPS}/a") == created

    asyncio.run(main())


def test_an_update_that_changes_nothing_keeps_the_version(tmp_path: Path) -> None:
    async def main() -> None:
        async with api(tmp_path) as server:
            created = await server.ok("POST", CONFIGMAPS, configmap("a", x="1"))
            before = await server.store.current_revision()
            same = await server.ok("PUT", f"{CONFIGMAPS}/a", configmap("a", x="1"))
            assert same == created
            assert await server.store.current_revision() == before

    asyncio.run(main())


def test_a_stale_version_conflicts(tmp_path: Path) -> None:
    async def main() -> None:
        async with api(tmp_path) as server:
            old = await server.ok("POST", CONFIGMAPS, configmap("a", x="1"))
            await server.ok("PUT", f"{CONFIGMAPS}/a", configmap("a", x="2"))
            status, answer = await server.call("PUT", f"{CONFIGMAPS}/a", old)
            assert (status, answer["reason"]) == (409, "Conflict")
            assert "please apply your changes to the latest version" in answer["message"]

    asyncio.run(main())


def test_writers_without_a_version_do_not_lose_each_other(tmp_path: Path) -> None:
    """Forty patches at once, each of its own key: every one of them is there in the end."""

    async def main() -> None:
        async with api(tmp_path) as server:
            await server.ok("POST", CONFIGMAPS, configmap("a"))
            answers = await asyncio.gather(
                *(
                    server.call(
                        "PATCH",
                        f"{CONFIGMAPS}/a",
                        {"data": {f"k{number}": "v"}},
                        type="application/merge-patch+json",
                    )
                    for number in range(40)
                )
            )
            assert {status for status, _ in answers} == {200}
            final = await server.ok("GET", f"{CONFIGMAPS}/a")
            assert len(final["data"]) == 40

    asyncio.run(main())


def test_generated_names_differ(tmp_path: Path) -> None:
    async def main() -> None:
        async with api(tmp_path) as server:
            body = {"metadata": {"generateName": "x-"}}
            made = await asyncio.gather(*(server.ok("POST", CONFIGMAPS, body) for _ in range(20)))
            names = {one["metadata"]["name"] for one in made}
            assert len(names) == 20
            assert all(name.startswith("x-") and len(name) == 7 for name in names)

    asyncio.run(main())


def test_finalizers_hold_up_a_deletion(tmp_path: Path) -> None:
    async def main() -> None:
        async with api(tmp_path) as server:
            body = configmap("a")
            body["metadata"]["finalizers"] = ["example.com/x"]
            await server.ok("POST", CONFIGMAPS, body)
            left = await server.ok("DELETE", f"{CONFIGMAPS}/a")
            assert left["metadata"]["deletionTimestamp"]
            status, _ = await server.call("GET", f"{CONFIGMAPS}/a")
            assert status == 200
            merge = "application/merge-patch+json"
            await server.ok("PATCH", f"{CONFIGMAPS}/a", {"metadata": {"finalizers": None}}, type=merge)
            status, _ = await server.call("GET", f"{CONFIGMAPS}/a")
            assert status == 404

    asyncio.run(main())


def test_a_running_pod_is_deleted_in_two_steps(tmp_path: Path) -> None:
    async def main() -> None:
        async with api(tmp_path) as server:
            await server.ok("POST", PODS, pod("p", nodeName="n1", terminationGracePeriodSeconds=20))
            left = await server.ok("DELETE", f"{PODS}/p")
            assert left["metadata"]["deletionGracePeriodSeconds"] == 20
            assert left["metadata"]["generation"] == 2
            again = await server.ok("DELETE", f"{PODS}/p")
            assert again["metadata"]["resourceVersion"] == left["metadata"]["resourceVersion"]
            await server.ok("DELETE", f"{PODS}/p", {"gracePeriodSeconds": 0})
            status, _ = await server.call("GET", f"{PODS}/p")
            assert status == 404

    asyncio.run(main())


def test_pages_are_of_one_snapshot(tmp_path: Path) -> None:
    async def main() -> None:
        async with api(tmp_path) as server:
            for name in "abcd":
                await server.ok("POST", CONFIGMAPS, configmap(name))
            first = await server.ok("GET", f"{CONFIGMAPS}?limit=2")
            assert first["metadata"]["remainingItemCount"] == 2
            await server.ok("DELETE", f"{CONFIGMAPS}/c")
            await server.ok("POST", CONFIGMAPS, configmap("e"))
            token = first["metadata"]["continue"]
            rest = await server.ok("GET", f"{CONFIGMAPS}?limit=2&continue={token}")
            assert [item["metadata"]["name"] for item in rest["items"]] == ["c", "d"]
            assert "continue" not in rest["metadata"]
            assert rest["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]

    asyncio.run(main())


def test_binding_gives_a_pod_its_node_once(tmp_path: Path) -> None:
    async def main() -> None:
        async with api(tmp_path) as server:
            await server.ok("POST", PODS, pod("p"))
            binding = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n1"}}
            for key, what in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
                stale = {**binding, "metadata": {"name": "p", key: "7"}}
                status, answer = await server.call("POST", f"{PODS}/p/binding", stale)
                assert status == 409
                assert f"Precondition failed: {what} in precondition: 7" in answer["message"]
            await server.ok("POST", f"{PODS}/p/binding", binding)
            found = await server.ok("GET", f"{PODS}/p")
            assert found["spec"]["nodeName"] == "n1"
            assert found["status"]["conditions"][0]["type"] == "PodScheduled"
            status, answer = await server.call("POST", f"{PODS}/p/binding", binding)
            assert status == 409
            assert answer["message"] == (
                'Operation cannot be fulfilled on pods/binding "p": pod p is already assigned to node "n1"'
            )

    asyncio.run(main())


def test_an_eviction_asks_the_budget(tmp_path: Path) -> None:
    budgets = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"

    async def evict(server: Api) -> tuple[int, Any]:
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}}
        return await server.call("POST", f"{PODS}/p/eviction", body)

    async def main() -> None:
        async with api(tmp_path) as server:
            body = pod("p", nodeName="n1")
            body["metadata"]["labels"] = {"app": "x"}
            await server.ok("POST", PODS, body)
            merge = "application/merge-patch+json"
            running = {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}
            await server.ok("PATCH", f"{PODS}/p/status", running, type=merge)
            spec = {"minAvailable": 1, "selector": {"matchLabels": {"app": "x"}}}
            await server.ok("POST", budgets, {"metadata": {"name": "b"}, "spec": spec})
            status, answer = await evict(server)
            assert (status, answer["reason"]) == (429, "TooManyRequests")
            allowed = {
                "status": {
                    "observedGeneration": 1,
                    "disruptionsAllowed": 1,
                    "currentHealthy": 2,
                    "desiredHealthy": 1,
                    "expectedPods": 2,
                }
            }
            await server.ok("PATCH", f"{budgets}/b/status", allowed, type=merge)
            status, answer = await evict(server)
            assert status == 201, answer
            spent = await server.ok("GET", f"{budgets}/b")
            assert spent["status"]["disruptionsAllowed"] == 0
            assert "p" in spent["status"]["disruptedPods"]

    asyncio.run(main())


def test_an_apply_of_an_object_that_is_gone_does_not_create_another(tmp_path: Path) -> None:
    """Whoever names a uid means that object and no other."""

    async def main() -> None:
        async with api(tmp_path) as server:
            body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "uid": "x"}}
            target = "/api/v1/namespaces/default/configmaps/a?fieldManager=m"
            status, answer = await server.call("PATCH", target, body, type="application/apply-patch+yaml")
            assert status == 409
            assert answer["message"] == (
                'Operation cannot be fulfilled on configmaps "a": uid mismatch: '
                "the provided object specified uid x, and no existing object was found"
            )

    asyncio.run(main())


def test_what_of_the_metadata_a_status_may_change(tmp_path: Path) -> None:
    """Upstream's older strategies leave it free; pods keep their owners, deployments their labels."""
    written: Any = {
        "metadata": {
            "labels": {"l": "new"},
            "annotations": {"a": "new"},
            "finalizers": ["podium.dev/f"],
            "ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": "u"}],
        }
    }
    template = {"metadata": {"labels": {"t": "t"}}, "spec": pod("p")["spec"]}
    deployment = {
        "metadata": {"name": "d"},
        "spec": {"selector": {"matchLabels": {"t": "t"}}, "template": template},
    }
    cidr = {"metadata": {"name": "c"}, "spec": {"cidrs": ["192.0.2.0/24"]}}
    group = "/apis/apps/v1/namespaces/default/deployments"
    cases: Any = (
        (PODS, pod("p"), "labels annotations finalizers"),
        (group, deployment, "annotations finalizers ownerReferences"),
        ("/api/v1/nodes", {"metadata": {"name": "n"}}, "labels annotations finalizers ownerReferences"),
        ("/apis/networking.k8s.io/v1/servicecidrs", cidr, ""),
    )

    async def main() -> None:
        async with api(tmp_path) as server:
            for path, obj, changed in cases:
                before = (await server.ok("POST", path, obj))["metadata"]
                url = f"{path}/{obj['metadata']['name']}/status"
                merge = "application/merge-patch+json"
                after = (await server.ok("PATCH", url, written, type=merge))["metadata"]
                names = written["metadata"].keys()
                assert {n for n in names if after.get(n) != before.get(n)} == set(changed.split()), path
                if "managedFields" not in before:
                    continue  # As upstream, nobody is said to own a part of what nobody owned.
                entries = [e for e in after["managedFields"] if "subresource" in e]
                owned = entries[0]["fieldsV1"]["f:metadata"].keys() if entries else set()
                assert owned == {f"f:{name}" for name in changed.split()}, path

    asyncio.run(main())


def test_a_change_cannot_say_that_an_object_is_being_deleted(tmp_path: Path) -> None:
    async def main() -> None:
        async with api(tmp_path) as server:
            await server.ok("POST", CONFIGMAPS, configmap("a"))
            for field, value in (
                ("deletionTimestamp", "2020-01-01T00:00:00Z"),
                ("deletionGracePeriodSeconds", 3),
            ):
                patch = {"metadata": {field: value}}
                status, refusal = await server.call(
                    "PATCH", f"{CONFIGMAPS}/a", patch, type="application/merge-patch+json"
                )
                assert status == 422
                assert refusal["details"]["causes"][0]["field"] == f"metadata.{field}"

    asyncio.run(main())


def test_a_pods_status_does_not_touch_its_deletion(tmp_path: Path) -> None:
    async def main() -> None:
        async with api(tmp_path) as server:
            await server.ok("POST", PODS, pod("p"))
            marked = {"metadata": {"deletionTimestamp": "2020-01-01T00:00:00Z"}}
            merge = "application/merge-patch+json"
            left = await server.ok("PATCH", f"{PODS}/p/status", marked, type=merge)
            assert "deletionTimestamp" not in left["metadata"]

    asyncio.run(main())


def test_owner_references_given_twice_are_kept_once_with_a_warning(tmp_path: Path) -> None:
    async def main() -> None:
        async with api(tmp_path) as server:
            owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": "u"}
            other = {**owner, "name": "p"}  # One uid, yet not the same reference.
            obj = configmap("a")
            obj["metadata"]["ownerReferences"] = [owner, other, owner]
            for method, target, words in (
                ("POST", CONFIGMAPS, "please fix your requests; duplicate UID(s) observed: u"),
                ("PUT", f"{CONFIGMAPS}/a", "please fix your requests; duplicate UID(s) observed: u"),
            ):
                response = await server.send(method, target, obj)
                assert any(words in value for name, value in response.headers if name.lower() == "warning")
                kept = (await server.ok("GET", f"{CONFIGMAPS}/a"))["metadata"]["ownerReferences"]
                assert kept == [owner, other]

    asyncio.run(main())


def test_beside_a_body_the_query_of_a_deletion_counts_for_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        async with api(tmp_path) as server:
            await server.ok("POST", CONFIGMAPS, configmap("a"))
            told = await server.ok("DELETE", f"{CONFIGMAPS}/a?dryRun=All")
            assert told["kind"] == "Status"
            await server.ok("DELETE", f"{CONFIGMAPS}/a", {"dryRun": ["All", "All"]})
            status, refusal = await server.call("DELETE", f"{CONFIGMAPS}/a?propagationPolicy=")
            assert (status, refusal["details"]["causes"][0]["field"]) == (422, "propagationPolicy")
            status, refusal = await server.call(
                "DELETE", f"{CONFIGMAPS}/a", {"preconditions": {"uid": "another"}}
            )
            assert (status, refusal["details"]["kind"]) == (409, "ConfigMap")
            await server.ok("DELETE", f"{CONFIGMAPS}/a?dryRun=All", {"propagationPolicy": "Background"})
            status, _ = await server.call("GET", f"{CONFIGMAPS}/a")
            assert status == 404

    asyncio.run(main())


def test_an_apply_without_a_manager_is_told_all_that_is_wrong(tmp_path: Path) -> None:
    async def main() -> None:
        async with api(tmp_path) as server:
            status, refusal = await server.call(
                "PATCH", f"{CONFIGMAPS}/a?dryRun=x", configmap("a"), type="application/apply-patch+yaml"
            )
            assert status == 422
            assert [cause["field"] for cause in refusal["details"]["causes"]] == ["fieldManager", "dryRun"]

    asyncio.run(main())
