"""podium-simulate: nodes that run no containers, any number in one process."""

from __future__ import annotations

import argparse
import asyncio
import ssl
import sys
from collections.abc import Sequence

from podium.base import log as logs
from podium.base.http.server import Server
from podium.client.kubeconfig import client_from_kubeconfig
from podium.kubelet.simulate import Simulator, SimulatorSettings, serve
from podium.runtime.process import run_component


def main(argv: Sequence[str] | None = None) -> int:
    """Simulate nodes until told to stop; return the exit code. The nodes stay registered."""
    arguments = parser().parse_args(argv)
    logs.configure(verbosity=arguments.verbosity)
    return run_component(lambda: _run(arguments))


async def _run(arguments: argparse.Namespace) -> None:
    client = client_from_kubeconfig(arguments.kubeconfig, user_agent="podium-simulate")
    server = Server(serve)
    address, port = "", 0
    if arguments.tls_cert_file:
        await server.start(arguments.node_ip, arguments.port, _tls(arguments))
        address, port = arguments.node_ip, server.port
    settings = SimulatorSettings(
        nodes=arguments.nodes, name_prefix=arguments.name_prefix, address=address, port=port
    )
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(Simulator(client, settings).run())
    finally:
        await server.stop()
        await client.close()


def _tls(arguments: argparse.Namespace) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(arguments.tls_cert_file, arguments.tls_private_key_file)
    return context


def parser() -> argparse.ArgumentParser:
    """Return the command line's grammar."""
    made = argparse.ArgumentParser(prog="podium-simulate", description=__doc__, allow_abbrev=False)
    add = made.add_argument
    add("--kubeconfig", required=True, help="how to reach the API server")
    add("--nodes", type=int, required=True, metavar="N", help="how many nodes")
    add("--name-prefix", default="simulated", metavar="NAME", help="nodes are NAME-1 to NAME-N")
    add("--node-ip", default="127.0.0.1", metavar="IP", help="where logs are served, with a certificate")
    add("--port", type=int, default=0, help="the port for that (default: any)")
    add("--tls-cert-file", default="", help="serve logs (one line that says so) with this certificate")
    add("--tls-private-key-file", default="")
    add("-v", "--v", type=int, default=0, dest="verbosity", help="log verbosity")
    return made


if __name__ == "__main__":
    sys.exit(main())
