"""What the programs that run controllers have in common."""

from __future__ import annotations

import argparse
import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence

from podium.client.client import Client
from podium.client.kubeconfig import transport_without_identity
from podium.cmd import leading
from podium.cmd.component_serving import Served, serving
from podium.runtime.controller import Environment, Runnable
from podium.runtime.health import Checks
from podium.runtime.leader import LeaderMetrics
from podium.runtime.metrics import RunningMetrics
from podium.runtime.service_account_clients import ServiceAccountClients as Accounts


async def run_controllers(
    controllers: Sequence[Runnable],
    environment: Environment,
    *,
    checks: Checks,
    running: RunningMetrics,
    interval_s: float = 0.0,
) -> None:
    """Run the controllers until cancelled. Each starts after `interval_s`, up to twice that."""

    async def run(controller: Runnable) -> None:
        if interval_s:
            await environment.clock.sleep(interval_s * random.uniform(1, 2))
        with running.noting(controller.name):
            await controller.run(environment)

    async with asyncio.TaskGroup() as group:
        for controller in controllers:
            checks.add(controller.name)
            group.create_task(run(controller), name=controller.name)
        # Started last: by then every controller has named its caches and their indexes.
        group.create_task(environment.informers.run())


def accounts_of(arguments: argparse.Namespace, client: Client, *, server: str = "") -> Accounts | None:
    """Return the clients of the controllers' own accounts, None where they share the process's identity."""
    if not arguments.use_service_account_credentials:
        return None
    return Accounts(client, transport_without_identity(arguments.kubeconfig, server=server))


async def manage(
    arguments: argparse.Namespace,
    name: str,
    client: Client,
    accounts: Accounts | None,
    work: Callable[[], Awaitable[None]],
    served: Served,
) -> None:
    """Serve, and do `work` while this process leads. Then nobody needs the clients any more."""
    leadership = LeaderMetrics(served.registry)
    try:
        async with serving(arguments, name, client, served):
            await leading.lead(arguments, client, name, work, metrics=leadership, checks=served.checks)
    finally:
        if accounts is not None:
            await accounts.close()
        await client.close()
