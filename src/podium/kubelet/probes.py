"""Startup, liveness and readiness probes: one task for each probe of each running container.

A probe's verdict changes only after its thresholds; a change wakes the pod's worker, and nothing polls.
Verdicts are kept by container id, so a restarted container starts afresh.
"""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from podium.base.clock import Clock
from podium.kubelet.cri.runtime import ContainerStatus, Runtime, RuntimeFault
from podium.kubelet.pods import all_containers, host_network, is_sidecar, ns_time, pod_uid
from podium.machinery.errors import Object

Kind = Literal["startup", "liveness", "readiness"]
KINDS: tuple[Kind, ...] = ("startup", "liveness", "readiness")
BODY_BYTES_MAX = 10 * 1024
USER_AGENT = "kube-probe/1.36"
ATTEMPTS = 3
"""How often one probe run is tried when the attempt itself (not the probed thing) fails."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one attempt found. `unknown`: the attempt itself failed, which says nothing of the container."""

    success: bool
    output: str = ""
    unknown: bool = False


@dataclass(slots=True, kw_only=True)
class Verdicts:
    """What the probes of one pod say, by container id."""

    ready: dict[str, bool] = field(default_factory=dict)
    started: dict[str, bool] = field(default_factory=dict)
    failing: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class _Pod:
    verdicts: Verdicts = field(default_factory=Verdicts)
    tasks: dict[tuple[str, Kind], asyncio.Task[None]] = field(default_factory=dict)
    wake: Callable[[], None] = lambda: None


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a probe is aimed at."""

    pod: Object
    container: Object
    status: ContainerStatus
    kind: Kind
    ip: str


EventSink = Callable[[Object, str, str, str, str], None]
"""Record (pod, type, reason, message, container)."""


class Probes:
    """All probes of this node."""

    def __init__(self, runtime: Runtime, clock: Clock, event: EventSink) -> None:
        self._runtime = runtime
        self._clock = clock
        self._event = event
        self._pods: dict[str, _Pod] = {}

    def verdicts(self, uid: str) -> Verdicts:
        pod = self._pods.get(uid)
        return pod.verdicts if pod is not None else Verdicts()

    def seed(self, uid: str, *, ready: set[str], started: set[str]) -> None:
        """Take the verdicts of an earlier kubelet, by container id, until there are newer ones.

        Else every pod of the node would be unready, and out of its services, each time a kubelet starts.
        """
        verdicts = self._pods.setdefault(uid, _Pod()).verdicts
        verdicts.ready |= dict.fromkeys(ready, True)
        verdicts.started |= dict.fromkeys(started, True)

    def follow(
        self,
        pod: Object,
        running: Mapping[str, ContainerStatus],
        *,
        ip: str,
        wake: Callable[[], None],
        kinds: tuple[Kind, ...] = KINDS,
    ) -> None:
        """Probe exactly the given running containers of a pod, `kinds` only."""
        entry = self._pods.setdefault(pod_uid(pod), _Pod())
        entry.wake = wake
        wanted: dict[tuple[str, Kind], Target] = {}
        for container in all_containers(pod):
            status = running.get(container["name"])
            if status is None or (_is_plain_init(pod, container)):
                continue
            for kind in kinds:
                if container.get(f"{kind}Probe"):
                    target = Target(pod=pod, container=container, status=status, kind=kind, ip=ip)
                    wanted[status.id, kind] = target
        for key in [key for key in entry.tasks if key not in wanted]:
            entry.tasks.pop(key).cancel()
        for key, target in wanted.items():
            if key not in entry.tasks:
                entry.tasks[key] = asyncio.create_task(self._run(entry, target))
        self._forget_dead(entry, {status.id for status in running.values()})

    def _forget_dead(self, entry: _Pod, alive: set[str]) -> None:
        verdicts = entry.verdicts
        for table in (verdicts.ready, verdicts.started, verdicts.failing):
            for container_id in [key for key in table if key not in alive]:
                table.pop(container_id, None)

    def drop(self, uid: str) -> None:
        """Stop probing a pod."""
        entry = self._pods.pop(uid, None)
        if entry is not None:
            for task in entry.tasks.values():
                task.cancel()

    def close(self) -> None:
        for uid in list(self._pods):
            self.drop(uid)

    async def _run(self, entry: _Pod, target: Target) -> None:
        probe = target.container[f"{target.kind}Probe"]
        period_s = max(1, int(probe.get("periodSeconds") or 10))
        age_s = (self._clock.now() - ns_time(target.status.started_at_ns)).total_seconds()
        await self._clock.sleep(max(0.0, int(probe.get("initialDelaySeconds") or 0) - age_s))
        if age_s > period_s:
            # After a restart of the kubelet, do not probe every container of the node at once.
            await self._clock.sleep(random.random() * min(period_s, 1))
        successes = failures = 0
        while True:
            gated = target.kind != "startup" and target.container.get("startupProbe")
            if gated and not entry.verdicts.started.get(target.status.id):
                await self._clock.sleep(min(1.0, period_s))
                continue
            outcome = await self._attempts(target, probe)
            if not outcome.unknown:
                successes, failures = (successes + 1, 0) if outcome.success else (0, failures + 1)
                if not outcome.success:
                    self._report(target, outcome)
                if self._judge(entry, target, probe, successes, failures):
                    entry.wake()
                if target.kind == "startup" and entry.verdicts.started.get(target.status.id):
                    return
                if target.status.id in entry.verdicts.failing:
                    return
            await self._clock.sleep(period_s)

    async def _attempts(self, target: Target, probe: Object) -> Outcome:
        outcome = Outcome(success=False, unknown=True)
        for _ in range(ATTEMPTS):
            outcome = await attempt(self._runtime, target, probe)
            if not outcome.unknown:
                return outcome
        return outcome

    def _report(self, target: Target, outcome: Outcome) -> None:
        message = f"{target.kind.capitalize()} probe failed: {outcome.output}"
        self._event(target.pod, "Warning", "Unhealthy", message, target.container["name"])

    def _judge(self, entry: _Pod, target: Target, probe: Object, successes: int, failures: int) -> bool:
        """Enter the verdict once a threshold is reached; return whether it is news."""
        verdicts, container_id = entry.verdicts, target.status.id
        success_threshold = int(probe.get("successThreshold") or 1)
        failure_threshold = int(probe.get("failureThreshold") or 3)
        if successes >= success_threshold:
            table = {"readiness": verdicts.ready, "startup": verdicts.started}.get(target.kind)
            if table is None or table.get(container_id):
                return False
            table[container_id] = True
            return True
        if failures >= failure_threshold:
            if target.kind == "readiness":
                news = verdicts.ready.get(container_id) is not False
                verdicts.ready[container_id] = False
                return news
            verdicts.failing[container_id] = target.kind
            return True
        return False


def _is_plain_init(pod: Object, container: Object) -> bool:
    inits = pod["spec"].get("initContainers") or ()
    return any(init is container for init in inits) and not is_sidecar(container)


async def attempt(runtime: Runtime, target: Target, probe: Object) -> Outcome:
    """Run a probe's action once, bounded by its timeout."""
    timeout_s = max(1, int(probe.get("timeoutSeconds") or 1))
    host = _probe_host(target)
    if action := probe.get("exec"):
        return await _exec(runtime, target.status.id, action.get("command") or (), timeout_s)
    if action := probe.get("httpGet"):
        return await _bounded(
            http_get(action, target.container, host), timeout_s, _http_words(action, target, host)
        )
    if action := probe.get("tcpSocket"):
        port = port_number(action.get("port"), target.container)
        address = str(action.get("host") or host)
        return await _bounded(_tcp(address, port), timeout_s, f"dial tcp {address}:{port}: i/o timeout")
    if action := probe.get("grpc"):
        words = f'timeout: failed to connect service "{host}:{action["port"]}" within {timeout_s}s'
        return await _bounded(_grpc(host, action), timeout_s, words)
    return Outcome(success=False, unknown=True)


def _probe_host(target: Target) -> str:
    return target.ip or ("127.0.0.1" if host_network(target.pod) else "")


def _http_words(action: Object, target: Target, host: str) -> str:
    scheme = str(action.get("scheme") or "HTTP").lower()
    port = port_number(action.get("port"), target.container)
    url = f"{scheme}://{action.get('host') or host}:{port}{_path(action)}"
    return f'Get "{url}": context deadline exceeded (Client.Timeout exceeded while awaiting headers)'


async def _bounded(work: Awaitable[Outcome], timeout_s: float, late: str) -> Outcome:
    try:
        async with asyncio.timeout(timeout_s):
            return await work
    except TimeoutError:
        return Outcome(success=False, output=late)
    except ssl.SSLError as error:
        return Outcome(success=False, output=str(error))
    except OSError as error:
        return Outcome(success=False, output=_dial_words(error))


def _dial_words(error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "connect: connection refused"
    if isinstance(error, ConnectionResetError):
        return "read: connection reset by peer"
    return str(error.strerror or error).lower()


async def _exec(runtime: Runtime, container_id: str, command: Any, timeout_s: float) -> Outcome:
    try:
        result = await runtime.exec_sync(container_id, [str(word) for word in command], timeout_s=timeout_s)
    except RuntimeFault as fault:
        if fault.code == "DEADLINE_EXCEEDED":
            text = f'command timed out: "{" ".join(command)}" timed out after {int(timeout_s)}s'
            return Outcome(success=False, output=text)
        return Outcome(success=False, output=str(fault), unknown=True)
    output = (result.stdout + result.stderr)[:BODY_BYTES_MAX].decode(errors="replace")
    return Outcome(success=result.exit_code == 0, output=output)


def port_number(port: object, container: Object) -> int:
    """Return a port given by number, or by the name of one of the container's ports; 0 when unknown."""
    if isinstance(port, int):
        return port
    text = str(port or "")
    if text.isdigit():
        return int(text)
    for declared in container.get("ports") or ():
        if declared.get("name") == text:
            return int(declared["containerPort"])
    return 0


def _path(action: Object) -> str:
    path = str(action.get("path") or "/")
    return path if path.startswith("/") else f"/{path}"


async def http_get(action: Object, container: Object, default_host: str) -> Outcome:
    """GET as the probe says; any status from 200 to 399 is a success. Raises OSError, ssl.SSLError."""
    port = port_number(action.get("port"), container)
    host = str(action.get("host") or default_host)
    context = None
    if str(action.get("scheme") or "HTTP").upper() == "HTTPS":
        # As upstream's: the probe asks whether the container answers, not who it is.
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    headers = {"Host": f"{host}:{port}", "User-Agent": USER_AGENT, "Accept": "*/*", "Connection": "close"}
    for header in action.get("httpHeaders") or ():
        headers[str(header["name"])] = str(header.get("value") or "")
    head = f"GET {_path(action)} HTTP/1.1\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in headers.items()) + "\r\n"
    reader, writer = await asyncio.open_connection(host, port, ssl=context)
    try:
        writer.write(head.encode("latin-1", "replace"))
        answer = await _read_limited(reader)
    finally:
        writer.close()
    status_line, _, rest = answer.partition(b"\r\n")
    parts = status_line.split(b" ", 2)
    if len(parts) < 2 or not parts[1].isdigit():
        return Outcome(success=False, output="malformed HTTP response")
    status = int(parts[1])
    body = rest.partition(b"\r\n\r\n")[2].decode(errors="replace")
    if 200 <= status < 400:
        return Outcome(success=True, output=body)
    return Outcome(success=False, output=f"HTTP probe failed with statuscode: {status}")


async def _read_limited(reader: asyncio.StreamReader) -> bytes:
    """Read the answer's beginning: enough for the head and some of the body."""
    answer = b""
    while len(answer) < BODY_BYTES_MAX:
        chunk = await reader.read(BODY_BYTES_MAX - len(answer))
        if not chunk:
            break
        answer += chunk
        if b"\r\n\r\n" in answer:
            break
    return answer


async def _tcp(host: str, port: int) -> Outcome:
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError as error:
        return Outcome(success=False, output=f"dial tcp {host}:{port}: {_dial_words(error)}")
    writer.close()
    return Outcome(success=True)


async def _grpc(host: str, action: Object) -> Outcome:
    """Ask grpc.health.v1.Health/Check. The two messages are small enough to be written by hand."""
    import grpc.aio  # noqa: PLC0415

    service = str(action.get("service") or "").encode()
    request = b"\x0a" + bytes([len(service)]) + service if service else b""
    async with grpc.aio.insecure_channel(f"{host}:{action['port']}") as channel:
        check: Any = channel.unary_unary("/grpc.health.v1.Health/Check", None, None)
        try:
            answer: bytes = await check(request)
        except grpc.aio.AioRpcError as error:
            return Outcome(success=False, output=f"error: health rpc failed: {error.details()}")
    serving = answer == b"\x08\x01"
    return Outcome(
        success=serving, output="" if serving else "service unhealthy (responded with NOT_SERVING)"
    )
