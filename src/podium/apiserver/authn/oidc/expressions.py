"""The CEL of an AuthenticationConfiguration: expressions over `claims` and over `user`.

Upstream: apiserver/pkg/authentication/cel.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from podium.machinery import cel
from podium.machinery.cel.literals import children
from podium.machinery.cel.syntax import Ident, Node, Select

_TEXTS = cel.list_of(cel.STRING)
_VARIABLES = {
    "claims": cel.map_of(cel.STRING, cel.DYN),
    "user": cel.object_of(
        "kubernetes.UserInfo",
        {
            "username": cel.STRING,
            "uid": cel.STRING,
            "groups": _TEXTS,
            "extra": cel.map_of(cel.STRING, _TEXTS),
        },
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A compiled expression that must be true, and what is said when it is not."""

    program: cel.Program
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Expressions:
    """What of one issuer's configuration is CEL, compiled. None: a claim is mapped, or nothing is."""

    username: cel.Program | None = None
    groups: cel.Program | None = None
    uid: cel.Program | None = None
    extra: tuple[tuple[str, cel.Program], ...] = ()
    claim_rules: tuple[Rule, ...] = ()
    user_rules: tuple[Rule, ...] = ()

    @property
    def over_claims(self) -> bool:
        return bool(self.username or self.groups or self.uid or self.extra or self.claim_rules)


def compile_expression(
    text: str, variable: Literal["claims", "user"], *, rule: bool, version: str
) -> cel.Program:
    """Return the program; a rule's must be known to be a bool. Raises ValueError with upstream's text."""
    variables: dict[str, cel.Type] = {variable: _VARIABLES[variable]}
    try:
        return cel.compile(text, variables=variables, returns="bool" if rule else "any", version=version)
    except cel.CelError as error:
        raise ValueError(str(error) if error.wrong_type else f"compilation failed: {error}") from None


def selects_claim(programs: Iterable[cel.Program | None], claim: str) -> bool:
    """Tell whether one of the expressions has `claims.NAME` or `claims.?NAME` in it."""
    return any(program is not None and _selects(program.checked.root, claim) for program in programs)


def _selects(node: Node, claim: str) -> bool:
    if isinstance(node, Select) and node.name == claim:
        operand = node.operand
        if isinstance(operand, Ident) and operand.name == "claims":
            return True
    return any(_selects(child, claim) for child in children(node))
