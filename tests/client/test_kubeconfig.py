"""Kubeconfigs in every form that upstream accepts, used against a real TLS server."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import orjson
import pytest

from podium.base.clock import WallClock
from podium.base.http.message import Headers, Request, Response
from podium.client import kubeconfig
from podium.client.kubeconfig import KubeconfigError, client_from_kubeconfig
from tests.base.certs import authority
from tests.base.http_tools import run, serving, url


def config(cluster: dict[str, Any], user: dict[str, Any], **context: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u", **context}}],
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": user}],
    }


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


async def whoami(request: Request) -> Response:
    body = {
        "certificate": request.peer_certificate is not None,
        "authorization": request.headers.get("authorization"),
        "user-agent": request.headers.get("user-agent"),
    }
    return Response(headers=Headers([("content-type", "application/json")]), body=orjson.dumps(body))


def seen(
    folder: Path, cluster: dict[str, Any], user: dict[str, Any], *, as_yaml: bool = False
) -> dict[str, Any]:
    """Return what a server sees of a client made from such a kubeconfig."""

    async def main() -> dict[str, Any]:
        async with serving(whoami, tls=True) as server:
            whole = config({"server": url(server), **cluster}, user)
            path = folder / "kubeconfig"
            if as_yaml:
                import yaml  # noqa: PLC0415

                path.write_text(yaml.safe_dump(whole))
            else:
                path.write_bytes(orjson.dumps(whole))
            client = client_from_kubeconfig(str(path), user_agent="test/1")
            try:
                answer: dict[str, Any] = orjson.loads(await client.raw("GET", "/"))
                return answer
            finally:
                await client.close()

    return run(main())


def open_files() -> int:
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.is_dir() else 0


@pytest.mark.parametrize("as_yaml", [False, True], ids=["json", "yaml"])
def test_credentials_as_data(tmp_path: Path, as_yaml: bool) -> None:
    me = authority().issue("me")
    user = {"client-certificate-data": encoded(me.certificate), "client-key-data": encoded(me.key)}
    cluster = {"certificate-authority-data": encoded(authority().pem)}
    before = open_files()
    answer = seen(tmp_path, cluster, user, as_yaml=as_yaml)
    assert answer == {"certificate": True, "authorization": "", "user-agent": "test/1"}
    assert open_files() <= before + 1


def test_credentials_as_files_beside_the_kubeconfig(tmp_path: Path) -> None:
    me = authority().issue("me")
    (tmp_path / "ca.crt").write_bytes(authority().pem)
    (tmp_path / "me.crt").write_bytes(me.certificate)
    (tmp_path / "me.key").write_bytes(me.key)
    answer = seen(
        tmp_path,
        {"certificate-authority": "ca.crt"},
        {"client-certificate": "me.crt", "client-key": str(tmp_path / "me.key")},
    )
    assert answer["certificate"]


def test_tokens(tmp_path: Path) -> None:
    cluster = {"certificate-authority-data": encoded(authority().pem)}
    assert seen(tmp_path, cluster, {"token": "secret"})["authorization"] == "Bearer secret"
    (tmp_path / "token").write_text("from a file\n")
    assert seen(tmp_path, cluster, {"tokenFile": "token"})["authorization"] == "Bearer from a file"


def test_verification_can_be_skipped_but_only_when_asked(tmp_path: Path) -> None:
    assert seen(tmp_path, {"insecure-skip-tls-verify": True}, {})["user-agent"] == "test/1"
    with pytest.raises(ConnectionError):
        seen(tmp_path, {}, {})
    with pytest.raises(ConnectionError):
        ca = {"certificate-authority-data": encoded(authority().pem), "tls-server-name": "elsewhere"}
        seen(tmp_path, ca, {})


class HandClock(WallClock):
    now_s = 100.0

    def monotonic_s(self) -> float:
        return self.now_s


def test_a_token_file_is_read_again_when_old(tmp_path: Path) -> None:
    clock = HandClock()
    path = tmp_path / "token"
    path.write_text("one")
    token = kubeconfig.TokenFile(str(path), clock=clock)
    assert token() == "one"
    path.write_text("two")
    assert token() == "one"
    clock.now_s += kubeconfig.TOKEN_REREAD_S + 1
    assert token() == "two"
    path.unlink()
    clock.now_s += kubeconfig.TOKEN_REREAD_S + 1
    assert token() == "two"


def test_namespace_and_context() -> None:
    whole = config({"server": "http://a"}, {}, namespace="ns")
    whole["contexts"].append({"name": "there", "context": {"cluster": "c"}})
    assert kubeconfig.parse(whole, folder=Path()).namespace == "ns"
    assert kubeconfig.parse(whole, folder=Path(), context="there").namespace == "default"


@pytest.mark.parametrize(
    ("whole", "message"),
    [
        ({}, "no current-context"),
        ({"current-context": "x"}, 'no context named "x"'),
        ({**config({}, {}), "clusters": []}, 'no cluster named "c"'),
        (config({}, {}), "has no server"),
        (config({"server": "http://a"}, {"exec": {"command": "x"}}), "credential plugin"),
        (config({"server": "http://a", "certificate-authority-data": "!"}, {}), "not base64"),
        (config({"server": "http://a", "certificate-authority": "nosuch"}, {}), "No such file"),
    ],
)
def test_what_is_wrong_is_said(whole: dict[str, Any], message: str) -> None:
    with pytest.raises(KubeconfigError, match=message):
        kubeconfig.parse(whole, folder=Path("/nonexistent"))


@pytest.mark.parametrize("text", [b"{", b"[]", b"\tx: y"])
def test_no_configuration_at_all(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "kubeconfig"
    path.write_bytes(text)
    with pytest.raises(KubeconfigError):
        kubeconfig.load(str(path))
    with pytest.raises(KubeconfigError, match="cannot read"):
        kubeconfig.load(str(tmp_path / "nosuch"))


def test_a_certificate_without_its_key() -> None:
    me, other = authority().issue("me"), authority().issue("other")
    with pytest.raises(KubeconfigError, match="bad certificate or key"):
        kubeconfig.client_ssl_context(certificate=me.certificate, key=other.key)
