"""exec, attach and port-forward at the node: joins what the API server asks for with the container runtime's
streaming server.

The runtime (containerd's CRI plugin) speaks SPDY/3.1 on 127.0.0.1. A client that speaks SPDY too gets a raw
tunnel. WebSocket clients come in two kinds: those that carry SPDY inside the WebSocket (kubectl port-forward)
are unwrapped and no more, those with numbered channels (kubectl exec) are translated:

    exec, attach   0 stdin   1 stdout   2 stderr   3 error   4 resize   255 close (v5: ends a channel)
    port-forward   2i data of port i   2i+1 error of port i   (each begins with the port, little-endian)
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

import orjson

from podium.base.http import spdy, websocket, wire
from podium.base.http.client import HttpResponse, HttpTransport
from podium.base.http.message import Headers, HttpError, RawConnection, Request, Response
from podium.base.http.raw import splice
from podium.base.http.websocket import WebSocket

PROTOCOL_HEADER = "x-stream-protocol-version"
EXEC_PROTOCOL = "v4.channel.k8s.io"
PORT_FORWARD_PROTOCOL = "portforward.k8s.io"
TUNNEL_PROTOCOL = "SPDY/3.1+portforward.k8s.io"
EXEC_WEBSOCKET_PROTOCOLS = (
    "v5.channel.k8s.io",
    "v4.channel.k8s.io",
    "v4.base64.channel.k8s.io",
    "channel.k8s.io",
    "base64.channel.k8s.io",
)
PORT_FORWARD_WEBSOCKET_PROTOCOLS = ("v4.channel.k8s.io", "v4.base64.channel.k8s.io")
STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
ERROR_BYTES_MAX = 64 * 1024
PORTS_MAX = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamOptions:
    """What an exec or attach request asks for; also what CRI's ExecRequest and AttachRequest take."""

    stdin: bool
    stdout: bool
    stderr: bool
    tty: bool
    command: tuple[str, ...] = ()


def stream_options(request: Request) -> StreamOptions:
    """Read the query of `/exec/…` or `/attach/…`. Raises HttpError (400) when no stream is asked for."""

    def flag(*names: str) -> bool:
        return any(request.parameter(name).lower() in ("1", "true", "t") for name in names)

    tty = flag("tty")
    options = StreamOptions(
        stdin=flag("input", "stdin"),
        stdout=flag("output", "stdout"),
        # A terminal has one output only.
        stderr=flag("error", "stderr") and not tty,
        tty=tty,
        command=tuple(request.query.get("command", ())),
    )
    if not (options.stdin or options.stdout or options.stderr):
        raise HttpError(400, "BadRequest", "you must specify at least 1 of stdin, stdout, stderr")
    return options


def forwarded_ports(request: Request) -> list[int]:
    """Read the ports of a port-forward request (`port=80,443` or repeated). Raises HttpError (400)."""
    given = [p for name in ("port", "ports") for v in request.query.get(name, ()) for p in v.split(",") if p]
    ports = []
    for text in given:
        if not text.isdigit() or not 0 < int(text) < 65536:
            raise HttpError(400, "BadRequest", f"port {text!r} must be > 0 and < 65536")
        ports.append(int(text))
    if len(ports) > PORTS_MAX:
        raise HttpError(400, "BadRequest", f"at most {PORTS_MAX} ports can be forwarded at once")
    return ports


def require_upgrade(request: Request) -> None:
    """Raise HttpError (400), with upstream's words, for a request that wants no upgrade. To be called before
    the runtime is asked for a streaming URL."""
    if "upgrade" not in request.headers.tokens("connection") or "upgrade" not in request.headers:
        raise HttpError(400, "BadRequest", "Upgrade request required")


async def stream(request: Request, url: str) -> Response:
    """Answer an exec, attach or port-forward request by joining it with the runtime's `url`.

    The request's own path tells which of them it is. Raises HttpError for a bad request; what the runtime
    answers instead of an upgrade is passed on.
    """
    require_upgrade(request)
    port_forward = request.path.lower().startswith("/portforward")
    if not websocket.is_websocket(request.headers):
        return await _tunnel(request, url)
    offered = websocket.offered_protocols(request.headers)
    if port_forward and TUNNEL_PROTOCOL in offered:
        return await _unwrap(request, url)
    supported = PORT_FORWARD_WEBSOCKET_PROTOCOLS if port_forward else EXEC_WEBSOCKET_PROTOCOLS
    protocol = next((p for p in offered if p in supported), "")
    if offered and not protocol:
        raise HttpError(400, "BadRequest", f"unable to upgrade: no supported protocol among {offered}")
    if port_forward:
        return await _translate_ports(request, url, protocol)
    return await _translate_exec(request, url, protocol)


class _Runtime:
    """A connection to the runtime's streaming server, after its upgrade to SPDY."""

    def __init__(self, transport: HttpTransport, response: HttpResponse, raw: RawConnection | None) -> None:
        self._transport = transport
        self.response = response
        self.raw = raw

    @staticmethod
    async def connect(method: str, url: str, headers: Iterable[tuple[str, str]]) -> _Runtime:
        """Raises HttpError (502) when the runtime cannot be reached."""
        parts = urlsplit(url)
        transport = HttpTransport(f"{parts.scheme}://{parts.netloc}", ssl_context=None)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        try:
            response, raw = await transport.upgrade(method, target, headers=list(headers))
        except ConnectionError as error:
            await transport.close()
            raise HttpError(502, "InternalError", f"container runtime's streaming server: {error}") from error
        return _Runtime(transport, response, raw)

    async def refusal(self) -> Response:
        """Return what the runtime answered instead of an upgrade."""
        try:
            body = await self.response.read()
        except ConnectionError as error:
            body = str(error).encode()
        finally:
            await self.close()
        kept = [(n, v) for n, v in self.response.headers if n in ("content-type", "www-authenticate")]
        return Response(status=self.response.status, headers=Headers(kept), body=body)

    async def close(self) -> None:
        self.response.close()
        if self.raw is not None:
            self.raw.close()
        await self._transport.close()


def _spdy_headers(protocols: Iterable[str]) -> list[tuple[str, str]]:
    fields = [("connection", "Upgrade"), ("upgrade", "SPDY/3.1")]
    return fields + [(PROTOCOL_HEADER, protocol) for protocol in protocols]


async def _tunnel(request: Request, url: str) -> Response:
    """SPDY both sides: carry the bytes."""
    runtime = await _Runtime.connect(
        request.method, url, _spdy_headers(request.headers.get_all(PROTOCOL_HEADER))
    )
    raw = runtime.raw
    if raw is None:
        return await runtime.refusal()

    async def upgraded(client: RawConnection) -> None:
        try:
            await splice(client, raw)
        finally:
            await runtime.close()

    kept = ("upgrade", "connection", PROTOCOL_HEADER)
    headers = Headers([(name, value) for name, value in runtime.response.headers if name in kept])
    return Response(status=101, headers=headers, upgrade=upgraded)


async def _unwrap(request: Request, url: str) -> Response:
    """SPDY inside a WebSocket: each message is a piece of the SPDY connection."""
    answer = websocket.accept_headers(request, TUNNEL_PROTOCOL)
    runtime = await _Runtime.connect("POST", url, _spdy_headers([PORT_FORWARD_PROTOCOL]))
    raw = runtime.raw
    if raw is None:
        return await runtime.refusal()

    async def upgraded(client: RawConnection) -> None:
        try:
            await splice(_Messages(WebSocket(client, server=True), client), raw)
        finally:
            await runtime.close()

    return Response(status=101, headers=answer, upgrade=upgraded)


class _Messages:
    """The binary messages of a WebSocket as a raw connection."""

    def __init__(self, socket: WebSocket, raw: RawConnection) -> None:
        self._socket = socket
        self._raw = raw

    async def read(self) -> bytes:
        while (message := await self._socket.receive()) is not None:
            if isinstance(message, bytes) and message:
                return message
        return b""

    async def write(self, data: bytes) -> None:
        await self._socket.send(data)

    def close(self) -> None:
        self._raw.close()


class _Channels:
    """Numbered channels over a WebSocket: a byte before the data, or with base64 a digit before text."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self._text = "base64" in socket.protocol

    async def receive(self) -> tuple[int, bytes] | None:
        """Return the next message with its channel; None at the end. Raises ConnectionError for nonsense.

        The protocol says how to read it, not the kind of the frame: Python's clients send input as text.
        """
        while (message := await self._socket.receive()) is not None:
            data = message.encode() if isinstance(message, str) else message
            if not data:
                continue
            if not self._text:
                return data[0], data[1:]
            try:
                return data[0] - ord("0"), base64.b64decode(data[1:], validate=True)
            except (binascii.Error, ValueError) as error:
                raise ConnectionError("malformed message from the client") from error
        return None

    async def send(self, channel: int, data: bytes) -> None:
        if self._text:
            await self._socket.send(chr(ord("0") + channel) + base64.b64encode(data).decode())
        else:
            await self._socket.send(bytes((channel,)) + data)

    async def close(self) -> None:
        await self._socket.close()


async def _translate_exec(request: Request, url: str, protocol: str) -> Response:
    options = stream_options(request)
    answer = websocket.accept_headers(request, protocol)
    runtime = await _Runtime.connect("POST", url, _spdy_headers([EXEC_PROTOCOL]))
    raw = runtime.raw
    if raw is None:
        return await runtime.refusal()

    async def upgraded(client: RawConnection) -> None:
        channels = _Channels(WebSocket(client, server=True, protocol=protocol))
        session = spdy.Session(raw, server=False)
        try:
            await _Exec(channels, session, options, protocol).run()
        finally:
            session.close()
            await runtime.close()

    return Response(status=101, headers=answer, upgrade=upgraded)


class _Exec:
    """One exec or attach between channels and SPDY streams."""

    def __init__(
        self, channels: _Channels, session: spdy.Session, options: StreamOptions, protocol: str
    ) -> None:
        self._channels = channels
        self._session = session
        self._options = options
        self._status_as_json = protocol.startswith(("v4.", "v5."))
        self._half_close = protocol.startswith("v5.")
        self._inputs: dict[int, spdy.Stream] = {}

    async def run(self) -> None:
        """Return when the command has ended and all it said is sent, or the client has left."""
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(self._session.run())
            try:
                await self._run()
            except ConnectionError:
                pass  # Either side is gone: the other is told by closing it.
            finally:
                self._session.close()
                reading.cancel()
                await self._channels.close()

    async def _run(self) -> None:
        options = self._options
        error = await self._open("error")
        outputs: list[tuple[int, spdy.Stream]] = []
        if options.stdin:
            self._inputs[STDIN] = await self._open("stdin")
        if options.stdout:
            outputs.append((STDOUT, await self._open("stdout")))
        if options.stderr:
            outputs.append((STDERR, await self._open("stderr")))
        if options.tty:
            self._inputs[RESIZE] = await self._open("resize")
        # Clients wait for a first message, be it empty, to know that they are connected.
        await self._channels.send(outputs[0][0] if outputs else ERROR, b"")
        listening = asyncio.ensure_future(self._listen())
        ending = asyncio.ensure_future(self._finish(error, outputs))
        try:
            done, _ = await asyncio.wait((listening, ending), return_when=asyncio.FIRST_COMPLETED)
            for over in done:
                over.result()
        finally:
            for task in (listening, ending):
                task.cancel()
            await asyncio.gather(listening, ending, return_exceptions=True)

    async def _open(self, kind: str) -> spdy.Stream:
        stream = await self._session.open(Headers([("streamtype", kind)]))
        await stream.wait_reply()
        return stream

    async def _listen(self) -> None:
        """Carry the client's input until it leaves."""
        while (message := await self._channels.receive()) is not None:
            channel, data = message
            if channel == CLOSE and self._half_close:
                closed = self._inputs.pop(data[0], None) if data else None
                if closed is not None:
                    with contextlib.suppress(ConnectionError):
                        await closed.end()
            elif data and (target := self._inputs.get(channel)) is not None:
                try:
                    await target.write(data)
                except ConnectionError:
                    # The command closed its stdin: the rest for it is dropped, its output still counts.
                    self._inputs.pop(channel)

    async def _finish(self, error: spdy.Stream, outputs: list[tuple[int, spdy.Stream]]) -> None:
        """Carry the outputs to their end, then say how the command ended."""
        async with asyncio.TaskGroup() as tasks:
            for channel, output in outputs:
                tasks.create_task(_carry(self._channels, channel, output))
            status = tasks.create_task(_read_all(error))
        await self._send_status(status.result())

    async def _send_status(self, status: bytes) -> None:
        if self._status_as_json:
            if status:
                await self._channels.send(ERROR, status)
            return
        # Before v4 the error channel carried a plain message, and nothing meant success.
        try:
            decoded = orjson.loads(status)
        except ValueError:
            decoded = {"status": "Failure", "message": status.decode(errors="replace")} if status else {}
        if decoded.get("status") == "Failure":
            await self._channels.send(ERROR, str(decoded.get("message", "")).encode())


async def _read(stream: spdy.Stream) -> bytes:
    """Read; a runtime that closes the connection instead of each stream has ended them all."""
    try:
        return await stream.read()
    except ConnectionError:
        return b""


async def _carry(channels: _Channels, channel: int, source: spdy.Stream) -> None:
    """Send what a stream says until it ends, or the client is gone (which the listener sees too)."""
    with contextlib.suppress(ConnectionError):
        while data := await _read(source):
            for start in range(0, len(data), spdy.DATA_BYTES):
                await channels.send(channel, data[start : start + spdy.DATA_BYTES])


async def _read_all(stream: spdy.Stream) -> bytes:
    text = b""
    while data := await _read(stream):
        text = (text + data)[:ERROR_BYTES_MAX]
    return text


async def _translate_ports(request: Request, url: str, protocol: str) -> Response:
    ports = forwarded_ports(request)
    if not ports:
        raise HttpError(400, "BadRequest", 'query parameter "port" is required')
    answer = websocket.accept_headers(request, protocol)
    runtime = await _Runtime.connect("POST", url, _spdy_headers([PORT_FORWARD_PROTOCOL]))
    raw = runtime.raw
    if raw is None:
        return await runtime.refusal()

    async def upgraded(client: RawConnection) -> None:
        channels = _Channels(WebSocket(client, server=True, protocol=protocol))
        session = spdy.Session(raw, server=False)
        try:
            await _forward(channels, session, ports)
        finally:
            session.close()
            await runtime.close()

    return Response(status=101, headers=answer, upgrade=upgraded)


async def _forward(channels: _Channels, session: spdy.Session, ports: list[int]) -> None:
    """Carry one connection to each port until all have ended, or the client has left."""
    data_streams: dict[int, spdy.Stream] = {}

    async def listen() -> None:
        while (message := await channels.receive()) is not None:
            target = data_streams.get(message[0])
            if target is not None and message[1]:
                with contextlib.suppress(ConnectionError):
                    await target.write(message[1])

    async def connect() -> list[tuple[int, spdy.Stream]]:
        sources = []
        for index, port in enumerate(ports):
            labels = [("port", str(port)), ("requestid", str(index))]
            error = await session.open(Headers([("streamtype", "error"), *labels]))
            await error.wait_reply()
            data = await session.open(Headers([("streamtype", "data"), *labels]))
            await data.wait_reply()
            await error.end()
            data_streams[2 * index] = data
            sources += [(2 * index, data), (2 * index + 1, error)]
            for channel in (2 * index, 2 * index + 1):
                await channels.send(channel, port.to_bytes(2, "little"))
        return sources

    async def run(sources: list[tuple[int, spdy.Stream]]) -> None:
        async with asyncio.TaskGroup() as tasks:
            for channel, source in sources:
                tasks.create_task(_carry(channels, channel, source))

    async with asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(session.run())
        jobs: list[asyncio.Future[None]] = []
        try:
            # What the client sends at once waits unread until there is somewhere to carry it.
            sources = await connect()
            jobs = [asyncio.ensure_future(run(sources)), asyncio.ensure_future(listen())]
            done, _ = await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED)
            for over in done:
                over.result()
        except ConnectionError:
            pass  # Either side is gone: the other is told by closing it.
        finally:
            for job in jobs:
                job.cancel()
            await asyncio.gather(*jobs, return_exceptions=True)
            session.close()
            reading.cancel()
            await channels.close()


def error_response(error: HttpError) -> Response:
    """Return an HttpError as the kubelet's answer (servers do the same with one that is raised)."""
    body = wire.status_body(error.status, error.reason, error.message)
    return Response(status=error.status, headers=Headers([("content-type", "application/json")]), body=body)
