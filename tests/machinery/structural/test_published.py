"""Custom resources in OpenAPI: what v3 says and v2 cannot."""

from __future__ import annotations

from typing import Any

from podium.machinery.errors import Object
from podium.machinery.structural.published import published, published_list

GVK = ("example.org", "v1", "Thing", "ThingList")
TEXT = {"type": "string"}


def field(part: Object, *, v3: bool, required: bool = False) -> Any:
    """Publish a resource with one field and return how it is published."""
    schema: Object = {"type": "object", "properties": {"f": part}}
    if required:
        schema["required"] = ["f"]
    made = published({"type": "object", "properties": {"spec": schema}}, GVK, v3=v3)
    spec = made["properties"]["spec"]
    return spec if required else spec["properties"]["f"]


def test_every_object_has_its_metadata_and_says_its_kind() -> None:
    made = published({"type": "object", "properties": {"spec": {"type": "object"}}}, GVK)
    assert list(made["properties"]) == ["apiVersion", "kind", "metadata", "spec"]
    assert made["properties"]["metadata"]["$ref"].endswith(".ObjectMeta")
    assert made["x-kubernetes-group-version-kind"] == [
        {"group": "example.org", "version": "v1", "kind": "Thing"}
    ]


def test_v3_keeps_what_v2_drops() -> None:
    either = {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]}
    assert field(either, v3=True) == either
    assert field(either, v3=False) == {"x-kubernetes-int-or-string": True}
    nullable = {"type": "object", "nullable": True, "properties": {"a": TEXT}}
    assert field(nullable, v3=True) == nullable
    assert field(nullable, v3=False) == {}
    assert field(TEXT | {"nullable": True}, v3=True, required=True)["required"] == ["f"]
    assert "required" not in field(TEXT | {"nullable": True}, v3=False, required=True)


def test_what_keeps_unknown_fields_has_no_schema_in_v2() -> None:
    open_ = {"type": "object", "x-kubernetes-preserve-unknown-fields": True, "properties": {"a": TEXT}}
    assert field(open_, v3=True) == open_
    assert field(open_, v3=False) == {"x-kubernetes-preserve-unknown-fields": True}
    whole = published(open_, GVK)
    assert "properties" not in whole
    assert whole["type"] == "object"
    assert "a" in published(open_, GVK, v3=True)["properties"]
    assert "properties" not in published({"type": "object", "properties": {"a": TEXT}}, GVK, preserve=True)


def test_a_list_whose_items_are_dropped_has_no_type_in_v2() -> None:
    items = {"type": "array", "x-kubernetes-preserve-unknown-fields": True, "items": TEXT}
    assert "type" not in field(items, v3=False)


def test_extensions_and_rules_are_kept() -> None:
    ports = {
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
        "x-kubernetes-validations": [{"rule": "size(self) < 5"}],
        "items": {"type": "object", "properties": {"name": TEXT}, "required": ["name"]},
    }
    assert field(ports, v3=False) == ports
    assert field(ports, v3=True) == ports


def test_an_embedded_resource_has_metadata_but_not_where_v2_keeps_unknown_fields() -> None:
    embedded = {"type": "object", "x-kubernetes-embedded-resource": True, "properties": {"spec": TEXT}}
    made = field(embedded, v3=False)
    assert set(made["properties"]) == {"apiVersion", "kind", "metadata", "spec"}
    assert made["required"] == ["kind", "apiVersion"]
    open_ = embedded | {"x-kubernetes-preserve-unknown-fields": True}
    assert "properties" not in field(open_, v3=False)
    assert "metadata" in field(open_, v3=True)["properties"]


def test_selectable_fields_are_named() -> None:
    named = [{"fieldPath": "spec.color"}]
    made = published({"type": "object"}, GVK, selectable=("spec.color",))
    assert made["x-kubernetes-selectable-fields"] == named
    assert published_list("x", GVK, selectable=("spec.color",))["x-kubernetes-selectable-fields"] == named
