"""The real server and the real kubectl: who a token of somebody else's issuer makes its bearer."""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.apiserver.authn.oidc_issuer import CA_PEM, CLIENT_ID, Issuer, issuer
from tests.wire.server import Running, running

pytestmark = pytest.mark.skipif(shutil.which("kubectl") is None, reason="no kubectl here")


@pytest.fixture(scope="module")
def oidc() -> Iterator[Issuer]:
    with issuer() as served:
        yield served


@pytest.fixture(scope="module")
def server(oidc: Issuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("oidc")
    configuration = {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "AuthenticationConfiguration",
        "jwt": [
            {
                "issuer": {"url": oidc.url, "audiences": [CLIENT_ID], "certificateAuthority": CA_PEM},
                "claimMappings": {
                    "username": {"expression": "'people:' + claims.sub"},
                    "groups": {"claim": "groups", "prefix": "people:"},
                    "extra": [{"key": "example.org/team", "valueExpression": "claims.?team.orValue('')"}],
                },
                "userValidationRules": [{"expression": "user.username != 'people:mallory'"}],
            }
        ],
        "anonymous": {"enabled": True, "conditions": [{"path": "/readyz"}]},
    }
    path = folder / "authn.yaml"
    path.write_text(yaml.safe_dump(configuration))
    with running(folder, f"--authentication-config={path}") as one:
        yield one


def kubectl(server: Running, folder: Path, token: str, *words: str) -> subprocess.CompletedProcess[str]:
    (folder / "config").write_text("")
    to = [f"--server={server.url}", f"--certificate-authority={server.ca_file}", f"--token={token}"]
    return subprocess.run(
        ["kubectl", *words, *to, f"--kubeconfig={folder / 'config'}", f"--cache-dir={folder}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def whoami(server: Running, folder: Path, token: str) -> subprocess.CompletedProcess[str]:
    """Ask who one is, until the server has reached the issuer: it looks for it beside its start."""
    deadline = time.monotonic() + 30
    while True:
        done = kubectl(server, folder, token, "auth", "whoami", "-o", "json")
        if done.returncode == 0 or "not initialized" not in why(server, token):
            return done
        assert time.monotonic() < deadline, "the issuer is never reached"


def why(server: Running, token: str) -> str:
    """Return what a TokenReview says is wrong with a token."""
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
    asked = urllib.request.Request(
        f"{server.url}/apis/authentication.k8s.io/v1/tokenreviews",
        data=json.dumps(review).encode(),
        headers={"authorization": f"Bearer {server.token}", "content-type": "application/json"},
    )
    context = ssl.create_default_context(cafile=str(server.ca_file))
    with urllib.request.urlopen(asked, context=context, timeout=10) as answer:
        return str(json.load(answer)["status"].get("error") or "")


def test_whoami(server: Running, oidc: Issuer, tmp_path: Path) -> None:
    token = oidc.token(groups=["dev"], team="blue", jti="1")
    done = whoami(server, tmp_path, token)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["status"]["userInfo"] == {
        "username": "people:jane",
        "groups": ["people:dev", "system:authenticated"],
        "extra": {"authentication.kubernetes.io/credential-id": ["JTI=1"], "example.org/team": ["blue"]},
    }
    may = kubectl(server, tmp_path, token, "auth", "can-i", "create", "selfsubjectreviews")
    assert may.stdout.strip() == "yes"
    listed = kubectl(server, tmp_path, token, "get", "pods")
    assert 'User "people:jane" cannot list resource "pods"' in listed.stderr


def test_a_token_that_is_not_good(server: Running, oidc: Issuer, tmp_path: Path) -> None:
    whoami(server, tmp_path, oidc.token())
    for token, reason in (
        (oidc.token(exp=1), "token is expired"),
        (oidc.token(sub="mallory"), "validation expression 'user.username != 'people:mallory'' failed"),
        (oidc.token(aud="other"), "expected audience"),
    ):
        done = whoami(server, tmp_path, token)
        assert done.returncode == 1
        assert "You must be logged in to the server" in done.stderr
        assert reason in why(server, token)


@pytest.mark.parametrize(("path", "status"), [("/readyz", 200), ("/livez", 401), ("/version", 401)])
def test_anonymous_requests_only_where_the_file_says(server: Running, path: str, status: int) -> None:
    context = ssl.create_default_context(cafile=str(server.ca_file))
    try:
        with urllib.request.urlopen(f"{server.url}{path}", context=context, timeout=10) as answer:
            found = answer.status
    except urllib.error.HTTPError as error:
        found = error.code
        error.close()
    assert found == status
