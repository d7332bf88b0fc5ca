"""What every process tells about itself: the `process_*` family of Prometheus' clients, and its version."""

from __future__ import annotations

import os
import platform
import resource
import time
from pathlib import Path

from podium.base.metrics import Registry

_PAGE_BYTES = resource.getpagesize()


def add_process_metrics(registry: Registry) -> None:
    """Declare the figures; they are read when somebody asks."""
    cpu = registry.counter(
        "process_cpu_seconds_total", "User and system CPU time spent, in seconds."
    ).labels()
    resident = registry.gauge("process_resident_memory_bytes", "Resident memory, in bytes.").labels()
    virtual = registry.gauge("process_virtual_memory_bytes", "Virtual memory, in bytes.").labels()
    files = registry.gauge("process_open_fds", "Open file descriptors.").labels()
    files_max = registry.gauge("process_max_fds", "Most file descriptors that may be open.").labels()
    python = registry.gauge("python_info", "The Python that runs this.", "implementation", "version")
    python.labels(platform.python_implementation(), platform.python_version()).set(1)
    add_start_time(registry)

    def read() -> None:
        times = os.times()
        cpu.value = times.user + times.system
        files_max.set(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        try:
            pages = Path("/proc/self/statm").read_text().split()
            virtual.set(int(pages[0]) * _PAGE_BYTES)
            resident.set(int(pages[1]) * _PAGE_BYTES)
            files.set(len(list(Path("/proc/self/fd").iterdir())))
        except OSError:
            # Not every system has /proc; the peak is the next best that is to be had without a library.
            resident.set(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)

    registry.before_collection(read)


def add_start_time(registry: Registry) -> None:
    """Tell in `registry` when the process began."""
    registry.gauge("process_start_time_seconds", "Start of the process, in Unix time.").labels().set(
        _start_time()
    )


def _start_time() -> float:
    try:
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        boot = next(
            int(line.split()[1])
            for line in Path("/proc/stat").read_text().splitlines()
            if line.startswith("btime ")
        )
    except (OSError, StopIteration, ValueError):
        return time.time() - time.process_time()
    return boot + ticks / os.sysconf("SC_CLK_TCK")
