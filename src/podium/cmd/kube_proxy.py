"""kube-proxy: services become nftables rules on one node."""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import socket
import sys
from collections.abc import Sequence

from podium.client.kubeconfig import client_from_kubeconfig
from podium.cmd import log_flags
from podium.cmd.feature_gates import add_feature_gates, chosen_gates
from podium.kubelet.node_routes import NodeRoutes
from podium.proxy import nftables, proxier
from podium.runtime.process import run_component


def parser() -> argparse.ArgumentParser:
    """Return the command line's grammar."""
    made = argparse.ArgumentParser(prog="kube-proxy", description=__doc__, allow_abbrev=False)
    made.add_argument("--kubeconfig", help="how to reach the API server")
    made.add_argument("--hostname-override", default=socket.gethostname().lower(), help="this node's name")
    made.add_argument("--cluster-cidr", type=_cidr, default="10.244.0.0/16", help="where pod addresses are")
    made.add_argument("--nft-table", default="podium-proxy", help="the nftables table to keep")
    made.add_argument("--cleanup", action="store_true", help="remove the table and exit")
    add_feature_gates(made)
    log_flags.add_flags(made)
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Run kube-proxy until it is told to stop; return its exit code."""
    made = parser()
    arguments = made.parse_args(argv)
    chosen_gates(made, arguments)
    log_flags.configure(arguments)
    if arguments.cleanup:
        try:
            asyncio.run(proxier.nft(nftables.removal(arguments.nft_table)))
        except (proxier.NftFailed, OSError) as error:
            print(f"kube-proxy: {error}", file=sys.stderr)
            return 1
        return 0
    if not arguments.kubeconfig:
        made.error("--kubeconfig is required")

    async def run() -> None:
        client = client_from_kubeconfig(arguments.kubeconfig, user_agent="kube-proxy")
        proxy = proxier.Proxier(
            client,
            node=arguments.hostname_override,
            table=arguments.nft_table,
            cluster_cidr=arguments.cluster_cidr,
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(proxy.run())
            # Not kube-proxy's by its name, but of all the node's processes this one may read all Nodes.
            group.create_task(NodeRoutes(client, node_name=arguments.hostname_override).run())

    return run_component(run)


def _cidr(text: str) -> str:
    # Its text goes into packet filter rules as it is.
    return str(ipaddress.IPv4Network(text))


if __name__ == "__main__":
    sys.exit(main())
