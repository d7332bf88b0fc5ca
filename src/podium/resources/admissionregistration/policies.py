"""What is wrong with admission policies of both kinds, and with their bindings.

Upstream: pkg/apis/admissionregistration/validation.
"""

from __future__ import annotations

import re

from podium.machinery import validation
from podium.machinery.errors import FieldError, Json, Object
from podium.resources.admissionregistration.expressions import (
    BOOLEAN,
    JSON_PATCHES,
    OBJECT,
    TEXT,
    TEXT_OR_NULL,
    Compiler,
    Scope,
)
from podium.resources.admissionregistration.match_conditions import expression_errors, match_condition_errors
from podium.resources.admissionregistration.validation import rule_errors
from podium.resources.checks import Errors, named, objects, spec_of
from podium.resources.defaulting import given

ANNOTATIONS_MAX = 20
ANNOTATION_BYTES_MAX = 5 * 1024
ACTIONS = ("Audit", "Deny", "Warn")
REASONS = ("Forbidden", "Invalid", "RequestEntityTooLarge")
_MUTATING_OPERATIONS = ("*", "CONNECT", "CREATE", "UPDATE")
_REINVOCATION = ("IfNeeded", "Never")
_IDENTIFIER = re.compile(r"[_a-zA-Z][_a-zA-Z0-9]*", re.ASCII)
_RESERVED = frozenset(
    (
        *("true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function", "if"),
        *("import", "let", "loop", "package", "namespace", "return", "var", "void", "while"),
    )
)


# --- validating policies


def validate_validating_policy(policy: Object) -> Errors:
    """Check a ValidatingAdmissionPolicy."""
    return _validating(policy, check_conditions=True)


def validate_validating_policy_update(new: Object, old: Object) -> Errors:
    """As `validate_validating_policy`; conditions that stay as they are are not looked at again."""
    return _validating(new, check_conditions=_conditions_change(new, old))


def _validating(policy: Object, *, check_conditions: bool) -> Errors:
    spec, path = spec_of(policy), "spec"
    compiler = Compiler(composed=bool(spec.get("variables")))
    errors = _common(spec, compiler, check_conditions=check_conditions)
    scope = Scope(params=given(spec, "paramKind") is not None)
    validations, annotations = objects(spec.get("validations")), objects(spec.get("auditAnnotations"))
    if not validations and not annotations:
        detail = "validations or auditAnnotations must contain at least one item"
        return [
            *errors,
            FieldError.required(f"{path}.validations", detail),
            FieldError.required(f"{path}.auditAnnotations", detail),
        ]
    for index, one in enumerate(validations):
        errors += _validation(one, compiler, scope, f"{path}.validations[{index}]")
    if len(annotations) > ANNOTATIONS_MAX:
        detail = f"must not have more than {ANNOTATIONS_MAX} auditAnnotations"
        errors.append(FieldError.invalid(f"{path}.auditAnnotations", annotations, detail))
    name, keys = str((policy.get("metadata") or {}).get("name") or ""), set[str]()
    for index, one in enumerate(annotations):
        here = f"{path}.auditAnnotations[{index}]"
        errors += _annotation(one, name, compiler, scope, here)
        key = str(one.get("key") or "")
        if key in keys:
            errors.append(FieldError.duplicate(f"{here}.key", key))
        keys.add(key)
    return errors


def _validation(one: Object, compiler: Compiler, scope: Scope, path: str) -> Errors:
    text = str(one.get("expression") or "")
    if not text.strip():
        errors: Errors = [FieldError.required(f"{path}.expression", "expression is not specified")]
    else:
        errors = expression_errors(compiler, text, scope, BOOLEAN, f"{path}.expression")
    message = str(one.get("messageExpression") or "")
    if message and not message.strip():
        detail = "must be non-empty if specified"
        errors.append(FieldError.invalid(f"{path}.messageExpression", message, detail))
    elif message:
        without = Scope(params=scope.params, authorizer=False)
        errors += expression_errors(compiler, message, without, TEXT, f"{path}.messageExpression")
    plain = str(one.get("message") or "")
    if plain and not plain.strip():
        errors.append(FieldError.invalid(f"{path}.message", plain, "must be non-empty if specified"))
    elif re.search(r"[\n\r]", plain.strip()):
        errors.append(FieldError.invalid(f"{path}.message", plain, "must not contain line breaks"))
    reason = one.get("reason")
    if reason is not None and reason not in REASONS:
        errors.append(FieldError.not_supported(f"{path}.reason", reason, REASONS))
    return errors


def _annotation(one: Object, policy: str, compiler: Compiler, scope: Scope, path: str) -> Errors:
    key, text = str(one.get("key") or ""), str(one.get("valueExpression") or "")
    if policy:
        whole = f"{policy}/{key}"
        errors = named(f"{path}.key", whole, validation.qualified_name_errors)
    else:
        errors = [FieldError.invalid(f"{path}.key", key, "requires metadata.name be non-empty")]
    here, trimmed = f"{path}.valueExpression", text.strip()
    if not trimmed:
        errors.append(FieldError.required(here, "valueExpression is not specified"))
    elif len(trimmed.encode()) > ANNOTATION_BYTES_MAX:
        detail = f"must not exceed {ANNOTATION_BYTES_MAX} bytes in length"
        errors.append(FieldError.required(here, detail))
    else:
        errors += expression_errors(compiler, trimmed, scope, TEXT_OR_NULL, here, shown=text)
    return errors


def validate_validating_policy_status(new: Object, _old: Object) -> Errors:
    """Check the status of a ValidatingAdmissionPolicy."""
    status, errors = new.get("status") or {}, list[FieldError]()
    path = "status.typeChecking.expressionWarnings"
    for index, warning in enumerate(objects((status.get("typeChecking") or {}).get("expressionWarnings"))):
        errors += [
            FieldError.required(f"{path}[{index}].{key}")
            for key in ("warning", "fieldRef")
            if not str(warning.get(key) or "").strip()
        ]
    return errors + validation.validate_conditions(objects(status.get("conditions")), "status.conditions")


# --- mutating policies


def validate_mutating_policy(policy: Object) -> Errors:
    """Check a MutatingAdmissionPolicy."""
    return _mutating(policy, check_conditions=True)


def validate_mutating_policy_update(new: Object, old: Object) -> Errors:
    """As `validate_mutating_policy`; see `validate_validating_policy_update`."""
    return _mutating(new, check_conditions=_conditions_change(new, old))


def _mutating(policy: Object, *, check_conditions: bool) -> Errors:
    spec, path = spec_of(policy), "spec"
    compiler = Compiler(composed=True)
    errors = _common(spec, compiler, check_conditions=check_conditions, operations=_MUTATING_OPERATIONS)
    scope = Scope(params=given(spec, "paramKind") is not None, mutation=True)
    mutations = objects(spec.get("mutations"))
    if not mutations:
        detail = "mutations must contain at least one item"
        errors.append(FieldError.required(f"{path}.mutations", detail))
    for index, one in enumerate(mutations):
        errors += _mutation(one, compiler, scope, f"{path}.mutations[{index}]")
    again = spec.get("reinvocationPolicy")
    if not again:
        errors.append(FieldError.required(f"{path}.reinvocationPolicy"))
    elif again not in _REINVOCATION:
        errors.append(FieldError.not_supported(f"{path}.reinvocationPolicy", again, _REINVOCATION))
    return errors


_PATCHES = {
    "ApplyConfiguration": ("applyConfiguration", OBJECT),
    "JSONPatch": ("jsonPatch", JSON_PATCHES),
}


def _mutation(one: Object, compiler: Compiler, scope: Scope, path: str) -> Errors:
    kind = one.get("patchType")
    if not kind:
        return [FieldError.required(f"{path}.patchType")]
    if kind not in _PATCHES:
        return [FieldError.not_supported(f"{path}.patchType", kind, tuple(_PATCHES))]
    errors: Errors = []
    key, returns = _PATCHES[kind]
    patch = given(one, key)
    if patch is None:
        errors.append(FieldError.required(f"{path}.{key}", f"must be specified when patchType is {kind}"))
    else:
        text, here = str(patch.get("expression") or "").strip(), f"{path}.{key}.expression"
        if not text:
            errors.append(FieldError.required(here))
        else:
            errors += expression_errors(compiler, text, scope, returns, here)
    for other, _ in _PATCHES.values():
        if other != key and given(one, other) is not None:
            detail = f"must not be specified when patchType is {kind}"
            errors.append(FieldError.invalid(f"{path}.{other}", f"{{{other}}}", detail))
    return errors


# --- what both have


def _conditions_change(new: Object, old: Object) -> bool:
    return any(spec_of(new).get(key) != spec_of(old).get(key) for key in ("paramKind", "matchConditions"))


def _common(
    spec: Object, compiler: Compiler, *, check_conditions: bool, operations: tuple[str, ...] = ()
) -> Errors:
    """Check what policies of both kinds have, up to their variables. `operations`: the only ones, if any."""
    path, errors = "spec", list[FieldError]()
    failure = spec.get("failurePolicy")
    if failure is None:
        errors.append(FieldError.required(f"{path}.failurePolicy"))
    elif failure not in ("Fail", "Ignore"):
        errors.append(FieldError.not_supported(f"{path}.failurePolicy", failure, ("Fail", "Ignore")))
    params = given(spec, "paramKind")
    if params is not None:
        errors += _param_kind(params, f"{path}.paramKind")
    match, here = given(spec, "matchConstraints"), f"{path}.matchConstraints"
    if match is None:
        errors.append(FieldError.required(here))
    else:
        errors += match_errors(match, here)
        if not match.get("resourceRules"):
            errors.append(FieldError.required(f"{here}.resourceRules"))
        if operations:
            errors += _other_operations(match, here, operations)
    scope = Scope(params=params is not None)
    if check_conditions:
        errors += match_condition_errors(spec.get("matchConditions"), scope, f"{path}.matchConditions")
    for index, variable in enumerate(objects(spec.get("variables"))):
        errors += _variable(variable, compiler, scope, f"{path}.variables[{index}]")
    return errors


def _variable(variable: Object, compiler: Compiler, scope: Scope, path: str) -> Errors:
    name, text = str(variable.get("name") or ""), str(variable.get("expression") or "")
    errors: Errors = []
    if not name.strip():
        errors.append(FieldError.required(f"{path}.name", "name is not specified"))
    elif not _IDENTIFIER.fullmatch(name) or name in _RESERVED:
        errors.append(FieldError.invalid(f"{path}.name", name, "must be a valid CEL identifier"))
    if not text.strip():
        errors.append(FieldError.required(f"{path}.expression", "expression is not specified"))
        return errors
    compiled = compiler.add(name, text, scope)
    if compiled.error:
        errors.append(FieldError.invalid(f"{path}.expression", text, compiled.error))
    return errors


def _param_kind(params: Object, path: str) -> Errors:
    version, kind = str(params.get("apiVersion") or ""), str(params.get("kind") or "")
    here, errors = f"{path}.apiVersion", list[FieldError]()
    group, slash, short = version.rpartition("/")
    if not version:
        errors.append(FieldError.required(here))
    elif version.count("/") > 1:
        errors.append(FieldError.invalid(here, version, f"unexpected GroupVersion string: {version}"))
    else:
        if group and (faults := validation.dns1123_subdomain_errors(group)):
            errors.append(FieldError.invalid(here, group, ",".join(faults)))
        if not short or (slash and version == "/"):
            errors.append(FieldError.invalid(here, version, "version must be specified"))
        elif faults := validation.dns1035_label_errors(short):
            errors.append(FieldError.invalid(here, short, ",".join(faults)))
    if not kind:
        errors.append(FieldError.required(f"{path}.kind"))
    elif faults := validation.dns1035_label_errors(kind.lower()):
        detail = "may have mixed case, but should otherwise match: " + ",".join(faults)
        errors.append(FieldError.invalid(f"{path}.kind", kind, detail))
    return errors


def match_errors(match: Object, path: str) -> Errors:
    """Check which requests a policy or a binding is about."""
    errors: Errors = []
    policy = match.get("matchPolicy")
    if policy is None:
        errors.append(FieldError.required(f"{path}.matchPolicy"))
    elif policy not in ("Equivalent", "Exact"):
        errors.append(FieldError.not_supported(f"{path}.matchPolicy", policy, ("Equivalent", "Exact")))
    for key in ("namespaceSelector", "objectSelector"):
        selector = given(match, key)
        if selector is None:
            errors.append(FieldError.required(f"{path}.{key}"))
        else:
            errors += validation.validate_label_selector(selector, f"{path}.{key}")
    for key in ("resourceRules", "excludeResourceRules"):
        for index, rule in enumerate(objects(match.get(key))):
            errors += _named_rule(rule, f"{path}.{key}[{index}]")
    return errors


def _named_rule(rule: Object, path: str) -> Errors:
    names, errors = list[str](rule.get("resourceNames") or ()), list[FieldError]()
    for index, name in enumerate(names):
        here = f"{path}.resourceNames[{index}]"
        errors += named(here, name, validation.path_segment_errors)
        if name in names[:index]:
            errors.append(FieldError.duplicate(here, name))
    return errors + rule_errors(rule, path)


# --- bindings


def validate_validating_binding(binding: Object) -> Errors:
    """Check a ValidatingAdmissionPolicyBinding."""
    spec = spec_of(binding)
    return _binding(spec) + _actions(spec.get("validationActions") or [], "spec.validationActions")


def validate_mutating_binding(binding: Object) -> Errors:
    """Check a MutatingAdmissionPolicyBinding."""
    spec = spec_of(binding)
    match = given(spec, "matchResources") or {}
    return _binding(spec) + _other_operations(match, "spec.matchResources", _MUTATING_OPERATIONS)


def _other_operations(match: Object, path: str, operations: tuple[str, ...]) -> Errors:
    return [
        FieldError.not_supported(f"{path}.resourceRules.operations", one, operations)
        for rule in objects(match.get("resourceRules"))
        for one in rule.get("operations") or ()
        if one not in operations
    ]


def _binding(spec: Object) -> Errors:
    name = str(spec.get("policyName") or "")
    if not name:
        errors: Errors = [FieldError.required("spec.policyName")]
    else:
        errors = named("spec.policyName", name, validation.dns1123_subdomain_errors)
    reference = given(spec, "paramRef")
    if reference is not None:
        errors += _param_ref(reference, "spec.paramRef")
    match = given(spec, "matchResources")
    if match is not None:
        errors += match_errors(match, "spec.matchResources")
    return errors


def _param_ref(reference: Object, path: str) -> Errors:
    name, selector = str(reference.get("name") or ""), given(reference, "selector")
    exclusive, errors = "name and selector are mutually exclusive", list[FieldError]()
    if name:
        errors += named(f"{path}.name", name, validation.path_segment_errors)
        if selector is not None:
            errors.append(FieldError.forbidden(f"{path}.name", exclusive))
    if selector is not None:
        errors += validation.validate_label_selector(selector, f"{path}.selector")
        if name:
            errors.append(FieldError.forbidden(f"{path}.selector", exclusive))
    if not name and selector is None:
        errors.append(FieldError.required(path, "one of name or selector must be specified"))
    action, here = reference.get("parameterNotFoundAction"), f"{path}.parameterNotFoundAction"
    if not action:
        errors.append(FieldError.required(here))
    elif action not in ("Deny", "Allow"):
        errors.append(FieldError.not_supported(here, action, ("Deny", "Allow")))
    return errors


def _actions(actions: list[Json], path: str) -> Errors:
    errors: Errors = []
    for index, action in enumerate(actions):
        if action not in ACTIONS:
            errors.append(FieldError.not_supported(f"{path}[{index}]", action, ACTIONS))
        if action in actions[:index]:
            errors.append(FieldError.duplicate(f"{path}[{index}]", action))
    if {"Deny", "Warn"} <= set(actions):
        detail = (
            "must not contain both Deny and Warn (repeating the same validation failure information in the "
            "API response and headers serves no purpose)"
        )
        errors.append(FieldError.invalid(path, actions, detail))
    if not actions:
        errors.append(FieldError.required(path, "at least one validation action is required"))
    return errors
