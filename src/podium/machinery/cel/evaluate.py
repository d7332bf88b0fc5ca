"""From a checked tree to closures: each takes the frame of one evaluation and returns a value or raises.

A frame is a list: what the evaluation has cost so far, what it may cost, then a slot for every variable.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from podium.machinery.cel.checker import Checked
from podium.machinery.cel.costs import LIST_COST, MAP_COST, STRUCT_COST, Cost, cost_of
from podium.machinery.cel.declarations import Overload
from podium.machinery.cel.errors import NO_SUCH_OVERLOAD, CelRuntimeError, CostExceeded
from podium.machinery.cel.library.lists import sort_by
from podium.machinery.cel.library.operators import has_key, key_text
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
from podium.machinery.cel.types import Type
from podium.machinery.cel.values import (
    NONE,
    NUMBERS,
    MapList,
    Optional,
    SetList,
    TypeValue,
    kind_of,
    parse_date,
    parse_duration,
    parse_timestamp,
)
from podium.machinery.regexp import PatternError, compiled

COST, LIMIT, FIRST = 0, 1, 2
UNBOUND = object()
CONVERSIONS = frozenset(["bool", "bytes", "double", "duration", "dyn", "int", "string", "timestamp", "uint"])
# What a fault inside a library comes to when a value was not of the type that the schema promised.
SURPRISES = (TypeError, AttributeError, ValueError, KeyError, IndexError, OverflowError)

Frame = list[Any]
Run = Callable[[Frame], Any]
Convert = Callable[[Any], Any]


def charged(frame: Frame) -> None:
    """Stop the evaluation when it has cost too much."""
    if frame[COST] > frame[LIMIT]:
        raise CostExceeded


def converter(type_: Type) -> Convert | None:
    """Return what makes CEL's value of the wire's; None when they are the same."""
    match type_.kind:
        case "double":
            return lambda value: float(value) if type(value) is int else value
        case "bytes":
            return _from_base64
        case "duration":
            return lambda value: _parsed(parse_duration, value, "duration")
        case "timestamp":
            if type_.elements_max == 12:
                return lambda value: _parsed(parse_date, value, "date")
            return lambda value: _parsed(parse_timestamp, value, "date-time")
        case "list":
            return _list_converter(type_)
        case "map":
            inner = converter(type_.element)
            if inner is None:
                return None
            return lambda value: _each_value(inner, value)
        case "optional":
            inside = converter(type_.params[0])
            if inside is None:
                return None
            return lambda value: _inside(inside, value)
    return None


def _inside(convert: Convert, value: Any) -> Any:
    return Optional(convert(value.value())) if isinstance(value, Optional) and value.present else value


def _each_value(convert: Convert, value: Any) -> Any:
    return {key: convert(item) for key, item in value.items()} if isinstance(value, dict) else value


def _list_converter(type_: Type) -> Convert | None:
    inner = converter(type_.element)
    if type_.list_type == "set":
        return lambda value: (
            SetList(map(inner, value) if inner else value) if isinstance(value, list) else value
        )
    if type_.list_type == "map":
        keys = type_.map_keys
        return lambda value: MapList(value, keys) if isinstance(value, list) else value
    if inner is None:
        return None
    return lambda value: [inner(item) for item in value] if isinstance(value, list) else value


def _from_base64(value: Any) -> Any:
    if type(value) is not str:
        return value
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise CelRuntimeError(f"Invalid base64 {value!r}") from None


def _parsed(parse: Callable[[str], Any], value: Any, format_: str) -> Any:
    if type(value) is not str:
        return value
    found = parse(value)
    if found is None:
        raise CelRuntimeError(f"Invalid {format_} {value}")
    return found


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
                return _constant(node.value)
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
            return _constant(TypeValue(name))
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
            return _test(operand, name, known)
        extra = int(not self.is_attribute(node.operand))
        if node.optional or operand_type.kind == "optional":
            return _optional_field(operand, name, convert, extra, known)
        if known:
            return _object_field(operand, name, convert, 1 + extra)
        return _field(operand, name, 1 + extra)

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
            return _constant(value)
        match node.function:
            case "matches" | "find" | "findAll":
                _compile_patterns(node)
            case "_&&_" | "_||_":
                return _logic(self.run(node.args[0]), self.run(node.args[1]), node.function == "_||_")
            case "_?_:_":
                condition, then, otherwise = node.args
                return _conditional(self.run(condition), self.branch(then), self.branch(otherwise))
            case "@in" if self.is_constant(node.args[1]):
                return self.membership(node)
            case "orValue" | "or" if node.target is not None and len(node.args) == 1:
                return _alternative(self.run(node.target), self.run(node.args[0]), node.function == "or")
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
            return _constant(False)
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
        return _calling(function, overloads, arguments, extra)

    # --- literals

    def list_of(self, node: ListOf) -> Run:
        if self.is_constant(node):
            return _constant([self.run(element)([0, 2**63]) for element in node.elements])
        elements = [self.run(element) for element in node.elements]
        optional = node.optional

        def make(frame: Frame) -> list[Any]:
            frame[COST] += LIST_COST
            return [element(frame) for element in elements]

        def make_some(frame: Frame) -> list[Any]:
            values = make(frame)
            kept = enumerate(values)
            return [
                _opened(value) if at in optional else value
                for at, value in kept
                if at not in optional or _is_present(value)
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
                    if not _is_present(value):
                        continue
                    value = _opened(value)
                made[key] = value
            return made

        if self.is_constant(node):
            return _constant(make([0, 2**63]))

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
                elif _is_present(value):
                    made[name] = _opened(value)
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
            return _bound(target, slots[0], arguments[0])
        if node.name in ("optMap", "optFlatMap"):
            return _optional_macro(target, slots[0], arguments[0], wrap=node.name == "optMap")
        return self.loop(node.name, target, slots, arguments)

    def loop(self, name: str, target: Run, slots: list[int], arguments: list[Run]) -> Run:
        steps = _Steps(target=target, slots=slots)
        condition = arguments[0] if len(arguments) == 2 else None
        match name:
            case "all":
                return _quantified(steps, arguments[0], stop=False)
            case "exists":
                return _quantified(steps, arguments[0], stop=True)
            case "exists_one" | "existsOne":
                return _exists_one(steps, arguments[0])
            case "filter":
                return _filter(steps, arguments[0])
            case "map" | "transformList":
                return _map(steps, condition, arguments[-1])
            case "sortBy":
                return _sort_by(steps, target, arguments[0], slots[0])
            case _:
                return _transform_map(steps, condition, arguments[-1], name == "transformMapEntry")


def _compile_patterns(node: Call) -> None:
    """Compile a pattern that is a literal beforehand, as upstream does. Raises CelRuntimeError."""
    pattern = node.args[0 if node.target is not None else 1]
    if isinstance(pattern, Literal) and isinstance(pattern.value, str):
        try:
            compiled(pattern.value)
        except PatternError as error:
            raise CelRuntimeError(str(error)) from None


def _constant(value: Any) -> Run:
    return lambda frame: value


def _is_present(value: Any) -> bool:
    if isinstance(value, Optional):
        return value.present
    raise CelRuntimeError(f"cannot initialize optional entry from non-optional value {kind_of(value)}")


def _opened(value: Any) -> Any:
    return value.value()


def _missing(value: Any, name: str) -> CelRuntimeError:
    return CelRuntimeError(f"no such key: {name}" if isinstance(value, dict) else NO_SUCH_OVERLOAD)


def _field(operand: Run, name: str, cost: int) -> Run:
    def select(frame: Frame) -> Any:
        value = operand(frame)
        frame[COST] += cost
        try:
            return value[name]
        except (KeyError, TypeError):
            if isinstance(value, Optional):
                return _from_optional(value, name, None, known=False)
            raise _missing(value, name) from None

    return select


def _object_field(operand: Run, name: str, convert: Convert | None, cost: int) -> Run:
    def select(frame: Frame) -> Any:
        value = operand(frame)
        frame[COST] += cost
        try:
            found = value[name]
        except (KeyError, TypeError):
            raise _missing(value, name) from None
        if found is None:
            raise _missing(value, name)
        return found if convert is None else convert(found)

    return select


def _from_optional(value: Optional, name: str, convert: Convert | None, *, known: bool) -> Optional:
    if not value.present:
        return NONE
    inner = value.value()
    if not isinstance(inner, dict):
        raise CelRuntimeError(NO_SUCH_OVERLOAD)
    if name not in inner:
        return NONE
    found = inner[name]
    if found is None and known:
        return NONE
    return Optional(convert(found) if convert is not None else found)


def _optional_field(operand: Run, name: str, convert: Convert | None, extra: int, known: bool) -> Run:
    def select(frame: Frame) -> Optional:
        value = operand(frame)
        frame[COST] += extra
        found = _from_optional(
            value if isinstance(value, Optional) else Optional(value), name, convert, known=known
        )
        frame[COST] += found.present
        return found

    return select


def _test(operand: Run, name: str, known: bool) -> Run:
    def test(frame: Frame) -> bool:
        value = operand(frame)
        if isinstance(value, Optional):
            return _from_optional(value, name, None, known=known).present
        if isinstance(value, dict):
            return value.get(name) is not None if known else name in value
        raise CelRuntimeError(NO_SUCH_OVERLOAD)

    return test


def _logic(left: Run, right: Run, stop: bool) -> Run:
    """`&&` stops at false, `||` at true; the other operand's error does not matter then."""

    def logic(frame: Frame) -> bool:
        fault: Exception | None = None
        for operand in (left, right):
            try:
                value = operand(frame)
            except CostExceeded:
                raise
            except (CelRuntimeError, *SURPRISES) as error:
                fault = fault or error
                continue
            if value is stop:
                return bool(value)
            if type(value) is not bool:
                fault = fault or CelRuntimeError(NO_SUCH_OVERLOAD)
        if fault is not None:
            raise fault
        return not stop

    return logic


def _conditional(condition: Run, then: Run, otherwise: Run) -> Run:
    def conditional(frame: Frame) -> Any:
        value = condition(frame)
        if value is True:
            return then(frame)
        if value is False:
            return otherwise(frame)
        raise CelRuntimeError(NO_SUCH_OVERLOAD)

    return conditional


def _alternative(target: Run, other: Run, whole: bool) -> Run:
    def alternative(frame: Frame) -> Any:
        value = target(frame)
        if not isinstance(value, Optional):
            raise CelRuntimeError(NO_SUCH_OVERLOAD)
        if not value.present:
            return other(frame)
        return value if whole else value.value()

    return alternative


def _calling(function: str, overloads: tuple[Overload, ...], arguments: list[Run], extra: int) -> Run:
    """Return the call; the overload is chosen now when it can be, else by the values."""
    run = overloads[0].run
    # Operators look at their operands themselves.
    is_operator = function.startswith(("_", "@in", "!", "-"))
    same = all(overload.run is run for overload in overloads)
    if len(overloads) > 1 and not (same and is_operator):
        return _dispatching(function, overloads, arguments)
    cost = cost_of(function, overloads[0].id if len(overloads) == 1 else "")
    kinds = overloads[0].kinds if len(overloads) == 1 and not is_operator else ()
    checked = tuple((at, kind) for at, kind in enumerate(kinds) if kind is not None)

    if cost is None and len(arguments) == 2 and not checked:
        first, second = arguments
        step = 1 + extra

        def binary(frame: Frame) -> Any:
            try:
                left = first(frame)
            except CostExceeded:
                raise
            except CelRuntimeError:
                _also(second, frame)
                frame[COST] += step
                raise
            try:
                return run(left, second(frame))
            finally:
                frame[COST] += step

        return binary

    def invoke(values: list[Any]) -> Any:
        for at, kind in checked:
            if kind_of(values[at]) != kind:
                raise CelRuntimeError(NO_SUCH_OVERLOAD)
        return run(*values)

    return _paying(arguments, invoke, cost, extra)


def _also(argument: Run, frame: Frame) -> Any:
    """Work out what does not matter any more after an error, for its cost alone."""
    try:
        return argument(frame)
    except CostExceeded:
        raise
    except CelRuntimeError as error:
        return error


def _paying(arguments: list[Run], invoke: Callable[[list[Any]], Any], cost: Cost | None, extra: int) -> Run:
    """Return the call that adds its cost, also when it fails.

    Of one or two arguments upstream works out all before it looks for errors; of more it stops at the first
    error, and the call costs nothing then.
    """
    patient = len(arguments) <= 2

    def call(frame: Frame) -> Any:
        values: list[Any] = []
        fault: CelRuntimeError | None = None
        for argument in arguments:
            try:
                values.append(argument(frame))
            except CostExceeded:
                raise
            except CelRuntimeError as error:
                if not patient:
                    raise
                fault = fault or error
        if fault is not None:
            frame[COST] += extra + 1
            raise fault
        result: Any = None
        try:
            result = invoke(values)
        except CelRuntimeError:
            raise
        except SURPRISES:
            raise CelRuntimeError(NO_SUCH_OVERLOAD) from None
        finally:
            frame[COST] += extra + (1 if cost is None else _cost(cost, values, result))
        if frame[COST] > frame[LIMIT]:
            raise CostExceeded
        return result

    return call


def _cost(cost: Cost, values: list[Any], result: Any) -> int:
    """Return what the call costs; one where the values are not of the kind that it goes by."""
    try:
        return cost(values, result)
    except SURPRISES:
        return 1


def _dispatching(function: str, overloads: tuple[Overload, ...], arguments: list[Run]) -> Run:
    candidates = [(overload.kinds, overload.run) for overload in overloads]

    def invoke(values: list[Any]) -> Any:
        found = [kind_of(value) for value in values]
        for kinds, run in candidates:
            if all(kind is None or kind == actual for kind, actual in zip(kinds, found, strict=True)):
                return run(*values)
        raise CelRuntimeError(NO_SUCH_OVERLOAD)

    return _paying(arguments, invoke, cost_of(function, ""), 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Steps:
    """The loop of a macro: binds the variables to one element after the other."""

    target: Run
    slots: list[int]

    def over(self, frame: Frame) -> Iterator[Any]:
        """Yield each element's key (in a list: the element when there is one variable, else its index)."""
        values = self.target(frame)
        if not isinstance(values, list | dict):
            raise CelRuntimeError(NO_SUCH_OVERLOAD)
        slot = self.slots[0]
        if len(self.slots) == 1:
            for value in values:
                charged(frame)
                frame[slot] = value
                yield value
            return
        second = self.slots[1]
        for key, value in enumerate(values) if isinstance(values, list) else values.items():
            charged(frame)
            frame[slot], frame[second] = key, value
            yield key


def _quantified(steps: _Steps, predicate: Run, *, stop: bool) -> Run:
    # The loop's condition and the accumulator: all `not_strictly_false(accu)`, exists one negation more.
    before = 3 if stop else 2

    def quantified(frame: Frame) -> bool:
        fault: Exception | None = None
        found = False
        for _ in steps.over(frame):
            frame[COST] += before
            if found:
                break
            frame[COST] += 1
            try:
                value = predicate(frame)
            except CostExceeded:
                raise
            except (CelRuntimeError, *SURPRISES) as error:
                fault = fault or error
                continue
            if value is stop:
                found = True
            elif type(value) is not bool:
                fault = fault or CelRuntimeError(NO_SUCH_OVERLOAD)
        frame[COST] += 1
        if found:
            return stop
        if fault is not None:
            raise fault
        return not stop

    return quantified


def _truth(value: Any) -> bool:
    if type(value) is bool:
        return value
    raise CelRuntimeError(NO_SUCH_OVERLOAD)


def _exists_one(steps: _Steps, predicate: Run) -> Run:
    def exists_one(frame: Frame) -> bool:
        count = 0
        for _ in steps.over(frame):
            hit = _truth(predicate(frame))
            count += hit
            frame[COST] += 2 if hit else 0
        frame[COST] += 2
        return count == 1

    return exists_one


def _filter(steps: _Steps, predicate: Run) -> Run:
    def filtered(frame: Frame) -> list[Any]:
        kept: list[Any] = []
        for value in steps.over(frame):
            if _truth(predicate(frame)):
                kept.append(value)
                frame[COST] += 3 + LIST_COST
        frame[COST] += 1
        return kept

    return filtered


def _map(steps: _Steps, condition: Run | None, transform: Run) -> Run:
    def mapped(frame: Frame) -> list[Any]:
        made: list[Any] = []
        for _ in steps.over(frame):
            if condition is not None and not _truth(condition(frame)):
                continue
            made.append(transform(frame))
            frame[COST] += 2 + LIST_COST
        frame[COST] += 1
        return made

    return mapped


def _transform_map(steps: _Steps, condition: Run | None, transform: Run, entries: bool) -> Run:
    def mapped(frame: Frame) -> dict[Any, Any]:
        made: dict[Any, Any] = {}
        for key in steps.over(frame):
            if condition is not None and not _truth(condition(frame)):
                continue
            value = transform(frame)
            frame[COST] += 2 if entries else 3
            if entries and not isinstance(value, dict):
                raise CelRuntimeError(NO_SUCH_OVERLOAD)
            for new, item in value.items() if entries else ((key, value),):
                if has_key(made, new):
                    raise CelRuntimeError(f"insert failed: key {key_text(new)} already exists")
                made[new] = item
        frame[COST] += 1
        return made

    return mapped


def _sort_by(steps: _Steps, target: Run, key_of: Run, slot: int) -> Run:
    cost = cost_of("@sortByAssociatedKeys", "")
    assert cost is not None

    def sort(frame: Frame) -> list[Any]:
        values = target(frame)
        if not isinstance(values, list):
            raise CelRuntimeError(NO_SUCH_OVERLOAD)
        keys: list[Any] = []
        for value in values:
            charged(frame)
            frame[slot] = value
            keys.append(key_of(frame))
            frame[COST] += 2 + LIST_COST
        frame[COST] += 3 + cost((values, keys), None)
        charged(frame)
        return sort_by(values, keys)

    return sort


def _bound(value: Run, slot: int, result: Run) -> Run:
    def bound(frame: Frame) -> Any:
        frame[slot] = value(frame)
        return result(frame)

    return bound


def _optional_macro(target: Run, slot: int, transform: Run, *, wrap: bool) -> Run:
    def mapped(frame: Frame) -> Any:
        before = frame[COST]
        value = target(frame)
        if not isinstance(value, Optional):
            raise CelRuntimeError(NO_SUCH_OVERLOAD)
        frame[COST] += 1
        if not value.present:
            frame[COST] += 1
            return NONE
        # Upstream works out the target once more, to take the value out of it.
        frame[COST] += frame[COST] - before
        frame[slot] = value.value()
        result = transform(frame)
        frame[COST] += wrap
        if wrap:
            return Optional(result)
        if not isinstance(result, Optional):
            raise CelRuntimeError(NO_SUCH_OVERLOAD)
        return result

    return mapped
