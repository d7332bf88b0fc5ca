"""kube-apiserver's flags about its connections to kubelets."""

from __future__ import annotations

import argparse
import ssl
from collections.abc import Callable

from podium.apiserver.streaming.location import ADDRESS_TYPES
from podium.base.clock import Clock
from podium.base.file_changes import follow
from podium.base.log import Log

_TYPES = frozenset({"Hostname", "InternalDNS", "InternalIP", "ExternalDNS", "ExternalIP"})

_log = Log("kube-apiserver")


def add_flags(made: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    add = made.add_argument
    add("--kubelet-certificate-authority", default="", help="authorities of kubelets' certificates")
    add("--kubelet-client-certificate", default="", help="certificate shown to kubelets")
    add("--kubelet-client-key", default="", help="its key")
    add(
        "--kubelet-preferred-address-types",
        default=",".join(ADDRESS_TYPES),
        help="which of a node's addresses to connect to, comma-separated, the first that it has",
    )


def wrong(arguments: argparse.Namespace) -> str:
    """Return what is wrong with the flags, "" when nothing is."""
    if bool(arguments.kubelet_client_certificate) is not bool(arguments.kubelet_client_key):
        return "--kubelet-client-certificate and --kubelet-client-key go together"
    if unknown := [one for one in address_types(arguments) if one not in _TYPES]:
        return f"--kubelet-preferred-address-types: unknown {', '.join(unknown)}"
    return ""


def address_types(arguments: argparse.Namespace) -> list[str]:
    return [one.strip() for one in arguments.kubelet_preferred_address_types.split(",") if one.strip()]


def kubelet_tls(arguments: argparse.Namespace) -> ssl.SSLContext:
    """Return the context of connections to kubelets. Raises ValueError that names the file."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    authority = arguments.kubelet_certificate_authority
    if authority:
        try:
            context.load_verify_locations(authority)
        except OSError as error:
            raise ValueError(f"--kubelet-certificate-authority: {authority}: {error}") from None
    else:
        # As upstream without this flag: the API server then believes whoever answers at a node's address.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    certificate, key = arguments.kubelet_client_certificate, arguments.kubelet_client_key
    if certificate:
        try:
            context.load_cert_chain(certificate, key)
        except OSError as error:  # ssl.SSLError too
            raise ValueError(f"--kubelet-client-certificate: {certificate}, {key}: {error}") from None
    return context


async def follow_files(
    arguments: argparse.Namespace, replace: Callable[[ssl.SSLContext], None], clock: Clock
) -> None:
    """For ever, hand over a new context when one of the files has changed."""
    paths = [
        arguments.kubelet_certificate_authority,
        arguments.kubelet_client_certificate,
        arguments.kubelet_client_key,
    ]

    async def changed() -> bool:
        try:
            context = kubelet_tls(arguments)
        except ValueError:
            return False  # Perhaps a certificate whose key is not there yet.
        _log.info("the certificates for kubelets have changed")
        replace(context)
        return True

    await follow([path for path in paths if path], changed, clock=clock)
