"""Events: upstream's form, counted when repeated, combined when similar, limited for each object."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from podium.machinery.errors import Object
from podium.resources.core.events import EVENTS
from podium.runtime.events import QUEUE_MAX, Recorder
from tests.runtime.fakes import FakeApi, api_error, settle

POD: Object = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p", "namespace": "ns", "uid": "u", "resourceVersion": "7"},
}


@asynccontextmanager
async def recording(api: FakeApi, *, writers: int = 1, queue_max: int = QUEUE_MAX) -> AsyncIterator[Recorder]:
    recorder = Recorder(
        api.client(), component="kubelet", host="n1", clock=api.clock, writers=writers, queue_max=queue_max
    )
    task = asyncio.ensure_future(recorder.run())
    try:
        yield recorder
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def test_an_event_has_upstreams_form() -> None:
    async def go() -> None:
        api = FakeApi()
        async with recording(api) as recorder:
            recorder.event(POD, "Normal", "Started", "Started container c")
            await settle()
        (event,) = api.all(EVENTS)
        assert event["metadata"]["name"].startswith("p.")
        assert int(event["metadata"]["name"].removeprefix("p."), 16) > 0
        assert event["metadata"]["namespace"] == "ns"
        assert event["involvedObject"] == {
            "kind": "Pod",
            "namespace": "ns",
            "name": "p",
            "uid": "u",
            "apiVersion": "v1",
            "resourceVersion": "7",
        }
        assert event["source"] == {"component": "kubelet", "host": "n1"}
        assert (event["count"], event["type"], event["reason"]) == (1, "Normal", "Started")
        assert event["reportingComponent"] == "kubelet"
        assert event["firstTimestamp"] == event["lastTimestamp"] == "2026-01-01T00:00:00Z"

    asyncio.run(go())


def test_the_same_event_again_is_counted() -> None:
    async def go() -> None:
        api = FakeApi()
        async with recording(api) as recorder:
            for _ in range(3):
                recorder.event(POD, "Warning", "BackOff", "Back-off restarting")
                await api.clock.advance(5)
        (event,) = api.all(EVENTS)
        assert event["count"] == 3
        assert event["lastTimestamp"] == "2026-01-01T00:00:10Z"

    asyncio.run(go())


def test_a_counted_event_that_has_expired_is_made_anew_with_its_count() -> None:
    async def go() -> None:
        api = FakeApi()
        async with recording(api) as recorder:
            recorder.event(POD, "Warning", "BackOff", "Back-off restarting")
            await settle()
            (event,) = api.all(EVENTS)
            api.remove(EVENTS, f"ns/{event['metadata']['name']}")
            recorder.event(POD, "Warning", "BackOff", "Back-off restarting")
            await settle()
        (event,) = api.all(EVENTS)
        assert event["count"] == 2

    asyncio.run(go())


def test_events_that_differ_in_their_message_only_are_combined() -> None:
    async def go() -> None:
        api = FakeApi()
        async with recording(api) as recorder:
            for number in range(15):
                recorder.event(POD, "Normal", "Pulled", f"image {number}")
                await settle()
        combined = [e for e in api.all(EVENTS) if e["message"].startswith("(combined from similar events): ")]
        assert len(api.all(EVENTS)) == 10
        assert [e["count"] for e in combined] == [6]

    asyncio.run(go())


def test_one_object_may_not_flood() -> None:
    async def go() -> None:
        api = FakeApi()
        async with recording(api) as recorder:
            for number in range(40):
                recorder.event(POD, "Normal", f"Reason{number}", "x")
                await settle()
            assert len(api.all(EVENTS)) == 25
            assert recorder.dropped == 15
            await api.clock.advance(301)
            recorder.event(POD, "Normal", "Later", "x")
            await settle()
        assert len(api.all(EVENTS)) == 26

    asyncio.run(go())


def test_a_full_queue_drops_and_never_blocks() -> None:
    async def go() -> None:
        recorder = Recorder(FakeApi().client(), component="x")
        for _ in range(QUEUE_MAX + 5):
            recorder.event(POD, "Normal", "R", "m")
        assert recorder.dropped == 5

    asyncio.run(go())


def test_a_refused_event_is_given_up_and_a_failed_one_tried_again() -> None:
    async def go() -> None:
        api = FakeApi()
        async with recording(api) as recorder:
            api.fail = lambda verb, resource, obj: api_error(403)
            recorder.event(POD, "Normal", "Refused", "m")
            await settle()
            api.fail = lambda verb, resource, obj: ConnectionError("gone")
            recorder.event(POD, "Normal", "Later", "m")
            await settle()
            api.fail = lambda verb, resource, obj: None
            await api.clock.advance(2)
        assert [event["reason"] for event in api.all(EVENTS)] == ["Later"]

    asyncio.run(go())


def test_several_writers_write_at_a_time_and_the_counts_of_one_event_in_order() -> None:
    async def go() -> None:
        api = FakeApi()
        pods = [
            {**POD, "metadata": {"name": f"p{n}", "namespace": "ns", "uid": f"u{n}"}} for n in range(1500)
        ]
        async with recording(api, writers=16, queue_max=20_000) as recorder:
            for _ in range(3):
                for pod in pods:
                    recorder.event(pod, "Normal", "Scheduled", "Successfully assigned")
            turns = 0
            while len(api.writes) < 3 * len(pods):
                await settle(1)
                turns += 1
        assert recorder.dropped == 0
        assert {event["count"] for event in api.all(EVENTS)} == {3}
        assert turns < len(api.writes), "one after the other, each takes some turns"

    asyncio.run(go())
