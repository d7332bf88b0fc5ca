"""pods/eviction: what a budget answers, in which words, and what happens when somebody was faster."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from podium.apiserver.http.subresources import eviction
from podium.apiserver.registry import update
from tests.apiserver.harness import Api, api

PODS = "/api/v1/namespaces/default/pods"
BUDGETS = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
MERGE = "application/merge-patch+json"
REFUSED = "Cannot evict pod as it would violate the pod's disruption budget."


async def put_pod(server: Api, name: str = "p", *, phase: str = "Running", ready: bool = True) -> None:
    spec = {"nodeName": "n1", "containers": [{"name": "c", "image": "a"}]}
    await server.ok("POST", PODS, {"metadata": {"name": name, "labels": {"app": "x"}}, "spec": spec})
    await server.ok("PATCH", f"{PODS}/{name}/status", status_of(phase, ready=ready), type=MERGE)


def status_of(phase: str, *, ready: bool) -> Any:
    condition = {"type": "Ready", "status": "True" if ready else "False"}
    return {"status": {"phase": phase, "conditions": [condition]}}


async def put_budget(server: Api, name: str = "b", policy: str | None = None, **status: Any) -> None:
    spec: Any = {"minAvailable": 1, "selector": {"matchLabels": {"app": "x"}}}
    if policy:
        spec["unhealthyPodEvictionPolicy"] = policy
    await server.ok("POST", BUDGETS, {"metadata": {"name": name}, "spec": spec})
    full = {
        "observedGeneration": 1,
        "disruptionsAllowed": 0,
        "currentHealthy": 1,
        "desiredHealthy": 1,
        "expectedPods": 1,
        **status,
    }
    await server.ok("PATCH", f"{BUDGETS}/{name}/status", {"status": full}, type=MERGE)


async def evict(server: Api, name: str = "p", query: str = "", **options: Any) -> tuple[int, Any]:
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}, **options}
    return await server.call("POST", f"{PODS}/{name}/eviction{query}", body)


def allowed_condition(status: str, reason: str, message: str) -> Any:
    at = "2026-01-01T00:00:00Z"
    condition = {"status": status, "reason": reason, "message": message, "lastTransitionTime": at}
    return [{"type": "DisruptionAllowed", **condition}]


@pytest.mark.parametrize(
    ("status", "code", "text"),
    [
        pytest.param(
            {"observedGeneration": 0}, 429, "The disruption budget b is still being processed by the server.",
            id="not seen yet",
        ),
        pytest.param(
            {}, 429, "The disruption budget b needs 1 healthy pods and has 1 currently", id="none to spare"
        ),
        pytest.param(
            {"conditions": allowed_condition("False", "SyncFailed", "no scale")},
            429,
            "The disruption budget b does not allow evicting pods currently because it failed sync: no scale",
            id="it could not be counted",
        ),
        pytest.param(
            {"currentHealthy": 3, "conditions": allowed_condition("False", "Odd", "so it is")},
            429,
            "The disruption budget b does not allow evicting pods currently (Odd): so it is",
            id="a reason of somebody else",
        ),
        pytest.param(
            {"currentHealthy": 3}, 429, "The disruption budget b does not allow evicting pods currently",
            id="no reason",
        ),
        pytest.param(
            {"disruptionsAllowed": 1, "disruptedPods": dict.fromkeys(
                (f"p{i}" for i in range(2001)), "2026-01-01T00:00:00Z"
            )},
            403,
            'poddisruptionbudget.policy "b" is forbidden: DisruptedPods map too big - too many evictions not '
            "confirmed by PDB controller",
            id="too many on their way",
        ),
    ],
)  # fmt: skip
def test_why_a_budget_refuses(tmp_path: Path, status: Any, code: int, text: str) -> None:
    async def main() -> None:
        async with api(tmp_path) as server:
            await put_pod(server)
            await put_budget(server, **status)
            found, answer = await evict(server)
            assert found == code
            if code == 403:
                assert answer["message"] == text
                return
            assert answer["message"] == REFUSED
            assert answer["details"]["causes"] == [{"reason": "DisruptionBudget", "message": text}]
            retry = answer["details"].get("retryAfterSeconds")
            assert retry == (10 if "processed" in text else None)

    asyncio.run(main())


def test_the_last_disruption_closes_the_budget(tmp_path: Path) -> None:
    async def main() -> None:
        async with api(tmp_path) as server:
            await put_pod(server)
            conditions = allowed_condition("True", "SufficientPods", "")
            await put_budget(server, disruptionsAllowed=1, currentHealthy=2, conditions=conditions)
            assert (await evict(server))[0] == 201
            [condition] = (await server.ok("GET", f"{BUDGETS}/b"))["status"]["conditions"]
            assert (condition["status"], condition["reason"]) == ("False", "InsufficientPods")
            assert condition["observedGeneration"] == 1

    asyncio.run(main())


def test_two_at_once_never_take_more_than_there_is(tmp_path: Path) -> None:
    async def main() -> None:
        async with api(tmp_path) as server:
            for i in range(6):
                await put_pod(server, f"p{i}")
            await put_budget(server, disruptionsAllowed=2, currentHealthy=6, desiredHealthy=4)
            answers = await asyncio.gather(*(evict(server, f"p{i}") for i in range(6)))
            assert sorted(code for code, _ in answers) == [201, 201, 429, 429, 429, 429]
            pods = (await server.ok("GET", PODS))["items"]
            assert sum("deletionTimestamp" in pod["metadata"] for pod in pods) == 2

    asyncio.run(main())


def test_two_budgets_are_too_many(tmp_path: Path) -> None:
    async def main() -> None:
        async with api(tmp_path) as server:
            await put_pod(server)
            await put_budget(server, "a", disruptionsAllowed=1)
            await put_budget(server, "b", disruptionsAllowed=1)
            code, answer = await evict(server)
            assert (code, answer["code"]) == (500, 500)
            assert "more than one PodDisruptionBudget" in answer["message"]

    asyncio.run(main())


@pytest.mark.parametrize("how", [{"query": "?dryRun=All"}, {"deleteOptions": {"dryRun": ["All"]}}])
def test_a_dry_run_asks_and_takes_nothing(tmp_path: Path, how: Any) -> None:
    async def main() -> None:
        async with api(tmp_path) as server:
            await put_pod(server)
            await put_budget(server, disruptionsAllowed=1, currentHealthy=2)
            before = await server.ok("GET", f"{PODS}/p")
            assert (await evict(server, **how))[0] == 201
            assert await server.ok("GET", f"{PODS}/p") == before
            assert (await server.ok("GET", f"{BUDGETS}/b"))["status"]["disruptionsAllowed"] == 1
            await server.ok("PATCH", f"{BUDGETS}/b/status", {"status": {"disruptionsAllowed": 0}}, type=MERGE)
            assert (await evict(server, **how))[0] == 429

    asyncio.run(main())


def test_what_an_eviction_must_say(tmp_path: Path) -> None:
    async def main() -> None:
        async with api(tmp_path) as server:
            await put_pod(server)
            code, answer = await evict(server, metadata={})
            assert (code, answer["message"]) == (400, "name in URL does not match name in Eviction object")
            option = {"ignoreStoreReadErrorWithClusterBreakingPotential": True}
            code, answer = await evict(server, deleteOptions=option)
            assert (code, answer["details"]["kind"]) == (422, "Eviction")
            assert "can not be set for pod eviction" in answer["message"]

    asyncio.run(main())


@contextmanager
def overtaken(server: Api, status: Any) -> Iterator[None]:
    """Somebody writes this status just when the first eviction has decided to delete the pod."""
    real = update.modify
    done: list[bool] = []

    async def modify(*arguments: Any, **options: Any) -> Any:
        if not done:
            done.append(True)
            await server.ok("PATCH", f"{PODS}/p/status", status, type=MERGE)
        return await real(*arguments, **options)

    with mock.patch.object(eviction, "modify", modify):
        yield


def test_a_pod_that_starts_meanwhile_is_asked_about_again(tmp_path: Path) -> None:
    async def main() -> None:
        async with api(tmp_path) as server:
            await put_pod(server, phase="Pending", ready=False)
            await put_budget(server)
            with overtaken(server, status_of("Running", ready=True)):
                code, _ = await evict(server)
            assert code == 429
            assert "deletionTimestamp" not in (await server.ok("GET", f"{PODS}/p"))["metadata"]
            await server.ok("PATCH", f"{PODS}/p/status", status_of("Pending", ready=False), type=MERGE)
            with overtaken(server, {"status": {"message": "still waiting"}}):
                code, _ = await evict(server)
            assert code == 201

    asyncio.run(main())


@pytest.mark.parametrize(
    ("policy", "status"),
    [
        pytest.param("AlwaysAllow", {}, id="unhealthy ones may always go"),
        pytest.param("IfHealthyBudget", {"currentHealthy": 1, "desiredHealthy": 1}, id="the healthy suffice"),
    ],
)
def test_a_pod_that_becomes_ready_meanwhile_stays(tmp_path: Path, policy: str, status: Any) -> None:
    async def main() -> None:
        async with api(tmp_path) as server:
            await put_pod(server, ready=False)
            await put_budget(server, policy=policy, **status)
            with overtaken(server, status_of("Running", ready=True)):
                code, answer = await evict(server)
            assert (code, answer["details"]["retryAfterSeconds"]) == (429, 10)
            pod = await server.ok("GET", f"{PODS}/p")
            assert "deletionTimestamp" not in pod["metadata"]
            await server.ok("PATCH", f"{PODS}/p/status", status_of("Running", ready=False), type=MERGE)
            assert (await evict(server))[0] == 201

    asyncio.run(main())


def test_a_version_that_the_client_names_is_its_own_affair(tmp_path: Path) -> None:
    async def main() -> None:
        async with api(tmp_path) as server:
            await put_pod(server, phase="Pending", ready=False)
            code, answer = await evict(server, deleteOptions={"preconditions": {"resourceVersion": "1"}})
            assert (code, answer["reason"]) == (409, "Conflict")
            pod = await server.ok("GET", f"{PODS}/p")
            version = pod["metadata"]["resourceVersion"]
            exact = {"preconditions": {"resourceVersion": version}}
            assert (await evict(server, deleteOptions=exact))[0] == 201

    asyncio.run(main())


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_what_has_ended_goes_without_asking(tmp_path: Path, phase: str) -> None:
    async def main() -> None:
        async with api(tmp_path) as server:
            await put_pod(server, phase=phase, ready=False)
            await put_budget(server)
            assert (await evict(server))[0] == 201

    asyncio.run(main())


def test_dry_runs_must_be_meant_alike(tmp_path: Path) -> None:
    async def main() -> None:
        async with api(tmp_path) as server:
            await put_pod(server)
            eviction = {"metadata": {"name": "p"}, "deleteOptions": {"dryRun": ["x"]}}
            code, answer = await server.call("POST", f"{PODS}/p/eviction?dryRun=All", eviction)
            why = "Non-matching dry-run options in request and content: [All] and [x]"
            assert (code, answer["message"]) == (500, why)
            eviction["deleteOptions"] = {"dryRun": ["All"]}
            assert (await server.call("POST", f"{PODS}/p/eviction?dryRun=All", eviction))[0] == 201
            await server.ok("GET", f"{PODS}/p")

    asyncio.run(main())
