"""Garbage: decided from owners as they are, in all three ways of deletion."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from podium.controllers.garbage_collector import FOREGROUND, ORPHAN, GarbageCollector, OwnerState, Plan, plan
from podium.machinery import meta
from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources.apiextensions.customresourcedefinitions import CUSTOMRESOURCEDEFINITIONS
from podium.resources.core.configmaps import CONFIGMAPS
from podium.resources.core.events import EVENTS
from podium.resources.core.secrets import SECRETS
from podium.runtime.controller import Environment
from podium.runtime.informer import Informers
from tests.runtime.fakes import FakeApi

SOLID, DANGLING, WAITING = OwnerState.SOLID, OwnerState.DANGLING, OwnerState.WAITING


@pytest.mark.parametrize(
    ("owners", "finalizers", "has_dependents", "expected"),
    [
        pytest.param({}, [], False, Plan(), id="no owner"),
        pytest.param({"a": SOLID}, [], False, Plan(), id="living owner"),
        pytest.param({"a": SOLID, "b": DANGLING}, [], False, Plan(drop_owners=("b",)), id="one of two gone"),
        pytest.param({"a": DANGLING}, [], True, Plan(delete="Background"), id="gone"),
        pytest.param({"a": WAITING}, [], False, Plan(delete="Background"), id="waited for"),
        pytest.param({"a": WAITING}, [], True, Plan(delete="Foreground"), id="waited for, with dependents"),
        pytest.param({"a": DANGLING}, [ORPHAN], True, Plan(delete="Orphan"), id="wants to orphan"),
        pytest.param({"a": DANGLING}, [FOREGROUND], True, Plan(delete="Foreground"), id="wants foreground"),
    ],
)
def test_what_becomes_of_a_dependent(
    owners: dict[str, OwnerState], finalizers: list[str], has_dependents: bool, expected: Plan
) -> None:
    obj = {"metadata": {"name": "x", "finalizers": finalizers}}
    assert plan(obj, owners, has_dependents=has_dependents) == expected


def config(name: str, *owners: Object, **metadata: Any) -> Object:
    references = [
        {
            "apiVersion": "v1",
            "kind": owner["kind"],
            "name": owner["metadata"]["name"],
            "uid": owner["metadata"]["uid"],
            "blockOwnerDeletion": True,
        }
        for owner in owners
    ]
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name,
            "namespace": "ns",
            "uid": f"uid-{name}",
            "ownerReferences": references,
            **metadata,
        },
    }


@asynccontextmanager
async def collecting(api: FakeApi) -> AsyncIterator[None]:
    api.served = (CONFIGMAPS, SECRETS, CUSTOMRESOURCEDEFINITIONS)
    client = api.client()
    environment = Environment(client=client, informers=Informers(client, clock=api.clock), clock=api.clock)
    tasks = [
        asyncio.ensure_future(GarbageCollector().run(environment)),
        asyncio.ensure_future(environment.informers.run()),
    ]
    await api.clock.advance(1)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert not [r for r in results if isinstance(r, Exception)]


def names(api: FakeApi) -> list[str]:
    return sorted(meta.name(o) for o in api.all(CONFIGMAPS))


def test_background_goes_down_the_generations() -> None:
    async def go() -> None:
        api = FakeApi()
        a = api.put(CONFIGMAPS, config("a"))
        b = api.put(CONFIGMAPS, config("b", a))
        api.put(CONFIGMAPS, config("c", b))
        other = api.put(CONFIGMAPS, config("other"))
        api.put(CONFIGMAPS, config("shared", a, other))
        async with collecting(api):
            api.remove(CONFIGMAPS, "ns/a")
            await api.clock.advance(5)
            assert names(api) == ["other", "shared"]
            (reference,) = meta.owner_references(api.table(CONFIGMAPS)["ns/shared"])
            assert reference["name"] == "other"

    asyncio.run(go())


def test_what_was_garbage_before_the_start_is_found() -> None:
    async def go() -> None:
        api = FakeApi()
        api.put(CONFIGMAPS, config("orphan", config("never")))
        reborn = api.put(CONFIGMAPS, config("reborn", uid="new-uid"))
        api.put(
            CONFIGMAPS, config("of-the-old", {**reborn, "metadata": {**reborn["metadata"], "uid": "old-uid"}})
        )
        async with collecting(api):
            await api.clock.advance(5)
            assert names(api) == ["reborn"]

    asyncio.run(go())


def test_an_owner_that_the_watch_has_not_shown_is_asked_for_before_anything_goes() -> None:
    async def go() -> None:
        api = FakeApi()
        async with collecting(api):
            api.hold(SECRETS)
            owner = api.put(
                SECRETS, {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "o", "namespace": "ns"}}
            )
            api.put(CONFIGMAPS, config("a", {**owner, "kind": "Secret"}))
            await api.clock.advance(60)
            assert names(api) == ["a"]

    asyncio.run(go())


def test_owners_of_unknown_kinds_count_as_there() -> None:
    async def go() -> None:
        api = FakeApi()
        async with collecting(api):
            stranger = {"kind": "Stranger", "metadata": {"name": "s", "uid": "s"}}
            api.put(CONFIGMAPS, config("a", stranger))
            await api.clock.advance(60)
            assert names(api) == ["a"]

    asyncio.run(go())


def test_foreground_waits_for_the_dependents() -> None:
    async def go() -> None:
        api = FakeApi()
        a = api.put(CONFIGMAPS, config("a"))
        b = api.put(CONFIGMAPS, config("b", a))
        api.put(CONFIGMAPS, config("c", b, finalizers=["hold"]))
        async with collecting(api):
            await api.client().delete(CONFIGMAPS, "a", "ns", propagation="Foreground")
            await api.clock.advance(5)
            assert names(api) == ["a", "b", "c"]
            assert meta.finalizers(api.table(CONFIGMAPS)["ns/b"]) == [FOREGROUND]
            assert meta.deleting(api.table(CONFIGMAPS)["ns/c"])
            api.change(CONFIGMAPS, "ns/c", lambda o: o["metadata"].update(finalizers=[]))
            await api.clock.advance(5)
            assert names(api) == []

    asyncio.run(go())


def test_owners_of_each_other_do_not_wait_for_ever() -> None:
    async def go() -> None:
        api = FakeApi()
        api.put(CONFIGMAPS, config("a", config("b")))
        api.put(CONFIGMAPS, config("b", config("a")))
        async with collecting(api):
            await api.client().delete(CONFIGMAPS, "a", "ns", propagation="Foreground")
            await api.clock.advance(30)
            assert names(api) == []

    asyncio.run(go())


def test_orphans_stay() -> None:
    async def go() -> None:
        api = FakeApi()
        a = api.put(CONFIGMAPS, config("a"))
        api.put(CONFIGMAPS, config("b", a))
        async with collecting(api):
            await api.client().delete(CONFIGMAPS, "a", "ns", propagation="Orphan")
            await api.clock.advance(5)
            assert names(api) == ["b"]
            assert not meta.owner_references(api.table(CONFIGMAPS)["ns/b"])

    asyncio.run(go())


def test_an_owner_in_another_namespace_is_none() -> None:
    async def go() -> None:
        api = FakeApi()
        owner = api.put(CONFIGMAPS, config("a"))
        api.put(CONFIGMAPS, config("b", owner, namespace="other"))
        async with collecting(api):
            await api.clock.advance(5)
            assert names(api) == ["a"]
            (event,) = api.all(EVENTS)
            assert (event["type"], event["reason"]) == ("Warning", "OwnerRefInvalidNamespace")
            assert event["message"] == (
                "ownerRef [v1/ConfigMap, namespace: other, name: a, uid: uid-a] "
                'does not exist in namespace "other"'
            )

    asyncio.run(go())


def test_what_is_written_over_and_over_is_collected_all_the_same() -> None:
    async def go() -> None:
        api = FakeApi()
        a = api.put(CONFIGMAPS, config("a"))
        api.put(CONFIGMAPS, config("busy", a))

        def write_before(verb: str, resource: Resource, obj: Object) -> Exception | None:
            if verb == "delete" and meta.name(obj) == "busy":
                api.change(
                    CONFIGMAPS, "ns/busy", lambda o: o.setdefault("data", {}).update(n=str(api.revision))
                )
            return None

        async with collecting(api):
            api.fail = write_before
            api.remove(CONFIGMAPS, "ns/a")
            await api.clock.advance(2)
            assert names(api) == []

    asyncio.run(go())


def test_both_of_a_circle_may_be_deleted_in_the_foreground_and_one_that_owns_itself() -> None:
    async def go() -> None:
        api = FakeApi()
        api.put(CONFIGMAPS, config("a", config("b")))
        api.put(CONFIGMAPS, config("b", config("a")))
        api.put(CONFIGMAPS, config("self", config("self")))
        for name in ("a", "b", "self"):
            await api.client().delete(CONFIGMAPS, name, "ns", propagation="Foreground")
        async with collecting(api):
            await api.clock.advance(30)
            assert names(api) == []

    asyncio.run(go())
