"""Whoever lists and watches from there ends up with what is there: seeded histories against a replay."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest

from tests.apiserver.harness import Api, Watching, api

CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
MERGE = "application/merge-patch+json"
STEPS = 150
SELECTORS = ("", "labelSelector=on=yes", "labelSelector=on!=yes", "fieldSelector=metadata.name=n3")


class Follower:
    """An informer in miniature."""

    def __init__(self, selector: str, state: dict[str, str], watching: Watching) -> None:
        self.selector = selector
        self.state = state
        self.watching = watching

    def replay(self) -> dict[str, str]:
        """Apply the events to the listed state, checking that each makes sense where it comes."""
        last = 0
        for event in self.watching.client.lines:
            name = event["object"]["metadata"]["name"]
            version = event["object"]["metadata"]["resourceVersion"]
            assert int(version) > last, "events come in the order of their revisions"
            last = int(version)
            match event["type"]:
                case "ADDED":
                    assert name not in self.state
                    self.state[name] = version
                case "MODIFIED":
                    assert name in self.state
                    self.state[name] = version
                case "DELETED":
                    del self.state[name]
        return self.state


async def follow(server: Api, selector: str) -> Follower:
    listed = await server.ok("GET", f"{CONFIGMAPS}?{selector}")
    version = listed["metadata"]["resourceVersion"]
    watching = await server.watch(f"{CONFIGMAPS}?watch=1&resourceVersion={version}&{selector}")
    return Follower(selector, versions(listed), watching)


def versions(listed: Any) -> dict[str, str]:
    return {item["metadata"]["name"]: item["metadata"]["resourceVersion"] for item in listed["items"]}


async def step(server: Api, chance: random.Random) -> None:
    """One write; those that find nothing, or find something in their way, are part of the game."""
    name, label = f"n{chance.randrange(6)}", chance.choice(("yes", "no"))
    match chance.randrange(4):
        case 0:
            body = {"metadata": {"name": name, "labels": {"on": label}}}
            await server.call("POST", CONFIGMAPS, body)
        case 1:
            await server.call("DELETE", f"{CONFIGMAPS}/{name}")
        case 2:
            patch: Any = {"metadata": {"labels": {"on": label}}}
            await server.call("PATCH", f"{CONFIGMAPS}/{name}", patch, type=MERGE)
        case 3:
            patch = {"data": {"k": str(chance.random())}}
            await server.call("PATCH", f"{CONFIGMAPS}/{name}", patch, type=MERGE)


@pytest.mark.parametrize("seed", range(5))
def test_list_and_watch_add_up(tmp_path: Path, seed: int) -> None:
    async def main() -> None:
        chance = random.Random(seed)
        async with api(tmp_path) as server:
            followers = []
            for number in range(STEPS):
                if number % 10 == 0:
                    followers.append(await follow(server, SELECTORS[(number // 10) % len(SELECTORS)]))
                await asyncio.gather(*(step(server, chance) for _ in range(chance.randrange(1, 4))))
            for follower in followers:
                final = versions(await server.ok("GET", f"{CONFIGMAPS}?{follower.selector}"))
                # A write is answered after its events are written, so nothing is still on its way.
                assert follower.replay() == final

    asyncio.run(main())
