"""Kubernetes' protobuf wire format, to plain objects and back.

    unwrap(body) -> Unknown(api_version, kind, raw)          the envelope: b"k8s\\0" and a runtime.Unknown
    decode("io.k8s.api.core.v1.Pod", raw) -> object          as JSON would have given it
    encode("io.k8s.api.core.v1.Pod", object) -> raw
    wrap(api_version, kind, raw) -> body
    frame("ADDED", body) -> what a watch sends

Which field has which number is in `messages/`, one file for each Go package, one line for each message:
`name=number:type`, where a type is a scalar (s string, b bool, i and u integers, d double, y bytes) or a
message, `*` marks a repeated field, `#` a map from strings, `~` a message whose fields stand in the parent's
JSON, `?` a pointer in Go. A `FooList` of metadata=1 and items=2 is not listed. Messages are named as the
OpenAPI definitions are, less their `io.k8s.`.

Go writes what is no pointer even when it was never set, and so does `encode`: `""`, 0, false, an empty
message.
Decoding gives these zero values; the schema's decoder drops those that JSON would not have.
Upstream: generated.proto in k8s.io/api and k8s.io/apimachinery; gogo/protobuf's encoding, fields in the order
of their numbers, map entries in the order of their keys.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import orjson

from podium.machinery.codec import protobuf_special as special
from podium.machinery.codec.protobuf_wire import (
    DOUBLE,
    LENGTH_DELIMITED,
    VARINT,
    Malformed,
    delimited,
    fields,
    tag,
    varint,
    varint_bytes,
    zigzag_free,
)
from podium.machinery.errors import Json, Object

__all__ = ["Malformed", "Unknown", "decode", "encode", "encode_list", "frame", "knows", "unwrap", "wrap"]

MAGIC = b"k8s\x00"
FRAME_HEAD_BYTES = 4
"""The length in front of each event of a watch."""
_DEPTH_MAX = 100
"""How deep messages may nest; upstream's protobuf has no such bound but its JSON (10,000) has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """What an envelope says of the object in it."""

    api_version: str
    kind: str
    raw: bytes


def unwrap(body: bytes) -> Unknown:
    """Open an envelope. Raises Malformed."""
    if not body.startswith(MAGIC):
        raise Malformed("the body does not begin with the prefix k8s\\x00")
    api_version = kind = ""
    raw = b""
    for number, _, value in fields(body, len(MAGIC), len(body)):
        if number == 1 and isinstance(value, bytes):
            for inner, _, text in fields(value, 0, len(value)):
                if isinstance(text, bytes):
                    said = text.decode(errors="replace")
                    api_version, kind = (said, kind) if inner == 1 else (api_version, said)
        elif number == 2 and isinstance(value, bytes):
            raw = value
    return Unknown(api_version=api_version, kind=kind, raw=raw)


def wrap(api_version: str, kind: str, raw: bytes) -> bytes:
    """Put an encoded object into an envelope."""
    type_meta = delimited(1, api_version.encode()) + delimited(2, kind.encode())
    # Go writes the two empty strings (content encoding and type) that end the message.
    return MAGIC + delimited(1, type_meta) + delimited(2, raw) + b"\x1a\x00\x22\x00"


def knows(definition: str) -> bool:
    """Tell whether there is a message for an OpenAPI definition."""
    return _message(_name(definition)) is not None


def decode(definition: str, raw: bytes) -> Object:
    """Return the object that `raw` encodes, without apiVersion and kind. Raises Malformed."""
    obj = _known(definition).decode(raw, 0, len(raw), 0)
    assert isinstance(obj, dict)
    return obj


def encode(definition: str, obj: Object) -> bytes:
    """Return `obj` in protobuf; fields that the message does not know are left out."""
    return _known(definition).encode(obj)


def in_order(definition: str, obj: Object) -> Object:
    """Return a copy of `obj` with its fields in the order of upstream's types, in which its JSON has them."""
    message = _message(_name(definition))
    head: Object = {name: obj[name] for name in ("kind", "apiVersion") if name in obj}
    result: Object = {**head, **message.in_order(obj)} if message is not None else obj
    return result


def encode_list(definition: str, metadata: Object, items: Iterable[Object]) -> bytes:
    """Return a list of `definition`s in protobuf."""
    message = _known(definition)
    head = delimited(1, _known("apimachinery.pkg.apis.meta.v1.ListMeta").encode(metadata))
    return b"".join([head, *(delimited(2, message.encode(item)) for item in items)])


def frame(type: str, envelope: bytes) -> bytes:
    """Return one event of a watch: a WatchEvent around an object, with its length in front of it."""
    event = delimited(1, type.encode()) + delimited(2, delimited(1, envelope))
    return len(event).to_bytes(FRAME_HEAD_BYTES, "big") + event


def _known(definition: str) -> _Message:
    message = _message(_name(definition))
    if message is None:
        raise LookupError(f"no protobuf message for {definition}")
    return message


def _name(definition: str) -> str:
    return definition.removeprefix("io.k8s.")


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    number: int
    repeated: bool
    map: bool
    inline: bool
    pointer: bool
    scalar: str
    """The letter of a scalar type, or ""."""
    message: str

    def of(self) -> _Message:
        found = _message(self.message)
        assert found is not None, self.message
        return found


class _Message:
    """One message's fields, both ways."""

    def __init__(self, name: str, all_fields: list[_Field]) -> None:
        self.name = name
        self._by_number = {field.number: field for field in all_fields}
        self._in_order = sorted(all_fields, key=lambda field: field.number)
        self._steps: list[_Step] | None = None

    def decode(self, data: bytes, start: int, end: int, depth: int) -> Json:
        if depth > _DEPTH_MAX:
            raise Malformed("messages nest too deep")
        obj: dict[str, Any] = {}
        for number, wire, value in fields(data, start, end):
            field = self._by_number.get(number)
            if field is None:
                continue
            if field.map:
                key, entry = _map_entry(field, value, depth)
                obj.setdefault(field.name, {})[key] = entry
            elif field.scalar:
                self._take_scalars(obj, field, wire, value)
            elif not isinstance(value, bytes):
                raise Malformed(f"{self.name}.{field.name}: not a message")
            else:
                inner = field.of().decode(value, 0, len(value), depth + 1)
                if field.inline:
                    obj.update(inner)
                elif field.repeated:
                    obj.setdefault(field.name, []).append(inner)
                else:
                    obj[field.name] = inner
        return obj

    def _take_scalars(self, obj: dict[str, Any], field: _Field, wire: int, value: int | bytes) -> None:
        try:
            if not field.repeated:
                obj[field.name] = _scalar(field.scalar, value)
            elif isinstance(value, bytes) and wire == LENGTH_DELIMITED and field.scalar not in ("s", "y"):
                # A packed list of numbers: allowed by protobuf, though Go does not write it here.
                obj.setdefault(field.name, []).extend(_packed(field.scalar, value))
            else:
                obj.setdefault(field.name, []).append(_scalar(field.scalar, value))
        except Malformed as error:
            raise Malformed(f"{self.name}.{field.name}: {error}") from None

    def encode(self, obj: Json) -> bytes:
        """Return the message's bytes; `None` is a value that was never set."""
        steps = self._steps
        if steps is None:
            steps = self._steps = [_step(field) for field in self._in_order]
        out: list[bytes] = []
        values = obj or {}
        for step in steps:
            step(values, out)
        return b"".join(out)

    def in_order(self, obj: Json) -> Json:
        """Return an object with its fields in their order; the keys of maps are sorted."""
        if not isinstance(obj, dict):
            return obj
        result: Object = {}
        for field in self._in_order:
            if field.inline:
                result |= field.of().in_order(obj)
            elif field.name in obj:
                result[field.name] = _in_order(field, obj[field.name])
        return result

    def encode_given(self, values: Object) -> bytes:
        """As `encode`, writing only the fields that `values` has."""
        return b"".join(
            part
            for field in self._in_order
            if (value := values.get(field.name)) is not None
            for part in (
                (_encoded(field, item) for item in value) if field.repeated else (_encoded(field, value),)
            )
        )


class _Special(_Message):
    """A message whose JSON is no object with the same fields: a time, a quantity, ..."""

    def __init__(
        self,
        name: str,
        to_json: Callable[[Object], Json],
        from_json: Callable[[Json], Object],
        plain: _Message,
    ) -> None:
        super().__init__(name, [])
        self._to_json = to_json
        self._from_json = from_json
        self._plain = plain

    def in_order(self, obj: Json) -> Json:
        return _sorted(obj)

    def decode(self, data: bytes, start: int, end: int, depth: int) -> Json:
        try:
            return self._to_json(self._plain.decode(data, start, end, depth))
        except (ValueError, OverflowError, orjson.JSONDecodeError) as error:
            raise Malformed(f"{self.name}: {error}") from error

    def encode(self, obj: Json) -> bytes:
        return self._plain.encode_given(self._from_json(obj))


def _sorted(value: Json) -> Json:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(part) for part in value] if isinstance(value, list) else value


def _in_order(field: _Field, value: Json) -> Json:
    inner = field.of().in_order if field.message else lambda part: part
    if field.map and isinstance(value, dict):
        return {key: inner(value[key]) for key in sorted(value)}
    if field.repeated and isinstance(value, list):
        return [inner(part) for part in value]
    return inner(value)


# ------------------------------------------------------------------------------------- one value


def _scalar(kind: str, value: int | bytes) -> Json:
    if kind in ("s", "y"):
        if not isinstance(value, bytes):
            raise Malformed("a number where bytes belong")
        return _text(value) if kind == "s" else base64.b64encode(value).decode()
    if isinstance(value, int):
        return bool(value) if kind == "b" else zigzag_free(value)
    if kind == "d" and len(value) == 8:
        return struct.unpack("<d", value)[0]
    raise Malformed("bytes where a number belongs")


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise Malformed(f"a text is not UTF-8: {error}") from None


def _packed(kind: str, value: bytes) -> Iterator[Json]:
    if kind == "d":
        if len(value) % 8:
            raise Malformed("a packed list of doubles ends within one")
        yield from (number for (number,) in struct.iter_unpack("<d", value))
        return
    position = 0
    while position < len(value):
        number, position = varint(value, position, len(value))
        yield _scalar(kind, number)


def _encoded(field: _Field, value: Json) -> bytes:
    match field.scalar:
        case "":
            return delimited(field.number, field.of().encode(value))
        case "s":
            return delimited(field.number, str(value).encode())
        case "y":
            return delimited(field.number, base64.b64decode(value))
        case "d":
            return tag(field.number, DOUBLE) + struct.pack("<d", value)
        case _:
            return tag(field.number, VARINT) + varint_bytes(int(value))


_Step = Callable[[Object, list[bytes]], None]
"""Appends one field of an object in its encoded form."""


def _step(field: _Field) -> _Step:
    """Return what encodes one field: made once for each message, because watches encode many objects."""
    if field.inline:
        return _inline_step(field)
    if field.map:
        return _map_step(field)
    if field.repeated:
        return _repeated_step(field)
    if field.scalar == "s":
        return _string_step(field)
    return _single_step(field)


def _inline_step(field: _Field) -> _Step:
    number = field.number

    def inline(obj: Object, out: list[bytes]) -> None:
        body = field.of().encode(obj)
        out.append(delimited(number, body))

    return inline


def _map_step(field: _Field) -> _Step:
    def entries(obj: Object, out: list[bytes]) -> None:
        value = obj.get(field.name)
        if value:
            out.extend(delimited(field.number, entry) for entry in _map_entries(field, value))

    return entries


def _repeated_step(field: _Field) -> _Step:
    def items(obj: Object, out: list[bytes]) -> None:
        value = obj.get(field.name)
        if value:
            out.extend([_encoded(field, item) for item in value])

    return items


def _string_step(field: _Field) -> _Step:
    name, head, pointer = field.name, tag(field.number, LENGTH_DELIMITED), field.pointer
    empty = head + b"\0"

    def string(obj: Object, out: list[bytes]) -> None:
        value = obj.get(name)
        if value:
            raw = str(value).encode()
            out.append(head + varint_bytes(len(raw)) + raw)
        elif value is not None or not pointer:
            out.append(empty)

    return string


def _single_step(field: _Field) -> _Step:
    name = field.name
    sparse = field.pointer or field.scalar == "y"
    unset: bytes | None = None

    def single(obj: Object, out: list[bytes]) -> None:
        nonlocal unset
        value = obj.get(name)
        if value is not None:
            out.append(_encoded(field, value))
        elif not sparse:
            if unset is None:
                unset = _encoded(field, _ZEROS[field.scalar] if field.scalar else None)
            out.append(unset)

    return single


def _map_entry(field: _Field, value: int | bytes, depth: int) -> tuple[str, Json]:
    if not isinstance(value, bytes):
        raise Malformed(f"{field.name}: not a map's entry")
    key = ""
    found: Json = None
    for number, _, part in fields(value, 0, len(value)):
        if number == 1 and isinstance(part, bytes):
            key = _text(part)
        elif number == 2 and field.scalar:
            found = _scalar(field.scalar, part)
        elif number == 2 and isinstance(part, bytes):
            found = field.of().decode(part, 0, len(part), depth + 1)
    if found is None:
        # An entry without a value has the type's zero value.
        found = _ZEROS[field.scalar] if field.scalar else field.of().decode(b"", 0, 0, depth + 1)
    return key, found


def _map_entries(field: _Field, value: Object) -> Iterator[bytes]:
    inner = _Field("value", 2, False, False, False, False, field.scalar, field.message)
    for key in sorted(value):
        yield delimited(1, key.encode()) + _encoded(inner, value[key])


# ------------------------------------------------------------------------------------- the table


@cache
def _message(name: str) -> _Message | None:
    package, _, short = name.rpartition(".")
    line = _package(package).get(short)
    if line is None:
        return _list(package, short)
    plain = _Message(name, [_field(package, part) for part in line.split()])
    way = special.WAYS.get(short)
    # A message of strings called items is a named list in Go: Verbs, ExtraValue.
    if way is None and line == "items=1:*s":
        way = special.NAMED_LIST
    return plain if way is None else _Special(name, *way, plain)


def _list(package: str, short: str) -> _Message | None:
    item = short.removesuffix("List")
    if item == short or item not in _package(package):
        return None
    metadata = "apimachinery.pkg.apis.meta.v1.ListMeta"
    return _Message(
        f"{package}.{short}", [_field(package, f"metadata=1:{metadata}"), _field(package, f"items=2:*{item}")]
    )


@cache
def _package(name: str) -> dict[str, str]:
    file = resources.files("podium.machinery.codec") / "messages" / f"{name}.txt"
    if not file.is_file():
        return {}
    lines = (line.partition(" ") for line in file.read_text().splitlines())
    return {message: rest for message, _, rest in lines}


_ZEROS: dict[str, Json] = {"s": "", "y": "", "b": False, "i": 0, "u": 0, "d": 0.0}


def _field(package: str, text: str) -> _Field:
    name, _, rest = text.rpartition("=")
    number, _, kind = rest.partition(":")
    marks = kind[: len(kind) - len(kind.lstrip("*#~?"))]
    kind = kind[len(marks) :]
    scalar = kind if kind in _ZEROS else ""
    message = "" if scalar else kind if "." in kind else f"{package}.{kind}"
    return _Field(
        name=name,
        number=int(number),
        repeated="*" in marks,
        map="#" in marks,
        inline="~" in marks,
        pointer="?" in marks,
        scalar=scalar,
        message=message,
    )
