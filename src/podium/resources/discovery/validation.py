"""What is wrong with endpoint slices. Upstream: pkg/apis/discovery/validation/validation.go."""

from __future__ import annotations

from podium.machinery import validation
from podium.machinery.addresses import ip_errors, ip_warnings, older_ip, parse_ip
from podium.machinery.errors import FieldError, Object
from podium.machinery.meta import dict_or_none
from podium.resources.checks import (
    Errors,
    Rule,
    immutable,
    metadata_of,
    named,
    objects,
    one_of,
    supported,
    unchanged,
)
from podium.resources.core.addresses import endpoint_errors
from podium.resources.defaulting import given

PROTOCOLS = ("SCTP", "TCP", "UDP")
ADDRESS_TYPES = ("FQDN", "IPv4", "IPv6")
_ADDRESSES_MAX = 100
_ENDPOINTS_MAX = 1000
_PORTS_MAX = 20000
_TOPOLOGY_MAX = 16
_HINTS_MAX = 8
_MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
_CONTROLLERS = ("endpointslice-controller.k8s.io", "endpointslicemirroring-controller.k8s.io")


def validate_slice(endpoint_slice: Object) -> Errors:
    """Check an EndpointSlice."""
    return _frame(endpoint_slice) + _endpoints(endpoint_slice)


def validate_slice_update(new: Object, old: Object) -> Errors:
    """Check a changed EndpointSlice: its kind of addresses stays. Endpoints that stay are not blamed."""
    errors = _frame(new)
    if not unchanged(new.get("endpoints"), old.get("endpoints")):
        errors += _endpoints(new)
    return errors + immutable(new, old, "addressType")


def slice_warnings(endpoint_slice: Object, old: Object | None) -> list[str]:
    """Tell of addresses that programs may read differently, and of names instead of addresses."""
    warnings: list[str] = []
    if old is None and endpoint_slice.get("addressType") == "FQDN":
        warnings.append("spec.addressType: FQDN endpoints are deprecated")
    labels = metadata_of(endpoint_slice).get("labels") or {}
    if labels.get(_MANAGED_BY) in _CONTROLLERS:
        # They mend what they are given.
        return warnings
    for index, endpoint in enumerate(objects(endpoint_slice.get("endpoints"))):
        for at, address in enumerate(endpoint.get("addresses") or ()):
            warnings += ip_warnings(f"endpoints[{index}].addresses[{at}]", str(address))
    return warnings


def _frame(endpoint_slice: Object) -> Errors:
    errors = one_of("addressType", endpoint_slice.get("addressType"), ADDRESS_TYPES)
    return errors + _ports(objects(endpoint_slice.get("ports")))


def _ports(ports: list[Object]) -> Errors:
    if len(ports) > _PORTS_MAX:
        return [FieldError.too_many("ports", len(ports), _PORTS_MAX)]
    errors: Errors = []
    names: set[str] = set()
    for index, port in enumerate(ports):
        path = f"ports[{index}]"
        name = str(port.get("name") or "")
        if name:
            errors += named(f"{path}.name", name, validation.dns1123_label_errors)
        if name in names:
            errors.append(FieldError.duplicate(f"{path}.name", name))
        names.add(name)
        protocol = port.get("protocol")
        if protocol is None:
            errors.append(FieldError.required(f"{path}.protocol"))
        else:
            errors += supported(f"{path}.protocol", protocol, PROTOCOLS)
        if port.get("appProtocol") is not None:
            errors += named(f"{path}.appProtocol", port["appProtocol"], validation.qualified_name_errors)
    return errors


def _endpoints(endpoint_slice: Object) -> Errors:
    endpoints = objects(endpoint_slice.get("endpoints"))
    if len(endpoints) > _ENDPOINTS_MAX:
        return [FieldError.too_many("endpoints", len(endpoints), _ENDPOINTS_MAX)]
    kind = str(endpoint_slice.get("addressType") or "")
    errors: Errors = []
    for index, endpoint in enumerate(endpoints):
        errors += _endpoint(endpoint, kind, f"endpoints[{index}]")
    return errors


def _endpoint(endpoint: Object, kind: str, path: str) -> Errors:
    errors: Errors = []
    addresses = endpoint.get("addresses") or []
    if not addresses:
        errors.append(FieldError.required(f"{path}.addresses", "must contain at least 1 address"))
    elif len(addresses) > _ADDRESSES_MAX:
        errors.append(FieldError.too_many(f"{path}.addresses", len(addresses), _ADDRESSES_MAX))
    for index, address in enumerate(addresses):
        here = f"{path}.addresses[{index}]"
        if kind == "FQDN":
            errors += _fully_qualified(here, str(address))
        elif kind in ("IPv4", "IPv6"):
            errors += _address(str(address), kind, path, here)
    if endpoint.get("nodeName") is not None:
        errors += named(f"{path}.nodeName", endpoint["nodeName"], validation.dns1123_subdomain_errors)
    topology = dict_or_none(endpoint.get("deprecatedTopology")) or {}
    if len(topology) > _TOPOLOGY_MAX:
        errors.append(FieldError.too_many(f"{path}.deprecatedTopology", len(topology), _TOPOLOGY_MAX))
    errors += validation.validate_labels(topology, f"{path}.deprecatedTopology")
    if endpoint.get("hostname") is not None:
        errors += named(f"{path}.hostname", endpoint["hostname"], validation.dns1123_label_errors)
    hints = given(endpoint, "hints")
    return errors if hints is None else errors + _hints(hints, f"{path}.hints")


def _address(address: str, kind: str, path: str, here: str) -> Errors:
    # IPv6 came later than the field, with the rules of newer fields.
    errors = (
        older_ip(here, address)
        if kind == "IPv4"
        else validation.invalid_each(here, address, ip_errors(address))
    )
    if errors:
        return errors
    parsed = parse_ip(address)
    if parsed is not None and f"IPv{parsed.version}" != kind:
        # Upstream blames the list here, not the address.
        errors.append(FieldError.invalid(f"{path}.addresses", address, f"must be an {kind} address"))
    return errors + endpoint_errors(here, address)


def _fully_qualified(path: str, name: str) -> Errors:
    if not name:
        return [FieldError.required(path)]
    name = name.removesuffix(".")
    faults = validation.dns1123_subdomain_errors(name)
    if faults:
        return [FieldError.invalid(path, name, ",".join(faults))]
    labels = name.split(".")
    if len(labels) < 2:
        detail = "should be a domain with at least two segments separated by dots"
        return [FieldError.invalid(path, name, detail)]
    for label in labels:
        faults = validation.dns1123_label_errors(label)
        if faults:
            return [FieldError.invalid(path, label, ",".join(faults))]
    return []


def _hints(hints: Object, path: str) -> Errors:
    errors: Errors = []
    rules: tuple[tuple[str, Rule], ...] = (
        ("forZones", validation.label_value_errors),
        ("forNodes", validation.dns1123_subdomain_errors),
    )
    for key, rule in rules:
        names = [str(hint.get("name") or "") for hint in objects(hints.get(key))]
        if len(names) > _HINTS_MAX:
            return [*errors, FieldError.too_many(f"{path}.{key}", len(names), _HINTS_MAX)]
        for index, name in enumerate(names):
            here = f"{path}.{key}[{index}].name"
            if name in names[:index]:
                errors.append(FieldError.duplicate(here, name))
            errors += named(here, name, rule)
    return errors
