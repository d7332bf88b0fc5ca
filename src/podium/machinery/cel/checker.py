"""Gives every node its type and every call its overloads, or says with upstream's words why it cannot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from podium.machinery.cel import types as t
from podium.machinery.cel.declarations import Overload
from podium.machinery.cel.errors import Issue, compile_error
from podium.machinery.cel.library import functions
from podium.machinery.cel.syntax import (
    Call,
    Ident,
    ListOf,
    Literal,
    Macro,
    MapOf,
    Node,
    Select,
    Struct,
    dotted,
)
from podium.machinery.cel.types import DYN, ERROR, OPEN, Type, list_of, map_of, optional_of, type_of
from podium.machinery.cel.values import kind_of

NESTED_LOOPS_MAX = 25

_NULLABLE = frozenset(["object", "opaque", "duration", "timestamp", "optional"])
_LITERALS = {
    "bool": t.BOOL,
    "int": t.INT,
    "uint": t.UINT,
    "double": t.DOUBLE,
    "string": t.STRING,
    "bytes": t.BYTES,
    "null": t.NULL,
}
# Names of types that expressions may use as values: `type(x) == int`.
TYPE_NAMES = {
    **{name: name for name in ("bool", "int", "uint", "double", "string", "bytes", "list", "map", "type")},
    **{name: name for name in ("null_type", "optional_type", "google.protobuf.Duration")},
    "google.protobuf.Timestamp": "google.protobuf.Timestamp",
    **{name: name for name in ("net.IP", "net.CIDR", "kubernetes.Quantity", "kubernetes.URL")},
    "kubernetes.Semver": "kubernetes.Semver",
}
_TYPE_OF_NAME = {
    **_LITERALS,
    "list": list_of(DYN),
    "map": map_of(DYN, DYN),
    "google.protobuf.Duration": t.DURATION,
    "google.protobuf.Timestamp": t.TIMESTAMP,
    "null_type": t.NULL,
}
_JSON_PATCH = {"op": t.STRING, "path": t.STRING, "from": t.STRING, "value": DYN}


@dataclass(slots=True, kw_only=True, eq=False)
class Checked:
    """A tree with what the checker found out about its nodes.

    `names`: the variable or the type that a node stands for, with its dots; `functions`: the namespaced
    function that a method call turned out to be.
    """

    root: Node
    types: dict[Node, Type] = field(default_factory=dict)
    overloads: dict[Node, tuple[Overload, ...]] = field(default_factory=dict)
    names: dict[Node, str] = field(default_factory=dict)
    functions: dict[Node, str] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)

    @property
    def result(self) -> Type:
        return self.types[self.root]


def check(
    text: str, root: Node, variables: Mapping[str, Type], *, minor: int, mutation: bool = False
) -> Checked:
    """Return the checked tree. Raises CelError with every fault found."""
    checker = _Checker(
        checked=Checked(root=root), scopes=[dict(variables)], functions=functions(minor), mutation=mutation
    )
    checker.check(root)
    if checker.issues:
        raise compile_error(text, checker.issues)
    return checker.checked


def assignable(formal: Type, actual: Type, bound: dict[str, Type]) -> bool:
    """Return whether a value of type `actual` may stand where `formal` is wanted; binds type variables."""
    if formal.kind == "param":
        known = bound.get(formal.name)
        if known == OPEN:
            bound[formal.name] = actual
            return True
        if known is None or known.kind in ("dyn", "error"):
            bound.setdefault(formal.name, actual)
            return True
        if not assignable(known, actual, bound) and not assignable(actual, known, bound):
            return False
        if _general(actual, known):
            bound[formal.name] = actual
        return True
    if formal.kind in ("dyn", "error") or actual.kind in ("dyn", "error"):
        return True
    if actual.kind == "null" and formal.kind in _NULLABLE:
        return True
    if formal.kind == "null" and actual.kind in _NULLABLE:
        return True
    if formal.kind != actual.kind:
        return False
    if formal.kind in ("opaque", "object"):
        return formal.name == actual.name
    if formal.kind == "type":
        return True
    return len(formal.params) == len(actual.params) and all(
        assignable(one, two, bound) for one, two in zip(formal.params, actual.params, strict=True)
    )


def _general(one: Type, two: Type) -> bool:
    """Return whether `one` says less than `two`, so that a type variable takes it."""
    if OPEN in (one, two):
        return one != OPEN
    if one.kind == "dyn":
        return two.kind != "dyn"
    if two.kind == "null":
        return one.kind != "null"
    return any(_general(a, b) for a, b in zip(one.params, two.params, strict=False))


def substituted(type_: Type, bound: Mapping[str, Type]) -> Type:
    if type_.kind == "param":
        return bound.get(type_.name, DYN)
    if not type_.params:
        return type_
    return Type(kind=type_.kind, name=type_.name, params=tuple(substituted(p, bound) for p in type_.params))


@dataclass(slots=True, kw_only=True)
class _Checker:
    checked: Checked
    scopes: list[dict[str, Type]]
    functions: Mapping[str, tuple[Overload, ...]]
    mutation: bool
    issues: list[Issue] = field(default_factory=list)
    loops: int = 0

    def check(self, node: Node) -> Type:
        found = self._check(node)
        self.checked.types[node] = found
        return found

    def _check(self, node: Node) -> Type:
        match node:
            case Literal():
                return _LITERALS[kind_of(node.value)]
            case Ident():
                return self.ident(node)
            case Select():
                return self.select(node)
            case Call():
                return self.call(node)
            case ListOf():
                return self.list_type(node)
            case MapOf():
                return self.map_type(node)
            case Struct():
                return self.struct(node)
            case Macro():
                return self.macro(node)
        raise AssertionError(node)

    def fault(self, node: Node, message: str) -> Type:
        self.issues.append(Issue(offset=node.at, message=message))
        return ERROR

    def mismatch(self, node: Node, expected: Type, found: Type) -> Type:
        return self.fault(node, f"expected type '{expected}' but found '{found}'")

    def look_up(self, name: str) -> Type | None:
        for scope in reversed(self.scopes):
            if name in scope:
                return scope[name]
        return None

    def named(self, node: Node, name: str) -> Type | None:
        """Return the type of the variable or type of that (dotted) name."""
        found = self.look_up(name)
        if found is not None:
            self.checked.names[node] = name
            if name in self.scopes[0] and self.scopes[0][name] is found:
                self.checked.used.add(name)
            return found
        if name in TYPE_NAMES or (self.mutation and _is_mutation_type(name)):
            self.checked.names[node] = name
            known = _TYPE_OF_NAME.get(name)
            return type_of(known if known is not None else Type(kind="opaque", name=name))
        return None

    def ident(self, node: Ident) -> Type:
        found = self.named(node, node.name)
        if found is None:
            return self.fault(node, f"undeclared reference to '{node.name}' (in container '')")
        return found

    def select(self, node: Select) -> Type:
        if not node.test and not node.optional:
            whole = dotted(node)
            if whole is not None and self.look_up(whole.partition(".")[0]) is None:
                found = self.named(node, whole)
                if found is not None:
                    return found
            elif whole is not None and self.look_up(whole) is not None:
                found = self.named(node, whole)
                assert found is not None
                return found
        operand = self.check(node.operand)
        optional = operand.kind == "optional"
        target = operand.params[0] if optional else operand
        result = self.field(node, target)
        if node.test:
            return t.BOOL
        return optional_of(result) if optional or node.optional else result

    def field(self, node: Select, target: Type) -> Type:
        match target.kind:
            case "map":
                return target.element
            case "object":
                found = target.fields.get(node.name)
                return found if found is not None else self.fault(node, f"undefined field '{node.name}'")
            case "dyn" | "error" | "param":
                return DYN
        self.fault(node, f"type '{target}' does not support field selection")
        return DYN

    def call(self, node: Call) -> Type:
        args = [self.check(arg) for arg in node.args]
        name = node.function
        if node.target is not None:
            prefix = dotted(node.target)
            if prefix is not None and f"{prefix}.{name}" in self.functions:
                self.checked.functions[node] = f"{prefix}.{name}"
                return self.resolve(node, f"{prefix}.{name}", args, member=False)
            args.insert(0, self.check(node.target))
        if name not in self.functions:
            return self.fault(node, f"undeclared reference to '{name}' (in container '')")
        return self.resolve(node, name, args, member=node.target is not None)

    def resolve(self, node: Call, name: str, args: list[Type], *, member: bool) -> Type:
        if name in ("_&&_", "_||_"):
            return self.logical(node, args)
        result: Type | None = None
        matching: list[Overload] = []
        for overload in self.functions[name]:
            if overload.member != member or len(overload.params) != len(args):
                continue
            bound: dict[str, Type] = {}
            if not all(assignable(one, two, bound) for one, two in zip(overload.params, args, strict=True)):
                continue
            matching.append(overload)
            found = substituted(overload.result, bound)
            result = found if result is None or result == found else DYN
        if result is None:
            return self.no_overload(node, name, args, member=member)
        self.checked.overloads[node] = tuple(matching)
        return result

    def logical(self, node: Call, args: list[Type]) -> Type:
        for operand, found in zip(node.args, args, strict=True):
            if not assignable(t.BOOL, found, {}):
                self.mismatch(operand, t.BOOL, found)
        self.checked.overloads[node] = self.functions[node.function]
        return t.BOOL

    def no_overload(self, node: Node, name: str, args: list[Type], *, member: bool) -> Type:
        if any(arg.kind == "error" for arg in args):
            return ERROR
        shown = [str(arg) for arg in args]
        applied = f"{shown[0]}.({', '.join(shown[1:])})" if member else f"({', '.join(shown)})"
        return self.fault(node, f"found no matching overload for '{name}' applied to '{applied}'")

    def joined(self, known: Type | None, found: Type) -> Type:
        """Return the type of what holds both. Whether they may stand together is said in `literals.py`."""
        if known is None:
            return found
        if OPEN in (known, found):
            return known if found == OPEN else found
        if known.kind == "dyn" or found.kind == "dyn" or not assignable(known, found, {}):
            return DYN
        return found if _general(found, known) else known

    def opened(self, node: Node, optional: bool, found: Type) -> Type:
        """Return what an optional element contributes."""
        if not optional:
            return found
        if found.kind == "optional":
            return found.params[0]
        return found if found.kind in ("dyn", "error") else self.mismatch(node, optional_of(found), found)

    def list_type(self, node: ListOf) -> Type:
        element: Type | None = None
        for position, item in enumerate(node.elements):
            found = self.opened(item, position in node.optional, self.check(item))
            element = self.joined(element, found)
        return list_of(element or OPEN)

    def map_type(self, node: MapOf) -> Type:
        key_type: Type | None = None
        value_type: Type | None = None
        for key, value, optional in node.entries:
            key_type = self.joined(key_type, self.check(key))
            value_type = self.joined(value_type, self.opened(value, optional, self.check(value)))
        return map_of(key_type or OPEN, value_type or OPEN)

    def struct(self, node: Struct) -> Type:
        if not (self.mutation and _is_mutation_type(node.name)):
            for _, value, _ in node.fields:
                self.check(value)
            if node.name in TYPE_NAMES:
                return self.fault(node, f"'{node.name}' is not a message type")
            return self.fault(node, f"undeclared reference to '{node.name}' (in container '')")
        for name, value, optional in node.fields:
            found = self.opened(value, optional, self.check(value))
            if node.name != "JSONPatch":
                continue
            wanted = _JSON_PATCH.get(name)
            if wanted is None:
                self.fault(node, f"undefined field '{name}'")
            elif not assignable(wanted, found, {}):
                self.fault(
                    value, f"expected type of field '{name}' is '{wanted}' but provided type is '{found}'"
                )
        return Type(kind="opaque", name=node.name)

    def macro(self, node: Macro) -> Type:
        target = self.check(node.target)
        if node.name in ("optMap", "optFlatMap"):
            return self.optional_macro(node, target)
        if node.name == "bind":
            self.scopes.append({node.variables[0]: target})
            result = self.check(node.args[0])
            self.scopes.pop()
            return result
        first, second = self.range_types(node, target)
        names = dict(zip(node.variables, (first, second), strict=False))
        if len(node.variables) == 1 and target.kind == "list":
            names = {node.variables[0]: second}
        self.loops += 1
        if self.loops > NESTED_LOOPS_MAX:
            self.fault(node, "comprehension exceeds nesting limit")
        self.scopes.append(names)
        found = [self.check(arg) for arg in node.args]
        self.scopes.pop()
        self.loops -= 1
        return self.macro_result(node, target, names, found)

    def range_types(self, node: Macro, target: Type) -> tuple[Type, Type]:
        match target.kind:
            case "list":
                return t.INT, target.element
            case "map":
                return target.params[0], target.element
            case "dyn" | "error" | "param":
                return DYN, DYN
        self.fault(
            node.target,
            f"expression of type '{target}' cannot be range of a comprehension "
            "(must be list, map, or dynamic)",
        )
        return ERROR, ERROR

    def macro_result(self, node: Macro, target: Type, names: dict[str, Type], found: list[Type]) -> Type:
        variable = names[node.variables[0]]
        match node.name:
            case "all" | "exists":
                if not assignable(t.BOOL, found[0], {}):
                    self.mismatch(node.args[0], t.BOOL, found[0])
                return t.BOOL
            case "exists_one" | "existsOne":
                self.condition(node, found[0], t.INT)
                return t.BOOL
            case "filter":
                self.condition(node, found[0], list_of(variable))
                return list_of(variable)
            case "map" | "transformList":
                if len(found) == 2:
                    self.condition(node, found[0], list_of(found[1]))
                return list_of(found[-1])
            case "sortBy":
                return list_of(variable)
            case _:
                if len(found) == 2:
                    self.condition(node, found[0], map_of(DYN, found[1]))
                if node.name == "transformMapEntry":
                    return found[-1] if found[-1].kind == "map" else map_of(DYN, DYN)
                key = target.params[0] if target.kind == "map" else t.INT if target.kind == "list" else DYN
                return map_of(key, found[-1])

    def condition(self, node: Node, found: Type, result: Type) -> None:
        if not assignable(t.BOOL, found, {}):
            self.no_overload(node, "_?_:_", [found, result, result], member=False)

    def optional_macro(self, node: Macro, target: Type) -> Type:
        if not assignable(optional_of(DYN), target, {}):
            self.no_overload(node, "value", [target], member=True)
        inner = target.params[0] if target.kind == "optional" else DYN
        self.scopes.append({node.variables[0]: inner})
        found = self.check(node.args[0])
        self.scopes.pop()
        if node.name == "optMap":
            return optional_of(found)
        if not assignable(optional_of(DYN), found, {}):
            self.no_overload(node, "_?_:_", [t.BOOL, found, optional_of(DYN)], member=False)
        return found


def _is_mutation_type(name: str) -> bool:
    return name in ("JSONPatch", "Object") or name.startswith("Object.")
