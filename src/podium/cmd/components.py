"""Which processes make up a cluster, and the flags of each. Pure: reads no file, starts nothing."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from podium.cmd.credentials import FRONT_PROXY
from podium.cmd.layout import Cluster
from podium.cmd.supervisor import Component
from podium.kubelet import containerd

CLUSTER_DOMAIN = "cluster.local"


def _python(module: str, *flags: str) -> list[str]:
    return [sys.executable, "-m", f"podium.cmd.{module}", *flags]


def apiserver(cluster: Cluster) -> Component:
    pki = cluster.pki_dir
    # A control plane without real nodes has no reason to be reachable from outside.
    bind = "0.0.0.0" if cluster.nodes else "127.0.0.1"
    return Component(
        name="kube-apiserver",
        command=_python(
            "kube_apiserver",
            f"--secure-port={cluster.port}",
            f"--bind-address={bind}",
            f"--advertise-address={cluster.advertise_address}",
            "--storage-backend=sqlite",
            f"--storage-path={cluster.store_file}",
            f"--client-ca-file={pki / 'ca.crt'}",
            f"--tls-cert-file={pki / 'apiserver.crt'}",
            f"--tls-private-key-file={pki / 'apiserver.key'}",
            f"--service-account-key-file={pki / 'sa.pub'}",
            f"--service-account-signing-key-file={pki / 'sa.key'}",
            f"--service-account-issuer=https://kubernetes.default.svc.{CLUSTER_DOMAIN}",
            f"--service-cluster-ip-range={cluster.service_cidr}",
            f"--kubelet-certificate-authority={pki / 'ca.crt'}",
            f"--kubelet-client-certificate={pki / 'apiserver-kubelet-client.crt'}",
            f"--kubelet-client-key={pki / 'apiserver-kubelet-client.key'}",
            f"--requestheader-client-ca-file={pki / 'front-proxy-ca.crt'}",
            f"--requestheader-allowed-names={FRONT_PROXY}",
            f"--proxy-client-cert-file={pki / 'front-proxy-client.crt'}",
            f"--proxy-client-key-file={pki / 'front-proxy-client.key'}",
            # Services' own addresses need a kube-proxy on this machine, which simulated nodes do not have.
            "--enable-aggregator-routing=true",
            "--authorization-mode=Node,RBAC",
            *((f"--runtime-config={cluster.runtime_config}",) if cluster.runtime_config else ()),
        ),
    )


def controller_manager(cluster: Cluster) -> Component:
    return Component(
        name="kube-controller-manager",
        command=_python(
            "kube_controller_manager",
            f"--kubeconfig={cluster.component_kubeconfig('kube-controller-manager')}",
            f"--service-account-private-key-file={cluster.pki_dir / 'sa.key'}",
            f"--root-ca-file={cluster.pki_dir / 'ca.crt'}",
            f"--cluster-signing-cert-file={cluster.pki_dir / 'ca.crt'}",
            f"--cluster-signing-key-file={cluster.pki_dir / 'ca.key'}",
            f"--cluster-cidr={cluster.cluster_cidr}",
            "--allocate-node-cidrs=true",
            f"--service-cluster-ip-range={cluster.service_cidr}",
            f"--volume-provisioner=local-path,directory={cluster.volumes_dir.absolute()}",
            "--use-service-account-credentials=true",
            "--controllers=*,bootstrap-signer-controller,token-cleaner-controller",
            # One supervisor starts one of each: an election would only delay the start.
            "--leader-elect=false",
            "--secure-port=0",  # several clusters share a machine
            "--controller-shutdown-timeout=4s",  # the supervisor waits for eight
        ),
    )


def scheduler(cluster: Cluster) -> Component:
    return Component(
        name="kube-scheduler",
        command=_python(
            "kube_scheduler",
            f"--kubeconfig={cluster.component_kubeconfig('kube-scheduler')}",
            "--leader-elect=false",
            "--secure-port=0",
        ),
    )


def cloud_controller_manager(cluster: Cluster) -> Component:
    return Component(
        name="cloud-controller-manager",
        command=_python(
            "cloud_controller_manager",
            f"--kubeconfig={cluster.component_kubeconfig('cloud-controller-manager')}",
            "--cloud-provider=local",
            f"--local-load-balancer-range={cluster.load_balancer_cidr}",
            f"--cluster-name={cluster.name}",
            "--use-service-account-credentials=true",
            "--leader-elect=false",
            "--secure-port=0",
        ),
    )


def dns(cluster: Cluster) -> Component:
    return Component(
        name="podium-dns",
        command=_python(
            "podium_dns",
            f"--kubeconfig={cluster.component_kubeconfig('podium-dns')}",
            # Not every address: an answer over UDP would leave with the one of the pod's link, which the
            # pod did not ask.
            f"--bind-address={cluster.advertise_address}",
            f"--port={cluster.dns_port}",
            f"--advertise-address={cluster.advertise_address}",
            f"--cluster-domain={CLUSTER_DOMAIN}",
            f"--cluster-dns={cluster.dns_address}",
        ),
    )


def simulated_prefix(cluster: Cluster) -> str:
    """Return how the names of the cluster's simulated nodes begin."""
    return f"{cluster.name}-simulated"


def simulated_nodes(cluster: Cluster) -> Component:
    return Component(
        name="podium-simulate",
        command=_python(
            "simulate",
            f"--kubeconfig={cluster.component_kubeconfig('podium-simulate')}",
            f"--nodes={cluster.simulated_nodes}",
            f"--name-prefix={simulated_prefix(cluster)}",
            f"--tls-cert-file={cluster.pki_dir / 'podium-simulate-server.crt'}",
            f"--tls-private-key-file={cluster.pki_dir / 'podium-simulate-server.key'}",
        ),
    )


def containerd_node(cluster: Cluster, index: int, *, sandbox_image: str) -> containerd.ContainerdNode:
    """Return the description of a node's containerd, without its snapshotter, which must be tried out."""
    return containerd.ContainerdNode(
        root_dir=str(cluster.node_dir(index) / "containerd"),
        state_dir=str(cluster.node_run_dir(index) / "containerd"),
        socket=str(cluster.containerd_socket(index)),
        sandbox_image=sandbox_image,
        cni_conf_dir=cni_conf_dir(cluster, index),
    )


def cni_conf_dir(cluster: Cluster, index: int) -> str:
    return str(cluster.node_dir(index) / "cni")


def containerd_config(cluster: Cluster, index: int) -> str:
    return str(cluster.node_dir(index) / "containerd.toml")


def node(cluster: Cluster, index: int) -> Sequence[Component]:
    """Return the processes of one real node, in the order in which they start."""
    name, netns = cluster.node_name(index), cluster.netns(index)
    pki = cluster.pki_dir
    suffix = "" if cluster.nodes == 1 else f"-{index}"
    return (
        Component(
            name=f"containerd{suffix}",
            netns=netns,
            command=containerd.command(containerd_config(cluster, index)),
        ),
        Component(
            name=f"kubelet{suffix}",
            netns=netns,
            command=_python(
                "kubelet",
                f"--kubeconfig={cluster.component_kubeconfig(f'kubelet-{name}')}",
                f"--hostname-override={name}",
                f"--node-ip={cluster.node_address(index)}",
                f"--root-dir={cluster.node_dir(index) / 'kubelet'}",
                f"--container-runtime-endpoint=unix://{cluster.containerd_socket(index)}",
                f"--cluster-dns={cluster.dns_address}",
                f"--cluster-domain={CLUSTER_DOMAIN}",
                f"--cluster-cidr={cluster.cluster_cidr}",
                f"--port={cluster.kubelet_port(index)}",
                f"--tls-cert-file={pki / f'kubelet-{name}.crt'}",
                f"--tls-private-key-file={pki / f'kubelet-{name}.key'}",
                f"--client-ca-file={pki / 'ca.crt'}",
                f"--cni-conf-dir={cni_conf_dir(cluster, index)}",
                f"--network-name={cluster.nft_table('node', index)}",
                f"--cgroup-root={cluster.cgroup(index)}",
            ),
        ),
        Component(
            name=f"kube-proxy{suffix}",
            netns=netns,
            command=_python(
                "kube_proxy",
                f"--kubeconfig={cluster.component_kubeconfig(f'kube-proxy-{name}')}",
                f"--hostname-override={name}",
                f"--cluster-cidr={cluster.cluster_cidr}",
                f"--nft-table={cluster.nft_table('proxy', index)}",
            ),
        ),
    )
