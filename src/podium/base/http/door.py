"""Where TLS connections come in: accepts them, looks at their first bytes, and starts the handshake.

asyncio's own listeners give no place to stand between accepting and the handshake. Here a connection meets
the TLS context of that moment, so that certificates may be replaced while the server runs; and who speaks
plain HTTP is told so, in upstream's words, rather than cut off.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from podium.base.log import Log

if TYPE_CHECKING:
    from podium.base.http.server import Server

ACCEPTED_AT_ONCE = 32
REST_S = 1.0
"""How long nobody is let in after accepting has failed: most likely there are too many open files."""

LINGER_S = 1.0
"""How long a peer has to take in why it is not let in."""

_HANDSHAKE = 0x16
_HEAD_BYTES = 5
_HTTP = (b"GET /", b"HEAD ", b"POST ", b"PUT /", b"OPTIO", b"PATCH", b"DELET")
_NOT_TLS = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
_DRAINED_BYTES = 64 * 1024

_limit: ContextVar[asyncio.Timeout] = ContextVar("limit")
"""Of the handshake that a callback belongs to."""

_log = Log("podium.http")


class _Telling(ssl.SSLObject):
    """A handshake that tells its peer why it has failed.

    TLS has an alert for each reason. It is in the outgoing buffer when OpenSSL gives up, and asyncio would
    cut the connection without sending it. Told to wait for more instead, asyncio sends what there is; then
    the peer goes, or its time is over.
    """

    _told = False

    def do_handshake(self) -> None:
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError, ssl.SSLEOFError):
            raise
        except ssl.SSLError as error:
            if self._told:
                raise
            self._told = True
            if (limit := _limit.get(None)) is not None:
                limit.reschedule(asyncio.get_running_loop().time() + LINGER_S)
            raise ssl.SSLWantReadError(*error.args) from error


@dataclass(frozen=True, slots=True)
class Contexts:
    """What connections are served with."""

    default: ssl.SSLContext
    by_address: Mapping[str, ssl.SSLContext] = field(default_factory=dict)
    """By the address that a client has connected to, where that has a certificate of its own."""

    def __post_init__(self) -> None:
        for context in (self.default, *self.by_address.values()):
            context.sslobject_class = _Telling

    def of(self, connection: socket.socket) -> ssl.SSLContext:
        if not self.by_address:
            return self.default
        return self.by_address.get(connection.getsockname()[0], self.default)


async def listen(host: str, port: int, backlog: int, *, shared: bool = False) -> list[socket.socket]:
    """Return listening sockets for each address of `host`, all on the same port. Raises `OSError`.

    `shared`: other processes may listen on the same port.
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets: list[socket.socket] = []
    try:
        for family, address in dict.fromkeys((one[0], one[4]) for one in found):
            # Port 0 means any, but the same one for all of them.
            wanted = (address[0], port or sockets[0].getsockname()[1] if sockets else port, *address[2:])
            sock = socket.create_server(wanted, family=family, backlog=backlog, reuse_port=shared)
            sockets.append(sock)
            sock.setblocking(False)
    except BaseException:
        for sock in sockets:
            sock.close()
        raise
    return sockets


class Door:
    """Lets TLS connections in by one listening socket."""

    def __init__(self, server: Server, contexts: Contexts, sock: socket.socket) -> None:
        self.contexts = contexts
        """For who comes from now on."""
        self._server = server
        self._socket = sock
        self._entering: set[asyncio.Task[None]] = set()
        self._accepting = server.loop.create_task(self._accept())

    async def close(self) -> None:
        """Let nobody in any more, those neither who are at the door."""
        self._accepting.cancel()
        # Who was let in a moment ago begins to enter: a task cancelled before would not close its socket.
        await asyncio.sleep(0)
        tasks = [self._accepting, *self._entering]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._socket.close()

    async def _accept(self) -> None:
        loop = self._server.loop
        while True:
            try:
                connection, _ = await loop.sock_accept(self._socket)
                self._let_in(connection)
                with contextlib.suppress(BlockingIOError):
                    for _ in range(ACCEPTED_AT_ONCE):
                        connection, _ = self._socket.accept()
                        self._let_in(connection)
            except ConnectionError:
                continue  # It left while it was waiting.
            except OSError as error:
                _log.warning("cannot accept a connection", error=error)
                await asyncio.sleep(REST_S)

    def _let_in(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        if len(self._entering) + len(self._server.connections) >= self._server.connections_max:
            connection.close()
            return
        task = self._server.loop.create_task(self._enter(connection))
        self._entering.add(task)
        task.add_done_callback(self._entering.discard)

    async def _enter(self, connection: socket.socket) -> None:
        server, handed_over = self._server, False
        try:
            async with asyncio.timeout(server.handshake_timeout_s):
                first = await _peek(connection)
            if first[:1] != bytes([_HANDSHAKE]):
                server.handshake_errors += 1
                _refuse(connection, first)
                return
            handed_over = True
            async with asyncio.timeout(None) as limit:
                _limit.set(limit)
                await server.loop.connect_accepted_socket(
                    server.make_connection,
                    connection,
                    ssl=self.contexts.of(connection),
                    ssl_handshake_timeout=server.handshake_timeout_s,
                )
        except (OSError, TimeoutError):
            server.handshake_errors += 1  # ssl.SSLError too: that is between the peer and TLS.
        finally:
            if not handed_over:
                connection.close()


async def _peek(connection: socket.socket) -> bytes:
    """Return the first bytes without taking them; b"" when the peer has left."""
    try:
        return connection.recv(_HEAD_BYTES, socket.MSG_PEEK)
    except BlockingIOError:
        pass
    loop = asyncio.get_running_loop()
    arrived: asyncio.Future[None] = loop.create_future()
    try:
        loop.add_reader(connection, _arrive, arrived)
    except NotImplementedError:
        return bytes([_HANDSHAKE])  # Windows: the handshake finds out.
    try:
        await arrived
    finally:
        loop.remove_reader(connection)
    return connection.recv(_HEAD_BYTES, socket.MSG_PEEK)


def _arrive(arrived: asyncio.Future[None]) -> None:
    if not arrived.done():
        arrived.set_result(None)


def _refuse(connection: socket.socket, first: bytes) -> None:
    if first in _HTTP:
        connection.send(_NOT_TLS)
        # What has been read cannot make the system reset the connection under the answer.
        connection.recv(_DRAINED_BYTES)
