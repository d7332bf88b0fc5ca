"""ResourceQuota: a namespace uses no more than its quotas allow.

What is used is counted as the watch caches change (`quota_counts.py`), so it is never stale; what is in
flight at the same moment is reserved until it shows there. As upstream, a quota restrains only once the
quota controller has put its limits into the status.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from podium.apiserver.admission import limited_resources
from podium.apiserver.admission.plugin import Plugin
from podium.apiserver.admission.quota_counts import Counts
from podium.apiserver.admission.writes import refused
from podium.apiserver.chain import Attributes, Reader
from podium.base.clock import Clock, WallClock
from podium.machinery import meta
from podium.machinery.amounts import add
from podium.machinery.errors import Object
from podium.machinery.quantity import ZERO, parse
from podium.machinery.resource import Resource
from podium.resources.core.quota_usage import COMPUTE, Usage, matches_scopes, usage_of
from podium.resources.core.resourcequotas import RESOURCEQUOTAS

RESERVED_S = 30.0
"""Longer than a write takes, even on a machine that is hardly able to. A write that fails after its
reservation, behind which there is nothing but the store, gives it back this late."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reservation:
    name: str
    version: int | None
    """The resourceVersion of what is replaced; None for a new object."""
    usage: Usage
    until_s: float


class ResourceQuota(Plugin):
    name = "ResourceQuota"

    def __init__(
        self, reader: Reader, *, clock: Clock | None = None, configuration: Object | None = None
    ) -> None:
        """Raises ValueError for a configuration that makes no sense."""
        self._limits = limited_resources.read(configuration or {})
        self._reader = reader
        self._quotas = reader.cached(RESOURCEQUOTAS)
        self._clock = clock or WallClock()
        self._counts = Counts(reader)
        self._reserved: dict[tuple[str, str], list[_Reservation]] = {}

    async def validate(self, attributes: Attributes) -> None:
        if attributes.operation not in ("CREATE", "UPDATE") or attributes.subresource:
            return
        new = attributes.object
        if new is None or not attributes.namespace:
            return
        quotas = [q for q in self._quotas.list(attributes.namespace) if meta.dig(q, "status", "hard")]
        if not quotas and not self._limits:
            return
        group_plural = _counted(attributes).group_plural
        asked = usage_of(group_plural, new)
        if attributes.old_object is not None:
            asked = _increase(asked, usage_of(group_plural, attributes.old_object))
        asked = {name: amount for name, amount in asked.items() if amount > ZERO}
        if self._limits and asked:
            why = limited_resources.uncovered(
                self._limits, group_plural, new, usage_of(group_plural, new), quotas
            )
            if why:
                raise refused(attributes, why)
        for quota in quotas:
            self._check(attributes, quota, asked)
        if asked and not attributes.dry_run:
            self._reserve(attributes, asked)

    def _check(self, attributes: Attributes, quota: Object, asked: Usage) -> None:
        assert attributes.object is not None
        group_plural = _counted(attributes).group_plural
        if not matches_scopes(quota, group_plural, attributes.object):
            return
        hard = {name: parse(text) for name, text in quota["status"]["hard"].items()}
        if group_plural == "pods" and attributes.operation == "CREATE":
            unsaid = unsaid_amounts(hard, attributes.object)
            if unsaid:
                raise refused(attributes, f"failed quota: {meta.name(quota)}: must specify {unsaid}")
        concerned = sorted(name for name in asked if name in hard)
        if not concerned:
            return
        used = self._used(attributes, quota)
        exceeded = [name for name in concerned if hard[name] < used.get(name, ZERO) + asked[name]]
        if exceeded:
            raise refused(
                attributes,
                f"exceeded quota: {meta.name(quota)}, requested: {_shown(asked, exceeded)}, "
                f"used: {_shown(used, exceeded)}, limited: {_shown(hard, exceeded)}",
            )

    def _used(self, attributes: Attributes, quota: Object) -> Usage:
        counted = _counted(attributes)
        used = dict(self._counts.used(counted, attributes.namespace, quota))
        for reservation in self._in_flight(attributes):
            add(used, reservation.usage)
        return used

    def _in_flight(self, attributes: Attributes) -> list[_Reservation]:
        """Return what is reserved for writes that do not show yet: their objects are as they were before."""
        counted = _counted(attributes)
        key = (counted.group_plural, attributes.namespace)
        if key not in self._reserved:
            return []
        view, now_s = self._reader.cached(counted), self._clock.monotonic_s()

        def waits(reservation: _Reservation) -> bool:
            found = view.get(attributes.namespace, reservation.name)
            version = None if found is None else meta.resource_version(found)
            return reservation.until_s > now_s and version == reservation.version

        kept = [reservation for reservation in self._reserved[key] if waits(reservation)]
        if kept:
            self._reserved[key] = kept
        else:
            self._reserved.pop(key, None)
        return kept

    def _reserve(self, attributes: Attributes, asked: Usage) -> None:
        assert attributes.object is not None
        key = (_counted(attributes).group_plural, attributes.namespace)
        now_s = self._clock.monotonic_s()
        name = meta.name(attributes.object)
        old = attributes.old_object
        version = None if old is None else meta.resource_version(old)
        # An update that is tried again, after a conflict, counts once.
        others = [r for r in self._reserved.get(key, ()) if r.name != name and r.until_s > now_s]
        reservation = _Reservation(name=name, version=version, usage=asked, until_s=now_s + RESERVED_S)
        self._reserved[key] = [*others, reservation]


def _counted(attributes: Attributes) -> Resource:
    """Return what a write is counted as: old versions show the objects of the current one."""
    resource = attributes.resource
    return resource.storage if resource.legacy and resource.storage is not None else resource


def unsaid_amounts(hard: Iterable[str], pod: Object) -> str:
    """Return which limited amounts the containers leave open: `limits.cpu for: a,b; requests.cpu for: a`."""
    open_amounts: dict[str, list[str]] = {}
    for container in meta.dig(pod, "spec", "containers", default=()):
        for name in hard:
            part, _, resource = name.rpartition(".")
            part = part or "requests"
            if resource not in COMPUTE or part not in ("requests", "limits"):
                continue
            if resource not in meta.dig(container, "resources", part, default={}):
                open_amounts.setdefault(name, []).append(container.get("name", ""))
    return "; ".join(f"{name} for: {','.join(open_amounts[name])}" for name in sorted(open_amounts))


# --- amounts


def _increase(new: Usage, old: Usage) -> Usage:
    return {name: amount - old.get(name, ZERO) for name, amount in new.items()}


def _shown(amounts: Usage, names: list[str]) -> str:
    return ",".join(f"{name}={amounts.get(name, ZERO)}" for name in names)
