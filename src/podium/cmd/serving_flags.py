"""kube-apiserver's flags about what it serves with: its certificates, also one of its own making."""

from __future__ import annotations

import argparse
import ipaddress
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from podium.base import cipher_suites
from podium.base.log import Log
from podium.cmd.serving_tls import PairFiles, ServingFiles

CERT_DIR = "/var/run/kubernetes"
PAIR_NAME = "apiserver"

_PORTS = range(65536)
"""0 is any that is free, which helps tests."""

_log = Log("kube-apiserver")


def add_flags(made: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    add = made.add_argument
    add("--tls-cert-file", default="", help="the server's certificate; without it one is made in --cert-dir")
    add("--tls-private-key-file", default="", help="its key")
    add(
        "--tls-sni-cert-key",
        action="append",
        default=[],
        metavar="CERTIFICATE,KEY[:NAME,...]",
        help="a certificate for those who ask for one of these hosts, such as *.example.com; without names "
        "those in the certificate; may be given several times",
    )
    add(
        "--permit-port-sharing",
        nargs="?",
        const="true",
        default="false",
        choices=("true", "false"),
        help="let other servers listen on the secure port too (SO_REUSEPORT)",
    )
    add("--tls-min-version", default="", help="VersionTLS12, which is the default, or VersionTLS13")
    add(
        "--tls-cipher-suites",
        default="",
        help="what TLS 1.2 is served with, comma-separated, in Go's words such as "
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    )
    add(
        "--cert-dir",
        default=CERT_DIR,
        help="where the server's certificate is, if no file is named, and what else it has to make",
    )


def wrong(arguments: argparse.Namespace) -> str:
    """Return what is wrong with the flags taken together, "" when nothing is."""
    if bool(arguments.tls_cert_file) is not bool(arguments.tls_private_key_file):
        return "--tls-cert-file and --tls-private-key-file go together"
    if arguments.secure_port not in _PORTS:
        return f"--secure-port {arguments.secure_port} must be between 1 and 65535, inclusive"
    suites = _names(arguments.tls_cipher_suites)
    for flag, read in (
        ("--tls-min-version", lambda: cipher_suites.minimum_version(arguments.tls_min_version)),
        ("--tls-cipher-suites", lambda: cipher_suites.openssl_names(suites)),
        ("--tls-sni-cert-key", lambda: [_named_pair(text) for text in arguments.tls_sni_cert_key]),
    ):
        try:
            read()
        except ValueError as error:
            return f"{flag}: {error}"
    for suite in cipher_suites.insecure(suites):
        print(f"kube-apiserver: --tls-cipher-suites: use of insecure cipher {suite}", file=sys.stderr)
    return ""


def serving_files(arguments: argparse.Namespace, advertise_address: str) -> ServingFiles:
    """Return what the flags, which are right, say. Raises `OSError` when a certificate cannot be made."""
    authorities = (arguments.client_ca_file, arguments.requestheader_client_ca_file)
    return ServingFiles(
        pair=_serving_pair(arguments, advertise_address),
        named=[_named_pair(text) for text in arguments.tls_sni_cert_key],
        authorities=[path for path in authorities if path],
        minimum_version=cipher_suites.minimum_version(arguments.tls_min_version),
        ciphers=cipher_suites.openssl_names(_names(arguments.tls_cipher_suites)),
    )


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _named_pair(text: str) -> PairFiles:
    """Return what an element of `--tls-sni-cert-key` says. Raises ValueError."""
    files, colon, names = text.partition(":")
    if colon and not names.strip():
        raise ValueError("empty names list is not allowed")
    parts = [part.strip() for part in files.split(",")]
    if len(parts) != 2:
        raise ValueError("expected comma separated certificate and key file paths")
    return PairFiles(certificate=parts[0], key=parts[1], names=_names(names))


def _serving_pair(arguments: argparse.Namespace, advertise_address: str) -> PairFiles:
    """Return the server's certificate and key; make them where the flags name none and none is there yet."""
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
