"""Volumes and claims: who gets whom, what becomes of volumes, and the whole binder on an API in memory."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from podium.controllers.hostpath_provisioner import HostPathProvisioner
from podium.controllers.volume_binding import VolumeBinder
from podium.controllers.volume_binding_plan import Plan, Surroundings, plan_claim, plan_volume
from podium.controllers.volume_expand import VOLUME_EXPAND, plan
from podium.controllers.volume_provisioning import ProvisionerError, VolumeRequest
from podium.controllers.volume_reclaim import deletion_of, is_released, recycler_pod
from podium.machinery.errors import Object
from podium.resources.core.events import EVENTS
from podium.resources.core.persistentvolumeclaims import PERSISTENTVOLUMECLAIMS
from podium.resources.core.persistentvolumes import PERSISTENTVOLUMES
from podium.resources.core.pods import PODS
from podium.resources.core.volume_binding import best_match, misfit
from podium.resources.storage.storageclasses import STORAGECLASSES
from podium.runtime.controller import Environment
from podium.runtime.informer import Informers
from tests.controllers.builders import pod, running
from tests.runtime.fakes import FakeApi, settle
from tests.volumes import claim, reference, storage_class, volume

C = claim()
OTHER = claim("other")
BOUND = {"pv.kubernetes.io/bind-completed": "yes", "pv.kubernetes.io/bound-by-controller": "yes"}
BOUND_CLAIM = claim(volumeName="v", annotations=BOUND, phase="Bound")
DELAYED = storage_class("late", volumeBindingMode="WaitForFirstConsumer")


@pytest.mark.parametrize(
    ("wanted", "volumes", "found"),
    [
        pytest.param(
            C, [volume("big", "9Gi"), volume("small", "2Gi"), volume("tiny", "1Mi")], "small", id="smallest"
        ),
        pytest.param(C, [volume("v", "1Gi", storageClassName="gold")], "", id="class"),
        pytest.param(
            claim(storageClassName="gold"), [volume("v", storageClassName="gold")], "v", id="same class"
        ),
        pytest.param(C, [volume("v", accessModes=["ReadOnlyMany"])], "", id="access modes"),
        pytest.param(
            C,
            [volume("many", "1Gi", accessModes=["ReadWriteOnce", "ReadOnlyMany"]), volume("one", "8Gi")],
            "one",
            id="fewer access modes first",
        ),
        pytest.param(C, [volume("v", volumeMode="Block")], "", id="volume mode"),
        pytest.param(C, [volume("v", phase="Pending")], "", id="not available yet"),
        pytest.param(C, [volume("v", of=OTHER)], "", id="somebody else's"),
        pytest.param(
            C, [volume("a"), volume("z", "100Gi", claimRef=reference(C, uid=""))], "z", id="reserved"
        ),
        pytest.param(C, [volume("v", deletionTimestamp="2026-01-01T00:00:00Z")], "", id="being deleted"),
        pytest.param(
            claim(selector={"matchLabels": {"disk": "fast"}}),
            [volume("a"), volume("b", labels={"disk": "fast"})],
            "b",
            id="selector",
        ),
        pytest.param(C, [volume("v", volumeAttributesClassName="gold")], "", id="attributes class"),
    ],
)
def test_the_volume_that_fits_best(wanted: Object, volumes: list[Object], found: str) -> None:
    match = best_match(wanted, volumes)
    assert (match["metadata"]["name"] if match else "") == found


@pytest.mark.parametrize(
    ("offered", "problem"),
    [
        (volume(), ""),
        (volume(size="1Mi"), "requested PV is too small"),
        (volume(storageClassName="x"), "storageClassName does not match"),
        (volume(volumeMode="Block"), "incompatible volumeMode"),
        (volume(accessModes=["ReadOnlyMany"]), "incompatible accessMode"),
        (volume(deletionTimestamp="2026-01-01T00:00:00Z"), 'the volume is marked for deletion "v"'),
    ],
)
def test_why_a_claim_cannot_have_the_volume_it_names(offered: Object, problem: str) -> None:
    assert misfit(offered, C) == problem


def about(plan: Plan) -> tuple[str, str, list[str]]:
    """Return the phases that a plan leads to, and the reasons of its events."""
    return (
        plan.volume["status"]["phase"] if plan.volume else "",
        plan.claim["status"]["phase"] if plan.claim else "",
        [said.reason for said in plan.events],
    )


def around(*volumes: Object, classes: Any = (), **more: Any) -> Surroundings:
    return Surroundings(
        volumes={v["metadata"]["name"]: v for v in volumes},
        candidates=volumes,
        classes={c["metadata"]["name"]: c for c in classes},
        **more,
    )


FAST = claim(storageClassName="fast")
LATE = claim(storageClassName="late")
CHOSEN = claim(storageClassName="late", annotations={"volume.kubernetes.io/selected-node": "n1"})


@pytest.mark.parametrize(
    ("looked_at", "surroundings", "expected"),
    [
        pytest.param(C, around(volume()), ("Bound", "Bound", []), id="binds"),
        pytest.param(C, around(), ("", "Pending", ["FailedBinding"]), id="nothing there"),
        pytest.param(claim(volumeName="v"), around(), ("", "Pending", []), id="names one that is not there"),
        pytest.param(claim(volumeName="v"), around(volume()), ("Bound", "Bound", []), id="names one"),
        pytest.param(
            claim(volumeName="v"),
            around(volume(size="1Mi")),
            ("", "Pending", ["VolumeMismatch"]),
            id="misfit",
        ),
        pytest.param(
            claim(volumeName="v"), around(volume(of=OTHER)), ("", "Pending", ["FailedBinding"]), id="taken"
        ),
        pytest.param(BOUND_CLAIM, around(volume(of=BOUND_CLAIM)), ("Bound", "Bound", []), id="is bound"),
        pytest.param(BOUND_CLAIM, around(volume()), ("Bound", "Bound", []), id="bound by half"),
        pytest.param(BOUND_CLAIM, around(), ("", "Lost", ["ClaimLost"]), id="volume lost"),
        pytest.param(BOUND_CLAIM, around(volume(of=OTHER)), ("", "Lost", ["ClaimMisbound"]), id="misbound"),
        pytest.param(
            claim(annotations=BOUND, phase="Bound"),
            around(),
            ("", "Lost", ["ClaimLost"]),
            id="reference lost",
        ),
        pytest.param(FAST, around(), ("", "Pending", ["ProvisioningFailed"]), id="no such class"),
        pytest.param(
            FAST,
            around(classes=[storage_class("fast")]),
            ("", "Pending", ["ExternalProvisioning"]),
            id="provisioned outside",
        ),
        pytest.param(
            FAST,
            around(classes=[storage_class("fast", "kubernetes.io/no-provisioner")]),
            ("", "Pending", ["ProvisioningFailed"]),
            id="no provisioner",
        ),
        pytest.param(
            FAST,
            around(classes=[storage_class("fast", "kubernetes.io/x")], provisioners=["kubernetes.io/x"]),
            ("", "Pending", []),
            id="provisioned here",
        ),
        pytest.param(
            FAST, around(classes=[storage_class("fast")], provisioning=False), ("", "", []), id="switched off"
        ),
        pytest.param(
            LATE,
            around(volume(storageClassName="late"), classes=[DELAYED]),
            ("", "Pending", ["WaitForFirstConsumer"]),
            id="waits for a pod",
        ),
        pytest.param(
            LATE,
            around(classes=[DELAYED], waiting_pods=["p"]),
            ("", "Pending", ["WaitForPodScheduled"]),
            id="waits for a node",
        ),
        pytest.param(
            LATE,
            around(volume(storageClassName="late", claimRef=reference(LATE)), classes=[DELAYED]),
            ("Bound", "Bound", []),
            id="the scheduler has chosen a volume",
        ),
        pytest.param(
            CHOSEN,
            around(classes=[DELAYED]),
            ("", "Pending", ["ExternalProvisioning"]),
            id="the scheduler has chosen a node",
        ),
    ],
)
def test_claims(looked_at: Object, surroundings: Surroundings, expected: tuple[str, str, list[str]]) -> None:
    assert about(plan_claim(looked_at, surroundings)) == expected


def test_both_halves_of_a_binding() -> None:
    plan = plan_claim(C, around(volume(accessModes=["ReadWriteOnce", "ReadOnlyMany"])))
    assert plan.volume is not None and plan.claim is not None
    assert plan.volume["spec"]["claimRef"] == reference(C)
    assert plan.volume["metadata"]["annotations"] == {"pv.kubernetes.io/bound-by-controller": "yes"}
    assert plan.claim["metadata"]["annotations"] == BOUND
    assert plan.claim["spec"]["volumeName"] == "v"
    assert plan.claim["status"] == {
        "phase": "Bound",
        "accessModes": ["ReadWriteOnce", "ReadOnlyMany"],
        "capacity": {"storage": "5Gi"},
    }


def test_what_the_user_chose_is_not_marked_as_the_binders_choice() -> None:
    plan = plan_claim(claim(volumeName="v"), around(volume(claimRef=reference(C, uid=""))))
    assert plan.volume is not None and plan.claim is not None
    assert "annotations" not in plan.volume["metadata"]
    assert plan.claim["metadata"]["annotations"] == {"pv.kubernetes.io/bind-completed": "yes"}


def test_a_claim_without_a_class_gets_a_default_that_came_later() -> None:
    classes = [storage_class("a", default=True), storage_class("b")]
    plan = plan_claim(C, around(classes=classes))
    assert plan.claim is not None and plan.claim["spec"]["storageClassName"] == "a"
    none_wanted = plan_claim(claim(storageClassName=""), around(classes=classes))
    assert about(none_wanted) == ("", "Pending", ["FailedBinding"])


def test_who_provisions() -> None:
    class_ = storage_class("fast", "kubernetes.io/aws-ebs")
    made = plan_claim(FAST, around(classes=[class_])).claim
    assert made is not None and made["metadata"]["annotations"] == {
        "volume.kubernetes.io/storage-provisioner": "ebs.csi.aws.com",
        "volume.beta.kubernetes.io/storage-provisioner": "ebs.csi.aws.com",
    }


PROVISIONED = {"pv.kubernetes.io/provisioned-by": "example.com/disks"}


@pytest.mark.parametrize(
    ("looked_at", "its_claim", "phase"),
    [
        pytest.param(volume(phase="Pending"), None, "Available", id="nobody's"),
        pytest.param(
            volume(claimRef=reference(C, uid=""), phase="Pending"), None, "Available", id="reserved"
        ),
        pytest.param(volume(of=C, phase="Pending"), claim(volumeName="v"), "Bound", id="bound"),
        pytest.param(volume(of=C), None, "Released", id="claim gone"),
        pytest.param(volume(of=C, phase="Failed"), None, "Failed", id="stays failed"),
        pytest.param(volume(of=C), claim(volumeName="w"), "Available", id="claim has another"),
        pytest.param(
            volume(of=C, annotations=PROVISIONED, persistentVolumeReclaimPolicy="Delete"),
            claim(volumeName="w"),
            "Released",
            id="made for a claim that has another",
        ),
    ],
)
def test_volumes(looked_at: Object, its_claim: Object | None, phase: str) -> None:
    plan = plan_volume(looked_at, its_claim)
    assert plan.volume is not None and plan.volume["status"]["phase"] == phase


def test_who_holds_a_volume() -> None:
    ours = {"pv.kubernetes.io/provisioned-by": "kubernetes.io/host-path"}
    policy = {"persistentVolumeReclaimPolicy": "Delete", "annotations": ours}
    held, kept = ["kubernetes.io/pv-controller"], {**policy, "persistentVolumeReclaimPolicy": "Retain"}

    def finalizers(**fields: Any) -> list[str]:
        made = plan_volume(volume(**fields), None).volume
        assert made is not None
        return list(made["metadata"].get("finalizers", []))

    assert finalizers(**policy) == held
    assert finalizers(**kept, finalizers=held) == []
    assert finalizers(**policy, deletionTimestamp="2026-01-01T00:00:00Z") == []
    assert finalizers(persistentVolumeReclaimPolicy="Delete", annotations=PROVISIONED) == []


def test_a_volume_given_back_keeps_its_owners_reservation_alone() -> None:
    marked = {"pv.kubernetes.io/bound-by-controller": "yes"}
    chosen = plan_volume(volume(of=C, annotations=marked), claim(volumeName="w")).volume
    reserved = plan_volume(volume(of=C), claim(volumeName="w")).volume
    assert chosen is not None and reserved is not None
    assert "claimRef" not in chosen["spec"] and "annotations" not in chosen["metadata"]
    assert reserved["spec"]["claimRef"]["name"] == "c" and "uid" not in reserved["spec"]["claimRef"]


def test_a_half_bound_volume_asks_for_its_claim() -> None:
    assert plan_volume(volume(of=C), C).look_at_claim == "default/c"
    assert len(plan_volume(volume(of=C, volumeMode="Block"), C).events) == 2


@pytest.mark.parametrize(
    ("offered", "problem", "by"),
    [
        (volume(), "", "kubernetes.io/host-path"),
        (volume(annotations=PROVISIONED), "", ""),
        (volume(csi={"driver": "d", "volumeHandle": "h"}), "", ""),
        (
            volume(annotations={"pv.kubernetes.io/provisioned-by": "kubernetes.io/gone"}),
            "no volume plugin matched name: kubernetes.io/gone",
            "",
        ),
        (
            volume(hostPath=None, nfs={"server": "s", "path": "/"}),
            'error getting deleter volume plugin for volume "v": no deletable volume plugin matched',
            "",
        ),
    ],
)
def test_who_deletes(offered: Object, problem: str, by: str) -> None:
    found = deletion_of(offered, [HostPathProvisioner(enabled=False)])
    assert found.problem == problem
    assert (found.provisioner.name if found.provisioner else "") == by


def test_release_and_recycling() -> None:
    assert is_released(volume(of=C), None)
    assert is_released(volume(of=C), claim(uid="another"))
    assert is_released(volume(of=C), claim(volumeName="w"))
    assert not is_released(volume(of=C), claim(volumeName="v"))
    assert not is_released(volume(), None)
    recycler = recycler_pod(volume(size="10Gi"))
    assert recycler is not None
    assert recycler["spec"]["activeDeadlineSeconds"] == 300
    assert recycler["spec"]["volumes"] == [{"name": "vol", "hostPath": {"path": "/data"}}]
    assert recycler_pod(volume(hostPath=None, csi={"driver": "d", "volumeHandle": "h"})) is None


def test_host_paths_elsewhere_are_not_deleted() -> None:
    for path in ("/etc", "/tmp", "/tmp/", "/tmp/../etc", "/var/tmp/x"):
        with pytest.raises(ProvisionerError, match="host_path deleter only supports"):
            asyncio.run(HostPathProvisioner(enabled=True).delete(volume(hostPath={"path": path})))


class Disks:
    """A provisioner that remembers."""

    name = "kubernetes.io/disks"

    def __init__(self) -> None:
        self.disks: set[str] = set()
        self.full = False

    async def provision(self, request: VolumeRequest) -> Object:
        if self.full:
            raise ProvisionerError("no room")
        self.disks.add(request.name)
        size = request.claim["spec"]["resources"]["requests"]["storage"]
        spec = {
            "capacity": {"storage": size},
            "accessModes": ["ReadWriteOnce"],
            "volumeMode": "Filesystem",
            "local": {"path": request.name},
        }
        return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {}, "spec": spec}

    def owns(self, volume: Object) -> bool:
        return False

    async def delete(self, volume: Object) -> None:
        self.disks.discard(volume["metadata"]["name"])


async def _with_binder(api: FakeApi, disks: Disks, steps: Any) -> None:
    client = api.client()
    environment = Environment(client=client, informers=Informers(client, clock=api.clock), clock=api.clock)
    binder = VolumeBinder(provisioners=(disks, HostPathProvisioner(enabled=False)))
    tasks = [asyncio.ensure_future(binder.run(environment))]
    await asyncio.sleep(0)
    tasks.append(asyncio.ensure_future(environment.informers.run()))
    try:
        await settle(200)
        await steps()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def reasons(api: FakeApi) -> list[str]:
    return sorted(event["reason"] for event in api.all(EVENTS))


def test_one_volume_goes_to_one_of_many_claims_and_is_released() -> None:
    async def run() -> None:
        api = FakeApi()
        api.put(PERSISTENTVOLUMES, volume(phase="Pending"))
        for name in ("a", "b", "c"):
            api.put(PERSISTENTVOLUMECLAIMS, claim(name))

        async def steps() -> None:
            await settle(600)
            phases = {c["metadata"]["name"]: c["status"]["phase"] for c in api.all(PERSISTENTVOLUMECLAIMS)}
            assert sorted(phases.values()) == ["Bound", "Pending", "Pending"]
            winner = next(name for name, phase in phases.items() if phase == "Bound")
            stored = api.get(PERSISTENTVOLUMES, "v")
            assert stored is not None and stored["spec"]["claimRef"]["name"] == winner
            api.remove(PERSISTENTVOLUMECLAIMS, f"default/{winner}")
            await settle(300)
            stored = api.get(PERSISTENTVOLUMES, "v")
            assert stored is not None and stored["status"]["phase"] == "Released"
            api.put(PERSISTENTVOLUMES, volume("w", phase="Pending"))
            await settle(600)
            phases = {c["metadata"]["name"]: c["status"]["phase"] for c in api.all(PERSISTENTVOLUMECLAIMS)}
            assert sorted(phases.values()) == ["Bound", "Pending"]

        await _with_binder(api, Disks(), steps)

    asyncio.run(run())


def test_a_volume_is_made_for_a_claim_and_goes_with_it() -> None:
    async def run() -> None:
        api = FakeApi()
        disks = Disks()
        disks.full = True
        api.put(STORAGECLASSES, storage_class("fast", "kubernetes.io/disks"))
        api.put(PERSISTENTVOLUMECLAIMS, claim(storageClassName="fast"))

        async def steps() -> None:
            await settle(300)
            assert "ProvisioningFailed" in reasons(api)
            disks.full = False
            await api.clock.advance(1)
            await settle(600)
            bound = api.get(PERSISTENTVOLUMECLAIMS, "default/c")
            assert bound is not None and bound["status"]["phase"] == "Bound"
            name = bound["spec"]["volumeName"]
            assert disks.disks == {name} and name.startswith("pvc-")
            made = api.get(PERSISTENTVOLUMES, name)
            assert made is not None and made["metadata"]["finalizers"] == ["kubernetes.io/pv-controller"]
            assert "ProvisioningSucceeded" in reasons(api)
            api.remove(PERSISTENTVOLUMECLAIMS, "default/c")
            await settle(600)
            assert disks.disks == set() and api.get(PERSISTENTVOLUMES, name) is None

        await _with_binder(api, disks, steps)

    asyncio.run(run())


@pytest.mark.parametrize("ends", ["Succeeded", "Failed"])
def test_recycling_gives_a_volume_back_or_says_why_not(ends: str) -> None:
    async def run() -> None:
        api = FakeApi()
        old = volume(of=claim("gone"), phase="Bound", persistentVolumeReclaimPolicy="Recycle")
        api.put(PERSISTENTVOLUMES, {**old, "metadata": {**old["metadata"], "annotations": BOUND}})

        async def steps() -> None:
            await settle(300)
            api.change(PODS, "default/recycler-for-v", lambda p: p.update(status={"phase": ends}))
            await settle(300)
            stored = api.get(PERSISTENTVOLUMES, "v")
            assert stored is not None
            expected = {
                "Succeeded": ("Available", "VolumeRecycled"),
                "Failed": ("Failed", "VolumeFailedRecycle"),
            }
            assert (stored["status"]["phase"], reasons(api)[0]) == expected[ends]
            left = api.get(PODS, "default/recycler-for-v")
            assert (left is None) == (ends == "Succeeded")

        await _with_binder(api, Disks(), steps)

    asyncio.run(run())


def test_a_claim_says_which_pod_it_waits_for() -> None:
    async def run() -> None:
        api = FakeApi()
        api.put(STORAGECLASSES, DELAYED)
        api.put(PERSISTENTVOLUMECLAIMS, LATE)

        async def steps() -> None:
            await settle(200)
            assert reasons(api) == ["WaitForFirstConsumer"]
            waiting = pod("p", node="", phase="Pending")
            waiting["spec"] = {"volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "c"}}]}
            api.put(PODS, waiting)
            await settle(200)
            assert reasons(api) == ["WaitForFirstConsumer", "WaitForPodScheduled"]

        await _with_binder(api, Disks(), steps)

    asyncio.run(run())


def grown(size: str, *, to: str = "9Gi", **fields: Any) -> Object:
    """A bound claim of `size` that wants to be larger."""
    return claim(
        size=to,
        volumeName="v",
        phase="Bound",
        status={"capacity": {"storage": size}},
        annotations=BOUND,
        **fields,
    )


GCE: dict[str, Any] = {"gcePersistentDisk": {"pdName": "d"}}


@pytest.mark.parametrize(
    ("wanted", "source", "message", "resizer"),
    [
        (grown("9Gi"), {}, "", ""),
        (grown("5Gi"), {}, "waiting for an external controller to expand this PVC", ""),
        (
            grown("5Gi"),
            GCE,
            "CSI migration enabled for kubernetes.io/gce-pd; waiting for external resizer to expand the pvc",
            "pd.csi.storage.gke.io",
        ),
    ],
)
def test_who_makes_a_volume_larger(wanted: Object, source: Any, message: str, resizer: str) -> None:
    decided = plan(wanted, volume(of=wanted, **source))
    assert (decided.message, decided.resizer) == (message, resizer)
    with pytest.raises(ValueError, match="not bound to PVC being updated"):
        plan(wanted, volume(of=OTHER))


def test_a_claim_that_grows_is_told() -> None:
    async def run() -> None:
        api = FakeApi()
        api.put(PERSISTENTVOLUMECLAIMS, grown("5Gi", to="5Gi"))
        api.put(PERSISTENTVOLUMES, volume(of=claim(), **GCE))
        async with running(api, [VOLUME_EXPAND]):
            await settle(100)
            assert reasons(api) == []
            api.put(PERSISTENTVOLUMECLAIMS, grown("5Gi"))
            await settle(100)
        assert reasons(api) == ["ExternalExpanding"]
        stored = api.get(PERSISTENTVOLUMECLAIMS, "default/c")
        assert stored is not None
        assert (
            stored["metadata"]["annotations"]["volume.kubernetes.io/storage-resizer"]
            == "pd.csi.storage.gke.io"
        )

    asyncio.run(run())
