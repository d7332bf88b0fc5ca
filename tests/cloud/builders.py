"""Nodes and Services for the cloud's controllers, in few words."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from podium.machinery.errors import Object
from podium.resources.core.events import EVENTS
from tests.runtime.fakes import FakeApi, settle


def service(name: str = "web", *, type: str = "LoadBalancer", **spec: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"type": type, "ports": [{"port": 80, "nodePort": 30080}], **spec},
        "status": {"loadBalancer": {}},
    }


def node(name: str = "n1", *, ready: str = "True", labels: Any = None, **spec: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels or {}},
        "spec": spec,
        "status": {
            "conditions": [{"type": "Ready", "status": ready}],
            "addresses": [
                {"type": "InternalIP", "address": "10.0.0.1"},
                {"type": "Hostname", "address": name},
            ],
        },
    }


def told(api: FakeApi) -> list[tuple[str, str]]:
    """Return reason and message of each event, in order."""
    return [(e["reason"], e["message"]) for e in sorted(api.all(EVENTS), key=lambda e: e["metadata"]["name"])]


def reasons(api: FakeApi) -> list[str]:
    return [reason for reason, _ in told(api)]


async def until(check: Callable[[], object]) -> None:
    """Let everybody act until `check` holds."""
    for _ in range(100):
        if check():
            return
        await settle(10)
    raise AssertionError("it did not come to that")


def go(test: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        await test()

    asyncio.run(run())
