"""What is wrong with endpoints and endpoint slices."""

from __future__ import annotations

import ipaddress

from podium.machinery import validation
from podium.machinery.addresses import older_ip
from podium.machinery.errors import FieldError, Object
from podium.resources.checks import Errors, immutable, named, objects, one_of
from podium.resources.core.addresses import endpoint_errors

PROTOCOLS = ("SCTP", "TCP", "UDP")
ADDRESS_TYPES = ("FQDN", "IPv4", "IPv6")
_ADDRESSES_MAX = 100
_ENDPOINTS_MAX = 1000
_PORTS_MAX = 20000


def validate_endpoints(endpoints: Object) -> Errors:
    """Check an Endpoints object."""
    errors: Errors = []
    for index, subset in enumerate(objects(endpoints.get("subsets"))):
        path = f"subsets[{index}]"
        if not subset.get("addresses") and not subset.get("notReadyAddresses"):
            detail = "must specify `addresses` or `notReadyAddresses`"
            errors.append(FieldError.required(path, detail))
        for key in ("addresses", "notReadyAddresses"):
            for address_index, address in enumerate(objects(subset.get(key))):
                errors += _address(address, f"{path}.{key}[{address_index}]")
        ports = objects(subset.get("ports"))
        for port_index, port in enumerate(ports):
            errors += _port(port, f"{path}.ports[{port_index}]", named_port=len(ports) > 1)
    return errors


def _address(address: Object, path: str) -> Errors:
    ip = str(address.get("ip") or "")
    errors = older_ip(f"{path}.ip", ip)
    if address.get("hostname"):
        errors += named(f"{path}.hostname", address["hostname"], validation.dns1123_label_errors)
    if address.get("nodeName") is not None:
        errors += named(f"{path}.nodeName", address["nodeName"], validation.dns1123_subdomain_errors)
    return errors + endpoint_errors(f"{path}.ip", ip)


def _port(port: Object, path: str, *, named_port: bool) -> Errors:
    errors: Errors = []
    name = port.get("name")
    if named_port and not name:
        errors.append(FieldError.required(f"{path}.name"))
    elif name:
        errors += named(f"{path}.name", name, validation.dns1123_label_errors)
    number = port.get("port") or 0
    errors += validation.invalid_each(f"{path}.port", number, validation.port_number_errors(number))
    errors += one_of(f"{path}.protocol", port.get("protocol"), PROTOCOLS)
    if port.get("appProtocol") is not None:
        errors += named(f"{path}.appProtocol", port["appProtocol"], validation.qualified_name_errors)
    return errors


def validate_slice(endpoint_slice: Object) -> Errors:
    """Check an EndpointSlice."""
    kind = endpoint_slice.get("addressType")
    errors = one_of("addressType", kind, ADDRESS_TYPES)
    errors += _slice_ports(objects(endpoint_slice.get("ports")))
    endpoints = objects(endpoint_slice.get("endpoints"))
    if len(endpoints) > _ENDPOINTS_MAX:
        errors.append(FieldError.too_many("endpoints", len(endpoints), _ENDPOINTS_MAX))
        return errors
    for index, endpoint in enumerate(endpoints):
        errors += _slice_endpoint(endpoint, kind, f"endpoints[{index}]")
    return errors


def _slice_ports(ports: list[Object]) -> Errors:
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
        errors += one_of(f"{path}.protocol", port.get("protocol"), PROTOCOLS)
        if port.get("appProtocol") is not None:
            errors += named(f"{path}.appProtocol", port["appProtocol"], validation.qualified_name_errors)
    return errors


def _slice_endpoint(endpoint: Object, kind: object, path: str) -> Errors:
    errors: Errors = []
    addresses = endpoint.get("addresses") or []
    if not addresses:
        errors.append(FieldError.required(f"{path}.addresses", "must contain at least 1 address"))
    elif len(addresses) > _ADDRESSES_MAX:
        errors.append(FieldError.too_many(f"{path}.addresses", len(addresses), _ADDRESSES_MAX))
    for index, address in enumerate(addresses):
        here = f"{path}.addresses[{index}]"
        if kind == "FQDN":
            errors += named(here, address, validation.dns1123_subdomain_errors)
        elif kind in ("IPv4", "IPv6"):
            errors += _slice_address(address, str(kind), path, here)
    if endpoint.get("nodeName") is not None:
        errors += named(f"{path}.nodeName", endpoint["nodeName"], validation.dns1123_subdomain_errors)
    if endpoint.get("hostname") is not None:
        errors += named(f"{path}.hostname", endpoint["hostname"], validation.dns1123_label_errors)
    return errors


def _slice_address(address: str, kind: str, path: str, here: str) -> Errors:
    errors = older_ip(here, address)
    if errors:
        return errors
    try:
        version = ipaddress.ip_address(address).version
    except ValueError:
        version = 4
    if f"IPv{version}" != kind:
        # Upstream blames the list here, not the address.
        detail = f"must be an {kind} address"
        return [FieldError.invalid(f"{path}.addresses", address, detail)]
    return endpoint_errors(here, address)


def validate_slice_update(new: Object, old: Object) -> Errors:
    """Check a changed EndpointSlice: its kind of addresses stays. What did not change is not blamed."""
    kept = {key: value for key, value in new.items() if value != old.get(key)}
    kept["addressType"] = new.get("addressType")
    return validate_slice(kept) + immutable(new, old, "addressType")
