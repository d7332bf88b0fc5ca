"""The controller manager's flags about horizontal pod autoscalers."""

from __future__ import annotations

import argparse

from podium.cmd.durations import duration_s
from podium.controllers.autoscaler_plan import Options
from podium.controllers.autoscaler_replicas import Readiness
from podium.machinery.feature_gates import FeatureGates


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add upstream's flags."""
    add = parser.add_argument
    default = Options()
    add(
        "--horizontal-pod-autoscaler-sync-period",
        type=duration_s,
        default=default.sync_period_s,
        help="how often autoscalers look at their metrics",
    )
    add(
        "--horizontal-pod-autoscaler-downscale-stabilization",
        type=duration_s,
        default=default.downscale_stabilization_s,
        help="how long the highest recommendation stands, before a target is scaled down",
    )
    add(
        "--horizontal-pod-autoscaler-tolerance",
        type=float,
        default=default.tolerance,
        help="by which part of its target a metric may be off before a target is scaled",
    )
    add(
        "--horizontal-pod-autoscaler-cpu-initialization-period",
        type=duration_s,
        default=default.readiness.cpu_initialization_s,
        help="how long after a pod's start its CPU may not count",
    )
    add(
        "--horizontal-pod-autoscaler-initial-readiness-delay",
        type=duration_s,
        default=default.readiness.initial_delay_s,
        help="how long after a pod's start changes of its readiness count as its first ones",
    )
    add(
        "--concurrent-horizontal-pod-autoscaler-syncs",
        type=_positive,
        default=default.workers,
        help="how many autoscalers are looked at at once",
    )


def _positive(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f'invalid number "{text}"') from None
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be greater than 0, but got {number}")
    return number


def options(arguments: argparse.Namespace, gates: FeatureGates) -> Options:
    """Return what the flags say."""
    return Options(
        sync_period_s=arguments.horizontal_pod_autoscaler_sync_period,
        downscale_stabilization_s=arguments.horizontal_pod_autoscaler_downscale_stabilization,
        tolerance=arguments.horizontal_pod_autoscaler_tolerance,
        readiness=Readiness(
            cpu_initialization_s=arguments.horizontal_pod_autoscaler_cpu_initialization_period,
            initial_delay_s=arguments.horizontal_pod_autoscaler_initial_readiness_delay,
        ),
        workers=arguments.concurrent_horizontal_pod_autoscaler_syncs,
        scale_to_zero=gates.enabled("HPAScaleToZero"),
        configurable_tolerance=gates.enabled("HPAConfigurableTolerance"),
    )
