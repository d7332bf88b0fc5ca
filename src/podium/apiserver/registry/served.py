"""Resources as they are served: the declared value and what run time adds to it; the table of them all."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence

from podium.apiserver.cacher.cacher import Cacher
from podium.apiserver.cacher.entry import Entry, head
from podium.apiserver.cacher.root import Root
from podium.apiserver.registry.versions import preference
from podium.machinery.errors import FieldError, Object
from podium.machinery.feature_gates import FeatureGates, table
from podium.machinery.gated import Drops, compiled
from podium.machinery.resource import Resource, Subresource


class Served:
    """One resource in one version, with the cached objects behind it."""

    __slots__ = (
        "cbor_form",
        "converted",
        "drops",
        "form",
        "gate_checks",
        "head",
        "plain",
        "protobuf_form",
        "resource",
        "root",
        "storage",
        "subresources",
        "unsafe_deletion",
    )

    custom = False
    """Defined at run time: upstream's generic server for these answers some things in its own way."""
    needs_preparing = False
    """Whether `prepare` must have seen an entry before anything else is asked of it."""

    def __init__(self, resource: Resource, root: Root, gates: FeatureGates | None = None) -> None:
        self.resource = resource
        self.storage = resource.storage or resource
        """The resource in whose version objects are stored."""
        self.converted = resource.storage is not None
        self.root = root
        self.drops = Drops()
        """What drops fields that need a feature gate which is off."""
        self.gate_checks: list[Callable[[Object, Object | None], list[FieldError]]] = []
        """What is refused because a feature gate is off, or on."""
        self.unsafe_deletion = gates is not None and gates.enabled("AllowUnsafeMalformedObjectDeletion")
        """Whether objects that cannot be read may be deleted; upstream words their errors otherwise then."""
        if gates is not None:
            self.drops = compiled(self.storage.gated, gates)
            off, on = self.storage.while_off, self.storage.while_on
            self.gate_checks = [off[gate] for gate in off if not gates.enabled(gate)]
            self.gate_checks += [on[gate] for gate in on if gates.enabled(gate)]
        self.head = head(resource.kind, resource.api_version)
        self.plain = (
            not self.custom
            and not self.converted
            and resource.stored
            and "get" in resource.verbs
            and not resource.deprecation
        )
        """Whether to get an object is to get its bytes, and nothing else."""
        self.form: object | None = None
        """Kept here by the HTTP side: the encoder that all watchers of this resource share."""
        self.cbor_form: object | None = None
        self.protobuf_form: object | None = None
        """The same for those who want protobuf."""
        self.subresources: Mapping[str, Subresource] = {sub.name: sub for sub in resource.subresources}

    @property
    def stored_api_version(self) -> str:
        """The version in which objects are written."""
        return self.storage.api_version

    async def prepare(self, entries: Sequence[Entry]) -> None:
        """Do what takes waiting so that these entries can be shown: ask a webhook."""

    async def encodable(self, stored: Object) -> Object:
        """Return `stored` as it is to be written."""
        return stored

    def whole(self, entry: Entry) -> bytes:
        """Return the object in this version, encoded, with kind and apiVersion."""
        return self.head + entry.item[1:]

    def is_stale(self, _entry: Entry) -> bool:
        """Whether writing an unchanged object would change what is stored."""
        return False

    def key(self, namespace: str, name: str) -> str:
        """Return the key of an object below the root."""
        return f"{namespace}/{name}" if self.resource.namespaced else name

    def object(self, entry: Entry) -> Object:
        """Return a fresh object in this version, with kind and apiVersion."""
        stored = {
            "kind": self.storage.kind,
            "apiVersion": self.storage.api_version,
            **entry.decode(),
        }
        return self.from_storage(stored)

    def from_storage(self, stored: Object) -> Object:
        """Return `stored` in this version, kind and apiVersion included."""
        if not self.converted:
            return stored
        converted = self.resource.from_storage(stored)
        converted["kind"] = self.resource.kind
        converted["apiVersion"] = self.resource.api_version
        return converted

    async def converted_from(self, other: Served, obj: Object) -> Object:
        """Return `obj`, which is in the version of `other`, in this one; both show the same objects."""
        return self.from_storage(other.to_storage(obj))

    def to_storage(self, obj: Object) -> Object:
        """Return `obj`, which is in this version, as the storage resource's."""
        if not self.converted:
            return obj
        converted = self.resource.to_storage(obj)
        converted["kind"] = self.storage.kind
        converted["apiVersion"] = self.storage.api_version
        return converted


class Catalog:
    """All served resources, by where their paths put them. Changes at run time, as CRDs come and go."""

    def __init__(self, cacher: Cacher, gates: FeatureGates | None = None) -> None:
        self._cacher = cacher
        self._gates = gates
        self._groups: dict[tuple[str, str], dict[str, Served]] = {}
        self._by_kind: dict[tuple[str, str], Served] = {}
        self._own: dict[tuple[str, str, str], Served] = {}
        """What only the server itself uses, because the runtime config does not have it served."""
        self._custom_groups: set[str] = set()
        """Groups that only definitions make up."""
        self._listeners: list[Callable[[], None]] = []

    def enabled(self, gate: str) -> bool:
        """Whether a feature gate is on; what the served version does not know is off."""
        gates = self._gates
        return gates is not None and gate in table(gates.version) and gates.enabled(gate)

    def add(self, resources: Iterable[Resource]) -> None:
        """Serve `resources`, replacing those of the same group, version and plural."""
        for declared in resources:
            resource = self._gated(declared)
            storage = resource.storage or resource
            served = Served(resource, self._cacher.root(storage.storage_root), self._gates)
            self._groups.setdefault((resource.group, resource.version), {})[resource.plural] = served
            self._by_kind[resource.api_version, resource.kind] = served
        self._changed()

    def _gated(self, resource: Resource) -> Resource:
        """Return the resource with the defaults that the gates which are on bring along."""
        gates = self._gates
        if gates is None or not resource.defaults_by_gate:
            return resource
        by_gate = resource.defaults_by_gate
        steps = [resource.defaults, *(by_gate[gate] for gate in by_gate if gates.enabled(gate))]

        def defaults(obj: Object) -> None:
            for step in steps:
                step(obj)

        return dataclasses.replace(resource, defaults=defaults)

    def replace(self, old: Iterable[Resource], new: Iterable[Served]) -> None:
        """Serve the custom resources `new`, and `old` no longer: one change for those who listen."""
        for resource in old:
            self._take_out(resource)
        for served in new:
            resource = served.resource
            gv = (resource.group, resource.version)
            if gv not in self._groups and not self.knows_group(resource.group):
                self._custom_groups.add(resource.group)
            self._groups.setdefault(gv, {})[resource.plural] = served
            self._by_kind[resource.api_version, resource.kind] = served
        builtin = {gv: served for gv, served in self._groups.items() if gv[0] not in self._custom_groups}
        custom = sorted(
            (gv for gv in self._groups if gv not in builtin), key=lambda gv: (gv[0], preference(gv[1]))
        )
        self._groups = {**builtin, **{gv: self._groups[gv] for gv in custom}}
        self._custom_groups = {group for group, _ in custom}
        self._changed()

    def _take_out(self, resource: Resource) -> None:
        gv = (resource.group, resource.version)
        group = self._groups.get(gv, {})
        group.pop(resource.plural, None)
        if not group:
            self._groups.pop(gv, None)
        self._by_kind.pop((resource.api_version, resource.kind), None)

    def is_custom_group(self, group: str) -> bool:
        """Whether all that the group has was defined at run time."""
        return group in self._custom_groups

    def remove(self, resources: Iterable[Resource]) -> None:
        """Serve `resources` no longer."""
        for resource in resources:
            self._take_out(resource)
        self._changed()

    def _changed(self) -> None:
        for listener in self._listeners:
            listener()

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call `listener` whenever the table has changed."""
        self._listeners.append(listener)

    def group(self, group: str, version: str) -> Mapping[str, Served] | None:
        """Return what is served at one group and version, by plural; None when that is unknown."""
        return self._groups.get((group, version))

    def find(self, group: str, version: str, plural: str) -> Served | None:
        resources = self._groups.get((group, version))
        return None if resources is None else resources.get(plural)

    def find_kind(self, api_version: str, kind: str) -> Served | None:
        return self._by_kind.get((api_version, kind))

    def of(self, resource: Resource) -> Served:
        """Return `resource`, which the server itself needs: it may not be served to clients."""
        found = self.find(resource.group, resource.version, resource.plural)
        if found is None:
            key = (resource.group, resource.version, resource.plural)
            found = self._own.get(key)
            if found is None:
                storage = resource.storage or resource
                found = self._own[key] = Served(
                    resource, self._cacher.root(storage.storage_root), self._gates
                )
        return found

    def knows_group(self, group: str) -> bool:
        return any(known == group for known, _ in self._groups)

    def versions(self) -> Mapping[tuple[str, str], Mapping[str, Served]]:
        """Return everything, by (group, version), in the order of declaration."""
        return self._groups
