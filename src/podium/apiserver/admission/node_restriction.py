"""NodeRestriction: what a kubelet writes concerns its own node and the pods on it.

The Node authorizer decides by name what a kubelet may touch; this plugin looks at what is written.
"""

from __future__ import annotations

from collections.abc import Mapping

from podium.apiserver.admission.certificates import requested_subject
from podium.apiserver.admission.mirror_pods import first_reference
from podium.apiserver.admission.node_audiences import Audiences
from podium.apiserver.admission.node_certificates import PodCertificates
from podium.apiserver.admission.plugin import Plugin
from podium.apiserver.admission.writes import refused
from podium.apiserver.authn.der import COMMON_NAME
from podium.apiserver.authn.names import NODE_PREFIX, NODES
from podium.apiserver.authz.node import LEASE_NAMESPACE
from podium.apiserver.authz.node_references import MIRROR_POD
from podium.apiserver.chain import Attributes, Authorizer, Reader
from podium.machinery import meta
from podium.machinery.errors import NotFound, Object
from podium.resources.core.nodes import NODES as NODE_RESOURCE
from podium.resources.core.pods import PODS

RESTRICTED_DOMAIN = "node-restriction.kubernetes.io"
_KUBELET_LABELS = frozenset(
    {
        "kubernetes.io/hostname",
        "kubernetes.io/os",
        "kubernetes.io/arch",
        "beta.kubernetes.io/os",
        "beta.kubernetes.io/arch",
        "beta.kubernetes.io/instance-type",
        "node.kubernetes.io/instance-type",
        "topology.kubernetes.io/zone",
        "topology.kubernetes.io/region",
        "failure-domain.beta.kubernetes.io/zone",
        "failure-domain.beta.kubernetes.io/region",
    }
)
_KUBELET_DOMAINS = ("kubelet.kubernetes.io", "node.kubernetes.io")
_KUBELET_SIGNERS = ("kubernetes.io/kubelet-serving", "kubernetes.io/kube-apiserver-client-kubelet")
_STATUS_A_NODE_MAY_SET = ("capacity", "conditions", "allocatedResources", "allocatedResourceStatuses")


class NodeRestriction(Plugin):
    name = "NodeRestriction"

    def __init__(self, reader: Reader, authorizer: Authorizer) -> None:
        self._pods = reader.cached(PODS)
        self._nodes = reader.cached(NODE_RESOURCE)
        self._audiences = Audiences(reader, authorizer)
        self._certificates = PodCertificates(reader)

    async def admit(self, attributes: Attributes) -> None:
        user = attributes.user
        if NODES not in user.groups or not user.name.startswith(NODE_PREFIX):
            return
        node = user.name.removeprefix(NODE_PREFIX)
        if not node:
            raise refused(attributes, f'could not determine node from user "{user.name}"')
        match attributes.resource.group, attributes.resource.plural, attributes.subresource:
            case "", "pods", "":
                self._pod(node, attributes)
            case "", "pods", "status":
                _pod_status(node, attributes)
            case "", "pods", "eviction":
                self._eviction(node, attributes)
            case "", "pods", subresource:
                raise refused(
                    attributes,
                    f"unexpected pod subresource \"{subresource}\", only 'status' and 'eviction' are allowed",
                )
            case "", "nodes", _:
                _node(node, attributes)
            case "", "persistentvolumeclaims", "status":
                _claim_status(node, attributes)
            case "", "persistentvolumeclaims", _:
                raise refused(attributes, "may only update PVC status")
            case "", "serviceaccounts", "token":
                await self._token(node, attributes)
            case "coordination.k8s.io", "leases", _:
                _lease(node, attributes)
            case "storage.k8s.io", "csinodes", _:
                _own_name(node, attributes, "CSINode")
            case "resource.k8s.io", "resourceslices", _:
                _resource_slice(node, attributes)
            case "certificates.k8s.io", "certificatesigningrequests", "":
                _signing_request(node, attributes)
            case "certificates.k8s.io", "podcertificaterequests", _:
                self._certificates.check(node, attributes)

    # --- pods

    def _pod(self, node: str, attributes: Attributes) -> None:
        if attributes.operation == "DELETE":
            if attributes.old_object is not None and _node_of(attributes.old_object) != node:
                raise refused(
                    attributes, f'node "{node}" can only delete pods with spec.nodeName set to itself'
                )
            return
        if attributes.operation != "CREATE":
            raise refused(
                attributes,
                f'unexpected operation "{attributes.operation}", node "{node}" can only create and delete '
                "mirror pods",
            )
        pod = attributes.object or {}
        if MIRROR_POD not in meta.annotations(pod):
            raise refused(
                attributes,
                f'pod does not have "{MIRROR_POD}" annotation, node "{node}" can only create mirror pods',
            )
        if _node_of(pod) != node:
            raise refused(attributes, f'node "{node}" can only create pods with spec.nodeName set to itself')
        self._owner(node, attributes, pod)
        _refers_to_nothing(node, attributes, pod)

    def _owner(self, node: str, attributes: Attributes, pod: Object) -> None:
        owners = meta.owner_references(pod)
        can_only = f'node "{node}" can only create pods with'
        if len(owners) > 1:
            raise refused(attributes, f"{can_only} a single owner reference set to itself")
        owner = owners[0] if owners else {}
        itself = (owner.get("apiVersion"), owner.get("kind"), owner.get("name")) == ("v1", "Node", node)
        if not itself:
            raise refused(attributes, f"{can_only} an owner reference set to itself")
        if not owner.get("controller"):
            raise refused(attributes, f"{can_only} a controller owner reference set to itself")
        if owner.get("blockOwnerDeletion"):
            raise refused(attributes, f'node "{node}" must not set blockOwnerDeletion on an owner reference')
        found = self._nodes.get(None, node)
        if found is None:
            raise NotFound.of("nodes", "", node)
        if owner.get("uid") != meta.uid(found):
            why = f"node {node} UID mismatch: expected {owner.get('uid')} got {meta.uid(found)}"
            raise refused(attributes, why)

    def _eviction(self, node: str, attributes: Attributes) -> None:
        if attributes.operation != "CREATE":
            raise refused(attributes, f"unexpected operation {attributes.operation}")
        name = attributes.name or meta.name(attributes.object or {})
        pod = self._pods.get(attributes.namespace, name)
        if pod is None:
            raise NotFound.of("pods", "", name)
        if _node_of(pod) != node:
            raise refused(attributes, f"node {node} can only evict pods with spec.nodeName set to itself")

    async def _token(self, node: str, attributes: Attributes) -> None:
        if attributes.operation != "CREATE":
            return
        reference = meta.dig(attributes.object, "spec", "boundObjectRef", default={})
        bound_to_pod = (reference.get("apiVersion"), reference.get("kind")) == ("v1", "Pod")
        if not bound_to_pod or not reference.get("name"):
            raise refused(attributes, "node requested token not bound to a pod")
        if not reference.get("uid"):
            raise refused(attributes, "node requested token with a pod binding without a uid")
        pod = self._pods.get(attributes.namespace, reference["name"])
        if pod is None:
            raise NotFound.of("pods", "", reference["name"])
        if meta.uid(pod) != reference["uid"]:
            raise refused(
                attributes,
                f"the UID in the bound object reference ({reference['uid']}) does not match the UID in "
                "record. The object might have been deleted and then recreated",
            )
        if _node_of(pod) != node:
            raise refused(attributes, "node requested token bound to a pod scheduled on a different node")
        await self._audiences.check(attributes, pod)


def _refers_to_nothing(node: str, attributes: Attributes, pod: Object) -> None:
    """A mirror pod may name no other object: naming a secret must not be a way to read it."""
    named = first_reference(pod)
    if named:
        raise refused(attributes, f'node "{node}" can not create pods that reference {named}')


def _pod_status(node: str, attributes: Attributes) -> None:
    old, new = attributes.old_object or {}, attributes.object or {}
    if _node_of(old) != node:
        why = f'node "{node}" can only update pod status for pods with spec.nodeName set to itself'
        raise refused(attributes, why)
    if meta.labels(old) != meta.labels(new):
        raise refused(attributes, f'node "{node}" cannot update labels through pod status')
    claims = ("status", "resourceClaimStatuses")
    if meta.dig(old, *claims, default=[]) != meta.dig(new, *claims, default=[]):
        raise refused(attributes, f'node "{node}" cannot update resource claim statues')
    extended = ("status", "extendedResourceClaimStatus")
    if meta.dig(old, *extended) != meta.dig(new, *extended):
        raise refused(attributes, f'node "{node}" cannot update extended resource claim status')


# --- everything else


def _node(node: str, attributes: Attributes) -> None:
    new, old = attributes.object or {}, attributes.old_object
    name = attributes.name or meta.name(new)
    if name != node:
        raise refused(attributes, f'node "{node}" is not allowed to modify node "{name}"')
    if meta.dig(new, "metadata", "ownerReferences", default=[]) != meta.dig(
        old, "metadata", "ownerReferences", default=[]
    ):
        # With an owner that is not there, a node has itself deleted, and comes back without its taints.
        raise refused(attributes, f'node "{node}" is not allowed to modify ownerReferences')
    if attributes.operation == "CREATE":
        if meta.dig(new, "spec", "configSource") is not None:
            why = f'node "{node}" is not allowed to create pods with a non-nil configSource'
            raise refused(attributes, why)
        forbidden = forbidden_labels(meta.labels(new), {})
        if forbidden:
            labels = ", ".join(forbidden)
            raise refused(attributes, f'node "{node}" is not allowed to set the following labels: {labels}')
    if attributes.operation == "UPDATE" and old is not None:
        # A node that could lift its own taints or relabel itself could draw pods to it that trust those.
        if meta.dig(new, "spec", "taints", default=[]) != meta.dig(old, "spec", "taints", default=[]):
            raise refused(attributes, f'node "{node}" is not allowed to modify taints')
        forbidden = forbidden_labels(meta.labels(new), meta.labels(old))
        if forbidden:
            raise refused(attributes, f"is not allowed to modify labels: {', '.join(forbidden)}")


def forbidden_labels(new: Mapping[str, str], old: Mapping[str, str]) -> list[str]:
    """Return, sorted, the labels that differ and that a kubelet has no say about."""
    changed = {key for key, _ in set(new.items()) ^ set(old.items())}
    return sorted(key for key in changed if not _may_set(key))


def _may_set(label: str) -> bool:
    domain, slash, _ = label.partition("/")
    if not slash:
        return True
    if _within(domain, RESTRICTED_DOMAIN):
        return False
    if not _within(domain, "kubernetes.io") and not _within(domain, "k8s.io"):
        return True
    return label in _KUBELET_LABELS or any(_within(domain, own) for own in _KUBELET_DOMAINS)


def _within(domain: str, parent: str) -> bool:
    return domain == parent or domain.endswith("." + parent)


def _claim_status(node: str, attributes: Attributes) -> None:
    old, new = attributes.old_object or {}, attributes.object or {}
    if _untouchable(old) != _untouchable(new):
        why = (
            f'node "{node}" is not allowed to update fields other than status.capacity and status.conditions'
        )
        raise refused(attributes, why)


def _untouchable(claim: Object) -> Object:
    """Return what of a claim its node may not change."""
    metadata = {
        k: v for k, v in meta.metadata(claim).items() if k not in ("resourceVersion", "managedFields")
    }
    status = {k: v for k, v in (claim.get("status") or {}).items() if k not in _STATUS_A_NODE_MAY_SET}
    return {**claim, "metadata": metadata, "status": status}


def _lease(node: str, attributes: Attributes) -> None:
    if attributes.namespace != LEASE_NAMESPACE:
        raise refused(attributes, f'can only access leases in the "{LEASE_NAMESPACE}" system namespace')
    _own_name(node, attributes, "node lease")


def _own_name(node: str, attributes: Attributes, what: str) -> None:
    name = meta.name(attributes.object or {}) if attributes.operation == "CREATE" else attributes.name
    if name != node:
        raise refused(attributes, f"can only access {what} with the same name as the requesting node")


def _resource_slice(node: str, attributes: Attributes) -> None:
    obj = attributes.object if attributes.operation == "CREATE" else attributes.old_object
    if obj is not None and meta.dig(obj, "spec", "nodeName") != node:
        if attributes.operation == "CREATE":
            raise refused(
                attributes, "can only create ResourceSlice with the same NodeName as the requesting node"
            )
        raise refused(
            attributes, "can only delete ResourceSlice with the same NodeName as the requesting node"
        )


def _signing_request(node: str, attributes: Attributes) -> None:
    if attributes.operation != "CREATE" or attributes.object is None:
        return
    spec = attributes.object.get("spec") or {}
    if spec.get("signerName") not in _KUBELET_SIGNERS:
        return
    try:
        subject = requested_subject(spec.get("request") or "")
    except ValueError as error:
        raise refused(attributes, f"unable to parse csr: {error}") from error
    if [value for oid, value in subject if oid == COMMON_NAME] != [NODE_PREFIX + node]:
        raise refused(attributes, f"can only create a node CSR with CN={NODE_PREFIX}{node}")


def _node_of(pod: Object) -> str:
    return meta.dig(pod, "spec", "nodeName", default="") or ""
