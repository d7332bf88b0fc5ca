"""kube-controller-manager: all controllers in one process, on one client and one set of caches."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from podium.base import log as logs
from podium.base.metrics import Registry
from podium.base.process_metrics import add_process_metrics
from podium.client.kubeconfig import client_from_kubeconfig, transport_without_identity
from podium.cmd import autoscaler_flags, leading, node_lifecycle_flags, volume_flags
from podium.cmd.durations import duration_s
from podium.cmd.feature_gates import add_feature_gates, chosen_gates
from podium.cmd.flag_types import boolean
from podium.controllers.catalogue import Settings, catalogue, chosen, without_settings
from podium.controllers.csr_signing import DEFAULT_DURATION_S
from podium.controllers.endpointslice_mirroring import ENDPOINTS_PER_SUBSET_MAX
from podium.controllers.legacy_serviceaccount_token_cleaner import CLEAN_UP_PERIOD_S
from podium.controllers.pod_gc import ENDED_MAX
from podium.runtime.controller import Environment
from podium.runtime.informer import Informers
from podium.runtime.metrics import QueueMetrics
from podium.runtime.process import run_component
from podium.runtime.service_account_clients import ServiceAccountClients
from podium.runtime.serving import add_flags, serving

NAME = "kube-controller-manager"
_WITHOUT_EFFECT = (
    "--attach-detach-reconcile-sync-period",
    "--authentication-kubeconfig",
    "--authorization-kubeconfig",
    "--client-ca-file",
    "--cluster-name",
    "--disable-attach-detach-reconcile-sync",
    "--kube-api-burst",
    "--kube-api-qps",
    "--mirroring-concurrent-service-endpoint-syncs",
    "--mirroring-endpointslice-updates-batch-period",
    "--node-monitor-period",
    "--profiling",
    "--pvclaimbinder-sync-period",
    "--requestheader-client-ca-file",
)
"""Upstream's flags that common command lines have and that mean nothing here; taken, so that those work."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the controller manager until it is told to stop; return its exit code."""
    arguments = _arguments(argv)
    logs.configure(verbosity=arguments.verbosity)

    async def run() -> None:
        await _run(arguments)

    return run_component(run)


def parser() -> argparse.ArgumentParser:
    """Return the command line's grammar."""
    made = argparse.ArgumentParser(prog=NAME, description=__doc__, allow_abbrev=False)
    made.add_argument("--kubeconfig", required=True, help="how to reach the API server")
    made.add_argument("--service-account-private-key-file", default="", help="signs legacy token Secrets")
    made.add_argument(
        "--legacy-service-account-token-clean-up-period",
        type=duration_s,
        default=CLEAN_UP_PERIOD_S,
        help="how long a service account's own token in a Secret may be unused before it is marked invalid",
    )
    made.add_argument("--root-ca-file", default="", help="the CA bundle published in every namespace")
    made.add_argument(
        "--cluster-signing-cert-file", default="", help="the CA that signs certificate requests"
    )
    made.add_argument("--cluster-signing-key-file", default="", help="the private key of that CA")
    made.add_argument(
        "--cluster-signing-duration",
        type=duration_s,
        default=DEFAULT_DURATION_S,
        help="how long certificates last that do not ask for less",
    )
    made.add_argument("--cluster-cidr", default="", help="the range that nodes' pod ranges are cut from")
    made.add_argument("--allocate-node-cidrs", type=boolean, nargs="?", const=True, default=False)
    made.add_argument("--node-cidr-mask-size", type=int, default=24)
    made.add_argument("--service-cluster-ip-range", default="", help="kept free of pod ranges")
    leading.add_flags(made)
    made.add_argument(
        "--controllers",
        default="*",
        help="comma-separated: '*' all that are on by default, 'foo' this one, '-foo' not this one",
    )
    node_lifecycle_flags.add_flags(made)
    made.add_argument(
        "--mirroring-max-endpoints-per-subset",
        type=int,
        default=ENDPOINTS_PER_SUBSET_MAX,
        help="how many addresses of each subset of Endpoints are mirrored to EndpointSlices",
    )
    made.add_argument(
        "--terminated-pod-gc-threshold",
        type=int,
        default=ENDED_MAX,
        help="how many pods that have ended are kept; 0 keeps all",
    )
    made.add_argument(
        "--use-service-account-credentials",
        type=boolean,
        nargs="?",
        const=True,
        default=False,
        help="let each controller work in the name of a service account of its own",
    )
    volume_flags.add_flags(made)
    autoscaler_flags.add_flags(made)
    add_flags(made)
    add_feature_gates(made)
    made.add_argument("-v", "--v", type=int, default=0, dest="verbosity")
    for name in _WITHOUT_EFFECT:
        made.add_argument(name, nargs="?", dest="without_effect", action="append", help=argparse.SUPPRESS)
    return made


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    made = parser()
    arguments = made.parse_args(argv)
    arguments.gates = chosen_gates(made, arguments)
    try:
        chosen(catalogue(Settings()), arguments.controllers)
    except ValueError as error:
        made.error(str(error))
    return arguments


async def _run(arguments: argparse.Namespace) -> None:
    registry = Registry()
    add_process_metrics(registry)
    client = client_from_kubeconfig(arguments.kubeconfig, user_agent=NAME, metrics=registry)
    settings = Settings(
        root_ca=_read(arguments.root_ca_file),
        service_account_key=_read(arguments.service_account_private_key_file),
        cluster_cidr=arguments.cluster_cidr if arguments.allocate_node_cidrs else "",
        node_cidr_mask_size=arguments.node_cidr_mask_size,
        service_cidr=arguments.service_cluster_ip_range,
        node_monitor_grace_s=arguments.node_monitor_grace_period,
        node_startup_grace_s=arguments.node_startup_grace_period,
        eviction_rates=node_lifecycle_flags.eviction_rates(arguments),
        signing_certificate=_read(arguments.cluster_signing_cert_file),
        signing_key=_read(arguments.cluster_signing_key_file),
        signing_duration_s=arguments.cluster_signing_duration,
        legacy_token_clean_up_s=arguments.legacy_service_account_token_clean_up_period,
        hostpath_provisioner=arguments.enable_hostpath_provisioner,
        provisioners=arguments.volume_provisioner,
        dynamic_provisioning=arguments.enable_dynamic_provisioning,
        force_detach_after_s=volume_flags.force_detach_after_s(arguments),
        mirrored_per_subset_max=arguments.mirroring_max_endpoints_per_subset,
        autoscaler=autoscaler_flags.options(arguments, arguments.gates),
        ended_pods_max=arguments.terminated_pod_gc_threshold,
        gates=arguments.gates,
        registry=registry,
    )
    idle = without_settings(settings)
    controllers = [c for c in chosen(catalogue(settings), arguments.controllers) if c.name not in idle]

    metrics = QueueMetrics(registry)

    accounts: ServiceAccountClients | None = None
    if arguments.use_service_account_credentials:
        accounts = ServiceAccountClients(client, transport_without_identity(arguments.kubeconfig))

    async def lead() -> None:
        environment = Environment(
            client=client,
            informers=Informers(client),
            metrics=metrics,
            client_for=accounts.client if accounts is not None else None,
        )
        async with asyncio.TaskGroup() as group:
            for controller in controllers:
                group.create_task(controller.run(environment), name=controller.name)
            # Started last: by then every controller has named its caches and their indexes.
            group.create_task(environment.informers.run())

    try:
        async with serving(arguments, NAME, registry, client):
            await leading.lead(arguments, client, NAME, lead)
    finally:
        if accounts is not None:
            await accounts.close()
        await client.close()


def _read(path: str) -> str:
    return Path(path).read_text(encoding="utf-8") if path else ""


if __name__ == "__main__":
    sys.exit(main())
