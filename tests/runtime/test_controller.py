"""The runner's promises to controllers: serial keys, full caches, own writes seen, retries."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from podium.resources.core.configmaps import CONFIGMAPS
from podium.resources.core.secrets import SECRETS
from podium.runtime.controller import Caches, Context, Controller, Environment, Watch, own_key
from podium.runtime.informer import Delta, Informers
from tests.controllers.builders import running
from tests.runtime.fakes import FakeApi, settle

CONFIG = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}


def maker(made: list[str]) -> Controller:
    """Return a controller that makes one Secret for each ConfigMap, if its cache shows none."""

    async def reconcile(context: Context, key: str) -> float | None:
        if context.caches[CONFIGMAPS].get(key) is None:
            return None
        owned = [s for s in context.caches[SECRETS].list() if s["metadata"]["generateName"] == "a-"]
        if not owned:
            secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"generateName": "a-"}}
            await context.client.create(SECRETS, secret, "default")
            made.append(key)
        return None

    def of_secret(delta: Delta, _caches: Caches) -> Iterable[str]:
        return ("default/a",)

    return Controller(
        name="maker",
        watches=(
            Watch(resource=CONFIGMAPS, keys_of=own_key),
            Watch(resource=SECRETS, keys_of=of_secret),
        ),
        reconcile=reconcile,
        workers=4,
    )


def test_a_stale_cache_creates_nothing_twice() -> None:
    async def go() -> None:
        api = FakeApi()
        made: list[str] = []
        async with running(api, [maker(made)]):
            await settle()
            api.hold(SECRETS)
            api.put(CONFIGMAPS, CONFIG)
            await settle()
            api.change(CONFIGMAPS, "default/a", lambda o: o.update(data={"x": "y"}))
            await api.clock.advance(20)
            assert made == ["default/a"]
            api.release(SECRETS)
            await api.clock.advance(20)
            assert len(api.all(SECRETS)) == 1

    asyncio.run(go())


def test_after_a_lost_answer_nothing_is_created_twice() -> None:
    async def go() -> None:
        api = FakeApi()
        lost: list[bool] = []

        def lose(verb: str, resource: object, obj: object) -> Exception | None:
            if lost:
                return None
            lost.append(True)
            return ConnectionError("the answer was lost")

        api.fail_after = lose
        async with running(api, [maker([])]):
            await settle()
            api.hold(SECRETS)
            api.put(CONFIGMAPS, CONFIG)
            await api.clock.advance(60)
            assert len(api.all(SECRETS)) == 1

    asyncio.run(go())


def test_failures_are_tried_again() -> None:
    async def go() -> None:
        api = FakeApi()
        seen: list[str] = []

        async def reconcile(context: Context, key: str) -> float | None:
            seen.append(key)
            if len(seen) == 1:
                raise ValueError("a bug")
            if len(seen) == 2:
                raise ConnectionError("no network")
            return 100 if len(seen) == 3 else None

        controller = Controller(
            name="test", watches=(Watch(resource=CONFIGMAPS, keys_of=own_key),), reconcile=reconcile
        )
        async with running(api, [controller]) as (run,):
            api.put(CONFIGMAPS, CONFIG)
            await api.clock.advance(1)
            assert len(seen) == 3
            assert run.counters.failures == 2
            await api.clock.advance(100)
            assert len(seen) == 4

    asyncio.run(go())


def test_a_key_is_never_in_work_twice() -> None:
    async def go() -> None:
        api = FakeApi()
        inside: set[str] = set()
        rounds = 0

        async def reconcile(context: Context, key: str) -> float | None:
            nonlocal rounds
            assert key not in inside
            inside.add(key)
            await context.clock.sleep(1)
            inside.discard(key)
            rounds += 1
            return None

        controller = Controller(
            name="test",
            watches=(Watch(resource=CONFIGMAPS, keys_of=own_key),),
            reconcile=reconcile,
            workers=8,
        )
        async with running(api, [controller]):
            api.put(CONFIGMAPS, CONFIG)
            for number in range(5):
                await api.clock.advance(0.3)
                api.change(CONFIGMAPS, "default/a", lambda o, n=str(number): o.update(data={"x": n}))  # type: ignore[misc]
            await api.clock.advance(10)
            assert 2 <= rounds <= 4
            assert not inside

    asyncio.run(go())


def test_a_reconcile_is_finished_when_the_process_is_told_to_end() -> None:
    async def go() -> None:
        api = FakeApi()
        begun, may_end, ended = asyncio.Event(), asyncio.Event(), []

        async def reconcile(context: Context, key: str) -> float | None:
            begun.set()
            await may_end.wait()
            ended.append(key)
            return None

        watches = (Watch(resource=CONFIGMAPS, keys_of=own_key),)
        slow = Controller(name="slow", watches=watches, reconcile=reconcile, workers=1)
        client = api.client()
        informers = Informers(client, clock=api.clock)
        environment = Environment(client=client, informers=informers, clock=api.clock, shutdown_s=60)
        api.put(CONFIGMAPS, CONFIG)
        api.put(CONFIGMAPS, {**CONFIG, "metadata": {"name": "b"}})
        running = asyncio.ensure_future(slow.run(environment))
        following = asyncio.ensure_future(informers.run())
        await begun.wait()
        running.cancel()
        await settle()
        assert not running.done()
        may_end.set()
        await asyncio.gather(running, return_exceptions=True)
        assert len(ended) == 1, "what waited is for the next process"
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)

    asyncio.run(go())


def test_the_end_does_not_wait_for_caches_that_nobody_fills_any_more() -> None:
    async def go() -> None:
        api = FakeApi()
        client = api.client()
        informers = Informers(client, clock=api.clock)
        environment = Environment(client=client, informers=informers, clock=api.clock, shutdown_s=60)
        made: list[str] = []
        running = asyncio.ensure_future(maker(made).run(environment))
        following = asyncio.ensure_future(informers.run())
        await settle()
        api.hold(SECRETS)
        api.put(CONFIGMAPS, CONFIG)
        await settle()
        assert made
        running.cancel()
        await settle()
        assert running.done()
        following.cancel()
        await asyncio.gather(running, following, return_exceptions=True)

    asyncio.run(go())
