"""The real kubectl, through the API server's and the kubelet's streaming, into a real container and back.

What is between kubectl and containerd is Podium's streaming and no more: the handlers around it are a few
lines each, so a failure points at the streaming itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest

from podium.apiserver.streaming.kubelet import KubeletConnections
from podium.base.http.message import Handler, Headers, Request, Response
from podium.kubelet import streaming
from podium.kubelet.cri.client import CriClient
from podium.kubelet.cri.runtime import ContainerConfig, SandboxConfig
from podium.machinery.errors import ApiError
from tests.base.certs import authority
from tests.base.cri_double import Streams, exec_double
from tests.base.http_tools import run, serving, url
from tests.kubelet.containerd import BUSYBOX, available, private_containerd

KUBECTL = next(
    (
        p
        for p in (str(Path(sys.executable).parent / "kubectl"), shutil.which("kubectl") or "")
        if Path(p).is_file()
    ),
    "",
)
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(bool(available()) or not KUBECTL, reason=available() or "needs kubectl"),
]

WAYS = pytest.mark.parametrize("websockets", ["true", "false"], ids=["websocket", "spdy"])
POD_RESOURCE = {
    "name": "pods",
    "singularName": "pod",
    "namespaced": True,
    "kind": "Pod",
    "verbs": ["get", "list"],
    "shortNames": ["po"],
}
DISCOVERY = {
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []},
    "/api/v1": {"kind": "APIResourceList", "groupVersion": "v1", "resources": [POD_RESOURCE]},
}


def pod() -> dict[str, object]:
    state = {"running": {"startedAt": "2024-01-01T00:00:00Z"}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": "default", "uid": "u"},
        "spec": {
            "nodeName": "n",
            "containers": [{"name": "c", "image": BUSYBOX, "stdin": True, "ports": [{"containerPort": 80}]}],
        },
        "status": {"phase": "Running", "containerStatuses": [{"name": "c", "ready": True, "state": state}]},
    }


@dataclass
class Cluster:
    """A pod with one container, and a server that kubectl takes for an API server."""

    server_url: str
    kubeconfig: Path

    async def kubectl(
        self, *arguments: str, stdin: bytes | None = None, websockets: str = "true"
    ) -> tuple[int, bytes, bytes]:
        process = await self.start(*arguments, websockets=websockets)
        out, err = await process.communicate(stdin)
        assert process.returncode is not None
        return process.returncode, out, err

    async def start(self, *arguments: str, websockets: str) -> asyncio.subprocess.Process:
        environment = {
            **os.environ,
            "KUBECONFIG": str(self.kubeconfig),
            "KUBECTL_REMOTE_COMMAND_WEBSOCKETS": websockets,
            "KUBECTL_PORT_FORWARD_WEBSOCKETS": websockets,
            "HOME": str(self.kubeconfig.parent),
        }
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(
            KUBECTL, *arguments, stdin=pipe, stdout=pipe, stderr=pipe, env=environment
        )


@contextlib.asynccontextmanager
async def cluster(folder: Path) -> AsyncIterator[Cluster]:
    with private_containerd() as containerd:
        cri = CriClient(containerd.endpoint)
        sandbox_config = SandboxConfig(
            name="p", namespace="default", uid="u", hostname="p", log_directory=str(folder)
        )
        image = await cri.image_status(BUSYBOX)
        assert image is not None
        sandbox = await cri.run_sandbox(sandbox_config)
        # A shell that answers what is typed at it (attach), beside a server of files (port-forward).
        script = "mkdir -p /www; echo served > /www/index.html; httpd -p 80 -h /www; exec cat"
        container = await cri.create_container(
            sandbox,
            ContainerConfig(
                name="c", image=image.id, command=("sh", "-c", script), log_path="c.log", stdin=True
            ),
            sandbox_config,
        )
        await cri.start_container(container)
        try:
            async with serving(_kubelet(cri, sandbox, container), tls=True) as kubelet:
                connections = KubeletConnections(authority().client_context())
                async with serving(_apiserver(connections, kubelet.port), tls=True) as server:
                    yield Cluster(server_url=url(server), kubeconfig=_kubeconfig(folder, url(server)))
                await connections.close()
        finally:
            await cri.remove_sandbox(sandbox)
            await cri.close()


def _kubelet(cri: CriClient, sandbox: str, container: str) -> Handler:
    async def handle(request: Request) -> Response:
        streaming.require_upgrade(request)
        if request.path.startswith("/portForward/"):
            ports = streaming.forwarded_ports(request)
            return await streaming.stream(request, await cri.port_forward_url(sandbox, ports))
        o = streaming.stream_options(request)
        if request.path.startswith("/exec/"):
            target = await cri.exec_url(
                container, o.command, stdin=o.stdin, stdout=o.stdout, stderr=o.stderr, tty=o.tty
            )
        else:
            target = await cri.attach_url(
                container, stdin=o.stdin, stdout=o.stdout, stderr=o.stderr, tty=o.tty
            )
        return await streaming.stream(request, target)

    return handle


def _apiserver(connections: KubeletConnections, kubelet_port: int) -> Handler:
    node = {
        "metadata": {"name": "n"},
        "status": {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": kubelet_port}},
        },
    }

    def answer(body: object, status: int = 200) -> Response:
        return Response(
            status=status, headers=Headers([("content-type", "application/json")]), body=orjson.dumps(body)
        )

    async def handle(request: Request) -> Response:
        if request.path in DISCOVERY:
            return answer(DISCOVERY[request.path])
        base = "/api/v1/namespaces/default/pods/p"
        if request.path == base:
            return answer(pod())
        verbs = {
            f"{base}/exec": connections.exec,
            f"{base}/attach": connections.attach,
            f"{base}/portforward": connections.portforward,
        }
        if request.path in verbs:
            try:
                return await verbs[request.path](request, pod(), node)
            except ApiError as error:
                return answer(error.status(), error.code)
        return Response(status=404, body=b"404 page not found")

    return handle


def _kubeconfig(folder: Path, server: str) -> Path:
    (folder / "ca.crt").write_bytes(authority().pem)
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": server, "certificate-authority": "ca.crt"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "users": [{"name": "u", "user": {"token": "not-for-kubelets"}}],
        "current-context": "c",
    }
    path = folder / "kubeconfig"
    path.write_bytes(orjson.dumps(config))
    return path


@WAYS
def test_exec_with_a_runtime_of_our_own_spdy(tmp_path: Path, websockets: str) -> None:
    """Over SPDY kubectl talks to our framing directly: nothing between them decodes it."""

    async def shout(streams: Streams) -> None:
        while data := await streams["stdin"].read():
            await streams["stdout"].write(data.upper())
        await streams["stderr"].write(b"done\n")
        await streams["stdout"].end()
        await streams["stderr"].end()
        await streams["error"].write(b'{"metadata":{},"status":"Success"}')
        await streams["error"].end()

    async def main() -> tuple[int, bytes, bytes]:
        async with exec_double(shout, "stdin", "stdout", "stderr") as runtime:

            async def kubelet(request: Request) -> Response:
                return await streaming.stream(request, runtime)

            connections = KubeletConnections(authority().client_context())
            async with (
                serving(kubelet, tls=True) as node,
                serving(_apiserver(connections, node.port), tls=True) as server,
            ):
                c = Cluster(server_url=url(server), kubeconfig=_kubeconfig(tmp_path, url(server)))
                data = b"hello\n" * 50_000
                answer = await c.kubectl("exec", "-i", "p", "--", "x", stdin=data, websockets=websockets)
                await connections.close()
                return answer

    assert run(main()) == (0, b"HELLO\n" * 50_000, b"done\n")


@WAYS
def test_exec(tmp_path: Path, websockets: str) -> None:
    async def main() -> None:
        async with cluster(tmp_path) as c:
            # Output, errors, exit code.
            script = "echo out; echo err >&2; exit 7"
            code, out, err = await c.kubectl("exec", "p", "--", "sh", "-c", script, websockets=websockets)
            assert (code, out) == (7, b"out\n")
            assert err.startswith(b"err\n")
            assert b"exit code 7" in err
            # stdin, to its end.
            data = os.urandom(3_000_000)
            code, out, err = await c.kubectl(
                "exec", "-i", "p", "--", "cat", stdin=data, websockets=websockets
            )
            assert (code, out == data, err) == (0, True, b"")
            # Much output.
            command = ("dd", "if=/dev/zero", "bs=1000000", "count=20")
            code, out, _ = await c.kubectl("exec", "p", "--", *command, websockets=websockets)
            assert (code, len(out)) == (0, 20_000_000)
            # A terminal.
            code, out, _ = await c.kubectl(
                "exec", "-it", "p", "--", "sh", "-c", "echo tty", stdin=b"", websockets=websockets
            )
            assert (code, out.strip()) == (0, b"tty")
            # No such command; no such container.
            code, _, err = await c.kubectl("exec", "p", "--", "nosuch", websockets=websockets)
            assert code != 0
            assert b"executable file not found" in err
            code, _, err = await c.kubectl("exec", "p", "-c", "x", "--", "true", websockets=websockets)
            assert code == 1
            assert b"container x is not valid for pod p" in err or b"container not found" in err, err

    run(main(), patience_s=90)


@WAYS
def test_attach(tmp_path: Path, websockets: str) -> None:
    async def main() -> None:
        async with cluster(tmp_path) as c:
            process = await c.start("attach", "-i", "p", websockets=websockets)
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(b"typed\n")
            await process.stdin.drain()
            assert await process.stdout.readline() == b"typed\n"
            process.terminate()
            await process.communicate()

    run(main(), patience_s=90)


@WAYS
def test_port_forward(tmp_path: Path, websockets: str) -> None:
    async def main() -> None:
        async with cluster(tmp_path) as c:
            process = await c.start("port-forward", "p", ":80", websockets=websockets)
            assert process.stdout is not None
            line = (await process.stdout.readline()).decode()
            port = int(line.split("127.0.0.1:")[1].split(" ")[0])
            for _ in range(3):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(b"GET / HTTP/1.0\r\n\r\n")
                answer = await reader.read()
                assert answer.endswith(b"\r\n\r\nserved\n")
                writer.close()
                await writer.wait_closed()
            process.terminate()
            await process.communicate()

    run(main(), patience_s=90)
