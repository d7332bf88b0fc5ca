"""Protobuf against upstream's own bytes: every built-in kind, fully populated, both ways."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podium.machinery.codec import protobuf

DATA = Path(__file__).parents[2].parent / "shared" / "upstream" / "api-testdata"
KINDS = sorted(path.stem for path in DATA.glob("*.pb"))

# The OpenAPI name of the Go package of each API group.
_PACKAGES = {
    "apiextensions.k8s.io": "apiextensions-apiserver.pkg.apis.apiextensions",
    "apiregistration.k8s.io": "kube-aggregator.pkg.apis.apiregistration",
    "rbac.authorization.k8s.io": "api.rbac",
    "flowcontrol.apiserver.k8s.io": "api.flowcontrol",
    "meta.k8s.io": "apimachinery.pkg.apis.meta",
    "internal.apiserver.k8s.io": "api.apiserverinternal",
    "imagepolicy.k8s.io": "api.imagepolicy",
}


def load(name: str) -> tuple[str, bytes, dict[str, Any]]:
    obj = json.loads((DATA / f"{name}.json").read_text())
    group, _, version = obj.get("apiVersion", "v1").rpartition("/")
    package = _PACKAGES.get(group) or f"api.{group.removesuffix('.k8s.io').split('.')[0] or 'core'}"
    kind = obj.get("kind", "WatchEvent")  # the one message of the data that is no object
    definition = f"io.k8s.{package}.{version}.{kind}"
    if not protobuf.knows(definition):
        # What all groups share, and the test data shows in core.
        definition = f"io.k8s.apimachinery.pkg.apis.meta.v1.{kind}"
    return definition, (DATA / f"{name}.pb").read_bytes(), obj


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_both_ways(name: str) -> None:
    definition, wire, obj = load(name)
    envelope = protobuf.unwrap(wire)
    assert (envelope.api_version, envelope.kind) == (obj.get("apiVersion", ""), obj.get("kind", ""))
    decoded = protobuf.decode(definition, envelope.raw)
    plain = {key: value for key, value in obj.items() if key not in {"apiVersion", "kind"}}
    assert decoded == plain
    assert protobuf.wrap(envelope.api_version, envelope.kind, protobuf.encode(definition, plain)) == wire


POD = "io.k8s.api.core.v1.Pod"


@pytest.mark.parametrize(
    "wire",
    [
        b"",
        b"{}",
        b"k8s\x00\x0a",
        b"k8s\x00\x0a\xff\xff\xff\xff\x0f",
        b"k8s\x00" + b"\x80" * 20,
        b"k8s\x00\x03",
    ],
)
def test_what_is_no_envelope(wire: bytes) -> None:
    with pytest.raises(protobuf.Malformed):
        protobuf.unwrap(wire)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"\x08\x01", id="a number for a message"),
        pytest.param(b"\x0a\x05\x0a\x03abc\xff", id="a length beyond the end"),
        pytest.param(b"\x0a\x04\x0a\x02\xff\xfe", id="no UTF-8"),
    ],
)
def test_what_is_no_pod(raw: bytes) -> None:
    with pytest.raises(protobuf.Malformed):
        protobuf.decode(POD, raw)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_mutations_are_decoded_or_refused(data: st.DataObject) -> None:
    definition, wire, _ = load("core.v1.Pod")
    raw = bytearray(protobuf.unwrap(wire).raw)
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(protobuf.Malformed):
        protobuf.decode(definition, bytes(raw[: data.draw(st.integers(0, len(raw)))]))


def test_deep_nesting_is_refused() -> None:
    schema = b""
    for _ in range(200):
        inner = b"\x0a" + _length(schema) + schema  # JSONSchemaPropsOrArray.schema
        schema = b"\xc2\x01" + _length(inner) + inner  # JSONSchemaProps.items
    definition = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps"
    with pytest.raises(protobuf.Malformed, match="too deep"):
        protobuf.decode(definition, schema)


def _length(body: bytes) -> bytes:
    length, out = len(body), b""
    while length >= 0x80:
        out += bytes([length & 0x7F | 0x80])
        length >>= 7
    return out + bytes([length])


def test_lists_are_known_by_their_items() -> None:
    pods = {"metadata": {"resourceVersion": "5"}, "items": [{"metadata": {"name": "a"}}]}
    decoded = protobuf.decode(POD + "List", protobuf.encode(POD + "List", pods))
    assert decoded["metadata"]["resourceVersion"] == "5"
    assert [pod["metadata"]["name"] for pod in decoded["items"]] == ["a"]
    assert not protobuf.knows("io.k8s.api.core.v1.Nonsense")


@pytest.mark.parametrize(
    ("definition", "obj", "wire"),
    [
        pytest.param(
            "io.k8s.api.core.v1.ConfigMap",
            {"metadata": {"name": "pbc"}, "data": {"a": ""}},
            "0a130a037062631200" + "1a0022002a00320038004200" + "12050a01611200",
            id="what was never set and is no pointer is written as zero",
        ),
        pytest.param(
            "io.k8s.api.core.v1.ResourceFieldSelector",
            {"resource": "limits.cpu"},
            "0a00" + "120a6c696d6974732e637075" + "1a030a0130",
            id="a quantity never set is 0",
        ),
        pytest.param(
            "io.k8s.api.core.v1.ServicePort",
            {"port": 80},
            "0a00" + "1200" + "1850" + "2206" + "080010001a00" + "2800",
            id="a number or text never set is 0, a pointer never set is nothing",
        ),
        pytest.param(
            "io.k8s.apimachinery.pkg.apis.meta.v1.LabelSelector", {}, "", id="lists and maps are left out"
        ),
    ],
)
def test_partly_filled(definition: str, obj: dict[str, Any], wire: str) -> None:
    assert protobuf.encode(definition, obj).hex() == wire
