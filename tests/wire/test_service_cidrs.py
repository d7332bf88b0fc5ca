"""A cluster whose range of service addresses is used up is given another, with kubectl."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from podium.cmd.kubeconfig import find_kubectl
from tests.wire.server import Running, controllers, running

MORE = """\
apiVersion: networking.k8s.io/v1
kind: ServiceCIDR
metadata: {name: more}
spec: {cidrs: [10.91.0.0/28]}
"""
CREATE = ("create", "service", "clusterip", "--tcp=80")


def kubectl_of(server: Running) -> Callable[..., subprocess.CompletedProcess[str]]:
    program = find_kubectl()
    assert program
    base = [program, f"--server={server.url}", f"--certificate-authority={server.ca_file}"]
    base += [f"--token={server.token}", "--cache-dir", str(server.ca_file.parent / "cache")]

    def kubectl(*arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*base, *arguments], input=stdin, capture_output=True, text=True, timeout=60, check=False
        )

    return kubectl


@pytest.mark.skipif(find_kubectl() is None, reason="there is no kubectl here")
def test_a_full_cluster_is_given_more_addresses(tmp_path: Path) -> None:
    with (
        running(tmp_path, "--service-cluster-ip-range=10.90.0.0/30") as server,
        controllers(server, tmp_path),
    ):
        kubectl = kubectl_of(server)
        assert kubectl(*CREATE, "one").returncode == 0
        full = kubectl(*CREATE, "two").stderr
        assert full.endswith('failed to allocate a serviceIP for Service "two": range is full\n')
        assert "is invalid" in kubectl(*CREATE, "two", "--clusterip=10.91.0.9").stderr

        made = kubectl("create", "-f", "-", stdin=MORE)
        assert made.returncode == 0, made.stderr
        ready = kubectl("wait", "servicecidr/more", "--for=condition=Ready", "--timeout=30s")
        assert ready.returncode == 0, ready.stderr
        two = json.loads(kubectl(*CREATE, "two", "-o", "json").stdout)
        assert two["spec"]["clusterIP"].startswith("10.91.0.")

        # What a Service has an address of stays, and gives no more.
        kubectl("delete", "servicecidr", "more", "--wait=false")
        stays = kubectl("wait", "servicecidr/more", "--for=condition=Ready=False", "--timeout=30s")
        assert stays.returncode == 0, stays.stderr
        assert "range is full" in kubectl(*CREATE, "three").stderr
