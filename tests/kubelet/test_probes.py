"""Probe attempts against real listeners on loopback, and verdicts by threshold."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

import pytest

from podium.kubelet.cri.fake import FakeRuntime
from podium.kubelet.probes import Outcome, Target, attempt, port_number
from podium.machinery.errors import Object
from tests.kubelet.node import make_pod
from tests.kubelet.test_pod_machine import status


def target(container: Object) -> Target:
    return Target(
        pod=make_pod(container),
        container=container,
        status=status(container["name"]),
        kind="readiness",
        ip="127.0.0.1",
    )


def serve(answer: bytes, ask: Callable[[int], Coroutine[None, None, Outcome]]) -> tuple[Outcome, bytes]:
    """Let `ask` probe a server that gives `answer`; return the outcome and what the server received."""

    async def run() -> tuple[Outcome, bytes]:
        received = b""

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal received
            if answer:
                received = await reader.readuntil(b"\r\n\r\n")
                writer.write(answer)
            writer.close()

        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        async with server:
            outcome = await ask(server.sockets[0].getsockname()[1])
        return outcome, received

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("status_line", "success", "output"),
    [
        ("200 OK", True, "body"),
        ("302 Found", True, "body"),
        ("404 Not Found", False, "HTTP probe failed with statuscode: 404"),
        ("500 Oh", False, "HTTP probe failed with statuscode: 500"),
    ],
)
def test_http(status_line: str, success: bool, output: str) -> None:
    container: Object = {"name": "app", "ports": [{"name": "http", "containerPort": 1}]}

    def ask(port: int) -> Coroutine[None, None, Outcome]:
        container["ports"][0]["containerPort"] = port
        action = {"path": "healthz", "port": "http", "httpHeaders": [{"name": "X-A", "value": "b"}]}
        return attempt(FakeRuntime(), target(container), {"httpGet": action})

    answer = f"HTTP/1.1 {status_line}\r\nContent-Length: 4\r\n\r\nbody".encode()
    outcome, received = serve(answer, ask)
    assert outcome == Outcome(success=success, output=output)
    assert received.startswith(b"GET /healthz HTTP/1.1\r\n")
    assert b"User-Agent: kube-probe/1.36\r\n" in received
    assert b"X-A: b\r\n" in received


def test_tcp() -> None:
    def ask(port: int) -> Coroutine[None, None, Outcome]:
        return attempt(FakeRuntime(), target({"name": "app"}), {"tcpSocket": {"port": port}})

    assert serve(b"", ask)[0].success
    refused = asyncio.run(ask(1))
    assert refused == Outcome(success=False, output="dial tcp 127.0.0.1:1: connect: connection refused")


def test_port_names() -> None:
    container: Object = {"name": "app", "ports": [{"name": "http", "containerPort": 8080}]}
    assert [port_number(port, container) for port in (80, "81", "http", "none")] == [80, 81, 8080, 0]


def test_grpc() -> None:
    grpc = pytest.importorskip("grpc")

    async def run(answer: bytes) -> tuple[Outcome, bytes]:
        received = b""

        async def check(request: bytes, _context: object) -> bytes:
            nonlocal received
            received = request
            return answer

        server = grpc.aio.server()
        handlers = {"Check": grpc.unary_unary_rpc_method_handler(check)}
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("grpc.health.v1.Health", handlers),)
        )
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        probe = {"grpc": {"port": port, "service": "shop"}, "timeoutSeconds": 5}
        try:
            return await attempt(FakeRuntime(), target({"name": "app"}), probe), received
        finally:
            await server.stop(None)

    serving, received = asyncio.run(run(b"\x08\x01"))
    assert serving.success
    assert received == b"\x0a\x04shop"
    assert not asyncio.run(run(b"\x08\x02"))[0].success
