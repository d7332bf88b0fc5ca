"""Expressions that select devices: CEL with one variable, `device`.

Upstream: k8s.io/dynamic-resource-allocation/cel.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

from podium.machinery import cel
from podium.machinery.errors import FieldError

COST_MAX = 1_000_000
_DRIVER_LENGTH_MAX, _DOMAIN_LENGTH_MAX, _ID_LENGTH_MAX, _VALUE_LENGTH_MAX = 63, 63, 32, 64
_ENTRIES_MAX = 32


@cache
def _device() -> cel.Type:
    def text(length: int) -> cel.Type:
        return replace(cel.STRING, elements_max=length)

    def by_domain(value: cel.Type) -> cel.Type:
        inner = cel.map_of(text(_ID_LENGTH_MAX), value, elements_max=_ENTRIES_MAX)
        return cel.map_of(text(_DOMAIN_LENGTH_MAX), inner, elements_max=_ENTRIES_MAX)

    fields = {
        "driver": text(_DRIVER_LENGTH_MAX),
        "allowMultipleAllocations": replace(cel.BOOL, elements_max=1),
        "attributes": by_domain(replace(cel.DYN, elements_max=_VALUE_LENGTH_MAX)),
        "capacity": by_domain(cel.QUANTITY),
    }
    return cel.object_of("kubernetes.DRADevice", fields)


def selector_errors(expression: str, path: str) -> list[FieldError]:
    """Return why an expression is no selector of devices: it does not compile, or may cost too much."""
    try:
        program = cel.compile(expression, variables={"device": _device()}, bindings=True)
    except cel.CelError as error:
        if error.issues:
            return [FieldError.invalid(path, expression, f"compilation failed: {error}")]
        return [FieldError(path, "InternalError", f"Internal error: {error}")]
    found = program.result_type
    if found.kind not in ("bool", "dyn"):
        detail = f"must evaluate to bool or the unknown type, not {found}"
        return [FieldError.invalid(path, expression, detail)]
    if cel.estimate_cost(program, named_entries=True) > COST_MAX:
        return [FieldError.forbidden(path, "too complex, exceeds cost limit")]
    return []
