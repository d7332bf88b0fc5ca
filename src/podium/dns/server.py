"""The DNS server: UDP and TCP on one port, answers from the zone or from the machine's name servers.

Bounds: FORWARDED_MAX questions wait for other servers at a time, further ones get SERVFAIL at once (a client
asks again); CONNECTIONS_MAX TCP connections are open, further ones are closed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import cast

from dnslib import DNSError, DNSRecord

from podium.base.log import Log
from podium.dns import answer as answers
from podium.dns import forward
from podium.dns.zone import Zone

FORWARDED_MAX = 512
CONNECTIONS_MAX = 256
TCP_IDLE_S = 10.0
_OPCODE_QUERY = 0

log = Log("podium-dns")


class DnsServer:
    """Answers for one zone and forwards the rest."""

    def __init__(
        self, zone: Zone, *, name_servers: Callable[[], Sequence[str]] = forward.host_name_servers
    ) -> None:
        self._zone = zone
        self._name_servers = name_servers
        self._tasks: set[asyncio.Task[None]] = set()
        self._connections = 0
        self._udp: asyncio.DatagramTransport | None = None
        self._tcp: asyncio.Server | None = None
        self.port = 0

    async def start(self, address: str, port: int) -> None:
        """Listen on UDP and TCP. Raises OSError when the port is taken."""
        loop = asyncio.get_running_loop()
        self._tcp = await asyncio.start_server(self._serve_connection, address, port)
        self.port = self._tcp.sockets[0].getsockname()[1]
        self._udp, _ = await loop.create_datagram_endpoint(
            lambda: _Datagrams(self), local_addr=(address, self.port)
        )

    async def stop(self) -> None:
        if self._udp is not None:
            self._udp.close()
        if self._tcp is not None:
            self._tcp.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def receive(self, message: bytes, reply: Callable[[bytes], None]) -> None:
        """Answer one datagram: at once from the zone, later when it must be forwarded."""
        query = _parse(message)
        if query is None:
            if len(message) >= 12:
                reply(answers.malformed(message))
            return
        local = self._local(query)
        if local is not None and answers.open_alias(local, self._zone) is None:
            reply(_fitting(local, query))
        elif len(self._tasks) >= FORWARDED_MAX:
            reply(bytes(answers.failure(query, "SERVFAIL").pack()))
        else:
            task = asyncio.create_task(self._answer_later(message, query, local, reply))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _local(self, query: DNSRecord) -> DNSRecord | None:
        """Return the answer this server has itself, or None when the question must be forwarded."""
        if query.header.opcode != _OPCODE_QUERY:
            return answers.failure(query, "NOTIMP")
        if len(query.questions) != 1:
            return answers.failure(query, "FORMERR")
        return answers.answer(query, self._zone) if answers.ours(query, self._zone) else None

    async def _answer_later(
        self, message: bytes, query: DNSRecord, local: DNSRecord | None, reply: Callable[[bytes], None]
    ) -> None:
        if local is None:
            reply(await self._forwarded(message, query, tcp=False))
        else:
            reply(_fitting(await self._chased(local), query))

    async def _chased(self, local: DNSRecord) -> DNSRecord:
        """Return `local` with its alias resolved, where it ends in another zone."""
        question = answers.open_alias(local, self._zone)
        if question is None:
            return local
        found = await self._forwarded(bytes(question.pack()), question, tcp=False)
        return answers.with_alias_resolved(local, found)

    async def _forwarded(self, message: bytes, query: DNSRecord, *, tcp: bool) -> bytes:
        try:
            return await forward.forward(message, self._name_servers(), tcp=tcp)
        except forward.NoAnswer as error:
            log.debug("not resolved", name=query.q.qname, error=error)
            return bytes(answers.failure(query, "SERVFAIL").pack())

    async def _serve_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        try:
            if self._connections <= CONNECTIONS_MAX:
                await self._converse(reader, writer)
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            pass  # the client is gone or idle, which is how a conversation ends
        finally:
            self._connections -= 1
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            async with asyncio.timeout(TCP_IDLE_S):
                length = int.from_bytes(await reader.readexactly(2))
                message = await reader.readexactly(length)
            query = _parse(message)
            if query is None:
                return
            local = self._local(query)
            if local is not None:
                packed = bytes((await self._chased(local)).pack())
            else:
                packed = await self._forwarded(message, query, tcp=True)
            writer.write(len(packed).to_bytes(2) + packed)
            await writer.drain()


def _fitting(reply: DNSRecord, query: DNSRecord) -> bytes:
    packed = bytes(reply.pack())
    if len(packed) > answers.udp_bytes_max(query):
        packed = bytes(answers.truncated(reply).pack())
    return packed


def _parse(message: bytes) -> DNSRecord | None:
    """Return the question in `message`, or None for what is none."""
    try:
        query = DNSRecord.parse(message)
    except (DNSError, ValueError, IndexError, UnicodeError):
        return None
    # Answers to nothing we asked, and messages without a question, are not to be answered.
    return query if query.header.qr == 0 and query.questions else None


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer) -> None:
        self._server = server
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # asyncio's own transport is no subclass of the abstract one before Python 3.12.
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        transport = self._transport
        assert transport is not None
        self._server.receive(data, lambda reply: transport.sendto(reply, address))
