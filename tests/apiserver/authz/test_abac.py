"""ABAC: both formats of policy files, and what policies allow."""

from __future__ import annotations

from pathlib import Path

import pytest

from podium.apiserver.authz import abac
from podium.apiserver.authz.abac import AbacAuthorizer
from podium.apiserver.chain import RequestInfo, User
from tests.apiserver.fakes import asks, asks_path, user

NEW = '{"apiVersion": "abac.authorization.kubernetes.io/v1beta1", "kind": "Policy", "spec": %s}'
ALICE = user("alice", "system:authenticated", "dev")
NOBODY = user("system:anonymous", "system:unauthenticated")
PODS = asks("get", "pods", namespace="a")
WRITE = asks("update", "pods", namespace="a", name="x")
APPS = asks("list", "deployments", group="apps", namespace="a")
NODES = asks("list", "nodes")
HEALTH, METRICS = asks_path("/healthz"), asks_path("/metrics/slis")


def policies(tmp_path: Path, *lines: str) -> AbacAuthorizer:
    file = tmp_path / "policy.jsonl"
    file.write_text("\n".join(lines))
    return AbacAuthorizer(abac.read(str(file)))


def allowed(authorizer: AbacAuthorizer, who: User) -> set[RequestInfo]:
    asked = (PODS, WRITE, APPS, NODES, HEALTH, METRICS)
    return {info for info in asked if authorizer.decide(who, info).allowed}


ALL = {PODS, WRITE, APPS, NODES, HEALTH, METRICS}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("{}", ALL),
        ('{"user": "alice"}', ALL),
        ('{"user": "bob"}', set()),
        ('{"user": "*"}', ALL),
        ('{"group": "dev"}', ALL),
        ('{"group": "ops"}', set()),
        ('{"user": "alice", "group": "ops"}', set()),
        ('{"user": "alice", "readonly": true}', ALL - {WRITE}),
        ('{"user": "alice", "namespace": "a"}', {PODS, WRITE, APPS}),
        ('{"user": "alice", "resource": "pods"}', {PODS, WRITE}),
        ('{"user": "alice", "resource": "nodes", "namespace": "*"}', {NODES}),
        ('{"user": "alice", "unknown": 1}', ALL),
        (NEW % '{"user": "alice"}', set()),
        (NEW % '{"user": "alice", "resource": "pods", "namespace": "a"}', {PODS, WRITE}),
        (
            NEW % '{"user": "*", "resource": "*", "namespace": "*", "apiGroup": "*"}',
            {PODS, WRITE, APPS, NODES},
        ),
        (NEW % '{"group": "*", "resource": "*", "namespace": "a", "apiGroup": "apps"}', {APPS}),
        (NEW % '{"group": "system:authenticated", "nonResourcePath": "*"}', {HEALTH, METRICS}),
        (NEW % '{"group": "dev", "nonResourcePath": "/metrics/*"}', {METRICS}),
        (NEW % '{"group": "dev", "nonResourcePath": "/healthz", "readonly": true}', {HEALTH}),
        (NEW % '{"nonResourcePath": "*"}', set()),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_a_line_allows(tmp_path: Path, line: str, expected: set[RequestInfo]) -> None:
    authorizer = policies(tmp_path, "# a comment", "", f"  {line}  ")
    assert allowed(authorizer, ALICE) == expected
    assert allowed(authorizer, NOBODY) == set(), "only who has authenticated is anybody"
    refused = authorizer.decide(user("nobody"), PODS)
    assert (refused.allowed, refused.denied, refused.reason) == (False, False, "No policy matched.")


def test_what_somebody_may_is_told(tmp_path: Path) -> None:
    authorizer = policies(
        tmp_path,
        '{"user": "alice", "readonly": true}',
        NEW % '{"user": "alice", "resource": "pods", "namespace": "b"}',
    )
    held = authorizer.rules_for(ALICE, "a")
    reading = ["get", "list", "watch"]
    assert held.rules == (
        {"verbs": reading, "apiGroups": ["*"], "resources": ["*"]},
        {"verbs": reading, "nonResourceURLs": ["*"]},
    )
    assert not held.incomplete
    assert len(authorizer.rules_for(ALICE, "b").rules) == 3
    assert authorizer.rules_for(user("bob"), "b").rules == ()


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("nonsense", "invalid character"),
        ("[]", "couldn't get version/kind"),
        ('{"user": 1}', "json: cannot unmarshal number into Go struct field Policy.user of type string"),
        (NEW % '{"readonly": "yes"}', "json: cannot unmarshal string into Go struct field"),
        ('{"kind": 5}', "couldn't get version/kind; json parse error"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, complaint: str) -> None:
    with pytest.raises(ValueError) as error:
        policies(tmp_path, "{}", "# fine", line)
    told = str(error.value)
    assert told.startswith(f"error reading policy file {tmp_path / 'policy.jsonl'}, line 3: {line}: "), told
    assert complaint in told
