"""The official client's asynchronous sibling."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.clients.conftest import (
    definition,
    deployment_manifest,
    is_established,
    pod_manifest,
    widget_manifest,
)

pytest.importorskip("kubernetes_asyncio")

from kubernetes_asyncio import client, config, dynamic, watch
from kubernetes_asyncio.client.exceptions import ApiException

pytestmark = [pytest.mark.clients, pytest.mark.filterwarnings("ignore")]

WITHIN_S = 120.0
STEP_S = 0.1


def with_api(kubeconfig: str, body: Callable[[Any], Awaitable[None]]) -> None:
    async def main() -> None:
        async with asyncio.timeout(WITHIN_S):
            async with await config.new_client_from_config(kubeconfig) as api:
                await body(api)

    asyncio.run(main())


def test_create_read_replace_delete(kubeconfig: str, namespace: str) -> None:
    async def body(api: Any) -> None:
        core = client.CoreV1Api(api)
        made = await core.create_namespaced_config_map(
            namespace, client.V1ConfigMap(metadata=client.V1ObjectMeta(name="crud"), data={"a": "1"})
        )
        made.data = {"b": "2"}
        await core.replace_namespaced_config_map("crud", namespace, made)
        assert (await core.read_namespaced_config_map("crud", namespace)).data == {"b": "2"}
        await core.delete_namespaced_config_map("crud", namespace)
        with pytest.raises(ApiException) as gone:
            await core.read_namespaced_config_map("crud", namespace)
        assert gone.value.status == 404

    with_api(kubeconfig, body)


def test_patches(kubeconfig: str, namespace: str) -> None:
    async def body(api: Any) -> None:
        core = client.CoreV1Api(api)
        meta = client.V1ObjectMeta(name="patched")
        await core.create_namespaced_config_map(namespace, client.V1ConfigMap(metadata=meta, data={"a": "1"}))
        for media_type, patch in (
            ("application/json-patch+json", [{"op": "add", "path": "/data/json", "value": "x"}]),
            ("application/merge-patch+json", {"data": {"merge": "x"}}),
            ("application/strategic-merge-patch+json", {"data": {"strategic": "x"}}),
        ):
            await core.patch_namespaced_config_map("patched", namespace, patch, _content_type=media_type)
        found = await core.read_namespaced_config_map("patched", namespace)
        assert set(found.data) == {"a", "json", "merge", "strategic"}

    with_api(kubeconfig, body)


def test_server_side_apply(kubeconfig: str, namespace: str) -> None:
    async def body(api: Any) -> None:
        found = await dynamic.DynamicClient(api)
        maps = await found.resources.get(api_version="v1", kind="ConfigMap")
        manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "applied"}}

        async def apply(manager: str, data: dict[str, str], **how: Any) -> Any:
            body = {**manifest, "data": data}
            applied = await maps.server_side_apply(
                namespace=namespace, name="applied", body=body, field_manager=manager, **how
            )
            return applied.to_dict()

        await apply("one", {"a": "1", "b": "2"})
        assert (await apply("one", {"b": "3"}))["data"] == {"b": "3"}
        # The dynamic client gives the Status back where others raise it.
        assert (await apply("two", {"b": "4"}))["code"] == 409
        assert (await apply("two", {"b": "4"}, force_conflicts=True))["data"] == {"b": "4"}

    with_api(kubeconfig, body)


def test_watch_pages_and_logs(kubeconfig: str, namespace: str) -> None:
    async def body(api: Any) -> None:
        core = client.CoreV1Api(api)
        names = []
        async with watch.Watch() as watcher:

            async def follow() -> None:
                async for event in watcher.stream(core.list_namespaced_pod, namespace, timeout_seconds=30):
                    if event["object"].status.phase == "Running":
                        names.append(event["object"].metadata.name)
                    if set(names) == {"pod-0", "pod-1", "pod-2"}:
                        return

            following = asyncio.create_task(follow())
            for number in range(3):
                await core.create_namespaced_pod(namespace, pod_manifest(f"pod-{number}"))
            await following
        first = await core.list_namespaced_pod(namespace, limit=2)
        rest = await core.list_namespaced_pod(namespace, limit=2, _continue=first.metadata._continue)
        assert [pod.metadata.name for pod in (*first.items, *rest.items)] == ["pod-0", "pod-1", "pod-2"]
        assert "simulated node" in await core.read_namespaced_pod_log("pod-0", namespace)

    with_api(kubeconfig, body)


def test_watches_that_end_resume_and_expire(kubeconfig: str, namespace: str, expired: str) -> None:
    async def body(api: Any) -> None:
        core = client.CoreV1Api(api)
        listed = await core.list_namespaced_config_map(namespace, label_selector="watched")
        version = listed.metadata.resource_version
        for number in range(2):
            meta = client.V1ObjectMeta(name=f"watched-{number}", labels={"watched": "yes"})
            await core.create_namespaced_config_map(namespace, client.V1ConfigMap(metadata=meta))

        async def first(resource_version: str, **more: Any) -> Any:
            selected = {"label_selector": "watched", "resource_version": resource_version, **more}
            async with watch.Watch() as watcher:
                async for event in watcher.stream(core.list_namespaced_config_map, namespace, **selected):
                    return event
            return None

        one = await first(version)
        two = await first(one["object"].metadata.resource_version)
        names = [event["object"].metadata.name for event in (one, two)]
        assert names == ["watched-0", "watched-1"]
        # Nothing happens: the server ends it.
        assert await first(two["object"].metadata.resource_version, timeout_seconds=1) is None
        with pytest.raises(ApiException) as gone:
            await first(expired, timeout_seconds=60)
        assert gone.value.status == 410
        async with watch.Watch() as watcher:
            events = watcher.stream(
                core.list_namespaced_config_map,
                namespace,
                label_selector="watched",
                allow_watch_bookmarks=True,
                send_initial_events=True,
                resource_version_match="NotOlderThan",
                timeout_seconds=60,
            )
            types = [(await anext(events))["type"] for _ in range(3)]
        assert types == ["ADDED", "ADDED", "BOOKMARK"]

    with_api(kubeconfig, body)


def test_selectors_scale_and_propagation(kubeconfig: str, namespace: str) -> None:
    async def body(api: Any) -> None:
        apps, core = client.AppsV1Api(api), client.CoreV1Api(api)
        await apps.create_namespaced_deployment(namespace, deployment_manifest("scaled"))
        scaled = await apps.patch_namespaced_deployment_scale("scaled", namespace, {"spec": {"replicas": 2}})
        assert scaled.spec.replicas == 2

        async def pods(**selectors: str) -> Any:
            found = await core.list_namespaced_pod(namespace, label_selector="app=scaled", **selectors)
            return found.items

        while len(await pods(field_selector="status.phase=Running")) != 2:
            await asyncio.sleep(STEP_S)
        status = {"conditions": [{"type": "ByTest", "status": "True", "reason": "R", "message": "m"}]}
        patched = await apps.patch_namespaced_deployment_status("scaled", namespace, {"status": status})
        assert "ByTest" in {c.type for c in patched.status.conditions}
        await apps.delete_namespaced_deployment("scaled", namespace, propagation_policy="Foreground")
        while await pods():
            await asyncio.sleep(STEP_S)

    with_api(kubeconfig, body)


def test_a_definition_of_its_own(kubeconfig: str, namespace: str) -> None:
    made = definition("asyncio")
    where = (made["spec"]["group"], "v1", namespace, "widgets")

    async def body(api: Any) -> None:
        extensions, custom = client.ApiextensionsV1Api(api), client.CustomObjectsApi(api)
        await extensions.create_custom_resource_definition(made)
        name = made["metadata"]["name"]
        while not is_established(
            api.sanitize_for_serialization(await extensions.read_custom_resource_definition(name))
        ):
            await asyncio.sleep(STEP_S)
        manifest = widget_manifest("one", 2) | {"apiVersion": f"{where[0]}/v1"}
        await custom.create_namespaced_custom_object(*where, manifest)
        merge = {"_content_type": "application/merge-patch+json"}
        await custom.patch_namespaced_custom_object_status(*where, "one", {"status": {"size": 2}}, **merge)
        await custom.patch_namespaced_custom_object_scale(*where, "one", {"spec": {"replicas": 3}}, **merge)
        found = await custom.get_namespaced_custom_object(*where, "one")
        assert (found["spec"]["size"], found["status"]["size"]) == (3, 2)
        await extensions.delete_custom_resource_definition(name)

    with_api(kubeconfig, body)


def test_custom_objects(kubeconfig: str, namespace: str, widgets: dict[str, Any]) -> None:
    where = (widgets["spec"]["group"], "v1", namespace, "widgets")

    async def body(api: Any) -> None:
        custom = client.CustomObjectsApi(api)
        await custom.create_namespaced_custom_object(*where, widget_manifest("one"))
        async with watch.Watch() as watcher:
            stream = watcher.stream(custom.list_namespaced_custom_object, *where, timeout_seconds=30)
            async for event in stream:
                assert event["object"]["spec"] == {"size": 1, "colour": "green"}
                break
        await custom.patch_namespaced_custom_object(
            *where, "one", {"spec": {"size": 2}}, _content_type="application/merge-patch+json"
        )
        assert (await custom.get_namespaced_custom_object(*where, "one"))["spec"]["size"] == 2
        await custom.delete_namespaced_custom_object(*where, "one")

    with_api(kubeconfig, body)
