"""The pod network of one node: a CNI configuration and a masquerading rule. (Routes to the pods of other
nodes are `node_routes`, in the process that may see all nodes.)

Each pod has a point-to-point link to its node (CNI plugin ptp), so all its traffic is routed, passes
connection tracking, and meets kube-proxy's rules; there is no bridge. Everything carries the network's name,
so several clusters share a machine, and `cleanup` finds what to remove.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import orjson

from podium.base.log import Log
from podium.kubelet.pods import containers, host_network, init_containers
from podium.machinery.errors import Object
from podium.runtime.informer import Delta, Informer

_log = Log("podium.kubelet.network")

CNI_VERSION = "0.4.0"
NFT_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSettings:
    name: str
    """Names the CNI network and the nftables table."""
    cni_conf_dir: Path
    state_dir: Path
    """Where addresses given out are remembered."""
    cluster_cidr: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class HostPort:
    """A port of the node that leads to a pod."""

    host_port: int
    protocol: str
    host_ip: str
    """Empty for all of the node's addresses."""
    pod_ip: str
    pod_port: int


def host_ports(pod: Object, pod_ip: str) -> tuple[HostPort, ...]:
    """Return the node's ports that a pod claims; on the host's network it needs nobody's help."""
    if host_network(pod) or not pod_ip or ":" in pod_ip:
        return ()
    return tuple(
        HostPort(
            host_port=int(port["hostPort"]),
            protocol=str(port.get("protocol") or "TCP").lower(),
            host_ip="" if port.get("hostIP") in (None, "0.0.0.0") else str(port["hostIP"]),
            pod_ip=pod_ip,
            pod_port=int(port["containerPort"]),
        )
        for container in [*containers(pod), *init_containers(pod)]
        for port in container.get("ports") or ()
        if port.get("hostPort")
    )


def conflist(settings: NetworkSettings, pod_cidrs: Iterable[str]) -> str:
    """Return the CNI network configuration: addresses from the node's ranges, one link for each pod."""
    ipam = {
        "type": "host-local",
        "dataDir": str(settings.state_dir / "cni-ipam"),
        "ranges": [[{"subnet": cidr}] for cidr in pod_cidrs],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    plugins = [{"type": "ptp", "ipMasq": False, "ipam": ipam}]
    return json.dumps({"cniVersion": CNI_VERSION, "name": settings.name, "plugins": plugins}, indent=2) + "\n"


def ruleset(settings: NetworkSettings, pod_cidr: str, ports: Iterable[HostPort] = ()) -> str:
    """Return the nftables transaction: pods that talk to the world outside do so under the node's address,
    and host ports lead to their pods.

    Between pods addresses stay as they are, whatever node they are on.
    """
    table = f"ip {settings.name}"
    inside = settings.cluster_cidr or pod_cidr
    return f"""\
add table {table}
delete table {table}
table {table} {{
  chain postrouting {{
    type nat hook postrouting priority srcnat + 5; policy accept;
    ip saddr {pod_cidr} ip daddr != {inside} ip daddr != 224.0.0.0/4 masquerade
  }}
{_port_chains(ports)}}}
"""


def _port_chains(ports: Iterable[HostPort]) -> str:
    rules = [
        (f"ip daddr {port.host_ip} " if port.host_ip else "")
        + f"{port.protocol} dport {port.host_port} dnat to {port.pod_ip}:{port.pod_port}"
        for port in sorted(set(ports))
    ]
    if not rules:
        return ""
    # Loopback stays out: its addresses are not routed to pods.
    return f"""\
  chain host-ports {{
    {f"{chr(10)}    ".join(rules)}
  }}
  chain prerouting {{
    type nat hook prerouting priority dstnat - 5; policy accept;
    fib daddr type local jump host-ports
  }}
  chain output {{
    type nat hook output priority -105; policy accept;
    ip daddr != 127.0.0.0/8 fib daddr type local jump host-ports
  }}
"""


class NodeNetwork:
    """Brings the node's network up when its range is known."""

    def __init__(
        self, settings: NetworkSettings, *, node_name: str, nodes: Informer, changed: Callable[[], None]
    ) -> None:
        """`changed` is called after the runtime got a network configuration to load."""
        self._settings = settings
        self._node_name = node_name
        self._nodes = nodes
        self._changed = changed
        self._wake = asyncio.Event()
        self._cidrs: tuple[str, ...] = ()
        self._ports: tuple[HostPort, ...] = ()
        self._ports_wanted: tuple[HostPort, ...] = ()

    def set_host_ports(self, ports: Iterable[HostPort]) -> None:
        """Have exactly these ports of the node lead to pods."""
        self._ports_wanted = tuple(sorted(set(ports)))
        if self._ports_wanted != self._ports:
            self._wake.set()

    async def run(self) -> None:
        self._nodes.subscribe(self._on_node)
        await self._nodes.wait_synced()
        while True:
            self._wake.clear()
            await self._bring_up()
            await self._wake.wait()

    def _on_node(self, _delta: Delta) -> None:
        self._wake.set()

    async def _bring_up(self) -> None:
        node = self._nodes.get(self._node_name)
        spec = (node or {}).get("spec") or {}
        cidrs = tuple(spec.get("podCIDRs") or ([spec["podCIDR"]] if spec.get("podCIDR") else ()))
        ports = self._ports_wanted
        if not cidrs or (cidrs == self._cidrs and ports == self._ports):
            return
        try:
            await asyncio.to_thread(_forward)
            await nft(ruleset(self._settings, cidrs[0], ports))
            await _accept_forwarding(self._settings.name, cidrs[0])
            await asyncio.to_thread(_write_conflist, self._settings, cidrs)
        except (OSError, NftFailed) as error:
            _log.warning("node network not up", error=error)
            asyncio.get_running_loop().call_later(5, self._wake.set)
            return
        self._ports = ports
        if cidrs != self._cidrs:
            self._cidrs = cidrs
            _log.info("node network is up", podCIDRs=",".join(cidrs))
            self._changed()


class NftFailed(Exception):
    """nft refused; the message is its own."""


async def nft(script: str, *arguments: str) -> bytes:
    """Run a transaction (or a query given by `arguments`). Raises NftFailed, OSError."""
    command = ["nft", *(arguments or ("-f", "-"))]
    process = await asyncio.create_subprocess_exec(
        *command,
        # A query reads no script, and writing to one that has ended already would be an error.
        stdin=asyncio.subprocess.DEVNULL if arguments else asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(NFT_TIMEOUT_S):
        output, errors = await process.communicate(None if arguments else script.encode())
    if process.returncode != 0:
        raise NftFailed(errors.decode().strip())
    return output


def _forward() -> None:
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1\n")


def _write_conflist(settings: NetworkSettings, cidrs: Iterable[str]) -> None:
    text = conflist(settings, cidrs)
    settings.cni_conf_dir.mkdir(parents=True, exist_ok=True)
    target = conflist_path(settings)
    if target.exists() and target.read_text() == text:
        return
    # The runtime watches the folder for names ending in .conflist; it must not see half a file.
    draft = target.with_suffix(".tmp")
    draft.write_text(text)
    draft.rename(target)


def conflist_path(settings: NetworkSettings) -> Path:
    return settings.cni_conf_dir / f"10-{settings.name}.conflist"


# A firewall that drops what it does not know


def dropping_chains(listing: Object) -> list[tuple[str, str, str]]:
    """Return (family, table, chain) of each chain that drops forwarded packets by default.

    An accept in a table of ours would not help: a packet must pass every chain of the hook.
    """
    found = []
    for entry in listing.get("nftables") or ():
        chain = entry.get("chain") or {}
        drops = chain.get("hook") == "forward" and chain.get("policy") == "drop"
        if drops and chain["family"] in ("ip", "inet"):
            found.append((chain["family"], chain["table"], chain["name"]))
    return found


def _comment(name: str) -> str:
    return f"podium:{name}"


async def _accept_forwarding(name: str, pod_cidr: str) -> None:
    await _remove_accepts(name)
    listing = orjson.loads(await nft("", "-j", "list", "chains"))
    rules = [
        f'insert rule {family} {table} {chain} ip {side} {pod_cidr} accept comment "{_comment(name)}"'
        for family, table, chain in dropping_chains(listing)
        for side in ("saddr", "daddr")
    ]
    if rules:
        await nft("\n".join(rules) + "\n")


async def _remove_accepts(name: str) -> None:
    listing = orjson.loads(await nft("", "-j", "-a", "list", "ruleset"))
    rules = [
        f"delete rule {rule['family']} {rule['table']} {rule['chain']} handle {rule['handle']}"
        for entry in listing.get("nftables") or ()
        if (rule := entry.get("rule") or {}).get("comment") == _comment(name)
    ]
    if rules:
        await nft("\n".join(rules) + "\n")


async def cleanup(settings: NetworkSettings) -> None:
    """Remove what this network left on the machine: rules, configuration."""
    with contextlib.suppress(NftFailed, OSError):
        await nft(f"add table ip {settings.name}\ndelete table ip {settings.name}\n")
        await _remove_accepts(settings.name)
    conflist_path(settings).unlink(missing_ok=True)
