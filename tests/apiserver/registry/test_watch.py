"""Watches through the whole chain."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.apiserver.harness import api

SECRETS = "/api/v1/namespaces/default/secrets"


def test_a_watch_resumes_where_the_list_ended(tmp_path: Path) -> None:
    async def main() -> None:
        async with api(tmp_path) as server:
            await server.ok("POST", SECRETS, {"metadata": {"name": "a"}})
            listed = await server.ok("GET", SECRETS)
            await server.ok("POST", SECRETS, {"metadata": {"name": "b"}})
            version = listed["metadata"]["resourceVersion"]
            watching = await server.watch(f"{SECRETS}?watch=1&resourceVersion={version}")
            await server.ok("DELETE", f"{SECRETS}/a")
            events = await watching.client.expect(2)
            assert [(event["type"], event["object"]["metadata"]["name"]) for event in events] == [
                ("ADDED", "b"),
                ("DELETED", "a"),
            ]

    asyncio.run(main())


def test_the_initial_state_ends_with_a_bookmark(tmp_path: Path) -> None:
    async def main() -> None:
        async with api(tmp_path) as server:
            await server.ok("POST", SECRETS, {"metadata": {"name": "a"}})
            watching = await server.watch(
                f"{SECRETS}?watch=1&sendInitialEvents=true&allowWatchBookmarks=true"
                "&resourceVersionMatch=NotOlderThan"
            )
            added, end = await watching.client.expect(2)
            assert added["type"] == "ADDED"
            assert end["type"] == "BOOKMARK"
            annotations = end["object"]["metadata"]["annotations"]
            assert annotations == {"k8s.io/initial-events-end": "true"}

    asyncio.run(main())


def test_a_watch_ends_in_time_with_a_bookmark(tmp_path: Path) -> None:
    async def main() -> None:
        async with api(tmp_path) as server:
            listed = await server.ok("GET", SECRETS)
            version = listed["metadata"]["resourceVersion"]
            watching = await server.watch(
                f"{SECRETS}?watch=1&resourceVersion={version}&timeoutSeconds=1&allowWatchBookmarks=true"
            )
            async with asyncio.timeout(5):
                await watching.task
            (bookmark,) = watching.client.lines
            assert bookmark["type"] == "BOOKMARK"
            assert bookmark["object"]["metadata"]["resourceVersion"] == version

    asyncio.run(main())


def test_no_bookmark_leads_back_behind_the_version_that_was_asked_for(tmp_path: Path) -> None:
    async def main() -> None:
        async with api(tmp_path) as server:
            watching = await server.watch(
                f"{SECRETS}?watch=1&resourceVersion=100000&timeoutSeconds=1&allowWatchBookmarks=true"
            )
            async with asyncio.timeout(5):
                await watching.task
            assert watching.client.lines == []

    asyncio.run(main())


def test_a_version_from_before_the_start_is_too_old(tmp_path: Path) -> None:
    async def main() -> None:
        async with api(tmp_path) as server:
            await server.ok("POST", SECRETS, {"metadata": {"name": "a"}})
        async with api(tmp_path) as server:
            watching = await server.watch(f"{SECRETS}?watch=1&resourceVersion=1")
            (event,) = await watching.client.expect(1)
            assert event["type"] == "ERROR"
            assert (event["object"]["code"], event["object"]["reason"]) == (410, "Expired")

    asyncio.run(main())
