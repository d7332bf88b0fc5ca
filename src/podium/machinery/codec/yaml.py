"""YAML in and out, as upstream's library (goyaml 2) reads it.

That is YAML 1.1 with exceptions: `y`, `yes`, `on` and their like are booleans, `010` is 8, `1_000` is 1000,
but `1:30` and timestamps are strings. The result is what its JSON form means: keys are strings, `1.0` is 1.
PyYAML is imported on first use; many processes never need it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

import orjson

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

_TAG = "tag:yaml.org,2002:"


class YamlError(ValueError):
    """The text is no YAML that JSON could carry. The message is upstream's."""


def decode(body: bytes) -> Json:
    """Return what the first document in `body` means; None for an empty one. Raises `YamlError`.

    The message begins with `error converting YAML to JSON: yaml: `, as upstream's.
    """
    if body.lstrip()[:1] in (b"{", b"["):
        try:
            value = orjson.loads(body)
        except orjson.JSONDecodeError:
            pass  # flow style YAML that is not JSON
        else:
            if text_too_deep(body, value):
                raise _failed(f"yaml: {TOO_DEEP} of {DEPTH_MAX}")
            return value
    return _Converter().plain(_root(body))


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
    except yaml.MarkedYAMLError as error:
        raise YamlError(f"error converting YAML to JSON: yaml: {_where(error)}{_problem(error)}") from None
    except yaml.YAMLError as error:
        raise YamlError(f"error converting YAML to JSON: yaml: {_problem(error)}") from None
    finally:
        loader.dispose()


def duplicates(body: bytes) -> list[str]:
    """Return upstream's complaint about keys that occur twice in a mapping: no or one message."""
    try:
        root = _root(body)
    except YamlError:
        return []
    found = _duplicate_keys(root)
    if not found:
        return []
    return ["yaml: unmarshal errors:\n" + "\n".join(f"  {line}" for line in found)]


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
    except yaml.MarkedYAMLError as error:
        raise YamlError(f"error converting YAML to JSON: yaml: {_where(error)}{_problem(error)}") from None
    except yaml.YAMLError as error:
        raise YamlError(f"error converting YAML to JSON: yaml: {_problem(error)}") from None
    finally:
        loader.dispose()


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
        style = "|" if "\n" in text else None
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


def _duplicate_keys(root: yaml.Node | None) -> list[str]:
    import yaml  # noqa: PLC0415

    found: list[str] = []
    seen_nodes: set[int] = set()
    stack = [root]
    while stack:
        node = stack.pop()
        if node is None or id(node) in seen_nodes:
            continue
        seen_nodes.add(id(node))
        if isinstance(node, yaml.MappingNode):
            keys: set[str] = set()
            for key, _ in node.value:
                if isinstance(key, yaml.ScalarNode):
                    if key.value in keys:
                        found.append(f'line {key.start_mark.line + 1}: key "{key.value}" already set in map')
                    keys.add(key.value)
            stack += [part for _, part in reversed(node.value)]
        elif isinstance(node, yaml.SequenceNode):
            stack += reversed(node.value)
    return found


class _Converter:
    """Turns a tree of nodes into plain values, and counts them."""

    def __init__(self) -> None:
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
            raise _failed("yaml: document contains excessive aliasing")
        if len(self._open) > DEPTH_MAX:
            raise _failed(f"yaml: {TOO_DEEP} of {DEPTH_MAX}")
        if id(node) in self._open:
            raise _failed(f"yaml: anchor '{getattr(node, 'anchor', '') or ''}' value contains itself")
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
        result: dict[str, Json] = {}
        merged: list[dict[str, Json]] = []
        for key, value in node.value:
            if key.tag == f"{_TAG}merge":
                merged += self._merges(value)
            else:
                result[_key(key)] = self.plain(value)
        for more in merged:
            result = {**more, **result}  # what is written here, or came first, wins
        return result

    def _merges(self, node: yaml.Node) -> list[dict[str, Json]]:
        found = self.plain(node)
        parts = found if isinstance(found, list) else [found]
        if not all(isinstance(part, dict) for part in parts):
            raise _failed("yaml: map merge requires map or sequence of maps as the value")
        return parts


def _failed(message: str) -> YamlError:
    return YamlError(f"error converting YAML to JSON: {message}")


def _key(node: Any) -> str:
    """Return a mapping's key as the text that JSON needs."""
    if node.id != "scalar":
        raise _failed("yaml: invalid map key")
    value = _scalar(node)
    match value:
        case bool():
            return "true" if value else "false"
        case None:
            return "null"
        case _:
            return str(value)


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
            return text.replace("\n", "")
        case _:
            return text


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
        raise _failed(f"json: unsupported value: {shown}")
    number = float(text.replace("_", ""))
    if math.isinf(number):
        return text
    if number.is_integer() and abs(number) < 1e21:
        return int(number)
    return number
