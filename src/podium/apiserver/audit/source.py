"""Where a request came from: the addresses that proxies and the connection tell."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

from podium.base.http.message import Request

USER_AGENT_LENGTH_MAX = 1024
_CUT = "...TRUNCATED"
_ADDRESS_LENGTH_MAX = 64


def source_ips(request: Request) -> list[str]:
    """Return the addresses of X-Forwarded-For, of X-Real-Ip, and of the peer, in that order.

    The last is the only one that a client cannot make up. One that repeats the one before is left out.
    """
    found: list[str] = []
    for text in request.headers.get("x-forwarded-for").split(","):
        if address := _address(text.strip()):
            found.append(address)
    real = _address(request.headers.get("x-real-ip").strip())
    if real and real not in found:
        found.append(real)
    remote = _address(_host(request.remote))
    if remote and (not found or found[-1] != remote):
        found.append(remote)
    return found


def user_agent(request: Request) -> str:
    """Return what the client calls itself, at a bearable length."""
    text = request.headers.get("user-agent")
    return text if len(text) <= USER_AGENT_LENGTH_MAX else text[:USER_AGENT_LENGTH_MAX] + _CUT


def _host(remote: str) -> str:
    host, colon, port = remote.rpartition(":")
    return host.strip("[]") if colon and port.isdigit() else remote


@lru_cache(maxsize=1024)
def _address(text: str) -> str:
    """Return an address in its usual form, "" for what is none; the same few come all the time."""
    if not text or len(text) > _ADDRESS_LENGTH_MAX:
        return ""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return ""
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)
