"""ResourceQuota: a namespace uses no more than its quotas allow.

What is used is counted as the watch caches change (`quota_counts.py`), so it is never stale; what is in
flight at the same moment is reserved until it shows there. As upstream, a quota restrains only once the
quota controller has put its limits into the status.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from podium.apiserver.admission import limited_resources
from podium.apiserver.admission.plugin import Plugin
from podium.apiserver.admission.quota_counts import Counts
from podium.apiserver.admission.writes import refused
from podium.apiserver.chain import Attributes, Reader, ViewChange
from podium.base.clock import Clock, WallClock
from podium.machinery import meta
from podium.machinery.amounts import add
from podium.machinery.errors import Object
from podium.machinery.quantity import ZERO, parse
from podium.machinery.resource import Resource
from podium.resources.core.quota_usage import Usage, is_terminating, matches_scopes, usage_of
from podium.resources.core.resourcequotas import RESOURCEQUOTAS

_PARTS = ("requests", "limits")
_MUST_BE_SAID = ("cpu", "memory")
"""Upstream calls it a mistake, and keeps it: of these, what a quota limits each container must ask for."""
_POD_LEVEL = ("cpu", "memory")

RESERVED_S = 30.0
"""Longer than a write takes, even on a machine that is hardly able to. A write that fails after its
reservation, behind which there is nothing but the store, gives it back this late."""
NAME_TAKEN_RESERVED_S = 1.0
"""For a create under a name that is taken: it fails, unless a deletion is just about to show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reservation:
    name: str
    version: int | None
    """The resourceVersion of what is replaced; None for a new object."""
    usage: Mapping[str, Usage]
    """What it adds to each quota, by the quota's uid."""
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
        self._followed: set[str] = set()

    async def validate(self, attributes: Attributes) -> None:
        new, old = attributes.object, attributes.old_object
        if new is None or not attributes.namespace:
            return
        found = list(self._quotas.list(attributes.namespace))
        if not (found or self._limits) or not _is_counted(attributes):
            return
        quotas = [quota for quota in found if meta.dig(quota, "status", "hard")]
        if not quotas and not self._limits:
            return
        group_plural = _counted(attributes).group_plural
        usage = usage_of(group_plural, new)
        more = usage if old is None else _increase(usage, usage_of(group_plural, old))
        more = {name: amount for name, amount in more.items() if amount > ZERO}
        if self._limits and more:
            why = limited_resources.uncovered(self._limits, group_plural, new, usage, quotas)
            if why:
                raise refused(attributes, why)
        asked: dict[str, Usage] = {}
        for quota in quotas:
            if not matches_scopes(quota, group_plural, new):
                continue
            # What an update brings into a quota's scope counts there whole.
            enters = old is not None and not matches_scopes(quota, group_plural, old)
            asked[meta.uid(quota)] = usage if enters else more
            self._check(attributes, quota, asked[meta.uid(quota)])
        if any(asked.values()) and not attributes.dry_run:
            self._reserve(attributes, asked)

    def _check(self, attributes: Attributes, quota: Object, asked: Usage) -> None:
        assert attributes.object is not None
        hard = {name: parse(text) for name, text in quota["status"]["hard"].items()}
        if _counted(attributes).group_plural == "pods":
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
        used = self._counts.used(counted, attributes.namespace, quota, self._clock.now())
        for reservation in self._in_flight(attributes):
            add(used, reservation.usage.get(meta.uid(quota)) or {})
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

    def _follow(self, counted: Resource) -> None:
        """From now on give back what is reserved when it shows. Only to look now and then would not do: what
        came and went in between would look like what has not come yet."""
        if counted.group_plural in self._followed:
            return
        self._followed.add(counted.group_plural)

        def shown(change: ViewChange) -> None:
            obj = change.new if change.new is not None else change.old
            assert obj is not None
            key = (counted.group_plural, meta.namespace(obj))
            if key in self._reserved:
                kept = [r for r in self._reserved[key] if not _is_shown(r, meta.name(obj), change)]
                self._reserved[key] = kept

        self._reader.cached(counted).subscribe(shown)

    def _reserve(self, attributes: Attributes, asked: Mapping[str, Usage]) -> None:
        assert attributes.object is not None
        counted = _counted(attributes)
        self._follow(counted)
        key = (counted.group_plural, attributes.namespace)
        now_s = self._clock.monotonic_s()
        name = meta.name(attributes.object)
        old = attributes.old_object
        version = None if old is None else meta.resource_version(old)
        usage = dict(asked)
        others = []
        for earlier in self._reserved.get(key, ()):
            if earlier.until_s <= now_s:
                continue
            if (earlier.name, earlier.version) == (name, version):
                # Of writes that replace the same thing only one succeeds: the largest may be it. So an update
                # that is tried again counts once, and nobody gives back what somebody else has reserved.
                usage = _larger(usage, earlier.usage)
            else:
                others.append(earlier)
        taken = old is None and self._reader.cached(counted).get(attributes.namespace, name) is not None
        until_s = now_s + (NAME_TAKEN_RESERVED_S if taken else RESERVED_S)
        reservation = _Reservation(name=name, version=version, usage=usage, until_s=until_s)
        self._reserved[key] = [*others, reservation]


def _is_shown(reservation: _Reservation, name: str, change: ViewChange) -> bool:
    """Tell whether a change shows that what is reserved has been done, or cannot be done any more."""
    if reservation.name != name:
        return False
    if reservation.version is None:
        return change.old is None  # it has been created
    return change.new is None or meta.resource_version(change.new) != reservation.version


def _larger(one: Mapping[str, Usage], other: Mapping[str, Usage]) -> dict[str, Usage]:
    """Return of each amount in each quota the larger one."""
    result: dict[str, Usage] = {}
    for uid in {**one, **other}:
        first, second = one.get(uid) or {}, other.get(uid) or {}
        result[uid] = {
            name: max(first.get(name, ZERO), second.get(name, ZERO)) for name in {**first, **second}
        }
    return result


def _counted(attributes: Attributes) -> Resource:
    """Return what a write is counted as: old versions show the objects of the current one."""
    resource = attributes.resource
    return resource.storage if resource.legacy and resource.storage is not None else resource


def _is_counted(attributes: Attributes) -> bool:
    """Tell whether this write can change what its object counts for."""
    if _counted(attributes).group_plural != "pods":
        return attributes.operation in ("CREATE", "UPDATE") and not attributes.subresource
    if attributes.operation == "CREATE":
        return not attributes.subresource
    new, old = attributes.object or {}, attributes.old_object or {}
    if attributes.operation != "UPDATE":
        return False
    if attributes.subresource:
        return attributes.subresource == "resize"
    return is_terminating(new) != is_terminating(old)


def unsaid_amounts(hard: Iterable[str], pod: Object) -> str:
    """Return which limited amounts the containers leave open: `limits.cpu for: a,b; requests.cpu for: a`.

    A pod that says itself what it needs in all need not say it for its containers.
    """
    spec = pod.get("spec") or {}
    own = spec.get("resources") or {}
    if any(
        name in _POD_LEVEL or name.startswith("hugepages-") for part in _PARTS for name in own.get(part) or ()
    ):
        return ""
    open_amounts: dict[str, set[str]] = {}
    for container in (*(spec.get("containers") or ()), *(spec.get("initContainers") or ())):
        for name in hard:
            part, _, resource = name.rpartition(".")
            if resource not in _MUST_BE_SAID or part not in ("", *_PARTS):
                continue
            if resource not in meta.dig(container, "resources", part or "requests", default={}):
                open_amounts.setdefault(name, set()).add(container.get("name", ""))
    return "; ".join(f"{name} for: {','.join(sorted(open_amounts[name]))}" for name in sorted(open_amounts))


# --- amounts


def _increase(new: Usage, old: Usage) -> Usage:
    return {name: amount - old.get(name, ZERO) for name, amount in new.items()}


def _shown(amounts: Usage, names: list[str]) -> str:
    return ",".join(f"{name}={amounts.get(name, ZERO)}" for name in names)
