"""What is wrong with network policies, ingresses and service address ranges."""

from __future__ import annotations

import ipaddress

from podium.machinery import validation
from podium.machinery.errors import FieldError, Object
from podium.resources.checks import Errors, immutable, named, objects, port_or_name, spec_of
from podium.resources.defaulting import given

PROTOCOLS = ("SCTP", "TCP", "UDP")
PATH_TYPES = ("Exact", "ImplementationSpecific", "Prefix")
POLICY_TYPES = ("Ingress", "Egress")


def validate_network_policy(policy: Object) -> Errors:
    """Check a NetworkPolicy."""
    spec = spec_of(policy)
    errors = validation.validate_label_selector(given(spec, "podSelector"), "spec.podSelector")
    for direction, peers in (("ingress", "from"), ("egress", "to")):
        for index, rule in enumerate(objects(spec.get(direction))):
            path = f"spec.{direction}[{index}]"
            for port_index, port in enumerate(objects(rule.get("ports"))):
                errors += _policy_port(port, f"{path}.ports[{port_index}]")
            for peer_index, peer in enumerate(objects(rule.get(peers))):
                errors += _peer(peer, f"{path}.{peers}[{peer_index}]")
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
    errors += port_or_name(f"{path}.port", number)
    if end is None:
        return errors
    if isinstance(number, str):
        detail = "may not be specified when `port` is non-numeric"
        errors.append(FieldError.invalid(f"{path}.endPort", end, detail))
        return errors
    if end < number:
        # Upstream shows the port here, not its end.
        detail = "must be greater than or equal to `port`"
        errors.append(FieldError.invalid(f"{path}.endPort", number, detail))
    return errors + validation.invalid_each(f"{path}.endPort", end, validation.port_number_errors(end))


def _peer(peer: Object, path: str) -> Errors:
    errors: Errors = []
    found = 0
    for key in ("podSelector", "namespaceSelector"):
        if given(peer, key) is not None:
            found += 1
            errors += validation.validate_label_selector(given(peer, key), f"{path}.{key}")
    block = given(peer, "ipBlock")
    if block is not None:
        errors += _ip_block(block, f"{path}.ipBlock")
        if found:
            detail = "may not specify both ipBlock and another peer"
            errors.append(FieldError.forbidden(path, detail))
    elif not found:
        errors.append(FieldError.required(path, "must specify a peer"))
    return errors


def _ip_block(block: Object, path: str) -> Errors:
    cidr = str(block.get("cidr") or "")
    if not cidr:
        return [FieldError.required(f"{path}.cidr")]
    faults = validation.cidr_errors(cidr, strict=False)
    if faults:
        return validation.invalid_each(f"{path}.cidr", cidr, faults)
    errors: Errors = []
    network = ipaddress.ip_network(cidr, strict=False)
    for index, hole in enumerate(block.get("except") or ()):
        here = f"{path}.except[{index}]"
        faults = validation.cidr_errors(hole, strict=False)
        if faults:
            errors += validation.invalid_each(here, hole, faults)
            continue
        inner = ipaddress.ip_network(hole, strict=False)
        inside = inner.version == network.version and inner.network_address in network
        if not inside or inner.prefixlen <= network.prefixlen:
            detail = "must be a strict subset of `cidr`"
            errors.append(FieldError.invalid(here, hole, detail))
    return errors


def validate_ingress(ingress: Object) -> Errors:
    """Check an Ingress."""
    spec = spec_of(ingress)
    errors: Errors = []
    rules, default = objects(spec.get("rules")), given(spec, "defaultBackend")
    if not rules and default is None:
        detail = "either `defaultBackend` or `rules` must be specified"
        errors.append(FieldError.invalid("spec", [], detail))
    if default is not None:
        errors += _backend(default, "spec.defaultBackend")
    for index, rule in enumerate(rules):
        errors += _ingress_rule(rule, f"spec.rules[{index}]")
    for index, tls in enumerate(objects(spec.get("tls"))):
        for host_index, host in enumerate(tls.get("hosts") or ()):
            errors += _host(host, f"spec.tls[{index}].hosts[{host_index}]")
    if spec.get("ingressClassName") is not None:
        rule_of_name = validation.dns1123_subdomain_errors
        errors += named("spec.ingressClassName", spec["ingressClassName"], rule_of_name)
    return errors


def _host(host: str, path: str) -> Errors:
    if "*" in host:
        return named(path, host, validation.wildcard_subdomain_errors)
    return named(path, host, validation.dns1123_subdomain_errors)


def _ingress_rule(rule: Object, path: str) -> Errors:
    errors: Errors = []
    host = str(rule.get("host") or "")
    if host:
        if not validation.ip_errors(host, strict=False):
            detail = "must be a DNS name, not an IP address"
            errors.append(FieldError.invalid(f"{path}.host", host, detail))
        else:
            errors += _host(host, f"{path}.host")
    http = given(rule, "http")
    if http is None:
        return errors
    paths = objects(http.get("paths"))
    if not paths:
        errors.append(FieldError.required(f"{path}.http.paths"))
    for index, entry in enumerate(paths):
        errors += _ingress_path(entry, f"{path}.http.paths[{index}]")
    return errors


def _ingress_path(entry: Object, path: str) -> Errors:
    errors: Errors = []
    kind, where = entry.get("pathType"), str(entry.get("path") or "")
    if kind is None:
        errors.append(FieldError.required(f"{path}.pathType", "pathType must be specified"))
    elif kind not in PATH_TYPES:
        errors.append(FieldError.not_supported(f"{path}.pathType", kind, PATH_TYPES))
    elif (kind != "ImplementationSpecific" or where) and not where.startswith("/"):
        errors.append(FieldError.invalid(f"{path}.path", where, "must be an absolute path"))
    elif kind != "ImplementationSpecific":
        for sequence in ("//", "/./", "/../", "%2f", "%2F"):
            if sequence in where:
                errors.append(FieldError.invalid(f"{path}.path", where, f"must not contain '{sequence}'"))
        for suffix in ("/..", "/."):
            if where.endswith(suffix):
                errors.append(FieldError.invalid(f"{path}.path", where, f"cannot end with '{suffix}'"))
    return errors + _backend(given(entry, "backend") or {}, f"{path}.backend")


def _backend(backend: Object, path: str) -> Errors:
    service, resource = given(backend, "service"), given(backend, "resource")
    if service is not None and resource is not None:
        detail = "cannot set both resource and service backends"
        return [FieldError.invalid(path, "", detail)]
    if resource is not None:
        return [
            FieldError.required(f"{path}.resource.{key}") for key in ("kind", "name") if not resource.get(key)
        ]
    if service is None:
        return [FieldError.required(path, "resource or service backend is required")]
    errors: Errors = []
    name = str(service.get("name") or "")
    if not name:
        errors.append(FieldError.required(f"{path}.service.name"))
    else:
        errors += named(f"{path}.service.name", name, validation.dns1123_label_errors)
    port = given(service, "port") or {}
    here = f"{path}.service.port"
    if port.get("name") and port.get("number"):
        detail = "cannot set both port name & port number"
        errors.append(FieldError.invalid(path, "", detail))
    elif port.get("name"):
        errors += named(f"{here}.name", port["name"], validation.port_name_errors)
    elif port.get("number"):
        faults = validation.port_number_errors(port["number"])
        errors += validation.invalid_each(f"{here}.number", port["number"], faults)
    else:
        errors.append(FieldError.required(path, "port name or number is required"))
    return errors


def validate_address(address: Object) -> Errors:
    """Check an IPAddress: somebody must own it."""
    parent = given(spec_of(address), "parentRef")
    if parent is None:
        return [FieldError.required("spec.parentRef")]
    return [
        FieldError.required(f"spec.parentRef.{key}") for key in ("resource", "name") if not parent.get(key)
    ]


def validate_address_update(new: Object, old: Object) -> Errors:
    """Check a changed IPAddress: its owner stays."""
    return immutable(spec_of(new), spec_of(old), "parentRef", field="spec")


def validate_service_cidr(service_cidr: Object) -> Errors:
    """Check a ServiceCIDR."""
    cidrs = spec_of(service_cidr).get("cidrs") or []
    if not cidrs:
        return [FieldError.required("spec.cidrs", "at least one CIDR required")]
    errors: Errors = []
    if len(cidrs) > 2:
        detail = "may only hold up to 2 values"
        errors.append(FieldError.invalid("spec", spec_of(service_cidr), detail))
    for index, cidr in enumerate(cidrs):
        errors += validation.invalid_each(f"spec.cidrs[{index}]", cidr, validation.cidr_errors(cidr))
    if len(cidrs) == 2 and (":" in cidrs[0]) == (":" in cidrs[1]):
        detail = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"
        errors.append(FieldError.invalid("spec.cidrs", cidrs, detail))
    return errors


def validate_service_cidr_update(new: Object, old: Object) -> Errors:
    """Check a changed ServiceCIDR: a second family may be added, nothing else."""
    cidrs, were = spec_of(new).get("cidrs") or [], spec_of(old).get("cidrs") or []
    if len(cidrs) < len(were):
        return [FieldError.invalid("spec.cidrs", cidrs, "field is immutable")]
    return [
        FieldError.invalid(f"spec.cidrs[{index}]", cidr, "field is immutable")
        for index, (cidr, was) in enumerate(zip(cidrs, were, strict=False))
        if cidr != was
    ]
