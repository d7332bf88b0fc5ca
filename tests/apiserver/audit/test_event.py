"""Events and their parts: lines, objects, addresses, durations, truncation."""

from __future__ import annotations

import logging

import orjson
import pytest

from podium.apiserver.audit import latency, objects
from podium.apiserver.audit.event import TRUNCATED, Event, event_list
from podium.apiserver.audit.source import source_ips, user_agent
from podium.apiserver.audit.truncate import Sizes, Truncating, batches
from podium.base.http.message import Headers, Request
from podium.machinery.codec import cbor
from podium.machinery.errors import Object
from tests.apiserver.audit.helpers import Counted, Sink, event, run


def test_objects_stand_where_upstream_has_them() -> None:
    made = Event(
        {"level": "Request", "requestReceivedTimestamp": "t", "stageTimestamp": "t"},
        request=b'{"a":1}',
        response=b'{"b":2}',
    )
    assert made.encoded == (
        b'{"level":"Request","requestObject":{"a":1},"responseObject":{"b":2},'
        b'"requestReceivedTimestamp":"t","stageTimestamp":"t"}'
    )
    assert orjson.loads(event_list([made, made])) == {
        "kind": "EventList",
        "apiVersion": "audit.k8s.io/v1",
        "metadata": {},
        "items": [orjson.loads(made.encoded)] * 2,
    }


def test_what_utf_8_has_no_place_for_loses_no_event() -> None:
    made = event(user={"username": "\ud800", "groups": ["a", "\udfff"]}, objects=3)
    whole = orjson.loads(made.encoded)
    assert whole["user"] == {"username": "?", "groups": ["a", "?"]}
    assert whole["requestObject"] == {"data": "xxx"}
    assert 'user="?"' in made.line()


LINES = [
    (
        {},
        '2026-03-01T12:00:00.25Z AUDIT: id="a" stage="ResponseComplete" ip="<unknown>" method="get" '
        'user="alice" groups="\\"a\\",\\"b\\"" as="<self>" asgroups="<lookup>" user-agent="" '
        'namespace="<none>" uri="/api" response="<deferred>"',
    ),
    (
        {
            "user": {},
            "impersonatedUser": {"username": "bob", "groups": ["c"]},
            "sourceIPs": ["192.0.2.1", "192.0.2.2"],
            "userAgent": 'a"b',
            "objectRef": {"namespace": "default"},
            "responseStatus": {"code": 403},
            "requestReceivedTimestamp": "2026-03-01T12:00:00.000000Z",
        },
        '2026-03-01T12:00:00Z AUDIT: id="a" stage="ResponseComplete" ip="192.0.2.1" method="get" '
        'user="<none>" groups="<none>" as="bob" asgroups="\\"c\\"" user-agent="a\\"b" namespace="default" '
        'uri="/api" response="403"',
    ),
]


@pytest.mark.parametrize(("fields", "line"), LINES)
def test_the_line_of_old(fields: Object, line: str) -> None:
    assert event(**fields).line() == line


PEER, ONE, TWO = "192.0.2.7", "198.51.100.1", "198.51.100.2"
ADDRESSES = [
    ({}, f"{PEER}:1", [PEER]),
    ({}, "[2001:db8::1]:1", ["2001:db8::1"]),
    ({}, PEER, [PEER]),
    ({}, "", []),
    ({"x-forwarded-for": f"{ONE}, {TWO}"}, f"{PEER}:1", [ONE, TWO, PEER]),
    ({"x-forwarded-for": f"who, {ONE},"}, f"{PEER}:1", [ONE, PEER]),
    ({"x-forwarded-for": f"{ONE}, {PEER}"}, f"{PEER}:1", [ONE, PEER]),
    ({"x-real-ip": ONE}, f"{PEER}:1", [ONE, PEER]),
    ({"x-real-ip": ONE, "x-forwarded-for": f"{ONE}, ::1"}, f"{PEER}:1", [ONE, "::1", PEER]),
    ({"x-real-ip": f"::ffff:{PEER}"}, f"{PEER}:1", [PEER]),
]


@pytest.mark.parametrize(("headers", "remote", "expected"), ADDRESSES)
def test_where_a_request_came_from(headers: dict[str, str], remote: str, expected: list[str]) -> None:
    request = Request(method="GET", target="/", headers=Headers(headers.items()), remote=remote)
    assert source_ips(request) == expected


def test_long_user_agents_are_cut() -> None:
    request = Request(method="GET", target="/", headers=Headers([("user-agent", "x" * 1025)]))
    assert user_agent(request) == "x" * 1024 + "...TRUNCATED"


MANAGED = {"metadata": {"name": "a", "managedFields": [1]}}
BARE = {"metadata": {"name": "a"}}


@pytest.mark.parametrize(
    ("kept", "left"),
    [
        (MANAGED, BARE),
        ({"items": [MANAGED, BARE], "metadata": {}}, {"items": [BARE, BARE], "metadata": {}}),
        (
            {"kind": "Table", "rows": [{"cells": [], "object": MANAGED}, {"cells": []}]},
            {"kind": "Table", "rows": [{"cells": [], "object": BARE}, {"cells": []}]},
        ),
        ({"data": {"managedFields": 1}}, {"data": {"managedFields": 1}}),
    ],
)
def test_managed_fields_are_left_out(kept: Object, left: Object) -> None:
    before = orjson.dumps(kept)
    assert orjson.loads(objects.encoded(kept, omits_managed_fields=True)) == left
    assert orjson.loads(objects.answered(before, omits_managed_fields=True)) == left
    assert objects.answered([before], omits_managed_fields=False) == before
    assert orjson.dumps(kept) == before, "what others hold has been changed"


PATCHES = [
    (b'{"a": 1}', "application/merge-patch+json", b'{"a": 1}'),
    (b'{"a":\n1}', "application/merge-patch+json", b'{"a":1}'),
    (b"a: 1\nb: x", "application/apply-patch+yaml", b'{"a":1,"b":"x"}'),
    (b'{"a":1}', "application/apply-patch+yaml", b'{"a":1}'),
    (cbor.encode({"a": 1}), "application/apply-patch+cbor", b'{"a":1}'),
    (b'{"a"', "application/merge-patch+json", b'"{\\"a\\""'),
    (b"\xff", "application/json-patch+json", '"\ufffd"'.encode()),
]


@pytest.mark.parametrize(("raw", "media_type", "expected"), PATCHES)
def test_patches_are_kept_as_they_are_if_they_are_json(raw: bytes, media_type: str, expected: bytes) -> None:
    assert objects.encoded_patch(raw, media_type) == expected


def test_statuses() -> None:
    status = b'{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","code":404}'
    assert objects.status_in([status[:30], status[30:]]) == {
        "metadata": {},
        "status": "Failure",
        "code": 404,
    }
    assert objects.status_in(b'{"kind":"Pod"}') is None
    assert objects.status_in(()) is None
    assert not objects.is_object(b'{"major":"1"}')
    assert objects.is_object(b'{"kind":"APIResourceList"}')


DURATIONS = [
    (0, "0s"),
    (8e-7, "800ns"),
    (0.00001225, "12.25µs"),
    (0.5, "500ms"),
    (1.5, "1.5s"),
    (62.25, "1m2.25s"),
    (60, "1m0s"),
    (3600, "1h0m0s"),
]


@pytest.mark.parametrize(("seconds", "text"), DURATIONS)
def test_durations_as_go_writes_them(seconds: float, text: str) -> None:
    assert latency.go_duration(seconds) == text


def test_only_slow_requests_tell_where_the_time_went() -> None:
    prefix = "apiserver.latency.k8s.io/"
    assert latency.notes({"etcd": 0.4}, 0.5) == {}
    assert latency.notes({}, 0.6) == {}
    assert latency.notes({"etcd": 0.4, "authentication": 0.0}, 0.6) == {
        f"{prefix}etcd": "400ms",
        f"{prefix}total": "600ms",
    }


# --- truncation


def test_long_events_lose_their_objects_and_long_batches_are_cut() -> None:
    small, large = event("small"), event("large", objects=2000)
    huge = event("huge", userAgent="x" * 2000)
    lost: list[Event] = []
    sizes = Sizes(batch_bytes_max=700, event_bytes_max=600)
    made = batches([small, large, small, huge, small], sizes, lost)
    assert [[one.fields["auditID"] for one in batch] for batch in made] == [
        ["small", "large"],
        ["small", "small"],
    ]
    assert [one.fields["auditID"] for one in lost] == ["huge"]
    shortened = orjson.loads(made[0][1].encoded)
    assert shortened["annotations"] == {TRUNCATED: "true"}
    assert "requestObject" not in shortened
    assert large.has_objects, "others may hold the whole event"


def test_what_is_too_long_even_so_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        counted, sink = Counted(), Sink()
        truncating = Truncating(sink, Sizes(event_bytes_max=600), counted.losses)
        with caplog.at_level(logging.ERROR):
            assert await truncating.process([event("huge", userAgent="x" * 2000), event("a")])
        assert sink.names == ["a"]
        assert counted.lost("truncate") == 1
        sink.fails = True
        assert not await truncating.process([event("b")])
        await truncating.close()
        assert sink.closed

    run(main)
