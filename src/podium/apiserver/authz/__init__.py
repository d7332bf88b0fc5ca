"""Who may do what: one file per mode, composed by `build`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from podium.apiserver.authz import reviews
from podium.apiserver.authz.escalation import EscalationCheck
from podium.apiserver.authz.node import NodeAuthorizer
from podium.apiserver.authz.rbac import RbacAuthorizer
from podium.apiserver.chain import (
    MASTERS,
    AdmissionPlugin,
    Answers,
    Authorizer,
    Decision,
    Reader,
    RequestInfo,
    User,
)
from podium.machinery.errors import Object

MODES = ("AlwaysAllow", "AlwaysDeny", "Node", "RBAC")


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorization:
    """What this room contributes to the chain."""

    authorizer: Authorizer
    permits: Callable[[User, RequestInfo], bool]
    answers: Answers = field(default_factory=dict)
    admission: tuple[AdmissionPlugin, ...] = ()
    """The escalation checks; they go behind the admission plugins that change objects."""


@runtime_checkable
class Deciding(Protocol):
    """An authorizer that waits for nothing."""

    def decide(self, user: User, info: RequestInfo) -> Decision:
        """As `authorize`."""
        ...


class Chain:
    """Asks authorizers in order; the first that allows decides, and a denial carries what each had to say.

    Members of `system:masters` are allowed everything before anybody is asked.
    """

    def __init__(self, authorizers: Sequence[Authorizer]) -> None:
        self._authorizers = tuple(authorizers)
        # Up to the first that might have to wait: it has its say before those behind it.
        self._deciding: list[Deciding] = []
        for authorizer in authorizers:
            if not isinstance(authorizer, Deciding):
                break
            self._deciding.append(authorizer)

    def permits(self, user: User, info: RequestInfo) -> bool:
        """Whether somebody allows it without waiting; False leaves it to `authorize`."""
        return MASTERS in user.groups or any(
            authorizer.decide(user, info).allowed for authorizer in self._deciding
        )

    async def authorize(self, user: User, info: RequestInfo) -> Decision:
        if MASTERS in user.groups:
            return _ALLOWED
        reasons: list[str] = []
        for authorizer in self._authorizers:
            decision = await authorizer.authorize(user, info)
            if decision.allowed:
                return decision
            if decision.reason:
                reasons.append(decision.reason)
        return Decision(allowed=False, reason="\n".join(reasons))


class AlwaysAllow:
    async def authorize(self, user: User, info: RequestInfo) -> Decision:
        return _ALLOWED


class AlwaysDeny:
    async def authorize(self, user: User, info: RequestInfo) -> Decision:
        return Decision(allowed=False, reason="Everything is forbidden.")


_ALLOWED = Decision(allowed=True)


def build(
    reader: Reader, *, modes: Sequence[str] = ("Node", "RBAC"), node_rules: Iterable[Object] = ()
) -> Authorization:
    """Compose the authorizers that `--authorization-mode` names, in that order.

    Raises ValueError for a mode that does not exist.
    """
    rbac = RbacAuthorizer(reader)
    chosen: list[Authorizer] = []
    for mode in modes:
        match mode:
            case "AlwaysAllow":
                chosen.append(AlwaysAllow())
            case "AlwaysDeny":
                chosen.append(AlwaysDeny())
            case "Node":
                chosen.append(NodeAuthorizer(reader, node_rules))
            case "RBAC":
                chosen.append(rbac)
            case _:
                raise ValueError(f"unknown authorization mode {mode!r}; known are {', '.join(MODES)}")
    authorizer = Chain(chosen)
    has_rbac = "RBAC" in modes
    return Authorization(
        authorizer=authorizer,
        permits=authorizer.permits,
        answers=reviews.answers(authorizer, rbac if has_rbac else None),
        admission=(EscalationCheck(rbac, authorizer),) if has_rbac else (),
    )
