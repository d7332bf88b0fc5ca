"""Audit logging of the program itself: kubectl asks, a file and a webhook are told."""

from __future__ import annotations

import asyncio
import json
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from podium.base.http.message import Request, Response
from podium.base.http.server import Server
from podium.cmd.kubeconfig import find_kubectl
from tests.base.certs import authority
from tests.wire.server import Running, running

PATIENCE_S = 20.0
POLICY = """
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
omitManagedFields: true
rules:
- level: None
  nonResourceURLs: ['/version', '/healthz*', '/readyz*']
- level: Metadata
  resources: [{group: '', resources: [secrets]}]
- level: RequestResponse
  resources: [{group: '', resources: [configmaps, pods]}]
- level: Metadata
"""

pytestmark = pytest.mark.skipif(find_kubectl() is None, reason="there is no kubectl here")


class Receiver:
    """A webhook on a loop of its own, since the test waits for programs."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.status = 503
        self.posts = 0
        self.port = 0
        self._started, self._loop = threading.Event(), asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run)
        self._stop = asyncio.Event()

    def __enter__(self) -> Receiver:
        self._thread.start()
        assert self._started.wait(PATIENCE_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(PATIENCE_S)
        self._loop.close()

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        server = Server(self._answer)
        await server.start("127.0.0.1", 0, authority().server_context())
        self.port = server.port
        self._started.set()
        await self._stop.wait()
        await server.stop()

    async def _answer(self, request: Request) -> Response:
        posted = json.loads(await request.read_body())
        self.posts += 1
        if self.status == 200:
            self.events += posted["items"]
        return Response(status=self.status)

    def kubeconfig(self, path: Path) -> str:
        (path.parent / "webhook-ca.crt").write_bytes(authority().pem)
        cluster = {
            "server": f"https://127.0.0.1:{self.port}/audit",
            "certificate-authority": str(path.parent / "webhook-ca.crt"),
        }
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": cluster}],
            "contexts": [{"name": "c", "context": {"cluster": "c"}}],
            "current-context": "c",
        }
        path.write_text(json.dumps(config))
        return str(path)


def kubectl(server: Running, *arguments: str) -> str:
    found = find_kubectl()
    assert found is not None
    access = ["--server", server.url, "--certificate-authority", str(server.ca_file), "--token", server.token]
    done = subprocess.run(
        [found, *access, *arguments], capture_output=True, text=True, check=False, timeout=60
    )
    return done.stdout + done.stderr


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_kubectl_is_audited_by_file_and_webhook(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(POLICY)
    log = tmp_path / "audit.log"
    with Receiver() as receiver:
        flags = [
            f"--audit-policy-file={tmp_path / 'policy.yaml'}",
            f"--audit-log-path={log}",
            f"--audit-webhook-config-file={receiver.kubeconfig(tmp_path / 'webhook')}",
            "--audit-webhook-initial-backoff=50ms",
            "--audit-webhook-batch-max-wait=50ms",
        ]
        with running(tmp_path, *flags) as server:
            kubectl(server, "create", "configmap", "a", "--from-literal=x=y")
            until(lambda: receiver.posts > 0)
            receiver.status = 200
            kubectl(server, "create", "secret", "generic", "s", "--from-literal=password=hidden")
            kubectl(server, "patch", "configmap", "a", "-p", '{"data":{"x":"z"}}')
            kubectl(server, "get", "configmap", "a")
            kubectl(server, "delete", "configmap", "a", "--wait=false")
            kubectl(server, "get", "pods", "--as=bob")
            watch = kubectl(
                server, "get", "--raw", "/api/v1/namespaces/default/configmaps?watch=1&timeoutSeconds=1"
            )
            assert watch == ""
        written = [json.loads(line) for line in log.read_text().splitlines()]
        # What waited when the server ended was passed on; what was refused was sent again.
        told = {(one["auditID"], one["stage"]) for one in receiver.events}
        assert told == {(one["auditID"], one["stage"]) for one in written}

    def found(verb: str, resource: str) -> list[Any]:
        return [
            one
            for one in written
            if one["verb"] == verb and (one.get("objectRef") or {}).get("resource") == resource
        ]

    assert "hidden" not in log.read_text()
    (created,) = found("create", "configmaps")
    assert created["requestObject"]["data"] == {"x": "y"}
    assert "managedFields" not in created["responseObject"]["metadata"]
    assert created["userAgent"].startswith("kubectl/")
    (patched,) = found("patch", "configmaps")
    assert patched["requestObject"] == {"data": {"x": "z"}}
    (deleted,) = found("delete", "configmaps")
    assert deleted["responseStatus"]["status"] == "Success"
    assert [one["level"] for one in found("create", "secrets")] == ["Metadata"]
    (refused,) = found("list", "pods")
    assert refused["impersonatedUser"]["username"] == "bob"
    assert refused["responseStatus"]["code"] == 403
    assert [one["stage"] for one in found("watch", "configmaps")] == ["ResponseStarted", "ResponseComplete"]
    assert not [one for one in written if one["requestURI"].startswith("/version")]


def test_a_server_that_is_told_to_end_writes_what_waits(tmp_path: Path) -> None:
    """Mode batch keeps what it has until the end, and then loses nothing."""
    (tmp_path / "policy.yaml").write_text(POLICY)
    flags = (f"--audit-policy-file={tmp_path / 'policy.yaml'}", f"--audit-log-path={tmp_path / 'audit.log'}")
    more = ("--audit-log-mode=batch", "--audit-log-batch-max-size=1000", "--audit-log-batch-max-wait=1h")
    with running(tmp_path, *flags, *more) as server:
        kubectl(server, "create", "configmap", "a")
        assert (tmp_path / "audit.log").read_bytes() == b""
    assert '"verb":"create"' in (tmp_path / "audit.log").read_text()
