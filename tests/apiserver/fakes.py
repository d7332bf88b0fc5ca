"""A cluster in a dictionary: the `Reader` that access control sees, filled and changed by a test's hand."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

from podium.apiserver.chain import RequestInfo, User, ViewChange
from podium.machinery import meta
from podium.machinery.errors import Object
from podium.machinery.resource import Resource

_revisions = itertools.count(1)


class FakeClock:
    """Time that moves when told to."""

    def __init__(self, now: datetime = datetime(2026, 3, 1, 12, tzinfo=UTC)) -> None:
        self.moment = now

    def now(self) -> datetime:
        return self.moment

    def monotonic_s(self) -> float:
        return self.moment.timestamp()

    async def sleep(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)

    def advance(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


class FakeView:
    def __init__(self, resource: Resource) -> None:
        self.resource = resource
        self.objects: dict[tuple[str, str], Object] = {}
        self._handlers: list[Callable[[ViewChange], None]] = []

    def get(self, namespace: str | None, name: str) -> Object | None:
        return self.objects.get((namespace or "", name))

    def list(self, namespace: str | None = None) -> Iterable[Object]:
        return [obj for key, obj in sorted(self.objects.items()) if not namespace or key[0] == namespace]

    def subscribe(self, handler: Callable[[ViewChange], None]) -> None:
        for obj in self.objects.values():
            handler(ViewChange(old=None, new=obj))
        self._handlers.append(handler)

    def put(self, obj: Object) -> None:
        key = (meta.namespace(obj), meta.name(obj))
        old = self.objects.get(key)
        self.objects[key] = obj
        for handler in self._handlers:
            handler(ViewChange(old=old, new=obj))

    def remove(self, namespace: str, name: str) -> None:
        old = self.objects.pop((namespace, name))
        for handler in self._handlers:
            handler(ViewChange(old=old, new=None))


class FakeReader:
    def __init__(self) -> None:
        self._views: dict[str, FakeView] = {}

    def cached(self, resource: Resource) -> FakeView:
        return self._views.setdefault(resource.group_plural, FakeView(resource))

    def put(self, resource: Resource, *objects: Object) -> None:
        """Store objects as the API server would: with kind, apiVersion, uid and a new version."""
        for obj in objects:
            whole = {"kind": resource.kind, "apiVersion": resource.api_version, **obj}
            name = whole["metadata"]["name"]
            whole["metadata"] = {
                "uid": f"uid-{name}",
                **whole["metadata"],
                "resourceVersion": str(next(_revisions)),
            }
            self.cached(resource).put(whole)


def user(name: str, *groups: str) -> User:
    return User(name=name, groups=groups)


def asks(
    verb: str, resource: str, *, group: str = "", namespace: str = "", name: str = "", fields: str = ""
) -> RequestInfo:
    """Return a resource request; `resource` may be `pods/log`."""
    plural, _, subresource = resource.partition("/")
    return RequestInfo(
        verb=verb,
        path="",
        is_resource=True,
        api_prefix="apis" if group else "api",
        api_group=group,
        api_version="v1",
        namespace=namespace,
        resource=plural,
        subresource=subresource,
        name=name,
        field_selector=fields,
    )


def asks_path(path: str, verb: str = "get") -> RequestInfo:
    return RequestInfo(verb=verb, path=path)
