"""The proxy subresource: names, backends, paths and headers as tables; exchanges over real sockets."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson
import pytest

from podium.apiserver.streaming import proxy
from podium.apiserver.streaming.proxy import ProxyName, clean_path, forward, path_below, split_name
from podium.base.http.client import HttpTransport
from podium.base.http.message import Handler, Headers, RawConnection, Request, Response
from podium.machinery.errors import ApiError, BadRequest, Object, ServiceUnavailable
from tests.base.http_tools import peer_of, run, serving, transport_to

PREFIX = "/api/v1/namespaces/ns/pods/p/proxy"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("p", ("", "p", "")),
        ("p:80", ("", "p", "80")),
        ("p:web", ("", "p", "web")),
        ("https:p:", ("https", "p", "")),
        ("http:p:80", ("http", "p", "80")),
        (":p:80", ("", "p", "80")),
    ],
)
def test_names(text: str, expected: tuple[str, str, str]) -> None:
    scheme, name, port = expected
    assert split_name(text, "pod") == ProxyName(scheme=scheme, name=name, port=port)


@pytest.mark.parametrize("text", ["", ":", "ftp:p:80", "a:b:c:d", ":80"])
def test_names_that_are_none(text: str) -> None:
    with pytest.raises(BadRequest, match="invalid service request"):
        split_name(text, "service")


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        ("", "/"),
        ("/", "/"),
        ("/a/b", "/a/b"),
        ("/a/b/", "/a/b/"),
        ("//a///b", "/a/b"),
        ("/a/../b", "/b"),
        ("/../../etc", "/etc"),
        ("/a/%2e%2e/b", "/b"),
        ("/a/.", "/a/"),
        ("/a/b/..", "/a/"),
        ("/a%2Fb", "/a%2Fb"),
        ("/%E4", "/%E4"),
    ],
)
def test_paths_are_cleaned(raw: str, cleaned: str) -> None:
    assert clean_path(raw) == cleaned


@pytest.mark.parametrize(
    ("raw", "below"),
    [
        (PREFIX, ""),
        (f"{PREFIX}/", "/"),
        (f"{PREFIX}/a/proxy/b%20", "/a/proxy/b%20"),
        ("/api/v1/namespaces/proxy/services/proxy/proxy/x", "/x"),
        ("/api/v1/nodes/proxy/proxy/metrics", "/metrics"),
        ("/api/v1/nodes/n/proxy", ""),
    ],
)
def test_the_path_below(raw: str, below: str) -> None:
    assert path_below(raw) == below


def pod(ip: str = "10.244.0.5") -> Object:
    ports = [{"name": "web", "containerPort": 8080}, {"name": "admin", "containerPort": 9090}]
    return {
        "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "a"}, {"name": "b", "ports": ports}]},
        "status": {"podIP": ip},
    }


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("p", "http://10.244.0.5:8080"),
        ("p:admin", "http://10.244.0.5:9090"),
        ("p:1234", "http://10.244.0.5:1234"),
        ("https:p:", "https://10.244.0.5:8080"),
    ],
)
def test_pod_backends(name: str, url: str) -> None:
    assert proxy.pod_backend(pod(), split_name(name, "pod")).url == url


@pytest.mark.parametrize(
    "ip",
    [
        *("", "127.0.0.1", "::1", "169.254.169.254", "fe80::1", "0.0.0.0", "224.0.0.1", "example.com"),
        "::ffff:127.0.0.1",
    ],
)
def test_a_pod_cannot_point_back_into_the_machine(ip: str) -> None:
    with pytest.raises(BadRequest, match="address not allowed"):
        proxy.pod_backend(pod(ip), split_name("p", "pod"))


@pytest.mark.parametrize("port", ["0", "65536", "nosuch", "-1"])
def test_bad_ports(port: str) -> None:
    with pytest.raises(BadRequest, match="invalid port"):
        proxy.pod_backend(pod(), split_name(f"p:{port}", "pod"))


SERVICE = {
    "metadata": {"name": "s"},
    "spec": {"ports": [{"name": "web", "port": 80}, {"name": "admin", "port": 81}]},
}
ENDPOINTS = {
    "subsets": [
        {
            "addresses": [{"ip": "10.244.0.5"}, {"ip": "10.244.0.6"}],
            "notReadyAddresses": [{"ip": "10.244.0.7"}],
            "ports": [{"name": "web", "port": 8080}, {"name": "admin", "port": 9090}],
        }
    ]
}


def test_service_backends() -> None:
    def urls(name: str) -> set[str]:
        wanted, dice = split_name(name, "service"), random.Random(1)
        return {proxy.service_backend(SERVICE, ENDPOINTS, wanted, dice).url for _ in range(50)}

    assert urls("s") == {"http://10.244.0.5:8080", "http://10.244.0.6:8080"}
    assert urls("s:admin") == {"http://10.244.0.5:9090", "http://10.244.0.6:9090"}
    assert urls("https:s:81") == {"https://10.244.0.5:9090", "https://10.244.0.6:9090"}


@pytest.mark.parametrize(
    ("name", "endpoints", "message"),
    [
        ("s", None, 'no endpoints available for service "s"'),
        ("s", {"subsets": []}, 'no endpoints available for service "s"'),
        ("s:nosuch", ENDPOINTS, 'no service port "nosuch" found for service "s"'),
    ],
)
def test_services_without_a_backend(name: str, endpoints: Object | None, message: str) -> None:
    with pytest.raises(ServiceUnavailable, match=message):
        proxy.service_backend(SERVICE, endpoints, split_name(name, "service"), random.Random())


@asynccontextmanager
async def proxied(backend: Handler) -> AsyncIterator[HttpTransport]:
    async with serving(backend) as server, transport_to(server) as inner:

        async def handler(request: Request) -> Response:
            try:
                return await forward(request, inner, request.raw_path.removeprefix(PREFIX))
            except ApiError as error:
                return Response(status=error.code, body=orjson.dumps(error.status()))

        async with serving(handler, body_bytes_max=10) as front, transport_to(front) as transport:
            yield transport


async def describe(request: Request) -> Response:
    total = 0
    while piece := await request.read_chunk():
        total += len(piece)
    seen = {
        "method": request.method,
        "target": request.target,
        "body": total,
        "headers": dict(request.headers),
    }
    return Response(status=201, headers=Headers([("x-a", "1"), ("x-a", "2")]), body=orjson.dumps(seen))


def test_what_the_backend_sees_and_what_it_does_not() -> None:
    async def main() -> Object:
        async with proxied(describe) as transport:
            headers = [
                ("authorization", "Bearer secret"),
                ("impersonate-user", "root"),
                ("x-remote-user", "root"),
                ("cookie", "kept=1"),
                ("connection", "x-private"),
                ("x-private", "one hop"),
                ("te", "trailers"),
                ("x-forwarded-for", "192.0.2.7"),
            ]
            target = f"{PREFIX}/a/../b%2Fc?x=1&y=%20"
            async with transport.request("POST", target, headers=headers, body=b"x" * 100_000) as response:
                assert response.status == 201
                assert response.headers.get_all("x-a") == ["1", "2"]
                answer: Object = orjson.loads(await response.read())
                return answer

    seen = run(main())
    assert (seen["method"], seen["target"], seen["body"]) == ("POST", "/b%2Fc?x=1&y=%20", 100_000)
    headers = seen["headers"]
    assert headers["cookie"] == "kept=1"
    assert headers["x-forwarded-for"] == "192.0.2.7, 127.0.0.1"
    assert headers["content-length"] == "100000"
    for name in ("authorization", "impersonate-user", "x-remote-user", "x-private", "te", "connection"):
        assert name not in headers


def test_bodies_of_unknown_length_both_ways() -> None:
    async def backend(request: Request) -> Response:
        async def stream(writer: object) -> None:
            while piece := await request.read_chunk():
                writer.write(piece.upper())  # type: ignore[attr-defined]
                await writer.drain()  # type: ignore[attr-defined]

        return Response(stream=stream)

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(300):
            yield b"abc" * 1000

    async def main() -> bytes:
        async with proxied(backend) as transport:
            response = await transport.send("PUT", f"{PREFIX}/", body=pieces())
            return await response.read()

    assert run(main()) == b"ABC" * 300_000


def test_the_root_has_a_slash() -> None:
    async def main() -> list[tuple[int, str]]:
        answers = []
        async with proxied(describe) as transport:
            for method, target in (("GET", PREFIX), ("GET", f"{PREFIX}?a=b"), ("POST", PREFIX)):
                async with transport.request(method, target) as response:
                    answers.append((response.status, response.headers.get("location")))
        return answers

    assert run(main()) == [(301, f"{PREFIX}/"), (301, f"{PREFIX}/?a=b"), (201, "")]


@pytest.mark.parametrize(
    ("location", "mapped"),
    [
        ("/login?next=/a", f"{PREFIX}/login?next=/a"),
        ("login", "login"),
        ("https://elsewhere.example/x", "https://elsewhere.example/x"),
        ("//elsewhere.example/x", "//elsewhere.example/x"),
    ],
)
def test_redirects_are_not_followed_but_mapped(location: str, mapped: str) -> None:
    async def backend(_request: Request) -> Response:
        return Response(status=302, headers=Headers([("location", location)]))

    async def main() -> tuple[int, str]:
        async with proxied(backend) as transport, transport.request("GET", f"{PREFIX}/a") as response:
            return response.status, response.headers.get("location")

    assert run(main()) == (302, mapped)


def test_head() -> None:
    async def backend(_request: Request) -> Response:
        return Response(body=b"12345")

    async def main() -> tuple[str, bytes]:
        async with proxied(backend) as transport, transport.request("HEAD", f"{PREFIX}/a") as response:
            return response.headers.get("content-length"), await response.read()

    assert run(main()) == ("5", b"")


def test_upgrades_pass() -> None:
    async def backend(request: Request) -> Response:
        async def upgraded(raw: RawConnection) -> None:
            await raw.write(request.target.encode())
            while data := await raw.read():
                await raw.write(data.upper())

        return Response(status=101, headers=Headers([("x", "y")]), upgrade=upgraded)

    async def main() -> None:
        async with proxied(backend) as transport:
            headers = {"connection": "upgrade", "upgrade": "anything/1"}
            response, raw = await transport.upgrade("GET", f"{PREFIX}/ws", headers=headers)
            assert (response.status, response.headers.get("x")) == (101, "y")
            assert raw is not None
            assert await raw.read() == b"/ws"
            await raw.write(b"hello")
            assert await raw.read() == b"HELLO"
            raw.close()

    run(main())


def test_a_backend_that_is_not_there() -> None:
    async def main() -> None:
        async with serving(describe) as server:
            pass
        transport = HttpTransport(f"http://127.0.0.1:{server.port}", ssl_context=None)
        with pytest.raises(ServiceUnavailable, match="error trying to reach service: "):
            await forward(Request(method="GET", target="/x"), transport, "/x")
        await transport.close()

    run(main())


def test_a_backend_that_breaks_off_is_not_an_end() -> None:
    async def backend(_request: Request) -> Response:
        async def stream(writer: object) -> None:
            writer.write(b"begun")  # type: ignore[attr-defined]
            await writer.drain()  # type: ignore[attr-defined]
            writer.abort()  # type: ignore[attr-defined]

        return Response(stream=stream)

    async def main() -> None:
        async with proxied(backend) as transport, transport.request("GET", f"{PREFIX}/a") as response:
            with pytest.raises(ConnectionError):
                await response.read()

    run(main())


def test_a_smuggled_request_in_a_body_stays_a_body() -> None:
    """What follows a bad chunk goes nowhere, neither to us nor to the backend."""
    served: list[str] = []

    async def backend(request: Request) -> Response:
        while await request.read_chunk():
            pass
        served.append(request.target)
        return Response()

    async def main() -> None:
        async with serving(backend) as server, transport_to(server) as inner:

            async def handler(request: Request) -> Response:
                return await forward(request, inner, request.raw_path)

            async with serving(handler) as front, peer_of(front) as peer:
                head = b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                await peer.send(head + b"3\r\nabcGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
                await peer.rest()

    run(main())
    assert "/smuggled" not in served
