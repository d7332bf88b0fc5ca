"""The DNS server over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import cast

import pytest
from dnslib import QTYPE, RCODE, DNSRecord

from podium.dns import forward
from podium.dns.server import DnsServer
from podium.dns.zone import Records, Zone

NAME = "web.shop.svc.cluster.local"


def make_zone() -> Zone:
    zone = Zone("cluster.local")
    zone.replace("shop/web", {NAME: Records(addresses=("10.96.0.7",))})
    zone.replace(
        "shop/many", {"many.svc.cluster.local": Records(addresses=tuple(f"10.1.0.{i}" for i in range(200)))}
    )
    zone.replace("shop/alias", {"alias.svc.cluster.local": Records(alias="example.org")})
    zone.replace("shop/inner", {"inner.svc.cluster.local": Records(alias=NAME)})
    return zone


def run(test: Callable[[DnsServer], Awaitable[None]], *, servers: list[str] | None = None) -> None:
    async def body() -> None:
        server = DnsServer(make_zone(), name_servers=lambda: servers or [])
        await server.start("127.0.0.1", 0)
        try:
            async with asyncio.timeout(20):
                await test(server)
        finally:
            await server.stop()

    asyncio.run(body())


class _Once(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, _address: tuple[str, int]) -> None:
        self.answer.set_result(data)


async def ask(port: int, message: bytes) -> DNSRecord:
    transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
        _Once, remote_addr=("127.0.0.1", port)
    )
    try:
        transport.sendto(message)
        return DNSRecord.parse(await protocol.answer)
    finally:
        transport.close()


def question(name: str, kind: str = "A") -> bytes:
    return bytes(DNSRecord.question(name, kind).pack())


def addresses(reply: DNSRecord) -> list[str]:
    return [str(record.rdata) for record in reply.rr if record.rtype == QTYPE.A]


@pytest.mark.parametrize(
    ("name", "kind", "code", "found"),
    [
        (NAME, "A", RCODE.NOERROR, ["10.96.0.7"]),
        ("WEB.shop.SVC.cluster.local", "A", RCODE.NOERROR, ["10.96.0.7"]),
        (NAME, "AAAA", RCODE.NOERROR, []),
        ("nope.shop.svc.cluster.local", "A", RCODE.NXDOMAIN, []),
        ("inner.svc.cluster.local", "A", RCODE.NOERROR, ["10.96.0.7"]),
    ],
)
def test_names_of_the_zone(name: str, kind: str, code: int, found: list[str]) -> None:
    async def test(server: DnsServer) -> None:
        reply = await ask(server.port, question(name, kind))
        assert (reply.header.rcode, addresses(reply)) == (code, found)
        assert reply.header.aa == 1
        assert bool(reply.auth) is not bool(found)

    run(test)


def test_a_long_answer_is_cut_over_udp_and_whole_over_tcp() -> None:
    async def test(server: DnsServer) -> None:
        message = question("many.svc.cluster.local")
        assert (await ask(server.port, message)).header.tc == 1
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(len(message).to_bytes(2) + message)
        reply = DNSRecord.parse(await reader.readexactly(int.from_bytes(await reader.readexactly(2))))
        writer.close()
        await writer.wait_closed()
        assert len(addresses(reply)) == 200

    run(test)


def test_other_names_are_forwarded(monkeypatch: pytest.MonkeyPatch) -> None:
    class Outside(asyncio.DatagramProtocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = cast(asyncio.DatagramTransport, transport)

        def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
            query = DNSRecord.parse(data)
            reply = query.replyZone(f"{query.q.qname} 60 A 203.0.113.9")
            self.transport.sendto(bytes(reply.pack()), address)

    async def test(server: DnsServer) -> None:
        outside, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            Outside, local_addr=("127.0.0.1", 0)
        )
        monkeypatch.setattr(forward, "PORT", outside.get_extra_info("sockname")[1])
        try:
            assert addresses(await ask(server.port, question("example.org"))) == ["203.0.113.9"]
            # An alias that leaves the zone comes with what it leads to: stub resolvers do not follow it.
            reply = await ask(server.port, question("alias.svc.cluster.local"))
            assert [QTYPE[record.rtype] for record in reply.rr] == ["CNAME", "A"]
        finally:
            outside.close()

    run(test, servers=["127.0.0.1"])


def test_without_name_servers_other_names_fail() -> None:
    async def test(server: DnsServer) -> None:
        reply = await ask(server.port, question("example.org"))
        assert reply.header.rcode == RCODE.SERVFAIL

    run(test)


def test_rubbish_gets_an_error_and_the_server_lives() -> None:
    async def test(server: DnsServer) -> None:
        reply = await ask(server.port, b"\x12\x34" + b"\xff" * 30)
        assert (reply.header.id, reply.header.rcode) == (0x1234, RCODE.FORMERR)
        assert addresses(await ask(server.port, question(NAME))) == ["10.96.0.7"]

    run(test)


@pytest.mark.parametrize(
    ("text", "servers"),
    [
        ("nameserver 10.0.0.1\nsearch x\nnameserver fe80::1%eth0\n", ["10.0.0.1", "fe80::1"]),
        ("# nameserver 1.1.1.1\nnameserver nonsense\n", []),
        ("nameserver 1.1.1.1\n" * 5, ["1.1.1.1"] * 3),
    ],
)
def test_name_servers(text: str, servers: list[str]) -> None:
    assert forward.name_servers(text) == servers
