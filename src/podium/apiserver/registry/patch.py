"""patch: a change described by its difference, applied to what is stored, tried again when that moves."""

from __future__ import annotations

from collections.abc import Sequence

from podium.apiserver.registry.apply import apply, decode_config
from podium.apiserver.registry.call import Call
from podium.apiserver.registry.decode import DecodeError, json_duplicates, kind_problem, prune, wrong_kind
from podium.apiserver.registry.registry import Registry
from podium.apiserver.registry.result import Result
from podium.apiserver.registry.update import check_name, modify
from podium.machinery import golang
from podium.machinery.codec import json, protobuf
from podium.machinery.errors import BadRequest, FieldError, Invalid, Json, Object
from podium.machinery.meta import deep_copy
from podium.machinery.patch import json as json_patch
from podium.machinery.patch import merge as merge_patch
from podium.machinery.patch import strategic as strategic_patch
from podium.machinery.patch.shown import shown

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
    read: list[tuple[Json, Sequence[str]]] = []

    async def transform(old: Object) -> Object:
        if not read:  # That there is such an object is looked at before the patch is.
            read.append(decode_patch(call, type, raw))
        decoded, duplicates = read[0]
        try:
            return patched(registry, call, type, old, decoded, duplicates)
        except Invalid:
            # The converter of strategic merge patches takes 3.0 for 3: looked for where it matters.
            whole = strategic_patch.with_integers(decoded) if type == STRATEGIC_MERGE_PATCH else decoded
            if whole is decoded:
                raise
            return patched(registry, call, type, old, whole, duplicates)

    return await modify(registry, call, transform)


def decode_patch(call: Call, type: str, raw: bytes) -> tuple[Json, Sequence[str]]:
    """Return the patch in `raw`, and complaints about fields that it has twice. Raises `BadRequest`."""
    lenient = call.field_validation == "Ignore"
    try:
        value = json.decode(raw)
    except json.JsonError as error:
        if type == MERGE_PATCH and lenient:
            raise BadRequest("Invalid JSON Patch") from None
        head = "" if type == STRATEGIC_MERGE_PATCH or lenient else "error decoding patch: "
        raise BadRequest(f"{head}{error}") from None
    if type != JSON_PATCH:
        return value, json_duplicates(call, raw, value)
    json_patch.check(value, lenient=lenient)
    if lenient or not isinstance(value, list):
        return value, ()
    return value, [f"json patch {what}" for what in json_patch.complaints(raw, value)]


def patched(
    registry: Registry, call: Call, type: str, old: Object, patch: Json, duplicates: Sequence[str]
) -> Object:
    """Return what the patch makes of `old`, decoded and defaulted like a body of its own."""
    resource = call.served.resource
    new: Object = deep_copy(merged(registry, type, old, patch, resource.schema))
    custom = call.served.custom
    # A strategic merge patch is merged into the type itself, whatever it says of its kind.
    problem = "" if type == STRATEGIC_MERGE_PATCH else json.type_meta_problem(new)
    found = (new.get("kind"), new.get("apiVersion"))
    if not problem and custom and found != (resource.kind, resource.api_version):
        raise wrong_kind(resource, new)
    if not problem and not custom and type != STRATEGIC_MERGE_PATCH:
        problem = kind_problem(registry, new, resource)
    try:
        if problem:
            raise DecodeError(problem)
        prune(registry, call, new, duplicates, resource.schema)
    except DecodeError as error:
        raise invalid_patch(registry, type, resource.schema, old, patch, error) from None
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


def invalid_patch(
    registry: Registry, type: str, schema: str, old: Object, patch: Json, why: DecodeError
) -> Invalid:
    """Return the error for a patch whose result does not decode. Upstream shows the result, or the patch."""
    if type == STRATEGIC_MERGE_PATCH:
        return Invalid.of("", "", "", [FieldError.invalid("patch", golang.plain(patch), why.conversion)])
    before = protobuf.in_order(schema, old)
    text = shown(before, merged(registry, type, before, patch, schema), as_sent=type == JSON_PATCH)
    return Invalid.of("", "", "", [FieldError.invalid("patch", text, str(why))])
