"""cloud-controller-manager: the controllers that ask a cloud, through its provider."""

from __future__ import annotations

import argparse
import ipaddress
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from podium.base.metrics import Registry
from podium.base.process_metrics import add_process_metrics
from podium.client.client import Client
from podium.client.kubeconfig import client_from_kubeconfig
from podium.cloud.interface import Cloud, Setup
from podium.cloud.loading import factory
from podium.cloud.metrics import CloudMetrics
from podium.cloud.node import STATUS_UPDATE_PERIOD_S, cloud_node
from podium.cloud.node_lifecycle import MONITOR_PERIOD_S, cloud_node_lifecycle
from podium.cloud.providers.fake import FakeCloud
from podium.cloud.providers.pool import Pool
from podium.cloud.route import RECONCILIATION_PERIOD_S, node_route
from podium.cloud.route_plan import Network
from podium.cloud.service import service_lb
from podium.cmd import component_serving, leading, log_flags, unused_flags
from podium.cmd.component_serving import Served
from podium.cmd.durations import duration_s
from podium.cmd.feature_gates import add_feature_gates, chosen_gates
from podium.cmd.flag_types import boolean
from podium.cmd.managing import accounts_of, manage, run_controllers
from podium.runtime import choice
from podium.runtime.controller import Controller, Environment
from podium.runtime.health import Checks
from podium.runtime.informer import Informers
from podium.runtime.metrics import QueueMetrics, RunningMetrics
from podium.runtime.process import run_component

NAME = "cloud-controller-manager"
PORT = 10258
ALIASES: Mapping[str, str] = {"service": "service-lb-controller", "route": "node-route-controller"}
_UNUSED = {
    "--allocate-node-cidrs": "pod ranges are the controller manager's",
    "--allow-untagged-cloud": "providers mark what is theirs in their own ways",
    "--cidr-allocator-type": "pod ranges are the controller manager's",
    "--concurrent-node-status-updates": "nodes are updated one after the other",
    "--contention-profiling": "this is no Go program",
    "--kube-api-content-type": "requests are JSON",
    "--min-resync-period": "caches are complete without being gone through again",
    "--node-sync-period": "without effect upstream too",
    "--profiling": "this is no Go program",
}
"""Upstream's flags that common command lines have and that mean nothing here, and why."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the manager until it is told to stop; return its exit code."""
    arguments = _arguments(argv)
    log_flags.configure(arguments)
    unused_flags.warn(arguments, _UNUSED)

    async def run() -> None:
        await _run(arguments)

    return run_component(run)


def parser() -> argparse.ArgumentParser:
    """Return the command line's grammar."""
    made = argparse.ArgumentParser(prog=NAME, description=__doc__, allow_abbrev=False)
    add = made.add_argument
    add("--kubeconfig", required=True, help="how to reach the API server")
    add(
        "--cloud-provider",
        default="",
        help="`local`, `fake`, MODULE:FACTORY, or a name from the entry points `podium.cloud_providers`",
    )
    add("--cloud-config", default="", help="the provider's own file")
    add(
        "--local-load-balancer-range",
        default="",
        help="for `local`: where load balancers' addresses come from; CIDR or FIRST-LAST, comma-separated",
    )
    add(
        "--local-node-namespaces",
        default="",
        metavar="NODE=NAMESPACE,…",
        help="for `local`: nodes that are network namespaces of this machine, between which routes to their"
        " pods are kept; no name after `=`: this program's own",
    )
    add("--cluster-name", default="kubernetes", help="how the provider tells this cluster's things")
    add("--cluster-cidr", default="", help="where pod addresses come from; other routes are left alone")
    add(
        "--configure-cloud-routes",
        type=boolean,
        nargs="?",
        const=True,
        default=True,
        help="have the provider make routes to nodes' pods",
    )
    add("--route-reconciliation-period", type=duration_s, default=RECONCILIATION_PERIOD_S)
    add("--node-monitor-period", type=duration_s, default=MONITOR_PERIOD_S)
    add(
        "--node-status-update-frequency",
        type=duration_s,
        default=STATUS_UPDATE_PERIOD_S,
        help="how often nodes' addresses are looked up",
    )
    add("--concurrent-node-syncs", type=int, default=1)
    add("--concurrent-service-syncs", type=int, default=1)
    add(
        "--controllers",
        default="*",
        help="comma-separated: '*' all that are on by default, 'foo' this one, '-foo' not this one",
    )
    add(
        "--use-service-account-credentials",
        type=boolean,
        nargs="?",
        const=True,
        default=False,
        help="let each controller work in the name of a service account of its own",
    )
    leading.add_flags(made, NAME)
    component_serving.add_flags(made, PORT)
    add_feature_gates(made)
    log_flags.add_flags(made)
    add("--kube-api-qps", type=float, default=0.0, help=argparse.SUPPRESS)
    add("--kube-api-burst", type=int, default=0, help=argparse.SUPPRESS)
    unused_flags.add_flags(made, _UNUSED)
    return made


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    made = parser()
    arguments = made.parse_args(argv)
    arguments.gates = chosen_gates(made, arguments)
    try:
        arguments.factory = factory(arguments.cloud_provider)
        arguments.cluster_cidrs = _networks(arguments.cluster_cidr)
        _check_pool(arguments.local_load_balancer_range)
        arguments.config = Path(arguments.cloud_config).read_bytes() if arguments.cloud_config else b""
        for name in ("concurrent_node_syncs", "concurrent_service_syncs"):
            if getattr(arguments, name) < 1:
                raise ValueError(f"--{name.replace('_', '-')} must be greater than 0")
        _chosen(all_controllers(), arguments.controllers)
        if fault := leading.wrong(arguments) or component_serving.wrong(arguments):
            raise ValueError(fault)
    except (ValueError, OSError) as error:
        made.error(str(error))
    return arguments


def _check_pool(text: str) -> None:
    try:
        Pool.parse(text)
    except ValueError as error:
        raise ValueError(f"--local-load-balancer-range: {error}") from error


def _networks(text: str) -> list[Network]:
    try:
        networks = [
            ipaddress.ip_network(word.strip(), strict=False) for word in text.split(",") if word.strip()
        ]
    except ValueError as error:
        raise ValueError(f"--cluster-cidr: {error}") from error
    if len(networks) > 2:
        raise ValueError(f"length of clusterCIDRs is:{len(networks)} more than max allowed of 2")
    if len(networks) == 2 and networks[0].version == networks[1].version:
        raise ValueError(
            "len of ClusterCIDRs==2 and they are not configured as dual stack"
            " (at least one from each IPFamily"
        )
    return networks


def all_controllers() -> list[Controller]:
    """Return all controllers there are, over a cloud that does nothing; for their names."""
    arguments = parser().parse_args(["--kubeconfig="])
    arguments.cluster_cidrs = []
    return controllers(FakeCloud().cloud(), arguments)


def _chosen(known: Sequence[Controller], wish: str) -> list[Controller]:
    return choice.chosen(known, wish, aliases=ALIASES)


def controllers(
    cloud: Cloud, arguments: argparse.Namespace, metrics: CloudMetrics | None = None
) -> list[Controller]:
    """Return the controllers of the parts that the provider has."""
    made: list[Controller] = []
    if cloud.instances is not None:
        made.append(
            cloud_node(
                cloud.instances,
                status_update_period_s=arguments.node_status_update_frequency,
                concurrent_syncs=arguments.concurrent_node_syncs,
                metrics=metrics,
            )
        )
        made.append(cloud_node_lifecycle(cloud.instances, monitor_period_s=arguments.node_monitor_period))
    if cloud.load_balancers is not None:
        made.append(
            service_lb(
                cloud.load_balancers,
                arguments.cluster_name,
                concurrent_syncs=arguments.concurrent_service_syncs,
                metrics=metrics,
            )
        )
    if cloud.routes is not None and arguments.configure_cloud_routes:
        made.append(
            node_route(
                cloud.routes,
                arguments.cluster_name,
                arguments.cluster_cidrs,
                period_s=arguments.route_reconciliation_period,
                metrics=metrics,
            )
        )
    return made


async def _run(arguments: argparse.Namespace) -> None:
    registry = Registry()
    add_process_metrics(registry)
    metrics = QueueMetrics(registry)
    running, checks = RunningMetrics(registry, NAME), Checks()
    cloud_metrics = CloudMetrics(registry)
    client = client_from_kubeconfig(arguments.kubeconfig, user_agent=NAME, metrics=registry)
    accounts = accounts_of(arguments, client)
    try:
        cloud = _cloud(arguments, client)
    except ValueError as error:
        raise SystemExit(f"{NAME}: error: {error}") from error

    async def work() -> None:
        names = {c.name for c in _chosen(all_controllers(), arguments.controllers)}
        environment = Environment(
            client=client,
            informers=Informers(client),
            metrics=metrics,
            client_for=accounts.client if accounts is not None else None,
        )
        chosen = [c for c in controllers(cloud, arguments, cloud_metrics) if c.name in names]
        await run_controllers(chosen, environment, checks=checks, running=running)

    flags = log_flags.as_told(parser(), arguments)
    served = Served(registry=registry, checks=checks, documents={}, flags=flags)
    await manage(arguments, NAME, client, accounts, work, served)


def _cloud(arguments: argparse.Namespace, client: Client) -> Cloud:
    setup = Setup(
        client=client,
        cluster_name=arguments.cluster_name,
        config=arguments.config,
        load_balancer_range=arguments.local_load_balancer_range,
        node_namespaces=arguments.local_node_namespaces,
    )
    made: Cloud = arguments.factory(setup)
    return made


if __name__ == "__main__":
    sys.exit(main())
