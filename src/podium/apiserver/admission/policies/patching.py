"""How mutating policies change objects: values of expressions as JSON, and as patches of the two types."""

from __future__ import annotations

import base64
from typing import Any

from podium.apiserver.admission.matching import internal
from podium.apiserver.admission.policies.compiled import Mutation
from podium.apiserver.chain import Host
from podium.machinery.cel.values import Duration, Optional, Timestamp
from podium.machinery.errors import ApiError, Json, Object
from podium.machinery.meta import deep_copy
from podium.machinery.patch import json as json_patch
from podium.machinery.resource import Resource


class PatchFailed(Exception):
    """The change cannot be made: failurePolicy says what that means. The text is upstream's."""


def to_json(value: Any) -> Json:
    """Return a value of an expression as it stands in objects. Raises `PatchFailed`."""
    match value:
        case dict():
            if not all(isinstance(key, str) for key in value):
                raise PatchFailed(
                    "JSONPath valueExpression evaluated to a type that could not marshal to JSON"
                )
            return {key: to_json(part) for key, part in value.items()}
        case list():
            return [to_json(part) for part in value]
        case None | bool() | str() | float():
            return value
        case int():
            return int(value)
        case bytes():
            return base64.b64encode(value).decode()
        case Timestamp() | Duration():
            return str(value)
        case Optional():
            return to_json(value.value()) if value.present else None
    raise PatchFailed("JSONPath valueExpression evaluated to a type that could not marshal to JSON")


def patched(mutation: Mutation, value: Any, obj: Object, resource: Resource, host: Host) -> Object:
    """Return `obj` with one change made, defaulted. Raises `PatchFailed`, `ApiError` (500)."""
    if fault := mutation.fault:
        raise PatchFailed(f"type mismatch: {fault}")
    if mutation.type == "JSONPatch":
        new = _json_patched(obj, value)
    else:
        try:
            new = host.merged(obj, to_json(value), resource)
        except ValueError as error:
            raise PatchFailed(f"error applying patch: {error}") from None
    new["kind"], new["apiVersion"] = obj.get("kind"), obj.get("apiVersion")
    try:
        unknown = host.complete(new, resource)
    except ValueError as error:
        raise internal(str(error)) from None
    if unknown and mutation.type == "JSONPatch":
        raise internal("strict decoding error: " + ", ".join(f'unknown field "{path}"' for path in unknown))
    return new


def _json_patched(obj: Object, value: list[Any]) -> Object:
    operations = []
    for one in value:
        if not isinstance(one, dict):
            raise PatchFailed("type mismatch: JSONPatchType.expression should evaluate to array of JSONPatch")
        operation = {"op": one.get("op") or "", "path": one.get("path") or ""}
        if one.get("from"):
            operation["from"] = one["from"]
        if "value" in one:
            operation["value"] = to_json(one["value"])
        operations.append(operation)
    try:
        new: Object = deep_copy(json_patch.apply(obj, operations))
    except json_patch.TestFailed:
        return deep_copy(obj)  # type: ignore[no-any-return]
    except ApiError as error:
        raise PatchFailed(f"JSON Patch: {error.message}") from None
    return new
