"""The real server under a flood, and at its limits: who is served all the same, what others are told."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import ssl
import sys
from collections import Counter
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.wire.server import TOKEN, Running, running

KUBECTL = next(
    (
        path
        for path in (str(Path(sys.executable).parent / "kubectl"), shutil.which("kubectl") or "")
        if path and Path(path).exists()
    ),
    "",
)
CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
SCHEMA_UID = "x-kubernetes-pf-flowschema-uid"
CONNECTIONS = 80
TOKENS = f"""{TOKEN},admin,1,system:masters
flooder,flooder,2
alice,alice,3
node,system:node:n1,4,system:nodes
"""
PATIENCE_S = 60.0


_peers: list[Peer] = []
"""All that were connected, to be closed."""


class Peer:
    """One connection of a user."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, token: str) -> None:
        self.reader, self.writer, self.token = reader, writer, token

    @staticmethod
    async def connect(server: Running, token: str, *, receive_bytes: int = 0) -> Peer:
        context = ssl.create_default_context(cafile=str(server.ca_file))
        sock = socket.socket()
        if receive_bytes:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", server.port))
        opened = await asyncio.open_connection(sock=sock, ssl=context, server_hostname="127.0.0.1")
        peer = Peer(*opened, token)
        _peers.append(peer)
        return peer

    def send(self, method: str, target: str, body: Any = None) -> None:
        data = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {target} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {self.token}\r\n"
        head += f"content-type: application/json\r\ncontent-length: {len(data)}\r\n\r\n" if data else "\r\n"
        self.writer.write(head.encode() + data)

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.strip().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        body = await self.reader.readexactly(int(headers["content-length"]))
        return int(first.split(" ")[1]), headers, body

    async def ask(self, method: str, target: str, body: Any = None) -> tuple[int, dict[str, str], bytes]:
        self.send(method, target, body)
        return await self.answer()


def run(scenario: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                await scenario
        finally:
            for peer in _peers:
                peer.writer.transport.abort()
                with suppress(OSError):
                    await peer.writer.wait_closed()
            _peers.clear()

    asyncio.run(bounded())


@contextmanager
def serving(directory: Path, *flags: str) -> Iterator[Running]:
    tokens = directory / "all-tokens.csv"
    tokens.write_text(TOKENS)
    with running(directory, f"--token-auth-file={tokens}", *flags) as server:
        yield server


async def people(admin: Peer, objects: int, size: int) -> None:
    """Let the users read, and make something to read."""
    subjects = [
        {"kind": "User", "name": name, "apiGroup": "rbac.authorization.k8s.io"}
        for name in ("flooder", "alice")
    ]
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    binding = {"metadata": {"name": "people"}, "roleRef": role, "subjects": subjects}
    status, _, _ = await admin.ask("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", binding)
    assert status == 201
    for number in range(objects):
        data = {"metadata": {"name": f"c{number}"}, "data": {"x": "y" * size}}
        status, _, _ = await admin.ask("POST", CONFIGMAPS, data)
        assert status == 201


async def kubectl(server: Running, *arguments: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *(KUBECTL, f"--server={server.url}", f"--certificate-authority={server.ca_file}"),
        *("--token=alice", "--kubeconfig=/dev/null", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


def test_a_flood_by_one_user_leaves_the_others_served(tmp_path: Path) -> None:
    statuses: dict[str, Counter[int]] = {"flooder": Counter(), "alice": Counter(), "node": Counter()}

    async def scenario(server: Running) -> None:
        admin = await Peer.connect(server, TOKEN)
        await people(admin, 100, 4000)
        lease = {"metadata": {"name": "n1"}, "spec": {"holderIdentity": "n1"}}
        assert (await admin.ask("POST", LEASES, lease))[0] == 201
        _, headers, _ = await admin.ask("GET", CONFIGMAPS)
        _, _, schema = await admin.ask("GET", "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas/exempt")
        assert headers[SCHEMA_UID] == json.loads(schema)["metadata"]["uid"]
        over = asyncio.Event()
        waited = asyncio.Event()

        async def flood() -> None:
            peer = await Peer.connect(server, "flooder")
            while not over.is_set():
                status, headers, _ = await peer.ask("GET", CONFIGMAPS)
                statuses["flooder"][status] += 1
                assert headers[SCHEMA_UID]
                if status == 429:
                    assert int(headers["retry-after"]) >= 1

        async def follow() -> None:
            """See that requests do wait, and are told of."""
            while not waited.is_set():
                _, _, text = await admin.ask("GET", "/metrics")
                for line in text.decode().splitlines():
                    if line.startswith("apiserver_current_inqueue_requests{") and not line.endswith(" 0"):
                        waited.set()

        async def victims() -> None:
            await waited.wait()
            alice, node = await Peer.connect(server, "alice"), await Peer.connect(server, "node")
            for _ in range(10):
                status, _, _ = await alice.ask("GET", f"{CONFIGMAPS}/c1")
                statuses["alice"][status] += 1
                _, _, body = await node.ask("GET", f"{LEASES}/n1")
                status, _, _ = await node.ask("PUT", f"{LEASES}/n1", json.loads(body))
                statuses["node"][status] += 1
            if KUBECTL:
                code, output = await kubectl(server, "get", "configmaps", "-o", "name")
                assert (code, output.count("configmap/c")) == (0, 100), output
            over.set()

        async with asyncio.TaskGroup() as group:
            for _ in range(CONNECTIONS):
                group.create_task(flood())
            group.create_task(follow())
            group.create_task(victims())

    with serving(tmp_path) as server:
        run(scenario(server))
    assert statuses["alice"] == {200: 10}
    assert statuses["node"] == {200: 10}
    assert statuses["flooder"][200] > CONNECTIONS
    assert set(statuses["flooder"]) <= {200, 429}


def test_without_priority_and_fairness_numbers_are_limited(tmp_path: Path) -> None:
    async def scenario(server: Running) -> None:
        admin = await Peer.connect(server, TOKEN)
        await people(admin, 16, 900_000)
        # One who does not read what he asked for keeps the only place for reads.
        slow = await Peer.connect(server, "flooder", receive_bytes=64 * 1024)
        slow.writer.transport.pause_reading()  # type: ignore[attr-defined]
        slow.send("GET", CONFIGMAPS)
        alice = await Peer.connect(server, "alice")
        while (found := await alice.ask("GET", f"{CONFIGMAPS}/c1"))[0] == 200:
            pass
        status, headers, body = found
        assert (status, body) == (429, b"Too many requests, please try again later.\n")
        assert headers["retry-after"] == "1"
        assert headers["content-type"] == "text/plain; charset=utf-8"
        assert SCHEMA_UID not in headers
        assert (await admin.ask("GET", f"{CONFIGMAPS}/c1"))[0] == 200
        assert (await alice.ask("POST", CONFIGMAPS, {"metadata": {"name": "new"}}))[0] == 201
        assert (await admin.ask("GET", "/debug/api_priority_and_fairness/dump_queues"))[0] == 404
        slow.writer.transport.abort()
        while (await alice.ask("GET", f"{CONFIGMAPS}/c1"))[0] != 200:
            pass

    with serving(tmp_path, "--enable-priority-and-fairness=false", "--max-requests-inflight=1") as server:
        run(scenario(server))
