"""A container runtime in memory, for tests: the same interface, the same states, no processes.

Containers obey a small language: `sleep …` runs until stopped, `echo words` logs and exits 0, `exit N` (or
`sh -c "exit N"`) exits with N, anything else runs until stopped. A test ends one with `exit`. It passes the
contract suite that the real client passes.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from podium.base.clock import Clock, WallClock
from podium.kubelet.cri.client import POD_UID_LABEL
from podium.kubelet.cri.runtime import (
    Auth,
    Container,
    ContainerConfig,
    ContainerState,
    ContainerStats,
    ContainerStatus,
    ExecResult,
    Image,
    RuntimeFault,
    RuntimeStatus,
    RuntimeVersion,
    Sandbox,
    SandboxConfig,
)

SIGKILL_EXIT = 137


@dataclass(slots=True, kw_only=True)
class FakeContainer:
    """One container's whole state; tests may look."""

    id: str
    sandbox_id: str
    config: ContainerConfig
    log: Path | None
    state: ContainerState = "created"
    created_at_ns: int = 0
    started_at_ns: int = 0
    finished_at_ns: int = 0
    exit_code: int = 0
    reason: str = ""
    stop_grace_s: int | None = None
    """The grace period of the last stop."""


@dataclass(slots=True, kw_only=True)
class _FakeSandbox:
    sandbox: Sandbox
    config: SandboxConfig


@dataclass(slots=True, kw_only=True)
class FakeRuntime:
    """`Runtime` without containers. Attributes that are set change how it behaves from then on."""

    clock: Clock = field(default_factory=WallClock)
    pullable: set[str] = field(default_factory=set)
    """Images that a pull finds."""
    exec_results: dict[tuple[str, ...], ExecResult] = field(default_factory=dict)
    start_fault: RuntimeFault | None = None
    sandbox_fault: RuntimeFault | None = None
    network_ready: bool = True
    calls: list[str] = field(default_factory=list)
    """The calls that changed something, in order: `run_sandbox web`, `start_container app`, ..."""
    containers: dict[str, FakeContainer] = field(default_factory=dict)
    _sandboxes: dict[str, _FakeSandbox] = field(default_factory=dict)
    _images: dict[str, Image] = field(default_factory=dict)
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    # A test's hands

    def add_image(self, name: str, *, uid: int | None = None, size_bytes: int = 1000) -> Image:
        image = Image(id=f"sha256:{len(self._images):064x}", tags=(name,), uid=uid, size_bytes=size_bytes)
        self._images[name] = image
        return image

    def container(self, name: str) -> FakeContainer:
        """Return the newest container of that name."""
        return [entry for entry in self.containers.values() if entry.config.name == name][-1]

    def exit(self, name: str, code: int, *, reason: str = "") -> None:
        """End the newest container of that name."""
        self._finish(self.container(name), code, reason)

    def kill_sandbox(self) -> None:
        """Let every sandbox die, as at a reboot."""
        for entry in self._sandboxes.values():
            entry.sandbox = replace(entry.sandbox, ready=False)
        for container in self.containers.values():
            self._finish(container, SIGKILL_EXIT)

    # Runtime

    async def version(self) -> RuntimeVersion:
        return RuntimeVersion(name="fake", version="1.0.0")

    async def status(self) -> RuntimeStatus:
        message = "" if self.network_ready else "reason:NetworkPluginNotReady message:no network config"
        return RuntimeStatus(runtime_ready=True, network_ready=self.network_ready, network_message=message)

    async def close(self) -> None:
        return None

    async def run_sandbox(self, config: SandboxConfig) -> str:
        if self.sandbox_fault is not None:
            raise self.sandbox_fault
        number = next(self._numbers)
        host_network = config.namespaces.network == "NODE"
        sandbox = Sandbox(
            id=f"sandbox-{number}",
            name=config.name,
            namespace=config.namespace,
            uid=config.uid,
            attempt=config.attempt,
            ready=True,
            created_at_ns=self._now_ns(),
            labels=dict(config.labels),
            annotations=dict(config.annotations),
            ips=() if host_network else (f"10.0.0.{number % 250 + 1}",),
            host_network=host_network,
        )
        self._sandboxes[sandbox.id] = _FakeSandbox(sandbox=sandbox, config=config)
        self.calls.append(f"run_sandbox {config.name}")
        return sandbox.id

    async def stop_sandbox(self, sandbox_id: str) -> None:
        entry = self._sandboxes.get(sandbox_id)
        if entry is None:
            return
        for container in self.containers.values():
            if container.sandbox_id == sandbox_id:
                self._finish(container, SIGKILL_EXIT)
        if entry.sandbox.ready:
            self.calls.append(f"stop_sandbox {entry.sandbox.name}")
        entry.sandbox = replace(entry.sandbox, ready=False)

    async def remove_sandbox(self, sandbox_id: str) -> None:
        entry = self._sandboxes.get(sandbox_id)
        if entry is None:
            return
        await self.stop_sandbox(sandbox_id)
        del self._sandboxes[sandbox_id]
        for container in [c for c in self.containers.values() if c.sandbox_id == sandbox_id]:
            del self.containers[container.id]
        self.calls.append(f"remove_sandbox {entry.sandbox.name}")

    async def sandbox_status(self, sandbox_id: str) -> Sandbox:
        return self._sandbox(sandbox_id).sandbox

    async def list_sandboxes(self, *, pod_uid: str = "") -> list[Sandbox]:
        return [
            replace(entry.sandbox, ips=(), host_network=False)
            for entry in self._sandboxes.values()
            if pod_uid in ("", entry.sandbox.labels.get(POD_UID_LABEL))
        ]

    async def create_container(self, sandbox_id: str, config: ContainerConfig, sandbox: SandboxConfig) -> str:
        entry = self._sandbox(sandbox_id)
        if not entry.sandbox.ready:
            raise RuntimeFault("sandbox container is not running")
        if all(config.image not in (image.id, *image.tags) for image in self._images.values()):
            raise RuntimeFault(f'image "{config.image}" not found', code="NOT_FOUND")
        log = Path(sandbox.log_directory) / config.log_path if sandbox.log_directory else None
        container = FakeContainer(
            id=f"container-{next(self._numbers)}",
            sandbox_id=sandbox_id,
            config=config,
            log=log,
            created_at_ns=self._now_ns(),
        )
        self.containers[container.id] = container
        self.calls.append(f"create_container {config.name}")
        return container.id

    async def start_container(self, container_id: str) -> None:
        container = self._container(container_id)
        if container.state != "created":
            raise RuntimeFault(f"container is in {container.state} state")
        container.started_at_ns = self._now_ns()
        if self.start_fault is not None:
            self._finish(container, 128, "StartError", force=True)
            raise self.start_fault
        container.state = "running"
        self.calls.append(f"start_container {container.config.name}")
        output, code = interpret((*container.config.command, *container.config.args))
        if output:
            self.write_log(container, output)
        if code is not None:
            self._finish(container, code)

    async def stop_container(self, container_id: str, *, grace_s: int) -> None:
        container = self.containers.get(container_id)
        if container is None:
            return
        if container.state == "running":
            container.stop_grace_s = grace_s
            self.calls.append(f"stop_container {container.config.name}")
        self._finish(container, SIGKILL_EXIT)

    async def remove_container(self, container_id: str) -> None:
        container = self.containers.pop(container_id, None)
        if container is not None:
            self.calls.append(f"remove_container {container.config.name}")

    async def container_status(self, container_id: str) -> ContainerStatus:
        container = self._container(container_id)
        config = container.config
        image = next((i for i in self._images.values() if config.image in (i.id, *i.tags)), None)
        reason = container.reason
        if container.state == "exited" and not reason:
            reason = "Completed" if container.exit_code == 0 else "Error"
        return ContainerStatus(
            id=container.id,
            name=config.name,
            attempt=config.attempt,
            state=container.state,
            created_at_ns=container.created_at_ns,
            started_at_ns=container.started_at_ns,
            finished_at_ns=container.finished_at_ns,
            exit_code=container.exit_code,
            image=image.tags[0] if image is not None else config.image,
            image_ref=image.id if image is not None else "",
            reason=reason,
            log_path=str(container.log or ""),
            labels=dict(config.labels),
            annotations=dict(config.annotations),
        )

    async def list_containers(self, *, pod_uid: str = "") -> list[Container]:
        return [
            Container(
                id=container.id,
                sandbox_id=container.sandbox_id,
                name=container.config.name,
                attempt=container.config.attempt,
                state=container.state,
                created_at_ns=container.created_at_ns,
                image=container.config.image,
                labels=dict(container.config.labels),
                annotations=dict(container.config.annotations),
            )
            for container in self.containers.values()
            if pod_uid in ("", container.config.labels.get(POD_UID_LABEL))
        ]

    async def exec_sync(self, container_id: str, command: Sequence[str], *, timeout_s: float) -> ExecResult:
        container = self._container(container_id)
        if container.state != "running":
            raise RuntimeFault(f"container is in {container.state} state")
        self.calls.append(f"exec {container.config.name} {' '.join(command)}")
        scripted = self.exec_results.get(tuple(command))
        if scripted is not None:
            return scripted
        output, code = interpret(tuple(command))
        if code is None:
            raise RuntimeFault(f"timeout {timeout_s:.0f}s exceeded", code="DEADLINE_EXCEEDED")
        return ExecResult(stdout=output, stderr=b"", exit_code=code)

    async def exec_url(
        self,
        container_id: str,
        command: Sequence[str],
        *,
        stdin: bool,
        stdout: bool,
        stderr: bool,
        tty: bool,
    ) -> str:
        return f"http://127.0.0.1:1/exec/{self._container(container_id).id}"

    async def attach_url(
        self, container_id: str, *, stdin: bool, stdout: bool, stderr: bool, tty: bool
    ) -> str:
        return f"http://127.0.0.1:1/attach/{self._container(container_id).id}"

    async def port_forward_url(self, sandbox_id: str, ports: Sequence[int]) -> str:
        return f"http://127.0.0.1:1/portforward/{self._sandbox(sandbox_id).sandbox.id}"

    async def pull_image(self, image: str, *, auth: Auth | None = None) -> str:
        self.calls.append(f"pull {image}")
        if image not in self.pullable:
            raise RuntimeFault(f'failed to pull and unpack image "{image}": not found', code="NOT_FOUND")
        return self.add_image(image).id

    async def image_status(self, image: str) -> Image | None:
        return next((found for found in self._images.values() if image in (found.id, *found.tags)), None)

    async def list_images(self) -> list[Image]:
        return list(self._images.values())

    async def remove_image(self, image: str) -> None:
        for name in [name for name, found in self._images.items() if image in (found.id, *found.tags)]:
            del self._images[name]

    async def container_stats(self) -> list[ContainerStats]:
        return [
            ContainerStats(
                container_id=container.id,
                timestamp_ns=self._now_ns(),
                cpu_ns=1,
                memory_bytes=1,
                disk_bytes=1,
                labels=dict(container.config.labels),
            )
            for container in self.containers.values()
            if container.state == "running"
        ]

    # Helpers

    def write_log(self, container: FakeContainer, output: bytes) -> None:
        """Append lines to the container's log, in CRI's format."""
        if container.log is None:
            return
        container.log.parent.mkdir(parents=True, exist_ok=True)
        moment = self.clock.now().strftime("%Y-%m-%dT%H:%M:%S.%f000Z").encode()
        with container.log.open("ab") as log:
            for line in output.splitlines():
                log.write(moment + b" stdout F " + line + b"\n")

    def _finish(self, container: FakeContainer, code: int, reason: str = "", *, force: bool = False) -> None:
        if container.state == "running" or force:
            container.state = "exited"
            container.exit_code = code
            container.reason = reason
            container.finished_at_ns = self._now_ns()

    def _now_ns(self) -> int:
        return int(self.clock.now().timestamp() * 1e9)

    def _sandbox(self, sandbox_id: str) -> _FakeSandbox:
        entry = self._sandboxes.get(sandbox_id)
        if entry is None:
            raise RuntimeFault(f'an error occurred when try to find sandbox "{sandbox_id}"', code="NOT_FOUND")
        return entry

    def _container(self, container_id: str) -> FakeContainer:
        container = self.containers.get(container_id)
        if container is None:
            message = f'an error occurred when try to find container "{container_id}": not found'
            raise RuntimeFault(message, code="NOT_FOUND")
        return container


def interpret(command: tuple[str, ...]) -> tuple[bytes, int | None]:
    """Return a command's output and exit code; None: it runs until it is stopped."""
    if command[:2] == ("sh", "-c") and len(command) == 3:
        command = tuple(command[2].split())
    match command:
        case ("exit", code):
            return b"", int(code)
        case ("true",):
            return b"", 0
        case ("false",):
            return b"", 1
        case ("echo", *words):
            return " ".join(words).encode() + b"\n", 0
    return b"", None
