"""What a changed object may keep because it had it before, and what it may not."""

from __future__ import annotations

from typing import Any

import pytest

from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources.admissionregistration.validatingwebhookconfigurations import (
    VALIDATINGWEBHOOKCONFIGURATIONS,
)
from podium.resources.apps.daemonsets import DAEMONSETS
from podium.resources.apps.deployments import DEPLOYMENTS
from podium.resources.core.events import EVENTS
from podium.resources.core.namespaces import NAMESPACES
from podium.resources.core.pods import PODS
from podium.resources.core.podtemplates import PODTEMPLATES
from podium.resources.core.replicationcontrollers import REPLICATIONCONTROLLERS
from podium.resources.events.events import EVENTS as NEW_EVENTS
from podium.resources.networking.networkpolicies import NETWORKPOLICIES
from podium.resources.policy.poddisruptionbudgets import PODDISRUPTIONBUDGETS
from tests.resources.refusals import changed, faults

LABELS = {"app": "x"}


def in_(value: str) -> Object:
    return {"matchExpressions": [{"key": "a", "operator": "In", "values": [value]}]}


def pod_spec(**more: Any) -> Object:
    return {"containers": [{"name": "c", "image": "i"}], "serviceAccountName": "default", **more}


def named(**body: Any) -> Object:
    return {"metadata": {"name": "x", "namespace": "default"}, **body}


def templated(spec: Object, annotations: Object | None = None, **more: Any) -> Object:
    template = {"metadata": {"labels": LABELS, "annotations": annotations or {}}, "spec": spec}
    return named(spec={"selector": {"matchLabels": LABELS}, "template": template, **more})


def affinity(selector: Object) -> Object:
    term = {"labelSelector": selector, "topologyKey": "zone"}
    return {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}


def node_affinity(value: str) -> Object:
    required = {"nodeSelectorTerms": [in_(value)]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}


def spread(**more: Any) -> Object:
    return {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule", **more}


def token(path: str) -> Object:
    return {"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": path}}]}}


def pages(amount: str) -> Object:
    asked = {"hugepages-2Mi": amount, "cpu": "1"}
    return {"name": "c", "image": "i", "resources": {"limits": asked, "requests": asked}}


def webhook(**more: Any) -> Object:
    return {
        "name": "a.example.com",
        "clientConfig": {"url": "https://example.com"},
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        **more,
    }


SPECS: dict[str, Object] = {
    "hugepages": {"containers": [pages("3Mi")]},
    "affinity": {"affinity": affinity(in_("!"))},
    "node affinity": {"affinity": node_affinity("!")},
    "spread selector": {"topologySpreadConstraints": [spread(labelSelector=in_("!"))]},
    "spread keys": {"topologySpreadConstraints": [spread(matchLabelKeys=["a b"], labelSelector={})]},
    "token": {"volumes": [token("../t")]},
    "sysctl": {
        "hostNetwork": True,
        "securityContext": {"sysctls": [{"name": "net.core.somaxconn", "value": "1"}]},
    },
}
CASES: list[tuple[str, Resource, Object]] = [
    *((f"pod: {what}", PODS, named(spec=pod_spec(**spec))) for what, spec in SPECS.items()),
    *((f"deployment: {what}", DEPLOYMENTS, templated(pod_spec(**spec))) for what, spec in SPECS.items()),
    (
        "deletion cost",
        PODTEMPLATES,
        named(
            template=templated(pod_spec(), {"controller.kubernetes.io/pod-deletion-cost": "much"})["spec"][
                "template"
            ]
        ),
    ),
    (
        "controller",
        REPLICATIONCONTROLLERS,
        templated(pod_spec(**SPECS["token"]), selector=LABELS),
    ),
    ("daemon set", DAEMONSETS, templated(pod_spec(**SPECS["affinity"]))),
    ("budget", PODDISRUPTIONBUDGETS, named(spec={"minAvailable": 1, "selector": in_("!")})),
    ("network policy", NETWORKPOLICIES, named(spec={"podSelector": in_("!"), "policyTypes": ["Ingress"]})),
    *(
        (f"webhook: {next(iter(more), 'twice')}", VALIDATINGWEBHOOKCONFIGURATIONS, named(webhooks=hooks))
        for more, hooks in (
            ({}, [webhook(), webhook()]),
            ({"sideEffects": 1}, [webhook(sideEffects="Some")]),
            ({"admissionReviewVersions": 1}, [webhook(admissionReviewVersions=["v7"])]),
            ({"objectSelector": 1}, [webhook(objectSelector=in_("!"))]),
        )
    ),
]


@pytest.mark.parametrize(("resource", "obj"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_fault_of_old_is_tolerated(resource: Resource, obj: Object) -> None:
    resource.defaults(obj)
    assert faults(resource, obj), "the new rules refuse it"
    assert faults(resource, changed(obj, {"metadata": {"labels": {"more": "yes"}}}), obj) == []


def test_a_new_fault_is_not() -> None:
    good = templated(pod_spec(affinity=affinity(in_("ok"))))
    DEPLOYMENTS.defaults(good)
    bad = changed(good, {"spec": {"template": {"spec": {"affinity": affinity(in_("!"))}}}})
    assert [fault.partition(": ")[0] for fault in faults(DEPLOYMENTS, bad, good)] == [
        "spec.template.spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0]"
        ".labelSelector.matchExpressions[0].values[0]"
    ]
    # Faults of other kinds are reported, old or not.
    worse = changed(bad, {"spec": {"template": {"spec": {"restartPolicy": "Never"}}}})
    assert [fault.partition(": ")[0] for fault in faults(DEPLOYMENTS, worse, worse)] == [
        "spec.template.spec.restartPolicy"
    ]


@pytest.mark.parametrize(
    ("phase", "going", "expected"),
    [
        ("Active", False, []),
        ("Terminating", True, []),
        ("Terminating", False, ["may only be 'Active' if `deletionTimestamp` is empty"]),
        ("Active", True, ["may only be 'Terminating' if `deletionTimestamp` is not empty"]),
    ],
)
def test_the_phase_of_a_namespace(phase: str, going: bool, expected: list[str]) -> None:
    namespace: Object = {"metadata": {"name": "x"}, "status": {"phase": phase}}
    if going:
        namespace["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    found = faults(NAMESPACES, namespace, namespace, subresource="status")
    assert found == [f'status.Phase: Invalid value: "{phase}": {text}' for text in expected]


def test_the_finalizers_of_a_namespace() -> None:
    namespace: Object = {"metadata": {"name": "x"}, "spec": {"finalizers": ["orphan", "mine"]}}
    assert faults(NAMESPACES, namespace) == [
        'spec.finalizers: Invalid value: "mine": name is neither a standard finalizer name nor is it '
        "fully qualified"
    ]


def test_who_reports_an_event_has_the_name_of_the_version() -> None:
    event = named(
        involvedObject={"namespace": "default"},
        eventTime="2026-01-01T00:00:00.000000Z",
        reportingInstance="i",
        action="a",
        reason="r",
        type="Normal",
    )
    assert faults(EVENTS, event)[0] == "reportingComponent: Required value"
    found = NEW_EVENTS.validate(event)
    assert found[0].field == "reportingController"
    assert [e.field for e in EVENTS.validate(event) if not NEW_EVENTS.tolerates(e)] == []
