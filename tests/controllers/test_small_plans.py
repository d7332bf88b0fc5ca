"""Quotas, protection and the ttl of node caches: the decisions alone."""

from __future__ import annotations

import pytest

from podium.controllers.resourcequota import counted_resource, plan
from podium.controllers.ttl import step
from podium.controllers.volume_protection import plan as protect
from podium.machinery.errors import Object
from tests.controllers.builders import pod


@pytest.mark.parametrize(
    ("name", "resource"),
    [
        ("count/deployments.apps", "deployments.apps"),
        ("secrets", "secrets"),
        ("services.nodeports", "services"),
        ("requests.storage", "persistentvolumeclaims"),
        ("gold.storageclass.storage.k8s.io/requests.storage", "persistentvolumeclaims"),
        ("limits.cpu", "pods"),
        ("requests.example.com/gpu", "pods"),
        ("example.com/unknown", None),
    ],
)
def test_what_an_amount_is_counted_from(name: str, resource: str | None) -> None:
    assert counted_resource(name) == resource


def test_a_quota_counts_running_pods_and_leaves_out_what_is_not_served() -> None:
    quota = {"spec": {"hard": {"pods": "5", "count/pods": "9", "count/ghosts.example.com": "1"}}}
    objects = {"pods": [pod("a"), pod("b", phase="Succeeded")]}
    assert plan(quota, objects)["used"]["pods"] == "1"
    assert "count/ghosts.example.com" not in plan(quota, objects)["used"]


@pytest.mark.parametrize(
    ("deleting", "finalizers", "used", "expected"),
    [
        (False, [], False, ["f"]),
        (False, ["f"], False, None),
        (True, ["x", "f"], True, None),
        (True, ["x", "f"], False, ["x"]),
        (True, [], False, None),
    ],
)
def test_protection(deleting: bool, finalizers: list[str], used: bool, expected: list[str] | None) -> None:
    metadata: Object = {"finalizers": finalizers}
    if deleting:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert protect({"metadata": metadata}, "f", used=used) == expected


@pytest.mark.parametrize(
    ("current", "nodes", "expected"), [(0, 100, 0), (0, 101, 1), (1, 95, 1), (1, 89, 0), (0, 20000, 4)]
)
def test_ttl_steps_overlap(current: int, nodes: int, expected: int) -> None:
    assert step(current, nodes) == expected
