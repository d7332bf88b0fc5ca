"""Routes between nodes that are network namespaces of this machine.

Each node's namespace (one may be this program's own) has a route to the pods of each other node, through that
node's address. They are set with `ip`, and marked as ours by their protocol. What is there is read anew each
time, addresses of the namespaces included: nothing is remembered.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
from collections.abc import Mapping, Sequence
from typing import Any

from podium.cloud.interface import Route

PROTOCOL = "113"
"""Marks the routes as ours; that of the nodes' own programs is 112."""
_GONE = "No such process"

Tables = Mapping[str, Mapping[str, str]]
"""node -> its routes: destination -> gateway"""


def parse_namespaces(text: str) -> dict[str, str]:
    """Read `NODE=NAMESPACE,…`; no name after `=` is this program's own namespace. Raises ValueError."""
    result: dict[str, str] = {}
    for word in (word.strip() for word in text.split(",") if word.strip()):
        node, sign, namespace = word.partition("=")
        if not node or not sign:
            raise ValueError(f"{word!r} is not NODE=NAMESPACE")
        result[node] = namespace
    return result


def routes_in(tables: Tables, owners: Mapping[str, str]) -> list[Route]:
    """Return the routes there are. `owners` has the node of each address.

    One that is not in every namespace but its target's, or does not lead to one node everywhere, is returned
    without a target, so that it is deleted; if it is wanted it is made anew.
    """
    found: list[Route] = []
    for destination in sorted({d for table in tables.values() for d in table}):
        holders = {node: table[destination] for node, table in tables.items() if destination in table}
        targets = {owners.get(gateway, "") for gateway in holders.values()}
        target = targets.pop() if len(targets) == 1 else ""
        whole = bool(target) and set(holders) == set(tables) - {target}
        found.append(Route(target_node=target if whole else "", destination_cidr=destination))
    return found


def gateway_of(route: Route) -> str:
    """Return the address of the route's node, of the destination's family. Raises ValueError."""
    version = ipaddress.ip_network(route.destination_cidr).version
    for entry in route.target_addresses:
        if entry["type"] == "InternalIP" and ipaddress.ip_address(entry["address"]).version == version:
            return str(entry["address"])
    raise ValueError(f"node {route.target_node} has no internal IPv{version} address")


class LocalRoutes:
    def __init__(self, namespaces: Mapping[str, str]) -> None:
        """`namespaces` of the nodes, by their names. Nodes that are elsewhere are left to themselves."""
        self._namespaces = namespaces

    async def list(self, cluster: str) -> Sequence[Route]:
        tables, owners = {}, {}
        for node, namespace in self._namespaces.items():
            entries = [
                entry
                for family in ("-4", "-6")
                for entry in await _read(namespace, family, "route", "show", "proto", PROTOCOL)
            ]
            tables[node] = {e["dst"]: str(e.get("gateway") or "") for e in entries}
            for link in await _read(namespace, "address", "show"):
                owners.update({address["local"]: node for address in link.get("addr_info") or ()})
        return routes_in(tables, owners)

    async def create(self, cluster: str, name_hint: str, route: Route) -> None:
        if route.target_node not in self._namespaces:
            return
        gateway = gateway_of(route)
        for node, namespace in self._namespaces.items():
            if node != route.target_node:
                what = ("route", "replace", route.destination_cidr, "via", gateway, "proto", PROTOCOL)
                await _ip(namespace, *what)

    async def delete(self, cluster: str, route: Route) -> None:
        for namespace in self._namespaces.values():
            await _ip(namespace, "route", "delete", route.destination_cidr, "proto", PROTOCOL, tolerate=_GONE)


async def _read(namespace: str, *words: str) -> Any:
    return json.loads(await _ip(namespace, "-json", *words) or b"[]")


async def _ip(namespace: str, *words: str, tolerate: str = "") -> bytes:
    """Run `ip` in a namespace. Raises OSError with what it says when that does not work."""
    where = ("-netns", namespace) if namespace else ()
    process = await asyncio.create_subprocess_exec(
        "ip", *where, *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    output, complaint = await process.communicate()
    said = complaint.decode(errors="replace").strip()
    if process.returncode and not (tolerate and tolerate in said):
        raise OSError(f"ip {' '.join(words)}: {said}")
    return output
