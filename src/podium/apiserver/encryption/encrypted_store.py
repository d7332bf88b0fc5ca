"""A store that encrypts what goes into another and decrypts what comes out: nobody above it knows.

What cannot be decrypted comes out as `Unreadable`. What cannot be encrypted is not written, and the request
fails.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, cast

from podium.apiserver.encryption.transformers import (
    Context,
    Identity,
    PrefixTransformers,
    Transformer,
    TransformError,
)
from podium.machinery.errors import InternalError, qualified
from podium.store.protocol import Change, Page, Record, RevisionMismatch, Store, Unreadable

if TYPE_CHECKING:
    from podium.apiserver.encryption.envelope import Envelope
    from podium.apiserver.encryption.kms_v1 import EnvelopeV1
    from podium.apiserver.encryption.providers import Providers

ResourceOf = Callable[[str], tuple[str, str]]
"""Return group and plural of the resource that a key of the store belongs to."""


class EncryptedStore:
    """The store as the API server sees it."""

    def __init__(
        self, store: Store, providers: Providers, root_of: Callable[[str], str], of: ResourceOf
    ) -> None:
        """`root_of` returns the beginning of a key that all keys of its resource share; `of` the resource."""
        self._store = store
        self._providers = providers
        self._root_of = root_of
        self._resource_of = of
        self._by_root: dict[str, tuple[Transformer, str]] = {}
        self.current_revision = store.current_revision
        self.compact = store.compact
        self.close = store.close

    def use(self, providers: Providers) -> None:
        """Encrypt and decrypt with others from now on."""
        self._providers = providers
        self._by_root = {}

    # --- the store's protocol

    async def get(self, key: str) -> Record | None:
        record = await self._store.get(key)
        return None if record is None else await self._plain(record)

    async def list(self, prefix: str, *, start_after: str = "", limit: int = 0, revision: int = 0) -> Page:
        page = await self._store.list(prefix, start_after=start_after, limit=limit, revision=revision)
        await self._prepare(page.records)
        return Page(
            records=[self._decrypted(record) for record in page.records],
            revision=page.revision,
            more=page.more,
            remaining=page.remaining,
        )

    async def create(self, key: str, value: bytes) -> Record:
        return _with(await self._store.create(key, await self._encrypted(key, value)), value)

    async def update(self, key: str, value: bytes, *, expected_revision: int) -> Record:
        encrypted = await self._encrypted(key, value)
        try:
            written = await self._store.update(key, encrypted, expected_revision=expected_revision)
        except RevisionMismatch as race:
            raise await self._mismatch(race) from None
        return _with(written, value)

    async def delete(self, key: str, *, expected_revision: int) -> Change:
        try:
            change = await self._store.delete(key, expected_revision=expected_revision)
        except RevisionMismatch as race:
            raise await self._mismatch(race) from None
        return (await self._changes([change]))[0]

    async def changes(self, prefix: str, *, after_revision: int) -> AsyncIterator[Sequence[Change]]:
        changes = cast(Any, self._store.changes(prefix, after_revision=after_revision))
        async with aclosing(changes):
            async for batch in changes:
                yield await self._changes(batch)

    # --- staleness

    async def is_stale(self, key: str, revision: int) -> bool:
        """Tell whether the value of that revision would be written otherwise today; so would one that nobody
        could read any more, but for the cache."""
        transformer, context = self._of(key)
        if isinstance(transformer, Identity):
            return False  # Not configured: nothing would ever be written otherwise.
        record = await self._store.get(key)
        if record is None or record.mod_revision != revision:
            return False
        await self._prepare([record])
        try:
            return transformer.decrypt(record.value, context)[1]
        except TransformError:
            return True

    # --- values

    def _of(self, key: str) -> tuple[Transformer, Context]:
        root = self._root_of(key)
        found = self._by_root.get(root)
        if found is None:
            group, plural = self._resource_of(key)
            found = self._by_root[root] = self._providers.of(group, plural), qualified(plural, group)
        return found[0], Context(key.encode(), found[1])

    async def _encrypted(self, key: str, value: bytes) -> bytes:
        transformer, context = self._of(key)
        try:
            if isinstance(transformer, PrefixTransformers) and transformer.before_write is not None:
                await transformer.before_write()
            return transformer.encrypt(value, context)
        except TransformError as error:
            message = str(error)
            details = {"causes": [{"message": message}]}
            raise InternalError(f"Internal error occurred: {message}", details=details) from None

    def _decrypted(self, record: Record) -> Record:
        transformer, context = self._of(record.key)
        try:
            plain, _ = transformer.decrypt(record.value, context)
        except TransformError as error:
            return Unreadable(
                key=record.key,
                value=b"",
                create_revision=record.create_revision,
                mod_revision=record.mod_revision,
                error=str(error),
            )
        return _with(record, plain)

    async def _plain(self, record: Record) -> Record:
        await self._prepare([record])
        return self._decrypted(record)

    async def _changes(self, changes: Sequence[Change]) -> Sequence[Change]:
        records = [one for change in changes for one in (change.record, change.previous) if one is not None]
        await self._prepare(records)
        return [
            Change(
                key=change.key,
                revision=change.revision,
                record=None if change.record is None else self._decrypted(change.record),
                previous=None if change.previous is None else self._decrypted(change.previous),
            )
            for change in changes
        ]

    async def _mismatch(self, race: RevisionMismatch) -> Exception:
        current = await self._plain(race.current)
        if isinstance(current, Unreadable):
            return InternalError(f"Internal error occurred: {current.error}")
        return RevisionMismatch(current)

    async def _prepare(self, records: Iterable[Record]) -> None:
        """Have plugins decrypt the keys of these values, where there are plugins."""
        envelopes = self._providers.envelopes
        if envelopes:
            values = [record.value for record in records]
            for envelope in envelopes:
                await _prepare_with(envelope, values)


async def _prepare_with(envelope: Envelope | EnvelopeV1, values: Iterable[bytes]) -> None:
    prefix = envelope.prefix
    await envelope.prepare([value[len(prefix) :] for value in values if value.startswith(prefix)])


def _with(record: Record, value: bytes) -> Record:
    return Record(
        key=record.key,
        value=value,
        create_revision=record.create_revision,
        mod_revision=record.mod_revision,
    )
