"""One connection of the HTTP server: parses, hands requests over in order, writes answers.

It is in one of these states, told by what is set: reading a head (`_in_head`) or a body (`_incoming`);
handling a request (`_current`), with a stream (`_stream`) or as raw bytes (`_raw`); idle; or ending
(`_failure`, `_lingering`). What arrives while a request is handled waits unparsed, so that no request is
even looked at before its turn.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import ssl
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import httptools

from podium.base.http import wire
from podium.base.http.body import Body
from podium.base.http.inbox import inbox
from podium.base.http.message import Headers, HttpError, Request, Response
from podium.base.http.raw import Flow, RawPipe
from podium.base.http.repeats import Repeats
from podium.base.http.stream import Stream
from podium.base.log import Log

if TYPE_CHECKING:
    from podium.base.http.server import Server

HEAD_FIELDS_MAX = 10_000
SLICE_BYTES = 16 * 1024
"""The parser is fed this much at a time, which bounds how many requests it can bring at once."""
TAIL_BYTES_MAX = 64 * 1024
"""Of chunk extensions and trailers between two pieces of a body."""
UNPARSED_BYTES_MAX = 64 * 1024
"""What may wait behind a request being handled before reading rests."""
WRITE_BYTES = 256 * 1024
"""Long responses leave in pieces of about this size, each when the one before is nearly gone."""
LINGER_S = 1.0
"""How long a connection stays open to take in what a refused peer is still sending."""
CANCEL_AFTER_S = 1.0
"""How long a stream may go on after its peer has left."""

_BODILESS = (100, 101, 204, 304)
_UNKNOWN_METHOD = re.compile(rb"([A-Za-z0-9!#$%&'*+.^_`|~-]{1,24}) /")
_STAND_IN = b"POST"

_log = Log("podium.http")

_FAILED = wire.status_body(
    500, "InternalError", "Internal error occurred: the request's handler failed; the server's log says why"
)
_JSON = "application/json"

# Few names make up nearly all headers: their lower-case form is kept. Bounded, for peers may invent more.
_names: dict[bytes, str] = {}
_NAMES_MAX = 512
_NAME_LENGTH_MAX = 64


def _known(name: bytes) -> str:
    text = name.decode("latin-1").lower()
    if len(_names) < _NAMES_MAX and len(name) <= _NAME_LENGTH_MAX:
        _names[name] = text
    return text


class Exchange:
    """One request and what its answer needs to know of it."""

    __slots__ = ("body", "keep_alive", "request", "upgrade", "version")

    def __init__(
        self, request: Request, body: Body, *, keep_alive: bool, upgrade: bool, version: str
    ) -> None:
        self.request = request
        self.body = body
        self.keep_alive = keep_alive
        self.upgrade = upgrade
        self.version = version


class Connection(asyncio.BufferedProtocol):
    """One connection: parses, hands requests over in order, writes answers."""

    __slots__ = (
        "_current",
        "_eof",
        "_failure",
        "_head_bytes",
        "_head_fields",
        "_in_head",
        "_inbox",
        "_incoming",
        "_lingering",
        "_parser",
        "_peer_certificate",
        "_raw",
        "_reading",
        "_remote",
        "_repeats",
        "_stream",
        "_tail_bytes",
        "_task",
        "_transport",
        "_unknown_method",
        "_unparsed",
        "_url",
        "_waiting",
        "deadline",
        "flow",
        "server",
    )

    def __init__(self, server: Server) -> None:
        self.server = server
        self.deadline = 0.0
        """When to give up on the peer, on the loop's clock; 0 while it owes nothing."""
        self.flow = Flow()
        self._transport: asyncio.Transport
        self._inbox = inbox()
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""
        self._head_fields: list[tuple[str, str]] = []
        self._head_bytes = 0
        self._in_head = False
        self._tail_bytes = 0
        self._incoming: Exchange | None = None
        self._waiting: deque[Exchange] = deque()
        self._current: Exchange | None = None
        self._task: asyncio.Task[None] | None = None
        self._stream: Stream | None = None
        self._raw: RawPipe | None = None
        self._unparsed = b""
        self._unknown_method = ""
        """What the request being parsed calls a method, where the parser was given another name for it."""
        self._failure: HttpError | None = None
        self._lingering = False
        self._eof = False
        self._reading = True
        self._remote = ""
        self._repeats = Repeats()
        self._peer_certificate: bytes | None = None

    # The transport's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if len(self.server.connections) >= self.server.connections_max or self.server.stopping:
            self._transport.abort()
            return
        peer = transport.get_extra_info("peername")
        if isinstance(peer, tuple):
            self._remote = f"[{peer[0]}]:{peer[1]}" if ":" in peer[0] else f"{peer[0]}:{peer[1]}"
        tls = transport.get_extra_info("ssl_object")
        if tls is not None and tls.context.verify_mode != ssl.CERT_NONE:
            self._peer_certificate = tls.getpeercert(binary_form=True) or None
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self.deadline = self.server.loop.time() + self.server.head_timeout_s
        self.server.opened(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._inbox

    def buffer_updated(self, nbytes: int) -> None:
        self.data_received(self._inbox[:nbytes])

    def data_received(self, data: bytes | memoryview) -> None:
        """Take what arrived; a view is good only until this returns."""
        if self._raw is not None:
            self._raw.feed(bytes(data))
        elif self._lingering or self._failure is not None:
            pass
        elif self._incoming is not None or not (self._current or self._unparsed or self._waiting):
            self._read(bytes(data))
        else:
            self._hold(data)

    def eof_received(self) -> bool:
        self._eof = True
        if self._raw is not None:
            self._raw.feed_end()
        if self._incoming is not None:
            self._incoming.body.fail(ConnectionResetError("the peer closed the connection in mid-request"))
        if self._stream is not None:
            self._stream.lose()
        # A peer that only shut its sending side still gets its answers, but no stream, which may never end.
        # TLS cannot be half open.
        streaming = self._stream is not None or self._raw is not None
        answering = self._current is not None or bool(self._waiting) or bool(self._unparsed)
        return not self.server.tls and not streaming and answering

    def connection_lost(self, exc: Exception | None) -> None:
        self.server.closed(self)
        self.deadline = 0.0
        self.flow.lose()
        error = ConnectionResetError("the peer closed the connection")
        if self._current is not None:
            self._current.body.fail(error)
            if self._current.request.gone is not None:
                self._current.request.gone()
        if self._raw is not None:
            self._raw.feed_end()
        self._waiting.clear()
        if self._task is not None and (self._stream is not None or self._raw is not None):
            if self._stream is not None:
                self._stream.lose()
            self.server.loop.call_later(CANCEL_AFTER_S, self._task.cancel)

    def pause_writing(self) -> None:
        self.flow.pause()

    def resume_writing(self) -> None:
        self.flow.resume()
        if self._current is None and (self._waiting or self._unparsed):
            self._go_on()

    def pause_reading(self) -> None:
        if self._reading and not self._transport.is_closing():
            self._reading = False
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if not self._reading and not self._transport.is_closing():
            self._reading = True
            self._transport.resume_reading()

    # Parsing.

    def _hold(self, data: bytes | memoryview) -> None:
        """Keep what arrived behind a request in flight."""
        self._unparsed += bytes(data)
        if len(self._unparsed) > UNPARSED_BYTES_MAX:
            self.pause_reading()

    def _read(self, data: bytes) -> None:
        """Take what arrived while there was nothing before it to be answered."""
        afresh = not (self._in_head or self._incoming or self._waiting or self._current)
        if afresh and (exchange := self._repeated(data)) is not None:
            self._waiting.append(exchange)
            self._next()
            return
        self._feed(data)
        if afresh and len(self._waiting) == 1 and self._incoming is None and not self._unparsed:
            self._learn(data, self._waiting[0])
        self._next()

    def _repeated(self, data: bytes) -> Exchange | None:
        """Return the request that `data` is, where its head has been seen before."""
        if target := self._repeats.target(data):
            body, headers = Body(self, length=0, expect=False), self._repeats.headers()
            body.finish()
            return self._exchange("GET", target, headers, body, keep_alive=True, upgrade=False)
        written = self._repeats.written(data)
        if written is None:
            return None
        body = Body.of(self, written.body)
        return self._exchange(
            written.method, written.target, written.headers, body, keep_alive=True, upgrade=False
        )

    def _learn(self, data: bytes, exchange: Exchange) -> None:
        """Remember the request that `data` was, if it is one that may come again."""
        body, request = exchange.body, exchange.request
        if not exchange.keep_alive or exchange.upgrade or exchange.version != "1.1" or self._failure:
            return
        if request.method == "GET" and body.length == 0:
            self._repeats.learn(data, request)
        elif body.length and not body.expect:
            self._repeats.learn_write(data, request, body.length)

    def _parse(self, data: bytes) -> None:
        """Take what was held back."""
        self._feed(data)
        self._next()

    def _feed(self, data: bytes) -> None:
        """Feed the parser until it has a whole request or the data end; the rest is held."""
        offset = 0
        while offset < len(data):
            piece = data if len(data) <= SLICE_BYTES else data[offset : offset + SLICE_BYTES]
            offset += len(piece)
            begins = self._incoming is None and not self._waiting
            try:
                self._parser.feed_data(piece)
            except httptools.HttpParserUpgrade as pause:
                # The parser stops here even when the handler will not upgrade; a fresh one goes on then.
                self._parser = httptools.HttpRequestParser(self)
                self._hold(piece[pause.args[0] :])
                self._hold(data[offset:])
                break
            except httptools.HttpParserCallbackError:
                _log.exception("parser callback failed")
                self._fail(HttpError(400, "BadRequest", "malformed HTTP request"))
                break
            except httptools.HttpParserInvalidMethodError as error:
                begins = begins and offset == len(piece) and not self._waiting
                if not begins or not self._begin_unknown(bytes(piece)):
                    if not self._closes_anyway():
                        self._fail(HttpError(400, "BadRequest", f"malformed HTTP request: {error}"))
                    break
            except httptools.HttpParserError as error:
                if not self._closes_anyway():
                    self._fail(HttpError(400, "BadRequest", f"malformed HTTP request: {error}"))
                break
            if self._failure is not None:
                break
            if self._in_head:
                self._head_bytes += len(piece)
                if self._head_bytes > self.server.head_bytes_max:
                    self._fail(HttpError(431, "BadRequest", "request header fields too large"))
                    break
            if self._incoming is not None:
                # Chunk extensions and trailers: read past, but not without end. `on_body` starts anew.
                self._tail_bytes += len(piece)
                if self._tail_bytes > TAIL_BYTES_MAX + SLICE_BYTES:
                    self._fail(HttpError(431, "BadRequest", "request trailer fields too large"))
                    break
            if self._waiting and self._incoming is None:
                if offset < len(data):
                    self._hold(data[offset:])
                break

    def _begin_unknown(self, piece: bytes) -> bool:
        """Read a request whose method the parser does not know under one that it knows.

        False when that is not what is wrong, or not at the beginning of what was read. Whoever serves the
        path is to say that it has no such method.
        """
        match = _UNKNOWN_METHOD.match(piece)
        if match is None or self._url or self._head_fields or self._incoming is not None:
            return False
        self._parser = httptools.HttpRequestParser(self)
        self._unknown_method = match[1].decode()
        try:
            self._parser.feed_data(_STAND_IN + piece[match.end(1) :])
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            return False
        return True

    def _closes_anyway(self) -> bool:
        """The last request said it was the last; what follows it is nobody's."""
        last = self._waiting[-1] if self._waiting else self._current
        return last is not None and not last.keep_alive and self._incoming is None and not self._in_head

    def on_message_begin(self) -> None:
        self._url = b""
        self._head_fields = []
        self._head_bytes = 0
        self._in_head = True
        if self._current is None and not self._waiting:
            self.deadline = self.server.loop.time() + self.server.head_timeout_s

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        # Trailers come this way too; they are read past.
        if self._in_head:
            known = _names.get(name)
            if known is None:
                known = _known(name)
            self._head_fields.append((known, value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        self._in_head = False
        if self._failure is not None:
            return
        parser = self._parser
        version = parser.get_http_version()
        method = self._unknown_method or parser.get_method().decode("ascii")
        self._unknown_method = ""
        target = wire.origin_target(self._url.decode("latin-1"))
        framing = wire.framing(version, self._head_fields)
        if framing.error or not target or method == "CONNECT":
            why = framing.error or "unsupported request target"
            self._fail(HttpError(framing.status, "BadRequest", why))
            return
        if parser.should_upgrade() and framing.length != 0:
            # The parser takes the body for the first bytes of the other protocol. If the upgrade is refused,
            # they would be read as the next request, of whoever wrote the body.
            self._fail(HttpError(400, "BadRequest", "a request for an upgrade with a body"))
            return
        if len(self._head_fields) > HEAD_FIELDS_MAX:
            self._fail(HttpError(431, "BadRequest", "too many request header fields"))
            return
        body = Body(self, length=framing.length, expect=framing.expect)
        self._incoming = self._exchange(
            method,
            target,
            Headers.of_lower(self._head_fields),
            body,
            keep_alive=parser.should_keep_alive(),
            upgrade=parser.should_upgrade(),
            version=version,
        )
        self._waiting.append(self._incoming)
        self._tail_bytes = 0

    def _exchange(
        self,
        method: str,
        target: str,
        headers: Headers,
        body: Body,
        *,
        keep_alive: bool,
        upgrade: bool,
        version: str = "1.1",
    ) -> Exchange:
        request = Request(
            method=method,
            target=target,
            headers=headers,
            read_body=body.read,
            read_chunk=body.read_chunk,
            peer_certificate=self._peer_certificate,
            remote=self._remote,
            tls=self.server.tls,
        )
        request.cancel = self._cancel_handler
        return Exchange(request, body, keep_alive=keep_alive, upgrade=upgrade, version=version)

    def on_body(self, data: bytes) -> None:
        self._tail_bytes = 0
        if self._incoming is not None:
            self._incoming.body.feed(data)

    def on_message_complete(self) -> None:
        if self._incoming is not None:
            self._incoming.body.finish()
            self._incoming = None

    def _fail(self, error: HttpError) -> None:
        """Refuse what the peer sends: nothing after this point is understood."""
        self._failure = error
        if self._incoming is not None:
            self._incoming.body.fail(error)
            self._incoming = None

    def _next(self) -> None:
        """Start the next request's handler if none runs; end the connection if nothing can follow."""
        if self._current is not None or self._transport.is_closing():
            return
        if self._waiting and self.flow.paused:
            # A peer that asks on without taking its answers would have us keep them all.
            self.deadline = self.server.loop.time() + self.server.write_timeout_s
        elif self._waiting:
            self._current = self._waiting.popleft()
            self.deadline = 0.0
            self._task = self.server.begin(self, self._current)
        elif self._failure is not None:
            self._refuse(self._failure)
        elif self.server.stopping or self._eof:
            self._close()

    def _refuse(self, error: HttpError) -> None:
        body = wire.status_body(error.status, error.reason, error.message)
        framing = f"content-type: {_JSON}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n"
        self._transport.write(wire.response_head(error.status, Headers(), framing) + body)
        self._linger()
        if self.server.tls:
            # TLS says good-bye in both directions by itself. (It does not put up with a long rest of a body.)
            self._close()

    def _linger(self) -> None:
        """Close in a moment: closing at once would reset the connection under what the peer still sends,
        and the answer would be lost with it."""
        self._lingering = True
        self._unparsed = b""
        self.deadline = self.server.loop.time() + LINGER_S
        self.resume_reading()
        if self._eof:
            self._close()
        elif not self.server.tls and self._transport.can_write_eof():
            self._transport.write_eof()

    # Deadlines and ends.

    def expire(self) -> None:
        """The deadline has passed."""
        self.deadline = 0.0
        if self._current is not None and self._current.body.awaited:
            self._current.body.fail(HttpError(408, "Timeout", "the request's body did not arrive in time"))
        elif self._current is not None or self._lingering:
            self._transport.abort()
        elif self._in_head:
            self._fail(HttpError(408, "Timeout", "the request's head did not arrive in time"))
            self._next()
        else:
            self._close()
            self.deadline = self.server.loop.time() + LINGER_S
            self._lingering = True

    def stop(self) -> None:
        """The server is stopping: end now if idle, else after the request in flight."""
        if self._stream is not None:
            self._stream.lose(peer=False)
        if self._current is None and not self._waiting:
            self._close()

    @property
    def certified(self) -> bool:
        """The peer has shown a certificate."""
        return self._peer_certificate is not None

    def retire(self) -> None:
        """Serve nothing after what is in flight."""
        if self._current is None and not self._waiting:
            self._close()
            return
        for exchange in (self._current, *self._waiting):
            if exchange is not None:
                exchange.keep_alive = False
        if self._stream is not None:
            self._stream.lose(peer=False)

    def abort(self) -> None:
        self._transport.abort()

    def _close(self) -> None:
        # asyncio's transport over TLS falls apart when it is closed twice.
        if not self._transport.is_closing():
            self._transport.close()

    def _cancel_handler(self) -> None:
        if self._task is not None:
            self._task.cancel()

    # Answering.

    def end_after_answer(self) -> None:
        """Serve nothing more on this connection."""
        if self._current is not None:
            self._current.keep_alive = False

    def send_continue(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(wire.CONTINUE)

    async def handle(self, exchange: Exchange) -> None:
        """Answer one request, then let the next one in."""
        try:
            try:
                response = await self.server.handler(exchange.request)
            except HttpError as error:
                response = _error_response(error.status, error.reason, error.message)
            except ConnectionError:
                if self._transport.is_closing() or self._eof:
                    return  # The peer left while its request was read.
                raise
            if not self._send_plain(exchange, response):
                try:
                    await self._respond(exchange, response)
                finally:
                    if response.sent is not None:
                        response.sent()
        except asyncio.CancelledError:
            self._transport.abort()
            raise
        except Exception:
            _log.exception("handler failed", method=exchange.request.method, path=exchange.request.raw_path)
            if self._stream is not None or self._raw is not None or self._transport.is_closing():
                # The head has left; a cut connection is the only way left to say that this went wrong.
                self._transport.abort()
            else:
                await self._respond(exchange, _failed_response())
        finally:
            self._done(exchange)

    def _done(self, exchange: Exchange) -> None:
        at_once = self._task is None
        self._current = None
        self._task = None
        self._stream = None
        if self._transport.is_closing():
            return
        if self._raw is not None:
            self._close()
            self._lingering = True
            self.deadline = self.server.loop.time() + LINGER_S
        elif not exchange.body.complete:
            self._linger()
        elif not exchange.keep_alive:
            self._unparsed = b""
            self._close()
            self._lingering = True
            self.deadline = self.server.loop.time() + self.server.write_timeout_s
        else:
            self._wait_for_more(at_once=at_once)

    def _wait_for_more(self, *, at_once: bool) -> None:
        """An answer has left: turn to the next request, here already or to come."""
        wait_s = self.server.head_timeout_s if self._in_head else self.server.idle_timeout_s
        self.deadline = self.server.loop.time() + wait_s
        if not self._unparsed and not self._waiting:
            if self._failure is not None or self._eof or self.server.stopping:
                self._next()
        elif at_once:
            # In a turn of its own: a peer that sends many requests ahead must not keep others waiting.
            self.server.loop.call_soon(self._go_on)
        else:
            self._go_on()

    def _go_on(self) -> None:
        """Turn to what arrived behind the request just answered."""
        if self._current is None and self._unparsed and not self._waiting:
            data, self._unparsed = self._unparsed, b""
            self.resume_reading()
            self._parse(data)
        else:
            self._next()

    def _send_plain(self, exchange: Exchange, response: Response) -> bool:
        """Send a short body with nothing special about it; return whether it was one. Most answers are."""
        body = response.body
        if (
            not isinstance(body, bytes)
            or len(body) > WRITE_BYTES
            or response.stream is not None
            or response.upgrade is not None
            or response.status in _BODILESS
            or exchange.request.method == "HEAD"
            or exchange.version != "1.1"
            or not exchange.keep_alive
            or not exchange.body.complete
            or self.server.stopping
        ):
            return False
        head = wire.plain_head(response.status, response.headers, len(body))
        if not head:
            return False
        if not self._transport.is_closing():
            self._transport.write(head + body)
        return True

    async def _respond(self, exchange: Exchange, response: Response) -> None:
        if "transfer-encoding" in response.headers:
            response.headers.remove("transfer-encoding")
        if (
            self.server.stopping
            or not exchange.body.complete
            or response.headers.get("connection") == "close"
        ):
            exchange.keep_alive = False
        if response.upgrade is not None:
            await self._upgrade(exchange, response)
        elif response.stream is not None and exchange.request.method != "HEAD":
            await self._send_stream(exchange, response)
        else:
            await self._send_fixed(exchange, response)

    def _framing(self, exchange: Exchange, response: Response, framing: str) -> bytes:
        if "connection" not in response.headers:
            if not exchange.keep_alive:
                framing += "connection: close\r\n"
            elif exchange.version == "1.0":
                framing += "connection: keep-alive\r\n"
        return wire.response_head(response.status, response.headers, framing)

    async def _send_fixed(self, exchange: Exchange, response: Response) -> None:
        body = response.body
        parts: Sequence[bytes] = (body,) if isinstance(body, bytes) else body
        size = len(body) if isinstance(body, bytes) else sum(map(len, body))
        bodiless = response.status in (204, 304) or response.status < 200
        head_only = exchange.request.method == "HEAD"
        if "content-length" in response.headers and not head_only:
            response.headers.remove("content-length")
        framing = f"content-length: {size}\r\n"
        if bodiless or (head_only and (response.stream is not None or "content-length" in response.headers)):
            framing = ""  # Nothing to say, or not known, or said by the handler.
        head = self._framing(exchange, response, framing)
        if self._transport.is_closing():
            return
        if bodiless or head_only:
            self._transport.write(head)
        elif size + len(head) <= WRITE_BYTES:
            self._transport.write(b"".join((head, *parts)))
        else:
            await self._send_long(head, parts)

    async def _send_long(self, head: bytes, parts: Sequence[bytes]) -> None:
        group: list[bytes] = [head]
        size = 0
        deadline_s = self.server.write_timeout_s
        try:
            for part in parts:
                for start in range(0, len(part), WRITE_BYTES):
                    piece = part if len(part) <= WRITE_BYTES else part[start : start + WRITE_BYTES]
                    group.append(piece)
                    size += len(piece)
                    if size >= WRITE_BYTES:
                        await self.server.pacer.turn()
                        self._transport.write(b"".join(group))
                        group, size = [], 0
                        if self.flow.paused:
                            self.deadline = self.server.loop.time() + deadline_s
                        await self.flow.ready()
                        self.deadline = 0.0
            if group:
                self._transport.write(b"".join(group))
        except ConnectionError:
            self._transport.abort()
        finally:
            self.deadline = 0.0

    async def _send_stream(self, exchange: Exchange, response: Response) -> None:
        assert response.stream is not None
        length = response.headers.get("content-length")
        chunked = exchange.version == "1.1" and not length
        if exchange.version != "1.1":
            exchange.keep_alive = False
        head = self._framing(exchange, response, "transfer-encoding: chunked\r\n" if chunked else "")
        stream = self._stream = Stream(
            self, self._transport, head, chunked=chunked, length=int(length) if length else None
        )
        if self._eof or self._transport.is_closing() or self.server.stopping:
            stream.lose(peer=self._transport.is_closing())
        try:
            await response.stream(stream)
        except ConnectionError:
            if not stream.closed:
                raise  # Not our peer's: something the handler talks to.
        stream.end()

    async def _upgrade(self, exchange: Exchange, response: Response) -> None:
        assert response.upgrade is not None
        if not exchange.upgrade or response.status != 101 or not exchange.body.complete:
            raise AssertionError("an upgrade that the peer did not ask for")
        framing = "" if "connection" in response.headers else "connection: Upgrade\r\n"
        if "upgrade" not in response.headers:
            framing += f"upgrade: {exchange.request.headers.get('upgrade')}\r\n"
        exchange.keep_alive = False
        if not self._transport.is_closing():
            self._transport.write(wire.response_head(101, response.headers, framing))
        raw = RawPipe(self._transport, self.flow)
        self.resume_reading()
        if self._unparsed:
            raw.feed(self._unparsed)
            self._unparsed = b""
        if self._eof or self._transport.is_closing():
            # The handler may hold a connection of its own for us: it has to see this one's end.
            raw.feed_end()
        self._raw = raw
        with contextlib.suppress(ConnectionError):
            await response.upgrade(raw)


def _error_response(status: int, reason: str, message: str) -> Response:
    return Response(
        status=status,
        headers=Headers([("content-type", _JSON)]),
        body=wire.status_body(status, reason, message),
    )


def _failed_response() -> Response:
    return Response(status=500, headers=Headers([("content-type", _JSON)]), body=_FAILED)
