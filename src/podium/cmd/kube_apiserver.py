"""kube-apiserver: the API server as a process, with upstream's flags."""

from __future__ import annotations

import argparse
import asyncio
import gc
import ipaddress
import socket
import ssl
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from podium.apiserver import admission, authz
from podium.apiserver.access import access_factory
from podium.apiserver.authn import Options as AuthenticationOptions
from podium.apiserver.http.subresources.streams import Streams
from podium.apiserver.server import COMPACTION_INTERVAL_S, ApiServer, Config
from podium.apiserver.streaming.kubelet import KubeletConnections
from podium.apiserver.streaming.proxy import Proxy
from podium.base import log
from podium.base.http.server import Server
from podium.base.log import Log
from podium.cmd import authorization_flags, insecure_flags, serving_flags
from podium.cmd.admission_flags import add_flags as add_admission_flags
from podium.cmd.admission_flags import choice as admission_choice
from podium.cmd.aggregation_flags import (
    add_aggregation,
    aggregation,
    front_proxies,
    request_header,
    wrong_aggregation,
)
from podium.cmd.durations import duration_s
from podium.cmd.feature_gates import add_feature_gates, chosen_gates
from podium.cmd.signing_key import signing_key
from podium.cmd.storage_flags import add_storage, open_store, wrong_storage
from podium.machinery.feature_gates import FeatureGates
from podium.machinery.runtime_config import RuntimeConfig, RuntimeConfigError
from podium.machinery.schema import Schemas
from podium.resources.catalogue import declared
from podium.runtime.process import run_component

if TYPE_CHECKING:
    from podium.apiserver.openapi.swagger_ui import SwaggerUi

STOP_GRACE_S = 2.0

_log = Log("kube-apiserver")

# Upstream's flags that make no difference here: what they ask for is how Podium works, or is not limited.
_IGNORED = (
    "--allow-privileged",
    "--enable-priority-and-fairness",
    "--max-requests-inflight",
    "--max-mutating-requests-inflight",
    "--profiling",
    "--kubelet-preferred-address-types",
)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="kube-apiserver", allow_abbrev=False)
    add = made.add_argument
    add("--secure-port", type=int, default=6443, help="port served with TLS")
    add("--bind-address", default="0.0.0.0", help="address to listen on")
    add("--advertise-address", default="", help="address under which clients reach this server")
    add_storage(made)
    add(
        "--etcd-compaction-interval",
        type=duration_s,
        default=COMPACTION_INTERVAL_S,
        help="history older than this, and than twice this at most, is removed; 0 keeps all of it",
    )
    add("--client-ca-file", default="", help="authorities of client certificates")
    serving_flags.add_flags(made)
    insecure_flags.add_flags(made)
    add("--service-account-key-file", action="append", default=[], help="keys that verify tokens")
    add("--service-account-signing-key-file", default="", help="the key that signs tokens")
    add("--service-account-issuer", default="https://kubernetes.default.svc.cluster.local")
    add("--api-audiences", default="", help="audiences of tokens meant for this server, comma-separated")
    add("--service-cluster-ip-range", default="10.96.0.0/16", help="addresses of services")
    add("--service-node-port-range", default="30000-32767", help="ports of services on nodes")
    add("--kubelet-certificate-authority", default="", help="authorities of kubelets' certificates")
    add("--kubelet-client-certificate", default="", help="certificate shown to kubelets")
    add("--kubelet-client-key", default="", help="its key")
    authorization_flags.add_flags(made)
    add("--anonymous-auth", default="true", choices=("true", "false"))
    add("--token-auth-file", default="", help="CSV of static tokens")
    add(
        "--enable-bootstrap-token-auth",
        nargs="?",
        const="true",
        default="false",
        choices=("true", "false"),
        help="let the bootstrap tokens in kube-system authenticate",
    )
    add(
        "--experimental-bootstrap-token-auth",
        nargs="?",
        const="true",
        default="",
        choices=("true", "false"),
        help="deprecated: what --enable-bootstrap-token-auth was called",
    )
    add_aggregation(made)
    add_admission_flags(made)
    add(
        "--runtime-config",
        action="append",
        default=[],
        metavar="KEY=BOOL,...",
        help="APIs to serve or not: api/all, api/ga, api/beta, api/alpha, api/legacy, group/version or "
        "group/version/resource",
    )
    add_feature_gates(made)
    add(
        "--enable-swagger-ui",
        nargs="?",
        const="true",
        default="false",
        choices=("true", "false"),
        help="deprecated: serve the pages of Swagger UI at /swagger-ui/",
    )
    add("--kubernetes-version", default=Config().version, help="the version that is served")
    add("-v", "--v", type=int, default=0, dest="verbosity", help="log verbosity")
    for flag in _IGNORED:
        add(flag, default=None, const="", nargs="?", help=argparse.SUPPRESS)
    return made


def main(argv: Sequence[str] | None = None) -> int:
    made = parser()
    arguments = made.parse_args(argv)
    log.configure(verbosity=arguments.verbosity)
    for find_wrong in (serving_flags.wrong, insecure_flags.wrong, wrong_aggregation, wrong_storage):
        if wrong := find_wrong(arguments):
            made.error(wrong)
    try:
        ports = _port_range(arguments.service_node_port_range)
        ipaddress.ip_network(arguments.service_cluster_ip_range)
        ipaddress.ip_address(arguments.bind_address)
    except ValueError as error:
        made.error(str(error))
    minor = ".".join(arguments.kubernetes_version.split(".")[:2])
    if minor not in Schemas.versions():
        made.error(f"--kubernetes-version: no schemas for {minor}; there are {', '.join(Schemas.versions())}")
    gates = chosen_gates(made, arguments, minor)
    try:
        known = declared(legacy=RuntimeConfig.may_speak_of_legacy(arguments.runtime_config))
        runtime_config = RuntimeConfig.parse(arguments.runtime_config, known)
    except RuntimeConfigError as error:
        made.error(f"--runtime-config: {error}")
    authorization = authorization_flags.options(made, arguments, minor)
    swagger_ui = _swagger_ui(made, arguments)
    plugins = admission_choice(made, arguments)
    for flag in _IGNORED:
        if _given(arguments, flag):
            _log.info("a flag of upstream's makes no difference here", flag=flag)
    if arguments.experimental_bootstrap_token_auth:
        print(
            "kube-apiserver: --experimental-bootstrap-token-auth is deprecated: "
            "use --enable-bootstrap-token-auth",
            file=sys.stderr,
        )
        arguments.enable_bootstrap_token_auth = arguments.experimental_bootstrap_token_auth
    return run_component(
        lambda: _run(arguments, ports, gates, runtime_config, authorization, plugins, swagger_ui)
    )


def _swagger_ui(made: argparse.ArgumentParser, arguments: argparse.Namespace) -> SwaggerUi | None:
    if arguments.enable_swagger_ui != "true":
        return None
    from podium.apiserver.openapi.swagger_ui import MISSING, SwaggerUi, folder  # noqa: PLC0415

    print("kube-apiserver: --enable-swagger-ui is deprecated", file=sys.stderr)
    found = folder()
    if found is None:
        made.error(MISSING)
    return SwaggerUi(found)


def _given(arguments: argparse.Namespace, flag: str) -> bool:
    return getattr(arguments, flag.removeprefix("--").replace("-", "_")) is not None


def _port_range(text: str) -> tuple[int, int]:
    low, _, high = text.partition("-")
    if not (low.isdigit() and high.isdigit() and 0 < int(low) <= int(high) <= 65535):
        raise ValueError(f"--service-node-port-range: no range of ports: {text!r}")
    return int(low), int(high)


async def _run(
    arguments: argparse.Namespace,
    ports: tuple[int, int],
    gates: FeatureGates,
    runtime_config: RuntimeConfig,
    authorization: authz.Options,
    plugins: admission.Choice,
    swagger_ui: SwaggerUi | None,
) -> None:
    authorities = arguments.client_ca_file
    config = Config(
        version=arguments.kubernetes_version,
        advertise_address=arguments.advertise_address or _own_address(arguments.bind_address),
        port=arguments.secure_port,
        service_cluster_ip_range=arguments.service_cluster_ip_range,
        service_node_port_range=ports,
        compaction_interval_s=arguments.etcd_compaction_interval,
        client_ca_pem=_read(authorities).decode() if authorities else "",
        front_proxies=front_proxies(arguments),
        aggregation=aggregation(arguments),
        swagger_ui=swagger_ui,
        feature_gates=gates,
        runtime_config=runtime_config,
    )
    store = await open_store(arguments)
    try:
        access = access_factory(
            _authentication(arguments),
            authorization=authorization,
            anonymous=arguments.anonymous_auth == "true",
            plugins=plugins,
        )
        kubelets, proxy = KubeletConnections(_kubelet_tls(arguments)), Proxy()
        api = ApiServer(store, config, access=access, streams=Streams(kubelets, proxy))
        server = Server(api.handler, reads_at_once=True)
        insecure = Server(insecure_flags.unsecured(api.handler), reads_at_once=True)
        await api.start()
        _settle_garbage_collection()
        try:
            await server.start(
                arguments.bind_address, arguments.secure_port, _tls(arguments, config.advertise_address)
            )
            if arguments.insecure_port:
                await insecure.start(arguments.insecure_bind_address, arguments.insecure_port, None)
            _log.info("serving", address=arguments.bind_address, port=server.port, version=config.version)
            await api.run_until_failure()
        finally:
            await asyncio.shield(_stop([server, insecure], api, kubelets, proxy))
    except (admission.Misconfigured, authz.Misconfigured) as error:
        raise SystemExit(f"kube-apiserver: {error}") from None
    finally:
        await store.close()


def _settle_garbage_collection() -> None:
    """Look for cycles less often, and not in what start-up made.

    That stays for good, and requests make garbage that reference counting takes; with the default thresholds
    a third of the time of a write went into looking.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


async def _stop(
    servers: Sequence[Server], api: ApiServer, kubelets: KubeletConnections, proxy: Proxy
) -> None:
    await asyncio.gather(*(server.stop(grace_s=STOP_GRACE_S) for server in servers))
    await kubelets.close()
    await proxy.close()
    await api.stop()


def _authentication(arguments: argparse.Namespace) -> AuthenticationOptions:
    tokens = Path(arguments.token_auth_file).read_text().splitlines() if arguments.token_auth_file else None
    return AuthenticationOptions(
        issuer=arguments.service_account_issuer,
        service_account_keys=[_read(path) for path in arguments.service_account_key_file],
        signing_key=signing_key(arguments),
        audiences=_names(arguments.api_audiences),
        token_file=tokens,
        bootstrap_tokens=arguments.enable_bootstrap_token_auth == "true",
        client_ca_pem=_read(arguments.client_ca_file) if arguments.client_ca_file else b"",
        request_header=request_header(arguments),
    )


def _own_address(bound: str) -> str:
    """Return the address that others reach this machine at, where it listens on all of them."""
    if not ipaddress.ip_address(bound).is_unspecified:
        return bound
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Nothing is sent: connecting a datagram socket only asks the routing table.
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        address: str = probe.getsockname()[0]
        return address


def _names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


def _read(path: str) -> bytes:
    return Path(path).read_bytes()


def _tls(arguments: argparse.Namespace, advertise_address: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    pair = serving_flags.serving_pair(arguments, advertise_address)
    context.load_cert_chain(pair.certificate, pair.key)
    context.set_alpn_protocols(["http/1.1"])
    for authorities in (arguments.client_ca_file, arguments.requestheader_client_ca_file):
        if authorities:
            context.load_verify_locations(authorities)
            context.verify_mode = ssl.CERT_OPTIONAL
    return context


def _kubelet_tls(arguments: argparse.Namespace) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if arguments.kubelet_certificate_authority:
        context.load_verify_locations(arguments.kubelet_certificate_authority)
    else:
        # As upstream without this flag: the API server then believes whoever answers at a node's address.
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if arguments.kubelet_client_certificate:
        context.load_cert_chain(arguments.kubelet_client_certificate, arguments.kubelet_client_key)
    return context


if __name__ == "__main__":
    sys.exit(main())
