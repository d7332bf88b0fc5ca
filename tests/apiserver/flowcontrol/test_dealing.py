"""Hands of queues: upstream's for the same flow, without doubles, spread evenly."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest

from podium.apiserver.flowcontrol.dealing import deal, flow_hash


@pytest.mark.parametrize(("deck", "hand"), [(1, 1), (4, 4), (5, 3), (7, 2), (20, 1)])
def test_every_hand_is_dealt_once(deck: int, hand: int) -> None:
    possible = list(itertools.permutations(range(deck), hand))
    assert sorted(deal(entropy, deck, hand) for entropy in range(len(possible))) == possible


def test_a_flow_has_the_same_hand_everywhere_and_another_flow_another() -> None:
    assert flow_hash("global-default", "alice") == flow_hash("global-default", "alice")
    assert flow_hash("a", "b") != flow_hash("ab", "")
    hands = {deal(flow_hash("s", f"user-{n}"), 128, 6) for n in range(1000)}
    assert len(hands) == 1000


def test_queues_are_dealt_evenly() -> None:
    dealt = Counter(card for n in range(4000) for card in deal(flow_hash("s", f"user-{n}"), 64, 6))
    each = 4000 * 6 / 64
    assert len(dealt) == 64
    assert all(each * 0.8 < count < each * 1.2 for count in dealt.values())
