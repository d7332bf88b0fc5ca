"""A real extension server behind a real kube-apiserver, used with the real kubectl."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from podium.base import pki
from tests.apiserver.aggregation.extension import (
    API_SERVICE,
    FLUNDERS,
    GROUP,
    NAMESPACE,
    PATH,
    SERVICE,
    TEMPLATE,
    VERSION,
    Extension,
)
from tests.wire.server import Running, running

pytestmark = pytest.mark.skipif(shutil.which("kubectl") is None, reason="no kubectl here")

WITHIN = "--timeout=30s"


@dataclass(frozen=True)
class Front:
    """The API server in front, with what is needed to speak to it."""

    server: Running
    extension: Extension
    directory: Path
    front_proxy_ca: Path

    def kubectl(self, *arguments: str, stdin: str = "", fails: bool = False) -> str:
        flags = [f"--server={self.server.url}", f"--certificate-authority={self.server.ca_file}"]
        flags += [f"--token={self.server.token}", f"--cache-dir={self.directory / 'cache'}"]
        done = subprocess.run(
            ["kubectl", *flags, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode != 0) is fails, done.stderr
        return done.stderr if fails else done.stdout

    def api(self, *path: str) -> Any:
        return json.loads(self.kubectl("get", "--raw", "".join(path)))

    def connection(self, *, certificate: str = "") -> http.client.HTTPSConnection:
        context = ssl.create_default_context(cafile=str(self.server.ca_file))
        if certificate:
            context.load_cert_chain(
                self.directory / f"{certificate}.crt", self.directory / f"{certificate}.key"
            )
        host, _, port = self.server.url.removeprefix("https://").partition(":")
        return http.client.HTTPSConnection(host, int(port), context=context, timeout=30)

    def request(
        self, method: str, path: str, headers: dict[str, str], *, certificate: str = ""
    ) -> tuple[int, dict[str, str], bytes]:
        connection = self.connection(certificate=certificate)
        try:
            connection.request(method, path, headers=headers)
            response = connection.getresponse()
            fields = {name.lower(): value for name, value in response.getheaders()}
            return response.status, fields, response.read()
        finally:
            connection.close()

    def as_admin(self, **headers: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.server.token}", **headers}

    def register(self, **spec: Any) -> None:
        api_service = {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": API_SERVICE},
            "spec": {
                "group": GROUP,
                "version": VERSION,
                "groupPriorityMinimum": 2000,
                "versionPriority": 200,
                "service": {"namespace": NAMESPACE, "name": SERVICE, "port": self.extension.port},
                "caBundle": base64.b64encode(self.extension.ca_pem).decode(),
                **spec,
            },
        }
        self.kubectl("apply", "-f", "-", stdin=json.dumps(api_service))

    def offer(self) -> None:
        """Make the Service that leads to the extension server, without any kube-proxy."""
        self.kubectl("create", "namespace", NAMESPACE)
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": SERVICE, "namespace": NAMESPACE},
            "spec": {"type": "ExternalName", "externalName": "localhost"},
        }
        self.kubectl("create", "-f", "-", stdin=json.dumps(service))

    def wait(self, status: str = "True") -> None:
        self.kubectl("wait", f"--for=condition=Available={status}", f"apiservice/{API_SERVICE}", WITHIN)

    def available(self) -> dict[str, str]:
        (found,) = [
            condition
            for condition in self.api("/apis/apiregistration.k8s.io/v1/apiservices/", API_SERVICE)["status"][
                "conditions"
            ]
            if condition["type"] == "Available"
        ]
        return dict(found)


Make = Callable[..., Front]


@contextlib.contextmanager
def _makers(directory: Path) -> Iterator[Make]:
    with contextlib.ExitStack() as stack:

        def start(*flags: str, **extension_options: Any) -> Front:
            front_ca = pki.create_ca("front-proxy-ca")
            client = pki.issue(front_ca, common_name="front-proxy-client", client=True)
            other = pki.issue(front_ca, common_name="somebody-else", client=True)
            for name, pair in (("front-proxy", client), ("other-proxy", other)):
                (directory / f"{name}.crt").write_bytes(pair.certificate_pem)
                (directory / f"{name}.key").write_bytes(pair.key_pem)
            ca_file = directory / "front-proxy-ca.crt"
            ca_file.write_bytes(front_ca.certificate_pem)
            extension = Extension(directory, **extension_options)
            extension.start(ca_file)
            stack.callback(extension.stop)
            server = stack.enter_context(
                running(
                    directory,
                    f"--proxy-client-cert-file={directory / 'front-proxy.crt'}",
                    f"--proxy-client-key-file={directory / 'front-proxy.key'}",
                    f"--requestheader-client-ca-file={ca_file}",
                    "--requestheader-allowed-names=front-proxy-client",
                    *flags,
                )
            )
            return Front(server, extension, directory, ca_file)

        yield start


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Start an extension server and an API server in front of it."""
    with _makers(tmp_path) as start:
        yield start


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """One that works, which the tests leave as they found it."""
    with _makers(tmp_path_factory.mktemp("front")) as start:
        made = start()
        made.offer()
        made.register()
        made.wait()
        yield made


def _flunder(name: str) -> str:
    return json.dumps({"apiVersion": f"{GROUP}/{VERSION}", "kind": "Flunder", "metadata": {"name": name}})


def test_kubectl_uses_it_like_any_other_kind(front: Front) -> None:
    assert front.available()["reason"] == "Passed"
    front.kubectl("create", "--validate=false", "-f", "-", stdin=_flunder("a"))
    assert front.kubectl("get", "fl", "-o", "name") == "flunder.wardle.example.com/a\n"
    assert "flunders" in front.kubectl("api-resources", f"--api-group={GROUP}")
    front.kubectl("delete", "flunder", "a", "--wait=false")
    assert "a" not in front.extension.objects
    assert "To whom." in front.kubectl("explain", "flunder.spec")


def test_the_server_learns_who_asks_and_nobody_can_forge_it(front: Front) -> None:
    forged = {
        "X-Remote-User": "system:admin",
        "X-Remote-Group": "system:masters",
        "X-Remote-Uid": "0",
        "X-Remote-Extra-Scopes": "all",
        "Impersonate-User": "alice@example.com",
        "Impersonate-Group": "dev",
        "Impersonate-Extra-Acme.com%2fproject": "p 1",
        "Connection": "keep-alive, X-Secret",
        "X-Secret": "hop",
    }
    front.kubectl(
        "create", "clusterrolebinding", "dev", "--clusterrole=cluster-admin", "--user=alice@example.com"
    )
    status, answer, _ = front.request("GET", FLUNDERS, front.as_admin(**forged))
    assert status == 200
    seen = front.extension.seen[-1]
    told = sorted((name, value) for name, value in seen.headers if name.startswith("x-remote-"))
    assert told == [
        ("x-remote-extra-acme.com%2fproject", "p 1"),
        ("x-remote-group", "dev"),
        ("x-remote-group", "system:authenticated"),
        ("x-remote-user", "alice@example.com"),
    ]
    names = {name for name, _ in seen.headers}
    assert not names & {"authorization", "x-secret", "impersonate-user"}
    assert seen.certificate is not None
    assert answer["audit-id"] == seen.headers.get("audit-id")


def test_who_may_not_here_never_gets_there(front: Front) -> None:
    front.extension.seen.clear()
    status, _, body = front.request("GET", FLUNDERS, {})
    assert (status, json.loads(body)["reason"]) == (403, "Forbidden")
    assert not [one for one in front.extension.seen if "flunders" in one.target]


def test_a_watch_streams_as_it_happens(front: Front) -> None:
    connection = front.connection()
    connection.request("GET", f"{FLUNDERS}?watch=true", headers=front.as_admin())
    response = connection.getresponse()
    front.request("GET", FLUNDERS, front.as_admin())
    for name in ("one", "two"):
        front.kubectl("create", "--validate=false", "-f", "-", stdin=_flunder(name))
        event = json.loads(response.readline())
        assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", name)
    connection.close()


def test_an_upgrade_goes_through(front: Front) -> None:
    host, _, port = front.server.url.removeprefix("https://").partition(":")
    context = ssl.create_default_context(cafile=str(front.server.ca_file))
    with (
        socket.create_connection((host, int(port)), timeout=30) as plain,
        context.wrap_socket(plain, server_hostname=host) as tls,
    ):
        tls.sendall(
            f"GET {PATH}/echo HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {front.server.token}\r\n"
            "X-Remote-User: forged\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n".encode()
        )
        stream = tls.makefile("rb")
        assert b" 101 " in stream.readline()
        while stream.readline() != b"\r\n":
            pass
        for word in (b"hello", b"there"):
            tls.sendall(word)
            assert stream.read(5) == word.upper()
    assert front.extension.seen[-1].headers.get_all("x-remote-user") == ["admin"]


def test_failure_and_recovery_show_in_the_condition(front: Front) -> None:
    front.extension.stop()
    front.kubectl("annotate", "apiservice", API_SERVICE, "look=again")
    front.wait("False")
    condition = front.available()
    assert condition["reason"] == "FailedDiscoveryCheck"
    assert condition["message"].startswith("failing or missing response from https://localhost:")
    status, fields, body = front.request("GET", FLUNDERS, front.as_admin())
    assert (status, body) == (503, b"service unavailable\n")
    assert fields["content-type"] == "text/plain; charset=utf-8"
    metrics = front.kubectl("get", "--raw", "/metrics")
    assert f'aggregator_unavailable_apiservice{{name="{API_SERVICE}"}} 1' in metrics
    counted = (
        f'aggregator_unavailable_apiservice_total{{name="{API_SERVICE}",reason="FailedDiscoveryCheck"}} 1'
    )
    assert counted in metrics
    assert 'aggregator_unavailable_apiservice{name="v1."} 0' in metrics
    front.extension.start(front.front_proxy_ca)
    front.wait()
    assert front.request("GET", FLUNDERS, front.as_admin())[0] == 200


def test_redirects_are_not_handed_on(front: Front) -> None:
    front.extension.redirect_to = "https://elsewhere.example.com/"
    status, _, body = front.request("GET", FLUNDERS, front.as_admin())
    assert status == 502
    assert body == b"the backend attempted to redirect this request, which is not permitted"
    front.extension.redirect_to = ""


def test_a_server_whose_certificate_is_another_is_not_spoken_to(make: Make) -> None:
    front = make()
    front.offer()
    front.register(caBundle=base64.b64encode(pki.create_ca("other").certificate_pem).decode())
    front.wait("False")
    assert "certificate verify failed" in front.available()["message"]
    front.register(caBundle=None, insecureSkipTLSVerify=True)
    front.wait()
    assert front.request("GET", FLUNDERS, front.as_admin())[0] == 200


def test_discovery_shows_it_in_its_place(front: Front) -> None:
    groups = [group["name"] for group in front.api("/apis")["groups"]]
    assert groups[0] == "apiregistration.k8s.io"
    assert groups[-1] == GROUP, "the built-in groups have higher priorities"
    assert front.api(f"/apis/{GROUP}")["preferredVersion"]["version"] == VERSION
    assert front.api(PATH)["resources"][0]["name"] == "flunders"
    front.kubectl(
        "patch", "apiservice", API_SERVICE, "--type=merge", "-p", '{"spec":{"groupPriorityMinimum":17999}}'
    )
    assert [group["name"] for group in front.api("/apis")["groups"]][1] == GROUP
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    _, _, body = front.request("GET", "/apis", front.as_admin(Accept=accept))
    item = json.loads(body)["items"][1]
    assert item["metadata"]["name"] == GROUP
    assert [one["resource"] for one in item["versions"][0]["resources"]] == ["flunders"]
    assert item["versions"][0]["freshness"] == "Current"
    front.kubectl("delete", "apiservice", API_SERVICE)
    assert GROUP not in [group["name"] for group in front.api("/apis")["groups"]]
    assert front.request("GET", FLUNDERS, front.as_admin())[0] == 404
    front.register()
    front.wait()


def test_a_server_with_plain_discovery_and_no_openapi_v3(make: Make) -> None:
    front = make(aggregated_discovery=False, openapi_v3=False)
    front.offer()
    front.register()
    front.wait()
    assert "flunders" in front.kubectl("api-resources", f"--api-group={GROUP}")
    document = front.api("/openapi/v2")
    assert TEMPLATE in document["paths"]
    assert "com.example.wardle.v1alpha1.Flunder" in document["definitions"]
    assert "com.example.wardle.Unused" not in document["definitions"]


def test_the_configmap_tells_extension_servers_whom_to_trust(front: Front) -> None:
    path = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication"
    data = front.api(path)["data"]
    assert data["requestheader-client-ca-file"] == front.front_proxy_ca.read_text()
    assert data["requestheader-allowed-names"] == '["front-proxy-client"]'
    assert data["requestheader-username-headers"] == '["X-Remote-User"]'
    assert data["requestheader-group-headers"] == '["X-Remote-Group"]'
    assert data["requestheader-extra-headers-prefix"] == '["X-Remote-Extra-"]'
    assert data["client-ca-file"] == front.server.ca_file.read_text()


def test_this_server_believes_front_proxies_and_nobody_else(front: Front) -> None:
    told = {"X-Remote-User": "jane", "X-Remote-Group": "system:masters", "X-Remote-Uid": "7"}
    path = "/api/v1/namespaces/kube-system/secrets"
    assert front.request("GET", path, told, certificate="front-proxy")[0] == 200
    assert front.request("GET", path, told, certificate="other-proxy")[0] == 401
    assert front.request("GET", path, {}, certificate="front-proxy")[0] == 401
    assert front.request("GET", path, told)[0] == 403
