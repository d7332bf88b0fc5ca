"""Objects for controller tests, in few words."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from podium.base.metrics import Registry
from podium.machinery.errors import Object
from podium.resources.core.events import EVENTS
from podium.runtime.controller import Controller, ControllerRun, Environment
from podium.runtime.informer import Informers
from podium.runtime.metrics import MetricSets
from tests.runtime.fakes import FakeApi


def deployment(name: str = "web", *, replicas: int = 3, image: str = "a", **spec: Any) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "default", "uid": f"uid-{name}", "generation": 1},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": template(name, image),
            "strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"},
            },
            "revisionHistoryLimit": 10,
            "progressDeadlineSeconds": 600,
            **spec,
        },
    }


def template(app: str = "web", image: str = "a") -> Object:
    return {
        "metadata": {"labels": {"app": app}},
        "spec": {"containers": [{"name": "c", "image": image}]},
    }


def replica_set(
    name: str,
    *,
    of: Object | None = None,
    replicas: int = 0,
    image: str = "a",
    available: int | None = None,
    created: str = "2026-01-01T00:00:00Z",
    **annotations: str,
) -> Object:
    count = replicas if available is None else available
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": name,
            "namespace": "default",
            "uid": f"uid-{name}",
            "generation": 1,
            "creationTimestamp": created,
            "resourceVersion": "1",
            "annotations": {key.replace("_", "-"): value for key, value in annotations.items()},
            "ownerReferences": [
                {
                    "apiVersion": "apps/v1",
                    "kind": "Deployment",
                    "name": "web",
                    "uid": of["metadata"]["uid"],
                    "controller": True,
                }
            ]
            if of
            else [],
        },
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": template(image=image),
        },
        "status": {
            "replicas": replicas,
            "readyReplicas": count,
            "availableReplicas": count,
            "terminatingReplicas": 0,
            "observedGeneration": 1,
        },
    }


def pod(
    name: str,
    *,
    node: str = "n1",
    phase: str = "Running",
    ready: bool = True,
    labels: dict[str, str] | None = None,
    owner: Object | None = None,
    ip: str = "",
    **metadata: Any,
) -> Object:
    references = (
        [
            {
                "apiVersion": owner["apiVersion"],
                "kind": owner["kind"],
                "name": owner["metadata"]["name"],
                "uid": owner["metadata"]["uid"],
                "controller": True,
            }
        ]
        if owner
        else []
    )
    status: Object = {
        "phase": phase,
        "conditions": [
            {
                "type": "Ready",
                "status": "True" if ready else "False",
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            }
        ],
    }
    if ip:
        status["podIP"] = ip
        status["podIPs"] = [{"ip": ip}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": "default",
            "uid": f"uid-{name}",
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": labels if labels is not None else {"app": "web"},
            "ownerReferences": references,
            **metadata,
        },
        "spec": {"nodeName": node, "containers": [{"name": "c", "image": "a"}]} if node else {},
        "status": status,
    }


def workload(kind: str, **spec: Any) -> Object:
    """A DaemonSet or StatefulSet `db`."""
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": "db", "namespace": "default", "uid": "uid-db", "generation": 1},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": template(), **spec},
    }


@asynccontextmanager
async def running(
    api: FakeApi, controllers: Sequence[Controller], *, registry: Registry | None = None
) -> AsyncIterator[list[ControllerRun]]:
    """Run controllers on `api` until the block ends; what they count themselves is in `registry`."""
    client = api.client()
    environment = Environment(
        client=client,
        informers=Informers(client, clock=api.clock),
        clock=api.clock,
        sets=MetricSets(registry or Registry()),
    )
    runs = [ControllerRun(controller, environment) for controller in controllers]
    tasks = [asyncio.ensure_future(run.run()) for run in runs]
    tasks.append(asyncio.ensure_future(environment.informers.run()))
    try:
        yield runs
    finally:
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        crashed = [r for r in results if isinstance(r, Exception)]
        assert not crashed, crashed


def events(api: FakeApi) -> list[tuple[str, str]]:
    """Return reason and message of each event written."""
    return [(event["reason"], event["message"]) for event in api.all(EVENTS)]
