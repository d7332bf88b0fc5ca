"""The many entries that say: this resource must be in discovery, and every verb must work on it.

One walk over all of them: discovery; create, get, list in a namespace and over all; a watch that sees
update, patch and delete; status by patch and by update; deletecollection by label.
"""

from __future__ import annotations

import base64
import copy
from dataclasses import dataclass, field

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from podium.base import pki
from tests.conformance.client import MERGE, Api, Object, base, collection, holds
from tests.conformance.contract import case, note
from tests.conformance.examples import (
    config_map,
    daemon_set,
    ending_template,
    job,
    pod_spec,
    service,
    template,
    workload,
)

LABEL = "walk"


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """A resource, an object of it, and what is special about it."""

    api_version: str
    plural: str
    example: Object
    namespaced: bool = True
    status: Object = field(default_factory=dict)
    """What to put into the status; empty: it has none."""
    names: tuple[str, ...] = ("", "", "")
    """Names of the three objects, where not any name will do."""
    also: tuple[str, ...] = ()
    """Further conformance tests of which the walk is the whole."""

    def paths(self, namespace: str) -> tuple[str, str]:
        """Return the collection in which objects are made, and the one over all namespaces."""
        over_all = collection(self.api_version, self.plural)
        if not self.namespaced:
            return over_all, over_all
        return collection(self.api_version, self.plural, namespace), over_all

    def objects(self, namespace: str) -> list[Object]:
        made = []
        for number, name in enumerate(self.names):
            obj = copy.deepcopy(self.example)
            meta = obj.setdefault("metadata", {})
            meta["name"] = name or f"{namespace}-{number}"
            meta["labels"] = {**meta.get("labels", {}), LABEL: namespace}
            if self.namespaced:
                meta["namespace"] = namespace
            for about in ("involvedObject", "regarding"):
                if about in obj:
                    obj[about]["namespace"] = namespace
            made.append(obj)
        return made


def walk(name: str, api_version: str, plural: str, example: Object, **more: object) -> object:
    made = Walk(api_version=api_version, plural=plural, example=example, **more)  # type: ignore[arg-type]
    for other in made.also:
        note(other, "a table")
    return case(name, made)


def _signing_request() -> str:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "e2e-test")])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject)
    pem = request.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return base64.b64encode(pem.public_bytes(serialization.Encoding.PEM)).decode()


_CONDITION = {
    "type": "Walked",
    "status": "True",
    "reason": "ByTest",
    "message": "set by a test",
    "lastTransitionTime": "2026-01-01T00:00:00Z",
}
_CONDITIONS: Object = {"conditions": [_CONDITION]}
_RULES = {
    "resourceRules": [
        {
            "apiGroups": ["walk.example.com"],
            "apiVersions": ["v1"],
            "resources": ["walks"],
            "operations": ["CREATE"],
        }
    ]
}
_DEVICES = {"devices": {"requests": [{"name": "one", "exactly": {"deviceClassName": "walk"}}]}}
_VOLUME = {
    "capacity": {"storage": "1Gi"},
    "accessModes": ["ReadWriteOnce"],
    "hostPath": {"path": "/tmp/walk"},
    "storageClassName": "walk",
}
_CLAIM = {
    "accessModes": ["ReadWriteOnce"],
    "resources": {"requests": {"storage": "1Gi"}},
    "storageClassName": "walk",
}
_INGRESS = {"defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}}
_FLOW_SCHEMA = {
    "priorityLevelConfiguration": {"name": "global-default"},
    "matchingPrecedence": 10000,
    "rules": [
        {
            "subjects": [{"kind": "User", "user": {"name": "walk"}}],
            "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": ["/walk"]}],
        }
    ],
}
_EVENT_IN_CORE = {"involvedObject": {"kind": "Pod", "name": "none"}, "reason": "Walked", "type": "Normal"}
_EVENT = {
    "regarding": {"kind": "Pod", "name": "none"},
    "reason": "Walked",
    "type": "Normal",
    "action": "Walk",
    "eventTime": "2026-01-01T00:00:00.000000Z",
    "reportingController": "tests",
    "reportingInstance": "one",
}
_MUTATION = {
    "patchType": "ApplyConfiguration",
    "applyConfiguration": {"expression": "Object{}"},
}

WALKS = [
    walk(
        "[sig-api-machinery] API priority and fairness should support FlowSchema API operations",
        "flowcontrol.apiserver.k8s.io/v1",
        "flowschemas",
        {"spec": _FLOW_SCHEMA},
        namespaced=False,
        status=_CONDITIONS,
    ),
    walk(
        "[sig-api-machinery] API priority and fairness should support PriorityLevelConfiguration API operations",
        "flowcontrol.apiserver.k8s.io/v1",
        "prioritylevelconfigurations",
        {
            "spec": {
                "type": "Limited",
                "limited": {"nominalConcurrencyShares": 2, "limitResponse": {"type": "Reject"}},
            }
        },
        namespaced=False,
        status=_CONDITIONS,
    ),
    walk(
        "[sig-api-machinery] ValidatingAdmissionPolicy [Privileged:ClusterAdmin]"
        " should support ValidatingAdmissionPolicy API operations",
        "admissionregistration.k8s.io/v1",
        "validatingadmissionpolicies",
        {"spec": {"matchConstraints": _RULES, "validations": [{"expression": "true"}]}},
        namespaced=False,
        status=_CONDITIONS,
    ),
    walk(
        "[sig-api-machinery] ValidatingAdmissionPolicy [Privileged:ClusterAdmin]"
        " should support ValidatingAdmissionPolicyBinding API operations",
        "admissionregistration.k8s.io/v1",
        "validatingadmissionpolicybindings",
        {"spec": {"policyName": "walk", "validationActions": ["Deny"]}},
        namespaced=False,
    ),
    walk(
        "[sig-api-machinery] MutatingAdmissionPolicy [Privileged:ClusterAdmin]"
        " should support MutatingAdmissionPolicy API operations",
        "admissionregistration.k8s.io/v1",
        "mutatingadmissionpolicies",
        {"spec": {"matchConstraints": _RULES, "reinvocationPolicy": "Never", "mutations": [_MUTATION]}},
        namespaced=False,
    ),
    walk(
        "[sig-api-machinery] MutatingAdmissionPolicy [Privileged:ClusterAdmin]"
        " should support MutatingAdmissionPolicyBinding API operations",
        "admissionregistration.k8s.io/v1",
        "mutatingadmissionpolicybindings",
        {"spec": {"policyName": "walk"}},
        namespaced=False,
    ),
    walk(
        "[sig-api-machinery] ResourceQuota should manage the lifecycle of a ResourceQuota",
        "v1",
        "resourcequotas",
        {"spec": {"hard": {"configmaps": "100"}}},
    ),
    walk(
        "[sig-apps] CronJob should support CronJob API operations",
        "batch/v1",
        "cronjobs",
        {"spec": {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": ending_template()}}}},
        status={"lastScheduleTime": "2026-01-01T00:00:00Z"},
    ),
    walk(
        "[sig-apps] Daemon set [Serial] should list and delete a collection of DaemonSets",
        "apps/v1",
        "daemonsets",
        daemon_set("walk"),
    ),
    walk(
        "[sig-apps] DisruptionController Listing PodDisruptionBudgets for all namespaces"
        " should list and delete a collection of PodDisruptionBudgets",
        "policy/v1",
        "poddisruptionbudgets",
        {"spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "none"}}}},
        also=("[sig-apps] DisruptionController should create a PodDisruptionBudget",),
    ),
    walk(
        "[sig-apps] Job should manage the lifecycle of a job", "batch/v1", "jobs", job("walk", suspend=True)
    ),
    walk(
        "[sig-apps] ReplicaSet should list and delete a collection of ReplicaSets",
        "apps/v1",
        "replicasets",
        workload("walk", 0),
    ),
    walk(
        "[sig-apps] StatefulSet Basic StatefulSet functionality [StatefulSetBasic]"
        " should list, patch and delete a collection of StatefulSets",
        "apps/v1",
        "statefulsets",
        workload("walk", 0, serviceName="none"),
    ),
    walk(
        "[sig-auth] Certificates API [Privileged:ClusterAdmin] should support CSR API operations",
        "certificates.k8s.io/v1",
        "certificatesigningrequests",
        {
            "spec": {
                "request": _signing_request(),
                "signerName": "example.com/e2e",
                "usages": ["digital signature", "key encipherment", "server auth"],
                "expirationSeconds": 86400,
            }
        },
        namespaced=False,
        status=_CONDITIONS,
    ),
    walk(
        "[sig-auth] ServiceAccounts should run through the lifecycle of a ServiceAccount",
        "v1",
        "serviceaccounts",
        {"automountServiceAccountToken": True},
        also=("[sig-auth] ServiceAccounts should update a ServiceAccount",),
    ),
    walk(
        "[sig-instrumentation] Events API should ensure that an event can be fetched, patched, deleted, and listed",
        "events.k8s.io/v1",
        "events",
        _EVENT,
        also=("[sig-instrumentation] Events API should delete a collection of events",),
    ),
    walk(
        "[sig-instrumentation] Events should manage the lifecycle of an event",
        "v1",
        "events",
        _EVENT_IN_CORE,
        also=("[sig-instrumentation] Events should delete a collection of events",),
    ),
    walk(
        "[sig-network] EndpointSlice should support creating EndpointSlice API operations",
        "discovery.k8s.io/v1",
        "endpointslices",
        {"addressType": "IPv4", "endpoints": [{"addresses": ["10.0.0.1"]}], "ports": [{"port": 80}]},
    ),
    walk(
        "[sig-network] Endpoints should test the lifecycle of an Endpoint",
        "v1",
        "endpoints",
        {"subsets": [{"addresses": [{"ip": "10.0.0.24"}], "ports": [{"name": "http", "port": 80}]}]},
    ),
    walk(
        "[sig-network] Ingress API should support creating Ingress API operations",
        "networking.k8s.io/v1",
        "ingresses",
        {"spec": _INGRESS},
        status={"loadBalancer": {"ingress": [{"ip": "169.1.1.1"}]}},
    ),
    walk(
        "[sig-network] IngressClass API should support creating IngressClass API operations",
        "networking.k8s.io/v1",
        "ingressclasses",
        {"spec": {"controller": "example.com/controller"}},
        namespaced=False,
    ),
    walk(
        "[sig-network] ServiceCIDR and IPAddress API should support IPAddress API operations",
        "networking.k8s.io/v1",
        "ipaddresses",
        {
            "spec": {
                "parentRef": {"group": "", "resource": "services", "name": "walk", "namespace": "default"}
            }
        },
        namespaced=False,
        names=("192.168.217.1", "192.168.217.2", "192.168.217.3"),
    ),
    walk(
        "[sig-network] ServiceCIDR and IPAddress API should support ServiceCIDR API operations",
        "networking.k8s.io/v1",
        "servicecidrs",
        {"spec": {"cidrs": ["192.168.218.0/24"]}},
        namespaced=False,
        status=_CONDITIONS,
    ),
    walk("[sig-network] Services should delete a collection of services", "v1", "services", service("walk")),
    walk(
        "[sig-node] ConfigMap should run through a ConfigMap lifecycle",
        "v1",
        "configmaps",
        config_map("walk", a="b"),
        also=("[sig-node] ConfigMap should update ConfigMap successfully [NodeConformance]",),
    ),
    walk(
        "[sig-node] Lease lease API should be available",
        "coordination.k8s.io/v1",
        "leases",
        {"spec": {"holderIdentity": "walk", "leaseDurationSeconds": 30, "leaseTransitions": 0}},
    ),
    walk(
        "[sig-node] PodTemplates should run the lifecycle of PodTemplates",
        "v1",
        "podtemplates",
        {"template": template({"app": "walk"})},
        also=(
            "[sig-node] PodTemplates should delete a collection of pod templates",
            "[sig-node] PodTemplates should replace a pod template",
        ),
    ),
    walk(
        "[sig-node] Pods should delete a collection of pods",
        "v1",
        "pods",
        {"spec": pod_spec(schedulerName="nobody", terminationGracePeriodSeconds=0)},
        also=("[sig-node] Pods should run through the lifecycle of Pods and PodStatus",),
        status={"conditions": [{**_CONDITION, "type": "Ready"}]},
    ),
    walk(
        "[sig-node] RuntimeClass should support RuntimeClasses API operations",
        "node.k8s.io/v1",
        "runtimeclasses",
        {"handler": "walk"},
        namespaced=False,
    ),
    walk("[sig-node] Secrets should patch a secret", "v1", "secrets", {"data": {"key": "dmFsdWU="}}),
    walk(
        "[sig-node] [DRA] CRUD Tests resource.k8s.io/v1 DeviceClass",
        "resource.k8s.io/v1",
        "deviceclasses",
        {"spec": {}},
        namespaced=False,
    ),
    walk(
        "[sig-node] [DRA] CRUD Tests resource.k8s.io/v1 ResourceClaim",
        "resource.k8s.io/v1",
        "resourceclaims",
        {"spec": _DEVICES},
        status={"reservedFor": []},
    ),
    walk(
        "[sig-node] [DRA] CRUD Tests resource.k8s.io/v1 ResourceClaimTemplate",
        "resource.k8s.io/v1",
        "resourceclaimtemplates",
        {"spec": {"spec": _DEVICES}},
    ),
    walk(
        "[sig-node] [DRA] CRUD Tests resource.k8s.io/v1 ResourceSlice",
        "resource.k8s.io/v1",
        "resourceslices",
        {
            "spec": {
                "driver": "walk.example.com",
                "nodeName": "none",
                "pool": {"name": "none", "generation": 1, "resourceSliceCount": 1},
                "devices": [{"name": "one"}],
            }
        },
        namespaced=False,
    ),
    walk(
        "[sig-scheduling] LimitRange should list, patch and delete a LimitRange by collection",
        "v1",
        "limitranges",
        {"spec": {"limits": [{"type": "Container", "max": {"cpu": "2"}}]}},
    ),
    walk(
        "[sig-scheduling] SchedulerPreemption [Serial] PriorityClass endpoints verify"
        " PriorityClass endpoints can be operated with different HTTP methods",
        "scheduling.k8s.io/v1",
        "priorityclasses",
        {"value": 7},
        namespaced=False,
    ),
    walk(
        "[sig-storage] CSIInlineVolumes should run through the lifecycle of a CSIDriver",
        "storage.k8s.io/v1",
        "csidrivers",
        {"spec": {"volumeLifecycleModes": ["Ephemeral"]}},
        namespaced=False,
    ),
    walk(
        "[sig-storage] CSINodes CSI Conformance should run through the lifecycle of a csinode",
        "storage.k8s.io/v1",
        "csinodes",
        {"spec": {"drivers": [{"name": "walk.example.com", "nodeID": "one"}]}},
        namespaced=False,
    ),
    walk(
        "[sig-storage] CSIStorageCapacity should support CSIStorageCapacities API operations",
        "storage.k8s.io/v1",
        "csistoragecapacities",
        {"storageClassName": "walk", "capacity": "1Gi"},
    ),
    walk(
        "[sig-storage] PersistentVolumes CSI Conformance should run through the lifecycle of a PV and a PVC",
        "v1",
        "persistentvolumes",
        {"spec": _VOLUME},
        namespaced=False,
        status={"message": "walked"},
    ),
    pytest.param(
        Walk(
            api_version="v1",
            plural="persistentvolumeclaims",
            example={"spec": _CLAIM},
            status={"conditions": [_CONDITION]},
        ),
        id="claims of the same",
    ),
    walk(
        "[sig-storage] StorageClasses CSI Conformance should run through the lifecycle of a StorageClass",
        "storage.k8s.io/v1",
        "storageclasses",
        {"provisioner": "walk.example.com"},
        namespaced=False,
    ),
    walk(
        "[sig-storage] VolumeAttachment Conformance should run through the lifecycle of a VolumeAttachment",
        "storage.k8s.io/v1",
        "volumeattachments",
        {
            "spec": {
                "attacher": "walk.example.com",
                "nodeName": "none",
                "source": {"persistentVolumeName": "none"},
            }
        },
        namespaced=False,
        status={"attached": True},
        also=(
            "[sig-storage] VolumeAttachment Conformance should apply changes to a volumeattachment status",
        ),
    ),
    walk(
        "[sig-storage] VolumeAttributesClass [FeatureGate:VolumeAttributesClass]"
        " should run through the lifecycle of a VolumeAttributesClass",
        "storage.k8s.io/v1",
        "volumeattributesclasses",
        {"driverName": "walk.example.com", "parameters": {"iops": "1"}},
        namespaced=False,
    ),
]


@pytest.mark.parametrize("resource", WALKS)
def test_operations(api: Api, namespace: str, resource: Walk) -> None:
    _check_discovery(api, resource)
    path, over_all = resource.paths(namespace)
    first, *others = [api.post(path, obj) for obj in resource.objects(namespace)]
    name = first["metadata"]["name"]
    assert api.get(f"{path}/{name}")["metadata"]["uid"] == first["metadata"]["uid"]
    api.refused(409, "POST", path, resource.objects(namespace)[0])

    selector = {"label_selector": f"{LABEL}={namespace}"}
    listed = {scope: api.get(scope, **selector) for scope in (path, over_all)}
    for found in listed.values():
        assert {o["metadata"]["uid"] for o in found["items"]} == {
            o["metadata"]["uid"] for o in (first, *others)
        }

    version = listed[path]["metadata"]["resourceVersion"]
    with api.watch(path, **selector, resource_version=version, timeout_seconds="60") as events:
        patched = api.patch(f"{path}/{name}", {"metadata": {"annotations": {"patched": "true"}}})
        assert patched["metadata"]["annotations"]["patched"] == "true"
        seen = events.until("MODIFIED", lambda o: "patched" in (o["metadata"].get("annotations") or {}))
        assert seen["metadata"]["uid"] == first["metadata"]["uid"]
        updated = api.update(f"{path}/{name}", lambda o: o["metadata"]["annotations"].update(updated="true"))
        assert updated["metadata"]["annotations"]["updated"] == "true"
        events.until("MODIFIED", lambda o: "updated" in (o["metadata"].get("annotations") or {}))
        if resource.status:
            _check_status(api, f"{path}/{name}", resource.status)
        _delete(api, f"{path}/{name}")
        gone = events.until("DELETED")
        assert gone["metadata"]["name"] == name
    api.until_gone(f"{path}/{name}")

    remaining = {o["metadata"]["name"] for o in api.get(path, **selector)["items"]}
    assert remaining == {o["metadata"]["name"] for o in others}
    api.delete(path, {"propagationPolicy": "Background", "gracePeriodSeconds": 0}, **selector)
    for name in remaining:
        _release(api, f"{path}/{name}")
        api.until_gone(f"{path}/{name}")


def _check_discovery(api: Api, resource: Walk) -> None:
    group, _, version = resource.api_version.rpartition("/")
    if group:
        found = next(g for g in api.get("/apis")["groups"] if g["name"] == group)
        assert resource.api_version in {v["groupVersion"] for v in found["versions"]}
        versions = {v["version"] for v in api.get(f"/apis/{group}")["versions"]}
    else:
        versions = set(api.get("/api")["versions"])
    assert version in versions
    resources = {r["name"]: r for r in api.get(base(resource.api_version))["resources"]}
    verbs = set(resources[resource.plural]["verbs"])
    assert verbs >= {"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"}
    assert resources[resource.plural]["namespaced"] is resource.namespaced
    if resource.status:
        assert set(resources[f"{resource.plural}/status"]["verbs"]) == {"get", "patch", "update"}


def _check_status(api: Api, path: str, status: Object) -> None:
    patched = api.patch(f"{path}/status", {"metadata": {"annotations": {"s": "1"}}, "status": status})
    for key, value in status.items():
        assert holds(patched.get("status", {}).get(key), value), patched

    def change(current: Object) -> None:
        # What was set may be gone again: a controller writes this status too.
        current.setdefault("status", {}).update(status)
        current["metadata"]["annotations"]["s"] = "2"

    updated = api.update(f"{path}/status", change)
    for key, value in status.items():
        assert holds(updated.get("status", {}).get(key), value), updated


def _delete(api: Api, path: str) -> None:
    api.delete(path, {"propagationPolicy": "Background", "gracePeriodSeconds": 0})
    _release(api, path)


def _release(api: Api, path: str) -> None:
    """Take away what protects an object that is in use by nobody, if its controller has not yet."""
    answer = api.send("GET", path)
    if answer.status == 200 and (answer.body["metadata"].get("finalizers") or []):
        api.send(
            "PATCH",
            path,
            {"metadata": {"finalizers": None}},
            headers={"Content-Type": MERGE},
        )


def test_csrs_are_approved_through_their_subresource(api: Api, namespace: str) -> None:
    path = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
    spec = {"request": _signing_request(), "signerName": "example.com/e2e", "usages": ["server auth"]}
    api.post(path, {"metadata": {"name": namespace}, "spec": spec})
    verdict = {"type": "Approved", "status": "True", "reason": "ByTest", "message": "m"}
    api.update(f"{path}/{namespace}/approval", lambda o: o.update(status={"conditions": [verdict]}))
    approved = api.get(f"{path}/{namespace}")
    assert [c["type"] for c in approved["status"]["conditions"]] == ["Approved"]
    patched = api.patch(f"{path}/{namespace}/status", {"status": {"certificate": _certificate()}})
    assert patched["status"]["certificate"]
    api.delete(f"{path}/{namespace}")


def _certificate() -> str:
    return base64.b64encode(pki.create_ca("e2e").certificate_pem).decode()


def test_the_scale_of_what_has_one_is_not_walked_here(api: Api) -> None:
    """The walk is over objects; scales are in test_workloads.py, and discovery must know them all."""
    core = {r["name"] for r in api.get("/api/v1")["resources"]}
    apps = {r["name"] for r in api.get("/apis/apps/v1")["resources"]}
    assert "replicationcontrollers/scale" in core
    assert {f"{kind}/scale" for kind in ("deployments", "replicasets", "statefulsets")} <= apps
