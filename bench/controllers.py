"""What the control plane does for one change, from the change to settled: seconds, CPU, requests.

    python -m bench.controllers [--only large,many,namespace,idle] [--scale 1.0] [--keep DIR]

large: one Deployment of 5,000 pods. many: 1,000 Deployments of 5. namespace: the deletion of one with 10,000
objects. idle: 500 Deployments of 3 stand still for a minute.
Nodes are simulated, everything else is real, and each part is a process of its own. Requests are counted, by
controller, from the API server's audit log; beside the writes stands what upstream's controllers would write
for the same change (`bench/upstream_writes.py`).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from bench.control_plane import BENCH, ControlPlane, Meter, Spent, control_plane
from bench.upstream_writes import Expected, namespace_deletion, rollout
from podium.client.client import Client
from podium.client.kubeconfig import client_from_kubeconfig
from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources.apps.deployments import DEPLOYMENTS
from podium.resources.core.configmaps import CONFIGMAPS
from podium.resources.core.namespaces import NAMESPACES
from podium.resources.core.secrets import SECRETS
from podium.resources.core.services import SERVICES

NAMESPACE = "bench"
PODS_PER_NODE = 100
QUIET_S = 3.0
TIMEOUT_S = 600.0
AT_ONCE = 32
IDLE_S = 60.0
UNDER_WAY_S = 2.0
UNMISSED_S = 30.0
SETTLE_S = 15.0
PARTS = ("large", "many", "namespace", "idle")


def deployment(name: str, replicas: int) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": {"app": name}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {
                    "containers": [
                        {
                            "name": "c",
                            "image": "registry.example/app:1",
                            "resources": {"requests": {"cpu": "10m"}},
                        }
                    ]
                },
            },
        },
    }


def run(plane: ControlPlane, work: Callable[[Client], Awaitable[object]]) -> None:
    """Let a client that speaks as the administrator do `work`."""

    async def whole() -> None:
        client = client_from_kubeconfig(str(plane.cluster.kubeconfig), user_agent="podium-bench")
        try:
            await work(client)
        finally:
            await client.close()

    asyncio.run(whole())


async def together(works: Iterable[Callable[[], Awaitable[object]]]) -> None:
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(work: Callable[[], Awaitable[object]]) -> None:
        async with gate:
            await work()

    async with asyncio.TaskGroup() as group:
        for work in works:
            group.create_task(one(work))


async def make_namespace(client: Client) -> None:
    await client.create(
        NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    )
    await asyncio.sleep(1.0)  # its service account and certificate bundle come first


def all_available(plane: ControlPlane, count: int) -> bool:
    """Whether `count` Deployments are there, and all of their pods available."""
    found: list[Object] = []

    async def look(client: Client) -> None:
        found.extend((await client.list(DEPLOYMENTS, NAMESPACE))["items"])

    run(plane, look)
    return len(found) == count and all(
        d.get("status", {}).get("availableReplicas", 0) == d["spec"]["replicas"]
        and d["status"].get("observedGeneration") == d["metadata"]["generation"]
        for d in found
    )


def deployments(plane: ControlPlane, count: int, replicas: int) -> Spent:
    """Make Deployments; return what it took until all their pods were available and nobody wrote."""
    run(plane, make_namespace)
    meter = Meter(plane)
    names = [f"d-{n:04}" for n in range(count)]

    async def make(client: Client) -> None:
        await together(partial(client.create, DEPLOYMENTS, deployment(name, replicas)) for name in names)

    run(plane, make)
    return meter.until_quiet(lambda: all_available(plane, count), quiet_s=QUIET_S, timeout_s=TIMEOUT_S)


def content(scale: float, groups: int) -> Iterator[tuple[Resource, Object]]:
    """Yield what the namespace is filled with; a Deployment becomes twelve objects, a Service three."""

    def plain(kind: str, name: str, **data: Object) -> Object:
        return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": NAMESPACE}, **data}

    for n in range(round(4000 * scale)):
        yield CONFIGMAPS, plain("ConfigMap", f"c-{n}", data={"k": "v"})
    for n in range(round(3000 * scale)):
        yield SECRETS, plain("Secret", f"s-{n}", stringData={"k": "v"})
    for n in range(max(1, round(100 * scale))):
        yield (
            SERVICES,
            plain("Service", f"d-{n}", spec={"selector": {"app": f"d-{n}"}, "ports": [{"port": 80}]}),
        )
    for n in range(groups):
        yield DEPLOYMENTS, deployment(f"d-{n}", 10)


def filled_namespace(plane: ControlPlane, scale: float) -> Spent:
    """Fill a namespace with 10,000 objects beside their events; return what its deletion takes."""
    run(plane, make_namespace)
    filling = Meter(plane)
    groups = max(1, round(225 * scale))

    async def fill(client: Client) -> None:
        await together(partial(client.create, resource, obj) for resource, obj in content(scale, groups))

    run(plane, fill)
    filling.until_quiet(lambda: all_available(plane, groups), quiet_s=QUIET_S, timeout_s=TIMEOUT_S)
    meter = Meter(plane)

    def gone() -> bool:
        left: list[Object] = []

        async def look(client: Client) -> None:
            left.extend((await client.list(NAMESPACES, field_selector=f"metadata.name={NAMESPACE}"))["items"])

        run(plane, look)
        return not left

    async def delete(client: Client) -> None:
        await client.delete(NAMESPACES, NAMESPACE)

    run(plane, delete)
    return meter.until_quiet(gone, quiet_s=QUIET_S, timeout_s=TIMEOUT_S)


def idle(plane: ControlPlane, scale: float, seconds: float) -> Sequence[tuple[str, Spent]]:
    """Return what Deployments that stand still cost: with the nodes' heartbeats, and while these are held
    back, for less long than it takes until somebody misses them."""
    deployments(plane, round(500 * scale), 3)
    time.sleep(SETTLE_S)
    meter = Meter(plane)
    time.sleep(seconds)
    found = [("with heartbeats", meter.spent())]
    kubelets = plane.processes["podium-simulate"]
    os.kill(kubelets.pid, signal.SIGSTOP)
    try:
        time.sleep(UNDER_WAY_S)
        meter = Meter(plane)
        time.sleep(min(seconds, UNMISSED_S))
        found.append(("the control plane alone", meter.spent()))
    finally:
        os.kill(kubelets.pid, signal.SIGCONT)
    for title, spent in found:
        spent.cpu_s = {name: cpu_s for name, cpu_s in spent.cpu_s.items() if name != "podium-simulate"}
        share = sum(spent.cpu_s.values()) / spent.seconds
        print(f"\nidle, {title}: the control plane uses {100 * share:.2f} % of a core")
    return found


def report(title: str, spent: Spent, expected: Sequence[Expected]) -> None:
    total = sum(spent.cpu_s.values())
    print(f"\n{title}: {spent.seconds:.1f} s, {total:.1f} CPU-s, {sum(spent.requests.values())} requests")
    for name, cpu_s in spent.cpu_s.items():
        print(f"  {name:<28} {cpu_s:8.2f} CPU-s  {100 * cpu_s / spent.seconds:6.2f} % of a core")
    by_who: dict[str, Counter[str]] = defaultdict(Counter)
    reads: Counter[str] = Counter()
    for asked, count in spent.requests.items():
        if asked.who == BENCH:
            continue
        if asked.writes:
            collections = asked.verb == "deletecollection"
            by_who[asked.who]["deletecollection" if collections else f"{asked.verb} {asked.resource}"] += (
                count
            )
        else:
            reads[asked.who] += count
    upstream = {(one.who, one.what): one for one in expected}
    print(f"  {'writes':<58} {'here':>7} {'upstream':>14}   (and reads)")
    for who in sorted({*by_who, *reads, *(one.who for one in expected)}):
        mine = by_who[who]
        print(f"    {who:<56} {mine.total():>7} {'':>14}   {reads[who]}")
        whats = sorted({*mine, *(what for other, what in upstream if other == who)})
        for what in whats:
            print(f"      {what:<54} {mine[what]:>7} {_words(upstream.get((who, what)), mine[what], spent)}")
    for (asked, code), count in spent.refused.most_common():
        print(f"  answered {code}: {count} x {asked.who} {asked.verb} {asked.resource}")


def _words(expected: Expected | None, count: int, spent: Spent) -> str:
    if expected is None:
        return ""
    most = expected.most(spent.seconds)
    words = f"{expected.least:>14}" if most == expected.least else f"{f'{expected.least} to {most}':>14}"
    return f"{words}   MORE THAN UPSTREAM" if count > most else words


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default=",".join(PARTS))
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--idle-seconds", type=float, default=IDLE_S)
    parser.add_argument("--keep", type=Path, help="keep state, logs and audit log in this directory")
    options = parser.parse_args()
    scale = options.scale
    sizes = {"large": 5000, "many": 5000, "namespace": 2250, "idle": 1500}
    count = round(1000 * scale)
    upstream = {
        "large": rollout(1, round(5000 * scale)),
        "many": rollout(count, 5),
        "namespace": namespace_deletion(max(1, round(225 * scale)), 10, max(1, round(100 * scale))),
    }
    works: Mapping[str, Callable[[ControlPlane], Sequence[tuple[str, Spent]]]] = {
        "large": lambda plane: [("", deployments(plane, 1, round(5000 * scale)))],
        "many": lambda plane: [("", deployments(plane, count, 5))],
        "namespace": lambda plane: [("", filled_namespace(plane, scale))],
        "idle": lambda plane: idle(plane, scale, options.idle_seconds),
    }
    for part in options.only.split(","):
        nodes = max(1, -(-round(sizes[part] * scale) // PODS_PER_NODE))
        with contextlib.ExitStack() as stack:
            folder = options.keep / part if options.keep else None
            if folder is None:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="podium-bench-")))
            else:
                folder.mkdir(parents=True)
            plane = stack.enter_context(control_plane(folder, nodes=nodes, cloud=part == "idle"))
            for title, spent in works[part](plane):
                report(f"{part} {title}".strip(), spent, upstream.get(part, ()))


if __name__ == "__main__":
    main()
