"""A private containerd for tests: with directories and a CNI network of its own, gone afterwards."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from podium.imageregistry import containerd as images
from podium.imageregistry import oci
from podium.kubelet.cgroups import hierarchies
from podium.kubelet.containerd import ContainerdNode, command, render, snapshotter_for
from podium.kubelet.volumes.mounts import unmount_below

BUSYBOX = "podium.test/busybox:1"
CGROUP = f"podium-test-{os.getpid()}"
"""The tests' own cgroup, so that the end of one run does not touch another's containers."""
START_TIMEOUT_S = 20
APPLETS = (
    "sh",
    "sleep",
    "cat",
    "echo",
    "id",
    "true",
    "false",
    "httpd",
    "wget",
    "nc",
    "ls",
    "stat",
    "head",
    "dd",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateContainerd:
    endpoint: str
    directory: Path
    """For the kubelet's own files; on a disk, removed at the end."""


def available() -> str:
    """Return why real containers cannot run here, empty when they can."""
    if os.geteuid() != 0:
        return "needs root"
    for binary in ("containerd", "runc", "ctr"):
        if shutil.which(binary) is None:
            return f"needs {binary}"
    if not Path("/bin/busybox").exists():
        return "needs busybox"
    return ""


def busybox_archive() -> bytes:
    files = {"/bin/busybox": oci.File(content=Path("/bin/busybox").read_bytes(), mode=0o755)}
    files |= {f"/bin/{applet}": oci.File(link="/bin/busybox") for applet in APPLETS}
    files["/tmp/.keep"] = oci.File()
    return oci.image_archive(BUSYBOX, files, oci.Config(env={"PATH": "/bin"}, command=["sh"]))


@contextlib.contextmanager
def private_containerd(*, network: bool = True) -> Iterator[PrivateContainerd]:
    """Run a containerd with the pause image and a busybox image; stop it and all it started."""
    name = f"t-{secrets.token_hex(3)}"
    directory = Path(tempfile.mkdtemp(prefix="podium-test-"))
    run_dir = Path("/run/podium") / name
    run_dir.mkdir(parents=True)
    node = ContainerdNode(
        root_dir=str(directory / "containerd"),
        state_dir=str(run_dir / "c"),
        socket=str(run_dir / "c.sock"),
        sandbox_image=images.PAUSE_IMAGE,
        cni_conf_dir=str(directory / "cni"),
        snapshotter=snapshotter_for(str(directory)),
    )
    (directory / "cni").mkdir()
    if network:
        (directory / "cni" / "10-test.conflist").write_text(_conflist(name, directory))
    (directory / "config.toml").write_text(render(node))
    log = (directory / "containerd.log").open("wb")
    process = subprocess.Popen(command(str(directory / "config.toml")), stdout=log, stderr=log)
    try:
        _import(node.socket, images.pause_archive())
        _import(node.socket, busybox_archive())
        yield PrivateContainerd(endpoint=node.endpoint, directory=directory)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()
        log.close()
        _kill_shims(node.socket)
        _kill_containers()
        unmount_below(run_dir)
        unmount_below(directory)
        shutil.rmtree(run_dir, ignore_errors=True)
        shutil.rmtree(directory, ignore_errors=True)


def _conflist(name: str, directory: Path) -> str:
    subnet = f"10.{200 + secrets.randbelow(50)}.{secrets.randbelow(256)}.0/24"
    ipam = {
        "type": "host-local",
        "dataDir": str(directory / "ipam"),
        "ranges": [[{"subnet": subnet}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    plugin = {"type": "ptp", "ipMasq": False, "ipam": ipam}
    return json.dumps({"cniVersion": "0.4.0", "name": name, "plugins": [plugin]})


def _import(socket: str, archive: bytes) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    arguments = ["ctr", "-a", socket, "-n", "k8s.io", "images", "import", "-"]
    while True:
        done = subprocess.run(arguments, input=archive, capture_output=True, check=False)
        if done.returncode == 0:
            return
        # The socket appears some time after the process: nothing announces it.
        if time.monotonic() > deadline:
            raise RuntimeError(done.stderr.decode())
        time.sleep(0.05)


def _kill_containers() -> None:
    """End what a failed test left running: a shim's death does not end its containers."""
    pids = set()
    for hierarchy in hierarchies():
        for file in (hierarchy / CGROUP).rglob("cgroup.procs"):
            pids |= set(file.read_text().split())
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)


def _kill_shims(socket: str) -> None:
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        with contextlib.suppress(OSError, ProcessLookupError):
            words = (folder / "cmdline").read_bytes().split(b"\0")
            if b"containerd-shim" in words[0] and socket.encode() in words:
                os.kill(int(folder.name), signal.SIGKILL)
