"""A real extension server behind a real kube-apiserver, used with the real kubectl."""

from __future__ import annotations

import base64
import json
import shutil
import socket
import ssl

import pytest

from podium.base import pki
from tests.apiserver.aggregation.extension import (
    API_SERVICE,
    FLUNDERS,
    GROUP,
    PATH,
    TEMPLATE,
    VERSION,
)
from tests.apiserver.aggregation.front import Front, Make, flunder

pytestmark = pytest.mark.skipif(shutil.which("kubectl") is None, reason="no kubectl here")


def test_kubectl_uses_it_like_any_other_kind(front: Front) -> None:
    assert front.available()["reason"] == "Passed"
    front.kubectl("create", "--validate=false", "-f", "-", stdin=flunder("a"))
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
        front.kubectl("create", "--validate=false", "-f", "-", stdin=flunder(name))
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


def test_cve_2018_1002105_a_refused_upgrade_leaves_no_way_to_the_extension_server(front: Front) -> None:
    """What comes behind an upgrade that it refuses is a request to the API server, of whoever sends it."""
    host, _, port = front.server.url.removeprefix("https://").partition(":")
    context = ssl.create_default_context(cafile=str(front.server.ca_file))
    with (
        socket.create_connection((host, int(port)), timeout=30) as plain,
        context.wrap_socket(plain, server_hostname=host) as tls,
    ):
        before = len(front.extension.seen)
        tls.sendall(
            f"GET {PATH}/nowhere HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {front.server.token}\r\n"
            "Connection: Upgrade\r\nUpgrade: echo\r\n\r\n"
            f"GET {FLUNDERS} HTTP/1.1\r\nHost: x\r\nX-Remote-User: system:admin\r\n"
            "X-Remote-Group: system:masters\r\nConnection: close\r\n\r\n".encode()
        )
        told = tls.makefile("rb").read()
    assert told.startswith(b"HTTP/1.1 404")
    assert b"HTTP/1.1 403" in told and b"system:anonymous" in told
    asked = [one for one in front.extension.seen[before:] if one.target.startswith(PATH)]
    assert [one.target for one in asked if one.target in (f"{PATH}/nowhere", FLUNDERS)] == [f"{PATH}/nowhere"]


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
    assert 'workqueue_adds_total{name="RemoteAvailabilityController"}' in metrics
    front.extension.start(front.front_proxy_ca)
    front.wait()
    assert front.request("GET", FLUNDERS, front.as_admin())[0] == 200


def test_cve_2022_3172_an_extension_server_redirects_nobody(front: Front) -> None:
    """A client would follow with its credentials, to wherever the extension server says."""
    upgrade = {"Connection": "Upgrade", "Upgrade": "echo"}
    for place in ("https://elsewhere.example.com/", "//elsewhere", "/api/v1/secrets", "http://127.0.0.1:1/"):
        front.extension.redirect_to = place
        for path, more in ((FLUNDERS, {}), (f"{PATH}/echo", upgrade)):
            status, fields, body = front.request("GET", path, front.as_admin(**more))
            assert status == 502
            assert "location" not in fields
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
    name = f"apis/{GROUP}/{VERSION}"
    front.kubectl("wait", "--for=condition=Available", f"apiservice/{API_SERVICE}", "--timeout=30s")
    converted = front.api(front.api("/openapi/v3")["paths"][name]["serverRelativeURL"])
    (schema,) = converted["components"]["schemas"].values()
    assert schema["properties"]["spec"]["properties"]["reference"]["description"] == "To whom."
    assert "To whom." in front.kubectl("explain", "flunder.spec")


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
    metrics = front.kubectl("get", "--raw", "/metrics")
    assert 'apiserver_client_certificate_expiration_seconds_bucket{le="86400"} 0' in metrics
    assert 'apiserver_client_certificate_expiration_seconds_bucket{le="+Inf"} 1' in metrics


def test_a_group_that_another_server_takes_over_is_answered_there_alone(make: Make) -> None:
    """Even reads of single objects, which go a shorter way than the rest."""
    front = make()
    front.offer()
    name = "v1.coordination.k8s.io"
    path = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/a"
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "a"}}
    front.kubectl("create", "-n", "kube-node-lease", "-f", "-", stdin=json.dumps(lease))
    plain = {"Authorization": f"Bearer {front.server.token}", "Accept": "application/json"}
    assert front.request("GET", path, plain)[0] == 200
    service = {"namespace": "wardle", "name": "api", "port": front.extension.port}
    patch = {"spec": {"service": service, "caBundle": base64.b64encode(front.extension.ca_pem).decode()}}
    front.kubectl("patch", "apiservice", name, "--type=merge", "-p", json.dumps(patch))
    assert front.request("GET", path, plain)[0] in (404, 503)


def test_custom_groups_have_an_api_service_as_long_as_they_are_defined(front: Front) -> None:
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.stable.example.com"},
        "spec": {
            "group": "stable.example.com",
            "scope": "Namespaced",
            "names": {"plural": "things", "kind": "Thing"},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": {"type": "object"}},
                }
            ],
        },
    }
    name = "v1.stable.example.com"
    front.kubectl("create", "-f", "-", stdin=json.dumps(definition))
    front.kubectl("wait", "--for=create", f"apiservice/{name}", "--timeout=30s")
    made = front.api("/apis/apiregistration.k8s.io/v1/apiservices/", name)
    assert made["metadata"]["labels"] == {"kube-aggregator.kubernetes.io/automanaged": "true"}
    assert made["spec"] == {
        "group": "stable.example.com",
        "version": "v1",
        "groupPriorityMinimum": 1000,
        "versionPriority": 100,
    }
    assert made["status"]["conditions"][0]["reason"] == "Local"
    front.kubectl("delete", "crd", "things.stable.example.com")
    front.kubectl("wait", "--for=delete", f"apiservice/{name}", "--timeout=30s")
