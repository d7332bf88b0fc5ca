"""Request bodies: from bytes to a decoded, pruned, defaulted object of the kind that the path asks for."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any

from podium.apiserver.http.negotiation import CBOR, JSON, PROTOBUF, YAML
from podium.apiserver.registry.call import Call
from podium.apiserver.registry.decode import (
    DecodeError,
    decode_cbor,
    decode_json,
    decode_yaml,
    kind_problem,
    prune,
    repeat_complaints,
    wrong_kind,
)
from podium.apiserver.registry.registry import Registry
from podium.base.http.message import Request
from podium.machinery.codec import json, protobuf, yaml
from podium.machinery.codec.json import cannot_be_handled
from podium.machinery.errors import BadRequest, Object, UnsupportedMediaType
from podium.machinery.golang import found_kind
from podium.machinery.resource import Resource

_OTHER_HOMES = {
    "Scale": ("apps/v1beta1", "apps/v1beta2", "extensions/v1beta1"),
}
"""Versions in which upstream knows the kinds of subresources, besides those that are taken."""

_DELETE_OPTIONS = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"


def media_type(request: Request) -> str:
    """Return the body's media type without parameters; JSON when none is given."""
    sent = request.headers.get("content-type")
    return sent if sent == JSON else sent.partition(";")[0].strip().lower() or JSON


async def read_object(
    registry: Registry,
    call: Call,
    request: Request,
    *,
    kind: str = "",
    api_version: str = "",
    schema: str = "",
    also: Container[str] = (),
) -> Object:
    """Return the body as an object of the call's resource, or of the kind given; defaulted in the first case.

    `also` are further API versions in which the kind may come, being the same in all of them.
    Raises `UnsupportedMediaType`, `BadRequest`.
    """
    type = media_type(request)
    if type not in registry.media_types:
        raise _unknown_format(registry)
    raw = await request.read_body()
    resource = call.served.resource
    wanted_kind, wanted_version = kind or resource.kind, api_version or resource.api_version
    duplicates: Sequence[str]
    if type == PROTOBUF:
        obj, duplicates = _decode_protobuf(registry, raw, schema or resource.schema, wanted_kind), ()
    elif type == CBOR:
        obj, duplicates = decode_cbor(raw, wanted_kind), ()
    elif type == YAML:
        obj, duplicates = decode_yaml(raw, wanted_kind)
    else:
        obj = decode_json(raw, wanted_kind)
        typed = bool(kind) or not call.served.custom
        shape = registry.schema_of(schema or resource.schema).shape if typed else None
        found = json.with_repeats(raw, obj)
        duplicates = () if call.field_validation == "Ignore" else repeat_complaints(found, shape)
        if found is not None:
            schema_name = (schema or resource.schema) if typed else ""
            obj = _decode_repeated(registry, raw, found, obj, wanted_kind, wanted_version, schema_name)
    if obj.get("apiVersion") in also:
        obj["apiVersion"] = wanted_version
    if call.served.custom and not kind:
        _check_custom_kind(call, obj, raw)
    else:
        _check_kind(registry, call, obj, kind, api_version)
    try:
        prune(registry, call, obj, duplicates, schema or resource.schema)
    except DecodeError as error:
        version = wanted_version.rpartition("/")[2]
        raise cannot_be_handled(wanted_kind, version, wanted_kind, str(error)) from None
    obj["kind"], obj["apiVersion"] = wanted_kind, wanted_version
    if obj.get("metadata") is None:
        obj["metadata"] = {}
    if not kind:
        resource.defaults(obj)
    if request.audit is not None:
        request.audit.sent(obj)
    return obj


def _decode_repeated(
    registry: Registry, raw: bytes, found: Any, obj: Object, kind: str, api_version: str, schema: str
) -> Object:
    """Return the object in a body that has fields twice. Raises `BadRequest` when an earlier one is no good.

    Without a schema what comes last counts, and nothing else is looked at.
    """
    before = json.earlier_in(found)
    for earlier in before:
        if isinstance(earlier, dict) and (problem := json.type_meta_problem(earlier)):
            raise json.unrecognized(kind, problem, raw)
    if not schema:
        return obj
    for earlier in before:
        try:
            registry.schema_of(schema).decode(earlier)
        except ValueError as error:
            version = api_version.rpartition("/")[2]
            raise cannot_be_handled(kind, version, kind, str(error)) from None
    whole = json.merged(found)
    return whole if isinstance(whole, dict) else obj


def _unknown_format(registry: Registry) -> UnsupportedMediaType:
    return UnsupportedMediaType(
        "the body of the request was in an unknown format - accepted media types include: "
        + ", ".join(registry.media_types)
    )


def _decode_protobuf(registry: Registry, raw: bytes, schema: str, kind: str) -> Object:
    """Return what an envelope holds, read as the kind of `schema`; `_check_kind` compares what it says."""
    try:
        envelope = _unwrapped(raw)
    except protobuf.Malformed as error:
        raise json.unrecognized(kind, str(error), raw) from None
    try:
        return {
            "apiVersion": envelope.api_version,
            "kind": envelope.kind,
            **protobuf.decode(schema, envelope.raw),
        }
    except protobuf.Malformed as error:
        version = envelope.api_version.rpartition("/")[2]
        raise cannot_be_handled(envelope.kind or kind, version, kind, str(error)) from None
    except LookupError:
        # Custom resources, for one, have no protobuf form.
        raise _unknown_format(registry) from None


def _unwrapped(raw: bytes) -> protobuf.Unknown:
    """Open an envelope. Raises Malformed in upstream's words."""
    if not raw:
        raise protobuf.Malformed("empty data")
    if not raw.startswith(protobuf.MAGIC):
        prefix = " ".join(str(byte) for byte in protobuf.MAGIC)
        why = f"provided data does not appear to be a protobuf message, expected prefix [{prefix}]"
        raise protobuf.Malformed(why)
    if raw == protobuf.MAGIC:
        raise protobuf.Malformed("empty body")
    return protobuf.unwrap(raw)


def _protobuf_options(raw: bytes) -> Object:
    envelope = _unwrapped(raw)
    said = {"apiVersion": envelope.api_version, "kind": envelope.kind}
    if envelope.kind not in ("", "DeleteOptions"):
        return said
    return {**said, **protobuf.decode(_DELETE_OPTIONS, envelope.raw)}


def _check_kind(registry: Registry, call: Call, obj: Object, kind: str, api_version: str) -> None:
    """See that the body is of the kind that the path asks for."""
    resource = call.served.resource
    wanted_kind, wanted_version = kind or resource.kind, api_version or resource.api_version
    found, version = obj.get("kind") or wanted_kind, obj.get("apiVersion") or wanted_version
    if found == wanted_kind and version == wanted_version:
        return
    if found == wanted_kind and _other_home(registry, version, resource, kind):
        raise BadRequest(
            f"the API version in the data ({version}) does not match the expected API version "
            f"({wanted_version})"
        )
    problem = kind_problem(registry, obj, resource, kind, api_version)
    if problem:
        package = version.rpartition("/")[2]
        raise cannot_be_handled(found, package, wanted_kind, problem)


def _check_custom_kind(call: Call, obj: Object, raw: bytes) -> None:
    """A custom resource always says what it is."""
    resource = call.served.resource
    kind, version = obj.get("kind"), obj.get("apiVersion")
    if not kind:
        text = raw.decode(errors="replace")
        raise json.unrecognized(resource.kind, f"Object 'Kind' is missing in '{text}'", raw)
    if version != resource.api_version:
        raise BadRequest(
            f"the API version in the data ({version or ''}) does not match the expected API version "
            f"({resource.api_version})"
        )
    if kind != resource.kind:
        raise wrong_kind(resource, obj)


def _other_home(registry: Registry, version: str, resource: Resource, kind: str) -> bool:
    """Whether `version` is another one in which upstream knows the kind of the resource, or else `kind`."""
    if kind:
        return version in _OTHER_HOMES.get(kind, ())
    if version == "extensions/v1beta1":
        return resource.group in ("apps", "networking.k8s.io", "policy")
    if version == "apiextensions.k8s.io/v1beta1":
        return resource.group == "apiextensions.k8s.io"
    return registry.catalog.find_kind(version, resource.kind) is not None


async def read_options(registry: Registry, request: Request, resource: Resource) -> Object | None:
    """Return the DeleteOptions in a body; None when there is none."""
    raw = await request.read_body()
    if not raw:
        return None
    type = media_type(request)
    if type not in registry.media_types:
        raise _unknown_format(registry)
    try:
        if type == PROTOBUF:
            obj = _protobuf_options(raw)
        elif type == CBOR:
            obj = decode_cbor(raw, "DeleteOptions")
        else:
            obj = json.decode(raw) if type == JSON else yaml.decode(raw)
    except json.JsonError as error:
        raise BadRequest(f"couldn't get version/kind; json parse error: {error}") from None
    except protobuf.Malformed as error:
        raise BadRequest(str(error)) from None
    except yaml.YamlError as error:
        raise BadRequest(error.reason) from None
    if not isinstance(obj, dict):
        raise BadRequest(
            f"couldn't get version/kind; json parse error: json: cannot unmarshal {found_kind(obj)} into Go "
            'value of type struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string '
            '"json:\\"kind,omitempty\\"" }'
        )
    problem = json.type_meta_problem(obj)
    if problem:
        raise BadRequest(problem)
    kind, version = obj.get("kind") or "DeleteOptions", obj.get("apiVersion") or "v1"
    if kind != "DeleteOptions":
        raise BadRequest(
            f'no kind "{kind}" is registered for version "{version}" in scheme '
            '"k8s.io/apimachinery/pkg/apis/meta/internalversion/scheme/register.go:27"'
        )
    try:
        registry.schema_of(_DELETE_OPTIONS).decode(obj)
    except ValueError as error:
        raise BadRequest(str(error)) from None
    if request.audit is not None:
        request.audit.sent({"kind": kind, "apiVersion": version, **obj}, refers=False)
    return obj
