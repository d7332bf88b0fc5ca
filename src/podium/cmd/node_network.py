"""Several nodes on one machine: each in a network namespace of its own, joined by a bridge.

The first node lives in the machine's own namespace. `plan_up` and `plan_down` say which commands make and
remove the rest; both are idempotent, because a crash may have left any part of it behind.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from podium.cmd.layout import Cluster

Command = Sequence[str]


class NetworkFailed(Exception):
    """A command of the plan failed; the message is the command and what it said."""


def plan_up(cluster: Cluster) -> list[Command]:
    """Return the commands that make the bridge, the namespaces and the links between them."""
    if not cluster.needs_bridge:
        return []
    bridge = cluster.bridge
    plan: list[Command] = [
        ["ip", "link", "add", bridge, "type", "bridge"],
        ["ip", "addr", "add", f"{cluster.bridge_address}/24", "dev", bridge],
        ["ip", "link", "set", bridge, "up"],
        # kube-proxy takes these packets before they leave, but without a route there would be none to take.
        ["ip", "route", "replace", cluster.load_balancer_cidr, "dev", bridge],
    ]
    for index in cluster.node_indexes:
        if netns := cluster.netns(index):
            plan += _node_up(cluster, index, netns)
    return plan


def _node_up(cluster: Cluster, index: int, netns: str) -> list[Command]:
    outside = _link(cluster, index)
    inside = ["ip", "-n", netns]
    return [
        ["ip", "netns", "add", netns],
        ["ip", "link", "add", outside, "type", "veth", "peer", "name", "eth0", "netns", netns],
        ["ip", "link", "set", outside, "master", cluster.bridge, "up"],
        [*inside, "addr", "add", f"{cluster.node_address(index)}/24", "dev", "eth0"],
        [*inside, "link", "set", "lo", "up"],
        [*inside, "link", "set", "eth0", "up"],
        [*inside, "route", "replace", "default", "via", cluster.bridge_address],
    ]


def plan_down(cluster: Cluster) -> list[Command]:
    """Return the commands that remove what any shape of this cluster may have made."""
    plan: list[Command] = []
    prefix = f"podium-{cluster.slot}-"
    for netns in sorted(Path("/run/netns").glob(f"{prefix}*")):
        plan.append(["ip", "netns", "delete", netns.name])
    for link in sorted(Path("/sys/class/net").glob(f"{_link(cluster, None)}*")):
        plan.append(["ip", "link", "delete", link.name])
    if Path("/sys/class/net", cluster.bridge).exists():
        plan.append(["ip", "link", "delete", cluster.bridge])
    return plan


def masquerade_rules(cluster: Cluster) -> str:
    """Return the nftables commands that let nodes behind the bridge reach the outside."""
    table = cluster.nft_table("nodes", 0)
    return f"""\
table ip {table}
delete table ip {table}
table ip {table} {{
  chain postrouting {{
    type nat hook postrouting priority srcnat;
    ip saddr {cluster.node_cidr} ip daddr != {{ {cluster.node_cidr}, {cluster.cluster_cidr} }} masquerade
  }}
}}
"""


def _link(cluster: Cluster, index: int | None) -> str:
    return f"pdm{cluster.slot}n{'' if index is None else index}"


async def perform(plan: Sequence[Command], *, tolerate: Sequence[str] = ()) -> None:
    """Run commands one after the other; a failure whose output has one of `tolerate` is none.

    Raises NetworkFailed.
    """
    for command in plan:
        output, code = await _run(command)
        if code != 0 and not any(text in output for text in tolerate):
            raise NetworkFailed(f"{' '.join(command)}: {output.strip()}")


async def nft(rules: str) -> None:
    """Apply nftables commands in one transaction. Raises NetworkFailed."""
    output, code = await _run(["nft", "-f", "-"], stdin=rules.encode())
    if code != 0:
        raise NetworkFailed(f"nft: {output.strip()}")


async def _run(command: Command, *, stdin: bytes = b"") -> tuple[str, int]:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate(stdin)
    return output.decode(errors="replace"), process.returncode or 0
