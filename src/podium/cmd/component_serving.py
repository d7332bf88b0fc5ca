"""What a component other than the API server serves: its flags, its certificate, and who it believes.

Upstream: apiserver/pkg/server/options (SecureServing, DelegatingAuthentication, DelegatingAuthorization).
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import orjson

from podium.base import cipher_suites
from podium.base.clock import WallClock
from podium.base.http.door import Contexts
from podium.base.http.message import Request
from podium.base.http.server import Server
from podium.base.log import Log
from podium.base.metrics import Registry
from podium.client.client import Client
from podium.client.kubeconfig import client_from_kubeconfig
from podium.cmd.durations import duration_s
from podium.cmd.flag_types import boolean, names
from podium.cmd.log_flags import VERSION
from podium.cmd.serving_tls import Following, PairFiles, ServingFiles, contexts
from podium.machinery.errors import ApiError, Object
from podium.resources.core.configmaps import CONFIGMAPS
from podium.runtime.health import Checks
from podium.runtime.serving import ALWAYS_ALLOWED, DECISION_KEPT_S, Access, ComponentServer, Identify, Who
from podium.runtime.zpages import flagz, statusz

if TYPE_CHECKING:
    from podium.apiserver.authn.certificate import CertificateAuthenticator
    from podium.apiserver.authn.request_header import RequestHeaderAuthenticator

    Authenticator = CertificateAuthenticator | RequestHeaderAuthenticator

LOOKED_UP = "extension-apiserver-authentication"
"""The ConfigMap in kube-system in which the API server says whom it believes."""
_FRONT_PROXY_FLAGS = {
    "allowed_names": "",
    "username_headers": "x-remote-user",
    "uid_headers": "",
    "group_headers": "x-remote-group",
    "extra_headers_prefix": "x-remote-extra-",
}

_log = Log("podium.serving")


def add_flags(parser: argparse.ArgumentParser, port: int) -> None:
    """Add upstream's flags of a component's server, which listens on `port` unless told otherwise."""
    add = parser.add_argument
    add("--secure-port", type=int, default=port, help="port for health and metrics over HTTPS; 0: none")
    add("--bind-address", default="0.0.0.0", help="address of that port")
    add("--tls-cert-file", default="", help="its certificate; made when it is missing")
    add("--tls-private-key-file", default="", help="its certificate's key")
    add("--cert-dir", default="", help="where the certificate is kept that is made; empty: nowhere")
    add("--tls-min-version", default="", help="VersionTLS12, which is the default, or VersionTLS13")
    add("--tls-cipher-suites", type=names, default=[], help="what TLS 1.2 is served with, in Go's words")
    add("--client-ca-file", default="", help="authorities of client certificates")
    add("--requestheader-client-ca-file", default="", help="authorities of front proxies' certificates")
    for flag, default in _FRONT_PROXY_FLAGS.items():
        name = flag.replace("_", "-")
        add(f"--requestheader-{name}", type=names, default=names(default), help=f"front proxies' {name}")
    add("--authentication-kubeconfig", default="", help="in whose name tokens are reviewed; empty: its own")
    add("--authorization-kubeconfig", default="", help="in whose name access is reviewed; empty: its own")
    add(
        "--authentication-skip-lookup",
        type=boolean,
        nargs="?",
        const=True,
        default=False,
        help=f"do not ask the API server (ConfigMap {LOOKED_UP}) which authorities to believe",
    )
    add(
        "--authentication-tolerate-lookup-failure",
        type=boolean,
        nargs="?",
        const=True,
        default=True,
        help="serve without those authorities where they cannot be looked up",
    )
    add(
        "--authentication-token-webhook-cache-ttl",
        type=duration_s,
        default=DECISION_KEPT_S,
        help="how long it is remembered whose a token is",
    )
    add(
        "--authorization-webhook-cache-authorized-ttl",
        type=duration_s,
        default=DECISION_KEPT_S,
        help="how long it is remembered that somebody may",
    )
    add(
        "--authorization-webhook-cache-unauthorized-ttl",
        type=duration_s,
        default=DECISION_KEPT_S,
        help="how long it is remembered that somebody may not",
    )
    add(
        "--authorization-always-allow-paths",
        type=names,
        default=list(ALWAYS_ALLOWED),
        help="paths that everybody may read",
    )


def wrong(arguments: argparse.Namespace) -> str:
    """Return what is wrong with the flags, "" when nothing is."""
    for flag, read in (
        ("--tls-min-version", lambda: cipher_suites.minimum_version(arguments.tls_min_version)),
        ("--tls-cipher-suites", lambda: cipher_suites.openssl_names(arguments.tls_cipher_suites)),
    ):
        try:
            read()
        except ValueError as error:
            return f"{flag}: {error}"
    if not 0 <= arguments.secure_port <= 65535:
        return (
            f"--secure-port {arguments.secure_port} must be between 0 and 65535, inclusive. "
            "0 for turning off secure port"
        )
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What a component has to show."""

    registry: Registry
    checks: Checks
    documents: Mapping[str, Callable[[], Object]]
    """JSON by path, such as /configz."""
    flags: Mapping[str, str]
    """The command line, for /flagz."""


@asynccontextmanager
async def serving(
    arguments: argparse.Namespace, name: str, client: Client, served: Served
) -> AsyncIterator[None]:
    """Serve while the block runs, if the command line asks for it."""
    if not arguments.secure_port:
        yield
        return
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="podium-")))
        trust = await _trust(arguments, client, folder)
        access = await _access(arguments, trust, stack)
        server = Server(_component_server(name, client, served, access).handler)
        files = _files(arguments, name, trust, folder)
        await server.start(arguments.bind_address, arguments.secure_port, contexts(files))
        stack.push_async_callback(server.stop)
        following = asyncio.create_task(Following(files=files, replace=_replacer(server)).run(WallClock()))
        stack.callback(following.cancel)
        _log.info("serving", address=arguments.bind_address, port=server.port)
        yield


def _component_server(name: str, client: Client, served: Served, access: Access) -> ComponentServer:
    server = ComponentServer(served.registry, client, checks=served.checks, access=access)
    for path, make in served.documents.items():
        server.add_document(path, make)
    pages = {
        "/statusz": statusz(name, VERSION, WallClock(), server.paths),
        "/flagz": flagz(name, served.flags),
    }
    for path, page in pages.items():
        server.add_page(path, page.answer)
    return server


def _replacer(server: Server) -> Callable[[Contexts, bool], Awaitable[None]]:
    async def replace(made: Contexts, authorities: bool) -> None:
        server.replace_tls(made, certified_again=authorities)

    return replace


# Whom to believe


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trust:
    """Files with authorities, "" for none, and what front proxies may say."""

    clients: str
    front_proxies: str
    headers: Mapping[str, list[str]]


async def _trust(arguments: argparse.Namespace, client: Client, folder: Path) -> _Trust:
    """Return what the flags say, and for what they leave open what the API server says."""
    clients, front = arguments.client_ca_file, arguments.requestheader_client_ca_file
    headers = {flag: getattr(arguments, f"requestheader_{flag}") for flag in _FRONT_PROXY_FLAGS}
    if (clients and front) or arguments.authentication_skip_lookup:
        return _Trust(clients=clients, front_proxies=front, headers=headers)
    try:
        found = (await client.get(CONFIGMAPS, LOOKED_UP, "kube-system")).get("data") or {}
    except (ApiError, ConnectionError, TimeoutError, OSError) as error:
        if not arguments.authentication_tolerate_lookup_failure:
            raise
        _log.warning("authorities of clients not looked up: their certificates are not believed", error=error)
        found = {}
    if not clients and found.get("client-ca-file"):
        clients = _write(folder / "clients.crt", found["client-ca-file"])
    if not front and found.get("requestheader-client-ca-file"):
        front = _write(folder / "front-proxies.crt", found["requestheader-client-ca-file"])
        for flag in _FRONT_PROXY_FLAGS:
            headers[flag] = orjson.loads(found.get(f"requestheader-{flag.replace('_', '-')}") or "[]")
    return _Trust(clients=clients, front_proxies=front, headers=headers)


def _write(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


async def _access(arguments: argparse.Namespace, trust: _Trust, stack: AsyncExitStack) -> Access:
    def client(path: str) -> Client | None:
        if not path:
            return None
        made = client_from_kubeconfig(path, user_agent="podium-delegated")
        stack.push_async_callback(made.close)
        return made

    return Access(
        identify=_identifier(trust),
        token_kept_s=arguments.authentication_token_webhook_cache_ttl,
        allowed_kept_s=arguments.authorization_webhook_cache_authorized_ttl,
        denied_kept_s=arguments.authorization_webhook_cache_unauthorized_ttl,
        always_allowed=arguments.authorization_always_allow_paths,
        token_client=client(arguments.authentication_kubeconfig),
        access_client=client(arguments.authorization_kubeconfig),
    )


def _identifier(trust: _Trust) -> Identify:
    authenticators: list[Authenticator] = []

    async def identify(request: Request) -> Who | None:
        if request.peer_certificate is None:
            return None
        if not authenticators:
            authenticators.extend(_authenticators(trust))
        for authenticator in authenticators:
            user = await authenticator.authenticate(request)
            if user is not None:
                return Who(name=user.name, uid=user.uid, groups=user.groups, extra=user.extra)
        return None

    return identify


def _authenticators(trust: _Trust) -> Iterator[Authenticator]:
    """Loaded when the first certificate is shown: a component is hardly ever asked with one."""
    from podium.apiserver.authn.certificate import CertificateAuthenticator  # noqa: PLC0415
    from podium.apiserver.authn.issued import Authorities, Bundle  # noqa: PLC0415
    from podium.apiserver.authn.request_header import (  # noqa: PLC0415
        RequestHeaderAuthenticator,
        RequestHeaderOptions,
    )

    clients, front = (
        Bundle(Path(path).read_bytes() if path else b"") for path in (trust.clients, trust.front_proxies)
    )
    if trust.front_proxies:
        options = RequestHeaderOptions(
            client_ca=front,
            allowed_names=trust.headers["allowed_names"],
            username_headers=trust.headers["username_headers"],
            uid_headers=trust.headers["uid_headers"],
            group_headers=trust.headers["group_headers"],
            extra_prefixes=trust.headers["extra_headers_prefix"],
        )
        yield RequestHeaderAuthenticator(options, Authorities(front, clients))
    if trust.clients:
        yield CertificateAuthenticator(authorities=Authorities(clients, front))


# What to serve with


def _files(arguments: argparse.Namespace, name: str, trust: _Trust, folder: Path) -> ServingFiles:
    return ServingFiles(
        pair=_pair(arguments, name, folder),
        authorities=[path for path in (trust.clients, trust.front_proxies) if path],
        minimum_version=cipher_suites.minimum_version(arguments.tls_min_version),
        ciphers=cipher_suites.openssl_names(arguments.tls_cipher_suites),
    )


def _pair(arguments: argparse.Namespace, name: str, folder: Path) -> PairFiles:
    """Return the certificate and key of the flags; else those in the directory, made where missing."""
    if arguments.tls_cert_file:
        key = arguments.tls_private_key_file or arguments.tls_cert_file
        return PairFiles(certificate=arguments.tls_cert_file, key=key)
    kept = Path(arguments.cert_dir) if arguments.cert_dir else folder
    pair = PairFiles(certificate=str(kept / f"{name}.crt"), key=str(kept / f"{name}.key"))
    if not (Path(pair.certificate).exists() and Path(pair.key).exists()):
        _make(pair, name)
    return pair


def _make(pair: PairFiles, name: str) -> None:
    from podium.base import pki  # noqa: PLC0415 - imports cryptography, which few need

    authority = pki.create_ca(f"{name}-ca")
    made = pki.issue(
        authority, common_name=name, dns_names=["localhost"], ip_addresses=["127.0.0.1", "::1"], server=True
    )
    Path(pair.key).parent.mkdir(parents=True, exist_ok=True)
    pki.write_private(pair.key, made.key_pem)
    pki.write_public(pair.certificate, made.certificate_pem + authority.certificate_pem)
