"""What is wrong with one version of a definition, or with what all versions share.

Paths follow upstream's internal form (`internal.py`).
"""

from __future__ import annotations

import unicodedata

from podium.machinery.errors import FieldError, Object
from podium.machinery.structural.definition import schema_errors
from podium.machinery.structural.fieldpath import FieldPathError, resolve
from podium.machinery.structural.internal import fields_set, shown_schema
from podium.machinery.structural.structure import unreadable_schema
from podium.resources.checks import Errors, objects
from podium.resources.defaulting import given

SELECTABLE_MAX = 8
WARNING_LENGTH_MAX = 256
_COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")
_COLUMN_FORMATS = ("byte", "date", "date-time", "double", "float", "int32", "int64", "password")
_SELECTABLE_TYPES = ("string", "boolean", "integer")
_AT_ROOT = (
    *("Description", "Type", "Format", "Title", "Maximum", "ExclusiveMaximum", "Minimum", "ExclusiveMinimum"),
    *("MaxLength", "MinLength", "Pattern", "MaxItems", "MinItems", "UniqueItems", "MultipleOf", "Required"),
    *("Items", "Properties", "ExternalDocs", "Example", "XPreserveUnknownFields", "XValidations"),
)


def deprecation_errors(version: Object, path: str) -> Errors:
    warning = version.get("deprecationWarning")
    if warning is None:
        return []
    where = f"{path}.deprecationWarning"
    if not version.get("deprecated"):
        return [FieldError.invalid(where, warning, "can only be set for deprecated versions")]
    details: list[str] = []
    if len(warning.encode()) > WARNING_LENGTH_MAX:
        details.append(f"must be <= {WARNING_LENGTH_MAX} characters long")
    if not warning:
        details.append("must not be an empty string")
    at = 0
    for character in warning:
        if character != " " and unicodedata.category(character)[0] in "CZ":
            details.append(
                f"must only contain printable UTF-8 characters; non-printable character found at index {at}"
            )
            break
        at += len(character.encode())
    return [FieldError.invalid(where, warning, detail) for detail in details]


def validation_errors(
    validation: Object | None, path: str, *, status: bool, unchanged: bool, structural: bool = True
) -> Errors:
    """Check a schema; `status`: the version has the status subresource, which splits the schema's root."""
    schema = given(validation, "openAPIV3Schema") if validation is not None else None
    if schema is None:
        return []
    where = f"{path}.openAPIV3Schema"
    errors: Errors = _root_errors(schema, where) if status else []
    if schema.get("nullable"):
        errors.append(FieldError.forbidden(f"{where}.nullable", "nullable cannot be true at the root"))
    errors += schema_errors(schema, where, unchanged=unchanged, structural=structural)
    if not errors and structural and (reason := unreadable_schema(schema)):
        errors.append(FieldError.invalid(where, "", reason))
    return errors


def _root_errors(schema: Object, path: str) -> Errors:
    for name in fields_set(schema):
        if name == "Type":
            if schema["type"] != "object":
                detail = (
                    'only "object" is allowed as the type at the root of the schema if the status '
                    "subresource is enabled"
                )
                return [FieldError.invalid(f"{path}.type", schema["type"], detail)]
        elif name not in _AT_ROOT:
            detail = (
                f"only [{' '.join(_AT_ROOT)}] fields are allowed at the root of the schema if the status "
                "subresource is enabled"
            )
            return [FieldError.invalid(path, shown_schema(schema), detail)]
    return []


def subresource_errors(subresources: Object | None, path: str) -> Errors:
    scale = given(subresources, "scale") if subresources is not None else None
    if scale is None:
        return []
    errors: Errors = []
    for name, roots in (("specReplicasPath", (".spec.",)), ("statusReplicasPath", (".status.",))):
        where, value = f"{path}.scale.{name}", str(scale.get(name) or "")
        if not value:
            errors.append(FieldError.required(where))
        else:
            errors += _below(value, where, roots, f"under {roots[0].rstrip('.')}")
    selector = scale.get("labelSelectorPath")
    if selector:
        where = f"{path}.scale.labelSelectorPath"
        errors += _below(selector, where, (".spec.", ".status."), "under either .spec or .status")
    return errors


def _below(value: str, path: str, roots: tuple[str, ...], what: str) -> Errors:
    errors = _simple_path(value, path)
    if not errors and not value.startswith(roots):
        errors.append(FieldError.invalid(path, value, f"should be a json path {what}"))
    return errors


def _simple_path(value: str, path: str) -> Errors:
    if value.startswith("."):
        return []
    return [FieldError.invalid(path, value, "must be a simple json path starting with .")]


def column_errors(columns: object, path: str) -> Errors:
    errors: Errors = []
    for index, column in enumerate(objects(columns)):
        where = f"{path}[{index}]"
        if not column.get("name"):
            errors.append(FieldError.required(f"{where}.name"))
        type, format = column.get("type") or "", column.get("format") or ""
        detail = f"must be one of {','.join(_COLUMN_TYPES)}"
        if not type:
            errors.append(FieldError.required(f"{where}.type", detail))
        elif type not in _COLUMN_TYPES:
            errors.append(FieldError.invalid(f"{where}.type", type, detail))
        if format and format not in _COLUMN_FORMATS:
            detail = f"must be one of {','.join(_COLUMN_FORMATS)}"
            errors.append(FieldError.invalid(f"{where}.format", format, detail))
        json_path = str(column.get("jsonPath") or "")
        if not json_path:
            errors.append(FieldError.required(f"{where}.JSONPath"))
        else:
            errors += _simple_path(json_path, f"{where}.JSONPath")
    return errors


def selectable_errors(fields: object, validation: Object | None, path: str, *, too_many: bool) -> Errors:
    """Check selectable fields; `too_many`: there were as many before, which is held against nobody."""
    selectable = objects(fields)
    if not selectable:
        return []
    schema = given(validation, "openAPIV3Schema") if validation is not None else None
    if schema is None:
        detail = "may only be set when `version.schema.openAPIV3Schema` is not included"
        return [FieldError.invalid(path, "", detail)]
    errors: Errors = []
    seen: set[str] = set()
    for index, field in enumerate(selectable):
        where, json_path = f"{path}[{index}].jsonPath", str(field.get("jsonPath") or "")
        if not json_path:
            errors.append(FieldError.required(where))
            continue
        try:
            found, target = resolve(json_path, schema, brackets=False)
        except FieldPathError as error:
            errors.append(FieldError.invalid(where, json_path, f"is an invalid path: {error}"))
            continue
        if found.partition(".")[0] == "metadata":
            errors.append(FieldError.invalid(where, json_path, "must not point to fields in metadata"))
        if target.get("type") not in _SELECTABLE_TYPES:
            detail = (
                "must point to a field of type string, boolean or integer. Enum string fields and strings "
                "with formats are allowed."
            )
            errors.append(FieldError.invalid(where, json_path, detail))
        if found in seen:
            errors.append(FieldError.duplicate(where, json_path))
        seen.add(found)
    if len(seen) > SELECTABLE_MAX and not too_many:
        errors.append(FieldError.too_many(path, len(seen), SELECTABLE_MAX))
    return errors
