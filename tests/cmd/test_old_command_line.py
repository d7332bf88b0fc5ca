"""The command line of a cluster of 2017 starts a server of today, and what was done with it then works."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.cmd.old_command_line import Started, old_cluster
from tests.store.etcd import needs_etcd

pytestmark = [
    needs_etcd,
    pytest.mark.skipif(shutil.which("kubectl") is None, reason="no kubectl here"),
    pytest.mark.skipif(shutil.which("curl") is None, reason="no curl here"),
]

PATIENCE_S = 30.0

SECRET = """
apiVersion: v1
kind: Secret
metadata: {name: lasting, annotations: {kubernetes.io/service-account.name: default}}
type: kubernetes.io/service-account-token
"""

POD = """
apiVersion: v1
kind: Pod
metadata: {name: web}
spec: {containers: [{name: web, image: nginx}]}
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    with old_cluster(tmp_path_factory.mktemp("old")) as started:
        _until(lambda: "default" in started.kubectl("get serviceaccounts -o name"))
        yield started


def _until(holds: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while not (found := holds()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def _apply(cluster: Started, manifest: str) -> None:
    path = cluster.folder / "manifest.yaml"
    path.write_text(manifest)
    cluster.kubectl(f"apply -f {path}")


def _whoami(cluster: Started, token: str) -> str:
    body = json.dumps({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"})
    answer = cluster.run(
        f"curl -s --cacert ca.crt -H 'Authorization: Bearer {token}' -H 'Content-Type: application/json' "
        f"-d '{body}' {cluster.url}/apis/authentication.k8s.io/v1/selfsubjectreviews"
    )
    name: str = json.loads(answer)["status"]["userInfo"]["username"]
    return name


def test_kubectl_reads_raw_paths(cluster: Started) -> None:
    assert cluster.kubectl("get --raw /healthz") == "ok"
    versions = json.loads(cluster.kubectl("get --raw /api"))["versions"]
    assert versions == ["v1"]
    assert "deployments" in cluster.kubectl("get --raw /apis/extensions/v1beta1")


def test_kubectl_proxy_and_curl(cluster: Started) -> None:
    proxy = subprocess.Popen(
        ["kubectl", "--kubeconfig=admin.conf", "proxy", "--port=0"],
        cwd=cluster.folder,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert proxy.stdout is not None
        address = proxy.stdout.readline().split()[-1]
        listed = json.loads(cluster.run(f"curl -s http://{address}/api/v1/namespaces"))
        assert "kube-system" in [one["metadata"]["name"] for one in listed["items"]]
    finally:
        proxy.kill()
        proxy.communicate()


def test_the_token_of_a_pod(cluster: Started) -> None:
    _apply(cluster, POD)
    pod = json.loads(cluster.kubectl("get pod web -o json"))
    # As the kubelet asks for what it mounts.
    source = pod["spec"]["volumes"][0]["projected"]["sources"][0]["serviceAccountToken"]
    token = cluster.kubectl(
        f"create token default --duration={source['expirationSeconds']}s --bound-object-kind=Pod "
        f"--bound-object-name=web --bound-object-uid={pod['metadata']['uid']}"
    ).strip()
    assert _whoami(cluster, token) == "system:serviceaccount:default:default"
    cluster.kubectl("delete pod web --grace-period=0 --force")
    answer = cluster.run(
        f"curl -s -o /dev/null -w %{{http_code}} --cacert ca.crt -H 'Authorization: Bearer {token}' "
        f"{cluster.url}/api"
    )
    assert answer == "401"


def test_the_token_in_a_secret(cluster: Started) -> None:
    _apply(cluster, SECRET)
    token = _until(lambda: cluster.kubectl("get secret lasting -o jsonpath={.data.token}"))
    assert _whoami(cluster, base64.b64decode(token).decode()) == "system:serviceaccount:default:default"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("", "200"),
        # Whoever asks is the same to it, whatever they say.
        ("-H 'Authorization: Bearer nonsense'", "200"),
        # A page in a browser whose name was made to lead here.
        ("-H 'Host: attacker.example:8080'", "403"),
        ("-H 'Host: 10.0.0.1'", "403"),
        ("-H 'Host: localhost'", "200"),
        ("-H 'Host: [::1]:80'", "200"),
        # Pages may open WebSockets to wherever they like, and say where they come from.
        ("-H 'Origin: https://attacker.example'", "403"),
        ("-H 'Origin: http://localhost.attacker.example:8080'", "403"),
        ("-H 'Origin: null'", "403"),
        ("-H 'Origin: http://[x'", "403"),
        ("-H 'Origin: http://localhost:8080'", "200"),
        ("-H 'Origin: http://localhost:8080' -H 'Origin: https://attacker.example'", "403"),
    ],
)
def test_the_insecure_port(cluster: Started, arguments: str, expected: str) -> None:
    url = f"http://127.0.0.1:{cluster.insecure_port}/api/v1/namespaces/kube-system/secrets"
    assert cluster.run(f"curl -s -o /dev/null -w %{{http_code}} {arguments} {url}") == expected


def test_the_insecure_port_has_an_identity_and_admission(cluster: Started) -> None:
    server = f"kubectl --server=http://127.0.0.1:{cluster.insecure_port}"
    who = json.loads(cluster.run(f"{server} auth whoami -o json"))["status"]["userInfo"]
    assert who["username"] == "system:unsecured"
    assert who["groups"] == ["system:masters", "system:authenticated"]
    refused = subprocess.run(
        [*server.split(), "-n", "nowhere", "create", "configmap", "c"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert 'namespaces "nowhere" not found' in refused.stderr


def test_the_insecure_port_is_local(cluster: Started) -> None:
    listening = cluster.run("ss -Hltn") if shutil.which("ss") else ""
    for line in listening.splitlines():
        local = line.split()[3]
        if local.endswith(f":{cluster.insecure_port}"):
            assert local.startswith(("127.0.0.1:", "[::1]:"))
