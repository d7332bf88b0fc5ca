"""Jobs: every end is counted once, and there are no more pods than needed."""

from __future__ import annotations

import asyncio
import random
from contextlib import AsyncExitStack
from typing import Any

import pytest

from podium.controllers.common import indexes
from podium.controllers.job import job_controller
from podium.controllers.job_plan import TRACKING
from podium.controllers.job_policies import INDEX
from podium.machinery import meta
from podium.machinery.errors import Object
from podium.resources.batch.jobs import JOBS
from podium.resources.core.pods import PODS
from tests.controllers.builders import pod, running, template
from tests.runtime.fakes import FakeApi, api_error

KEY = "default/j"


def job(**spec: Any) -> Object:
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "j", "namespace": "default", "uid": "uid-j"},
        "spec": {
            "parallelism": 1,
            "completions": 1,
            "backoffLimit": 6,
            "selector": {"matchLabels": {"app": "web"}},
            "template": template(),
            **spec,
        },
    }


def end(api: FakeApi, key: str, phase: str) -> None:
    now = api.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    terminated = {"state": {"terminated": {"finishedAt": now}}}
    api.change(PODS, key, lambda p: p.update(status={"phase": phase, "containerStatuses": [terminated]}))


def unfinished(api: FakeApi) -> list[str]:
    return [
        key
        for key, pod in api.table(PODS).items()
        if pod["status"]["phase"] not in ("Succeeded", "Failed") and not meta.deleting(pod)
    ]


def conditions(api: FakeApi) -> dict[str, str]:
    status = api.table(JOBS)[KEY]["status"]
    return {c["type"]: c["reason"] for c in status.get("conditions", []) if c["status"] == "True"}


@pytest.mark.parametrize("numbers", [set(), {0}, {1, 2}, {0, 2, 3, 4, 7}])
def test_index_texts(numbers: set[int]) -> None:
    assert indexes.parse(indexes.text(numbers)) == numbers


def test_index_text() -> None:
    assert indexes.text([7, 0, 2, 4, 3, 8]) == "0,2-4,7,8"


def test_to_completion() -> None:
    async def go() -> None:
        api = FakeApi()
        api.put(JOBS, job(parallelism=2, completions=3))
        async with running(api, [job_controller()]):
            await api.clock.advance(1)
            assert len(unfinished(api)) == 2
            assert all(TRACKING in meta.finalizers(p) for p in api.all(PODS))
            assert api.table(JOBS)[KEY]["status"]["active"] == 2
            while unfinished(api):
                end(api, unfinished(api)[0], "Succeeded")
                await api.clock.advance(1)
            status = api.table(JOBS)[KEY]["status"]
            assert status["succeeded"] == 3
            assert status["uncountedTerminatedPods"] == {}
            assert status["completionTime"]
            assert conditions(api) == {
                "SuccessCriteriaMet": "CompletionsReached",
                "Complete": "CompletionsReached",
            }
            assert len(api.all(PODS)) == 3
            assert not any(meta.finalizers(p) for p in api.all(PODS))

    asyncio.run(go())


def test_failures_wait_longer_each_time_and_end_the_job() -> None:
    async def go() -> None:
        api = FakeApi()
        api.put(JOBS, job(backoffLimit=2))
        async with running(api, [job_controller()]):
            for wait_s in (10, 20):
                await api.clock.advance(1)
                end(api, unfinished(api)[0], "Failed")
                await api.clock.advance(wait_s - 2)
                assert unfinished(api) == []
                await api.clock.advance(2)
                assert len(unfinished(api)) == 1
            end(api, unfinished(api)[0], "Failed")
            await api.clock.advance(100)
            assert unfinished(api) == []
            assert api.table(JOBS)[KEY]["status"]["failed"] == 3
            assert conditions(api)["Failed"] == "BackoffLimitExceeded"

    asyncio.run(go())


def test_a_deadline_ends_the_job() -> None:
    async def go() -> None:
        api = FakeApi()
        api.put(JOBS, job(activeDeadlineSeconds=30))
        async with running(api, [job_controller()]):
            await api.clock.advance(29)
            assert len(unfinished(api)) == 1
            await api.clock.advance(5)
            assert unfinished(api) == []
            assert conditions(api)["FailureTarget"] == "DeadlineExceeded"
            await api.clock.advance(5)
            assert conditions(api)["Failed"] == "DeadlineExceeded"

    asyncio.run(go())


def test_suspend_and_resume() -> None:
    async def go() -> None:
        api = FakeApi()
        api.put(JOBS, job(suspend=True))
        async with running(api, [job_controller()]):
            await api.clock.advance(1)
            assert api.all(PODS) == []
            assert conditions(api) == {"Suspended": "JobSuspended"}
            api.change(JOBS, KEY, lambda j: j["spec"].update(suspend=False))
            await api.clock.advance(1)
            assert len(unfinished(api)) == 1
            assert conditions(api) == {}
            api.change(JOBS, KEY, lambda j: j["spec"].update(suspend=True))
            await api.clock.advance(1)
            assert unfinished(api) == []
            assert api.table(JOBS)[KEY]["status"].get("failed", 0) == 0

    asyncio.run(go())


def test_indexes_are_each_done_once() -> None:
    async def go() -> None:
        api = FakeApi()
        api.put(JOBS, job(completionMode="Indexed", parallelism=2, completions=4))
        async with running(api, [job_controller()]):
            await api.clock.advance(1)
            first = api.all(PODS)[0]
            assert first["metadata"]["annotations"][INDEX] == "0"
            assert first["spec"]["hostname"] == "j-0"
            assert first["metadata"]["generateName"] == "j-0-"
            assert first["spec"]["containers"][0]["env"][0]["name"] == "JOB_COMPLETION_INDEX"
            end(api, unfinished(api)[0], "Failed")
            await api.clock.advance(30)
            while unfinished(api):
                end(api, unfinished(api)[0], "Succeeded")
                await api.clock.advance(1)
            status = api.table(JOBS)[KEY]["status"]
            assert (status["completedIndexes"], status["succeeded"], status["failed"]) == ("0-3", 4, 1)
            assert "Complete" in conditions(api)

    asyncio.run(go())


def test_a_pod_that_is_deleted_counts_as_failed_and_is_not_held() -> None:
    async def go() -> None:
        api = FakeApi()
        api.put(JOBS, job())
        async with running(api, [job_controller()]):
            await api.clock.advance(1)
            (key,) = unfinished(api)
            api.change(PODS, key, lambda p: p["spec"].update(nodeName="n1"))
            await api.client().delete(PODS, key.split("/")[1], "default")
            await api.clock.advance(1)
            assert not meta.finalizers(api.table(PODS)[key])
            assert api.table(JOBS)[KEY]["status"]["failed"] == 1

    asyncio.run(go())


def test_pods_of_a_deleted_job_are_let_go() -> None:
    async def go() -> None:
        api = FakeApi()
        api.put(JOBS, job())
        async with running(api, [job_controller()]):
            await api.clock.advance(1)
            api.remove(JOBS, KEY)
            await api.clock.advance(1)
            assert not any(TRACKING in meta.finalizers(p) for p in api.all(PODS))

    asyncio.run(go())


def test_pods_without_a_job_lose_the_finalizer_and_adopted_ones_get_it() -> None:
    async def go() -> None:
        api = FakeApi()
        stray = api.put(PODS, pod("stray", labels={"app": "other"}, finalizers=[TRACKING, "mine"]))
        api.put(JOBS, job())
        async with running(api, [job_controller()]):
            await api.clock.advance(1)
            assert meta.finalizers(api.table(PODS)[meta.key(stray)]) == ["mine"]
            (key,) = (key for key in unfinished(api) if key != meta.key(stray))
            # Released: the labels fit no more. Then adopted again.
            api.change(PODS, key, lambda p: p["metadata"].update(labels={"app": "other"}))
            await api.clock.advance(1)
            released = api.table(PODS)[key]
            assert (meta.finalizers(released), meta.owner_references(released)) == ([], [])
            (other,) = (k for k in unfinished(api) if k not in (key, meta.key(stray)))
            api.change(PODS, other, lambda p: p["metadata"].update(labels={"app": "other"}))
            api.change(PODS, key, lambda p: p["metadata"].update(labels={"app": "web"}))
            await api.clock.advance(1)
            adopted = api.table(PODS)[key]
            assert (meta.finalizers(adopted), meta.owner_references(adopted)[0]["uid"]) == (
                [TRACKING],
                "uid-j",
            )

    asyncio.run(go())


def test_pods_that_a_deleted_job_leaves_behind_are_let_go() -> None:
    async def go() -> None:
        api = FakeApi()
        api.put(JOBS, job())
        async with running(api, [job_controller()]):
            await api.clock.advance(1)
            (key,) = unfinished(api)
            # As the garbage collector does for --cascade=orphan.
            deleting = {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["orphan"]}
            api.change(JOBS, KEY, lambda j: j["metadata"].update(deleting))
            api.change(PODS, key, lambda p: p["metadata"].pop("ownerReferences"))
            api.remove(JOBS, KEY)
            await api.clock.advance(1)
            assert meta.finalizers(api.table(PODS)[key]) == []

    asyncio.run(go())


def test_pods_that_cannot_be_made_are_not_active() -> None:
    async def go() -> None:
        api = FakeApi()
        api.put(JOBS, job(parallelism=3, completions=3))
        api.fail = lambda verb, resource, obj: (
            api_error(403) if (verb, resource) == ("create", PODS) and api.all(PODS) else None
        )
        async with running(api, [job_controller()]):
            await api.clock.advance(1)
            assert len(api.all(PODS)) == api.table(JOBS)[KEY]["status"]["active"] == 1

    asyncio.run(go())


def test_what_a_success_policy_leaves_over_is_no_failure() -> None:
    async def go() -> None:
        api = FakeApi()
        policy = {"rules": [{"succeededCount": 1}]}
        api.put(JOBS, job(completionMode="Indexed", parallelism=3, completions=3, successPolicy=policy))
        async with running(api, [job_controller()]):
            await api.clock.advance(1)
            first, *others = unfinished(api)
            for key in others:  # so that they are deleted with grace
                api.change(PODS, key, lambda p: p["spec"].update(nodeName="n1"))
            end(api, first, "Succeeded")
            await api.clock.advance(1)
            assert not any(TRACKING in meta.finalizers(p) for p in api.all(PODS))
            for key in others:
                api.remove(PODS, key)
            await api.clock.advance(1)
            assert conditions(api)["Complete"] == "SuccessPolicy"
            assert "failed" not in api.table(JOBS)[KEY]["status"]

    asyncio.run(go())


def test_fewer_pods_at_a_time_are_no_failures() -> None:
    async def go() -> None:
        api = FakeApi()
        api.put(JOBS, job(parallelism=3, completions=3, backoffLimit=0))
        async with running(api, [job_controller()]):
            await api.clock.advance(1)
            api.change(JOBS, KEY, lambda j: j["spec"].update(parallelism=1))
            await api.clock.advance(1)
            assert len(unfinished(api)) == 1
            assert conditions(api) == {}
            assert "failed" not in api.table(JOBS)[KEY]["status"]

    asyncio.run(go())


@pytest.mark.parametrize("seed", range(25))
def test_every_end_is_counted_once_whatever_happens(seed: int) -> None:
    async def go() -> None:
        rand = random.Random(seed)
        api = FakeApi()
        completions = rand.randint(1, 6)
        api.put(JOBS, job(parallelism=rand.randint(1, 4), completions=completions, backoffLimit=1000))
        failed = 0
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(running(api, [job_controller()]))
            for _ in range(300):
                if "Complete" in conditions(api) if api.table(JOBS)[KEY].get("status") else False:
                    break
                choice = rand.random()
                candidates = unfinished(api)
                if choice < 0.5 and candidates:
                    phase = rand.choice(("Succeeded", "Failed"))
                    failed += phase == "Failed"
                    end(api, rand.choice(candidates), phase)
                elif choice < 0.6:
                    api.hold(rand.choice((PODS, JOBS)))
                elif choice < 0.75:
                    api.held.clear()
                    api.break_watches()
                elif choice < 0.85:
                    spent: list[bool] = []

                    def once(
                        verb: str, resource: object, obj: object, spent: list[bool] = spent
                    ) -> Exception | None:
                        if spent:
                            return None
                        spent.append(True)
                        return rand.choice((ConnectionError("lost"), api_error(500)))

                    setattr(api, rand.choice(("fail", "fail_after")), once)
                elif choice < 0.9:
                    await stack.aclose()
                    await stack.enter_async_context(running(api, [job_controller()]))
                await api.clock.advance(rand.choice((0.01, 1, 700)))
            api.held.clear()
            api.break_watches()
            await api.clock.advance(2000)
            while unfinished(api):
                end(api, unfinished(api)[0], "Succeeded")
                await api.clock.advance(700)
            status = api.table(JOBS)[KEY]["status"]
            assert "Complete" in conditions(api)
            ended = [p["status"]["phase"] for p in api.all(PODS)]
            assert status["succeeded"] == ended.count("Succeeded") >= completions
            assert status.get("failed", 0) == ended.count("Failed") == failed
            assert not any(meta.finalizers(p) for p in api.all(PODS))

    asyncio.run(go())
