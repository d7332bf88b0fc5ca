"""Host routes by rtnetlink: one message each way, so no library and no process for it."""

from __future__ import annotations

import ipaddress
import os
import socket
import struct

RTM_NEWROUTE, RTM_DELROUTE = 24, 25
NLM_F_REQUEST, NLM_F_ACK, NLM_F_REPLACE, NLM_F_CREATE = 1, 4, 0x100, 0x400
RTA_DST, RTA_GATEWAY = 1, 5
RT_TABLE_MAIN, RT_SCOPE_UNIVERSE, RTN_UNICAST = 254, 0, 1
ROUTE_PROTOCOL = 112
"""Marks routes as Podium's in `ip route` (no daemon uses this number)."""
NLMSG_ERROR = 2


def replace_route(destination: str, gateway: str) -> None:
    """Route `destination` through `gateway`. Raises OSError, as when the gateway is not on a link of ours."""
    flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE
    _send(_message(RTM_NEWROUTE, flags, destination, gateway))


def delete_route(destination: str, gateway: str) -> None:
    """Remove such a route; one that is not there is no error."""
    try:
        _send(_message(RTM_DELROUTE, NLM_F_REQUEST | NLM_F_ACK, destination, gateway))
    except ProcessLookupError:
        return


def _message(kind: int, flags: int, destination: str, gateway: str) -> bytes:
    network = ipaddress.ip_network(destination)
    via = ipaddress.ip_address(gateway)
    family = socket.AF_INET if network.version == 4 else socket.AF_INET6
    body = struct.pack(
        "=BBBBBBBBI",
        family,
        network.prefixlen,
        0,
        0,
        RT_TABLE_MAIN,
        ROUTE_PROTOCOL,
        RT_SCOPE_UNIVERSE,
        RTN_UNICAST,
        0,
    )
    for attribute, address in ((RTA_DST, network.network_address.packed), (RTA_GATEWAY, via.packed)):
        body += struct.pack("=HH", 4 + len(address), attribute) + address
    return struct.pack("=IHHII", 16 + len(body), kind, flags, 1, 0) + body


def _send(message: bytes) -> None:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as channel:
        channel.bind((0, 0))
        channel.sendto(message, (0, 0))
        answer = channel.recv(4096)
    (kind,) = struct.unpack_from("=H", answer, 4)
    (number,) = struct.unpack_from("=i", answer, 16)
    if kind == NLMSG_ERROR and number != 0:
        raise OSError(-number, os.strerror(-number))
