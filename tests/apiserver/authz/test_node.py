"""The Node authorizer: a kubelet reaches what its own pods need, and nothing of another node."""

from __future__ import annotations

import pytest

from podium.apiserver.authz.node import NodeAuthorizer
from podium.apiserver.bootstrap import node_rules
from podium.apiserver.chain import RequestInfo
from podium.machinery.errors import Object
from podium.resources.certificates.podcertificaterequests import PODCERTIFICATEREQUESTS
from podium.resources.core.persistentvolumes import PERSISTENTVOLUMES
from podium.resources.core.pods import PODS
from podium.resources.resource.resourceslices import RESOURCESLICES
from podium.resources.storage.volumeattachments import VOLUMEATTACHMENTS
from tests.apiserver.fakes import FakeReader, asks, asks_path, user

PCR = "podcertificaterequests"
NO_RELATION = "no relationship found between node 'n1' and this object"
NODE = user("system:node:n1", "system:nodes", "system:authenticated")


def pod(name: str, node: str, **spec: object) -> Object:
    return {"metadata": {"name": name, "namespace": "a"}, "spec": {"nodeName": node, **spec}}


def extended(obj: Object, mark: str) -> Object:
    return {**obj, "status": {"extendedResourceClaimStatus": {"resourceClaimName": f"{mark}-extended"}}}


def everything(node: str, mark: str) -> Object:
    """Return a pod that names an object in every place there is."""

    def env(name: str, kind: str) -> Object:
        return {"name": name, "valueFrom": {f"{kind}KeyRef": {"name": f"{mark}-{name}", "key": "k"}}}

    def container(prefix: str) -> Object:
        return {
            "name": prefix,
            "env": [env(f"{prefix}-s", "secret"), env(f"{prefix}-c", "configMap"), {"name": "plain"}],
            "envFrom": [
                {"secretRef": {"name": f"{mark}-{prefix}-sf"}},
                {"configMapRef": {"name": f"{mark}-{prefix}-cf"}},
            ],
        }

    projected = [{"secret": {"name": f"{mark}-ps"}}, {"configMap": {"name": f"{mark}-pc"}}]
    return pod(
        f"{mark}-pod",
        node,
        serviceAccountName=f"{mark}-sa",
        imagePullSecrets=[{"name": f"{mark}-pull"}],
        containers=[container("c")],
        initContainers=[container("i")],
        ephemeralContainers=[container("e")],
        volumes=[
            {"name": "s", "secret": {"secretName": f"{mark}-vs"}},
            {"name": "c", "configMap": {"name": f"{mark}-vc"}},
            {"name": "p", "projected": {"sources": projected}},
            {"name": "claim", "persistentVolumeClaim": {"claimName": f"{mark}-claim"}},
            {"name": "own", "ephemeral": {"volumeClaimTemplate": {}}},
            {"name": "csi", "csi": {"driver": "d", "nodePublishSecretRef": {"name": f"{mark}-csi"}}},
            {"name": "e", "emptyDir": {}},
        ],
        resourceClaims=[{"name": "r", "resourceClaimName": f"{mark}-rc"}],
    )


def cluster() -> FakeReader:
    reader = FakeReader()
    reader.put(PODS, *(extended(everything(*of), of[1]) for of in (("n1", "mine"), ("n2", "other"))))
    mirror = pod("mirror", "n1", volumes=[{"name": "s", "secret": {"secretName": "coveted"}}])
    mirror["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "x"}
    reader.put(PODS, mirror)
    for mark in ("mine", "other"):
        claim = {"namespace": "a", "name": f"{mark}-claim"}
        source = {
            "driver": "d",
            "nodeStageSecretRef": {"namespace": "b", "name": f"{mark}-pv-secret"},
            "controllerPublishSecretRef": {"namespace": "b", "name": f"{mark}-controllers"},
        }
        spec = {"claimRef": claim, "csi": source}
        reader.put(PERSISTENTVOLUMES, {"metadata": {"name": f"{mark}-pv"}, "spec": spec})
    for node in ("n1", "n2"):
        reader.put(VOLUMEATTACHMENTS, {"metadata": {"name": f"va-{node}"}, "spec": {"nodeName": node}})
        reader.put(RESOURCESLICES, {"metadata": {"name": f"slice-{node}"}, "spec": {"nodeName": node}})
        request = {"metadata": {"name": f"pcr-{node}", "namespace": "a"}, "spec": {"nodeName": node}}
        reader.put(PODCERTIFICATEREQUESTS, request)
    return reader


def decide(info: RequestInfo, reader: FakeReader | None = None) -> str | None:
    """Return None when allowed, else the reason."""
    decision = NodeAuthorizer(reader or cluster(), node_rules()).decide(NODE, info)
    return None if decision.allowed else decision.reason


NO_RELATION = "no relationship found between node 'n1' and this object"
SECRETS = ["pull", "vs", "ps", "csi", *(f"{p}-{s}" for p in "cie" for s in ("s", "sf"))]
CONFIGMAPS = ["vc", "pc", *(f"{p}-{s}" for p in "cie" for s in ("c", "cf"))]
REFERRED = [
    *(("secrets", "", name) for name in SECRETS),
    *(("configmaps", "", name) for name in CONFIGMAPS),
    ("persistentvolumeclaims", "", "claim"),
    ("persistentvolumeclaims", "", "pod-own"),
    ("pods", "", "pod"),
    ("resourceclaims", "resource.k8s.io", "rc"),
]


@pytest.mark.parametrize(("resource", "group", "name"), REFERRED)
def test_reads_what_its_pods_name(resource: str, group: str, name: str) -> None:
    def read(mark: str) -> str | None:
        return decide(asks("get", resource, group=group, namespace="a", name=f"{mark}-{name}"))

    assert read("mine") is None
    assert read("other") == NO_RELATION
    elsewhere = asks("get", resource, group=group, namespace="b", name=f"mine-{name}")
    assert decide(elsewhere) == NO_RELATION


LEASES = "coordination.k8s.io"
FIELD = "can only list/watch pods with spec.nodeName field selector"


@pytest.mark.parametrize(
    ("info", "reason"),
    [
        (asks("watch", "secrets", namespace="a", name="mine-vs"), None),
        (asks("list", "secrets", namespace="a"), "No Object name found"),
        (asks("list", "secrets"), "can only read namespaced object of this type"),
        (asks("delete", "secrets", namespace="a", name="mine-vs"), "can only read resources of this type"),
        (asks("get", "secrets", namespace="a", name="coveted"), NO_RELATION),
        (
            asks("watch", "persistentvolumeclaims", namespace="a", name="mine-claim"),
            "can only get individual resources of this type",
        ),
        (asks("patch", "persistentvolumeclaims/status", namespace="a", name="mine-claim"), None),
        (asks("patch", "persistentvolumeclaims/status", namespace="a", name="other-claim"), NO_RELATION),
        (asks("get", "persistentvolumes", name="mine-pv"), None),
        (asks("get", "persistentvolumes", name="other-pv"), NO_RELATION),
        (asks("get", "volumeattachments", group="storage.k8s.io", name="va-n1"), None),
        (asks("get", "volumeattachments", group="storage.k8s.io", name="va-n2"), NO_RELATION),
        (asks("create", "serviceaccounts/token", namespace="a", name="mine-sa"), None),
        (asks("create", "serviceaccounts/token", namespace="a", name="other-sa"), NO_RELATION),
        (
            asks("list", "serviceaccounts", namespace="a"),
            "can only create tokens for individual service accounts",
        ),
        (asks("get", "serviceaccounts", namespace="a", name="mine-sa"), None),
        (asks("get", "serviceaccounts", namespace="a", name="other-sa"), NO_RELATION),
        (asks("get", "secrets", namespace="b", name="mine-pv-secret"), None),
        (asks("get", "secrets", namespace="b", name="mine-controllers"), NO_RELATION),
        (asks("get", "secrets", namespace="b", name="other-pv-secret"), NO_RELATION),
        (asks("get", "resourceclaims", group="resource.k8s.io", namespace="a", name="mine-extended"), None),
        (asks("create", "resourceslices", group="resource.k8s.io"), None),
        (asks("delete", "resourceslices", group="resource.k8s.io", name="slice-n1"), None),
        (asks("update", "resourceslices", group="resource.k8s.io", name="slice-n2"), NO_RELATION),
        (asks("list", "resourceslices", group="resource.k8s.io", fields="spec.nodeName=n1"), None),
        (
            asks("list", "resourceslices", group="resource.k8s.io", fields="spec.nodeName!=n1"),
            "can only list/watch/deletecollection resourceslices with nodeName field selector",
        ),
        (asks("get", PCR, group="certificates.k8s.io", namespace="a", name="pcr-n1"), None),
        (asks("get", PCR, group="certificates.k8s.io", namespace="a", name="pcr-n2"), NO_RELATION),
        (asks("watch", PCR, group="certificates.k8s.io", fields="spec.nodeName=n1"), None),
        (
            asks("watch", PCR, group="certificates.k8s.io"),
            "can only list/watch podcertificaterequests with nodeName field selector",
        ),
        (
            asks("delete", PCR, group="certificates.k8s.io", namespace="a", name="pcr-n1"),
            "nodes may not delete podcertificaterequests",
        ),
        (asks("get", "nodes", name="n1"), None),
        (asks("get", "nodes", name="n2"), "node 'n1' cannot read 'n2', only its own Node object"),
        (asks("list", "nodes"), "node 'n1' cannot read all nodes, only its own Node object"),
        (asks("watch", "nodes", name="n1", fields="metadata.name=n1"), None),
        (asks("create", "nodes"), None),
        (asks("patch", "nodes/status", name="n1"), None),
        (asks("delete", "nodes", name="n1"), ""),
        (asks("list", "pods", fields="spec.nodeName=n1"), None),
        (asks("watch", "pods", fields="spec.nodeName==n1,status.phase!=Failed"), None),
        (asks("list", "pods", fields="spec.nodeName!=n1"), FIELD),
        (asks("list", "pods", fields="spec.nodeName=n2"), FIELD),
        (asks("list", "pods"), FIELD),
        (asks("create", "pods", namespace="a"), None),
        (asks("patch", "pods/status", namespace="a", name="x"), None),
        (asks("create", "pods/eviction", namespace="a", name="x"), None),
        (asks("create", "pods/binding", namespace="a", name="x"), ""),
        (asks("create", "pods/exec", namespace="a", name="mine-pod"), ""),
        (asks("update", "leases", group=LEASES, namespace="kube-node-lease", name="n1"), None),
        (asks("create", "leases", group=LEASES, namespace="kube-node-lease"), None),
        (
            asks("update", "leases", group=LEASES, namespace="kube-node-lease", name="n2"),
            "can only access node lease with the same name as the requesting node",
        ),
        (
            asks("get", "leases", group=LEASES, namespace="kube-system", name="n1"),
            'can only access leases in the "kube-node-lease" system namespace',
        ),
        (asks("list", "services"), None),
        (asks("create", "events", namespace="a"), None),
        (asks("create", "certificatesigningrequests", group="certificates.k8s.io"), None),
        (asks("create", "subjectaccessreviews", group="authorization.k8s.io"), None),
        (asks("list", "deployments", group="apps"), ""),
        (asks_path("/metrics"), ""),
    ],
    ids=str,
)
def test_decisions(info: RequestInfo, reason: str | None) -> None:
    assert decide(info) == reason


def test_who_is_no_node() -> None:
    authorizer = NodeAuthorizer(cluster(), node_rules())
    info = asks("get", "secrets", namespace="a", name="mine-vs")
    assert authorizer.decide(user("system:node:n1"), info).reason == ""
    assert authorizer.decide(user("x", "system:nodes"), info).reason == ""
    nameless = authorizer.decide(user("system:node:", "system:nodes"), info)
    assert (nameless.allowed, nameless.reason) == (False, 'unknown node for user "system:node:"')


def test_follows_pods() -> None:
    reader = FakeReader()
    authorizer = NodeAuthorizer(reader, node_rules())
    info = asks("get", "secrets", namespace="a", name="s")
    volumes = [{"name": "v", "secret": {"secretName": "s"}}]

    def allowed() -> bool:
        return authorizer.decide(NODE, info).allowed

    reader.put(PODS, pod("p", "", volumes=volumes))
    assert not allowed(), "a pod that runs nowhere gives no node anything"
    reader.put(PODS, pod("p", "n1", volumes=volumes))
    reader.put(PODS, pod("q", "n1", volumes=volumes))
    assert allowed()
    reader.cached(PODS).remove("a", "p")
    assert allowed(), "another pod still names it"
    reader.put(PODS, {**pod("q", "n1", volumes=volumes), "status": {"phase": "Running"}})
    assert allowed()
    reader.cached(PODS).remove("a", "q")
    assert not allowed()
    assert authorizer._references == {}
