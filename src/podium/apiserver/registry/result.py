"""What a verb answers: an entry's bytes where nobody needs to look inside, else an object."""

from __future__ import annotations

from dataclasses import dataclass

from podium.apiserver.cacher.entry import Entry
from podium.apiserver.registry.served import Served
from podium.machinery.errors import Object


@dataclass(slots=True, kw_only=True)
class Result:
    """Exactly one of `entry` and `object` is set."""

    served: Served
    entry: Entry | None = None
    object: Object | None = None
    """In the version of `served`, or a kind of its own (a Status, a Scale, a Binding)."""
    created: bool = False

    def as_object(self) -> Object:
        """Return the answer as a fresh or owned object."""
        if self.object is None:
            assert self.entry is not None
            self.object = self.served.object(self.entry)
        return self.object
