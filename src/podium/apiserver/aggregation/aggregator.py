"""Aggregation put together: follows APIServices, and knows which requests are another server's."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from podium.apiserver.aggregation import autoregister, proxy
from podium.apiserver.aggregation.api_services import ApiServices
from podium.apiserver.aggregation.availability_controller import AvailabilityController
from podium.apiserver.aggregation.backends import Backends, ProxyCertificate
from podium.apiserver.aggregation.documents import Documents
from podium.apiserver.aggregation.registration import Registration, registration
from podium.apiserver.bootstrap.cluster import priorities
from podium.apiserver.cacher.cacher import Cacher
from podium.apiserver.cacher.entry import Event
from podium.apiserver.chain import RequestInfo, User
from podium.apiserver.discovery import Discovery, RemoteVersion
from podium.apiserver.metrics import ApiServerMetrics
from podium.apiserver.openapi import OpenApi
from podium.apiserver.registry.registry import Registry
from podium.apiserver.registry.served import Served
from podium.apiserver.streaming.service_resolver import SERVICE_NAME
from podium.base.http.message import Request, Response
from podium.base.ids import new_uid
from podium.base.log import Log
from podium.machinery.errors import ApiError
from podium.resources.core.services import SERVICES
from podium.resources.discovery.endpointslices import ENDPOINTSLICES
from podium.runtime.workqueue import WorkQueue

Spawn = Callable[[Coroutine[Any, Any, None], str], None]
"""Run a task for as long as the server runs."""

_log = Log("podium.apiserver.aggregation")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the flags of the API server say about aggregation."""

    certificate: ProxyCertificate = field(default_factory=ProxyCertificate)
    """--proxy-client-cert-file, --proxy-client-key-file"""
    reject_redirects: bool = True
    """--aggregator-reject-forwarding-redirect"""
    identity_headers: tuple[str, ...] = ()
    """How headers begin that no client may send on, beyond the usual ones."""


class Aggregator:
    """The extension API servers behind one API server."""

    def __init__(
        self,
        *,
        registry: Registry,
        cacher: Cacher,
        served: Served,
        metrics: ApiServerMetrics,
        discovery: Discovery,
        openapi: OpenApi,
        routes: dict[tuple[str, str], Registration],
        options: Options,
        spawn: Spawn,
    ) -> None:
        self._registry = registry
        self._cacher = cacher
        self._served = served
        """APIServices, as a resource."""
        self._discovery = discovery
        self._openapi = openapi
        self._routes = routes
        """Which groups and versions are whose; the server looks into it before anything else."""
        self._options = options
        self._spawn = spawn
        self._by_name: dict[str, Registration] = {}
        self._api_services = ApiServices(registry, served, metrics)
        resolver = registry.resolver
        self._backends = Backends(resolver, options.certificate)
        self._availability = AvailabilityController(
            self._api_services, resolver, self._backends, self._by_name.get, registry.clock, metrics.queues
        )
        self._documents = Documents(
            self._backends, self._by_name.get, self._publish, registry.clock, metrics.queues
        )
        self._by_service: dict[str, set[str]] = {}
        """The names of the APIServices that a Service (namespace/name) is behind."""
        self._following_services = False
        self._from_before = set(self._api_services.names)
        self._own: WorkQueue[str] = WorkQueue(
            clock=registry.clock, name="autoregister", metrics=metrics.queues
        )
        self._custom: set[str] = set()

    def start(self) -> None:
        """Follow the APIServices, those that are there first."""
        self._registry.catalog.on_change(self._follow_catalog)
        self._follow_catalog()
        self._served.root.subscribe(self._follow)
        self._spawn(self._availability.run(), "apiserver-availability")
        self._spawn(self._register_own(), "apiserver-autoregister")

    async def close(self) -> None:
        await self._backends.close()

    # --- requests

    def find(self, info: RequestInfo) -> Registration | None:
        """Return whose a request is; None when it is this server's own."""
        if info.is_resource:
            return self._routes.get((info.api_group, info.api_version))
        match info.path.strip("/").split("/"):
            case ["apis", group, version]:
                return self._routes.get((group, version))
            case ["openapi", "v3", "apis", group, version]:
                # One without v3 has its v2 shown by this server.
                found = self._routes.get((group, version))
                return found if found is not None and self._documents.of(found.name).v3_url else None
        return None

    async def forward(
        self, request: Request, info: RequestInfo, user: User, wanted: Registration
    ) -> Response:
        """Answer a request that is another server's."""
        forged = self._options.identity_headers
        if forged:
            for name in {name for name, _ in request.headers if name.startswith(forged)}:
                request.headers.remove(name)
        if "audit-id" not in request.headers:
            request.headers.add("audit-id", new_uid())
        return await proxy.forward(
            request,
            user,
            wanted,
            self._backends,
            discovers=not info.is_resource,
            reject_redirects=self._options.reject_redirects,
        )

    # --- following

    def _follow(self, event: Event) -> None:
        """Take one change of an APIService: what is routed changes before anybody hears of it."""
        name = event.key
        before = self._by_name.pop(name, None)
        if before is not None:
            self._routes.pop((before.group, before.version), None)
        now = None
        if event.entry is not None:
            resource = self._served.resource
            now = registration(event.entry.passing(resource.kind, resource.api_version))
        if now is not None:
            self._by_name[name] = now
            self._routes[now.group, now.version] = now
            self._follow_services()
        self._availability.add(name)
        self._own.add(name)
        if now != before:
            self._rebuild()
            self._documents.add(name)
            self._publish()

    def _rebuild(self) -> None:
        by_service: dict[str, set[str]] = {}
        for one in self._by_name.values():
            by_service.setdefault(f"{one.namespace}/{one.service}", set()).add(one.name)
        self._by_service = by_service
        backends = {one.backend for one in self._by_name.values()}
        self._backends.keep(backends)
        self._documents.keep(backends)

    def _follow_services(self) -> None:
        if self._following_services:
            return
        self._following_services = True
        self._spawn(self._documents.run(), "apiserver-remote-documents")
        self._cacher.root(SERVICES.storage_root).subscribe(self._follow_service)
        self._cacher.root(ENDPOINTSLICES.storage_root).subscribe(self._follow_slice)

    def _follow_service(self, event: Event) -> None:
        for name in self._by_service.get(event.key, ()):
            self._availability.add(name)

    def _follow_slice(self, event: Event) -> None:
        namespace = event.key.partition("/")[0]
        if not any(key.startswith(f"{namespace}/") for key in self._by_service):
            return
        entry = event.entry or event.previous
        assert entry is not None
        service = entry.labels.get(SERVICE_NAME)
        for name in self._by_service.get(f"{namespace}/{service}", ()):
            self._availability.add(name)

    def _publish(self) -> None:
        """Have the server's own documents say what the extension servers serve."""
        described = [(one, self._documents.of(one.name)) for one in self._by_name.values()]
        self._discovery.set_remote(
            [
                RemoteVersion(
                    group=one.group,
                    version=one.version,
                    group_priority=one.group_priority,
                    version_priority=one.version_priority,
                    resources=known.resources,
                    current=known.current,
                )
                for one, known in described
                if one.group
            ]
        )
        self._openapi.set_remote(
            {f"apis/{one.group}/{one.version}": known.v3_url for one, known in described if known.v3_url},
            {f"apis/{one.group}/{one.version}": known.v2 for one, known in described if known.v2 is not None},
        )

    # --- this server's own groups

    def _follow_catalog(self) -> None:
        custom = {
            f"{version}.{group}"
            for (group, version), resources in self._registry.catalog.versions().items()
            if group and any(served.custom for served in resources.values())
        }
        for name in custom ^ self._custom:
            self._own.add(name)
        self._custom = custom

    async def _register_own(self) -> None:
        """Make and take away the APIServices of custom groups, for ever."""
        while True:
            name = await self._own.get()
            try:
                await self._register(name)
                self._own.forget(name)
            except ApiError as error:
                _log.error("an APIService could not be registered", name=name, error=str(error))
                self._own.add_rate_limited(name)
            except Exception:
                _log.exception("an APIService could not be registered", name=name)
                self._own.add_rate_limited(name)
            finally:
                self._own.done(name)

    async def _register(self, name: str) -> None:
        version, _, group = name.partition(".")
        builtin = self._registry.catalog.group(group, version) is not None and name not in self._custom
        builtin = builtin or priorities(group, version) is not None
        step = autoregister.plan(
            autoregister.custom_api_service(group, version) if name in self._custom else None,
            self._api_services.get(name),
            builtin=builtin,
            from_before=name in self._from_before,
        )
        if step is not None:
            await self._api_services.perform(step)
