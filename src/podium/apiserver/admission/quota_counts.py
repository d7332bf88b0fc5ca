"""What the objects of a namespace use of its quotas, kept by watch: a write adds, it does not count anew.

A resource is followed from the first write on that a quota is about; a namespace is counted once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

import orjson

from podium.apiserver.chain import Reader, View, ViewChange
from podium.machinery import meta
from podium.machinery.amounts import add
from podium.machinery.errors import Object
from podium.machinery.quantity import ZERO
from podium.machinery.resource import Resource
from podium.resources.core.quota_usage import Usage, matches_scopes, overdue_s, usage_of
from podium.resources.core.resourcequotas import RESOURCEQUOTAS


@dataclass(slots=True)
class _Total:
    """What counts for quotas of one scope."""

    quota: Object
    """One of them, for its scope."""
    used: Usage = field(default_factory=dict)


class Counts:
    """The counts of all namespaces that have quotas."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._followed: dict[str, _Followed] = {}
        reader.cached(RESOURCEQUOTAS).subscribe(self._on_quota)

    def used(self, resource: Resource, namespace: str, quota: Object, now: datetime) -> Usage:
        """Return what the objects of a resource use of a quota of their namespace; the caller's to change."""
        followed = self._followed.get(resource.group_plural)
        if followed is None:
            view = self._reader.cached(resource)
            followed = self._followed[resource.group_plural] = _Followed(resource.group_plural, view)
        return followed.used(namespace, quota, now)

    def _on_quota(self, change: ViewChange) -> None:
        gone = change.old
        if change.new is None and gone is not None:
            for followed in self._followed.values():
                followed.forget(meta.namespace(gone))


class _Followed:
    """One resource."""

    def __init__(self, group_plural: str, view: View) -> None:
        self._group_plural = group_plural
        self._view = view
        self._totals: dict[str, dict[bytes, _Total]] = {}
        """By namespace and scope."""
        self._going: dict[str, dict[str, Object]] = {}
        """By namespace and name: pods whose end may be overdue."""
        view.subscribe(self._follow)

    def used(self, namespace: str, quota: Object, now: datetime) -> Usage:
        used = dict(self._total(namespace, quota).used)
        for pod in self._going.get(namespace, {}).values():
            late_s = overdue_s(pod, now)
            if late_s is not None and late_s > 0 and matches_scopes(quota, self._group_plural, pod):
                for name, amount in usage_of(self._group_plural, pod).items():
                    if not name.startswith("count/"):
                        used[name] -= amount
        return used

    def _total(self, namespace: str, quota: Object) -> _Total:
        spec = quota.get("spec") or {}
        scope = orjson.dumps([spec.get("scopes"), spec.get("scopeSelector")])
        totals = self._totals.setdefault(namespace, {})
        total = totals.get(scope)
        if total is None:
            total = totals[scope] = _Total(quota)
            for obj in self._view.list(namespace):
                self._count(total, obj)
                self._note(obj)
        return total

    def forget(self, namespace: str) -> None:
        self._totals.pop(namespace, None)
        self._going.pop(namespace, None)

    def _follow(self, change: ViewChange) -> None:
        obj = change.new if change.new is not None else change.old
        totals = self._totals.get(meta.namespace(obj or {}))
        if not totals:
            return
        self._note(obj or {}, gone=change.new is None)
        for total in totals.values():
            if change.old is not None:
                self._count(total, change.old, removed=True)
            if change.new is not None:
                self._count(total, change.new)

    def _note(self, obj: Object, *, gone: bool = False) -> None:
        if self._group_plural != "pods":
            return
        going = self._going.setdefault(meta.namespace(obj), {})
        if meta.deleting(obj) and not gone:
            going[meta.name(obj)] = obj
        else:
            going.pop(meta.name(obj), None)

    def _count(self, total: _Total, obj: Object, *, removed: bool = False) -> None:
        if not matches_scopes(total.quota, self._group_plural, obj):
            return
        usage = usage_of(self._group_plural, obj)
        if not removed:
            add(total.used, usage)
            return
        for name, amount in usage.items():
            left = total.used.get(name, ZERO) - amount
            if left == ZERO:
                total.used.pop(name, None)
            else:
                total.used[name] = left
