"""Flow schemas, priority levels and runtime classes: what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from podium.apiserver.bootstrap import flowcontrol as bootstrap
from podium.resources.flowcontrol.flowschemas import FLOWSCHEMAS
from podium.resources.flowcontrol.prioritylevelconfigurations import PRIORITYLEVELCONFIGURATIONS
from podium.resources.node.runtimeclasses import RUNTIMECLASSES
from tests.resources.refusals import changed, faults

USER = {"kind": "User", "user": {"name": "u"}}
RESOURCES = {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "namespaces": ["d"]}


def schema(*rules: Any, name: str = "s", **spec: Any) -> Any:
    return {
        "metadata": {"name": name},
        "spec": {
            "matchingPrecedence": 500,
            "priorityLevelConfiguration": {"name": "l"},
            "rules": list(rules) or [{"subjects": [USER], "resourceRules": [RESOURCES]}],
            **spec,
        },
    }


def rule(*subjects: Any, resource: Any = None, path: Any = None) -> Any:
    found: Any = {"subjects": list(subjects) or [USER]}
    if path is None:
        found["resourceRules"] = [{**RESOURCES, **(resource or {})}]
    else:
        found["nonResourceRules"] = [{"verbs": ["get"], **path}]
    return found


R = "spec.rules[0]"


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        (schema(), []),
        (
            schema(matchingPrecedence=1),
            [
                "spec.matchingPrecedence: Invalid value: 1: only the schema named 'exempt' may have "
                "matchingPrecedence 1"
            ],
        ),
        (
            schema(rule({"kind": "User", "group": {"name": "g"}}, {"kind": "Robot"})),
            [
                f"{R}.subjects[0].user: Required value: user is required when subject kind is 'User'",
                f"{R}.subjects[0].group: Forbidden: group is forbidden when subject kind is not 'Group'",
                f'{R}.subjects[1].kind: Unsupported value: "Robot": supported values: "Group", '
                '"ServiceAccount", "User"',
            ],
        ),
        (schema(rule({"kind": "ServiceAccount", "serviceAccount": {"name": "*", "namespace": "d"}})), []),
        (
            schema(rule({"kind": "ServiceAccount", "serviceAccount": {}})),
            [
                f"{R}.subjects[0].serviceAccount.name: Required value",
                f"{R}.subjects[0].serviceAccount.namespace: Required value: must specify namespace for "
                "service account",
            ],
        ),
        (
            schema(rule(resource={"verbs": ["get", "*"], "apiGroups": ["*", "a"], "namespaces": ["D"]})),
            [
                f'{R}.resourceRules[0].verbs: Invalid value: ["get","*"]: if \'*\' is present, must not '
                "specify other verbs",
                f'{R}.resourceRules[0].apiGroups: Invalid value: ["*","a"]: if \'*\' is present, must not '
                "specify other api groups",
                f'{R}.resourceRules[0].namespaces[0]: Invalid value: "D": each member of this list must be '
                "'*' or a DNS-1123 label; a lowercase RFC 1123 label must consist of lower case alphanumeric "
                "characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  "
                "or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
            ],
        ),
        (schema(rule(path={"nonResourceURLs": ["/", "/healthz", "/apis/*"]})), []),
        (
            schema(rule(path={"nonResourceURLs": ["", "a", "/a b", "//", "/a*"]})),
            [
                f'{R}.nonResourceRules[0].nonResourceURLs[0]: Invalid value: "": must not be empty',
                f'{R}.nonResourceRules[0].nonResourceURLs[1]: Invalid value: "a": must start with slash',
                f'{R}.nonResourceRules[0].nonResourceURLs[2]: Invalid value: "/a b": must not contain '
                "white-space",
                f'{R}.nonResourceRules[0].nonResourceURLs[3]: Invalid value: "//": must not contain double '
                "slash",
                f'{R}.nonResourceRules[0].nonResourceURLs[4]: Invalid value: "/a*": wildcard can only do '
                "suffix matching",
            ],
        ),
    ],
)
def test_schemas(obj: Any, expected: list[str]) -> None:
    assert faults(FLOWSCHEMAS, obj) == expected


def test_what_every_cluster_has_cannot_be_changed() -> None:
    for obj in bootstrap.flow_schemas():
        assert faults(FLOWSCHEMAS, obj) == []
    for obj in bootstrap.priority_levels():
        assert faults(PRIORITYLEVELCONFIGURATIONS, obj) == []
    first = changed(bootstrap.flow_schemas()[0], {"spec": {"matchingPrecedence": 9999}})
    assert faults(FLOWSCHEMAS, first)[0].endswith("spec of 'catch-all' must equal the fixed value")
    exempt = bootstrap.priority_levels()[1]
    assert (
        faults(PRIORITYLEVELCONFIGURATIONS, changed(exempt, {"spec": {"exempt": {"lendablePercent": 9}}}))
        == []
    )


def level(response: Any, name: str = "l", **limited: Any) -> Any:
    return {
        "metadata": {"name": name},
        "spec": {"type": "Limited", "limited": {"limitResponse": response, **limited}},
    }


L = "spec.limited"
Q = f"{L}.limitResponse.queuing"


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        (level({"type": "Reject"}), []),
        (
            level(
                {"type": "Reject"}, nominalConcurrencyShares=-1, lendablePercent=101, borrowingLimitPercent=-1
            ),
            [
                f"{L}.nominalConcurrencyShares: Invalid value: -1: must be a non-negative integer",
                f"{L}.lendablePercent: Invalid value: 101: must be between 0 and 100, inclusive",
                f"{L}.borrowingLimitPercent: Invalid value: -1: if specified, must be a non-negative integer",
            ],
        ),
        (
            level({"type": "Queue", "queuing": {"queues": 4, "handSize": 5, "queueLengthLimit": -1}}),
            [
                f"{Q}.queueLengthLimit: Invalid value: -1: must be positive",
                f"{Q}.handSize: Invalid value: 5: should not be greater than queues (4)",
            ],
        ),
        (
            level({"type": "Queue", "queuing": {"queues": 1024, "handSize": 7, "queueLengthLimit": 1}}),
            [
                f"{Q}.handSize: Invalid value: 7: required entropy bits of deckSize 1024 and handSize 7 "
                "should not be greater than 60"
            ],
        ),
        (
            {"metadata": {"name": "l"}, "spec": {"type": "Exempt"}},
            ["spec.type: Invalid value: \"Exempt\": must be 'Exempt' if and only if `name` is 'exempt'"],
        ),
    ],
)
def test_levels(obj: Any, expected: list[str]) -> None:
    assert faults(PRIORITYLEVELCONFIGURATIONS, obj) == expected


def test_conditions_of_a_status_have_types_of_their_own() -> None:
    twice = {**schema(), "status": {"conditions": [{"type": "A"}, {"type": "A"}, {"type": ""}]}}
    assert faults(FLOWSCHEMAS, twice, schema(), subresource="status") == [
        'status.conditions[1].type: Duplicate value: "A"',
        "status.conditions[2].type: Required value",
    ]


def runtime_class(**more: Any) -> Any:
    return {"metadata": {"name": "r"}, "handler": "runc", **more}


def test_runtime_classes() -> None:
    toleration = {"key": "k", "operator": "Exists"}
    assert faults(RUNTIMECLASSES, runtime_class(scheduling={"tolerations": [toleration]})) == []
    assert faults(RUNTIMECLASSES, runtime_class(handler="")) == ["handler: Required value"]
    bad = runtime_class(
        overhead={"podFixed": {"cpu": "-1"}},
        scheduling={"nodeSelector": {"a": "b c"}, "tolerations": [toleration, toleration]},
    )
    assert [fault.split(":")[0] for fault in faults(RUNTIMECLASSES, bad)] == [
        "overhead.limits[cpu]",
        "scheduling.nodeSelector",
        "scheduling.tolerations[1]",
    ]
    assert faults(RUNTIMECLASSES, runtime_class(handler="kata"), runtime_class()) == [
        'handler: Invalid value: "kata": field is immutable'
    ]
