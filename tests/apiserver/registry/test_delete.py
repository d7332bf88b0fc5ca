"""What deleting an object means, as a table: the plan, without a store."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from podium.apiserver.registry.delete import DeleteOptions, mark
from podium.base.clock import parse_rfc3339
from podium.resources.batch.jobs import JOBS
from podium.resources.core.configmaps import CONFIGMAPS
from podium.resources.core.pods import PODS
from tests.apiserver.fakes import FakeClock
from tests.apiserver.harness import api

NOW = "2026-01-01T00:01:40Z"
CLOCK = FakeClock(parse_rfc3339(NOW))


def pod(**metadata: Any) -> Any:
    spec = {"nodeName": "n", "terminationGracePeriodSeconds": 30}
    return {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "p", **metadata}, "spec": spec}


def going(at: str, grace: int | None, **more: Any) -> Any:
    return pod(deletionTimestamp=at, deletionGracePeriodSeconds=grace, **more)


@pytest.mark.parametrize(
    ("old", "options", "expected"),
    [
        (pod(), {}, ("2026-01-01T00:02:10Z", 30, False)),
        (pod(), {"grace_period_s": 5}, ("2026-01-01T00:01:45Z", 5, False)),
        (pod(), {"grace_period_s": -7}, ("2026-01-01T00:01:41Z", 1, False)),
        (pod(), {"grace_period_s": 0}, (NOW, 0, True)),
        (pod(finalizers=["x/y"]), {"grace_period_s": 0}, (NOW, 0, False)),
        (going("2026-01-01T00:02:10Z", 30), {"grace_period_s": 10}, ("2026-01-01T00:01:50Z", 10, False)),
        (going("2026-01-01T00:01:50Z", 30), {"grace_period_s": 10}, (NOW, 1, False)),
        (going("2026-01-01T00:01:50Z", 30), {"grace_period_s": 0}, (NOW, 0, True)),
        (going("2026-01-01T00:00:00Z", 0), {}, ("2026-01-01T00:00:00Z", 0, True)),
        (going("2026-01-01T00:00:00Z", 0, finalizers=["x/y"]), {}, ("2026-01-01T00:00:00Z", 0, False)),
    ],
    ids=[
        "the pod's own period",
        "the client's",
        "a negative one is a second",
        "now",
        "now, but for a finalizer",
        "shortened",
        "shortened into the past: the node still has the last word",
        "forced after its time",
        "left over: goes",
        "left over, with a finalizer",
    ],
)
def test_graceful(old: Any, options: Any, expected: tuple[str, int, bool]) -> None:
    marked = mark(PODS, old, DeleteOptions(**options), CLOCK)
    metadata = marked.obj["metadata"]
    found = (metadata["deletionTimestamp"], metadata["deletionGracePeriodSeconds"], marked.remove)
    assert (found, marked.pending) == (expected, False)


@pytest.mark.parametrize("grace", [None, 30, 31], ids=["unsaid", "the same", "longer"])
def test_a_pending_deletion_is_only_ever_shortened(grace: int | None) -> None:
    old = going("2026-01-01T00:02:10Z", 30)
    marked = mark(PODS, old, DeleteOptions(grace_period_s=grace), CLOCK)
    assert (marked.obj, marked.remove, marked.pending) == (old, False, True)


@pytest.mark.parametrize(
    ("resource", "finalizers", "options", "kept"),
    [
        (CONFIGMAPS, [], {}, []),
        (CONFIGMAPS, [], {"propagation": "Foreground"}, ["foregroundDeletion"]),
        (CONFIGMAPS, ["a/b"], {"propagation": "Orphan"}, ["a/b", "orphan"]),
        (CONFIGMAPS, ["orphan"], {"propagation": "Background"}, []),
        (CONFIGMAPS, ["orphan"], {"orphan_dependents": False}, []),
        (CONFIGMAPS, ["foregroundDeletion"], {}, ["foregroundDeletion"]),
        (CONFIGMAPS, [], {"orphan_dependents": True}, ["orphan"]),
        (JOBS, [], {}, ["orphan"]),
        (JOBS, [], {"propagation": "Background"}, []),
        (JOBS, ["foregroundDeletion"], {}, ["foregroundDeletion"]),
    ],
)
def test_propagation(resource: Any, finalizers: list[str], options: Any, kept: list[str]) -> None:
    old = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": {"name": "a"}}
    if finalizers:
        old["metadata"]["finalizers"] = finalizers
    marked = mark(resource, old, DeleteOptions(**options), CLOCK)
    assert marked.remove is not bool(kept)
    if kept:
        assert marked.obj["metadata"]["finalizers"] == kept
        assert marked.obj["metadata"]["deletionGracePeriodSeconds"] == 0


def test_what_only_finalizers_keep_is_marked_once() -> None:
    old = {
        "kind": "ConfigMap",
        "apiVersion": "v1",
        "metadata": {"name": "a", "generation": 3, "finalizers": ["x/y"]},
    }
    first = mark(CONFIGMAPS, old, DeleteOptions(), CLOCK)
    assert first.obj["metadata"]["generation"] == 4
    later = FakeClock(parse_rfc3339("2027-01-01T00:00:00Z"))
    assert mark(CONFIGMAPS, first.obj, DeleteOptions(), later).obj == first.obj


def test_a_collection_goes_but_for_what_is_refused(tmp_path: Path) -> None:
    path = "/api/v1/namespaces/default/configmaps"

    async def main() -> None:
        async with api(tmp_path) as server:
            for index in range(40):
                label = {"odd": str(index % 2)}
                await server.ok("POST", path, {"metadata": {"name": f"c{index:02}", "labels": label}})
            before = (await server.ok("GET", path))["items"]
            await server.ok("DELETE", f"{path}?dryRun=All")
            assert (await server.ok("GET", path))["items"] == before
            gone = await server.ok("DELETE", f"{path}?labelSelector=odd=1")
            assert [item["metadata"]["name"] for item in gone["items"]] == [
                f"c{i:02}" for i in range(1, 40, 2)
            ]
            left = (await server.ok("GET", path))["items"]
            assert {item["metadata"]["labels"]["odd"] for item in left} == {"0"}
            wrong = await server.send("DELETE", path, {"preconditions": {"uid": "other"}})
            assert wrong.status == 409
            assert (await server.ok("GET", path))["items"] == left

    asyncio.run(main())
