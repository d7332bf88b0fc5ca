"""EncryptionConfiguration (apiserver.config.k8s.io/v1): which resources are encrypted, by whom, with what.

Upstream: apiserver/pkg/apis/apiserver/validation/validation_encryption.go.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from podium.machinery.codec import yaml
from podium.machinery.errors import FieldError, Json, Object

API_VERSION = "apiserver.config.k8s.io/v1"
KIND = "EncryptionConfiguration"
_OF_OLD = ("v1", "EncryptionConfig")
"""What the same was called before 1.13; upstream reads it no more."""
KMS_TIMEOUT_S = 3.0

ProviderKind = Literal["aesgcm", "aescbc", "secretbox", "identity", "kms"]

_KINDS: tuple[ProviderKind, ...] = ("kms", "aesgcm", "aescbc", "secretbox", "identity")
_AES_SIZES, _SECRETBOX_SIZES = (16, 24, 32), (32,)
_SIZES = {"aesgcm": _AES_SIZES, "aescbc": _AES_SIZES, "secretbox": _SECRETBOX_SIZES}
_NOT_SERVED = ("apiserveripinfo", "serviceipallocations", "servicenodeportallocations")
_UNITS_S = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"-?(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h))+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A named key of a provider."""

    name: str
    secret: bytes

    def __repr__(self) -> str:
        return f"Key(name={self.name!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kms:
    """A plugin that keeps the key-encryption key."""

    name: str
    endpoint: str
    timeout_s: float
    version: Literal["v1", "v2"] = "v2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """One way to encrypt; `keys` for those that have keys of their own, `kms` for that one."""

    kind: ProviderKind
    keys: Sequence[Key] = ()
    kms: Kms | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What is done with these resources: the first provider writes, all of them read."""

    resources: Sequence[str]
    providers: Sequence[Provider]


class InvalidConfiguration(ValueError):
    """A file that cannot be meant."""


def parse(content: bytes, path: str, *, kms_v1: bool = False) -> Sequence[Rule]:
    """Return the rules of a file. Raises `InvalidConfiguration` with all that is wrong.

    `kms_v1`: the feature gate of that name is on.
    """
    if not content:
        raise InvalidConfiguration(f'encryption provider configuration file "{path}" is empty')
    try:
        whole = yaml.decode(content)
    except yaml.YamlError as error:
        raise _undecodable(path, str(error)) from None
    if not isinstance(whole, dict):
        raise _undecodable(path, "not an object")
    if (whole.get("apiVersion"), whole.get("kind")) not in ((API_VERSION, KIND), _OF_OLD):
        kind, version = whole.get("kind") or "", whole.get("apiVersion") or ""
        raise _undecodable(path, f'no kind "{kind}" is registered for version "{version}"')
    unknown = _shape(whole)
    if unknown:
        raise _undecodable(path, f"strict decoding error: {', '.join(unknown)}")
    whole = _without_nulls(whole, _SHAPE)
    errors = _validate(whole, kms_v1=kms_v1)
    if errors:
        texts = list(dict.fromkeys(str(error) for error in errors))
        raise InvalidConfiguration(texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]")
    return [_rule(rule) for rule in whole["resources"]]


def _undecodable(path: str, why: str) -> InvalidConfiguration:
    return InvalidConfiguration(f'error decoding encryption provider configuration file "{path}": {why}')


def kms_of(rules: Sequence[Rule]) -> list[Kms]:
    """Return what the rules say of plugins."""
    return [one.kms for rule in rules for one in rule.providers if one.kms is not None]


# --- shape

_KEYS_SHAPE = {"keys": [{"name": str, "secret": str}]}
_SHAPE: Json = {
    "apiVersion": str,
    "kind": str,
    "resources": [
        {
            "resources": [str],
            "providers": [
                {
                    "aesgcm": _KEYS_SHAPE,
                    "aescbc": _KEYS_SHAPE,
                    "secretbox": _KEYS_SHAPE,
                    "identity": {},
                    "kms": {
                        "apiVersion": str,
                        "name": str,
                        "cachesize": int,
                        "endpoint": str,
                        "timeout": str,
                    },
                }
            ],
        }
    ],
}


def _shape(whole: Object) -> list[str]:
    """Return complaints about fields that do not exist or are of another type."""
    complaints: list[str] = []

    def look(value: Json, shape: Json, path: str) -> None:
        if value is None:
            return
        if isinstance(shape, dict):
            if not isinstance(value, dict):
                complaints.append(f'"{path}" is no object')
                return
            for name, inner in value.items():
                at = f"{path}.{name}" if path else name
                if name not in shape:
                    complaints.append(f'unknown field "{at}"')
                else:
                    look(inner, shape[name], at)
        elif isinstance(shape, list):
            if not isinstance(value, list):
                complaints.append(f'"{path}" is no list')
                return
            for index, inner in enumerate(value):
                look(inner, shape[0], f"{path}[{index}]")
        elif type(value) is not shape:
            complaints.append(f'"{path}" is no {"string" if shape is str else "integer"}')

    look(whole, _SHAPE, "")
    return complaints


def _without_nulls(value: Json, shape: Json) -> Json:
    """Return a value of this shape with null as what Go makes of it: nothing, or an empty value."""
    if isinstance(shape, dict):
        return {
            name: _without_nulls(inner, shape[name])
            for name, inner in (value or {}).items()
            # `identity:` is often written with nothing behind it.
            if inner is not None or name == "identity"
        }
    if isinstance(shape, list):
        return [_without_nulls(inner, shape[0]) for inner in value]
    return shape() if value is None else value


# --- validation


def _validate(whole: Object, *, kms_v1: bool) -> list[FieldError]:
    rules = whole.get("resources") or []
    if not rules:
        return [FieldError.required("resources", "at least one resources is required")]
    errors: list[FieldError] = []
    kms_names: set[str] = set()
    for index, rule in enumerate(rules):
        at, providers_at = f"resources[{index}].resources", f"resources[{index}].providers"
        resources = rule.get("resources") or []
        if not resources:
            errors.append(FieldError.required(at, f"at least one {at} is required"))
        errors += _overlaps(resources, at)
        for number, resource in enumerate(resources):
            if why := _wrong_name(resource):
                errors.append(FieldError.invalid(f"{at}[{number}]", resource, why))
        providers = rule.get("providers") or []
        if not providers:
            errors.append(FieldError.required(providers_at, f"at least one {providers_at} is required"))
        for number, provider in enumerate(providers):
            errors += _provider_errors(provider, f"{providers_at}[{number}]", kms_names, kms_v1)
    return errors or _masked(rules)


def _group_resource(text: str) -> tuple[str, str]:
    resource, _, group = text.partition(".")
    return group, resource


def _overlaps(resources: Sequence[str], at: str) -> list[FieldError]:
    errors = []
    if len(set(resources)) < len(resources):
        errors.append(
            FieldError.invalid(at, resources, "the same resource cannot be specified multiple times")
        )
    parsed = [_group_resource(one) for one in dict.fromkeys(resources)]
    stars = {group for group, resource in parsed if resource == "*"}
    everything = ("*", "*") in parsed and len(parsed) > 1
    if everything or any(group in stars and resource != "*" for group, resource in parsed):
        errors.append(
            FieldError.invalid(
                at,
                resources,
                "using overlapping resources such as 'secrets' and '*.' in the same resource list is not "
                "allowed as they will be masked",
            )
        )
    return errors


def _wrong_name(text: str) -> str:
    group, resource = _group_resource(text)
    if text.lower() != text:
        return "resource name should not contain capital letters"
    if text == "*":
        return "use '*.' to encrypt all the resources from core API group or *.* to encrypt all resources"
    if text in _NOT_SERVED:
        return "resources which do not have REST API/s cannot be encrypted"
    if group == "events.k8s.io":
        return (
            "'*.events.k8s.io' objects are stored using the 'events' API group in etcd. Use 'events' instead "
            "in the config file"
        )
    if group == "extensions":
        return "'extensions' group has been removed and cannot be used for encryption"
    if group == "*" and resource != "*":
        return "encrypting the same resource across groups is not supported"
    return ""


def _masked(rules: Sequence[Object]) -> list[FieldError]:
    """Upstream finds out when it builds the providers, and stops at the first."""
    seen: set[str] = set()
    for index, rule in enumerate(rules):
        for number, text in enumerate(rule["resources"]):
            group, _ = _group_resource(text)
            for earlier in (f"*.{group}", "*.*"):
                if earlier in seen:
                    detail = f'resource "{text}" is masked by earlier rule "{earlier}"'
                    return [FieldError.invalid(f"resources[{index}].resources[{number}]", text, detail)]
            seen.add(text)
    return []


def _provider_errors(provider: Object, at: str, kms_names: set[str], kms_v1: bool) -> list[FieldError]:
    found = [kind for kind in _KINDS if kind in provider]
    if not found:
        return [
            FieldError.invalid(
                at,
                sorted(provider),
                "provider does not contain any of the expected providers: KMS, AESGCM, AESCBC, Secretbox, "
                "Identity",
            )
        ]
    if len(found) > 1:
        detail = (
            "more than one provider specified in a single element, should split into different list elements"
        )
        return [FieldError.invalid(at, found, detail)]
    kind = found[0]
    if kind == "kms":
        return _kms_errors(provider["kms"], f"{at}.kms", kms_names, kms_v1)
    if kind == "identity":
        return []
    keys_at = f"{at}.{kind}.keys"
    keys = provider[kind].get("keys") or []
    if not keys:
        return [FieldError.required(keys_at, "at least one keys is required")]
    errors: list[FieldError] = []
    for index, key in enumerate(keys):
        errors += _key_errors(key, f"{keys_at}[{index}]", _SIZES[kind])
    return errors


def _key_errors(key: Object, at: str, sizes: Sequence[int]) -> list[FieldError]:
    errors = []
    if not key.get("name"):
        errors.append(FieldError.required(f"{at}.name", "name is a mandatory field for a key"))
    secret_at = f"{at}.secret"
    if not key.get("secret"):
        return [*errors, FieldError.required(secret_at, "secret is a mandatory field for a key")]
    try:
        size = len(_decoded(key["secret"]))
    except ValueError:
        return [*errors, FieldError.invalid(secret_at, "REDACTED", "secrets must be base64 encoded")]
    if size not in sizes:
        expected = " ".join(map(str, sizes))
        detail = f"secret is not of the expected length, got {size}, expected one of [{expected}]"
        errors.append(FieldError.invalid(secret_at, "REDACTED", detail))
    return errors


def _kms_errors(kms: Object, at: str, names: set[str], kms_v1: bool) -> list[FieldError]:
    errors = []
    name, version = kms.get("name") or "", kms.get("apiVersion") or "v1"
    if not name:
        errors.append(FieldError.required(f"{at}.name", "name is a mandatory field for a provider"))
    if version != "v1" and ":" in name:
        detail = f"invalid KMS provider name {name}, must not contain ':'"
        errors.append(FieldError.invalid(f"{at}.name", name, detail))
    if name in names:
        # Upstream lets v1 names be the same where the file is not followed; nothing is gained by it.
        detail = f"duplicate KMS provider name {name}, names must be unique"
        errors.append(FieldError.invalid(f"{at}.name", name, detail))
    names.add(name)
    timeout = kms.get("timeout")
    if timeout is not None and (_duration_s(timeout) or 0) <= 0:
        errors.append(FieldError.invalid(f"{at}.timeout", timeout, "timeout should be a positive value"))
    endpoint = kms.get("endpoint") or ""
    if not endpoint:
        errors.append(FieldError.invalid(f"{at}.endpoint", "", "endpoint is a mandatory field for a kms"))
    elif detail := _wrong_endpoint(endpoint):
        errors.append(FieldError.invalid(f"{at}.endpoint", endpoint, detail))
    if kms.get("cachesize") == 0 and version == "v1":
        detail = "cachesize should be a positive value, or negative to disable"
        errors.append(FieldError.invalid(f"{at}.cachesize", 0, detail))
    if kms.get("cachesize") is not None and version != "v1":
        detail = "cachesize is not supported in v2"
        errors.append(FieldError.invalid(f"{at}.cachesize", kms["cachesize"], detail))
    if version not in ("v1", "v2"):
        detail = "unsupported apiVersion apiVersion for KMS provider, only v1 and v2 are supported"
        errors.append(FieldError.invalid(f"{at}.apiVersion", version, detail))
    if version == "v1" and not kms_v1:
        detail = (
            "KMSv1 is deprecated and will only receive security updates going forward. Use KMSv2 instead.  "
            "Set --feature-gates=KMSv1=true to use the deprecated KMSv1 feature."
        )
        errors.append(FieldError.invalid(f"{at}.apiVersion", version, detail))
    return errors


def _wrong_endpoint(endpoint: str) -> str:
    try:
        scheme = urlsplit(endpoint).scheme
    except ValueError as error:
        return f"invalid endpoint for kms provider, error: {error}"
    return (
        "" if scheme == "unix" else f'unsupported scheme "{scheme}" for KMS provider, only unix is supported'
    )


# --- values


def _rule(rule: Object) -> Rule:
    return Rule(resources=rule["resources"], providers=[_provider(one) for one in rule["providers"]])


def _provider(provider: Object) -> Provider:
    kind = next(kind for kind in _KINDS if kind in provider)
    if kind == "identity":
        return Provider(kind=kind)
    told: Object = provider[kind]
    if kind == "kms":
        timeout_s = _duration_s(told["timeout"]) if told.get("timeout") else None
        return Provider(
            kind=kind,
            kms=Kms(
                name=told["name"],
                endpoint=told["endpoint"],
                timeout_s=timeout_s or KMS_TIMEOUT_S,
                version=told.get("apiVersion") or "v1",
            ),
        )
    keys = [Key(name=key["name"], secret=_decoded(key["secret"])) for key in told["keys"]]
    return Provider(kind=kind, keys=keys)


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text.replace("\n", "").replace("\r", ""), validate=True)
    except binascii.Error as error:
        raise ValueError("no base64") from error


def _duration_s(text: str) -> float | None:
    """Return the seconds of a Go duration; None for what is none."""
    if not _DURATION.fullmatch(text):
        return None
    parts = re.findall(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)", text)
    total = sum(float(number) * _UNITS_S[unit] for number, unit in parts)
    return -total if text.startswith("-") else total
