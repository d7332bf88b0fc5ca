"""Refusals in which upstream's own server, asked the same, once said something else: a row for each."""

from __future__ import annotations

from typing import Any

import pytest

from podium.machinery.errors import FieldError, Object
from podium.machinery.resource import Resource
from podium.machinery.validation import validate_object_meta
from podium.resources.admissionregistration.mutatingadmissionpolicybindings import (
    MUTATINGADMISSIONPOLICYBINDINGS,
)
from podium.resources.admissionregistration.validatingwebhookconfigurations import (
    VALIDATINGWEBHOOKCONFIGURATIONS,
)
from podium.resources.apps.controllerrevisions import CONTROLLERREVISIONS
from podium.resources.apps.daemonsets import DAEMONSETS
from podium.resources.apps.deployments import DEPLOYMENTS
from podium.resources.apps.statefulsets import STATEFULSETS
from podium.resources.batch.cronjobs import CRONJOBS
from podium.resources.coordination.leases import LEASES
from podium.resources.core.configmaps import CONFIGMAPS
from podium.resources.core.endpoints import ENDPOINTS
from podium.resources.core.images import pull_policy
from podium.resources.core.nodes import NODES
from podium.resources.core.pods import PODS
from podium.resources.core.security_validation import only_recursive
from podium.resources.events.events import EVENTS
from podium.resources.networking.ipaddresses import IPADDRESSES
from podium.resources.networking.networkpolicies import NETWORKPOLICIES
from podium.resources.node.runtimeclasses import RUNTIMECLASSES
from podium.resources.policy.poddisruptionbudgets import PODDISRUPTIONBUDGETS
from podium.resources.rbac.clusterroles import CLUSTERROLES
from podium.resources.resource.resourceclaimtemplates import RESOURCECLAIMTEMPLATES
from podium.resources.resource.resourcepoolstatusrequests import RESOURCEPOOLSTATUSREQUESTS
from podium.resources.scheduling.workloads import WORKLOADS
from podium.resources.storage.csistoragecapacities import CSISTORAGECAPACITIES
from podium.resources.storage.storageclasses import STORAGECLASSES
from tests.resources.refusals import faults

META = {"name": "x", "namespace": "d"}
LABEL = {"matchLabels": {"a": "b"}}


def pod(container: Any = None, **spec: Any) -> Object:
    return {
        "metadata": META,
        "spec": {"containers": [{"name": "c", "image": "i", **(container or {})}], **spec},
    }


def field_of(path: str, version: str = "v1") -> Object:
    reference = {"fieldPath": path, "apiVersion": version}
    return pod({"env": [{"name": "A", "valueFrom": {"fieldRef": reference}}]})


def workload(**spec: Any) -> Object:
    template = {
        "metadata": {"labels": {"a": "b"}},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    }
    return {"metadata": META, "spec": {"selector": LABEL, "template": template, **spec}}


FIELD = "spec.containers[0].env[0].valueFrom.fieldRef"
QUALIFIED = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)


@pytest.mark.parametrize(
    ("resource", "obj", "expected"),
    [
        pytest.param(
            PODS,
            field_of("a"),
            [
                f'{FIELD}.fieldPath: Invalid value: "a": error converting fieldPath: field label not '
                "supported: a"
            ],
            id="field that no pod has",
        ),
        pytest.param(
            PODS,
            field_of("metadata.name", "v2"),
            [
                f'{FIELD}.fieldPath: Invalid value: "metadata.name": error converting fieldPath: '
                "unsupported pod version: v2"
            ],
            id="field of another version",
        ),
        pytest.param(
            PODS,
            field_of("metadata.name['a']"),
            [
                f"{FIELD}.fieldPath: Invalid value: \"metadata.name['a']\": error converting fieldPath: "
                "field label does not support subscript: metadata.name['a']"
            ],
            id="field with a subscript",
        ),
        pytest.param(
            PODS,
            field_of("metadata.labels['-']"),
            [f'{FIELD}: Invalid value: "-": {QUALIFIED}'],
            id="label that cannot be",
        ),
        pytest.param(
            PODS,
            pod(overhead={"foo/bar/x": "1", "pods": "1"}),
            [
                'spec.overhead.limits[foo/bar/x]: Invalid value: "foo/bar/x": a valid label key must consist '
                "of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
                "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
                "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' "
                "(e.g. 'example.com/MyName')",
                'spec.overhead.limits[foo/bar/x]: Invalid value: "foo/bar/x": doesn\'t follow extended '
                "resource name standard",
                'spec.overhead.limits[pods]: Invalid value: "pods": must be a standard resource for '
                "containers",
            ],
            id="overhead",
        ),
        pytest.param(
            PODS,
            pod(resources={"limits": {"pods": "1"}}),
            [
                'spec.resources.limits[pods]: Unsupported value: "pods": supported values: "cpu", '
                '"hugepages-", "memory"'
            ],
            id="resources of a whole pod",
        ),
        pytest.param(
            PODS,
            pod(
                {
                    "volumeMounts": [{"name": "v", "mountPath": "/v"}],
                    "volumeDevices": [{"name": "v", "devicePath": "/v"}],
                },
                volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}],
            ),
            [
                'spec.containers[0].volumeMounts[0].name: Invalid value: "v": must not already exist in '
                "volumeDevices",
                'spec.containers[0].volumeMounts[0].mountPath: Invalid value: "/v": must not already exist '
                "as a path in volumeDevices",
                'spec.containers[0].volumeDevices[0].name: Invalid value: "v": must not already exist in '
                "volumeMounts",
                'spec.containers[0].volumeDevices[0].devicePath: Invalid value: "/v": must not already '
                "exist as a path in volumeMounts",
            ],
            id="one volume as device and directory",
        ),
        pytest.param(
            PODS,
            pod(initContainers=[{"name": "i", "image": "i", "restartPolicyRules": [{"action": "x"}]}]),
            [
                "spec.initContainers[0].restartPolicy: Required value: must specify restartPolicy when "
                "restart rules are used"
            ],
            id="rules of an init container without a policy",
        ),
        pytest.param(
            PODS,
            pod(
                affinity={
                    "nodeAffinity": {
                        "preferredDuringSchedulingIgnoredDuringExecution": [
                            {
                                "weight": 1,
                                "preference": {
                                    "matchExpressions": [{"key": "a", "operator": "In", "values": ["!"]}]
                                },
                            }
                        ]
                    }
                }
            ),
            [],
            id="preference for what no node can have",
        ),
        pytest.param(
            STATEFULSETS,
            workload(serviceName="s", volumeClaimTemplates=[{"spec": {}}]),
            [
                "spec.volumeClaimTemplates[0].spec.accessModes: Required value: at least 1 access mode is "
                "required",
                "spec.volumeClaimTemplates[0].spec.resources[storage]: Required value",
                "spec.template.spec.volumes[0].persistentVolumeClaim.claimName: Required value",
                "spec.template.spec.volumes[0].name: Required value",
            ],
            id="claims without a name",
        ),
        pytest.param(
            DAEMONSETS,
            workload(updateStrategy={"rollingUpdate": {"maxSurge": "1", "maxUnavailable": 1}}),
            [
                'spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: "1": a valid percent string must '
                "be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for "
                "validation is '[0-9]+%')",
                'spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: "1": may not be set when '
                "maxUnavailable is non-zero",
            ],
            id="a count in quotes",
        ),
        pytest.param(
            CONTROLLERREVISIONS,
            {"metadata": META, "revision": -1, "data": {}},
            ["revision: Invalid value: -1: must be greater than or equal to 0"],
            id="revision",
        ),
        pytest.param(
            ENDPOINTS,
            {"metadata": META, "subsets": [{"addresses": [{"ip": "x"}], "ports": [{"port": 1}]}]},
            [
                'subsets[0].addresses[0].ip: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 '
                "or 2001:db8::ffff)",
                'subsets[0].addresses[0].ip: Invalid value: "x": must be a valid IP address',
            ],
            id="endpoints",
        ),
        pytest.param(
            NETWORKPOLICIES,
            {"metadata": META, "spec": {"ingress": [{"ports": [{"protocol": ""}]}]}},
            [
                'spec.ingress[0].ports[0].protocol: Unsupported value: "": supported values: "TCP", "UDP", '
                '"SCTP"'
            ],
            id="empty protocol",
        ),
        pytest.param(
            CLUSTERROLES,
            {
                "metadata": {"name": "x"},
                "aggregationRule": {"clusterRoleSelectors": [{"matchExpressions": [{"key": "a"}]}]},
            },
            [
                "aggregationRule.clusterRoleSelectors[0].matchExpressions[0].operator: Invalid value: "
                '"": not a valid selector operator',
                "aggregationRule.clusterRoleSelectors[0]: Invalid value: null: invalid label selector.",
            ],
            id="aggregation",
        ),
        pytest.param(
            RESOURCECLAIMTEMPLATES,
            {
                "metadata": META,
                "spec": {"metadata": {"name": "a", "uid": "u", "labels": {"a": "b"}}, "spec": {}},
            },
            [
                "spec.metadata.name: Forbidden: cannot be set",
                "spec.metadata.uID: Forbidden: cannot be set",
            ],
            id="metadata in a template of claims",
        ),
        pytest.param(
            STORAGECLASSES,
            {"metadata": {"name": "x"}, "provisioner": "a.b", "allowedTopologies": [{}]},
            ['allowedTopologies[0].matchLabelExpressions: Duplicate value: ""'],
            id="topology that says nothing",
        ),
        pytest.param(
            CRONJOBS,
            {
                "metadata": META,
                "spec": {
                    "schedule": "@daily",
                    "timeZone": "Local",
                    "jobTemplate": {
                        "spec": {"template": {"spec": {**pod()["spec"], "restartPolicy": "Never"}}}
                    },
                },
            },
            [
                'spec.timeZone: Invalid value: "Local": timeZone must be an explicit time zone as defined in '
                "https://www.iana.org/time-zones"
            ],
            id="local time",
        ),
        pytest.param(
            VALIDATINGWEBHOOKCONFIGURATIONS,
            {
                "metadata": {"name": "x"},
                "webhooks": [
                    {
                        "name": "a.b.c",
                        "sideEffects": "None",
                        "admissionReviewVersions": ["v1"],
                        "clientConfig": {"service": {"name": "", "namespace": "n"}},
                        "rules": [
                            {
                                "operations": ["*"],
                                "apiGroups": ["*"],
                                "apiVersions": [""],
                                "resources": ["*"],
                            }
                        ],
                    }
                ],
            },
            [
                "webhooks[0].rules[0].apiVersions[0]: Required value",
                "webhooks[0].clientConfig.service.namespace: Required value",
            ],
            id="webhook: upstream blames the namespace for the name",
        ),
    ],
)
def test_refuses_as_upstream(resource: Resource, obj: Object, expected: list[str]) -> None:
    assert faults(resource, obj) == expected


@pytest.mark.parametrize(
    ("resource", "finalizer", "refused"),
    [
        (CONFIGMAPS, "foregroundDeletion", False),
        (CONFIGMAPS, "example.com/a", False),
        (CONFIGMAPS, "a", True),
        (LEASES, "a", False),
        (VALIDATINGWEBHOOKCONFIGURATIONS, "a", False),
    ],
)
def test_finalizers_in_one_word(resource: Resource, finalizer: str, refused: bool) -> None:
    namespace = {"namespace": "d"} if resource.namespaced else {}
    metadata = {"name": "x", "finalizers": [finalizer], **namespace}
    message = 'Invalid value: "a": name is neither a standard finalizer name nor is it fully qualified'
    expected = [f"metadata.finalizers[0]: {message}"] if refused else []
    found = validate_object_meta({"metadata": metadata}, resource)
    assert [f"{error.field}: {error.message}" for error in found] == expected


@pytest.mark.parametrize(
    ("resource", "name", "allowed"),
    [
        (STATEFULSETS, "a.b", False),
        (PODDISRUPTIONBUDGETS, "A_b", True),
        (PODDISRUPTIONBUDGETS, "a/b", False),
    ],
)
def test_names(resource: Resource, name: str, allowed: bool) -> None:
    metadata = {"name": name, "namespace": "d"}
    assert (validate_object_meta({"metadata": metadata}, resource) == []) == allowed


@pytest.mark.parametrize(
    ("new", "old", "refused"),
    [
        ("MountOption", None, True),
        ("Recursive", None, False),
        ("MountOption", "Recursive", False),
    ],
)
def test_labels_by_mount_option_while_the_gate_is_off(new: str, old: str | None, refused: bool) -> None:
    def labelled(policy: str) -> Object:
        return pod(securityContext={"seLinuxChangePolicy": policy})

    found = only_recursive(labelled(new), labelled(old) if old else None, "spec")
    assert bool(found) == refused


def test_fewer_replicas_than_none() -> None:
    """Counts that are absent are above it; this was a KeyError."""
    old = workload()
    new = {**old, "status": {"replicas": -1}}
    beyond = "Invalid value: 0: cannot be greater than status.replicas"
    counts = ("readyReplicas", "availableReplicas", "updatedReplicas")
    assert sorted(faults(DEPLOYMENTS, new, old, subresource="status")) == sorted(
        [
            "status.replicas: Invalid value: -1: must be greater than or equal to 0",
            *(f"status.{count}: {beyond}" for count in counts),
        ]
    )


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("i", "Always"),
        ("registry.example:5000/a/b", "Always"),
        ("Registry/a", "Always"),
        ("a/B", "IfNotPresent"),
        ("A_b", "IfNotPresent"),
        ("a:latest", "Always"),
        ("a:1", "IfNotPresent"),
    ],
)
def test_when_images_are_pulled(image: str, policy: str) -> None:
    """Of a name that is none upstream knows no tag: names of repositories have small letters."""
    assert pull_policy(image) == policy


def test_runtime_classes_compare_nothing() -> None:
    """Whatever the gate says, upstream does not let them."""
    tolerations = [{"key": "a", "operator": "Gt", "value": "x"}]
    runtime_class = {"handler": "h", "scheduling": {"tolerations": tolerations}}
    assert faults(RUNTIMECLASSES, runtime_class) == [
        'scheduling.tolerations[0].operator: Unsupported value: "Gt": supported values: "Equal", "Exists", '
        '"Lt", "Gt"'
    ]


def test_addresses_of_which_one_is_none() -> None:
    status = {"podIPs": [{"ip": "10.0.0.1"}, {"ip": "a"}]}
    assert faults(PODS, {**pod(), "status": status}, pod(), subresource="status")[1] == (
        "status.podIPs: Internal error: failed to check for dual stack with error:invalid IP[1]: a"
    )
    node = {"spec": {"podCIDRs": ["10.0.0.0/24", "a"]}}
    assert faults(NODES, node)[1] == (
        "spec.podCIDRs: Internal error: invalid PodCIDRs. failed to check with dual stack with "
        "error:invalid CIDR[1]: <nil> (invalid CIDR address: a)"
    )


def test_what_else_is_looked_at_in_a_change() -> None:
    address = {"spec": {"parentRef": {"resource": "a/b", "name": "a"}}}
    assert faults(IPADDRESSES, address, address) == [
        "spec.parentRef.resource: Invalid value: \"a/b\": may not contain '/'"
    ]
    capacity = {"storageClassName": "A", "capacity": "1"}
    assert len(faults(CSISTORAGECAPACITIES, capacity, capacity)) == 1
    event = {"eventTime": "2026-01-01T00:00:00.000000Z", "reason": "a", "involvedObject": {}}
    assert 'reason: Invalid value: "": field is immutable' in faults(EVENTS, {**event, "reason": ""}, event)


@pytest.mark.parametrize(
    ("operation", "refused"), [("*", False), ("CONNECT", False), ("UPDATE", False), ("DELETE", True)]
)
def test_operations_that_policies_mutate(operation: str, refused: bool) -> None:
    rule = {"operations": [operation], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}
    binding = {"spec": {"policyName": "a", "matchResources": {"resourceRules": [rule]}}}
    expected = (
        f'spec.matchResources.resourceRules.operations: Unsupported value: "{operation}": '
        'supported values: "*", "CONNECT", "CREATE", "UPDATE"'
    )
    assert faults(MUTATINGADMISSIONPOLICYBINDINGS, binding) == ([expected] if refused else [])


def test_pools_that_are_told() -> None:
    request = {"metadata": {"name": "r"}, "spec": {"driver": "a.b"}}
    pool = {"driver": "A.b", "poolName": "a//b", "generation": 1, "resourceSliceCount": 0, "nodeName": "A"}
    answered = {**request, "status": {"poolCount": -1, "pools": [pool, {}]}}
    told = faults(RESOURCEPOOLSTATUSREQUESTS, answered, request, subresource="status")
    assert [fault.split(": ")[0] for fault in told] == [
        "status.poolCount",
        "status.pools[0].poolName",
        "status.pools[0].resourceSliceCount",
        "status.pools[0].nodeName",
        "status.pools[1].driver",
        "status.pools[1].poolName",
        "status.pools[1].generation",
    ]


def test_what_a_workload_has_is_not_looked_at_again() -> None:
    spec = {"podGroupTemplates": [{"name": "A"}]}
    workload = {"metadata": META, "spec": spec}
    controlled = {"metadata": META, "spec": {**spec, "controllerRef": {"kind": "a", "name": "b"}}}
    assert faults(WORKLOADS, workload, workload) == []
    refused = ["spec.controllerRef: Invalid value: null: field is immutable"]
    assert faults(WORKLOADS, controlled, workload) == refused


def test_maps_in_a_refusal_are_sorted_and_structures_are_not() -> None:
    value = {"matchLabels": {"b": "1", "a": "2"}, "matchExpressions": [{"key": "k", "operator": "Exists"}]}
    shown = '{"matchLabels":{"a":"2","b":"1"},"matchExpressions":[{"key":"k","operator":"Exists"}]}'
    error = FieldError.invalid("spec.selector", value, "field is immutable")
    assert error.message == f"Invalid value: {shown}: field is immutable"
