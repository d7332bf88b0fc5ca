"""The garbage collector, simulated: nothing goes that has a living owner, and nothing stays that has none."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from podium.controllers.garbage_collector import FOREGROUND, ORPHAN, GarbageCollector, waits_for_dependents
from podium.machinery import meta
from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources.apiextensions.customresourcedefinitions import CUSTOMRESOURCEDEFINITIONS
from podium.resources.apiregistration.apiservices import APISERVICES
from podium.resources.core.configmaps import CONFIGMAPS
from podium.resources.core.persistentvolumes import PERSISTENTVOLUMES
from podium.resources.core.secrets import SECRETS
from podium.runtime.controller import Environment
from podium.runtime.informer import Informers
from tests.controllers.simulation.seeds import seeds
from tests.controllers.simulation.world import World, Write, simulate

KINDS: Sequence[Resource] = (CONFIGMAPS, SECRETS, PERSISTENTVOLUMES)
BY_KIND = {resource.kind: resource for resource in KINDS}
SPACES = ("a", "b")


class Ownership(World):
    """Objects that own each other as they like: in circles, across namespaces, and where they may not."""

    STEPS = 15
    COMMANDS = 0.7

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.api.served = (*KINDS, CUSTOMRESOURCEDEFINITIONS, APISERVICES)
        self.garbage.work = lambda: None  # type: ignore[method-assign] # this world has a real one
        self.made = 0
        self.freed: dict[str, int] = {}
        """Owners that were to leave their dependents behind, and when that was said."""

    def begin(self) -> None:
        for _ in range(self.random.randint(3, 10)):
            self.make()

    async def _keep_running(self) -> None:
        self._watched = list(KINDS)
        while True:
            self._stopped.clear()
            client = self.api.client()
            clock = self.api.clock
            environment = Environment(
                client=client,
                informers=Informers(client, clock=clock),
                clock=clock,
                workers={GarbageCollector.name: 3},
            )
            tasks = [
                asyncio.ensure_future(GarbageCollector().run(environment)),
                asyncio.ensure_future(environment.informers.run()),
            ]
            try:
                await self._stopped.wait()
            finally:
                for task in tasks:
                    task.cancel()
                for result in await asyncio.gather(*tasks, return_exceptions=True):
                    self.require(not isinstance(result, Exception), f"crashed: {result!r}")
            await asyncio.sleep(0 if self.calm else self.random.choice((0, 1, 20)))

    # The users

    def command(self) -> None:
        choice = self.random.choice((self.make, self.make, self.delete, self.delete, self.adopt, self.disown))
        choice()

    def everything(self) -> list[tuple[Resource, Object]]:
        return [(resource, obj) for resource in KINDS for obj in self.api.all(resource)]

    def make(self) -> None:
        self.made += 1
        resource = self.random.choice(KINDS)
        metadata: Object = {"name": f"x{self.made}"}
        if resource.namespaced:
            metadata["namespace"] = self.random.choice(SPACES)
        owners = self.random.choice((0, 1, 1, 2, 3))
        metadata["ownerReferences"] = [ref for _ in range(owners) if (ref := self.reference()) is not None]
        self.api.put(
            resource, {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata}
        )

    def reference(self) -> Object | None:
        """Return a reference to something, or to what has never been."""
        found = self.everything()
        if not found:
            return None
        resource, owner = self.random.choice(found)
        uid = meta.uid(owner) if self.chance(0.95) else f"never-{self.api.revision}"
        return {
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "name": meta.name(owner),
            "uid": uid,
            "blockOwnerDeletion": self.chance(0.5),
        }

    def delete(self) -> None:
        found = self.everything()
        if not found:
            return
        resource, obj = self.random.choice(found)
        if meta.deleting(obj):
            return
        how = self.random.choice(("now", FOREGROUND, ORPHAN))
        if how == "now" and not meta.finalizers(obj):
            self.api.remove(resource, meta.key(obj))
            return
        if how == ORPHAN:
            self.freed[meta.uid(obj)] = self.api.revision

        def mark(obj: Object) -> None:
            obj["metadata"]["deletionTimestamp"] = self.api.stamp()
            obj["metadata"]["finalizers"] = [] if how == "now" else [how]

        self.api.change(resource, meta.key(obj), mark)

    def adopt(self) -> None:
        found, reference = self.everything(), self.reference()
        if found and reference is not None:
            resource, obj = self.random.choice(found)
            known = {r["uid"] for r in meta.owner_references(obj)}
            if reference["uid"] not in known:
                self.change_owners(resource, obj, [*meta.owner_references(obj), reference])

    def disown(self) -> None:
        owned = [(resource, obj) for resource, obj in self.everything() if meta.owner_references(obj)]
        if owned:
            resource, obj = self.random.choice(owned)
            self.change_owners(resource, obj, meta.owner_references(obj)[1:])

    def change_owners(self, resource: Resource, obj: Object, references: list[Object]) -> None:
        self.api.change(resource, meta.key(obj), lambda o: o["metadata"].update(ownerReferences=references))

    # What must hold

    def owner_of(self, obj: Object, reference: Object) -> Object | None:
        """Return the owner that a reference means: in the same namespace, or in none."""
        resource = BY_KIND[reference["kind"]]
        space = f"{meta.namespace(obj)}/" if resource.namespaced else ""
        found = self.api.get(resource, f"{space}{reference['name']}")
        return found if found is not None and meta.uid(found) == reference["uid"] else None

    def is_valid(self, obj: Object, reference: Object) -> bool:
        """Something outside of namespaces cannot be owned by something inside of one."""
        return bool(meta.namespace(obj)) or not BY_KIND[reference["kind"]].namespaced

    def check_write(self, write: Write) -> None:
        if write.verb == "delete":
            self.check_delete(write.obj)

    def check_delete(self, obj: Object) -> None:
        references = meta.owner_references(obj)
        self.require(bool(references), f"{meta.name(obj)} had no owner, and is deleted")
        for reference in references:
            self.require(
                self.is_valid(obj, reference), f"{meta.name(obj)} has an owner that cannot be looked at"
            )
            owner = self.owner_of(obj, reference)
            self.require(
                owner is None or waits_for_dependents(owner),
                f"{meta.name(obj)} is deleted, though its owner {reference['name']} lives",
            )

    def check_rest(self) -> None:
        for _, obj in self.everything():
            assert FOREGROUND not in meta.finalizers(obj), f"waits for ever: {obj}"
            assert ORPHAN not in meta.finalizers(obj), f"not yet released: {obj}"
            references = meta.owner_references(obj)
            if not all(self.is_valid(obj, reference) for reference in references):
                continue
            gone = [reference for reference in references if self.owner_of(obj, reference) is None]
            assert not gone, f"{obj} has lost {gone}"


@seeds(160)
def test_what_has_an_owner_stays_and_what_has_none_goes(seed: int) -> None:
    simulate(Ownership, seed)
