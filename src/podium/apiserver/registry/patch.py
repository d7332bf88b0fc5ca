"""patch: a change described by its difference, applied to what is stored, tried again when that moves."""

from __future__ import annotations

import re
from collections.abc import Sequence

from podium.apiserver.registry.apply import apply, decode_config
from podium.apiserver.registry.call import Call
from podium.apiserver.registry.decode import DecodeError, json_duplicates, kind_problem, prune, wrong_kind
from podium.apiserver.registry.registry import Registry
from podium.apiserver.registry.result import Result
from podium.apiserver.registry.update import check_name, modify
from podium.machinery import golang
from podium.machinery.codec import json
from podium.machinery.errors import BadRequest, FieldError, Invalid, Json, Object
from podium.machinery.meta import deep_copy
from podium.machinery.patch import json as json_patch
from podium.machinery.patch import merge as merge_patch
from podium.machinery.patch import strategic as strategic_patch

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_MERGE_PATCH = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
APPLY_CBOR = "application/apply-patch+cbor"
"""Taken only where CBOR is."""
TYPES = (JSON_PATCH, MERGE_PATCH, STRATEGIC_MERGE_PATCH, APPLY)


async def patch(registry: Registry, call: Call, type: str, raw: bytes, *, force: bool) -> Result:
    """Apply the patch in `raw` to the object that `call` names. Raises as `modify`, and for bad patches."""
    if type in (APPLY, APPLY_CBOR):
        return await apply(registry, call, decode_config(raw, cbor=type == APPLY_CBOR), force=force)
    decoded, duplicates = decode_patch(call, type, raw)

    async def transform(old: Object) -> Object:
        return patched(registry, call, type, old, decoded, duplicates)

    return await modify(registry, call, transform)


def decode_patch(call: Call, type: str, raw: bytes) -> tuple[Json, Sequence[str]]:
    """Return the patch in `raw`, and complaints about fields that it has twice. Raises `BadRequest`."""
    try:
        value = json.decode(raw)
    except json.JsonError as error:
        head = "" if type == STRATEGIC_MERGE_PATCH else "error decoding patch: "
        raise BadRequest(f"{head}{error}") from None
    return value, json_duplicates(call, raw, value)


def patched(
    registry: Registry, call: Call, type: str, old: Object, patch: Json, duplicates: Sequence[str]
) -> Object:
    """Return what the patch makes of `old`, decoded and defaulted like a body of its own."""
    resource = call.served.resource
    new: Object = deep_copy(merged(registry, type, old, patch, resource.schema))
    custom = call.served.custom
    if unnamed := json.type_meta_problem(new):
        raise invalid_patch(type, patch, new, unnamed)
    problem = "" if custom else kind_problem(registry.catalog, new, resource)
    if custom and new.get("kind") != resource.kind:
        raise wrong_kind(resource, new)
    if problem:
        raise invalid_patch(type, patch, new, problem)
    whole = json.encode(new)
    try:
        prune(registry, call, new, duplicates, resource.schema)
    except DecodeError as error:
        if str(error).startswith("strict decoding error"):
            raise BadRequest(str(error)) from None
        raise invalid_patch(type, patch, whole, str(error)) from None
    new["kind"], new["apiVersion"] = resource.kind, resource.api_version
    if new.get("metadata") is None:
        new["metadata"] = {}
    resource.defaults(new)
    check_name(call, new)
    return new


def merged(registry: Registry, type: str, old: Object, patch: Json, schema: str) -> Object:
    """Return `old` with the patch applied; parts may be shared with both."""
    if type == JSON_PATCH:
        return json_patch.apply(old, patch)
    if type == MERGE_PATCH:
        return merge_patch.apply(old, patch)
    return strategic_patch.apply(old, patch, registry.schema_of(schema))


def invalid_patch(type: str, patch: Json, patched_: bytes | Object, why: str) -> Invalid:
    """Return the error for a patch whose result does not decode. Upstream shows the result, or the patch."""
    if type == STRATEGIC_MERGE_PATCH:
        return Invalid.of("", "", "", [FieldError.invalid("patch", golang.plain(patch), _converting(why))])
    whole = patched_ if isinstance(patched_, bytes) else json.encode(patched_)
    return Invalid.of("", "", "", [FieldError.invalid("patch", whole.decode(), why)])


_MISMATCH = re.compile(r"json: cannot unmarshal (\w+)(?: \S+)? into Go struct field \S+ of type (.+)")
_GO_NUMBERS = ("int32", "int64", "float64")


def _converting(why: str) -> str:
    """Say what `why` says of a wrong type in the words of the converter that strategic patches pass."""
    match = _MISMATCH.fullmatch(why)
    if match is None:
        return why
    found, wanted = match.groups()
    if wanted.startswith("[]"):
        kind = {"object": "map", "number": "int64"}.get(found, found)
        return f"cannot restore slice from {kind}"
    if found in ("number", "bool", "string") and (wanted in ("string", "bool") or wanted in _GO_NUMBERS):
        return f"cannot convert {'int64' if found == 'number' else found} to {wanted}"
    return why
