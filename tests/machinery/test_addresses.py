"""Addresses in fields: upstream's words for what is wrong, and for what is odd."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from podium.machinery import addresses as a

IP = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
CIDR = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
ERRORS: list[tuple[Callable[..., list[str]], str, list[str], list[str]]] = [
    # rule, text, what new fields say, what older ones say
    (a.ip_errors, "10.1.2.3", [], []),
    (a.ip_errors, "2001:db8::1", [], []),
    (a.ip_errors, "300.1.2.3", [IP], [IP]),
    (a.ip_errors, "fe80::1%eth0", [IP], [IP]),
    (a.ip_errors, "", [IP], [IP]),
    (a.ip_errors, "10.1.2.03", ["must not have leading 0s"], ["must not have leading 0s"]),
    (
        a.ip_errors,
        "::ffff:1.2.3.4",
        ["must not be an IPv4-mapped IPv6 address"],
        ["must not be an IPv4-mapped IPv6 address"],
    ),
    (a.ip_errors, "2001:DB8::1", ['must be in canonical form ("2001:db8::1")'], []),
    (a.cidr_errors, "10.0.0.0/8", [], []),
    (
        a.cidr_errors,
        "10.0.0.1/8",
        ["must not have bits set beyond the prefix length"],
        ["must not have bits set beyond the prefix length"],
    ),
    (
        a.cidr_errors,
        "10.0.0.0/08",
        ["must not have leading 0s in IP or prefix length"],
        ["must not have leading 0s in IP or prefix length"],
    ),
    (a.cidr_errors, "10.0.0.0", [CIDR], [CIDR]),
    (a.cidr_errors, "10.0.0.0/33", [CIDR], [CIDR]),
    (a.cidr_errors, "2001:DB8::/64", ['must be in canonical form ("2001:db8::/64")'], []),
]


@pytest.mark.parametrize(
    ("rule", "text", "newer", "older"),
    ERRORS,
    ids=[f"{rule.__name__}({text})" for rule, text, _, _ in ERRORS],
)
def test_errors(rule: Callable[..., list[str]], text: str, newer: list[str], older: list[str]) -> None:
    assert rule(text) == newer
    assert rule(text, canonical=False) == older


def test_what_stood_there_before_may_stay() -> None:
    assert [error.field for error in a.older_ip("f", "01.2.3.4")] == ["f"]
    assert a.older_ip("f", "01.2.3.4", {"01.2.3.4"}) == []
    assert [error.field for error in a.older_cidr("f", "1.2.3.4/8")] == ["f"]
    assert a.older_cidr("f", "1.2.3.4/8", {"1.2.3.4/8"}) == []


@pytest.mark.parametrize(
    ("rule", "text", "warnings"),
    [
        (a.ip_warnings, "1.2.3.4", []),
        (a.ip_warnings, "1.2.3.04", ['f: non-standard IP address "1.2.3.04" is invalid: use "1.2.3.4"']),
        (
            a.ip_warnings,
            "::ffff:1.2.3.4",
            ['f: non-standard IP address "::ffff:1.2.3.4" is invalid: use "1.2.3.4"'],
        ),
        (
            a.ip_warnings,
            "2001:db8:0::1",
            ['f: IPv6 address "2001:db8:0::1" should be in RFC 5952 canonical format ("2001:db8::1")'],
        ),
        (a.cidr_warnings, "10.0.0.0/8", []),
        (
            a.cidr_warnings,
            "10.0.0.5/8",
            [
                'f: CIDR value "10.0.0.5/8" is ambiguous in this context (should be "10.0.0.0/8" or '
                '"10.0.0.5/32"?)'
            ],
        ),
        (
            a.cidr_warnings,
            "010.0.0.0/8",
            ['f: non-standard CIDR value "010.0.0.0/8" is invalid: use "10.0.0.0/8"'],
        ),
        (
            a.cidr_warnings,
            "2001:DB8::/64",
            ['f: IPv6 CIDR value "2001:DB8::/64" should be in RFC 5952 canonical format ("2001:db8::/64")'],
        ),
    ],
)
def test_warnings(rule: Callable[[str, str], list[str]], text: str, warnings: list[str]) -> None:
    assert rule("f", text) == warnings
