"""Informers against an API that drops watches, forgets versions, and recreates objects."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from podium.machinery.errors import Object
from podium.resources.core.configmaps import CONFIGMAPS
from podium.runtime.informer import Delta, Informer, Informers
from tests.runtime.fakes import FakeApi, settle


def config(name: str, value: str = "", **metadata: object) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, **metadata},
        "data": {"v": value},
    }


def told(deltas: list[Delta]) -> list[str]:
    """Return the deltas in short: +name, ~name, -name."""
    return [
        ("+" if d.old is None else "-" if d.new is None else "~") + d.object["metadata"]["name"]
        for d in deltas
    ]


@asynccontextmanager
async def following(api: FakeApi, informer: Informer) -> AsyncIterator[list[Delta]]:
    deltas: list[Delta] = []
    informer.subscribe(deltas.append)
    task = asyncio.ensure_future(informer.run())
    await informer.wait_synced()
    try:
        yield deltas
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def test_objects_have_their_kind_and_no_managed_fields() -> None:
    async def go() -> None:
        api = FakeApi()
        api.put(CONFIGMAPS, config("a", managedFields=[{"manager": "x"}]))
        informer = Informer(api.client(), CONFIGMAPS, clock=api.clock)
        async with following(api, informer):
            found = informer.get("default/a")
            assert found is not None
            assert (found["apiVersion"], found["kind"]) == ("v1", "ConfigMap")
            assert "managedFields" not in found["metadata"]
            assert informer.list("default") == [found]
            assert informer.list("other") == []

    asyncio.run(go())


def test_a_dropped_watch_resumes_without_a_list() -> None:
    async def go() -> None:
        api = FakeApi()
        api.put(CONFIGMAPS, config("a"))
        informer = Informer(api.client(), CONFIGMAPS, clock=api.clock)
        async with following(api, informer) as deltas:
            await settle()
            lists = api.lists
            api.break_watches()
            api.put(CONFIGMAPS, config("b"))
            api.change(CONFIGMAPS, "default/a", lambda o: o["data"].update(v="2"))
            await api.clock.advance(5)
            assert told(deltas) == ["+a", "+b", "~a"]
            assert api.lists == lists

    asyncio.run(go())


def test_after_410_the_difference_arrives_as_deltas() -> None:
    async def go() -> None:
        api = FakeApi()
        for name in ("kept", "changed", "removed", "reborn"):
            api.put(CONFIGMAPS, config(name))
        informer = Informer(api.client(), CONFIGMAPS, clock=api.clock)
        async with following(api, informer) as deltas:
            await settle()
            deltas.clear()
            api.hold(CONFIGMAPS)
            api.change(CONFIGMAPS, "default/changed", lambda o: o["data"].update(v="2"))
            api.remove(CONFIGMAPS, "default/removed")
            api.remove(CONFIGMAPS, "default/reborn")
            api.put(CONFIGMAPS, config("reborn"))
            api.put(CONFIGMAPS, config("new"))
            api.compact()
            api.release(CONFIGMAPS)
            api.break_watches()
            await api.clock.advance(10)
            assert sorted(told(deltas)) == ["+new", "+reborn", "-reborn", "-removed", "~changed"]
            assert sorted(o["metadata"]["name"] for o in informer.list()) == [
                "changed",
                "kept",
                "new",
                "reborn",
            ]

    asyncio.run(go())


def test_indexes_follow_every_change() -> None:
    async def go() -> None:
        api = FakeApi()
        informer = Informer(api.client(), CONFIGMAPS, clock=api.clock)
        informer.add_index("value", lambda o: (o["data"]["v"],))
        async with following(api, informer):
            api.put(CONFIGMAPS, config("a", "x"))
            api.put(CONFIGMAPS, config("b", "x"))
            await settle()
            assert len(informer.by_index("value", "x")) == 2
            api.change(CONFIGMAPS, "default/a", lambda o: o["data"].update(v="y"))
            api.remove(CONFIGMAPS, "default/b")
            await settle()
            assert informer.by_index("value", "x") == []
            assert [o["metadata"]["name"] for o in informer.by_index("value", "y")] == ["a"]

    asyncio.run(go())


def test_a_late_subscriber_is_told_what_is_there() -> None:
    async def go() -> None:
        api = FakeApi()
        api.put(CONFIGMAPS, config("a"))
        informer = Informer(api.client(), CONFIGMAPS, clock=api.clock)
        async with following(api, informer):
            late: list[Delta] = []
            informer.subscribe(late.append)
            assert told(late) == ["+a"]

    asyncio.run(go())


def test_a_failing_subscriber_does_not_stop_the_others() -> None:
    async def go() -> None:
        api = FakeApi()
        informer = Informer(api.client(), CONFIGMAPS, clock=api.clock)

        def broken(delta: Delta) -> None:
            raise ValueError("a bug")

        informer.subscribe(broken)
        async with following(api, informer) as deltas:
            api.put(CONFIGMAPS, config("a"))
            await settle()
            assert told(deltas) == ["+a"]

    asyncio.run(go())


def test_wait_version_returns_when_the_cache_has_it() -> None:
    async def go() -> None:
        api = FakeApi()
        informer = Informer(api.client(), CONFIGMAPS, clock=api.clock)
        async with following(api, informer):
            api.hold(CONFIGMAPS)
            version = int(api.put(CONFIGMAPS, config("a"))["metadata"]["resourceVersion"])
            waiting = asyncio.ensure_future(informer.wait_version(version))
            await settle()
            assert not waiting.done()
            api.release(CONFIGMAPS)
            await waiting
            assert informer.get("default/a") is not None

    asyncio.run(go())


def test_refresh_lists_again_although_the_watch_shows_nothing() -> None:
    async def go() -> None:
        api = FakeApi()
        informer = Informer(api.client(), CONFIGMAPS, clock=api.clock)
        async with following(api, informer):
            await settle()
            api.hold(CONFIGMAPS)
            api.put(CONFIGMAPS, config("a"))
            refreshed = asyncio.ensure_future(informer.refresh())
            await api.clock.advance(1)
            await refreshed
            assert informer.get("default/a") is not None

    asyncio.run(go())


def test_one_process_has_one_informer_of_a_resource() -> None:
    async def go() -> None:
        api = FakeApi()
        informers = Informers(api.client(), clock=api.clock)
        first = informers.get(CONFIGMAPS)
        task = asyncio.ensure_future(informers.run())
        await first.wait_synced()
        assert informers.get(CONFIGMAPS) is first
        assert informers.find(CONFIGMAPS) is first
        narrow = informers.get(CONFIGMAPS, namespace="other")  # started although others run already
        assert narrow is not first
        await narrow.wait_synced()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(go())
