"""URLs, IP addresses and address ranges."""

from __future__ import annotations

import ipaddress
import json
import re
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import SplitResult, parse_qsl, quote, urlsplit

from podium.machinery.cel.declarations import declare
from podium.machinery.cel.errors import CelRuntimeError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Interface | ipaddress.IPv6Interface

_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*", re.ASCII)
_BAD_ESCAPE = re.compile(r"%(?![0-9a-fA-F]{2})")
_BAD_HOST = re.compile(r"""[\x00-\x20"<>\\^`{|}\x7f/?#]""")
_PREFIX = re.compile(r"0|[1-9]\d{0,2}", re.ASCII)


@dataclass(frozen=True, slots=True)
class URL:
    text: str
    parts: SplitResult
    cel_type: ClassVar[str] = "kubernetes.URL"

    @property
    def host(self) -> str:
        return self.parts.netloc.rpartition("@")[2]

    @property
    def hostname(self) -> str:
        host = self.host
        if host.startswith("["):
            return host[1 : host.find("]")] if "]" in host else host
        return host.partition(":")[0]

    @property
    def port(self) -> str:
        after = self.host.rpartition("]")[2]
        return after.rpartition(":")[2] if ":" in after else ""

    @property
    def path(self) -> str:
        return quote(self.parts.path, safe="/!$&'()*+,;=:@~%")

    @property
    def query(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for key, value in parse_qsl(self.parts.query, keep_blank_values=True):
            found.setdefault(key, []).append(value)
        return found


def _fault(text: str, why: str) -> CelRuntimeError:
    shown = json.dumps(text, ensure_ascii=False)
    return CelRuntimeError(f"URL parse error during conversion from string: parse {shown}: {why}")


def url(text: str) -> URL:
    """Read an absolute URI or an absolute path."""
    if not text:
        raise _fault(text, "empty url")
    if any(character < " " or character == "\x7f" for character in text):
        raise _fault(text, "net/url: invalid control character in URL")
    scheme, colon, _ = text.partition(":")
    if text.startswith(":"):
        raise _fault(text, "missing protocol scheme")
    if not text.startswith("/") and not (colon and _SCHEME.fullmatch(scheme)):
        raise _fault(text, "invalid URI for request")
    if colon and not text.startswith("/") and not text.startswith("/", len(scheme) + 1):
        # What does not begin with a slash behind its scheme has neither host nor path.
        return URL(text, SplitResult(scheme.lower(), "", "", text.partition("?")[2], ""))
    try:
        parts = urlsplit(text, allow_fragments=False)
    except ValueError as error:
        raise _fault(text, str(error)) from None
    if (bad := _BAD_ESCAPE.search(parts.path)) is not None:
        escape = json.dumps(parts.path[bad.start() : bad.start() + 3])
        raise _fault(text, f"invalid URL escape {escape}")
    found = URL(text, parts)
    if (character := _BAD_HOST.search(found.host)) is not None:
        raise _fault(text, f"invalid character {json.dumps(character[0])} in host name")
    if found.port and not found.port.isdigit():
        raise _fault(text, f'invalid port ":{found.port}" after host')
    # What is allowed was decided with the fragment as a part of the rest, as upstream does.
    return URL(text, urlsplit(text)) if "#" in text else found


def is_url(text: str) -> bool:
    return _succeeds(url, text)


@dataclass(frozen=True, slots=True)
class IP:
    address: Address
    cel_type: ClassVar[str] = "net.IP"

    @property
    def cel_text(self) -> str:
        return str(self.address)

    def __len__(self) -> int:
        return self.address.max_prefixlen // 8


@dataclass(frozen=True, slots=True)
class CIDR:
    network: Network
    cel_type: ClassVar[str] = "net.CIDR"

    @property
    def cel_text(self) -> str:
        return self.network.with_prefixlen

    def __len__(self) -> int:
        return (self.network.network.prefixlen + 7) // 8


def ip(text: str) -> IP:
    shown = json.dumps(text)
    if "%" in text and _succeeds(ipaddress.ip_address, text):
        raise CelRuntimeError(f"IP address {shown} with zone value is not allowed")
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise CelRuntimeError(
            f"IP Address {shown} parse error during conversion from string: "
            f"ParseAddr({shown}): unable to parse IP"
        ) from None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        raise CelRuntimeError(f"IPv4-mapped IPv6 address {shown} is not allowed")
    return IP(address)


def cidr(text: str) -> CIDR:
    address, slash, prefix = text.partition("/")
    why = ""
    if not slash:
        why = "no '/'"
    elif "%" in address:
        why = "IPv6 zones cannot be present in a prefix"
    elif not _PREFIX.fullmatch(prefix):
        why = f"bad bits after slash: {json.dumps(prefix)}"
    if not why:
        try:
            found = CIDR(ipaddress.ip_interface(text))
        except ValueError:
            why = "prefix length out of range" if _succeeds(ipaddress.ip_address, address) else ""
            why = why or f"ParseAddr({json.dumps(address)}): unable to parse IP"
        else:
            if (
                isinstance(found.network, ipaddress.IPv6Interface)
                and found.network.ip.ipv4_mapped is not None
            ):
                raise CelRuntimeError(f"IPv4-mapped IPv6 address {json.dumps(text)} is not allowed")
            return found
    raise CelRuntimeError(
        "network address parse error during conversion from string: "
        f"netip.ParsePrefix({json.dumps(text)}): {why}"
    )


def _succeeds(parse: Any, text: str) -> bool:
    try:
        parse(text)
    except ValueError:
        return False
    return True


def _is_canonical(text: str) -> bool:
    return str(ip(text).address) == text


def _contains_ip(range_: CIDR, address: IP | str) -> bool:
    inner = (ip(address) if isinstance(address, str) else address).address
    return inner.version == range_.network.version and inner in range_.network.network


def _contains_cidr(range_: CIDR, other: CIDR | str) -> bool:
    inner = (cidr(other) if isinstance(other, str) else other).network
    outer = range_.network
    return (
        inner.version == outer.version
        and inner.network.prefixlen >= outer.network.prefixlen
        and inner.ip in outer.network
    )


def _masked(range_: CIDR) -> CIDR:
    return CIDR(ipaddress.ip_interface(range_.network.network.with_prefixlen))


_LIMITED_BROADCAST = ipaddress.IPv4Address("255.255.255.255")
_LOCAL_MULTICAST = (ipaddress.ip_network("224.0.0.0/24"), ipaddress.ip_network("ff02::/16"))


def _is_local_multicast(value: IP) -> bool:
    address = value.address
    if isinstance(address, ipaddress.IPv4Address):
        return address in _LOCAL_MULTICAST[0]
    # The scope is the low half of the second byte; the flags beside it mean nothing here.
    return address.packed[0] == 0xFF and address.packed[1] & 0x0F == 0x02


def _is_global(value: IP) -> bool:
    """Go's sense: private addresses are global unicast too."""
    address = value.address
    local = address.is_unspecified or address.is_loopback or address.is_multicast or address.is_link_local
    return not local and address != _LIMITED_BROADCAST


OVERLOADS = declare(
    [
        ("string_to_url", "url", "string", "URL", url),
        ("is_url_string", "isURL", "string", "bool", is_url),
        ("url_get_scheme", ".getScheme", "URL", "string", lambda value: value.parts.scheme),
        ("url_get_host", ".getHost", "URL", "string", lambda value: value.host),
        ("url_get_hostname", ".getHostname", "URL", "string", lambda value: value.hostname),
        ("url_get_port", ".getPort", "URL", "string", lambda value: value.port),
        ("url_get_escaped_path", ".getEscapedPath", "URL", "string", lambda value: value.path),
        ("url_get_query", ".getQuery", "URL", "map(string, list(string))", lambda value: value.query),
    ]
) + declare(
    [
        ("string_to_ip", "ip", "string", "IP", ip),
        ("is_ip", "isIP", "string", "bool", lambda text: _succeeds(ip, text)),
        ("ip_is_canonical", "ip.isCanonical", "string", "bool", _is_canonical),
        ("ip_family", ".family", "IP", "int", lambda value: value.address.version),
        ("ip_is_unspecified", ".isUnspecified", "IP", "bool", lambda value: value.address.is_unspecified),
        ("ip_is_loopback", ".isLoopback", "IP", "bool", lambda value: value.address.is_loopback),
        ("ip_is_link_local_multicast", ".isLinkLocalMulticast", "IP", "bool", _is_local_multicast),
        (
            "ip_is_link_local_unicast",
            ".isLinkLocalUnicast",
            "IP",
            "bool",
            lambda value: value.address.is_link_local,
        ),
        ("ip_is_global_unicast", ".isGlobalUnicast", "IP", "bool", _is_global),
        ("string_to_cidr", "cidr", "string", "CIDR", cidr),
        ("is_cidr", "isCIDR", "string", "bool", lambda text: _succeeds(cidr, text)),
        ("cidr_contains_ip_string", ".containsIP", "CIDR, string", "bool", _contains_ip),
        ("cidr_contains_ip_ip", ".containsIP", "CIDR, IP", "bool", _contains_ip),
        ("cidr_contains_cidr_string", ".containsCIDR", "CIDR, string", "bool", _contains_cidr),
        ("cidr_contains_cidr", ".containsCIDR", "CIDR, CIDR", "bool", _contains_cidr),
        ("cidr_ip", ".ip", "CIDR", "IP", lambda value: IP(value.network.ip)),
        ("cidr_prefix_length", ".prefixLength", "CIDR", "int", lambda value: value.network.network.prefixlen),
        ("cidr_masked", ".masked", "CIDR", "CIDR", _masked),
    ],
    since=30,
)
