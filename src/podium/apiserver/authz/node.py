"""The Node authorizer: a kubelet may touch what the pods on its own node need, and nothing else.

What a node's pods refer to is indexed as pods come, change and go, so that a decision is one look-up. What
a node writes into the objects it may touch is NodeRestriction's business, in admission.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from podium.apiserver.authn.names import NODE_PREFIX, NODES
from podium.apiserver.authz.node_references import MIRROR_POD, Reference, references, volume_secrets
from podium.apiserver.authz.rules import Rules
from podium.apiserver.authz.selectors import requires
from podium.apiserver.chain import Decision, HeldRules, Reader, RequestInfo, User, View, ViewChange
from podium.machinery import meta
from podium.machinery.errors import Object
from podium.resources.certificates.podcertificaterequests import PODCERTIFICATEREQUESTS
from podium.resources.core.persistentvolumes import PERSISTENTVOLUMES
from podium.resources.core.pods import PODS
from podium.resources.resource.resourceslices import RESOURCESLICES
from podium.resources.storage.volumeattachments import VOLUMEATTACHMENTS

LEASE_NAMESPACE = "kube-node-lease"
_ALLOWED = Decision(allowed=True)
_NO_OPINION = Decision(allowed=False)


class NodeAuthorizer:
    """Decides for users of the group `system:nodes`; has no opinion on others."""

    def __init__(self, reader: Reader, node_rules: Iterable[Object]) -> None:
        """`node_rules` hold for every node alike: the rules of ClusterRole `system:node`."""
        self._rules = Rules.compile(node_rules)
        self._references: dict[str, Counter[Reference]] = {}
        self._volumes: View = reader.cached(PERSISTENTVOLUMES)
        self._attachments: View = reader.cached(VOLUMEATTACHMENTS)
        self._slices: View = reader.cached(RESOURCESLICES)
        self._certificate_requests: View = reader.cached(PODCERTIFICATEREQUESTS)
        self._volumes_by_secret: dict[tuple[str, str], set[str]] = {}
        self._volumes.subscribe(self._on_volume)
        reader.cached(PODS).subscribe(self._on_pod)

    async def authorize(self, user: User, info: RequestInfo) -> Decision:
        return self.decide(user, info)

    def decide(self, user: User, info: RequestInfo) -> Decision:
        if not _is_node(user):
            return _NO_OPINION
        node = user.name.removeprefix(NODE_PREFIX)
        if not node:
            return _denied(f'unknown node for user "{user.name}"')
        if info.is_resource:
            match info.api_group, info.resource:
                case "", "secrets" | "configmaps":
                    return self._read_namespaced(node, info)
                case "", "persistentvolumeclaims" if info.subresource == "status":
                    return self._update_status(node, info)
                case ("", "persistentvolumeclaims" | "persistentvolumes") | (
                    "resource.k8s.io",
                    "resourceclaims",
                ):
                    return self._get(node, info)
                case "storage.k8s.io", "volumeattachments":
                    return self._get(node, info)
                case "", "serviceaccounts" if info.verb == "get" and not info.subresource:
                    return self._read_namespaced(node, info)
                case "", "serviceaccounts":
                    return self._create_token(node, info)
                case "resource.k8s.io", "resourceslices":
                    return self._slice(node, info)
                case "certificates.k8s.io", "podcertificaterequests":
                    return self._certificate_request(node, info)
                case "coordination.k8s.io", "leases":
                    return _lease(node, info)
                case "storage.k8s.io", "csinodes":
                    return _csi_node(node, info)
                case "", "nodes":
                    return _node(node, info)
                case "", "pods":
                    return self._pod(node, info)
        return _ALLOWED if self._rules.allow(info) else _denied("")

    def rules_for(self, user: User, namespace: str) -> HeldRules:
        if not _is_node(user):
            return HeldRules()
        return HeldRules(incomplete=True, errors=("node authorizer does not support user rule resolution",))

    def related(self, node: str, reference: Reference) -> bool:
        """Tell whether some pod on `node` refers to the object."""
        resource, _, name = reference
        if resource == "persistentvolumes":
            volume = self._volumes.get(None, name)
            claim = meta.dig(volume, "spec", "claimRef", default={})
            claimed = ("persistentvolumeclaims", claim.get("namespace", ""), claim.get("name", ""))
            return bool(claim) and self.related(node, claimed)
        if resource == "volumeattachments":
            return bool(meta.dig(self._attachments.get(None, name), "spec", "nodeName") == node)
        if resource == "resourceslices":
            return bool(meta.dig(self._slices.get(None, name), "spec", "nodeName") == node)
        if resource == "podcertificaterequests":
            found = self._certificate_requests.get(reference[1], name)
            return bool(meta.dig(found, "spec", "nodeName") == node)
        if self._references.get(node, _NONE)[reference] > 0:
            return True
        volumes = self._volumes_by_secret.get(reference[1:], ()) if resource == "secrets" else ()
        return any(self.related(node, ("persistentvolumes", "", volume)) for volume in volumes)

    # --- by resource

    def _related_or_denied(self, node: str, info: RequestInfo) -> Decision:
        if not info.name:
            return _denied("No Object name found")
        if self.related(node, (info.resource, info.namespace, info.name)):
            return _ALLOWED
        return _denied(f"no relationship found between node '{node}' and this object")

    def _read_namespaced(self, node: str, info: RequestInfo) -> Decision:
        if info.verb not in ("get", "list", "watch"):
            return _denied("can only read resources of this type")
        if info.subresource:
            return _denied("cannot read subresource")
        if not info.namespace:
            return _denied("can only read namespaced object of this type")
        return self._related_or_denied(node, info)

    def _get(self, node: str, info: RequestInfo) -> Decision:
        if info.verb != "get":
            return _denied("can only get individual resources of this type")
        if info.subresource:
            return _denied("cannot get subresource")
        return self._related_or_denied(node, info)

    def _update_status(self, node: str, info: RequestInfo) -> Decision:
        if info.verb not in ("update", "patch"):
            return _denied("can only get/update/patch this type")
        return self._related_or_denied(node, info)

    def _create_token(self, node: str, info: RequestInfo) -> Decision:
        if info.verb != "create" or not info.name:
            return _denied("can only create tokens for individual service accounts")
        if info.subresource != "token":
            return _denied("can only create token subresource of serviceaccount")
        return self._related_or_denied(node, info)

    def _pod(self, node: str, info: RequestInfo) -> Decision:
        match info.subresource, info.verb:
            case "", "get":
                return self._related_or_denied(node, info)
            case "", "list" | "watch":
                if requires(info, "spec.nodeName", node):
                    return _ALLOWED
                if info.name:
                    return self._related_or_denied(node, info)
                return _denied("can only list/watch pods with spec.nodeName field selector")
            case ("", "create" | "delete") | ("status", "update" | "patch") | ("eviction", "create"):
                return _ALLOWED
        return _denied("")

    def _slice(self, node: str, info: RequestInfo) -> Decision:
        if info.subresource:
            return _denied("cannot authorize ResourceSlice subresources")
        match info.verb:
            case "create":
                # Whose it is to become, NodeRestriction sees.
                return _ALLOWED
            case "get" | "update" | "patch" | "delete":
                return self._related_or_denied(node, info)
            case "watch" | "list" | "deletecollection":
                if requires(info, "spec.nodeName", node):
                    return _ALLOWED
                why = "can only list/watch/deletecollection resourceslices with nodeName field selector"
                return _denied(why)
        verbs = "get, watch, list, create, update, patch, delete, deletecollection"
        return _denied(f"only the following verbs are allowed for a ResourceSlice: {verbs}")

    def _certificate_request(self, node: str, info: RequestInfo) -> Decision:
        if info.subresource:
            return _denied("nodes may not access the status subresource of PodCertificateRequests")
        match info.verb:
            case "create":
                return _ALLOWED
            case "get":
                return self._related_or_denied(node, info)
            case "list" | "watch":
                if requires(info, "spec.nodeName", node):
                    return _ALLOWED
                return _denied("can only list/watch podcertificaterequests with nodeName field selector")
        return _denied(f"nodes may not {info.verb} podcertificaterequests")

    # --- the index

    def _on_volume(self, change: ViewChange) -> None:
        for volume, add in ((change.old, False), (change.new, True)):
            for secret in volume_secrets(volume) if volume is not None else ():
                volumes = self._volumes_by_secret.setdefault(secret, set())
                (volumes.add if add else volumes.discard)(meta.name(volume or {}))
                if not volumes:
                    del self._volumes_by_secret[secret]

    def _on_pod(self, change: ViewChange) -> None:
        if change.old is not None and change.new is not None and _same_references(change.old, change.new):
            return
        if change.old is not None:
            self._count(change.old, -1)
        if change.new is not None:
            self._count(change.new, 1)

    def _count(self, pod: Object, by: int) -> None:
        node = meta.dig(pod, "spec", "nodeName", default="")
        if not node:
            return
        counter = self._references.setdefault(node, Counter())
        for reference in references(pod):
            counter[reference] += by
            if counter[reference] <= 0:
                del counter[reference]
        if not counter:
            del self._references[node]


_NONE: Counter[Reference] = Counter()


def _same_references(old: Object, new: Object) -> bool:
    """Tell cheaply that an update (mostly: of status) changed nothing that is indexed."""
    return (
        old.get("spec") == new.get("spec")
        and all(
            meta.dig(old, "status", field) == meta.dig(new, "status", field)
            for field in ("resourceClaimStatuses", "extendedResourceClaimStatus")
        )
        and (MIRROR_POD in meta.annotations(old)) == (MIRROR_POD in meta.annotations(new))
    )


def _lease(node: str, info: RequestInfo) -> Decision:
    if info.verb not in ("get", "create", "update", "patch", "delete"):
        return _denied("can only get, create, update, patch, or delete a node lease")
    if info.namespace != LEASE_NAMESPACE:
        return _denied(f'can only access leases in the "{LEASE_NAMESPACE}" system namespace')
    # The name is not known yet on create; NodeRestriction looks at it.
    if info.verb != "create" and info.name != node:
        return _denied("can only access node lease with the same name as the requesting node")
    return _ALLOWED


def _csi_node(node: str, info: RequestInfo) -> Decision:
    if info.verb not in ("get", "create", "update", "patch", "delete"):
        return _denied("can only get, create, update, patch, or delete a CSINode")
    if info.subresource:
        return _denied("cannot authorize CSINode subresources")
    if info.verb != "create" and info.name != node:
        return _denied("can only access CSINode with the same name as the requesting node")
    return _ALLOWED


def _node(node: str, info: RequestInfo) -> Decision:
    match info.subresource, info.verb:
        case ("", "create" | "update" | "patch") | ("status", "update" | "patch"):
            return _ALLOWED
        case "", "get" | "list" | "watch":
            if info.name == node:
                return _ALLOWED
            what = f"'{info.name}'" if info.name else "all nodes"
            return _denied(f"node '{node}' cannot read {what}, only its own Node object")
    return _denied("")


def _is_node(user: User) -> bool:
    return NODES in user.groups and user.name.startswith(NODE_PREFIX)


def _denied(reason: str) -> Decision:
    return Decision(allowed=False, reason=reason)
