"""Helm against the API: a release of chart/ from install to uninstall, with hooks, look-ups and tests."""

from __future__ import annotations

import base64
import gzip
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import new_namespace
from tests.clients.tools import HELM
from tests.e2e.conftest import RunningCluster, until

pytestmark = [
    pytest.mark.clients,
    pytest.mark.skipif(not HELM.exists(), reason="no Helm here (python -m tests.clients.tools)"),
]

CHART = Path(__file__).parent / "chart"
WITHIN_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Helm:
    cluster: RunningCluster
    namespace: str
    home: Path

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(HELM), *words, "--namespace", self.namespace],
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.home),
                "KUBECONFIG": str(self.cluster.state_dir / "kubeconfig"),
            },
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
            check=False,
        )

    def __call__(self, *words: str) -> str:
        """Run a command that must work; return what it printed."""
        done = self.run(*words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def get(self, *words: str) -> Any:
        return self.cluster.get("-n", self.namespace, *words)

    def names(self, kinds: str) -> list[str]:
        return sorted(self.cluster.kubectl("-n", self.namespace, "get", kinds, "-o", "name").split())


@pytest.fixture
def helm(cluster: RunningCluster, tmp_path: Path) -> Helm:
    return Helm(cluster=cluster, namespace=new_namespace(cluster, "helm"), home=tmp_path)


def test_the_life_of_a_release(helm: Helm) -> None:
    installed = helm("install", "web", str(CHART), "--wait", "--timeout=60s", "--set=replicas=2")
    assert "STATUS: deployed" in installed
    assert helm.get("deploy", "web")["status"]["readyReplicas"] == 2
    assert helm.get("job", "web-pre-install")["status"]["succeeded"] == 1
    assert helm.get("gardens", "web")["spec"] == {"area": 2}

    # What the templates were told by the server.
    data = helm.get("cm", "web")["data"]
    namespace = helm.cluster.get("ns", helm.namespace)
    assert data["looked-up"] == namespace["metadata"]["uid"]
    assert data["kubernetes"].startswith("v1.36.")
    assert [data[key] for key in ("policies", "deployments", "nonsense")] == ["true", "true", "false"]

    upgraded = helm("upgrade", "web", str(CHART), "--wait", "--timeout=60s", "--set=replicas=3,greeting=bye")
    assert "REVISION: 2" in upgraded
    assert helm.get("deploy", "web")["status"]["readyReplicas"] == 3
    assert helm.get("cm", "web")["data"]["greeting"] == "bye"
    assert helm.get("job", "web-post-upgrade")["status"]["succeeded"] == 1

    helm("rollback", "web", "1", "--wait", "--timeout=60s")
    assert helm.get("cm", "web")["data"]["greeting"] == "hello"
    assert helm.get("deploy", "web")["spec"]["replicas"] == 2
    history = json.loads(helm("history", "web", "-o", "json"))
    assert [(r["revision"], r["status"]) for r in history] == [
        (1, "superseded"),
        (2, "superseded"),
        (3, "deployed"),
    ]

    assert "Succeeded" in helm("test", "web", "--timeout=60s")
    assert "kind: Deployment" in helm("get", "manifest", "web")
    assert [r["name"] for r in json.loads(helm("list", "-o", "json"))] == ["web"]

    assert "kept due to the resource policy" in helm("uninstall", "web", "--wait", "--timeout=60s")
    # What the release did not make itself, the garbage collector takes away.
    until(lambda: helm.names("deploy,rs,svc,gardens") == [], "the end of all")
    assert helm.names("secrets") == ["secret/web-kept"]
    assert json.loads(helm("list", "-o", "json")) == []


def test_a_release_is_kept_in_secrets(helm: Helm) -> None:
    helm("upgrade", "--install", "web", str(CHART), "--set=replicas=1")
    secret = helm.get("secret", "sh.helm.release.v1.web.v1")
    assert secret["type"] == "helm.sh/release.v1"
    assert secret["metadata"]["labels"] == {
        "modifiedAt": secret["metadata"]["labels"]["modifiedAt"],
        "name": "web",
        "owner": "helm",
        "status": "deployed",
        "version": "1",
    }
    packed = base64.b64decode(base64.b64decode(secret["data"]["release"]))
    assert json.loads(gzip.decompress(packed))["name"] == "web"


def test_a_dry_run_at_the_server_makes_nothing(helm: Helm) -> None:
    shown = helm("install", "web", str(CHART), "--dry-run=server")
    namespace = helm.cluster.get("ns", helm.namespace)
    assert f'looked-up: "{namespace["metadata"]["uid"]}"' in shown
    assert helm.names("deploy,svc,secrets") == []


def test_a_template_is_applied(helm: Helm) -> None:
    rendered = helm("template", "web", str(CHART), "--include-crds", "--no-hooks", "--kube-version=1.36")
    assert 'looked-up: ""' in rendered
    helm.cluster.kubectl("apply", "-n", helm.namespace, "-f", "-", stdin=rendered)
    until(lambda: helm.get("deploy", "web")["status"].get("readyReplicas") == 2, "two ready replicas")
    again = helm.cluster.kubectl("apply", "-n", helm.namespace, "-f", "-", stdin=rendered)
    assert {line.rpartition(" ")[2] for line in again.splitlines()} == {"unchanged"}


def test_what_does_not_get_ready_fails_and_is_rolled_back(helm: Helm) -> None:
    helm("install", "web", str(CHART), "--set=replicas=1", "--wait", "--timeout=60s")
    failed = helm.run(
        "upgrade",
        "web",
        str(CHART),
        "--set=stuck=true,replicas=1",
        "--wait",
        "--timeout=8s",  # the way back has no longer than the way that fails
        "--rollback-on-failure",
    )
    assert failed.returncode != 0
    assert "nodeSelector" not in helm.get("deploy", "web")["spec"]["template"]["spec"]
    statuses = [r["status"] for r in json.loads(helm("history", "web", "-o", "json"))]
    assert statuses == ["superseded", "failed", "deployed"]


def test_somebody_elses_object_is_not_taken_over(helm: Helm) -> None:
    helm.cluster.kubectl("create", "cm", "web", "-n", helm.namespace)
    failed = helm.run("install", "web", str(CHART))
    assert failed.returncode != 0
    assert "exists and cannot be imported" in failed.stderr


def test_a_namespace_is_made_for_a_release(helm: Helm) -> None:
    name = f"{helm.namespace}-made"
    other = Helm(cluster=helm.cluster, namespace=name, home=helm.home)
    other("install", "web", str(CHART), "--create-namespace", "--no-hooks", "--set=replicas=0")
    assert other.names("deploy") == ["deployment.apps/web"]
