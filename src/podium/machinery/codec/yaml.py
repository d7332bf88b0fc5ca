"""YAML in and out, as upstream's library (goyaml 2) reads it.

That is YAML 1.1 with exceptions: `y`, `yes`, `on` and their like are booleans, `010` is 8, `1_000` is 1000,
but `1:30` and timestamps are strings. The result is what its JSON form means: keys are strings, `1.0` is 1.
PyYAML is imported on first use; many processes never need it.
"""

from __future__ import annotations

import binascii
import math
import re
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

import orjson

from podium.machinery import golang
from podium.machinery.codec.json import duplicates as duplicates_in_json
from podium.machinery.depth import DEPTH_MAX, TOO_DEEP, text_too_deep
from podium.machinery.errors import Json

if TYPE_CHECKING:
    import yaml

NODES_MAX = 1_000_000
"""More values than this, aliases counted as often as they are used, are an attack."""
ALIASED_NODES_MAX = 100_000
"""And so are more than this when not even a tenth of them was written out."""

_TRUE = "y|Y|yes|Yes|YES|true|True|TRUE|on|On|ON"
_FALSE = "n|N|no|No|NO|false|False|FALSE|off|Off|OFF"
_NULL = "~|null|Null|NULL|"
_INTEGER = r"[-+]?(?:0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|0|[1-9][0-9_]*)"
_FLOAT = r"[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?"
_SPECIAL_FLOAT = r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"

_LIKE_TIME = re.compile(r"\d{4}-\d\d?-\d\d?(?:$|[Tt ])|[-+]?\d[\d_]*(?::[0-5]?\d)+(?:\.[\d_]*)?$", re.ASCII)
"""Text that other readers of YAML take for a time, or for a number in base 60: it is written in quotes."""

_TAG = "tag:yaml.org,2002:"


_FOREIGN_ESCAPE = re.compile(rb"(?<!\\)(?:\\\\)*\\(/|u[dD][89a-fA-F])")
"""Escapes of JSON that YAML has not: a slash, and halves of a character."""
_BAD_CODE = "found invalid Unicode character escape code"
_FRACTION = re.compile(rb'(?:"\s*:|[\[,])\s*-?[0-9]+(?:\.[0-9]|[eE])')
"""What might be a number with a fraction: YAML reads some of them as integers."""


class YamlError(ValueError):
    """The text is no YAML that JSON could carry. The message is upstream's.

    It begins with `error converting YAML to JSON: `; `reason` is what follows, which is what is said of
    a request's body.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(f"error converting YAML to JSON: {reason}")
        self.reason = reason


def decode(body: bytes) -> Json:
    """Return what the first document in `body` means; None for an empty one. Raises `YamlError`."""
    found = _as_json(body)
    return found[0] if found is not None else _converted(body).value


def decode_strictly(body: bytes) -> tuple[Json, list[str]]:
    """As `decode`, with upstream's complaint about keys that occur twice in a mapping: no or one message."""
    found = _as_json(body)
    if found is not None and not duplicates_in_json(body, found[0]):
        return found[0], []
    converted = _converted(body)
    return found[0] if found is not None else converted.value, _complaint(converted.repeated)


def _as_json(body: bytes) -> tuple[Json] | None:
    """Return what JSON in `body` means, in a tuple; None when it is YAML only. Raises `YamlError`."""
    if body.lstrip()[:1] not in (b"{", b"["):
        return None
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None  # flow style YAML that is not JSON
    if text_too_deep(body, value):
        raise YamlError(f"yaml: {TOO_DEEP} of {DEPTH_MAX}")
    if b"\x7f" in body:
        raise YamlError("yaml: control characters are not allowed")
    if b"\\" in body and (foreign := _FOREIGN_ESCAPE.search(body)):
        raise YamlError(f"yaml: {'found unknown escape character' if foreign[1] == b'/' else _BAD_CODE}")
    return None if _FRACTION.search(body) else (value,)


def _converted(body: bytes) -> _Converter:
    """Return the converter that has been through the first document."""
    converter = _Converter()
    root = _root(body)
    try:
        converter.value = converter.plain(root)
    except _InItself:
        raise YamlError(f"yaml: anchor '{_anchor(body, in_itself=True)}' value contains itself") from None
    return converter


def documents(body: bytes) -> Iterator[tuple[Json, yaml.Node | None]]:
    """Yield what each document in `body` means, and its nodes, which know their lines.

    Raises `YamlError`; what stands before the fault has been yielded by then.
    """
    import yaml  # noqa: PLC0415

    loader = _loader()(body)
    try:
        while loader.check_node():
            node = loader.get_node()
            yield _Converter().plain(node), node
    except _InItself:
        raise YamlError(f"yaml: anchor '{_anchor(body, in_itself=True)}' value contains itself") from None
    except yaml.YAMLError as error:
        raise _syntax_error(error, body) from None
    finally:
        loader.dispose()


def duplicates(body: bytes) -> list[str]:
    """Return upstream's complaint about keys that occur twice in a mapping: no or one message."""
    try:
        return decode_strictly(body)[1]
    except YamlError:
        return []


_COMPLAINT = "yaml: unmarshal errors:\n"


def _complaint(repeated: list[str]) -> list[str]:
    return [_COMPLAINT + "\n".join(f"  {line}" for line in repeated)] if repeated else []


def complaints(text: str) -> list[str]:
    """Return the parts of a complaint, of which a client is warned one by one; itself when it has none."""
    if not text.startswith(_COMPLAINT):
        return [text]
    return [line.strip() for line in text.removeprefix(_COMPLAINT).split("\n")]


def encode(value: Json) -> bytes:
    """Return `value` as YAML, keys in order, laid out as kubectl lays it out."""
    import yaml  # noqa: PLC0415

    text: str = yaml.dump(
        value, Dumper=_dumper(), default_flow_style=False, allow_unicode=True, width=2**31 - 1
    )
    return text.encode()


def _root(body: bytes) -> yaml.Node | None:
    import yaml  # noqa: PLC0415

    loader = _loader()(body)
    try:
        if not loader.check_node():
            return None
        root: yaml.Node | None = loader.get_node()
        return root
    except yaml.YAMLError as error:
        raise _syntax_error(error, body) from None
    finally:
        loader.dispose()


def _syntax_error(error: yaml.YAMLError, body: bytes) -> YamlError:
    import yaml  # noqa: PLC0415

    if isinstance(error, yaml.composer.ComposerError) and "undefined alias" in _problem(error):
        return YamlError(f"yaml: unknown anchor '{_anchor(body, in_itself=False)}' referenced")
    where = _where(error) if isinstance(error, yaml.MarkedYAMLError) else ""
    return YamlError(f"yaml: {where}{_problem(error)}")


def _anchor(body: bytes, *, in_itself: bool) -> str:
    """Return the name of the first alias to what is not known, or not at its end yet."""
    import yaml  # noqa: PLC0415

    known: set[str] = set()
    unfinished: list[str] = []
    for event in yaml.parse(body, Loader=_loader()):
        name = getattr(event, "anchor", None) or ""
        if isinstance(event, yaml.AliasEvent):
            if name in unfinished if in_itself else name not in known:
                return name
            continue
        known.add(name)
        if isinstance(event, yaml.CollectionStartEvent):
            unfinished.append(name)
        elif isinstance(event, yaml.CollectionEndEvent):
            unfinished.pop()
    return ""


def _where(error: yaml.MarkedYAMLError) -> str:
    """Return the line as upstream names it: never the first one, and one less for what the parser finds."""
    import yaml  # noqa: PLC0415

    mark, context = error.problem_mark, error.context_mark
    if mark is not None and mark.line:
        line = mark.line + 1 if isinstance(error, yaml.scanner.ScannerError) else mark.line
        return f"line {line}: "
    if context is not None and context.line:
        return f"line {context.line}: "
    return ""


def _problem(error: yaml.YAMLError) -> str:
    problem = getattr(error, "problem", None) or getattr(error, "reason", None)
    return str(problem or "unknown problem parsing YAML content")


@cache
def _loader() -> Any:
    import yaml  # noqa: PLC0415

    base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

    class Loader(base):  # type: ignore[misc]
        """PyYAML's loader, with upstream's idea of what a plain word is."""

    _set_resolvers(Loader)
    return Loader


@cache
def _dumper() -> Any:
    import yaml  # noqa: PLC0415

    base: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

    class Dumper(base):  # type: ignore[misc]
        """PyYAML's dumper; it quotes what upstream would read as something else."""

        def ignore_aliases(self, data: Any) -> bool:
            return True

    _set_resolvers(Dumper)

    def represent_text(dumper: Any, text: str) -> Any:
        ambiguous = dumper.resolve(yaml.ScalarNode, text, (True, False)) != f"{_TAG}str"
        style = "|" if "\n" in text else '"' if ambiguous or _LIKE_TIME.match(text) else None
        return dumper.represent_scalar(f"{_TAG}str", text, style=style)

    Dumper.add_representer(str, represent_text)
    return Dumper


def _set_resolvers(target: Any) -> None:
    target.yaml_implicit_resolvers = {}
    rules = (
        ("bool", f"{_TRUE}|{_FALSE}", "yYnNtTfFoO"),
        ("int", _INTEGER, "-+0123456789"),
        ("float", f"{_FLOAT}|{_SPECIAL_FLOAT}", "-+0123456789."),
        ("merge", "<<", "<"),
        ("null", _NULL, ["~", "n", "N", ""]),
    )
    for name, pattern, first in rules:
        target.add_implicit_resolver(f"{_TAG}{name}", re.compile(rf"(?:{pattern})\Z"), list(first))


class _Converter:
    """Turns a tree of nodes into plain values, counts them, and notes which keys come again."""

    def __init__(self) -> None:
        self.value: Json = None
        self.repeated: list[str] = []
        self._count = 0
        self._seen: set[int] = set()
        self._open: set[int] = set()

    def plain(self, node: Any) -> Json:
        if node is None:
            return None
        self._count += 1
        self._seen.add(id(node))
        if self._count > ALIASED_NODES_MAX and (
            self._count > NODES_MAX or self._count > 10 * len(self._seen)
        ):
            raise YamlError("yaml: document contains excessive aliasing")
        if len(self._open) > DEPTH_MAX:
            raise YamlError(f"yaml: {TOO_DEEP} of {DEPTH_MAX}")
        if id(node) in self._open:
            raise _InItself
        if node.id == "scalar":
            return _scalar(node)
        self._open.add(id(node))
        try:
            if node.id == "sequence":
                return [self.plain(part) for part in node.value]
            return self._mapping(node)
        finally:
            self._open.discard(id(node))

    def _mapping(self, node: Any) -> Json:
        keyed: dict[Any, Json] = {}
        self._fill(keyed, node)
        return {_name(key, value): value for (_type, key), value in keyed.items()}

    def _fill(self, keyed: dict[Any, Json], node: Any) -> None:
        """Put a mapping's members into `keyed` by type and value of their keys, for 1 is not "1".

        What comes later wins, be it merged or written out.
        """
        for key, value in node.value:
            if key.tag == f"{_TAG}merge":
                for more in _merges(value):
                    self._fill(keyed, more)
                continue
            if key.id != "scalar":
                raise YamlError(f"yaml: invalid map key: {golang.syntax(self.plain(key))}")
            name = _scalar(key)
            part = self.plain(value)
            if (name.__class__, name) in keyed:
                line = value.start_mark.line + 1
                self.repeated.append(f"line {line}: key {golang.syntax(name)} already set in map")
            keyed[name.__class__, name] = part


class _InItself(Exception):
    """An anchor's value has an alias to it."""


def _merges(node: Any) -> list[Any]:
    """Return the mappings that a merge key names, those that count most last."""
    parts = node.value[::-1] if node.id == "sequence" else [node]
    if any(part.id != "mapping" for part in parts):
        raise YamlError("yaml: map merge requires map or sequence of maps as the value")
    return parts


def _name(key: Json, value: Json) -> str:
    """Return a mapping's key as the text that JSON needs."""
    match key:
        case bool():
            return "true" if key else "false"
        case None:
            shown = golang.syntax(value)
            raise YamlError(f"unsupported map key of type: %!s(<nil>), key: <nil>, value: {shown}")
        case _:
            return str(key)


def _scalar(node: Any) -> Json:
    text: str = node.value
    match node.tag.removeprefix(_TAG):
        case "null":
            return None
        case "bool":
            return text in _TRUE.split("|")
        case "int":
            return _integer(text)
        case "float":
            return _float(text)
        case "binary":
            return _binary(text)
        case _:
            return text


def _binary(text: str) -> str:
    try:
        return binascii.a2b_base64(text.replace("\n", ""), strict_mode=True).decode(errors="replace")
    except ValueError:
        raise YamlError("yaml: !!binary value contains invalid base64 data") from None


_DIGITS_MAX = 320
"""More make an integer that not even a float could hold."""


def _integer(text: str) -> Json:
    """Return an integer of 64 bits, a float when a decimal needs more, and the text itself when all fails."""
    digits = text.replace("_", "").lower()
    sign = -1 if digits.startswith("-") else 1
    digits = digits.lstrip("+-")
    if len(digits) > _DIGITS_MAX:
        return text
    base = {"0b": 2, "0o": 8, "0x": 16}.get(digits[:2])
    if base is not None:
        number = sign * int(digits[2:] or "0", base)
    elif len(digits) > 1 and digits.startswith("0"):
        base, number = 8, sign * int(digits, 8)
    else:
        number = sign * int(digits)
    if -(2**63) <= number < 2**64:
        return number
    return text if base or abs(number) >= 10**308 else float(number)


def _float(text: str) -> Json:
    word = text.lower()
    if "inf" in word or "nan" in word:
        shown = "NaN" if "nan" in word else "-Inf" if word.startswith("-") else "+Inf"
        raise YamlError(f"json: unsupported value: {shown}")
    number = float(text.replace("_", ""))
    if math.isinf(number):
        return text
    if number.is_integer() and abs(number) < 1e21:
        return int(number)
    return number
