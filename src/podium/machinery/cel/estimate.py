"""What an expression can cost, before it has ever run: from its tree and from the sizes that a schema allows.

Upstream refuses a rule by this figure, so it is reckoned as upstream does, oddities included. Macros are
reckoned as the loops that upstream's parser makes of them: `all` tests `not_strictly_false(result)` before
each step, `map` adds a list of one element to its result, and so on. What single functions cost is in
`call_estimates.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from podium.machinery.cel.call_estimates import Argument, call_estimate, sort_estimate
from podium.machinery.cel.checker import Checked
from podium.machinery.cel.costs import LIST_COST, MAP_COST, STRUCT_COST
from podium.machinery.cel.spans import ANY, GREATEST, NOTHING, ONE, Span, fixed
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

Path = tuple[str, ...]
# Upstream's size of a value by the way to it from a variable, and by its type; None when it cannot be known.
SizeOf = Callable[[Path, Type], Span | None]

_SCALARS = frozenset(["bool", "double", "duration", "int", "timestamp", "uint"])


def cost_max(checked: Checked, variables: Mapping[str, Type], *, named_entries: bool = False) -> int:
    """Return the most that an evaluation can cost, given what the variables' types say about sizes.

    `named_entries`: the size of `map.name` is that of the map's values, as upstream has it for devices alone.
    """
    return cost(checked, sizes_by_type(variables, named_entries=named_entries)).most


def cost(checked: Checked, size_of: SizeOf) -> Span:
    """Return the least and the most that an evaluation costs."""
    return _Estimator(checked=checked, size_of=size_of).cost(checked.root)


def sizes_by_type(variables: Mapping[str, Type], *, named_entries: bool = False) -> SizeOf:
    """Return the sizes that follow from the limits in the variables' schemas."""
    first = next(iter(variables.values()), None)

    def size_of(path: Path, _: Type) -> Span | None:
        if not path:
            return None
        # A value that comes from no variable has a path too when it is an element ("@items"). Upstream then
        # takes its way from the first variable, `self`.
        here = variables.get(path[0], first)
        for name in path[1:]:
            if here is None:
                return None
            here = _below(here, name, named_entries)
        return Span(0, here.elements_max) if here is not None else None

    return size_of


def _below(here: Type, name: str, named_entries: bool) -> Type | None:
    if here.kind == "optional":
        here = here.params[0]
    match name:
        case "@items" | "@values":
            return here.element if here.kind in ("list", "map") else None
        case "@keys":
            return here.params[0] if here.kind == "map" else None
        case _:
            if named_entries and here.kind == "map" and here.element.kind == "dyn":
                return here.element
            return here.fields.get(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """What a list or map has inside: the sizes of its keys and of its values."""

    kind: str
    key: Span
    value: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class _Local:
    """A variable of a macro."""

    path: Path = ()
    size: Span | None = None
    entry: _Entry | None = None


@dataclass(slots=True, kw_only=True)
class _Estimator:
    checked: Checked
    size_of: SizeOf
    paths: dict[Node, Path] = field(default_factory=dict)
    sizes: dict[Node, Span] = field(default_factory=dict)
    entries: dict[Node, _Entry] = field(default_factory=dict)
    locals: dict[str, list[_Local]] = field(default_factory=dict)

    def cost(self, node: Node) -> Span:
        match node:
            case Literal():
                return NOTHING
            case Ident():
                return self.name(node, node.name)
            case Select():
                return self.select(node)
            case Call():
                return self.call(node)
            case ListOf():
                return self.list_of(node)
            case MapOf():
                return self.map_of(node)
            case Struct():
                return self.sum(value for _, value, _ in node.fields) + fixed(STRUCT_COST)
            case Macro():
                return self.macro(node)
        raise AssertionError(node)

    def sum(self, nodes: Iterable[Node]) -> Span:
        total = NOTHING
        for node in nodes:
            total += self.cost(node)
        return total

    # --- what is known about a node

    def local(self, node: Node) -> _Local | None:
        if not isinstance(node, Ident):
            return None
        stack = self.locals.get(node.name)
        return stack[-1] if stack else None

    def path(self, node: Node) -> Path:
        local = self.local(node)
        return local.path if local is not None else self.paths.get(node, ())

    def size(self, node: Node) -> Span | None:
        if (known := self.sizes.get(node)) is not None:
            return known
        match node:
            case Literal(value=str() | bytes() as value):
                return fixed(len(value))
            case Literal():
                return ONE
            case ListOf():
                return fixed(len(node.elements))
            case MapOf():
                return fixed(len(node.entries))
        type_ = self.checked.types[node]
        if (found := self.size_of(self.path(node), type_)) is not None:
            self.sizes[node] = found
            return found
        if _is_scalar(type_):
            return ONE
        local = self.local(node)
        return local.size if local is not None else None

    def size_or_any(self, node: Node) -> Span:
        found = self.size(node)
        return found if found is not None else ANY

    def entry(self, node: Node) -> _Entry | None:
        if (known := self.entries.get(node)) is not None:
            return known
        local = self.local(node)
        return local.entry if local is not None else None

    def argument(self, node: Node) -> Argument:
        path = self.path(node)
        type_ = self.checked.types[node]
        return Argument(
            type=type_,
            size=self.size(node),
            literal=node.value if isinstance(node, Literal) else None,
            element_size=self.size_of((*path, "@items") if path else (), type_.params[0])
            if type_.params
            else None,
        )

    # --- names, fields, literals

    def name(self, node: Node, name: str) -> Span:
        local = self.local(node)
        self.paths[node] = local.path if local is not None else (name,)
        return ONE

    def select(self, node: Select) -> Span:
        if node in self.checked.names:
            return self.name(node, self.checked.names[node])
        operand = self.cost(node.operand)
        if node.test:
            return operand
        if node.optional:
            return operand + ONE
        self.paths[node] = (*self.path(node.operand), node.name)
        kind = self.checked.types[node.operand].kind
        return operand + ONE if kind in ("map", "object", "param") else operand

    def list_of(self, node: ListOf) -> Span:
        total, size = fixed(LIST_COST), _least_of(node.elements)
        for element in node.elements:
            total += self.cost(element)
            size = size.union(self.size_or_any(element))
        self.entries[node] = _Entry(kind="list", key=ONE, value=size)
        return total

    def map_of(self, node: MapOf) -> Span:
        total, keys, values = fixed(MAP_COST), _least_of(node.entries), _least_of(node.entries)
        for key, value, _ in node.entries:
            total += self.cost(key) + self.cost(value)
            keys, values = keys.union(self.size_or_any(key)), values.union(self.size_or_any(value))
        self.entries[node] = _Entry(kind="map", key=keys, value=values)
        return total

    # --- calls

    def call(self, node: Call) -> Span:
        function = self.checked.functions.get(node, node.function)
        target = node.target if node not in self.checked.functions else None
        if function == "dyn":
            total = self.cost(node.args[0]) + ONE
            self.copy(node, node.args[0])
            return total
        costs = [self.cost(arg) for arg in node.args]
        total = self.cost(target) if target is not None else NOTHING
        match function:
            case "_&&_" | "_||_":
                self.remember(node, None)
                return Span(costs[0].least, (costs[0] + costs[1]).most)
            case "_?_:_":
                return self.conditional(node, costs)
        for one in costs:
            total += one
        arguments = [self.argument(arg) for arg in node.args]
        whole = self.argument(target) if target is not None else None
        estimate, size = Span(GREATEST, 0), None
        for overload in self.checked.overloads[node]:
            found = call_estimate(function, overload.id, whole, arguments)
            estimate = estimate.union(found.cost)
            if found.size is not None:
                size = found.size if size is None else size.union(found.size)
            size = self.result(node, overload.id, size)
        self.remember(node, size)
        return total + estimate

    def result(self, node: Call, overload: str, size: Span | None) -> Span | None:
        """Note what is inside of the call's result and where it comes from; return its size."""
        match overload:
            case "index_list" | "index_map":
                entry = self.entry(node.args[0])
                size = entry.value if entry is not None else None
                self.paths[node] = (
                    *self.path(node.args[0]),
                    "@items" if overload == "index_list" else "@values",
                )
            case "add_list" | "add_string" | "add_bytes":
                entry = _union(self.entry(node.args[0]), self.entry(node.args[1]))
                if entry is not None:
                    self.entries[node] = entry
        return size if size is not None else self.size(node)

    def conditional(self, node: Call, costs: list[Span]) -> Span:
        _, then, otherwise = node.args
        self.sizes[node] = self.size_or_any(then).union(self.size_or_any(otherwise))
        entry = _union(self.entry(then), self.entry(otherwise))
        if entry is not None:
            self.entries[node] = entry
        return costs[0] + costs[1].union(costs[2])

    def remember(self, node: Node, size: Span | None) -> None:
        size = size if size is not None else self.size(node)
        if size is not None:
            self.sizes[node] = size

    def copy(self, node: Node, source: Node) -> None:
        if (size := self.size(source)) is not None:
            self.sizes[node] = size
        if (entry := self.entry(source)) is not None:
            self.entries[node] = entry

    # --- macros

    def macro(self, node: Macro) -> Span:
        match node.name:
            case "optMap" | "optFlatMap":
                return self.optional_macro(node)
            case "sortBy":
                return self.sort_by(node)
            case "bind":
                return self.binding(node)
        total = self.cost(node.target)
        self.push(node)
        loop = self.loop(node)
        self.pop(node)
        count = self.size_or_any(node.target)
        if loop.gathers:
            self.sizes[node] = count
            if loop.entry is not None:
                self.entries[node] = loop.entry
        else:
            self.sizes[node] = ONE
        return total + loop.around + count * loop.step

    def push(self, node: Macro) -> None:
        target, names = node.target, node.variables
        entry = self.entry(target)
        kind = entry.kind if entry is not None else self.checked.types[target].kind
        path = self.path(target)
        listed = kind == "list"
        key = _Local(
            path=(*path, "@indices" if listed else "@keys"), size=entry.key if entry is not None else None
        )
        value = _Local(
            path=(*path, "@items" if listed else "@values"), size=entry.value if entry is not None else None
        )
        if len(names) == 2:
            self.bind(names[0], key)
            self.bind(names[1], value)
        else:
            self.bind(names[0], value if listed else key)

    def bind(self, name: str, local: _Local) -> None:
        self.locals.setdefault(name, []).append(local)

    def size_of_variable(self, node: Macro) -> Span | None:
        target = self.checked.types[node.target]
        type_ = target.params[0] if target.params else target
        local = self.locals[node.variables[0]][-1]
        if (found := self.size_of(local.path, type_)) is not None:
            return found
        return ONE if _is_scalar(type_) else local.size

    def pop(self, node: Macro) -> None:
        for name in node.variables:
            self.locals[name].pop()

    def loop(self, node: Macro) -> _Loop:
        """Return what a step of the macro's loop costs, its condition included, and what its frame does."""
        first = self.cost(node.args[0])
        last = self.cost(node.args[-1]) if len(node.args) > 1 else first
        collected = len(node.args) > 1
        match node.name:
            case "all" | "exists":
                # The condition is `not_strictly_false(result)`, for exists with a negation; a step is
                # `result && predicate`, of which the right side may be left out.
                condition = 2 if node.name == "all" else 3
                return _Loop(step=Span(condition + 1, (first + fixed(condition + 1)).most), around=ONE)
            case "exists_one" | "existsOne":
                return _Loop(step=first + Span(1, 2), around=fixed(2))
            case "filter":
                return _Loop(
                    step=first + Span(1, 3 + LIST_COST),
                    around=fixed(LIST_COST + 1),
                    gathers=True,
                    entry=_gathered(self.size_of_variable(node)),
                )
            case "map" | "transformList":
                added = last + fixed(2 + LIST_COST)
                return _Loop(
                    step=first + added.union(ONE) if collected else added,
                    around=fixed(LIST_COST + 1),
                    gathers=True,
                    entry=_gathered(self.size(node.args[-1])),
                )
            case _:
                # insert(result, key, value), or insert(result, entries).
                added = last + fixed(2 if node.name == "transformMapEntry" else 3)
                return _Loop(
                    step=first + added.union(ONE) if collected else added,
                    around=fixed(MAP_COST + 1),
                    gathers=True,
                )

    def sort_by(self, node: Macro) -> Span:
        """`bind(list, target, list.sort_by_keys(list.map(x, key)))`."""
        total = fixed(LIST_COST) + self.cost(node.target)
        self.push(node)
        step = self.cost(node.args[0]) + fixed(2 + LIST_COST)
        self.pop(node)
        count = self.size_or_any(node.target)
        mapped = ONE + fixed(LIST_COST + 1) + count * step
        self.sizes[node] = count * count
        return total + ONE + mapped + sort_estimate(count, self.checked.types[node.args[0]].kind)

    def binding(self, node: Macro) -> Span:
        """Upstream makes a loop over nothing of it, whose empty list costs."""
        total = fixed(LIST_COST) + self.cost(node.target)
        value = _Local(
            path=self.path(node.target), size=self.size(node.target), entry=self.entry(node.target)
        )
        self.bind(node.variables[0], value)
        total += self.cost(node.args[0])
        self.pop(node)
        self.copy(node, node.args[0])
        return total

    def optional_macro(self, node: Macro) -> Span:
        """`target.hasValue() ? optional.of(bind(x, target.value(), mapped)) : optional.none()`."""
        present = self.cost(node.target) + ONE
        value = self.cost(node.target) + ONE
        self.bind(node.variables[0], _Local())
        mapped = self.cost(node.args[0])
        self.pop(node)
        wrapped = fixed(LIST_COST) + value + mapped + (ONE if node.name == "optMap" else NOTHING)
        return present + wrapped.union(ONE)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Loop:
    """A macro's loop: the cost of a step, of what stands around it, and what is in the list it gathers."""

    step: Span
    around: Span
    gathers: bool = False
    entry: _Entry | None = None


def _least_of(parts: Sequence[object]) -> Span:
    return Span(GREATEST, 0) if parts else NOTHING


def _gathered(size: Span | None) -> _Entry:
    return _Entry(kind="list", key=ONE, value=Span(0, size.most if size is not None else GREATEST))


def _union(one: _Entry | None, two: _Entry | None) -> _Entry | None:
    if one is None or two is None:
        return None
    return _Entry(kind=one.kind, key=one.key.union(two.key), value=one.value.union(two.value))


def _is_scalar(type_: Type) -> bool:
    if type_.kind == "optional":
        return _is_scalar(type_.params[0])
    return type_.kind in _SCALARS
