"""What a flood by one user does to another's requests, with priority and fairness and without.

    python -m bench.flow [--seconds 8] [--connections 300] [--floods lists,creates,gets]

A kube-apiserver over TLS is flooded from one process, by a user with hundreds of connections that ask again
as soon as they are answered. Another process asks, at an even pace, for what must not suffer: another user's
GET and a kubelet's renewal of its lease. Shown is how long these take, alone, and beside the flood.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import orjson
import uvloop

from bench.api import CONFIGMAPS, config_map, filled, pod
from bench.api_load import Client, Connection, closed_loop, connect, request
from bench.api_servers import Credentials, Server, kube_apiserver

PODS = 5000
FLOODS = ("lists", "creates", "gets")
FLOODER, VICTIM, NODE = "flooder", "victim", "system:node:n1"
MANY = "/api/v1/namespaces/many"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
PACE_S = 0.02
SETTLE_S = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Delays:
    count: int
    p50_ms: float
    p99_ms: float
    failed: int

    @staticmethod
    def of(taken_s: list[float], failed: int) -> Delays:
        ordered = sorted(taken_s)
        return Delays(
            count=len(ordered),
            p50_ms=ordered[len(ordered) // 2] * 1000,
            p99_ms=ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))] * 1000,
            failed=failed,
        )


async def prepared(server: Server) -> None:
    """Make what is asked for, and let the users ask."""
    admin = await connect(server.client)
    binding = {
        "metadata": {"name": "bench"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "Group", "name": "bench", "apiGroup": "rbac.authorization.k8s.io"}],
    }
    bindings = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
    await admin.send(request("POST", bindings, orjson.dumps(binding)))
    await admin.send(request("POST", "/api/v1/namespaces", b'{"metadata":{"name":"many"}}'))
    await admin.send(request("POST", f"{MANY}/serviceaccounts", b'{"metadata":{"name":"default"}}'))
    await admin.send(request("POST", CONFIGMAPS, config_map("asked-for")))
    await admin.send(request("POST", LEASES, b'{"metadata":{"name":"n1"},"spec":{"holderIdentity":"n1"}}'))
    admin.close()
    await filled(server, f"{MANY}/pods", lambda n: pod(f"p-{n:05}"), PODS)


# --- the flood, in a process of its own


async def flood(kind: str, port: int, ca_file: str, connections: int, seconds: float) -> None:
    """Ask without rest; print how many answers there were, and how many of them said to come back later."""
    client = Client(port=port, context=ssl.create_default_context(cafile=ca_file))
    numbers = count()
    run = f"{time.time():.0f}"
    makes: dict[str, Callable[[], bytes]] = {
        "lists": lambda: request("GET", f"{MANY}/pods", token=FLOODER),
        "gets": lambda: request("GET", f"{CONFIGMAPS}/asked-for", token=FLOODER),
        "creates": lambda: request(
            "POST", CONFIGMAPS, config_map(f"flood-{run}-{next(numbers)}"), token=FLOODER
        ),
    }
    opened: list[Connection] = []
    for start in range(0, connections, 20):
        opened += await asyncio.gather(*(connect(client) for _ in range(start, min(connections, start + 20))))
    for one in opened:
        one.may_be_refused = True
    print("ready", flush=True)
    progress = [0]
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds + 1):
            await closed_loop(opened, makes[kind], seconds=seconds, progress=progress)
    print(progress[0], sum(one.refused for one in opened), flush=True)


@contextlib.contextmanager
def flooding(
    kind: str, server: Server, ca_file: Path, options: argparse.Namespace, figures: list[int]
) -> Iterator[list[int]]:
    """Flood the server meanwhile; `figures` then says how many answers and refusals there were."""
    command = [sys.executable, "-m", "bench.flow", f"--flood={kind}", f"--port={server.client.port}"]
    command += [f"--ca-file={ca_file}", f"--connections={options.connections}"]
    command += [f"--seconds={options.seconds + SETTLE_S}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "ready\n"
        time.sleep(SETTLE_S)
        yield figures
        figures += [int(word) for word in process.stdout.readline().split()]
    finally:
        process.terminate()
        process.wait(timeout=20)


# --- the victims


async def suffer(
    server: Server, seconds: float, beside: contextlib.AbstractContextManager[list[int]]
) -> dict[str, Delays]:
    """Return how long a GET and the renewal of a lease take, asked for at an even pace beside a flood."""
    reader, kubelet = await connect(server.client), await connect(server.client)
    reader.may_be_refused = kubelet.may_be_refused = True
    lease = await kubelet.text(request("GET", f"{LEASES}/n1", token=NODE))

    def renewal() -> bytes:
        changed = orjson.loads(lease)
        changed["spec"]["leaseDurationSeconds"] = 40 + int(time.time() * 1000) % 1000
        return request("PUT", f"{LEASES}/n1", orjson.dumps(changed), token=NODE)

    async def one(connection: Connection, make: Callable[[], bytes]) -> Delays:
        nonlocal lease
        taken: list[float] = []
        while (started := time.perf_counter()) < end or not taken:
            data = make()
            body = await connection.text(data)
            taken.append(time.perf_counter() - started)
            if data.startswith(b"PUT") and body.startswith("{"):
                lease = body
            await asyncio.sleep(max(0.0, PACE_S - taken[-1]))
        connection.close()
        return Delays.of(taken, connection.refused)

    with beside:
        end = time.perf_counter() + seconds
        get, renewed = await asyncio.gather(
            one(reader, lambda: request("GET", f"{CONFIGMAPS}/asked-for", token=VICTIM)),
            one(kubelet, renewal),
        )
    return {"another user's GET": get, "a kubelet's lease renewal": renewed}


def measured(options: argparse.Namespace, *flags: str) -> dict[tuple[str, str], tuple[Delays, list[int]]]:
    found: dict[tuple[str, str], tuple[Delays, list[int]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        credentials = Credentials(Path(folder))
        tokens = Path(folder) / "tokens.csv"
        tokens.write_text(
            f"{FLOODER},{FLOODER},1,bench\n{VICTIM},{VICTIM},2,bench\n{NODE},{NODE},3,system:nodes\n"
        )
        with kube_apiserver(credentials, f"--token-auth-file={tokens}", *flags) as server:
            client = Client(
                port=server.client.port,
                context=ssl.create_default_context(cafile=str(Path(folder) / "ca.crt")),
            )
            plain = Server(process=server.process, client=client)
            uvloop.run(prepared(server))
            for kind in ("", *options.floods.split(",")):
                figures: list[int] = []
                beside = (
                    flooding(kind, plain, Path(folder) / "ca.crt", options, figures)
                    if kind
                    else contextlib.nullcontext(figures)
                )
                delays = uvloop.run(suffer(plain, options.seconds, beside))
                for victim, each in delays.items():
                    found[kind, victim] = (each, figures)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--connections", type=int, default=300)
    parser.add_argument("--floods", default=",".join(FLOODS))
    parser.add_argument("--only", choices=("on", "off"), default="")
    for hidden in ("--flood", "--port", "--ca-file"):
        parser.add_argument(hidden, default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.flood:
        work = flood(options.flood, int(options.port), options.ca_file, options.connections, options.seconds)
        uvloop.run(work)
        return
    runs = {
        word: measured(options, f"--enable-priority-and-fairness={value}")
        for word, value in (("on", "true"), ("off", "false"))
        if options.only in ("", word)
    }
    for word, run in runs.items():
        print(f"priority and fairness {word}")
        for (kind, victim), (delays, figures) in run.items():
            alone = run["", victim][0]
            beside = f"beside {options.connections} connections of {kind}" if kind else "alone"
            line = f"  {victim + ' ' + beside:<60} p50 {delays.p50_ms:7.1f} ms  p99 {delays.p99_ms:7.1f} ms"
            line += f" of {delays.count:4}"
            if kind:
                rate = figures[0] / (options.seconds + SETTLE_S) if figures else 0
                line += (
                    f"  {delays.p50_ms / alone.p50_ms:5.1f} and {delays.p99_ms / alone.p99_ms:5.1f} x alone;"
                    f" flood {rate:,.0f} /s, {figures[1] if figures else 0} refused"
                )
            if delays.failed:
                line += f", {delays.failed} OF THE VICTIM'S REFUSED"
            print(line, flush=True)


if __name__ == "__main__":
    main()
