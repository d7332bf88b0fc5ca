"""A changed file is noticed once, and again as long as nobody is done with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from podium.base.file_changes import follow, stamp
from tests.apiserver.fakes import FakeClock


class Steps(FakeClock):
    """A clock of which each sleep does the next thing to the files; it ends with the last one."""

    def __init__(self, *steps: Callable[[], object]) -> None:
        super().__init__()
        self._steps = list(steps)

    async def sleep(self, seconds: float) -> None:
        if not self._steps:
            raise asyncio.CancelledError
        self._steps.pop(0)()


def calls(path: Path, *steps: Callable[[], object], done: Callable[[int], bool] = lambda _n: True) -> int:
    count = 0

    async def changed() -> bool:
        nonlocal count
        count += 1
        return done(count)

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(follow([str(path)], changed, clock=Steps(*steps)))
    return count


def nothing() -> None:
    return None


def test_each_change_once(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("a")
    other = tmp_path / "other"
    other.write_text("aaa")
    steps = (nothing, lambda: path.write_text("bb"), nothing, lambda: other.rename(path), path.unlink)
    assert calls(path, *steps) == 3


def test_again_until_done(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert calls(path, lambda: path.write_text("b"), nothing, nothing, done=lambda n: n == 2) == 2


def test_a_change_from_before_it_began(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("a")
    before = stamp([str(path)])
    path.write_text("bb")
    seen: list[str] = []

    async def changed() -> bool:
        seen.append(path.read_text())
        return True

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(follow([str(path)], changed, clock=Steps(nothing, nothing), seen=before))
    assert seen == ["bb"]


def test_who_fails_is_asked_again_after_the_next_change(tmp_path: Path) -> None:
    path = tmp_path / "file"

    def fails(count: int) -> bool:
        if count == 1:
            raise RuntimeError("a fault of ours")
        return True

    assert calls(path, lambda: path.write_text("b"), nothing, lambda: path.write_text("cc"), done=fails) == 2
