"""A running server takes new certificates and authorities from its files."""

from __future__ import annotations

import json
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from podium.base import pki
from tests.wire.server import Running, running

PATIENCE_S = 30.0


def _until(holds: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while not (found := holds()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def _get(server: Running, path: str, certificate: Path | None = None, **proxied: str) -> tuple[int, Any]:
    """Return status and body of an answer; 0 when there is none."""
    context = ssl.create_default_context(cafile=str(server.ca_file.parent / "serving-ca.crt"))
    headers = {"Authorization": f"Bearer {server.token}"} if certificate is None else {}
    if certificate is not None:
        context.load_cert_chain(certificate)
    headers.update({f"X-Remote-{name}": value for name, value in proxied.items()})
    try:
        asked = urllib.request.Request(f"{server.url}{path}", headers=headers)
        with urllib.request.urlopen(asked, context=context, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, None
    except OSError:
        return 0, None


def _client(ca: pki.KeyPair, path: Path) -> Path:
    made = pki.issue(ca, common_name="jane", organizations=["system:masters"], client=True)
    path.write_bytes(made.certificate_pem + made.key_pem)
    return path


def test_files_are_replaced_while_the_server_runs(tmp_path: Path) -> None:
    namespaces = "/api/v1/namespaces"
    proxies = pki.create_ca("front-proxies")
    front = tmp_path / "front.crt"
    front.write_bytes(proxies.certificate_pem)
    with running(tmp_path, f"--requestheader-client-ca-file={front}") as server:
        old = pki.KeyPair(
            certificate_pem=(tmp_path / "ca.crt").read_bytes(), key_pem=(tmp_path / "ca.key").read_bytes()
        )
        (tmp_path / "serving-ca.crt").write_bytes(old.certificate_pem)
        old_client = _client(old, tmp_path / "old.pem")
        assert _get(server, namespaces, old_client)[0] == 200

        # A serving certificate of another authority.
        serving = pki.create_ca("serving")
        made = pki.issue(serving, common_name="new", ip_addresses=["127.0.0.1"], server=True)
        (tmp_path / "tls.crt").write_bytes(made.certificate_pem)
        (tmp_path / "tls.key").write_bytes(made.key_pem)
        (tmp_path / "serving-ca.crt").write_bytes(serving.certificate_pem)
        _until(lambda: _get(server, namespaces)[0] == 200)

        # Other authorities of clients, which extension servers hear of.
        clients = pki.create_ca("clients")
        new_client = _client(clients, tmp_path / "new.pem")
        (tmp_path / "ca.crt").write_bytes(clients.certificate_pem)
        _until(lambda: _get(server, namespaces, new_client)[0] == 200)
        assert _get(server, namespaces, old_client)[0] in (0, 401)
        path = f"{namespaces}/kube-system/configmaps/extension-apiserver-authentication"
        _, published = _get(server, path)
        assert published["data"]["client-ca-file"] == clients.certificate_pem.decode()

        # And other front proxies, which name users.
        asks = {"User": "bob", "Group": "system:masters"}
        old_proxy = _client(proxies, tmp_path / "old-proxy.pem")
        assert _get(server, namespaces, old_proxy, **asks)[0] == 200
        others = pki.create_ca("other-front-proxies")
        new_proxy = _client(others, tmp_path / "new-proxy.pem")
        assert _get(server, namespaces, new_proxy, **asks)[0] in (0, 401)
        front.write_bytes(others.certificate_pem)
        _until(lambda: _get(server, namespaces, new_proxy, **asks)[0] == 200)
        assert _get(server, namespaces, old_proxy, **asks)[0] in (0, 401)
