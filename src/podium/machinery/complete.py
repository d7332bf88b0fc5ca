"""Completing objects: what upstream's encoding leaves out when empty, and writes even when empty.

Closures over shapes, as in `decode`; a structure's part is planned when it is first met.
"""

from __future__ import annotations

from collections.abc import Callable

from podium.machinery.errors import Json
from podium.machinery.shape import CONTAINERS, ZERO, Field, Shape

Completer = Callable[[Json], None]


def completer(shape: Shape, *, seal: bool) -> Completer:
    """Return what leaves out and fills in as upstream's encoding does; `seal` turns empty lists to null."""

    def of(part: Shape) -> Completer | None:
        """Return the completer of a shape, None where nothing inside can need one."""
        if part.kind == "struct":
            made: Completer = part.once(
                "seal" if seal else "complete", lambda struct: _complete_struct(struct, of, seal)
            )
            return made
        if part.kind not in CONTAINERS:
            return None
        assert part.element is not None
        inner = of(part.element)
        if inner is None:
            return None
        return _complete_list(inner) if part.kind == "list" else _complete_map(inner)

    return of(shape) or _nothing_to_complete


def _nothing_to_complete(_value: Json) -> None:
    """Leave a value that is no structure as it is."""


def _complete_list(inner: Completer) -> Completer:
    def complete(values: Json) -> None:
        for value in values:
            inner(value)

    return complete


def _complete_map(inner: Completer) -> Completer:
    def complete(values: Json) -> None:
        for value in values.values():
            inner(value)

    return complete


_Step = tuple[bool, bool, Completer | None]
"""(whether an empty value goes away, whether it becomes null, what completes the value's inside)."""

_AS_IT_IS: _Step = (False, False, None)


def _complete_struct(shape: Shape, of: Callable[[Shape], Completer | None], seal: bool) -> Completer:
    plan: dict[str, _Step] = {}
    fills: list[tuple[str, Callable[[], Json]]] | None = None

    def look_up(name: str) -> _Step:
        """Plan a field when it is first met, so that recursive definitions need no care."""
        field = shape.fields.get(name)
        step = _AS_IT_IS if field is None else _step(field, of, seal)
        plan[name] = step
        return step

    def complete(obj: Json) -> None:
        nonlocal fills
        if obj.__class__ is not dict:
            return
        if fills is None:
            made = ((name, _fill(field)) for name, field in shape.fields.items())
            fills = [(name, fill) for name, fill in made if fill is not None]
        for name, make in fills:
            if name not in obj:
                obj[name] = make()
        drop: list[str] | None = None
        for name, value in obj.items():
            if value.__class__ is str and value:
                continue
            kind = value.__class__
            if kind is dict or kind is list:
                omits, nulls, inner = plan.get(name) or look_up(name)
                if inner is not None:
                    inner(value)
                if value:
                    continue
            elif value:
                continue
            else:
                omits, nulls, _ = plan.get(name) or look_up(name)
            if omits:
                drop = [*(drop or ()), name]
            elif nulls:
                obj[name] = None
        if drop is not None:
            for name in drop:
                del obj[name]

    return complete


def _step(field: Field, of: Callable[[Shape], Completer | None], seal: bool) -> _Step:
    kind = field.shape.kind
    omits = (field.omits_zero and kind in _DROPPED_WHEN_ZERO) or field.omit_empty_struct
    nulls = seal and field.always and kind in ("list", "map")
    return omits, nulls, of(field.shape)


def _fill(field: Field) -> Callable[[], Json] | None:
    """Return what makes the value that is written where none was set, None where nothing is written."""
    kind = field.shape.kind
    if field.omit_empty_struct:
        return None
    if kind == "struct":
        if field.pointer:
            return _null if field.always else None
        return dict
    if not field.always and (field.pointer or kind in _DROPPED_WHEN_ZERO):
        return None
    zero = None if field.pointer else ZERO[kind]
    return lambda: zero


_DROPPED_WHEN_ZERO = frozenset(("string", "bool", "int32", "int64", "number", "bytes", "list", "map"))


def _null() -> Json:
    return None
