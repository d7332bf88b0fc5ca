"""kube-controller-manager: all controllers in one process, on one client and one set of caches."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from podium.base.log import Log
from podium.base.metrics import Registry
from podium.base.pki import KeyPair
from podium.base.process_metrics import add_process_metrics
from podium.client.kubeconfig import client_from_kubeconfig
from podium.client.throttled import throttled
from podium.cmd import (
    autoscaler_flags,
    component_serving,
    controller_flags,
    leading,
    log_flags,
    node_ipam_flags,
    node_lifecycle_flags,
    unused_flags,
    volume_flags,
)
from podium.cmd.component_serving import Served
from podium.cmd.controller_configz import configz
from podium.cmd.controller_unused_flags import UNUSED
from podium.cmd.durations import duration_s
from podium.cmd.feature_gates import add_feature_gates, chosen_gates
from podium.cmd.flag_types import boolean, names
from podium.cmd.managing import accounts_of, manage, run_controllers
from podium.controllers.catalogue import Settings, catalogue, chosen, without_settings
from podium.controllers.csr_signing import DEFAULT_DURATION_S
from podium.controllers.endpointslice_mirroring import ENDPOINTS_PER_SUBSET_MAX
from podium.controllers.legacy_serviceaccount_token_cleaner import CLEAN_UP_PERIOD_S
from podium.controllers.pod_gc import ENDED_MAX
from podium.runtime.controller import Environment
from podium.runtime.health import Checks
from podium.runtime.informer import Informers
from podium.runtime.metrics import MetricSets, QueueMetrics, RunningMetrics
from podium.runtime.process import run_component

NAME = "kube-controller-manager"
PORT = 10257

_log = Log(NAME)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the controller manager until it is told to stop; return its exit code."""
    arguments = _arguments(argv)
    log_flags.configure(arguments)
    unused_flags.warn(arguments, UNUSED)

    async def run() -> None:
        await _run(arguments)

    return run_component(run)


def parser() -> argparse.ArgumentParser:
    """Return the command line's grammar."""
    made = argparse.ArgumentParser(prog=NAME, description=__doc__, allow_abbrev=False)
    made.add_argument("--kubeconfig", default="", help="how to reach the API server")
    made.add_argument("--master", default="", help="the API server's address, instead of the kubeconfig's")
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
    node_ipam_flags.add_flags(made)
    made.add_argument("--cidr-allocator-type", default="RangeAllocator", help=argparse.SUPPRESS)
    made.add_argument("--cloud-provider", default="", help="external, or nothing, which means the same here")
    leading.add_flags(made, NAME)
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
    controller_flags.add_flags(made)
    made.add_argument(
        "--kube-api-qps",
        type=float,
        default=0.0,
        help="how many requests a second go to the API server; 0: as many as there are",
    )
    made.add_argument(
        "--kube-api-burst", type=int, default=30, help="how many of them may go at once beyond that"
    )
    made.add_argument(
        "--controller-start-interval",
        type=duration_s,
        default=0.0,
        help="each controller starts after this, up to twice this",
    )
    made.add_argument(
        "--controller-shutdown-timeout",
        type=duration_s,
        default=10.0,
        help="how long controllers may finish what they are at when the program is told to end",
    )
    made.add_argument("--disabled-metrics", type=names, default=[], help="metrics that are not shown")
    component_serving.add_flags(made, PORT)
    add_feature_gates(made)
    log_flags.add_flags(made)
    unused_flags.add_flags(made, UNUSED)
    return made


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    made = parser()
    arguments = made.parse_args(argv)
    arguments.gates = chosen_gates(made, arguments)
    node_ipam_flags.check(made, arguments)
    try:
        chosen(catalogue(Settings()), arguments.controllers)
    except ValueError as error:
        made.error(str(error))
    if fault := _wrong(arguments):
        made.error(fault)
    return arguments


def _wrong(arguments: argparse.Namespace) -> str:
    """Return what is wrong with the flags taken together, "" when nothing is."""
    if not arguments.kubeconfig and not arguments.master:
        return "--kubeconfig or --master is needed"
    if arguments.cloud_provider not in ("", "external"):
        return (
            f'cloud provider "{arguments.cloud_provider}" was specified, but built-in cloud providers are '
            "disabled. Please set --cloud-provider=external and migrate to an external cloud provider"
        )
    if arguments.cidr_allocator_type not in ("", "RangeAllocator"):
        kind = arguments.cidr_allocator_type
        return f"built-in cloud providers are disabled. The ipam {kind} is not available"
    if arguments.service_cluster_ip_range.count(",") > 1:
        return "--service-cluster-ip-range can not contain more than two entries"
    return controller_flags.wrong(arguments) or leading.wrong(arguments) or component_serving.wrong(arguments)


def _settings(arguments: argparse.Namespace) -> Settings:
    files = controller_flags.signers(arguments)
    return Settings(
        root_ca=_read(arguments.root_ca_file),
        service_account_key=_read(arguments.service_account_private_key_file),
        cluster_cidr=arguments.cluster_cidr if arguments.allocate_node_cidrs else "",
        node_cidr_mask_sizes=node_ipam_flags.mask_sizes(arguments),
        service_cidr=arguments.service_cluster_ip_range,
        node_monitor_grace_s=arguments.node_monitor_grace_period,
        node_startup_grace_s=arguments.node_startup_grace_period,
        eviction_rates=node_lifecycle_flags.eviction_rates(arguments),
        signing={signer: _pair(*pair) for signer, pair in files.items()},
        signing_duration_s=arguments.cluster_signing_duration,
        legacy_token_clean_up_s=arguments.legacy_service_account_token_clean_up_period,
        hostpath_provisioner=arguments.enable_hostpath_provisioner,
        provisioners=arguments.volume_provisioner,
        dynamic_provisioning=arguments.enable_dynamic_provisioning,
        force_detach_after_s=volume_flags.force_detach_after_s(arguments),
        endpoints_per_slice_max=arguments.max_endpoints_per_slice,
        mirrored_per_subset_max=arguments.mirroring_max_endpoints_per_subset,
        autoscaler=autoscaler_flags.options(arguments, arguments.gates),
        ended_pods_max=arguments.terminated_pod_gc_threshold,
        gates=arguments.gates,
        garbage_collector=arguments.enable_garbage_collector,
    )


async def _run(arguments: argparse.Namespace) -> None:
    registry = Registry(disabled=arguments.disabled_metrics)
    add_process_metrics(registry)
    client = throttled(
        client_from_kubeconfig(
            arguments.kubeconfig, user_agent=NAME, server=arguments.master, metrics=registry
        ),
        per_s=arguments.kube_api_qps,
        burst=arguments.kube_api_burst,
        host=urlsplit(arguments.master).netloc,
        metrics=registry,
    )
    settings = _settings(arguments)
    idle = without_settings(settings)
    controllers = [c for c in chosen(catalogue(settings), arguments.controllers) if c.name not in idle]
    _log.info("skipped for want of flags or gates", controllers=",".join(sorted(idle)))

    checks = Checks()
    running = RunningMetrics(registry, NAME)
    queues, sets = QueueMetrics(registry), MetricSets(registry)
    accounts = accounts_of(arguments, client, server=arguments.master)

    async def lead() -> None:
        environment = Environment(
            client=client,
            informers=Informers(client),
            metrics=queues,
            sets=sets,
            workers=controller_flags.workers(arguments),
            collect_s=controller_flags.batch_periods_s(arguments),
            shutdown_s=arguments.controller_shutdown_timeout,
            client_for=accounts.client if accounts is not None else None,
        )
        interval_s = arguments.controller_start_interval
        await run_controllers(controllers, environment, checks=checks, running=running, interval_s=interval_s)

    served = Served(
        registry=registry,
        checks=checks,
        documents={"/configz": lambda: configz(arguments)},
        flags=log_flags.as_told(parser(), arguments),
    )
    await manage(arguments, NAME, client, accounts, lead, served)


def _pair(certificate: str, key: str) -> KeyPair:
    return KeyPair(certificate_pem=Path(certificate).read_bytes(), key_pem=Path(key).read_bytes())


def _read(path: str) -> str:
    return Path(path).read_text(encoding="utf-8") if path else ""


if __name__ == "__main__":
    sys.exit(main())
