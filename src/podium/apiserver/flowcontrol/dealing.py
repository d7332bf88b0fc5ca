"""Shuffle sharding: which of a level's queues a flow may use, dealt like a hand of cards.

Two flows share a whole hand only by rare accident, so that one which fills all its queues leaves nearly every
other flow some that are empty. Upstream: apiserver/pkg/util/shufflesharding.
"""

from __future__ import annotations

from hashlib import sha256


def flow_hash(schema: str, distinguisher: str) -> int:
    """Return the 64 bits of entropy that a flow's hand is dealt from; the same in every API server."""
    return int.from_bytes(sha256(f"{schema}\0{distinguisher}".encode()).digest()[:8], "little")


def deal(entropy: int, deck_size: int, hand_size: int) -> tuple[int, ...]:
    """Return `hand_size` different cards of 0 to `deck_size` - 1."""
    remainders: list[int] = []
    for dealt in range(hand_size):
        entropy, remainder = divmod(entropy, deck_size - dealt)
        remainders.append(remainder)
    hand: list[int] = []
    for index, remainder in enumerate(remainders):
        card = remainder
        # It counts the cards that are left: each one that was dealt and is not above it moves it up.
        for previous in reversed(remainders[:index]):
            if card >= previous:
                card += 1
        hand.append(card)
    return tuple(hand)
