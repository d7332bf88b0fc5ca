"""Connections through to pods: the real chain, a kubelet and a container's double behind it."""

from __future__ import annotations

from pathlib import Path

from podium.apiserver.http.subresources.streams import Streams
from podium.apiserver.streaming.kubelet import KubeletConnections
from podium.apiserver.streaming.proxy import Proxy
from podium.base.http import websocket
from podium.base.http.message import Request, Response, StreamWriter
from podium.kubelet import streaming
from podium.machinery.errors import Object
from tests.apiserver.audit.helpers import Audited, audited, until
from tests.base.certs import authority
from tests.base.cri_double import Streams as Commanded
from tests.base.cri_double import exec_double
from tests.base.http_tools import run, serving, transport_to

POD = "/api/v1/namespaces/default/pods/p"
STARTED_AND_ENDED = ["ResponseStarted", "ResponseComplete"]


async def prepare(server: Audited, port: int) -> None:
    """Make a node whose kubelet listens at a port, and a pod on it."""
    node = await server.ok("POST", "/api/v1/nodes", {"metadata": {"name": "n"}})
    node["status"] = {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
    }
    await server.ok("PUT", "/api/v1/nodes/n/status", node)
    account = {"metadata": {"name": "default"}}
    await server.ok("POST", "/api/v1/namespaces/default/serviceaccounts", account)
    spec = {"nodeName": "n", "containers": [{"name": "c", "image": "i"}]}
    await server.ok("POST", "/api/v1/namespaces/default/pods", {"metadata": {"name": "p"}, "spec": spec})


def about(server: Audited, subresource: str) -> list[Object]:
    return [one for one in server.events() if (one.get("objectRef") or {}).get("subresource") == subresource]


def test_logs_exec_and_proxies_have_a_beginning_and_an_end(tmp_path: Path) -> None:
    async def echo(streams: Commanded) -> None:
        said = await streams["stdin"].read()
        await streams["stdout"].write(said)
        while await streams["stdin"].read():
            pass

    async def main() -> None:
        async with exec_double(echo, "stdin", "stdout") as command:

            async def kubelet(request: Request) -> Response:
                if request.path.startswith("/exec/"):
                    return await streaming.stream(request, command)

                async def say(writer: StreamWriter) -> None:
                    writer.write(b'{"kind":"Secret","data":"of the pod"}')

                return Response(stream=say)

            connections = KubeletConnections(authority().client_context())
            wanted = [{"level": "RequestResponse", "omitStages": ["RequestReceived"]}]
            async with (
                serving(kubelet, tls=True) as behind,
                audited(tmp_path, wanted, streams=Streams(connections, Proxy())) as server,
                serving(server.server.handler, tls=True) as front,
                transport_to(front) as transport,
            ):
                await prepare(server, behind.port)
                bearer = [("authorization", "Bearer root")]
                for target, subresource in ((f"{POD}/log", "log"), ("/api/v1/nodes/n/proxy/pods", "proxy")):
                    async with transport.request("GET", target, headers=bearer) as response:
                        assert b"of the pod" in await response.read()
                        audit_id = response.headers.get("audit-id")
                    await until(lambda wanted=subresource: len(about(server, wanted)) == 2)  # type: ignore[misc]
                    events = about(server, subresource)
                    assert [one["stage"] for one in events] == STARTED_AND_ENDED
                    assert {one["auditID"] for one in events} == {audit_id}
                    # What comes from elsewhere is no object of the API.
                    assert "responseObject" not in events[1]

                socket = await websocket.connect(
                    transport,
                    f"{POD}/exec?container=c&command=cat&stdin=1&stdout=1",
                    protocols=["v5.channel.k8s.io"],
                    headers=bearer,
                )
                await socket.send(b"\0hello")
                # An empty message opens each channel.
                while (said := await socket.receive()) == b"\1":
                    pass
                assert said == b"\1hello"
                (started,) = about(server, "exec")
                assert (started["stage"], started["responseStatus"]["code"]) == ("ResponseStarted", 101)
                assert started["requestURI"].endswith("?container=c&command=cat&stdin=1&stdout=1")
                assert (started["verb"], started["objectRef"]["name"]) == ("get", "p")
                await socket.send(b"\xff\0")  # the end of what the command reads
                while await socket.receive() is not None:
                    pass
                await until(lambda: len(about(server, "exec")) == 2)
                assert [one["stage"] for one in about(server, "exec")] == STARTED_AND_ENDED
            await connections.close()

    run(main())
