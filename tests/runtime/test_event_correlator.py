"""What becomes of events: combined, counted, limited, with upstream's numbers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from podium.machinery.errors import Object
from podium.runtime.event_correlator import Correlator, Said, Told

START = datetime(2026, 1, 1, tzinfo=UTC)
POD: Object = {"kind": "Pod", "namespace": "ns", "name": "p", "uid": "u", "apiVersion": "v1"}


class Speaker:
    """Tells events at moments of a clock that starts at zero."""

    def __init__(self) -> None:
        self.correlator = Correlator()

    def tell(self, at_s: float, reason: str = "R", message: str = "m", **other: str) -> Told | None:
        type = other.pop("type", "Normal")
        at = START + timedelta(seconds=at_s)
        said = Said(reference={**POD, **other}, type=type, reason=reason, message=message, at=at)
        return self.correlator.correlate(said, at_s)


def test_messages_are_similar_while_each_follows_the_last_within_ten_minutes() -> None:
    speaker = Speaker()
    for number in range(9):
        told = speaker.tell(number * 500, message=f"image {number}")
        assert told is not None and not told.combined
    tenth = speaker.tell(9 * 500, message="image 9")
    assert tenth is not None and tenth.combined
    assert tenth.said.message == "(combined from similar events): image 9"
    late = speaker.tell(9 * 500 + 601, message="image 10")
    assert late is not None and not late.combined


def test_the_field_does_not_tell_similar_events_apart_but_equal_ones() -> None:
    speaker = Speaker()
    first = speaker.tell(0, fieldPath="spec.containers{a}")
    second = speaker.tell(1, fieldPath="spec.containers{b}")
    assert first is not None and second is not None
    assert (first.count, second.count) == (1, 1)
    for number in range(9):
        speaker.tell(2, message=f"image {number}", fieldPath=f"spec.containers{{{number}}}")
    combined = speaker.tell(3, message="image", fieldPath="spec.containers{x}")
    assert combined is not None and combined.combined


def test_what_the_limit_drops_has_been_counted() -> None:
    speaker = Speaker()
    told = [speaker.tell(0) for _ in range(30)]
    assert [one.count for one in told if one is not None] == list(range(1, 26))
    later = speaker.tell(300)
    assert later is not None and later.count == 31
    assert speaker.tell(301) is None, "one each five minutes"


def test_each_type_of_an_object_has_a_limit_of_its_own() -> None:
    speaker = Speaker()
    assert sum(speaker.tell(0, reason=f"R{n}") is not None for n in range(40)) == 25
    assert speaker.tell(0, type="Warning") is not None
    assert speaker.tell(0, name="other") is not None
    assert speaker.tell(0, fieldPath="spec.containers{a}") is None


def test_a_name_that_would_be_too_long_is_a_uid() -> None:
    speaker = Speaker()
    short, long = speaker.tell(0, name="p"), speaker.tell(0, name="p" * 250)
    assert short is not None and short.name.startswith("p.")
    assert long is not None and len(long.name) == 36
