"""How much is kept of a request, and at which points of its life."""

from __future__ import annotations

from enum import IntEnum


class Level(IntEnum):
    """Each level keeps what the one before it does."""

    NONE = 0
    METADATA = 1
    REQUEST = 2
    """And what the client sent."""
    REQUEST_RESPONSE = 3
    """And what it was answered."""

    @property
    def word(self) -> str:
        """The level's name in policies and events."""
        return WORDS[self]


WORDS = {
    Level.NONE: "None",
    Level.METADATA: "Metadata",
    Level.REQUEST: "Request",
    Level.REQUEST_RESPONSE: "RequestResponse",
}
BY_WORD = {word: level for level, word in WORDS.items()}

RECEIVED = "RequestReceived"
STARTED = "ResponseStarted"
"""The head of an answer that lasts has left."""
COMPLETE = "ResponseComplete"
PANIC = "Panic"
STAGES = (RECEIVED, STARTED, COMPLETE, PANIC)
