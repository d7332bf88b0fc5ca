"""A real kube-apiserver process for recordings to be replayed against."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from podium.base import pki

TOKEN = "replay"
MANAGER_TOKEN = "manager"
READY_WITHIN_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """Where the server is, and how to speak to it as a member of system:masters."""

    url: str
    ca_file: Path
    token: str = TOKEN
    port: int
    pid: int


@contextlib.contextmanager
def running(directory: Path, *more_flags: str) -> Iterator[Running]:
    """Run a server with its state in `directory` until the context ends."""
    port = _free_port()
    flags = [*_prepare(directory, port), *more_flags]
    log = directory / "kube-apiserver.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "podium.cmd.kube_apiserver", *flags],
            stderr=output,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
    try:
        server = Running(
            url=f"https://127.0.0.1:{port}", ca_file=directory / "ca.crt", port=port, pid=process.pid
        )
        _wait_ready(server, process, log)
        yield server
        if process.poll() is not None:
            raise RuntimeError(f"the server ended by itself ({process.returncode}):\n{log.read_text()}")
    finally:
        process.terminate()
        process.wait(timeout=10)


@contextlib.contextmanager
def controllers(server: Running, directory: Path, *more_flags: str) -> Iterator[None]:
    """Run a controller manager for the server that keeps its keys in `directory`.

    Every controller works with the rights of its own account, so that what upstream's roles forbid fails.
    """
    kubeconfig = directory / "kubeconfig"
    cluster = {"server": server.url, "certificate-authority": str(server.ca_file)}
    kubeconfig.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "c", "cluster": cluster}],
                "users": [{"name": "u", "user": {"token": MANAGER_TOKEN}}],
                "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
                "current-context": "c",
            }
        )
    )
    flags = [
        f"--kubeconfig={kubeconfig}",
        f"--service-account-private-key-file={directory / 'sa.key'}",
        f"--root-ca-file={server.ca_file}",
        "--cluster-cidr=10.244.0.0/16",
        "--allocate-node-cidrs=true",
        "--leader-elect=false",
        "--secure-port=0",
        "--use-service-account-credentials=true",
        f"--cluster-signing-cert-file={server.ca_file}",
        f"--cluster-signing-key-file={directory / 'ca.key'}",
        *more_flags,
    ]
    log = directory / "kube-controller-manager.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "podium.cmd.kube_controller_manager", *flags],
            stderr=output,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
    try:
        yield
        if process.poll() is not None:
            raise RuntimeError(f"the controllers ended by themselves:\n{log.read_text()}")
    finally:
        process.terminate()
        process.wait(timeout=10)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _prepare(directory: Path, port: int) -> list[str]:
    """Write keys and certificates; return the server's flags."""
    ca = pki.create_ca("ca")
    serving = pki.issue(ca, common_name="kube-apiserver", ip_addresses=["127.0.0.1"], server=True)
    for name, content in (
        ("ca.crt", ca.certificate_pem),
        ("ca.key", ca.key_pem),
        ("tls.crt", serving.certificate_pem),
        ("tls.key", serving.key_pem),
        ("sa.key", pki.create_signing_key()),
        (
            "tokens.csv",
            f'{TOKEN},admin,1,"system:masters"\n{MANAGER_TOKEN},system:kube-controller-manager,2\n'.encode(),
        ),
    ):
        (directory / name).write_bytes(content)
    return [
        f"--secure-port={port}",
        "--bind-address=127.0.0.1",
        f"--storage-path={directory / 'store.db'}",
        f"--client-ca-file={directory / 'ca.crt'}",
        f"--tls-cert-file={directory / 'tls.crt'}",
        f"--tls-private-key-file={directory / 'tls.key'}",
        f"--service-account-signing-key-file={directory / 'sa.key'}",
        f"--token-auth-file={directory / 'tokens.csv'}",
    ]


def _wait_ready(server: Running, process: subprocess.Popen[bytes], log: Path) -> None:
    context = ssl.create_default_context(cafile=str(server.ca_file))
    deadline = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            urllib.request.urlopen(f"{server.url}/readyz", context=context, timeout=5).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"the server did not become ready:\n{log.read_text()}")
