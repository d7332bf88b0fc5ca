"""The chain of authorizers as a file describes it: AuthorizationConfiguration of apiserver.config.k8s.io.

Flags are put into the same form. Upstream: apiserver/pkg/apis/apiserver, pkg/kubeapiserver/authorizer.
"""

from __future__ import annotations

import stat
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from podium.apiserver.authz.messages import aggregate
from podium.machinery import durations
from podium.machinery.errors import FieldError, Object
from podium.machinery.golang import plain
from podium.machinery.validation import dns1123_subdomain_errors

if TYPE_CHECKING:
    from podium.apiserver.authz.conditions import Condition

MODES = ("ABAC", "AlwaysAllow", "AlwaysDeny", "Node", "RBAC", "Webhook")
KIND = "AuthorizationConfiguration"
GROUP = "apiserver.config.k8s.io"
API_VERSIONS = (f"{GROUP}/v1", f"{GROUP}/v1beta1", f"{GROUP}/v1alpha1")
TIMEOUT_MAX_S = 30.0
AUTHORIZED_TTL_S = 300.0
UNAUTHORIZED_TTL_S = 30.0
_REVIEW_VERSIONS = ("v1", "v1beta1")
_DURATIONS = ("timeout", "authorizedTTL", "unauthorizedTTL")

_WEBHOOK = {
    **dict.fromkeys(_DURATIONS, "string"),
    "cacheAuthorizedRequests": "bool",
    "cacheUnauthorizedRequests": "bool",
    "subjectAccessReviewVersion": "string",
    "matchConditionSubjectAccessReviewVersion": "string",
    "failurePolicy": "string",
    "connectionInfo": {"type": "string", "kubeConfigFile": "string"},
    "matchConditions": [{"expression": "string"}],
}
_DECLARED = {"authorizers": [{"type": "string", "name": "string", "webhook": _WEBHOOK}]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """How one webhook is asked."""

    timeout_s: float = 30.0
    authorized_ttl_s: float = AUTHORIZED_TTL_S
    """0: what it allows is not kept."""
    unauthorized_ttl_s: float = UNAUTHORIZED_TTL_S
    version: str = "v1beta1"
    """Of the reviews sent to it."""
    denies_on_error: bool = False
    """When it fails, the request is denied; otherwise the next authorizer is asked."""
    kubeconfig: str = ""
    """Where it is; empty: the cluster's own API server, as seen from a pod."""
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizerConfig:
    """One authorizer of the chain."""

    type: str
    name: str
    webhook: Webhook | None = None


def of_modes(modes: Sequence[str], webhook: Webhook | None = None) -> tuple[AuthorizerConfig, ...]:
    """Return the chain that `--authorization-mode` names."""
    return tuple(
        AuthorizerConfig(type=mode, name="default", webhook=webhook)
        if mode == "Webhook"
        else AuthorizerConfig(type=mode, name=mode.lower())
        for mode in modes
    )


def parse(data: bytes, *, version: str, required: Collection[str] = ()) -> tuple[AuthorizerConfig, ...]:
    """Return the chain in the text of a file. Raises ValueError in upstream's words.

    `version` is the Kubernetes version whose expressions count; `required` are types that may not be missing,
    because they were there when the server started.
    """
    from podium.apiserver import config_file  # noqa: PLC0415 - most chains come from flags

    try:
        value = config_file.decode(data, KIND, _DECLARED, API_VERSIONS)
        authorizers = [_defaulted(one) for one in value.get("authorizers") or ()]
    except ValueError as error:
        raise ValueError(f"failed to load {KIND} from file: {error}") from None
    made, errors = _validated(authorizers, version)
    if errors:
        raise ValueError(aggregate(map(str, errors)))
    wrong = [
        f"expected name {one.type.lower()} for authorizer {one.type} instead of {one.name}"
        for one in made
        if one.type != "Webhook" and one.name != one.type.lower()
    ]
    missing = sorted(set(required) - {one.type for one in made})
    if missing:
        wrong.append(f"missing required types: [{' '.join(missing)}]")
    if wrong:
        raise ValueError(aggregate(wrong))
    return made


def _defaulted(authorizer: Object) -> Object:
    """Return an authorizer with durations in seconds and with what is left out filled in."""
    webhook = authorizer.get("webhook")
    if webhook is None:
        return authorizer
    whole: Object = {"cacheAuthorizedRequests": True, "cacheUnauthorizedRequests": True, **webhook}
    for key in _DURATIONS:
        whole[key] = durations.parse_s(whole[key]) if key in whole else 0.0
    whole["authorizedTTL"] = whole["authorizedTTL"] or AUTHORIZED_TTL_S
    whole["unauthorizedTTL"] = whole["unauthorizedTTL"] or UNAUTHORIZED_TTL_S
    return {**authorizer, "webhook": whole}


def _validated(
    authorizers: Sequence[Object], version: str
) -> tuple[tuple[AuthorizerConfig, ...], list[FieldError]]:
    made: list[AuthorizerConfig] = []
    errors: list[FieldError] = []
    if not authorizers:
        errors.append(FieldError.required("authorizers", "at least one authorization mode must be defined"))
    types: set[str] = set()
    names: set[str] = set()
    for index, one in enumerate(authorizers):
        path, type_, name = f"authorizers[{index}]", one.get("type") or "", one.get("name") or ""
        if wrong := _type_error(path, type_, types):
            errors.append(wrong)
            continue
        types.add(type_)
        errors += _name_errors(f"{path}.name", name, names)
        names.add(name)
        webhook = None
        if type_ != "Webhook":
            if one.get("webhook") is not None:
                detail = "may only be specified when type=Webhook"
                errors.append(FieldError.invalid(f"{path}.webhook", "non-null", detail))
        elif one.get("webhook") is None:
            errors.append(FieldError.required(f"{path}.webhook", "required when type=Webhook"))
        else:
            webhook, found = _webhook(path, one["webhook"], version)
            errors += found
        made.append(AuthorizerConfig(type=type_, name=name, webhook=webhook))
    return tuple(made), errors


def _type_error(path: str, type_: str, seen: Collection[str]) -> FieldError | None:
    if not type_:
        return FieldError.required(f"{path}.type")
    if type_ not in MODES:
        return FieldError.not_supported(f"{path}.type", type_, MODES)
    if type_ in seen and type_ != "Webhook":
        return FieldError.duplicate(f"{path}.type", type_)
    return None


def _name_errors(path: str, name: str, seen: Collection[str]) -> list[FieldError]:
    if not name:
        return [FieldError.required(path)]
    if name in seen:
        return [FieldError.duplicate(path, name)]
    wrong = dns1123_subdomain_errors(name)
    if wrong:
        return [FieldError.invalid(path, name, f"authorizer name is invalid: {', '.join(wrong)}")]
    return []


def _webhook(path: str, webhook: Object, version: str) -> tuple[Webhook, list[FieldError]]:
    from podium.apiserver.authz.conditions import compile_all  # noqa: PLC0415 - loads the compiler's types

    conditions, wrong = compile_all(webhook.get("matchConditions") or (), path, version=version)
    errors = [*_time_errors(path, webhook), *_version_errors(path, webhook)]
    policy = webhook.get("failurePolicy") or ""
    errors += _choice_errors(f"{path}.failurePolicy", policy, ("NoOpinion", "Deny"))
    errors += _connection_errors(f"{path}.connectionInfo", webhook.get("connectionInfo") or {})
    return (
        Webhook(
            timeout_s=webhook["timeout"],
            authorized_ttl_s=webhook["authorizedTTL"] if webhook["cacheAuthorizedRequests"] else 0.0,
            unauthorized_ttl_s=webhook["unauthorizedTTL"] if webhook["cacheUnauthorizedRequests"] else 0.0,
            version=webhook.get("subjectAccessReviewVersion") or "",
            denies_on_error=policy == "Deny",
            kubeconfig=(webhook.get("connectionInfo") or {}).get("kubeConfigFile") or "",
            conditions=conditions,
        ),
        [*errors, *wrong],
    )


def _time_errors(path: str, webhook: Object) -> list[FieldError]:
    errors: list[FieldError] = []
    timeout = webhook["timeout"]
    if timeout == 0:
        errors.append(FieldError.required(f"{path}.timeout"))
    elif not 0 < timeout <= TIMEOUT_MAX_S:
        detail = "must be > 0s and <= 30s"
        errors.append(FieldError.invalid(f"{path}.timeout", durations.shown(timeout), detail))
    for key in ("authorizedTTL", "unauthorizedTTL"):
        if webhook[key] < 0:
            errors.append(FieldError.invalid(f"{path}.{key}", durations.shown(webhook[key]), "must be > 0s"))
    return errors


def _version_errors(path: str, webhook: Object) -> list[FieldError]:
    version = webhook.get("subjectAccessReviewVersion") or ""
    errors = _choice_errors(f"{path}.subjectAccessReviewVersion", version, _REVIEW_VERSIONS)
    where = f"{path}.matchConditionSubjectAccessReviewVersion"
    matched = webhook.get("matchConditionSubjectAccessReviewVersion") or ""
    if matched:
        errors += _choice_errors(where, matched, ("v1",))
    elif webhook.get("matchConditions"):
        errors.append(FieldError.required(where, "required if match conditions are specified"))
    return errors


def _choice_errors(path: str, value: str, choices: Sequence[str]) -> list[FieldError]:
    if not value:
        return [FieldError.required(path)]
    return [] if value in choices else [FieldError.not_supported(path, value, choices)]


def _connection_errors(path: str, connection: Object) -> list[FieldError]:
    file, where = connection.get("kubeConfigFile"), f"{path}.kubeConfigFile"
    match connection.get("type") or "":
        case "":
            return [FieldError.required(f"{path}.type")]
        case "InClusterConfig":
            if file is not None:
                return [FieldError.invalid(where, file, "can only be set when type=KubeConfigFile")]
        case "KubeConfigFile":
            if not file:
                return [FieldError.required(where)]
            return _file_errors(where, file)
        case _:
            shown = plain({"KubeConfigFile": file or None, "Type": connection["type"]})
            return [FieldError.not_supported(f"{path}.type", shown, ("InClusterConfig", "KubeConfigFile"))]
    return []


def _file_errors(path: str, file: str) -> list[FieldError]:
    if not file.startswith("/"):
        return [FieldError.invalid(path, file, "must be an absolute path")]
    try:
        mode = Path(file).stat().st_mode
    except OSError as error:
        detail = f"error loading file: stat {file}: {(error.strerror or '').lower()}"
        return [FieldError.invalid(path, file, detail)]
    return [] if stat.S_ISREG(mode) else [FieldError.invalid(path, file, "must be a regular file")]
