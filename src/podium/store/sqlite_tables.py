"""The SQLite engine's tables and every SQL statement on them; synchronous, and free of any policy.

`history` has a row for each change that compaction has not removed, `current` one for each living key. A
write adds one row to the one and replaces one in the other, so its cost grows with the depth of two B-trees
and not with the number of objects. Compaction walks the changes since the last one, not the whole history.

Example: create a, update a, delete a, in an empty store:

    revision  key  create_revision  previous_revision  value
    2         a    2                0                  b"1"
    3         a    2                2                  b"2"
    4         a    2                3                  NULL       (a tombstone)
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from podium.store.protocol import (
    Change,
    Compacted,
    FutureRevision,
    KeyExists,
    KeyMissing,
    Page,
    Record,
    RevisionMismatch,
    StoreError,
)

FORMAT = 1
APPLICATION_ID = 0x506F6469  # "Podi"
FIRST_REVISION = 1
WAL_BYTES_KEPT = 16 * 1024 * 1024
BUSY_TIMEOUT_S = 10.0

# The index needs no revision column: each of its entries ends with the row's id, which is the revision.
_SCHEMA = """
CREATE TABLE history (
    revision INTEGER PRIMARY KEY,
    key TEXT NOT NULL COLLATE BINARY,
    create_revision INTEGER NOT NULL,
    previous_revision INTEGER NOT NULL,
    value BLOB
);
CREATE INDEX history_by_key ON history (key);
CREATE TABLE current (key TEXT PRIMARY KEY COLLATE BINARY, revision INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE progress (
    -- Reads below `compacted` are refused; rows that only they needed are gone up to `swept`.
    compacted INTEGER NOT NULL,
    swept INTEGER NOT NULL
);
INSERT INTO progress VALUES (0, 0);
"""


class Create(NamedTuple):
    key: str
    value: bytes


class Update(NamedTuple):
    key: str
    value: bytes
    expected_revision: int


class Delete(NamedTuple):
    key: str
    expected_revision: int


Write = Create | Update | Delete


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangesRead:
    """Changes from disk, and the revision up to which there are no others."""

    changes: Sequence[Change]
    reached: int


def connect(path: Path, *, cache_kib: int, read_only: bool = False) -> sqlite3.Connection:
    """Return a connection that may pass between threads, one at a time. Raises sqlite3.Error."""
    connection = sqlite3.connect(
        path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False, cached_statements=64
    )
    connection.execute(f"PRAGMA cache_size = -{cache_kib}")
    if read_only:
        connection.execute("PRAGMA query_only = ON")
    else:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA journal_size_limit = {WAL_BYTES_KEPT}")
    return connection


def prepare(connection: sqlite3.Connection) -> None:
    """Create the tables in an empty file. Raises `StoreError` when the file is something else."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (format_,) = connection.execute("PRAGMA user_version").fetchone()
    if application == APPLICATION_ID and format_ == FORMAT:
        return
    if application == APPLICATION_ID:
        raise StoreError(f"written in format {format_}, this version of Podium reads format {FORMAT}")
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if tables or application:
        raise StoreError("an SQLite database of another program")
    connection.executescript(
        f"BEGIN IMMEDIATE; {_SCHEMA}"
        f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {FORMAT}; COMMIT;"
    )


def compacted(connection: sqlite3.Connection) -> int:
    """Return the oldest revision that may still be read; 0 before the first compaction."""
    (revision,) = connection.execute("SELECT compacted FROM progress").fetchone()
    return int(revision)


def latest(connection: sqlite3.Connection) -> int:
    """Return the revision of the last change."""
    # Compaction may have removed the last change's row (a tombstone), but never raises `compacted` above it.
    (revision,) = connection.execute(
        "SELECT max(?, (SELECT compacted FROM progress), ifnull((SELECT max(revision) FROM history), 0))",
        (FIRST_REVISION,),
    ).fetchone()
    return int(revision)


_GET = """
SELECT h.key, h.value, h.create_revision, h.revision
FROM current AS c JOIN history AS h ON h.revision = c.revision WHERE c.key = ?
"""


def get(connection: sqlite3.Connection, key: str) -> Record | None:
    """Return the newest record of `key`."""
    row = connection.execute(_GET, (key,)).fetchone()
    return None if row is None else _record(row)


def _record(row: tuple[str, bytes, int, int]) -> Record:
    return Record(key=row[0], value=row[1], create_revision=row[2], mod_revision=row[3])


_APPEND = "INSERT INTO history VALUES (?, ?, ?, ?, ?)"
_CLAIM = "INSERT INTO current VALUES (?, ?) ON CONFLICT DO NOTHING"


def write(connection: sqlite3.Connection, command: Write, revision: int) -> Change:
    """Carry out `command` as `revision`, inside the caller's transaction.

    Raises `KeyExists`, `KeyMissing` or `RevisionMismatch`, and then has written nothing.
    """
    key = command.key
    if isinstance(command, Create):
        if not connection.execute(_CLAIM, (key, revision)).rowcount:
            raise KeyExists(f"{key} exists")
        connection.execute(_APPEND, (revision, key, revision, 0, command.value))
        record = Record(key=key, value=command.value, create_revision=revision, mod_revision=revision)
        return Change(key=key, revision=revision, record=record, previous=None)
    previous = get(connection, key)
    if previous is None:
        raise KeyMissing(f"{key} does not exist")
    expected = command.expected_revision
    if expected != previous.mod_revision and not (expected == 0 and isinstance(command, Delete)):
        raise RevisionMismatch(previous)
    created = previous.create_revision
    if isinstance(command, Delete):
        _write_row(connection, (revision, key, created, previous.mod_revision, None))
        return Change(key=key, revision=revision, record=None, previous=previous)
    _write_row(connection, (revision, key, created, previous.mod_revision, command.value))
    record = Record(key=key, value=command.value, create_revision=created, mod_revision=revision)
    return Change(key=key, revision=revision, record=record, previous=previous)


def _write_row(connection: sqlite3.Connection, row: tuple[int, str, int, int, bytes | None]) -> None:
    connection.execute(_APPEND, row)
    revision, key, *_, value = row
    if value is None:
        connection.execute("DELETE FROM current WHERE key = ?", (key,))
    else:
        connection.execute("INSERT OR REPLACE INTO current VALUES (?, ?)", (key, revision))


def end_of_prefix(prefix: str) -> str | bytes:
    """Return the least key above every key that begins with `prefix`."""
    while prefix:
        following = ord(prefix[-1]) + 1
        if 0xD800 <= following <= 0xDFFF:  # surrogates are not characters
            following = 0xE000
        if following <= 0x10FFFF:
            return prefix[:-1] + chr(following)
        prefix = prefix[:-1]
    return b""  # SQLite orders every blob after every text


_NEWEST_RANGE = """
FROM current AS c JOIN history AS h ON h.revision = c.revision
WHERE c.key >= :low AND c.key < :high
"""
# INDEXED BY: in key order, so that a limit ends the walk; without statistics the planner might sort instead.
_OLD_RANGE = """
FROM history AS h INDEXED BY history_by_key
WHERE h.key >= :low AND h.key < :high AND h.revision <= :revision
AND NOT EXISTS (
    SELECT 1 FROM history AS n WHERE n.key = h.key AND n.revision > h.revision AND n.revision <= :revision
)
AND h.value IS NOT NULL
"""
_COLUMNS = "SELECT h.key, h.value, h.create_revision, h.revision"
_LIST_NEWEST = f"{_COLUMNS} {_NEWEST_RANGE} ORDER BY c.key LIMIT :limit"
_LIST_OLD = f"{_COLUMNS} {_OLD_RANGE} ORDER BY h.key LIMIT :limit"
_COUNT_NEWEST = "SELECT count(*) FROM current WHERE key >= :low AND key < :high"
_COUNT_OLD = f"SELECT count(*) {_OLD_RANGE}"


def page(connection: sqlite3.Connection, prefix: str, start_after: str, limit: int, revision: int) -> Page:
    """`Store.list`, as of one moment."""
    connection.execute("BEGIN")
    try:
        now = latest(connection)
        if revision > now:
            raise FutureRevision(now)
        if revision and revision < (oldest := compacted(connection)):
            raise Compacted(oldest)
        newest = revision in (0, now)
        # The key that follows `start_after` in order is the same with a NUL behind it.
        low = max(prefix, start_after + "\0") if start_after else prefix
        arguments = {
            "low": low,
            "high": end_of_prefix(prefix),
            "revision": revision,
            "limit": limit + 1 if limit else -1,
        }
        rows = connection.execute(_LIST_NEWEST if newest else _LIST_OLD, arguments).fetchall()
        remaining = 0
        if limit and len(rows) > limit:
            rows.pop()
            arguments["low"] = rows[-1][0] + "\0"
            (remaining,) = connection.execute(_COUNT_NEWEST if newest else _COUNT_OLD, arguments).fetchone()
        records = [_record(row) for row in rows]
        return Page(records=records, revision=revision or now, more=remaining > 0, remaining=remaining)
    finally:
        connection.execute("ROLLBACK")


# The plus signs keep the planner off the index by key: the walk has to follow the revisions.
_CHANGES = """
SELECT h.key, h.value, h.create_revision, h.revision, p.key, p.value, p.create_revision, p.revision
FROM history AS h LEFT JOIN history AS p ON p.revision = h.previous_revision
WHERE h.revision > :after AND h.revision <= :through AND +h.key >= :low AND +h.key < :high
ORDER BY h.revision LIMIT :limit
"""


def changes(connection: sqlite3.Connection, prefix: str, after: int, through: int, limit: int) -> ChangesRead:
    """Return up to `limit` changes under `prefix` with `after` < revision <= `through`, oldest first.

    Raises `Compacted` when some of them may be gone.
    """
    connection.execute("BEGIN")
    try:
        if after < (oldest := compacted(connection)):
            raise Compacted(oldest)
        arguments = {
            "after": after,
            "through": through,
            "low": prefix,
            "high": end_of_prefix(prefix),
            "limit": limit,
        }
        rows = connection.execute(_CHANGES, arguments).fetchall()
    finally:
        connection.execute("ROLLBACK")
    found = [
        Change(
            key=row[0],
            revision=row[3],
            record=None if row[1] is None else _record(row[:4]),
            previous=None if row[4] is None else _record(row[4:]),
        )
        for row in rows
    ]
    return ChangesRead(changes=found, reached=found[-1].revision if len(found) == limit else through)


def mark_compacted(connection: sqlite3.Connection, revision: int) -> None:
    """Refuse reads below `revision` from now on. Raises `FutureRevision`."""
    now = latest(connection)
    if revision > now:
        raise FutureRevision(now)
    connection.execute("UPDATE progress SET compacted = max(compacted, ?)", (revision,))


def sweep(connection: sqlite3.Connection, revisions_max: int) -> bool:
    """Remove what no read at `compacted` or later needs, for up to `revisions_max` changes; tell whether
    there is more to do."""
    oldest, swept = connection.execute("SELECT compacted, swept FROM progress").fetchone()
    if swept >= oldest:
        return False
    through = min(oldest, swept + revisions_max)
    span = {"after": swept, "through": through}
    connection.execute("BEGIN IMMEDIATE")
    try:
        # A record is needless once the change that replaced it is no longer later than every read.
        connection.execute(
            """DELETE FROM history WHERE revision IN (
                SELECT previous_revision FROM history
                WHERE revision > :after AND revision <= :through AND previous_revision > 0
            )""",
            span,
        )
        connection.execute(
            "DELETE FROM history WHERE revision > :after AND revision <= :through AND value IS NULL", span
        )
        connection.execute("UPDATE progress SET swept = ?", (through,))
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    return bool(through < oldest)
