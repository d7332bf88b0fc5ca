"""The official client's asynchronous sibling."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.clients.conftest import pod_manifest, widget_manifest

pytest.importorskip("kubernetes_asyncio")

from kubernetes_asyncio import client, config, dynamic, watch
from kubernetes_asyncio.client.exceptions import ApiException

pytestmark = [pytest.mark.clients, pytest.mark.filterwarnings("ignore")]

WITHIN_S = 60.0


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
        for data in ({"a": "1", "b": "2"}, {"b": "3"}):
            await maps.server_side_apply(
                namespace=namespace, name="applied", body={**manifest, "data": data}, field_manager="test"
            )
        applied = await maps.get(name="applied", namespace=namespace)
        assert applied.to_dict()["data"] == {"b": "3"}

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
