"""The scale subresource: a small object that stands for the replicas of a larger one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import orjson

from podium.apiserver.chain import RequestInfo
from podium.apiserver.http.body import media_type, read_object
from podium.apiserver.http.negotiation import Accepted, accept_of, accepted
from podium.apiserver.http.options import get_version, write_options
from podium.apiserver.http.patch import check_patch_type, patch_options
from podium.apiserver.http.representation import PARTIAL
from podium.apiserver.http.respond import encoded
from podium.apiserver.registry.apply import Config, decode_config
from podium.apiserver.registry.call import Call
from podium.apiserver.registry.decode import DecodeError, kind_problem, prune
from podium.apiserver.registry.patch import (
    APPLY,
    APPLY_CBOR,
    STRATEGIC_MERGE_PATCH,
    decode_patch,
    invalid_patch,
    merged,
)
from podium.apiserver.registry.read import get
from podium.apiserver.registry.registry import Registry
from podium.apiserver.registry.special.scales import KIND, get_at, of, put, replicas_of
from podium.apiserver.registry.update import check_name, failed_precondition, modify
from podium.base.http.message import Request, Response
from podium.machinery import managed_fields, table
from podium.machinery.codec import json
from podium.machinery.errors import Conflict, FieldError, InternalError, Invalid, Json, Object
from podium.machinery.fieldset import difference, union
from podium.machinery.managed_fields import fields_of, identity, in_order
from podium.machinery.meta import deep_copy
from podium.machinery.patch import apply as server_side
from podium.machinery.resource import Column, Resource, Scale
from podium.machinery.table import age


async def scale(registry: Registry, call: Call, request: Request, info: RequestInfo) -> Response:
    """Answer get, update and patch of a scale."""
    wanted = accepted(accept_of(request), registry.media_types)
    declared = _declared(call)
    if info.verb == "get":
        entry = await get(registry, call, revision=get_version(request))
        obj = call.served.object(entry)
        if call.served.custom and get_at(obj, declared.replicas) is None:
            why = f'the spec replicas field "{declared.replicas}" does not exist'
            raise InternalError(f"Internal error occurred: {why}", details={"causes": [{"message": why}]})
        return _answer(registry, call, obj, request, wanted)
    if info.verb == "patch":
        return await _patch(registry, call, request, wanted)
    write_options(request, call, "UpdateOptions")
    sent = await read_object(
        registry, call, request, kind=KIND, api_version=declared.version, schema=declared.schema
    )
    check_name(call, sent)
    result = await _write(registry, call, lambda _current: deep_copy(sent), replaces=True)
    return _answer(registry, call, result, request, wanted)


async def _patch(registry: Registry, call: Call, request: Request, wanted: Accepted) -> Response:
    type = media_type(request)
    check_patch_type(registry, call, request, type)
    force = patch_options(request, call, type)
    raw = await request.read_body()
    if request.audit is not None:
        request.audit.patched(raw, type)
    if type in (APPLY, APPLY_CBOR):
        config = decode_config(raw, cbor=type == APPLY_CBOR)
        result = await _write(
            registry, call, None, lambda live: _applied(registry, call, live, config, force)
        )
        return _answer(registry, call, result, request, wanted)
    read: list[tuple[Json, Sequence[str]]] = []

    def change(current: Object) -> Object:
        if not read:
            read.append(decode_patch(call, type, raw))
        patch, duplicates = read[0]
        declared = _declared(call)
        new: Object = deep_copy(merged(registry, type, current, patch, declared.schema))
        problem = ""
        if type != STRATEGIC_MERGE_PATCH:
            problem = json.type_meta_problem(new)
            problem = problem or kind_problem(registry, new, call.served.resource, KIND, declared.version)
        try:
            if problem:
                raise DecodeError(problem)
            prune(registry, call, new, duplicates, declared.schema)
        except DecodeError as error:
            raise invalid_patch(registry, type, declared.schema, current, patch, error) from None
        new["kind"], new["apiVersion"] = KIND, declared.version
        if new.get("metadata") is None:
            new["metadata"] = {}
        check_name(call, new)
        return new

    return _answer(registry, call, await _write(registry, call, change), request, wanted)


def _declared(call: Call) -> Scale:
    declared = call.served.resource.scale
    assert declared is not None
    return declared


Change = Callable[[Object], Object]


async def _write(
    registry: Registry,
    call: Call,
    change: Change | None,
    apply: Change | None = None,
    *,
    replaces: bool = False,
) -> Object:
    """Carry the replicas of the changed scale over to the object; return the object.

    `change` makes the new scale of the old one; `apply` makes it with its owners.
    """
    declared = _declared(call)

    async def transform(old: Object) -> Object:
        live = of(declared, old)
        if owners := owners_of_scale(managed_fields_of(old), declared):
            live["metadata"]["managedFields"] = owners
        if apply is not None:
            new = apply(live)
        else:
            assert change is not None
            new = change(live)
            uid = new["metadata"].get("uid")
            if replaces and uid and uid != old["metadata"]["uid"]:
                raise failed_precondition(call, uid, old["metadata"]["uid"])
            _track(registry, call, new, live)
        _check(call, new, old)
        changed: Object = deep_copy(old)
        put(changed, declared.replicas, replicas_of(new))
        changed["metadata"]["resourceVersion"] = new["metadata"].get("resourceVersion") or ""
        _put_owners(changed, managed_fields_of(new), call.served.resource.api_version, declared)
        return changed

    result = await modify(registry, call, transform, tracked=True)
    return result.as_object()


def _check(call: Call, new: Object, old: Object) -> None:
    """Raise what is wrong with a new scale. A custom resource's own checks judge the number."""
    if call.served.custom:
        return
    replicas = replicas_of(new)
    if replicas < 0:
        error = FieldError.invalid("spec.replicas", replicas, "must be greater than or equal to 0")
        raise Invalid.of(KIND, "autoscaling", call.name, [error])
    resource, uid, actual = call.served.resource, new["metadata"].get("uid"), old["metadata"]["uid"]
    if uid and uid != actual:
        why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {actual}"
        raise Conflict.of(f"{resource.plural}/scale", resource.group, call.name, why)


# --- who owns the replicas is written on the object, in terms of the object


def _track(registry: Registry, call: Call, new: Object, live: Object) -> None:
    """Note in the new scale who has set its replicas."""
    declared = _declared(call)
    managed_fields.update(
        new,
        live,
        manager=call.field_manager,
        api_version=declared.version,
        now=registry.clock.now(),
        schema=registry.schema_of(declared.schema),
        subresource=call.subresource,
    )


def _applied(registry: Registry, call: Call, live: Object, config: Config, force: bool) -> Object:
    """Return the scale `live` with `config` applied."""
    declared = _declared(call)
    new = server_side.apply(
        live,
        config.value,
        manager=call.field_manager,
        force=force,
        api_version=declared.version,
        kind=KIND,
        now=registry.clock.now(),
        schema=registry.schema_of(declared.schema),
        subresource=call.subresource,
    )
    config.complain(call)
    check_name(call, new)
    return new


def managed_fields_of(obj: Object) -> list[Object]:
    entries: list[Object] = obj["metadata"].get("managedFields") or []
    return entries


def owners_of_scale(entries: list[Object], declared: Scale) -> list[Object]:
    """Return the entries of those who own the replicas, as entries of a scale."""
    return [
        {**entry, "apiVersion": declared.version, "fieldsV1": {"f:spec": {"f:replicas": {}}}}
        for entry in entries
        if _owned(entry.get("fieldsV1") or {}, declared) is not None
    ]


def _keys(declared: Scale) -> list[str]:
    return [f"f:{part}" for part in declared.replicas.removeprefix(".").split(".")]


def _owned(fields: Object, declared: Scale) -> Object | None:
    found: Any = fields
    for key in _keys(declared):
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else None


def _put_owners(obj: Object, owners: list[Object], api_version: str, declared: Scale) -> None:
    """Write those who own the replicas of a scale back as entries of the object.

    Upstream loses the times of all of them but of appliers that did so before.
    """
    wanted = {
        identity({**owner, "apiVersion": api_version}): owner
        for owner in owners
        if "f:replicas" in (fields_of(owner).get("f:spec") or {})
    }
    fields: Object = {}
    for key in reversed(_keys(declared)):
        fields = {key: fields}
    kept: list[Object] = []
    for entry in managed_fields_of(obj):
        rest = fields_of(entry)
        if _owned(rest, declared) is not None and not (
            entry.get("operation") == "Apply" and identity(entry) in wanted
        ):
            rest = difference(rest, fields)
        if rest and wanted.pop(identity(entry), None) is not None:
            rest = union(rest, fields)
        if rest:
            kept.append({**entry, "fieldsV1": rest})
    for owner in wanted.values():
        made = {**owner, "apiVersion": api_version, "fieldsV1": fields}
        made.pop("time", None)
        kept.append(made)
    if kept:
        obj["metadata"]["managedFields"] = in_order(kept)
    else:
        obj["metadata"].pop("managedFields", None)


def _answer(registry: Registry, call: Call, obj: Object, request: Request, wanted: Accepted) -> Response:
    declared = _declared(call)
    body = of(declared, obj)
    if wanted.form == "PartialObjectMetadata":
        partial = {"kind": wanted.form, "apiVersion": f"meta.k8s.io/{wanted.version}"}
        body = {**partial, "metadata": body["metadata"]}
        return encoded(orjson.dumps(body), request, media_type=wanted.media_type, definition=PARTIAL)
    if wanted.form == "Table":
        version = {"resourceVersion": body["metadata"]["resourceVersion"]}
        body = table.table(_PRINTED, [body], now=registry.clock.now(), list_meta=version)
        return encoded(orjson.dumps(body), request, media_type=wanted.media_type)
    return encoded(orjson.dumps(body), request, media_type=wanted.media_type, definition=declared.schema)


_PRINTED = Resource(
    group="autoscaling",
    version="v1",
    kind=KIND,
    plural="scales",
    namespaced=True,
    schema="io.k8s.api.autoscaling.v1.Scale",
    columns=(
        Column(
            name="Name",
            description="The scaled object.",
            value=lambda obj, _now: obj["metadata"]["name"],
        ),
        Column(
            name="Desired",
            type="integer",
            description="Replicas wanted.",
            value=lambda obj, _now: obj["spec"].get("replicas", 0),
        ),
        Column(
            name="Available",
            type="integer",
            description="Replicas there are.",
            value=lambda obj, _now: obj["status"]["replicas"],
        ),
        Column(name="Age", description="Time since the object was created.", value=age),
    ),
)
