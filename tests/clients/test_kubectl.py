"""kubectl at two versions, the machine's and the packaged one: commands, in order, and their output."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.clients.conftest import deployment_manifest, new_namespace, pod_manifest, widget_manifest
from tests.clients.kubectl_commands import COMMANDS
from tests.e2e.conftest import RunningCluster

pytestmark = pytest.mark.clients

WITHIN_S = 90.0
READS = re.compile(r"k (get|describe|events|logs|top|rollout history)\b[^;&>]*$")
"""Commands that change nothing and may be given again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kubectl:
    """One kubectl, and a directory with the files the table speaks of; `k` is it, in its namespace."""

    work: Path
    environment: dict[str, str]

    def run(self, command: str) -> tuple[int, str]:
        """Run one line of the table in a shell; return its exit code and all that it printed."""
        done = subprocess.run(
            ["bash", "-c", f"set -o pipefail; {command}"],
            env=self.environment,
            cwd=self.work,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=WITHIN_S,
            check=False,
        )
        return done.returncode, done.stdout


def programs() -> dict[str, str]:
    """The machine's kubectl and the one of a Python package, where they are there."""
    packaged = str(Path(sys.executable).parent / "kubectl")
    others = os.pathsep.join(
        folder
        for folder in os.environ.get("PATH", "").split(os.pathsep)
        if Path(folder) != Path(packaged).parent
    )
    machine = shutil.which("kubectl", path=others)
    found = {"machine": machine, "packaged": packaged if Path(packaged).exists() else None}
    return {name: program for name, program in found.items() if program is not None}


def write_files(work: Path, program: str, namespace: str) -> None:
    documents: dict[str, list[dict[str, Any]]] = {
        "web.yaml": [deployment_manifest("web", 2)],
        "web3.yaml": [deployment_manifest("web", 3)],
        "misspelt.yaml": [config_map("misspelt") | {"datum": {}}],
        "widget.yaml": [widget_manifest("one", 2)],
        "both.yaml": [config_map("kept", of="pruning"), config_map("pruned", of="pruning")],
        "less.yaml": [config_map("kept", of="pruning")],
        "many.yaml": [*MORE, pod_manifest("drained", run="drained")],
        "csr.yaml": [signing_request(namespace), signing_request(f"{namespace}-denied")],
    }
    for name, manifests in documents.items():
        (work / name).write_text(yaml.safe_dump_all(manifests))
    (work / "raw.json").write_text(json.dumps(config_map("raw")))
    (work / "columns").write_text("WHO\n.metadata.name\n")
    (work / "overlay").mkdir()
    shutil.copy(work / "web.yaml", work / "overlay")
    (work / "overlay" / "kustomization.yaml").write_text(
        yaml.safe_dump(
            {
                "resources": ["web.yaml"],
                "namePrefix": "k-",
                "configMapGenerator": [{"name": "made", "literals": ["a=b"]}],
            }
        )
    )
    for name, script in (
        ("editor", "sed -i '/^spec:/,/^status:/s/replicas: 3/replicas: 2/' \"$1\""),
        ("k", f'exec {program} -n {namespace} "$@"'),
    ):
        (work / name).write_text(f"#!/bin/sh\n{script}\n")
        (work / name).chmod(0o700)


_TEMPLATE = deployment_manifest("x")["spec"]["template"]
MORE: list[dict[str, Any]] = [
    {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "everywhere"},
        "spec": {"selector": {"matchLabels": {"app": "x"}}, "template": _TEMPLATE},
    },
    {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "ordered"},
        "spec": {"selector": {"matchLabels": {"app": "x"}}, "template": _TEMPLATE, "serviceName": "none"},
    },
    {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "quiet"},
        "spec": {"podSelector": {}, "policyTypes": ["Ingress"]},
    },
    {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "claim"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    },
    {
        "apiVersion": "v1",
        "kind": "LimitRange",
        "metadata": {"name": "limits"},
        "spec": {"limits": [{"type": "Container", "max": {"cpu": "1"}}]},
    },
]


def config_map(name: str, **labels: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": labels}}


@pytest.fixture(scope="module", params=["machine", "packaged"])
def kubectl(
    request: pytest.FixtureRequest,
    cluster: RunningCluster,
    widgets: dict[str, Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> Kubectl:
    program = programs().get(request.param)
    if program is None:
        pytest.skip(f"no {request.param} kubectl here")
    work = tmp_path_factory.mktemp(f"kubectl-{request.param}")
    namespace = new_namespace(cluster, f"kubectl-{request.param}")
    write_files(work, program, namespace)
    node = cluster.get("nodes")["items"][0]["metadata"]["name"]
    environment = {
        **os.environ,
        "KUBECONFIG": str(cluster.state_dir / "kubeconfig"),
        "HOME": str(work),
        "PATH": f"{work}{os.pathsep}{os.environ['PATH']}",
        "EDITOR": str(work / "editor"),
        "NS": namespace,
        "NODE": node,
    }
    return Kubectl(work=work, environment=environment)


def signing_request(name: str) -> dict[str, Any]:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bob")])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject)
    pem = request.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()).public_bytes(
        serialization.Encoding.PEM
    )
    return {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": name},
        "spec": {
            "request": base64.b64encode(pem).decode(),
            "signerName": "kubernetes.io/kube-apiserver-client",
            "usages": ["client auth"],
        },
    }


@pytest.mark.parametrize(("command", "expected"), COMMANDS, ids=[words for words, _ in COMMANDS])
def test_command(kubectl: Kubectl, command: str, expected: str) -> None:
    deadline = time.monotonic() + WITHIN_S
    while True:
        code, printed = kubectl.run(command)
        met = code == 0 and re.search(expected, printed.strip())
        # What is read may come a little later: controllers, nodes and recorders of events have to write it.
        if met or not READS.match(command) or time.monotonic() > deadline:
            break
    assert code == 0, printed
    assert met, printed


def test_watching_prints_each_change(kubectl: Kubectl) -> None:
    code, printed = kubectl.run(
        "k create cm watched >/dev/null; "
        "k get cm watched -w --output-watch-events -L step --no-headers >seen & pid=$!; "
        "until grep -qs ADDED seen; do sleep .05; done; k label cm watched step=one >/dev/null; "
        "until grep -q one seen; do sleep .05; done; k delete cm watched >/dev/null; "
        "until grep -q DELETED seen; do sleep .05; done; kill $pid; cat seen"
    )
    assert code == 0, printed
    assert [(line.split()[0], line.endswith("one")) for line in printed.splitlines()] == [
        ("ADDED", False),
        ("MODIFIED", True),
        ("DELETED", True),
    ]


@pytest.mark.parametrize(
    ("flag", "address"),
    [
        ("--port=0", "http://127.0.0.1:$(grep -o '[0-9]*$' proxy.out)"),
        ("--unix-socket=s", "--unix-socket s http://localhost"),
    ],
    ids=["port", "unix-socket"],
)
def test_proxy(kubectl: Kubectl, flag: str, address: str) -> None:
    code, printed = kubectl.run(
        f"rm -f proxy.out; k proxy {flag} >proxy.out 2>&1 & pid=$!; "
        "until grep -qs Starting proxy.out; do sleep .05; done; "
        f"curl -sS {address}/api/v1/namespaces/default; kill $pid; rm -f s"
    )
    assert code == 0, printed
    assert json.loads(printed)["metadata"]["name"] == "default"


def test_the_namespace_goes(kubectl: Kubectl) -> None:
    code, printed = kubectl.run("k delete ns $NS --timeout=60s")
    assert (code, "deleted" in printed) == (0, True), printed
