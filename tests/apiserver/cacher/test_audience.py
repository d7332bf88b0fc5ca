"""Watchers over real connections: together they are written to in one go, and cut off each by itself."""

from __future__ import annotations

from podium.apiserver.cacher.entry import Entry
from podium.apiserver.cacher.root import Root
from podium.apiserver.cacher.selection import Selection
from podium.apiserver.cacher.watcher import Watcher
from podium.base.http.message import Request, Response, StreamWriter
from podium.base.metrics import Registry
from tests.apiserver.cacher.test_root import Plain, put
from tests.base.http_tools import peer_of, run, serving


class Large(Plain):
    """Renders events large enough to fill buffers soon."""

    def line(self, type: str, entry: Entry) -> bytes:
        return b"x" * 50_000 + super().line(type, entry)


def test_streams_see_every_event_and_only_the_slow_one_is_cut_off() -> None:
    root, form = Root("/registry/things/"), Large()
    metrics = Registry()
    sizes = metrics.histogram("sizes", "Sizes.", bounds=(10, 1e9)).labels()
    terminated = metrics.counter("terminated", "Cut off.").labels()

    async def handler(_request: Request) -> Response:
        async def stream(writer: StreamWriter) -> None:
            watcher = Watcher(writer, Selection(), form)
            watcher.sizes, watcher.terminated = sizes, terminated
            root.add(watcher)
            watcher.go_live()
            try:
                await writer.wait_closed()
            finally:
                root.remove(watcher)

        return Response(stream=stream)

    async def main() -> None:
        async with serving(handler) as server, peer_of(server) as slow, peer_of(server) as quick:
            for peer in (slow, quick):
                await peer.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                await peer.until(b"\r\n\r\n")
            put(root, "n/a", 2)
            for peer in (slow, quick):
                assert b'["ADDED","n/a",2]' in await peer.until(b"2]\n")
            assert sizes.count == 2
            slow.writer.transport.pause_reading()  # type: ignore[attr-defined]
            revision = 2
            while root.watcher_count == 2:
                revision += 1
                put(root, "n/a", revision)
                await quick.until(b"%d]\n" % revision)
            assert terminated.value == 1

    run(main())
    assert root.watcher_count == 0
