"""Claims: from what a pod names to a directory of the node."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from podium.kubelet.container_config import volume_mounts
from podium.kubelet.environment import ConfigFault
from podium.kubelet.objects import Objects
from podium.kubelet.paths import Paths
from podium.kubelet.volumes.manager import VolumeFault, Volumes
from podium.kubelet.volumes.payload import PayloadSources
from podium.kubelet.volumes.persistent import Claimed, claimed, read_only, source_of, volume_of
from podium.machinery.errors import Object
from podium.resources.core.persistentvolumeclaims import PERSISTENTVOLUMECLAIMS
from podium.resources.core.persistentvolumes import PERSISTENTVOLUMES
from tests.kubelet.api import NodeApi
from tests.kubelet.node import make_pod
from tests.volumes import claim, volume

BOUND = claim("data", volumeName="v", phase="Bound")
WANTED = Claimed(volume="d", claim="data")
POD = make_pod(volumes=[{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}])
POD["metadata"]["namespace"] = "default"

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="owners need root")


@pytest.mark.parametrize(
    ("wanted", "found", "fault"),
    [
        (WANTED, None, 'failed to fetch PVC from API server: persistentvolumeclaims "data" not found'),
        (WANTED, claim("data", phase="Pending"), "PVC is not bound"),
        (WANTED, claim("data", phase="Bound"), "PVC has empty pvc.Spec.VolumeName"),
        (
            WANTED,
            {**BOUND, "metadata": {**BOUND["metadata"], "deletionTimestamp": "now"}},
            "is being deleted",
        ),
        (Claimed(volume="d", claim="data", ephemeral=True), BOUND, "was not created for pod default/web"),
    ],
)
def test_claims_that_cannot_be_used(wanted: Claimed, found: Object | None, fault: str) -> None:
    with pytest.raises(ConfigFault, match=fault):
        volume_of(POD, wanted, found)


@pytest.mark.parametrize(
    ("found", "fault"),
    [
        (None, 'failed to fetch PV v from API server: persistentvolumes "v" not found'),
        (volume("v"), "it has a nil pv.Spec.ClaimRef"),
        (volume("v", of=claim("data", uid="another")), "UID another does not point to claim.UID uid-data"),
        (volume("v", of=BOUND, volumeMode="Block"), "volume d has volumeMode Block, but is specified in"),
    ],
)
def test_volumes_that_are_not_the_claims(found: Object | None, fault: str) -> None:
    with pytest.raises(ConfigFault, match=fault):
        source_of(WANTED, BOUND, "v", found)


def test_what_a_pod_claims() -> None:
    pod = make_pod(
        volumes=[
            {"name": "a", "persistentVolumeClaim": {"claimName": "data", "readOnly": True}},
            {"name": "b", "ephemeral": {"volumeClaimTemplate": {}}},
            {"name": "c", "emptyDir": {}},
        ]
    )
    assert list(claimed(pod)) == [
        Claimed(volume="a", claim="data"),
        Claimed(volume="b", claim="web-b", ephemeral=True),
    ]
    mounts = [{"name": name, "mountPath": f"/{name}"} for name in "abc"]
    made = volume_mounts({"volumeMounts": mounts}, dict.fromkeys("abc", "/x"), {}, read_only(pod))
    assert [mount.read_only for mount in made] == [True, False, False]


def test_a_claim_is_followed_once() -> None:
    async def run() -> None:
        api = NodeApi()
        objects = Objects(api.node_client(), api.clock, lambda uid: None)
        services = asyncio.create_task(objects.services.run())

        async def inputs() -> Any:
            found = await objects.inputs(POD, pod_ips=(), host_ips=(), allocatable={})
            return found.sources.claimed

        with pytest.raises(VolumeFault, match=r"unmounted volumes=\[d\].*failed to fetch PVC"):
            await inputs()
        api.put(PERSISTENTVOLUMECLAIMS, BOUND)
        api.put(PERSISTENTVOLUMES, volume("v", of=BOUND))
        assert (await inputs())["d"]["hostPath"]["path"] == "/data"
        api.remove(PERSISTENTVOLUMECLAIMS, "default/data")
        assert set(await inputs()) == {"d"}, "a claim that is gone does not disturb a pod that runs"
        objects.forget(POD["metadata"]["uid"])
        with pytest.raises(VolumeFault):
            await inputs()
        services.cancel()
        await objects.close()

    asyncio.run(run())


def set_up(root: Path, spec: Object, **pod_spec: Any) -> str:
    pod = {**POD, "spec": {**POD["spec"], **pod_spec}}
    return Volumes(Paths(root)).set_up(pod, PayloadSources(claimed={"d": spec}))["d"]


def test_where_volumes_are(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    with pytest.raises(
        VolumeFault, match=f'MountVolume.SetUp failed for volume "d" : path "{disk}" does not'
    ):
        set_up(tmp_path, {"local": {"path": str(disk)}})
    disk.mkdir()
    assert set_up(tmp_path, {"local": {"path": str(disk)}}) == str(disk)
    assert set_up(tmp_path, {"hostPath": {"path": str(disk), "type": "Directory"}}) == str(disk)
    with pytest.raises(VolumeFault, match="no volume plugin for csi"):
        set_up(tmp_path, {"csi": {"driver": "d"}, "capacity": {"storage": "1Gi"}, "claimRef": {"name": "c"}})
    with pytest.raises(VolumeFault, match="makes no filesystems on devices"):
        set_up(tmp_path, {"local": {"path": "/dev/null"}})


@needs_root
def test_a_pods_group_gets_what_is_on_the_disk(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir(mode=0o700)
    (disk / "old").touch(mode=0o600)
    (disk / "link").symlink_to("/etc/passwd")
    passwd = Path("/etc/passwd").stat()
    spec = {"local": {"path": str(disk)}}
    set_up(tmp_path, spec, securityContext={"fsGroup": 2000})
    assert (disk.stat().st_gid, disk.stat().st_mode & 0o7777) == (2000, 0o2770)
    assert ((disk / "old").stat().st_gid, (disk / "old").stat().st_mode & 0o7777) == (2000, 0o660)
    assert Path("/etc/passwd").stat() == passwd
    (disk / "old").chmod(0o600)
    set_up(tmp_path, spec, securityContext={"fsGroup": 2000})
    assert (disk / "old").stat().st_mode & 0o7777 == 0o600, "once for each pod"
