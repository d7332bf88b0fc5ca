"""exec, attach, port-forward and logs from a client through API server and kubelet to a runtime's double."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import orjson
import pytest

from podium.apiserver.streaming.kubelet import KubeletConnections
from podium.apiserver.streaming.location import BackendUnreachable
from podium.base.http import spdy, websocket
from podium.base.http.client import HttpTransport
from podium.base.http.message import Handler, Headers, Request, Response, StreamWriter
from podium.kubelet import streaming
from podium.machinery.errors import ApiError, BadRequest, Invalid, NotFound, Object
from tests.base.certs import authority
from tests.base.cri_double import Streams, exec_double, port_forward_double
from tests.base.http_tools import run, serving, transport_to

SUCCESS = b'{"metadata":{},"status":"Success"}'
FAILURE = b'{"metadata":{},"status":"Failure","message":"exit 7","reason":"NonZeroExitCode"}'


def pod(*containers: str, init: tuple[str, ...] = (), node: str = "n") -> Object:
    return {
        "metadata": {"name": "p", "namespace": "ns"},
        "spec": {
            "nodeName": node,
            "containers": [{"name": c} for c in containers or ("c",)],
            "initContainers": [{"name": c} for c in init],
        },
    }


def node(port: int) -> Object:
    return {
        "metadata": {"name": "n"},
        "status": {
            "addresses": [
                {"type": "Hostname", "address": "nowhere.invalid"},
                {"type": "InternalIP", "address": "127.0.0.1"},
            ],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
        },
    }


Verb = Callable[[KubeletConnections, Request, Object], Awaitable[Response]]


@asynccontextmanager
async def through_apiserver(kubelet: Handler, verb: Verb) -> AsyncIterator[HttpTransport]:
    """Yield a transport to an API server that answers everything with `verb` on that kubelet."""
    async with serving(kubelet, tls=True) as kubelet_server:
        connections = KubeletConnections(authority().client_context())

        async def handler(request: Request) -> Response:
            try:
                return await verb(connections, request, node(kubelet_server.port))
            except ApiError as error:
                return Response(status=error.code, body=orjson.dumps(error.status()))

        async with serving(handler, tls=True) as server, transport_to(server) as transport:
            yield transport
        await connections.close()


def kubelet_to(target: str, seen: list[Request] | None = None) -> Handler:
    async def handler(request: Request) -> Response:
        if seen is not None:
            seen.append(request)
        return await streaming.stream(request, target)

    return handler


async def exec_verb(connections: KubeletConnections, request: Request, node: Object) -> Response:
    return await connections.exec(request, pod(), node)


async def port_forward_verb(connections: KubeletConnections, request: Request, node: Object) -> Response:
    return await connections.portforward(request, pod(), node)


async def cat(streams: Streams) -> None:
    """A command that copies stdin to stdout, complains, and fails with 7."""
    while data := await streams["stdin"].read():
        await streams["stdout"].write(data)
    await streams["stderr"].write(b"oops")
    await streams["error"].write(FAILURE)


EXEC = "/exec?container=c&command=cat&command=-x&stdin=1&stdout=true&stderr=1"


async def collect(socket: websocket.WebSocket, *, text: bool = False) -> dict[int, bytes]:
    """Return what each channel said until the server closed."""
    said: dict[int, bytes] = {}
    while (message := await socket.receive()) is not None:
        if text:
            assert isinstance(message, str)
            channel, data = int(message[0]), base64.b64decode(message[1:])
        else:
            assert isinstance(message, bytes)
            channel, data = message[0], message[1:]
        said[channel] = said.get(channel, b"") + data
    return said


def test_exec_over_websocket_v5_with_half_close() -> None:
    seen: list[Request] = []
    data = b"some input\n" * 20_000

    async def main() -> dict[int, bytes]:
        async with (
            exec_double(cat, "stdin", "stdout", "stderr") as cri,
            through_apiserver(kubelet_to(cri, seen), exec_verb) as transport,
        ):
            socket = await websocket.connect(
                transport,
                EXEC,
                protocols=["v5.channel.k8s.io", "v4.channel.k8s.io"],
                headers=[("authorization", "Bearer secret"), ("impersonate-user", "root")],
            )
            assert socket.protocol == "v5.channel.k8s.io"
            for start in range(0, len(data), 8192):
                await socket.send(b"\0" + data[start : start + 8192])
            await socket.send(b"\xff\0")
            return await collect(socket)

    assert run(main()) == {1: data, 2: b"oops", 3: FAILURE}
    (request,) = seen
    assert request.target == "/exec/ns/p/c?input=1&output=1&error=1&command=cat&command=-x"
    assert "authorization" not in request.headers
    assert "impersonate-user" not in request.headers


@pytest.mark.parametrize(
    ("protocol", "sent", "error"),
    [
        ("v4.channel.k8s.io", b"\0hi", FAILURE),
        ("v4.base64.channel.k8s.io", "0aGk=", FAILURE),
        ("channel.k8s.io", b"\0hi", b"exit 7"),
        ("base64.channel.k8s.io", "0aGk=", b"exit 7"),
        ("", b"\0hi", b"exit 7"),
        # The kind of the frame is the client's choice.
        ("v4.channel.k8s.io", "\0hi", FAILURE),
        ("v4.base64.channel.k8s.io", b"0aGk=", FAILURE),
    ],
)
def test_exec_over_older_websocket_protocols(protocol: str, sent: str | bytes, error: bytes) -> None:
    async def answer_once(streams: Streams) -> None:
        await streams["stdout"].write((await streams["stdin"].read()).upper())
        await streams["error"].write(FAILURE)

    async def main() -> dict[int, bytes]:
        async with (
            exec_double(answer_once, "stdin", "stdout") as cri,
            through_apiserver(kubelet_to(cri), exec_verb) as transport,
        ):
            target = EXEC.replace("&stderr=1", "")
            socket = await websocket.connect(transport, target, protocols=[protocol] if protocol else [])
            assert socket.protocol == protocol
            await socket.send(sent)
            return await collect(socket, text="base64" in protocol)

    assert run(main()) == {1: b"HI", 3: error}


def test_success_is_a_status_in_v4_and_silence_before() -> None:
    async def succeed(streams: Streams) -> None:
        await streams["error"].write(SUCCESS)

    async def main(protocol: str) -> dict[int, bytes]:
        async with (
            exec_double(succeed, "stdout") as cri,
            through_apiserver(kubelet_to(cri), exec_verb) as transport,
        ):
            socket = await websocket.connect(transport, "/exec?command=x&stdout=1", protocols=[protocol])
            return await collect(socket)

    assert run(main("v4.channel.k8s.io")) == {1: b"", 3: SUCCESS}
    assert run(main("channel.k8s.io")) == {1: b""}


def test_a_terminal_has_resizes_and_no_stderr() -> None:
    async def resize(streams: Streams) -> None:
        await streams["stdout"].write(await streams["resize"].read())
        await streams["error"].write(SUCCESS)

    async def main() -> dict[int, bytes]:
        async with (
            exec_double(resize, "stdin", "stdout", "resize") as cri,
            through_apiserver(kubelet_to(cri), exec_verb) as transport,
        ):
            socket = await websocket.connect(transport, EXEC + "&tty=1", protocols=["v4.channel.k8s.io"])
            await socket.send(b'\4{"Width":80,"Height":24}')
            return await collect(socket)

    assert run(main()) == {1: b'{"Width":80,"Height":24}', 3: SUCCESS}


def test_a_client_that_leaves_ends_the_command() -> None:
    async def main() -> None:
        over = asyncio.Event()

        async def wait(streams: Streams) -> None:
            with pytest.raises(ConnectionError):
                await streams["stdin"].read()
            over.set()

        async with (
            exec_double(wait, "stdin", "stdout", "stderr") as cri,
            through_apiserver(kubelet_to(cri), exec_verb) as transport,
        ):
            socket = await websocket.connect(transport, EXEC, protocols=["v5.channel.k8s.io"])
            await socket.receive()
            await socket.close()
            await over.wait()

    run(main())


def test_output_waits_for_a_slow_client() -> None:
    written = 0

    async def flood(streams: Streams) -> None:
        nonlocal written
        for _ in range(1000):
            await streams["stdout"].write(b"x" * 100_000)
            written += 100_000
        await streams["error"].write(SUCCESS)

    async def main() -> int:
        async with (
            exec_double(flood, "stdout") as cri,
            through_apiserver(kubelet_to(cri), exec_verb) as transport,
        ):
            socket = await websocket.connect(
                transport, "/exec?command=x&stdout=1", protocols=["v5.channel.k8s.io"]
            )
            before = -1
            while before != written or not written:
                before = written
                await asyncio.sleep(0.1)
            assert written < 60_000_000
            total = 0
            while (message := await socket.receive()) is not None:
                total += len(message) - 1 if message[0] == 1 else 0
            return total

    assert run(main()) == 100_000_000


async def spdy_client(transport: HttpTransport, target: str, protocol: str) -> spdy.Session:
    headers = [("connection", "Upgrade"), ("upgrade", "SPDY/3.1"), (streaming.PROTOCOL_HEADER, protocol)]
    response, raw = await transport.upgrade("POST", target, headers=headers)
    assert response.status == 101
    assert response.headers.get(streaming.PROTOCOL_HEADER) == protocol
    assert raw is not None
    return spdy.Session(raw, server=False)


def test_exec_over_spdy_is_a_tunnel() -> None:
    async def main() -> None:
        async with (
            exec_double(cat, "stdin", "stdout", "stderr") as cri,
            through_apiserver(kubelet_to(cri), exec_verb) as transport,
        ):
            session = await spdy_client(transport, EXEC, "v4.channel.k8s.io")
            running = asyncio.ensure_future(session.run())
            streams = {}
            for kind in ("error", "stdin", "stdout", "stderr"):
                streams[kind] = await session.open(Headers([("streamtype", kind)]))
                await streams[kind].wait_reply()
            await streams["stdin"].write(b"hello")
            await streams["stdin"].end()
            assert await streams["stdout"].read() == b"hello"
            assert await streams["error"].read() == FAILURE
            await running

    run(main())


@pytest.mark.parametrize("tunnelled", [False, True], ids=["spdy", "spdy in a websocket"])
def test_port_forward(tunnelled: bool) -> None:
    async def main() -> None:
        async with (
            port_forward_double() as cri,
            through_apiserver(kubelet_to(cri), port_forward_verb) as transport,
        ):
            if tunnelled:
                protocols = [streaming.TUNNEL_PROTOCOL]
                socket = await websocket.connect(transport, "/portForward", protocols=protocols)
                assert socket.protocol == streaming.TUNNEL_PROTOCOL
                session = spdy.Session(streaming._Messages(socket, socket._raw), server=False)
            else:
                session = await spdy_client(transport, "/portForward", "portforward.k8s.io")
            running = asyncio.ensure_future(session.run())
            for number, port in enumerate(("80", "81")):
                labels = [("port", port), ("requestid", str(number))]
                error = await session.open(Headers([("streamtype", "error"), *labels]))
                await error.wait_reply()
                await error.end()
                data = await session.open(Headers([("streamtype", "data"), *labels]))
                await data.wait_reply()
                assert await data.read() == f"port {port}:".encode()
                await data.write(b"hello!")
                assert await data.read() == b"HELLO!"
                assert await data.read() == b""
                assert await error.read() == b""
            session.close()
            await running

    run(main())


def test_port_forward_over_websocket_channels() -> None:
    async def main() -> dict[int, bytes]:
        async with (
            port_forward_double() as cri,
            through_apiserver(kubelet_to(cri), port_forward_verb) as transport,
        ):
            socket = await websocket.connect(
                transport, "/portForward?ports=80,9", protocols=["v4.channel.k8s.io"]
            )
            await socket.send(b"\0hello!")
            return await collect(socket)

    assert run(main()) == {
        0: b"\x50\x00port 80:HELLO!",
        1: b"\x50\x00",
        2: b"\x09\x00",
        3: b"\x09\x00connection refused",
    }


# Refusals.


async def nothing(_request: Request) -> Response:
    return Response(status=500, body=b"not to be reached")


@pytest.mark.parametrize(
    ("pod", "query", "upgrade", "error", "message"),
    [
        (pod("c", "d"), "command=ls", True, BadRequest, "must be specified for pod p, choose one of: [c d]"),
        (
            pod("c", "d", init=("i", "j")),
            "",
            True,
            BadRequest,
            "a container name must be specified for pod p, choose one of: [c d] "
            "or one of the init containers: [i j]",
        ),
        (pod(), "container=x", True, BadRequest, "container x is not valid for pod p"),
        (pod(node=""), "container=c", True, BadRequest, "pod p does not have a host assigned"),
        (pod(node="gone"), "", True, NotFound, 'nodes "gone" not found'),
    ],
)
def test_bad_requests(pod: Object, query: str, upgrade: bool, error: type[ApiError], message: str) -> None:
    request = Request(method="POST", target=f"/exec?{query}")
    for verb in ("exec", "attach"):
        with pytest.raises(error) as caught:
            run(getattr(KubeletConnections(None), verb)(request, pod, None))
        assert message in caught.value.message


def test_a_request_without_an_upgrade() -> None:
    request = Request(method="POST", target="/exec?command=ls&stdout=1")
    with pytest.raises(BadRequest, match="Upgrade request required"):
        run(KubeletConnections(None).exec(request, pod(), node(1)))


UPGRADE = {"connection": "Upgrade", "upgrade": "SPDY/3.1"}


@pytest.mark.parametrize(
    ("answer", "status", "body"),
    [
        (Response(status=404, body=b"container not found"), 404, b"container not found"),
        (Response(status=200, body=b"no upgrade"), 200, b"no upgrade"),
        (
            Response(status=302, headers=Headers([("location", "https://elsewhere/")])),
            502,
            b"the backend attempted to redirect this request, which is not permitted",
        ),
    ],
)
def test_a_kubelets_refusal_is_passed_on_and_its_redirect_is_not(
    answer: Response, status: int, body: bytes
) -> None:
    async def kubelet(_request: Request) -> Response:
        return answer

    async def main() -> tuple[int, bytes]:
        async with through_apiserver(kubelet, exec_verb) as transport:
            response, raw = await transport.upgrade("POST", EXEC, headers=UPGRADE)
            assert raw is None
            assert "location" not in response.headers
            content = await response.read()
            return response.status, content

    assert run(main()) == (status, body)


def test_the_runtimes_refusal_is_passed_on() -> None:
    async def runtime(_request: Request) -> Response:
        return Response(status=404, body=b"token expired")

    async def main() -> tuple[int, bytes]:
        async with serving(runtime) as cri:
            kubelet = kubelet_to(f"http://127.0.0.1:{cri.port}/exec/x")
            async with through_apiserver(kubelet, exec_verb) as transport:
                response, _ = await transport.upgrade("POST", EXEC, headers=UPGRADE)
                return response.status, await response.read()

    assert run(main()) == (404, b"token expired")


def test_a_kubelet_that_does_not_answer() -> None:
    async def main() -> None:
        async with serving(nothing, tls=True) as server:
            pass
        connections = KubeletConnections(authority().client_context())
        request = Request(method="POST", target=EXEC, headers=Headers(UPGRADE.items()))
        with pytest.raises(BackendUnreachable, match="error dialing backend: "):
            await connections.exec(request, pod(), node(server.port))
        with pytest.raises(BackendUnreachable, match="containerLogs/ns/p/c"):
            await connections.logs(Request(method="GET", target="/log"), pod(), node(server.port))
        await connections.close()

    run(main())


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("", "you must specify at least 1 of stdin, stdout, stderr"),
        ("?output=1", "no supported protocol"),
    ],
)
def test_what_a_kubelet_refuses(query: str, message: str) -> None:
    async def main() -> None:
        handler = kubelet_to("http://127.0.0.1:1/")
        async with serving(handler) as server, transport_to(server) as transport:
            with pytest.raises(Exception, match=message):
                protocols = ["v9"] if query else ["v5.channel.k8s.io"]
                await websocket.connect(transport, f"/exec/ns/p/c{query}", protocols=protocols)

    run(main())


# Logs.


async def logs_verb(connections: KubeletConnections, request: Request, node: Object) -> Response:
    return await connections.logs(request, pod(), node)


def test_logs_flow_as_they_are_written_and_end_with_the_reader() -> None:
    async def main() -> None:
        more, gone = asyncio.Event(), asyncio.Event()
        targets: list[str] = []

        async def kubelet(request: Request) -> Response:
            targets.append(request.target)

            async def write(writer: StreamWriter) -> None:
                writer.write(b"first\n")
                await more.wait()
                writer.write(b"second\n")
                await writer.wait_closed()
                gone.set()

            return Response(stream=write)

        async with through_apiserver(kubelet, logs_verb) as transport:
            target = "/log?follow=true&tailLines=5&sinceTime=2024-01-01T01:00:00%2B01:00&timestamps=1"
            response = await transport.send("GET", target)
            assert response.headers.get("content-type") == "text/plain"
            chunks = response.chunks()
            assert await anext(chunks) == b"first\n"
            more.set()
            assert await anext(chunks) == b"second\n"
            response.close()
            await gone.wait()
        assert targets == [
            "/containerLogs/ns/p/c?follow=true&timestamps=true&sinceTime=2024-01-01T00%3A00%3A00Z&tailLines=5"
        ]

    run(main())


def test_a_log_that_breaks_off_is_not_an_end() -> None:
    async def kubelet(_request: Request) -> Response:
        async def write(writer: StreamWriter) -> None:
            writer.write(b"begun")
            await writer.drain()
            writer.abort()

        return Response(stream=write)

    async def main() -> None:
        async with through_apiserver(kubelet, logs_verb) as transport:
            response = await transport.send("GET", "/log")
            with pytest.raises(ConnectionError):
                await response.read()

    run(main())


@pytest.mark.parametrize(
    ("status", "text", "expected"),
    [
        (400, "container c is waiting to start", (400, "BadRequest", "container c is waiting to start")),
        (500, "disk", (500, "InternalError", "Internal error occurred: disk")),
        (404, "x", (404, "NotFound", "the server could not find the requested resource ( pods p)")),
    ],
)
def test_a_kubelets_refusal_of_logs_becomes_a_status(
    status: int, text: str, expected: tuple[int, str, str]
) -> None:
    async def kubelet(_request: Request) -> Response:
        return Response(status=status, body=text.encode())

    async def main() -> Object:
        async with through_apiserver(kubelet, logs_verb) as transport:
            response = await transport.send("GET", "/log")
            answer: Object = orjson.loads(await response.read())
            return answer

    answer = run(main())
    assert (answer["code"], answer["reason"], answer["message"]) == expected


@pytest.mark.parametrize(
    ("query", "error", "message"),
    [
        ("container=nosuch", BadRequest, "container nosuch is not valid for pod p"),
        (
            "tailLines=-1",
            Invalid,
            'PodLogOptions "p" is invalid: tailLines: Invalid value: -1: must be greater than or equal to 0',
        ),
        (
            "sinceSeconds=0&sinceTime=2024-01-01T00:00:00Z",
            Invalid,
            'PodLogOptions "p" is invalid: []: Forbidden: '
            "at most one of `sinceTime` or `sinceSeconds` may be specified",
        ),
        ("tailLines=x", BadRequest, 'strconv.ParseInt: parsing "x": invalid syntax'),
        ("sinceTime=x", BadRequest, "parsing time"),
    ],
)
def test_bad_log_options(query: str, error: type[ApiError], message: str) -> None:
    request = Request(method="GET", target=f"/log?{query}")
    with pytest.raises(error) as caught:
        run(KubeletConnections(None).logs(request, pod("c"), node(1)))
    assert message in caught.value.message


def test_the_log_of_a_pod_without_a_node_is_empty() -> None:
    request = Request(method="GET", target="/log?container=c")
    assert run(KubeletConnections(None).logs(request, pod(node=""), None)).status == 204


def test_other_certificates_make_other_connections() -> None:
    async def main() -> None:
        connections = KubeletConnections(authority().client_context())
        before = connections.transport(node(1))
        assert connections.transport(node(1)) is before
        connections.replace_tls(authority().client_context())
        assert connections.transport(node(1)) is not before
        await connections.close()

    run(main())
