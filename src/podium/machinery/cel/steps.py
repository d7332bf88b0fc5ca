"""The closures of single steps: fields, logic, calls. Each takes a frame and returns a value or raises."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from podium.machinery.cel.costs import Cost, cost_of
from podium.machinery.cel.declarations import Overload
from podium.machinery.cel.errors import NO_SUCH_OVERLOAD, CelRuntimeError, CostExceeded
from podium.machinery.cel.frame import COST, LIMIT, SURPRISES, Convert, Frame, Run
from podium.machinery.cel.values import (
    NONE,
    Optional,
    kind_of,
)


def constant(value: Any) -> Run:
    return lambda frame: value


def is_present(value: Any) -> bool:
    if isinstance(value, Optional):
        return value.present
    raise CelRuntimeError(f"cannot initialize optional entry from non-optional value {kind_of(value)}")


def opened(value: Any) -> Any:
    return value.value()


def _missing(value: Any, name: str) -> CelRuntimeError:
    return CelRuntimeError(f"no such key: {name}" if isinstance(value, dict) else NO_SUCH_OVERLOAD)


def plain_field(operand: Run, name: str, cost: int) -> Run:
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


def object_field(operand: Run, name: str, convert: Convert | None, cost: int) -> Run:
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


def optional_field(operand: Run, name: str, convert: Convert | None, extra: int, known: bool) -> Run:
    def select(frame: Frame) -> Optional:
        value = operand(frame)
        frame[COST] += extra
        found = _from_optional(
            value if isinstance(value, Optional) else Optional(value), name, convert, known=known
        )
        frame[COST] += found.present
        return found

    return select


def presence(operand: Run, name: str, known: bool) -> Run:
    def test(frame: Frame) -> bool:
        value = operand(frame)
        if isinstance(value, Optional):
            return _from_optional(value, name, None, known=known).present
        if isinstance(value, dict):
            return value.get(name) is not None if known else name in value
        raise CelRuntimeError(NO_SUCH_OVERLOAD)

    return test


def either(left: Run, right: Run, stop: bool) -> Run:
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


def conditional(condition: Run, then: Run, otherwise: Run) -> Run:
    def conditional(frame: Frame) -> Any:
        value = condition(frame)
        if value is True:
            return then(frame)
        if value is False:
            return otherwise(frame)
        raise CelRuntimeError(NO_SUCH_OVERLOAD)

    return conditional


def alternative(target: Run, other: Run, whole: bool) -> Run:
    def alternative(frame: Frame) -> Any:
        value = target(frame)
        if not isinstance(value, Optional):
            raise CelRuntimeError(NO_SUCH_OVERLOAD)
        if not value.present:
            return other(frame)
        return value if whole else value.value()

    return alternative


def calling(function: str, overloads: tuple[Overload, ...], arguments: list[Run], extra: int) -> Run:
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
