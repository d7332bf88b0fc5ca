"""Pods: what creation adds, what may change, what their status may say, how they are resized."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from podium.apiserver.registry.narrow import NARROW
from podium.machinery.errors import Object
from podium.resources.core.nodes import NODES
from podium.resources.core.pods import PODS
from podium.resources.core.services import SERVICES
from tests.apiserver.fakes import FakeClock
from tests.resources.test_devices import changed, texts
from tests.resources.test_pod_depth import a_pod

NOW = "2026-01-01T00:00:00Z"


def created(pod: Object, **labels: str) -> Object:
    pod["metadata"] |= {"labels": labels, "creationTimestamp": NOW}
    PODS.prepare_create(pod)
    return pod


def test_a_gated_pod_says_why_it_waits() -> None:
    pod = created(a_pod(schedulingGates=[{"name": "a.example.com/g"}]))
    assert pod["status"]["conditions"] == [
        {
            "type": "PodScheduled",
            "status": "False",
            "lastProbeTime": None,
            "lastTransitionTime": NOW,
            "reason": "SchedulingGated",
            "message": "Scheduling is blocked due to non-empty scheduling gates",
        }
    ]
    assert "conditions" not in created(a_pod())["status"]


def spread(**more: Any) -> Object:
    return {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule", **more}


def test_label_keys_become_requirements() -> None:
    term = {
        "topologyKey": "zone",
        "labelSelector": {"matchLabels": {"app": "a"}},
        "matchLabelKeys": ["hash", "other"],
        "mismatchLabelKeys": ["tenant"],
    }
    required = "requiredDuringSchedulingIgnoredDuringExecution"
    pod = a_pod(
        affinity={"podAntiAffinity": {required: [term]}},
        topologySpreadConstraints=[
            spread(labelSelector={}, matchLabelKeys=["hash"]),
            spread(topologyKey="b"),
        ],
    )
    created(pod, hash="1", tenant="t")
    one = {"key": "hash", "operator": "In", "values": ["1"]}
    selector = pod["spec"]["affinity"]["podAntiAffinity"][required][0]["labelSelector"]
    assert selector["matchExpressions"] == [one, {"key": "tenant", "operator": "NotIn", "values": ["t"]}]
    assert pod["spec"]["topologySpreadConstraints"][0]["labelSelector"] == {"matchExpressions": [one]}
    assert PODS.validate(pod) == []


@pytest.mark.parametrize(
    ("constraint", "errors"),
    [
        (
            {"matchLabelKeys": ["a"]},
            [".matchLabelKeys: Forbidden: must not be specified when labelSelector is not set"],
        ),
        (
            {"matchLabelKeys": ["hash"], "labelSelector": {"matchLabels": {"hash": "1"}}},
            ['[0]: Invalid value: "hash": exists in both matchLabelKeys and labelSelector'],
        ),
        # Upstream does not look at the topology key's form.
        ({"topologyKey": "not a label", "labelSelector": {}}, []),
    ],
)
def test_spread(constraint: Object, errors: list[str]) -> None:
    pod = created(a_pod(topologySpreadConstraints=[spread(**constraint)]), hash="1")
    path = "spec.topologySpreadConstraints[0]"
    assert texts(PODS.validate(pod)) == [f"{path}{error}" for error in errors]


APPARMOR = "container.apparmor.security.beta.kubernetes.io/"


@pytest.mark.parametrize(
    ("value", "profile"),
    [
        ("runtime/default", {"type": "RuntimeDefault"}),
        ("unconfined", {"type": "Unconfined"}),
        ("localhost/p", {"type": "Localhost", "localhostProfile": "p"}),
        ("localhost/", None),
        ("localhost/ p", None),
        ("", None),
    ],
)
def test_profiles_of_annotations(value: str, profile: Object | None) -> None:
    pod = a_pod(annotations={f"{APPARMOR}c": value})
    assert PODS.warnings_as_sent(pod, None) == [
        f'metadata.annotations[{APPARMOR}c]: deprecated since v1.30; use the "appArmorProfile" field instead'
    ]
    created(pod)
    assert bool(PODS.warnings_as_sent(pod, None)) == (profile is None)
    context = pod["spec"]["containers"][0].get("securityContext") or {}
    assert context.get("appArmorProfile") == profile


@pytest.mark.parametrize(
    ("annotations", "errors"),
    [
        ({"controller.kubernetes.io/pod-deletion-cost": "-10"}, []),
        (
            {"controller.kubernetes.io/pod-deletion-cost": "+1"},
            [
                'metadata.annotations[controller.kubernetes.io/pod-deletion-cost]: Invalid value: "+1": must '
                "be a 32bit integer"
            ],
        ),
        (
            {f"{APPARMOR}other": "x"},
            [
                f'metadata.annotations[{APPARMOR}other]: Invalid value: "other": container not found',
                f'metadata.annotations[{APPARMOR}other]: Invalid value: "x": invalid '
                f'AppArmor profile name: "x"',
            ],
        ),
        (
            {"seccomp.security.alpha.kubernetes.io/pod": "x"},
            [
                "metadata.annotations.seccomp.security.alpha.kubernetes.io/pod: Invalid value: "
                '"x": must be a valid seccomp profile'
            ],
        ),
    ],
)
def test_annotations(annotations: Object, errors: list[str]) -> None:
    assert texts(PODS.validate(a_pod(annotations=annotations))) == errors


def test_annotations_that_stay() -> None:
    old, new = a_pod(annotations={f"{APPARMOR}c": "unconfined"}), a_pod(nodeName="n")
    new["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "x"}
    old["spec"]["nodeName"] = "n"
    assert texts(PODS.validate_update(new, old)) == [
        f"metadata.annotations[{APPARMOR}c]: Forbidden: may not remove or update AppArmor annotations",
        "metadata.annotations[kubernetes.io/config.mirror]: Forbidden: may not add mirror pod annotation",
    ]


def nodes(*terms: Object) -> Object:
    required = {"nodeSelectorTerms": list(terms)}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}


def term(*keys: str) -> Object:
    return {"matchExpressions": [{"key": key, "operator": "Exists"} for key in keys]}


GATES: Any = {"schedulingGates": [{"name": "g"}]}


@pytest.mark.parametrize(
    ("old", "new", "fields"),
    [
        ({"nodeSelector": {"a": "b"}}, {"nodeSelector": {"a": "b", "c": "d"}}, []),
        ({"nodeSelector": {"a": "b"}}, {"nodeSelector": {"c": "d"}}, ["spec.nodeSelector"]),
        ({}, {"affinity": nodes(term("a"))}, []),
        ({"affinity": nodes(term("a"))}, {"affinity": nodes(term("a", "b"))}, []),
        ({"affinity": nodes(term("a"))}, {"affinity": nodes(term("b", "a"))}, ["[0]"]),
        ({"affinity": nodes(term("a"))}, {"affinity": nodes(term("a"), term("b"))}, [""]),
    ],
)
def test_held_back_pods_may_be_aimed_at_fewer_nodes(old: Object, new: Object, fields: list[str]) -> None:
    terms = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"
    expected = [field if field.startswith("spec") else f"{terms}{field}" for field in fields]
    errors = PODS.validate_update(a_pod(**{**new, **GATES}), a_pod(**{**old, **GATES}))
    assert [error.field for error in errors] == expected
    free = PODS.validate_update(a_pod(**new), a_pod(**old))
    assert [error.field for error in free] == ["spec"]


def ended(name: str = "c", code: int = 0) -> Object:
    return {"name": name, "state": {"terminated": {"exitCode": code}}}


RUNNING = {"name": "c", "state": {"running": {}}}
STAYS = "status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state"


@pytest.mark.parametrize(
    ("spec", "old", "new", "errors"),
    [
        ({}, {"containerStatuses": [ended()]}, {"containerStatuses": [RUNNING]}, []),
        (
            {"restartPolicy": "Never"},
            {"containerStatuses": [ended()]},
            {"containerStatuses": [RUNNING]},
            [STAYS],
        ),
        (
            {"restartPolicy": "OnFailure"},
            {"containerStatuses": [ended(code=1)]},
            {"containerStatuses": [RUNNING]},
            [],
        ),
        (
            {
                "restartPolicy": "Never",
                "container": {
                    "restartPolicy": "Never",
                    "restartPolicyRules": [
                        {"action": "Restart", "exitCodes": {"operator": "In", "values": [3]}}
                    ],
                },
            },
            {"containerStatuses": [ended(code=3)]},
            {"containerStatuses": [RUNNING]},
            [],
        ),
        (
            {},
            {},
            {"conditions": [{"type": "a b"}], "observedGeneration": -1},
            [
                'status.conditions[0].Type: Invalid value: "a b": name part must consist of alphanumeric '
                "characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. "
                "'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
                "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
                "status.observedGeneration: Invalid value: -1: must be a non-negative integer",
            ],
        ),
        (
            {},
            {},
            {"hostIP": "10.0.0.1", "hostIPs": [{"ip": "10.0.0.2"}, {"ip": "10.0.0.3"}]},
            [
                'status.hostIPs[0].ip: Invalid value: "10.0.0.2": must be equal to `hostIP`',
                'status.hostIPs: Invalid value: [{"ip":"10.0.0.2"},{"ip":"10.0.0.3"}]: may specify no more '
                "than one IP for each IP family",
            ],
        ),
        (
            {},
            {},
            {"resourceClaimStatuses": [{"name": "x"}]},
            [
                'status.resourceClaimStatuses[0].name: Invalid value: "x": must match the '
                "name of an entry in "
                "`spec.resourceClaims`"
            ],
        ),
        (
            {},
            {},
            {"containerStatuses": [{"name": "c", "user": {"linux": {"uid": -1, "gid": 5}}}]},
            [
                "status.containerStatuses[0].user.linux.uid: Invalid value: -1: must be between 0 and "
                "2147483647, inclusive"
            ],
        ),
        (
            {},
            {},
            {
                "containerStatuses": [
                    {
                        "name": "c",
                        "allocatedResourcesStatus": [
                            {"name": "example.com/a", "resources": [{"resourceID": "1", "health": "Fine"}]}
                        ],
                    }
                ]
            },
            [
                "status.containerStatuses[0].allocatedResourcesStatus[0].name: Invalid "
                'value: "example.com/a": '
                "must match one of the container's resource requests",
                "status.containerStatuses[0].allocatedResourcesStatus[0].resources[0].health: Unsupported "
                'value: "Fine": supported values: "Healthy", "Unhealthy", "Unknown"',
            ],
        ),
    ],
)
def test_status(spec: Any, old: Object, new: Object, errors: list[str]) -> None:
    before = {**a_pod(**spec), "status": old}
    assert texts(PODS.validate_status_update({**before, "status": new}, before)) == errors


def test_what_may_not_change_is_told_of_alone() -> None:
    pod, other = created(a_pod()), created(a_pod(hostname="other"))
    (message,) = texts(PODS.validate_update(other, pod))
    told = [line.strip() for line in message.splitlines() if line.strip().startswith(("+", "-"))]
    assert [line for line in told if "hostname" not in line] == []
    assert told


def test_what_a_status_keeps() -> None:
    ready, other = {"type": "Ready", "observedGeneration": 4}, {"type": "Other"}
    status = {"qosClass": "Burstable", "observedGeneration": 4, "conditions": [other, ready]}
    old: Object = {"metadata": {}, "spec": {}, "status": status}
    new: Object = {"metadata": {}, "spec": {}, "status": {"conditions": [{"type": "Ready"}, other]}}
    NARROW["pods", "status"](new, old, FakeClock())
    assert new["status"] == {**status, "conditions": [ready, other]}


def resources(**amounts: str) -> Object:
    return {"requests": dict(amounts), "limits": {}}


def resize_errors(new: Object, old: Object) -> list[str]:
    PODS.prepare_create(old)
    return texts(PODS.validate_subresources["resize"]({**new, "status": old["status"]}, old))


@pytest.mark.parametrize(
    ("old", "new", "errors"),
    [
        (resources(cpu="1"), resources(cpu="2"), []),
        (
            resources(cpu="1", memory="1Gi"),
            resources(cpu="1"),
            ["spec.containers[0].resources.requests: Forbidden: resource requests cannot be removed"],
        ),
        (resources(cpu="1"), {}, ["QOS", "spec.containers[0].resources.requests"]),
        (
            resources(cpu="1"),
            resources(cpu="1", **{"ephemeral-storage": "1Gi"}),
            ["spec: Forbidden: only cpu and memory resources are mutable"],
        ),
    ],
)
def test_resize(old: Object, new: Object, errors: list[str]) -> None:
    made = resize_errors(a_pod(container={"resources": new}), a_pod(container={"resources": old}))
    assert len(made) == len(errors)
    assert all(error in text for error, text in zip(errors, made, strict=True))


def test_resize_of_the_pod_as_a_whole() -> None:
    old, new = a_pod(resources=resources(cpu="1")), a_pod(resources=resources(cpu="2"))
    assert resize_errors(copy.deepcopy(new), copy.deepcopy(old)) == []
    gone = changed(new, "spec.resources", None)
    assert "spec.resources: Forbidden: pod-level resources cannot be removed" in resize_errors(gone, old)
    check = PODS.while_off["InPlacePodLevelResourcesVerticalScaling"]
    assert [error.field for error in check(new, old)] == [""]
    assert check(old, old) == []


def test_resize_of_pods_that_cannot_be() -> None:
    old = a_pod(annotations={"kubernetes.io/config.mirror": "x"}, nodeName="n")
    assert resize_errors(old, old) == [": Forbidden: static pods cannot be resized"]
    old = a_pod(os={"name": "windows"})
    assert resize_errors(old, old) == [": Forbidden: windows pods cannot be resized"]
    old = a_pod()
    PODS.prepare_create(old)
    old["status"]["containerStatuses"] = [{"name": "c", "state": {"running": {}}}]
    assert texts(PODS.validate_subresources["resize"](old, old)) == [
        "spec: Forbidden: Pod running on node without support for resize"
    ]
    renamed = changed(a_pod(), "spec.containers.0.name", "d")
    assert resize_errors(renamed, a_pod()) == [
        "spec.containers[0].name: Forbidden: containers may not be renamed or reordered on resize"
    ]


def test_a_resize_keeps_the_rest() -> None:
    old = a_pod(container={"resources": resources(cpu="1")})
    new = changed(a_pod(container={"resources": resources(cpu="2")}), "spec.containers.0.image", "other")
    new["spec"]["resources"] = resources(cpu="3")
    NARROW["pods", "resize"](new, old, FakeClock())
    assert (
        new["spec"]["containers"] == a_pod(container={"resources": resources(cpu="2")})["spec"]["containers"]
    )
    assert new["spec"]["resources"] == resources(cpu="3")


def test_static_pods_take_no_ephemeral_containers() -> None:
    pod = a_pod(annotations={"kubernetes.io/config.mirror": "x"}, nodeName="n")
    check = PODS.validate_subresources["ephemeralcontainers"]
    assert texts(check(pod, pod)) == [": Forbidden: static pods do not support ephemeral containers"]


@pytest.mark.parametrize(
    ("kind", "ingress", "errors"),
    [
        ("LoadBalancer", {"ip": "1.2.3.4", "ipMode": "VIP"}, []),
        (
            "ClusterIP",
            {"ip": "1.2.3.4"},
            [": Forbidden: may only be used when `spec.type` is 'LoadBalancer'"],
        ),
        (
            "LoadBalancer",
            {"ip": "1.2.3.4"},
            ["[0].ipMode: Required value: must be specified when `ip` is set"],
        ),
        (
            "LoadBalancer",
            {"hostname": "1.2.3.4", "ipMode": "VIP"},
            [
                "[0].ipMode: Forbidden: may not be specified when `ip` is not set",
                '[0].hostname: Invalid value: "1.2.3.4": must be a DNS name, not an IP address',
            ],
        ),
        (
            "LoadBalancer",
            {"ip": "1.2.3.4", "ipMode": "Both"},
            ['[0].ipMode: Unsupported value: "Both": supported values: "Proxy", "VIP"'],
        ),
    ],
)
def test_status_of_services(kind: str, ingress: Object, errors: list[str]) -> None:
    service: Object = {"metadata": {"name": "s"}, "spec": {"type": kind}}
    service["status"] = {"loadBalancer": {"ingress": [ingress]}}
    path = "status.loadBalancer.ingress"
    assert texts(SERVICES.validate_status_update(service, service)) == [f"{path}{error}" for error in errors]


def test_nodes() -> None:
    node: Object = {"metadata": {"name": "n"}, "spec": {"configSource": {}}, "status": {"config": {}}}
    NODES.prepare_create(node)
    assert node["spec"] == node["status"] == {}
    node["status"] = {"declaredFeatures": ["B", "A", "A", "c"], "nodeInfo": {"swap": {"capacity": 0}}}
    fields = [
        "metadata.nodeSwapStatus.capacity",
        "status.declaredFeatures[3]",
        "status.declaredFeatures[1]",
        "status.declaredFeatures[2]",
    ]
    assert [error.field for error in NODES.validate(node)] == fields
    old = changed(node, "spec", {"externalID": "a"})
    assert (
        texts(NODES.validate_status_update(node, old))[-1] == "spec.externalID: Forbidden: may not be updated"
    )
    node["metadata"]["annotations"] = {"scheduler.alpha.kubernetes.io/taints": '[{"key": "a"}]'}
    assert (
        NODES.validate(node)[0].field == "metadata.annotations.scheduler.alpha.kubernetes.io/taints[0].effect"
    )
