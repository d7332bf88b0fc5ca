"""What is wrong with definitions of custom resources, the schemas in them included."""

from __future__ import annotations

from collections.abc import Callable

from podium.machinery import validation
from podium.machinery.errors import FieldError, Object
from podium.machinery.structural.definition import schema_errors
from podium.resources.admissionregistration.validation import validate_client
from podium.resources.checks import Errors, metadata_of, objects, spec_of
from podium.resources.defaulting import given

APPROVED = "api-approved.kubernetes.io"
_SCOPES = ("Cluster", "Namespaced")
_STRATEGIES = ("None", "Webhook")


def validate_definition(definition: Object) -> Errors:
    """Check a CustomResourceDefinition."""
    spec = spec_of(definition)
    errors = _name(definition, spec)
    errors += _spec(spec)
    errors += _stored_versions(definition, spec)
    errors += _approval(definition, spec)
    if spec.get("preserveUnknownFields"):
        detail = (
            "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in "
            "spec.versions[*].schema instead"
        )
        errors.append(FieldError.invalid("spec.preserveUnknownFields", True, detail))
    return errors


def _name(definition: Object, spec: Object) -> Errors:
    name = str(metadata_of(definition).get("name") or "")
    plural = (given(spec, "names") or {}).get("plural") or ""
    if name == f"{plural}.{spec.get('group') or ''}":
        return []
    detail = 'must be spec.names.plural+"."+spec.group'
    return [FieldError.invalid("metadata.name", name, detail)]


def _label(field: str, value: str, *, mixed_case: bool = False) -> Errors:
    faults = validation.dns1035_label_errors(value.lower() if mixed_case else value)
    if not value or not faults:
        return []
    prefix = "may have mixed case, but should otherwise match: " if mixed_case else ""
    return [FieldError.invalid(field, value, prefix + ",".join(faults))]


def _spec(spec: Object) -> Errors:
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
    errors += _versions(spec)
    errors += _names(given(spec, "names") or {})
    return errors + _schemas(spec) + _conversion(spec)


def _schemas(spec: Object) -> Errors:
    """Check the schemas. One that all versions share is spoken of once, as in upstream's older version."""
    schemas = [
        given(given(version, "schema") or {}, "openAPIV3Schema") for version in objects(spec.get("versions"))
    ]
    known = [schema for schema in schemas if schema is not None]
    if not known or spec.get("preserveUnknownFields"):
        return []
    if all(schema == known[0] for schema in schemas):
        return schema_errors(known[0], "spec.validation.openAPIV3Schema")
    errors: Errors = []
    for index, schema in enumerate(schemas):
        if schema is not None:
            errors += schema_errors(schema, f"spec.versions[{index}].schema.openAPIV3Schema")
    return errors


def _versions(spec: Object) -> Errors:
    versions = objects(spec.get("versions"))
    errors: Errors = [
        FieldError.required(f"spec.versions[{index}].schema.openAPIV3Schema")
        for index, version in enumerate(versions)
        if given(given(version, "schema") or {}, "openAPIV3Schema") is None
    ]
    names = [str(version.get("name") or "") for version in versions]
    for index, name in enumerate(names):
        faults = validation.dns1035_label_errors(name)
        if faults:
            errors.append(FieldError.invalid(f"spec.versions[{index}].name", name, ",".join(faults)))
    if len(set(names)) != len(names):
        errors.append(FieldError.invalid("spec.versions", versions, "must contain unique version names"))
    if sum(bool(version.get("storage")) for version in versions) != 1:
        detail = "must have exactly one version marked as storage version"
        errors.append(FieldError.invalid("spec.versions", versions, detail))
    return errors


def _names(names: Object) -> Errors:
    path = "spec.names"
    errors: Errors = [
        FieldError.required(f"{path}.{key}")
        for key in ("plural", "singular", "kind", "listKind")
        if not names.get(key)
    ]
    for key in ("plural", "singular"):
        errors += _label(f"{path}.{key}", str(names.get(key) or ""))
    for key in ("kind", "listKind"):
        errors += _label(f"{path}.{key}", str(names.get(key) or ""), mixed_case=True)
    for index, name in enumerate(names.get("shortNames") or ()):
        errors += _label(f"{path}.shortNames[{index}]", name)
    if names.get("kind") and names.get("kind") == names.get("listKind"):
        detail = "kind and listKind may not be the same"
        errors.append(FieldError.invalid(f"{path}.listKind", names["listKind"], detail))
    for index, category in enumerate(names.get("categories") or ()):
        errors += _label(f"{path}.categories[{index}]", category)
    return errors


def _conversion(spec: Object) -> Errors:
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
    if not set(versions) & {"v1", "v1beta1"}:
        detail = "must include at least one of v1, v1beta1"
        return [FieldError.invalid(path, versions, detail)]
    return []


def _stored_versions(definition: Object, spec: Object) -> Errors:
    stored = (given(definition, "status") or {}).get("storedVersions") or []
    path = "status.storedVersions"
    if not stored:
        return [FieldError.invalid(path, None, "must have at least one stored version")]
    errors: Errors = []
    versions = objects(spec.get("versions"))
    for version in versions:
        if version.get("storage") and version.get("name") not in stored:
            detail = f"must have the storage version {version.get('name')}"
            errors.append(FieldError.invalid(path, stored, detail))
    names = {version.get("name") for version in versions}
    for index, name in enumerate(stored):
        if name not in names:
            detail = (
                f"missing from spec.versions; {name} was previously a storage version, and must remain in "
                "spec.versions until a storage migration ensures no data remains persisted in "
                f"{name} and removes {name} from status.storedVersions"
            )
            errors.append(FieldError.invalid(f"{path}[{index}]", name, detail))
    return errors


def _approval(definition: Object, spec: Object) -> Errors:
    group = str(spec.get("group") or "")
    protected = group in ("k8s.io", "kubernetes.io") or group.endswith((".k8s.io", ".kubernetes.io"))
    if not protected or (metadata_of(definition).get("annotations") or {}).get(APPROVED):
        return []
    detail = (
        f'protected groups must have approval annotation "{APPROVED}", '
        "see https://github.com/kubernetes/enhancements/pull/1111"
    )
    return [FieldError.required(f"metadata.annotations[{APPROVED}]", detail)]


def _tolerated(before: Object) -> Callable[[FieldError], bool]:
    """Return what tolerates that a definition still lacks what it never had, as v1beta1 allowed."""
    keeps_unknown = bool(before.get("preserveUnknownFields"))
    schemas = [
        given(given(one, "schema") or {}, "openAPIV3Schema") for one in objects(before.get("versions"))
    ]
    lacks_schemas = any(schema is None for schema in schemas)

    def tolerates(error: FieldError) -> bool:
        if error.field == "spec.preserveUnknownFields":
            return keeps_unknown
        missing = error.reason == "FieldValueRequired" and error.field.endswith(".schema.openAPIV3Schema")
        return lacks_schemas and missing

    return tolerates


def validate_definition_update(new: Object, old: Object) -> Errors:
    """Check a changed definition: what is established keeps its scope, its group and its kind."""
    tolerated = _tolerated(spec_of(old))
    errors = [error for error in validate_definition(new) if not tolerated(error)]
    conditions = objects((given(old, "status") or {}).get("conditions"))
    established = any(c.get("type") == "Established" and c.get("status") == "True" for c in conditions)
    spec, before = spec_of(new), spec_of(old)
    if established:
        errors += validation.validate_immutable(spec.get("scope"), before.get("scope"), "spec.scope")
        names, were = given(spec, "names") or {}, given(before, "names") or {}
        errors += validation.validate_immutable(names.get("kind"), were.get("kind"), "spec.names.kind")
    errors += validation.validate_immutable(spec.get("group"), before.get("group"), "spec.group")
    names, were = given(spec, "names") or {}, given(before, "names") or {}
    return errors + validation.validate_immutable(
        names.get("plural"), were.get("plural"), "spec.names.plural"
    )
