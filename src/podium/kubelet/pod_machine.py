"""What to do next for one pod: a pure function of the wanted pod, the runtime's state and what is remembered.

`plan_sync` is for a pod that should run, `plan_stop` for one that should not. The worker (`pod_worker`)
performs the actions and asks again; `pod_status` says how the same state looks in the API.

The rules are upstream's (pkg/kubelet/kuberuntime): init containers one after the other, sidecars (init
containers with restartPolicy Always) before them and beside the rest, a new sandbox when the old one died,
restarts by policy with a back-off that doubles.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from podium.base.backoff import Backoff
from podium.kubelet.cri.runtime import ContainerStatus, Sandbox
from podium.kubelet.pods import (
    containers,
    ephemeral_containers,
    full_name,
    host_network,
    init_containers,
    is_sidecar,
    restart_policy,
)
from podium.machinery.errors import Object

RESTART_BACKOFF = Backoff(initial_s=10, max_s=300)
RESTART_FORGET_S = 2 * RESTART_BACKOFF.max_s
"""A container that ran this long since its last restart starts over with the shortest back-off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Why a container does not run, as its status shows it."""

    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restarts:
    """One container's restarts in a row."""

    count: int
    last_s: float
    """When the last one was allowed, in seconds since the epoch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What the runtime holds for one pod."""

    sandboxes: tuple[Sandbox, ...] = ()
    """Newest first; the first with its status (addresses)."""
    containers: tuple[ContainerStatus, ...] = ()
    """Every attempt of every container, newest first."""

    @property
    def sandbox(self) -> Sandbox | None:
        return self.sandboxes[0] if self.sandboxes else None

    def latest(self, name: str) -> ContainerStatus | None:
        return next((status for status in self.containers if status.name == name), None)

    def attempts(self, name: str) -> list[ContainerStatus]:
        return [status for status in self.containers if status.name == name]

    @property
    def running(self) -> list[ContainerStatus]:
        return [status for status in self.containers if status.state == "running"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """What is known of a pod beside the runtime's state; all of it may be lost without harm."""

    waiting: Mapping[str, Waiting] = field(default_factory=dict)
    """By container name: why the last attempt to start it failed."""
    restarts: Mapping[str, Restarts] = field(default_factory=dict)
    ready: Mapping[str, bool] = field(default_factory=dict)
    """Readiness probe results by container id."""
    started: Mapping[str, bool] = field(default_factory=dict)
    """Startup probe results by container id."""
    failing: Mapping[str, str] = field(default_factory=dict)
    """Containers by id whose "liveness" or "startup" probe gave up on them."""
    retry_at_s: Mapping[str, float] = field(default_factory=dict)
    """By container name: not to be tried again before this moment (image pulls that failed)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateSandbox:
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StopPod:
    """Stop every container and the sandbox, because the pod gets a new one or needs none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StopContainer:
    id: str
    name: str
    message: str
    grace_s: int | None = None
    """None means the pod's own grace period."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartContainer:
    name: str
    attempt: int
    restarts: Restarts | None = None
    """What to remember when the start is made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveContainer:
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveSandbox:
    id: str


Action = CreateSandbox | StopPod | StopContainer | StartContainer | RemoveContainer | RemoveSandbox


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to do now, in order, and when to look again although nothing happened."""

    actions: tuple[Action, ...] = ()
    waiting: Mapping[str, Waiting] = field(default_factory=dict)
    """Containers held back by the restart back-off."""
    wake_after_s: float | None = None


def plan_sync(pod: Object, observed: Observed, memory: Memory, now_s: float) -> Plan:
    """Return what a pod that should run needs now."""
    need = _sandbox_needed(pod, observed)
    if need is not None:
        return _plan_new_sandbox(pod, observed, need)
    return _Planner(pod, observed, memory, now_s).plan()


def _sandbox_needed(pod: Object, observed: Observed) -> int | None:
    """Return the attempt number of the sandbox to create, None when the present one serves."""
    newest = observed.sandbox
    if newest is None:
        return 0
    ready = [sandbox for sandbox in observed.sandboxes if sandbox.ready]
    if len(ready) > 1 or not newest.ready:
        return newest.attempt + 1
    if newest.host_network != host_network(pod):
        return newest.attempt + 1
    if not host_network(pod) and not newest.ips:
        return newest.attempt + 1
    return None


def _plan_new_sandbox(pod: Object, observed: Observed, attempt: int) -> Plan:
    stop: tuple[Action, ...] = (StopPod(),) if observed.sandboxes else ()
    policy = restart_policy(pod)
    if policy == "Never" and attempt > 0 and observed.containers:
        return Plan(actions=stop if observed.running or _any_ready(observed) else ())
    if observed.containers and not _unfinished(pod, observed):
        return Plan(actions=stop if observed.running or _any_ready(observed) else ())
    return Plan(actions=(*stop, CreateSandbox(attempt=attempt)))


def _any_ready(observed: Observed) -> bool:
    return any(sandbox.ready for sandbox in observed.sandboxes)


def _unfinished(pod: Object, observed: Observed) -> bool:
    """Say whether a container of the pod has still to run (again)."""
    if not any(observed.latest(container["name"]) for container in containers(pod)):
        return True
    return any(
        should_run(pod, container, observed.latest(container["name"])) for container in containers(pod)
    )


def should_run(pod: Object, container: Object, status: ContainerStatus | None) -> bool:
    """Say whether a container that does not run should be started (upstream's restart rule)."""
    if pod["metadata"].get("deletionTimestamp"):
        return False
    if status is None or status.state in ("created", "unknown"):
        return True
    if status.state == "running":
        return False
    policy = str(container.get("restartPolicy") or restart_policy(pod))
    return policy == "Always" or (policy == "OnFailure" and status.exit_code != 0)


class _Planner:
    """One round of planning for a pod whose sandbox serves; collects actions as it goes."""

    def __init__(self, pod: Object, observed: Observed, memory: Memory, now_s: float) -> None:
        self.pod = pod
        self.observed = observed
        self.memory = memory
        self.now_s = now_s
        self.actions: list[Action] = []
        self.waiting: dict[str, Waiting] = {}
        self.wakes: list[float] = []
        sandbox = observed.sandbox
        assert sandbox is not None
        self.here = {
            status.name: status
            for status in reversed(observed.containers)
            if status.sandbox_id in ("", sandbox.id)
        }
        """The newest attempt of each container in the present sandbox: a new sandbox initialises anew."""

    def plan(self) -> Plan:
        for container in ephemeral_containers(self.pod):
            if self.observed.latest(container["name"]) is None:
                self.start(container)
        verdict = self.initialise()
        if verdict == "failed":
            return Plan(actions=(StopPod(),) if self.observed.running or _any_ready(self.observed) else ())
        if verdict == "done" and not self.run_main():
            # Every container is over and none comes back: sidecars and sandbox have no purpose left.
            return Plan(actions=(StopPod(),))
        return Plan(
            actions=tuple(self.actions),
            waiting=self.waiting,
            wake_after_s=max(0.0, min(self.wakes)) if self.wakes else None,
        )

    def initialise(self) -> str:
        """Drive the init containers; return "done", "busy", or "failed" for good."""
        every = init_containers(self.pod)
        initialised = any(container["name"] in self.here for container in containers(self.pod))
        progress = max((i for i, c in enumerate(every) if c["name"] in self.here), default=-1)
        verdict = "done"
        for index, container in enumerate(every):
            status = self.here.get(container["name"])
            passed = initialised or index < progress
            if is_sidecar(container):
                up = self.keep_sidecar(container, status)
                if not up and not passed:
                    return "busy"
                continue
            if passed:
                continue
            if status is not None and status.state == "exited" and status.exit_code == 0:
                continue
            if status is not None and status.state == "running":
                return "busy"
            if status is not None and status.state == "exited" and restart_policy(self.pod) == "Never":
                return "failed"
            self.start(container)
            return "busy"
        return verdict

    def keep_sidecar(self, container: Object, status: ContainerStatus | None) -> bool:
        """Start, restart or leave a sidecar; return whether those after it may start."""
        if status is None or status.state != "running":
            self.start(container)
            return False
        if self.stop_if_failing(container, status):
            self.start(container)
            return False
        return is_started(container, status, self.memory)

    def run_main(self) -> bool:
        """Start, restart or leave the regular containers; return False when all are over for good."""
        kept = 0
        for container in containers(self.pod):
            status = self.observed.latest(container["name"])
            if status is None or status.state != "running":
                if should_run(self.pod, container, status):
                    self.start(container)
                    kept += 1
                continue
            if not self.stop_if_failing(container, status):
                kept += 1
            elif str(container.get("restartPolicy") or restart_policy(self.pod)) != "Never":
                # It is dead by the time it is started again: the plan made then has the back-off.
                kept += 1
        return kept > 0

    def stop_if_failing(self, container: Object, status: ContainerStatus) -> bool:
        """Plan to stop a running container that its probes or a changed image condemn."""
        restarts = str(container.get("restartPolicy") or restart_policy(self.pod)) != "Never"
        probe = self.memory.failing.get(status.id)
        if probe is not None:
            message = f"Container {container['name']} failed {probe} probe"
            grace = (container.get(f"{probe}Probe") or {}).get("terminationGracePeriodSeconds")
        elif image_changed(container, status):
            message, grace, restarts = f"Container {container['name']} definition changed", None, True
        else:
            return False
        if restarts:
            message += ", will be restarted"
        self.actions.append(
            StopContainer(
                id=status.id,
                name=container["name"],
                message=message,
                grace_s=None if grace is None else int(grace),
            )
        )
        return True

    def start(self, container: Object) -> None:
        """Plan to start a container, unless its back-off holds it."""
        name = container["name"]
        if any(isinstance(action, StopContainer) and action.name == name for action in self.actions):
            return
        retry_at_s = self.memory.retry_at_s.get(name, 0.0)
        if retry_at_s > self.now_s:
            self.wakes.append(retry_at_s - self.now_s)
            return
        latest = self.observed.latest(name)
        if latest is None:
            self.actions.append(StartContainer(name=name, attempt=self.first_attempt(name)))
            return
        held_s, restarts = back_off(latest, self.memory.restarts.get(name), self.now_s)
        if held_s > 0:
            delay = int(RESTART_BACKOFF.delay_s(restarts.count))
            self.waiting[name] = Waiting(
                reason="CrashLoopBackOff",
                message=f"back-off {duration(delay)} restarting failed container={name} "
                f"pod={full_name(self.pod)}",
            )
            self.wakes.append(held_s)
            return
        self.actions.append(StartContainer(name=name, attempt=latest.attempt + 1, restarts=restarts))

    def first_attempt(self, name: str) -> int:
        """Return the attempt's number where the runtime has forgotten earlier ones (a reboot)."""
        status = self.pod.get("status") or {}
        for field_name in ("containerStatuses", "initContainerStatuses"):
            for known in status.get(field_name) or ():
                if known["name"] == name and known.get("containerID"):
                    return int(known.get("restartCount") or 0) + 1
        return 0


def back_off(latest: ContainerStatus, restarts: Restarts | None, now_s: float) -> tuple[float, Restarts]:
    """Return how long a restart is still held, and what to remember.

    Held: the present `Restarts`. Free: the next one. The first restart is free at once, the second is
    held 10 s after the exit, the third 20 s, up to 300 s.
    """
    finished_s = latest.finished_at_ns / 1e9
    if restarts is None or finished_s - restarts.last_s > RESTART_FORGET_S:
        return 0.0, Restarts(count=1, last_s=now_s)
    held_s = finished_s + RESTART_BACKOFF.delay_s(restarts.count) - now_s
    if held_s > 0:
        return held_s, restarts
    return 0.0, Restarts(count=restarts.count + 1, last_s=now_s)


def duration(seconds: int) -> str:
    """Return seconds as Go prints a duration: `10s`, `1m20s`, `5m0s`."""
    minutes, rest = divmod(seconds, 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


def is_started(container: Object, status: ContainerStatus, memory: Memory) -> bool:
    """Say whether a container runs and its startup probe, if it has one, has succeeded."""
    if status.state != "running":
        return False
    return not container.get("startupProbe") or memory.started.get(status.id, False)


def is_ready(container: Object, status: ContainerStatus, memory: Memory) -> bool:
    if not is_started(container, status, memory):
        return False
    return not container.get("readinessProbe") or memory.ready.get(status.id, False)


IMAGE_ANNOTATION = "podium.dev/container-image"
"""The image a container was asked for, kept with it so that a change in the pod's spec shows."""


def image_changed(container: Object, status: ContainerStatus) -> bool:
    recorded = status.annotations.get(IMAGE_ANNOTATION)
    return recorded is not None and recorded != container.get("image")


def prune(pod: Object, observed: Observed) -> tuple[Action, ...]:
    """Return what is dead and of no more use: all attempts but the last two of each container (the last
    dead one serves `logs --previous`), and sandboxes but the newest."""
    actions: list[Action] = []
    names = {status.name for status in observed.containers}
    for name in sorted(names):
        dead = [status for status in observed.attempts(name) if status.state in ("exited", "unknown")]
        keep = 1 if (newest := observed.latest(name)) and newest.state in ("running", "created") else 2
        actions += [RemoveContainer(id=status.id) for status in dead[keep:]]
    kept = {status.sandbox_id for status in observed.containers}
    for sandbox in observed.sandboxes[1:]:
        if not sandbox.ready and sandbox.id not in kept:
            actions.append(RemoveSandbox(id=sandbox.id))
    return tuple(actions)


@dataclass(frozen=True, slots=True, kw_only=True)
class StopWave:
    """Containers that are stopped together."""

    containers: tuple[StopContainer, ...]


def plan_stop(pod: Object, observed: Observed) -> tuple[StopWave, ...]:
    """Return how to stop all that runs: everything but sidecars at once, then sidecars, last one first."""
    sidecars = [container["name"] for container in init_containers(pod) if is_sidecar(container)]

    def stop(status: ContainerStatus) -> StopContainer:
        return StopContainer(id=status.id, name=status.name, message=f"Stopping container {status.name}")

    alive = [status for status in observed.containers if status.state in ("running", "unknown")]
    waves = [tuple(stop(status) for status in alive if status.name not in sidecars)]
    waves += [tuple(stop(status) for status in alive if status.name == name) for name in reversed(sidecars)]
    return tuple(StopWave(containers=wave) for wave in waves if wave)


def with_waiting(memory: Memory, waiting: Mapping[str, Waiting]) -> Memory:
    """Return `memory` with the back-offs of a plan laid over it."""
    return replace(memory, waiting={**memory.waiting, **waiting}) if waiting else memory
