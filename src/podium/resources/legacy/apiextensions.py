"""CustomResourceDefinition, apiextensions.k8s.io/v1beta1.

What all versions of the defined resource share stands at the top of the spec: the schema, the subresources,
the columns, the selectable fields. v1 has them in each version, so they move there and, where all versions
have the same, back. Unknown fields are kept unless the definition says otherwise, and no schema is needed.
"""

from __future__ import annotations

import re

from podium.machinery.derived import Change, Package, ref
from podium.machinery.errors import FieldError, Object
from podium.machinery.meta import deep_copy
from podium.resources.apiextensions import customresourcedefinitions as v1
from podium.resources.defaulting import absent, blank, child, given, items
from podium.resources.legacy.older import copied, older

_NAME = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1beta1"


def _list_of(name: str) -> Object:
    return {"type": "array", "items": ref(f"{_NAME}.{name}"), "x-kubernetes-list-type": "atomic"}


PACKAGE = Package(
    name=_NAME,
    group="apiextensions.k8s.io",
    version="v1beta1",
    bases=("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1",),
    changes={
        "CustomResourceColumnDefinition": Change(renamed={"jsonPath": "JSONPath"}),
        "CustomResourceConversion": Change(
            without=("webhook",),
            fields={
                "webhookClientConfig": ref(f"{_NAME}.WebhookClientConfig"),
                "conversionReviewVersions": {
                    "type": "array",
                    "items": {"type": "string"},
                    "x-kubernetes-list-type": "atomic",
                },
            },
        ),
        "CustomResourceDefinitionSpec": Change(
            fields={
                "version": {"type": "string", "description": "The first of `versions`."},
                "validation": ref(f"{_NAME}.CustomResourceValidation"),
                "subresources": ref(f"{_NAME}.CustomResourceSubresources"),
                "additionalPrinterColumns": _list_of("CustomResourceColumnDefinition"),
                "selectableFields": _list_of("SelectableField"),
            },
            optional=("versions",),
            unusual="preserveUnknownFields*",
        ),
    },
)

_SHARED = ("subresources", "additionalPrinterColumns", "selectableFields")
"""What the spec and its versions call by the same name; the schema is `validation` there, `schema` here."""


def to_v1(definition: Object) -> Object:
    """Return the definition with what its versions share in each of them."""
    result = copied(definition, "spec")
    spec = given(result, "spec")
    if spec is None:
        return result
    name = spec.pop("version", None)
    if not spec.get("versions") and name:
        spec["versions"] = [{"name": name, "served": True, "storage": True}]
    shared = {key: spec.pop(key) for key in _SHARED if key in spec}
    if "validation" in spec:
        shared["schema"] = spec.pop("validation")
    for version in items(spec, "versions"):
        version |= {key: deep_copy(value) for key, value in shared.items() if value is not None}
        _rename_columns(version, "JSONPath", "jsonPath")
    if not spec.get("preserveUnknownFields"):
        spec.pop("preserveUnknownFields", None)
    conversion = given(spec, "conversion")
    if conversion is not None:
        _nest_webhook(conversion)
    return result


def from_v1(definition: Object) -> Object:
    """Return the definition with what is the same in all versions at the top of its spec."""
    result = copied(definition, "spec")
    spec = given(result, "spec")
    if spec is None:
        return result
    versions = list(items(spec, "versions"))
    for version in versions:
        _rename_columns(version, "jsonPath", "JSONPath")
    if versions:
        spec["version"] = versions[0].get("name")
    for key, top in (("schema", "validation"), *((name, name) for name in _SHARED)):
        values = [version.get(key) for version in versions]
        if not values or any(value != values[0] for value in values):
            continue
        for version in versions:
            version.pop(key, None)
        if values[0] is not None:
            spec[top] = values[0]
    spec.setdefault("preserveUnknownFields", False)
    conversion = given(spec, "conversion")
    if conversion is not None:
        _flatten_webhook(conversion)
    return result


def _rename_columns(holder: Object, old: str, new: str) -> None:
    for column in items(holder, "additionalPrinterColumns"):
        if old in column:
            column[new] = column.pop(old)


def _nest_webhook(conversion: Object) -> None:
    client = conversion.pop("webhookClientConfig", None)
    versions = conversion.pop("conversionReviewVersions", None)
    if client is not None or versions:
        webhook = conversion["webhook"] = {"conversionReviewVersions": versions or []}
        if client is not None:
            webhook["clientConfig"] = client


def _flatten_webhook(conversion: Object) -> None:
    webhook = conversion.pop("webhook", None)
    if webhook is None:
        return
    if webhook.get("conversionReviewVersions"):
        conversion["conversionReviewVersions"] = webhook["conversionReviewVersions"]
    if webhook.get("clientConfig") is not None:
        conversion["webhookClientConfig"] = webhook["clientConfig"]


def _defaults(definition: Object) -> None:
    spec = child(definition, "spec")
    blank(spec, "scope", "Namespaced")
    if not spec.get("versions") and spec.get("version"):
        spec["versions"] = [{"name": spec["version"], "served": True, "storage": True}]
    if not spec.get("version") and spec.get("versions"):
        spec["version"] = spec["versions"][0].get("name") or ""
    absent(spec, "conversion", {"strategy": "None"})
    conversion = child(spec, "conversion")
    if conversion.get("strategy") == "Webhook":
        blank(conversion, "conversionReviewVersions", ["v1beta1"])
    service = given(given(conversion, "webhookClientConfig") or {}, "service")
    if service is not None:
        absent(service, "port", v1.WEBHOOK_PORT)
    absent(spec, "preserveUnknownFields", True)
    for column in items(spec, "additionalPrinterColumns"):
        if column.get("priority") == 0:
            del column["priority"]
    v1.CUSTOMRESOURCEDEFINITIONS.defaults(definition)


_SCHEMA = re.compile(r"spec\.versions\[\d+\]\.schema\.openAPIV3Schema")


def _tolerates(error: FieldError) -> bool:
    """No schema is needed, and unknown fields may be kept."""
    if error.field == "spec.preserveUnknownFields":
        return True
    return error.reason == "FieldValueRequired" and bool(_SCHEMA.fullmatch(error.field))


CUSTOMRESOURCEDEFINITIONS_V1BETA1 = older(
    v1.CUSTOMRESOURCEDEFINITIONS,
    PACKAGE,
    deprecated=(1, 16),
    removed=(1, 22),
    to_storage=to_v1,
    from_storage=from_v1,
    defaults=_defaults,
    tolerates=_tolerates,
)

PACKAGES = (PACKAGE,)
RESOURCES = (CUSTOMRESOURCEDEFINITIONS_V1BETA1,)
