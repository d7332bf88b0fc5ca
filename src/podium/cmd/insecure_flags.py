"""kube-apiserver's flags of old for a port without TLS, on which whoever can reach it may do everything.

Upstream removed them in 1.24. Here the port is served on a loopback address and nowhere else. What arrives
there passes admission like any other request; its user is `system:unsecured`, of `system:masters`.
"""

from __future__ import annotations

import argparse
import ipaddress
import sys
from urllib.parse import urlsplit

from podium.base.http.message import Handler, HttpError, Request, Response

LOOPBACK = "127.0.0.1"

_PORTS = range(65536)
_LOCAL_NAMES = frozenset({"localhost", ""})


def add_flags(made: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    add = made.add_argument
    add(
        "--insecure-port",
        type=int,
        default=0,
        help="deprecated: a port without TLS and access control, on a loopback address; 0: none",
    )
    add("--insecure-bind-address", default=LOOPBACK, help="deprecated: the loopback address of that port")


def wrong(arguments: argparse.Namespace) -> str:
    """Return what is wrong with the flags, "" when nothing is; says on stderr that they are deprecated."""
    if arguments.insecure_port not in _PORTS:
        return (
            f"--insecure-port {arguments.insecure_port} must be between 0 and 65535, inclusive. "
            "0 for turning off insecure (HTTP) port"
        )
    try:
        address = ipaddress.ip_address(arguments.insecure_bind_address)
    except ValueError as error:
        return f"--insecure-bind-address: {error}"
    if not address.is_loopback:
        return f"--insecure-bind-address: {address} is no loopback address: others could do everything"
    if arguments.insecure_port:
        print(
            "kube-apiserver: --insecure-port is deprecated: every process of this machine may do everything "
            f"at {address}, port {arguments.insecure_port}",
            file=sys.stderr,
        )
    return ""


def unsecured(handler: Handler) -> Handler:
    """Return `handler` for the requests of the insecure port.

    Pages in a browser of this machine are not let in: neither those whose own name has come to lead to the
    loopback address, which the host tells, nor those that open a WebSocket, or post, from elsewhere, which
    the origin tells.
    """

    async def handle(request: Request) -> Response:
        if not _is_local(request.headers.get("host")):
            raise HttpError(403, "Forbidden", "the insecure port answers on a loopback address only")
        for origin in request.headers.get_all("origin"):
            if not _is_local(_host_of(origin)):
                raise HttpError(403, "Forbidden", "the insecure port answers no pages of other hosts")
        request.unsecured = True
        return await handler(request)

    return handle


def _host_of(origin: str) -> str:
    try:
        return urlsplit(origin).netloc or origin
    except ValueError:
        return origin


def _is_local(host: str) -> bool:
    name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
    name = name.strip("[]").lower()
    if name in _LOCAL_NAMES:
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
