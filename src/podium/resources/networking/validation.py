"""What is wrong with network policies and service address ranges; ingresses: ingress_validation.py."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from podium.machinery import validation
from podium.machinery.addresses import cidr_errors, cidr_warnings, older_cidr, parse_network
from podium.machinery.errors import FieldError, Object
from podium.resources.checks import Errors, immutable, named, objects, port_or_name, required_name, spec_of
from podium.resources.defaulting import given
from podium.resources.ratcheting import without_old_faults

PROTOCOLS = ("TCP", "UDP", "SCTP")
POLICY_TYPES = ("Ingress", "Egress")
_DIRECTIONS = (("ingress", "from"), ("egress", "to"))


def validate_network_policy(policy: Object) -> Errors:
    """Check a NetworkPolicy."""
    return _policy(policy, ())


def validate_network_policy_update(new: Object, old: Object) -> Errors:
    """Check a changed NetworkPolicy: a CIDR that stood in it may stay, wherever it goes."""
    kept = {cidr for _, cidr in _cidrs(old)}
    return without_old_faults(_policy(new, kept), lambda: _policy(old, kept))


def network_policy_warnings(policy: Object, _old: Object | None) -> list[str]:
    """Tell which CIDRs programs may read differently."""
    return [warning for path, cidr in _cidrs(policy) for warning in cidr_warnings(path, cidr)]


def _cidrs(policy: Object) -> Iterator[tuple[str, str]]:
    """Yield the path and the text of every CIDR in a policy."""
    for direction, peers in _DIRECTIONS:
        for index, rule in enumerate(objects(spec_of(policy).get(direction))):
            for peer_index, peer in enumerate(objects(rule.get(peers))):
                block = given(peer, "ipBlock")
                if block is None:
                    continue
                path = f"spec.{direction}[{index}].{peers}[{peer_index}].ipBlock"
                yield f"{path}.cidr", str(block.get("cidr") or "")
                for hole_index, hole in enumerate(block.get("except") or ()):
                    yield f"{path}.except[{hole_index}]", str(hole)


def _policy(policy: Object, kept: Collection[str]) -> Errors:
    spec = spec_of(policy)
    errors = validation.validate_label_selector(given(spec, "podSelector"), "spec.podSelector")
    for direction, peers in _DIRECTIONS:
        for index, rule in enumerate(objects(spec.get(direction))):
            path = f"spec.{direction}[{index}]"
            for port_index, port in enumerate(objects(rule.get("ports"))):
                errors += _policy_port(port, f"{path}.ports[{port_index}]")
            for peer_index, peer in enumerate(objects(rule.get(peers))):
                errors += _peer(peer, f"{path}.{peers}[{peer_index}]", kept)
    types = spec.get("policyTypes") or []
    if len(types) > len(POLICY_TYPES):
        detail = "may not specify more than two policyTypes"
        return [*errors, FieldError.invalid("spec.policyTypes", types, detail)]
    errors += [
        FieldError.not_supported(f"spec.policyTypes[{index}]", kind, POLICY_TYPES)
        for index, kind in enumerate(types)
        if kind not in POLICY_TYPES
    ]
    return errors


def _policy_port(port: Object, path: str) -> Errors:
    errors: Errors = []
    protocol, number, end = port.get("protocol"), port.get("port"), port.get("endPort")
    if protocol is not None and protocol not in PROTOCOLS:
        errors.append(FieldError.not_supported(f"{path}.protocol", protocol, PROTOCOLS))
    if number is None:
        if end is not None:
            detail = "may not be specified when `port` is not specified"
            errors.append(FieldError.invalid(f"{path}.endPort", end, detail))
        return errors
    if end is not None and isinstance(number, str):
        detail = "may not be specified when `port` is non-numeric"
        errors.append(FieldError.invalid(f"{path}.endPort", end, detail))
    errors += port_or_name(f"{path}.port", number)
    if end is None or isinstance(number, str):
        return errors
    if end < number:
        # Upstream shows the port here, not its end.
        detail = "must be greater than or equal to `port`"
        errors.append(FieldError.invalid(f"{path}.endPort", number, detail))
    return errors + validation.invalid_each(f"{path}.endPort", end, validation.port_number_errors(end))


def _peer(peer: Object, path: str, kept: Collection[str]) -> Errors:
    errors: Errors = []
    found = 0
    for key in ("podSelector", "namespaceSelector"):
        if given(peer, key) is not None:
            found += 1
            errors += validation.validate_label_selector(given(peer, key), f"{path}.{key}")
    block = given(peer, "ipBlock")
    if block is not None:
        errors += _ip_block(block, f"{path}.ipBlock", kept)
        if found:
            detail = "may not specify both ipBlock and another peer"
            errors.append(FieldError.forbidden(path, detail))
    elif not found:
        errors.append(FieldError.required(path, "must specify a peer"))
    return errors


def _ip_block(block: Object, path: str, kept: Collection[str]) -> Errors:
    cidr = str(block.get("cidr") or "")
    if not cidr:
        return [FieldError.required(f"{path}.cidr")]
    errors = older_cidr(f"{path}.cidr", cidr, kept)
    network = parse_network(cidr)
    if network is None:
        return errors
    for index, hole in enumerate(block.get("except") or ()):
        here = f"{path}.except[{index}]"
        errors += older_cidr(here, hole, kept)
        inner = parse_network(hole)
        if inner is None:
            continue
        inside = inner.version == network.version and inner.network_address in network
        if not inside or inner.prefixlen <= network.prefixlen:
            detail = "must be a strict subset of `cidr`"
            errors.append(FieldError.invalid(here, hole, detail))
    return errors


def validate_address(address: Object) -> Errors:
    """Check an IPAddress: somebody must own it."""
    parent = given(spec_of(address), "parentRef")
    if parent is None:
        return [FieldError.required("spec.parentRef")]
    errors: Errors = []
    path = "spec.parentRef"
    if parent.get("group"):
        errors += named(f"{path}.group", parent["group"], validation.dns1123_subdomain_errors)
    for key in ("resource", "name"):
        errors += required_name(f"{path}.{key}", parent.get(key), validation.path_segment_errors)
    if parent.get("namespace"):
        errors += named(f"{path}.namespace", parent["namespace"], validation.path_segment_errors)
    return errors


def validate_address_update(new: Object, old: Object) -> Errors:
    """Check a changed IPAddress: its owner stays."""
    return validate_address(new) + immutable(spec_of(new), spec_of(old), "parentRef", field="spec")


def validate_service_cidr(service_cidr: Object) -> Errors:
    """Check a ServiceCIDR."""
    cidrs = spec_of(service_cidr).get("cidrs") or []
    if not cidrs:
        return [FieldError.required("spec.cidrs", "at least one CIDR required")]
    if len(cidrs) > 2:
        return [FieldError.invalid("spec.cidrs", spec_of(service_cidr), "may only hold up to 2 values")]
    errors: Errors = []
    for index, cidr in enumerate(cidrs):
        errors += validation.invalid_each(f"spec.cidrs[{index}]", cidr, cidr_errors(cidr))
    families = [network.version for network in map(parse_network, cidrs) if network is not None]
    if len(families) == 2 and families[0] == families[1]:
        detail = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"
        errors.append(FieldError.invalid("spec.cidrs", cidrs, detail))
    return errors


def validate_service_cidr_update(new: Object, old: Object) -> Errors:
    """Check a changed ServiceCIDR: a second family may be added, nothing else."""
    cidrs, were = spec_of(new).get("cidrs") or [], spec_of(old).get("cidrs") or []
    grows = (len(were), len(cidrs)) == (1, 2)
    if len(cidrs) != len(were) and not grows:
        return [FieldError.invalid("spec.cidrs", cidrs, validation.IMMUTABLE)]
    errors = [
        FieldError.invalid(f"spec.cidrs[{index}]", cidr, validation.IMMUTABLE)
        for index, (cidr, was) in enumerate(zip(cidrs, were, strict=False))
        if cidr != was
    ]
    return errors + validate_service_cidr(new) if grows else errors
