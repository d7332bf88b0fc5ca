"""How fast a cluster starts and how much memory it takes.

    python -m bench.start [--nodes 1] [--rounds 3]

Times are from the start of the `podium up` process, except where a line says otherwise; the yardstick in the
same run is a bare Python interpreter that imports what every component needs (asyncio and ssl). Memory is the
resident set of each process, and its share of it: a page that several have is split among them (Pss).
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

PODIUM = str(Path(sys.executable).parent / "podium")
CONTROL_PLANE = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
# Measured elsewhere on such a machine, for orientation only: etcd + kube-apiserver 1.36.
UPSTREAM = "upstream's etcd + kube-apiserver: readyz after 3.2 s, 342 MB; with the two controllers 533 MB"
SETTLE_S = 5.0


@dataclass(slots=True, kw_only=True)
class Start:
    """One start of one cluster, in seconds."""

    readyz_s: float = 0.0
    readyz_after_process_s: float = 0.0
    steps_s: dict[str, float] = field(default_factory=dict)
    whole_s: float = 0.0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--nodes", type=int, default=int(os.geteuid() == 0))
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    yardstick_s = statistics.median(_interpreter_s() for _ in range(arguments.rounds))
    print(f"yardstick: a Python interpreter that imports asyncio and ssl: {yardstick_s:.2f} s")
    fresh, again = [], []
    with tempfile.TemporaryDirectory(prefix="podium-bench-") as work:
        state_dir, port = Path(work) / "cluster", _free_port()
        for round_ in range(arguments.rounds):
            fresh.append(_start(state_dir, port, arguments.nodes, "--fresh"))
            _podium("down", state_dir)
            again.append(_start(state_dir, port, arguments.nodes))
            if round_ == arguments.rounds - 1:
                time.sleep(SETTLE_S)
                memory = _memory(state_dir)
            _podium("down", state_dir)
    for title, starts in (("from nothing", fresh), ("on existing state", again)):
        print(f"\n{title} (median of {len(starts)})")
        _line(
            "kube-apiserver ready, from its process's start",
            [s.readyz_after_process_s for s in starts],
            yardstick_s,
        )
        _line("kube-apiserver ready, from `podium up`", [s.readyz_s for s in starts], yardstick_s)
        for step in starts[0].steps_s:
            _line(f"step: {step}", [s.steps_s.get(step, 0.0) for s in starts], yardstick_s)
        _line("everything ready", [s.whole_s for s in starts], yardstick_s)
    print(f"\nmemory {SETTLE_S:.0f} s after the start, MB" + " " * 16 + "resident    share")
    for name, (resident, share) in memory.items():
        print(f"  {name:<40} {resident:8.0f} {share:8.0f}")
    plane = [memory[name] for name in CONTROL_PLANE if name in memory]
    print(f"  {'control plane together':<40} {sum(r for r, _ in plane):8.0f} {sum(s for _, s in plane):8.0f}")
    print(f"\n({UPSTREAM})")


def _line(what: str, seconds: list[float], yardstick_s: float) -> None:
    median = statistics.median(seconds)
    print(f"  {what:<50} {median:6.2f} s  {median / yardstick_s:5.1f} × yardstick")


def _interpreter_s() -> float:
    started = time.monotonic()
    subprocess.run([sys.executable, "-c", "import asyncio, ssl"], check=True)
    return time.monotonic() - started


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _start(state_dir: Path, port: int, nodes: int, *flags: str) -> Start:
    start = Start()
    started, wall = time.monotonic(), time.time()
    watcher = threading.Thread(target=_watch_readyz, args=(state_dir, port, started, start))
    watcher.start()
    command = [PODIUM, "up", f"--state-dir={state_dir}", f"--port={port}", f"--nodes={nodes}", *flags]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    start.whole_s = time.monotonic() - started
    watcher.join()
    if done.returncode != 0:
        sys.exit(done.stdout + done.stderr)
    for line in done.stdout.splitlines():
        if found := re.match(r"  (?:ok )?(\S.*?) +(\d+\.\d+) s$", line):
            start.steps_s[found[1]] = float(found[2])
    record = json.loads((state_dir / "status.json").read_text())
    since = next(c["since"] for c in record["components"] if c["name"] == "kube-apiserver")
    start.readyz_after_process_s = start.readyz_s - (since - wall)
    return start


def _watch_readyz(state_dir: Path, port: int, started: float, start: Start) -> None:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    while time.monotonic() - started < 60:
        connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=1)
        try:
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                start.readyz_s = time.monotonic() - started
                return
        except (OSError, http.client.HTTPException):
            time.sleep(0.005)
        finally:
            connection.close()


def _podium(command: str, state_dir: Path) -> None:
    subprocess.run([PODIUM, command, f"--state-dir={state_dir}"], check=True, capture_output=True)


def _memory(state_dir: Path) -> dict[str, tuple[float, float]]:
    record = json.loads((state_dir / "status.json").read_text())
    processes = {c["name"]: c["pid"] for c in record["components"]}
    processes["podium up (supervisor)"] = record["supervisor"]
    return {name: _memory_of(pid) for name, pid in processes.items()}


def _memory_of(pid: int) -> tuple[float, float]:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    sizes = {line.split(":")[0]: int(line.split()[1]) for line in text.splitlines()[1:]}
    return sizes["Rss"] / 1024, sizes["Pss"] / 1024


if __name__ == "__main__":
    main()
