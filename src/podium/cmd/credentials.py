"""The cluster's keys, certificates and kubeconfigs: made when missing, replaced before they expire."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from podium.base import pki
from podium.cmd.layout import Cluster

RENEW_BEFORE_DAYS = 30.0
FRONT_PROXY = "front-proxy-client"
"""As whom the API server speaks to extension API servers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Identity:
    """Who a component is towards the API server."""

    file: str
    common_name: str
    organizations: tuple[str, ...] = ()


ADMIN = _Identity(file="admin", common_name="kubernetes-admin", organizations=("system:masters",))
_COMPONENTS = (
    _Identity(file="kube-controller-manager", common_name="system:kube-controller-manager"),
    _Identity(file="cloud-controller-manager", common_name="system:cloud-controller-manager"),
    _Identity(file="kube-scheduler", common_name="system:kube-scheduler"),
    _Identity(file="kube-proxy", common_name="system:kube-proxy"),
    _Identity(file="podium-dns", common_name="system:podium-dns"),
    # Simulated nodes act for any number of nodes, which no node's own identity may.
    _Identity(
        file="podium-simulate", common_name="system:podium-simulate", organizations=("system:masters",)
    ),
)


def ensure(cluster: Cluster) -> None:
    """Make every file that the cluster's components read. Existing valid ones are kept."""
    directory = cluster.pki_dir
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    ca = _authority(directory, "ca", "kubernetes")
    _signing_keys(directory)
    # fmt: off
    server_names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc",
                    "kubernetes.default.svc.cluster.local", "localhost", socket.gethostname()]
    # fmt: on
    server_addresses = sorted({"127.0.0.1", "::1", cluster.kubernetes_address, cluster.advertise_address})
    _certificate(ca, directory / "apiserver", "kube-apiserver", server_names, server_addresses)
    kubelet_client = _Identity(
        file="apiserver-kubelet-client",
        common_name="kube-apiserver-kubelet-client",
        organizations=("system:masters",),
    )
    _certificate_for(ca, directory / kubelet_client.file, kubelet_client)
    # An authority of its own: whoever bears one of its certificates may speak for every user.
    front_proxies = _authority(directory, "front-proxy-ca")
    _certificate_for(
        front_proxies, directory / FRONT_PROXY, _Identity(file=FRONT_PROXY, common_name=FRONT_PROXY)
    )

    _write_kubeconfig(cluster, ca, cluster.kubeconfig, ADMIN, cluster.server_url)
    for identity in _COMPONENTS:
        _component_kubeconfig(cluster, ca, identity, cluster.server_url)
    _certificate(ca, directory / "podium-simulate-server", "podium-simulate", [], ["127.0.0.1"])
    for index in cluster.node_indexes:
        name, address = cluster.node_name(index), cluster.node_address(index)
        node = _Identity(
            file=f"kubelet-{name}", common_name=f"system:node:{name}", organizations=("system:nodes",)
        )
        url = cluster.node_server_url(index)
        _component_kubeconfig(cluster, ca, node, url)
        proxy = _Identity(file=f"kube-proxy-{name}", common_name="system:kube-proxy")
        _component_kubeconfig(cluster, ca, proxy, url)
        _certificate(ca, directory / f"kubelet-{name}", f"system:node:{name}", [name], [address])


def _authority(directory: Path, stem: str, common_name: str = "") -> pki.KeyPair:
    certificate, key = directory / f"{stem}.crt", directory / f"{stem}.key"
    if certificate.exists() and key.exists():
        ca = pki.KeyPair(certificate_pem=certificate.read_bytes(), key_pem=key.read_bytes())
        if not pki.expires_within(ca.certificate_pem, RENEW_BEFORE_DAYS):
            return ca
    ca = pki.create_ca(common_name or stem)
    pki.write_private(key, ca.key_pem)
    pki.write_public(certificate, ca.certificate_pem)
    return ca


def _signing_keys(directory: Path) -> None:
    private, public = directory / "sa.key", directory / "sa.pub"
    if not private.exists():
        pki.write_private(private, pki.create_signing_key())
    if not public.exists():
        pki.write_public(public, pki.public_key(private.read_bytes()))


def _is_good(certificate_pem: bytes, ca: pki.KeyPair, names: Sequence[str]) -> bool:
    return (
        not pki.expires_within(certificate_pem, RENEW_BEFORE_DAYS)
        and pki.issued_by(certificate_pem, ca.certificate_pem)
        and (not names or pki.covers(certificate_pem, names))
    )


def _certificate(
    ca: pki.KeyPair, stem: Path, common_name: str, dns_names: Sequence[str], addresses: Sequence[str]
) -> None:
    """Have a serving certificate at `stem`.crt with its key at `stem`.key."""
    certificate, key = stem.with_name(stem.name + ".crt"), stem.with_name(stem.name + ".key")
    if (
        certificate.exists()
        and key.exists()
        and _is_good(certificate.read_bytes(), ca, [*dns_names, *addresses])
    ):
        return
    pair = pki.issue(ca, common_name=common_name, dns_names=dns_names, ip_addresses=addresses, server=True)
    pki.write_private(key, pair.key_pem)
    pki.write_public(certificate, pair.certificate_pem)


def _certificate_for(ca: pki.KeyPair, stem: Path, identity: _Identity) -> None:
    """Have a client certificate at `stem`.crt with its key at `stem`.key."""
    certificate, key = stem.with_name(stem.name + ".crt"), stem.with_name(stem.name + ".key")
    if certificate.exists() and key.exists() and _is_good(certificate.read_bytes(), ca, ()):
        return
    pair = _issue_client(ca, identity)
    pki.write_private(key, pair.key_pem)
    pki.write_public(certificate, pair.certificate_pem)


def _issue_client(ca: pki.KeyPair, identity: _Identity) -> pki.KeyPair:
    return pki.issue(ca, common_name=identity.common_name, organizations=identity.organizations, client=True)


def _component_kubeconfig(cluster: Cluster, ca: pki.KeyPair, identity: _Identity, url: str) -> None:
    path = cluster.component_kubeconfig(identity.file)
    _write_kubeconfig(cluster, ca, path, identity, url)


def _write_kubeconfig(cluster: Cluster, ca: pki.KeyPair, path: Path, identity: _Identity, url: str) -> None:
    if path.exists():
        current = json.loads(path.read_bytes())
        certificate = base64.b64decode(current["users"][0]["user"]["client-certificate-data"])
        same_server = current["clusters"][0]["cluster"]["server"] == url
        if same_server and current["current-context"] == cluster.context and _is_good(certificate, ca, ()):
            return
    pair = _issue_client(ca, identity)
    pki.write_private(path, json.dumps(kubeconfig(cluster.context, url, ca, pair), indent=2).encode() + b"\n")


def kubeconfig(context: str, url: str, ca: pki.KeyPair, client: pki.KeyPair) -> dict[str, Any]:
    """Return a kubeconfig of one context. It is written as JSON, which is YAML too and reads faster."""

    def data(pem: bytes) -> str:
        return base64.b64encode(pem).decode()

    user = f"{context}-admin"
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": context,
                "cluster": {"server": url, "certificate-authority-data": data(ca.certificate_pem)},
            }
        ],
        "users": [
            {
                "name": user,
                "user": {
                    "client-certificate-data": data(client.certificate_pem),
                    "client-key-data": data(client.key_pem),
                },
            }
        ],
        "contexts": [{"name": context, "context": {"cluster": context, "user": user}}],
        "current-context": context,
    }
