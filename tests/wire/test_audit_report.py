"""`podium audit` of a live API server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from podium.audit_report import live
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


PODS = """\
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: seer}
rules: [{apiGroups: [''], resources: [pods], verbs: [list]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: seer}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: seer}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: weak}]
"""
POD = """\
---
apiVersion: v1
kind: Pod
metadata:
  name: %s
  namespace: default
  ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: %s, uid: '%s', controller: true}]
spec: {hostPID: true, containers: [{name: c, image: 'registry.example.com/app:1'}]}
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    directory = tmp_path_factory.mktemp("audit")
    tokens = directory / "audit.csv"
    tokens.write_text("replay,admin,1,system:masters\nweak,weak,2\nblind,blind,3\n")
    flags = (f"--token-auth-file={tokens}", "--authorization-mode=RBAC")
    with running(directory, *flags, "--disable-admission-plugins=ServiceAccount") as made:
        yield made


def kubectl(server: Running, directory: Path, *words: str, manifests: str = "") -> None:
    program = [str(find_kubectl()), "--kubeconfig", kubeconfig(server, directory / "administrator")]
    subprocess.run([*program, *words], input=manifests.encode(), check=True, capture_output=True)


def kubeconfig(server: Running, path: Path, *, token: str = "", url: str = "") -> str:
    """Write a kubeconfig, the administrator's where no token is given, and return its path."""
    cluster = {"server": url or server.url, "certificate-authority": str(server.ca_file)}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": {"token": token or server.token}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "c",
    }
    path.write_text(json.dumps(config))
    return str(path)


@pytest.mark.skipif(find_kubectl() is None, reason="there is no kubectl here")
def test_a_cluster_is_reported_on(
    server: Running, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    access = kubeconfig(server, tmp_path / "kubeconfig")
    # What every cluster has is nobody's doing.
    assert podium.main(["audit", "--kubeconfig", access, "--fail-on=low"]) == 0
    assert capsys.readouterr().out.startswith("0 findings in ")

    kubectl(server, tmp_path, "apply", "-f", "-", manifests=MANIFESTS)
    kubectl(server, tmp_path, "get", "componentstatuses")
    # All pages are read, however many.
    monkeypatch.setattr(live, "PAGE", 1)
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
    assert {name for _, _, name in found} == {"web", "shop", "everybody", "kube-apiserver"}
    assert report["unseen"] == []

    assert podium.main(["audit", "--kubeconfig", access, "-n", "shop", "-o", "json", "--fail-on=low"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert {one["object"]["kind"] for one in report["findings"]} == {"Namespace", "Deployment"}

    # As a program of its own, by the environment that kubectl reads.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "KUBECONFIG": access}
    words = [sys.executable, "-m", "podium.cmd.podium", "audit", "--state-dir", str(tmp_path / "none")]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    assert "rbac-unauthenticated: system:unauthenticated is bound to cluster-admin" in done.stdout


@pytest.mark.skipif(find_kubectl() is None, reason="there is no kubectl here")
def test_who_may_not_see_everything_is_told_what(
    server: Running, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    owners = {"web-1": "1", "web-2": "1", "other": "2"}
    pods = "".join(POD % (name, f"rs-{uid}", uid) for name, uid in owners.items())
    kubectl(server, tmp_path, "apply", "-f", "-", manifests=PODS + pods)
    access = kubeconfig(server, tmp_path / "kubeconfig", token="weak")
    assert podium.main(["audit", "--kubeconfig", access, "-o", "json"]) == 0
    said = capsys.readouterr()
    report = json.loads(said.out)
    # Owners are not to be seen, so their pods speak for them: one each.
    pods_found = {one["object"]["name"] for one in report["findings"] if one["rule"] == "host-namespaces"}
    assert pods_found == {"web-1", "other"}
    assert not [one for one in report["findings"] if one["object"]["kind"] == "Namespace"]
    unseen = [line.partition(":")[0] for line in report["unseen"]]
    assert "deployments" in unseen
    assert "pods" not in unseen
    assert "podium: not looked at: secrets" not in said.err
    assert 'User "weak" cannot list resource "deployments"' in said.err


@pytest.mark.parametrize(
    ("token", "flags", "unseen"),
    [
        ("blind", [], "not looked at: deployments: deployments.apps is forbidden"),
        ("", ["-n", "none"], 'not looked at: namespace none: namespaces "none" not found'),
    ],
)
def test_that_nothing_was_seen_is_no_good_news(
    server: Running,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    token: str,
    flags: list[str],
    unseen: str,
) -> None:
    access = kubeconfig(server, tmp_path / "kubeconfig", token=token)
    assert podium.main(["audit", "--kubeconfig", access, "-o", "json", *flags]) == 2
    assert unseen in capsys.readouterr().err


@pytest.mark.parametrize(
    ("token", "url", "message"),
    [
        ("nobody", "", "podium: Unauthorized\n"),
        ("", "https://127.0.0.1:1", "podium: "),
        ("", "https://localhost:{port}", "podium: "),
    ],
)
def test_a_server_that_is_not_to_be_asked(
    server: Running, tmp_path: Path, capsys: pytest.CaptureFixture[str], token: str, url: str, message: str
) -> None:
    access = kubeconfig(server, tmp_path / "kubeconfig", token=token, url=url.format(port=server.port))
    assert podium.main(["audit", "--kubeconfig", access]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(message)
    assert said.err.count("\n") == 1
