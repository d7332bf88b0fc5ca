"""An HTTP/1.1 server for asyncio: one Protocol on httptools, for uvloop and plain loops, with or without TLS.

What it guarantees, whatever the peer sends:
- every buffer has a bound: heads (431), bodies read at once (413), bodies not yet asked for, requests that
  arrive ahead of their turn (reading rests), connections;
- every wait for the peer has a limit: heads, bodies, idle connections, readers of fixed responses;
- ambiguous framing is refused (400) and the connection closed, so nothing can hide in a request's tail;
- answers leave in the order of their requests, and a task exists at most while a request is handled.

A streamed response lasts as long as its function and its peer. One whose peer is gone learns it through
`wait_closed` and `closed`, and is cancelled when it has not returned a moment later.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl

from podium.base.http.connection import Connection, Exchange
from podium.base.http.door import Contexts, Door, listen
from podium.base.http.message import Handler
from podium.base.http.pacing import Pacer
from podium.base.http.stream import Outbox
from podium.base.tasks import run_at_once

BODY_BYTES_MAX = 3 * 1024 * 1024
HEAD_BYTES_MAX = 1024 * 1024
"""As Go's server: selectors in an address may be long."""
CONNECTIONS_MAX = 20_000
TICK_S = 0.5
BACKLOG = 1024


class Server:
    """Serves `handler` on one listening socket."""

    def __init__(
        self,
        handler: Handler,
        *,
        body_bytes_max: int = BODY_BYTES_MAX,
        head_bytes_max: int = HEAD_BYTES_MAX,
        head_timeout_s: float = 15.0,
        body_timeout_s: float = 60.0,
        idle_timeout_s: float = 180.0,
        write_timeout_s: float = 60.0,
        handshake_timeout_s: float = 10.0,
        connections_max: int = CONNECTIONS_MAX,
        reads_at_once: bool = False,
        shares_port: bool = False,
    ) -> None:
        """`reads_at_once`: GETs become tasks only when they wait; see `base.tasks` for what that asks of
        the handler. `shares_port`: other processes may listen on the same one (with TLS)."""
        self._shares_port = shares_port
        self.handler = handler
        self.body_bytes_max = body_bytes_max
        self.head_bytes_max = head_bytes_max
        self.head_timeout_s = head_timeout_s
        self.body_timeout_s = body_timeout_s
        self.idle_timeout_s = idle_timeout_s
        self.write_timeout_s = write_timeout_s
        self.handshake_timeout_s = handshake_timeout_s
        self.connections_max = connections_max
        self.reads_at_once = reads_at_once
        self.port = 0
        """The port listened on, once started."""
        self.stopping = False
        self.connections: set[Connection] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self.tls = False
        self.handshake_errors = 0
        """Connections that came to no agreement about TLS."""
        self._pacer: Pacer | None = None
        self._outbox: Outbox | None = None
        self.loop: asyncio.AbstractEventLoop
        self._listener: asyncio.Server | None = None
        self._doors: list[Door] = []
        self._tick_handle: asyncio.TimerHandle | None = None
        self._tick_due = 0.0
        self._changed: asyncio.Event = asyncio.Event()

    async def start(
        self,
        host: str,
        port: int,
        tls: ssl.SSLContext | Contexts | None,
        *,
        sock: socket.socket | None = None,
    ) -> None:
        """Listen on `host:port` (port 0: any; see `self.port`), or on `sock`, already bound."""
        self.loop = asyncio.get_running_loop()
        self.tls = tls is not None
        if tls is not None:
            await self._start_tls(host, port, _contexts(tls), sock)
            return
        if sock is not None:
            self._listener = await self.loop.create_server(self.make_connection, sock=sock, backlog=BACKLOG)
        else:
            self._listener = await self.loop.create_server(
                self.make_connection, host, port, backlog=BACKLOG, reuse_address=True
            )
        self.port = self._listener.sockets[0].getsockname()[1]

    async def _start_tls(self, host: str, port: int, contexts: Contexts, sock: socket.socket | None) -> None:
        if sock is not None:
            sock.setblocking(False)
            sock.listen(BACKLOG)
            sockets = [sock]
        else:
            sockets = await listen(host, port, BACKLOG, shared=self._shares_port)
        self.port = sockets[0].getsockname()[1]
        self._doors = [Door(self, contexts, one) for one in sockets]

    def replace_tls(self, tls: ssl.SSLContext | Contexts, *, certified_again: bool = False) -> None:
        """Serve connections from now on with other contexts.

        With `certified_again`, for when authorities of clients have changed, those that have shown a
        certificate end after the request in flight: their peers connect anew, and are verified anew.
        """
        for door in self._doors:
            door.contexts = _contexts(tls)
        if certified_again:
            for connection in list(self.connections):
                if connection.certified:
                    connection.retire()

    async def stop(self, *, grace_s: float = 0) -> None:
        """Stop accepting, tell streams, let requests in flight finish for `grace_s`, then cut the rest."""
        self.stopping = True
        if self._listener is not None:
            self._listener.close()
        for door in self._doors:
            await door.close()
        for connection in list(self.connections):
            connection.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                while self.connections or self.tasks:
                    self._changed.clear()
                    await self._changed.wait()
        for connection in list(self.connections):
            connection.abort()
        tasks = list(self.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._listener is not None:
            await self._listener.wait_closed()
        if self._tick_handle is not None:
            self._tick_handle.cancel()

    @property
    def pacer(self) -> Pacer:
        if self._pacer is None:
            self._pacer = Pacer(self.loop)
        return self._pacer

    @property
    def outbox(self) -> Outbox:
        if self._outbox is None:
            self._outbox = Outbox(self.loop)
        return self._outbox

    def make_connection(self) -> Connection:
        """Return the protocol of a new connection."""
        return Connection(self)

    def opened(self, connection: Connection) -> None:
        self.connections.add(connection)
        if self._tick_handle is None:
            self._tick_later()

    def closed(self, connection: Connection) -> None:
        self.connections.discard(connection)
        if self.stopping:
            self._changed.set()

    def begin(self, connection: Connection, exchange: Exchange) -> asyncio.Task[None] | None:
        """Start to handle a request; return the task that does it, None when it is done already."""
        work = connection.handle(exchange)
        if self.reads_at_once and exchange.request.method == "GET":
            task = run_at_once(self.loop, work)
            if task is None:
                return None
        else:
            task = self.loop.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self._task_done)
        return task

    def _task_done(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if self.stopping:
            self._changed.set()

    def _tick(self) -> None:
        """One timer watches the deadlines of all connections."""
        now = self.loop.time()
        late_s = now - self._tick_due
        if late_s > TICK_S:
            # Something has held the loop, and what peers sent meanwhile is unread: that time is not theirs.
            for connection in self.connections:
                if connection.deadline:
                    connection.deadline += late_s
        for connection in [c for c in self.connections if c.deadline and c.deadline < now]:
            connection.expire()
        self._tick_handle = None
        if self.connections:
            self._tick_later()

    def _tick_later(self) -> None:
        self._tick_due = self.loop.time() + TICK_S
        self._tick_handle = self.loop.call_later(TICK_S, self._tick)


def _contexts(tls: ssl.SSLContext | Contexts) -> Contexts:
    return tls if isinstance(tls, Contexts) else Contexts(tls)
