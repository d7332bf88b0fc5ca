"""Proxies to pods, services and kubelets: where they lead, and where no path makes them lead."""

from __future__ import annotations

from pathlib import Path

from podium.base.http.message import Request, Response
from tests.apiserver.security.cluster import ALICE, NS, Cluster, pod, rule, run
from tests.base.http_tools import peer_of

UPGRADE = (
    ("connection", "Upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA=="),
)


class Kubelet:
    """Keeps what it was asked."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    async def __call__(self, request: Request) -> Response:
        self.seen.append(request.target)
        return Response(body=b"fine")


TRAVERSALS = {
    "/../../n2/proxy/pods": "/n2/proxy/pods",
    "/a/../../../exec/x": "/exec/x",
    "/%2e%2e/%2E%2e/pods": "/pods",
    "/.%2e/pods": "/pods",
    "/./a//b": "/a/b",
    "/a/..": "/",
    "/logs/..%2f..%2fpods": "/logs/..%2f..%2fpods",
    "/a\\..\\..\\pods": "/a\\..\\..\\pods",
    "/%5c..%5cpods": "/%5c..%5cpods",
    "/%252e%252e/pods": "/%252e%252e/pods",
    "/@elsewhere/": "/@elsewhere/",
    "//elsewhere/pods": "/elsewhere/pods",
    "/http://elsewhere/": "/http:/elsewhere/",
}
"""By what is asked for below `proxy`: what the kubelet is asked. It is always the same kubelet."""


def test_no_path_leads_out_of_a_proxy(tmp_path: Path) -> None:
    kubelet = Kubelet()

    async def attack(cluster: Cluster) -> None:
        await cluster.grant(ALICE, rule("get", "core", "nodes/proxy", "n1"))
        for below, expected in TRAVERSALS.items():
            kubelet.seen.clear()
            status, _ = await cluster.call(ALICE, "GET", f"/api/v1/nodes/n1/proxy{below}")
            # Either the path is no path of this server at all, or it is one of this one kubelet.
            assert (status, kubelet.seen) in ((200, [expected]), (404, []), (400, [])), (
                below,
                status,
                kubelet.seen,
            )
        await cluster.refused(ALICE, "GET", "/api/v1/nodes/n2/proxy/pods")
        await cluster.refused(ALICE, "GET", "/api/v1/nodes/n2%2fproxy/pods")

    run(tmp_path, attack, kubelet=kubelet)


CONFUSED = (
    f"{NS}/pods/p/../../secrets/s",
    f"{NS}/pods/../secrets/s",
    f"{NS}/configmaps/%2e%2e/secrets/s",
    f"{NS}/configmaps/..%2fsecrets%2fs",
    f"{NS}/configmaps/..\\secrets\\s",
    f"{NS}/configmaps//../secrets/s",
    "/api/v1/namespaces/default%2f..%2fkube-system/configmaps/x",
    "/api/v1/namespaces/../namespaces/default/secrets/s",
    "/api/v1/namespaces//secrets/s",
    "//api/v1/namespaces/default/secrets/s",
    "/api//v1/namespaces/default/secrets/s",
    "/./api/v1/namespaces/default/secrets/s",
    "/version/../api/v1/namespaces/default/secrets/s",
    "/healthz/../api/v1/namespaces/default/secrets/s",
    "/openapi/v2/../../api/v1/namespaces/default/secrets/s",
    "/api/v1/namespaces/default/secrets/s%00",
    "/api/v1/namespaces/default/secrets/s;x=1",
    "/API/v1/namespaces/default/secrets/s",
    f"{NS}/secrets%2fs",
    f"{NS}/secrets%2f",
)


def test_no_spelling_of_a_path_is_authorized_as_another(tmp_path: Path) -> None:
    """Alice may read ConfigMaps and what everybody may; the secret stays one whatever way it is spelled."""

    async def attack(cluster: Cluster) -> None:
        await cluster.ok("POST", f"{NS}/secrets", {"metadata": {"name": "s"}, "data": {"key": "c2VjcmV0"}})
        await cluster.grant(ALICE, rule("*", "core", "configmaps pods"))
        async with peer_of(cluster.http) as peer:
            for path in CONFUSED:
                await peer.send(
                    f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer alice\r\n\r\n".encode()
                )
                status, body = await peer.answer()
                assert status in (400, 403, 404, 405), (path, status, body)
                assert b"c2VjcmV0" not in body

    run(tmp_path, attack)


def test_a_pod_that_claims_another_address_is_not_reached(tmp_path: Path) -> None:
    """Who writes a pod's status must not point the API server at itself or at a cloud's metadata."""

    async def attack(cluster: Cluster) -> None:
        await cluster.ok("POST", f"{NS}/pods", pod("p", "n1"))
        for address in ("127.0.0.1", "169.254.169.254", "::1", "0.0.0.0", "224.0.0.1", "::ffff:127.0.0.1"):
            status = {"status": {"podIP": address, "podIPs": [{"ip": address}]}}
            code, _ = await cluster.call(
                "n1", "PATCH", f"{NS}/pods/p/status", status, type="application/merge-patch+json"
            )
            for path in (
                f"{NS}/pods/p/proxy/",
                f"{NS}/pods/p:6443/proxy/api/v1/secrets",
                f"{NS}/pods/https:p:443/proxy/",
            ):
                status_code, answer = await cluster.call("root", "GET", path)
                assert (code, status_code) == (200, 400) or code >= 400, (address, answer)

    run(tmp_path, attack)


def test_who_may_only_read_gets_no_shell(tmp_path: Path) -> None:
    """A WebSocket is opened by a GET, which the verb `get` allows; to connect needs `create`."""
    kubelet = Kubelet()

    async def attack(cluster: Cluster) -> None:
        await cluster.ok("POST", f"{NS}/pods", pod("p", "n1"))
        await cluster.grant(ALICE, rule("get", "core", "pods pods/exec pods/attach pods/portforward"))
        for path in ("exec?command=id&stdout=1", "attach?stdout=1", "portforward?ports=80"):
            told = await cluster.refused(ALICE, "GET", f"{NS}/pods/p/{path}", headers=UPGRADE)
            assert f'cannot create resource "pods/{path.partition("?")[0]}"' in told
        assert not kubelet.seen
        await cluster.grant(ALICE, rule("create", "core", "pods/exec"))
        assert (await cluster.call(ALICE, "GET", f"{NS}/pods/p/exec?command=id&stdout=1", headers=UPGRADE))[
            0
        ] == 200
        assert len(kubelet.seen) == 1

    run(tmp_path, attack, kubelet=kubelet)
