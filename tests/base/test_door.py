"""The way in for TLS connections: who is refused, and how certificates are replaced while it is open."""

from __future__ import annotations

import asyncio
import contextlib
import ssl

import pytest

from podium.base.http import door
from podium.base.http.door import Contexts
from podium.base.http.message import Request, Response, StreamWriter
from podium.base.http.server import Server
from tests.base.certs import Authority, authority
from tests.base.http_tools import PATIENCE_S, run, serving, transport_to

LOOPS = pytest.mark.parametrize("uv", [False, True], ids=["asyncio", "uvloop"])


async def who(request: Request) -> Response:
    return Response(body=b"certified" if request.peer_certificate else b"anonymous")


async def spoken(server: Server, data: bytes) -> bytes:
    """Return all that the server answers to these bytes, without TLS, until it closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        writer.write(data)
        async with asyncio.timeout(PATIENCE_S):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


@LOOPS
@pytest.mark.parametrize(
    "first", ["GET / HTTP/1.1", "POST /api HTTP/1.1", "OPTIONS * HTTP/1.1", "HEAD / HTTP/1.0"]
)
def test_plain_http_is_told_so(first: str, uv: bool) -> None:
    async def main() -> None:
        async with serving(who, tls=True) as server:
            answer = await spoken(server, first.encode() + b"\r\nHost: a\r\n\r\n")
            assert server.handshake_errors == 1
        assert answer == (
            b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
        )

    run(main(), uv=uv)


@LOOPS
@pytest.mark.parametrize("data", [b"\x00\x01\x02\x03\x04\x05", b"SSH-2.0-x\r\n", b"G"])
def test_what_is_neither_is_cut_off(data: bytes, uv: bool) -> None:
    async def main() -> None:
        async with serving(who, tls=True) as server, transport_to(server) as transport:
            assert await spoken(server, data) == b""
            assert server.handshake_errors == 1
            response = await transport.send("GET", "/")
            assert response.status == 200

    run(main(), uv=uv)


@LOOPS
def test_a_hello_that_is_none(uv: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "LINGER_S", 0.05)

    async def main() -> None:
        async with serving(who, tls=True) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00")
            async with asyncio.timeout(PATIENCE_S):
                assert await reader.readexactly(1) == b"\x15", "an alert"
                # And though the peer stays, the end.
                with contextlib.suppress(OSError):
                    await reader.read()
            writer.close()

    run(main(), uv=uv)


@LOOPS
@pytest.mark.parametrize(
    ("version", "words"),
    [
        (ssl.TLSVersion.TLSv1_2, "ALERT_UNKNOWN_CA"),
        # Here the client thinks that all is well until it reads.
        (ssl.TLSVersion.TLSv1_3, "ALERT_UNKNOWN_CA"),
    ],
)
def test_a_failed_handshake_says_why(version: ssl.TLSVersion, words: str, uv: bool) -> None:
    async def main() -> None:
        stranger = authority().client_context(Authority("strangers").issue("jane"))
        stranger.minimum_version = stranger.maximum_version = version
        async with serving(who, tls=True) as server:
            with pytest.raises(ssl.SSLError, match=words):
                reader, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=stranger)
                try:
                    writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                    await reader.read()
                finally:
                    writer.transport.abort()

    run(main(), uv=uv)


@LOOPS
def test_a_peer_that_says_nothing_is_cut_off_in_time(uv: bool) -> None:
    async def main() -> None:
        async with serving(who, tls=True, handshake_timeout_s=0.05) as server:
            assert await spoken(server, b"") == b""
            # Half a hello: the handshake has a limit of its own.
            assert await spoken(server, b"\x16\x03\x01\x02\x00\x01") == b""

    run(main(), uv=uv)


@LOOPS
def test_no_more_connections_than_allowed(uv: bool) -> None:
    async def main() -> None:
        async with serving(who, tls=True, connections_max=1) as server, transport_to(server) as transport:
            assert (await transport.send("GET", "/")).status == 200
            assert await spoken(server, b"GET / HTTP/1.1\r\n\r\n") == b""

    run(main(), uv=uv)


@LOOPS
def test_certificates_are_replaced(uv: bool) -> None:
    async def main() -> None:
        new = Authority("new")
        async with serving(who, tls=True) as server:
            async with transport_to(server) as old_client:
                assert await (await old_client.send("GET", "/")).read() == b"anonymous"
                server.replace_tls(new.server_context())
                # Who is connected already, stays so.
                assert await (await old_client.send("GET", "/")).read() == b"anonymous"
            async with transport_to(server, ssl_context=new.client_context()) as client:
                assert (await client.send("GET", "/")).status == 200
            async with transport_to(server) as client:
                with pytest.raises((ConnectionError, ssl.SSLError)):
                    await client.send("GET", "/")

    run(main(), uv=uv)


def test_servers_may_share_a_port() -> None:
    async def main() -> None:
        async with serving(who, tls=True, shares_port=True) as first:
            second, third = Server(who, shares_port=True), Server(who)
            await second.start("127.0.0.1", first.port, authority().server_context())
            with pytest.raises(OSError, match="in use"):
                await third.start("127.0.0.1", first.port, authority().server_context())
            await second.stop()

    run(main())


@LOOPS
def test_an_address_may_have_a_certificate_of_its_own(uv: bool) -> None:
    async def main() -> None:
        ours, other = authority(), Authority("other")
        server = Server(who)
        contexts = Contexts(other.server_context(), {"127.0.0.1": ours.server_context()})
        await server.start("127.0.0.1", 0, contexts)
        async with transport_to(server) as client:
            assert (await client.send("GET", "/")).status == 200
        await server.stop()

    run(main(), uv=uv)


@LOOPS
def test_clients_are_verified_again_when_their_authorities_change(uv: bool) -> None:
    streaming = asyncio.Event()

    async def handler(request: Request) -> Response:
        if request.path != "/stream":
            return await who(request)

        async def stream(writer: StreamWriter) -> None:
            writer.write(b"begun")
            streaming.set()
            await writer.wait_closed()

        return Response(stream=stream)

    async def main() -> None:
        ours = authority()
        certified = ours.client_context(ours.issue("jane"))
        async with (
            serving(handler, tls=True) as server,
            transport_to(server, ssl_context=certified) as jane,
            transport_to(server, ssl_context=certified) as watching,
            transport_to(server) as anonymous,
        ):
            assert await (await jane.send("GET", "/")).read() == b"certified"
            assert await (await anonymous.send("GET", "/")).read() == b"anonymous"
            stream = asyncio.create_task(_read(watching))
            await streaming.wait()
            others = ours.server_context()
            others.verify_mode = ssl.CERT_NONE
            server.replace_tls(others, certified_again=True)
            # A stream ends as at a shutdown, so that its client begins it anew.
            assert await stream == b"begun"
            assert await (await jane.send("GET", "/")).read() == b"anonymous"
            assert len([one for one in server.connections if not one.certified]) >= 1

    async def _read(transport: object) -> bytes:
        response = await transport.send("GET", "/stream")  # type: ignore[attr-defined]
        content: bytes = await response.read()
        return content

    run(main(), uv=uv)
