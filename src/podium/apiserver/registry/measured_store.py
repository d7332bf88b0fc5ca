"""A store whose operations are counted: what the API server's registry writes through."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from time import perf_counter
from typing import Any, TypeVar

from podium.apiserver.metrics import ApiServerMetrics
from podium.base.metrics import Counter, Histogram
from podium.store.protocol import Change, Page, Record, Store

T = TypeVar("T")


class MeasuredStore:
    """Passes everything on, and records how long each operation took and whether it failed."""

    def __init__(
        self, store: Store, metrics: ApiServerMetrics, resource_of: Callable[[str], tuple[str, str]]
    ) -> None:
        """`resource_of` returns group and plural of the resource that a key belongs to."""
        self._store = store
        self._metrics = metrics
        self._resource_of = resource_of
        self._children: dict[tuple[str, str, str], tuple[Histogram, Counter, Counter]] = {}
        self.changes = store.changes
        self.compact = store.compact
        self.close = store.close
        self.current_revision = store.current_revision

    async def get(self, key: str) -> Record | None:
        return await self._measured("get", key, self._store.get(key))

    async def list(self, prefix: str, *, start_after: str = "", limit: int = 0, revision: int = 0) -> Page:
        page = self._store.list(prefix, start_after=start_after, limit=limit, revision=revision)
        return await self._measured("list", prefix, page)

    def create(self, key: str, value: bytes) -> Coroutine[Any, Any, Record]:
        return self._measured("create", key, self._store.create(key, value))

    def update(self, key: str, value: bytes, *, expected_revision: int) -> Coroutine[Any, Any, Record]:
        record = self._store.update(key, value, expected_revision=expected_revision)
        return self._measured("update", key, record)

    def delete(self, key: str, *, expected_revision: int) -> Coroutine[Any, Any, Change]:
        change = self._store.delete(key, expected_revision=expected_revision)
        return self._measured("delete", key, change)

    async def _measured(self, operation: str, key: str, work: Awaitable[T]) -> T:
        started = perf_counter()
        failed = True
        try:
            result = await work
            failed = False
        finally:
            time, count, errors = self._of(operation, key)
            time.noted.append(perf_counter() - started)
            count.value += 1
            if failed:
                errors.value += 1
        return result

    def _of(self, operation: str, key: str) -> tuple[Histogram, Counter, Counter]:
        labels = (operation, *self._resource_of(key))
        found = self._children.get(labels)
        if found is None:
            metrics = self._metrics
            found = self._children[labels] = (
                metrics.store_time.labels(*labels),
                metrics.store_requests.labels(*labels),
                metrics.store_errors.labels(*labels),
            )
        return found
