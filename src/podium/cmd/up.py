"""`podium up`: from a state directory to a cluster that is ready.

`up` makes credentials and hands over to a background process, the supervisor, which starts the components,
waits until each does its work, and then keeps them alive. The lock on the state directory is held for as
long as that process lives; everything else about the cluster is found from its state directory.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO

from podium.base import log as logs
from podium.base.clock import WallClock, rfc3339_micro
from podium.base.log import Log
from podium.client.client import Client
from podium.client.kubeconfig import client_from_kubeconfig
from podium.cmd import (
    components,
    credentials,
    default_storage,
    down,
    node_network,
    progress,
    running,
    teardown,
)
from podium.cmd.layout import Cluster, LayoutError, base_dir
from podium.cmd.supervisor import Supervisor
from podium.imageregistry import containerd as images
from podium.kubelet import containerd
from podium.machinery import meta
from podium.machinery.errors import ApiError
from podium.resources.coordination.leases import LEASES
from podium.resources.core.nodes import NODES
from podium.resources.core.serviceaccounts import SERVICEACCOUNTS

NODE_LEASES = "kube-node-lease"
READY_TIMEOUT_S = 60.0
START_ATTEMPTS_MAX = 4
"""A component that has died this often before it was ready will not become so."""
_READY_STEP_S = 0.02

log = Log("up")


class NotReady(Exception):
    """Something did not do its work in time; the message says what, and where its log is."""


# -------------------------------------------------------------------------------------------- up


def prepare(cluster: Cluster) -> None:
    """Make what must be there before any process starts. Raises LayoutError when the port is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", cluster.port))
        except OSError as error:
            raise LayoutError(f"port {cluster.port} is in use; choose another with --port") from error
    credentials.ensure(cluster)
    cluster.log_dir.mkdir(exist_ok=True)
    cluster.store_file.parent.mkdir(exist_ok=True, mode=0o700)


def up(cluster: Cluster, *, foreground: bool) -> bool:
    """Start the cluster; return whether it became ready. In the foreground, return when it has ended."""
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.close(reading)
        code = 1
        try:
            code = _supervise(cluster, os.fdopen(writing, "wb"), detach=not foreground)
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading, "rb") as source:
        ready = _follow(cluster, source)
    if foreground:
        ready = _wait_for_child() and ready
    return ready


def _follow(cluster: Cluster, source: BinaryIO) -> bool:
    try:
        return progress.follow(source)
    except KeyboardInterrupt:
        print("\npodium: stopping", file=sys.stderr)
        down.down(cluster)
        return False


def _wait_for_child() -> bool:
    while True:
        try:
            _, status = os.wait()
        except KeyboardInterrupt:
            # The terminal's Ctrl-C has reached the supervisor as well; it is stopping.
            continue
        except ChildProcessError:
            return True
        return os.waitstatus_to_exitcode(status) == 0


def _supervise(cluster: Cluster, report: BinaryIO, *, detach: bool) -> int:
    if detach:
        os.setsid()
        output = os.open(cluster.log_dir / "podium.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
    logs.configure()
    reporter = progress.Reporter(report)
    with running.held(cluster) as lock:
        if lock is None:
            reporter.failed(f"the cluster in {cluster.state_dir} is already running")
            return 1
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        return asyncio.run(_run(cluster, reporter))


async def _run(cluster: Cluster, reporter: progress.Reporter) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    supervisor = Supervisor(
        log_dir=cluster.log_dir, status_file=cluster.status_file, environment=_environment()
    )
    starting = asyncio.create_task(_start(cluster, supervisor, reporter))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()
            await stopping
        return 0
    except Exception as error:
        log.exception("the cluster did not start")
        reporter.failed(_in_one_line(error, cluster))
        return 1
    finally:
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        await supervisor.stop()
        await teardown.clean(cluster)


def _environment() -> dict[str, str]:
    """Return the environment of the components."""
    environment = dict(os.environ)
    if environment.pop("PYTHONDONTWRITEBYTECODE", None):
        # Where no bytecode may lie beside the sources it goes here: to compile them anew for every process
        # takes longer than everything else a start does.
        environment["PYTHONPYCACHEPREFIX"] = str(base_dir() / "bytecode")
    return environment


def _in_one_line(error: Exception, cluster: Cluster) -> str:
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, NotReady | node_network.NetworkFailed | images.ImportFailed):
        return str(error)
    return f"{type(error).__name__}: {error}; see {cluster.log_dir / 'podium.log'}"


async def _start(cluster: Cluster, supervisor: Supervisor, reporter: progress.Reporter) -> None:
    # A crash may have left containers behind; those of nodes that start again are adopted, not ended.
    async with _admin(cluster) as client:
        start = _Start(
            cluster=cluster,
            supervisor=supervisor,
            reporter=reporter,
            client=client,
            began=rfc3339_micro(WallClock().now()),
            serving=asyncio.Event(),
        )
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_start_control_plane(start))
            tasks.create_task(_give_storage_class(start))
            if cluster.nodes:
                tasks.create_task(_start_nodes(start))
                tasks.create_task(_start_dns(start))
            if cluster.simulated_nodes:
                tasks.create_task(_start_simulated_nodes(start))
        if cluster.nodes:
            # After all that a user waits for. Simulated nodes have no kube-proxy to answer for an address.
            await supervisor.start(components.cloud_controller_manager(cluster))
    reporter.ready(summary(cluster))


async def _start_control_plane(start: _Start) -> None:
    cluster, supervisor = start.cluster, start.supervisor
    with start.reporter.step("kube-apiserver"):
        await supervisor.start(components.apiserver(cluster))
        await start.until(lambda: _is_ready(start.client), "kube-apiserver")
    start.serving.set()
    with start.reporter.step("kube-controller-manager"):
        await supervisor.start(components.controller_manager(cluster))
        await supervisor.start(components.scheduler(cluster))
        # Its first visible work, and what a user's first pod needs.
        await start.until(lambda: _has_default_account(start.client), "kube-controller-manager")


async def _give_storage_class(start: _Start) -> None:
    await start.serving.wait()
    await default_storage.ensure(start.client, start.cluster.storage_marker)


async def _start_dns(start: _Start) -> None:
    await start.serving.wait()
    address, port = start.cluster.advertise_address, start.cluster.dns_port
    with start.reporter.step("podium-dns"):
        await start.supervisor.start(components.dns(start.cluster))
        await start.until(lambda: _accepts(asyncio.open_connection(address, port)), "podium-dns")


async def _start_simulated_nodes(start: _Start) -> None:
    await start.serving.wait()
    count = start.cluster.simulated_nodes
    with start.reporter.step(f"{count} simulated nodes"):
        await start.supervisor.start(components.simulated_nodes(start.cluster))
        prefix = components.simulated_prefix(start.cluster)

        async def all_ready() -> bool:
            ready = await _ready_nodes(start.client, since=start.began)
            return sum(name.startswith(prefix) for name in ready) >= count

        await start.until(all_ready, "podium-simulate")


@asynccontextmanager
async def _admin(cluster: Cluster) -> AsyncIterator[Client]:
    client = client_from_kubeconfig(str(cluster.kubeconfig), user_agent="podium-up")
    try:
        yield client
    finally:
        await client.close()


async def _start_nodes(start: _Start) -> None:
    cluster = start.cluster
    if cluster.needs_bridge:
        with start.reporter.step("network"):
            await node_network.perform(node_network.plan_up(cluster), tolerate=("File exists",))
            await node_network.nft(node_network.masquerade_rules(cluster))
    async with asyncio.TaskGroup() as tasks:
        for index in cluster.node_indexes:
            tasks.create_task(_start_node(start, index))


async def _start_node(start: _Start, index: int) -> None:
    cluster, supervisor = start.cluster, start.supervisor
    name, cri = cluster.node_name(index), cluster.containerd_socket(index)
    runtime, kubelet, proxy = components.node(cluster, index)
    with start.reporter.step(runtime.name):
        await asyncio.to_thread(_write_containerd_config, cluster, index)
        await supervisor.start(runtime)
        await start.until(lambda: _accepts(asyncio.open_unix_connection(str(cri))), runtime.name)
        await images.import_archive(cri, images.pause_archive())
    await start.serving.wait()
    with start.reporter.step(f"node {name}"):
        await supervisor.start(kubelet)
        await supervisor.start(proxy)

        async def ready() -> bool:
            return name in await _ready_nodes(start.client, since=start.began)

        await start.until(ready, kubelet.name)


def _write_containerd_config(cluster: Cluster, index: int) -> None:
    node = components.containerd_node(cluster, index, sandbox_image=images.PAUSE_IMAGE)
    for directory in (node.root_dir, node.state_dir, node.cni_conf_dir):
        Path(directory).mkdir(parents=True, exist_ok=True)
    node = dataclasses.replace(node, snapshotter=containerd.snapshotter_for(node.root_dir))
    Path(components.containerd_config(cluster, index)).write_text(containerd.render(node))


# ----------------------------------------------------------------------------------------- readiness


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Start:
    """One start of one cluster: what its steps share."""

    cluster: Cluster
    supervisor: Supervisor
    reporter: progress.Reporter
    client: Client
    began: str
    """When, as the API writes times: what a node said before is of an earlier life."""
    serving: asyncio.Event
    """Set once the API server answers."""

    async def until(self, check: Callable[[], Awaitable[bool]], component: str) -> None:
        """Return when `check` holds, which `component` is to bring about. Raises NotReady."""
        deadline = time.monotonic() + READY_TIMEOUT_S
        where = self.cluster.log_dir / f"{component}.log"
        while not await check():
            if self.supervisor.restarts(component) >= START_ATTEMPTS_MAX:
                raise NotReady(f"{component} does not start: {_last_line(where)} (see {where})")
            if time.monotonic() > deadline:
                raise NotReady(f"{component} is not ready after {READY_TIMEOUT_S:.0f} s; see {where}")
            await asyncio.sleep(_READY_STEP_S)


def _last_line(path: Path) -> str:
    lines = path.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"


async def _is_ready(client: Client) -> bool:
    try:
        await client.raw("GET", "/readyz")
    except (ApiError, OSError):
        return False
    return True


async def _accepts(connecting: Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]) -> bool:
    try:
        _, writer = await connecting
    except OSError:
        return False
    writer.close()
    return True


async def _has_default_account(client: Client) -> bool:
    try:
        await client.get(SERVICEACCOUNTS, "default", "default")
    except (ApiError, OSError):
        return False
    return True


async def _ready_nodes(client: Client, *, since: str) -> set[str]:
    """Return the nodes that are Ready and whose kubelet has renewed its Lease since then."""
    try:
        nodes = await client.list(NODES)
        leases = await client.list(LEASES, NODE_LEASES)
    except (ApiError, OSError):
        return set()
    renewed = {meta.name(lease) for lease in leases["items"] if lease["spec"].get("renewTime", "") >= since}
    return renewed & {meta.name(node) for node in nodes["items"] if _says_ready(node)}


def _says_ready(node: dict[str, object]) -> bool:
    status = node.get("status")
    conditions = status.get("conditions", []) if isinstance(status, dict) else []
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def summary(cluster: Cluster) -> list[str]:
    """Return the lines that tell a user what runs, where, and what to try."""
    return [
        "",
        f'Cluster "{cluster.name}" runs at {cluster.server_url}; its state is in {cluster.state_dir}',
        "",
        f"  export KUBECONFIG={cluster.kubeconfig}",
        "",
        "Three things to try:",
        "  kubectl get nodes -o wide",
        *(
            ("  kubectl apply -f examples/hello/", "  kubectl get pods -A -o wide --watch")
            if cluster.nodes or cluster.simulated_nodes
            else ("  kubectl api-resources", "  kubectl create configmap first --from-literal=key=value")
        ),
    ]
