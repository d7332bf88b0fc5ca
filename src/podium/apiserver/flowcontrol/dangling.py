"""Says of each FlowSchema whether the priority level that it names exists: the condition Dangling.

Upstream: the configuration consumer in apiserver/pkg/util/flowcontrol/apf_controller.go, under whose name it
is applied.
"""

from __future__ import annotations

import asyncio

from podium.apiserver.cacher.entry import Event
from podium.apiserver.chain import LOOPBACK_USER, MASTERS, User
from podium.apiserver.registry.apply import Config, apply
from podium.apiserver.registry.call import Call
from podium.apiserver.registry.registry import Registry
from podium.apiserver.registry.served import Served
from podium.base.clock import rfc3339
from podium.base.log import Log
from podium.machinery.errors import ApiError, NotFound, Object

MANAGER = "api-priority-and-fairness-config-consumer-v1"
RETRY_S = 1.0
_USER = User(name=LOOPBACK_USER, groups=(MASTERS,))
_log = Log("podium.apiserver.flowcontrol")


def level_of(schema: Object) -> str:
    """Return the name of the priority level that a FlowSchema refers to."""
    return str(((schema.get("spec") or {}).get("priorityLevelConfiguration") or {}).get("name") or "")


def plan(schema: Object, *, exists: bool, now: str) -> Object | None:
    """Return the condition that a FlowSchema should have, None when it has it already."""
    subject = f'This FlowSchema references the PriorityLevelConfiguration object named "{level_of(schema)}"'
    wanted: Object = {"type": "Dangling", "status": "False", "reason": "Found"}
    wanted["message"] = f"{subject} and it exists"
    if not exists:
        wanted.update(status="True", reason="NotFound", message=f"{subject} but there is no such object")
    for condition in (schema.get("status") or {}).get("conditions") or ():
        if condition.get("type") == "Dangling":
            if all(condition.get(key) == value for key, value in wanted.items()):
                return None
            if condition.get("status") == wanted["status"] and condition.get("lastTransitionTime"):
                now = condition["lastTransitionTime"]
    return {**wanted, "lastTransitionTime": now}


class DanglingReferences:
    """Follows both kinds in the cache of one API server; `run` writes what has to be written."""

    def __init__(self, registry: Registry, schemas: Served, levels: Served) -> None:
        self._registry = registry
        self._schemas = schemas
        self._levels = levels
        self._dirty: set[str] = set()
        self._wake = asyncio.Event()
        schemas.root.subscribe(self._follow_schema)
        levels.root.subscribe(self._follow_level)

    def _follow_schema(self, event: Event) -> None:
        if event.entry is not None:
            self._mark(event.entry.name)

    def _follow_level(self, event: Event) -> None:
        if event.entry is not None and event.previous is not None:
            return
        level = event.entry or event.previous
        assert level is not None, "an event has an object, or had one"
        name = level.name
        for key in list(self._schemas.root.keys):
            schema = self._get(key)
            if schema is not None and level_of(schema) == name:
                self._mark(key)

    def _mark(self, name: str) -> None:
        if self._condition(name) is not None:
            self._dirty.add(name)
            self._wake.set()

    def _get(self, name: str) -> Object | None:
        entry = self._schemas.root.entries.get(name)
        resource = self._schemas.resource
        return None if entry is None else entry.shared(resource.kind, resource.api_version)

    def _condition(self, name: str) -> Object | None:
        schema = self._get(name)
        if schema is None:
            return None
        exists = level_of(schema) in self._levels.root.entries
        return plan(schema, exists=exists, now=rfc3339(self._registry.clock.now()))

    async def run(self) -> None:
        """Bring the conditions up to date, for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._dirty:
                name = self._dirty.pop()
                try:
                    await self._write(name)
                except NotFound:
                    continue
                except ApiError as error:
                    _log.error("the status of a FlowSchema was not written", name=name, error=str(error))
                    asyncio.get_running_loop().call_later(RETRY_S, self._mark, name)

    async def _write(self, name: str) -> None:
        condition = self._condition(name)
        if condition is None:
            return
        resource = self._schemas.resource
        config = {
            "apiVersion": resource.api_version,
            "kind": resource.kind,
            "metadata": {"name": name},
            "status": {"conditions": [condition]},
        }
        call = Call(served=self._schemas, user=_USER, name=name, subresource="status", field_manager=MANAGER)
        await apply(self._registry, call, Config(config), force=True)
