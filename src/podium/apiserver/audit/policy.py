"""Which requests are audited, and at which level: the first rule that matches decides. Pure.

Upstream: apiserver/pkg/audit/policy/checker.go.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from podium.apiserver.audit.levels import Level
from podium.apiserver.chain import RequestInfo, User


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """What a policy says about one request."""

    level: Level = Level.NONE
    omitted: frozenset[str] = frozenset()
    """Stages of which there is no event."""
    omits_managed_fields: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupResources:
    """Resources of one group ("*": of any); none named means all of them."""

    group: str = ""
    resources: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    def match(self, info: RequestInfo) -> bool:
        if self.group not in (info.api_group, "*"):
            return False
        if not self.resources:
            return True
        if self.names and info.name not in self.names:
            return False
        return any(_names_resource(pattern, info) for pattern in self.resources)


def _names_resource(pattern: str, info: RequestInfo) -> bool:
    """Whether `pods`, `pods/log`, `pods/*`, `*/scale` or `*` is what a request is about."""
    resource, subresource = info.resource, info.subresource
    if pattern in ("*", f"{resource}/{subresource}" if subresource else resource):
        return True
    if subresource and pattern == f"*/{subresource}":
        return True
    return pattern == f"{resource}/*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule of a policy; what it does not name it does not look at."""

    ruling: Ruling
    users: frozenset[str] = frozenset()
    user_groups: frozenset[str] = frozenset()
    verbs: frozenset[str] = frozenset()
    resources: tuple[GroupResources, ...] = ()
    namespaces: frozenset[str] = frozenset()
    """Of what is in no namespace, the namespace is ""."""
    paths: tuple[str, ...] = ()

    def match(self, user: User | None, info: RequestInfo) -> bool:
        if self.users and (user is None or user.name not in self.users):
            return False
        if self.user_groups and (user is None or self.user_groups.isdisjoint(user.groups)):
            return False
        if self.verbs and info.verb not in self.verbs:
            return False
        if self.namespaces or self.resources:
            return self._match_resource(info)
        if self.paths:
            return not info.is_resource and any(_is_below(info.path, pattern) for pattern in self.paths)
        return True

    def _match_resource(self, info: RequestInfo) -> bool:
        if not info.is_resource or (self.namespaces and info.namespace not in self.namespaces):
            return False
        return not self.resources or any(one.match(info) for one in self.resources)


def _is_below(path: str, pattern: str) -> bool:
    if pattern in ("*", path):
        return True
    return pattern.endswith("*") and path.startswith(pattern.rstrip("*"))


class Policy:
    """The rules of one policy file, in their order."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = tuple(rules)

    def ruling(self, user: User | None, info: RequestInfo) -> Ruling:
        """Return what holds for a request; `user` is None where nobody knows who asks."""
        for rule in self._rules:
            if rule.match(user, info):
                return rule.ruling
        return _UNMATCHED


_UNMATCHED = Ruling()
