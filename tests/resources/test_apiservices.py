"""What of an APIService is refused, in upstream's words, and what it is given when it is made."""

from __future__ import annotations

import pytest

from podium.machinery.errors import Object
from podium.machinery.meta import deep_copy
from podium.resources.apiregistration.apiservices import APISERVICES

GOOD: Object = {
    "metadata": {"name": "v1.wardle.example.com", "creationTimestamp": "2026-01-01T00:00:00Z"},
    "spec": {
        "group": "wardle.example.com",
        "version": "v1",
        "groupPriorityMinimum": 2000,
        "versionPriority": 200,
        "service": {"namespace": "ns", "name": "api", "port": 443},
    },
}


def changed(**spec: object) -> Object:
    made: Object = deep_copy(GOOD)
    made["spec"].update(spec)
    return made


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        pytest.param(GOOD, [], id="good"),
        pytest.param(
            changed(version="v2"),
            [
                'metadata.name: Invalid value: "v1.wardle.example.com": must be '
                '`spec.version+"."+spec.group`: "v2.wardle.example.com"'
            ],
            id="name",
        ),
        pytest.param(
            {
                "metadata": {"name": "v2."},
                "spec": {"version": "v2", "groupPriorityMinimum": 1, "versionPriority": 1},
            },
            ["spec.group: Required value: only v1 may have an empty group and it better be legacy kube"],
            id="core group",
        ),
        pytest.param(
            changed(groupPriorityMinimum=20001, versionPriority=0),
            [
                "spec.groupPriorityMinimum: Invalid value: 20001: must be positive and less than 20000",
                "spec.versionPriority: Invalid value: 0: must be positive and less than 1000",
            ],
            id="priorities",
        ),
        pytest.param(
            changed(service=None, caBundle="Zm9v", insecureSkipTLSVerify=True),
            [
                'spec.caBundle: Invalid value: "3 bytes": local APIServices may not have a caBundle',
                "spec.insecureSkipTLSVerify: Invalid value: true: "
                "local APIServices may not have insecureSkipTLSVerify",
            ],
            id="local",
        ),
        pytest.param(
            changed(service={"port": 0}),
            [
                "spec.service.namespace: Required value",
                "spec.service.name: Required value",
                "spec.service.port: Invalid value: 0: port is not valid: "
                "must be between 1 and 65535, inclusive",
            ],
            id="service",
        ),
        pytest.param(
            changed(caBundle="Zm9v", insecureSkipTLSVerify=True),
            ["spec.insecureSkipTLSVerify: Invalid value: true: may not be true if caBundle is present"],
            id="bundle or none",
        ),
    ],
)
def test_validation(obj: Object, expected: list[str]) -> None:
    assert [str(error) for error in APISERVICES.validate(obj)] == expected


def test_the_status_of_a_condition_is_one_of_three() -> None:
    status = {"conditions": [{"type": "Available", "status": "Maybe"}]}
    errors = APISERVICES.validate_status_update({**GOOD, "status": status}, GOOD)
    assert [str(error) for error in errors] == [
        'status.conditions[0].status: Unsupported value: "Maybe": '
        'supported values: "True", "False", "Unknown"'
    ]


def test_what_this_server_answers_itself_is_available_at_once() -> None:
    local = changed(service=None)
    APISERVICES.prepare_create(local)
    (condition,) = local["status"]["conditions"]
    assert (condition["status"], condition["reason"]) == ("True", "Local")
    assert condition["lastTransitionTime"] == "2026-01-01T00:00:00Z"
    remote = changed()
    APISERVICES.prepare_create(remote)
    assert remote["status"] == {}
