"""kube-scheduler: finds a node for every pod that has none."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from podium.base.metrics import Registry
from podium.base.process_metrics import add_process_metrics
from podium.client.kubeconfig import client_from_kubeconfig
from podium.cmd import component_serving, leading, log_flags
from podium.cmd.component_serving import Served, serving
from podium.cmd.feature_gates import add_feature_gates, chosen_gates
from podium.runtime.health import Checks
from podium.runtime.leader import LeaderMetrics
from podium.runtime.process import run_component

NAME = "kube-scheduler"
PORT = 10259


def main(argv: Sequence[str] | None = None) -> int:
    """Run the scheduler until it is told to stop; return its exit code."""
    made = parser()
    arguments = made.parse_args(argv)
    chosen_gates(made, arguments)
    if fault := leading.wrong(arguments) or component_serving.wrong(arguments):
        made.error(fault)
    log_flags.configure(arguments)

    async def run() -> None:
        await _run(arguments)

    return run_component(run)


def parser() -> argparse.ArgumentParser:
    """Return the command line's grammar."""
    made = argparse.ArgumentParser(prog=NAME, description=__doc__, allow_abbrev=False)
    made.add_argument("--kubeconfig", required=True, help="how to reach the API server")
    leading.add_flags(made, NAME)
    component_serving.add_flags(made, PORT)
    add_feature_gates(made)
    log_flags.add_flags(made)
    return made


async def _run(arguments: argparse.Namespace) -> None:
    # NumPy's linear algebra, of no use here, would keep a buffer and a thread for each core.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from podium.scheduler.scheduler import Scheduler  # noqa: PLC0415 - not before the line above

    registry = Registry()
    add_process_metrics(registry)
    client = client_from_kubeconfig(arguments.kubeconfig, user_agent=NAME, metrics=registry)
    scheduler = Scheduler(client, metrics=registry)
    leadership, checks = LeaderMetrics(registry), Checks()
    flags = log_flags.as_told(parser(), arguments)
    served = Served(registry=registry, checks=checks, documents={}, flags=flags)
    try:
        async with serving(arguments, NAME, client, served):
            await leading.lead(arguments, client, NAME, scheduler.run, metrics=leadership, checks=checks)
    finally:
        await client.close()


if __name__ == "__main__":
    sys.exit(main())
