"""Volumes of CSI drivers on nodes: attached where pods need them, detached where nobody does."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import pytest

from podium.controllers.attach_detach import Plan, Wanted, attach_detach, attachment_name, plan, unique_name
from podium.machinery import meta
from podium.machinery.errors import Object
from podium.resources.core.events import EVENTS
from podium.resources.core.nodes import NODES
from podium.resources.core.persistentvolumeclaims import PERSISTENTVOLUMECLAIMS
from podium.resources.core.persistentvolumes import PERSISTENTVOLUMES
from podium.resources.core.pods import PODS
from podium.resources.storage.csidrivers import CSIDRIVERS
from podium.resources.storage.volumeattachments import VOLUMEATTACHMENTS
from tests.controllers.builders import pod, running
from tests.runtime.fakes import FakeApi, settle
from tests.volumes import claim, volume

BOUND = {"pv.kubernetes.io/bind-completed": "yes"}
CSI = {"driver": "disks.example.com", "volumeHandle": "h"}


def disk(name: str = "v", handle: str = "h", **fields: Any) -> Object:
    return volume(name, hostPath=None, csi={**CSI, "volumeHandle": handle}, **fields)


def node(name: str = "n1", *, ready: bool = True, in_use: tuple[str, ...] = (), **spec: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "annotations": {"volumes.kubernetes.io/controller-managed-attach-detach": "true"},
        },
        "spec": spec,
        "status": {
            "conditions": [{"type": "Ready", "status": "True" if ready else "Unknown"}],
            "volumesInUse": list(in_use),
        },
    }


def attachment(of: Object, node_name: str = "n1", *, attached: bool = True, **status: Any) -> Object:
    return {
        "metadata": {"name": attachment_name(of, node_name), "uid": "uid-va"},
        "spec": {
            "attacher": CSI["driver"],
            "nodeName": node_name,
            "source": {"persistentVolumeName": meta.name(of)},
        },
        "status": {"attached": attached, **status},
    }


V = disk()
IN_USE = (unique_name(V),)
WAITS = Wanted(volume=V, pods=(pod("p", phase="Pending"),))
OUT_OF_SERVICE = [{"key": "node.kubernetes.io/out-of-service", "effect": "NoExecute"}]
SAID = [{"name": "kubernetes.io/csi/disks.example.com^h", "devicePath": ""}]


def counts(decided: Plan) -> tuple[int, int, int, int]:
    return len(decided.attach), len(decided.detach), len(decided.waiting), len(decided.attached)


@pytest.mark.parametrize(
    ("of", "wanted", "ours", "overdue", "expected"),
    [
        pytest.param(node(), {"v": WAITS}, [], [], (1, 0, 0, 0), id="to be attached"),
        pytest.param(node(), {"v": WAITS}, [attachment(V, attached=False)], [], (0, 0, 0, 0), id="under way"),
        pytest.param(node(), {"v": WAITS}, [attachment(V)], [], (0, 0, 0, 1), id="attached"),
        pytest.param(node(), {}, [attachment(V)], [], (0, 1, 0, 0), id="to be detached"),
        pytest.param(node(in_use=IN_USE), {}, [attachment(V)], [], (0, 0, 1, 1), id="still in use"),
        pytest.param(
            node(in_use=IN_USE, ready=False), {}, [attachment(V)], ["va"], (0, 1, 0, 0), id="by force"
        ),
        pytest.param(
            node(in_use=IN_USE),
            {},
            [attachment(V)],
            ["va"],
            (0, 0, 1, 1),
            id="not by force from a node that is well",
        ),
        pytest.param(
            node(in_use=IN_USE, taints=OUT_OF_SERVICE),
            {},
            [attachment(V)],
            [],
            (0, 1, 0, 0),
            id="out of service",
        ),
    ],
)
def test_plan(
    of: Object, wanted: dict[str, Wanted], ours: list[Object], overdue: list[str], expected: tuple[int, ...]
) -> None:
    names = [attachment_name(V, "n1") for _ in overdue]
    assert counts(plan(of, wanted, [(one, V) for one in ours], {}, names)) == expected


@pytest.mark.parametrize(
    ("elsewhere", "text"),
    [
        ((), "Volume is already exclusively attached to one node and can't be attached to another"),
        ((pod("q"), pod("r")), "Volume is already used by pod(s) q, r"),
        ((pod("q", namespace="x"),), "Volume is already used by 1 pod(s) in different namespaces"),
    ],
)
def test_an_exclusive_volume_is_attached_once(elsewhere: tuple[Object, ...], text: str) -> None:
    want = Wanted(volume=V, pods=WAITS.pods, elsewhere=elsewhere)
    decided = plan(node(), {"v": want}, [], {"v": [attachment(V, "n2")]})
    assert decided.attach == []
    assert [event.message for event in decided.events] == [f'Multi-Attach error for volume "v" {text}']
    shared = disk(accessModes=["ReadWriteMany"])
    many = Wanted(volume=shared, pods=WAITS.pods)
    assert len(plan(node(), {"v": many}, [], {"v": [attachment(shared, "n2")]}).attach) == 1


def test_what_pods_are_told() -> None:
    failed = attachment(V, attached=False, attachError={"message": "no such disk"})
    assert [(e.reason, e.message) for e in plan(node(), {"v": WAITS}, [(failed, V)], {}).events] == [
        ("FailedAttachVolume", 'AttachVolume.Attach failed for volume "v" : no such disk')
    ]
    done = plan(node(), {"v": WAITS}, [(attachment(V), V)], {})
    assert [e.reason for e in done.events] == ["SuccessfulAttachVolume"] and done.attached == SAID


def test_a_name_as_upstreams() -> None:
    digest = hashlib.sha256(b"hdisks.example.comn1").hexdigest()
    assert attachment_name(V, "n1") == f"csi-{digest}"


def _using(name: str, node_name: str) -> Object:
    made = pod(name, node=node_name, phase="Pending")
    made["spec"]["volumes"] = [{"name": "d", "persistentVolumeClaim": {"claimName": "c"}}]
    return made


def _cluster() -> FakeApi:
    api = FakeApi()
    owner = claim("c", volumeName="v", annotations=BOUND, phase="Bound")
    api.put(PERSISTENTVOLUMECLAIMS, owner)
    api.put(PERSISTENTVOLUMES, disk(of=owner))
    for name in ("n1", "n2"):
        api.put(NODES, node(name))
    return api


def _attach(api: FakeApi) -> None:
    """Do the attacher's part."""
    for key in list(api.table(VOLUMEATTACHMENTS)):
        api.change(VOLUMEATTACHMENTS, key, lambda one: one.update(status={"attached": True}))


def _nodes(api: FakeApi) -> list[str]:
    return sorted(one["spec"]["nodeName"] for one in api.all(VOLUMEATTACHMENTS))


def test_a_volume_moves_with_its_pod() -> None:
    async def run() -> None:
        api = _cluster()
        async with running(api, [attach_detach()]):
            api.put(PODS, _using("p", "n1"))
            await settle(200)
            assert _nodes(api) == ["n1"]
            _attach(api)
            await settle(200)
            assert api.table(NODES)["n1"]["status"]["volumesAttached"] == SAID
            api.change(NODES, "n1", lambda n: n["status"].update(volumesInUse=list(IN_USE)))
            api.put(PODS, _using("q", "n2"))
            await settle(200)
            assert _nodes(api) == ["n1"], "an exclusive volume is on one node"
            api.remove(PODS, "default/p")
            await settle(200)
            assert _nodes(api) == ["n1"], "the node has it in use"
            api.change(NODES, "n1", lambda n: n["status"].update(volumesInUse=[]))
            await settle(400)
            assert _nodes(api) == ["n2"]
            assert not api.table(NODES)["n1"]["status"].get("volumesAttached")
            reasons = {event["reason"] for event in api.all(EVENTS)}
            assert reasons == {"SuccessfulAttachVolume", "FailedAttachVolume"}

    asyncio.run(run())


@pytest.mark.parametrize("forced", [True, False])
def test_a_node_that_is_ill_lets_go_in_the_end(forced: bool) -> None:
    async def run() -> None:
        api = _cluster()
        controller = attach_detach() if forced else attach_detach(force_after_s=None)
        async with running(api, [controller]):
            api.put(PODS, _using("p", "n1"))
            await settle(200)
            _attach(api)
            api.put(NODES, {**node("n1", ready=False, in_use=IN_USE)})
            api.remove(PODS, "default/p")
            await settle(200)
            await api.clock.advance(300)
            assert _nodes(api) == ["n1"]
            await api.clock.advance(100)
            await settle(200)
            assert _nodes(api) == ([] if forced else ["n1"])

    asyncio.run(run())


def test_what_is_not_ours_to_attach() -> None:
    async def run() -> None:
        api = _cluster()
        api.put(CSIDRIVERS, {"metadata": {"name": CSI["driver"]}, "spec": {"attachRequired": False}})
        stranger = attachment(V, "n1")
        api.put(VOLUMEATTACHMENTS, {**stranger, "metadata": {"name": "by-hand"}})
        async with running(api, [attach_detach()]):
            api.put(PODS, _using("p", "n1"))
            await settle(200)
            assert set(api.table(VOLUMEATTACHMENTS)) == {"by-hand"}

    asyncio.run(run())


def test_a_node_that_is_gone_has_nothing_attached() -> None:
    async def run() -> None:
        api = _cluster()
        async with running(api, [attach_detach()]):
            api.put(PODS, _using("p", "n1"))
            await settle(200)
            api.remove(NODES, "n1")
            await settle(200)
            assert _nodes(api) == ["n1"]
            api.remove(PODS, "default/p")
            await settle(200)
            assert _nodes(api) == []

    asyncio.run(run())
