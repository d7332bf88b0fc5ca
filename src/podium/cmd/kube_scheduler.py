"""kube-scheduler: finds a node for every pod that has none."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from podium.base import log as logs
from podium.base.metrics import Registry
from podium.base.process_metrics import add_process_metrics
from podium.client.kubeconfig import client_from_kubeconfig
from podium.cmd import leading
from podium.cmd.feature_gates import add_feature_gates, chosen_gates
from podium.runtime.process import run_component
from podium.runtime.serving import add_flags, serving

NAME = "kube-scheduler"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the scheduler until it is told to stop; return its exit code."""
    made = parser()
    arguments = made.parse_args(argv)
    chosen_gates(made, arguments)
    logs.configure(verbosity=arguments.verbosity)

    async def run() -> None:
        await _run(arguments)

    return run_component(run)


def parser() -> argparse.ArgumentParser:
    """Return the command line's grammar."""
    made = argparse.ArgumentParser(prog=NAME, description=__doc__, allow_abbrev=False)
    made.add_argument("--kubeconfig", required=True, help="how to reach the API server")
    leading.add_flags(made)
    add_flags(made)
    add_feature_gates(made)
    made.add_argument("-v", "--v", type=int, default=0, dest="verbosity")
    return made


async def _run(arguments: argparse.Namespace) -> None:
    # NumPy's linear algebra, of no use here, would keep a buffer and a thread for each core.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from podium.scheduler.scheduler import Scheduler  # noqa: PLC0415 - not before the line above

    registry = Registry()
    add_process_metrics(registry)
    client = client_from_kubeconfig(arguments.kubeconfig, user_agent=NAME, metrics=registry)
    scheduler = Scheduler(client, metrics=registry)
    try:
        async with serving(arguments, NAME, registry, client):
            await leading.lead(arguments, client, NAME, scheduler.run)
    finally:
        await client.close()


if __name__ == "__main__":
    sys.exit(main())
