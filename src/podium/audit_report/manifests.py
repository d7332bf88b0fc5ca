"""Objects from files: YAML or JSON, several documents, lists, whole directories. What is none is named."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from podium.audit_report.context import key_of, scopes
from podium.audit_report.finding import Lines, Loaded, Origin, Source
from podium.audit_report.workloads import as_object
from podium.machinery.codec import json, yaml
from podium.machinery.errors import Json, Object

SUFFIXES = (".yaml", ".yml", ".json")
STANDARD_INPUT = "-"
LINES_OF_JSON_BYTES_MAX = 1024 * 1024
"""Larger JSON no person has written: nobody looks for its lines, and finding them takes long."""
_SEPARATOR = re.compile(rb"^---(?=\s|\Z)", re.MULTILINE)
_BLANK = re.compile(rb"(?:\s+|[#%][^\n]*(?:\n|\Z))*")
_LINE = re.compile(r"line (\d+)")


def load(names: Sequence[str], *, namespace: str = "") -> Loaded:
    """Return the objects in files, in directories with all below them, and in standard input (`-`).

    What names no namespace is put into `namespace`, if there is one. What is no object of the API (a chart's
    values, for one), and what cannot be read, is noted, and the rest read.
    """
    loaded = Loaded()
    for name in names:
        if name == STANDARD_INPUT:
            _read_named(sys.stdin.buffer.read(), "<stdin>", loaded)
        elif Path(name).is_dir():
            for path in _below(Path(name)):
                if (raw := _content(path, loaded)) is not None:
                    read(raw, path.as_posix(), loaded)
        elif (raw := _content(Path(name), loaded)) is not None:
            _read_named(raw, name, loaded)
    if namespace:
        loaded.sources = [_placed(source, namespace) for source in loaded.sources]
    return loaded


def _below(folder: Path) -> Iterator[Path]:
    """Yield the files that manifests are kept in, but for hidden ones."""
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix in SUFFIXES and not hidden and path.is_file():
            yield path


def _content(path: Path, loaded: Loaded) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError as error:
        loaded.unseen.append(f"{path}: {error.strerror or error}")
        loaded.failed = True
        return None


def _read_named(raw: bytes, file: str, loaded: Loaded) -> None:
    """Read what was asked for by its name: it should hold something."""
    sources, unseen = len(loaded.sources), len(loaded.unseen)
    read(raw, file, loaded)
    if len(loaded.sources) == sources:
        loaded.failed = True
        if len(loaded.unseen) == unseen:
            loaded.unseen.append(f"{file}: it holds no object")


def read(raw: bytes, file: str, loaded: Loaded) -> None:
    """Add the objects in a text. A document that is broken does not keep the others from being read."""
    for skipped, document in _documents(raw):
        try:
            values = _decoded(document)
        except yaml.YamlError as error:
            loaded.unseen.append(f"{file}: {_reason(error, document, skipped)}")
            loaded.failed = True
            continue
        for value, node in values:
            lines = Lines(node, skipped=skipped)
            found = list(_objects(value, lines))
            if not found and not _is_list(value) and value is not None:
                where = f"{file}: what begins in line {lines.of(())}"
                loaded.unseen.append(f"{where} is no object with apiVersion and kind")
            loaded.sources += [Source(object=obj, origin=Origin(file=file, lines=at)) for obj, at in found]


def _documents(raw: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the documents that are not blank, with the number of lines before each."""
    body = raw.removeprefix(b"\xef\xbb\xbf")
    marks = list(_SEPARATOR.finditer(body))
    starts, ends = [0, *(mark.end() for mark in marks)], [*(mark.start() for mark in marks), len(body)]
    counted = lines = 0
    for start, end in zip(starts, ends, strict=True):
        lines += body.count(b"\n", counted, start)
        counted = start
        document = body[start:end]
        if not _BLANK.fullmatch(document):
            yield lines, document


def _decoded(document: bytes) -> list[tuple[Json, object]]:
    """Return a document's value and, where they can be had, its nodes; after `...` there may be another.

    Raises `YamlError`.
    """
    is_json = document.lstrip()[:1] in (b"{", b"[")
    if is_json and len(document) > LINES_OF_JSON_BYTES_MAX:
        return [(_json_or_yaml(document), None)]
    try:
        # JSON may be indented by tabs, YAML may not; in strings of JSON there are none.
        return list(yaml.documents(document.replace(b"\t", b" ") if is_json else document))
    except yaml.YamlError:
        # JSON writes some characters as pairs of surrogates, which YAML does not know.
        if is_json:
            return [(_json_or_yaml(document), None)]
        raise


def _json_or_yaml(document: bytes) -> Json:
    try:
        return json.decode(document)
    except json.JsonError:
        return yaml.decode(document)


def _reason(error: yaml.YamlError, document: bytes, skipped: int) -> str:
    """Return what is wrong with a document, in lines of its file."""
    blank = _BLANK.match(document)
    begins = skipped + document[: blank.end() if blank else 0].count(b"\n") + 1
    text = str(error).removeprefix("error converting YAML to JSON: yaml: ")
    text = _LINE.sub(lambda line: f"line {int(line[1]) + skipped}", text)
    return f"the document from line {begins} on is no YAML: {text}"


def _placed(source: Source, namespace: str) -> Source:
    """Return an object in the namespace, if it is of a kind that is in one, and names none."""
    kind, _, _ = key_of(source.object)
    metadata = as_object(source.object.get("metadata"))
    if metadata.get("namespace") or not scopes().get(kind, True):
        return source
    placed = {**source.object, "metadata": {**metadata, "namespace": namespace}}
    return Source(object=placed, origin=source.origin)


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
