"""Validating policies: rules, variables, parameters, actions, failures; upstream's conformance tests."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import orjson
import pytest

from podium.apiserver.authz.selectors import selection
from podium.apiserver.chain import Decision, RequestInfo, User
from podium.apiserver.registry.call import Call
from podium.machinery.errors import Object
from podium.resources.core.configmaps import CONFIGMAPS as RESOURCE
from tests.apiserver.admission.policies.building import (
    DEPLOYMENTS,
    VALIDATING,
    VALIDATING_BINDINGS,
    binding,
    deployment,
    enforce,
    expression,
    policy,
)
from tests.apiserver.admission.webhooks import hooks as harness
from tests.apiserver.admission.webhooks.hooks import CONFIGMAPS, PODS, Hooks, config_map, pod, rule, run
from tests.apiserver.harness import Api

HEAD = "ValidatingAdmissionPolicy 'p' with binding 'p-b' denied request: "


async def verdict(running: Api, obj: Object, path: str = CONFIGMAPS) -> str:
    """Return why `obj` may not be created, "" when it may."""
    status, body = await running.call("POST", f"{path}?dryRun=All", obj)
    if status == 201:
        return ""
    message: str = body["message"]
    assert HEAD in message, body
    return message.partition(HEAD)[2]


def test_should_validate_against_a_deployment(tmp_path: Path) -> None:
    async def test(running: Api, _hooks: Hooks) -> None:
        rules = [rule("deployments", group="apps")]
        replicas = expression(
            "object.spec.replicas > 1", messageExpression="'wants replicas > 1, got ' + object.spec.replicas"
        )
        inside = expression("namespaceObject.metadata.name == 'default'", message="another namespace")
        await enforce(running, policy("p", replicas, inside, rules=rules))
        # The message cannot be made of a string and a number, so the expression stands in for it.
        assert await verdict(running, deployment("one", 1), DEPLOYMENTS) == (
            "failed expression: object.spec.replicas > 1"
        )
        assert await verdict(running, deployment("two", 2), DEPLOYMENTS) == ""

    run(tmp_path, test)


def test_should_allow_expressions_to_refer_variables(tmp_path: Path) -> None:
    async def test(running: Api, _hooks: Hooks) -> None:
        made = policy(
            "p",
            expression("variables.replicas > 1"),
            expression("variables.oddReplicas"),
            rules=[rule("deployments", group="apps")],
            variables=[
                {"name": "replicas", "expression": "object.spec.replicas"},
                {"name": "oddReplicas", "expression": "variables.replicas % 2 == 1"},
            ],
        )
        await enforce(running, made)
        assert await verdict(running, deployment("a", 1), DEPLOYMENTS) != ""
        assert await verdict(running, deployment("a", 2), DEPLOYMENTS) == (
            "failed expression: variables.oddReplicas"
        )
        assert await verdict(running, deployment("a", 3), DEPLOYMENTS) == ""

    run(tmp_path, test)


VERDICTS = [
    pytest.param(expression("object.metadata.name == 'a'"), "", id="kept"),
    pytest.param(expression("oldObject == null && object != null"), "", id="old-object"),
    pytest.param(expression("false", message=" not so "), "not so", id="message"),
    pytest.param(
        expression("false", message="not so", messageExpression="object.metadata.name + '!'"),
        "a!",
        id="message-expression",
    ),
    pytest.param(
        expression("false", message="not so", messageExpression="string(object.nosuch)"),
        "not so",
        id="message-expression-fails",
    ),
    pytest.param(
        expression("false", messageExpression="'two\\nlines'"), "failed expression: false", id="two-lines"
    ),
    pytest.param(expression("request.operation == 'CREATE'"), "", id="request"),
    pytest.param(expression("request.namespace == 'default' && request.name == 'a'"), "", id="name"),
    pytest.param(expression("request.userInfo.username == 'system:anonymous'"), "", id="user"),
    pytest.param(expression("request.resource.resource == 'configmaps' && request.dryRun"), "", id="kind"),
    pytest.param(expression("!has(request.subResource)"), "", id="no-subresource"),
    pytest.param(
        expression("object.nosuch == 1"),
        "expression 'object.nosuch == 1' resulted in error: no such key: nosuch",
        id="error",
    ),
    pytest.param(expression("authorizer.requestResource.check('create').allowed()"), "", id="authorizer"),
]


@pytest.mark.parametrize(("validation", "expected"), VERDICTS)
def test_verdicts(tmp_path: Path, validation: Object, expected: str) -> None:
    async def test(running: Api, _hooks: Hooks) -> None:
        await enforce(running, policy("p", validation))
        assert await verdict(running, config_map("a")) == expected

    run(tmp_path, test)


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("Forbidden", 403),
        ("RequestEntityTooLarge", 413),
        ("Invalid", 422),
        (None, 422),
    ],
)
def test_reasons(tmp_path: Path, reason: str, code: int) -> None:
    async def test(running: Api, _hooks: Hooks) -> None:
        await enforce(running, policy("p", expression("false", **({"reason": reason} if reason else {}))))
        status, body = await running.call("POST", CONFIGMAPS, config_map("a"))
        assert (status, body["code"], body["reason"]) == (code, code, reason or "Invalid")
        assert body["message"] == f'configmaps "a" is forbidden: {HEAD}failed expression: false'
        assert body["details"]["causes"] == [{"message": f"{HEAD}failed expression: false"}]

    run(tmp_path, test)


@pytest.mark.parametrize(
    ("failure", "text", "expected"),
    [
        pytest.param("Fail", "object.nosuch == 1", "no such key", id="fails"),
        pytest.param("Ignore", "object.nosuch == 1", "", id="ignored"),
        pytest.param("Ignore", "false", "failed expression: false", id="a-verdict-is-no-failure"),
        pytest.param(
            "Fail",
            f"'{'a' * 1000}'.split('').all(x, '{'b' * 1000}'.split('').all(y, x != y))",
            "operation cancelled: actual cost limit exceeded",
            id="too-expensive",
        ),
    ],
)
def test_failures(tmp_path: Path, failure: str, text: str, expected: str) -> None:
    async def test(running: Api, _hooks: Hooks) -> None:
        await enforce(running, policy("p", expression(text), failurePolicy=failure))
        found = await verdict(running, config_map("a"))
        assert expected in found
        assert bool(found) is bool(expected)

    run(tmp_path, test)


def test_all_rules_share_a_budget(tmp_path: Path) -> None:
    many = "[1,2,3,4,5,6,7,8,9,10]"
    dear = f"{many}.all(a, {many}.all(b, {many}.all(c, {many}.all(d, {many}.all(e, a + b + c + d + e > 0)))))"

    async def test(running: Api, _hooks: Hooks) -> None:
        await enforce(running, policy("p", *(expression(f"{dear} || {i} == 0") for i in range(30))))
        assert await verdict(running, config_map("a")) == (
            "validation failed due to running out of cost budget, no further validation rules will be run"
        )

    run(tmp_path, test)


def test_variables_are_lazy(tmp_path: Path) -> None:
    async def test(running: Api, _hooks: Hooks) -> None:
        made = policy(
            "p",
            expression("true || variables.broken == 1"),
            expression("has(variables.fine) && variables.fine == 2"),
            variables=[
                {"name": "broken", "expression": "object.nosuch"},
                {"name": "fine", "expression": "1 + 1"},
            ],
        )
        await enforce(running, made)
        assert await verdict(running, config_map("a")) == ""
        made["spec"]["validations"] = [expression("variables.broken == 1")]
        stored = await running.ok("GET", f"{VALIDATING}/p")
        stored["spec"]["validations"] = [expression("variables.broken == 1")]
        await running.ok("PUT", f"{VALIDATING}/p", stored)
        assert await verdict(running, config_map("a")) == (
            "expression 'variables.broken == 1' resulted in error: composited variable \"broken\" fails to "
            "evaluate: no such key: nosuch"
        )

    run(tmp_path, test)


@pytest.mark.parametrize(
    ("conditions", "failure", "expected"),
    [
        pytest.param(["object.metadata.name == 'a'"], "Fail", "failed expression: false", id="matches"),
        pytest.param(["true", "object.metadata.name == 'b'"], "Fail", "", id="does-not"),
        pytest.param(["object.nosuch == 1", "false"], "Fail", "", id="false-decides"),
        pytest.param(["object.nosuch == 1", "true"], "Fail", "no such key: nosuch", id="error"),
        pytest.param(["object.nosuch == 1", "true"], "Ignore", "", id="ignored-error"),
        pytest.param(["variables.v"], "Fail", "", id="variables-are-not-theirs"),
    ],
)
def test_match_conditions(tmp_path: Path, conditions: list[str], failure: str, expected: str) -> None:
    async def test(running: Api, _hooks: Hooks) -> None:
        made = policy(
            "p",
            expression("false"),
            failurePolicy=failure,
            matchConditions=[{"name": f"c{i}", "expression": text} for i, text in enumerate(conditions)],
        )
        if "variables.v" in conditions:
            status, body = await running.call("POST", VALIDATING, made)
            assert status == 422
            assert "undeclared reference to 'variables'" in body["message"]
            return
        await enforce(running, made)
        found = await verdict(running, config_map("a"))
        assert expected in found
        assert bool(found) is bool(expected)

    run(tmp_path, test)


# --- parameters


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        pytest.param({"name": "limits"}, "not m1", id="by-name-in-the-objects-namespace"),
        pytest.param({"name": "limits", "namespace": "other"}, "not o1", id="in-another-namespace"),
        pytest.param({"selector": {"matchLabels": {"kind": "limits"}}}, "not m1", id="by-selector"),
        pytest.param(
            {"name": "missing", "parameterNotFoundAction": "Deny"},
            "failed to configure binding: no params found for policy binding with `Deny` parameterNotFound",
            id="missing",
        ),
        pytest.param({"name": "missing", "parameterNotFoundAction": "Allow"}, "", id="missing-is-fine"),
        pytest.param({"selector": {"matchLabels": {"kind": "nosuch"}}}, "failed to configure", id="none"),
    ],
)
def test_parameters(tmp_path: Path, reference: Object, expected: str) -> None:
    async def test(running: Api, _hooks: Hooks) -> None:
        await running.ok("POST", "/api/v1/namespaces", {"metadata": {"name": "other"}})
        for path, max_ in ((CONFIGMAPS, "m1"), (CONFIGMAPS.replace("default", "other"), "o1")):
            await running.ok("POST", path, config_map("limits", {"kind": "limits"}, max=max_))
        message = "'not ' + params.data.max"
        made = policy(
            "p",
            expression("object.metadata.name == params.data.max", messageExpression=message),
            rules=[rule("pods")],
            paramKind={"apiVersion": "v1", "kind": "ConfigMap"},
        )
        await enforce(running, made, paramRef={"parameterNotFoundAction": "Deny", **reference})
        found = await verdict(running, pod("a"), PODS)
        assert found.startswith(expected)
        assert bool(found) is bool(expected)

    run(tmp_path, test)


def test_every_selected_parameter_counts(tmp_path: Path) -> None:
    async def test(running: Api, _hooks: Hooks) -> None:
        for one in ("one", "two"):
            await running.ok("POST", CONFIGMAPS, config_map(one, {"kind": "limits"}))
        name = "string(params.metadata.name)"
        made = policy(
            "p",
            expression("object.metadata.name != params.metadata.name", messageExpression=name),
            rules=[rule("pods")],
            paramKind={"apiVersion": "v1", "kind": "ConfigMap"},
        )
        await enforce(running, made, paramRef={"selector": {}, "parameterNotFoundAction": "Deny"})
        assert await verdict(running, pod("one"), PODS) == "one"
        assert await verdict(running, pod("two"), PODS) == "two"
        assert await verdict(running, pod("three"), PODS) == ""

    run(tmp_path, test)


def test_a_kind_of_parameters_that_nobody_serves(tmp_path: Path) -> None:
    async def test(running: Api, _hooks: Hooks) -> None:
        made = policy(
            "p",
            expression("true"),
            paramKind={"apiVersion": "example.com/v1", "kind": "Limit"},
        )
        await enforce(running, made, paramRef={"name": "a", "parameterNotFoundAction": "Deny"})
        _, body = await running.call("POST", CONFIGMAPS, config_map("a"))
        assert body["message"].endswith(
            "ValidatingAdmissionPolicy 'p' denied request: failed to configure policy: failed to find "
            "resource referenced by paramKind: 'example.com/v1, Kind=Limit'"
        )

    run(tmp_path, test)


# --- matching and actions


@pytest.mark.parametrize(
    ("match", "denied"),
    [
        pytest.param({"excludeResourceRules": [rule("configmaps")]}, False, id="excluded"),
        pytest.param(
            {"excludeResourceRules": [rule("configmaps", resourceNames=["b"])]}, True, id="another-excluded"
        ),
        pytest.param({"objectSelector": {"matchLabels": {"a": "b"}}}, False, id="other-labels"),
        pytest.param(
            {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "default"}}},
            True,
            id="here",
        ),
        pytest.param({"resourceRules": [rule("configmaps", resourceNames=["a"])]}, True, id="named"),
        pytest.param({"resourceRules": [rule("configmaps", resourceNames=["b"])]}, False, id="another-name"),
    ],
)
@pytest.mark.parametrize("of", ["policy", "binding"])
def test_matching(tmp_path: Path, match: Object, denied: bool, of: str) -> None:
    async def test(running: Api, _hooks: Hooks) -> None:
        made = policy("p", expression("false"))
        if of == "policy":
            made["spec"]["matchConstraints"] |= match
            await enforce(running, made)
        else:
            await enforce(running, made, matchResources=match)
        assert bool(await verdict(running, config_map("a"))) is denied

    run(tmp_path, test)


def test_a_policy_without_a_binding_sleeps(tmp_path: Path) -> None:
    async def test(running: Api, _hooks: Hooks) -> None:
        def asked() -> bool:
            return "ValidatingAdmissionPolicy" in {
                name for name, _ in running.server.registry._steps.hooks("validate", RESOURCE)
            }

        await running.ok("POST", VALIDATING, policy("p", expression("false")))
        assert not asked()
        await running.ok("POST", VALIDATING_BINDINGS, binding("p-b", "p", "Deny"))
        assert asked()
        assert await verdict(running, config_map("a")) != ""
        await running.ok("DELETE", f"{VALIDATING}/p")
        assert not asked()
        assert await verdict(running, config_map("a")) == ""

    run(tmp_path, test)


def test_warnings_and_audit_annotations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Call] = []
    created = Call.__init__

    def remember(self: Call, **given: Any) -> None:
        created(self, **given)
        calls.append(self)

    async def test(running: Api, _hooks: Hooks) -> None:
        made = policy(
            "p",
            expression("false", message="think twice"),
            auditAnnotations=[
                {"key": "name", "valueExpression": "string(object.metadata.name)"},
                {"key": "nothing", "valueExpression": "has(object.nosuch) ? 'a' : ''"},
            ],
        )
        await enforce(running, made, "Warn", "Audit")
        monkeypatch.setattr(Call, "__init__", remember)
        response = await running.send("POST", CONFIGMAPS, config_map("a"))
        assert response.status == 201
        assert response.headers.get("warning") == (
            "299 - \"Validation failed for ValidatingAdmissionPolicy 'p' with binding 'p-b': think twice\""
        )
        notes = calls[0].annotations
        assert notes["p/name"] == "a"
        assert "p/nothing" not in notes
        assert orjson.loads(notes["validation.policy.admission.k8s.io/validation_failure"]) == [
            {
                "message": "think twice",
                "policy": "p",
                "binding": "p-b",
                "expressionIndex": 0,
                "validationActions": ["Warn", "Audit"],
            }
        ]
        text = running.server.metrics.registry.text().decode()
        labels = 'policy="p",policy_binding="p-b",error_type="no_error",enforcement_action="warn"'
        assert f"apiserver_validating_admission_policy_check_total{{{labels}}} 1" in text

    run(tmp_path, test)


def test_questions_to_the_authorizer_may_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str, str, str]] = []

    async def authorize(_self: object, user: User, info: RequestInfo) -> Decision:
        await asyncio.sleep(0)
        asked.append((user.name, info.verb, info.resource, info.namespace))
        return Decision(allowed=info.resource == "secrets", reason="because")

    async def test(running: Api, _hooks: Hooks) -> None:
        text = (
            "authorizer.group('').resource('secrets').namespace('x').check('get').allowed() && "
            "!authorizer.serviceAccount('ns', 'sa').group('').resource('pods').check('get').allowed()"
        )
        again = "authorizer.group('').resource('secrets').namespace('x').check('get').reason() == 'because'"
        await enforce(running, policy("p", expression(text), expression(again)))
        monkeypatch.setattr(harness.AllowAll, "authorize", authorize)
        assert await verdict(running, config_map("a")) == ""
        assert asked == [
            ("system:anonymous", "get", "secrets", "x"),
            ("system:serviceaccount:ns:sa", "get", "pods", ""),
        ], "each question is asked once"

    run(tmp_path, test)


def test_what_kept_the_authorizer_from_deciding_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[RequestInfo] = []

    async def authorize(_self: object, user: User, info: RequestInfo) -> Decision:
        seen.append(info)
        return Decision(allowed=False, error="the webhook is away")

    async def test(running: Api, _hooks: Hooks) -> None:
        asks = (
            "authorizer.group('').resource('pods').fieldSelector('spec.nodeName=n1')"
            ".labelSelector('a in (b)').check('list')"
        )
        text = f"{asks}.errored() && {asks}.error() == 'the webhook is away'"
        await enforce(running, policy("p", expression(text)))
        monkeypatch.setattr(harness.AllowAll, "authorize", authorize)
        assert await verdict(running, config_map("a")) == ""
        [info] = seen
        assert selection(info).fields == (("spec.nodeName", "=", "n1"),)
        assert [str(one) for one in selection(info).labels] == ["a in (b)"]

    run(tmp_path, test)


def test_policies_are_not_judged_by_policies(tmp_path: Path) -> None:
    async def test(running: Api, _hooks: Hooks) -> None:
        everything = {**rule("*/*", operations=["*"], group="*"), "apiVersions": ["*"]}
        await enforce(running, policy("p", expression("false"), rules=[everything]))
        assert await verdict(running, config_map("a")) != ""
        await running.ok("POST", VALIDATING, policy("q", expression("true")))
        await running.ok("DELETE", f"{VALIDATING}/p")

    run(tmp_path, test)
