"""The file that `--audit-policy-file` names: audit.k8s.io/v1, Kind=Policy.

A field that nobody knows is warned of and passed over, as upstream does; a value of the wrong type, and
whatever upstream's validation refuses, is an error. Upstream: apiserver/pkg/audit/policy/reader.go and
pkg/apis/audit/validation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from podium.apiserver.audit.levels import BY_WORD, STAGES
from podium.apiserver.audit.policy import GroupResources, Policy, Rule, Ruling
from podium.base.log import Log
from podium.machinery.codec import yaml
from podium.machinery.errors import FieldError, Object
from podium.machinery.validation import dns1123_subdomain_errors

API_VERSION = "audit.k8s.io/v1"
KIND = "Policy"

_STRINGS = "strings"
_POLICY = {
    "apiVersion": str,
    "kind": str,
    "metadata": dict,
    "rules": list,
    "omitStages": _STRINGS,
    "omitManagedFields": bool,
}
_RULE = {
    "level": str,
    "users": _STRINGS,
    "userGroups": _STRINGS,
    "verbs": _STRINGS,
    "resources": list,
    "namespaces": _STRINGS,
    "nonResourceURLs": _STRINGS,
    "omitStages": _STRINGS,
    "omitManagedFields": bool,
}
_GROUP_RESOURCES = {"group": str, "resources": _STRINGS, "resourceNames": _STRINGS}
_WORDS = {str: "string", bool: "bool", list: "array", dict: "object", _STRINGS: "array of strings"}

_log = Log("podium.apiserver.audit")


def load(path: str) -> Policy:
    """Return the policy in a file. Raises ValueError, in upstream's words, for one that cannot be used."""
    try:
        raw = Path(path).read_bytes()
    except OSError as error:
        raise ValueError(f'failed to read file path "{path}": {error.strerror}') from None
    try:
        return parse(raw)
    except ValueError as error:
        raise ValueError(f"{error}: from file {path}") from None


def parse(raw: bytes) -> Policy:
    """Return the policy in a YAML or JSON text. Raises ValueError."""
    try:
        value = yaml.decode(raw)
    except yaml.YamlError as error:
        raise ValueError(f"failed decoding: {error}") from None
    if not isinstance(value, dict):
        raise ValueError("failed decoding: the policy is no object")
    found = f"{value.get('apiVersion') or ''}, Kind={value.get('kind') or ''}"
    if value.get("apiVersion") != API_VERSION:
        raise ValueError(f"unknown group version field {found} in policy")
    if value.get("kind") != KIND:
        raise ValueError(f"failed decoding: expected {API_VERSION}, Kind={KIND}, got {found}")
    unknown: list[str] = []
    _check_types(value, unknown)
    for field in unknown:
        _log.warning("the audit policy has a field that nobody knows", field=field)
    if errors := validate(value):
        told = list(map(str, errors))
        raise ValueError(told[0] if len(told) == 1 else f"[{', '.join(told)}]")
    rules = value.get("rules") or ()
    if not rules:
        raise ValueError("loaded illegal policy with 0 rules")
    return Policy([_rule(rule, value) for rule in rules])


# --- types


def _check_types(policy: Object, unknown: list[str]) -> None:
    """Raise ValueError for the first value of a wrong type; collect the fields that are no fields."""
    _check_fields(policy, _POLICY, "", unknown)
    for index, rule in enumerate(policy.get("rules") or ()):
        path = f"rules[{index}]"
        _check_fields(rule, _RULE, path, unknown)
        for at, group in enumerate(rule.get("resources") or ()):
            _check_fields(group, _GROUP_RESOURCES, f"{path}.resources[{at}]", unknown)


def _check_fields(value: Any, fields: Mapping[str, Any], path: str, unknown: list[str]) -> None:
    if not isinstance(value, dict):
        raise ValueError(f"failed decoding: {path} must be an object")
    for key, one in value.items():
        where = f"{path}.{key}" if path else str(key)
        if key not in fields:
            unknown.append(where)
        elif one is not None and not _is(one, fields[key]):
            raise ValueError(f"failed decoding: {where} must be of type {_WORDS[fields[key]]}")


def _is(value: Any, wanted: Any) -> bool:
    if wanted is _STRINGS:
        return isinstance(value, list) and all(isinstance(one, str) for one in value)
    return isinstance(value, wanted)


# --- values


def validate(policy: Object) -> list[FieldError]:
    """Return what is wrong with a policy whose types are right. Pure."""
    errors = _stage_errors(policy.get("omitStages"), "omitStages")
    for index, rule in enumerate(policy.get("rules") or ()):
        errors += _rule_errors(rule, f"rules[{index}]")
    return errors


def _rule_errors(rule: Object, path: str) -> list[FieldError]:
    level, urls = rule.get("level") or "", rule.get("nonResourceURLs") or []
    errors: list[FieldError] = []
    if not level:
        errors.append(FieldError.required(f"{path}.level"))
    elif level not in BY_WORD:
        errors.append(FieldError.not_supported(f"{path}.level", level, tuple(BY_WORD)))
    errors += _url_errors(urls, f"{path}.nonResourceURLs")
    errors += _resource_errors(rule.get("resources") or (), f"{path}.resources")
    errors += _stage_errors(rule.get("omitStages"), f"{path}.omitStages")
    if urls and (rule.get("resources") or rule.get("namespaces")):
        detail = "rules cannot apply to both regular resources and non-resource URLs"
        errors.append(FieldError.invalid(f"{path}.nonResourceURLs", urls, detail))
    return errors


def _url_errors(urls: Sequence[str], path: str) -> list[FieldError]:
    errors = []
    for index, url in enumerate(urls):
        if url == "*":
            continue
        where = f"{path}[{index}]"
        if not url.startswith("/"):
            detail = "non-resource URL rules must begin with a '/' character"
            errors.append(FieldError.invalid(where, url, detail))
        if "*" in url[:-1]:
            detail = "non-resource URL wildcards '*' must be the final character of the rule"
            errors.append(FieldError.invalid(where, url, detail))
    return errors


def _resource_errors(groups: Iterable[Object], path: str) -> list[FieldError]:
    # Upstream's paths leave out which element it is.
    errors = []
    for one in groups:
        group, names = one.get("group") or "", one.get("resourceNames") or []
        if group not in ("", "*") and (wrong := dns1123_subdomain_errors(group)):
            errors.append(FieldError.invalid(f"{path}.group", group, ",".join(wrong)))
        if names and not one.get("resources"):
            detail = "using resourceNames requires at least one resource"
            errors.append(FieldError.invalid(f"{path}.resourceNames", names, detail))
    return errors


def _stage_errors(stages: Sequence[str] | None, path: str) -> list[FieldError]:
    allowed = f"allowed stages are {','.join(STAGES)}"
    return [
        FieldError.invalid(f"{path}[{index}]", stage, allowed)
        for index, stage in enumerate(stages or ())
        if stage not in STAGES
    ]


# --- from the file's form to rules


def _rule(rule: Object, policy: Object) -> Rule:
    omits = rule.get("omitManagedFields")
    return Rule(
        ruling=Ruling(
            level=BY_WORD[rule["level"]],
            omitted=frozenset((*(policy.get("omitStages") or ()), *(rule.get("omitStages") or ()))),
            omits_managed_fields=bool(policy.get("omitManagedFields") if omits is None else omits),
        ),
        users=frozenset(rule.get("users") or ()),
        user_groups=frozenset(rule.get("userGroups") or ()),
        verbs=frozenset(rule.get("verbs") or ()),
        resources=tuple(
            GroupResources(
                group=one.get("group") or "",
                resources=tuple(one.get("resources") or ()),
                names=tuple(one.get("resourceNames") or ()),
            )
            for one in rule.get("resources") or ()
        ),
        namespaces=frozenset(rule.get("namespaces") or ()),
        paths=tuple(rule.get("nonResourceURLs") or ()),
    )
