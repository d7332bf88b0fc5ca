"""Requests that take too long are answered with 504, and cancelled."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import orjson
import pytest

from podium.apiserver import deadlines
from podium.apiserver.deadlines import go_duration_s
from podium.apiserver.server import Config, Limits
from podium.base.http.message import Response
from podium.base.http.server import Server
from tests.apiserver.harness import Api, api

CONFIGMAPS = "/api/v1/namespaces/default/configmaps"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5s", 5),
        ("1m30s", 90),
        ("1.5h", 5400),
        ("250ms", 0.25),
        ("0", 0),
        ("-2s", -2),
        (".5s", 0.5),
        ("+1us", 1e-6),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert go_duration_s(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("abc", 'time: invalid duration "abc"'),
        ("10", 'time: missing unit in duration "10"'),
        ("10x", 'time: unknown unit "x" in duration "10x"'),
        ("-", 'time: invalid duration "-"'),
    ],
)
def test_what_is_no_duration_is_refused_in_gos_words(tmp_path: Path, text: str, wrong: str) -> None:
    async def main() -> None:
        async with api(tmp_path) as server:
            status, body = await server.call("GET", f"{CONFIGMAPS}?timeout={text}")
            assert status == 400
            assert body["message"] == f"invalid timeout specified in the request URL - {wrong}"
            # What may last long is not asked.
            assert (await server.send("GET", f"{CONFIGMAPS}?watch=true&timeout={text}")).status == 200

    asyncio.run(main())


def test_a_request_ends_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadlines, "LOOK_INTERVAL_S", 0.01)

    async def main() -> None:
        async with api(tmp_path, config=Config(limits=Limits(request_timeout_s=60.0))) as server:
            ended = hang(server)
            status, body = await server.call("GET", f"{CONFIGMAPS}?timeout=10ms")
            assert ended == ["cancelled"]
            assert status == 504
            assert body == {
                "kind": "Status",
                "apiVersion": "v1",
                "metadata": {},
                "status": "Failure",
                "message": "Timeout: request did not complete within the allotted timeout",
                "reason": "Timeout",
                "details": {},
                "code": 504,
            }
            text = server.server.metrics.registry.text().decode()
            assert 'apiserver_request_terminations_total{verb="LIST"' in text

    asyncio.run(main())


def hang(server: Api) -> list[str]:
    """Have every request wait for ever; the list says how that ended."""
    ended: list[str] = []

    async def serve(*_: Any) -> Response:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise
        raise AssertionError

    server.server._serve = serve  # type: ignore[method-assign, assignment]
    return ended


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_over_a_connection_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    monkeypatch.setattr(deadlines, "LOOK_INTERVAL_S", 0.01)

    async def main() -> None:
        async with api(tmp_path, config=Config(limits=Limits(request_timeout_s=0.01))) as server:
            ended = hang(server)
            http = Server(server.server.handler, reads_at_once=True)
            await http.start("127.0.0.1", 0, None)
            reader, writer = await asyncio.open_connection("127.0.0.1", http.port)
            try:
                for _ in range(2):  # The connection stays good.
                    writer.write(f"{method} {CONFIGMAPS} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
                    head = (await reader.readuntil(b"\r\n\r\n")).decode()
                    assert head.startswith("HTTP/1.1 504 ")
                    length = int(head.split("content-length: ")[1].split("\r\n")[0])
                    assert orjson.loads(await reader.readexactly(length))["reason"] == "Timeout"
                assert ended == ["cancelled"] * 2
            finally:
                writer.close()
                await http.stop()

    asyncio.run(main())
