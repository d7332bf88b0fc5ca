"""kube-apiserver's flags about how many requests are served at a time, and for how long."""

from __future__ import annotations

import argparse

from podium.apiserver.server import Limits
from podium.cmd.durations import duration_s


def add_flags(made: argparse.ArgumentParser) -> None:
    add = made.add_argument
    add(
        "--enable-priority-and-fairness",
        nargs="?",
        const="true",
        default="true",
        choices=("true", "false"),
        help="let requests wait in fair queues, as the cluster's FlowSchemas and PriorityLevelConfigurations "
        "say, instead of only limiting their number",
    )
    add(
        "--max-requests-inflight",
        type=int,
        default=400,
        metavar="N",
        help="reads that are served at a time, 0 for any number; with priority and fairness, the sum of this "
        "and --max-mutating-requests-inflight is what priority levels share",
    )
    add(
        "--max-mutating-requests-inflight",
        type=int,
        default=200,
        metavar="N",
        help="likewise for what changes something",
    )
    add(
        "--request-timeout",
        type=duration_s,
        default=60.0,
        metavar="DURATION",
        help="how long a request may take that is neither a watch nor a stream; a quarter of it in queues",
    )
    add(
        "--min-request-timeout",
        type=int,
        default=1800,
        metavar="SECONDS",
        help="watches that do not say how long they last end after this time at least, and twice it at most",
    )


def wrong(arguments: argparse.Namespace) -> str:
    """Return what is wrong with the flags, in upstream's words, or nothing."""
    for flag in ("max-requests-inflight", "max-mutating-requests-inflight", "min-request-timeout"):
        if getattr(arguments, flag.replace("-", "_")) < 0:
            return f"--{flag} can not be negative value"
    reading, mutating = arguments.max_requests_inflight, arguments.max_mutating_requests_inflight
    if arguments.enable_priority_and_fairness == "true" and reading + mutating <= 0:
        return (
            f"invalid configuration: MaxRequestsInFlight={reading} and "
            f"MaxMutatingRequestsInFlight={mutating}; they must add up to something positive"
        )
    return ""


def limits(arguments: argparse.Namespace) -> Limits:
    return Limits(
        priority_and_fairness=arguments.enable_priority_and_fairness == "true",
        requests_in_flight_max=arguments.max_requests_inflight,
        mutating_requests_in_flight_max=arguments.max_mutating_requests_inflight,
        request_timeout_s=arguments.request_timeout,
        watch_timeout_s_min=arguments.min_request_timeout,
    )
