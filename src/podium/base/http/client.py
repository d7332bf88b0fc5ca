"""An HTTP/1.1 client for asyncio on httptools: one server, one identity, a pool of kept-alive connections.

Used by every component towards the API server, by the API server towards kubelets and by proxies, which is
why a request may carry any headers, any body, and may become a raw connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping, Sequence
from typing import Any, cast
from urllib.parse import urlsplit

import httptools

from podium.base.http import wire
from podium.base.http.inbox import inbox
from podium.base.http.message import Headers, RawConnection
from podium.base.http.raw import READ_HIGH_BYTES, Flow, RawPipe
from podium.base.tasks import in_task

CONNECT_TIMEOUT_S = 10.0
HEAD_TIMEOUT_S = 90.0
"""How long a server may think before it answers: longer than an API server's own limit of 60 s."""
IDLE_TIMEOUT_S = 90.0
"""Less than servers keep idle connections, so that we seldom write into one being closed."""
CONNECTIONS_MAX = 512
HEAD_BYTES_MAX = 1024 * 1024
BODY_BYTES_MAX = 1024 * 1024 * 1024
KEEPALIVE_IDLE_S = 30
SESSIONS_MAX = 1024
"""TLS sessions kept for each context, one for each server name."""

RETRIED_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Repeating these does nothing twice, when a kept-alive connection turns out closed."""

HeaderFields = Headers | Mapping[str, str] | Sequence[tuple[str, str]]
Body = bytes | AsyncIterable[bytes]

_NO_BODY_STATUS = (204, 304)


class ProtocolError(ConnectionError):
    """The server's answer is no HTTP."""


class HttpTransport:
    """Sends requests to the server at `url` (`https://host:port/prefix`). Implements `client.Transport`."""

    def __init__(
        self,
        url: str,
        *,
        ssl_context: ssl.SSLContext | None,
        token: str | Callable[[], str] = "",
        connections_max: int = CONNECTIONS_MAX,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        head_timeout_s: float = HEAD_TIMEOUT_S,
        server_hostname: str | None = None,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"not an HTTP server's URL: {url!r}")
        self.url = url
        self._host = parts.hostname
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._authority = parts.netloc.rpartition("@")[2]
        self._prefix = parts.path.rstrip("/")
        self._ssl = (ssl_context or ssl.create_default_context()) if parts.scheme == "https" else None
        if self._ssl is not None:
            _keep_sessions(self._ssl)
        self._server_hostname = (server_hostname or self._host) if self._ssl else None
        self._token = token
        self._connect_timeout_s = connect_timeout_s
        self._head_timeout_s = head_timeout_s
        self._idle: list[_Connection] = []
        self._open: set[_Connection] = set()
        self._slots = asyncio.Semaphore(connections_max)
        self._closed = False

    @contextlib.asynccontextmanager
    async def request(
        self, method: str, target: str, *, headers: HeaderFields = (), body: Body = b""
    ) -> AsyncIterator[HttpResponse]:
        """Send a request; leaving the context abandons what is unread. Raises ConnectionError.

        The connection goes back to the pool when the answer has been read to its end.
        """
        response = await self.send(method, target, headers=headers, body=body)
        try:
            yield response
        finally:
            response.close()

    async def send(
        self, method: str, target: str, *, headers: HeaderFields = (), body: Body = b""
    ) -> HttpResponse:
        """Like `request`, for callers that close the response themselves, later."""
        head = self._head(method, target, headers, body)
        await in_task()
        await self._slots.acquire()
        try:
            return await self._send(method, head, body)
        except BaseException:
            self._slots.release()
            raise

    async def upgrade(
        self, method: str, target: str, *, headers: HeaderFields = ()
    ) -> tuple[HttpResponse, RawConnection | None]:
        """Ask for a protocol change. With status 101 the connection is the caller's to close; with any other
        there is none, and the response has a body to read and is to be closed."""
        head = self._head(method, target, headers, b"")
        await in_task()
        await self._slots.acquire()
        try:
            connection = await self._connect()
            try:
                response = await connection.exchange(method, head, b"", self._head_timeout_s)
            except BaseException:
                connection.abort()
                raise
        except BaseException:
            self._slots.release()
            raise
        if response.status == 101:
            return response, connection.take_raw()
        return response, None

    @property
    def in_use(self) -> bool:
        """Whether an exchange, or a connection that was upgraded, is still going on."""
        return len(self._open) > len(self._idle)

    def close_idle(self) -> None:
        """Close the connections that nobody uses."""
        for connection in self._idle:
            connection.abort()
        self._idle.clear()

    async def close(self) -> None:
        """Close every connection, those in use too."""
        self._closed = True
        for connection in list(self._open):
            connection.abort()
        self._idle.clear()

    def _head(self, method: str, target: str, headers: HeaderFields, body: Body) -> bytes:
        items = list(headers.items()) if isinstance(headers, Mapping) else list(headers)
        names = {name.lower() for name, _ in items}
        if "host" not in names:
            items.append(("host", self._authority))
        token = self._token() if callable(self._token) else self._token
        if token and "authorization" not in names:
            items.append(("authorization", f"Bearer {token}"))
        if isinstance(body, bytes):
            if (body or method in ("POST", "PUT", "PATCH")) and "content-length" not in names:
                items.append(("content-length", str(len(body))))
        elif "content-length" not in names:
            items.append(("transfer-encoding", "chunked"))
        return wire.request_head(method, self._prefix + target, items)

    async def _send(self, method: str, head: bytes, body: Body) -> HttpResponse:
        while True:
            connection = self._take_idle()
            fresh = connection is None
            if connection is None:
                connection = await self._connect()
            try:
                return await connection.exchange(method, head, body, self._head_timeout_s)
            except ConnectionError:
                stale = not fresh and not connection.answered
                connection.abort()
                # The server closed an idle connection just as we used it. Every idle one may be so, and each
                # attempt uses one up, so this ends.
                repeatable = method in RETRIED_METHODS and isinstance(body, bytes)
                if not stale or (connection.sent and not repeatable):
                    raise
            except BaseException:
                connection.abort()
                raise

    def _take_idle(self) -> _Connection | None:
        oldest = time.monotonic() - IDLE_TIMEOUT_S
        while self._idle:
            connection = self._idle.pop()
            if connection.usable and connection.idle_since > oldest:
                return connection
            connection.abort()
        return None

    async def _connect(self) -> _Connection:
        """Open a connection. Raises ConnectionError for whatever prevents it."""
        if self._closed:
            raise ConnectionError("the transport is closed")
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                _, connection = await loop.create_connection(
                    lambda: _Connection(self),
                    self._host,
                    self._port,
                    ssl=self._ssl,
                    server_hostname=self._server_hostname,
                )
        except TimeoutError:
            raise ConnectionError(
                f"cannot connect to {self._authority} within {self._connect_timeout_s:g} s"
            ) from None
        except ConnectionError:
            raise
        except OSError as error:
            # Name resolution and TLS failures too: for callers, no answer came.
            raise ConnectionError(f"cannot connect to {self._authority}: {error}") from error
        return connection

    # The connections' side.

    def opened(self, connection: _Connection) -> None:
        self._open.add(connection)

    def lost(self, connection: _Connection) -> None:
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    def released(self, connection: _Connection, *, reusable: bool) -> None:
        """An exchange (or the raw connection it became) is over."""
        self._slots.release()
        if self._ssl is not None:
            connection.keep_session()
        if reusable and connection.usable and not self._closed:
            connection.idle_since = time.monotonic()
            self._idle.append(connection)
        elif connection.raw is None:
            connection.abort()


class HttpResponse:
    """An answer whose head has arrived. The body is read at the reader's pace: unread, it stays with the
    server but for a bounded part."""

    __slots__ = ("_connection", "_released", "headers", "status")

    def __init__(self, connection: _Connection, status: int, headers: Headers) -> None:
        self._connection = connection
        self._released = False
        self.status = status
        self.headers = headers

    async def read(self) -> bytes:
        """Return the rest of the body."""
        parts = []
        size = 0
        async for chunk in self.chunks():
            parts.append(chunk)
            size += len(chunk)
            if size > BODY_BYTES_MAX:
                raise ProtocolError(f"the answer is longer than {BODY_BYTES_MAX} bytes")
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes. Raises ConnectionError when it ends before its end."""
        if self._released:
            return
        while chunk := await self._connection.next_chunk():
            yield chunk
        self.close()

    def close(self) -> None:
        """Give the connection back; when the body has an unread rest, cut it."""
        if not self._released:
            self._released = True
            self._connection.release()


class _Connection(asyncio.BufferedProtocol):
    """One connection: one exchange at a time."""

    def __init__(self, pool: HttpTransport) -> None:
        self._pool = pool
        self._flow = Flow()
        self._inbox = inbox()
        self._transport: asyncio.Transport
        self._parser: Any = None
        self._loop = asyncio.get_running_loop()
        self._method = ""
        self._head_fields: list[tuple[str, str]] = []
        self._head_bytes = 0
        self._response: asyncio.Future[HttpResponse] | None = None
        self._in_head = False
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._paused = False
        self._complete = True
        self._until_close = False
        self._keep_alive = True
        self._error: ConnectionError | None = None
        self._wanted: asyncio.Future[None] | None = None
        self._sender: asyncio.Task[None] | None = None
        self._switched = False
        """The server has agreed to another protocol: what comes belongs to that."""
        self._tail = b""
        self._session_kept = False
        self.raw: RawPipe | None = None
        self.sent = False
        """Something of the request in flight was written."""
        self.answered = False
        """Something of its answer has arrived."""
        self.idle_since = 0.0

    @property
    def usable(self) -> bool:
        return self._error is None and not self._transport.is_closing()

    # The transport's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._pool.opened(self)
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            # A watch can be silent for minutes; this is how a vanished server is noticed.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if hasattr(socket, "TCP_KEEPIDLE"):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE_S)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_IDLE_S // 2)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._inbox

    def buffer_updated(self, nbytes: int) -> None:
        data = self._inbox[:nbytes]
        if self.raw is not None:
            self.raw.feed(bytes(data))
            return
        if self._switched:
            # Who asked for the upgrade has not had its turn yet.
            self._tail += bytes(data)
            return
        if self._complete:
            # Nobody asked: a stray answer must never become the next request's.
            self._fail(ProtocolError("bytes outside of an exchange"))
            self._transport.abort()
            return
        self.answered = True
        if self._in_head:
            self._head_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as pause:
            self._switched = True
            self._tail = bytes(data[pause.args[0] :])
        except httptools.HttpParserError as error:
            if not self._complete or self._in_head:
                self._fail(ProtocolError(f"malformed answer: {error}"))
            self._keep_alive = False
            self._transport.abort()
        if self._in_head and self._head_bytes > HEAD_BYTES_MAX:
            self._fail(ProtocolError("the answer's head is too long"))
            self._transport.abort()

    def eof_received(self) -> bool:
        self._end(None)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(exc)
        self._flow.lose()
        self._pool.lost(self)
        if self._sender is not None:
            self._sender.cancel()

    def _end(self, exc: Exception | None) -> None:
        if self.raw is not None:
            self.raw.feed_end()
        if self._until_close and not self._in_head and exc is None:
            self._complete = True
            self._wake()
        self._keep_alive = False
        self._fail(ConnectionResetError(f"the server closed the connection{f': {exc}' if exc else ''}"))

    def pause_writing(self) -> None:
        self._flow.pause()

    def resume_writing(self) -> None:
        self._flow.resume()

    def _fail(self, error: ConnectionError) -> None:
        if self._error is None:
            self._error = error
        if self._response is not None and not self._response.done():
            self._response.set_exception(self._error)
        self._wake()

    def _wake(self) -> None:
        if self._wanted is not None and not self._wanted.done():
            self._wanted.set_result(None)

    # The parser's side.

    def on_message_begin(self) -> None:
        if self._complete:
            # A second answer to one request. It must not become part of the first, nor the next one's.
            self._keep_alive = False
            return
        self._head_fields = []
        self._in_head = True

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:
            self._head_fields.append((name.decode("latin-1").lower(), value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        if self._complete:
            return
        self._in_head = False
        self._head_bytes = 0
        status = self._parser.get_status_code()
        if status < 200 and status != 101:
            return  # 100 Continue and its like: the answer follows.
        headers = Headers.of_lower(self._head_fields)
        bodiless = self._method == "HEAD" or status in _NO_BODY_STATUS or status == 101
        self._until_close = (
            not bodiless and "content-length" not in headers and "transfer-encoding" not in headers
        )
        self._keep_alive = self._parser.should_keep_alive() and not self._until_close
        if self._method == "HEAD":
            # The parser does not know the method, and would wait for the body that the head speaks of.
            self._complete = True
        if self._response is not None and not self._response.done():
            self._response.set_result(HttpResponse(self, status, headers))

    def on_body(self, data: bytes) -> None:
        if self._complete:
            self._keep_alive = False
            return
        self._chunks.append(data)
        self._size += len(data)
        if self._size > READ_HIGH_BYTES and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def on_message_complete(self) -> None:
        if self._response is not None and self._response.done():
            self._complete = True
            self._wake()

    # The user's side.

    async def exchange(self, method: str, head: bytes, body: Body, head_timeout_s: float) -> HttpResponse:
        """Send a request and return its answer's head."""
        self._parser = httptools.HttpResponseParser(self)
        self._method = method
        self._complete = self._until_close = self._in_head = False
        self._head_bytes = 0
        self.answered = self.sent = False
        self._response = self._loop.create_future()
        if not self.usable:
            raise ConnectionResetError("the server closed the connection")
        self.sent = True
        try:
            if isinstance(body, bytes):
                self._transport.write(head + body)
                async with asyncio.timeout(head_timeout_s):
                    return await self._response
            # The server may answer, or refuse, before it has the whole body.
            self._transport.write(head)
            self._sender = self._loop.create_task(
                self._send_body(body, b"transfer-encoding: chunked" in head)
            )
            return await self._response
        except TimeoutError:
            raise ConnectionError(f"no answer within {head_timeout_s:g} s") from None

    async def _send_body(self, body: AsyncIterable[bytes], chunked: bool) -> None:
        try:
            async for piece in body:
                if piece:
                    self._transport.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
                    await self._flow.ready()
            if chunked:
                self._transport.write(wire.CHUNK_END)
        except ConnectionError as error:
            self._keep_alive = False
            self._fail(error)
        except Exception as error:
            self._fail(ConnectionError(f"the request's body failed: {error}"))
            self._transport.abort()

    async def next_chunk(self) -> bytes:
        """Return the next part of the body; b"" at its end."""
        while not self._chunks:
            if self._complete:
                return b""
            if self._error is not None:
                raise self._error
            self._wanted = self._loop.create_future()
            try:
                await self._wanted
            finally:
                self._wanted = None
        data = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        self._size = 0
        if self._paused and not self._transport.is_closing():
            self._transport.resume_reading()
        self._paused = False
        return data

    def take_raw(self) -> RawConnection:
        """Return the connection as raw bytes, after a 101."""
        raw = self.raw = _OwnedPipe(self._transport, self._flow, self._raw_closed)
        if self._tail:
            raw.feed(self._tail)
            self._tail = b""
        if self._error is not None:
            raw.feed_end()
        return raw

    def _raw_closed(self) -> None:
        self._pool.released(self, reusable=False)

    def release(self) -> None:
        """The response is done with."""
        if self.raw is not None:
            return
        sending = self._sender is not None and not self._sender.done()
        if self._sender is not None:
            self._sender.cancel()
            self._sender = None
        reusable = (
            self._complete and not self._chunks and self._keep_alive and not sending and not self._switched
        )
        self._chunks.clear()
        self._size = 0
        self._pool.released(self, reusable=reusable)

    def keep_session(self) -> None:
        """Remember the TLS session for the next connection; tickets arrive after the handshake."""
        if not self._session_kept:
            self._session_kept = True
            tls = self._transport.get_extra_info("ssl_object")
            if isinstance(tls, _ResumingObject):
                tls.keep_session()

    def abort(self) -> None:
        self._transport.abort()


class _OwnedPipe(RawPipe):
    """A raw connection that tells its pool when it is closed, once."""

    __slots__ = ("_on_close",)

    def __init__(self, transport: asyncio.Transport, flow: Flow, on_close: Callable[[], None]) -> None:
        super().__init__(transport, flow)
        self._on_close: Callable[[], None] | None = on_close

    def close(self) -> None:
        on_close, self._on_close = self._on_close, None
        if on_close is not None:
            on_close()
        super().close()


class _ResumingObject(ssl.SSLObject):
    """A client's TLS session that resumes the last one with the same server: asyncio offers no way to pass
    one in, but lets the context choose its class."""

    @classmethod
    def _create(cls, *args: Any, **kwargs: Any) -> _ResumingObject:
        context, name = kwargs.get("context"), kwargs.get("server_hostname")
        sessions = getattr(context, "_podium_sessions", {})
        if kwargs.get("session") is None and name in sessions:
            kwargs["session"] = sessions[name]
        made: _ResumingObject = super()._create(*args, **kwargs)  # type: ignore[misc]
        return made

    def keep_session(self) -> None:
        sessions = getattr(self.context, "_podium_sessions", None)
        session, name = self.session, self.server_hostname
        if sessions is not None and session is not None and name is not None and session.has_ticket:
            if len(sessions) >= SESSIONS_MAX:
                sessions.clear()
            sessions[name] = session


def _keep_sessions(context: ssl.SSLContext) -> None:
    if context.sslobject_class is not _ResumingObject:
        context.sslobject_class = _ResumingObject
        context._podium_sessions = {}  # type: ignore[attr-defined]
