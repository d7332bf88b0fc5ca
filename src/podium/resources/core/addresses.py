"""Addresses that traffic is sent to: which of them cannot be an endpoint."""

from __future__ import annotations

from podium.machinery.addresses import parse_ip
from podium.machinery.errors import FieldError
from podium.resources.checks import Errors


def endpoint_errors(field: str, text: str) -> Errors:
    """Check that an address is not one of a node itself or of nobody."""
    address = parse_ip(text)
    if address is None:
        return []
    errors: Errors = []
    if address.is_unspecified:
        errors.append(FieldError.invalid(field, text, f"may not be unspecified ({text})"))
    if address.is_loopback:
        detail = "may not be in the loopback range (127.0.0.0/8, ::1/128)"
        errors.append(FieldError.invalid(field, text, detail))
    if address.is_link_local:
        detail = "may not be in the link-local range (169.254.0.0/16, fe80::/10)"
        errors.append(FieldError.invalid(field, text, detail))
    if address.is_multicast and str(address).startswith(("224.0.0.", "ff02:")):
        detail = "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"
        errors.append(FieldError.invalid(field, text, detail))
    return errors


def is_ipv6(text: str) -> bool:
    """Say whether a text is an IPv6 address."""
    return ":" in text
