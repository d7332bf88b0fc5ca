"""Reading container logs: tails, times, limits, parts of lines, followers, rotation."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from podium.kubelet.logs import LogOptions, read_log, tail_offset, termination_message


def line(number: int, text: str, *, stream: str = "stdout", tag: str = "F") -> str:
    return f"2026-11-23T08:30:{number:02d}.000000001Z {stream} {tag} {text}\n"


LOG = line(1, "one") + line(2, "tw", tag="P") + line(3, "o") + line(4, "err", stream="stderr") + line(5, "")


def write(directory: Path, text: str) -> Path:
    path = directory / "0.log"
    path.write_text(text)
    return path


async def read(path: Path, options: LogOptions) -> str:
    return b"".join([piece async for piece in read_log(path, options, running=lambda: False)]).decode()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (LogOptions(), "one\ntwo\nerr\n\n"),
        (LogOptions(tail_lines=0), ""),
        (LogOptions(tail_lines=1), "\n"),
        (LogOptions(tail_lines=3), "two\nerr\n\n"),
        (LogOptions(tail_lines=99), "one\ntwo\nerr\n\n"),
        (LogOptions(limit_bytes=5), "one\nt"),
        (LogOptions(since=datetime(2026, 11, 23, 8, 30, 4, tzinfo=UTC)), "err\n\n"),
        (LogOptions(stream="Stderr"), "err\n"),
        (
            LogOptions(tail_lines=3, timestamps=True),
            "2026-11-23T08:30:02.000000001Z two\n"
            "2026-11-23T08:30:04.000000001Z err\n"
            "2026-11-23T08:30:05.000000001Z \n",
        ),
    ],
    ids=str,
)
def test_options(options: LogOptions, text: str, tmp_path: Path) -> None:
    assert asyncio.run(read(write(tmp_path, LOG), options)) == text


def test_tails_of_long_logs_are_found_from_the_end(tmp_path: Path) -> None:
    path = write(tmp_path, "".join(line(number % 60, f"{number} " + "x" * 100) for number in range(3000)))
    with path.open() as file:
        file.seek(tail_offset(path, 2000))
        assert " F 1000 x" in file.readline()


def test_a_follower_sees_what_comes_and_ends_with_the_container(tmp_path: Path) -> None:
    async def follow() -> str:
        path = write(tmp_path, line(1, "one"))
        alive, output = [True], ""
        async for piece in read_log(path, LogOptions(follow=True), running=lambda: alive[0]):
            output += piece.decode()
            if output == "one\n":
                with path.open("a") as file:
                    file.write(line(2, "two"))
            elif output == "one\ntwo\n":
                path.rename(tmp_path / "0.log.20261123")
                write(tmp_path, line(3, "three"))
                alive[0] = False
        return output

    assert asyncio.run(follow()) == "one\ntwo\nthree\n"


def test_termination_messages(tmp_path: Path) -> None:
    log = write(tmp_path, LOG)
    message = tmp_path / "message"
    assert termination_message(message, None) == ""
    assert termination_message(message, log) == "one\ntwo\nerr\n\n"
    message.write_text("because")
    assert termination_message(message, log) == "because"
    message.write_text("x" * 9999)
    assert len(termination_message(message, None)) == 4096
