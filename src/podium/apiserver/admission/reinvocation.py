"""What a plugin that changes objects remembers between its two rounds."""

from __future__ import annotations

from dataclasses import dataclass, field

from podium.apiserver.chain import Attributes, Reinvocation
from podium.machinery.errors import Object
from podium.machinery.meta import deep_copy


@dataclass(slots=True)
class Memory:
    """Of webhooks, or of uses of policies, by name."""

    reinvocable: set[str] = field(default_factory=set)
    """Those that have had their turn and want to see later changes."""
    wanted: set[str] = field(default_factory=set)
    """Those that have their turn in the second round."""
    last: Object | None = None
    """The object as they left it."""

    def start(self, attributes: Attributes, reinvocation: Reinvocation) -> None:
        """A round begins: what others have changed meanwhile counts as well."""
        if reinvocation.again and self.last is not None and self.last != attributes.object:
            self.require()

    def require(self) -> None:
        """Something has changed behind those that had their turn."""
        self.wanted |= self.reinvocable
        self.reinvocable.clear()

    def finish(self, attributes: Attributes) -> None:
        """A round is over."""
        self.last = deep_copy(attributes.object) if self.reinvocable else None
