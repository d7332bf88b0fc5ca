"""The API server: everything composed, independent of command lines, so that a test can build one too.

request -> panic guard -> request info -> authn -> audit -> impersonation -> flow control -> authz
        -> resource verb | plain path

Most reads of single objects take the shortcut (`shortcut.py`), which passes the same stops.
"""

from __future__ import annotations

import asyncio
import ipaddress
import platform
import sys
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from time import perf_counter
from typing import TYPE_CHECKING, Any

from podium.apiserver import bootstrap
from podium.apiserver.address_repair import AddressRepair
from podium.apiserver.authn.certificate import read_identity
from podium.apiserver.authn.issuer import JWKS, KEY_SET_TYPE, KEYS_KEPT_S, OPENID_CONFIGURATION
from podium.apiserver.authz.messages import Undecided, forbidden
from podium.apiserver.cacher.cacher import Cacher
from podium.apiserver.cacher.entry import Event
from podium.apiserver.cacher.views import CachedReader
from podium.apiserver.chain import (
    ALL_AUTHENTICATED,
    ALL_UNAUTHENTICATED,
    ANONYMOUS,
    MASTERS,
    Access,
    AccessFactory,
    RequestInfo,
    User,
)
from podium.apiserver.deadlines import Deadline, Deadlines, timed_out
from podium.apiserver.discovery import Discovery
from podium.apiserver.flowcontrol.control import FlowControl
from podium.apiserver.flowcontrol.dangling import DanglingReferences
from podium.apiserver.flowcontrol.in_flight import MaxInFlight
from podium.apiserver.flowcontrol.limiter import Limiter, Seat, is_long_running
from podium.apiserver.http.api import Api
from podium.apiserver.http.negotiation import CBOR
from podium.apiserver.http.options import WATCH_TIMEOUT_S_MIN
from podium.apiserver.http.plain import Plain
from podium.apiserver.http.request_info import request_info
from podium.apiserver.http.respond import add_warnings, failure, text
from podium.apiserver.http.subresources.streams import Streams
from podium.apiserver.http.subresources.table import specials
from podium.apiserver.metrics import ApiServerMetrics
from podium.apiserver.openapi import OpenApi
from podium.apiserver.registry.measured_store import MeasuredStore
from podium.apiserver.registry.registry import Registry
from podium.apiserver.registry.served import Catalog
from podium.apiserver.registry.special.address_pool import AddressPool
from podium.apiserver.registry.special.addresses import follow_service, mend
from podium.apiserver.registry.special.events import sweep
from podium.apiserver.registry.special.services import ServiceAllocator
from podium.apiserver.shortcut import Shortcut
from podium.apiserver.state_metrics import CacheState, HealthMetrics
from podium.apiserver.stored_names import StoredNames
from podium.base.clock import Clock, WallClock
from podium.base.http.message import BodyTooLarge, HttpError, Request, Response
from podium.base.ids import new_uid
from podium.base.log import Log
from podium.base.metrics import CONTENT_TYPE
from podium.base.metrics import Registry as MetricsRegistry
from podium.base.process_metrics import add_process_metrics
from podium.machinery.errors import ApiError, InternalError, Object, TooLarge, Unauthorized
from podium.machinery.feature_gates import FeatureGates, table
from podium.machinery.runtime_config import RuntimeConfig
from podium.machinery.schema import Schema, Schemas
from podium.resources.apiextensions.customresourcedefinitions import CUSTOMRESOURCEDEFINITIONS
from podium.resources.apiregistration.apiservices import APISERVICES
from podium.resources.catalogue import declared, packages
from podium.resources.coordination.leases import LEASES
from podium.resources.core.services import SERVICES
from podium.resources.flowcontrol.flowschemas import FLOWSCHEMAS
from podium.resources.flowcontrol.prioritylevelconfigurations import PRIORITYLEVELCONFIGURATIONS
from podium.resources.networking.ipaddresses import IPADDRESSES
from podium.resources.networking.servicecidrs import SERVICECIDRS
from podium.runtime.zpages import flagz, statusz
from podium.store.protocol import Store, StoreError

if TYPE_CHECKING:
    from podium.apiserver.aggregation.aggregator import Aggregator
    from podium.apiserver.aggregation.registration import Registration
    from podium.apiserver.audit.audit import Audit
    from podium.apiserver.audit.options import Options as AuditOptions
    from podium.apiserver.crd.definitions import Definitions
    from podium.apiserver.encryption.encryption import Encryption
    from podium.apiserver.openapi.swagger_ui import SwaggerUi

COMPACTION_INTERVAL_S = 300.0
TIDYING_INTERVAL_S = 300.0
"""How often expired events are looked for where history is never compacted."""

_DESCRIPTIONS = ("/openapi/v", "/swaggerapi", "/swagger-ui")

_ANONYMOUS_USER = User(name=ANONYMOUS, groups=(ALL_UNAUTHENTICATED,))
_UNSECURED_USER = User(name="system:unsecured", groups=(MASTERS, ALL_AUTHENTICATED))
"""Whoever comes by a port without access control, as upstream named them."""

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
"""What clients, which are written in Go, call a machine."""

OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"

_log = Log("podium.apiserver")


@dataclass(frozen=True, slots=True, kw_only=True)
class Aggregation:
    """How this server reaches others whose APIs it offers."""

    to_endpoints: bool = False
    """By an endpoint of their Service rather than by the Service's own address."""
    certificate_file: str = ""
    key_file: str = ""
    """By which they know this server."""
    reject_redirects: bool = True
    identity_headers: Sequence[str] = ()
    """How headers begin, in lower case, in which they may be told who asks: nobody else may set them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How many requests are served at a time, and for how long."""

    priority_and_fairness: bool = False
    """The two maxima together are the seats that priority levels share; else each stands for itself, and 0 is
    no limit."""
    requests_in_flight_max: int = 0
    mutating_requests_in_flight_max: int = 0
    request_timeout_s: float = 60.0
    watch_timeout_s_min: int = WATCH_TIMEOUT_S_MIN
    """Watches that do not say how long they last end between this and twice this."""


_STATUS_PATHS = ("/healthz", "/livez", "/metrics", "/readyz", "/version")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What distinguishes one API server from another."""

    version: str = "1.36.2"
    """The Kubernetes version that is served; its minor part chooses the schemas."""
    advertise_address: str = "127.0.0.1"
    port: int = 6443
    host: str = ""
    """The machine's name, by which the server's identity is known; empty: it has none."""
    service_cluster_ip_range: str = "10.96.0.0/16"
    service_node_port_range: tuple[int, int] = (30000, 32767)
    compaction_interval_s: float = COMPACTION_INTERVAL_S
    """The history kept is between one and two of these, as upstream; 0 keeps all of it."""
    client_ca_pem: str = ""
    """The authorities of client certificates, published for aggregated servers."""
    front_proxies: Mapping[str, str] = field(default_factory=dict)
    """How front proxies are known and what they say, published likewise: the entries of the ConfigMap."""
    aggregation: Aggregation = field(default_factory=Aggregation)
    limits: Limits = field(default_factory=Limits)
    swagger_ui: SwaggerUi | None = None
    """The pages that `--enable-swagger-ui` asks for."""
    audit: AuditOptions | None = None
    """What is kept of requests; None: nothing."""

    feature_gates: FeatureGates | None = None
    """What `--feature-gates` says; None: all as the version has them."""
    runtime_config: RuntimeConfig = field(default_factory=RuntimeConfig)
    flags: Mapping[str, str] = field(default_factory=dict)
    """The command line, for /flagz."""

    @property
    def minor(self) -> str:
        return ".".join(self.version.split(".")[:2])


class ApiServer:
    """One API server over one store. `handler` may be served by a socket or called in process."""

    def __init__(
        self,
        store: Store,
        config: Config,
        *,
        access: AccessFactory | None = None,
        streams: Streams | None = None,
        clock: Clock | None = None,
        encryption: Encryption | None = None,
    ) -> None:
        """`encryption` comes between this server and `store`."""
        self._config = config
        self._clock = clock or WallClock()
        self.metrics = ApiServerMetrics(is_served=self._is_served)
        self._encryption = encryption
        encrypted = None
        if encryption is not None:
            registry = self.metrics.registry
            store = encrypted = encryption.attach(
                store,
                registry,
                lambda key: self._names.root_of(key),  # noqa: PLW0108 - the cache that names come from reads this store
                lambda key: self._names.resource_of(key),  # noqa: PLW0108
            )
        self._store = store
        self._cacher = Cacher(store)
        add_process_metrics(self.metrics.registry)
        self.metrics.registry.before_collection(self._count_objects)
        self.health_metrics = HealthMetrics(MetricsRegistry())
        legacy = config.runtime_config.may_name_legacy
        self._built_in: dict[str, Schema] = {}
        self._schemas = cache(lambda: Schemas.load(config.minor, packages(legacy=legacy)))
        self.gates = config.feature_gates or FeatureGates(version=config.minor)
        self.catalog = Catalog(self._cacher, self.gates)
        self.catalog.add(config.runtime_config.served(declared(legacy=legacy), self.gates))
        self._names = StoredNames(self._cacher, self.catalog)
        self.reader = CachedReader(self._cacher)
        self.registry = Registry(
            store=MeasuredStore(store, self.metrics, self._names.resource_of),
            cacher=self._cacher,
            catalog=self.catalog,
            clock=self._clock,
            schema_of=self._schema_of,
        )
        self.registry.metrics = self.metrics
        self.registry.stale = encrypted.is_stale if encrypted is not None else None
        self.registry.watch_timeout_s_min = config.limits.watch_timeout_s_min
        self._access: Access | None = (
            access(self.reader, self.metrics.registry) if access is not None else None
        )
        if self._access is not None:
            self.registry.admission = self._access.admission
            self.registry.answers = self._access.answers
            self.registry.token_issuer = self._access.token_issuer
            self.registry.authorizer = self._access.authorizer
        self._routes: dict[tuple[str, str], Registration] = {}
        """The groups and versions that other servers answer."""
        self._deadlines = Deadlines(config.limits.request_timeout_s)
        self._flow_control: FlowControl | None = None
        self._limiter = self._chosen_limiter(config.limits)
        self._audit: Audit | None = None
        if config.audit is not None:
            from podium.apiserver.audit.audit import build  # noqa: PLC0415

            self._audit = build(config.audit, self.metrics.audit, self._clock)
        self._shortcut = (
            Shortcut(self._access, self.catalog, self.metrics, self._limiter, self._routes, self._audit)
            if self._access
            else None
        )
        addresses = self.catalog.of(IPADDRESSES)
        pool = AddressPool(
            ipaddress.ip_network(config.service_cluster_ip_range),
            self.reader.cached(SERVICECIDRS),
            figures=self.metrics.addresses,
        )
        self.metrics.registry.before_collection(pool.collect)
        addresses.root.subscribe(pool.follow_address)
        self.registry.services = ServiceAllocator(
            self.reader.cached(SERVICES),
            pool,
            node_port_range=config.service_node_port_range,
            figures=self.metrics.node_ports,
        )
        self.metrics.registry.before_collection(self.registry.services.collect)
        self.registry.services.recorded_by(
            lambda new, old: follow_service(self.registry, addresses, new, old)
        )
        self._api = Api(self.registry, specials(streams))
        if self.gates.enabled("CBORServingAndStorage"):
            self.registry.media_types = (*self.registry.media_types, CBOR)

        def address() -> str:
            return f"{config.advertise_address}:{config.port}"

        self._discovery = Discovery(self.catalog, address, media_types=self.registry.media_types)
        self._openapi = OpenApi(self.catalog, self._schemas, config.version, address)
        self._plain = self._plain_paths()
        self._definitions: Definitions | None = None
        """Made when the first definition of a custom resource appears."""
        self.registry.services_by_endpoint = config.aggregation.to_endpoints
        self._aggregator: Aggregator | None = None
        """Made when the first APIService needs more than what is written at start."""
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = False
        self._ready = False
        self._failed = ""

    def _chosen_limiter(self, limits: Limits) -> Limiter:
        reading, mutating = limits.requests_in_flight_max, limits.mutating_requests_in_flight_max
        in_flight = self.metrics.in_flight
        if not limits.priority_and_fairness:
            return MaxInFlight(reading_max=reading, mutating_max=mutating, in_flight=in_flight)
        self._flow_control = FlowControl(
            self.catalog,
            self.metrics.flow_control,
            in_flight,
            self.gates,
            total_seats=reading + mutating,
        )
        self.metrics.registry.before_collection(self._flow_control.collect)
        return self._flow_control

    # --- life

    async def start(self) -> None:
        """Fill the cache and follow the store; when this returns, every request can be answered."""
        if self._encryption is not None:
            await self._encryption.start()
        await self._cacher.fill()
        self.catalog.of(CUSTOMRESOURCEDEFINITIONS).root.subscribe(self._follow_definition)
        self.catalog.of(APISERVICES).root.subscribe(self._follow_api_service)
        self._tasks += [
            asyncio.create_task(self._follow(), name="apiserver-cacher"),
            asyncio.create_task(self._tidy_for_ever(), name="apiserver-tidying"),
        ]
        options = self._bootstrap_options()
        written = await bootstrap.run(
            self._store, self.reader, options, self.registry.schema_of, clock=self._clock
        )
        await self._cacher.wait_for(written)
        await mend(self.registry, self.catalog.of(IPADDRESSES), self.catalog.of(SERVICES))
        repair = AddressRepair(self.registry, self.catalog.of(IPADDRESSES), self.catalog.of(SERVICES))
        self._spawn(repair.run(), "apiserver-addresses")
        keeping = bootstrap.keep(
            self._store, self.reader, options, self.registry.schema_of, clock=self._clock
        )
        self._tasks.append(asyncio.create_task(keeping, name="apiserver-bootstrap"))
        schemas, levels = self.catalog.of(FLOWSCHEMAS), self.catalog.of(PRIORITYLEVELCONFIGURATIONS)
        self._spawn(DanglingReferences(self.registry, schemas, levels).run(), "apiserver-flow-schemas")
        for work in self._access.background if self._access is not None else ():
            self._spawn(work(), "apiserver-access")
        for write in self._access.writing if self._access is not None else ():
            self._spawn(write(self.registry.host), "apiserver-access-writing")
        if self._encryption is not None:
            self._spawn(self._encryption.run(self._cacher.read_again), "apiserver-encryption")
        if self._flow_control is not None:
            self._spawn(self._flow_control.run(self._clock), "apiserver-flow-control")
        if self._config.host and self.gates.enabled("APIServerIdentity"):
            from podium.apiserver.identity_lease import IdentityLease  # noqa: PLC0415

            lease = IdentityLease(self.registry, self.catalog.of(LEASES), self._config.host)
            self._spawn(lease.run(), "apiserver-identity")
        self._ready = True

    async def publish_authorities(self, client_ca_pem: str, front_proxies: Mapping[str, str]) -> None:
        """Tell extension servers of other authorities than those of the start."""
        self._config = replace(self._config, client_ca_pem=client_ca_pem, front_proxies=front_proxies)
        options = self._bootstrap_options()
        await bootstrap.run(self._store, self.reader, options, self.registry.schema_of, clock=self._clock)

    def _follow_definition(self, event: Event) -> None:
        """Take a change of a definition: most clusters have some, small ones load nothing for it."""
        if self._definitions is None:
            from podium.apiserver.crd.definitions import Definitions  # noqa: PLC0415
            from podium.apiserver.crd.webhook import webhook_converter  # noqa: PLC0415

            self._definitions = Definitions(
                self.registry,
                self._cacher,
                self.catalog.of(CUSTOMRESOURCEDEFINITIONS),
                lambda: self._schemas().compile(OBJECT_META),
                lambda definition: webhook_converter(definition, self.registry),
            )
            self._openapi.custom = self._definitions.schemas
            self._spawn(self._definitions.run(), "apiserver-definitions")
            self._aggregate()
        self._definitions.follow(event)

    def _spawn(self, run: Coroutine[Any, Any, None], name: str) -> None:
        self._tasks.append(asyncio.create_task(run, name=name))

    def _follow_api_service(self, event: Event) -> None:
        """Take a change of an APIService: what this server answers itself needs no more than to be there."""
        if self._aggregator is not None or event.entry is None:
            return
        resource = APISERVICES
        if not self._is_own(event.entry.passing(resource.kind, resource.api_version)):
            self._aggregate()

    def _is_own(self, api_service: Object) -> bool:
        spec = api_service.get("spec") or {}
        group_version = (spec.get("group") or "", spec.get("version") or "")
        local = not spec.get("service") and self.catalog.group(*group_version) is not None
        return local and _is_available(api_service)

    def _aggregate(self) -> None:
        if self._aggregator is not None:
            return
        from podium.apiserver.aggregation.aggregator import Aggregator, Options  # noqa: PLC0415
        from podium.apiserver.aggregation.backends import ProxyCertificate  # noqa: PLC0415

        config = self._config.aggregation
        options = Options(
            certificate=ProxyCertificate(certificate_file=config.certificate_file, key_file=config.key_file),
            reject_redirects=config.reject_redirects,
            identity_headers=tuple(config.identity_headers),
        )
        self._aggregator = Aggregator(
            registry=self.registry,
            cacher=self._cacher,
            served=self.catalog.of(APISERVICES),
            metrics=self.metrics,
            discovery=self._discovery,
            openapi=self._openapi,
            routes=self._routes,
            options=options,
            spawn=self._spawn,
        )
        self._aggregator.start()

    def _schema_of(self, definition: str) -> Schema:
        if self._definitions is not None:
            custom = self._definitions.schemas.get(definition)
            if custom is not None:
                return custom
        built_in = self._built_in.get(definition)
        if built_in is None:
            built_in = self._built_in[definition] = self._schemas().compile(definition)
        return built_in

    def _bootstrap_options(self) -> bootstrap.Options:
        config = self._config
        return bootstrap.Options(
            advertise_address=config.advertise_address,
            port=config.port,
            service_cidr=config.service_cluster_ip_range,
            client_ca_pem=config.client_ca_pem,
            front_proxies=config.front_proxies,
            group_versions=list(self.catalog.versions()),
            gates=self.gates,
        )

    def wind_down(self) -> None:
        """Tell what takes its time that the server is about to stop."""
        if self._audit is not None:
            self._audit.wind_down()

    async def stop(self) -> None:
        """End every background task. The store stays open; it is the caller's."""
        self._stopping = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.registry.close()
        if self._aggregator is not None:
            await self._aggregator.close()
        if self._audit is not None:
            await self._audit.close()

    async def run_until_failure(self) -> None:
        """Return or raise when the server can no longer be trusted: its cache has lost the store."""
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()

    async def _follow(self) -> None:
        try:
            await self._cacher.run()
        except StoreError as error:
            self._failed = str(error)
            if not self._stopping:
                _log.exception("the watch cache has lost the store")
            raise

    async def _tidy_for_ever(self) -> None:
        previous = 0
        while True:
            interval_s = self._config.compaction_interval_s
            await self._clock.sleep(interval_s or TIDYING_INTERVAL_S)
            await sweep(self.registry)
            current = await self._store.current_revision()
            if previous and interval_s:
                await self._store.compact(previous)
            previous = current

    # --- the chain

    async def handler(self, request: Request) -> Response:
        """Answer one request. Every failure becomes a Status; nothing is raised but `HttpError`."""
        if self._shortcut is not None and (short := self._shortcut.answer(request)) is not None:
            return short
        if self._audit is not None:
            return await self._audit.follow(request, self._answer)
        return await self._answer(request)

    async def _answer(self, request: Request) -> Response:
        started = perf_counter()
        info = request_info(request)
        response: Response | None = None
        seat: Seat | None = None
        deadline: Deadline | None = None
        try:
            timeout_s = self._config.limits.request_timeout_s
            if not is_long_running(info):
                timeout_s = self._deadlines.timeout_s(request)
                deadline = self._deadlines.begin(request, timeout_s)
            user = await self._authenticate(request, info)
            seat = self._limiter.arrive(request, info, user, timeout_s)
            if seat is None or seat.executes or await self._turn(request, seat):
                response = await self._serve(request, info, user, seat)
            else:
                response = seat.refusal()
                self.metrics.terminated(request, info, response.status)
        except ApiError as error:
            response = failure(error, request, self.registry.media_types)
        except BodyTooLarge as error:
            response = failure(TooLarge(error.message), request)
        except Undecided as error:
            response = text(str(error), status=500)
        except HttpError:
            raise
        except ConnectionError:
            self.metrics.aborted(request, info)
            raise
        except asyncio.CancelledError:
            if deadline is None or not deadline.passed:
                raise
            deadline.survive()
            response = failure(timed_out(), request, self.registry.media_types)
            self.metrics.terminated(request, info, response.status)
        except Exception as error:
            _log.exception("a request failed", method=request.method, target=request.target)
            if request.audit is not None:
                request.audit.fault = error
            response = failure(InternalError("Internal error occurred: see the server's log"), request)
        finally:
            if deadline is not None:
                self._deadlines.end(deadline)
            if seat is not None and response is None:
                seat.release()
        if seat is not None:
            seat.answered(response)
        if request.warnings:
            add_warnings(response, request.warnings)
        self.metrics.answered(request, info, response, started)
        response.headers.extend_lower([("audit-id", request.headers.get("audit-id") or new_uid())])
        return response

    async def _turn(self, request: Request, seat: Seat) -> bool:
        """Return whether a request's turn has come, once that is known."""
        if request.audit is None:
            return await seat.turn()
        started = perf_counter()
        try:
            return await seat.turn()
        finally:
            request.audit.took("apf-queue-wait", perf_counter() - started)

    async def _serve(self, request: Request, info: RequestInfo, user: User, seat: Seat | None) -> Response:
        await self._authorize(request, info, user)
        if self._routes and self._aggregator is not None:
            other = self._aggregator.find(info)
            if other is not None:
                return await self._aggregator.forward(request, info, user, other)
        if info.is_resource:
            initialised = seat.release if seat is not None else _nothing
            return await self._api.handle(request, info, user, initialised)
        if info.path.startswith(_DESCRIPTIONS):
            described = await self._describe(request)
            if described is not None:
                return described
        response = self._discovery.handle(request)
        return response if response is not None else self._plain.handle(request)

    async def _describe(self, request: Request) -> Response | None:
        """Answer what describes the API to people and tools, now and formerly."""
        path = request.path
        if path.startswith("/openapi/v"):
            return await self._openapi.handle(request)
        if path.startswith("/swaggerapi"):
            return await self._openapi.swagger_1_2(request)
        return self._config.swagger_ui.answer(path) if self._config.swagger_ui is not None else None

    async def _authenticate(self, request: Request, info: RequestInfo) -> User:
        access, record = self._access, request.audit
        if access is None:
            if self._audit is not None:
                await self._audit.begin(request, _ANONYMOUS_USER)
            return _ANONYMOUS_USER
        started = perf_counter()
        try:
            user = _UNSECURED_USER if request.unsecured else await access.authenticator.authenticate(request)
        except Unauthorized:
            self.metrics.authenticated(None, started, wrong=True)
            raise
        if user is None and access.anonymous:
            paths = access.anonymous_paths
            if not paths or request.path in paths:
                user = _ANONYMOUS_USER
        self.metrics.authenticated(user, started)
        if user is None:
            raise Unauthorized
        if request.peer_certificate is not None:
            self._count_expiration(request.peer_certificate)
        if self._audit is not None:
            record.took("authentication", perf_counter() - started)
            await self._audit.begin(request, user)
        if access.impersonator is not None:
            user = await access.impersonator.impersonate(user, request, info)
        return user

    async def _authorize(self, request: Request, info: RequestInfo, user: User) -> None:
        if self._access is None:
            return
        started = perf_counter()
        decision = await self._access.authorizer.authorize(user, info)
        self.metrics.authorized(decision, started)
        if request.audit is not None:
            request.audit.took("authorization", perf_counter() - started)
            request.audit.authorized(decision)
        if not decision.allowed:
            if decision.error:
                raise Undecided(request.target, decision.error)
            raise forbidden(user, info, decision.reason)

    def _count_expiration(self, certificate: bytes) -> None:
        try:
            left = read_identity(certificate).not_after - self._clock.now()
        except ValueError:
            return
        self.metrics.state.client_certificates.noted.append(left.total_seconds())

    # --- plain paths

    def _plain_paths(self) -> Plain:
        def fine() -> str:
            return ""

        def store() -> str:
            return self._failed

        def shutting_down() -> str:
            return "shutting down" if self._stopping else ""

        def filled() -> str:
            return "" if self._ready else "starting"

        plain = Plain(
            {"ping": fine, "log": fine, "etcd": store},
            {"informer-sync": filled, "poststarthook/start-apiserver": filled, "shutdown": shutting_down},
            self.health_metrics.checked,
        )
        for name, check in self._encryption.checks.items() if self._encryption is not None else ():
            plain.add_check(name, check)
        plain.add_document("/version", self._version, indented=True, routed=True)
        plain.add_document("/", lambda: {"paths": self._paths()}, indented=True)
        plain.add_handler("/metrics", lambda _request: _figures(self.metrics.registry))
        if self._flow_control is not None:
            from podium.apiserver.flowcontrol.dumps import PREFIX, Dumps  # noqa: PLC0415

            dumps = Dumps(self._flow_control)
            plain.add_handler(f"{PREFIX}dump_priority_levels", dumps.priority_levels, listed=False)
            plain.add_handler(f"{PREFIX}dump_queues", dumps.queues, listed=False)
            plain.add_handler(f"{PREFIX}dump_requests", dumps.requests, listed=False)
        self._add_pages(plain)
        plain.add_handler("/metrics/slis", lambda _request: _figures(self.health_metrics.registry))
        issuer = self.registry.token_issuer
        if issuer is not None and issuer.discoverable:
            plain.add_document(
                OPENID_CONFIGURATION, issuer.open_id_configuration, kept_s=KEYS_KEPT_S, routed=True
            )
            plain.add_document(
                JWKS, issuer.json_web_key_set, media_type=KEY_SET_TYPE, kept_s=KEYS_KEPT_S, routed=True
            )
        return plain

    def _add_pages(self, plain: Plain) -> None:
        """Serve what tells people about this process, as far as the gates let it."""
        paths = [*_STATUS_PATHS]
        pages = {
            "Flagz": flagz("apiserver", self._config.flags),
            "Statusz": statusz("apiserver", self._config.version, self._clock, lambda: paths),
        }
        for kind, page in pages.items():
            gate = f"zpagesfeatures:Component{kind}"
            if self.gates.knows(gate) and self.gates.enabled(gate):
                paths.append(f"/{kind.lower()}")
                plain.add_handler(paths[-1], page.answer)

    def _paths(self) -> list[str]:
        groups = []
        for group, version in self.catalog.versions():
            groups += [f"/apis/{group}", f"/apis/{group}/{version}"] if group else [f"/api/{version}"]
        return sorted({"/api", "/apis", "/openapi/v2", "/openapi/v3", *groups, *self._plain.paths()} - {"/"})

    def _version(self) -> Object:
        major, minor = self._config.version.split(".")[:2]
        return {
            "major": major,
            "minor": minor,
            "emulationMajor": major,
            "emulationMinor": minor,
            "minCompatibilityMajor": major,
            "minCompatibilityMinor": str(int(minor) - 1),
            "gitVersion": f"v{self._config.version}",
            "gitCommit": "podium",
            "gitTreeState": "clean",
            "buildDate": "1970-01-01T00:00:00Z",
            "goVersion": f"python{platform.python_version()}",
            "compiler": platform.python_implementation().lower(),
            "platform": f"{sys.platform}/{_ARCHITECTURES.get(platform.machine(), platform.machine())}",
        }

    # --- metrics

    def _is_served(self, info: RequestInfo) -> bool:
        served = self.catalog.find(info.api_group, info.api_version, info.resource)
        if served is None:
            return False
        known = {"", "status", "scale", *served.subresources}
        return info.subresource in known

    def _count_objects(self) -> None:
        self.metrics.read_api_services(
            (one["metadata"]["name"], _is_available(one)) for one in self.reader.cached(APISERVICES).list()
        )
        self.metrics.aggregations.value = self._discovery.aggregations
        state = self.metrics.state
        state.describe_build(self._version())
        state.describe_features(
            (gate.name, gate.stage, self.gates.enabled(gate.name))
            for gate in table(self.gates.version).values()
        )
        state.read_caches(
            (
                CacheState(group, plural, events=root.events_count)
                for group, plural, root in self._names.roots()
            ),
            self._cacher.revision,
        )
        self.metrics.read_objects(
            (group, plural, len(root.entries), root.size_bytes) for group, plural, root in self._names.roots()
        )


def _nothing() -> None: ...


def _figures(registry: MetricsRegistry) -> Response:
    return text(registry.text().decode(), content_type=CONTENT_TYPE)


def _is_available(api_service: Object) -> bool:
    conditions = (api_service.get("status") or {}).get("conditions") or ()
    return any(one.get("type") == "Available" and one.get("status") == "True" for one in conditions)
