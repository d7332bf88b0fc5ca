"""A server with every API and feature on: what it says it serves, and every kind in every format.

Upstream's test data has one object of each kind with a value in every field; most of these values are not
valid. What a server answers to an object must not depend on the format it came in, so each is sent in all
three, and those that are valid are stored and read back.
"""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from podium.machinery.codec import protobuf
from podium.machinery.codec import yaml as yaml_codec
from podium.machinery.resource import Resource
from podium.resources.catalogue import find_kind
from tests.resources.recorded import SHARED, Step, as_received, creations
from tests.wire.server import Running, running

UPSTREAM = SHARED / "upstream"
TESTDATA = UPSTREAM / "api-testdata"
EVERYTHING = ("--runtime-config=api/all=true", "--feature-gates=AllAlpha=true,AllBeta=true")
NAMESPACE = "everything"
JSON, YAML, PROTOBUF = "application/json", "application/yaml", "application/vnd.kubernetes.protobuf"
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
CHANGING = ("uid", "creationTimestamp", "managedFields", "resourceVersion")

pytestmark = pytest.mark.skipif(not TESTDATA.exists(), reason="no test data of upstream's here (PODIUM_WIRE)")


@dataclass(frozen=True)
class Client:
    """One connection's worth of a client: bytes in, bytes out."""

    server: Running
    tls: ssl.SSLContext

    def send(
        self, method: str, path: str, body: bytes | None = None, *, form: str = JSON, accept: str = JSON
    ) -> tuple[int, bytes]:
        """Return the status and the body of the answer."""
        request = urllib.request.Request(
            self.server.url + path,
            data=body,
            method=method,
            headers={
                "Authorization": f"Bearer {self.server.token}",
                "Content-Type": form,
                "Accept": accept,
            },
        )
        try:
            with urllib.request.urlopen(request, context=self.tls) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()


def connected(server: Running) -> Client:
    return Client(server, ssl.create_default_context(cafile=str(server.ca_file)))


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with running(tmp_path_factory.mktemp("everything"), *EVERYTHING) as server:
        made = connected(server)
        made.send("POST", "/api/v1/namespaces", json.dumps({"metadata": {"name": NAMESPACE}}).encode())
        yield made


def test_discovery_is_upstreams_with_everything_on(tmp_path: Path) -> None:
    """Without what upstream has removed."""
    upstream = json.loads((UPSTREAM / "discovery" / "aggregated_v2.json").read_bytes())
    with running(tmp_path, "--runtime-config=api/all=true,api/legacy=false", EVERYTHING[1]) as server:
        status, body = connected(server).send("GET", "/apis", accept=AGGREGATED)
    assert status == 200
    assert json.loads(body) == upstream


def stored_kinds() -> list[Any]:
    """Return (resource, JSON file) of each kind of the test data that this server stores."""
    found = []
    for path in sorted(TESTDATA.glob("*.json")):
        obj = json.loads(path.read_bytes())
        resource = find_kind(obj.get("apiVersion", ""), obj["kind"]) if "kind" in obj else None
        if resource is not None and resource.stored and "create" in resource.verbs:
            found.append(pytest.param(resource, path, id=path.stem))
    return found


def prepared(path: Path, resource: Resource) -> dict[str, Any]:
    """Return the object of a file with what a creation may not say taken out."""
    obj: dict[str, Any] = json.loads(path.read_bytes())
    metadata = obj["metadata"]
    for name in ("resourceVersion", "generateName", "deletionTimestamp", "finalizers", "ownerReferences"):
        metadata.pop(name, None)
    metadata["name"] = "round-trip"
    metadata["namespace"] = NAMESPACE if resource.namespaced else ""
    return obj


def encoded(obj: dict[str, Any], form: str, resource: Resource) -> bytes:
    if form == JSON:
        return json.dumps(obj).encode()
    if form == YAML:
        return yaml_codec.encode(obj)
    return protobuf.wrap(obj["apiVersion"], obj["kind"], protobuf.encode(resource.schema, obj))


def compared(status: int, body: bytes) -> Any:
    """Return the part of an answer that does not differ from one creation to the next.

    Messages show values with their keys in the order of the request, so of errors the fields are compared.
    """
    obj = json.loads(body)
    if status >= 300:
        causes = (obj.get("details") or {}).get("causes") or []
        return status, obj["reason"], sorted((cause["field"], cause["reason"]) for cause in causes)
    for name in CHANGING:
        obj["metadata"].pop(name, None)
    return status, obj


@pytest.mark.parametrize(("resource", "path"), stored_kinds())
def test_formats_make_no_difference(client: Client, resource: Resource, path: Path) -> None:
    obj = prepared(path, resource)
    collection = resource.path(NAMESPACE if resource.namespaced else None)
    answers = {}
    for form in (JSON, YAML, PROTOBUF):
        status, body = client.send(
            "POST", f"{collection}?dryRun=All", encoded(obj, form, resource), form=form
        )
        answers[form] = compared(status, body)
        assert status < 500, body
    assert answers[YAML] == answers[JSON]
    assert answers[PROTOBUF] == answers[JSON]


def recorded_creations() -> list[Any]:
    """Return a creation of each kind that succeeds upstream."""
    steps: dict[tuple[str, str], Step] = {}
    for step in creations(201):
        if step.resource.stored and step.media_type == JSON and step.body.get("metadata", {}).get("name"):
            steps.setdefault((step.resource.api_version, step.resource.kind), step)
    return [pytest.param(step, id=f"{kind}.{version}") for (version, kind), step in sorted(steps.items())]


@pytest.mark.parametrize("step", recorded_creations())
def test_what_is_stored_is_read_back_in_every_format(client: Client, step: Step) -> None:
    resource, name = step.resource, step.body["metadata"]["name"]
    obj = {**as_received(step), "apiVersion": resource.api_version, "kind": resource.kind}
    namespace = NAMESPACE if resource.namespaced else None
    obj["metadata"]["namespace"] = NAMESPACE if namespace else ""
    one = resource.path(namespace, name)
    answers = []
    for form in (JSON, YAML, PROTOBUF):
        status, body = client.send("POST", resource.path(namespace), encoded(obj, form, resource), form=form)
        assert status == 201, body
        made = json.loads(client.send("GET", one)[1])
        answers.append(compared(status, body))
        assert yaml_codec.decode(client.send("GET", one, accept=YAML)[1]) == made
        raw = client.send("GET", one, accept=PROTOBUF)[1]
        assert protobuf.decode(resource.schema, protobuf.unwrap(raw).raw) == {
            key: value for key, value in made.items() if key not in ("apiVersion", "kind")
        }
        client.send("DELETE", f"{one}?gracePeriodSeconds=0&propagationPolicy=Background")
    assert answers[1:] == answers[:1] * 2
