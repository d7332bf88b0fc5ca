"""Provisioners that the command line names: the built-in one for one machine, and somebody else's."""

from __future__ import annotations

import asyncio
import importlib
from pathlib import Path
from typing import Any

import pytest

from podium.cmd import default_storage, kube_controller_manager
from podium.controllers.local_path_provisioner import NAME, LocalPath
from podium.controllers.volume_binding import VolumeBinder
from podium.controllers.volume_provisioning import ProvisionerError, VolumeRequest, from_flag
from podium.machinery import meta
from podium.machinery.errors import Object
from podium.resources.core.persistentvolumeclaims import PERSISTENTVOLUMECLAIMS
from podium.resources.core.persistentvolumes import PERSISTENTVOLUMES
from podium.resources.storage.storageclasses import STORAGECLASSES, is_default
from podium.runtime.controller import Environment
from podium.runtime.informer import Informers
from tests.runtime.fakes import FakeApi, settle
from tests.volumes import claim, storage_class

EXAMPLES = Path(__file__).parents[2] / "examples" / "extending"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listing = tmp_path / "nfs_storage-1.0.dist-info"
    listing.mkdir()
    (listing / "METADATA").write_text("Metadata-Version: 2.1\nName: nfs-storage\nVersion: 1.0\n")
    (listing / "entry_points.txt").write_text("[podium.volume_provisioners]\nnfs = nfs_storage:make\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.syspath_prepend(str(EXAMPLES))
    importlib.invalidate_caches()


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("name", ["nfs_storage:make", "nfs"])
def test_a_provisioner_of_somebody_elses(name: str, tmp_path: Path) -> None:
    provisioner = from_flag(f"{name},server=nas,export=/volumes,mounted={tmp_path}")

    async def run() -> None:
        api = FakeApi()
        api.put(STORAGECLASSES, storage_class("nas", "example.com/nfs"))
        api.put(PERSISTENTVOLUMECLAIMS, claim("archive", storageClassName="nas"))
        client = api.client()
        environment = Environment(
            client=client, informers=Informers(client, clock=api.clock), clock=api.clock
        )
        tasks = [
            asyncio.create_task(VolumeBinder(provisioners=(provisioner,)).run(environment)),
            asyncio.create_task(environment.informers.run()),
        ]
        await settle(300)
        (made,) = api.all(PERSISTENTVOLUMES)
        assert made["spec"]["nfs"] == {"server": "nas", "path": f"/volumes/{meta.name(made)}"}
        assert meta.dig(api.all(PERSISTENTVOLUMECLAIMS)[0], "status", "phase") == "Bound"
        api.change(PERSISTENTVOLUMES, meta.name(made), _retained)
        await settle(100)
        assert meta.finalizers(api.all(PERSISTENTVOLUMES)[0]) == [], "nothing is left to be done for it"
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(run())


def _retained(volume: Object) -> None:
    assert "external-provisioner.volume.kubernetes.io/finalizer" not in meta.finalizers(volume)
    volume["spec"]["persistentVolumeReclaimPolicy"] = "Retain"


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("flag", "fault"),
    [
        ("nfs_storage:make,server=nas", "options are missing: export, mounted"),
        ("nowhere:make", "could not load volume provisioner"),
        ("nobody", 'unknown volume provisioner "nobody"'),
        ("local-path,directory=relative", "the absolute path of a directory"),
        ("local-path,dir=/x", "one option, directory=PATH"),
    ],
)
def test_flags_that_name_nothing(flag: str, fault: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        kube_controller_manager.main(["--kubeconfig=x", f"--volume-provisioner={flag}"])
    assert fault in capsys.readouterr().err


def _request(**spec: Any) -> VolumeRequest:
    return VolumeRequest(
        name="pvc-1", claim=claim("c", **spec), storage_class=storage_class("s", NAME), node=None
    )


def test_a_directory_comes_and_goes(tmp_path: Path) -> None:
    maker = LocalPath(tmp_path / "volumes")
    volume = asyncio.run(maker.provision(_request()))
    assert volume == asyncio.run(maker.provision(_request())), "asked again after a crash"
    path = Path(volume["spec"]["hostPath"]["path"])
    assert path.stat().st_mode & 0o777 == 0o777
    (path / "sub").mkdir()
    (path / "sub" / "file").touch()
    stored = {**volume, "metadata": {"name": "pvc-1"}}
    for _ in range(2):
        asyncio.run(maker.delete(stored))
        assert list((tmp_path / "volumes").iterdir()) == []
    with pytest.raises(ProvisionerError, match="does not support block"):
        asyncio.run(maker.provision(_request(volumeMode="Block")))


@pytest.mark.parametrize("path", ["{0}", "{0}/other", "{0}/../x/pvc-1", "{0}/a/pvc-1", "/etc"])
def test_nothing_else_is_deleted(tmp_path: Path, path: str) -> None:
    (tmp_path / "other").mkdir()
    volume = {"metadata": {"name": "pvc-1"}, "spec": {"hostPath": {"path": path.format(tmp_path)}}}
    with pytest.raises(ProvisionerError, match="is not the volume's directory"):
        asyncio.run(LocalPath(tmp_path).delete(volume))


def test_a_cluster_gets_its_storage_class_once(tmp_path: Path) -> None:
    async def run() -> None:
        api, marker = FakeApi(), tmp_path / "marker"
        await default_storage.ensure(api.client(), marker)
        assert [is_default(cls) for cls in api.all(STORAGECLASSES)] == [True]
        api.remove(STORAGECLASSES, "standard")
        await default_storage.ensure(api.client(), marker)
        assert api.all(STORAGECLASSES) == []
        api.put(STORAGECLASSES, storage_class("mine", default=True))
        await default_storage.ensure(api.client(), tmp_path / "of another cluster")
        assert [meta.name(cls) for cls in api.all(STORAGECLASSES)] == ["mine"]

    asyncio.run(run())
