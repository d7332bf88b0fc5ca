"""Old versions one by one: what they fill in, and what they become in the version that is stored."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from podium.machinery.errors import FieldError, Object
from podium.machinery.meta import deep_copy
from podium.machinery.resource import Resource
from podium.machinery.schema import Schemas
from podium.resources.catalogue import BUILTIN
from podium.resources.legacy.catalogue import LEGACY, PACKAGES

SCHEMAS = Schemas.load("1.36", PACKAGES)
BY_KIND = {(resource.api_version, resource.kind): resource for resource in LEGACY}


def find(api_version: str, kind: str) -> Resource:
    return BY_KIND[api_version, kind]


def defaulted(api_version: str, kind: str, **fields: Any) -> Object:
    resource = find(api_version, kind)
    obj: Object = {"metadata": {"name": "x"}, **deep_copy(fields)}
    SCHEMAS.compile(resource.schema).decode(obj)
    resource.defaults(obj)
    return obj


TEMPLATE = {
    "metadata": {"labels": {"app": "web"}},
    "spec": {"containers": [{"name": "c", "image": "nginx"}]},
}


@pytest.mark.parametrize(
    ("api_version", "kind", "expected"),
    [
        (
            "extensions/v1beta1",
            "Deployment",
            {
                "replicas": 1,
                "selector": {"matchLabels": {"app": "web"}},
                "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 1}},
                "revisionHistoryLimit": 2147483647,
                "progressDeadlineSeconds": 2147483647,
            },
        ),
        (
            "apps/v1beta1",
            "Deployment",
            {
                "replicas": 1,
                "selector": {"matchLabels": {"app": "web"}},
                "strategy": {
                    "type": "RollingUpdate",
                    "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"},
                },
                "revisionHistoryLimit": 2,
                "progressDeadlineSeconds": 600,
            },
        ),
        (
            "apps/v1beta2",
            "Deployment",
            {
                "replicas": 1,
                "strategy": {
                    "type": "RollingUpdate",
                    "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"},
                },
                "revisionHistoryLimit": 10,
                "progressDeadlineSeconds": 600,
            },
        ),
        (
            "extensions/v1beta1",
            "DaemonSet",
            {
                "selector": {"matchLabels": {"app": "web"}},
                "updateStrategy": {"type": "OnDelete"},
                "revisionHistoryLimit": 10,
            },
        ),
        (
            "apps/v1beta2",
            "DaemonSet",
            {
                "updateStrategy": {
                    "type": "RollingUpdate",
                    "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0},
                },
                "revisionHistoryLimit": 10,
            },
        ),
        (
            "apps/v1beta1",
            "StatefulSet",
            {
                "selector": {"matchLabels": {"app": "web"}},
                "updateStrategy": {"type": "OnDelete"},
                "podManagementPolicy": "OrderedReady",
                "replicas": 1,
                "revisionHistoryLimit": 10,
                "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
            },
        ),
        (
            "extensions/v1beta1",
            "ReplicaSet",
            {"selector": {"matchLabels": {"app": "web"}}, "replicas": 1},
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_workloads_fill_in_what_their_version_did(api_version: str, kind: str, expected: Object) -> None:
    obj = defaulted(api_version, kind, spec={"template": TEMPLATE})
    spec = {key: value for key, value in obj["spec"].items() if key != "template"}
    assert spec == expected
    labelled = {"app": "web"} if "selector" in expected else None
    assert obj["metadata"].get("labels") == labelled


def test_an_old_rollback_is_an_annotation_in_the_new_version() -> None:
    resource = find("extensions/v1beta1", "Deployment")
    old = defaulted(
        "extensions/v1beta1", "Deployment", spec={"template": TEMPLATE, "rollbackTo": {"revision": 3}}
    )
    stored = resource.to_storage(old)
    assert stored["metadata"]["annotations"] == {"deprecated.deployment.rollback.to": "3"}
    assert "rollbackTo" not in stored["spec"]
    assert resource.from_storage(stored)["spec"]["rollbackTo"] == {"revision": 3}


def test_an_old_template_generation_is_an_annotation_in_the_new_version() -> None:
    resource = find("extensions/v1beta1", "DaemonSet")
    old = defaulted("extensions/v1beta1", "DaemonSet", spec={"template": TEMPLATE, "templateGeneration": 7})
    stored = resource.to_storage(old)
    assert stored["metadata"]["annotations"] == {"deprecated.daemonset.template.generation": "7"}
    assert resource.from_storage(stored) == old


@pytest.mark.parametrize("api_version", ["extensions/v1beta1", "networking.k8s.io/v1beta1"])
def test_backends_of_an_ingress(api_version: str) -> None:
    resource = find(api_version, "Ingress")
    paths: list[Object] = [
        {"path": "/", "backend": {"serviceName": "web", "servicePort": 80}},
        {"path": "/n", "backend": {"serviceName": "web", "servicePort": "http"}},
        {"path": "/r", "backend": {"resource": {"kind": "Bucket", "name": "b"}}},
    ]
    rules = [{"host": "a.example", "http": {"paths": paths}}]
    old = defaulted(
        api_version, "Ingress", spec={"backend": {"serviceName": "d", "servicePort": 1}, "rules": rules}
    )
    stored = resource.to_storage(old)["spec"]
    assert stored["defaultBackend"] == {"service": {"name": "d", "port": {"number": 1}}}
    assert [
        (path["pathType"], path["backend"].get("service")) for path in stored["rules"][0]["http"]["paths"]
    ] == [
        ("ImplementationSpecific", {"name": "web", "port": {"number": 80}}),
        ("ImplementationSpecific", {"name": "web", "port": {"name": "http"}}),
        ("ImplementationSpecific", None),
    ]


_MATCH_LABEL = "pdb.kubernetes.io/deprecated-v1beta1-empty-selector-match"


@pytest.mark.parametrize(
    ("old", "stored"),
    [
        (None, None),
        ({"matchLabels": {"a": "b"}}, {"matchLabels": {"a": "b"}}),
        ({}, {"matchExpressions": [{"key": _MATCH_LABEL, "operator": "Exists"}]}),
        ({"matchExpressions": [{"key": _MATCH_LABEL, "operator": "DoesNotExist"}]}, {}),
    ],
    ids=["none", "labels", "empty is nothing", "everything"],
)
def test_an_empty_selector_of_an_old_budget_selects_nothing(
    old: Object | None, stored: Object | None
) -> None:
    resource = find("policy/v1beta1", "PodDisruptionBudget")
    budget: Object = {"metadata": {}, "spec": {"selector": old} if old is not None else {}}
    there = resource.to_storage(budget)
    assert there["spec"].get("selector") == stored
    assert resource.from_storage(there)["spec"].get("selector") == old


def test_a_label_mixed_into_a_selector_goes_away() -> None:
    resource = find("policy/v1beta1", "PodDisruptionBudget")
    selector = {"matchLabels": {"a": "b", _MATCH_LABEL: "x"}}
    there = resource.to_storage({"metadata": {}, "spec": {"selector": selector}})
    assert there["spec"]["selector"] == {"matchLabels": {"a": "b"}}


METRICS: list[tuple[Object, Object]] = [
    (
        {"type": "Resource", "resource": {"name": "cpu", "targetAverageUtilization": 60}},
        {
            "type": "Resource",
            "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}},
        },
    ),
    (
        {"type": "Pods", "pods": {"metricName": "rps", "targetAverageValue": "1k"}},
        {
            "type": "Pods",
            "pods": {"metric": {"name": "rps"}, "target": {"type": "AverageValue", "averageValue": "1k"}},
        },
    ),
    (
        {
            "type": "Object",
            "object": {
                "target": {"kind": "Ingress", "name": "i"},
                "metricName": "hits",
                "targetValue": "2k",
            },
        },
        {
            "type": "Object",
            "object": {
                "describedObject": {"kind": "Ingress", "name": "i"},
                "metric": {"name": "hits"},
                "target": {"type": "Value", "value": "2k"},
            },
        },
    ),
]


@pytest.mark.parametrize(("old", "new"), METRICS, ids=["resource", "pods", "object"])
def test_metrics_of_an_old_autoscaler(old: Object, new: Object) -> None:
    resource = find("autoscaling/v2beta1", "HorizontalPodAutoscaler")
    autoscaler = {"metadata": {}, "spec": {"metrics": [old]}, "status": {}}
    there = resource.to_storage(autoscaler)
    assert there["spec"]["metrics"] == [new]
    assert resource.from_storage(there)["spec"]["metrics"] == [old]


def test_the_behavior_of_an_autoscaler_survives_a_version_that_does_not_know_it() -> None:
    resource = find("autoscaling/v2beta1", "HorizontalPodAutoscaler")
    behavior = {"scaleDown": {"stabilizationWindowSeconds": 60}}
    stored = {"metadata": {}, "spec": {"behavior": behavior}, "status": {}}
    old = resource.from_storage(stored)
    assert "behavior" not in old["spec"]
    assert resource.to_storage(old)["spec"]["behavior"]["scaleDown"]["stabilizationWindowSeconds"] == 60


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"kind": "User", "name": "ada"}, {"kind": "User", "name": "ada", "apiGroup": "rbac"}),
        (
            {"kind": "User", "name": "*"},
            {"kind": "Group", "name": "system:authenticated", "apiGroup": "rbac"},
        ),
        (
            {"kind": "ServiceAccount", "name": "a", "namespace": "n"},
            {"kind": "ServiceAccount", "name": "a", "namespace": "n"},
        ),
    ],
    ids=["user", "everybody", "service account"],
)
def test_subjects_of_the_first_bindings(old: Object, new: Object) -> None:
    resource = find("rbac.authorization.k8s.io/v1alpha1", "RoleBinding")
    binding = defaulted("rbac.authorization.k8s.io/v1alpha1", "RoleBinding", subjects=[old])
    subject = resource.to_storage(binding)["subjects"][0]
    if "apiGroup" in new:
        new = {**new, "apiGroup": "rbac.authorization.k8s.io"}
    assert subject == new


def _definition(**spec: Any) -> Object:
    names = {"kind": "CronTab", "plural": "crontabs"}
    return defaulted(
        "apiextensions.k8s.io/v1beta1",
        "CustomResourceDefinition",
        spec={"group": "stable.example.com", "names": names, **spec},
    )


def test_an_old_definition_shares_what_its_versions_have_in_common() -> None:
    resource = find("apiextensions.k8s.io/v1beta1", "CustomResourceDefinition")
    old = _definition(
        version="v1",
        validation={"openAPIV3Schema": {"type": "object"}},
        subresources={"status": {}},
        additionalPrinterColumns=[{"name": "Cron", "type": "string", "JSONPath": ".spec.cron"}],
    )
    assert old["spec"]["scope"] == "Namespaced"
    assert old["spec"]["preserveUnknownFields"] is True
    stored = resource.to_storage(old)
    assert stored["spec"]["versions"] == [
        {
            "name": "v1",
            "served": True,
            "storage": True,
            "schema": {"openAPIV3Schema": {"type": "object"}},
            "subresources": {"status": {}},
            "additionalPrinterColumns": [{"name": "Cron", "type": "string", "jsonPath": ".spec.cron"}],
        }
    ]
    assert resource.from_storage(stored) == old


def test_a_definition_without_a_schema_is_tolerated_in_the_old_version_only() -> None:
    resource = find("apiextensions.k8s.io/v1beta1", "CustomResourceDefinition")
    stored = resource.to_storage(_definition(version="v1"))
    stored["metadata"]["name"] = "crontabs.stable.example.com"
    assert resource.storage is not None
    resource.storage.prepare_create(stored)
    errors = resource.storage.validate(stored)
    assert {error.field for error in errors} == {
        "spec.versions[0].schema.openAPIV3Schema",
        "spec.preserveUnknownFields",
    }
    assert all(resource.tolerates(error) for error in errors)


def test_old_webhooks_need_not_say_much() -> None:
    webhook = {"name": "a.example.com", "clientConfig": {"url": "https://a.example"}}
    api_version, kind = "admissionregistration.k8s.io/v1beta1", "ValidatingWebhookConfiguration"
    obj = defaulted(api_version, kind, webhooks=[webhook])
    filled = obj["webhooks"][0]
    assert (filled["failurePolicy"], filled["matchPolicy"], filled["timeoutSeconds"]) == (
        "Ignore",
        "Exact",
        30,
    )
    assert (filled["sideEffects"], filled["admissionReviewVersions"]) == ("Unknown", ["v1beta1"])
    resource = find(api_version, kind)
    assert resource.storage is not None
    errors = resource.storage.validate(resource.to_storage(obj))
    assert [error for error in errors if not resource.tolerates(error)] == []
    assert not resource.tolerates(
        FieldError.not_supported("webhooks[0].sideEffects", "Many", ("None", "NoneOnDryRun"))
    )


def _signing_request(common_name: str, *, hosts: bool) -> str:
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:nodes"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    if hosts:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("n1")]), critical=False)
    signed = builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return base64.b64encode(signed.public_bytes(serialization.Encoding.PEM)).decode()


@pytest.mark.parametrize(
    ("name", "hosts", "usages", "signer"),
    [
        ("system:node:n1", False, ["digital signature", "client auth"], "kube-apiserver-client-kubelet"),
        (
            "system:node:n1",
            True,
            ["digital signature", "key encipherment", "server auth"],
            "kubelet-serving",
        ),
        ("system:node:n1", True, ["digital signature", "client auth"], "legacy-unknown"),
        ("ada", False, ["digital signature", "client auth"], "legacy-unknown"),
    ],
    ids=["kubelet client", "kubelet serving", "client with names", "somebody else"],
)
def test_a_request_without_a_signer_gets_one(name: str, hosts: bool, usages: list[str], signer: str) -> None:
    spec = {"request": _signing_request(name, hosts=hosts), "usages": usages}
    obj = defaulted("certificates.k8s.io/v1beta1", "CertificateSigningRequest", spec=spec)
    assert obj["spec"]["signerName"] == f"kubernetes.io/{signer}"


def test_what_is_no_request_gets_the_old_signer_and_usages() -> None:
    spec = {"request": "bm9uZQ=="}
    obj = defaulted("certificates.k8s.io/v1beta1", "CertificateSigningRequest", spec=spec)
    assert obj["spec"]["signerName"] == "kubernetes.io/legacy-unknown"
    assert obj["spec"]["usages"] == ["digital signature", "key encipherment"]


def test_old_endpoints_have_their_place_in_topology_labels() -> None:
    resource = find("discovery.k8s.io/v1beta1", "EndpointSlice")
    zone, host = "topology.kubernetes.io/zone", "kubernetes.io/hostname"
    endpoint = {"addresses": ["10.0.0.1"], "nodeName": "n", "topology": {zone: "z", host: "n", "rack": "r"}}
    stored = resource.to_storage({"metadata": {}, "endpoints": [endpoint]})
    assert stored["endpoints"] == [
        {"addresses": ["10.0.0.1"], "nodeName": "n", "zone": "z", "deprecatedTopology": {"rack": "r"}}
    ]
    assert resource.from_storage(stored)["endpoints"] == [endpoint]


@pytest.mark.parametrize(
    ("api_version", "kind", "text"),
    [
        (
            "extensions/v1beta1",
            "Deployment",
            "extensions/v1beta1 Deployment is deprecated in v1.8+, unavailable in v1.16+; "
            "use apps/v1 Deployment",
        ),
        (
            "extensions/v1beta1",
            "Ingress",
            "extensions/v1beta1 Ingress is deprecated in v1.14+, unavailable in v1.22+; "
            "use networking.k8s.io/v1 Ingress",
        ),
        (
            "batch/v1beta1",
            "CronJob",
            "batch/v1beta1 CronJob is deprecated in v1.21+, unavailable in v1.25+; use batch/v1 CronJob",
        ),
        (
            "events.k8s.io/v1beta1",
            "Event",
            "events.k8s.io/v1beta1 Event is deprecated in v1.22+, unavailable in v1.25+",
        ),
    ],
    ids=["deployment", "ingress", "cron job", "no advice"],
)
def test_each_says_that_it_is_old(api_version: str, kind: str, text: str) -> None:
    assert find(api_version, kind).deprecation == text


def test_no_old_version_takes_the_place_of_a_current_one() -> None:
    current = {(resource.group, resource.version, resource.plural) for resource in BUILTIN}
    old = {(resource.group, resource.version, resource.plural) for resource in LEGACY}
    assert not current & old
    assert len(old) == len(LEGACY)


def test_old_versions_are_kept_where_the_current_ones_are() -> None:
    for resource in LEGACY:
        assert resource.legacy
        if resource.kind != "PodSecurityPolicy":
            assert resource.storage in BUILTIN, resource.api_version
