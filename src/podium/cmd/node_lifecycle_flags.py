"""The controller manager's flags about nodes that fall silent."""

from __future__ import annotations

import argparse

from podium.cmd.durations import duration_s
from podium.controllers.node_lifecycle import STARTUP_GRACE_S
from podium.controllers.node_zones import EvictionRates


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add upstream's flags."""
    add = parser.add_argument
    default = EvictionRates()
    add(
        "--node-monitor-grace-period",
        type=duration_s,
        default=50.0,
        help="how long a node may be silent before it counts as unreachable",
    )
    add(
        "--node-startup-grace-period",
        type=duration_s,
        default=STARTUP_GRACE_S,
        help="how long a new node may take to post its first status",
    )
    add(
        "--node-eviction-rate",
        type=float,
        default=default.normal,
        help="how many nodes of a zone are emptied in a second, while the zone is well",
    )
    add(
        "--secondary-node-eviction-rate",
        type=float,
        default=default.secondary,
        help="the same for zones in which many nodes are in trouble; none in small clusters",
    )
    add(
        "--unhealthy-zone-threshold",
        type=float,
        default=default.unhealthy_part,
        help="from which part of its nodes in trouble (three at least) a zone is not well",
    )
    add(
        "--large-cluster-size-threshold",
        type=int,
        default=default.large_cluster,
        help="up to how many nodes a zone counts as small",
    )


def eviction_rates(arguments: argparse.Namespace) -> EvictionRates:
    """Return what the flags say."""
    return EvictionRates(
        normal=arguments.node_eviction_rate,
        secondary=arguments.secondary_node_eviction_rate,
        unhealthy_part=arguments.unhealthy_zone_threshold,
        large_cluster=arguments.large_cluster_size_threshold,
    )
