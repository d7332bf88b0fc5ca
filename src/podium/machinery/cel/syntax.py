"""From text to tree: the lexer and the parser. Macros stay single nodes.

Every node knows its place in the text, as upstream counts it: a call its opening parenthesis, an operator
itself, a selection its dot. Size and depth of an expression are bounded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from podium.machinery.cel.errors import CelError, Issue, compile_error
from podium.machinery.cel.types import RESERVED
from podium.machinery.cel.values import Uint, int64

DEPTH_MAX = 100
TEXT_MAX = 100_000
NODES_MAX = 20_000

MACROS = frozenset(["all", "exists", "exists_one", "existsOne", "map", "filter", "sortBy"])
TWO_VARIABLE = frozenset(["all", "exists", "exists_one", "existsOne"])
TRANSFORMS = frozenset(["transformList", "transformMap", "transformMapEntry"])
OPTIONAL_MACROS = frozenset(["optMap", "optFlatMap"])


@dataclass(slots=True, kw_only=True, eq=False)
class Node:
    """A node of the tree. `at` is its offset in the text."""

    at: int


@dataclass(slots=True, kw_only=True, eq=False)
class Literal(Node):
    value: object


@dataclass(slots=True, kw_only=True, eq=False)
class Ident(Node):
    """A name; a leading dot has been taken off."""

    name: str


@dataclass(slots=True, kw_only=True, eq=False)
class Select(Node):
    """`operand.name`, `operand.?name` (optional) or `has(operand.name)` (test)."""

    operand: Node
    name: str
    optional: bool = False
    test: bool = False


@dataclass(slots=True, kw_only=True, eq=False)
class Call(Node):
    """A function, a method (with target) or an operator (`_+_`, `_[_]`, `_?_:_`)."""

    function: str
    args: list[Node]
    target: Node | None = None


@dataclass(slots=True, kw_only=True, eq=False)
class ListOf(Node):
    elements: list[Node]
    optional: frozenset[int] = frozenset()


@dataclass(slots=True, kw_only=True, eq=False)
class MapOf(Node):
    entries: list[tuple[Node, Node, bool]]


@dataclass(slots=True, kw_only=True, eq=False)
class Struct(Node):
    """`Name{field: value}`; each field with its value and whether it is optional."""

    name: str
    fields: list[tuple[str, Node, bool]]


@dataclass(slots=True, kw_only=True, eq=False)
class Macro(Node):
    """`target.name(variables, arguments)` such as all, map, optMap."""

    name: str
    target: Node
    variables: list[str]
    args: list[Node]


@dataclass(frozen=True, slots=True)
class Token:
    kind: str  # "int" "uint" "double" "string" "bytes" "ident" "quoted" "op" "end"
    text: str
    at: int
    value: object = None


_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n\f]+|//[^\n]*)
    |(?P<string>(?P<prefix>[rR][bB]?|[bB][rR]?|)(?P<quoted>\"\"\"|'''|\"|'))
    |(?P<double>\d+\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\.\d+(?:[eE][+-]?\d+)?)
    |(?P<int>0x[0-9a-fA-F]+|\d+)(?P<unsigned>[uU])?
    |(?P<ident>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<field>`[A-Za-z0-9_.\-/ ]+`)
    |(?P<op>&&|\|\||<=|>=|==|!=|[-+*/%<>!?:.,()\[\]{}])
    """,
    re.VERBOSE | re.ASCII,
)
_ESCAPE = re.compile(
    r"\\(?:(?P<plain>[abfnrtv\\'\"`?])|[xX](?P<byte>[0-9a-fA-F]{2})|(?P<octal>[0-3][0-7]{2})"
    r"|u(?P<short>[0-9a-fA-F]{4})|U(?P<long>[0-9a-fA-F]{8}))"
)
_PLAIN = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


class _Fault(Exception):
    def __init__(self, at: int, message: str) -> None:
        super().__init__(message)
        self.issue = Issue(offset=at, message=message)


def parse(text: str, *, bindings: bool = False) -> Node:
    """Return the tree of the expression. Raises CelError: syntax, size or depth.

    `bindings` allows `cel.bind(name, value, expression)`.
    """
    if len(text) > TEXT_MAX:
        size = len(text)
        raise CelError(f"expression code point size exceeds limit: size: {size}, limit {TEXT_MAX}")
    try:
        return _Parser(text, _tokens(text), bindings).whole()
    except _Fault as fault:
        raise compile_error(text, [fault.issue]) from None


def _tokens(text: str) -> list[Token]:
    tokens: list[Token] = []
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise _Fault(at, f"Syntax error: token recognition error at: '{text[at]}'")
        end = found.end()
        if found["space"] is None:
            if found["quoted"] is not None:
                value, end = _string(text, found)
                tokens.append(Token("bytes" if isinstance(value, bytes) else "string", "", at, value))
            else:
                tokens.append(_plain_token(found, at))
        at = end
    tokens.append(Token("end", "<EOF>", len(text)))
    return tokens


def _plain_token(found: re.Match[str], at: int) -> Token:
    text = found[0]
    if found["double"] is not None:
        return Token("double", text, at, float(text))
    if (digits := found["int"]) is not None:
        value = int(digits, 16) if digits.startswith("0x") else int(digits) if len(digits) < 40 else 2**70
        return Token("uint" if found["unsigned"] else "int", text, at, value)
    if found["ident"] is not None:
        return Token("ident", text, at)
    if found["field"] is not None:
        return Token("quoted", text[1:-1], at)
    return Token("op", text, at)


def _string(text: str, found: re.Match[str]) -> tuple[str | bytes, int]:
    prefix, quote, start = found["prefix"].lower(), found["quoted"], found.end()
    at = start
    while not text.startswith(quote, at):
        if at >= len(text) or (len(quote) == 1 and text[at] in "\r\n"):
            raise _Fault(
                found.start(), f"Syntax error: token recognition error at: '{text[found.start() : at]}'"
            )
        at += 2 if text[at] == "\\" and "r" not in prefix else 1
    body = text[start:at]
    end = at + len(quote)
    if "r" in prefix:
        return (body.encode() if "b" in prefix else body), end
    return _unescaped(body, "b" in prefix, found.start()), end


def _unescaped(body: str, binary: bool, at: int) -> str | bytes:
    out: list[str | bytes] = []
    position = 0
    while (backslash := body.find("\\", position)) >= 0:
        out.append(body[position:backslash])
        found = _ESCAPE.match(body, backslash)
        if found is None or (binary and (found["short"] or found["long"])):
            raise _Fault(at, f"Syntax error: token recognition error at: '{body[backslash : backslash + 2]}'")
        if found["plain"]:
            out.append(_PLAIN.get(found["plain"], found["plain"]))
        elif found["byte"] or found["octal"]:
            code = int(found["byte"], 16) if found["byte"] else int(found["octal"], 8)
            out.append(bytes([code]) if binary else chr(code))
        else:
            code = int(found["short"] or found["long"], 16)
            if code > 0x10FFFF or 0xD800 <= code < 0xE000:
                raise _Fault(at, "Syntax error: invalid unicode code point")
            out.append(chr(code))
        position = found.end()
    out.append(body[position:])
    if binary:
        return b"".join(part if isinstance(part, bytes) else part.encode() for part in out)
    return "".join(part for part in out if isinstance(part, str))


_BINARY = {
    "||": (1, "_||_"),
    "&&": (2, "_&&_"),
    "<": (3, "_<_"),
    "<=": (3, "_<=_"),
    ">": (3, "_>_"),
    ">=": (3, "_>=_"),
    "==": (3, "_==_"),
    "!=": (3, "_!=_"),
    "in": (3, "@in"),
    "+": (4, "_+_"),
    "-": (4, "_-_"),
    "*": (5, "_*_"),
    "/": (5, "_/_"),
    "%": (5, "_%_"),
}


# What upstream's parser has expected where a value should stand.
_OPERANDS = (
    "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, "
    "IDENTIFIER}"
)


@dataclass(slots=True)
class _Parser:
    text: str
    tokens: list[Token]
    bindings: bool = False
    position: int = 0
    depth: int = 0
    nodes: int = 0

    def whole(self) -> Node:
        node = self.expression()
        if self.peek.kind != "end":
            raise self.unexpected(self.peek, "<EOF>")
        return node

    @property
    def peek(self) -> Token:
        return self.tokens[self.position]

    def next(self) -> Token:
        token = self.tokens[self.position]
        self.position += token.kind != "end"
        return token

    def takes(self, text: str) -> Token | None:
        token = self.peek
        if token.kind == "op" and token.text == text:
            self.position += 1
            return token
        return None

    def needs(self, text: str) -> Token:
        token = self.takes(text)
        if token is None:
            raise self.unexpected(self.peek, f"'{text}'")
        return token

    def unexpected(self, token: Token, expecting: str = "") -> _Fault:
        shown = token.text or repr(token.value)
        tail = f" expecting {expecting}" if expecting else ""
        return _Fault(token.at, f"Syntax error: mismatched input '{shown}'{tail}")

    def expression(self) -> Node:
        """Conditional: `or ? or : expression`."""
        self.descend()
        node = self.binary(1)
        if (mark := self.takes("?")) is not None:
            then = self.binary(1)
            self.needs(":")
            node = self.call(mark.at, "_?_:_", [node, then, self.expression()])
        self.depth -= 1
        return node

    def descend(self) -> None:
        self.depth += 1
        if self.depth > DEPTH_MAX:
            raise _Fault(self.peek.at, f"expression recursion limit exceeded: {DEPTH_MAX}")

    def call(self, at: int, function: str, args: list[Node], target: Node | None = None) -> Call:
        self.count()
        return Call(at=at, function=function, args=args, target=target)

    def count(self) -> None:
        self.nodes += 1
        if self.nodes > NODES_MAX:
            raise _Fault(self.peek.at, f"expression node limit exceeded: {NODES_MAX}")

    def binary(self, least: int) -> Node:
        node = self.unary()
        while True:
            token = self.peek
            rank, function = _BINARY.get(token.text, (0, "")) if token.kind in ("op", "ident") else (0, "")
            if rank < least or not rank:
                return node
            self.next()
            # Left-associative, but a chain of && or || is split in halves, as upstream does, to keep it
            # shallow.
            if rank <= 2:
                node = self.logical(node, token, rank, function)
            else:
                node = self.call(token.at, function, [node, self.binary(rank + 1)])

    def logical(self, first: Node, token: Token, rank: int, function: str) -> Node:
        terms, places = [first, self.binary(rank + 1)], [token.at]
        while self.peek.kind == "op" and self.peek.text == token.text:
            places.append(self.next().at)
            terms.append(self.binary(rank + 1))
        return self.balanced(terms, places, function)

    def balanced(self, terms: list[Node], places: list[int], function: str) -> Node:
        if len(terms) == 1:
            return terms[0]
        middle = len(places) // 2
        left = self.balanced(terms[: middle + 1], places[:middle], function)
        right = self.balanced(terms[middle + 1 :], places[middle + 1 :], function)
        return self.call(places[middle], function, [left, right])

    def unary(self) -> Node:
        token = self.peek
        if token.kind != "op" or token.text not in "!-":
            return self.member()
        count = 0
        while self.takes(token.text):
            count += 1
        number = self.peek
        if token.text == "-" and number.kind in ("int", "double") and number.at == token.at + count:
            # The sign of the nearest number belongs to it: -9223372036854775808 is in range.
            self.position += 1
            return self.negated(self.suffixes(self.number(number, negative=True)), token, count - 1)
        self.descend()
        operand = self.unary() if number.kind == "op" and number.text in "!-" else self.member()
        self.depth -= 1
        return self.negated(operand, token, count)

    def negated(self, operand: Node, token: Token, count: int) -> Node:
        if count % 2:
            return self.call(token.at, "!_" if token.text == "!" else "-_", [operand])
        return operand

    def number(self, token: Token, *, negative: bool = False) -> Literal:
        value = token.value
        if token.kind == "double":
            assert isinstance(value, float)
            return Literal(at=token.at, value=-value if negative else value)
        assert isinstance(value, int)
        if token.kind == "uint":
            if value >= 2**64:
                raise _Fault(token.at, "invalid uint literal")
            return Literal(at=token.at, value=Uint(value))
        value = -value if negative else value
        if not int64(value):
            raise _Fault(token.at, "invalid int literal")
        return Literal(at=token.at - negative, value=value)

    def member(self) -> Node:
        return self.suffixes(self.primary())

    def suffixes(self, node: Node) -> Node:
        depth = self.depth
        while True:
            if (dot := self.takes(".")) is not None:
                self.descend()
                node = self.selection(node, dot)
            elif (bracket := self.takes("[")) is not None:
                self.descend()
                optional = self.takes("?") is not None
                index = self.expression()
                self.needs("]")
                node = self.call(bracket.at, "_[?_]" if optional else "_[_]", [node, index])
            else:
                self.depth = depth
                return node

    def selection(self, operand: Node, dot: Token) -> Node:
        optional = self.takes("?")
        name = self.next()
        if name.kind == "quoted":
            self.count()
            return Select(at=dot.at, operand=operand, name=name.text, optional=optional is not None)
        if name.kind != "ident" or name.text in ("true", "false", "null", "in"):
            raise self.unexpected(name, "IDENTIFIER")
        if optional is None and (paren := self.takes("(")) is not None:
            return self.method(operand, name.text, paren)
        if isinstance(operand, Ident | Select) and self.peek.text == "{" and self.peek.kind == "op":
            whole = dotted(operand)
            if whole is not None and optional is None:
                return self.struct(f"{whole}.{name.text}")
        self.count()
        return Select(at=dot.at, operand=operand, name=name.text, optional=optional is not None)

    def method(self, target: Node, name: str, paren: Token) -> Node:
        args = self.arguments()
        macro = self.macro(target, name, args, paren.at)
        return macro if macro is not None else self.call(paren.at, name, args, target)

    def macro(self, target: Node, name: str, args: list[Node], at: int) -> Node | None:
        """Return the macro that the call is, or None for an ordinary method."""
        count = len(args)
        if self.bindings and name == "bind" and count == 3 and dotted(target) == "cel":
            return self.binding(args, at)
        if (
            (name in OPTIONAL_MACROS and count == 2)
            or (name in MACROS and count == 2)
            or (name == "map" and count == 3)
        ):
            variables = 1
        elif (name in TWO_VARIABLE and count == 3) or (name in TRANSFORMS and count in (3, 4)):
            variables = 2
        else:
            return None
        names: list[str] = []
        for arg in args[:variables]:
            if not isinstance(arg, Ident):
                raise _Fault(arg.at, "argument must be a simple name")
            if arg.name in names:
                raise _Fault(arg.at, f"duplicate variable name: {arg.name}")
            names.append(arg.name)
        self.count()
        return Macro(at=at, name=name, target=target, variables=names, args=args[variables:])

    def binding(self, args: list[Node], at: int) -> Macro:
        variable, value, result = args
        if not isinstance(variable, Ident):
            raise _Fault(variable.at, "cel.bind() variable names must be simple identifiers")
        self.count()
        return Macro(at=at, name="bind", target=value, variables=[variable.name], args=[result])

    def arguments(self) -> list[Node]:
        args: list[Node] = []
        if self.takes(")"):
            return args
        while True:
            args.append(self.expression())
            if self.takes(")"):
                return args
            self.needs(",")

    def primary(self) -> Node:
        token = self.next()
        self.count()
        match token.kind:
            case "string" | "bytes":
                return Literal(at=token.at, value=token.value)
            case "int" | "uint" | "double":
                return self.number(token)
            case "ident":
                return self.name(token)
            case "op":
                return self.bracketed(token)
        raise self.unexpected(token, _OPERANDS)

    def name(self, token: Token) -> Node:
        match token.text:
            case "true" | "false":
                return Literal(at=token.at, value=token.text == "true")
            case "null":
                return Literal(at=token.at, value=None)
            case "in":
                raise self.unexpected(token, _OPERANDS)
        if (paren := self.takes("(")) is not None:
            return self.function(token, paren)
        if token.text in RESERVED:
            raise _Fault(token.at, f"reserved identifier: {token.text}")
        if self.peek.kind == "op" and self.peek.text == "{":
            return self.struct(token.text)
        return Ident(at=token.at, name=token.text)

    def function(self, name: Token, paren: Token) -> Node:
        args = self.arguments()
        if name.text == "has" and len(args) == 1:
            field_ = args[0]
            if not isinstance(field_, Select) or field_.test or field_.optional:
                raise _Fault(field_.at, "invalid argument to has() macro")
            return Select(at=paren.at, operand=field_.operand, name=field_.name, test=True)
        return self.call(paren.at, name.text, args)

    def bracketed(self, token: Token) -> Node:
        match token.text:
            case "(":
                node = self.expression()
                self.needs(")")
                return node
            case "[":
                return self.list_of(token.at)
            case "{":
                return self.map_of(token.at)
            case ".":
                name = self.next()
                if name.kind != "ident":
                    raise self.unexpected(name, "IDENTIFIER")
                return self.name(name)
        raise self.unexpected(token, _OPERANDS)

    def list_of(self, at: int) -> ListOf:
        elements: list[Node] = []
        optional: set[int] = set()
        while not self.takes("]"):
            if self.takes("?"):
                optional.add(len(elements))
            elements.append(self.expression())
            if not self.takes(","):
                self.needs("]")
                break
        return ListOf(at=at, elements=elements, optional=frozenset(optional))

    def map_of(self, at: int) -> MapOf:
        entries: list[tuple[Node, Node, bool]] = []
        while not self.takes("}"):
            optional = self.takes("?") is not None
            key = self.expression()
            self.needs(":")
            entries.append((key, self.expression(), optional))
            if not self.takes(","):
                self.needs("}")
                break
        return MapOf(at=at, entries=entries)

    def struct(self, name: str) -> Struct:
        brace = self.needs("{")
        fields: list[tuple[str, Node, bool]] = []
        while not self.takes("}"):
            optional = self.takes("?") is not None
            key = self.next()
            if key.kind not in ("ident", "quoted"):
                raise self.unexpected(key, "IDENTIFIER")
            self.needs(":")
            fields.append((key.text, self.expression(), optional))
            if not self.takes(","):
                self.needs("}")
                break
        return Struct(at=brace.at, name=name, fields=fields)


def dotted(node: Node) -> str | None:
    """Return `a.b.c` when the node is nothing but names and dots."""
    parts: list[str] = []
    while isinstance(node, Select) and not node.optional and not node.test:
        parts.append(node.name)
        node = node.operand
    if not isinstance(node, Ident):
        return None
    return ".".join([node.name, *reversed(parts)])
