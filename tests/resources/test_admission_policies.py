"""What upstream says of admission policies and bindings that are wrong."""

from __future__ import annotations

from typing import Any

import pytest

from podium.machinery.errors import Object
from podium.machinery.meta import deep_copy
from podium.resources.admissionregistration.mutatingadmissionpolicies import MUTATINGADMISSIONPOLICIES
from podium.resources.admissionregistration.mutatingadmissionpolicybindings import (
    MUTATINGADMISSIONPOLICYBINDINGS,
)
from podium.resources.admissionregistration.validatingadmissionpolicies import VALIDATINGADMISSIONPOLICIES
from podium.resources.admissionregistration.validatingadmissionpolicybindings import (
    VALIDATINGADMISSIONPOLICYBINDINGS,
)
from tests.resources.refusals import faults

RULE = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}


def validating(**spec: Any) -> Object:
    made = {
        "matchConstraints": {"resourceRules": [deep_copy(RULE)]},
        "validations": [{"expression": "true"}],
        **spec,
    }
    obj: Object = {"metadata": {"name": "p"}, "spec": made}
    VALIDATINGADMISSIONPOLICIES.defaults(obj)
    return obj


def mutating(**spec: Any) -> Object:
    apply = {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": "Object{}"}}
    made = {
        "matchConstraints": {"resourceRules": [deep_copy(RULE)]},
        "mutations": [apply],
        "reinvocationPolicy": "Never",
        **spec,
    }
    obj: Object = {"metadata": {"name": "p"}, "spec": made}
    MUTATINGADMISSIONPOLICIES.defaults(obj)
    return obj


def told(errors: Any) -> list[str]:
    return [str(error) for error in errors]


def test_good_ones_are_good() -> None:
    assert told(VALIDATINGADMISSIONPOLICIES.validate(validating())) == []
    assert told(MUTATINGADMISSIONPOLICIES.validate(mutating())) == []


CASES = [
    (
        {"failurePolicy": "No"},
        'spec.failurePolicy: Unsupported value: "No": supported values: "Fail", "Ignore"',
    ),
    ({"matchConstraints": {}}, "spec.matchConstraints.resourceRules: Required value"),
    (
        {"paramKind": {"apiVersion": "a/b/c", "kind": "K"}},
        'spec.paramKind.apiVersion: Invalid value: "a/b/c": unexpected GroupVersion string: a/b/c',
    ),
    (
        {"paramKind": {"apiVersion": "example.com/", "kind": "K"}},
        'spec.paramKind.apiVersion: Invalid value: "example.com/": version must be specified',
    ),
    ({"paramKind": {"apiVersion": "v1", "kind": ""}}, "spec.paramKind.kind: Required value"),
    (
        {"variables": [{"name": "for", "expression": "1"}]},
        'spec.variables[0].name: Invalid value: "for": must be a valid CEL identifier',
    ),
    (
        {"variables": [{"name": "a", "expression": " "}]},
        "spec.variables[0].expression: Required value: expression is not specified",
    ),
    (
        {"matchConditions": [{"name": "a", "expression": "1"}]},
        'spec.matchConditions[0].expression: Invalid value: "1": must evaluate to bool but got int',
    ),
    (
        {"matchConditions": [{"name": "a", "expression": "true"}, {"name": "a", "expression": "true"}]},
        'spec.matchConditions[1].name: Duplicate value: "a"',
    ),
]


@pytest.mark.parametrize(("spec", "message"), CASES)
def test_what_both_kinds_have(spec: Object, message: str) -> None:
    assert message in told(VALIDATINGADMISSIONPOLICIES.validate(validating(**deep_copy(spec))))
    assert message in told(MUTATINGADMISSIONPOLICIES.validate(mutating(**deep_copy(spec))))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            {"validations": []},
            "spec.validations: Required value: "
            "validations or auditAnnotations must contain at least one item",
        ),
        (
            {"validations": [{"expression": "true", "messageExpression": " "}]},
            'spec.validations[0].messageExpression: Invalid value: " ": must be non-empty if specified',
        ),
        (
            {"validations": [{"expression": "true", "message": "a\nb"}]},
            'spec.validations[0].message: Invalid value: "a\\nb": must not contain line breaks',
        ),
        (
            {"validations": [{"expression": "true", "reason": "Why"}]},
            'spec.validations[0].reason: Unsupported value: "Why": supported values: "Forbidden", "Invalid", '
            '"RequestEntityTooLarge"',
        ),
        (
            {"validations": [{"expression": "true", "messageExpression": "authorizer.path('/')"}]},
            "spec.validations[0].messageExpression: Invalid value: \"authorizer.path('/')\": "
            "compilation failed: ERROR: <input>:1:1: undeclared reference to 'authorizer' (in container '')\n"
            " | authorizer.path('/')\n | ^",
        ),
        (
            {"auditAnnotations": [{"key": "a", "valueExpression": "1"}]},
            'spec.auditAnnotations[0].valueExpression: Invalid value: "1": must evaluate to one of '
            "[string null_type] but got int",
        ),
        (
            {"auditAnnotations": [{"key": "a", "valueExpression": "'1'"}] * 2},
            'spec.auditAnnotations[1].key: Duplicate value: "a"',
        ),
    ],
)
def test_validating_policies(spec: Object, message: str) -> None:
    assert message in told(VALIDATINGADMISSIONPOLICIES.validate(validating(**spec)))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"mutations": []}, "spec.mutations: Required value: mutations must contain at least one item"),
        ({"reinvocationPolicy": ""}, "spec.reinvocationPolicy: Required value"),
        (
            {"matchConstraints": {"resourceRules": [{**RULE, "operations": ["DELETE"]}]}},
            'spec.matchConstraints.resourceRules.operations: Unsupported value: "DELETE": supported values: '
            '"*", "CONNECT", "CREATE", "UPDATE"',
        ),
    ],
)
def test_mutating_policies(spec: Object, message: str) -> None:
    assert message in told(MUTATINGADMISSIONPOLICIES.validate(mutating(**spec)))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"policyName": ""}, "spec.policyName: Required value"),
        ({"paramRef": {}}, "spec.paramRef: Required value: one of name or selector must be specified"),
        (
            {"paramRef": {"name": "a", "selector": {}, "parameterNotFoundAction": "Deny"}},
            "spec.paramRef.selector: Forbidden: name and selector are mutually exclusive",
        ),
        (
            {"paramRef": {"name": "a"}},
            "spec.paramRef.parameterNotFoundAction: Required value",
        ),
        (
            {"matchResources": {"excludeResourceRules": [{**RULE, "resourceNames": ["a", "a"]}]}},
            'spec.matchResources.excludeResourceRules[0].resourceNames[1]: Duplicate value: "a"',
        ),
    ],
)
def test_bindings(spec: Object, message: str) -> None:
    for resource in (VALIDATINGADMISSIONPOLICYBINDINGS, MUTATINGADMISSIONPOLICYBINDINGS):
        obj: Object = {"spec": {"policyName": "p", "validationActions": ["Deny"], **deep_copy(spec)}}
        resource.defaults(obj)
        assert message in told(resource.validate(obj))


def test_conditions_that_stay_are_not_looked_at_again() -> None:
    old = validating(matchConditions=[{"name": "a", "expression": "nonsense"}])
    new = deep_copy(old)
    new["spec"]["validations"].append({"expression": "1 == 1"})
    assert told(VALIDATINGADMISSIONPOLICIES.validate(old)) != []
    assert told(VALIDATINGADMISSIONPOLICIES.validate_update(new, old)) == []
    new["spec"]["matchConditions"].append({"name": "b", "expression": "true"})
    assert told(VALIDATINGADMISSIONPOLICIES.validate_update(new, old)) != []


@pytest.mark.parametrize(
    ("expression", "fault"),
    [
        ("[JSONPatch{op: 'remove', path: '/a'}]", ""),
        ("has(object.spec) ? [JSONPatch{op: 'remove', path: '/a'}] : []", ""),
        ("[]", "must evaluate to list(JSONPatch) but got list(dyn)"),
        ("[dyn(1)]", "must evaluate to list(JSONPatch) but got list(dyn)"),
    ],
)
def test_patches_are_a_list_of_patches(expression: str, fault: str) -> None:
    rules = [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"]}]
    policy = {
        "metadata": {"name": "p"},
        "spec": {
            "matchConstraints": {"resourceRules": rules},
            "reinvocationPolicy": "Never",
            "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}],
        },
    }
    found = faults(MUTATINGADMISSIONPOLICIES, policy)
    assert [f.split(": ", 2)[-1].endswith(fault) for f in found] == ([True] if fault else [])
