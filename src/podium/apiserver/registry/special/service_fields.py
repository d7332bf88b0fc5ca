"""Which fields of a Service follow from others: families, what an update keeps, what a type drops. Pure.

Upstream: pkg/registry/core/service (storage's normalising and patching, strategy's dropping).
"""

from __future__ import annotations

from podium.machinery.errors import FieldError, Object
from podium.machinery.meta import deep_copy
from podium.resources.core.addresses import is_ipv6
from podium.resources.core.service_validation import TRAFFIC_POLICIES

NONE = "None"


def needs_cluster_ip(spec: Object) -> bool:
    return spec.get("type") != "ExternalName"


def needs_node_port(spec: Object) -> bool:
    if spec.get("type") == "LoadBalancer":
        return spec.get("allocateLoadBalancerNodePorts") is not False
    return spec.get("type") == "NodePort"


def needs_health_check_port(spec: Object) -> bool:
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def externally_accessible(spec: Object) -> bool:
    return spec.get("type") in ("LoadBalancer", "NodePort") or (
        spec.get("type") == "ClusterIP" and bool(spec.get("externalIPs"))
    )


def is_headless(spec: Object) -> bool:
    return bool(spec.get("clusterIP") == NONE)


def normalize_addresses(spec: Object, old: Object | None) -> None:
    """Let clusterIP, the older field, and clusterIPs say the same where a client wrote only one."""
    ip, ips = spec.get("clusterIP") or "", spec.get("clusterIPs") or []
    if old is None:
        if ip and not ips:
            spec["clusterIPs"] = [ip]
        return
    old_ip, old_ips = old.get("clusterIP") or "", old.get("clusterIPs") or []
    if ip == old_ip and old_ips and not ips:
        spec["clusterIPs"] = list(old_ips)
    elif ip != old_ip and ips == old_ips:
        spec["clusterIPs"] = [ip] if ip else []


def keep_allocated(spec: Object, old: Object) -> None:
    """What was allocated stays when an update does not mention it."""
    if needs_cluster_ip(old) and needs_cluster_ip(spec):
        for name in ("clusterIP", "clusterIPs", "ipFamilies"):
            if not spec.get(name) and old.get(name):
                spec[name] = deep_copy(old[name])
        if spec.get("ipFamilyPolicy") is None and old.get("ipFamilyPolicy"):
            spec["ipFamilyPolicy"] = old["ipFamilyPolicy"]
    if needs_node_port(old) and needs_node_port(spec):
        known = {port.get("name"): port.get("nodePort") for port in old.get("ports") or ()}
        wanted = {port["nodePort"] for port in spec.get("ports") or () if port.get("nodePort")}
        for port in spec.get("ports") or ():
            kept = known.get(port.get("name"))
            if not port.get("nodePort") and kept and kept not in wanted:
                port["nodePort"] = kept
    if needs_health_check_port(old) and needs_health_check_port(spec) and not spec.get("healthCheckNodePort"):
        kept = old.get("healthCheckNodePort")
        if kept:
            spec["healthCheckNodePort"] = kept


def drop_by_type(spec: Object, old: Object) -> None:
    """Changing the type takes away what only the old one had, unless the client changes it itself."""
    if needs_cluster_ip(old) and not needs_cluster_ip(spec):
        if all(spec.get(name) == old.get(name) for name in ("clusterIP", "clusterIPs")):
            for name in ("clusterIP", "clusterIPs"):
                spec.pop(name, None)
        for name in ("ipFamilies", "ipFamilyPolicy"):
            _drop_same(spec, old, name)
    if needs_node_port(old) and not needs_node_port(spec):
        before = [port.get("nodePort") for port in old.get("ports") or ()]
        if [port.get("nodePort") for port in spec.get("ports") or ()] == before:
            for port in spec.get("ports") or ():
                port.pop("nodePort", None)
    if needs_health_check_port(old) and not needs_health_check_port(spec):
        _drop_same(spec, old, "healthCheckNodePort")
    if old.get("type") == "LoadBalancer" and spec.get("type") != "LoadBalancer":
        _drop_same(spec, old, "allocateLoadBalancerNodePorts")
        _drop_same(spec, old, "loadBalancerClass")
    if externally_accessible(old) and not externally_accessible(spec):
        _drop_same(spec, old, "externalTrafficPolicy")


def drop_unused(spec: Object) -> None:
    """Nothing routes to a name outside: what says how is not kept, though it must be right."""
    if spec.get("type") == "ExternalName" and spec.get("internalTrafficPolicy") in TRAFFIC_POLICIES:
        del spec["internalTrafficPolicy"]


def _drop_same(spec: Object, old: Object, name: str) -> None:
    if spec.get(name) == old.get(name):
        spec.pop(name, None)


def set_policy(spec: Object) -> None:
    """Fill in ipFamilyPolicy: of one family, but for what nobody allocates for."""
    if needs_cluster_ip(spec) and spec.get("ipFamilyPolicy") is None:
        open_to_both = is_headless(spec) and not spec.get("selector")
        spec["ipFamilyPolicy"] = "RequireDualStack" if open_to_both else "SingleStack"


def set_families(spec: Object, family: str) -> list[FieldError]:
    """Fill in ipFamilies for a cluster whose service addresses are of one family.

    The policy is set, and each address is one. Return what is asked for and cannot be had.
    """
    if not needs_cluster_ip(spec):
        return []
    other = "IPv6" if family == "IPv4" else "IPv4"
    errors = _too_many(spec) + _infer_families(spec, family)
    if errors:
        return errors
    if is_headless(spec) and not spec.get("selector"):
        # Nobody allocates for it, so nothing speaks against both.
        families = list(spec.get("ipFamilies") or [family])
        if spec["ipFamilyPolicy"] != "SingleStack" and len(families) == 1:
            families.append(other if families[0] == family else family)
        spec["ipFamilies"] = families
        return []
    if spec["ipFamilyPolicy"] == "RequireDualStack":
        detail = "this cluster is not configured for dual-stack services"
        errors.append(FieldError.invalid("spec.ipFamilyPolicy", spec["ipFamilyPolicy"], detail))
    for index, asked in enumerate(spec.get("ipFamilies") or ()):
        if asked != family:
            detail = "not configured on this cluster"
            errors.append(FieldError.invalid(f"spec.ipFamilies[{index}]", asked, detail))
    if not errors and not spec.get("ipFamilies"):
        spec["ipFamilies"] = [family]
    return errors


def _too_many(spec: Object) -> list[FieldError]:
    policy, errors = spec["ipFamilyPolicy"], []
    for key, what in (("clusterIPs", "cluster IPs"), ("ipFamilies", "IP families")):
        if policy == "SingleStack" and len(spec.get(key) or ()) == 2:
            detail = f"must be 'RequireDualStack' or 'PreferDualStack' when multiple {what} are specified"
            errors.append(FieldError.invalid("spec.ipFamilyPolicy", policy, detail))
    return errors


def _infer_families(spec: Object, family: str) -> list[FieldError]:
    """Add the families of addresses that are asked for."""
    families, errors = list(spec.get("ipFamilies") or ()), []
    addresses = spec.get("clusterIPs") or ()
    for index, address in enumerate(addresses):
        if address == NONE:
            break
        if index < len(families):
            continue
        inferred = "IPv6" if is_ipv6(address) else "IPv4"
        if inferred == family:
            families.append(inferred)
        else:
            detail = f"{inferred} is not configured on this cluster"
            errors.append(FieldError.invalid(f"spec.clusterIPs[{index}]", list(addresses), detail))
    if families and not errors:
        spec["ipFamilies"] = families
    return errors
