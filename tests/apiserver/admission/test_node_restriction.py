"""NodeRestriction: what kubelets write is about themselves."""

from __future__ import annotations

import pytest

from podium.apiserver.admission.node_restriction import NodeRestriction, forbidden_labels
from podium.apiserver.chain import Attributes, Decision, RequestInfo, User
from podium.machinery.errors import Object
from podium.resources.certificates.podcertificaterequests import PODCERTIFICATEREQUESTS
from podium.resources.coordination.leases import LEASES
from podium.resources.core.nodes import NODES
from podium.resources.core.persistentvolumeclaims import PERSISTENTVOLUMECLAIMS
from podium.resources.core.persistentvolumes import PERSISTENTVOLUMES
from podium.resources.core.pods import PODS
from podium.resources.core.serviceaccounts import SERVICEACCOUNTS
from podium.resources.storage.csidrivers import CSIDRIVERS
from podium.resources.storage.csinodes import CSINODES
from tests.apiserver.admission.helpers import admit, attributes_for, pod, why
from tests.apiserver.fakes import FakeReader, user

NODE = user("system:node:n1", "system:nodes")
OWNER = {"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": "uid-n1", "controller": True}


def mirror(node: str = "n1", owners: list[Object] | None = None, **spec: object) -> Object:
    made = pod("m", nodeName=node, **spec)
    made["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "x"}
    made["metadata"]["ownerReferences"] = [OWNER] if owners is None else owners
    return made


def node(name: str = "n1", **fields: object) -> Object:
    return {"metadata": {"name": name, "labels": fields.pop("labels", {})}, **fields}


def on(node_name: str, name: str = "p", **fields: object) -> Object:
    return {**pod(name, nodeName=node_name), **fields}


def status(old: Object, new: Object) -> Attributes:
    return attributes_for(PODS, new, old=old, subresource="status", who=NODE)


def eviction(name: str) -> Attributes:
    return attributes_for(PODS, {"metadata": {"name": name}}, name=name, subresource="eviction", who=NODE)


def token(**reference: str) -> Attributes:
    spec = {"boundObjectRef": reference} if reference else {}
    return attributes_for(SERVICEACCOUNTS, {"spec": spec}, name="robot", subresource="token", who=NODE)


def lease(name: str, namespace: str = "kube-node-lease") -> Attributes:
    return attributes_for(LEASES, {"metadata": {"name": name}}, namespace=namespace, who=NODE)


def cluster() -> FakeReader:
    reader = FakeReader()
    reader.put(NODES, node())
    reader.put(PODS, on("n1", "mine"), on("n2", "other"))
    return reader


def create(obj: Object) -> Attributes:
    return attributes_for(PODS, obj, who=NODE)


def delete(obj: Object) -> Attributes:
    return attributes_for(PODS, None, old=obj, operation="DELETE", who=NODE)


def write(new: Object, old: Object | None = None, subresource: str = "") -> Attributes:
    return attributes_for(
        NODES, new, old=old, name=new["metadata"]["name"], subresource=subresource, who=NODE
    )


def projected(source: Object) -> Object:
    return {"projected": {"sources": [source]}}


class Nobody:
    """Allows nothing, or everything."""

    def __init__(self, allowed: bool = False) -> None:
        self.allowed = allowed

    async def authorize(self, user: User, info: RequestInfo) -> Decision:
        return Decision(allowed=self.allowed)


CAN_ONLY = 'node "n1" can only create pods with'
TAINTED = {"taints": [{"key": "a", "effect": "NoSchedule"}]}
CLAIM: Object = {"metadata": {"name": "c", "resourceVersion": "1"}, "spec": {}, "status": {}}


def claim_status(**fields: object) -> Attributes:
    new = {**CLAIM, "metadata": {"name": "c", "resourceVersion": "2"}, **fields}
    return attributes_for(PERSISTENTVOLUMECLAIMS, new, old=CLAIM, subresource="status", who=NODE)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        (create(mirror()), ""),
        (
            create(on("n1")),
            'pod does not have "kubernetes.io/config.mirror" annotation, '
            'node "n1" can only create mirror pods',
        ),
        (create(mirror("n2")), f"{CAN_ONLY} spec.nodeName set to itself"),
        (create(mirror(owners=[])), f"{CAN_ONLY} an owner reference set to itself"),
        (create(mirror(owners=[OWNER, OWNER])), f"{CAN_ONLY} a single owner reference set to itself"),
        (
            create(mirror(owners=[{**OWNER, "name": "n2"}])),
            f"{CAN_ONLY} an owner reference set to itself",
        ),
        (
            create(mirror(owners=[{**OWNER, "controller": False}])),
            f"{CAN_ONLY} a controller owner reference set to itself",
        ),
        (
            create(mirror(owners=[{**OWNER, "uid": "x"}])),
            "node n1 UID mismatch: expected x got uid-n1",
        ),
        (
            create(mirror(volumes=[{"name": "v", "secret": {"secretName": "s"}}])),
            'node "n1" can not create pods that reference secrets',
        ),
        (
            create(mirror(serviceAccountName="robot")),
            'node "n1" can not create pods that reference serviceaccounts',
        ),
        *(
            (
                create(mirror(volumes=[{"name": "v", **volume}])),
                f'node "n1" can not create pods that reference {words}',
            )
            for volume, words in (
                ({"csi": {"driver": "d"}}, "csidrivers (via CSI volumes)"),
                ({"glusterfs": {"endpoints": "e"}}, "endpoints (via glusterFS volumes)"),
                ({"persistentVolumeClaim": {"claimName": "c"}}, "persistentvolumeclaims"),
                (
                    {"ephemeral": {"volumeClaimTemplate": {}}},
                    "persistentvolumeclaims (via ephemeral volumes)",
                ),
                (
                    projected({"serviceAccountToken": {"path": "t"}}),
                    "serviceaccounts (via projected volumes)",
                ),
                (projected({"clusterTrustBundle": {"name": "b"}}), "clustertrustbundles"),
                (projected({"podCertificate": {"signerName": "s"}}), "podcertificates"),
            )
        ),
        (
            create(
                mirror(
                    volumes=[
                        {"name": "v", "hostPath": {"path": "/"}},
                        {"name": "d", **projected({"downwardAPI": {}})},
                    ]
                )
            ),
            "",
        ),
        (
            attributes_for(PODS, on("n1"), old=on("n1"), subresource="ephemeralcontainers", who=NODE),
            "unexpected pod subresource \"ephemeralcontainers\", only 'status' and 'eviction' are allowed",
        ),
        (delete(on("n1")), ""),
        (delete(on("n2")), 'node "n1" can only delete pods with spec.nodeName set to itself'),
        (status(on("n1"), on("n1", status={"phase": "Running"})), ""),
        (
            status(on("n2"), on("n2")),
            'node "n1" can only update pod status for pods with spec.nodeName set to itself',
        ),
        (
            status(on("n1"), on("n1", metadata={"name": "p", "labels": {"a": "b"}})),
            'node "n1" cannot update labels through pod status',
        ),
        (eviction("mine"), ""),
        (eviction("other"), "node n1 can only evict pods with spec.nodeName set to itself"),
        (eviction("nosuch"), 'pods "nosuch" not found'),
        (
            status(on("n1"), on("n1", status={"extendedResourceClaimStatus": {"resourceClaimName": "c"}})),
            'node "n1" cannot update extended resource claim status',
        ),
        (token(), "node requested token not bound to a pod"),
        (token(apiVersion="v1", kind="Secret", name="s", uid="x"), "node requested token not bound to a pod"),
        (
            token(apiVersion="v1", kind="Pod", name="mine"),
            "node requested token with a pod binding without a uid",
        ),
        (
            token(apiVersion="v1", kind="Pod", name="other", uid="uid-other"),
            "node requested token bound to a pod scheduled on a different node",
        ),
        (
            token(apiVersion="v1", kind="Pod", name="mine", uid="older"),
            "the UID in the bound object reference (older) does not match the UID in record. "
            "The object might have been deleted and then recreated",
        ),
        (write(node()), ""),
        (write(node("n2")), 'node "n1" is not allowed to modify node "n2"'),
        (write(node(spec=TAINTED)), ""),
        (write(node(spec=TAINTED), node()), 'node "n1" is not allowed to modify taints'),
        (write(node(labels={"kubernetes.io/hostname": "n1"}), node(), "status"), ""),
        (
            write(node(labels={"node-restriction.kubernetes.io/x": "y"})),
            'node "n1" is not allowed to set the following labels: node-restriction.kubernetes.io/x',
        ),
        (
            write(node(), node(labels={"node-role.kubernetes.io/control-plane": ""})),
            "is not allowed to modify labels: node-role.kubernetes.io/control-plane",
        ),
        (lease("n1"), ""),
        (lease("n2"), "can only access node lease with the same name as the requesting node"),
        (lease("n1", "ns"), 'can only access leases in the "kube-node-lease" system namespace'),
        (
            attributes_for(CSINODES, {"metadata": {"name": "n2"}}, who=NODE),
            "can only access CSINode with the same name as the requesting node",
        ),
        (claim_status(status={"capacity": {"storage": "2Gi"}, "conditions": []}), ""),
        (attributes_for(PERSISTENTVOLUMECLAIMS, CLAIM, old=CLAIM, who=NODE), "may only update PVC status"),
        (
            claim_status(spec={"volumeName": "v"}),
            'node "n1" is not allowed to update fields other than status.capacity and status.conditions',
        ),
        (attributes_for(PODS, on("n2")), ""),
    ],
    ids=str,
)
def test_what_a_node_writes(attributes: Attributes, message: str) -> None:
    assert why(admit(NodeRestriction(cluster(), Nobody()), attributes)) == message


def test_a_node_without_a_name() -> None:
    plugin = NodeRestriction(cluster(), Nobody())
    attributes = attributes_for(PODS, on("n1"), who=user("system:node:", "system:nodes"))
    assert why(admit(plugin, attributes)) == 'could not determine node from user "system:node:"'
    assert why(admit(plugin, attributes_for(PODS, on("n1"), who=user("x", "system:nodes")))) == "", "no node"


def tokens(*audiences: str) -> Attributes:
    reference = {"apiVersion": "v1", "kind": "Pod", "name": "mine", "uid": "uid-mine"}
    spec = {"boundObjectRef": reference, "audiences": list(audiences)}
    return attributes_for(SERVICEACCOUNTS, {"spec": spec}, name="robot", subresource="token", who=NODE)


@pytest.mark.parametrize(
    ("audiences", "granted", "message"),
    [
        ((), False, ""),
        (("vault",), False, ""),
        (("of-driver",), False, ""),
        (("of-claim",), False, ""),
        (("a", "b"), False, "node may only request 0 or 1 audiences"),
        (
            ("other",),
            False,
            'audience "other" not found in pod spec volume, system:node:n1 is not authorized to request '
            "tokens for this audience",
        ),
        (("other",), True, ""),
    ],
    ids=str,
)
def test_audiences_are_those_of_the_pod(audiences: tuple[str, ...], granted: bool, message: str) -> None:
    reader = cluster()
    sources = [{"serviceAccountToken": {}}, {"serviceAccountToken": {"audience": "vault"}}]
    volumes: list[Object] = [
        {"name": "p", "projected": {"sources": sources}},
        {"name": "d", "csi": {"driver": "inline"}},
        {"name": "c", "persistentVolumeClaim": {"claimName": "claim"}},
    ]
    reader.put(PODS, pod("mine", nodeName="n1", volumes=volumes))
    reader.put(
        CSIDRIVERS, {"metadata": {"name": "inline"}, "spec": {"tokenRequests": [{"audience": "of-driver"}]}}
    )
    reader.put(
        CSIDRIVERS, {"metadata": {"name": "bound"}, "spec": {"tokenRequests": [{"audience": "of-claim"}]}}
    )
    claim = {"metadata": {"name": "claim", "namespace": "ns"}, "spec": {"volumeName": "v"}}
    reader.put(PERSISTENTVOLUMECLAIMS, claim)
    reader.put(PERSISTENTVOLUMES, {"metadata": {"name": "v"}, "spec": {"csi": {"driver": "bound"}}})
    assert why(admit(NodeRestriction(reader, Nobody(granted)), tokens(*audiences))) == message


def certificate(**changes: str) -> Attributes:
    spec = {
        "nodeName": "n1",
        "nodeUID": "uid-n1",
        "podName": "mine",
        "podUID": "uid-mine",
        "serviceAccountName": "robot",
        "serviceAccountUID": "uid-robot",
        **changes,
    }
    return attributes_for(PODCERTIFICATEREQUESTS, {"metadata": {"name": "r"}, "spec": spec}, who=NODE)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        (certificate(), ""),
        (certificate(nodeName="n2"), 'Spec.NodeName="n2", which is not the requesting node "n1"'),
        (certificate(nodeUID="x"), 'names node UID "x", inconsistent with the running node ("uid-n1")'),
        (certificate(podName="nosuch"), 'pod "nosuch" not found'),
        (certificate(podUID="x"), 'contains pod UID ("x") which differs from running pod "uid-mine"'),
        (certificate(podName="other", podUID="uid-other"), "is not running on node"),
        (
            certificate(serviceAccountName="x"),
            'serviceAccountName ("x") that differs from running pod ("robot")',
        ),
        (certificate(serviceAccountUID="x"), 'names service account UID "x"'),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_certificates_of_pods(attributes: Attributes, message: str) -> None:
    reader = cluster()
    reader.put(PODS, pod("mine", nodeName="n1", serviceAccountName="robot"))
    reader.put(SERVICEACCOUNTS, {"metadata": {"name": "robot", "namespace": "ns"}})
    told = why(admit(NodeRestriction(reader, Nobody()), attributes))
    assert message in told if message else told == ""


@pytest.mark.parametrize(
    ("label", "forbidden"),
    [
        ("mine", False),
        ("example.com/x", False),
        ("kubernetes.io/os", False),
        ("node.kubernetes.io/anything", False),
        ("sub.kubelet.kubernetes.io/x", False),
        ("topology.kubernetes.io/zone", False),
        ("kubernetes.io/x", True),
        ("k8s.io/x", True),
        ("node-role.kubernetes.io/x", True),
        ("sub.node-restriction.kubernetes.io/x", True),
        ("notkubernetes.io/x", False),
    ],
)
def test_labels(label: str, forbidden: bool) -> None:
    expected = [label] if forbidden else []
    assert forbidden_labels({label: "a"}, {}) == expected
    assert forbidden_labels({}, {label: "a"}) == expected
    assert forbidden_labels({label: "a"}, {label: "b"}) == expected
    assert forbidden_labels({label: "a"}, {label: "a"}) == []
