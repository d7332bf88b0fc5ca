"""Follows the definitions: serves what they define, keeps their status, cleans up after those that go.

    a definition changes -> _follow (in the loop, at once): the catalog changes
                         -> run (a task): its status is written, its objects are deleted

What is established is served before its first watcher hears of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import orjson

from podium.apiserver.cacher.cacher import Cacher
from podium.apiserver.cacher.entry import Event
from podium.apiserver.chain import LOOPBACK_USER, MASTERS, User
from podium.apiserver.crd import names
from podium.apiserver.crd.resources import (
    definition_name,
    resource_of,
    served_versions,
    storage_version,
)
from podium.apiserver.crd.served import Converter, CustomServed
from podium.apiserver.registry.call import Call
from podium.apiserver.registry.delete import DeleteOptions, delete
from podium.apiserver.registry.registry import Registry
from podium.apiserver.registry.served import Served
from podium.apiserver.registry.update import modify
from podium.base.clock import rfc3339
from podium.base.log import Log
from podium.machinery.errors import ApiError, NotFound, Object
from podium.machinery.meta import deep_copy
from podium.machinery.resource import Resource
from podium.machinery.schema import Schema
from podium.machinery.structural.schema import StructuralSchema

MANAGER = "kube-apiserver"
RETRY_S = 1.0
_USER = User(name=LOOPBACK_USER, groups=(MASTERS,))
_KIND, _API_VERSION = "CustomResourceDefinition", "apiextensions.k8s.io/v1"
_log = Log("podium.apiserver.crd")


@dataclass(slots=True, kw_only=True)
class _Defined:
    """What one definition has led to."""

    fingerprint: bytes = b""
    resources: tuple[Resource, ...] = ()


class Definitions:
    """All definitions of one API server."""

    def __init__(
        self,
        registry: Registry,
        cacher: Cacher,
        served: Served,
        metadata: Callable[[], Schema],
        converter: Callable[[Object], Converter],
    ) -> None:
        self._registry = registry
        self._cacher = cacher
        self._served = served
        """The definitions themselves, as a resource."""
        self._metadata = metadata
        self._converter = converter
        self.schemas: dict[str, StructuralSchema] = {}
        """Of every served version, by the name of its definition in OpenAPI."""
        self._defined: dict[str, _Defined] = {}
        self._dirty: set[str] = set()
        self._wake = asyncio.Event()
        self._cleaning: set[str] = set()

    # --- following

    def follow(self, event: Event) -> None:
        """Take one change of a definition."""
        name = event.key
        if event.entry is None:
            assert event.previous is not None
            self._drop(name, event.previous.passing(_KIND, _API_VERSION))
            return
        definition = event.entry.passing(_KIND, _API_VERSION)
        if names.is_true(definition, names.ESTABLISHED):
            self._serve(name, definition)
        self._mark(name)

    def _mark(self, name: str) -> None:
        self._dirty.add(name)
        self._wake.set()

    def _serve(self, name: str, definition: Object) -> None:
        status = definition.get("status") or {}
        fingerprint = orjson.dumps(
            [definition["spec"], status.get("acceptedNames"), names.is_deleting(definition)]
        )
        defined = self._defined.setdefault(name, _Defined())
        if defined.fingerprint == fingerprint:
            return
        for resource in defined.resources:
            self.schemas.pop(resource.schema, None)
        served = self._made(definition)
        self._registry.catalog.replace(defined.resources, served)
        defined.resources = tuple(one.resource for one in served)
        defined.fingerprint = fingerprint

    def _made(self, definition: Object) -> list[CustomServed]:
        spec = definition["spec"]
        stored = storage_version(definition)
        schemas = {version["name"]: self._schema(spec, version) for version in spec["versions"]}
        conversion = spec.get("conversion") or {}
        by_webhook = conversion.get("strategy") == "Webhook" and len(spec["versions"]) > 1
        converter = self._converter(definition) if by_webhook else None
        made = []
        for version in served_versions(definition):
            schema = schemas[version["name"]]
            resource = resource_of(definition, version, schema)
            self.schemas[resource.schema] = schema
            made.append(
                CustomServed(
                    resource,
                    self._cacher.root(resource.storage_root),
                    schema=schema,
                    stored_version=stored,
                    stored_schema=schemas[stored],
                    converter=converter,
                )
            )
        return made

    def _schema(self, spec: Object, version: Object) -> StructuralSchema:
        source = (version.get("schema") or {}).get("openAPIV3Schema") or {}
        schema = StructuralSchema(
            definition_name(spec["group"], version["name"], spec["names"]["kind"]),
            source,
            self._metadata(),
            preserve=bool(spec.get("preserveUnknownFields")),
        )
        if self._registry.metrics is not None:
            schema.rules_took = self._registry.metrics.custom.rules_took
        return schema

    def _drop(self, name: str, definition: Object) -> None:
        self._cleaning.discard(name)
        self._dirty.discard(name)
        defined = self._defined.pop(name, None)
        if defined is not None:
            for resource in defined.resources:
                self.schemas.pop(resource.schema, None)
            self._registry.catalog.replace(defined.resources, ())
            self._cacher.root(self._prefix(definition)).close()
            self._cacher.drop(self._prefix(definition))
        for other, _ in self._others(name, definition["spec"]["group"]):
            self._mark(other)

    @staticmethod
    def _prefix(definition: Object) -> str:
        spec = definition["spec"]
        return f"/registry/{spec['group']}/{spec['names']['plural']}/"

    def _others(self, name: str, group: str) -> list[tuple[str, Object]]:
        found = []
        for key, entry in self._served.root.entries.items():
            if key != name and key.endswith(f".{group}"):
                other = entry.passing(_KIND, _API_VERSION)
                if other["spec"]["group"] == group:
                    found.append((key, other))
        return found

    # --- acting

    async def run(self) -> None:
        """Write what the definitions' status should say and clean up, for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._dirty:
                # In the order of creation, which is that of their claims.
                name = min(self._dirty, key=self._age)
                self._dirty.discard(name)
                try:
                    await self._reconcile(name)
                except NotFound:
                    continue
                except ApiError as error:
                    _log.error("a definition could not be brought up to date", name=name, error=str(error))
                    asyncio.get_running_loop().call_later(RETRY_S, self._mark, name)
                except Exception:
                    _log.exception("a definition could not be brought up to date", name=name)

    def _age(self, name: str) -> int:
        entry = self._served.root.entries.get(name)
        return entry.revision if entry is not None else 0

    async def _reconcile(self, name: str) -> None:
        entry = self._served.root.entries.get(name)
        if entry is None:
            return
        definition = entry.passing(_KIND, _API_VERSION)
        if names.is_deleting(definition):
            await self._clean_up(name, definition)
            return
        others = [other for _, other in self._others(name, definition["spec"]["group"])]

        def plan(old: Object) -> Object:
            return names.plan_status(old, others, self._now())

        await self._write_status(name, plan)

    def _now(self) -> str:
        return rfc3339(self._registry.clock.now())

    def _call(self, name: str, subresource: str = "") -> Call:
        return Call(
            served=self._served, user=_USER, name=name, subresource=subresource, field_manager=MANAGER
        )

    async def _write_status(self, name: str, plan: Callable[[Object], Object]) -> None:
        async def transform(old: Object) -> Object:
            new: Object = deep_copy(old)
            new["status"] = plan(old)
            return new

        await modify(self._registry, self._call(name, "status"), transform)

    # --- deletion

    async def _clean_up(self, name: str, definition: Object) -> None:
        """Delete all objects of a definition that is being deleted, then let it go."""
        if names.FINALIZER not in (definition["metadata"].get("finalizers") or ()):
            return
        root = self._cacher.root(self._prefix(definition))
        if root.entries:
            await self._delete_objects(name, definition)
        if root.entries:
            return  # their finalizers hold them; each that goes brings us here again
        await self._let_go(name)

    async def _delete_objects(self, name: str, definition: Object) -> None:
        def in_progress(old: Object) -> Object:
            conditions = names.terminating(
                old, "InstanceDeletionInProgress", "CustomResource deletion is in progress", self._now()
            )
            return {**(old.get("status") or {}), "conditions": conditions}

        await self._write_status(name, in_progress)
        prefix = self._prefix(definition)
        root = self._cacher.root(prefix)
        if name not in self._cleaning:
            self._cleaning.add(name)

            def gone(event: Event) -> None:
                if event.entry is None and name in self._cleaning and not root.entries:
                    self._mark(name)

            root.subscribe(gone)
        (served, *_) = self._made(definition)
        for key, entry in list(root.entries.items()):
            if key not in root.entries:
                continue
            call = Call(served=served, user=_USER, namespace=entry.namespace, name=entry.name)
            try:
                await delete(self._registry, call, DeleteOptions())
            except NotFound:
                continue

    async def _let_go(self, name: str) -> None:
        async def without_finalizer(old: Object) -> Object:
            new: Object = deep_copy(old)
            kept = [one for one in new["metadata"].get("finalizers") or () if one != names.FINALIZER]
            new["metadata"]["finalizers"] = kept
            if not kept:
                del new["metadata"]["finalizers"]
            conditions = names.terminating(
                old, "InstanceDeletionCompleted", "removed all instances", self._now(), "False"
            )
            new["status"] = {**(old.get("status") or {}), "conditions": conditions}
            return new

        await modify(self._registry, self._call(name), without_finalizer, system=True)
