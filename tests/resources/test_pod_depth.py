"""Pods: systems, hosts, claims, resources as a whole, restarts, profiles."""

from __future__ import annotations

from typing import Any

import pytest

from podium.machinery.errors import Object
from podium.machinery.feature_gates import FeatureGates
from podium.resources.core.pods import PODS
from tests.resources.test_devices import texts


def a_pod(*, container: Object | None = None, annotations: Object | None = None, **spec: Any) -> Object:
    """Return a valid pod with these parts changed."""
    whole: Object = {"metadata": {"name": "p", "annotations": annotations or {}}, "spec": {}}
    whole["spec"] = {"containers": [{"name": "c", "image": "i", **(container or {})}], **spec}
    PODS.defaults(whole)
    return whole


def pod_errors(**parts: Any) -> list[str]:
    return texts(PODS.validate(a_pod(**parts)))


@pytest.mark.parametrize(
    ("parts", "errors"),
    [
        ({}, []),
        ({"os": {"name": "linux"}}, []),
        ({"os": {}}, ["spec.os.name: Required value"]),
        (
            {"os": {"name": "plan9"}},
            ['spec.os: Unsupported value: "plan9": supported values: "linux", "windows"'],
        ),
        (
            {
                "os": {"name": "windows"},
                "securityContext": {"runAsUser": 5},
                "container": {"securityContext": {"privileged": True}},
            },
            [
                "spec.securityContext.runAsUser: Forbidden: cannot be set for a windows pod",
                "spec.containers[0].securityContext.privileged: Forbidden: cannot be set for a windows pod",
            ],
        ),
        (
            {"os": {"name": "linux"}, "securityContext": {"windowsOptions": {"runAsUserName": "a"}}},
            ["spec.securityContext.windowsOptions: Forbidden: windows options cannot be set for a linux pod"],
        ),
        (
            {"securityContext": {"windowsOptions": {"hostProcess": True}}},
            [
                "spec.hostNetwork: Invalid value: false: hostNetwork must be true if pod contains any "
                "hostProcess containers",
            ],
        ),
        (
            {"securityContext": {"windowsOptions": {"runAsUserName": "a\\b\\c"}}},
            [
                "spec.securityContext.windowsOptions.runAsUserName: Invalid value: "
                '"a\\\\b\\\\c": runAsUserName '
                "cannot contain more than one backslash",
            ],
        ),
        (
            {"hostUsers": False, "hostPID": True},
            ["spec.HostPID: Forbidden: when `hostUsers` is false"],
        ),
        (
            {"hostnameOverride": "x", "setHostnameAsFQDN": True},
            ["spec.hostnameOverride: Forbidden: may not be specified when setHostnameAsFQDN is true"],
        ),
        (
            {"resourceClaims": [{"name": "a"}, {"name": "a", "resourceClaimName": "b"}]},
            [
                'spec.resourceClaims[0]: Invalid value: {"name":"a"}: must specify one of: '
                "`resourceClaimName`, `resourceClaimTemplateName`",
                'spec.resourceClaims[1].name: Duplicate value: "a"',
            ],
        ),
        (
            {"container": {"resources": {"claims": [{"name": "gone"}]}}},
            [
                'spec.containers[0].resources.claims[0]: Not found: "gone": must be one of the names in '
                "pod.spec.resourceClaims which is empty",
            ],
        ),
        (
            {
                "resourceClaims": [{"name": "a", "resourceClaimName": "b"}],
                "container": {"resources": {"claims": [{"name": "a", "request": "r"}, {"name": "a"}]}},
            },
            ['spec.containers[0].resources.claims[1]: Duplicate value: "a"'],
        ),
        (
            {
                "resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "2"}},
                "container": {"resources": {"requests": {"cpu": "1500m"}, "limits": {"cpu": "3"}}},
            },
            [
                'spec.resources.requests[cpu]: Invalid value: "1": must be greater than or '
                "equal to aggregate "
                "container requests of 1500m",
                'spec.resources.containers[0][cpu].limits: Invalid value: "3": must be less than or equal to '
                "pod limits of 2",
            ],
        ),
        (
            {"container": {"restartPolicyRules": [{"action": "Restart"}]}},
            [
                "spec.containers[0].restartPolicy: Required value: must specify restartPolicy when restart "
                "rules are used",
                "spec.containers[0].restartPolicyRules[0].exitCodes: Required value: must be specified",
            ],
        ),
        (
            {
                "restartPolicy": "Never",
                "container": {"resizePolicy": [{"resourceName": "cpu", "restartPolicy": "RestartContainer"}]},
            },
            [
                "spec.containers[0].resizePolicy: Invalid value: \"RestartContainer\": must be 'NotRequired' "
                "when pod `restartPolicy` is 'Never'",
            ],
        ),
        (
            {"container": {"lifecycle": {"stopSignal": "SIGUSR1"}}},
            [
                "spec.containers[0].lifecycle.stopSignal: Forbidden: may not be set for "
                "containers with empty "
                "`spec.os.name`",
            ],
        ),
        (
            {"container": {"securityContext": {"appArmorProfile": {"type": "Localhost"}}}},
            [
                "spec.containers[0].securityContext.appArmorProfile.localhostProfile: "
                "Required value: must be "
                "set when AppArmor type is Localhost",
            ],
        ),
        (
            {
                "annotations": {"container.apparmor.security.beta.kubernetes.io/c": "unconfined"},
                "container": {"securityContext": {"appArmorProfile": {"type": "RuntimeDefault"}}},
            },
            [
                "spec.containers[0].securityContext.appArmorProfile.type: Forbidden: apparmor type in "
                "annotation and field must match",
            ],
        ),
        (
            {
                "annotations": {"seccomp.security.alpha.kubernetes.io/pod": "localhost/a"},
                "securityContext": {"seccompProfile": {"type": "Localhost", "localhostProfile": "b"}},
            },
            [
                "spec.securityContext.seccompProfile.localhostProfile: Forbidden: seccomp profile in "
                "annotation and field must match",
            ],
        ),
        (
            {
                "container": {
                    "env": [
                        {
                            "name": "A",
                            "valueFrom": {"fileKeyRef": {"volumeName": "v", "path": "../p", "key": "K"}},
                        }
                    ]
                }
            },
            [
                "spec.containers[0].env[0].valueFrom.fileKeyRef.path: Invalid value: "
                '"../p": must not contain '
                "'..'",
                'spec.containers[0].env[0].valueFrom.fileKeyRef.volumeName: Not found: "v"',
            ],
        ),
    ],
)
def test_what_is_wrong(parts: Object, errors: list[str]) -> None:
    assert pod_errors(**parts) == errors


@pytest.mark.parametrize(
    ("gate", "parts", "error"),
    [
        (
            "TaintTolerationComparisonOperators",
            {"tolerations": [{"key": "a", "operator": "Gt", "value": "1"}]},
            'spec.tolerations[0].operator: Unsupported value: "Gt": supported values: "Equal", "Exists", '
            '"Lt", "Gt"',
        ),
        (
            "UserNamespacesHostNetworkSupport",
            {"hostUsers": False, "hostNetwork": True},
            "spec.hostNetwork: Forbidden: when `hostUsers` is false",
        ),
    ],
)
def test_what_is_wrong_only_while_a_gate_is_off(gate: str, parts: Object, error: str) -> None:
    pod = a_pod(**parts)
    assert PODS.validate(pod) == []
    assert texts(PODS.while_off[gate](pod, None)) == [error]
    assert PODS.while_off[gate](pod, pod) == []
    assert not FeatureGates(version="1.36").enabled(gate)


def test_tolerations_compare_whole_numbers_once_they_may() -> None:
    gate = "TaintTolerationComparisonOperators"
    pod = a_pod(tolerations=[{"key": "a", "operator": "Gt", "value": "x"}])
    fault = [
        'spec.tolerations[0].value: Invalid value: "x": must be a valid decimal integer in canonical form',
        'spec.tolerations[0].value: Invalid value: "x": strconv.ParseInt: parsing "x": invalid syntax',
    ]
    assert texts(PODS.while_on[gate](pod, None)) == fault
    assert texts(PODS.while_off[gate](pod, pod)) == fault
    assert len(texts(PODS.while_off[gate](pod, None))) == 1
