"""JSON in and out, with upstream's words for what is wrong.

orjson does the work; the slow paths here run only when a body is malformed, or might have a duplicate field.
"""

from __future__ import annotations

import math
import re
from typing import Any

import orjson

from podium.machinery.depth import DEPTH_MAX, TOO_DEEP, text_too_deep
from podium.machinery.errors import BadRequest, Json, Object, quoted
from podium.machinery.golang import found_kind

_TYPE_META = (
    'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'
)
_SUMMARY_LENGTH_MAX = 30


class JsonError(ValueError):
    """The text is no JSON. The message is that of Go's decoder."""


def encode(value: Json) -> bytes:
    """Return `value` as compact JSON."""
    return orjson.dumps(value)


def decode(body: bytes) -> Json:
    """Return what `body` means. Raises `JsonError`."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return _decode_slowly(body)
    if text_too_deep(body, value):
        raise JsonError(TOO_DEEP)
    return value


def _decode_slowly(body: bytes) -> Json:
    """Explain why orjson refused, or accept what only Go accepts (text that is not quite UTF-8)."""
    _Scanner(body.decode("latin-1")).check()  # a character a byte, as Go reads it
    text = body.decode("utf-8", errors="replace")
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return _decode_leniently(text)


def _decode_leniently(text: str) -> Json:
    # Lone surrogates: Go replaces them; the standard library's parser lets us do the same.
    import json  # noqa: PLC0415 - nearly never needed

    return _without_surrogates(json.loads(text, parse_int=_integer, parse_float=_float))


_DIGITS_MAX = 400


def _integer(text: str) -> int:
    if len(text) > _DIGITS_MAX:
        raise JsonError(f"json: cannot unmarshal number {text} into Go value of type float64")
    return int(text)


def _float(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise JsonError(f"json: cannot unmarshal number {text} into Go value of type float64")
    return number


def _without_surrogates(value: Json) -> Json:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_without_surrogates(part) for part in value]
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(part) for key, part in value.items()}
    return value


def decode_object(body: bytes, kind: str) -> Object:
    """Return the object in a request's body; null is an empty one, as upstream has it.

    Raises BadRequest, in upstream's words, for what is no JSON object. `kind` is what the path asks for.
    """
    try:
        value = decode(body)
    except JsonError as error:
        raise unrecognized(kind, f"couldn't get version/kind; json parse error: {error}", body) from None
    return as_object(value, kind, body)


def as_object(value: Json, kind: str, body: bytes) -> Object:
    """Return the object that a decoded `body` is. Raises as `decode_object`."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        what = f"json: cannot unmarshal {found_kind(value)} into Go value of type {_TYPE_META}"
        raise unrecognized(kind, f"couldn't get version/kind; json parse error: {what}", body)
    problem = type_meta_problem(value)
    if problem:
        raise unrecognized(kind, problem, body)
    api_version = value.get("apiVersion")
    if api_version is not None and api_version.count("/") > 1:
        raise unrecognized(kind, f"unexpected GroupVersion string: {api_version}", body)
    return value


def type_meta_problem(value: Object) -> str:
    """Return what is wrong with an apiVersion or a kind that is no text; "" when nothing is."""
    for name in ("apiVersion", "kind"):
        part = value.get(name)
        if part.__class__ is not str and part is not None:
            what = f"json: cannot unmarshal {found_kind(part)} into Go struct field .{name} of type string"
            return f"couldn't get version/kind; json parse error: {what}"
    return ""


def unrecognized(kind: str, why: str, body: bytes) -> BadRequest:
    """Return the error for a body whose kind cannot be found out."""
    return BadRequest(
        f"the object provided is unrecognized (must be of type {kind}): {why} ({summary(body)})"
    )


def cannot_be_handled(kind: str, version: str, wanted_kind: str, why: str) -> BadRequest:
    """Return the error for an object of known kind that does not decode. `version` is without the group."""
    return BadRequest(f'{kind} in version "{version}" cannot be handled as a {wanted_kind}: {why}')


def strict_error(paths: list[str]) -> str:
    """Return upstream's text for unknown and duplicate fields, given as `unknown field "spec.foo"`."""
    return f"strict decoding error: {', '.join(paths)}"


def summary(body: bytes) -> str:
    """Return the beginning of a body as upstream shows it: JSON as it is, anything else in hex."""
    if not body:
        return "<empty>"
    head, more = body[:_SUMMARY_LENGTH_MAX], " ..." if len(body) > _SUMMARY_LENGTH_MAX else ""
    if body.startswith(b"{"):
        return head.decode("utf-8", errors="replace") + more
    return head.hex() + more


# --- duplicate fields ---


def duplicates(body: bytes, value: Json) -> list[str]:
    """Return the paths of fields that occur twice in `body`, which decoded to `value`, in document order.

    `value` must be as decoded.
    """
    found = with_repeats(body, value)
    return duplicates_in(found) if found is not None else []


def with_repeats(body: bytes, value: Json) -> Any:
    """Return `body` with its objects as `Members`; None when no field occurs twice.

    `value` is `body` as decoded. One that encodes to the body again has none, which costs next to nothing.
    """
    if orjson.dumps(value) == body.strip():
        return None
    import json  # noqa: PLC0415 - only for bodies that are laid out for people

    repeated = False

    def members(pairs: list[tuple[str, Any]]) -> Members:
        nonlocal repeated
        repeated = repeated or len(dict(pairs)) < len(pairs)
        return Members(pairs)

    try:
        found = json.loads(body.decode("utf-8", "replace"), object_pairs_hook=members)
    except (ValueError, RecursionError):
        return None
    return found if repeated else None


class Members(list[tuple[str, Any]]):
    """The members of one JSON object, all of them."""


def duplicates_in(value: Any) -> list[str]:
    """Return the paths of repeated fields in what `with_repeats` has returned, or in a part of it."""
    paths: list[str] = []
    if isinstance(value, Members):
        seen: set[str] = set()
        for key, part in value:
            if key in seen:
                paths.append(key)
            seen.add(key)
            paths += [joined(key, path) for path in duplicates_in(part)]
    elif isinstance(value, list):
        for index, part in enumerate(value):
            paths += [joined(f"[{index}]", path) for path in duplicates_in(part)]
    return paths


def earlier_in(value: Any) -> list[Json]:
    """Return what is repeated later, of what `with_repeats` has returned: each alone, nothing beside it."""
    if isinstance(value, Members):
        last = {key: at for at, (key, _) in enumerate(value)}
        found: list[Json] = []
        for at, (key, part) in enumerate(value):
            found += [{key: merged(part)}] if last[key] != at else [{key: one} for one in earlier_in(part)]
        return found
    if isinstance(value, list):
        return [[earlier] for part in value for earlier in earlier_in(part)]
    return []


def merged(value: Any) -> Json:
    """Return what `with_repeats` has returned as Go decodes it into a type.

    An object that occurs again adds to the one before; anything else replaces it.
    """
    if isinstance(value, Members):
        whole: dict[str, Json] = {}
        for key, part in value:
            _add(whole, key, merged(part))
        return whole
    return [merged(part) for part in value] if isinstance(value, list) else value


def _add(whole: dict[str, Json], key: str, value: Json) -> None:
    before = whole.get(key)
    if isinstance(before, dict) and isinstance(value, dict):
        for name, part in value.items():
            _add(before, name, part)
    else:
        whole[key] = value


def joined(head: str, path: str) -> str:
    """Return a path below a field or an index."""
    return f"{head}{path}" if path.startswith("[") else f"{head}.{path}"


# --- syntax errors ---

_NUMBER_PART = re.compile(r"[0-9]*", re.ASCII)
_SPACE = " \t\r\n"
_CLOSERS = {"{": "}", "[": "]"}


class _Scanner:
    """Goes through a text as Go's JSON scanner does, to fail where it fails, in its words."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def check(self) -> None:
        """Raise `JsonError` unless the text is one JSON value, nested no deeper than we decode."""
        # What is open and unfinished, innermost last. A stack of our own: depth costs no stack frames.
        closers: list[str] = []
        while True:
            self._space()
            char = self._char()
            if char in "{[":
                if len(closers) == DEPTH_MAX:
                    raise JsonError(TOO_DEEP)
                self._at += 1
                self._space()
                if self._char() != _CLOSERS[char]:
                    closers.append(_CLOSERS[char])
                    if char == "{":
                        self._key()
                    continue
                self._at += 1
            else:
                self._scalar(char)
            if not self._next_member(closers):
                break
        self._space()
        if self._at < len(self._text):
            raise self._unexpected("after top-level value")

    def _next_member(self, closers: list[str]) -> bool:
        """Go past the end of a value to where the next one starts; return False when there is none."""
        while closers:
            self._space()
            char, closer = self._char(), closers[-1]
            if char == ",":
                self._at += 1
                if closer == "}":
                    self._space()
                    self._key()
                return True
            if char != closer:
                raise self._unexpected(
                    "after object key:value pair" if closer == "}" else "after array element"
                )
            self._at += 1
            closers.pop()
        return False

    def _key(self) -> None:
        if self._char() != '"':
            raise self._unexpected("looking for beginning of object key string")
        self._string()
        self._space()
        if self._char() != ":":
            raise self._unexpected("after object key")
        self._at += 1

    def _char(self) -> str:
        if self._at >= len(self._text):
            raise JsonError("unexpected end of JSON input")
        return self._text[self._at]

    def _space(self) -> None:
        while self._at < len(self._text) and self._text[self._at] in _SPACE:
            self._at += 1

    def _char_or_end(self) -> str:
        """Return the next character; the end is a blank to Go where that is as wrong as any."""
        return self._text[self._at] if self._at < len(self._text) else " "

    def _unexpected(self, where: str) -> JsonError:
        return JsonError(f"invalid character {_quoted(self._char_or_end())} {where}")

    def _scalar(self, first: str) -> None:
        match first:
            case '"':
                self._string()
            case "t" | "f" | "n":
                self._literal({"t": "true", "f": "false", "n": "null"}[first])
            case "-" | "0" | "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9":
                self._number()
            case _:
                raise self._unexpected("looking for beginning of value")

    def _string(self) -> None:
        self._at += 1
        while (char := self._char()) != '"':
            if char < " ":
                raise self._unexpected("in string literal")
            self._at += 1
            if char == "\\":
                self._escape()
        self._at += 1

    def _escape(self) -> None:
        char = self._char_or_end()
        if char not in 'bfnrt\\/"u':
            raise self._unexpected("in string escape code")
        self._at += 1
        if char == "u":
            for _ in range(4):
                if self._char_or_end() not in "0123456789abcdefABCDEF":
                    raise self._unexpected("in \\u hexadecimal character escape")
                self._at += 1

    def _literal(self, word: str) -> None:
        self._at += 1
        for char in word[1:]:
            if self._char_or_end() != char:
                raise self._unexpected(f"in literal {word} (expecting {_quoted(char)})")
            self._at += 1

    def _number(self) -> None:
        if self._char_or_end() == "-":
            self._at += 1
            if self._char_or_end() not in "0123456789":
                raise self._unexpected("in numeric literal")
        if self._char_or_end() == "0":
            self._at += 1
        else:
            self._digits()
        if self._text[self._at : self._at + 1] == ".":
            self._at += 1
            if self._char_or_end() not in "0123456789":
                raise self._unexpected("after decimal point in numeric literal")
            self._digits()
        if self._text[self._at : self._at + 1] in ("e", "E"):
            self._at += 1
            if self._char_or_end() in "+-":
                self._at += 1
            if self._char_or_end() not in "0123456789":
                raise self._unexpected("in exponent of numeric literal")
            self._digits()

    def _digits(self) -> None:
        match = _NUMBER_PART.match(self._text, self._at)
        assert match is not None
        self._at = match.end()


def _quoted(char: str) -> str:
    """Return a character as Go quotes it in these messages."""
    if char == "'":
        return r"'\''"
    if char == '"':
        return "'\"'"
    return f"'{quoted(char)[1:-1]}'"
