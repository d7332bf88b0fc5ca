"""Volumes: what their files hold, how they change, how they are taken down."""

from __future__ import annotations

import asyncio
import base64
import os
from dataclasses import replace
from pathlib import Path

import pytest

from podium.kubelet.environment import ConfigFault, EnvironmentSources
from podium.kubelet.paths import Paths
from podium.kubelet.volumes.atomic_writer import File, write_payload
from podium.kubelet.volumes.host_path import host_path
from podium.kubelet.volumes.manager import VolumeFault, Volumes
from podium.kubelet.volumes.mounts import is_mount
from podium.kubelet.volumes.payload import PayloadSources, references, token_requests
from podium.machinery.errors import Object
from tests.kubelet.node import make_pod

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounts and owners need root")


def config_map(**data: str) -> Object:
    return {"metadata": {"name": "conf"}, "data": data}


def secret(**data: str) -> Object:
    encoded = {key: base64.b64encode(text.encode()).decode() for key, text in data.items()}
    return {"metadata": {"name": "sec"}, "data": encoded}


def sources(conf: Object | None = None, sec: Object | None = None) -> PayloadSources:
    env = EnvironmentSources(config_maps={"conf": conf}, secrets={"sec": sec}, pod_ips=("10.0.0.2",))
    return PayloadSources(environment=env, tokens={("", 3607): "jwt"})


def content(folder: Path) -> dict[str, str]:
    """Return what a program in the container would see."""
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.relative_to(folder).parts[0].startswith("..")
    }


def test_files_change_as_a_whole(tmp_path: Path) -> None:
    assert write_payload(tmp_path, {"a": File(content=b"1"), "b": File(content=b"2", mode=0o600)})
    first = (tmp_path / "..data").readlink()
    assert (tmp_path / "a").readlink() == Path("..data/a")
    assert (tmp_path / "b").stat().st_mode & 0o777 == 0o600
    assert not write_payload(tmp_path, {"a": File(content=b"1"), "b": File(content=b"2", mode=0o600)})
    assert (tmp_path / "..data").readlink() == first

    assert write_payload(tmp_path, {"a": File(content=b"3"), "d/c": File(content=b"4")})
    assert content(tmp_path) == {"a": "3"}
    assert (tmp_path / "d" / "c").read_text() == "4"
    assert not (tmp_path / "b").is_symlink()
    assert not (tmp_path / first).exists()


def test_a_file_that_was_tampered_with_is_put_right(tmp_path: Path) -> None:
    write_payload(tmp_path, {"a": File(content=b"1")})
    (tmp_path / "a").write_bytes(b"x")
    assert write_payload(tmp_path, {"a": File(content=b"1")})
    assert (tmp_path / "a").read_bytes() == b"1"


def test_config_map_volumes_follow_their_object(tmp_path: Path) -> None:
    volumes = Volumes(Paths(tmp_path))
    pod = make_pod({"name": "app"}, volumes=[{"name": "v", "configMap": {"name": "conf"}}])
    folder = Path(volumes.set_up(pod, sources(config_map(a="1")))["v"])
    assert folder.parts[-2:] == ("kubernetes.io~configmap", "v")
    assert content(folder) == {"a": "1"}
    volumes.set_up(pod, sources(config_map(a="2", b="3")))
    assert content(folder) == {"a": "2", "b": "3"}
    volumes.tear_down(pod["metadata"]["uid"])
    assert not folder.exists()


def test_items_choose_keys_paths_and_modes(tmp_path: Path) -> None:
    items = [{"key": "a", "path": "deep/file", "mode": 0o400}]
    pod = make_pod({"name": "app"}, volumes=[{"name": "v", "configMap": {"name": "conf", "items": items}}])
    folder = Path(Volumes(Paths(tmp_path)).set_up(pod, sources(config_map(a="1", b="2")))["v"])
    assert (folder / "deep" / "file").read_text() == "1"
    assert (folder / "deep" / "file").stat().st_mode & 0o777 == 0o400
    assert not (folder / "b").exists()


@pytest.mark.parametrize(
    ("volume", "message"),
    [
        ({"configMap": {"name": "gone"}}, 'configmap "gone" not found'),
        ({"secret": {"secretName": "gone"}}, 'secret "gone" not found'),
        (
            {"configMap": {"name": "conf", "items": [{"key": "z", "path": "z"}]}},
            "configmap references non-existent config key: z",
        ),
        (
            {"secret": {"secretName": "sec", "items": [{"key": "z", "path": "z"}]}},
            "references non-existent secret key: z",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@needs_root
def test_what_is_missing_fails_the_mount_unless_it_is_optional(
    volume: Object, message: str, tmp_path: Path
) -> None:
    volumes = Volumes(Paths(tmp_path))
    held = sources(config_map(a="1"), secret(p="s"))
    pod = make_pod({"name": "app"}, volumes=[{"name": "v", **volume}])
    with pytest.raises(VolumeFault) as fault:
        volumes.set_up(pod, held)
    assert str(fault.value) == f'MountVolume.SetUp failed for volume "v" : {message}'
    ((kind, source),) = volume.items()
    pod["spec"]["volumes"] = [{"name": "v", kind: {**source, "optional": True}}]
    try:
        assert content(Path(volumes.set_up(pod, held)["v"])) == {}
    finally:
        volumes.tear_down(pod["metadata"]["uid"])


@needs_root
def test_projected_volumes_join_their_sources_in_memory(tmp_path: Path) -> None:
    volumes = Volumes(Paths(tmp_path))
    parts: list[Object] = [
        {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}},
        {"configMap": {"name": "conf", "items": [{"key": "ca", "path": "ca.crt"}]}},
        {"secret": {"name": "sec"}},
        {
            "downwardAPI": {
                "items": [
                    {"path": "namespace", "fieldRef": {"fieldPath": "metadata.namespace"}},
                    {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
                ]
            }
        },
    ]
    pod = make_pod(
        {"name": "app"}, volumes=[{"name": "v", "projected": {"sources": parts, "defaultMode": 0o640}}]
    )
    pod["metadata"]["labels"] = {"b": 'q"', "a": "1"}
    held = sources(config_map(ca="CA"), secret(password="s3"))
    folder = Path(volumes.set_up(pod, held)["v"])
    try:
        assert is_mount(folder)
        assert content(folder) == {
            "token": "jwt",
            "ca.crt": "CA",
            "password": "s3",
            "namespace": "shop",
            "labels": 'a="1"\nb="q\\""',
        }
        assert (folder / "token").stat().st_mode & 0o777 == 0o640
        volumes.set_up(pod, replace(held, tokens={("", 3607): "jwt2"}))
        assert (folder / "token").read_text() == "jwt2"
    finally:
        volumes.tear_down(pod["metadata"]["uid"])
    assert not folder.exists()


@needs_root
def test_a_token_belongs_to_the_one_user_who_reads_it(tmp_path: Path) -> None:
    volumes = Volumes(Paths(tmp_path))
    token = {"projected": {"sources": [{"serviceAccountToken": {"path": "t", "expirationSeconds": 3607}}]}}
    pod = make_pod({"name": "app", "securityContext": {"runAsUser": 1234}}, volumes=[{"name": "v", **token}])
    try:
        found = (Path(volumes.set_up(pod, sources())["v"]) / "t").stat()
        assert (found.st_uid, found.st_mode & 0o777) == (1234, 0o600)
    finally:
        volumes.tear_down(pod["metadata"]["uid"])


@needs_root
def test_empty_dirs_on_disk_and_in_memory(tmp_path: Path) -> None:
    volumes = Volumes(Paths(tmp_path))
    pod = make_pod(
        {"name": "app"},
        volumes=[
            {"name": "disk", "emptyDir": {}},
            {"name": "memory", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
        ],
        securityContext={"fsGroup": 2000},
    )
    found = volumes.set_up(pod, PayloadSources())
    disk, memory = Path(found["disk"]), Path(found["memory"])
    try:
        assert (disk.stat().st_mode & 0o7777, disk.stat().st_gid) == (0o2777, 2000)
        assert is_mount(memory)
        assert os.statvfs(memory).f_blocks * os.statvfs(memory).f_frsize == 1024 * 1024
        (disk / "kept").write_text("x")
        volumes.set_up(pod, PayloadSources())
        assert (disk / "kept").read_text() == "x"
    finally:
        volumes.tear_down(pod["metadata"]["uid"])
    assert not disk.exists()
    assert not is_mount(memory)


@needs_root
def test_subpaths_show_a_part_and_never_leave_the_volume(tmp_path: Path) -> None:
    volumes = Volumes(Paths(tmp_path / "kubelet"))
    pod = make_pod({"name": "app"}, volumes=[{"name": "v", "emptyDir": {}}])
    found = volumes.set_up(pod, PayloadSources())
    folder = Path(found["v"])
    (folder / "in").mkdir()
    (folder / "in" / "file").write_text("inside")
    (folder / "out").symlink_to("/etc")
    (folder / "link").symlink_to("in")
    try:
        bound = volumes.bind_subpaths(pod, "app", found, {"/a": ("v", "in"), "/b": ("v", "link/file")})
        assert (Path(bound["/a"]) / "file").read_text() == "inside"
        assert Path(bound["/b"]).read_text() == "inside"
        with pytest.raises(ConfigFault, match="not within volume path"):
            volumes.bind_subpaths(pod, "app", found, {"/c": ("v", "out")})
        made = volumes.bind_subpaths(pod, "other", found, {"/d": ("v", "new/folder")})
        (Path(made["/d"]) / "x").write_text("1")
        assert (folder / "new" / "folder" / "x").read_text() == "1"
        # For the next container the part is looked up anew.
        (folder / "in" / "file").rename(folder / "in" / "old")
        (folder / "in" / "file").write_text("replaced")
        bound = volumes.bind_subpaths(pod, "app", found, {"/a": ("v", "in"), "/b": ("v", "link/file")})
        assert Path(bound["/b"]).read_text() == "replaced"
    finally:
        volumes.tear_down(pod["metadata"]["uid"])
    assert not folder.exists()


def test_host_paths_are_checked_by_type(tmp_path: Path) -> None:
    made = tmp_path / "made"
    assert host_path({"path": str(made), "type": "DirectoryOrCreate"}) == str(made)
    assert made.is_dir()
    file = tmp_path / "file"
    assert host_path({"path": str(file), "type": "FileOrCreate"}) == str(file)
    assert host_path({"path": str(tmp_path / "any")}) == str(tmp_path / "any")
    for kind, path in (("Directory", file), ("File", made), ("Socket", file), ("CharDevice", file)):
        with pytest.raises(ConfigFault, match="hostPath type check failed"):
            host_path({"path": str(path), "type": kind})


def test_an_unknown_kind_of_volume_is_named(tmp_path: Path) -> None:
    pod = make_pod({"name": "app"}, volumes=[{"name": "v", "nfs": {"server": "a", "path": "/"}}])
    with pytest.raises(VolumeFault, match="no volume plugin for nfs"):
        Volumes(Paths(tmp_path)).set_up(pod, PayloadSources())


def test_references_are_found_everywhere() -> None:
    pod = make_pod(
        {
            "name": "app",
            "envFrom": [{"configMapRef": {"name": "a"}}, {"secretRef": {"name": "s"}}],
            "env": [{"name": "X", "valueFrom": {"secretKeyRef": {"name": "t", "key": "k"}}}],
        },
        initContainers=[
            {"name": "i", "env": [{"name": "X", "valueFrom": {"configMapKeyRef": {"name": "b", "key": "k"}}}]}
        ],
        volumes=[
            {"name": "1", "configMap": {"name": "c"}},
            {"name": "2", "secret": {"secretName": "u"}},
            {
                "name": "3",
                "projected": {
                    "sources": [
                        {"configMap": {"name": "d"}},
                        {"secret": {"name": "w"}},
                        {"serviceAccountToken": {"path": "t", "audience": "me", "expirationSeconds": 600}},
                    ]
                },
            },
        ],
        imagePullSecrets=[{"name": "pull"}],
    )
    assert references(pod) == ({"a", "b", "c", "d"}, {"s", "t", "u", "w", "pull"})
    assert token_requests(pod) == {("me", 600)}


def test_tear_down_of_nothing_is_no_error(tmp_path: Path) -> None:
    asyncio.run(asyncio.to_thread(Volumes(Paths(tmp_path)).tear_down, "absent"))
