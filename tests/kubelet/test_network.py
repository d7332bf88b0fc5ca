"""The node's network: configuration, rules, routes; and the kernel's opinion of the messages."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from podium.kubelet.network import (
    NetworkSettings,
    NftFailed,
    cleanup,
    conflist,
    conflist_path,
    dropping_chains,
    host_ports,
    nft,
    ruleset,
)
from podium.kubelet.node_routes import wanted_routes
from podium.kubelet.routes import _message
from podium.machinery.errors import Object

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="rules and routes need root")


def settings(directory: Path) -> NetworkSettings:
    return NetworkSettings(
        name="podium-test-net",
        cni_conf_dir=directory / "cni",
        state_dir=directory,
        cluster_cidr="10.244.0.0/16",
    )


def test_the_cni_configuration(tmp_path: Path) -> None:
    found = json.loads(conflist(settings(tmp_path), ["10.244.1.0/24"]))
    assert found["name"] == "podium-test-net"
    (plugin,) = found["plugins"]
    assert plugin["type"] == "ptp"
    assert plugin["ipMasq"] is False
    assert plugin["ipam"]["ranges"] == [[{"subnet": "10.244.1.0/24"}]]
    assert plugin["ipam"]["dataDir"] == str(tmp_path / "cni-ipam")


def node(name: str, cidr: str, address: str, **labels: str) -> Object:
    return {
        "metadata": {"name": name, "labels": labels},
        "spec": {"podCIDR": cidr} if cidr else {},
        "status": {"addresses": [{"type": "InternalIP", "address": address}]},
    }


def test_routes_lead_to_other_real_nodes() -> None:
    nodes = [
        node("self", "10.244.0.0/24", "192.0.2.1"),
        node("other", "10.244.1.0/24", "192.0.2.2"),
        node("new", "", "192.0.2.3"),
        node("six", "fd00::/64", "192.0.2.4"),
        node("unreal", "10.244.2.0/24", "127.0.0.1", **{"podium.dev/simulated": "true"}),
    ]
    assert wanted_routes(nodes, "self") == {"10.244.1.0/24": "192.0.2.2"}


def test_a_route_message_has_the_kernels_layout() -> None:
    message = _message(24, 5, "10.244.1.0/24", "192.0.2.2")
    assert len(message) == 16 + 12 + 8 + 8
    assert message[16:28] == bytes([2, 24, 0, 0, 254, 112, 0, 1, 0, 0, 0, 0])
    assert message[28:] == bytes([8, 0, 1, 0, 10, 244, 1, 0, 8, 0, 5, 0, 192, 0, 2, 2])


def test_firewalls_that_drop_forwarded_packets_are_found() -> None:
    chain = {"family": "ip", "table": "filter", "name": "FORWARD", "hook": "forward", "policy": "drop"}
    others = [{**chain, "policy": "accept"}, {**chain, "hook": "input"}, {**chain, "family": "ip6"}]
    listing = {"nftables": [{"metainfo": {}}, *({"chain": entry} for entry in [chain, *others])]}
    assert dropping_chains(listing) == [("ip", "filter", "FORWARD")]


POD: Object = {
    "spec": {
        "containers": [
            {
                "name": "app",
                "ports": [
                    {"containerPort": 80, "hostPort": 18080},
                    {"containerPort": 53, "hostPort": 18053, "protocol": "UDP", "hostIP": "192.0.2.1"},
                    {"containerPort": 9090},
                ],
            }
        ]
    }
}
PORTS = host_ports(POD, "10.244.1.5")


def test_host_ports_are_those_of_pods_with_addresses_of_their_own() -> None:
    assert [(port.protocol, port.host_port, port.pod_port) for port in PORTS] == [
        ("tcp", 18080, 80),
        ("udp", 18053, 53),
    ]
    assert host_ports(POD, "") == ()
    assert host_ports({"spec": {**POD["spec"], "hostNetwork": True}}, "192.0.2.1") == ()


@needs_root
def test_the_kernel_takes_the_rules_and_cleanup_removes_them(tmp_path: Path) -> None:
    async def test() -> None:
        network = settings(tmp_path)
        for _ in range(2):
            await nft(ruleset(network, "10.244.1.0/24", PORTS))
        listed = (await nft("", "list", "table", "ip", network.name)).decode()
        assert "ip saddr 10.244.1.0/24 ip daddr != 10.244.0.0/16" in listed
        assert "tcp dport 18080 dnat to 10.244.1.5:80" in listed
        assert "ip daddr 192.0.2.1 udp dport 18053 dnat to 10.244.1.5:53" in listed
        network.cni_conf_dir.mkdir()
        conflist_path(network).write_text("{}")
        await cleanup(network)
        await cleanup(network)
        assert not conflist_path(network).exists()
        with pytest.raises(NftFailed):
            await nft("", "list", "table", "ip", network.name)

    asyncio.run(test())


@needs_root
def test_the_kernel_takes_routes() -> None:
    """In a network namespace of its own, so that the machine's routes stay as they are."""
    script = (
        "import subprocess\n"
        "from podium.kubelet.routes import replace_route, delete_route\n"
        "run = lambda *words: subprocess.run(['ip', *words], check=True, capture_output=True).stdout\n"
        "run('link', 'add', 'd0', 'type', 'veth', 'peer', 'name', 'd1')\n"
        "run('link', 'set', 'd1', 'up'); run('addr', 'add', '192.0.2.1/24', 'dev', 'd0')\n"
        "run('link', 'set', 'd0', 'up')\n"
        "replace_route('10.1.0.0/24', '192.0.2.2'); replace_route('10.1.0.0/24', '192.0.2.3')\n"
        "assert b'10.1.0.0/24 via 192.0.2.3 dev d0 proto 112' in run('route')\n"
        "delete_route('10.1.0.0/24', '192.0.2.3'); delete_route('10.1.0.0/24', '192.0.2.3')\n"
        "assert b'10.1.0.0' not in run('route')\n"
        "try: replace_route('10.1.0.0/24', '198.51.100.1')\n"
        "except OSError: pass\n"
        "else: raise SystemExit('a gateway off the link was taken')\n"
    )
    done = subprocess.run(
        ["unshare", "--net", sys.executable, "-c", script],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
