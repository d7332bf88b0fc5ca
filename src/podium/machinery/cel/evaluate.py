"""From a checked tree to closures: each takes the frame of one evaluation and returns a value or raises."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from podium.machinery.cel.checker import Checked
from podium.machinery.cel.conversion import converter
from podium.machinery.cel.costs import LIST_COST, MAP_COST, STRUCT_COST
from podium.machinery.cel.errors import CelRuntimeError
from podium.machinery.cel.frame import CONVERSIONS, COST, FIRST, UNBOUND, Frame, Run
from podium.machinery.cel.library.operators import has_key, key_text
from podium.machinery.cel.loops import (
    Steps,
    binding,
    exists_one,
    filtering,
    mapping,
    optional_macro,
    quantified,
    sorting,
    transform_map,
)
from podium.machinery.cel.steps import (
    alternative,
    calling,
    conditional,
    constant,
    either,
    is_present,
    object_field,
    opened,
    optional_field,
    plain_field,
    presence,
)
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
)
from podium.machinery.cel.values import (
    NUMBERS,
    TypeValue,
    kind_of,
)
from podium.machinery.regexp import PatternError, compiled


@dataclass(slots=True, kw_only=True)
class Compiler:
    """Makes the closures of one tree. Every variable, also of a macro, has a slot of its own."""

    checked: Checked
    slots: dict[str, int] = field(default_factory=dict)
    count: int = FIRST

    def bind(self, name: str) -> int:
        self.slots[name] = slot = self.count
        self.count += 1
        return slot

    def run(self, node: Node) -> Run:
        match node:
            case Literal():
                return constant(node.value)
            case Ident():
                return self.ident(node)
            case Select():
                return self.select(node)
            case Call():
                return self.call(node)
            case ListOf():
                return self.list_of(node)
            case MapOf():
                return self.map_of(node)
            case Struct():
                return self.struct(node)
            case Macro():
                return self.macro(node)
        raise AssertionError(node)

    # --- names and fields

    def ident(self, node: Node) -> Run:
        name = self.checked.names[node]
        if name not in self.slots:
            return constant(TypeValue(name))
        slot = self.slots[name]

        def ident(frame: Frame) -> Any:
            frame[COST] += 1
            value = frame[slot]
            if value is UNBOUND:
                raise CelRuntimeError(f"no such attribute(s): {name}")
            return value

        return ident

    def select(self, node: Select) -> Run:
        if node in self.checked.names:
            return self.ident(node)
        operand_type = self.checked.types[node.operand]
        operand = self.run(node.operand)
        name = node.name
        convert = None
        target = operand_type.params[0] if operand_type.kind == "optional" else operand_type
        if target.kind == "object":
            name = target.wire.get(name, name)
            convert = converter(target.fields[node.name])
        # A field of an object that is null is as good as absent; an entry of a map may be null.
        known = target.kind == "object"
        if node.test:
            return presence(operand, name, known)
        extra = int(not self.is_attribute(node.operand))
        if node.optional or operand_type.kind == "optional":
            return optional_field(operand, name, convert, extra, known)
        if known:
            return object_field(operand, name, convert, 1 + extra)
        return plain_field(operand, name, 1 + extra)

    def branch(self, node: Node) -> Run:
        """Return what a branch of `?:` or an index does: a name costs nothing there, upstream resolves it
        itself.
        """
        run = self.run(node)
        if not self.is_attribute(node) or (isinstance(node, Call) and node.function == "_?_:_"):
            return run
        if isinstance(node, Ident) and self.checked.names[node] not in self.slots:
            return run

        def branch(frame: Frame) -> Any:
            frame[COST] -= 1
            return run(frame)

        return branch

    def is_attribute(self, node: Node) -> bool:
        """Return whether upstream goes on from here without a step of its own: names, fields, indexes."""
        match node:
            case Ident():
                return True
            case Select():
                return not node.test
            case Call():
                return node.function in ("_[_]", "_[?_]", "_?_:_")
        return False

    # --- calls

    def call(self, node: Call) -> Run:
        if self.is_constant(node):
            value = self.plain_call(node)([0, 2**63])
            return constant(value)
        match node.function:
            case "matches" | "find" | "findAll":
                _compile_patterns(node)
            case "_&&_" | "_||_":
                return either(self.run(node.args[0]), self.run(node.args[1]), node.function == "_||_")
            case "_?_:_":
                condition, then, otherwise = node.args
                return conditional(self.run(condition), self.branch(then), self.branch(otherwise))
            case "@in" if self.is_constant(node.args[1]):
                return self.membership(node)
            case "orValue" | "or" if node.target is not None and len(node.args) == 1:
                return alternative(self.run(node.target), self.run(node.args[0]), node.function == "or")
        return self.plain_call(node)

    def is_constant(self, node: Node) -> bool:
        """Return whether upstream works the node out beforehand, at no cost to an evaluation."""
        match node:
            case Literal():
                return True
            case ListOf():
                return not node.optional and all(map(self.is_constant, node.elements))
            case MapOf():
                return all(
                    not optional and self.is_constant(key) and self.is_constant(value)
                    for key, value, optional in node.entries
                )
            case Call():
                return (
                    node.function in CONVERSIONS
                    and node.target is None
                    and len(node.args) == 1
                    and self.is_constant(node.args[0])
                )
        return False

    def membership(self, node: Call) -> Run:
        """`x in [constants]`: upstream looks into a set, which costs nothing."""
        plain = self.plain_call(node)
        values = self.run(node.args[1])([0, 2**63])
        if not isinstance(values, list):
            return plain
        if not values:
            return constant(False)
        if any(kind_of(value) not in ("bool", "int", "uint", "double", "string") for value in values):
            return plain
        element = self.run(node.args[0])
        texts = frozenset(value for value in values if type(value) is str)
        bools = frozenset(value for value in values if type(value) is bool)
        numbers = frozenset(float(value) for value in values if type(value) in NUMBERS)

        def membership(frame: Frame) -> bool:
            value = element(frame)
            if type(value) is str:
                return value in texts
            if type(value) is bool:
                return value in bools
            return type(value) in NUMBERS and value in numbers

        return membership

    def plain_call(self, node: Call) -> Run:
        function = node.function
        indexed = function in ("_[_]", "_[?_]")
        arguments = [
            self.branch(arg) if indexed and at else self.run(arg) for at, arg in enumerate(node.args)
        ]
        overloads = self.checked.overloads[node]
        if node in self.checked.functions:
            function = self.checked.functions[node]
        elif node.target is not None:
            arguments.insert(0, self.run(node.target))
        extra = 0
        if indexed and not self.is_attribute(node.args[0]):
            extra = 1
        return calling(function, overloads, arguments, extra)

    # --- literals

    def list_of(self, node: ListOf) -> Run:
        if self.is_constant(node):
            return constant([self.run(element)([0, 2**63]) for element in node.elements])
        elements = [self.run(element) for element in node.elements]
        optional = node.optional

        def make(frame: Frame) -> list[Any]:
            frame[COST] += LIST_COST
            return [element(frame) for element in elements]

        def make_some(frame: Frame) -> list[Any]:
            values = make(frame)
            kept = enumerate(values)
            return [
                opened(value) if at in optional else value
                for at, value in kept
                if at not in optional or is_present(value)
            ]

        return make_some if optional else make

    def map_of(self, node: MapOf) -> Run:
        entries = [(self.run(key), self.run(value), optional) for key, value, optional in node.entries]

        def make(frame: Frame) -> dict[Any, Any]:
            made: dict[Any, Any] = {}
            for key_of, value_of, optional in entries:
                key, value = key_of(frame), value_of(frame)
                if type(key) not in (str, bool) and type(key) not in NUMBERS:
                    raise CelRuntimeError(f"unsupported key type: {kind_of(key)}")
                if has_key(made, key):
                    raise CelRuntimeError(f"Failed with repeated key: {key_text(key)}")
                if optional:
                    if not is_present(value):
                        continue
                    value = opened(value)
                made[key] = value
            return made

        if self.is_constant(node):
            return constant(make([0, 2**63]))

        def make_at_cost(frame: Frame) -> dict[Any, Any]:
            frame[COST] += MAP_COST
            return make(frame)

        return make_at_cost

    def struct(self, node: Struct) -> Run:
        fields = [(name, self.run(value), optional) for name, value, optional in node.fields]

        def make(frame: Frame) -> dict[str, Any]:
            frame[COST] += STRUCT_COST
            made: dict[str, Any] = {}
            for name, value_of, optional in fields:
                value = value_of(frame)
                if not optional:
                    made[name] = value
                elif is_present(value):
                    made[name] = opened(value)
            return made

        return make

    # --- macros

    def macro(self, node: Macro) -> Run:
        target = self.run(node.target)
        outer = dict(self.slots)
        slots = [self.bind(name) for name in node.variables]
        arguments = [self.run(arg) for arg in node.args]
        self.slots = outer
        if node.name == "bind":
            return binding(target, slots[0], arguments[0])
        if node.name in ("optMap", "optFlatMap"):
            return optional_macro(target, slots[0], arguments[0], wrap=node.name == "optMap")
        return self.loop(node.name, target, slots, arguments)

    def loop(self, name: str, target: Run, slots: list[int], arguments: list[Run]) -> Run:
        steps = Steps(target=target, slots=slots)
        condition = arguments[0] if len(arguments) == 2 else None
        match name:
            case "all":
                return quantified(steps, arguments[0], stop=False)
            case "exists":
                return quantified(steps, arguments[0], stop=True)
            case "exists_one" | "existsOne":
                return exists_one(steps, arguments[0])
            case "filter":
                return filtering(steps, arguments[0])
            case "map" | "transformList":
                return mapping(steps, condition, arguments[-1])
            case "sortBy":
                return sorting(steps, target, arguments[0], slots[0])
            case _:
                return transform_map(steps, condition, arguments[-1], name == "transformMapEntry")


def _compile_patterns(node: Call) -> None:
    """Compile a pattern that is a literal beforehand, as upstream does. Raises CelRuntimeError."""
    pattern = node.args[0 if node.target is not None else 1]
    if isinstance(pattern, Literal) and isinstance(pattern.value, str):
        try:
            compiled(pattern.value)
        except PatternError as error:
            raise CelRuntimeError(str(error)) from None
