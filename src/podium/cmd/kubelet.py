"""kubelet: runs the pods that are bound to one node."""

from __future__ import annotations

import argparse
import os
import ssl
import sys
from collections.abc import Sequence
from pathlib import Path

from podium.cmd import log_flags
from podium.cmd.feature_gates import add_feature_gates, chosen_gates
from podium.runtime.process import run_component


def main(argv: Sequence[str] | None = None) -> int:
    """Run the kubelet until it is told to stop; return its exit code. Containers keep running."""
    made = parser()
    arguments = made.parse_args(argv)
    chosen_gates(made, arguments)
    log_flags.configure(arguments)
    # Else gRPC complains at each start of nft, which is an exec and no fork that lives on.
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    arguments.root_dir.mkdir(mode=0o750, parents=True, exist_ok=True)
    return run_component(lambda: _run(arguments))


async def _run(arguments: argparse.Namespace) -> None:
    import asyncio  # noqa: PLC0415

    from podium.base.http.server import Server  # noqa: PLC0415
    from podium.base.metrics import Registry  # noqa: PLC0415
    from podium.client.kubeconfig import client_from_kubeconfig  # noqa: PLC0415
    from podium.kubelet.cri.client import CriClient  # noqa: PLC0415
    from podium.kubelet.kubelet import Kubelet, KubeletSettings  # noqa: PLC0415
    from podium.kubelet.network import NetworkSettings  # noqa: PLC0415
    from podium.kubelet.server import KubeletServer  # noqa: PLC0415

    runtime = CriClient(arguments.container_runtime_endpoint)
    settings = KubeletSettings(
        node_name=arguments.hostname_override,
        node_ips=tuple(arguments.node_ip.split(",")),
        root_dir=arguments.root_dir.resolve(),
        port=arguments.port,
        network=NetworkSettings(
            name=arguments.network_name,
            cni_conf_dir=arguments.cni_conf_dir,
            state_dir=arguments.root_dir.resolve(),
            cluster_cidr=arguments.cluster_cidr,
        ),
        cluster_dns=tuple(ip for ip in arguments.cluster_dns.split(",") if ip),
        cluster_domain=arguments.cluster_domain,
        cgroup_root=arguments.cgroup_root or arguments.network_name,
        external_cloud=arguments.cloud_provider == "external",
    )
    figures = Registry()
    client = client_from_kubeconfig(
        arguments.kubeconfig, user_agent="kubelet/v1.36.2 (linux/amd64)", metrics=figures
    )
    kubelet = Kubelet(client, runtime, settings)
    server = Server(KubeletServer(kubelet, figures).handle)
    try:
        await server.start(arguments.address, arguments.port, _server_tls(arguments))
        async with asyncio.TaskGroup() as group:
            group.create_task(kubelet.run())
    finally:
        await server.stop()
        await runtime.close()
        await client.close()


def _server_tls(arguments: argparse.Namespace) -> ssl.SSLContext:
    """Serve TLS, and ask for a certificate signed by the cluster's authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(arguments.tls_cert_file, arguments.tls_private_key_file)
    context.load_verify_locations(arguments.client_ca_file)
    # Optional, so that /healthz answers without one; everything else asks for it.
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


def parser() -> argparse.ArgumentParser:
    """Return the command line's grammar."""
    made = argparse.ArgumentParser(prog="kubelet", description=__doc__, allow_abbrev=False)
    add = made.add_argument
    add("--kubeconfig", required=True, help="how to reach the API server")
    add("--hostname-override", required=True, metavar="NODE", help="this node's name")
    add("--node-ip", required=True, metavar="IP", help="this node's address")
    add("--root-dir", type=Path, default=Path("/var/lib/kubelet"), help="where pods' files are kept")
    add("--container-runtime-endpoint", required=True, help="the CRI socket, unix:///...")
    add("--cluster-dns", default="", metavar="IP", help="the cluster's DNS server")
    add("--cluster-domain", default="cluster.local", help="the cluster's DNS domain")
    add("--cluster-cidr", default="", help="where all pods' addresses are: not masqueraded among each other")
    add("--port", type=int, default=10250, help="where the kubelet's API is served")
    add("--address", default="0.0.0.0", help="the address to serve on")
    add("--tls-cert-file", required=True)
    add("--tls-private-key-file", required=True)
    add("--client-ca-file", required=True, help="the authority whose clients are served")
    add("--cni-conf-dir", type=Path, required=True, help="where the node's network configuration is written")
    add("--network-name", default="podium", help="names the pod network and its nftables table")
    add("--cgroup-root", default="", help="the cgroup that holds the pods' (default: the network's name)")
    add(
        "--cloud-provider",
        choices=("", "external"),
        default="",
        help="`external`: a cloud-controller-manager says what this node is, and no pod comes before it has",
    )
    add_feature_gates(made)
    log_flags.add_flags(made)
    return made


if __name__ == "__main__":
    sys.exit(main())
