"""podium-dns: cluster DNS, as a process beside the nodes' own."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence

from podium.base import log as logs
from podium.client.kubeconfig import client_from_kubeconfig
from podium.dns import follow
from podium.dns.server import DnsServer
from podium.dns.zone import Zone
from podium.runtime.process import run_component


def parser() -> argparse.ArgumentParser:
    """Return the command line's grammar."""
    made = argparse.ArgumentParser(prog="podium-dns", description=__doc__, allow_abbrev=False)
    made.add_argument("--kubeconfig", required=True, help="how to reach the API server")
    made.add_argument("--bind-address", default="0.0.0.0", help="where to listen")
    made.add_argument("--port", type=int, default=10053, help="the UDP and TCP port")
    made.add_argument("--advertise-address", required=True, help="where nodes reach this server")
    made.add_argument("--cluster-domain", default="cluster.local", help="the cluster's zone")
    made.add_argument("--cluster-dns", default="10.96.0.10", help="the kube-dns Service's ClusterIP")
    made.add_argument("-v", "--v", type=int, default=0, dest="verbosity")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Run the DNS server until it is told to stop; return its exit code."""
    arguments = parser().parse_args(argv)
    logs.configure(verbosity=arguments.verbosity)

    async def run() -> None:
        client = client_from_kubeconfig(arguments.kubeconfig, user_agent="podium-dns")
        zone = Zone(arguments.cluster_domain)
        follower = follow.Follower(client, zone)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(follower.run())
            # Before the zone is whole, "no such name" would be a lie that resolvers remember.
            await follower.wait_synced()
            server = DnsServer(zone)
            await server.start(arguments.bind_address, arguments.port)
            await follow.publish(
                client,
                follow.published(
                    cluster_ip=arguments.cluster_dns,
                    address=arguments.advertise_address,
                    port=server.port,
                ),
            )

    return run_component(run)


if __name__ == "__main__":
    sys.exit(main())
