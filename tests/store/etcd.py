"""A real etcd of one's own (Debian's etcd-server), for as long as a test runs."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

READY_WITHIN_S = 20.0

needs_etcd = pytest.mark.skipif(shutil.which("etcd") is None, reason="no etcd here (Debian: etcd-server)")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def etcd(folder: Path, *, port: int = 0) -> Iterator[str]:
    """Run one member with its data in `folder`; yield the URL its clients use."""
    url, peers = f"http://127.0.0.1:{port or free_port()}", f"http://127.0.0.1:{free_port()}"
    flags = [
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={url}",
        f"--advertise-client-urls={url}",
        f"--listen-peer-urls={peers}",
        f"--initial-advertise-peer-urls={peers}",
        f"--initial-cluster=default={peers}",
        "--log-level=error",
    ]
    process = subprocess.Popen(["etcd", *flags], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + READY_WITHIN_S
        while not _healthy(url):
            assert process.poll() is None, "etcd ended"
            assert time.monotonic() < deadline, "etcd did not become healthy"
            time.sleep(0.05)
        yield url
    finally:
        process.kill()
        process.wait(timeout=10)


def _healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=1) as answer:
            return b"true" in answer.read()
    except OSError:
        return False
