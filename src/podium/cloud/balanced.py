"""Which Services have a load balancer made for them, over which nodes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from podium.machinery import meta
from podium.machinery.errors import Json, Object

FINALIZER = "service.kubernetes.io/load-balancer-cleanup"
EXCLUDE_LABEL = "node.kubernetes.io/exclude-from-external-load-balancers"
TO_BE_DELETED_TAINT = "ToBeDeletedByClusterAutoscaler"
NAMES_MAX = 20

_FALSE = frozenset(("0", "f", "F", "false", "FALSE", "False"))
_OF_PORT = ("name", "protocol", "port", "nodePort", "targetPort", "appProtocol")
_OF_SPEC = (
    "sessionAffinity",
    "sessionAffinityConfig",
    "loadBalancerSourceRanges",
    "loadBalancerIP",
    "externalIPs",
    "externalTrafficPolicy",
    "healthCheckNodePort",
)


def wants_balancer(service: Object) -> bool:
    """Tell whether the Service asks for a balancer of the cloud's (a class asks for somebody else's)."""
    spec = service.get("spec") or {}
    return spec.get("type") == "LoadBalancer" and spec.get("loadBalancerClass") is None


def needs_cleanup(service: Object) -> bool:
    """Tell whether the Service may have a balancer that it is to lose."""
    if FINALIZER not in meta.finalizers(service):
        return False
    return meta.deleting(service) or (service.get("spec") or {}).get("type") != "LoadBalancer"


def needs_update(old: Object, new: Object) -> bool:
    """Tell whether what changed between two states of a Service is of interest to its balancer."""
    if not wants_balancer(old) and not wants_balancer(new):
        return False
    return wants_balancer(old) != wants_balancer(new) or _of_interest(old) != _of_interest(new)


def _of_interest(service: Object) -> Json:
    spec = service.get("spec") or {}
    return [
        meta.uid(service),
        dict(meta.annotations(service)),
        [[port.get(name) for name in _OF_PORT] for port in spec.get("ports") or ()],
        [spec.get(name) or None for name in _OF_SPEC],
        # Families can only come and go at the end of the list.
        len(spec.get("ipFamilies") or ()),
    ]


def balanced_nodes(nodes: Iterable[Object]) -> list[Object]:
    """Return the nodes that balancers lead to, by name.

    Those that are not ready are among them (KEP-3458): a balancer's own health checks know sooner and better.
    """
    return sorted((node for node in nodes if _is_balanced(node)), key=meta.name)


def _is_balanced(node: Object) -> bool:
    taints = (node.get("spec") or {}).get("taints") or ()
    return (
        not meta.deleting(node)
        and is_included(node)
        and all(taint.get("key") != TO_BE_DELETED_TAINT for taint in taints)
    )


def is_included(node: Object) -> bool:
    """Tell whether the label leaves the node in; a value that is no truth value leaves it out."""
    return meta.labels(node).get(EXCLUDE_LABEL, "false") in _FALSE


def is_news(old: Object, new: Object) -> bool:
    """Tell whether a change of a node is of interest to balancers."""
    return is_included(old) != is_included(new) or _provider_id(old) != _provider_id(new)


def identities(nodes: Iterable[Object]) -> frozenset[tuple[str, str]]:
    """Return what makes two sets of nodes the same to a balancer."""
    return frozenset((meta.name(node), _provider_id(node)) for node in nodes)


def _provider_id(node: Object) -> str:
    return (node.get("spec") or {}).get("providerID") or ""


def names_to_tell(nodes: Sequence[Object]) -> str:
    """Return the nodes' names as an event shows them."""
    names = sorted(meta.name(node) for node in nodes[:NAMES_MAX])
    if len(nodes) > NAMES_MAX:
        names.append(f"<{len(nodes) - NAMES_MAX} more>")
    return f"[{' '.join(names)}]"
