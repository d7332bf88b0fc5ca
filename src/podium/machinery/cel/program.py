"""A compiled expression: text, types and closures together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from podium.machinery.cel import checker, syntax
from podium.machinery.cel.checker import Checked
from podium.machinery.cel.conversion import converter
from podium.machinery.cel.errors import CelError, CelRuntimeError, CostExceeded, compile_error
from podium.machinery.cel.evaluate import Compiler
from podium.machinery.cel.frame import COST, FIRST, LIMIT, SURPRISES, UNBOUND, Convert, Run
from podium.machinery.cel.literals import literal_issues
from podium.machinery.cel.types import Type

UNLIMITED = 2**63
TOO_DEEP = "expression recursion limit exceeded"

Returns = Literal["bool", "string", "any"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came out, and what it cost."""

    value: Any
    cost: int


@dataclass(frozen=True, kw_only=True)
class Program:
    """An expression ready to run, any number of times and for any number of callers."""

    expression: str
    variables: Mapping[str, Type]
    checked: Checked
    run: Run
    slots: int
    bound: tuple[tuple[str, int, Convert | None], ...]

    @property
    def result_type(self) -> Type:
        return self.checked.result

    @cached_property
    def used(self) -> frozenset[str]:
        """The variables that the expression mentions."""
        return frozenset(self.checked.used)

    def evaluate(self, bindings: Mapping[str, Any], *, cost_limit: int | None = None) -> Result:
        """Run with the variables bound to values as they are on the wire; they are not changed.

        Raises CelRuntimeError, and CostExceeded once the evaluation has cost more than the limit; nothing
        else. A variable without a binding is an error only where the expression comes to it.
        """
        frame: list[Any] = [UNBOUND] * self.slots
        frame[:FIRST] = [0, UNLIMITED if cost_limit is None else cost_limit]
        try:
            for name, slot, convert in self.bound:
                if name in bindings:
                    value = bindings[name]
                    frame[slot] = value if convert is None or value is None else convert(value)
            value = self.run(frame)
        except CelRuntimeError as error:
            raise _settled(frame, error) from None
        except RecursionError:
            raise _settled(frame, CelRuntimeError(TOO_DEEP)) from None
        except SURPRISES as error:
            raise _settled(frame, CelRuntimeError(f"internal error: {error}")) from error
        if frame[COST] > frame[LIMIT]:
            raise _settled(frame, CostExceeded())
        return Result(value=value, cost=frame[COST])


def _settled(frame: list[Any], error: CelRuntimeError) -> CelRuntimeError:
    """Return the error with its cost; CostExceeded also when steps passed the limit without looking at it."""
    if frame[COST] > frame[LIMIT] and not isinstance(error, CostExceeded):
        error = CostExceeded()
    error.cost = frame[COST]
    return error


def compile(
    expression: str,
    *,
    variables: Mapping[str, Type],
    returns: Returns,
    version: str,
    mutation: bool,
    bindings: bool,
) -> Program:
    """Return the program. Raises CelError."""
    try:
        root = syntax.parse(expression, bindings=bindings)
        minor = int(version.split(".")[1])
        checked = checker.check(expression, root, variables, minor=minor, mutation=mutation)
        if issues := literal_issues(checked, minor=minor):
            raise compile_error(expression, issues)
        _must_return(checked.result, returns)
        compiler = Compiler(checked=checked)
        bound = tuple(
            (name, compiler.bind(name), converter(type_))
            for name, type_ in variables.items()
            if name in checked.used
        )
        run = compiler.run(root)
    except RecursionError:
        raise CelError(TOO_DEEP) from None
    except CelRuntimeError as error:
        # A constant such as int('x') is worked out beforehand.
        raise CelError(f"program instantiation failed: {error}") from None
    return Program(
        expression=expression,
        variables=variables,
        checked=checked,
        run=run,
        slots=compiler.count,
        bound=bound,
    )


def _must_return(found: Type, returns: Returns) -> None:
    if returns not in ("any", found.kind):
        raise CelError(f"must evaluate to {returns}", wrong_type=True)
