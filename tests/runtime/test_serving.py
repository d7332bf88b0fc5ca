"""A component's health and metrics over HTTP."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import orjson
import pytest

from podium.base.http.message import Headers, Request
from podium.base.metrics import Registry
from podium.client.client import Client
from podium.machinery.errors import NotAcceptable
from podium.runtime.health import Checks
from podium.runtime.metrics import QueueMetrics
from podium.runtime.serving import Access, ComponentServer, Who
from podium.runtime.workqueue import WorkQueue
from podium.runtime.zpages import flagz, statusz
from tests.runtime.fakes import FakeClock


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
        ("/metrics", "", 403),
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


def test_a_refusal_says_who_may_not_do_what() -> None:
    async def scenario() -> None:
        server = ComponentServer(Registry(), cast(Client, Reviewer()))
        response = await server.handler(Request(method="GET", target="/metrics"))
        status = orjson.loads(cast(bytes, response.body))
        assert status["message"] == 'forbidden: User "system:anonymous" cannot get path "/metrics"'
        bad = Headers((("authorization", "Bearer unknown"),))
        response = await server.handler(Request(method="GET", target="/metrics", headers=bad))
        assert orjson.loads(cast(bytes, response.body))["reason"] == "Unauthorized"

    asyncio.run(scenario())


def test_a_certificate_tells_who_asks() -> None:
    async def identify(request: Request) -> Who | None:
        return Who(name="good") if request.peer_certificate else None

    async def scenario() -> None:
        reviewer = Reviewer()
        server = ComponentServer(Registry(), cast(Client, reviewer), access=Access(identify=identify))
        response = await server.handler(Request(method="GET", target="/metrics", peer_certificate=b"c"))
        assert response.status == 200
        assert reviewer.asked == ["subjectaccessreviews"]

    asyncio.run(scenario())


def test_paths_may_be_open_to_everybody() -> None:
    async def scenario() -> None:
        access = Access(always_allowed=("/metrics", "/health*"))
        server = ComponentServer(Registry(), cast(Client, Reviewer()), access=access)
        for path, status in (
            ("/metrics", 200),
            ("/healthz/ping", 200),
            ("/healthz/x", 404),
            ("/configz", 403),
        ):
            response = await server.handler(Request(method="GET", target=path))
            assert response.status == status, path

    asyncio.run(scenario())


def test_health_is_the_sum_of_the_checks() -> None:
    wrong = {"b": ""}
    checks = Checks()
    checks.add("a")
    checks.add("b", lambda: wrong["b"])
    assert checks.page("healthz", "", {}) == (200, "ok")
    assert checks.page("healthz", "", {"verbose": [""]}) == (200, "[+]a ok\n[+]b ok\nhealthz check passed\n")
    wrong["b"] = "a secret"
    assert checks.page("healthz", "", {}) == (
        500,
        "[+]a ok\n[-]b failed: reason withheld\nhealthz check failed\n",
    )
    assert checks.page("healthz", "b", {}) == (500, "internal server error: a secret\n")
    assert checks.page("healthz", "c", {}) is None
    assert checks.page("healthz", "", {"exclude": ["b", "c"], "verbose": [""]}) == (
        200,
        "[+]a ok\n[+]b excluded: ok\n"
        'warn: some health checks cannot be excluded: no matches for "c"\nhealthz check passed\n',
    )


def test_statusz_and_flagz_are_text_or_json() -> None:
    page = flagz("kcm", {"v": "2", "bind-address": "0.0.0.0"})
    text = page.answer(Request(method="GET", target="/flagz"))
    assert cast(bytes, text.body).decode().startswith("\nkcm flagz\nWarning: This endpoint is not meant")
    assert cast(bytes, text.body).decode().endswith("\nbind-address: 0.0.0.0\nv: 2\n")
    accept = "application/json;v=v1beta1;g=config.k8s.io;as=Flagz"
    json = page.answer(Request(method="GET", target="/flagz", headers=Headers((("accept", accept),))))
    assert orjson.loads(cast(bytes, json.body)) == {
        "kind": "Flagz",
        "apiVersion": "config.k8s.io/v1beta1",
        "metadata": {"name": "kcm"},
        "flags": {"v": "2", "bind-address": "0.0.0.0"},
    }
    accept = accept.replace("json", "yaml")
    lines = page.answer(Request(method="GET", target="/flagz", headers=Headers((("accept", accept),))))
    assert lines.headers.get("content-type") == "application/yaml;g=config.k8s.io;v=v1beta1;as=Flagz"
    assert b"\nflags:\n  bind-address: 0.0.0.0\n" in cast(bytes, lines.body)
    plain = Headers((("accept", "application/json"),))
    with pytest.raises(NotAcceptable):
        page.answer(Request(method="GET", target="/flagz", headers=plain))
    status = statusz("kcm", "1.36.2", FakeClock(), lambda: ["/metrics", "/healthz/x", "/healthz"])
    assert status.fields()["paths"] == ["/healthz", "/metrics"]
    assert status.fields()["startTime"] == "2026-01-01T00:00:00Z"
    assert "Up: 0 hr 00 min 00 sec" in status.text()


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
