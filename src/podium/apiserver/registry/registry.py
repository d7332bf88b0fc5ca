"""What all verbs of the registry share: the store and its cache, time, schemas, admission."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from podium.apiserver.authz.messages import forbidden
from podium.apiserver.cacher.cacher import Cacher
from podium.apiserver.cacher.entry import Entry, encode
from podium.apiserver.chain import (
    AdmissionPlugin,
    Answers,
    Attributes,
    Authorizer,
    Decision,
    Operation,
    RequestInfo,
    TokenIssuer,
)
from podium.apiserver.registry.admission_host import AdmissionHost
from podium.apiserver.registry.admission_steps import Steps
from podium.apiserver.registry.call import Call
from podium.apiserver.registry.served import Catalog, Served
from podium.apiserver.registry.special import scales
from podium.base.clock import Clock
from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.store.protocol import Record, Store

if TYPE_CHECKING:
    from podium.apiserver.metrics import ApiServerMetrics
    from podium.apiserver.registry.special.services import ServiceAllocator
    from podium.apiserver.streaming.service_resolver import ServiceResolver
    from podium.apiserver.webhook_client import WebhookClient
    from podium.machinery.schema import Schema

NEVER_STORED = ("kind", "apiVersion")
_PROTOBUF = "application/vnd.kubernetes.protobuf"


class Registry:
    """The storage side of the API. One instance serves all resources; verbs are functions over it."""

    def __init__(
        self,
        *,
        store: Store,
        cacher: Cacher,
        catalog: Catalog,
        clock: Clock,
        schema_of: Callable[[str], Schema],
    ) -> None:
        self.store = store
        self.cacher = cacher
        self.catalog = catalog
        self.clock = clock
        self.schema_of = schema_of
        """Return the compiled schema of a definition; compiles on first use."""
        self._steps = Steps(())
        self.host = AdmissionHost(self)
        self.metrics: ApiServerMetrics | None = None
        self.watch_timeout_s_min = 1800
        """Watches that do not say how long they last end between this and twice this."""
        self.answers: Answers = {}
        self.token_issuer: TokenIssuer | None = None
        self.authorizer: Authorizer | None = None
        self.stale: Callable[[str, int], Awaitable[bool]] | None = None
        """What `is_stale` asks, where objects are encrypted."""
        self.services: ServiceAllocator | None = None
        self.services_by_endpoint = False
        """Services are reached by an endpoint, not by their own address (`--enable-aggregator-routing`)."""
        self.media_types: tuple[str, ...] = ("application/json", "application/yaml", _PROTOBUF)
        """What the HTTP side offers and takes, in order of preference."""

    async def is_stale(self, key: str, revision: int) -> bool:
        """Tell whether what is stored would be written otherwise today, though the object is the same."""
        return self.stale is not None and await self.stale(key, revision)

    @cached_property
    def resolver(self) -> ServiceResolver:
        """Return what knows where Services are reached from here."""
        from podium.apiserver.streaming.service_resolver import ServiceResolver  # noqa: PLC0415

        return ServiceResolver(self.cacher, to_endpoints=self.services_by_endpoint)

    @cached_property
    def webhooks(self) -> WebhookClient:
        """Return what calls webhooks: of admission, of conversion."""
        from podium.apiserver.webhook_client import WebhookClient  # noqa: PLC0415

        return WebhookClient(self.resolver.resolve)

    async def close(self) -> None:
        """Close the connections to webhooks, if there were any."""
        if "webhooks" in self.__dict__:
            await self.webhooks.close()

    # --- reading

    def entry(self, served: Served, namespace: str, name: str) -> Entry | None:
        return served.root.entries.get(served.key(namespace, name))

    def peek(self, resource: Resource, namespace: str, name: str) -> Object | None:
        """Return a cached object of a built-in resource, shared and read-only; None when it is missing."""
        served = self.catalog.of(resource)
        entry = self.entry(served, namespace, name)
        return None if entry is None else entry.shared(resource.kind, resource.api_version)

    async def may(self, call: Call, info: RequestInfo) -> Decision:
        """Ask whether the caller may do something besides what was authorized before."""
        if self.authorizer is None:
            return Decision(allowed=True)
        return await self.authorizer.authorize(call.user, info)

    async def authorize_create(self, call: Call) -> None:
        """See that a caller who came by another verb may create too. Raises `Forbidden`."""
        info = call.as_verb("create")
        decision = await self.may(call, info)
        if not decision.allowed:
            raise forbidden(call.user, info, decision.reason)

    # --- admission

    @property
    def admission(self) -> Sequence[AdmissionPlugin]:
        return self._steps.plugins

    @admission.setter
    def admission(self, plugins: Sequence[AdmissionPlugin]) -> None:
        self._steps = Steps(plugins)

    async def admit(
        self,
        call: Call,
        operation: Operation,
        obj: Object | None,
        old: Object | None = None,
    ) -> Attributes | None:
        """Let every plugin change `obj`; return what `validate` needs, None when there are no plugins."""
        if not self._steps.plugins:
            return None
        scale = call.served.resource.scale if call.subresource == "scale" else None
        attributes = Attributes(
            operation=operation,
            resource=call.served.resource,
            subresource=call.subresource,
            namespace=call.namespace,
            name=call.name,
            object=obj,
            old_object=old,
            options=call.options,
            user=call.user,
            dry_run=call.dry_run,
            warnings=call.warnings,
            annotations=call.annotations,
            audit=call.audit,
            host=self.host,
        )
        if scale is None or obj is None or old is None:
            await self._steps.admit(attributes, self.metrics)
            return attributes
        # Plugins see what the client wrote: the Scale, of which only the replicas reach the object.
        asked = attributes.object = scales.of(scale, obj)
        attributes.old_object = scales.of(scale, old)
        before = scales.replicas_of(asked)
        await self._steps.admit(attributes, self.metrics)
        if scales.replicas_of(asked) != before:
            scales.put(obj, scale.replicas, scales.replicas_of(asked))
        return attributes

    async def validate(self, attributes: Attributes | None) -> None:
        """Let every plugin refuse what `admit` made."""
        if attributes is None:
            return
        scale, obj = attributes.resource.scale, attributes.object
        if attributes.subresource == "scale" and scale is not None and obj is not None:
            attributes.object = scales.of(scale, obj)
        await self._steps.validate(attributes, self.metrics)

    # --- writing

    async def encode(self, served: Served, stored: Object) -> bytes:
        if served.custom:
            stored = await served.encodable(stored)
        return encode(stored, served.storage.kind, served.stored_api_version)

    async def seen(self, served: Served, record: Record) -> Entry:
        """Return the entry of a record just written, once the cache shows it."""
        await self.cacher.wait_for(record.mod_revision)
        root = served.root
        key = record.key[len(root.prefix) :]
        entry = root.entries.get(key)
        if entry is None or entry.revision != record.mod_revision:
            entry = Entry.of(record, len(root.prefix))
        if served.needs_preparing:
            await served.prepare([entry])
        return entry
