"""Questions about other zones: asked of the machine's own name servers, the answer passed on as it came."""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
from collections.abc import Sequence
from pathlib import Path

RESOLV_CONF = Path("/etc/resolv.conf")
# systemd-resolved writes the real servers here; its stub at 127.0.0.53 answers as well.
SERVERS_MAX = 3
ATTEMPT_TIMEOUT_S = 2.0
PORT = 53


class NoAnswer(Exception):
    """No name server answered in time."""


def name_servers(resolv_conf: str) -> list[str]:
    """Return the addresses of the `nameserver` lines, at most as many as resolvers use."""
    servers = []
    for line in resolv_conf.splitlines():
        words = line.split()
        if len(words) >= 2 and words[0] == "nameserver":
            try:
                servers.append(str(ipaddress.ip_address(words[1].partition("%")[0])))
            except ValueError:
                continue
    return servers[:SERVERS_MAX]


def host_name_servers() -> list[str]:
    """Return this machine's name servers, as they are now."""
    try:
        return name_servers(RESOLV_CONF.read_text())
    except OSError:
        return []


async def forward(message: bytes, servers: Sequence[str], *, tcp: bool) -> bytes:
    """Ask `servers` in turn and return the first answer. Raises NoAnswer."""
    for server in servers:
        try:
            async with asyncio.timeout(ATTEMPT_TIMEOUT_S):
                return await (_ask_tcp if tcp else _ask_udp)(message, server)
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            continue
    raise NoAnswer(f"none of {len(servers)} name servers answered")


async def _ask_udp(message: bytes, server: str) -> bytes:
    # An id of our own and a port of its own for each question: what a forger would have to guess.
    own_id = secrets.token_bytes(2)
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[bytes] = loop.create_future()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: _Ask(own_id, message, answer), remote_addr=(server, PORT)
    )
    try:
        transport.sendto(own_id + message[2:])
        return message[:2] + (await answer)[2:]
    finally:
        transport.close()


class _Ask(asyncio.DatagramProtocol):
    def __init__(self, own_id: bytes, message: bytes, answer: asyncio.Future[bytes]) -> None:
        self._own_id = own_id
        self._question = message[12:]
        self._answer = answer

    def datagram_received(self, data: bytes, _address: tuple[str, int]) -> None:
        if data[:2] == self._own_id and len(data) >= 12 and not self._answer.done():
            self._answer.set_result(data)

    def error_received(self, error: Exception) -> None:
        if not self._answer.done():
            self._answer.set_exception(error)


async def _ask_tcp(message: bytes, server: str) -> bytes:
    reader, writer = await asyncio.open_connection(server, PORT)
    try:
        writer.write(len(message).to_bytes(2) + message)
        await writer.drain()
        length = int.from_bytes(await reader.readexactly(2))
        return await reader.readexactly(length)
    finally:
        writer.close()
