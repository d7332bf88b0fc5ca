"""A control plane with simulated nodes for `bench.controllers`, and what its processes spend.

Its processes are those of `podium up --simulate N --nodes 0`, with two differences that let the work be told
apart: every controller works under its own service account, and the API server keeps an audit log.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import orjson

from bench.api_load import Process
from podium.cmd import components, layout, up
from podium.cmd.supervisor import Component

READY_WITHIN_S = 60.0
STEP_S = 0.25
CALM_S = 1.0
CALM_SHARE = 0.1
POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
}
WRITES = frozenset(("create", "update", "patch", "delete", "deletecollection"))
_ACCOUNT = "system:serviceaccount:kube-system:"


@dataclass(frozen=True, slots=True)
class Asked:
    """One sort of request: who, what, of which resource (`pods/status`, `deployments`)."""

    who: str
    verb: str
    resource: str

    @property
    def writes(self) -> bool:
        return self.verb in WRITES

    @property
    def heartbeat(self) -> bool:
        """It comes by the clock, whatever happens: leases, and nodes' own status."""
        return self.resource == "leases" or (self.who == SIMULATED and self.resource.startswith("nodes"))


SIMULATED = "simulated kubelets"
BENCH = "bench"


class AuditLog:
    """The requests that an API server has answered, counted as its audit log grows."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[bytes] | None = None
        self._rest = b""
        self.counts: Counter[Asked] = Counter()
        self.refused: Counter[tuple[Asked, int]] = Counter()
        """Those that were answered with an error, by its code; they are among `counts`."""

    def read(self) -> int:
        """Take in what has been written since; return how many writes that were no heartbeats it names."""
        if self._file is None:
            try:
                self._file = self._path.open("rb")
            except FileNotFoundError:
                return 0
        *lines, self._rest = (self._rest + self._file.read()).split(b"\n")
        writes = 0
        for line in lines:
            event = orjson.loads(line)
            asked, code = _asked(event), event.get("responseStatus", {}).get("code", 0)
            if asked.verb == "watch" and event["stage"] != "ResponseStarted":
                continue
            self.counts[asked] += 1
            if code >= 400:
                self.refused[asked, code] += 1
            writes += asked.writes and not asked.heartbeat
        return writes


def _asked(event: Mapping[str, object]) -> Asked:
    about = event.get("objectRef")
    user = event["user"]
    assert isinstance(user, dict)
    name = str(user.get("username"))
    who = name.removeprefix(_ACCOUNT).removeprefix("system:")
    agent = str(event.get("userAgent"))
    if agent == "podium-simulate":
        who = SIMULATED
    elif agent.startswith("podium-bench"):
        who = BENCH
    resource = str(event.get("requestURI", "")).partition("?")[0]
    if isinstance(about, dict) and about.get("resource"):
        resource = str(about["resource"])
        if about.get("subresource"):
            resource += f"/{about['subresource']}"
    return Asked(who, str(event["verb"]), resource)


@dataclass(slots=True, kw_only=True)
class ControlPlane:
    """A running one."""

    cluster: layout.Cluster
    processes: dict[str, Process]
    audit: AuditLog
    logs: Path

    def cpu_s(self) -> dict[str, float]:
        return {name: process.cpu_s() for name, process in self.processes.items()}


@dataclass(slots=True, kw_only=True)
class Spent:
    """What happened between two moments."""

    seconds: float
    cpu_s: Mapping[str, float]
    requests: Counter[Asked] = field(default_factory=Counter)
    refused: Counter[tuple[Asked, int]] = field(default_factory=Counter)


class Meter:
    """Measures from its making on."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane
        plane.audit.read()
        self._counts, self._refused = Counter(plane.audit.counts), Counter(plane.audit.refused)
        self._cpu_s = plane.cpu_s()
        self._since_s = self._last_write_s = time.monotonic()

    def until_quiet(self, done: Callable[[], bool], *, quiet_s: float, timeout_s: float) -> Spent:
        """Return what was spent until the last write, once `done` and nobody has written for a while."""
        deadline_s = time.monotonic() + timeout_s
        while True:
            now_s = time.monotonic()
            if self._plane.audit.read():
                self._last_write_s = now_s
            elif now_s - self._last_write_s > quiet_s and done():
                return self.spent(self._last_write_s)
            if now_s > deadline_s:
                raise TimeoutError("the cluster did not settle")
            time.sleep(STEP_S)

    def spent(self, until_s: float | None = None) -> Spent:
        now, audit = self._plane.cpu_s(), self._plane.audit
        audit.read()
        return Spent(
            seconds=(time.monotonic() if until_s is None else until_s) - self._since_s,
            cpu_s={name: now[name] - before for name, before in self._cpu_s.items()},
            requests=audit.counts - self._counts,
            refused=audit.refused - self._refused,
        )


@contextlib.contextmanager
def control_plane(folder: Path, *, nodes: int, cloud: bool = False) -> Iterator[ControlPlane]:
    """Run a control plane and `nodes` simulated nodes, with all state below `folder`."""
    cluster = layout.prepare(
        folder / "cluster", name="bench", port=_free_port(), nodes=0, simulated_nodes=nodes
    )
    up.prepare(cluster)
    policy, log = folder / "policy.yaml", folder / "audit.log"
    policy.write_text(json.dumps(POLICY))
    apiserver = components.apiserver(cluster)
    audited = [f"--audit-policy-file={policy}", f"--audit-log-path={log}"]
    with contextlib.ExitStack() as stack:
        processes = {
            "kube-apiserver": stack.enter_context(_running(apiserver, cluster, *audited)),
        }
        audit = AuditLog(log)
        _wait(lambda: _accepts(cluster.port), "kube-apiserver")
        parts = [components.scheduler(cluster)]
        if nodes:
            parts.append(components.simulated_nodes(cluster))
        if cloud:
            parts.append(components.cloud_controller_manager(cluster))
        manager = components.controller_manager(cluster)
        processes[manager.name] = stack.enter_context(
            _running(manager, cluster, "--use-service-account-credentials=true")
        )
        for part in parts:
            processes[part.name] = stack.enter_context(_running(part, cluster))
        registered = Asked(SIMULATED, "create", "leases")

        def all_there() -> bool:
            audit.read()
            return audit.counts[registered] >= nodes

        _wait(all_there, "the simulated nodes")
        plane = ControlPlane(cluster=cluster, processes=processes, audit=audit, logs=cluster.log_dir)
        _wait_calm(plane)
        yield plane


@contextlib.contextmanager
def _running(component: Component, cluster: layout.Cluster, *flags: str) -> Iterator[Process]:
    with (cluster.log_dir / f"{component.name}.log").open("wb") as output:
        command = [*component.command, *flags]
        process = subprocess.Popen(command, stdout=output, stderr=output, env=_environment())
    try:
        yield Process(pid=process.pid)
        if process.poll() is not None:
            raise RuntimeError(f"{component.name} ended by itself; see {cluster.log_dir}")
    finally:
        process.terminate()
        process.wait(timeout=20)


def _environment() -> dict[str, str]:
    """Return an environment in which modules are compiled once, not by each process."""
    environment = dict(os.environ)
    if environment.pop("PYTHONDONTWRITEBYTECODE", None):
        environment["PYTHONPYCACHEPREFIX"] = str(layout.base_dir() / "bytecode")
    return environment


def _wait_calm(plane: ControlPlane) -> None:
    """Return once starting is over: nobody writes, and no process works."""
    deadline_s = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < deadline_s:
        before = plane.cpu_s()
        time.sleep(CALM_S)
        busy_s = max(now - before[name] for name, now in plane.cpu_s().items())
        if not plane.audit.read() and busy_s < CALM_SHARE * CALM_S:
            return
    raise RuntimeError("the control plane does not come to rest")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _accepts(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def _wait(check: Callable[[], bool], what: str) -> None:
    deadline_s = time.monotonic() + READY_WITHIN_S
    while not check():
        if time.monotonic() > deadline_s:
            raise RuntimeError(f"{what} did not become ready")
        time.sleep(0.02)
