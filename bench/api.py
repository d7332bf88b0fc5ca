"""How fast the API server answers, how fast events arrive, and what it all weighs.

    python -m bench.api [--full] [--seconds 2] [--rounds 1] [--only get,create,list,watch,memory,idle]

Drives a kube-apiserver of its own over TLS with keep-alive from this process, beside yardsticks in the same
run: nginx serving a static JSON of 1 KiB over TLS, for reads, and etcd driven by a plain gRPC client, for
durable writes (Debian: `apt install nginx-light etcd-server`; what is missing is left out and said). Without
`--full` everything is small, for a look; with it, as large as the aims that docs/performance.md speaks of.

Rates depend on the machine and on what else it does; the server's processor time for one request does so far
less. So figures compare by CPU-ms a request and by their ratio to the yardstick, and of the slices that a
load is cut into the best one counts: the others tell what else the machine was busy with.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import orjson
import uvloop

from bench.api_load import Connection, Watchers, closed_loop, connect, request, watchers
from bench.api_servers import Credentials, Missing, Server, etcd, kube_apiserver, nginx, put_to_etcd

CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
CONNECTIONS = (1, 16, 64)
WRITES_A_SECOND = 50
SLICE_S = 0.25
LISTS = 15
KEPT = 1000
"""Objects among which the GETs of different objects choose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How large the loads are."""

    seconds: float
    pods: int = 500
    page: int = 50
    watchers: int = 100
    grown: int = 2_000
    objects: int = 2_000
    gets: int = 4_000
    idle: int = 200


FULL = {
    "pods": 5_000,
    "page": 500,
    "watchers": 1_000,
    "grown": 20_000,
    "objects": 50_000,
    "gets": 100_000,
    "idle": 10_000,
}

# Measured elsewhere on such a machine, for orientation only: kube-apiserver 1.36 with etcd, at full scale.
UPSTREAM = {
    "get": "upstream: 1,815 / 5,800 / 6,400 a second, 0.27 CPU-ms",
    "create": "upstream: 760 / 1,970 / 2,560 a second, 0.66 CPU-ms",
    "list": "upstream: 207 ms and 290 CPU-ms whole, 51 ms with limit=500",
    "watch": "upstream: 49,800 deliveries a second, p50 52 ms, p99 147 ms, 22 CPU-us a delivery",
    "memory": "upstream: 1,600 MB, and etcd 144 MB",
    "idle": "what connections cost that nothing is asked on",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """What one load came to in its best slice."""

    per_second: float
    cpu_ms: float


def config_map(name: str) -> bytes:
    """Return a ConfigMap of 1 KiB."""
    bare = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"key": ""}}
    bare["data"] = {"key": "x" * (1024 - len(orjson.dumps(bare)))}
    return orjson.dumps(bare)


def pod(name: str) -> bytes:
    """Return a pod that takes about 4 kB once it is stored."""
    containers = [
        {
            "name": f"c{index}",
            "image": "registry.example.com/team/application:1.2.3",
            "env": [{"name": f"VARIABLE_{n}", "value": f"the value of variable {n}"} for n in range(8)],
            "resources": {
                "requests": {"cpu": "10m", "memory": "16Mi"},
                "limits": {"cpu": "1", "memory": "64Mi"},
            },
        }
        for index in range(2)
    ]
    return orjson.dumps(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "labels": {"app": "bench", "part": name[-2:]}},
            "spec": {
                "containers": containers,
                "automountServiceAccountToken": False,
                "nodeName": f"node-{name[-2:]}",
            },
        }
    )


def line(what: str, rate: Rate, yardstick: Rate | None = None) -> None:
    ratio = ""
    if yardstick is not None:
        ratio = (
            f"   {rate.per_second / yardstick.per_second:5.2f} x its rate,"
            f" {rate.cpu_ms / yardstick.cpu_ms:4.1f} x its CPU"
        )
    print(f"  {what:<50} {rate.per_second:8,.0f} /s {rate.cpu_ms:7.3f} CPU-ms{ratio}", flush=True)


async def sampled(server: Server, work: Awaitable[object], progress: list[int]) -> Rate:
    """Return the best slice of `work`, which notes in `progress` how far it is."""
    running = asyncio.ensure_future(work)
    rates: list[tuple[float, float]] = []
    while not running.done():
        done, cpu_s, started = progress[0], server.process.cpu_s(), time.perf_counter()
        await asyncio.wait([running], timeout=SLICE_S)
        elapsed, done = time.perf_counter() - started, progress[0] - done
        if done and elapsed > SLICE_S / 2:
            rates.append((done / elapsed, (server.process.cpu_s() - cpu_s) / done * 1000))
    await running
    return Rate(per_second=max(rate for rate, _ in rates), cpu_ms=min(cpu for _, cpu in rates))


async def measure(
    server: Server, connections: int, seconds: float, make: Callable[[], bytes], *, rounds: int = 0
) -> Rate:
    """Let each connection send what `make` makes, one request after the other."""
    opened = [await connect(server.client) for _ in range(connections)]
    progress = [0]
    work = closed_loop(opened, make, seconds=0 if rounds else seconds, count=rounds, progress=progress)
    try:
        return await sampled(server, work, progress)
    finally:
        for connection in opened:
            connection.close()


async def filled(server: Server, path: str, bodies: Callable[[int], bytes], number: int) -> None:
    """Create `number` objects."""
    opened = [await connect(server.client) for _ in range(16)]
    numbers = count()
    await closed_loop(opened, lambda: request("POST", path, bodies(next(numbers))), count=number)
    for connection in opened:
        connection.close()


async def reads(server: Server, credentials: Credentials, scale: Scale) -> None:
    body = config_map("read")
    await filled(server, CONFIGMAPS, lambda n: config_map("read" if n == 0 else f"read-{n}"), KEPT)
    found: dict[int, Rate] = {}
    try:
        with nginx(credentials, body) as static:
            ask = request("GET", "/body.json")
            for connections in CONNECTIONS:
                found[connections] = await measure(static, connections, scale.seconds, lambda: ask)
                line(f"yardstick: nginx, {connections} connections", found[connections])
    except Missing as missing:
        print(f"  no yardstick: {missing}")
    get = request("GET", f"{CONFIGMAPS}/read")
    for connections in CONNECTIONS:
        rate = await measure(server, connections, scale.seconds, lambda: get)
        line(f"GET one ConfigMap, {connections} connections", rate, found.get(connections))
    numbers = count()
    rate = await measure(
        server,
        64,
        scale.seconds,
        lambda: request("GET", f"{CONFIGMAPS}/read-{next(numbers) % (KEPT - 1) + 1}"),
    )
    line(f"GET {KEPT:,} ConfigMaps in turn, 64 connections", rate, found.get(64))


async def writes(server: Server, credentials: Credentials, scale: Scale) -> None:
    found: dict[int, Rate] = {}
    try:
        with etcd(credentials) as store:
            for connections in CONNECTIONS:
                progress = [0]
                work = put_to_etcd(
                    store.client.port, config_map("etcd"), connections, scale.seconds, progress
                )
                found[connections] = await sampled(store, work, progress)
                line(f"yardstick: etcd, {connections} puts of 1 KiB at a time", found[connections])
    except Missing as missing:
        print(f"  no yardstick: {missing}")
    numbers = count()

    def create() -> bytes:
        return request("POST", CONFIGMAPS, config_map(f"m-{next(numbers)}"))

    for connections in CONNECTIONS:
        rate = await measure(server, connections, scale.seconds, create)
        line(f"create ConfigMap of 1 KiB, {connections} connections", rate, found.get(connections))
    before = next(numbers)
    await filled(server, CONFIGMAPS, lambda n: config_map(f"grown-{n}"), scale.grown)
    again = await measure(server, 64, scale.seconds, create)
    line(f"the same beside {scale.grown:,} more objects", again)
    print(
        f"  {'a write among so many more costs':<50} {again.cpu_ms / rate.cpu_ms:8.2f} x one among {before:,}"
    )


async def lists(server: Server, scale: Scale) -> None:
    namespace = "/api/v1/namespaces/many"
    connection = await connect(server.client)
    await connection.send(request("POST", "/api/v1/namespaces", b'{"metadata":{"name":"many"}}'))
    await connection.send(request("POST", f"{namespace}/serviceaccounts", b'{"metadata":{"name":"default"}}'))
    cpu_s = server.process.cpu_s()
    await filled(server, f"{namespace}/pods", lambda n: pod(f"p-{n:05}"), scale.pods)
    cpu_ms = (server.process.cpu_s() - cpu_s) / scale.pods * 1000
    print(f"  {'(creating the pods)':<50} {'':>11} {cpu_ms:7.3f} CPU-ms each, on the whole")
    for what, query in (
        (f"LIST {scale.pods:,} pods", ""),
        (f"LIST limit={scale.page} of them", f"?limit={scale.page}"),
        ("LIST one in a hundred by label", "?labelSelector=part%3D42"),
        ("LIST one in a hundred by spec.nodeName", "?fieldSelector=spec.nodeName%3Dnode-42"),
    ):
        times: list[float] = []
        costs: list[float] = []
        before = await looked_at(connection)
        for _ in range(LISTS):
            cpu_s, started = server.process.cpu_s(), time.perf_counter()
            size = await connection.send(request("GET", f"{namespace}/pods{query}"))
            times.append((time.perf_counter() - started) * 1000)
            costs.append((server.process.cpu_s() - cpu_s) * 1000)
        looked = (await looked_at(connection) - before) / LISTS
        print(
            f"  {what:<50} {min(times):8.1f} ms {min(costs):7.1f} CPU-ms   {size / 1e6:.1f} MB,"
            f" {looked:,.0f} objects looked at; the first {times[0]:.1f} ms",
            flush=True,
        )
    connection.close()


async def looked_at(connection: Connection) -> int:
    """Return how many pods the server has looked at for lists, by its own count."""
    text = await connection.text(request("GET", "/metrics"))
    name = 'apiserver_cache_list_fetched_objects_total{group="",resource="pods"'
    return sum(int(float(row.rpartition(" ")[2])) for row in text.splitlines() if row.startswith(name))


async def fan_out(server: Server, scale: Scale) -> None:
    """Write at an even pace; a write is over when the last watcher has it."""
    secrets = "/api/v1/namespaces/default/secrets"
    writer = await connect(server.client)
    await writer.send(request("POST", secrets, b'{"metadata":{"name":"watched"}}'))
    await writer.send(request("POST", CONFIGMAPS, b'{"metadata":{"name":"watched"}}'))
    before_mb = server.process.memory_mb()
    alone_ms = await cost_of_a_write(server, writer, f"{CONFIGMAPS}/watched")
    best: tuple[float, ...] = ()
    arrived: list[list[float]] = []
    async with watchers(server.client, scale.watchers, f"{secrets}?watch=true") as watching:
        watching_mb = server.process.memory_mb()
        beside_ms = await cost_of_a_write(server, writer, f"{CONFIGMAPS}/watched")
        for _ in range(3):
            figures = await paced(server, writer, f"{secrets}/watched", scale, arrived, watching)
            # Like the best slice of other loads: what disturbs one run shows in its slowest writes.
            best = min(best or figures, figures, key=lambda found: found[-1])
    writer.close()
    cpu_us, rate, p50_ms, p99_ms = best
    print(
        f"  {f'{scale.watchers:,} watchers, {WRITES_A_SECOND} writes a second':<50} {rate:8,.0f} /s"
        f" {cpu_us:7.1f} CPU-us a delivery, the writes included"
    )
    print(f"  {'write to last watcher':<50} p50 {p50_ms:.1f} ms, p99 {p99_ms:.1f} ms")
    each_kib = (watching_mb - before_mb) / scale.watchers * 1024
    print(f"  {'memory of a watcher and its TLS connection':<50} {each_kib:8.0f} KiB")
    print(
        f"  {'a write to what they do not watch costs':<50} {beside_ms / alone_ms:8.2f} x one without them",
        flush=True,
    )


async def paced(
    server: Server,
    writer: Connection,
    path: str,
    scale: Scale,
    arrived: list[list[float]],
    watching: Watchers,
) -> tuple[float, float, float, float]:
    """Return CPU-us a delivery, deliveries a second, and the delay's median and 99th percentile in ms."""
    sent: list[float] = []
    first = len(arrived)
    cpu_s, started = server.process.cpu_s(), time.perf_counter()
    for number in range(int(scale.seconds * WRITES_A_SECOND)):
        await asyncio.sleep(max(0.0, started + number / WRITES_A_SECOND - time.perf_counter()))
        body = b'{"metadata":{"name":"watched"},"stringData":{"n":"%d"}}' % (first + number)
        sent.append(time.perf_counter())
        arrived.append([0, 0.0])
        await writer.send(request("PUT", path, body))
    async with asyncio.timeout(60):
        while arrived[-1][0] < scale.watchers:
            await watching.read(arrived)
            await asyncio.sleep(0)
    cpu_s = server.process.cpu_s() - cpu_s
    new = arrived[first:]
    deliveries = sum(int(seen) for seen, _ in new)
    late = sorted((at - since) * 1000 for (_, at), since in zip(new, sent, strict=True))
    elapsed = max(at for _, at in new) - started
    median, last = late[len(late) // 2], late[len(late) * 99 // 100]
    return cpu_s / deliveries * 1e6, deliveries / elapsed, median, last


async def cost_of_a_write(server: Server, writer: Connection, path: str) -> float:
    """Return the least CPU-ms of one update, over some slices."""
    costs = []
    for part in range(10):
        cpu_s = server.process.cpu_s()
        for number in range(10):
            await writer.send(
                request(
                    "PUT", path, b'{"metadata":{"name":"watched"},"data":{"n":"%d"}}' % (part * 10 + number)
                )
            )
        costs.append((server.process.cpu_s() - cpu_s) * 100)
    return min(costs)


async def memory(server: Server, scale: Scale) -> None:
    first_mb = server.process.memory_mb()
    print(f"  {'resident at the start':<50} {first_mb:8.0f} MB")
    await filled(server, CONFIGMAPS, lambda n: config_map(f"kept-{n}"), scale.objects)
    made_mb = server.process.memory_mb()
    each = (made_mb - first_mb) / scale.objects * 1024
    print(f"  {f'after {scale.objects:,} ConfigMaps of 1 KiB':<50} {made_mb:8.0f} MB, {each:.2f} KiB each")
    numbers = count()
    await measure(
        server,
        64,
        0,
        lambda: request("GET", f"{CONFIGMAPS}/kept-{next(numbers) % scale.objects}"),
        rounds=scale.gets,
    )
    print(f"  {f'and {scale.gets:,} GETs':<50} {server.process.memory_mb():8.0f} MB", flush=True)


async def idling(server: Server, scale: Scale) -> None:
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    first_mb = server.process.memory_mb()
    opened: list[Connection] = []
    while len(opened) < scale.idle:
        some = await asyncio.gather(*(connect(server.client) for _ in range(50)))
        for connection in some:
            await connection.send(request("GET", "/livez"))
        opened += some
    many_mb = server.process.memory_mb()
    each = (many_mb - first_mb) / len(opened) * 1024
    print(
        f"  {f'{len(opened):,} TLS connections, each asked once':<50} {many_mb:8.0f} MB, {each:.0f} KiB each"
    )
    for connection in opened:
        connection.close()


async def section(name: str, scale: Scale) -> None:
    print(f"\n{name}  ({UPSTREAM[name]})", flush=True)
    with tempfile.TemporaryDirectory(prefix="podium-bench-") as folder:
        credentials = Credentials(Path(folder))
        with kube_apiserver(credentials) as server:
            match name:
                case "get":
                    await reads(server, credentials, scale)
                case "create":
                    await writes(server, credentials, scale)
                case "list":
                    await lists(server, scale)
                case "watch":
                    await fan_out(server, scale)
                case "memory":
                    await memory(server, scale)
                case _:
                    await idling(server, scale)


async def run(names: list[str], scale: Scale, rounds: int) -> None:
    for _ in range(rounds):
        for name in names:
            await section(name, scale)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--full", action="store_true", help="as large as the aims")
    parser.add_argument(
        "--seconds", type=float, default=0.0, help="how long each load lasts (2; 5 with --full)"
    )
    parser.add_argument("--rounds", type=int, default=1, help="how often to do it all")
    parser.add_argument("--only", default=",".join(UPSTREAM), help="sections to run, comma-separated")
    arguments = parser.parse_args()
    names = arguments.only.split(",")
    if unknown := set(names) - UPSTREAM.keys():
        parser.error(f"--only: unknown {', '.join(sorted(unknown))}; there are {', '.join(UPSTREAM)}")
    seconds = arguments.seconds or (5.0 if arguments.full else 2.0)
    scale = Scale(seconds=seconds, **(FULL if arguments.full else {}))
    uvloop.run(run(names, scale, arguments.rounds))


if __name__ == "__main__":
    main()
