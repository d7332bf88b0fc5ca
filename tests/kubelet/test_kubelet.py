"""The kubelet against a fake API and a fake runtime: nodes, leases, pods, what others may not notice."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from podium.base.clock import WallClock
from podium.base.http.message import Request, Response, StreamWriter
from podium.kubelet.cri.fake import FakeRuntime
from podium.kubelet.kubelet import Kubelet, KubeletSettings
from podium.kubelet.network import NetworkSettings
from podium.kubelet.server import KubeletServer
from podium.machinery.errors import Object
from podium.resources.coordination.leases import LEASES
from podium.resources.core.configmaps import CONFIGMAPS
from podium.resources.core.events import EVENTS
from podium.resources.core.nodes import NODES
from podium.resources.core.pods import PODS
from tests.kubelet.api import NodeApi
from tests.kubelet.node import make_pod
from tests.kubelet.test_certificates import certificate

IMAGE = "app:1"
APP: Object = {"name": "app", "image": IMAGE, "command": ["sleep", "1000"]}
TIMEOUT_S = 20


def bound(*containers: Object, name: str = "web", **spec: Any) -> Object:
    return make_pod(*containers, name=name, nodeName="node-1", **spec)


class Node:
    """A kubelet with its surroundings."""

    def __init__(
        self, directory: Path, *, api: NodeApi | None = None, runtime: FakeRuntime | None = None
    ) -> None:
        self.api = api or NodeApi()
        self.runtime = runtime or FakeRuntime()
        self.runtime.add_image(IMAGE)
        settings = KubeletSettings(
            node_name="node-1",
            node_ips=("192.0.2.1",),
            root_dir=directory,
            port=10250,
            network=NetworkSettings(name="podium-test", cni_conf_dir=directory / "cni", state_dir=directory),
            cgroup_root="podium-test",
        )
        self.kubelet = Kubelet(self.api.node_client(), self.runtime, settings, clock=WallClock())

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.kubelet.run())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(TIMEOUT_S):
            while not condition():
                changed = self.api.changed
                if condition():
                    return
                await changed.wait()

    def pod(self, name: str = "web") -> Object:
        found = self.api.get(PODS, f"shop/{name}")
        assert found is not None
        return found

    def ready(self, name: str = "web") -> bool:
        pod = self.api.get(PODS, f"shop/{name}")
        held = ((pod or {}).get("status") or {}).get("conditions") or ()
        return any(entry["type"] == "Ready" and entry["status"] == "True" for entry in held)


def run(directory: Path, test: Callable[[Node], Awaitable[None]]) -> None:
    async def main() -> None:
        await test(Node(directory))

    asyncio.run(main())


def node_ready(node: Node) -> str:
    found = node.api.get(NODES, "node-1")
    for entry in ((found or {}).get("status") or {}).get("conditions") or ():
        if entry["type"] == "Ready":
            return f"{entry['status']} {entry['reason']}: {entry['message']}"
    return ""


def test_it_registers_its_node_and_keeps_a_lease(tmp_path: Path) -> None:
    async def test(node: Node) -> None:
        async with node.running():
            await node.until(lambda: node_ready(node).startswith("True"))
            await node.until(lambda: node.api.get(LEASES, "kube-node-lease/node-1") is not None)
            await node.until(lambda: {"Starting", "NodeReady"} <= {e["reason"] for e in node.api.all(EVENTS)})
        found = node.api.get(NODES, "node-1")
        assert found is not None
        assert found["metadata"]["labels"]["kubernetes.io/hostname"] == "node-1"
        assert found["status"]["nodeInfo"]["containerRuntimeVersion"] == "fake://1.0.0"
        assert found["status"]["addresses"] == [
            {"type": "InternalIP", "address": "192.0.2.1"},
            {"type": "Hostname", "address": "node-1"},
        ]
        assert found["status"]["capacity"]["pods"] == "110"
        lease = node.api.get(LEASES, "kube-node-lease/node-1")
        assert lease is not None
        assert lease["spec"]["leaseDurationSeconds"] == 40
        assert lease["metadata"]["ownerReferences"][0]["uid"] == found["metadata"]["uid"]

    run(tmp_path, test)


def test_without_a_network_the_node_is_not_ready_and_says_why(tmp_path: Path) -> None:
    async def test(node: Node) -> None:
        node.runtime.network_ready = False
        async with node.running():
            await node.until(lambda: node_ready(node).startswith("False"))
            assert node_ready(node) == (
                "False KubeletNotReady: container runtime network not ready: NetworkReady=false "
                "reason:NetworkPluginNotReady message:no network config"
            )
            node.runtime.network_ready = True
            await node.until(lambda: node_ready(node).startswith("True"))

    run(tmp_path, test)


def test_a_pod_runs_and_is_deleted_from_the_api_last(tmp_path: Path) -> None:
    async def test(node: Node) -> None:
        node.api.put(PODS, bound(APP))
        async with node.running():
            await node.until(node.ready)
            assert node.pod()["status"]["podIP"].startswith("10.0.0.")
            node.api.mark_deleted("shop/web", grace_s=5)
            await node.until(lambda: node.api.get(PODS, "shop/web") is None)
            assert node.runtime.calls[-2:] == ["stop_container app", "stop_sandbox web"]
            async with asyncio.timeout(TIMEOUT_S):
                while node.kubelet.workers():
                    await asyncio.sleep(0.01)
        assert node.runtime.containers == {}

    run(tmp_path, test)


def test_a_pod_deleted_with_force_is_stopped_too(tmp_path: Path) -> None:
    async def test(node: Node) -> None:
        node.api.put(PODS, bound(APP))
        async with node.running():
            await node.until(node.ready)
            node.api.remove(PODS, "shop/web")
            async with asyncio.timeout(TIMEOUT_S):
                while node.kubelet.workers():
                    await asyncio.sleep(0.01)
        assert node.runtime.calls[-2:] == ["stop_sandbox web", "remove_sandbox web"]

    run(tmp_path, test)


def test_pods_that_the_api_forgot_meanwhile_are_removed_at_the_start(tmp_path: Path) -> None:
    async def test(node: Node) -> None:
        node.api.put(PODS, bound(APP))
        node.api.put(PODS, bound(APP, name="kept"))
        async with node.running():
            await node.until(lambda: node.ready() and node.ready("kept"))
        kept = node.runtime.calls.count("start_container app")
        node.api.remove(PODS, "shop/web")
        again = Node(tmp_path, api=node.api, runtime=node.runtime)
        async with again.running():
            async with asyncio.timeout(TIMEOUT_S):
                while "remove_sandbox web" not in node.runtime.calls:
                    await asyncio.sleep(0.01)
            await again.until(lambda: again.ready("kept"))
        assert "stop_sandbox kept" not in node.runtime.calls
        assert node.runtime.calls.count("start_container app") == kept

    run(tmp_path, test)


def test_an_exit_is_noticed_without_anyone_telling(tmp_path: Path) -> None:
    async def test(node: Node) -> None:
        node.api.put(PODS, bound(APP, restartPolicy="Never"))
        async with node.running():
            await node.until(node.ready)
            node.runtime.exit("app", 4)
            await node.until(lambda: node.pod()["status"]["phase"] == "Failed")
        state = node.pod()["status"]["containerStatuses"][0]["state"]
        assert state["terminated"]["exitCode"] == 4

    run(tmp_path, test)


def test_a_config_map_that_changes_reaches_the_volume(tmp_path: Path) -> None:
    async def test(node: Node) -> None:
        config: Object = {"metadata": {"name": "conf", "namespace": "shop"}, "data": {"a": "1"}}
        pod = bound(APP, volumes=[{"name": "v", "configMap": {"name": "conf"}}])
        node.api.put(PODS, pod)
        async with node.running():
            async with asyncio.timeout(TIMEOUT_S):
                # The pod waits for its config map, and wakes when it comes.
                while not any(worker.reported for worker in node.kubelet.workers()):
                    await asyncio.sleep(0.01)
            node.api.put(CONFIGMAPS, config)
            await node.until(node.ready)
            uid = node.pod()["metadata"]["uid"]
            file = node.kubelet.paths.volume(uid, "configmap", "v") / "a"
            assert file.read_text() == "1"
            node.api.put(CONFIGMAPS, {**config, "data": {"a": "2"}})
            async with asyncio.timeout(TIMEOUT_S):
                while file.read_text() != "2":
                    await asyncio.sleep(0.01)

    run(tmp_path, test)


def test_conditions_of_others_stay(tmp_path: Path) -> None:
    async def test(node: Node) -> None:
        pod = bound(APP)
        pod["status"] = {"phase": "Pending", "conditions": [{"type": "example.com/x", "status": "True"}]}
        node.api.put(PODS, pod)
        async with node.running():
            await node.until(node.ready)
        assert any(entry["type"] == "example.com/x" for entry in node.pod()["status"]["conditions"])

    run(tmp_path, test)


# The kubelet's own API

API_SERVER = certificate("kube-apiserver-kubelet-client", "system:masters")


class Body:
    """A StreamWriter that keeps what is written."""

    def __init__(self) -> None:
        self.data = b""
        self.closed = False
        self.buffered_bytes = 0

    def write(self, data: bytes) -> None:
        self.data += data

    async def drain(self) -> None: ...

    async def wait_closed(self) -> None: ...

    def abort(self) -> None: ...


async def get(node: Node, target: str, *, by: bytes | None = API_SERVER) -> tuple[int, str]:
    server = KubeletServer(node.kubelet)
    response: Response = await server.handle(Request(method="GET", target=target, peer_certificate=by))
    if response.stream is not None:
        body = Body()
        writer: StreamWriter = body
        await response.stream(writer)
        return response.status, body.data.decode()
    assert isinstance(response.body, bytes)
    return response.status, response.body.decode()


def test_the_kubelets_api(tmp_path: Path) -> None:
    async def test(node: Node) -> None:
        echo = {**APP, "command": ["echo", "hello"]}
        node.api.put(PODS, bound(echo, restartPolicy="Never"))
        async with node.running():
            await node.until(lambda: node.pod().get("status", {}).get("phase") == "Succeeded")
            assert await get(node, "/healthz", by=None) == (200, "ok")
            assert (await get(node, "/pods", by=None))[0] == 401
            assert (await get(node, "/pods", by=certificate("system:node:x", "system:nodes")))[0] == 403
            status, text = await get(node, "/pods")
            assert (status, '"name":"web"' in text) == (200, True)
            assert await get(node, "/containerLogs/shop/web/app") == (200, "hello\n")
            assert await get(node, "/containerLogs/shop/web/app?tailLines=0") == (200, "")
            assert await get(node, "/containerLogs/shop/web/app?previous=true") == (
                400,
                'previous terminated container "app" in pod "web" not found\n',
            )
            assert (await get(node, "/containerLogs/shop/web/app?tailLines=x"))[0] == 400
            assert (await get(node, "/containerLogs/shop/web/none"))[0] == 404
            assert (await get(node, "/containerLogs/shop/none/app"))[0] == 404
            assert "kubelet_running_containers" in (await get(node, "/metrics"))[1]
            assert '"podRef"' in (await get(node, "/stats/summary"))[1]
            assert (await get(node, "/exec/shop/web/app?command=ls&output=1"))[0] == 400
            assert (await get(node, "/nothing"))[0] == 404

    run(tmp_path, test)


def test_logs_of_a_container_that_waits_say_so(tmp_path: Path) -> None:
    async def test(node: Node) -> None:
        node.api.put(PODS, bound({**APP, "image": "absent:1"}))
        async with node.running():

            def waits() -> bool:
                statuses = node.pod().get("status", {}).get("containerStatuses") or [{}]
                waiting = (statuses[0].get("state") or {}).get("waiting") or {}
                return bool(waiting.get("reason") == "ErrImagePull")

            await node.until(waits)
            assert await get(node, "/containerLogs/shop/web/app") == (
                400,
                'container "app" in pod "web" is waiting to start: trying and failing to pull image\n',
            )

    run(tmp_path, test)
