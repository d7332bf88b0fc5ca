"""What is wrong with flow schemas and priority levels.

Upstream: pkg/apis/flowcontrol/validation/validation.go.
"""

from __future__ import annotations

import math

from podium.machinery import validation
from podium.machinery.errors import FieldError, Json, Object
from podium.machinery.meta import dict_or_none
from podium.resources.checks import Errors, metadata_of, named, objects, required_name, same, spec_of
from podium.resources.defaulting import given
from podium.resources.flowcontrol.mandatory import LEVEL_SPECS, SCHEMA_SPECS

PRECEDENCE_MAX = 10000
_EXEMPT = "exempt"
_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch")
_SUBJECTS = {"ServiceAccount": "serviceAccount", "User": "user", "Group": "group"}
_METHODS = ("ByNamespace", "ByUser")
_QUEUES_MAX = 10_000_000
_HASH_BITS_MAX = 60
_ZERO_SHARES = "flowcontrol.k8s.io/v1beta3-preserve-zero-concurrency-shares"


def validate_schema(schema: Object) -> Errors:
    """Check a FlowSchema."""
    name, spec = str(metadata_of(schema).get("name") or ""), spec_of(schema)
    errors: Errors = []
    path, precedence = "spec.matchingPrecedence", spec.get("matchingPrecedence") or 0
    if precedence <= 0:
        errors.append(FieldError.invalid(path, precedence, "must be a positive value"))
    if precedence > PRECEDENCE_MAX:
        errors.append(FieldError.invalid(path, precedence, f"must not be greater than {PRECEDENCE_MAX}"))
    if precedence == 1 and name != _EXEMPT:
        detail = "only the schema named 'exempt' may have matchingPrecedence 1"
        errors.append(FieldError.invalid(path, precedence, detail))
    method = given(spec, "distinguisherMethod")
    if method is not None and method.get("type") not in _METHODS:
        errors.append(FieldError.not_supported("spec.distinguisherMethod.type", method, _METHODS))
    level = (given(spec, "priorityLevelConfiguration") or {}).get("name")
    path = "spec.priorityLevelConfiguration.name"
    if not level:
        errors.append(FieldError.required(path, "must reference a priority level"))
    else:
        errors += named(path, level, validation.dns1123_subdomain_errors)
    for index, rule in enumerate(objects(spec.get("rules"))):
        errors += _rule(rule, f"spec.rules[{index}]")
    if name in SCHEMA_SPECS and not same(spec, SCHEMA_SPECS[name]):
        errors.append(FieldError.invalid("spec", spec, f"spec of '{name}' must equal the fixed value"))
    return errors + _conditions(schema)


def _rule(rule: Object, path: str) -> Errors:
    errors: Errors = []
    subjects = objects(rule.get("subjects"))
    if not subjects:
        detail = "subjects must contain at least one value"
        errors.append(FieldError.required(f"{path}.subjects", detail))
    for index, subject in enumerate(subjects):
        errors += _subject(subject, f"{path}.subjects[{index}]")
    resources, others = objects(rule.get("resourceRules")), objects(rule.get("nonResourceRules"))
    if not resources and not others:
        detail = "at least one of resourceRules and nonResourceRules has to be non-empty"
        errors.append(FieldError.required(path, detail))
    for index, resource in enumerate(resources):
        errors += _resource_rule(resource, f"{path}.resourceRules[{index}]")
    for index, other in enumerate(others):
        errors += _path_rule(other, f"{path}.nonResourceRules[{index}]")
    return errors


def _subject(subject: Object, path: str) -> Errors:
    kind = str(subject.get("kind") or "")
    own = _SUBJECTS.get(kind)
    if own is None:
        return [FieldError.not_supported(f"{path}.kind", kind, sorted(_SUBJECTS))]
    who = given(subject, own)
    here = f"{path}.{own}"
    if who is None:
        errors = [FieldError.required(here, f"{own} is required when subject kind is '{kind}'")]
    elif kind == "ServiceAccount":
        errors = _service_account(who, here)
    else:
        errors = [] if who.get("name") else [FieldError.required(f"{here}.name")]
    for other_kind, other in reversed(_SUBJECTS.items()):
        if other != own and given(subject, other) is not None:
            detail = f"{other} is forbidden when subject kind is not '{other_kind}'"
            errors.append(FieldError.forbidden(f"{path}.{other}", detail))
    return errors


def _service_account(account: Object, path: str) -> Errors:
    name, namespace = account.get("name"), account.get("namespace")
    errors: Errors = []
    if name != "*":
        errors += required_name(f"{path}.name", name, validation.dns1123_subdomain_errors)
    if namespace:
        errors += named(f"{path}.namespace", namespace, validation.dns1123_label_errors)
    else:
        detail = "must specify namespace for service account"
        errors.append(FieldError.required(f"{path}.namespace", detail))
    return errors


def _resource_rule(rule: Object, path: str) -> Errors:
    errors = _verbs(rule, path)
    for key, what, others in (
        ("apiGroups", "api group", "api groups"),
        ("resources", "resource", "resources"),
    ):
        values = rule.get(key) or []
        if not values:
            detail = f"resource rules must supply at least one {what}"
            errors.append(FieldError.required(f"{path}.{key}", detail))
        errors += _alone(values, f"{path}.{key}", others)
    namespaces, here = rule.get("namespaces") or [], f"{path}.namespaces"
    if not namespaces and not rule.get("clusterScope"):
        detail = "resource rules that are not cluster scoped must supply at least one namespace"
        errors.append(FieldError.required(here, detail))
    elif "*" in namespaces:
        errors += _alone(namespaces, here, "namespaces")
    else:
        intro = "each member of this list must be '*' or a DNS-1123 label; "
        for index, namespace in enumerate(namespaces):
            faults = [intro + fault for fault in validation.dns1123_label_errors(namespace)]
            errors += validation.invalid_each(f"{here}[{index}]", namespace, faults)
    return errors


def _path_rule(rule: Object, path: str) -> Errors:
    errors = _verbs(rule, path)
    urls, here = rule.get("nonResourceURLs") or [], f"{path}.nonResourceURLs"
    if not urls:
        errors.append(FieldError.required(here, "nonResourceURLs must contain at least one value"))
    elif "*" in urls:
        errors += _alone(urls, here, "non-resource URLs")
    else:
        for index, url in enumerate(urls):
            fault = _url_fault(str(url))
            if fault:
                errors.append(FieldError.invalid(f"{here}[{index}]", url, fault))
    return errors


def _verbs(rule: Object, path: str) -> Errors:
    verbs, here = rule.get("verbs") or [], f"{path}.verbs"
    if not verbs:
        return [FieldError.required(here, "verbs must contain at least one value")]
    if "*" in verbs:
        return _alone(verbs, here, "verbs")
    return [] if set(verbs) <= set(_VERBS) else [FieldError.not_supported(here, verbs, _VERBS)]


def _alone(values: list[str], path: str, what: str) -> Errors:
    if "*" in values and len(values) > 1:
        return [FieldError.invalid(path, values, f"if '*' is present, must not specify other {what}")]
    return []


def _url_fault(url: str) -> str:
    if not url:
        return "must not be empty"
    if url == "/":
        return ""
    if not url.startswith("/"):
        return "must start with slash"
    if " " in url:
        return "must not contain white-space"
    if "//" in url:
        return "must not contain double slash"
    if url.count("*") > 1 or ("*" in url and not url.endswith("/*")):
        return "wildcard can only do suffix matching"
    return ""


def validate_level(level: Object) -> Errors:
    """Check a PriorityLevelConfiguration."""
    metadata, spec = metadata_of(level), spec_of(level)
    name, kind = str(metadata.get("name") or ""), str(spec.get("type") or "")
    errors: Errors = []
    if _ZERO_SHARES in (metadata.get("annotations") or {}):
        detail = f"annotation '{_ZERO_SHARES}' is forbidden"
        errors.append(FieldError.forbidden("metadata.annotations", detail))
    if (name == _EXEMPT) != (kind == "Exempt"):
        detail = "must be 'Exempt' if and only if `name` is 'exempt'"
        errors.append(FieldError.invalid("spec.type", kind, detail))
    limited, exempt = given(spec, "limited"), given(spec, "exempt")
    if kind == "Exempt":
        if limited is not None:
            detail = "must be nil if the type is not Limited"
            errors.append(FieldError.forbidden("spec.limited", detail))
        if exempt is not None:
            errors += _shares(exempt, "spec.exempt") + _lendable(exempt, "spec.exempt")
    elif kind == "Limited":
        if exempt is not None:
            errors.append(FieldError.forbidden("spec.exempt", "must be nil if the type is Limited"))
        if limited is None:
            errors.append(FieldError.required("spec.limited", "must not be empty when type is Limited"))
        else:
            errors += _limited(limited, "spec.limited")
    else:
        errors.append(FieldError.not_supported("spec.type", kind, ("Exempt", "Limited")))
    return errors + _mandatory_level(name, spec) + _conditions(level)


def _mandatory_level(name: str, spec: Object) -> Errors:
    fixed = LEVEL_SPECS.get(name)
    if fixed is None:
        return []
    if name == _EXEMPT:
        if same({**spec, "exempt": None}, {**fixed, "exempt": None}):
            return []
        detail = f"spec of '{name}' except the 'spec.exempt' field must equal the fixed value"
        return [FieldError.invalid("spec", spec, detail)]
    if same(spec, fixed):
        return []
    return [FieldError.invalid("spec", spec, f"spec of '{name}' must equal the fixed value")]


def _limited(limited: Object, path: str) -> Errors:
    errors = _shares(limited, path)
    response, here = given(limited, "limitResponse") or {}, f"{path}.limitResponse"
    queuing = given(response, "queuing")
    match response.get("type"):
        case "Reject":
            if queuing is not None:
                detail = "must be nil if limited.limitResponse.type is not Limited"
                errors.append(FieldError.forbidden(f"{here}.queuing", detail))
        case "Queue":
            if queuing is None:
                detail = "must not be empty if limited.limitResponse.type is Limited"
                errors.append(FieldError.required(f"{here}.queuing", detail))
            else:
                errors += _queuing(queuing, f"{here}.queuing")
        case other:
            errors.append(FieldError.not_supported(f"{here}.type", other or "", ("Queue", "Reject")))
    errors += _lendable(limited, path)
    borrowing = limited.get("borrowingLimitPercent")
    if borrowing is not None and borrowing < 0:
        detail = "if specified, must be a non-negative integer"
        errors.append(FieldError.invalid(f"{path}.borrowingLimitPercent", borrowing, detail))
    return errors


def _shares(level: Object, path: str) -> Errors:
    shares = level.get("nominalConcurrencyShares") or 0
    if shares >= 0:
        return []
    path = f"{path}.nominalConcurrencyShares"
    return [FieldError.invalid(path, shares, "must be a non-negative integer")]


def _lendable(level: Object, path: str) -> Errors:
    percent = level.get("lendablePercent")
    if percent is None or 0 <= percent <= 100:
        return []
    detail = "must be between 0 and 100, inclusive"
    return [FieldError.invalid(f"{path}.lendablePercent", percent, detail)]


def _queuing(queuing: Object, path: str) -> Errors:
    queues, hand, length = (queuing.get(key) or 0 for key in ("queues", "handSize", "queueLengthLimit"))

    def wrong(key: str, value: Json, detail: str) -> FieldError:
        return FieldError.invalid(f"{path}.{key}", value, detail)

    errors: Errors = []
    if length <= 0:
        errors.append(wrong("queueLengthLimit", length, "must be positive"))
    if queues <= 0:
        errors.append(wrong("queues", queues, "must be positive"))
    elif queues > _QUEUES_MAX:
        errors.append(wrong("queues", queues, f"must not be greater than {_QUEUES_MAX}"))
    if hand <= 0:
        errors.append(wrong("handSize", hand, "must be positive"))
    elif hand > queues:
        errors.append(wrong("handSize", hand, f"should not be greater than queues ({queues})"))
    elif math.ceil(math.log2(queues) * hand) > _HASH_BITS_MAX:
        detail = (
            f"required entropy bits of deckSize {queues} and handSize {hand} should not be greater than "
            f"{_HASH_BITS_MAX}"
        )
        errors.append(wrong("handSize", hand, detail))
    return errors


def validate_status(new: Object, _old: Object) -> Errors:
    """Check the status of either kind."""
    return _conditions(new)


def _conditions(obj: Object) -> Errors:
    status = dict_or_none(obj.get("status")) or {}
    errors: Errors = []
    seen: set[str] = set()
    for index, condition in enumerate(objects(status.get("conditions"))):
        kind, path = str(condition.get("type") or ""), f"status.conditions[{index}].type"
        if kind in seen:
            errors.append(FieldError.duplicate(path, kind))
        seen.add(kind)
        if not kind:
            errors.append(FieldError.required(path))
    return errors
