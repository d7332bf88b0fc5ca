"""NodeRestriction: what kubelets write is about themselves."""

from __future__ import annotations

import pytest

from podium.apiserver.admission.node_restriction import NodeRestriction, forbidden_labels
from podium.apiserver.chain import Attributes
from podium.machinery.errors import Object
from podium.resources.coordination.leases import LEASES
from podium.resources.core.nodes import NODES
from podium.resources.core.persistentvolumeclaims import PERSISTENTVOLUMECLAIMS
from podium.resources.core.pods import PODS
from podium.resources.core.serviceaccounts import SERVICEACCOUNTS
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
            'node "n1" can not create pods that reference a service account',
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
        (token(apiVersion="v1", kind="Pod", name="mine", uid="uid-mine"), ""),
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
        (
            claim_status(spec={"volumeName": "v"}),
            'node "n1" is not allowed to update fields other than status.capacity and status.conditions',
        ),
        (attributes_for(PODS, on("n2")), ""),
    ],
    ids=str,
)
def test_what_a_node_writes(attributes: Attributes, message: str) -> None:
    assert why(admit(NodeRestriction(cluster()), attributes)) == message


def test_a_node_without_a_name() -> None:
    attributes = attributes_for(PODS, on("n1"), who=user("stranger", "system:nodes"))
    assert why(admit(NodeRestriction(cluster()), attributes)) == (
        'could not determine node from user "stranger"'
    )


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
