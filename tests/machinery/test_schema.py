"""Schemas: loading, decoding, completing; against upstream's test data and recordings."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest

from podium.machinery.decode import DecodeError
from podium.machinery.schema import Schema, Schemas

from .shared import RECORDINGS, TESTDATA, bodies, needs_recordings, needs_testdata, steps


@cache
def schemas() -> Schemas:
    return Schemas.load("1.36")


@cache
def by_kind() -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    for name in schemas().names():
        for gvk in schemas().definition(name).get("x-kubernetes-group-version-kind", ()):
            version = f"{gvk['group']}/{gvk['version']}" if gvk["group"] else gvk["version"]
            found.setdefault((version, gvk["kind"]), name)
    return found


def core(kind: str) -> Schema:
    return schemas().compile(f"io.k8s.api.core.v1.{kind}")


DEPLOYMENT = "io.k8s.api.apps.v1.Deployment"


def test_every_minor_version_loads() -> None:
    assert "1.36" in Schemas.versions()
    for version in Schemas.versions():
        loaded = Schemas.load(version)
        assert loaded.compile("io.k8s.api.core.v1.Pod").decode({"spec": {"nope": 1}}) == ["spec.nope"]


def test_an_unknown_version_or_definition_is_a_lookup_error() -> None:
    with pytest.raises(LookupError, match=r"no schemas for Kubernetes 0\.1"):
        Schemas.load("0.1")
    with pytest.raises(LookupError, match=r"no definition io\.k8s\.Nope"):
        schemas().compile("io.k8s.Nope")


def test_the_package_itself_is_never_imported() -> None:
    # In a process of its own: other tests' libraries may import it in this one.
    code = (
        "import sys; from podium.machinery.schema import Schemas; Schemas.load();"
        "sys.exit('kubernetes_validate' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_definitions_are_as_kubernetes_publishes_them() -> None:
    text = orjson.dumps([schemas().definition(name) for name in schemas().names()]).decode()
    assert '"null"]' not in text
    assert "#/$defs/" not in text
    pod = schemas().definition("io.k8s.api.core.v1.Pod")
    assert pod["properties"]["kind"] == {
        "description": pod["properties"]["kind"]["description"],
        "type": "string",
    }
    assert pod["properties"]["spec"]["$ref"] == "#/definitions/io.k8s.api.core.v1.PodSpec"
    assert schemas().definition("io.k8s.apimachinery.pkg.api.resource.Quantity")["type"] == "string"


def test_every_definition_compiles_all_the_way_down() -> None:
    for name in schemas().names():
        shape = schemas().compile(name).shape
        for field in shape.fields.values():
            assert field.shape.go_type
        if shape.kind == "struct":
            skeleton = schemas().compile(name).skeleton()
            assert schemas().compile(name).decode(orjson.loads(orjson.dumps(skeleton))) == []


@needs_testdata
@pytest.mark.parametrize("path", sorted(TESTDATA.glob("*.json")), ids=lambda path: path.stem)
def test_upstreams_test_data_decodes_unchanged(path: Path) -> None:
    original = orjson.loads(path.read_bytes())
    name = by_kind().get((original.get("apiVersion", ""), original.get("kind", "")))
    if name is None:
        pytest.skip("not of this version")
    schema = schemas().compile(name)
    obj = orjson.loads(path.read_bytes())
    assert schema.decode(obj) == []
    assert obj == original
    schema.seal(obj)
    assert obj == original


def _filled(value: Any) -> Any:
    """Put real values where the recordings have placeholders."""
    if isinstance(value, dict):
        return {key: _filled(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_filled(part) for part in value]
    if value == "<time>":
        return "2026-01-01T00:00:00Z"
    if value == "<time.micro>":
        return "2026-01-01T00:00:00.000000Z"
    return value


def _placeholder(text: str) -> bool:
    return any(mark in text for mark in ("<nodePort", "<pem", "<token", "<base64"))


@needs_recordings
def test_every_recorded_object_is_complete_as_it_is() -> None:
    checked = 0
    for where, body in bodies():
        name = by_kind().get((str(body.get("apiVersion")), str(body.get("kind"))))
        kind = str(body.get("kind"))
        if name is None or kind == "Status" or kind.endswith("List") or _placeholder(json.dumps(body)):
            continue
        original = _filled(body)
        obj = orjson.loads(orjson.dumps(original))
        schema = schemas().compile(name)
        assert schema.decode(obj) == [], where
        schema.seal(obj)
        assert obj == original, where
        checked += 1
    assert checked > 200, RECORDINGS


UNKNOWN: list[tuple[str, dict[str, Any], list[str]]] = [
    ("top", {"spek": 1, "metadata": {"name": "a"}}, ["spek"]),
    ("nested", {"spec": {"foo": 1}}, ["spec.foo"]),
    (
        "in lists",
        {"spec": {"containers": [{"name": "a"}, {"foo": 1, "ports": [{"x": 1}]}]}},
        ["spec.containers[1].foo", "spec.containers[1].ports[0].x"],
    ),
    ("in order", {"metadata": {"nolabels": {}}, "datas": {}}, ["metadata.nolabels", "datas"]),
    ("case matters", {"Spec": {}}, ["Spec"]),
    ("null is unknown too", {"spec": {"foo": None}}, ["spec.foo"]),
]


@pytest.mark.parametrize(("obj", "paths"), [u[1:] for u in UNKNOWN], ids=[u[0] for u in UNKNOWN])
def test_unknown_fields_are_pruned_and_named(obj: dict[str, Any], paths: list[str]) -> None:
    assert core("Pod").decode(obj) == paths
    assert core("Pod").decode(obj) == []


WRONG: list[tuple[str, dict[str, Any], str]] = [
    (
        "ConfigMap",
        {"data": {"x": 1}},
        "json: cannot unmarshal number into Go struct field ConfigMap.data of type string",
    ),
    (
        "ConfigMap",
        {"data": ["x"]},
        "json: cannot unmarshal array into Go struct field ConfigMap.data of type map[string]string",
    ),
    (
        "ConfigMap",
        {"metadata": {"finalizers": "one"}},
        "json: cannot unmarshal string into Go struct field ObjectMeta.metadata.finalizers of type []string",
    ),
    (
        "ConfigMap",
        {"metadata": ["a"]},
        "json: cannot unmarshal array into Go struct field ConfigMap.metadata of type v1.ObjectMeta",
    ),
    (
        "Pod",
        {"spec": {"containers": {"name": "c"}}},
        "json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container",
    ),
    (
        "Pod",
        {"spec": {"containers": [{"ports": [{"containerPort": "80"}]}]}},
        "json: cannot unmarshal string into Go struct field "
        "ContainerPort.spec.containers.ports.containerPort "
        "of type int32",
    ),
    (
        "Pod",
        {"spec": {"restartPolicy": 5}},
        "json: cannot unmarshal number into Go struct field PodSpec.spec.restartPolicy of type "
        "v1.RestartPolicy",
    ),
    (
        "Pod",
        {"spec": {"hostNetwork": "yes"}},
        "json: cannot unmarshal string into Go struct field PodSpec.spec.hostNetwork of type bool",
    ),
    (
        "Pod",
        {"spec": {"containers": [{"resources": {"limits": {"cpu": "lots"}}}]}},
        "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
    ),
    (
        "ConfigMap",
        {"metadata": {"creationTimestamp": "yesterday"}},
        'parsing time "yesterday" as "2006-01-02T15:04:05Z07:00": cannot parse "yesterday" as "2006"',
    ),
    (
        "Service",
        {"spec": {"ports": [{"targetPort": 1.5}]}},
        "json: cannot unmarshal number 1.5 into Go value of type int32",
    ),
    ("Secret", {"data": {"x": "a*c="}}, "illegal base64 data at input byte 1"),
    (
        "Secret",
        {"data": {"x": 1}},
        "json: cannot unmarshal number into Go struct field Secret.data of type []uint8",
    ),
]


@pytest.mark.parametrize(("kind", "obj", "message"), WRONG, ids=[f"{w[0]} {w[1]!r:.50}" for w in WRONG])
def test_wrong_types_are_said_in_upstreams_words(kind: str, obj: dict[str, Any], message: str) -> None:
    with pytest.raises(DecodeError) as caught:
        core(kind).decode(obj)
    assert str(caught.value) == message


@pytest.mark.parametrize(("number", "shown"), [(1.5, "1.5"), (99999999999, "99999999999"), (1.0, "1.0")])
def test_numbers_that_do_not_fit(number: float, shown: str) -> None:
    with pytest.raises(DecodeError) as caught:
        schemas().compile(DEPLOYMENT).decode({"spec": {"replicas": number}})
    assert str(caught.value) == (
        f"json: cannot unmarshal number {shown} into Go struct field DeploymentSpec.spec.replicas of type "
        f"int32"
    )


@pytest.mark.parametrize(
    ("obj", "message"),
    [
        ({"spec": {"containers": {"name": "c"}}}, "cannot restore slice from map"),
        ({"spec": []}, "cannot restore struct from: slice"),
        ({"metadata": {"labels": "x"}}, "cannot restore map from string"),
        ({"metadata": {"labels": {"x": 1}}}, "cannot convert int64 to string"),
    ],
    ids=str,
)
def test_conversion_has_words_of_its_own(obj: dict[str, Any], message: str) -> None:
    with pytest.raises(DecodeError) as caught:
        core("Pod").decode(obj)
    assert caught.value.conversion == message


@needs_recordings
def test_recorded_type_errors() -> None:
    checked = 0
    for step in steps("requests", "wrong-json-types"):
        kind = {"configmaps": "ConfigMap", "pods": "Pod", "deployments": "Deployment"}[
            step["request"].rpartition("/")[2]
        ]
        schema = schemas().compile(DEPLOYMENT) if kind == "Deployment" else core(kind)
        with pytest.raises(DecodeError) as caught:
            schema.decode(orjson.loads(orjson.dumps(step["body"])))
        expected = step["expect"]["body"]["message"]
        assert f'{kind} in version "v1" cannot be handled as a {kind}: {caught.value}' == expected
        checked += 1
    assert checked == 12


def test_decoding_normalises_values() -> None:
    pod = {
        "metadata": {"name": "p", "labels": {"a": None}, "creationTimestamp": None},
        "spec": {
            "hostNetwork": False,
            "nodeName": "",
            "containers": [
                {
                    "name": "c",
                    "args": [None, "x"],
                    "env": [],
                    "resources": {"limits": {"cpu": "1000m", "memory": 1024}},
                    "securityContext": {},
                }
            ],
            "activeDeadlineSeconds": 0,
        },
        "status": {"startTime": "2026-01-01T02:00:00.5+02:00"},
    }
    assert core("Pod").decode(pod) == []
    assert pod == {
        "metadata": {"name": "p", "labels": {"a": ""}},
        "spec": {
            "containers": [
                {
                    "name": "c",
                    "args": ["", "x"],
                    "resources": {"limits": {"cpu": "1", "memory": "1024"}},
                    "securityContext": {},
                }
            ],
            "activeDeadlineSeconds": 0,
        },
        "status": {"startTime": "2026-01-01T00:00:00Z"},
    }


def test_bytes_are_canonical_base64() -> None:
    secret = {"data": {"a": "eA\n==", "b": ""}}
    assert core("Secret").decode(secret) == []
    assert secret == {"data": {"a": "eA==", "b": ""}}


def test_an_empty_list_of_managed_fields_survives_decoding() -> None:
    obj: dict[str, Any] = {"metadata": {"managedFields": [], "finalizers": []}}
    core("ConfigMap").decode(obj)
    assert obj == {"metadata": {"managedFields": []}}


def test_complete_writes_what_upstream_writes() -> None:
    event: dict[str, Any] = {"reason": "R"}
    core("Event").complete(event)
    assert event == {
        "metadata": {},
        "involvedObject": {},
        "reason": "R",
        "source": {},
        "firstTimestamp": None,
        "lastTimestamp": None,
        "eventTime": None,
        "reportingComponent": "",
        "reportingInstance": "",
    }
    node: dict[str, Any] = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    core("Node").complete(node)
    assert node["status"]["daemonEndpoints"] == {"kubeletEndpoint": {"Port": 0}}
    assert node["status"]["conditions"][0]["lastTransitionTime"] is None


def test_seal_writes_empty_required_lists_as_null() -> None:
    role = schemas().compile("io.k8s.api.rbac.v1.Role")
    obj: dict[str, Any] = {"metadata": {}, "rules": []}
    role.complete(obj)
    assert obj["rules"] == []
    role.seal(obj)
    assert obj["rules"] is None


JSON_SCHEMA = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps"


def test_a_schema_inside_a_list_or_instead_of_a_boolean_is_decoded_as_one() -> None:
    schema = Schemas.load().compile(JSON_SCHEMA)
    obj = {
        "items": {"properties": {"a": {"bogus": 1, "type": "string"}}},
        "additionalProperties": {"odd": 1},
        "additionalItems": False,
        "dependencies": {"a": ["b"], "c": {"strange": 1}},
    }
    assert schema.decode(obj) == [
        "items.properties.a.bogus",
        "additionalProperties.odd",
        "dependencies.c.strange",
    ]
    assert obj["items"] == {"properties": {"a": {"type": "string"}}}
    for wrong in ({"items": {"properties": {"a": 0.5}}}, {"additionalProperties": "x"}, {"items": 5}):
        with pytest.raises(DecodeError, match="cannot unmarshal"):
            schema.decode(wrong)
