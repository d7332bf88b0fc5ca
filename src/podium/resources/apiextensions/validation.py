"""What is wrong with definitions of custom resources, the schemas in them included."""

from __future__ import annotations

import base64
from collections.abc import Callable
from urllib.parse import urlsplit

from podium.machinery import validation
from podium.machinery.errors import FieldError, Object
from podium.machinery.structural.structure import mentions, structure_errors, unreadable_schema
from podium.resources.admissionregistration.validation import validate_client
from podium.resources.apiextensions.internal import Hub, hub, shown_versions
from podium.resources.apiextensions.versions import (
    SELECTABLE_MAX,
    column_errors,
    deprecation_errors,
    selectable_errors,
    subresource_errors,
    validation_errors,
)
from podium.resources.checks import Errors, metadata_of, objects, spec_of
from podium.resources.defaulting import given

APPROVED = "api-approved.kubernetes.io"
_SCOPES = ("Cluster", "Namespaced")
_STRATEGIES = ("None", "Webhook")
_STRUCTURAL_ONLY = (
    "default",
    "x-kubernetes-embedded-resource",
    "x-kubernetes-int-or-string",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-validations",
)
"""What only structural schemas may say."""


def validate_definition(definition: Object) -> Errors:
    """Check a CustomResourceDefinition."""
    return _definition(definition, None)


def _definition(definition: Object, old: Object | None) -> Errors:
    spec = spec_of(definition)
    before = spec_of(old) if old is not None else None
    established = old is not None and _is_established(old)
    errors = _name(definition, spec) if old is None else []
    errors += _spec(spec, before, established=established)
    if before is not None:
        errors += _changes(spec, before, established=established)
    errors += _stored_versions(definition, spec)
    errors += _approval(definition, spec, old)
    if spec.get("preserveUnknownFields") and not (before or {}).get("preserveUnknownFields"):
        detail = (
            "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in "
            "spec.versions[*].schema instead"
        )
        errors.append(FieldError.invalid("spec.preserveUnknownFields", True, detail))
    return errors


def _name(definition: Object, spec: Object) -> Errors:
    plural = (given(spec, "names") or {}).get("plural") or ""
    wanted, detail = f"{plural}.{spec.get('group') or ''}", 'must be spec.names.plural+"."+spec.group'
    metadata = metadata_of(definition)
    return [
        FieldError.invalid(f"metadata.{key}", metadata[key], detail)
        for key in ("generateName", "name")
        if metadata.get(key) and metadata[key] != wanted
    ]


def _label(field: str, value: str, *, mixed_case: bool = False) -> Errors:
    faults = validation.dns1035_label_errors(value.lower() if mixed_case else value)
    if not faults:
        return []
    prefix = "may have mixed case, but should otherwise match: " if mixed_case else ""
    return [FieldError.invalid(field, value, prefix + ",".join(faults))]


def _is_established(definition: Object) -> bool:
    conditions = objects((given(definition, "status") or {}).get("conditions"))
    return any(c.get("type") == "Established" and c.get("status") == "True" for c in conditions)


def _spec(spec: Object, old: Object | None, *, established: bool) -> Errors:
    errors: Errors = []
    group = str(spec.get("group") or "")
    if not group:
        errors.append(FieldError.required("spec.group"))
    elif faults := validation.dns1123_subdomain_errors(group):
        errors.append(FieldError.invalid("spec.group", group, ",".join(faults)))
    elif "." not in group:
        errors.append(FieldError.invalid("spec.group", group, "should be a domain with at least one dot"))
    scope = spec.get("scope")
    if not scope:
        errors.append(FieldError.required("spec.scope"))
    elif scope not in _SCOPES:
        errors.append(FieldError.not_supported("spec.scope", scope, _SCOPES))
    parts, before = hub(spec), _Before(old)
    errors += _versions(spec, parts, before)
    errors += _names(given(spec, "names") or {})
    return errors + _shared(spec, parts, before) + _conversion(spec, old if established else None)


class _Before:
    """What a definition had before, which is not held against it now."""

    def __init__(self, old: Object | None) -> None:
        versions = objects((old or {}).get("versions"))
        self._versions = {version.get("name"): version for version in versions}
        self._shared = hub(old).shared if old is not None else {}
        self._schemas = _schemas(old) if old is not None else []

    def asks_for_structure(self, spec: Object) -> bool:
        """Return whether schemas must be structural: old ones need not be while nothing is pruned."""
        return (
            not spec.get("preserveUnknownFields")
            or not any(unreadable_schema(one) or structure_errors(one, "") for one in self._schemas)
            or any(mentions(one, *_STRUCTURAL_ONLY) for one in _schemas(spec))
        )

    def had_schema(self, name: object, schema: Object | None) -> bool:
        """Return whether the version had this schema."""
        return name in self._versions and schema == self._versions[name].get("schema")

    def had_too_many(self, name: object, fields: object) -> bool:
        """Return whether the version had these selectable fields, and more than are allowed."""
        version = self._shared if name is None else self._versions.get(name) or {}
        were = version.get("selectableFields") or ()
        return len(were) > SELECTABLE_MAX and were == fields


def _schemas(spec: Object) -> list[Object]:
    found = (
        given(given(version, "schema") or {}, "openAPIV3Schema") for version in objects(spec.get("versions"))
    )
    return [schema for schema in found if schema is not None]


def _versions(spec: Object, parts: Hub, before: _Before) -> Errors:
    versions = parts.versions
    errors: Errors = []
    if given(parts.shared.get("schema") or {}, "openAPIV3Schema") is None:
        errors += [
            FieldError.required(f"spec.versions[{index}].schema.openAPIV3Schema")
            for index, version in enumerate(versions)
            if given(given(version, "schema") or {}, "openAPIV3Schema") is None
        ]
    if spec.get("preserveUnknownFields") and any(mentions(one, "default") for one in _schemas(spec)):
        detail = "must be false in order to use defaults in the schema"
        errors.append(FieldError.invalid("spec.preserveUnknownFields", True, detail))
    structural = before.asks_for_structure(spec)
    names = [str(version.get("name") or "") for version in versions]
    for index, version in enumerate(versions):
        path, name = f"spec.versions[{index}]", names[index]
        faults = validation.dns1035_label_errors(name)
        if faults:
            errors.append(FieldError.invalid(f"{path}.name", name, ",".join(faults)))
        errors += deprecation_errors(version, path)
        schema, subresources = given(version, "schema"), given(version, "subresources")
        status = subresources if subresources is not None else parts.shared.get("subresources") or {}
        errors += validation_errors(
            schema,
            f"{path}.schema",
            status=status.get("status") is not None,
            unchanged=before.had_schema(name, schema),
            structural=structural,
        )
        errors += subresource_errors(subresources, f"{path}.subresources")
        errors += column_errors(version.get("additionalPrinterColumns"), f"{path}.additionalPrinterColumns")
        fields = version.get("selectableFields")
        errors += selectable_errors(
            fields,
            schema if schema is not None else parts.shared.get("schema"),
            f"{path}.selectableFields",
            too_many=before.had_too_many(name, fields),
        )
    if len(set(names)) != len(names):
        detail = "must contain unique version names"
        errors.append(FieldError.invalid("spec.versions", shown_versions(versions), detail))
    if sum(bool(version.get("storage")) for version in versions) != 1:
        detail = "must have exactly one version marked as storage version"
        shown = shown_versions(versions) if versions or spec.get("versions") is not None else None
        errors.append(FieldError.invalid("spec.versions", shown, detail))
    if names and names[0] and (faults := validation.dns1035_label_errors(names[0])):
        errors.append(FieldError.invalid("spec.version", names[0], ",".join(faults)))
    return errors


def _shared(spec: Object, parts: Hub, before: _Before) -> Errors:
    """Check what all versions have in common."""
    schema, subresources = parts.shared.get("schema"), parts.shared.get("subresources")
    errors: Errors = []
    versions = objects(spec.get("versions"))
    status = any((version.get("subresources") or {}).get("status") is not None for version in versions)
    first = versions[0].get("name") if versions else None
    errors += validation_errors(
        schema,
        "spec.validation",
        status=status,
        unchanged=before.had_schema(first, schema),
        structural=before.asks_for_structure(spec),
    )
    errors += subresource_errors(subresources, "spec.subresources")
    columns = parts.shared.get("additionalPrinterColumns")
    errors += column_errors(columns, "spec.additionalPrinterColumns")
    fields = parts.shared.get("selectableFields")
    if fields and schema is None:
        detail = "may only be set when validations.schema is included"
        return [*errors, FieldError.invalid("spec.selectableFields", "", detail)]
    return errors + selectable_errors(
        fields, schema, "spec.selectableFields", too_many=before.had_too_many(None, fields)
    )


def _names(names: Object) -> Errors:
    path = "spec.names"
    errors: Errors = [
        FieldError.required(f"{path}.{key}")
        for key in ("plural", "singular", "kind", "listKind")
        if not names.get(key)
    ]
    return errors + _spellings(names, path)


def _spellings(names: Object, path: str) -> Errors:
    errors: Errors = []
    for key in ("plural", "singular", "kind", "listKind"):
        if names.get(key):
            errors += _label(f"{path}.{key}", str(names[key]), mixed_case=key in ("kind", "listKind"))
    for index, name in enumerate(names.get("shortNames") or ()):
        errors += _label(f"{path}.shortNames[{index}]", name)
    if names.get("kind") and names.get("kind") == names.get("listKind"):
        detail = "kind and listKind may not be the same"
        errors.append(FieldError.invalid(f"{path}.listKind", names["listKind"], detail))
    for index, category in enumerate(names.get("categories") or ()):
        errors += _label(f"{path}.categories[{index}]", category)
    return errors


def _conversion(spec: Object, established: Object | None) -> Errors:
    """Check how objects are converted; `established` is the spec so far of a definition that is in use."""
    conversion = given(spec, "conversion")
    if conversion is None:
        return []
    path = "spec.conversion"
    errors: Errors = []
    strategy = conversion.get("strategy") or ""
    if strategy != "None" and spec.get("preserveUnknownFields"):
        detail = "must be None if spec.preserveUnknownFields is true"
        errors.append(FieldError.invalid(f"{path}.strategy", strategy, detail))
    if not strategy:
        errors.append(FieldError.required(f"{path}.strategy"))
    elif strategy not in _STRATEGIES:
        errors.append(FieldError.not_supported(f"{path}.strategy", strategy, _STRATEGIES))
    webhook = given(conversion, "webhook") or {}
    # Upstream's errors speak of the fields as its older version had them.
    client, versions = given(webhook, "clientConfig"), webhook.get("conversionReviewVersions") or []
    if strategy == "Webhook":
        if client is None:
            detail = "required when strategy is set to Webhook"
            errors.append(FieldError.required(f"{path}.webhookClientConfig", detail))
        else:
            errors += validate_client(client, f"{path}.webhookClientConfig")
            if established is not None:
                errors += _authority(client, established)
        return errors + _review_versions(versions, f"{path}.conversionReviewVersions")
    detail = "should not be set when strategy is not set to Webhook"
    if client is not None:
        errors.append(FieldError.forbidden(f"{path}.webhookClientConfig", detail))
    if versions:
        errors.append(FieldError.forbidden(f"{path}.conversionReviewVersions", detail))
    return errors


def _review_versions(versions: list[str], path: str) -> Errors:
    if not versions:
        return [FieldError.required(path)]
    errors: Errors = []
    seen: set[str] = set()
    for index, version in enumerate(versions):
        if version in seen:
            errors.append(FieldError.invalid(f"{path}[{index}]", version, "duplicate version"))
            continue
        seen.add(version)
        for fault in validation.dns1035_label_errors(version):
            errors.append(FieldError.invalid(f"{path}[{index}]", version, fault))
    if not seen & {"v1", "v1beta1"}:
        errors.append(FieldError.invalid(path, versions, "must include at least one of v1, v1beta1"))
    return errors


def _stored_versions(definition: Object, spec: Object) -> Errors:
    stored = (given(definition, "status") or {}).get("storedVersions") or []
    path = "status.storedVersions"
    if not stored:
        return [FieldError.invalid(path, None, "must have at least one stored version")]
    errors: Errors = []
    # A name that two versions have counts for the first of them.
    left = set(stored)
    for version in objects(spec.get("versions")):
        name = version.get("name")
        if version.get("storage") and name not in left:
            detail = f"must have the storage version {name}"
            errors.append(FieldError.invalid(path, stored, detail))
        left.discard(name)
    for index, name in enumerate(stored):
        if name in left:
            detail = (
                f"missing from spec.versions; {name} was previously a storage version, and must remain in "
                "spec.versions until a storage migration ensures no data remains persisted in "
                f"{name} and removes {name} from status.storedVersions"
            )
            errors.append(FieldError.invalid(f"{path}[{index}]", name, detail))
    return errors


def _approval(definition: Object, spec: Object, old: Object | None) -> Errors:
    group = str(spec.get("group") or "")
    protected = group in ("k8s.io", "kubernetes.io") or group.endswith((".k8s.io", ".kubernetes.io"))
    text, were = _approved(definition), _approved(old) if old is not None else None
    kind = _approval_kind(text)
    if not protected or kind == "good" or (were is not None and _approval_kind(were) == kind):
        return []
    where = f"metadata.annotations[{APPROVED}]"
    see = "see https://github.com/kubernetes/enhancements/pull/1111"
    head = f'protected groups must have approval annotation "{APPROVED}"'
    if kind == "missing":
        return [FieldError.required(where, f"{head}, {see}")]
    detail = f'{head} with either a URL or a reason starting with "unapproved", {see}'
    return [FieldError.invalid(where, text, detail)]


def _approved(definition: Object) -> str:
    return str((metadata_of(definition).get("annotations") or {}).get(APPROVED) or "")


def _approval_kind(text: str) -> str:
    if not text:
        return "missing"
    if text.startswith("unapproved"):
        return "good"
    try:
        parts = urlsplit(text)
    except ValueError:
        return "bad"
    return "good" if parts.scheme and parts.netloc and text[0].isalpha() else "bad"


def _tolerated(before: Object) -> Callable[[FieldError], bool]:
    """Return what tolerates that a definition still lacks what it never had, as v1beta1 allowed."""
    keeps_unknown = bool(before.get("preserveUnknownFields"))
    schemas = [
        given(given(one, "schema") or {}, "openAPIV3Schema") for one in objects(before.get("versions"))
    ]
    lacks_schemas = any(schema is None for schema in schemas)

    def tolerates(error: FieldError) -> bool:
        if error.field == "spec.preserveUnknownFields":
            return keeps_unknown and "cannot set to true" in error.message
        missing = error.reason == "FieldValueRequired" and error.field.endswith(".schema.openAPIV3Schema")
        return lacks_schemas and missing

    return tolerates


def _authority(client: Object, before: Object) -> Errors:
    """Check the certificates to check a webhook's by: bad ones may only follow bad ones."""
    bundle, were = str(client.get("caBundle") or ""), _bundle(before)
    if not bundle or _is_pem(bundle) or (were and not _is_pem(were)):
        return []
    detail = "unable to load root certificates: unable to parse bytes as PEM block"
    return [FieldError.invalid("spec.conversion.webhookClientConfig.caBundle", bundle, detail)]


def _bundle(spec: Object) -> str:
    webhook = given(given(spec, "conversion") or {}, "webhook") or {}
    return str((given(webhook, "clientConfig") or {}).get("caBundle") or "")


def _is_pem(bundle: str) -> bool:
    return b"-----BEGIN CERTIFICATE-----" in base64.b64decode(bundle)


def validate_definition_status(new: Object, _old: Object) -> Errors:
    """Check a changed status: the accepted names."""
    return _spellings(given(given(new, "status") or {}, "acceptedNames") or {}, "status.acceptedNames")


def validate_definition_update(new: Object, old: Object) -> Errors:
    """Check a changed definition: what is established keeps its scope, its group and its kind."""
    tolerated = _tolerated(spec_of(old))
    return [error for error in _definition(new, old) if not tolerated(error)]


def _changes(spec: Object, before: Object, *, established: bool) -> Errors:
    names, were = given(spec, "names") or {}, given(before, "names") or {}
    kept = [
        ("spec.group", spec.get("group"), before.get("group")),
        ("spec.names.plural", names.get("plural"), were.get("plural")),
    ]
    if established:
        kept = [
            ("spec.scope", spec.get("scope"), before.get("scope")),
            ("spec.names.kind", names.get("kind"), were.get("kind")),
            *kept,
        ]
    return [error for path, now, was in kept for error in validation.validate_immutable(now, was, path)]
