"""The flags of kube-apiserver that are about aggregation: front proxies it trusts, servers it is one for."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import orjson

from podium.apiserver.authn.issued import Bundle
from podium.apiserver.authn.request_header import RequestHeaderOptions
from podium.apiserver.server import Aggregation

USERNAME_HEADERS = "X-Remote-User"
UID_HEADERS = "X-Remote-Uid"
GROUP_HEADERS = "X-Remote-Group"
EXTRA_PREFIX = "X-Remote-Extra-"


def add_aggregation(made: argparse.ArgumentParser) -> None:
    add = made.add_argument
    add("--requestheader-client-ca-file", default="", help="authorities of front proxies' certificates")
    add("--requestheader-allowed-names", default="", help="their common names, comma-separated; empty: any")
    add(
        "--requestheader-username-headers",
        default=USERNAME_HEADERS,
        help="headers in which front proxies name the user, comma-separated",
    )
    add("--requestheader-uid-headers", default=UID_HEADERS, help="headers with the user's uid")
    add("--requestheader-group-headers", default=GROUP_HEADERS, help="headers with the user's groups")
    add(
        "--requestheader-extra-headers-prefix",
        default=EXTRA_PREFIX,
        help="beginnings of headers with more about the user",
    )
    add("--proxy-client-cert-file", default="", help="certificate shown to extension API servers")
    add("--proxy-client-key-file", default="", help="its key")
    for flag, default, text in (
        ("--enable-aggregator-routing", "false", "reach Services by their endpoints, not by their address"),
        ("--aggregator-reject-forwarding-redirect", "true", "do not hand on redirects of extension servers"),
    ):
        add(flag, nargs="?", const="true", default=default, choices=("true", "false"), help=text)


def wrong_aggregation(arguments: argparse.Namespace) -> str:
    """Return what is wrong with the flags, "" when nothing is."""
    if bool(arguments.proxy_client_cert_file) is not bool(arguments.proxy_client_key_file):
        return "--proxy-client-cert-file and --proxy-client-key-file go together"
    return ""


def request_header(arguments: argparse.Namespace) -> RequestHeaderOptions | None:
    """Return which front proxies to believe, their authorities yet to be read; None for none at all."""
    if not arguments.requestheader_client_ca_file:
        return None
    return RequestHeaderOptions(
        client_ca=Bundle(),
        allowed_names=_names(arguments.requestheader_allowed_names),
        username_headers=_names(arguments.requestheader_username_headers),
        uid_headers=_names(arguments.requestheader_uid_headers),
        group_headers=_names(arguments.requestheader_group_headers),
        extra_prefixes=_names(arguments.requestheader_extra_headers_prefix),
    )


def front_proxies(options: RequestHeaderOptions | None) -> dict[str, str]:
    """Return what extension servers are told of front proxies: entries of their ConfigMap."""
    if options is None:
        return {}
    entries = {
        "requestheader-allowed-names": _json(options.allowed_names),
        "requestheader-client-ca-file": options.client_ca.pem.decode(),
        "requestheader-extra-headers-prefix": _json(options.extra_prefixes),
        "requestheader-group-headers": _json(options.group_headers),
        "requestheader-username-headers": _json(options.username_headers),
    }
    if options.uid_headers:
        entries["requestheader-uid-headers"] = _json(options.uid_headers)
    return entries


def aggregation(arguments: argparse.Namespace, options: RequestHeaderOptions | None) -> Aggregation:
    headers: Sequence[str] = ()
    if options is not None:
        headers = (
            *options.username_headers,
            *options.uid_headers,
            *options.group_headers,
            *options.extra_prefixes,
        )
    return Aggregation(
        to_endpoints=arguments.enable_aggregator_routing == "true",
        certificate_file=arguments.proxy_client_cert_file,
        key_file=arguments.proxy_client_key_file,
        reject_redirects=arguments.aggregator_reject_forwarding_redirect == "true",
        identity_headers=tuple(header.lower() for header in headers),
    )


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _json(names: Sequence[str]) -> str:
    return orjson.dumps(list(names)).decode()
