"""Upstream's conformance test of aggregation (test/e2e/apimachinery/aggregator.go), by its name.

The steps are upstream's, less the image: the extension server runs beside the API server, not in a pod, and
is reached by its endpoints.
"""

from __future__ import annotations

import json
import shutil
import socket
from typing import Any

import pytest

from tests.apiserver.aggregation.extension import (
    API_SERVICE,
    FLUNDERS,
    GROUP,
    NAMESPACE,
    PATH,
    SERVICE,
    VERSION,
)
from tests.apiserver.aggregation.front import Front, Make, flunder

pytestmark = pytest.mark.skipif(shutil.which("kubectl") is None, reason="no kubectl here")

PORT = 7443


def own_address() -> str:
    """Return an address of this machine that may stand in an EndpointSlice, "" where there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return ""
        address: str = probe.getsockname()[0]
        return "" if address.startswith("127.") else address


def _service(port: int) -> str:
    ports = [{"name": "https", "port": port, "targetPort": 443}]
    metadata = {"name": SERVICE, "namespace": NAMESPACE}
    return json.dumps({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": ports}})


def _endpoints(address: str, port: int, *, ready: bool) -> str:
    return json.dumps(
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": "api-1",
                "namespace": NAMESPACE,
                "labels": {"kubernetes.io/service-name": SERVICE},
            },
            "addressType": "IPv4",
            "endpoints": [{"addresses": [address], "conditions": {"ready": ready}}],
            "ports": [{"name": "https", "port": port}],
        }
    )


def _reach(front: Front, address: str) -> None:
    """Have the Service lead to the extension server; every step on the way shows in the condition."""

    def expect(reason: str, message: str) -> None:
        wanted = f"--for=jsonpath={{.status.conditions[0].reason}}={reason}"
        front.kubectl("wait", wanted, f"apiservice/{API_SERVICE}", "--timeout=30s")
        assert front.available()["message"] == message

    where = f'service/{SERVICE} in "{NAMESPACE}"'
    front.kubectl("create", "namespace", NAMESPACE)
    service = {"namespace": NAMESPACE, "name": SERVICE, "port": PORT}
    front.register(service=service)
    expect("ServiceNotFound", f"{where} is not present")
    front.kubectl("create", "-f", "-", stdin=_service(80))
    expect("ServicePortError", f"{where} is not listening on port {PORT}")
    front.kubectl("delete", "service", SERVICE, "-n", NAMESPACE)
    front.kubectl("create", "-f", "-", stdin=_service(PORT))
    expect("EndpointsNotFound", f"cannot find endpointslices for {where}")
    front.kubectl("create", "-f", "-", stdin=_endpoints(address, front.extension.port, ready=False))
    expect("MissingEndpoints", f'endpointslices for {where} have no addresses with port name "https"')
    front.kubectl("apply", "-f", "-", stdin=_endpoints(address, front.extension.port, ready=True))
    front.wait()


def _condition(type: str, message: str) -> dict[str, str]:
    return {"type": type, "status": "True", "reason": "E2E", "message": message}


@pytest.mark.skipif(not own_address(), reason="this machine has no address but the loopback's")
def test_should_be_able_to_support_the_1_17_sample_api_server_using_the_current_aggregator(
    make: Make,
) -> None:
    address = own_address()
    front = make("--enable-aggregator-routing=true", host=address)
    _reach(front, address)

    # REST.
    made = json.loads(front.kubectl("create", "--raw", FLUNDERS, "-f", "-", stdin=flunder("rest-flunder")))
    assert (made["apiVersion"], made["kind"]) == (f"{GROUP}/{VERSION}", "Flunder")
    assert [one["metadata"]["name"] for one in front.api(FLUNDERS)["items"]] == ["rest-flunder"]
    front.kubectl("delete", "--raw", f"{FLUNDERS}/rest-flunder")
    assert front.api(FLUNDERS)["items"] == []

    # Discovery and a client that goes by it.
    assert [one["name"] for one in front.api(PATH)["resources"]] == ["flunders"]
    front.kubectl("create", "--validate=false", "-f", "-", stdin=flunder("dynamic-flunder"))
    assert front.kubectl("get", "flunders", "-o", "name").split() == [f"flunder.{GROUP}/dynamic-flunder"]

    # The APIService itself: status, patches, updates.
    path = f"/apis/apiregistration.k8s.io/v1/apiservices/{API_SERVICE}"
    status: Any = front.api(path, "/status")
    assert status["status"]["conditions"][0]["message"] == "all checks passed"
    front.kubectl(
        "patch", "apiservice", API_SERVICE, "--type=merge", "-p", '{"spec":{"versionPriority":400}}'
    )
    patched = front.api(path)
    assert patched["spec"]["versionPriority"] == 400
    assert int(patched["metadata"]["resourceVersion"]) > int(status["metadata"]["resourceVersion"])
    names = [
        one["metadata"]["name"] for one in front.api("/apis/apiregistration.k8s.io/v1/apiservices")["items"]
    ]
    assert API_SERVICE in names
    front.kubectl("label", "apiservice", API_SERVICE, "e2e-apiservice=patched")
    updated = front.api(path, "/status")
    updated["status"]["conditions"].append(_condition("StatusUpdated", "Set from e2e test"))
    front.kubectl("replace", "--raw", f"{path}/status", "-f", "-", stdin=json.dumps(updated))
    conditions = front.api(path, "/status")["status"]["conditions"]
    assert [one["type"] for one in conditions] == ["Available", "StatusUpdated"]
    front.kubectl("label", "apiservice", API_SERVICE, "e2e-apiservice-", f"{API_SERVICE}=updated")
    assert front.api(path)["metadata"]["labels"] == {API_SERVICE: "updated"}
    front.kubectl("delete", "flunder", "dynamic-flunder", "--wait=false")
    assert front.api(FLUNDERS)["items"] == []

    conditions.append(_condition("StatusPatched", "Set by e2e test"))
    patch = json.dumps({"status": {"conditions": conditions}})
    front.kubectl("patch", "apiservice", API_SERVICE, "--subresource=status", "--type=merge", "-p", patch)
    assert "StatusPatched" in [one["type"] for one in front.api(path)["status"]["conditions"]]

    front.kubectl("delete", "apiservice", "-l", f"{API_SERVICE}=updated")
    selected = front.api(f"/apis/apiregistration.k8s.io/v1/apiservices?labelSelector={API_SERVICE}%3Dupdated")
    assert selected["items"] == []
