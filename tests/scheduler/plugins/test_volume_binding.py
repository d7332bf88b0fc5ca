"""Where a pod's volumes let it go, and which volumes it gets there."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from podium.machinery.errors import Object
from podium.scheduler.cycle import Misfit, decide
from podium.scheduler.framework import Profile
from podium.scheduler.plugins.node_name import NodeName
from podium.scheduler.plugins.volume_binding import VolumeBinding, VolumeClaims
from podium.scheduler.pod_info import PodInfo
from podium.scheduler.snapshot import Snapshot
from podium.scheduler.volume_choice import choose, claims_of
from podium.scheduler.volumes import Volumes
from tests.scheduler.builders import info, node, snapshot
from tests.scheduler.plugins.helpers import passing
from tests.volumes import claim, reference, storage_class, volume

BOUND = {"pv.kubernetes.io/bind-completed": "yes"}
LATE = storage_class("late", "kubernetes.io/no-provisioner", volumeBindingMode="WaitForFirstConsumer")
MADE = storage_class("made", "example.com/disks", volumeBindingMode="WaitForFirstConsumer")
DRIVER = {"metadata": {"name": "example.com/disks"}, "spec": {"storageCapacity": True}}


def local(name: str, node_name: str, size: str = "5Gi", **fields: Any) -> Object:
    expressions = [{"key": "kubernetes.io/hostname", "operator": "In", "values": [node_name]}]
    required = {"nodeSelectorTerms": [{"matchExpressions": expressions}]}
    fields.setdefault("storageClassName", "late")
    return volume(name, size, nodeAffinity={"required": required}, **fields)


def nodes() -> Snapshot:
    return snapshot(*(node(name, labels={"zone": f"zone-{name}"}) for name in "abc"))


def known(*objects: Object) -> Volumes:
    made = Volumes()
    for obj in objects:
        match obj["kind"]:
            case "PersistentVolumeClaim":
                made.claims.put(obj)
            case "PersistentVolume":
                made.volumes.put(obj)
            case _:
                made.classes[obj["metadata"]["name"]] = obj
    return made


def using(*names: str) -> PodInfo:
    volumes = [{"name": name, "persistentVolumeClaim": {"claimName": name}} for name in names]
    return info(volumes=volumes)


def waiting(name: str = "c", size: str = "1Gi", cls: str = "late", **fields: Any) -> Object:
    return claim(name, size, storageClassName=cls, **fields)


def pinned(name: str, node_name: str) -> Object:
    annotations = {"volume.kubernetes.io/selected-node": node_name}
    return waiting(name, cls="made", annotations=annotations)


BOUND_C = claim("c", volumeName="v", annotations=BOUND, phase="Bound")

CASES = [
    pytest.param((BOUND_C, local("v", "b")), ["c"], "b", id="bound to a node's own"),
    pytest.param((BOUND_C, volume("v")), ["c"], "a b c", id="bound to one for everywhere"),
    pytest.param((BOUND_C,), ["c"], "", id="bound to nothing"),
    pytest.param((LATE, waiting(), local("v", "a"), local("w", "c")), ["c"], "a c", id="free on two nodes"),
    pytest.param((LATE, waiting(size="9Gi"), local("v", "a")), ["c"], "", id="too small"),
    pytest.param(
        (LATE, waiting("c"), waiting("d"), local("v", "a"), local("w", "b"), local("x", "b")),
        ["c", "d"],
        "b",
        id="two volumes on one node",
    ),
    pytest.param(
        (LATE, waiting("c", "1Gi"), waiting("d", "4Gi"), local("v", "a", "2Gi"), local("w", "a", "5Gi")),
        ["d", "c"],
        "a",
        id="the smaller claim takes the smaller volume",
    ),
    pytest.param(
        (LATE, waiting(), local("v", "a"), local("w", "b", claimRef=reference(claim("c"), uid=""))),
        ["c"],
        "b",
        id="reserved for the claim",
    ),
    pytest.param((MADE, waiting(cls="made")), ["c"], "a b c", id="made anywhere"),
    pytest.param(
        (
            {
                **MADE,
                "allowedTopologies": [{"matchLabelExpressions": [{"key": "zone", "values": ["zone-b"]}]}],
            },
            waiting(cls="made"),
        ),
        ["c"],
        "b",
        id="made in a zone",
    ),
    pytest.param((MADE, pinned("c", "b")), ["c"], "b", id="a node has been chosen before"),
    pytest.param((claim(),), ["c"], "", id="the binder is not done"),
    pytest.param((), ["c"], "", id="no such claim"),
    pytest.param((), [], "a b c", id="no claims"),
]


@pytest.mark.parametrize(("objects", "claims", "expected"), CASES)
def test_where_a_pod_can_go(objects: tuple[Object, ...], claims: list[str], expected: str) -> None:
    volumes = known(*objects)
    found = nodes()
    pod = using(*claims)
    names = set("abc")
    for plugin in (VolumeClaims(volumes), VolumeBinding(volumes)):
        names &= passing(plugin, pod, found)
    assert names == set(expected.split())


@pytest.mark.parametrize(
    ("objects", "message"),
    [
        ((), 'persistentvolumeclaim "c" not found'),
        ((claim(),), "pod has unbound immediate PersistentVolumeClaims"),
        (
            (claim(phase="Lost", volumeName="v"),),
            'persistentvolumeclaim "c" bound to non-existent persistentvolume "v"',
        ),
        ((LATE, waiting()), "3 node(s) didn't find available persistent volumes to bind"),
        ((BOUND_C, local("v", "gone")), "3 node(s) didn't match PersistentVolume's node affinity"),
        ((BOUND_C,), "3 node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"),
    ],
)
def test_why_not(objects: tuple[Object, ...], message: str) -> None:
    volumes = known(*objects)
    profile = Profile(filters=(VolumeClaims(volumes), NodeName(), VolumeBinding(volumes)))
    decision = decide(using("c"), nodes(), profile, Random(1))
    assert isinstance(decision, Misfit)
    assert decision.message.startswith(f"0/3 nodes are available: {message}. preemption: ")
    assert decision.plugins == {"VolumeBinding"}


def test_room_is_where_the_driver_says_so() -> None:
    volumes = known(MADE, waiting(cls="made", size="2Gi"))
    volumes.drivers["example.com/disks"] = DRIVER
    for name, size in (("a", "1Gi"), ("b", "3Gi")):
        volumes.capacities[name] = {
            "storageClassName": "made",
            "capacity": size,
            "nodeTopology": {"matchLabels": {"zone": f"zone-{name}"}},
        }
    assert passing(VolumeBinding(volumes), using("c"), nodes()) == {"b"}


def test_ephemeral_claims_belong_to_their_pod() -> None:
    pod = info(volumes=[{"name": "scratch", "ephemeral": {"volumeClaimTemplate": {"spec": {}}}}])
    assert claims_of(pod, known()).problem.startswith("waiting for ephemeral volume controller")
    foreign = claim("p-scratch", annotations=BOUND, volumeName="v")
    assert "pod is not owner" in claims_of(pod, known(foreign)).problem


def test_what_a_pod_gets() -> None:
    volumes = known(
        LATE, MADE, waiting("c"), waiting("d", cls="made"), local("v", "a"), local("w", "b", "2Gi")
    )
    choice = choose(claims_of(using("c", "d"), volumes), volumes, nodes(), "b")
    ((bound, whose),) = choice.volumes
    assert (bound["metadata"]["name"], whose["metadata"]["name"]) == ("w", "c")
    assert bound["spec"]["claimRef"]["uid"] == "uid-c"
    (made,) = choice.claims
    assert made["metadata"]["annotations"] == {"volume.kubernetes.io/selected-node": "b"}
    assert made["metadata"]["name"] == "d"


def test_an_assumption_counts_until_the_api_shows_something_newer() -> None:
    volumes = known(LATE, waiting("c"), waiting("d"), local("v", "a"))
    plugin = VolumeBinding(volumes)
    choice = choose(claims_of(using("c"), volumes), volumes, nodes(), "a")
    volumes.volumes.assume(choice.volumes[0][0])
    assert passing(plugin, using("d"), nodes()) == set()
    volumes.volumes.put(local("v", "a"))  # the same version once more
    assert passing(plugin, using("d"), nodes()) == set()
    newer = local("v", "a")
    newer["metadata"]["resourceVersion"] = "2"
    volumes.volumes.put(newer)
    assert passing(plugin, using("d"), nodes()) == {"a"}
