"""One pod's life on this node: a serial worker that looks, plans, acts and looks again.

It wakes on events (the pod changed, the runtime changed, a probe's verdict, a config map) and at the
moments its plan names. What it does is decided by `pod_machine`; here are the awaits. Everything it knows
beside the API and the runtime may be lost: a kubelet that starts again finds the containers by their labels
and leaves them alone.

A step that waits (an image pull, a grace period) is abandoned when the pod's deletion arrives or its grace
period shrinks, and planned anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from podium.base.backoff import Backoff
from podium.base.clock import Clock, parse_rfc3339
from podium.base.log import Log
from podium.kubelet import logs
from podium.kubelet.cgroups import pod_cgroup, remove_cgroup
from podium.kubelet.container_config import (
    ContainerInputs,
    container_config,
    subpath_of,
    volume_mounts,
)
from podium.kubelet.cri.runtime import (
    ContainerStatus,
    Mount,
    Runtime,
    RuntimeFault,
    Sandbox,
    SandboxConfig,
)
from podium.kubelet.environment import ConfigFault, environment
from podium.kubelet.hooks import HookFault, run_hook
from podium.kubelet.images import ImageFault, Images, Present
from podium.kubelet.paths import Paths
from podium.kubelet.pod_machine import (
    CreateSandbox,
    Memory,
    Observed,
    Plan,
    RemoveContainer,
    RemoveSandbox,
    Restarts,
    StartContainer,
    StopContainer,
    StopPod,
    Waiting,
    plan_stop,
    plan_sync,
    prune,
)
from podium.kubelet.pod_status import Failure, StatusContext, pod_status
from podium.kubelet.pods import (
    find_container,
    full_name,
    host_network,
    is_terminal,
    pod_key,
    pod_uid,
    termination_grace_s,
)
from podium.kubelet.probes import KINDS, Probes
from podium.kubelet.sandbox_config import ClusterSettings, hosts_file, sandbox_config
from podium.kubelet.volumes.manager import VolumeFault, Volumes
from podium.kubelet.volumes.payload import PayloadSources
from podium.kubelet.volumes.persistent import read_only
from podium.machinery.errors import Object

_log = Log("podium.kubelet.pod")

RETRY_BACKOFF = Backoff(initial_s=0.5, max_s=120)
CONFIG_RETRY_S = 10.0
"""How long a container waits that could not be created or configured."""
STOP_GRACE_S_MIN = 2
"""What the runtime is given after a preStop hook used up the pod's grace period."""
ROUNDS_MAX = 20
"""Plans made in one step before yielding; a plan that never settles is a bug, not a busy loop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PodInputs:
    """The API objects that a pod's containers and volumes draw on, as of now."""

    sources: PayloadSources
    pull_secrets: Sequence[Object] = ()
    refresh_after_s: float | None = None
    """When the pod's tokens are to be renewed."""


class Node(Protocol):
    """What a worker needs of the kubelet around it."""

    runtime: Runtime
    images: Images
    volumes: Volumes
    probes: Probes
    paths: Paths
    settings: ClusterSettings
    clock: Clock

    async def inputs(self, pod: Object, pod_ips: Sequence[str]) -> PodInputs: ...

    def network_fault(self) -> str | None:
        """Return why pods cannot have a network yet, None when they can."""
        ...

    def event(self, pod: Object, type: str, reason: str, message: str, container: str = "") -> None: ...

    def report(self, pod: Object, status: Object, *, over: bool) -> None:
        """Take the pod's status for the API. `over`: nothing of it is left here, so finish its deletion."""
        ...


class PodWorker:
    """The worker of one pod (one uid). `run` returns when nothing of the pod is left."""

    def __init__(self, node: Node, pod: Object) -> None:
        self._node = node
        self._pod = pod
        self._uid = pod_uid(pod)
        self._removed = False
        self._wake = asyncio.Event()
        self._step: asyncio.Task[float | None] | None = None
        self._status: Object = {}
        self._waiting: dict[str, Waiting] = {}
        self._restarts: dict[str, Restarts] = {}
        self._retry_at_s: dict[str, float] = {}
        self._exited: dict[str, ContainerStatus] = {}
        self._failure: Failure | None = None
        self._failures = 0
        self._volumes: Mapping[str, str] = {}
        self._over = False
        self.observed = Observed()

    @property
    def pod(self) -> Object:
        return self._pod

    @property
    def reported(self) -> Object:
        """The status last handed over for the API."""
        return self._status

    # What happens to the pod

    def update(self, pod: Object) -> None:
        """Take a newer version of the pod."""
        old, self._pod = self._pod, pod
        began = not old["metadata"].get("deletionTimestamp") and pod["metadata"].get("deletionTimestamp")
        if began or (_deletion_grace(pod) or 0) < (_deletion_grace(old) or 0):
            self._abandon_step()
        self._wake.set()

    def remove(self) -> None:
        """The API has no such pod any more: stop and forget it."""
        if not self._removed:
            self._removed = True
            if not self._over:
                self._abandon_step()
            self._wake.set()

    def wake(self) -> None:
        self._wake.set()

    def _abandon_step(self) -> None:
        if self._step is not None:
            self._step.cancel()

    # The loop

    async def run(self) -> None:
        self._seed_probes()
        try:
            while not (self._removed and self._over):
                self._wake.clear()
                delay_s = await self._one_step()
                if self._removed and self._over:
                    break
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(delay_s):
                        await self._wake.wait()
            await self._forget()
        finally:
            if self._step is not None:
                self._step.cancel()
            self._node.probes.drop(self._uid)

    def _seed_probes(self) -> None:
        status = self._pod.get("status") or {}
        known = [*(status.get("containerStatuses") or ()), *(status.get("initContainerStatuses") or ())]
        ids = {entry["name"]: str(entry.get("containerID") or "").rpartition("//")[2] for entry in known}
        self._node.probes.seed(
            self._uid,
            ready={ids[entry["name"]] for entry in known if entry.get("ready")} - {""},
            started={ids[entry["name"]] for entry in known if entry.get("started")} - {""},
        )

    async def _one_step(self) -> float | None:
        """Do one step; return after how many seconds to look again without being woken."""
        self._step = asyncio.create_task(self._work())
        try:
            await asyncio.wait({self._step})
            if self._step.cancelled():
                return 0.0
            delay_s = self._step.result()
        except (RuntimeFault, OSError) as fault:
            self._failures += 1
            _log.warning("pod step failed", pod=pod_key(self._pod), error=fault)
            return RETRY_BACKOFF.delay_s(self._failures)
        self._failures = 0
        return delay_s

    async def _work(self) -> float | None:
        if self._over:
            return None
        if self._removed or self._pod["metadata"].get("deletionTimestamp") or self._ended:
            return await self._terminate()
        return await self._sync()

    @property
    def _ended(self) -> bool:
        return is_terminal(self._view) or self._failure is not None

    @property
    def _view(self) -> Object:
        """The pod with the status last reported, which may be newer than the API's answer."""
        if not self._status:
            return self._pod
        held = self._pod.get("status") or {}
        own = {condition["type"] for condition in self._status.get("conditions") or ()}
        others = [entry for entry in held.get("conditions") or () if entry["type"] not in own]
        conditions = [*(self._status.get("conditions") or ()), *others]
        return {**self._pod, "status": {**held, **self._status, "conditions": conditions}}

    # Looking

    async def _observe(self) -> Observed:
        runtime = self._node.runtime
        sandboxes = await runtime.list_sandboxes(pod_uid=self._uid)
        sandboxes.sort(key=lambda sandbox: (sandbox.attempt, sandbox.created_at_ns), reverse=True)
        if sandboxes:
            try:
                sandboxes[0] = await runtime.sandbox_status(sandboxes[0].id)
            except RuntimeFault as fault:
                if not fault.not_found:
                    raise
        listed = await runtime.list_containers(pod_uid=self._uid)
        statuses = []
        for container in listed:
            status = self._exited.get(container.id)
            if status is None:
                try:
                    status = await runtime.container_status(container.id)
                except RuntimeFault as fault:
                    if fault.not_found:
                        continue
                    raise
                status = replace(status, sandbox_id=container.sandbox_id)
                if status.state == "exited":
                    status = self._exited[container.id] = self._with_message(status)
            statuses.append(status)
        known = {container.id for container in listed}
        self._exited = {key: value for key, value in self._exited.items() if key in known}
        statuses.sort(key=lambda status: (status.attempt, status.created_at_ns), reverse=True)
        self.observed = Observed(sandboxes=tuple(sandboxes), containers=tuple(statuses))
        return self.observed

    def _with_message(self, status: ContainerStatus) -> ContainerStatus:
        """Add what the container left in its termination message file, or the end of its log."""
        container = find_container(self._pod, status.name)
        if container is None:
            return status
        path = self._node.paths.termination_log(self._uid, status.name, status.attempt)
        log = self._node.paths.container_log(self._pod, status.name, status.attempt)
        from_log = container.get("terminationMessagePolicy") == "FallbackToLogsOnError"
        text = logs.termination_message(path, log if from_log and status.exit_code != 0 else None)
        return replace(status, message=text) if text else status

    def _memory(self) -> Memory:
        verdicts = self._node.probes.verdicts(self._uid)
        return Memory(
            waiting=self._waiting,
            restarts=self._restarts,
            ready=verdicts.ready,
            started=verdicts.started,
            failing=verdicts.failing,
            retry_at_s=self._retry_at_s,
        )

    def _report(self, observed: Observed, *, stopped: bool = False, over: bool = False) -> None:
        context = StatusContext(
            now=self._node.clock.now(),
            host_ips=self._node.settings.host_ips,
            failure=self._failure,
            stopped=stopped,
        )
        self._status = pod_status(self._view, observed, self._memory(), context)
        self._node.report(self._pod, self._status, over=over)

    def _follow_probes(self, observed: Observed, *, stopping: bool = False) -> None:
        running = {status.name: status for status in reversed(observed.running)}
        ip = observed.sandbox.ips[0] if observed.sandbox is not None and observed.sandbox.ips else ""
        if host_network(self._pod) and self._node.settings.host_ips:
            ip = self._node.settings.host_ips[0]
        self._node.probes.follow(
            self._pod,
            running,
            ip=ip,
            wake=self.wake,
            kinds=("readiness",) if stopping else KINDS,
        )

    # A pod that should run

    async def _sync(self) -> float | None:
        observed = await self._observe()
        self._report(observed)
        left_s = self._deadline_left_s()
        if left_s is not None and left_s <= 0:
            self._failure = Failure(
                reason="DeadlineExceeded",
                message="Pod was active on the node longer than the specified deadline",
            )
            self._event("Normal", "DeadlineExceeded", self._failure.message)
            return await self._terminate()
        fault = None if host_network(self._pod) else self._node.network_fault()
        if fault is not None and observed.sandbox is None:
            self._event("Warning", "NetworkNotReady", f"network is not ready: {fault}")
            return CONFIG_RETRY_S
        try:
            inputs = await self._prepare(observed)
        except VolumeFault as error:
            self._event("Warning", "FailedMount", str(error))
            self._failures += 1
            self._report(observed)
            return RETRY_BACKOFF.delay_s(self._failures)
        wake_s = await self._converge(observed, inputs)
        waits = [wait for wait in (wake_s, inputs.refresh_after_s, left_s) if wait is not None]
        return min(waits) if waits else None

    def _deadline_left_s(self) -> float | None:
        seconds = self._pod["spec"].get("activeDeadlineSeconds")
        start = (self._view.get("status") or {}).get("startTime")
        if seconds is None or not start:
            return None
        return float(seconds) - (self._node.clock.now() - parse_rfc3339(start)).total_seconds()

    async def _prepare(self, observed: Observed) -> PodInputs:
        """Have the pod's folders and volumes in place and current."""
        ips = observed.sandbox.ips if observed.sandbox is not None else ()
        inputs = await self._node.inputs(self._pod, ips)
        self._node.paths.pod(self._uid).mkdir(mode=0o750, parents=True, exist_ok=True)
        self._node.paths.pod_logs(self._pod).mkdir(mode=0o755, parents=True, exist_ok=True)
        self._volumes = await asyncio.to_thread(self._node.volumes.set_up, self._pod, inputs.sources)
        return inputs

    async def _converge(self, observed: Observed, inputs: PodInputs) -> float | None:
        """Plan and act until there is nothing to do; return when to look again."""
        for _ in range(ROUNDS_MAX):
            now_s = self._node.clock.now().timestamp()
            plan = plan_sync(self._view, observed, self._memory(), now_s)
            self._note_back_off(plan)
            if not plan.actions:
                self._follow_probes(observed)
                self._report(observed)
                for action in prune(self._pod, observed):
                    await self._act(action, observed, inputs)
                if self._ended:
                    return 0.0
                return plan.wake_after_s
            for action in plan.actions:
                again = await self._act(action, observed, inputs)
                if again:
                    break
            observed = await self._observe()
            self._follow_probes(observed)
            self._report(observed)
            if self._ended:
                return 0.0
            ips = observed.sandbox.ips if observed.sandbox is not None else ()
            if ips and ips != inputs.sources.environment.pod_ips:
                # The environment and downward API files of the containers to come need the address.
                inputs = await self._prepare(observed)
        return 1.0

    def _note_back_off(self, plan: Plan) -> None:
        for name, waiting in plan.waiting.items():
            if self._waiting.get(name) != waiting:
                message = f"Back-off restarting failed container {name} in pod {full_name(self._pod)}"
                self._event("Warning", "BackOff", message, name)
        self._waiting.update(plan.waiting)

    async def _act(self, action: object, observed: Observed, inputs: PodInputs) -> bool:
        """Perform one action; return whether the rest of the plan is void."""
        match action:
            case StopPod():
                await self._stop_all(observed)
                return False
            case CreateSandbox():
                return not await self._create_sandbox(action.attempt)
            case StopContainer():
                await self._stop_container(action, termination_grace_s(self._pod))
            case StartContainer():
                await self._start(action, observed, inputs)
            case RemoveContainer():
                await self._remove_container(action.id)
            case RemoveSandbox():
                await self._node.runtime.remove_sandbox(action.id)
        return False

    # Sandbox

    def _sandbox_config(self, attempt: int) -> SandboxConfig:
        settings = self._node.settings
        return sandbox_config(
            self._pod,
            settings,
            attempt=attempt,
            log_directory=str(self._node.paths.pod_logs(self._pod)),
            cgroup_parent=pod_cgroup(self._pod, settings.cgroup_root),
        )

    async def _create_sandbox(self, attempt: int) -> bool:
        try:
            await self._node.runtime.run_sandbox(self._sandbox_config(attempt))
        except RuntimeFault as fault:
            self._event("Warning", "FailedCreatePodSandBox", f"Failed to create pod sandbox: {fault}")
            raise
        return True

    # Containers

    async def _start(self, action: StartContainer, observed: Observed, inputs: PodInputs) -> None:
        """Bring one container up; a failure becomes its waiting status and a time to try again."""
        container = find_container(self._pod, action.name)
        sandbox = observed.sandbox
        assert container is not None
        assert sandbox is not None

        def event(type: str, reason: str, message: str) -> None:
            self._event(type, reason, message, action.name)

        try:
            present = await self._node.images.ensure(self._pod, container, inputs.pull_secrets, event)
            config_inputs = await self._container_inputs(container, action, sandbox, inputs, present)
            config = container_config(self._pod, container, config_inputs, self._node.settings)
        except ImageFault as fault:
            self._hold(action.name, Waiting(reason=fault.reason, message=fault.message), fault.retry_s)
            return
        except ConfigFault as fault:
            event("Warning", "Failed", f"Error: {fault}")
            self._hold(action.name, Waiting(reason="CreateContainerConfigError", message=str(fault)))
            return
        runtime = self._node.runtime
        try:
            container_id = await runtime.create_container(
                sandbox.id, config, self._sandbox_config(sandbox.attempt)
            )
        except RuntimeFault as fault:
            event("Warning", "Failed", f"Error: {fault.message}")
            self._hold(action.name, Waiting(reason="CreateContainerError", message=fault.message))
            return
        event("Normal", "Created", "Container created")
        if action.restarts is not None:
            self._restarts[action.name] = action.restarts
        try:
            await runtime.start_container(container_id)
        except RuntimeFault as fault:
            event("Warning", "Failed", f"Error: {fault.message}")
            self._waiting[action.name] = Waiting(reason="RunContainerError", message=fault.message)
            return
        event("Normal", "Started", "Container started")
        self._waiting.pop(action.name, None)
        self._retry_at_s.pop(action.name, None)
        await self._post_start(container, container_id, sandbox)

    def _hold(self, name: str, waiting: Waiting, retry_s: float = CONFIG_RETRY_S) -> None:
        self._waiting[name] = waiting
        self._retry_at_s[name] = self._node.clock.now().timestamp() + retry_s

    async def _container_inputs(
        self,
        container: Object,
        action: StartContainer,
        sandbox: Sandbox,
        inputs: PodInputs,
        present: Present,
    ) -> ContainerInputs:
        env = environment(self._pod, container, inputs.sources.environment)
        parts = {
            str(mount["mountPath"]): (mount["name"], subpath)
            for mount in container.get("volumeMounts") or ()
            if (subpath := subpath_of(mount, env)) and mount["name"] in self._volumes
        }
        subpaths: Mapping[str, str] = {}
        if parts:
            subpaths = await asyncio.to_thread(
                self._node.volumes.bind_subpaths, self._pod, container["name"], self._volumes, parts
            )
        mounts = volume_mounts(container, self._volumes, subpaths, read_only(self._pod))
        if not any(mount.container_path == "/etc/hosts" for mount in mounts):
            mounts.append(Mount(container_path="/etc/hosts", host_path=self._write_hosts(sandbox)))
        log = self._node.paths.termination_log(self._uid, container["name"], action.attempt)
        log.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        log.touch()
        log.chmod(0o666)
        target = container.get("targetContainerName")
        target_status = self.observed.latest(target) if target else None
        return ContainerInputs(
            attempt=action.attempt,
            image_ref=present.ref,
            image=present.image,
            environment=env,
            mounts=mounts,
            termination_log=str(log),
            target_id=target_status.id if target_status is not None else "",
        )

    def _write_hosts(self, sandbox: Sandbox) -> str:
        path = self._node.paths.hosts_file(self._uid)
        node_hosts = Path("/etc/hosts").read_text() if host_network(self._pod) else ""
        text = hosts_file(self._pod, self._node.settings, sandbox.ips, node_hosts=node_hosts)
        if not path.exists() or path.read_text() != text:
            # In place: running containers have this very file mounted.
            path.write_text(text)
            path.chmod(0o644)
        return str(path)

    async def _post_start(self, container: Object, container_id: str, sandbox: Sandbox) -> None:
        hook = (container.get("lifecycle") or {}).get("postStart")
        if not hook:
            return
        try:
            await run_hook(self._node.runtime, hook, container, container_id, self._ip_of(sandbox))
        except HookFault as fault:
            self._event("Warning", "FailedPostStartHook", f"PostStartHook failed: {fault}", container["name"])
            stop = StopContainer(id=container_id, name=container["name"], message="FailedPostStartHook")
            await self._stop_container(stop, termination_grace_s(self._pod))
            self._waiting[container["name"]] = Waiting(reason="PostStartHookError", message=str(fault))

    def _ip_of(self, sandbox: Sandbox | None) -> str:
        if sandbox is not None and sandbox.ips:
            return sandbox.ips[0]
        return self._node.settings.host_ips[0] if self._node.settings.host_ips else "127.0.0.1"

    async def _remove_container(self, container_id: str) -> None:
        gone = next((status for status in self.observed.containers if status.id == container_id), None)
        await self._node.runtime.remove_container(container_id)
        if gone is not None:
            log = self._node.paths.container_log(self._pod, gone.name, gone.attempt)
            await asyncio.to_thread(logs.remove, log)
            self._node.paths.termination_log(self._uid, gone.name, gone.attempt).unlink(missing_ok=True)

    # Stopping

    async def _stop_container(self, action: StopContainer, grace_s: int) -> None:
        """Run the preStop hook, then stop, both within the grace period."""
        self._event("Normal", "Killing", action.message, action.name)
        if action.grace_s is not None:
            grace_s = min(grace_s, action.grace_s)
        clock = self._node.clock
        begun_s = clock.monotonic_s()
        container = find_container(self._pod, action.name)
        hook = ((container or {}).get("lifecycle") or {}).get("preStop")
        if container is not None and hook:
            try:
                async with asyncio.timeout(grace_s):
                    ip = self._ip_of(self.observed.sandbox)
                    await run_hook(self._node.runtime, hook, container, action.id, ip)
            except TimeoutError:
                _log.info("preStop hook did not end in time", pod=pod_key(self._pod), container=action.name)
            except HookFault as fault:
                self._event("Warning", "FailedPreStopHook", f"PreStopHook failed: {fault}", action.name)
            grace_s = max(STOP_GRACE_S_MIN, int(grace_s - (clock.monotonic_s() - begun_s)))
        await self._node.runtime.stop_container(action.id, grace_s=grace_s)

    async def _stop_all(self, observed: Observed) -> None:
        """Stop every container, sidecars last, and the sandboxes."""
        deadline_s = self._node.clock.monotonic_s() + termination_grace_s(self._pod)
        for number, wave in enumerate(plan_stop(self._pod, observed)):
            left_s = max(STOP_GRACE_S_MIN, int(deadline_s - self._node.clock.monotonic_s()))
            grace_s = termination_grace_s(self._pod) if number == 0 else left_s
            async with asyncio.TaskGroup() as group:
                for action in wave.containers:
                    group.create_task(self._stop_container(action, grace_s))
        for sandbox in observed.sandboxes:
            if sandbox.ready:
                await self._node.runtime.stop_sandbox(sandbox.id)

    async def _terminate(self) -> float | None:
        """Stop what runs, give back what was used, and say so. Repeating it is harmless."""
        observed = await self._observe()
        self._follow_probes(observed, stopping=True)
        if not self._removed:
            self._report(observed)
        try:
            await self._stop_all(observed)
        except* RuntimeFault as group:
            raise RuntimeFault("; ".join(str(fault) for fault in group.exceptions)) from group
        observed = await self._observe()
        self._node.probes.drop(self._uid)
        self._report_stopped(observed, over=False)
        await asyncio.to_thread(self._node.volumes.tear_down, self._uid)
        cgroup = pod_cgroup(self._pod, self._node.settings.cgroup_root)
        await asyncio.to_thread(remove_cgroup, cgroup)
        self._over = self._removed or bool(self._pod["metadata"].get("deletionTimestamp"))
        if self._over:
            self._report_stopped(observed, over=True)
        return None

    def _report_stopped(self, observed: Observed, *, over: bool) -> None:
        if not self._removed:
            self._report(observed, stopped=True, over=over)

    async def _forget(self) -> None:
        """Remove the last traces: sandboxes with their dead containers, logs, folders."""
        runtime = self._node.runtime
        for sandbox in await runtime.list_sandboxes(pod_uid=self._uid):
            await runtime.stop_sandbox(sandbox.id)
            await runtime.remove_sandbox(sandbox.id)
        for container in await runtime.list_containers(pod_uid=self._uid):
            await runtime.remove_container(container.id)
        await asyncio.to_thread(self._node.volumes.tear_down, self._uid)
        folders = [*self._node.paths.logs.glob(f"*_{self._uid}"), self._node.paths.pod(self._uid)]
        for folder in folders:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        self._node.images.forget(self._uid)

    def _event(self, type: str, reason: str, message: str, container: str = "") -> None:
        self._node.event(self._pod, type, reason, message, container)


def _deletion_grace(pod: Object) -> int | None:
    grace = pod["metadata"].get("deletionGracePeriodSeconds")
    return None if grace is None else int(grace)
