"""What this machine is and has, read from /proc, /sys and /etc."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

ARCHITECTURES = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "armv7l": "arm",
    "ppc64le": "ppc64le",
    "s390x": "s390x",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Facts that do not change while the kubelet runs."""

    cpus: int
    memory_bytes: int
    disk_bytes: int
    machine_id: str
    system_uuid: str
    boot_id: str
    kernel: str
    os_image: str
    architecture: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressure:
    """How much is left, at a moment."""

    memory_available_bytes: int
    disk_free_share: float
    pids_free_share: float


def inspect(root: Path) -> Machine:
    """Return the machine's facts; `root` is on the disk whose size counts."""
    disk = os.statvfs(root)
    return Machine(
        cpus=len(os.sched_getaffinity(0)),
        memory_bytes=meminfo("MemTotal"),
        disk_bytes=disk.f_blocks * disk.f_frsize,
        machine_id=read("/etc/machine-id"),
        system_uuid=read("/sys/class/dmi/id/product_uuid") or read("/etc/machine-id"),
        boot_id=read("/proc/sys/kernel/random/boot_id"),
        kernel=platform.release(),
        os_image=_os_image(),
        architecture=ARCHITECTURES.get(platform.machine(), platform.machine()),
    )


def pressure(root: Path) -> Pressure:
    disk = os.statvfs(root)
    pid_max = int(read("/proc/sys/kernel/pid_max") or 32768)
    # The fourth field of loadavg is "running/all threads".
    threads = int((read("/proc/loadavg").split() or ["", "", "", "0/0"])[3].partition("/")[2])
    return Pressure(
        memory_available_bytes=meminfo("MemAvailable"),
        disk_free_share=disk.f_bavail / max(1, disk.f_blocks),
        pids_free_share=1 - threads / pid_max,
    )


def meminfo(field: str) -> int:
    """Return a field of /proc/meminfo in bytes."""
    for line in read("/proc/meminfo").splitlines():
        name, _, rest = line.partition(":")
        if name == field:
            return int(rest.split()[0]) * 1024
    return 0


def read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


def _os_image() -> str:
    for line in read("/etc/os-release").splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip('"')
    return platform.system()
