"""The log's file: rotation with lumberjack's names, and what is kept."""

from __future__ import annotations

import gzip
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from podium.apiserver.audit.log import LogBackend
from podium.apiserver.audit.log_file import Backup, LogFile, Rotation, backup_name, backups, plan
from tests.apiserver.audit.helpers import Counted, event, events, run
from tests.apiserver.fakes import FakeClock

NOON = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("audit.log", "audit-2026-03-01T12-00-00.123.log"),
        ("audit", "audit-2026-03-01T12-00-00.123"),
        ("a.b.log", "a.b-2026-03-01T12-00-00.123.log"),
        (".log", "-2026-03-01T12-00-00.123.log"),
    ],
)
def test_names_of_what_was_put_away(name: str, expected: str) -> None:
    assert backup_name(name, NOON) == expected
    moment = NOON.replace(microsecond=123000)
    others = ["x", name, "other-2026-03-01T12-00-00.123.log", expected.replace("12-00", "12-xx")]
    found = list(backups(name, [*others, expected, f"{expected}.gz"]))
    assert found == [Backup(moment, expected), Backup(moment, f"{expected}.gz")]


def kept(*days: int, packed: tuple[int, ...] = ()) -> list[Backup]:
    return [
        Backup(NOON - timedelta(days=day), f"{day}{'.gz' if day in packed else ''}") for day in reversed(days)
    ]


PLANS = [
    (kept(0, 1, 2, 3), {"backups_max": 2, "age_max": timedelta()}, ["2", "3"], []),
    (kept(0, 1, 2, 3), {"backups_max": 0, "age_max": timedelta(days=2)}, ["3"], []),
    (kept(0, 1, 2, 3), {"backups_max": 3, "age_max": timedelta(days=1)}, ["3", "2"], []),
    (kept(0, 1, 2), {"backups_max": 0, "age_max": timedelta()}, [], []),
    (kept(0, 1, 2, packed=(1, 2)), {"backups_max": 2, "compress": True}, ["2.gz"], ["0"]),
    # One that was being compressed when the server ended.
    (
        [Backup(NOON, "0"), Backup(NOON, "0.gz"), *kept(1)],
        {"backups_max": 2, "compress": True},
        [],
        ["0", "1"],
    ),
]


@pytest.mark.parametrize(("found", "rotation", "remove", "compress"), PLANS)
def test_what_is_to_be_done_about_them(
    found: list[Backup], rotation: dict[str, object], remove: list[str], compress: list[str]
) -> None:
    planned = plan(found, Rotation(**rotation), NOON)  # type: ignore[arg-type]
    assert (list(planned.remove), list(planned.compress)) == (remove, compress)


def test_a_file_is_rotated_compressed_and_removed(tmp_path: Path) -> None:
    async def main() -> None:
        clock = FakeClock(NOON)
        rotation = Rotation(bytes_max=100, backups_max=2, compress=True)
        log = LogFile(tmp_path / "logs" / "audit.log", rotation, clock)
        for letter in "abcdef":
            await log.write(letter.encode() * 59 + b"\n")
            clock.advance(0.001)
        await log.close()

    run(main)
    folder = tmp_path / "logs"
    assert folder.stat().st_mode & 0o777 == 0o700
    files = {one.name: one for one in folder.iterdir()}
    assert sorted(files) == [
        "audit-2026-03-01T12-00-00.127.log.gz",
        "audit-2026-03-01T12-00-00.128.log.gz",
        "audit.log",
    ]
    assert files["audit.log"].read_bytes() == b"f" * 59 + b"\n"
    contents = [gzip.decompress(files[name].read_bytes())[:1] for name in sorted(files)[:2]]
    assert contents == [b"d", b"e"]
    assert {one.stat().st_mode & 0o777 for one in files.values()} == {0o600}


def test_what_was_there_is_appended_to_and_two_of_a_moment_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    path.write_bytes(b"x" * 50 + b"\n")
    path.chmod(0o640)

    async def main() -> None:
        log = LogFile(path, Rotation(bytes_max=100), FakeClock(NOON))
        await log.write(b"y" * 30 + b"\n")
        for _ in range(3):
            await log.write(b"z" * 80 + b"\n")
        with pytest.raises(OSError, match="write length 101 exceeds maximum file size 100"):
            await log.write(b"w" * 101)
        await log.close()

    run(main)
    assert [len(one.read_bytes()) for one in sorted(tmp_path.glob("audit-*"))] == [82, 81, 81]
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_file_without_a_limit_grows(tmp_path: Path) -> None:
    async def main() -> None:
        log = LogFile(tmp_path / "audit.log", Rotation(bytes_max=0), FakeClock(NOON))
        for _ in range(3):
            await log.write(b"x" * 80 + b"\n")
        await log.close()

    run(main)
    assert (tmp_path / "audit.log").stat().st_size == 243


def test_somebody_may_take_the_file_away(tmp_path: Path) -> None:
    async def main() -> None:
        log = LogFile(tmp_path / "audit.log", Rotation(bytes_max=100), FakeClock(NOON))
        await log.write(b"x" * 80 + b"\n")
        (tmp_path / "audit.log").unlink()
        await log.write(b"y" * 80 + b"\n")
        await log.close()

    run(main)
    assert (tmp_path / "audit.log").read_bytes() == b"y" * 80 + b"\n"


def test_a_full_disk_loses_events_and_counts_them(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no disk here is always full")
    (tmp_path / "audit.log").symlink_to("/dev/full")

    async def main() -> None:
        counted = Counted()
        log = LogFile(tmp_path / "audit.log", Rotation(bytes_max=0), FakeClock(NOON))
        backend = LogBackend(log, "json", counted.losses)
        with caplog.at_level(logging.ERROR):
            assert not await backend.process([event("a"), event("b")])
        assert counted.lost("log") == 2
        await backend.close()

    run(main)
    assert 'id="a"' in str(caplog.records[1].fields)  # type: ignore[attr-defined]


def test_both_forms(tmp_path: Path) -> None:
    async def main() -> None:
        for form in ("json", "legacy"):
            log = LogFile(tmp_path / f"{form}.log", Rotation(), FakeClock(NOON))
            assert await LogBackend(log, form, Counted().losses).process([event("a"), event("b")])
            await log.close()

    run(main)
    (tmp_path / "json.log").rename(tmp_path / "audit.log")
    assert [one["auditID"] for one in events(tmp_path)] == ["a", "b"]
    assert (tmp_path / "legacy.log").read_text().splitlines() == [event("a").line(), event("b").line()]
