"""kube-apiserver's flags about what it serves with: its certificate, also one of its own making."""

from __future__ import annotations

import argparse
import ipaddress
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from podium.base.log import Log

CERT_DIR = "/var/run/kubernetes"
PAIR_NAME = "apiserver"

_log = Log("kube-apiserver")


def add_flags(made: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    add = made.add_argument
    add("--tls-cert-file", default="", help="the server's certificate; without it one is made in --cert-dir")
    add("--tls-private-key-file", default="", help="its key")
    add(
        "--cert-dir",
        default=CERT_DIR,
        help="where the server's certificate is, if no file is named, and what else it has to make",
    )


def wrong(arguments: argparse.Namespace) -> str:
    """Return what is wrong with the flags taken together, "" when nothing is."""
    if bool(arguments.tls_cert_file) is not bool(arguments.tls_private_key_file):
        return "--tls-cert-file and --tls-private-key-file go together"
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairFiles:
    """The files of a certificate and its key."""

    certificate: str
    key: str


def serving_pair(arguments: argparse.Namespace, advertise_address: str) -> PairFiles:
    """Return the server's certificate and key; make them where the flags name none and none is there yet.

    Raises `OSError` when they cannot be written.
    """
    if arguments.tls_cert_file:
        return PairFiles(certificate=arguments.tls_cert_file, key=arguments.tls_private_key_file)
    folder = Path(arguments.cert_dir)
    pair = PairFiles(certificate=str(folder / f"{PAIR_NAME}.crt"), key=str(folder / f"{PAIR_NAME}.key"))
    readable = [os.access(path, os.R_OK) for path in (pair.certificate, pair.key)]
    if not all(readable):
        _make(pair, arguments, advertise_address)
        _log.info("made a self-signed certificate", certificate=pair.certificate, key=pair.key)
    return pair


def _make(pair: PairFiles, arguments: argparse.Namespace, advertise_address: str) -> None:
    """Write a certificate with the names that upstream gives its own, behind it its authority."""
    from podium.base import pki  # noqa: PLC0415 - loads `cryptography`

    bound = ipaddress.ip_address(arguments.bind_address)
    names = ["kubernetes.default.svc", "kubernetes.default", "kubernetes"]
    service = ipaddress.ip_network(arguments.service_cluster_ip_range)[1]
    addresses = [advertise_address, str(service)]
    if bound.is_unspecified:
        names.append("localhost")
    else:
        addresses.append(str(bound))
    stamp = int(datetime.now(UTC).timestamp())
    authority = pki.create_ca(f"{advertise_address}-ca@{stamp}", days=pki.LEAF_DAYS)
    leaf = pki.issue(
        authority,
        common_name=f"{advertise_address}@{stamp}",
        dns_names=names,
        ip_addresses=addresses,
        server=True,
    )
    pki.write_private(pair.key, leaf.key_pem)
    pki.write_public(pair.certificate, leaf.certificate_pem + authority.certificate_pem)
