"""Writes of this server to APIServices, through the registry like anybody's."""

from __future__ import annotations

from podium.apiserver.aggregation import registration
from podium.apiserver.aggregation.autoregister import Step
from podium.apiserver.aggregation.availability import Verdict
from podium.apiserver.chain import LOOPBACK_USER, MASTERS, User
from podium.apiserver.metrics import ApiServerMetrics
from podium.apiserver.registry.call import Call
from podium.apiserver.registry.create import create
from podium.apiserver.registry.delete import DeleteOptions, delete
from podium.apiserver.registry.registry import Registry
from podium.apiserver.registry.served import Served
from podium.apiserver.registry.update import modify
from podium.base.clock import rfc3339
from podium.base.log import Log
from podium.machinery.errors import AlreadyExists, Conflict, NotFound, Object
from podium.machinery.meta import deep_copy

MANAGER = "kube-apiserver"
_USER = User(name=LOOPBACK_USER, groups=(MASTERS,))
_log = Log("podium.apiserver.aggregation")


class ApiServices:
    """The APIServices of one API server, read from its cache and written through its registry."""

    def __init__(self, registry: Registry, served: Served, metrics: ApiServerMetrics) -> None:
        self._registry = registry
        self._served = served
        self._metrics = metrics

    @property
    def names(self) -> list[str]:
        return list(self._served.root.keys)

    def get(self, name: str) -> Object | None:
        """Return an APIService, shared and read-only."""
        entry = self._served.root.entries.get(name)
        resource = self._served.resource
        return None if entry is None else entry.shared(resource.kind, resource.api_version)

    async def judge(self, name: str, verdict: Verdict) -> None:
        """Have the condition Available say `verdict`; writes nothing when it does already."""
        current = self.get(name)
        if current is None:
            return
        before = registration.condition(current) or {}
        wanted = (verdict.status, verdict.reason, verdict.message)
        if (before.get("status"), before.get("reason"), before.get("message")) == wanted:
            return
        now = rfc3339(self._registry.clock.now())

        async def transform(old: Object) -> Object:
            new: Object = deep_copy(old)
            conditions = (old.get("status") or {}).get("conditions") or ()
            new["status"] = {
                **(old.get("status") or {}),
                "conditions": registration.with_condition(conditions, *wanted, now),
            }
            return new

        try:
            await modify(self._registry, self._call(name, "status"), transform)
        except NotFound:
            return
        if before.get("status") == "True" and verdict.status != "True":
            self._metrics.unavailable_count.labels(name, verdict.reason).value += 1
        _log.info("availability of an APIService", name=name, status=verdict.status, reason=verdict.reason)

    async def perform(self, step: Step) -> None:
        """Do what auto-registration has decided. Whoever else was faster has the last word."""
        name = step.object["metadata"]["name"]
        try:
            if step.verb == "create":
                await create(self._registry, self._call(""), deep_copy(step.object))
            elif step.verb == "delete":
                options = DeleteOptions(uid=step.object["metadata"].get("uid"))
                await delete(self._registry, self._call(name), options)
            else:
                await modify(
                    self._registry, self._call(name), lambda old: _with_spec(old, step.object["spec"])
                )
        except (AlreadyExists, NotFound, Conflict):
            return

    def _call(self, name: str, subresource: str = "") -> Call:
        return Call(
            served=self._served, user=_USER, name=name, subresource=subresource, field_manager=MANAGER
        )


async def _with_spec(old: Object, spec: Object) -> Object:
    new: Object = deep_copy(old)
    new["spec"] = spec
    return new
