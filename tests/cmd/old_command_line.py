"""A kube-apiserver started as kubeadm's successors of 2017 did, on etcd, and the controllers beside it."""

from __future__ import annotations

import contextlib
import os
import shlex
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from podium.base import pki
from tests.store.etcd import etcd, free_port

READY_WITHIN_S = 30.0

COMMAND = """
--feature-gates=AllAlpha=true --runtime-config=api/all=true
--requestheader-allowed-names=front-proxy-client --client-ca-file=ca.crt --allow-privileged=true
--experimental-bootstrap-token-auth=true --storage-backend=etcd3
--requestheader-username-headers=X-Remote-User --requestheader-extra-headers-prefix=X-Remote-Extra-
--service-account-key-file=sa.pub --tls-cert-file=apiserver.crt --tls-private-key-file=apiserver.key
--kubelet-client-certificate=apiserver-kubelet-client.crt
--requestheader-client-ca-file=front-proxy-ca.crt --insecure-port=8080
--admission-control=NamespaceLifecycle,LimitRanger,ServiceAccount,PersistentVolumeLabel,DefaultStorageClass,ResourceQuota,DefaultTolerationSeconds
--requestheader-group-headers=X-Remote-Group --kubelet-client-key=apiserver-kubelet-client.key
--secure-port=6443 --kubelet-preferred-address-types=InternalIP,ExternalIP,Hostname
--service-cluster-ip-range=10.96.0.0/12 --authorization-mode=RBAC --advertise-address=192.168.0.20
--etcd-servers=http://127.0.0.1:2379
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The server, with the files that a client needs in `folder`."""

    folder: Path
    port: int
    insecure_port: int

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def run(self, command: str, **options: str) -> str:
        """Run a command that must succeed in the folder; return what it says."""
        done = subprocess.run(
            shlex.split(command), cwd=self.folder, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout

    def kubectl(self, arguments: str) -> str:
        return self.run(f"kubectl --kubeconfig=admin.conf {arguments}")


@contextlib.contextmanager
def old_cluster(folder: Path) -> Iterator[Started]:
    """Run etcd, the server with the command line above, and a controller manager."""
    write_files(folder)
    secure, insecure = free_port(), free_port()
    started = Started(folder=folder, port=secure, insecure_port=insecure)
    (folder / "admin.conf").write_text(_kubeconfig(started))
    with etcd(folder) as url:
        # What the test's own machine has taken cannot be verbatim.
        line = COMMAND.replace("=6443", f"={secure}").replace("=8080", f"={insecure}")
        flags = shlex.split(line.replace("http://127.0.0.1:2379", url))
        with _process(folder, "kube_apiserver", *flags, f"--cert-dir={folder / 'made'}"):
            wait_ready(started)
            with _process(
                folder,
                "kube_controller_manager",
                "--kubeconfig=admin.conf",
                "--service-account-private-key-file=sa.key",
                "--root-ca-file=ca.crt",
                "--leader-elect=false",
                "--secure-port=0",
                "--controllers=serviceaccount-controller,serviceaccount-token-controller",
            ):
                yield started


def write_files(folder: Path) -> None:
    """Write keys and certificates as kubeadm names them."""
    ca, front = pki.create_ca("kubernetes"), pki.create_ca("front-proxy-ca")
    serving = pki.issue(
        ca,
        common_name="kube-apiserver",
        dns_names=["kubernetes", "localhost"],
        ip_addresses=["127.0.0.1", "10.96.0.1", "192.168.0.20"],
        server=True,
    )
    masters = ["system:masters"]
    kubelet = pki.issue(ca, common_name="kube-apiserver-kubelet-client", organizations=masters, client=True)
    admin = pki.issue(ca, common_name="kubernetes-admin", organizations=masters, client=True)
    key = pki.create_signing_key()
    for name, content in (
        ("ca.crt", ca.certificate_pem),
        ("front-proxy-ca.crt", front.certificate_pem),
        ("apiserver.crt", serving.certificate_pem),
        ("apiserver.key", serving.key_pem),
        ("apiserver-kubelet-client.crt", kubelet.certificate_pem),
        ("apiserver-kubelet-client.key", kubelet.key_pem),
        ("admin.crt", admin.certificate_pem),
        ("admin.key", admin.key_pem),
        ("sa.key", key),
        ("sa.pub", pki.public_key(key)),
    ):
        (folder / name).write_bytes(content)


def _kubeconfig(started: Started) -> str:
    return f"""
apiVersion: v1
kind: Config
clusters: [{{name: c, cluster: {{server: "{started.url}", certificate-authority: ca.crt}}}}]
users: [{{name: u, user: {{client-certificate: admin.crt, client-key: admin.key}}}}]
contexts: [{{name: c, context: {{cluster: c, user: u}}}}]
current-context: c
"""


@contextlib.contextmanager
def _process(folder: Path, program: str, *flags: str) -> Iterator[None]:
    log = folder / f"{program}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", f"podium.cmd.{program}", *flags],
            cwd=folder,
            stderr=output,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
    try:
        yield
        assert process.poll() is None, log.read_text()
    finally:
        process.terminate()
        process.wait(timeout=20)


def wait_ready(started: Started) -> None:
    context = ssl.create_default_context(cafile=str(started.folder / "ca.crt"))
    deadline = time.monotonic() + READY_WITHIN_S
    while True:
        try:
            urllib.request.urlopen(f"{started.url}/readyz", context=context, timeout=5).close()
        except OSError:
            log = (started.folder / "kube_apiserver.log").read_text()
            assert time.monotonic() < deadline, log
            time.sleep(0.05)
        else:
            return
