"""Images: the pause program runs, archives are what the specification says, recipes are checked."""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest

from podium.imageregistry import containerd, oci, pause, recipe


@pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64", reason="runs machine code of amd64 Linux"
)
def test_the_pause_program_waits_and_ignores_its_orphans(tmp_path: Path) -> None:
    program = tmp_path / "pause"
    program.write_bytes(pause.program("amd64"))
    program.chmod(0o755)
    with subprocess.Popen([program]) as process:
        status = Path(f"/proc/{process.pid}/status")
        deadline = time.monotonic() + 10
        ignored = 0
        # It sets SIGCHLD aside with its first instruction; the process may not have come so far.
        while not ignored & 1 << signal.SIGCHLD - 1 and time.monotonic() < deadline:
            ignored = int(dict(line.split(":", 1) for line in status.read_text().splitlines())["SigIgn"], 16)
        assert ignored & 1 << signal.SIGCHLD - 1
        assert process.poll() is None
        process.kill()
    assert process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("architecture", ["amd64", "arm64"])
def test_the_pause_program_is_an_executable(architecture: str) -> None:
    program = pause.program(architecture)
    assert program[:4] == b"\x7fELF"
    assert len(program) < 300


def test_no_pause_program_for_other_machines() -> None:
    with pytest.raises(ValueError, match="mips"):
        pause.program("mips")


def members(archive: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {member.name: member for member in tar}


def content(archive: bytes, name: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        file = tar.extractfile(name)
        assert file is not None
        return file.read()


def test_an_archive_is_an_oci_layout_whose_digests_hold() -> None:
    files = {"/bin/tool": oci.File(content=b"#!", mode=0o755), "/bin/link": oci.File(link="tool")}
    archive = oci.image_archive("shop/web:1", files, oci.Config(entrypoint=["/bin/tool"], env={"A": "b"}))
    index = json.loads(content(archive, "index.json"))
    (manifest_descriptor,) = index["manifests"]
    assert manifest_descriptor["annotations"]["io.containerd.image.name"] == "docker.io/shop/web:1"

    def blob(descriptor: dict[str, str]) -> bytes:
        found = content(archive, "blobs/" + descriptor["digest"].replace(":", "/"))
        assert "sha256:" + hashlib.sha256(found).hexdigest() == descriptor["digest"]
        return found

    manifest = json.loads(blob(manifest_descriptor))
    config = json.loads(blob(manifest["config"]))
    layer = blob(manifest["layers"][0])
    assert config["config"]["Entrypoint"] == ["/bin/tool"]
    assert config["config"]["Env"] == ["A=b"]
    entries = members(layer)
    assert set(entries) == {"bin", "bin/link", "bin/tool"}
    assert entries["bin/tool"].mode == 0o755
    assert entries["bin/link"].linkname == "tool"


def test_the_same_files_make_the_same_image() -> None:
    assert containerd.pause_archive() == containerd.pause_archive()


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("hello", "docker.io/library/hello:latest"),
        ("me/hello:2", "docker.io/me/hello:2"),
        ("podium.local/hello:1", "podium.local/hello:1"),
        ("localhost:5000/hello", "localhost:5000/hello:latest"),
    ],
)
def test_names_are_what_runtimes_make_of_them(name: str, full: str) -> None:
    assert oci.canonical_name(name) == full


def test_a_recipe_is_followed(tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text("hi")
    (tmp_path / "site" / "link").symlink_to("index.html")
    tool = tmp_path / "tool"
    tool.write_text("#!/bin/sh\n")
    tool.chmod(0o755)
    file = tmp_path / "image.toml"
    file.write_text(
        'name = "x/y:1"\n[files]\n"/bin/tool" = "tool"\n"/srv" = "site"\n'
        '[links]\n"tool" = ["/bin/sh"]\n[config]\nentrypoint = ["/bin/tool"]\n'
    )
    followed = recipe.read(file)
    assert followed.name == "x/y:1"
    assert followed.files["/bin/tool"].mode == 0o755
    assert followed.files["/srv/index.html"].content == b"hi"
    assert followed.files["/srv/link"].link == "index.html"
    assert followed.files["/bin/sh"].link == "tool"
    assert list(followed.config.entrypoint) == ["/bin/tool"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("name = 'x'\nsteps = 1", "unknown field 'steps'"),
        ("[config]\nuser = 'x'", "name: required"),
        ("name = 'x'\n[files]\n'rel' = 'y'", "files.'rel'"),
        ("name = 'x'\n[files]\n'/a' = 'missing'", "No such file"),
        ("name = 'x'\n[config]\nentrypoint = 'sh'", "config.entrypoint: must be a list"),
        ("name = 'x'\n[config]\nports = []", "config.ports: unknown field"),
        ("name = ", "Invalid value"),
    ],
)
def test_a_bad_recipe_is_told_where_it_is_wrong(tmp_path: Path, text: str, complaint: str) -> None:
    file = tmp_path / "image.toml"
    file.write_text(text)
    with pytest.raises(recipe.RecipeError) as caught:
        recipe.read(file)
    assert complaint in str(caught.value)
    assert str(file) in str(caught.value)


def test_the_example_s_recipe_is_good() -> None:
    if not os.path.exists("/bin/busybox"):  # noqa: PTH110
        pytest.skip("the example's recipe needs Debian's busybox-static")
    followed = recipe.read(Path(__file__).parents[2] / "examples" / "hello" / "image.toml")
    assert followed.files["/www/serve"].mode & 0o111
