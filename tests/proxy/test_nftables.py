"""Rules: after any change by difference, the kernel's table is the one that would be made anew."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
from typing import Any

import pytest

from podium.proxy import nftables
from podium.proxy.plan import Endpoint, ServicePort

CIDR = "10.244.0.0/16"
ONE, TWO, THREE = (Endpoint(f"10.244.0.{i}", 8080) for i in (5, 6, 7))

needs_nft = pytest.mark.skipif(
    shutil.which("nft") is None or os.geteuid() != 0, reason="needs nft and root: a kernel's table"
)


def port(service: str = "web", **fields: Any) -> ServicePort:
    given: dict[str, Any] = {
        "namespace": "shop",
        "service": service,
        "name": "http",
        "protocol": "tcp",
        "port": 80,
        "cluster_ip": "10.96.0.7",
        "endpoints": (ONE, TWO),
        "external_endpoints": (ONE, TWO),
        **fields,
    }
    return ServicePort(**given)


@pytest.fixture
def table() -> Any:
    name = f"podium-test-{os.getpid()}"
    yield name
    apply(nftables.removal(name))


def apply(transaction: str) -> None:
    done = subprocess.run(["nft", "-f", "-"], input=transaction, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr + transaction


def listing(table: str) -> list[str]:
    """What the kernel holds, in an order of its own: chains, rules and elements without handles."""
    output = subprocess.run(
        ["nft", "-j", "list", "table", "ip", table], capture_output=True, check=True
    ).stdout
    lines = []
    rule_numbers: dict[str, int] = {}
    for entry in json.loads(output)["nftables"]:
        (kind, value), *_ = entry.items()
        if kind in {"metainfo", "table"} or value.get("name") == "hairpins":
            continue
        value.pop("handle", None)
        if "elem" in value:
            value["elem"] = sorted(value["elem"], key=json.dumps)
        number = 0
        if kind == "rule":  # the order of rules within a chain means something
            number = rule_numbers[value["chain"]] = rule_numbers.get(value["chain"], 0) + 1
        lines.append(json.dumps([kind, number, value], sort_keys=True))
    return sorted(lines)


STATES: dict[str, list[ServicePort]] = {
    "two endpoints": [port()],
    "one endpoint": [port(endpoints=(ONE,), external_endpoints=(ONE,))],
    "none": [port(endpoints=(), external_endpoints=())],
    "gone": [],
    "node port": [port(node_port=30080)],
    "other node port": [port(node_port=30081)],
    "affinity": [port(node_port=30080, affinity_s=100)],
    "shorter affinity": [port(node_port=30080, affinity_s=50, endpoints=(TWO,))],
    "elsewhere": [port(node_port=30080, local_only=True, external_endpoints=())],
    "balancer": [port(external_addresses=("192.0.2.9",), local_only=True)],
    "balancer without endpoints": [
        port(external_addresses=("192.0.2.9",), endpoints=(), external_endpoints=())
    ],
    "two ports": [port(), port(name="dns", protocol="udp", port=53, endpoints=(THREE,))],
    "other address": [port(cluster_ip="10.96.0.8")],
}


@needs_nft
@pytest.mark.parametrize("before", STATES)
def test_every_change_leads_where_a_fresh_table_would(table: str, before: str) -> None:
    for after, ports in STATES.items():
        apply(nftables.full(table, CIDR, STATES[before]))
        if transaction := nftables.change(table, CIDR, STATES[before], ports):
            apply(transaction)
        changed = listing(table)
        apply(nftables.full(table, CIDR, ports))
        assert changed == listing(table), f"{before} -> {after}"


@needs_nft
def test_a_long_walk_ends_where_a_fresh_table_would(table: str) -> None:
    walk = random.Random(1)
    apply(nftables.full(table, CIDR, []))
    now: list[ServicePort] = []
    for _ in range(40):
        wanted = walk.choice(list(STATES.values()))
        if transaction := nftables.change(table, CIDR, now, wanted):
            apply(transaction)
        now = wanted
    changed = listing(table)
    apply(nftables.full(table, CIDR, now))
    assert changed == listing(table)


def test_nothing_changed_is_no_transaction() -> None:
    assert nftables.diff("t", CIDR, {"shop/web": (port(),)}, {"shop/web": (port(),)}) == ""


def test_a_change_names_only_what_changed() -> None:
    before = {"shop/web": (port(),), "shop/other": (port("other", cluster_ip="10.96.0.9"),)}
    after = {**before, "shop/web": (port(endpoints=(ONE,)),)}
    transaction = nftables.diff("t", CIDR, before, after)
    assert "service/shop/web/tcp/http" in transaction
    assert "other" not in transaction


def test_long_names_stay_within_the_kernel_s_bound_and_apart() -> None:
    long = "x" * 63
    texts = [
        nftables.full("t", CIDR, [port(service=long, namespace=long, name=name)])
        for name in ("first", "second")
    ]
    chains = [
        line.split()[4] for text in texts for line in text.splitlines() if "chain" in line and "/" in line
    ]
    assert len(set(chains)) == 2
    assert all(len(chain) <= 128 for chain in chains)
