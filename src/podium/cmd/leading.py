"""`--leader-elect*`, and what a program that has them does."""

from __future__ import annotations

import argparse
import asyncio
import socket
from collections.abc import Awaitable, Callable

from podium.base.ids import new_uid
from podium.client.client import Client
from podium.cmd.durations import duration_s
from podium.cmd.flag_types import boolean
from podium.resources.coordination.leases import LEASES
from podium.runtime.events import Recorder
from podium.runtime.health import Checks
from podium.runtime.leader import (
    LEASE_S,
    RENEW_DEADLINE_S,
    RETRY_S,
    LeaderElector,
    LeaderMetrics,
    check_times,
)


def add_flags(parser: argparse.ArgumentParser, name: str) -> None:
    """Add upstream's flags. The lease has the program's `name` unless told otherwise."""
    add = parser.add_argument
    add("--leader-elect", type=boolean, nargs="?", const=True, default=True)
    add(
        "--leader-elect-lease-duration",
        type=duration_s,
        default=LEASE_S,
        help="after how long without a renewal another one takes over",
    )
    add(
        "--leader-elect-renew-deadline",
        type=duration_s,
        default=RENEW_DEADLINE_S,
        help="how long the leader goes on without having renewed",
    )
    add(
        "--leader-elect-retry-period",
        type=duration_s,
        default=RETRY_S,
        help="how long between two tries to get or to renew the lease",
    )
    add("--leader-elect-resource-lock", default="leases", help="leases: there is no other kind of lock")
    add("--leader-elect-resource-name", default=name, help="the name of the Lease")
    add("--leader-elect-resource-namespace", default="kube-system", help="its namespace")


def wrong(arguments: argparse.Namespace) -> str:
    """Return what is wrong with the flags, "" when nothing is."""
    if not arguments.leader_elect:
        return ""
    if arguments.leader_elect_resource_lock != "leases":
        return 'resourceLock value must be "leases"'
    try:
        check_times(
            arguments.leader_elect_lease_duration,
            arguments.leader_elect_renew_deadline,
            arguments.leader_elect_retry_period,
        )
    except ValueError as error:
        return str(error)
    return ""


async def lead(
    arguments: argparse.Namespace,
    client: Client,
    name: str,
    work: Callable[[], Awaitable[None]],
    *,
    metrics: LeaderMetrics | None = None,
    checks: Checks | None = None,
) -> None:
    """Run `work` while holding the Lease that the flags name; at once where no election is asked for.

    Raises LeadershipLost.
    """
    if not arguments.leader_elect:
        await work()
        return
    recorder = Recorder(client, component=name)
    elector = LeaderElector(
        client,
        arguments.leader_elect_resource_namespace,
        arguments.leader_elect_resource_name,
        f"{socket.gethostname()}_{new_uid()}",
        lease_s=arguments.leader_elect_lease_duration,
        renew_deadline_s=arguments.leader_elect_renew_deadline,
        retry_s=arguments.leader_elect_retry_period,
        on_event=lambda lease, message: recorder.event(
            {**lease, "apiVersion": LEASES.api_version, "kind": LEASES.kind},
            "Normal",
            "LeaderElection",
            message,
        ),
        metrics=metrics,
    )
    if checks is not None:
        checks.add("leaderElection", elector.check)
    recording = asyncio.create_task(recorder.run())
    try:
        await elector.run(work)
    finally:
        recording.cancel()
