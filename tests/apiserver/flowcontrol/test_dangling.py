"""The condition Dangling of flow schemas: what it says, and that it follows what happens."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from podium.apiserver.flowcontrol.dangling import MANAGER, plan
from tests.apiserver.harness import PATIENCE_S, Api, api

GROUP = "/apis/flowcontrol.apiserver.k8s.io/v1"
NOW, BEFORE = "2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z"
FOUND = {
    "type": "Dangling",
    "status": "False",
    "reason": "Found",
    "message": 'This FlowSchema references the PriorityLevelConfiguration object named "l" and it exists',
}
MISSING = {
    "type": "Dangling",
    "status": "True",
    "reason": "NotFound",
    "message": 'This FlowSchema references the PriorityLevelConfiguration object named "l" but there is no '
    "such object",
}


def schema(*conditions: Any, name: str = "s") -> Any:
    rule = {
        "subjects": [{"kind": "User", "user": {"name": "u"}}],
        "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": ["/x"]}],
    }
    spec = {"priorityLevelConfiguration": {"name": "l"}, "matchingPrecedence": 5, "rules": [rule]}
    return {"metadata": {"name": name}, "spec": spec, "status": {"conditions": list(conditions)}}


@pytest.mark.parametrize(
    ("obj", "exists", "expected"),
    [
        (schema(), True, {**FOUND, "lastTransitionTime": NOW}),
        (schema(), False, {**MISSING, "lastTransitionTime": NOW}),
        (schema({**FOUND, "lastTransitionTime": BEFORE}), True, None),
        (schema(FOUND), True, None),
        (schema({**FOUND, "lastTransitionTime": BEFORE}), False, {**MISSING, "lastTransitionTime": NOW}),
        (
            schema({**FOUND, "message": "old", "lastTransitionTime": BEFORE}),
            True,
            {**FOUND, "lastTransitionTime": BEFORE},
        ),
    ],
)
def test_plan(obj: Any, exists: bool, expected: Any) -> None:
    assert plan(obj, exists=exists, now=NOW) == expected


async def until(server: Api, status: str) -> Any:
    watching = await server.watch(f"{GROUP}/flowschemas?watch=1&fieldSelector=metadata.name=s")
    seen = 0
    async with asyncio.timeout(PATIENCE_S):
        while True:
            events = await watching.client.expect(seen + 1)
            for event in events[seen:]:
                conditions = event["object"].get("status", {}).get("conditions") or [{}]
                if conditions[0].get("status") == status:
                    await watching.end()
                    return event["object"]
            seen = len(events)


def test_the_condition_follows_the_level(tmp_path: Path) -> None:
    async def main() -> None:
        async with api(tmp_path) as server:
            obj = schema()
            await server.ok("POST", f"{GROUP}/flowschemas", obj)
            missing = await until(server, "True")
            assert MANAGER in [entry["manager"] for entry in missing["metadata"]["managedFields"]]
            limited = {"type": "Limited", "limited": {"limitResponse": {"type": "Reject"}}}
            level = {"metadata": {"name": "l"}, "spec": limited}
            await server.ok("POST", f"{GROUP}/prioritylevelconfigurations", level)
            await until(server, "False")
            await server.ok("DELETE", f"{GROUP}/prioritylevelconfigurations/l")
            await until(server, "True")

    asyncio.run(main())
