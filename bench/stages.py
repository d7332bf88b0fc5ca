"""Where the time of one request goes: the stages of a GET, a LIST, a create and a watch event.

    python -m bench.stages [--requests 2000]

An API server in this process is fed through real connections on a transport that only counts, so that neither
TLS nor a client is in the figures. First the whole is timed, best of many; then the same runs under cProfile,
and the shares that it sees are laid out on the whole. A share counts a stage with everything below it.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import gc
import pstats
import ssl
import tempfile
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any, cast

import uvloop

from bench.api import CONFIGMAPS, config_map
from bench.api_load import request
from podium.apiserver.access import access_factory
from podium.apiserver.authn import Options
from podium.apiserver.server import ApiServer, Config, Limits
from podium.base import pki
from podium.base.http.connection import Connection
from podium.base.http.server import Server
from podium.store.sqlite import SqliteStore

BATCH = 64
LIMITS = Limits(priority_and_fairness=True, requests_in_flight_max=400, mutating_requests_in_flight_max=200)
"""As kube-apiserver has them."""
WATCHERS = 200

GET = (
    ("read and parse, of that", "connection.py:_read"),
    ("  the whole handler", "server.py:handler"),
    ("    request info", "request_info.py:request_info"),
    ("    who", "authn/__init__.py:recognise"),
    ("    may they", "authz/union.py:permits"),
    ("    metrics", "metrics.py:read_at_once"),
    ("    audit id", "ids.py:new_uid"),
    ("  head and write", "connection.py:_send_plain"),
)
LIST = (
    ("who", "server.py:_authenticate"),
    ("may they", "server.py:_authorize"),
    ("is it their turn", "control.py:arrive"),
    ("options and selectors", "options.py:list_options"),
    ("entries from the cache", "read.py:list_entries"),
    ("joining their bytes", "representation.py:list"),
    ("writing", "connection.py:_respond"),
)
CREATE = (
    ("parse", "connection.py:_repeated"),
    ("who", "server.py:_authenticate"),
    ("may they", "server.py:_authorize"),
    ("is it their turn", "control.py:arrive"),
    ("body: decode, prune, default", "body.py:read_object"),
    ("  decode JSON", "decode.py:decode_json"),
    ("  by schema", "decode.py:prune"),
    ("managedFields", "fields.py:track_create"),
    ("admission: admit", "admission_steps.py:admit"),
    ("prepare: uid, times", "create.py:prepare_create"),
    ("validate", "create.py:check_create"),
    ("admission: validate", "admission_steps.py:validate"),
    ("encode", "entry.py:encode"),
    ("store: statements", "sqlite.py:_execute"),
    ("cache: apply", "cacher.py:_apply"),
    ("answer", "writing.py:answer"),
    ("head and write", "connection.py:_send_plain"),
)
EVENT = (
    ("cache: apply, without the create around it", "root.py:apply"),
    ("  encode the event, once", "representation.py:line"),
    ("  audiences: decide, note for each watcher", "audience.py:offer"),
    ("each watcher: chunk and write", "stream.py:flush"),
)


class Wire(asyncio.Transport):
    """A transport that counts what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = 0
        self.told: Callable[[], None] = lambda: None

    def write(self, data: Any) -> None:
        self.writes += 1
        self.told()

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0

    def close(self) -> None: ...

    abort = pause_reading = resume_reading = close


class Bench:
    """One server, and connections to it by a member of system:masters."""

    def __init__(self, server: Server, certificate: bytes) -> None:
        self._server = server
        self._certificate = certificate

    def connect(self) -> tuple[Connection, Wire]:
        wire, connection = Wire(), Connection(self._server)
        connection.connection_made(wire)
        connection._peer_certificate = self._certificate
        return connection, wire

    async def ask(self, pairs: list[tuple[Connection, Wire]], make: Callable[[], bytes]) -> None:
        """Send one request on each connection, and wait for all answers."""
        answered = answers([wire for _, wire in pairs])
        for connection, _ in pairs:
            connection.data_received(make())
        await answered


def answers(wires: list[Wire]) -> asyncio.Future[None]:
    """Return what is done once each of `wires` has been written to."""
    left = len(wires)
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def told() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            done.set_result(None)

    for wire in wires:
        wire.told = told
    return done


async def best_us(run: Callable[[], Any], each: int, rounds: int) -> float:
    found = []
    for _ in range(rounds):
        started = time.thread_time()
        await run()
        found.append((time.thread_time() - started) / each * 1e6)
    return min(found)


async def stages(
    title: str, rows: tuple[tuple[str, str], ...], run: Callable[[], Any], each: int, rounds: int
) -> None:
    whole_us = await best_us(run, each, rounds)
    profile = cProfile.Profile(time.thread_time)
    profile.enable()
    for _ in range(max(1, rounds // 4)):
        await run()
    profile.disable()
    stats = cast(Any, pstats.Stats(profile)).stats
    total = sum(own for _, _, own, _, _ in stats.values())
    print(f"\n{title}: {whole_us:,.1f} us")
    for name, where in rows:
        file, _, function = where.partition(":")
        below = sum(
            cumulative
            for (path, _, called), (_, _, _, cumulative, _) in stats.items()
            if path.endswith(f"/{file}") and called == function
        )
        print(f"  {name:<44} {below / total * 100:5.1f} %  {below / total * whole_us:8.1f} us")


async def main(requests: int) -> None:
    with tempfile.TemporaryDirectory(prefix="podium-bench-") as folder:
        authority = pki.create_ca("ca")
        admin = pki.issue(authority, common_name="admin", organizations=["system:masters"], client=True)
        store = await SqliteStore.open(Path(folder) / "store.db")
        access = access_factory(Options(issuer="https://issuer", signing_key=pki.create_signing_key()))
        api = ApiServer(store, Config(limits=LIMITS), access=access)
        server = Server(api.handler, reads_at_once=True)
        server.loop, server.tls = asyncio.get_running_loop(), True
        await api.start()
        bench = Bench(server, ssl.PEM_cert_to_DER_cert(admin.certificate_pem.decode()))
        many = [bench.connect() for _ in range(BATCH)]
        one, rounds = many[:1], max(4, requests // BATCH)
        await bench.ask(one, lambda: request("POST", CONFIGMAPS, config_map("read")))
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000, 20, 50)

        get = request("GET", f"{CONFIGMAPS}/read")
        await stages(
            "GET of a ConfigMap of 1 KiB", GET, lambda: bench.ask(many, lambda: get), BATCH, 4 * rounds
        )
        numbers = count()

        def create() -> bytes:
            return request("POST", CONFIGMAPS, config_map(f"m-{next(numbers)}"))

        await stages(
            f"create of a ConfigMap of 1 KiB, {BATCH} at a time",
            CREATE,
            lambda: bench.ask(many, create),
            BATCH,
            rounds,
        )
        whole = request("GET", CONFIGMAPS)

        async def listed() -> None:
            await bench.ask(one, lambda: whole)
            while one[0][0]._current is not None:  # It is sent in pieces.
                await asyncio.sleep(0)

        await stages(
            f"LIST of {next(numbers) + 1:,} ConfigMaps",
            LIST,
            listed,
            1,
            rounds,
        )
        watching = [bench.connect() for _ in range(WATCHERS)]
        await bench.ask(watching, lambda: request("GET", f"{CONFIGMAPS}?watch=true&resourceVersion=0"))

        async def event() -> None:
            seen = answers([wire for _, wire in watching])
            await bench.ask(one, create)
            await seen

        await stages(f"create seen by {WATCHERS} watchers, for each of them", EVENT, event, WATCHERS, rounds)
        for _, wire in watching:
            wire.abort()
        await server.stop()
        await api.stop()
        await store.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=2000)
    uvloop.run(main(parser.parse_args().requests))
