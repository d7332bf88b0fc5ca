"""What is wrong with secrets and config maps, on create and on update."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable

import orjson

from podium.machinery import validation
from podium.machinery.errors import FieldError, Object
from podium.resources.checks import Errors, immutable, metadata_of, named, unchanged

SIZE_BYTES_MAX = 1024 * 1024
SERVICE_ACCOUNT = "kubernetes.io/service-account.name"
_FROZEN = "field is immutable when `immutable` is set"
_REDACTED = "<secret contents redacted>"


def validate_secret(secret: Object) -> Errors:
    """Check a Secret: the keys its type asks for, and its size."""
    errors: Errors = []
    data = secret.get("data") or {}
    for key in data:
        errors += named(f"data[{key}]", key, validation.config_map_key_errors)
    if sum(len(_decoded(value)) for value in data.values()) > SIZE_BYTES_MAX:
        errors.append(FieldError.too_long("data", SIZE_BYTES_MAX))
    check = _BY_TYPE.get(str(secret.get("type") or ""))
    return errors + (check(secret, data) if check is not None else [])


def _decoded(value: object) -> bytes:
    try:
        return base64.b64decode(str(value))
    except (binascii.Error, ValueError):
        return b""


def _service_account_token(secret: Object, _data: Object) -> Errors:
    if (metadata_of(secret).get("annotations") or {}).get(SERVICE_ACCOUNT):
        return []
    return [FieldError.required(f"metadata.annotations[{SERVICE_ACCOUNT}]")]


def _json_key(key: str) -> Callable[[Object, Object], Errors]:
    def check(_secret: Object, data: Object) -> Errors:
        if key not in data:
            return [FieldError.required(f"data[{key}]")]
        fault = _json_object_fault(_decoded(data[key]))
        return [FieldError.invalid(f"data[{key}]", _REDACTED, fault)] if fault else []

    return check


def _json_object_fault(text: bytes) -> str:
    """Return why a text is no JSON object, in the words of Go's decoder for the usual cases."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return _syntax_fault(text.decode(errors="replace"))
    if isinstance(value, dict) or value is None:
        return ""
    kinds = {str: "string", bool: "bool", int: "number", float: "number", list: "array"}
    kind = kinds.get(type(value), "value")
    return f"json: cannot unmarshal {kind} into Go value of type map[string]interface {{}}"


_LITERALS = ("null", "true", "false")


def _syntax_fault(text: str) -> str:
    stripped = text.strip()
    if not stripped:
        return "unexpected end of JSON input"
    for literal in _LITERALS:
        if stripped[0] == literal[0]:
            for expected, found in zip(literal[1:], stripped[1:], strict=False):
                if expected != found:
                    return f"invalid character {found!r} in literal {literal} (expecting {expected!r})"
            return "unexpected end of JSON input"
    if stripped[0] in '{["-0123456789':
        return "unexpected end of JSON input"
    return f"invalid character {stripped[0]!r} looking for beginning of value"


def _basic_auth(_secret: Object, data: Object) -> Errors:
    if "username" in data or "password" in data:
        return []
    return [FieldError.required("data[username]"), FieldError.required("data[password]")]


def _keys(*keys: str) -> Callable[[Object, Object], Errors]:
    def check(_secret: Object, data: Object) -> Errors:
        return [FieldError.required(f"data[{key}]") for key in keys if key not in data]

    return check


def _ssh_auth(_secret: Object, data: Object) -> Errors:
    return [] if data.get("ssh-privatekey") else [FieldError.required("data[ssh-privatekey]")]


_BY_TYPE: dict[str, Callable[[Object, Object], Errors]] = {
    "kubernetes.io/service-account-token": _service_account_token,
    "kubernetes.io/dockercfg": _json_key(".dockercfg"),
    "kubernetes.io/dockerconfigjson": _json_key(".dockerconfigjson"),
    "kubernetes.io/basic-auth": _basic_auth,
    "kubernetes.io/ssh-auth": _ssh_auth,
    "kubernetes.io/tls": _keys("tls.crt", "tls.key"),
}


def validate_secret_update(new: Object, old: Object) -> Errors:
    """Check a changed Secret."""
    return immutable(new, old, "type") + _frozen(new, old, "data") + validate_secret(new)


def _frozen(new: Object, old: Object, *keys: str) -> Errors:
    if not old.get("immutable"):
        return []
    errors: Errors = []
    if not new.get("immutable"):
        errors.append(FieldError.forbidden("immutable", _FROZEN))
    return errors + [
        FieldError.forbidden(key, _FROZEN) for key in keys if not unchanged(new.get(key), old.get(key))
    ]


def validate_config_map(config_map: Object) -> Errors:
    """Check a ConfigMap."""
    errors: Errors = []
    data, binary = config_map.get("data") or {}, config_map.get("binaryData") or {}
    for key in data:
        errors += named(f"data[{key}]", key, validation.config_map_key_errors)
        if key in binary:
            detail = "duplicate of key present in binaryData"
            errors.append(FieldError.invalid(f"data[{key}]", key, detail))
    for key in binary:
        errors += named(f"binaryData[{key}]", key, validation.config_map_key_errors)
    size = sum(len(str(value).encode()) for value in data.values())
    if size + sum(len(_decoded(value)) for value in binary.values()) > SIZE_BYTES_MAX:
        # Upstream names no field here, which its paths show as `[]`.
        errors.append(FieldError.too_long("[]", SIZE_BYTES_MAX))
    return errors


def validate_config_map_update(new: Object, old: Object) -> Errors:
    """Check a changed ConfigMap."""
    return _frozen(new, old, "data", "binaryData") + validate_config_map(new)
