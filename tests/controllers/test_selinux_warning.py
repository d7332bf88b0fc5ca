"""Pods that use one volume with different SELinux labels are told so."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from podium.base.metrics import Registry
from podium.controllers.selinux_conflicts import Use, Volume, VolumeUses, labels_conflict, use_of
from podium.controllers.selinux_warning import selinux_warning
from podium.machinery.errors import Object
from podium.resources.core.events import EVENTS
from podium.resources.core.persistentvolumeclaims import PERSISTENTVOLUMECLAIMS
from podium.resources.core.persistentvolumes import PERSISTENTVOLUMES
from podium.resources.core.pods import PODS
from podium.resources.storage.csidrivers import CSIDRIVERS
from tests.controllers.builders import pod, running
from tests.runtime.fakes import FakeApi, settle

DISK = Volume(name="disk", mounts_with_label=True)
NODE_END = "If both pods land on the same node, only one of them may access the volume."


@pytest.mark.parametrize(
    ("one", "other", "conflict"),
    [
        ("system_u:system_r:container_t:s0:c1,c2", ":::s0:c1,c2", False),
        ("system_u:system_r:container_t:s0:c1,c2", ":::s0:c98,c99", True),
        (":::s0:c1,c2", "", True),
        ("", "", False),
        ("a:::s0", "b:::s0", True),
        ("a:::s0", ":r::s0", False),
    ],
)
def test_labels(one: str, other: str, *, conflict: bool) -> None:
    assert labels_conflict(one, other) is conflict
    assert labels_conflict(other, one) is conflict


@pytest.mark.parametrize(
    ("policy", "label", "mounts", "expected"),
    [
        (None, ":::s0", True, Use(label=":::s0", policy="MountOption")),
        ("MountOption", ":::s0", True, Use(label=":::s0", policy="MountOption")),
        ("Recursive", ":::s0", True, Use(label="", policy="Recursive")),
        (None, ":::s0", False, Use(label="", policy="Recursive")),
        (None, "", True, Use(label="", policy="Recursive")),
    ],
)
def test_how_a_volume_is_labelled(policy: str | None, label: str, *, mounts: bool, expected: Use) -> None:
    asked = {"spec": {"securityContext": {"seLinuxChangePolicy": policy}}}
    assert use_of(asked, label, mounts_with_label=mounts) == expected


def test_both_sides_hear_of_a_conflict_once() -> None:
    uses = VolumeUses()
    mine, theirs = Use(label=":::s0:c1", policy="MountOption"), Use(label=":::s0:c2", policy="MountOption")
    assert uses.add("a/one", DISK, mine) == []
    found = uses.add("a/two", DISK, theirs)
    assert {(c.pod, c.other_pod, c.reason) for c in found} == {
        ("a/one", "a/two", "SELinuxLabelConflict"),
        ("a/two", "a/one", "SELinuxLabelConflict"),
    }
    assert found[0].message == (
        'SELinuxLabel ":::s0:c2" conflicts with pod one that uses the same volume as this pod with '
        f'SELinuxLabel ":::s0:c1". {NODE_END}'
    )
    assert uses.add("a/two", DISK, theirs) == []
    assert uses.conflicts() == set(found)
    uses.drop("a/one")
    assert uses.conflicts() == set()


def test_other_namespaces_are_not_told_about() -> None:
    uses = VolumeUses()
    uses.add("secret/name", DISK, Use(label=":::s0", policy="MountOption"))
    found = uses.add("a/two", DISK, Use(label="", policy="Recursive"))
    mine = [c for c in found if c.pod == "a/two"]
    assert [c.reason for c in mine] == ["SELinuxChangePolicyConflict", "SELinuxLabelConflict"]
    assert not any("secret" in c.message or "name" in c.message for c in mine)


def _using(name: str, level: str, claim: str = "data") -> Object:
    made = pod(name)
    mount = {"name": "c", "volumeMounts": [{"name": "d", "mountPath": "/d"}]}
    made["spec"] |= {
        "containers": [mount],
        "securityContext": {"seLinuxOptions": {"level": level}},
        "volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": claim}}],
    }
    return made


def test_from_binding_to_the_end_of_a_pod() -> None:
    async def run() -> None:
        api, registry = FakeApi(), Registry()
        driver: dict[str, Any] = {"metadata": {"name": "d.example.com"}, "spec": {"seLinuxMount": False}}
        api.put(CSIDRIVERS, driver)
        for name, level in (("a", "s0:c1"), ("b", "s0:c2")):
            api.put(PODS, _using(name, level))

        def told() -> set[tuple[str, str]]:
            return {(e["involvedObject"]["name"], e["reason"]) for e in api.all(EVENTS)}

        async with running(api, [selinux_warning()], registry=registry):
            await settle(100)
            claim = api.put(
                PERSISTENTVOLUMECLAIMS, {"metadata": {"name": "data"}, "spec": {"volumeName": "v"}}
            )
            reference = {"namespace": "default", "name": "data", "uid": claim["metadata"]["uid"]}
            source = {"driver": "d.example.com", "volumeHandle": "h"}
            api.put(
                PERSISTENTVOLUMES, {"metadata": {"name": "v"}, "spec": {"csi": source, "claimRef": reference}}
            )
            await settle(100)
            assert told() == set(), "files are labelled one by one, so the last pod wins"
            api.change(CSIDRIVERS, "d.example.com", lambda one: one["spec"].update(seLinuxMount=True))
            await settle(100)
            assert {("a", "SELinuxLabelConflict"), ("b", "SELinuxLabelConflict")} <= told()
            line = 'property="SELinuxLabel",pod1_namespace="default",pod1_name="a",pod1_value=":::s0:c1"'
            assert line in registry.text().decode()
            api.change(PODS, "default/a", lambda one: one["status"].update(phase="Succeeded"))
            await settle(100)
            assert line not in registry.text().decode()

    asyncio.run(run())


def test_a_pod_at_odds_with_itself() -> None:
    async def run() -> None:
        api = FakeApi()
        made = _using("a", "s0:c1")
        other = {**made["spec"]["containers"][0], "name": "o"}
        other["securityContext"] = {"seLinuxOptions": {"level": "s0:c2"}}
        made["spec"]["initContainers"] = [other]
        made["spec"]["volumes"] = [{"name": "d", "emptyDir": {}}]
        api.put(PODS, made)
        async with running(api, [selinux_warning()]):
            await settle(100)
        assert [(e["type"], e["message"]) for e in api.all(EVENTS)] == [
            ("Warning", 'Volume "d" is mounted twice with different SELinux labels inside this pod')
        ]

    asyncio.run(run())
