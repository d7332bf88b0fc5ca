"""Pods leave tainted devices in time."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from podium.controllers.device_taint_eviction import Tainted, device_taint_eviction, leave, taints_in
from podium.machinery import meta
from podium.machinery.errors import Object
from podium.resources.core.events import EVENTS
from podium.resources.core.pods import PODS
from podium.resources.resource.resourceclaims import RESOURCECLAIMS
from podium.resources.resource.resourceslices import RESOURCESLICES
from tests.controllers.builders import pod, running
from tests.runtime.fakes import START, FakeApi, settle

TAINT = {"key": "broken", "value": "yes", "effect": "NoExecute", "timeAdded": "2026-01-01T00:00:00Z"}


def tolerate(seconds: int | None = None, **fields: Any) -> Object:
    made = {"key": "broken", "operator": "Exists", "effect": "NoExecute", **fields}
    return made if seconds is None else {**made, "tolerationSeconds": seconds}


def claim(*tolerations: Object, users: tuple[str, ...] = ("a",)) -> Object:
    result = {"request": "r", "driver": "d", "pool": "p", "device": "gpu-0", "tolerations": list(tolerations)}
    reserved = [{"resource": "pods", "name": name, "uid": f"uid-{name}"} for name in users]
    return {
        "metadata": {"name": "c", "namespace": "default"},
        "spec": {},
        "status": {"allocation": {"devices": {"results": [result]}}, "reservedFor": reserved},
    }


def slice_(*taints: Object, name: str = "s", generation: int = 1, device: str = "gpu-0") -> Object:
    return {
        "metadata": {"name": name},
        "spec": {
            "driver": "d",
            "pool": {"name": "p", "generation": generation},
            "devices": [{"name": device, "taints": list(taints)}],
        },
    }


@pytest.mark.parametrize(
    ("tolerations", "taint", "after_s"),
    [
        ([], TAINT, 0),
        ([tolerate()], TAINT, None),
        ([tolerate(30)], TAINT, 30),
        ([tolerate(30), tolerate(10)], TAINT, 10),
        ([tolerate(30), tolerate()], TAINT, None),
        ([tolerate(key="other")], TAINT, 0),
        ([tolerate(effect="NoSchedule")], TAINT, 0),
        ([tolerate(-5)], TAINT, 0),
        ([], {**TAINT, "effect": "NoSchedule"}, None),
    ],
)
def test_when_users_have_to_leave(tolerations: list[Object], taint: Object, after_s: int | None) -> None:
    expected = None if after_s is None else START + timedelta(seconds=after_s)
    found = leave(claim(*tolerations), lambda _result: [Tainted(taint=taint)], START + timedelta(hours=1))
    assert (found and found.at) == expected


def test_slices_that_are_out_of_date_do_not_count() -> None:
    old, new = slice_(TAINT), slice_(name="t", generation=2)
    assert taints_in([old], "gpu-0") == [TAINT]
    assert taints_in([old, new], "gpu-0") == []
    assert taints_in([old], "gpu-1") == []


def test_pods_leave_a_device_that_breaks() -> None:
    async def run() -> None:
        api = FakeApi()
        api.put(RESOURCESLICES, slice_())
        api.put(RESOURCECLAIMS, claim(tolerate(60), users=("a", "done", "waits")))
        for name, node, phase in (
            ("a", "n", "Running"),
            ("done", "n", "Succeeded"),
            ("waits", "", "Pending"),
        ):
            made = pod(name, node=node, phase=phase, finalizers=["example.com/keep"])
            made["spec"]["resourceClaims"] = [{"name": "r", "resourceClaimName": "c"}]
            api.put(PODS, made)

        def leaving() -> set[str]:
            return {meta.name(one) for one in api.all(PODS) if meta.deleting(one)}

        async with running(api, [device_taint_eviction()]):
            await settle(100)
            assert leaving() == set()
            api.put(RESOURCESLICES, slice_(TAINT))
            await settle(100)
            assert leaving() == set()
            await api.clock.advance(61)
            await settle(100)
            assert leaving() == {"a"}
            assert [event["message"] for event in api.all(EVENTS)] == ["Marking for deletion"]
            conditions = api.table(PODS)["default/a"]["status"]["conditions"]
            assert "DeletionByDeviceTaintManager" in {c.get("reason") for c in conditions}
            api.change(PODS, "default/waits", lambda one: one["spec"].update(nodeName="n"))
            await settle(100)
            assert leaving() == {"a", "waits"}

    asyncio.run(run())
