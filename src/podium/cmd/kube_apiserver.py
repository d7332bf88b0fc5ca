"""kube-apiserver: the API server as a process, with upstream's flags."""

from __future__ import annotations

import argparse
import asyncio
import gc
import ipaddress
import socket
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from podium.apiserver import admission, authz
from podium.apiserver.access import access_factory
from podium.apiserver.authn.issuer import JWKS
from podium.apiserver.http.subresources.streams import Streams
from podium.apiserver.server import COMPACTION_INTERVAL_S, ApiServer, Config
from podium.apiserver.streaming.kubelet import KubeletConnections
from podium.apiserver.streaming.proxy import Proxy
from podium.base.clock import WallClock
from podium.base.http.door import Contexts
from podium.base.http.server import Server
from podium.base.log import Log
from podium.base.tasks import beside
from podium.cmd import (
    authentication_flags,
    authorization_flags,
    encryption_flags,
    flow_flags,
    insecure_flags,
    kubelet_flags,
    log_flags,
    serving_flags,
)
from podium.cmd.admission_flags import add_flags as add_admission_flags
from podium.cmd.admission_flags import choice as admission_choice
from podium.cmd.aggregation_flags import (
    add_aggregation,
    aggregation,
    wrong_aggregation,
)
from podium.cmd.audit_flags import add_flags as add_audit_flags
from podium.cmd.audit_flags import options as audit_options
from podium.cmd.authentication_flags import Authentication
from podium.cmd.durations import duration_s
from podium.cmd.feature_gates import add_feature_gates, chosen_gates
from podium.cmd.serving_tls import Following, contexts
from podium.cmd.storage_flags import add_storage, open_store, wrong_storage
from podium.cmd.trust import Trust
from podium.machinery.feature_gates import FeatureGates
from podium.machinery.runtime_config import RuntimeConfig, RuntimeConfigError
from podium.machinery.schema import Schemas
from podium.resources.catalogue import declared
from podium.runtime.process import run_component

if TYPE_CHECKING:
    from podium.apiserver.audit.options import Options as AuditOptions
    from podium.apiserver.encryption.encryption import Encryption
    from podium.apiserver.openapi.swagger_ui import SwaggerUi

STOP_GRACE_S = 2.0

_log = Log("kube-apiserver")

# Upstream's flags that make no difference here: what they ask for is how Podium works, or is not limited.
_IGNORED = (
    "--allow-privileged",
    "--profiling",
    "--disable-http2-serving",
    "--http2-max-streams-per-connection",
    "--permit-address-sharing",
)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="kube-apiserver", allow_abbrev=False)
    add = made.add_argument
    add("--secure-port", type=int, default=6443, help="port served with TLS")
    add("--bind-address", default="0.0.0.0", help="address to listen on")
    add("--advertise-address", default="", help="address under which clients reach this server")
    add_storage(made)
    encryption_flags.add_flags(made)
    add(
        "--etcd-compaction-interval",
        type=duration_s,
        default=COMPACTION_INTERVAL_S,
        help="history older than this, and than twice this at most, is removed; 0 keeps all of it",
    )
    serving_flags.add_flags(made)
    insecure_flags.add_flags(made)
    authentication_flags.add_flags(made)
    flow_flags.add_flags(made)
    add("--service-cluster-ip-range", default="10.96.0.0/16", help="addresses of services")
    add("--service-node-port-range", default="30000-32767", help="ports of services on nodes")
    kubelet_flags.add_flags(made)
    authorization_flags.add_flags(made)
    add_aggregation(made)
    add_admission_flags(made)
    add_audit_flags(made)
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
    log_flags.add_flags(made)
    for flag in _IGNORED:
        add(flag, default=None, const="", nargs="?", help=argparse.SUPPRESS)
    return made


def main(argv: Sequence[str] | None = None) -> int:
    made = parser()
    arguments = made.parse_args(argv)
    log_flags.configure(arguments)
    for find_wrong in (
        serving_flags.wrong,
        insecure_flags.wrong,
        kubelet_flags.wrong,
        encryption_flags.wrong,
        flow_flags.wrong,
        wrong_aggregation,
        wrong_storage,
    ):
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
    encryption = encryption_flags.encryption(made, arguments, gates, WallClock())
    audit = audit_options(made, arguments)
    for flag in _IGNORED:
        if _given(arguments, flag):
            _log.info("a flag of upstream's makes no difference here", flag=flag)
    who = authentication_flags.authentication(made, arguments, version=arguments.kubernetes_version)
    return run_component(
        lambda: _run(
            arguments,
            ports,
            gates,
            runtime_config,
            authorization,
            plugins,
            who,
            swagger_ui,
            encryption,
            audit,
        )
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
    who: Authentication,
    swagger_ui: SwaggerUi | None,
    encryption: Encryption | None,
    audit: AuditOptions | None,
) -> None:
    advertise_address = arguments.advertise_address or _own_address(arguments.bind_address)
    try:
        trust = Trust.of(arguments)
        files = serving_flags.serving_files(arguments, advertise_address)
        made = contexts(files)
        kubelet_tls = kubelet_flags.kubelet_tls(arguments)
    except (OSError, ValueError) as error:
        raise SystemExit(f"kube-apiserver: {error}") from None
    client_ca_pem, front_proxies = trust.published()
    config = Config(
        version=arguments.kubernetes_version,
        advertise_address=advertise_address,
        port=arguments.secure_port,
        host=socket.gethostname(),
        service_cluster_ip_range=arguments.service_cluster_ip_range,
        service_node_port_range=ports,
        compaction_interval_s=arguments.etcd_compaction_interval,
        client_ca_pem=client_ca_pem,
        front_proxies=front_proxies,
        aggregation=aggregation(arguments, trust.request_header),
        limits=flow_flags.limits(arguments),
        swagger_ui=swagger_ui,
        audit=audit,
        feature_gates=gates,
        runtime_config=runtime_config,
        flags=log_flags.as_told(parser(), arguments),
    )
    store = await open_store(arguments)
    try:
        access = access_factory(
            replace(
                who.options,
                client_ca=trust.client_ca,
                request_header=trust.request_header,
                jwks_uri=who.options.jwks_uri or f"https://{_host_port(config)}{JWKS}",
            ),
            authorization=authorization,
            anonymous=who.anonymous,
            plugins=plugins,
            gates=gates,
        )
        kubelets = KubeletConnections(kubelet_tls, address_types=kubelet_flags.address_types(arguments))
        proxy = Proxy()
        api = ApiServer(store, config, access=access, streams=Streams(kubelets, proxy), encryption=encryption)
        shares_port = arguments.permit_port_sharing == "true"
        server = Server(api.handler, reads_at_once=True, shares_port=shares_port)
        api.metrics.registry.before_collection(
            lambda: api.metrics.state.read_handshakes(server.handshake_errors)
        )
        insecure = Server(insecure_flags.unsecured(api.handler), reads_at_once=True)

        async def replace_tls(made: Contexts, authorities: bool) -> None:
            if authorities:
                trust.read()
                await api.publish_authorities(*trust.published())
            server.replace_tls(made, certified_again=authorities)

        await api.start()
        _settle_garbage_collection()
        try:
            try:
                await server.start(arguments.bind_address, arguments.secure_port, made)
                if arguments.insecure_port:
                    await insecure.start(arguments.insecure_bind_address, arguments.insecure_port, None)
            except OSError as error:
                raise SystemExit(f"kube-apiserver: failed to create listener: {error}") from None
            _log.info("serving", address=arguments.bind_address, port=server.port, version=config.version)
            clock = WallClock()
            async with beside(
                Following(files=files, replace=replace_tls).run(clock),
                kubelet_flags.follow_files(arguments, kubelets.replace_tls, clock),
            ):
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
    api.wind_down()
    await asyncio.gather(*(server.stop(grace_s=STOP_GRACE_S) for server in servers))
    await kubelets.close()
    await proxy.close()
    await api.stop()


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


def _host_port(config: Config) -> str:
    host = config.advertise_address
    return f"[{host}]:{config.port}" if ":" in host else f"{host}:{config.port}"


def _names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


def _read(path: str) -> bytes:
    return Path(path).read_bytes()


if __name__ == "__main__":
    sys.exit(main())
