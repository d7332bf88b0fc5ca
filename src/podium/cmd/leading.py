"""`--leader-elect*`, and what a program that has them does."""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
from collections.abc import Awaitable, Callable

from podium.client.client import Client
from podium.cmd.durations import duration_s
from podium.cmd.flag_types import boolean
from podium.resources.coordination.leases import LEASES
from podium.runtime.events import Recorder
from podium.runtime.leader import LEASE_S, RENEW_DEADLINE_S, RETRY_S, LeaderElector


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add upstream's flags."""
    add = parser.add_argument
    add("--leader-elect", type=boolean, nargs="?", const=True, default=True)
    add("--leader-elect-lease-duration", type=duration_s, default=LEASE_S)
    add("--leader-elect-renew-deadline", type=duration_s, default=RENEW_DEADLINE_S)
    add("--leader-elect-retry-period", type=duration_s, default=RETRY_S)


async def lead(
    arguments: argparse.Namespace, client: Client, name: str, work: Callable[[], Awaitable[None]]
) -> None:
    """Run `work` while holding the Lease `kube-system/NAME`; at once where no election is asked for.

    Raises LeadershipLost.
    """
    if not arguments.leader_elect:
        await work()
        return
    recorder = Recorder(client, component=name)
    elector = LeaderElector(
        client,
        "kube-system",
        name,
        f"{socket.gethostname()}_{os.getpid()}",
        lease_s=arguments.leader_elect_lease_duration,
        renew_deadline_s=arguments.leader_elect_renew_deadline,
        retry_s=arguments.leader_elect_retry_period,
        on_event=lambda lease, message: recorder.event(
            {**lease, "apiVersion": LEASES.api_version, "kind": LEASES.kind},
            "Normal",
            "LeaderElection",
            message,
        ),
    )
    recording = asyncio.create_task(recorder.run())
    try:
        await elector.run(work)
    finally:
        recording.cancel()
