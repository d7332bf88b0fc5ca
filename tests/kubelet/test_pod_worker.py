"""Whole lives of pods: on the fake runtime, and one on containerd."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from podium.kubelet.cri.client import CriClient
from podium.kubelet.cri.fake import FakeRuntime
from podium.kubelet.cri.runtime import ExecResult, RuntimeFault
from podium.kubelet.pleg import Pleg
from podium.kubelet.pod_worker import PodWorker
from podium.machinery.errors import Object
from tests.kubelet.containerd import BUSYBOX, PrivateContainerd
from tests.kubelet.node import LoneNode, config_maps, make_pod

IMAGE = "app:1"
APP: Object = {"name": "app", "image": IMAGE, "command": ["sleep", "1000"]}


@contextlib.asynccontextmanager
async def living(node: LoneNode, pod: Object) -> AsyncIterator[PodWorker]:
    """Run the pod's worker, and end it as a kubelet that stops does."""
    worker = PodWorker(node, pod)
    task = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def on_fake(test: Callable[[LoneNode, FakeRuntime], Awaitable[None]], directory: Path) -> None:
    runtime = FakeRuntime()
    runtime.add_image(IMAGE)
    asyncio.run(_run(test, LoneNode(runtime, directory), runtime))


async def _run(
    test: Callable[[LoneNode, FakeRuntime], Awaitable[None]], node: LoneNode, runtime: FakeRuntime
) -> None:
    await test(node, runtime)


def is_ready(status: Object) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in status["conditions"])


def waiting(reason: str) -> Callable[[Object], bool]:
    def check(status: Object) -> bool:
        state = status["containerStatuses"][0]["state"]
        return bool((state.get("waiting") or {}).get("reason") == reason)

    return check


def deleted(pod: Object, grace_s: int = 30) -> Object:
    meta = {
        **pod["metadata"],
        "deletionTimestamp": "2026-11-23T08:30:00Z",
        "deletionGracePeriodSeconds": grace_s,
    }
    return {**pod, "metadata": meta}


async def gone(node: LoneNode, pod: Object) -> None:
    await node.until(pod, lambda _: pod["metadata"]["uid"] in node.over)


def test_a_pod_runs_is_deleted_and_leaves_nothing(tmp_path: Path) -> None:
    async def test(node: LoneNode, runtime: FakeRuntime) -> None:
        pod = make_pod(APP)
        worker = PodWorker(node, pod)
        task = asyncio.create_task(worker.run())
        status = await node.until(pod, is_ready)
        assert status["podIP"].startswith("10.0.0.")
        assert runtime.calls == ["run_sandbox web", "create_container app", "start_container app"]
        assert node.reasons() == ["Pulled", "Created", "Started"]
        assert node.history[0]["phase"] == "Pending"

        worker.update(deleted(pod, 7))
        await gone(node, pod)
        assert runtime.container("app").stop_grace_s == 7
        assert runtime.calls[3:] == ["stop_container app", "stop_sandbox web"]
        assert ("Normal", "Killing", "Stopping container app") in node.events
        worker.remove()
        await task
        assert runtime.containers == {}
        assert await runtime.list_sandboxes() == []
        assert not node.paths.pod(pod["metadata"]["uid"]).exists()
        assert not node.paths.pod_logs(pod).exists()

    on_fake(test, tmp_path)


def test_a_kubelet_that_starts_again_leaves_running_containers_alone(tmp_path: Path) -> None:
    async def test(node: LoneNode, runtime: FakeRuntime) -> None:
        pod = make_pod(APP)
        async with living(node, pod):
            await node.until(pod, is_ready)
        calls = list(runtime.calls)
        again = LoneNode(runtime, tmp_path)
        async with living(again, pod):
            status = await again.until(pod, is_ready)
        assert runtime.calls == calls
        assert status["containerStatuses"][0]["restartCount"] == 0

    on_fake(test, tmp_path)


def test_a_kubelet_that_starts_again_keeps_ready_pods_ready(tmp_path: Path) -> None:
    async def test(node: LoneNode, runtime: FakeRuntime) -> None:
        runtime.exec_results["ready",] = ExecResult(stdout=b"", stderr=b"", exit_code=0)
        probe = {"exec": {"command": ["ready"]}, "periodSeconds": 1}
        pod = make_pod({**APP, "readinessProbe": probe, "startupProbe": probe})
        async with living(node, pod):
            status = await node.until(pod, is_ready)
        again = LoneNode(runtime, tmp_path)
        async with living(again, {**pod, "status": status}):
            await again.until(pod, is_ready)
        assert all(is_ready(seen) for seen in again.history)

    on_fake(test, tmp_path)


def test_a_failing_container_is_restarted_then_held_back(tmp_path: Path) -> None:
    async def test(node: LoneNode, runtime: FakeRuntime) -> None:
        pod = make_pod({**APP, "command": ["exit", "3"]})
        async with living(node, pod):
            status = await node.until(pod, waiting("CrashLoopBackOff"))
        container = status["containerStatuses"][0]
        assert container["restartCount"] == 1
        assert container["lastState"]["terminated"]["exitCode"] == 3
        assert "back-off 10s restarting failed container=app" in container["state"]["waiting"]["message"]
        assert "BackOff" in node.reasons()

    on_fake(test, tmp_path)


def test_a_pod_that_ends_well_is_completed_and_keeps_its_log(tmp_path: Path) -> None:
    async def test(node: LoneNode, runtime: FakeRuntime) -> None:
        pod = make_pod({**APP, "command": ["echo", "done"]}, restartPolicy="Never")
        async with living(node, pod):
            await node.until(pod, lambda status: status["phase"] == "Succeeded")
            await node.until(pod, lambda _: "stop_sandbox web" in runtime.calls)
        assert node.over == set()
        assert node.paths.container_log(pod, "app", 0).read_text().endswith("stdout F done\n")

    on_fake(test, tmp_path)


def test_a_dead_sandbox_is_replaced(tmp_path: Path) -> None:
    async def test(node: LoneNode, runtime: FakeRuntime) -> None:
        pod = make_pod(APP)
        async with living(node, pod) as worker:
            await node.until(pod, is_ready)
            runtime.kill_sandbox()
            worker.wake()
            status = await node.until(
                pod, lambda s: is_ready(s) and s["containerStatuses"][0]["restartCount"] == 1
            )
        assert status["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] == 137
        assert runtime.calls.count("run_sandbox web") == 2

    on_fake(test, tmp_path)


def test_pull_policies(tmp_path: Path) -> None:
    async def test(node: LoneNode, runtime: FakeRuntime) -> None:
        never = make_pod({"name": "app", "image": "absent:1", "imagePullPolicy": "Never"})
        async with living(node, never):
            status = await node.until(never, waiting("ErrImageNeverPull"))
        message = status["containerStatuses"][0]["state"]["waiting"]["message"]
        assert message == 'Container image "absent:1" is not present with pull policy of Never'

        failing = make_pod({"name": "app", "image": "absent:1"})
        async with living(node, failing):
            await node.until(failing, waiting("ErrImagePull"))
            status = await node.until(failing, waiting("ImagePullBackOff"))
        message = status["containerStatuses"][0]["state"]["waiting"]["message"]
        assert message.startswith(
            'Back-off pulling image "absent:1": ErrImagePull: rpc error: code = NotFound'
        )

        runtime.pullable.add("remote:1")
        pulled = make_pod({"name": "app", "image": "remote:1"})
        async with living(node, pulled):
            await node.until(pulled, is_ready)
        assert runtime.calls.count("pull remote:1") == 1
        always = make_pod({**APP, "image": "remote:1", "imagePullPolicy": "Always"})
        async with living(node, always):
            await node.until(always, is_ready)
        assert runtime.calls.count("pull remote:1") == 2

    on_fake(test, tmp_path)


def test_a_missing_config_map_holds_the_container_until_it_is_there(tmp_path: Path) -> None:
    async def test(node: LoneNode, runtime: FakeRuntime) -> None:
        reference = {"configMapKeyRef": {"name": "conf", "key": "a"}}
        pod = make_pod({**APP, "env": [{"name": "X", "valueFrom": reference}]})
        async with living(node, pod):
            status = await node.until(pod, waiting("CreateContainerConfigError"))
        assert status["containerStatuses"][0]["state"]["waiting"]["message"] == 'configmap "conf" not found'
        assert ("Warning", "Failed", 'Error: configmap "conf" not found') in node.events

    on_fake(test, tmp_path)


def test_a_volume_that_cannot_be_mounted_is_told_and_tried_again(tmp_path: Path) -> None:
    async def test(node: LoneNode, runtime: FakeRuntime) -> None:
        pod = make_pod(APP, volumes=[{"name": "v", "configMap": {"name": "conf"}}])
        async with living(node, pod) as worker:
            await node.until(pod, lambda _: "FailedMount" in node.reasons())
            found = {"metadata": {"name": "conf"}, "data": {"a": "1"}}
            node.sources = type(node.sources)(environment=config_maps(conf=found))
            worker.wake()
            await node.until(pod, is_ready)
        message = 'MountVolume.SetUp failed for volume "v" : configmap "conf" not found'
        assert ("Warning", "FailedMount", message) in node.events

    on_fake(test, tmp_path)


def test_without_a_network_only_pods_on_the_hosts_run(tmp_path: Path) -> None:
    async def test(node: LoneNode, runtime: FakeRuntime) -> None:
        node.network = "cni plugin not initialized"
        pod, host = make_pod(APP), make_pod(APP, name="host", hostNetwork=True)
        async with living(node, pod) as worker:
            async with living(node, host):
                status = await node.until(host, is_ready)
                assert status["podIP"] == "192.0.2.1"
            await node.until(pod, lambda _: "NetworkNotReady" in node.reasons())
            assert node.status[pod["metadata"]["uid"]]["phase"] == "Pending"
            node.network = None
            worker.wake()
            await node.until(pod, is_ready)

    on_fake(test, tmp_path)


def test_deletion_interrupts_a_start_that_fails_again_and_again(tmp_path: Path) -> None:
    async def test(node: LoneNode, runtime: FakeRuntime) -> None:
        runtime.sandbox_fault = RuntimeFault("no room")
        pod = make_pod(APP)
        async with living(node, pod) as worker:
            await node.until(pod, lambda _: "FailedCreatePodSandBox" in node.reasons())
            worker.update(deleted(pod))
            await gone(node, pod)
        assert node.status[pod["metadata"]["uid"]]["phase"] == "Failed"

    on_fake(test, tmp_path)


def test_hooks_run_around_the_containers_life(tmp_path: Path) -> None:
    async def test(node: LoneNode, runtime: FakeRuntime) -> None:
        lifecycle = {
            "postStart": {"exec": {"command": ["echo", "up"]}},
            "preStop": {"exec": {"command": ["echo", "down"]}},
        }
        pod = make_pod({**APP, "lifecycle": lifecycle})
        async with living(node, pod) as worker:
            await node.until(pod, is_ready)
            worker.update(deleted(pod))
            await gone(node, pod)
        assert [call for call in runtime.calls if "app" in call] == [
            "create_container app",
            "start_container app",
            "exec app echo up",
            "exec app echo down",
            "stop_container app",
        ]

    on_fake(test, tmp_path)


def test_a_post_start_hook_that_fails_kills_its_container(tmp_path: Path) -> None:
    async def test(node: LoneNode, runtime: FakeRuntime) -> None:
        runtime.exec_results["hook",] = ExecResult(stdout=b"no", stderr=b"", exit_code=1)
        pod = make_pod({**APP, "lifecycle": {"postStart": {"exec": {"command": ["hook"]}}}})
        async with living(node, pod):
            await node.until(pod, lambda _: "FailedPostStartHook" in node.reasons())
            await node.until(pod, waiting("CrashLoopBackOff"))
        assert "stop_container app" in runtime.calls

    on_fake(test, tmp_path)


def test_liveness_restarts_and_readiness_gates(tmp_path: Path) -> None:
    async def test(node: LoneNode, runtime: FakeRuntime) -> None:
        live = {"exec": {"command": ["live"]}, "periodSeconds": 1, "failureThreshold": 1}
        ready = {"exec": {"command": ["ready"]}, "periodSeconds": 1}
        for command in ("live", "ready"):
            runtime.exec_results[command,] = ExecResult(stdout=b"", stderr=b"", exit_code=0)
        pod = make_pod({**APP, "livenessProbe": live, "readinessProbe": ready})
        async with living(node, pod):
            await node.until(pod, is_ready)
            runtime.exec_results["live",] = ExecResult(stdout=b"sick", stderr=b"", exit_code=1)
            await node.until(pod, lambda status: status["containerStatuses"][0]["restartCount"] > 0)
        assert ("Warning", "Unhealthy", "Liveness probe failed: sick") in node.events
        killing = "Container app failed liveness probe, will be restarted"
        assert ("Normal", "Killing", killing) in node.events

    on_fake(test, tmp_path)


def test_a_pod_past_its_deadline_is_stopped(tmp_path: Path) -> None:
    async def test(node: LoneNode, runtime: FakeRuntime) -> None:
        pod = make_pod(APP, activeDeadlineSeconds=1)
        async with living(node, pod):
            status = await node.until(pod, lambda s: s["phase"] == "Failed" and "app" in str(s))
            await node.until(pod, lambda _: "stop_sandbox web" in runtime.calls)
        assert status["reason"] == "DeadlineExceeded"

    on_fake(test, tmp_path)


def test_a_real_pods_life(containerd: PrivateContainerd, tmp_path: Path) -> None:
    """One pod on containerd: init container, environment, volumes, user, limits, messages, restart, end."""

    async def test() -> None:
        runtime = CriClient(containerd.endpoint)
        node = LoneNode(runtime, containerd.directory / "kubelet")
        conf: Object = {"metadata": {"name": "conf"}, "data": {"greeting": "hello"}}
        node.sources = type(node.sources)(environment=config_maps(conf=conf))
        mounts = [
            {"name": "data", "mountPath": "/data"},
            {"name": "conf", "mountPath": "/conf"},
            {"name": "conf", "mountPath": "/one", "subPath": "greeting"},
        ]
        script = (
            "cat /data/made /conf/greeting /one; echo; id -u; echo $IP; "
            "echo bye > /dev/termination-log; exit 2"
        )
        pod = make_pod(
            {
                "name": "app",
                "image": BUSYBOX,
                "command": ["sh", "-c", script],
                "env": [{"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
                "securityContext": {"runAsUser": 1000, "runAsNonRoot": True, "readOnlyRootFilesystem": True},
                "resources": {"limits": {"cpu": "100m", "memory": "32Mi"}},
                "volumeMounts": mounts,
            },
            initContainers=[
                {
                    "name": "init",
                    "image": BUSYBOX,
                    "command": ["sh", "-c", "echo made > /data/made"],
                    "volumeMounts": mounts[:1],
                }
            ],
            volumes=[
                {"name": "data", "emptyDir": {}},
                {"name": "conf", "configMap": {"name": "conf"}},
            ],
            terminationGracePeriodSeconds=1,
        )
        worker = PodWorker(node, pod)
        task = asyncio.create_task(worker.run())
        pleg = Pleg(runtime, node.clock, lambda _uid: worker.wake())
        pleg.set_busy(True)
        watching = asyncio.create_task(pleg.run())
        try:
            status = await node.until(pod, waiting("CrashLoopBackOff"))
            terminated = status["containerStatuses"][0]["lastState"]["terminated"]
            assert (terminated["exitCode"], terminated["message"]) == (2, "bye\n")
            log = node.paths.container_log(pod, "app", 0).read_text()
            lines = [line.split(" ", 3)[3] for line in log.splitlines()]
            assert lines == ["made", "hellohello", "1000", status["podIP"]]
            worker.update(deleted(pod, 1))
            await gone(node, pod)
            worker.remove()
            await task
            assert await runtime.list_sandboxes(pod_uid=pod["metadata"]["uid"]) == []
            assert not node.paths.pod(pod["metadata"]["uid"]).exists()
        finally:
            watching.cancel()
            task.cancel()
            await runtime.close()

    asyncio.run(test())
