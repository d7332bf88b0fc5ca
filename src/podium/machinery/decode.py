"""Decoding by schema, as closures over shapes: what Go's typed decoding does to an object, done to a dict.

A container's closure works in place and returns the relative paths of the unknown fields it removed; a
scalar's closure returns the value that upstream would keep. Paths and messages are only made when something
is wrong, so that the usual object costs one dictionary look-up a field.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable, Iterator

from podium.base.caching import kept_if_short
from podium.machinery import quantity
from podium.machinery.codec.json import Members, joined
from podium.machinery.errors import Json
from podium.machinery.golang import type_name
from podium.machinery.gotime import TimeError, canonical_micro_time, canonical_time
from podium.machinery.shape import CONTAINERS, ZERO, Field, Shape

Container = Callable[[Json], list[str]]
Scalar = Callable[[Json], Json]

_NONE: list[str] = []
"""Nothing unknown. Shared, and never added to."""


class DecodeError(ValueError):
    """A value does not fit its field. The message is upstream's, without the head that names the kind.

    `conversion` is what upstream says of the same where it converts rather than decodes: after a strategic
    merge patch.
    """

    def __init__(self, message: str, conversion: str = "") -> None:
        super().__init__(message)
        self.conversion = conversion or message


class _Mismatch(Exception):
    """A value of the wrong JSON type, on its way up to where its path is known."""

    def __init__(self, value: Json, go_type: str, wanted: str = "", *, with_number: bool = False) -> None:
        super().__init__()
        self.wanted = wanted
        self.found = _found(value, with_number)
        self.found_type = type_name(value)
        self.go_type = go_type
        self.struct = ""
        self.path: list[str] = []

    def message(self) -> str:
        if not self.struct:
            return f"json: cannot unmarshal {self.found} into Go value of type {self.go_type}"
        where = ".".join((self.struct, *reversed(self.path)))
        return f"json: cannot unmarshal {self.found} into Go struct field {where} of type {self.go_type}"

    def conversion(self) -> str:
        """Return what upstream's converter says."""
        found = {"map[string]interface {}": "map", "[]interface {}": "slice"}.get(
            self.found_type, self.found_type
        )
        match self.wanted:
            case "struct":
                return f"cannot restore struct from: {found}"
            case "list":
                return f"cannot restore slice from {found}"
            case "map":
                return f"cannot restore map from {found}"
            case _:
                return self._simply()

    def _simply(self) -> str:
        """Return what is said of a simple type that is wanted: Go knows conversions of its own, which JSON
        does not allow, and has another word for what even Go cannot convert."""
        wanted = _GO_KINDS.get(self.go_type, "string")
        numbers = ("int64", "float64")
        if self.found_type in numbers and wanted not in ("string", "bool"):
            convertible = True
        else:
            convertible = (self.found_type, wanted) == ("int64", "string")
        if convertible:
            return f"cannot convert {self.found_type} to {self.go_type}"
        return f"unrecognized type: {wanted}"


_GO_KINDS = {name: name for name in ("bool", "int32", "int64", "float64")}
"""What the simple types are made of, that are no kind of string."""


def _found(value: Json, with_number: bool) -> str:
    match value:
        case bool():
            return "bool"
        case str():
            return "string"
        case dict():
            return "object"
        case list():
            return "array"
        case _:
            return f"number {value!r}" if with_number else "number"


def decoder(shape: Shape) -> Container:
    """Return the decoder of whole objects: in place, returns unknown paths, raises `DecodeError`."""
    decode = _container(shape)

    def run(obj: Json) -> list[str]:
        try:
            return list(decode(obj))
        except _Mismatch as mismatch:
            raise DecodeError(mismatch.message(), mismatch.conversion()) from None

    return run


def strict_complaints(value: Json, shape: Shape) -> list[str]:
    """Return what strict decoding says of unknown and repeated fields, in document order.

    `value` has its objects as `codec.json.Members`. What an unknown field has inside is nobody's business.
    """
    return list(dict.fromkeys(f'{what} field "{path}"' for what, path in _strictly(value, shape)))


def _strictly(value: Json, shape: Shape) -> Iterator[tuple[str, str]]:
    if isinstance(value, Members) and shape.kind in ("struct", "map"):
        seen: set[str] = set()
        for key, part in value:
            field = shape.fields.get(key)
            inner = field.shape if field is not None else shape.element
            if inner is None:
                if not shape.preserve_unknown:
                    yield "unknown", key
                continue
            if key in seen:
                yield "duplicate", key
            seen.add(key)
            for what, path in _strictly(part, inner):
                yield what, joined(key, path)
    elif isinstance(value, list) and shape.kind == "list" and shape.element is not None:
        for index, part in enumerate(value):
            for what, path in _strictly(part, shape.element):
                yield what, joined(f"[{index}]", path)
    elif shape.alternative is not None and not isinstance(value, bool | str):
        yield from _strictly(value, shape.alternative)


# --- scalars ---


def _string(go_type: str) -> Scalar:
    def convert(value: Json) -> Json:
        if value.__class__ is not str:
            raise _Mismatch(value, go_type)
        return value

    return convert


def _bool(go_type: str) -> Scalar:
    def convert(value: Json) -> Json:
        if value.__class__ is not bool:
            raise _Mismatch(value, go_type)
        return value

    return convert


def _integer(go_type: str, bits: int) -> Scalar:
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1

    def convert(value: Json) -> Json:
        if value.__class__ is not int or not low <= value <= high:
            is_number = value.__class__ in (int, float)
            raise _Mismatch(value, go_type, with_number=is_number)
        return value

    return convert


def _number(go_type: str) -> Scalar:
    def convert(value: Json) -> Json:
        if value.__class__ is not float and value.__class__ is not int:
            raise _Mismatch(value, go_type)
        return value

    return convert


def _bytes(go_type: str) -> Scalar:
    def convert(value: Json) -> Json:
        if value.__class__ is not str:
            raise _Mismatch(value, go_type)
        return _canonical_base64(value)

    return convert


_BASE64 = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")


def _canonical_base64(text: str) -> str:
    try:
        data = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        return _sloppy_base64(text)
    return binascii.b2a_base64(data, newline=False).decode()


def _sloppy_base64(text: str) -> str:
    """Accept the line breaks that Go accepts; say where the rest goes wrong."""
    plain = text.replace("\r", "").replace("\n", "")
    try:
        data = binascii.a2b_base64(plain, strict_mode=True)
    except ValueError:
        message = f"illegal base64 data at input byte {_base64_fault(text)}"
        raise DecodeError(message, f"error decoding from json: {message}") from None
    return binascii.b2a_base64(data, newline=False).decode()


def _base64_fault(text: str) -> int:
    """Return the offset that Go's decoder names for text that is no base64."""
    raw = text.encode()
    digits = 0
    for index, byte in enumerate(raw):
        if byte in b"\r\n":
            continue
        if byte in _BASE64:
            digits += 1
            continue
        if byte == ord("=") and digits % 4 >= 2:
            rest = raw[index + 1 :].replace(b"\r", b"").replace(b"\n", b"")
            needed = b"=" if digits % 4 == 2 else b""
            if not rest.startswith(needed):
                return len(raw) if not rest else index + 1
            return index + 1 + len(needed)
        return index
    # Too short: Go names the start of the last, incomplete group.
    return len(raw) - digits % 4


def _quantity(value: Json) -> Json:
    if value.__class__ is str or value.__class__ is int or value.__class__ is float:
        try:
            return quantity.canonical(value.strip() if isinstance(value, str) else value)
        except quantity.QuantityError as error:
            raise DecodeError(str(error)) from None
    raise DecodeError(quantity.FORMAT_MESSAGE)


def _int_or_string(value: Json) -> Json:
    if value.__class__ is str or (value.__class__ is int and -(2**31) <= value < 2**31):
        return value
    is_number = value.__class__ in (int, float)
    raise DecodeError(f"json: cannot unmarshal {_found(value, is_number)} into Go value of type int32")


def _time_of(parse: Callable[[str], str | None]) -> Scalar:
    cached = kept_if_short(1024)(parse)

    def convert(value: Json) -> Json:
        if value.__class__ is not str:
            raise DecodeError(f"json: cannot unmarshal {_found(value, False)} into Go value of type string")
        try:
            return cached(value)
        except TimeError as error:
            raise DecodeError(str(error)) from None

    return convert


_time = _time_of(canonical_time)
_micro_time = _time_of(canonical_micro_time)


def _anything(value: Json) -> Json:
    return value


def _scalar(shape: Shape) -> Scalar:
    match shape.kind:
        case "string":
            return _string(shape.go_type)
        case "bool":
            return _bool(shape.go_type)
        case "int32":
            return _integer(shape.go_type, 32)
        case "int64":
            return _integer(shape.go_type, 64)
        case "number":
            return _number(shape.go_type)
        case "bytes":
            return _bytes(shape.go_type)
        case "time":
            return _time
        case "micro-time":
            return _micro_time
        case "quantity":
            return _quantity
        case "int-or-string":
            return _int_or_string
        case _:
            return _anything


# --- containers ---


def _container(shape: Shape) -> Container:
    closure: Container = shape.once("decode", _make_container)
    return closure


def _make_container(shape: Shape) -> Container:
    match shape.kind:
        case "struct":
            return _struct(shape)
        case "list":
            return _list(shape)
        case "map":
            return _map(shape)
        case "any" if shape.alternative is not None:
            return _alternative(shape.alternative)
        case _:
            raise AssertionError(f"{shape.kind} is no container")


_Entry = tuple[type | None, bool, Container | None, Scalar]
"""(the class that needs no conversion, whether an empty value goes away, the container's closure or None,
the scalar's closure)."""


def _entry(field: Field) -> _Entry:
    shape = field.shape
    plain = {"string": str, "bool": bool}.get(shape.kind)
    if shape.kind in CONTAINERS or shape.alternative is not None:
        return plain, field.omits_zero, _container(shape), _anything
    # An empty quantity or time of a value field is written as "0" or null, so it is not left out here.
    omits = field.omits_zero and shape.kind not in (
        "quantity",
        "time",
        "micro-time",
        "int-or-string",
        "any",
    )
    return plain, omits, None, _scalar(shape)


def _struct(shape: Shape) -> Container:
    entries: dict[str, _Entry] = {}
    go_type, struct_name, preserve = shape.go_type, shape.struct_name, shape.preserve_unknown

    def look_up(key: str) -> _Entry | None:
        field = shape.fields.get(key)
        if field is None:
            return None
        entry = entries[key] = _entry(field)
        return entry

    def decode(obj: Json) -> list[str]:
        if obj.__class__ is not dict:
            raise _Mismatch(obj, go_type, "struct")
        unknown = _NONE
        drop: list[str] | None = None
        key = ""
        try:
            for key, value in obj.items():
                entry = entries.get(key) or look_up(key)
                if entry is None:
                    if preserve:
                        continue
                    unknown = _more(unknown, [key])
                    gone = True
                elif value is None:
                    gone = True
                else:
                    plain, omits, container, scalar = entry
                    if value.__class__ is plain:
                        gone = omits and not value
                    elif container is not None:
                        found = container(value)
                        if found:
                            unknown = _more(unknown, [joined(key, path) for path in found])
                        gone = omits and not value
                    else:
                        new = scalar(value)
                        if new is not value:
                            obj[key] = new
                        gone = new is None or (omits and not new)
                if gone:
                    if drop is None:
                        drop = []
                    drop.append(key)
        except _Mismatch as mismatch:
            mismatch.struct = mismatch.struct or struct_name
            mismatch.path.append(key)
            raise
        if drop is not None:
            for key in drop:
                del obj[key]
        return unknown

    return decode


def _more(unknown: list[str], found: list[str]) -> list[str]:
    """Return both; the first list is added to unless it is the shared empty one."""
    if unknown is _NONE:
        return found
    unknown += found
    return unknown


def _alternative(shape: Shape) -> Container:
    def decode(value: Json) -> list[str]:
        inner = _container(shape)
        if value.__class__ is dict:
            return inner(value)
        if value.__class__ is list:
            unknown = _NONE
            for index, part in enumerate(value):
                if part.__class__ is not str:  # A dependency may be a list of names.
                    unknown = _more(unknown, [joined(f"[{index}]", path) for path in inner(part)])
            return unknown
        if value.__class__ is not bool:
            raise _Mismatch(value, shape.go_type, "struct")
        return _NONE

    return decode


def _list(shape: Shape) -> Container:
    assert shape.element is not None
    element, go_type = shape.element, shape.go_type
    if element.kind in CONTAINERS or element.alternative is not None:
        return _list_of_containers(element, go_type)
    convert = _scalar(element)
    plain = {"string": str, "bool": bool}.get(element.kind)
    zero = ZERO[element.kind]

    def decode(values: Json) -> list[str]:
        if values.__class__ is not list:
            raise _Mismatch(values, go_type, "list")
        for index, value in enumerate(values):
            if value.__class__ is not plain:
                values[index] = zero if value is None else convert(value)
        return _NONE

    return decode


def _list_of_containers(element: Shape, go_type: str) -> Container:
    decode_element: Container | None = None
    zero: Callable[[], Json] = dict if element.kind != "list" else list

    def decode(values: Json) -> list[str]:
        nonlocal decode_element
        if values.__class__ is not list:
            raise _Mismatch(values, go_type, "list")
        if decode_element is None:
            decode_element = _container(element)
        unknown = _NONE
        for index, value in enumerate(values):
            if value is None:
                values[index] = zero()
                continue
            found = decode_element(value)
            if found:
                unknown = _more(unknown, [joined(f"[{index}]", path) for path in found])
        return unknown

    return decode


def _map(shape: Shape) -> Container:
    assert shape.element is not None
    element, go_type = shape.element, shape.go_type
    if element.kind in CONTAINERS or element.alternative is not None:
        return _map_of_containers(element, go_type)
    convert = _scalar(element)
    plain = {"string": str, "bool": bool}.get(element.kind)
    zero = ZERO[element.kind]

    def decode(values: Json) -> list[str]:
        if values.__class__ is not dict:
            raise _Mismatch(values, go_type, "map")
        for key, value in values.items():
            if value.__class__ is not plain:
                values[key] = zero if value is None else convert(value)
        return _NONE

    return decode


def _map_of_containers(element: Shape, go_type: str) -> Container:
    decode_element: Container | None = None
    zero: Callable[[], Json] = dict if element.kind != "list" else list

    def decode(values: Json) -> list[str]:
        nonlocal decode_element
        if values.__class__ is not dict:
            raise _Mismatch(values, go_type, "map")
        if decode_element is None:
            decode_element = _container(element)
        unknown = _NONE
        for key, value in values.items():
            if value is None:
                values[key] = zero()
                continue
            found = decode_element(value)
            if found:
                unknown = _more(unknown, [joined(key, path) for path in found])
        return unknown

    return decode
