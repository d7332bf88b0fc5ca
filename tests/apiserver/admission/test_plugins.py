"""The smaller plugins, a table for each."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from podium.apiserver import authz
from podium.apiserver.admission.certificates import (
    CertificateApproval,
    CertificateSigning,
    CertificateSubjectRestriction,
)
from podium.apiserver.admission.default_class import (
    DefaultIngressClass,
    DefaultStorageClass,
    PersistentVolumeClaimResize,
)
from podium.apiserver.admission.default_toleration_seconds import DefaultTolerationSeconds
from podium.apiserver.admission.namespace_lifecycle import NamespaceLifecycle
from podium.apiserver.admission.pod_group_workload_exists import PodGroupWorkloadExists
from podium.apiserver.admission.pod_resize_validator import PodResizeValidator
from podium.apiserver.admission.pod_topology_labels import PodTopologyLabels
from podium.apiserver.admission.priority import Priority
from podium.apiserver.admission.runtime_class import RuntimeClass
from podium.apiserver.admission.service_account import ServiceAccount
from podium.apiserver.admission.storage_object_in_use_protection import StorageObjectInUseProtection
from podium.apiserver.admission.taint_nodes_by_condition import TaintNodesByCondition
from podium.machinery.errors import NotFound, Object, PlainError
from podium.resources.certificates.certificatesigningrequests import CERTIFICATESIGNINGREQUESTS
from podium.resources.core.configmaps import CONFIGMAPS
from podium.resources.core.namespaces import NAMESPACES
from podium.resources.core.nodes import NODES
from podium.resources.core.persistentvolumeclaims import PERSISTENTVOLUMECLAIMS
from podium.resources.core.persistentvolumes import PERSISTENTVOLUMES
from podium.resources.core.pods import PODS
from podium.resources.core.serviceaccounts import SERVICEACCOUNTS
from podium.resources.networking.ingressclasses import INGRESSCLASSES
from podium.resources.networking.ingresses import INGRESSES
from podium.resources.node.runtimeclasses import RUNTIMECLASSES
from podium.resources.rbac.clusterrolebindings import CLUSTERROLEBINDINGS
from podium.resources.rbac.clusterroles import CLUSTERROLES
from podium.resources.scheduling.podgroups import PODGROUPS
from podium.resources.scheduling.priorityclasses import PRIORITYCLASSES
from podium.resources.scheduling.workloads import WORKLOADS
from podium.resources.storage.storageclasses import STORAGECLASSES
from tests.apiserver.admission.helpers import admit, attributes_for, pod, why
from tests.apiserver.authz.helpers import binding, role, rule
from tests.apiserver.fakes import FakeReader

# --- NamespaceLifecycle


def namespaces() -> NamespaceLifecycle:
    reader = FakeReader()
    reader.put(NAMESPACES, {"metadata": {"name": "ns"}, "status": {"phase": "Active"}})
    reader.put(NAMESPACES, {"metadata": {"name": "going"}, "status": {"phase": "Terminating"}})
    return NamespaceLifecycle(reader)


CONFIG: Object = {"metadata": {"name": "a"}}


def test_objects_live_in_namespaces() -> None:
    assert admit(namespaces(), attributes_for(CONFIGMAPS, dict(CONFIG))) is None
    error = admit(namespaces(), attributes_for(CONFIGMAPS, dict(CONFIG), namespace="nosuch"))
    assert isinstance(error, NotFound)
    assert error.message == 'namespaces "nosuch" not found'


def test_nothing_new_in_a_namespace_that_goes() -> None:
    error = admit(namespaces(), attributes_for(CONFIGMAPS, dict(CONFIG), namespace="going"))
    assert error is not None
    assert why(error) == "unable to create new content in namespace going because it is being terminated"
    assert error.details == {
        "name": "a",
        "kind": "configmaps",
        "causes": [
            {
                "reason": "NamespaceTerminating",
                "message": "namespace going is being terminated",
                "field": "metadata.namespace",
            }
        ],
    }
    update = attributes_for(CONFIGMAPS, dict(CONFIG), old=dict(CONFIG), namespace="going")
    assert admit(namespaces(), update) is None


@pytest.mark.parametrize("name", ["default", "kube-system", "kube-public", "kube-node-lease", "ns"])
def test_some_namespaces_stay(name: str) -> None:
    delete = attributes_for(NAMESPACES, None, operation="DELETE", name=name)
    expected = (
        "this namespace may not be deleted" if name in ("default", "kube-system", "kube-public") else ""
    )
    assert why(admit(namespaces(), delete)) == expected


# --- ServiceAccount


def accounts(**fields: Any) -> ServiceAccount:
    reader = FakeReader()
    reader.put(SERVICEACCOUNTS, {"metadata": {"name": "default", "namespace": "ns"}})
    reader.put(SERVICEACCOUNTS, {"metadata": {"name": "robot", "namespace": "ns"}, **fields})
    return ServiceAccount(reader, wait_for_default_s=0)


def test_default_account_and_its_token() -> None:
    written = pod()
    assert admit(accounts(), attributes_for(PODS, written)) is None
    spec = written["spec"]
    assert spec["serviceAccountName"] == spec["serviceAccount"] == "default"
    [volume] = spec["volumes"]
    assert volume["name"].startswith("kube-api-access-")
    assert len(volume["name"]) == len("kube-api-access-") + 5
    assert [next(iter(source)) for source in volume["projected"]["sources"]] == [
        "serviceAccountToken",
        "configMap",
        "downwardAPI",
    ]
    assert spec["containers"][0]["volumeMounts"] == [
        {
            "name": volume["name"],
            "readOnly": True,
            "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
        }
    ]


@pytest.mark.parametrize(
    ("account", "spec", "mounted"),
    [
        ({}, {}, True),
        ({"automountServiceAccountToken": False}, {}, False),
        ({"automountServiceAccountToken": False}, {"automountServiceAccountToken": True}, True),
        ({}, {"automountServiceAccountToken": False}, False),
    ],
)
def test_who_declines_the_token(account: Object, spec: Object, mounted: bool) -> None:
    written = pod(serviceAccountName="robot", **spec)
    assert admit(accounts(**account), attributes_for(PODS, written)) is None
    assert ("volumes" in written["spec"]) is mounted


def test_a_container_may_mount_its_own_thing_there() -> None:
    own = {"name": "mine", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}
    written = pod(
        containers=[{"name": "c", "volumeMounts": [own]}], initContainers=[{"name": "i", "image": "i"}]
    )
    assert admit(accounts(), attributes_for(PODS, written)) is None
    assert written["spec"]["containers"][0]["volumeMounts"] == [own]
    assert len(written["spec"]["initContainers"][0]["volumeMounts"]) == 1
    alone = pod(containers=[{"name": "c", "volumeMounts": [own]}])
    assert admit(accounts(), attributes_for(PODS, alone)) is None
    assert "volumes" not in alone["spec"]


def test_pull_secrets_come_from_the_account() -> None:
    plugin = accounts(imagePullSecrets=[{"name": "pull"}])
    written = pod(serviceAccount="robot")
    assert admit(plugin, attributes_for(PODS, written)) is None
    assert written["spec"]["serviceAccountName"] == "robot"
    assert written["spec"]["imagePullSecrets"] == [{"name": "pull"}]
    own = pod(serviceAccountName="robot", imagePullSecrets=[{"name": "mine"}])
    assert admit(plugin, attributes_for(PODS, own)) is None
    assert own["spec"]["imagePullSecrets"] == [{"name": "mine"}]


def test_missing_account() -> None:
    error = admit(accounts(), attributes_for(PODS, pod(serviceAccountName="ghost")))
    assert why(error) == 'error looking up service account ns/ghost: serviceaccount "ghost" not found'


def test_a_new_namespaces_account_is_waited_for() -> None:
    reader = FakeReader()
    plugin = ServiceAccount(reader, wait_for_default_s=30)
    written = [pod("a"), pod("b")]

    async def run() -> None:
        async with asyncio.TaskGroup() as tasks:
            for obj in written:
                tasks.create_task(plugin.admit(attributes_for(PODS, obj)))
            await asyncio.sleep(0)
            reader.put(SERVICEACCOUNTS, {"metadata": {"name": "default", "namespace": "ns"}})

    asyncio.run(run())
    assert [obj["spec"]["serviceAccountName"] for obj in written] == ["default", "default"]


def test_mirror_pods_name_nothing() -> None:
    mirror = pod(serviceAccountName="robot")
    mirror["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "x"}
    assert why(admit(accounts(), attributes_for(PODS, mirror))) == (
        "a mirror pod may not reference service accounts"
    )
    secret = pod(volumes=[{"name": "v", "secret": {"secretName": "s"}}])
    secret["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "x"}
    assert why(admit(accounts(), attributes_for(PODS, secret))) == "a mirror pod may not reference secrets"
    assert "serviceAccountName" not in secret["spec"]


# --- Priority


def priorities(*more: Object) -> Priority:
    reader = FakeReader()
    reader.put(PRIORITYCLASSES, {"metadata": {"name": "high"}, "value": 10, "preemptionPolicy": "Never"})
    reader.put(PRIORITYCLASSES, *more)
    return Priority(reader)


def default_class(name: str, value: int) -> Object:
    return {"metadata": {"name": name}, "value": value, "globalDefault": True}


@pytest.mark.parametrize(
    ("classes", "spec", "expected"),
    [
        ((), {}, (None, 0, "PreemptLowerPriority")),
        ((), {"priorityClassName": "high"}, ("high", 10, "Never")),
        ((), {"priorityClassName": "high", "priority": 10}, ("high", 10, "Never")),
        ((default_class("usual", 3),), {}, ("usual", 3, "PreemptLowerPriority")),
        ((default_class("usual", 3), default_class("less", 1)), {}, ("less", 1, "PreemptLowerPriority")),
    ],
)
def test_priority(classes: tuple[Object, ...], spec: Object, expected: tuple[object, ...]) -> None:
    written = pod(**spec)
    assert admit(priorities(*classes), attributes_for(PODS, written)) is None
    found = written["spec"]
    assert (found.get("priorityClassName"), found["priority"], found["preemptionPolicy"]) == expected


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"priorityClassName": "nosuch"}, "no PriorityClass with name nosuch was found"),
        (
            {"priority": 5},
            "the integer value of priority (5) must not be provided in pod spec; priority admission "
            "controller computed 0 from the given PriorityClass name",
        ),
        (
            {"priorityClassName": "high", "preemptionPolicy": "PreemptLowerPriority"},
            "the string value of PreemptionPolicy (PreemptLowerPriority) must not be provided in pod spec; "
            "priority admission controller computed Never from the given PriorityClass name",
        ),
    ],
)
def test_priority_refused(spec: Object, message: str) -> None:
    assert why(admit(priorities(), attributes_for(PODS, pod(**spec)))) == message


def test_an_update_keeps_priority() -> None:
    written = pod()
    old = pod(priority=7, preemptionPolicy="Never")
    assert admit(priorities(), attributes_for(PODS, written, old=old)) is None
    assert (written["spec"]["priority"], written["spec"]["preemptionPolicy"]) == (7, "Never")


def test_one_default_class() -> None:
    plugin = priorities(default_class("usual", 3))
    again = attributes_for(PRIORITYCLASSES, default_class("usual", 4), old=default_class("usual", 3))
    assert admit(plugin, again) is None
    assert why(admit(plugin, attributes_for(PRIORITYCLASSES, default_class("second", 1)))) == (
        "PriorityClass usual is already marked as default. Only one default can exist"
    )


# --- nodes and tolerations

FIVE_MINUTES = {"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
NOT_READY = {"key": "node.kubernetes.io/not-ready", **FIVE_MINUTES}
UNREACHABLE = {"key": "node.kubernetes.io/unreachable", **FIVE_MINUTES}
OTHER_EFFECT = {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoSchedule"}


@pytest.mark.parametrize(
    ("given", "result"),
    [
        (None, [NOT_READY, UNREACHABLE]),
        ([NOT_READY], [NOT_READY, UNREACHABLE]),
        ([{"operator": "Exists"}], [{"operator": "Exists"}]),
        ([OTHER_EFFECT], [OTHER_EFFECT, NOT_READY, UNREACHABLE]),
    ],
)
def test_default_tolerations(given: list[Object] | None, result: list[Object]) -> None:
    written = pod()
    if given is not None:
        written["spec"]["tolerations"] = given
    assert admit(DefaultTolerationSeconds(), attributes_for(PODS, written)) is None
    assert written["spec"]["tolerations"] == result


def test_new_nodes_are_tainted() -> None:
    node: Object = {"metadata": {"name": "n"}}
    assert admit(TaintNodesByCondition(), attributes_for(NODES, node)) is None
    assert node["spec"]["taints"] == [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]


def test_a_bound_pod_learns_its_zone() -> None:
    reader = FakeReader()
    labels = {"topology.kubernetes.io/zone": "z1", "kubernetes.io/hostname": "n"}
    reader.put(NODES, {"metadata": {"name": "n", "labels": labels}})
    binding: Object = {"metadata": {"name": "p", "labels": {"a": "b"}}, "target": {"name": "n"}}
    write = attributes_for(PODS, binding, name="p", subresource="binding")
    assert admit(PodTopologyLabels(reader), write) is None
    assert binding["metadata"]["labels"] == {"a": "b", "topology.kubernetes.io/zone": "z1"}
    placed, waiting = pod(nodeName="n"), pod()
    for obj in (placed, waiting, pod(nodeName="nosuch")):
        assert admit(PodTopologyLabels(reader), attributes_for(PODS, obj)) is None
    assert placed["metadata"]["labels"] == {"topology.kubernetes.io/zone": "z1"}
    assert "labels" not in waiting["metadata"]


# --- storage and classes


@pytest.mark.parametrize(
    ("resource", "finalizer"),
    [
        (PERSISTENTVOLUMES, "kubernetes.io/pv-protection"),
        (PERSISTENTVOLUMECLAIMS, "kubernetes.io/pvc-protection"),
    ],
)
def test_storage_is_protected(resource: Any, finalizer: str) -> None:
    obj: Object = {"metadata": {"name": "x", "finalizers": ["mine"]}}
    assert admit(StorageObjectInUseProtection(), attributes_for(resource, obj)) is None
    assert obj["metadata"]["finalizers"] == ["mine", finalizer]


def marked(name: str, created: str, annotation: str) -> Object:
    return {"metadata": {"name": name, "creationTimestamp": created, "annotations": {annotation: "true"}}}


STORAGE_DEFAULT = "storageclass.kubernetes.io/is-default-class"
INGRESS_DEFAULT = "ingressclass.kubernetes.io/is-default-class"


@pytest.mark.parametrize(
    ("claim", "expected"),
    [
        ({"metadata": {}, "spec": {}}, "newer"),
        ({"metadata": {}, "spec": {"storageClassName": ""}}, ""),
        ({"metadata": {}, "spec": {"storageClassName": "mine"}}, "mine"),
        ({"metadata": {"annotations": {"volume.beta.kubernetes.io/storage-class": "x"}}, "spec": {}}, None),
    ],
)
def test_default_storage_class(claim: Object, expected: str | None) -> None:
    reader = FakeReader()
    reader.put(STORAGECLASSES, marked("older", "2026-01-01T00:00:00Z", STORAGE_DEFAULT))
    reader.put(STORAGECLASSES, marked("newer", "2026-02-01T00:00:00Z", STORAGE_DEFAULT))
    reader.put(STORAGECLASSES, marked("z-newer", "2026-02-01T00:00:00Z", STORAGE_DEFAULT))
    reader.put(STORAGECLASSES, {"metadata": {"name": "newest", "creationTimestamp": "2026-03-01T00:00:00Z"}})
    assert admit(DefaultStorageClass(reader), attributes_for(PERSISTENTVOLUMECLAIMS, claim)) is None
    assert claim["spec"].get("storageClassName") == expected


def test_default_ingress_class() -> None:
    reader = FakeReader()
    reader.put(INGRESSCLASSES, marked("usual", "2026-01-01T00:00:00Z", INGRESS_DEFAULT))
    plugin = DefaultIngressClass(reader)
    open_ingress: Object = {"metadata": {}, "spec": {}}
    assert admit(plugin, attributes_for(INGRESSES, open_ingress)) is None
    assert open_ingress["spec"]["ingressClassName"] == "usual"
    old_way: Object = {"metadata": {"annotations": {"kubernetes.io/ingress.class": "x"}}, "spec": {}}
    assert admit(plugin, attributes_for(INGRESSES, old_way)) is None
    assert "ingressClassName" not in old_way["spec"]


def claim_of(size: str, storage_class: str) -> Object:
    return {
        "metadata": {"name": "c", "namespace": "ns"},
        "spec": {"storageClassName": storage_class, "resources": {"requests": {"storage": size}}},
        "status": {"phase": "Bound"},
    }


@pytest.mark.parametrize(
    ("old", "new", "allowed"),
    [
        (claim_of("1Gi", "grows"), claim_of("2Gi", "grows"), True),
        (claim_of("1Gi", "fixed"), claim_of("2Gi", "fixed"), False),
        (claim_of("1Gi", "fixed"), claim_of("1024Mi", "fixed"), True),
        (claim_of("1Gi", ""), claim_of("2Gi", ""), False),
    ],
)
def test_claims_grow_where_they_may(old: Object, new: Object, allowed: bool) -> None:
    reader = FakeReader()
    reader.put(STORAGECLASSES, {"metadata": {"name": "grows"}, "allowVolumeExpansion": True})
    reader.put(STORAGECLASSES, {"metadata": {"name": "fixed"}})
    plugin = PersistentVolumeClaimResize(reader)
    error = admit(plugin, attributes_for(PERSISTENTVOLUMECLAIMS, new, old=old))
    assert (error is None) is allowed


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "resource name may not be empty"),
        ("a/b", "invalid resource name \"a/b\": [may not contain '/']"),
    ],
)
def test_runtime_classes_that_nothing_can_be_called(name: str, why: str) -> None:
    refused = admit(RuntimeClass(FakeReader()), attributes_for(PODS, pod(runtimeClassName=name)))
    assert isinstance(refused, PlainError)
    assert refused.message == why


def test_runtime_class() -> None:
    reader = FakeReader()
    scheduling = {"nodeSelector": {"vm": "yes"}, "tolerations": [{"key": "vm"}]}
    overhead = {"podFixed": {"memory": "64Mi"}}
    reader.put(RUNTIMECLASSES, {"metadata": {"name": "vm"}, "overhead": overhead, "scheduling": scheduling})
    plugin = RuntimeClass(reader)
    written = pod(runtimeClassName="vm", nodeSelector={"disk": "ssd"})
    assert admit(plugin, attributes_for(PODS, written)) is None
    assert written["spec"]["overhead"] == {"memory": "64Mi"}
    assert written["spec"]["nodeSelector"] == {"disk": "ssd", "vm": "yes"}
    assert written["spec"]["tolerations"] == [{"key": "vm"}]
    refusals = {
        'pod rejected: RuntimeClass "nosuch" not found': pod(runtimeClassName="nosuch"),
        "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead": pod(
            overhead={"cpu": "1"}
        ),
        "conflict: runtimeClass.scheduling.nodeSelector[vm] = yes; pod.spec.nodeSelector[vm] = no": pod(
            runtimeClassName="vm", nodeSelector={"vm": "no"}
        ),
    }
    for message, obj in refusals.items():
        assert why(admit(plugin, attributes_for(PODS, obj))) == message


# --- certificates


def request_for(*organizations: str) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    names = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, o) for o in organizations]
    names.append(x509.NameAttribute(NameOID.COMMON_NAME, "me"))
    csr = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(names)).sign(key, hashes.SHA256())
    return base64.b64encode(csr.public_bytes(serialization.Encoding.PEM)).decode()


CLIENT = "kubernetes.io/kube-apiserver-client"


@pytest.mark.parametrize(
    ("signer", "request_", "message"),
    [
        (CLIENT, request_for("dev"), ""),
        (
            CLIENT,
            request_for("dev", "system:masters"),
            f"use of {CLIENT} signer with system:masters group is not allowed",
        ),
        ("example.com/mine", request_for("system:masters"), ""),
        (CLIENT, "bm9uc2Vuc2U=", "failed to parse CSR: PEM block type must be CERTIFICATE REQUEST"),
    ],
    ids=["harmless", "masters", "another signer", "nonsense"],
)
def test_nobody_asks_to_be_master(signer: str, request_: str, message: str) -> None:
    obj = {"metadata": {"name": "r"}, "spec": {"signerName": signer, "request": request_}}
    error = admit(CertificateSubjectRestriction(), attributes_for(CERTIFICATESIGNINGREQUESTS, obj))
    assert why(error) == message


@pytest.mark.parametrize("name", [CLIENT, "kubernetes.io/*", "example.com/x"])
def test_who_decides_on_certificates(name: str) -> None:
    reader = FakeReader()
    reader.put(CLUSTERROLES, role("r", rule("approve sign", "certificates.k8s.io", "signers", name)))
    reader.put(CLUSTERROLEBINDINGS, binding("r", "ClusterRole/r", "User:alice"))
    authorizer = authz.build(reader).authorizer
    old: Object = {"metadata": {"name": "r"}, "spec": {"signerName": CLIENT}}
    signed = {**old, "status": {"certificate": "x"}}
    allowed = name != "example.com/x"
    for plugin, subresource, verb in (
        (CertificateApproval(authorizer), "approval", "approve"),
        (CertificateSigning(authorizer), "status", "sign"),
    ):
        write = attributes_for(CERTIFICATESIGNINGREQUESTS, signed, old=old, subresource=subresource)
        message = f'user not permitted to {verb} requests with signerName "{CLIENT}"'
        assert why(admit(plugin, write)) == ("" if allowed else message)


@pytest.mark.parametrize(
    ("system", "cpu", "message"),
    [
        ("linux", "2", ""),
        ("windows", "1", 'pod resize is only supported on linux nodes, node "n" is "windows"'),
        (
            "linux",
            "5",
            "node didn't have enough allocatable resources: cpu, requested: 5000, allocatable: 4000",
        ),
    ],
)
def test_resizes_stay_within_the_node(system: str, cpu: str, message: str) -> None:
    reader = FakeReader()
    node = {"name": "n", "labels": {"kubernetes.io/os": system}}
    reader.put(NODES, {"metadata": node, "status": {"allocatable": {"cpu": "4", "memory": "1Gi"}}})

    def sized(amount: str, generation: int) -> Object:
        resources = {"requests": {"cpu": amount}}
        made: Object = pod("p", nodeName="n", containers=[{"name": "c", "resources": resources}])
        made["metadata"]["generation"] = generation
        return made

    attributes = attributes_for(PODS, sized(cpu, 2), old=sized("1", 1), subresource="resize")
    error = admit(PodResizeValidator(reader), attributes)
    assert (why(error) if error else "") == message
    same = attributes_for(PODS, sized(cpu, 1), old=sized("1", 1), subresource="resize")
    assert admit(PodResizeValidator(reader), same) is None


# --- groups of pods


def group(**spec: Any) -> Any:
    return {"metadata": {"name": "g", "namespace": "default"}, "spec": spec}


def test_groups_have_priorities_once_they_may() -> None:
    reader = FakeReader()
    reader.put(PRIORITYCLASSES, {"metadata": {"name": "high"}, "value": 7})
    written = group(priorityClassName="high")
    assert admit(Priority(reader), attributes_for(PODGROUPS, written)) is None
    assert "priority" not in written["spec"]
    plugin = Priority(reader, groups=True)
    assert admit(plugin, attributes_for(PODGROUPS, written)) is None
    assert written["spec"]["priority"] == 7
    assert why(admit(plugin, attributes_for(PODGROUPS, group(priority=7)))) == (
        "priority set in the pod group (7) must match the priority computed (0) based on the priority class "
        "set in the spec"
    )


@pytest.mark.parametrize(
    ("workload", "template", "message"),
    [
        ("w", "t", None),
        ("w", "u", 'PodGroup rejected: PodGroupTemplate "u" not found in Workload "w"'),
        ("v", "t", 'PodGroup rejected: Workload "v" not found'),
        ("gone", "t", 'PodGroup rejected: Workload "gone" is being deleted'),
    ],
)
def test_the_template_of_a_group(workload: str, template: str, message: str | None) -> None:
    reader = FakeReader()
    for name, extra in (("w", {}), ("gone", {"deletionTimestamp": "2026-01-01T00:00:00Z"})):
        metadata = {"name": name, "namespace": "default", **extra}
        reader.put(WORKLOADS, {"metadata": metadata, "spec": {"podGroupTemplates": [{"name": "t"}]}})
    reference = {"workload": {"workloadName": workload, "podGroupTemplateName": template}}
    made = group(podGroupTemplateRef=reference)
    written = attributes_for(PODGROUPS, made, namespace="default")
    refused = admit(PodGroupWorkloadExists(reader), written)
    assert (why(refused) if refused is not None else None) == message
