"""The flags about nodes' pod ranges."""

from __future__ import annotations

import argparse

from podium.cmd.flag_types import boolean
from podium.controllers.node_ipam import MASK_SIZES, networks

_FAMILIES = {4: "ipv4", 6: "ipv6"}


def add_flags(made: argparse.ArgumentParser) -> None:
    """Add them to a parser."""
    made.add_argument(
        "--cluster-cidr",
        default="",
        help="the range that nodes' pod ranges are cut from, or one of each family",
    )
    made.add_argument("--allocate-node-cidrs", type=boolean, nargs="?", const=True, default=False)
    made.add_argument("--node-cidr-mask-size", type=int, default=0, help="where there is one range")
    for version, family in _FAMILIES.items():
        made.add_argument(
            f"--node-cidr-mask-size-{family}", type=int, default=0, help=f"by default {MASK_SIZES[version]}"
        )
    made.add_argument("--service-cluster-ip-range", default="", help="kept free of pod ranges")


def check(made: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """End the program, with a reason, when the flags make no sense together."""
    if not arguments.allocate_node_cidrs:
        return
    try:
        clusters = networks(arguments.cluster_cidr)
        networks(arguments.service_cluster_ip_range)
    except ValueError as error:
        made.error(str(error))
    if len({cluster.version for cluster in clusters}) != len(clusters):
        made.error(
            "expected IP from different families in --cluster-cidr, or a single range: "
            + arguments.cluster_cidr
        )
    if len(clusters) > 1 and arguments.node_cidr_mask_size:
        made.error("usage of --node-cidr-mask-size is not allowed with dual-stack clusters")
    sizes = mask_sizes(arguments)
    for cluster in clusters:
        if not cluster.prefixlen <= sizes[cluster.version] <= cluster.max_prefixlen:
            made.error(f"a node's range (/{sizes[cluster.version]}) is not a part of {cluster}")


def mask_sizes(arguments: argparse.Namespace) -> dict[int, int]:
    """Return how many bits a node's ranges have, by the version of IP."""
    return {
        version: getattr(arguments, f"node_cidr_mask_size_{family}")
        or arguments.node_cidr_mask_size
        or MASK_SIZES[version]
        for version, family in _FAMILIES.items()
    }
