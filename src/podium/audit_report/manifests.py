"""Objects from files: YAML or JSON, several documents, lists, whole directories."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from podium.audit_report.finding import Lines, Origin, Source
from podium.machinery.codec import yaml
from podium.machinery.errors import Object

SUFFIXES = (".yaml", ".yml", ".json")
STANDARD_INPUT = "-"


class Unreadable(ValueError):
    """A file that is not there, or that holds no manifests."""


def load(names: Sequence[str], unread: Callable[[str], None]) -> list[Source]:
    """Return the objects in files, in directories and everything below, and in standard input (`-`).

    Of a directory, hidden files and what is no object of the API (a chart's values, for one) are passed over,
    and `unread` is told of files that are no YAML (a chart's templates). Raises `Unreadable` for files.
    """
    sources: list[Source] = []
    for name in names:
        if name == STANDARD_INPUT:
            sources += read(sys.stdin.buffer.read(), "<stdin>")
        elif Path(name).is_dir():
            for path in _below(Path(name)):
                try:
                    sources += read(path.read_bytes(), path.as_posix(), strict=False)
                except (Unreadable, OSError) as error:
                    unread(str(error))
        else:
            try:
                raw = Path(name).read_bytes()
            except OSError as error:
                raise Unreadable(f"{name}: {error.strerror}") from None
            sources += read(raw, name)
    return sources


def _below(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix in SUFFIXES and not hidden and path.is_file():
            yield path


def read(raw: bytes, file: str, *, strict: bool = True) -> list[Source]:
    """Return the objects in a text. `strict`: other values are an error. Raises `Unreadable`."""
    sources: list[Source] = []
    if raw.lstrip()[:1] in (b"{", b"["):
        # JSON may be indented by tabs, YAML may not; in strings of JSON there are none.
        raw = raw.replace(b"\t", b" ")
    try:
        for value, node in yaml.documents(raw):
            if value is None:
                continue
            found = list(_objects(value, Lines(node)))
            if strict and not found and not _is_list(value):
                raise Unreadable(f"{file}: a document is no object with apiVersion and kind")
            sources += [Source(object=obj, origin=Origin(file=file, lines=lines)) for obj, lines in found]
    except yaml.YamlError as error:
        raise Unreadable(f"{file}: {error}") from None
    return sources


def _is_list(value: object) -> bool:
    return isinstance(value, dict) and isinstance(value.get("items"), list) and "kind" in value


def _objects(value: object, lines: Lines) -> Iterator[tuple[Object, Lines]]:
    if not isinstance(value, dict) or not value.get("apiVersion") or not value.get("kind"):
        return
    if not _is_list(value):
        yield value, lines
        return
    items = value["items"]
    # The items of a typed list need not say what they are.
    kind = {"apiVersion": value["apiVersion"], "kind": str(value["kind"]).removesuffix("List")}
    for index, item in enumerate(items):
        if isinstance(item, dict):
            whole = item if value["kind"] == "List" else {**kind, **item}
            yield from _objects(whole, lines.below("items", index))
