"""Random names."""

from __future__ import annotations

import uuid

from podium.base.ids import new_uid


def test_uids_are_random_uuids_of_version_4() -> None:
    uids = [new_uid() for _ in range(1000)]
    assert len(set(uids)) == 1000
    for text in uids:
        parsed = uuid.UUID(text)
        assert (str(parsed), parsed.version, parsed.variant) == (text, 4, uuid.RFC_4122)
    for place in (0, 9, 15, 20, 35):
        assert len({text[place] for text in uids}) > 8
    assert {text[19] for text in uids} == set("89ab")
