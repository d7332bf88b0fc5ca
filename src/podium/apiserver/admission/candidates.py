"""Of many webhooks or policies, those that a write can concern at all.

Their rules name operations and resources, which is nearly always what decides; so that is looked up, once for
each kind of write, and only who is left looks at the object, its namespace and its name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from podium.apiserver.admission.matching import Matcher
from podium.apiserver.chain import Attributes
from podium.machinery.resource import Resource

T = TypeVar("T")

_Key = tuple[str, str, str, str, str]


class Candidates(Generic[T]):
    """`everyone`, by what they want."""

    def __init__(self, everyone: Sequence[T], matcher_of: Callable[[T], Matcher | None]) -> None:
        """Who has no matcher, or one without rules, is always a candidate."""
        self.everyone = everyone
        self._matcher_of = matcher_of
        self._known: dict[_Key, tuple[Sequence[Resource], Sequence[T]]] = {}

    def of(self, attributes: Attributes) -> Sequence[T]:
        """Return who can want the write, in their order."""
        resource, host = attributes.resource, attributes.host
        equivalents: Sequence[Resource] = ()
        if host is not None:
            # The very same until resources come or go.
            equivalents = host.equivalents(resource, attributes.subresource)
        key = (
            attributes.operation,
            resource.group,
            resource.version,
            resource.plural,
            attributes.subresource,
        )
        known = self._known.get(key)
        if known is not None and known[0] is equivalents:
            return known[1]
        found = [one for one in self.everyone if self._can_want(one, attributes, equivalents)]
        self._known[key] = (equivalents, found)
        return found

    def _can_want(self, one: T, attributes: Attributes, equivalents: Sequence[Resource]) -> bool:
        matcher = self._matcher_of(one)
        if matcher is None or matcher.rules is None:
            return True
        seen_as = (attributes.resource, *(equivalents if matcher.equivalent else ()))
        return any(
            rule.names_write(attributes.operation, resource, attributes.subresource)
            for rule in matcher.rules
            for resource in seen_as
        )
