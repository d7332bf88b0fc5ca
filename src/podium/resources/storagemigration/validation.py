"""What is wrong with StorageVersionMigrations."""

from __future__ import annotations

from podium.machinery import validation
from podium.machinery.errors import FieldError, Object
from podium.resources.checks import Errors, immutable, objects, spec_of
from podium.resources.defaulting import given

_CONDITIONS = "status.conditions"
_VERSION = "status.resourceVersion"


def validate_migration(migration: Object) -> Errors:
    """Check a StorageVersionMigration."""
    resource = given(spec_of(migration), "resource") or {}
    plural, group = str(resource.get("resource") or ""), str(resource.get("group") or "")
    errors: Errors = []
    if not plural:
        errors.append(FieldError.required("spec.resource.resource", "resource is required to be set"))
    else:
        errors += _joined("spec.resource.resource", plural, validation.dns1035_label_errors(plural))
    if group:
        errors += _joined("spec.resource.group", group, validation.dns1123_subdomain_errors(group))
    return errors


def _joined(field: str, value: str, messages: list[str]) -> Errors:
    return [FieldError.invalid(field, value, ",".join(messages))] if messages else []


def validate_migration_update(new: Object, old: Object) -> Errors:
    """Check a changed migration: what it migrates stays."""
    return validate_migration(new) + immutable(new, old, "spec")


def validate_migration_status(new: Object, old: Object) -> Errors:
    """Check how a migration goes: it ends once, and its resourceVersion is set once."""
    status, before = given(new, "status") or {}, given(old, "status") or {}
    version, was = str(status.get("resourceVersion") or ""), str(before.get("resourceVersion") or "")
    conditions = status.get("conditions") or []
    errors: Errors = []
    if version and not _is_version(version):
        errors.append(
            FieldError.invalid(_VERSION, version, f"resource version is not well formed: {version}")
        )
    errors += validation.validate_conditions(objects(conditions), _CONDITIONS)
    if was and was != version:
        errors.append(FieldError.invalid(_VERSION, version, validation.IMMUTABLE))
    if _is(status, "Succeeded") and _is(status, "Failed"):
        detail = "Both success and failed conditions cannot be true at the same time"
        errors.append(FieldError.invalid(_CONDITIONS, conditions, detail))
    for kind, spelt in (("Succeeded", "Success"), ("Failed", "Failed")):
        if _is(before, kind) and not _is(status, kind):
            detail = f"{spelt} condition cannot be set to false once it is true"
            errors.append(FieldError.invalid(_CONDITIONS, conditions, detail))
    return errors


def _is_version(text: str) -> bool:
    return text.isascii() and text.isdigit() and not text.startswith("0")


def _is(status: Object, kind: str) -> bool:
    return any(
        condition.get("type") == kind and condition.get("status") == "True"
        for condition in objects(status.get("conditions"))
    )
