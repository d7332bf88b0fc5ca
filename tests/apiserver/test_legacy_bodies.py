"""Whatever is sent to an old version is made, refused or changed, and never breaks the server."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings

from podium.machinery.resource import Resource
from podium.machinery.schema import Schemas
from podium.resources.legacy.catalogue import LEGACY, PACKAGES
from tests.apiserver.harness import Api
from tests.apiserver.test_legacy import legacy
from tests.resources.legacy.objects import fitting

SCHEMAS = Schemas.load("1.36", PACKAGES)
BODIES = 6
STORED = [resource for resource in LEGACY if resource.stored]


def bodies(resource: Resource) -> list[dict[str, Any]]:
    """Return some objects that fit the schema of a resource, the same ones each time."""
    found: list[dict[str, Any]] = []

    @seed(1)
    @settings(
        max_examples=BODIES,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(fitting(SCHEMAS.compile(resource.schema).shape))
    def collect(obj: dict[str, Any]) -> None:
        found.append(obj)

    collect()
    return found


def broken(obj: dict[str, Any], dice: random.Random) -> dict[str, Any]:
    """Return the object with something else in one of its places."""
    made = dict(obj)
    place = dice.choice(("spec", "status", "metadata", "rules", "webhooks", "subjects", "endpoints"))
    made[place] = dice.choice((None, [], {}, "text", 7, [{}], {"selector": {}}, {"rules": [{"http": {}}]}))
    return made


def test_any_body_in_any_old_version(tmp_path: Path) -> None:
    dice = random.Random(1)

    async def check(running: Api) -> None:
        for resource in STORED:
            where = resource.path("default" if resource.namespaced else None)
            for number, body in enumerate(bodies(resource)):
                name = f"x{number}"
                for sent in (body, broken(body, dice)):
                    named = {**sent, "metadata": {"name": name}} if "metadata" in sent else sent
                    status, answer = await running.call("POST", where, named)
                    assert status < 500, (resource.schema, named, answer)
                patch = {key: value for key, value in body.items() if key != "metadata"}
                merge = "application/merge-patch+json"
                status, answer = await running.call("PATCH", f"{where}/{name}", patch, type=merge)
                assert status < 500, (resource.schema, patch, answer)
            listed = await running.call("GET", where)
            assert listed[0] == 200

    async def main() -> None:
        async with legacy(tmp_path) as running:
            await check(running)

    asyncio.run(main())
