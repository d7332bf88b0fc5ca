"""Standard output as the log: a reader that is slow or gone."""

from __future__ import annotations

import asyncio
import os

import pytest

from podium.apiserver.audit import stdout
from podium.apiserver.audit.stdout import PIECE_BYTES, Stdout
from tests.apiserver.audit.helpers import run

LINES = [b"a\n", b"b" * (5 * PIECE_BYTES) + b"\n", b"c" * (200 * 1024) + b"\n", b"d\n"]


def test_lines_arrive_whole_and_in_order_although_the_reader_is_slow() -> None:
    async def main() -> None:
        reading, writing = os.pipe()
        out = Stdout(writing)

        def read_all() -> bytes:
            parts = []
            while part := os.read(reading, 10_000):
                parts.append(part)
            return b"".join(parts)

        tasks = [asyncio.ensure_future(out.write(line)) for line in LINES]
        await asyncio.sleep(0)
        reader = asyncio.ensure_future(asyncio.to_thread(read_all))
        await asyncio.gather(*tasks)
        await out.close()
        os.close(writing)
        assert await reader == b"".join(LINES)
        os.close(reading)

    run(main)


def test_a_reader_that_does_not_read_loses_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stdout, "WRITE_WITHIN_S", 0.05)

    async def main() -> None:
        reading, writing = os.pipe()
        out = Stdout(writing)
        with pytest.raises(OSError, match="nobody reads the standard output"):
            await out.write(LINES[2])
        taken = b""
        while len(taken) < 64 * 1024:
            taken += os.read(reading, 64 * 1024)
        # The line that was cut ends before the next begins.
        await out.write(b"next\n")
        rest = taken + os.read(reading, 64 * 1024)
        assert rest.endswith(b"c\nnext\n")
        os.close(reading)
        with pytest.raises(BrokenPipeError):
            await out.write(b"gone\n")
        os.close(writing)

    run(main)
