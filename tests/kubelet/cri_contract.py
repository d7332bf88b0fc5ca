"""What every `Runtime` must do. `test_cri.py` runs each function against the fake and against containerd."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from podium.base.ids import new_uid
from podium.kubelet.cri.runtime import (
    ContainerConfig,
    ContainerStatus,
    Namespaces,
    Runtime,
    RuntimeFault,
    SandboxConfig,
)
from tests.kubelet.containerd import BUSYBOX, CGROUP

END_TIMEOUT_S = 20


def sandbox_config(directory: Path, *, host_network: bool = False) -> SandboxConfig:
    uid = new_uid()
    logs = directory / "logs" / uid
    logs.mkdir(parents=True)
    return SandboxConfig(
        name="web",
        namespace="shop",
        uid=uid,
        hostname="" if host_network else "web",
        log_directory=str(logs),
        labels={"io.kubernetes.pod.uid": uid, "app": "web"},
        annotations={"note": "kept"},
        cgroup_parent=f"/{CGROUP}/{uid}",
        namespaces=Namespaces(network="NODE" if host_network else "POD"),
    )


async def container_config(runtime: Runtime, sandbox: SandboxConfig, *command: str) -> ContainerConfig:
    image = await runtime.image_status(BUSYBOX)
    assert image is not None
    return ContainerConfig(
        name="app",
        image=image.id,
        command=command,
        labels={"io.kubernetes.pod.uid": sandbox.uid, "io.kubernetes.container.name": "app"},
        annotations={"restarts": "0"},
        log_path="app/0.log",
    )


async def started(runtime: Runtime, sandbox_id: str, sandbox: SandboxConfig, *command: str) -> str:
    config = await container_config(runtime, sandbox, *command)
    container_id = await runtime.create_container(sandbox_id, config, sandbox)
    await runtime.start_container(container_id)
    return container_id


async def ended(runtime: Runtime, container_id: str) -> ContainerStatus:
    """Return the container's status once it has exited. (CRI has no event for it: this asks again.)"""
    async with asyncio.timeout(END_TIMEOUT_S):
        while True:
            status = await runtime.container_status(container_id)
            if status.state == "exited":
                return status
            await asyncio.sleep(0.02)


async def says_what_it_is(runtime: Runtime, directory: Path) -> None:
    version = await runtime.version()
    assert version.name
    assert version.version
    status = await runtime.status()
    assert status.runtime_ready
    assert status.network_ready


async def a_sandbox_has_an_address_and_keeps_its_labels(runtime: Runtime, directory: Path) -> None:
    config = sandbox_config(directory)
    sandbox_id = await runtime.run_sandbox(config)
    status = await runtime.sandbox_status(sandbox_id)
    assert status.ready
    assert len(status.ips) == 1
    assert status.labels == config.labels
    assert status.annotations == config.annotations
    assert not status.host_network
    assert [found.id for found in await runtime.list_sandboxes(pod_uid=config.uid)] == [sandbox_id]
    assert await runtime.list_sandboxes(pod_uid=new_uid()) == []

    await runtime.stop_sandbox(sandbox_id)
    await runtime.stop_sandbox(sandbox_id)
    assert not (await runtime.sandbox_status(sandbox_id)).ready
    await runtime.remove_sandbox(sandbox_id)
    await runtime.remove_sandbox(sandbox_id)
    assert await runtime.list_sandboxes(pod_uid=config.uid) == []
    with pytest.raises(RuntimeFault) as fault:
        await runtime.sandbox_status(sandbox_id)
    assert fault.value.not_found


async def a_sandbox_on_the_hosts_network_has_no_address(runtime: Runtime, directory: Path) -> None:
    config = sandbox_config(directory, host_network=True)
    sandbox_id = await runtime.run_sandbox(config)
    status = await runtime.sandbox_status(sandbox_id)
    assert status.host_network
    assert status.ips == ()


async def a_container_is_created_runs_and_is_stopped(runtime: Runtime, directory: Path) -> None:
    sandbox = sandbox_config(directory)
    sandbox_id = await runtime.run_sandbox(sandbox)
    config = await container_config(runtime, sandbox, "sleep", "1000")
    container_id = await runtime.create_container(sandbox_id, config, sandbox)
    status = await runtime.container_status(container_id)
    assert (status.state, status.name, status.attempt) == ("created", "app", 0)
    assert status.annotations == config.annotations
    assert status.image == BUSYBOX
    assert status.image_ref

    await runtime.start_container(container_id)
    status = await runtime.container_status(container_id)
    assert status.state == "running"
    assert status.started_at_ns >= status.created_at_ns > 0
    listed = await runtime.list_containers(pod_uid=sandbox.uid)
    assert [(found.id, found.sandbox_id, found.state) for found in listed] == [
        (container_id, sandbox_id, "running")
    ]

    await runtime.stop_container(container_id, grace_s=0)
    status = await ended(runtime, container_id)
    assert (status.exit_code, status.reason) == (137, "Error")
    assert status.finished_at_ns >= status.started_at_ns
    await runtime.stop_container(container_id, grace_s=0)
    await runtime.remove_container(container_id)
    await runtime.remove_container(container_id)
    await runtime.stop_container(container_id, grace_s=0)
    with pytest.raises(RuntimeFault) as fault:
        await runtime.container_status(container_id)
    assert fault.value.not_found


async def a_container_that_ends_says_how(runtime: Runtime, directory: Path) -> None:
    sandbox = sandbox_config(directory)
    sandbox_id = await runtime.run_sandbox(sandbox)
    failed = await started(runtime, sandbox_id, sandbox, "sh", "-c", "exit 3")
    status = await ended(runtime, failed)
    assert (status.exit_code, status.reason) == (3, "Error")
    await runtime.remove_container(failed)
    status = await ended(runtime, await started(runtime, sandbox_id, sandbox, "true"))
    assert (status.exit_code, status.reason) == (0, "Completed")


async def what_a_container_prints_is_in_its_log(runtime: Runtime, directory: Path) -> None:
    sandbox = sandbox_config(directory)
    sandbox_id = await runtime.run_sandbox(sandbox)
    await ended(runtime, await started(runtime, sandbox_id, sandbox, "echo", "hello", "there"))
    log = Path(sandbox.log_directory) / "app" / "0.log"
    async with asyncio.timeout(END_TIMEOUT_S):
        while not (text := log.read_text() if log.exists() else ""):
            await asyncio.sleep(0.02)
    assert text.endswith(" stdout F hello there\n")


async def a_command_can_be_run_in_a_container(runtime: Runtime, directory: Path) -> None:
    sandbox = sandbox_config(directory)
    sandbox_id = await runtime.run_sandbox(sandbox)
    container_id = await started(runtime, sandbox_id, sandbox, "sleep", "1000")
    result = await runtime.exec_sync(container_id, ["echo", "hi"], timeout_s=5)
    assert (result.stdout, result.exit_code) == (b"hi\n", 0)
    assert (await runtime.exec_sync(container_id, ["false"], timeout_s=5)).exit_code == 1
    with pytest.raises(RuntimeFault) as fault:
        await runtime.exec_sync(container_id, ["sleep", "1000"], timeout_s=1)
    assert fault.value.code == "DEADLINE_EXCEEDED"


async def stopping_a_sandbox_stops_its_containers(runtime: Runtime, directory: Path) -> None:
    sandbox = sandbox_config(directory)
    sandbox_id = await runtime.run_sandbox(sandbox)
    container_id = await started(runtime, sandbox_id, sandbox, "sleep", "1000")
    await runtime.stop_sandbox(sandbox_id)
    assert (await ended(runtime, container_id)).exit_code == 137
    await runtime.remove_sandbox(sandbox_id)
    assert await runtime.list_containers(pod_uid=sandbox.uid) == []


async def images_are_found_by_name_and_id(runtime: Runtime, directory: Path) -> None:
    image = await runtime.image_status(BUSYBOX)
    assert image is not None
    assert BUSYBOX in image.tags
    by_id = await runtime.image_status(image.id)
    assert by_id is not None
    assert by_id.id == image.id
    assert image.id in [found.id for found in await runtime.list_images()]
    assert await runtime.image_status("podium.test/absent:1") is None
    with pytest.raises(RuntimeFault):
        await runtime.pull_image("127.0.0.1:1/absent:1")


CONTRACT: tuple[Callable[[Runtime, Path], Awaitable[None]], ...] = (
    says_what_it_is,
    a_sandbox_has_an_address_and_keeps_its_labels,
    a_sandbox_on_the_hosts_network_has_no_address,
    a_container_is_created_runs_and_is_stopped,
    a_container_that_ends_says_how,
    what_a_container_prints_is_in_its_log,
    a_command_can_be_run_in_a_container,
    stopping_a_sandbox_stops_its_containers,
    images_are_found_by_name_and_id,
)
