"""The upgrade path: exec, port-forward and proxies carry bytes to a backend, and only what was allowed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from podium.base.http.message import Headers, RawConnection, Request, Response
from tests.apiserver.security.cluster import NS, ROOT, Cluster, pod, run
from tests.base.http_tools import Peer, peer_of

EXEC = f"{NS}/pods/p/exec?command=id&stdout=1"
UPGRADE = "Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\n"
SECRET = f"GET {NS}/secrets/s HTTP/1.1\r\nHost: x\r\n\r\n"


class Kubelet:
    """Answers as it is told to, and keeps what it was asked."""

    def __init__(self, response: Response) -> None:
        self.response = response
        self.seen: list[str] = []

    async def __call__(self, request: Request) -> Response:
        self.seen.append(f"{request.method} {request.target}")
        return self.response


def request(
    target: str = EXEC, *, method: str = "POST", who: str = ROOT, more: str = "", body: str = ""
) -> bytes:
    head = f"{method} {target} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {who}\r\n{more}\r\n"
    return (head + body).encode()


@asynccontextmanager
async def connected(cluster: Cluster) -> AsyncIterator[Peer]:
    await cluster.ok("POST", f"{NS}/pods", pod("p", "n1"))
    await cluster.ok("POST", f"{NS}/secrets", {"metadata": {"name": "s"}})
    async with peer_of(cluster.http) as peer:
        yield peer


def test_cve_2018_1002105_a_refused_upgrade_leaves_no_way_to_the_backend(tmp_path: Path) -> None:
    """A kubelet that refuses must not leave its connection, opened with the API server's own certificate, to
    whoever asked: what the client sends next is a request to the API server, as the client."""
    kubelet = Kubelet(Response(status=400, body=b"no such command"))

    async def attack(cluster: Cluster) -> None:
        async with connected(cluster) as peer:
            # Right behind the upgrade, before it is answered, comes a request meant for the kubelet.
            smuggled = b"GET /runningpods/ HTTP/1.1\r\nHost: kubelet\r\n\r\n"
            await peer.send(request(more=UPGRADE) + smuggled)
            assert await peer.answer() == (400, b"no such command")
            status, body = await peer.answer()
            assert (status, b"system:anonymous" in body) == (403, True), "asked here, and by nobody"
        assert kubelet.seen == ["POST /exec/default/p/c?output=1&command=id"]

    run(tmp_path, attack, kubelet=kubelet)


def test_cve_2018_1002105_one_who_may_not_exec_reaches_no_kubelet(tmp_path: Path) -> None:
    kubelet = Kubelet(Response(status=500))

    async def attack(cluster: Cluster) -> None:
        async with connected(cluster) as peer:
            for target in (
                EXEC,
                f"{NS}/pods/p/attach?stdin=1",
                f"{NS}/pods/p/portforward",
                "/api/v1/nodes/n1/proxy/pods",
            ):
                await peer.send(request(target, who="alice", more=UPGRADE) + SECRET.encode())
                assert (await peer.answer())[0] == 403
                assert (await peer.answer())[0] == 403, "and what was sent behind it is nobody's"
        assert not kubelet.seen

    run(tmp_path, attack, kubelet=kubelet)


def test_cve_2020_8559_a_kubelet_redirects_no_upgrade(tmp_path: Path) -> None:
    """A compromised kubelet must not send the API server, and what the client types, to another node."""
    kubelet = Kubelet(Response(status=500))
    places = ("https://elsewhere/", "/exec/other/pod", "//elsewhere", "http://169.254.169.254/")

    async def attack(cluster: Cluster) -> None:
        async with connected(cluster) as peer:
            for code in (301, 302, 307, 308):
                for place in places:
                    kubelet.response = Response(status=code, headers=Headers([("location", place)]))
                    kubelet.seen.clear()
                    await peer.send(request(more=UPGRADE))
                    head = (await peer.until(b"\r\n\r\n")).decode().lower()
                    assert head.startswith("http/1.1 502")
                    assert "location" not in head
                    await peer.until(b"not permitted")
                    assert len(kubelet.seen) == 1

    run(tmp_path, attack, kubelet=kubelet)


TWO_FRAMINGS = [
    (f"{UPGRADE}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n" + SECRET),
    (f"{UPGRADE}Content-Length: 4\r\nContent-Length: 70\r\n", "abcd" + SECRET),
    (f"{UPGRADE}Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n" + SECRET),
    (f"{UPGRADE}Transfer-Encoding : chunked\r\n", "0\r\n\r\n" + SECRET),
    (f"{UPGRADE}Transfer-Encoding: xchunked\r\n", SECRET),
    (f"{UPGRADE}Content-Length: +4\r\n", "abcd" + SECRET),
    (f"{UPGRADE}Content-Length: 0x4\r\n", "abcd" + SECRET),
    (f"{UPGRADE}X-Header: a\rTransfer-Encoding: chunked\r\n", "0\r\n\r\n" + SECRET),
    (f"{UPGRADE}X-Header: a\n\r\nGET", SECRET),
    ("Connection: Upgrade\r\nUpgrade: a\x00b\r\n", SECRET),
]


def test_an_upgrade_with_two_framings_is_refused_whole(tmp_path: Path) -> None:
    kubelet = Kubelet(Response(status=400))

    async def attack(cluster: Cluster) -> None:
        async with connected(cluster):
            for more, body in TWO_FRAMINGS:
                async with peer_of(cluster.http) as peer:
                    await peer.send(request(more=more, body=body))
                    told = await peer.rest()
                    assert told.startswith(b"HTTP/1.1 400"), (more, told)
                    assert told.count(b"HTTP/1.1 ") == 1, "what is behind it is not served"
        assert not kubelet.seen

    run(tmp_path, attack, kubelet=kubelet)


def test_the_body_of_an_upgrade_is_no_request_and_no_stream(tmp_path: Path) -> None:
    """To the parser it is the first of the other protocol; if the kubelet refuses, it would be a request."""
    kubelet = Kubelet(Response(status=400, body=b"no"))
    chunked = f"{len(SECRET):x}\r\n{SECRET}\r\n0\r\n\r\n"

    async def attack(cluster: Cluster) -> None:
        async with connected(cluster):
            for framing, body in (
                (f"Content-Length: {len(SECRET)}", SECRET),
                ("Transfer-Encoding: chunked", chunked),
            ):
                for target in (EXEC, f"{NS}/secrets/s"):
                    async with peer_of(cluster.http) as peer:
                        await peer.send(request(target, more=f"{UPGRADE}{framing}\r\n", body=body))
                        told = await peer.rest()
                        assert told.startswith(b"HTTP/1.1 400")
                        assert told.count(b"HTTP/1.1 ") == 1
        assert not kubelet.seen

    run(tmp_path, attack, kubelet=kubelet)


SPLITTING = (
    "command=id%0d%0aX-Evil:%201&stdout=1",
    "command=%20HTTP/1.1%0d%0a%0d%0aGET%20/pods&stdout=1",
    "command=id&stdout=1&container=c%0d%0aEvil:%201",
)


def test_a_target_splits_no_request_to_the_kubelet(tmp_path: Path) -> None:
    kubelet = Kubelet(Response(status=400, body=b"no"))

    async def attack(cluster: Cluster) -> None:
        async with connected(cluster) as peer:
            for query in SPLITTING:
                await peer.send(request(f"{NS}/pods/p/exec?{query}", more=UPGRADE))
                assert (await peer.answer())[0] == 400
        assert len(kubelet.seen) <= len(SPLITTING)
        assert all("\r" not in one and "\n" not in one and one.count(" ") == 1 for one in kubelet.seen)

    run(tmp_path, attack, kubelet=kubelet)


def test_headers_named_by_connection_do_not_hide_who_asks(tmp_path: Path) -> None:
    """`Connection: Authorization` says what a proxy drops, which must not happen before it is read."""

    async def attack(cluster: Cluster) -> None:
        async with connected(cluster) as peer:
            await peer.send(
                request(f"{NS}/secrets/s", method="GET", who="alice", more="Connection: authorization\r\n")
            )
            status, body = await peer.answer()
            assert (status, b'User \\"alice\\"' in body) == (403, True)

    run(tmp_path, attack)


def test_two_credentials_are_none(tmp_path: Path) -> None:
    async def attack(cluster: Cluster) -> None:
        async with connected(cluster) as peer:
            await peer.send(
                request(f"{NS}/secrets/s", method="GET", who="alice", more="Authorization: Bearer root\r\n")
            )
            status, body = await peer.answer()
            assert (status in (400, 401, 403)) and b'"kind":"Secret"' not in body

    run(tmp_path, attack)


def test_an_upgrade_to_what_is_no_stream_is_an_ordinary_request(tmp_path: Path) -> None:
    async def attack(cluster: Cluster) -> None:
        async with connected(cluster) as peer:
            for upgrade in ("h2c", "websocket", "SPDY/3.1", "TLS/1.2"):
                more = (
                    f"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: {upgrade}\r\nHTTP2-Settings: AAMAAA\r\n"
                )
                await peer.send(request(f"{NS}/secrets/s", method="GET", more=more))
                assert (await peer.answer())[0] == 200
                await peer.send(
                    request(f"{NS}/secrets/s", method="GET", who="alice", more=more) + SECRET.encode()
                )
                assert (await peer.answer())[0] == 403
                assert (await peer.answer())[0] == 403

    run(tmp_path, attack)


def test_a_client_that_leaves_an_upgrade_takes_the_backends_connection_along(tmp_path: Path) -> None:
    ended = asyncio.Event()

    async def stay(connection: RawConnection) -> None:
        while await connection.read():
            pass
        ended.set()

    headers = Headers([("connection", "Upgrade"), ("upgrade", "SPDY/3.1")])
    kubelet = Kubelet(Response(status=101, headers=headers, upgrade=stay))

    async def attack(cluster: Cluster) -> None:
        async with connected(cluster) as peer:
            await peer.send(request(more=UPGRADE))
            await peer.until(b"\r\n\r\n")
        await ended.wait()

    run(tmp_path, attack, kubelet=kubelet)
