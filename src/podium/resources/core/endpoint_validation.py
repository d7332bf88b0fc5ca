"""What is wrong with endpoints; slices of them: discovery/validation.py."""

from __future__ import annotations

from podium.machinery import validation
from podium.machinery.addresses import older_ip, parse_ip
from podium.machinery.errors import FieldError, Object
from podium.resources.checks import Errors, named, objects, one_of, unchanged
from podium.resources.core.addresses import endpoint_errors

PROTOCOLS = ("SCTP", "TCP", "UDP")


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


def validate_endpoints_update(new: Object, old: Object) -> Errors:
    """Check a changed Endpoints object. Subsets that stay are not blamed: older servers took more."""
    return [] if unchanged(new.get("subsets"), old.get("subsets")) else validate_endpoints(new)


def _address(address: Object, path: str) -> Errors:
    ip = str(address.get("ip") or "")
    errors = older_ip(f"{path}.ip", ip)
    if address.get("hostname"):
        errors += named(f"{path}.hostname", address["hostname"], validation.dns1123_label_errors)
    if address.get("nodeName") is not None:
        errors += named(f"{path}.nodeName", address["nodeName"], validation.dns1123_subdomain_errors)
    if parse_ip(ip) is None:
        return [*errors, FieldError.invalid(f"{path}.ip", ip, "must be a valid IP address")]
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
