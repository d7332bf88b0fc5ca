"""apply: server-side apply, which creates what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from podium.apiserver.registry.call import Call
from podium.apiserver.registry.create import create
from podium.apiserver.registry.decode import DecodeError, prune
from podium.apiserver.registry.fields import ignored, translator
from podium.apiserver.registry.registry import Registry
from podium.apiserver.registry.result import Result
from podium.apiserver.registry.update import check_name, conflict, modify
from podium.machinery.codec import yaml
from podium.machinery.errors import BadRequest, Object, PlainError
from podium.machinery.golang import found_kind
from podium.machinery.managed_fields import fields_of
from podium.machinery.meta import deep_copy
from podium.machinery.patch import apply as server_side


async def apply(registry: Registry, call: Call, config: Config, *, force: bool) -> Result:
    """Apply the configuration as the call's field manager. Raises `Conflict`."""
    if registry.entry(call.served, call.namespace, call.name) is None and not call.subresource:
        await registry.authorize_create(call)
        obj = _applied(registry, call, None, config, force=force)
        obj["metadata"].pop("resourceVersion", None)
        return await create(registry, call, obj, tracked=True)

    async def transform(old: Object) -> Object:
        return _applied(registry, call, old, config, force=force)

    return await modify(registry, call, transform, tracked=True)


@dataclass(frozen=True, slots=True)
class Config:
    """The configuration in an apply's body, and what is wrong with its text."""

    value: Object
    duplicates: Sequence[str] = ()

    def complain(self, call: Call) -> None:
        """Warn of keys that occur twice, or refuse them; upstream does so when all else is well."""
        if not self.duplicates or call.field_validation == "Ignore":
            return
        if call.field_validation == "Strict":
            why = f"error converting YAML to JSON: {self.duplicates[0]}"
            raise BadRequest(f"error strict decoding YAML: {why}")
        for part in yaml.complaints(self.duplicates[0]):
            call.warn(part)


def decode_config(raw: bytes, *, cbor: bool = False) -> Config:
    """Return the configuration in an apply's body: YAML, which JSON is too, or CBOR. Raises `BadRequest`."""
    if cbor:
        return Config(_decode_cbor(raw))
    try:
        config, duplicates = yaml.decode_strictly(raw)
    except yaml.YamlError as error:
        raise BadRequest(f"error decoding YAML: {error}") from None
    if config is None:
        return Config({})
    if not isinstance(config, dict):
        what = f"json: cannot unmarshal {found_kind(config)} into Go value of type map[string]interface {{}}"
        raise BadRequest(f"error decoding YAML: error unmarshaling JSON: while decoding JSON: {what}")
    return Config(config, duplicates)


def _decode_cbor(raw: bytes) -> Object:
    # Loaded only where somebody sends it.
    from podium.machinery.codec import cbor  # noqa: PLC0415

    try:
        config = cbor.decode(raw)
    except cbor.CborError as error:
        raise BadRequest(f"error decoding CBOR: {error}") from None
    if config is None:
        return {}
    if not isinstance(config, dict):
        raise BadRequest("error decoding CBOR: not an object")
    return config


def _applied(registry: Registry, call: Call, old: Object | None, config: Config, *, force: bool) -> Object:
    resource = call.served.resource
    result = server_side.apply(
        old,
        config.value,
        manager=call.field_manager,
        force=force,
        api_version=resource.api_version,
        kind=resource.kind,
        now=registry.clock.now(),
        schema=registry.schema_of(resource.schema),
        subresource=call.subresource,
        ignored=ignored(call),
        translate=translator(registry, call, old) or fields_of,
    )
    config.complain(call)
    new: Object = deep_copy(result)
    if old is None and (uid := (new.get("metadata") or {}).get("uid")):
        why = f"uid mismatch: the provided object specified uid {uid}, and no existing object was found"
        raise conflict(call, why)
    try:
        prune(registry, call, new, (), resource.schema)
    except DecodeError as error:
        kind = f"{resource.group}/{resource.version}, Kind={resource.kind}"
        name = (config.value.get("metadata") or {}).get("name") or ""
        namespace = (config.value.get("metadata") or {}).get("namespace") or ""
        raise PlainError(
            f"failed to convert new object ({namespace}/{name}; {kind}) to proper version: unable to convert "
            f"unstructured object to {kind}: {error.conversion}"
        ) from None
    new["kind"], new["apiVersion"] = resource.kind, resource.api_version
    new.setdefault("metadata", {})
    resource.defaults(new)
    check_name(call, new)
    registry.schema_of(resource.schema).complete(new)
    return new
