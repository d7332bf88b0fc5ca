"""`podium audit` of a live API server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from podium.cmd import podium
from podium.cmd.kubeconfig import find_kubectl
from tests.wire.server import Running, running

MANIFESTS = """\
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: c, image: app, securityContext: {privileged: true}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: everybody}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: 'system:unauthenticated'}]
"""


def kubeconfig(server: Running, path: Path) -> str:
    cluster = {"server": server.url, "certificate-authority": str(server.ca_file)}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": {"token": server.token}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "c",
    }
    path.write_text(json.dumps(config))
    return str(path)


@pytest.mark.skipif(find_kubectl() is None, reason="there is no kubectl here")
def test_a_cluster_is_reported_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with running(tmp_path) as server:
        access = kubeconfig(server, tmp_path / "kubeconfig")
        kubectl = [str(find_kubectl()), "--kubeconfig", access]
        subprocess.run(
            [*kubectl, "apply", "-f", "-"], input=MANIFESTS.encode(), check=True, capture_output=True
        )
        subprocess.run([*kubectl, "get", "endpoints"], check=True, capture_output=True)

        assert podium.main(["audit", "--kubeconfig", access, "-o", "json", "--fail-on=critical"]) == 1
        report = json.loads(capsys.readouterr().out)
        found = {(one["rule"], one["object"]["kind"], one["object"]["name"]) for one in report["findings"]}
        assert found >= {
            ("privileged", "Deployment", "web"),
            ("image-tag", "Deployment", "web"),
            ("namespace-network-policy", "Namespace", "shop"),
            ("rbac-unauthenticated", "ClusterRoleBinding", "everybody"),
            ("rbac-cluster-admin", "ClusterRoleBinding", "everybody"),
            ("deprecated-api", "Server", "kube-apiserver"),
        }
        # What every cluster has is not told unless asked for.
        assert not [name for _, _, name in found if name.startswith(("system:", "kube-system"))]

        assert (
            podium.main(["audit", "--kubeconfig", access, "-n", "shop", "-o", "json", "--fail-on=low"]) == 1
        )
        report = json.loads(capsys.readouterr().out)
        assert {one["object"]["kind"] for one in report["findings"]} == {"Namespace", "Deployment"}

        # As a program of its own, by the environment that kubectl reads, with something that may not be read.
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "KUBECONFIG": access}
        words = [sys.executable, "-m", "podium.cmd.podium", "audit", "--state-dir", str(tmp_path / "none")]
        done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
        assert "rbac-unauthenticated: system:unauthenticated is bound to cluster-admin" in done.stdout
