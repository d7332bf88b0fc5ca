"""The chain of authorizers: they are asked in order, and the first that has an opinion decides.

Upstream: apiserver/pkg/authorization/union.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from podium.apiserver.authz.messages import aggregate
from podium.apiserver.authz.metrics import AuthorizationMetrics
from podium.apiserver.chain import MASTERS, Authorizer, Decision, HeldRules, RequestInfo, User

ALLOWED = Decision(allowed=True)


@runtime_checkable
class Deciding(Protocol):
    """An authorizer that waits for nothing."""

    def decide(self, user: User, info: RequestInfo) -> Decision:
        """As `authorize`."""
        ...


class Mode(Authorizer, Protocol):
    """An authorizer of a chain."""

    def rules_for(self, user: User, namespace: str) -> HeldRules:
        """Return what `user` may do in a namespace."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """An authorizer, and what it is called in the configuration and in figures."""

    type: str
    name: str
    mode: Mode


class Chain:
    """Asks authorizers in order until one allows or denies; if none does, tells what each had to say.

    Members of `system:masters` are allowed everything before anybody is asked.
    """

    def __init__(self, links: Sequence[Link], metrics: AuthorizationMetrics) -> None:
        self._metrics = metrics
        self.replace(links)

    def replace(self, links: Sequence[Link]) -> None:
        """Ask these from now on."""
        self.links = tuple(links)
        self._counted = [(link.mode, self._metrics.decisions_of(link.type, link.name)) for link in links]
        # Up to the first that might have to wait: it has its say before those behind it.
        self._deciding = []
        for mode, decisions in self._counted:
            if not isinstance(mode, Deciding):
                break
            self._deciding.append((mode, decisions))

    def permits(self, user: User, info: RequestInfo) -> bool:
        """Whether somebody allows it without waiting; False leaves it to `authorize`."""
        if MASTERS in user.groups:
            return True
        for mode, decisions in self._deciding:
            decision = mode.decide(user, info)
            if decision.allowed:
                decisions.allowed.value += 1
                return True
            if decision.denied:
                return False
        return False

    async def authorize(self, user: User, info: RequestInfo) -> Decision:
        if MASTERS in user.groups:
            return ALLOWED
        reasons: list[str] = []
        errors: list[str] = []
        for mode, decisions in self._counted:
            decision = await mode.authorize(user, info)
            if decision.allowed:
                decisions.allowed.value += 1
                return decision
            if decision.denied:
                decisions.denied.value += 1
                return decision
            if decision.reason:
                reasons.append(decision.reason)
            if decision.error:
                errors.append(decision.error)
        return Decision(allowed=False, reason="\n".join(reasons), error=aggregate(errors))

    def rules_for(self, user: User, namespace: str) -> HeldRules:
        """Return what the authorizers together let `user` do in a namespace."""
        held = [link.mode.rules_for(user, namespace) for link in self.links]
        return HeldRules(
            rules=tuple(rule for one in held for rule in one.rules),
            incomplete=any(one.incomplete for one in held),
            errors=tuple(error for one in held for error in one.errors),
        )


class AlwaysAllow:
    """Allows everything."""

    async def authorize(self, user: User, info: RequestInfo) -> Decision:
        return ALLOWED

    def decide(self, user: User, info: RequestInfo) -> Decision:
        return ALLOWED

    def rules_for(self, user: User, namespace: str) -> HeldRules:
        everything = ({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},)
        return HeldRules(rules=(*everything, {"verbs": ["*"], "nonResourceURLs": ["*"]}))


class AlwaysDeny:
    """Allows nothing: it has no opinion, which from the last of a chain is a refusal."""

    async def authorize(self, user: User, info: RequestInfo) -> Decision:
        return self.decide(user, info)

    def decide(self, user: User, info: RequestInfo) -> Decision:
        return Decision(allowed=False, reason="Everything is forbidden.")

    def rules_for(self, user: User, namespace: str) -> HeldRules:
        return HeldRules()
