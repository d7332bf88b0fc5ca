"""CEL as Kubernetes uses it: rules of custom resources, admission policies, match conditions, authentication.

    program = cel.compile("self.replicas <= self.max", variables={"self": type_}, returns="bool")
    program.evaluate({"self": {"replicas": 3, "max": 5}}, cost_limit=cel.CALL_COST_MAX).value  # True

`types_from_schema` makes the type of a variable from its OpenAPI schema; `DYN` is a variable without one.
Bindings are values as they stand in objects on the wire. Importing this package is cheap; the compiler comes
with the first `compile`. Why it is an evaluator of our own: docs/adr/0005-cel.md.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from podium.machinery.cel.errors import CelError, CelRuntimeError, CostExceeded, Issue
from podium.machinery.cel.types import (
    BOOL,
    DYN,
    INT,
    QUANTITY,
    REQUEST_BYTES_MAX,
    STRING,
    Type,
    escape,
    list_of,
    map_of,
    object_of,
    optional_of,
    types_from_schema,
)

if TYPE_CHECKING:
    from podium.machinery.cel.program import Program, Result

__all__ = [
    "BOOL",
    "CALL_COST_MAX",
    "CRD_COST_MAX",
    "DYN",
    "INT",
    "OBJECT_COST_MAX",
    "QUANTITY",
    "RULE_COST_MAX",
    "STRING",
    "CelError",
    "CelRuntimeError",
    "CostExceeded",
    "Issue",
    "Program",
    "Result",
    "Type",
    "cardinality_max",
    "compile",
    "escape",
    "escaped_maps",
    "estimate_cost",
    "list_of",
    "map_of",
    "none",
    "object_of",
    "optional_of",
    "quoted",
    "some",
    "types_from_schema",
]

# Upstream's limits. The run-time cost of one evaluation, and of all rules for one object or request:
CALL_COST_MAX = 1_000_000
OBJECT_COST_MAX = 10_000_000
# The estimated cost of one rule times its cardinality, and of all rules of a definition:
RULE_COST_MAX = 10_000_000
CRD_COST_MAX = 100_000_000


def compile(
    expression: str,
    *,
    variables: Mapping[str, Type],
    returns: Literal["bool", "string", "any"] = "any",
    version: str = "1.36",
    mutation: bool = False,
    bindings: bool = False,
) -> Program:
    """Parse and check `expression`. Raises CelError with upstream's text.

    `returns` is the type that the whole must have: a dynamic value is no bool. `version` chooses the
    libraries that upstream's release of that name has. `mutation` adds what mutating policies use: `Object{}`
    and `JSONPatch{}`; `bindings` the macro `cel.bind`.
    """
    from podium.machinery.cel import program  # noqa: PLC0415 - the compiler comes with its first use

    return program.compile(
        expression,
        variables=variables,
        returns=returns,
        version=version,
        mutation=mutation,
        bindings=bindings,
    )


def estimate_cost(program: Program, *, named_entries: bool = False) -> int:
    """Return the most that an evaluation can cost, given the sizes that the variables' types allow.

    `named_entries` is for devices: the entry of a map that is written as a field has a known size there.
    """
    from podium.machinery.cel import estimate  # noqa: PLC0415 - see compile

    return estimate.cost_max(program.checked, program.variables, named_entries=named_entries)


def cardinality_max(type_: Type) -> int:
    """Return how many values of the type a request can hold: the factor of a rule in an unbounded list."""
    return REQUEST_BYTES_MAX // (type_.size_min + 1)


def quoted(text: str) -> str:
    """Return a text in quotation marks, as upstream prints expressions in messages (Go's %q, nearly)."""
    return json.dumps(text, ensure_ascii=False)


def some(value: object) -> object:
    """Return the optional that holds `value`, to bind to a variable of an optional type."""
    from podium.machinery.cel.values import Optional  # noqa: PLC0415 - see compile

    return Optional(value)


def escaped_maps(value: object) -> object:
    """Return a JSON value whose maps also answer to escaped keys, `a__dot__b` for `a.b`, at every depth."""
    from podium.machinery.cel.values import escaped_maps  # noqa: PLC0415 - see compile

    return escaped_maps(value)


def none() -> object:
    """Return the empty optional."""
    from podium.machinery.cel.values import NONE  # noqa: PLC0415 - see compile

    return NONE
