"""IP addresses and CIDRs in fields: what is wrong with them, and what is odd but allowed.

Upstream: k8s.io/apimachinery/pkg/util/validation/ip.go. Older fields take what new ones refuse only for its
spelling (`canonical=False`); since 1.36 both refuse what programs read differently (leading zeros, mapped
IPv4, bits beyond the prefix).
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Collection

from podium.machinery.errors import FieldError

_IP = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
_CIDR = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def parse_ip(text: str) -> Address | None:
    """Return the address as upstream's old parser reads it (leading zeros are decimal); None: it is none."""
    if "%" in text:
        return None
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        parts = text.split(".")
        if len(parts) != 4 or not all(re.fullmatch("[0-9]+", part) for part in parts):
            return None
    try:
        return ipaddress.ip_address(".".join(str(int(part)) for part in parts))
    except ValueError:
        return None


def ip_errors(text: str, *, canonical: bool = True) -> list[str]:
    """What is wrong with an IP address."""
    address = parse_ip(text)
    if address is None:
        return [_IP]
    if _has_leading_zeros(address, text):
        return ["must not have leading 0s"]
    if _is_mapped(address):
        return ["must not be an IPv4-mapped IPv6 address"]
    if canonical and str(address) != text:
        return [f"must be in canonical form ({json.dumps(str(address))})"]
    return []


def cidr_errors(text: str, *, canonical: bool = True) -> list[str]:
    """What is wrong with a CIDR."""
    parsed = _parse_cidr(text)
    if parsed is None:
        return [_CIDR]
    address, prefix = parsed
    address_text, _, prefix_text = text.partition("/")
    if _has_leading_zeros(address, address_text) or str(prefix) != prefix_text:
        return ["must not have leading 0s in IP or prefix length"]
    if _is_mapped(address):
        return ["must not have an IPv4-mapped IPv6 address"]
    network = ipaddress.ip_network((address, prefix), strict=False)
    if network.network_address != address:
        return ["must not have bits set beyond the prefix length"]
    if canonical and str(network) != text:
        return [f"must be in canonical form ({json.dumps(str(network))})"]
    return []


def older_ip(field: str, text: str, kept: Collection[str] = ()) -> list[FieldError]:
    """Check an IP address in an older field. What stood in the object before (`kept`) may stay."""
    if text in kept:
        return []
    return [FieldError.invalid(field, text, message) for message in ip_errors(text, canonical=False)]


def older_cidr(field: str, text: str, kept: Collection[str] = ()) -> list[FieldError]:
    """Check a CIDR in an older field. What stood in the object before (`kept`) may stay."""
    if text in kept:
        return []
    return [FieldError.invalid(field, text, message) for message in cidr_errors(text, canonical=False)]


def ip_warnings(field: str, text: str) -> list[str]:
    """What is odd about the valid value of an older field."""
    address = parse_ip(text)
    if address is None:
        return []
    if _has_leading_zeros(address, text) or _is_mapped(address):
        return [f'{field}: non-standard IP address "{text}" is invalid: use "{_plain(address)}"']
    if address.version == 6 and str(address) != text:
        return [f'{field}: IPv6 address "{text}" should be in RFC 5952 canonical format ("{address}")']
    return []


def cidr_warnings(field: str, text: str) -> list[str]:
    """What is odd about the valid value of an older field."""
    parsed = _parse_cidr(text)
    if parsed is None:
        return []
    address, prefix = parsed
    network = ipaddress.ip_network((address, prefix), strict=False)
    warnings = []
    if network.network_address != address:
        warnings.append(
            f'{field}: CIDR value "{text}" is ambiguous in this context (should be "{network}" or '
            f'"{address}/{address.max_prefixlen}"?)'
        )
    address_text, _, prefix_text = text.partition("/")
    if _has_leading_zeros(address, address_text) or str(prefix) != prefix_text or _is_mapped(address):
        warnings.append(f'{field}: non-standard CIDR value "{text}" is invalid: use "{network}"')
    canonical = f"{address}/{prefix}"
    if not warnings and address.version == 6 and canonical != text:
        warnings.append(
            f'{field}: IPv6 CIDR value "{text}" should be in RFC 5952 canonical format ("{canonical}")'
        )
    return warnings


def parse_network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """Return the network that a CIDR lies in, read as leniently as `parse_ip` reads; None: it is none."""
    parsed = _parse_cidr(text)
    return None if parsed is None else ipaddress.ip_network(parsed, strict=False)


def _parse_cidr(text: str) -> tuple[Address, int] | None:
    address_text, slash, prefix_text = text.partition("/")
    address = parse_ip(address_text)
    prefix = int(prefix_text) if re.fullmatch("[0-9]{1,3}", prefix_text) else -1
    if address is None or not slash or not 0 <= prefix <= address.max_prefixlen:
        return None
    return address, prefix


def _has_leading_zeros(address: Address, text: str) -> bool:
    return address.version == 4 and str(address) != text


def _is_mapped(address: Address) -> bool:
    return isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None


def _plain(address: Address) -> Address:
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
