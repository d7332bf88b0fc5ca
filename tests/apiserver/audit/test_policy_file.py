"""Which policies are refused, and in which words."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from podium.apiserver.audit import policy_file
from podium.machinery.errors import Object
from tests.apiserver.audit.helpers import policy

HEAD = "apiVersion: audit.k8s.io/v1\nkind: Policy\n"
LEVELS = '"None", "Metadata", "Request", "RequestResponse"'
STAGES = "allowed stages are RequestReceived,ResponseStarted,ResponseComplete,Panic"
SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "
    "start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)

UNREADABLE = [
    ("", "failed decoding: the policy is no object"),
    ("- 1", "failed decoding: the policy is no object"),
    ("a: [", "failed decoding: error converting YAML to JSON: yaml:"),
    ("kind: Policy\nrules: []", "unknown group version field , Kind=Policy in policy"),
    (
        "apiVersion: audit.k8s.io/v1beta1\nkind: Policy",
        "unknown group version field audit.k8s.io/v1beta1, Kind=Policy in policy",
    ),
    (
        "apiVersion: audit.k8s.io/v1\nkind: Event",
        "failed decoding: expected audit.k8s.io/v1, Kind=Policy, got audit.k8s.io/v1, Kind=Event",
    ),
    (HEAD, "loaded illegal policy with 0 rules"),
    (HEAD + "rules: []", "loaded illegal policy with 0 rules"),
    (HEAD + "rules: {}", "failed decoding: rules must be of type array"),
    (HEAD + "rules: [1]", "failed decoding: rules[0] must be an object"),
    (HEAD + "rules:\n- level: 1", "failed decoding: rules[0].level must be of type string"),
    (HEAD + "rules:\n- users: a", "failed decoding: rules[0].users must be of type array of strings"),
    (HEAD + "rules:\n- verbs: [1]", "failed decoding: rules[0].verbs must be of type array of strings"),
    (HEAD + "rules:\n- resources: [a]", "failed decoding: rules[0].resources[0] must be an object"),
    (
        HEAD + "rules:\n- resources: [{group: 1}]",
        "failed decoding: rules[0].resources[0].group must be of type string",
    ),
    (HEAD + "omitManagedFields: 1", "failed decoding: omitManagedFields must be of type bool"),
]


@pytest.mark.parametrize(("text", "message"), UNREADABLE)
def test_a_file_that_is_no_policy(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        policy_file.parse(text.encode())
    assert str(refused.value).startswith(message)


def rule(**fields: Any) -> Object:
    return policy([{"level": "Metadata", **fields}])


INVALID = [
    (policy([{}]), "rules[0].level: Required value"),
    (policy([{"level": "All"}]), f'rules[0].level: Unsupported value: "All": supported values: {LEVELS}'),
    (policy([{"level": "None"}], omitStages=["x"]), f'omitStages[0]: Invalid value: "x": {STAGES}'),
    (rule(omitStages=["Panic", "x"]), f'rules[0].omitStages[1]: Invalid value: "x": {STAGES}'),
    (
        rule(nonResourceURLs=["logs"]),
        "rules[0].nonResourceURLs[0]: Invalid value: \"logs\": non-resource URL rules must begin with a '/' "
        "character",
    ),
    (
        rule(nonResourceURLs=["*", "/a/*/b"]),
        "rules[0].nonResourceURLs[1]: Invalid value: \"/a/*/b\": non-resource URL wildcards '*' must be the "
        "final character of the rule",
    ),
    (
        rule(resources=[{"group": "Apps/v1"}]),
        f'rules[0].resources.group: Invalid value: "Apps/v1": {SUBDOMAIN}',
    ),
    (
        rule(resources=[{"resourceNames": ["a"]}]),
        'rules[0].resources.resourceNames: Invalid value: ["a"]: using resourceNames requires at least one '
        "resource",
    ),
    (
        rule(nonResourceURLs=["/a"], namespaces=["b"]),
        'rules[0].nonResourceURLs: Invalid value: ["/a"]: rules cannot apply to both regular resources and '
        "non-resource URLs",
    ),
]


@pytest.mark.parametrize(("value", "message"), INVALID, ids=[message[:40] for _, message in INVALID])
def test_a_policy_that_makes_no_sense(value: Object, message: str) -> None:
    assert [str(error) for error in policy_file.validate(value)] == [message]


def test_all_faults_are_told_together_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(HEAD + "rules:\n- level: A\n- {}\n")
    with pytest.raises(ValueError, match="Unsupported") as refused:
        policy_file.load(str(path))
    faults = (
        f'rules[0].level: Unsupported value: "A": supported values: {LEVELS}, rules[1].level: Required value'
    )
    assert str(refused.value) == f"[{faults}]: from file {path}"
    with pytest.raises(ValueError, match="No such file") as refused:
        policy_file.load(str(tmp_path / "missing"))
    assert str(refused.value).startswith(f'failed to read file path "{tmp_path / "missing"}"')


def test_a_field_that_nobody_knows_is_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        policy_file.parse((HEAD + "rules:\n- level: None\n  user: [a]\n").encode())
    assert [record.fields for record in caplog.records] == [{"field": "rules[0].user"}]  # type: ignore[attr-defined]
