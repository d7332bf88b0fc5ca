"""What a cloud knows about a node, and what of it the Node object is to say. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence

from podium.cloud.interface import InstanceMetadata
from podium.machinery import meta
from podium.machinery.errors import Object

UNINITIALIZED_TAINT = "node.cloudprovider.kubernetes.io/uninitialized"
PROVIDED_NODE_IP = "alpha.kubernetes.io/provided-node-ip"

ZONE = ("failure-domain.beta.kubernetes.io/zone", "topology.kubernetes.io/zone")
REGION = ("failure-domain.beta.kubernetes.io/region", "topology.kubernetes.io/region")
INSTANCE_TYPE = ("beta.kubernetes.io/instance-type", "node.kubernetes.io/instance-type")
"""The beta label, which leads where both are there, and the one that has come after it."""

_KUBERNETES_OWN = re.compile(r"(^|\.)(kubernetes|k8s)\.io/")


def is_uninitialized(node: Object) -> bool:
    """Tell whether the node waits for the cloud to say what it is."""
    return any(taint.get("key") == UNINITIALIZED_TAINT for taint in _taints(node))


def _taints(node: Object) -> Sequence[Object]:
    return (node.get("spec") or {}).get("taints") or ()


def initialisation(node: Object, instance: InstanceMetadata) -> Object:
    """Return the merge patch that initialises a node. Raises ValueError where the two do not fit."""
    if not instance.provider_id and not _provider_id(node):
        # Cannot be set later, and load balancers and others need it.
        raise ValueError(f"cloud provider does not set node provider ID for node {meta.name(node)}")
    try:
        addresses(node, instance)
    except ValueError as error:
        raise ValueError(
            f"failed to get node modifiers from cloud provider: provided node ip for node"
            f' "{meta.name(node)}" is not valid: {error}'
        ) from error
    spec: Object = {"taints": [t for t in _taints(node) if t.get("key") != UNINITIALIZED_TAINT] or None}
    if not _provider_id(node):
        spec["providerID"] = instance.provider_id
    metadata: Object = {"resourceVersion": meta.metadata(node).get("resourceVersion")}
    if labels := _labels(node, instance):
        metadata["labels"] = labels
    return {"metadata": metadata, "spec": spec}


def _provider_id(node: Object) -> str:
    return (node.get("spec") or {}).get("providerID") or ""


def _labels(node: Object, instance: InstanceMetadata) -> dict[str, str]:
    labels: dict[str, str] = {}
    for names, value in (
        (INSTANCE_TYPE, instance.instance_type),
        (ZONE, instance.zone),
        (REGION, instance.region),
    ):
        if value:
            labels |= dict.fromkeys(names, value)
    for name, value in instance.additional_labels.items():
        if not _KUBERNETES_OWN.search(name) and name not in meta.labels(node):
            labels.setdefault(name, value)
    return labels


def label_repairs(labels: Mapping[str, str]) -> dict[str, str]:
    """Return the labels to set so that the newer ones say what the beta ones say."""
    return {
        stable: labels[beta]
        for beta, stable in (ZONE, REGION, INSTANCE_TYPE)
        if beta in labels and labels.get(stable) != labels[beta]
    }


def addresses(node: Object, instance: InstanceMetadata) -> list[Object] | None:
    """Return the addresses to write to the node's status, None to leave them.

    The kubelet's host name stays where the cloud knows none; an address that the kubelet was told to use
    comes first and is the only one of its type. Raises ValueError when the cloud does not know that address.
    """
    found = [{"type": a["type"], "address": a["address"]} for a in instance.addresses]
    before = list((node.get("status") or {}).get("addresses") or ())
    known = bool(found)
    if all(a["type"] != "Hostname" for a in found):
        found += [a for a in before if a["type"] == "Hostname"]
    if told := meta.annotations(node).get(PROVIDED_NODE_IP):
        found = _preferring(told, found)
    return found if known and _as_set(found) != _as_set(before) else None


def _as_set(found: Sequence[Object]) -> list[tuple[str, str]]:
    return sorted((a["type"], a["address"]) for a in found)


def _preferring(told: str, found: Sequence[Object]) -> list[Object]:
    first: list[Object] = []
    for text in told.split(","):
        try:
            wanted = ipaddress.ip_address(text.strip())
        except ValueError:
            raise ValueError(f'failed to parse node IP "{told}"') from None
        matching = [a for a in found if _ip(a["address"]) == wanted]
        if not matching:
            raise ValueError(f"failed to get node address from cloud provider that matches ip: {wanted}")
        first += matching
    types = {a["type"] for a in first}
    return [*first, *(a for a in found if a["type"] not in types)]


def _ip(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
