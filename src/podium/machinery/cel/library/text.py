"""The extended functions of strings. Positions count characters."""

from __future__ import annotations

import math
import re
from typing import Any

from podium.machinery.cel.declarations import declare
from podium.machinery.cel.errors import CelRuntimeError, CostExceeded
from podium.machinery.cel.library.standard import to_string
from podium.machinery.cel.values import Duration, Timestamp, Uint, kind_of, type_name

RESULT_MAX = 64 * 1024 * 1024
_SPACES = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
_LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")
_UPPER = str.maketrans("abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
_CLAUSE = re.compile(r"%(?:(%)|(?:\.(\d{1,3}))?(.))", re.DOTALL)


def char_at(text: str, position: int) -> str:
    if not 0 <= position <= len(text):
        raise CelRuntimeError(f"index out of range: {position}")
    return text[position : position + 1]


def index_of(text: str, part: str, offset: int = 0) -> int:
    if part == "":
        return offset
    if not 0 <= offset <= len(text):
        raise CelRuntimeError(f"index out of range: {offset}")
    return text.find(part, offset)


def last_index_of(text: str, part: str, offset: int | None = None) -> int:
    if part == "":
        return len(text) if offset is None else offset
    if offset is None:
        return text.rfind(part)
    if not 0 <= offset <= len(text):
        raise CelRuntimeError(f"index out of range: {offset}")
    return text.rfind(part, 0, offset + len(part))


def substring(text: str, start: int, end: int | None = None) -> str:
    if end is None:
        if not 0 <= start <= len(text):
            raise CelRuntimeError(f"index out of range: {start}")
        return text[start:]
    if start > end:
        raise CelRuntimeError(f"invalid substring range. start: {start}, end: {end}")
    for position in (start, end):
        if not 0 <= position <= len(text):
            raise CelRuntimeError(f"index out of range: {position}")
    return text[start:end]


def replace(text: str, old: str, new: str, count: int = -1) -> str:
    found = text.count(old) if count < 0 else min(count, text.count(old))
    if len(text) + found * (len(new) - len(old)) > RESULT_MAX:
        raise CostExceeded
    return text.replace(old, new, count)


def split(text: str, separator: str, limit: int = -1) -> list[str]:
    if limit == 0:
        return []
    if separator == "":
        return list(text) if limit < 0 or len(text) <= limit else [*text[: limit - 1], text[limit - 1 :]]
    return text.split(separator, limit - 1 if limit > 0 else -1)


def join(parts: list[Any], separator: str = "") -> str:
    for part in parts:
        if type(part) is not str:
            raise CelRuntimeError(f"join: invalid input: {part}")
    if sum(map(len, parts)) + len(separator) * len(parts) > RESULT_MAX:
        raise CostExceeded
    return separator.join(parts)


_QUOTED = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"} | {
    "\\": "\\\\",
    '"': '\\"',
}


def quote(text: str) -> str:
    return '"' + "".join(_QUOTED.get(character, character) for character in text) + '"'


def format_(template: str, args: list[Any]) -> str:
    """Fill in `%s %d %f %e %b %x %X %o`; raises CelRuntimeError for what does not fit."""
    out: list[str] = []
    at, used, length = 0, 0, 0
    while (mark := template.find("%", at)) >= 0:
        out.append(template[at:mark])
        clause = _CLAUSE.match(template, mark)
        if clause is None:
            raise CelRuntimeError("unexpected end of string")
        at = clause.end()
        if clause[1]:
            out.append("%")
            continue
        if used >= len(args):
            raise CelRuntimeError(f"index {used} out of range")
        out.append(_clause(clause[3], clause[2], args[used]))
        used += 1
        length += len(out[-1])
        if length > RESULT_MAX:
            raise CostExceeded
    out.append(template[at:])
    return "".join(out)


def _clause(verb: str, precision: str | None, value: Any) -> str:
    try:
        match verb:
            case "s":
                return _string(value)
            case "d":
                return _decimal(value)
            case "f" | "e":
                return _floating(verb, int(precision or 6), value)
            case "b" | "x" | "X" | "o":
                return _based(verb, value)
    except CelRuntimeError as error:
        raise CelRuntimeError(f"error during formatting: {error}") from None
    raise CelRuntimeError(f'could not parse formatting clause: unrecognized formatting clause "{verb}"')


def _string(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, list):
        return f"[{', '.join(_member(element) for element in value)}]"
    if isinstance(value, dict):
        pairs = sorted((_member(key), _member(element)) for key, element in value.items())
        return "{" + ", ".join(f"{key}:{element}" for key, element in pairs) + "}"
    if kind_of(value) in (
        "bool",
        "int",
        "uint",
        "double",
        "string",
        "bytes",
        "timestamp",
        "duration",
        "type",
    ):
        return to_string(value)
    raise CelRuntimeError(
        "string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists, types, "
        f"durations, and timestamps, was given {type_name(value)}"
    )


def _member(value: Any) -> str:
    match value:
        case str():
            return quote(value)
        case bytes():
            return "b" + quote(to_string(value))
        case Timestamp():
            return f'timestamp("{value}")'
        case Duration():
            return f'duration("{value}")'
        case float():
            return f"{value:.6f}" if math.isfinite(value) else quote(to_string(value))
        case _:
            return _string(value)


def _decimal(value: Any) -> str:
    if type(value) in (int, Uint):
        return str(int(value))
    raise CelRuntimeError(f"decimal clause can only be used on integers, was given {type_name(value)}")


def _floating(verb: str, precision: int, value: Any) -> str:
    if value in ("NaN", "Infinity", "-Infinity"):
        value = float(value)
    if type(value) is not float:
        clause = "fixed-point" if verb == "f" else "scientific"
        raise CelRuntimeError(f"{clause} clause can only be used on doubles, was given {type_name(value)}")
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "\u221e" if value > 0 else "-\u221e"
    text = f"{value:.{precision}{verb}}"
    if verb == "f":
        return text
    mantissa, _, exponent = text.partition("e")
    return f"{mantissa}\u00d710{_raised(int(exponent))}"


def _raised(exponent: int) -> str:
    return ("\u207b" if exponent < 0 else "\u2070"[:0]) + f"{abs(exponent):02d}".translate(
        str.maketrans("0123456789", "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079")
    )


def _based(verb: str, value: Any) -> str:
    if verb in "xX" and type(value) in (str, bytes):
        data = value.encode() if isinstance(value, str) else value
        return data.hex().upper() if verb == "X" else data.hex()
    if verb == "b" and type(value) is bool:
        return "1" if value else "0"
    if type(value) in (int, Uint):
        return f"{int(value):{verb}}"
    what = {"b": "binary", "x": "hex", "X": "hex", "o": "octal"}[verb]
    takes = {"b": "integers and bools", "o": "integers"}.get(verb, "integers, byte buffers, and strings")
    raise CelRuntimeError(f"{what} clause can only be used on {takes}, was given {type_name(value)}")


def escape_key(text: str) -> str:
    return text.replace("~", "~0").replace("/", "~1")


OVERLOADS = (
    declare(
        [
            ("string_char_at_int", ".charAt", "string, int", "string", char_at),
            ("string_index_of_string", ".indexOf", "string, string", "int", index_of),
            ("string_index_of_string_int", ".indexOf", "string, string, int", "int", index_of),
            ("string_last_index_of_string", ".lastIndexOf", "string, string", "int", last_index_of),
            ("string_last_index_of_string_int", ".lastIndexOf", "string, string, int", "int", last_index_of),
            ("string_lower_ascii", ".lowerAscii", "string", "string", lambda text: text.translate(_LOWER)),
            ("string_upper_ascii", ".upperAscii", "string", "string", lambda text: text.translate(_UPPER)),
            ("string_replace_string_string", ".replace", "string, string, string", "string", replace),
            (
                "string_replace_string_string_int",
                ".replace",
                "string, string, string, int",
                "string",
                replace,
            ),
            ("string_split_string", ".split", "string, string", "list(string)", split),
            ("string_split_string_int", ".split", "string, string, int", "list(string)", split),
            ("string_substring_int", ".substring", "string, int", "string", substring),
            ("string_substring_int_int", ".substring", "string, int, int", "string", substring),
            ("string_trim", ".trim", "string", "string", lambda text: text.strip(_SPACES)),
            ("list_join", ".join", "list(string)", "string", join),
            ("list_join_string", ".join", "list(string), string", "string", join),
        ]
    )
    + declare(
        [
            ("string_format", ".format", "string, list(dyn)", "string", format_),
            ("strings_quote", "strings.quote", "string", "string", quote),
        ],
        since=29,
    )
    + declare([("jsonpatch_escape_key", "jsonpatch.escapeKey", "string", "string", escape_key)], since=32)
)
