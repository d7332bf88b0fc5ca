"""A component's health and metrics over HTTP."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from podium.base.http.message import Headers, Request
from podium.base.metrics import Registry
from podium.client.client import Client
from podium.runtime.metrics import QueueMetrics
from podium.runtime.serving import ComponentServer
from podium.runtime.workqueue import WorkQueue


class Reviewer:
    """Knows one token, whose user may read /metrics."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def create(self, resource: Any, obj: Any) -> Any:
        self.asked.append(resource.plural)
        spec = obj["spec"]
        if resource.plural == "tokenreviews":
            known = spec["token"] in ("good", "poor")
            return {"status": {"authenticated": known, "user": {"username": spec["token"]}}}
        allowed = spec["user"] == "good" and spec["nonResourceAttributes"]["path"] == "/metrics"
        return {"status": {"allowed": allowed}}


@pytest.mark.parametrize(
    ("path", "token", "status"),
    [
        ("/healthz", "", 200),
        ("/readyz", "", 200),
        ("/metrics", "", 401),
        ("/metrics", "unknown", 401),
        ("/metrics", "poor", 403),
        ("/metrics", "good", 200),
        ("/debug", "good", 403),
    ],
)
def test_health_is_for_everybody_and_metrics_are_not(path: str, token: str, status: int) -> None:
    async def scenario() -> None:
        reviewer = Reviewer()
        server = ComponentServer(Registry(), cast(Client, reviewer))
        headers = Headers((("authorization", f"Bearer {token}"),) if token else ())
        for _ in range(2):
            response = await server.handler(Request(method="GET", target=path, headers=headers))
            assert response.status == status
        assert len(reviewer.asked) <= 2, "a decision is kept for a while"

    asyncio.run(scenario())


def test_a_queue_counts_what_goes_through_it() -> None:
    async def scenario() -> None:
        registry = Registry()
        queue: WorkQueue[str] = WorkQueue(name="pods", metrics=QueueMetrics(registry))
        for key in ("a", "b", "a"):
            queue.add(key)
        taken = await queue.get()
        text = registry.text().decode()
        assert 'workqueue_adds_total{name="pods"} 2' in text
        assert 'workqueue_depth{name="pods"} 1' in text
        assert 'workqueue_queue_duration_seconds_count{name="pods"} 1' in text
        queue.add_rate_limited(taken)
        queue.done(taken)
        text = registry.text().decode()
        assert 'workqueue_retries_total{name="pods"} 1' in text
        assert 'workqueue_work_duration_seconds_count{name="pods"} 1' in text
        assert 'workqueue_unfinished_work_seconds{name="pods"} 0' in text

    asyncio.run(scenario())
