"""get and list: from the cache, at a revision as new as the caller has a right to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from podium.apiserver.cacher.cacher import TooHighRevision
from podium.apiserver.cacher.entry import Entry
from podium.apiserver.cacher.selection import Selection
from podium.apiserver.registry import paging, unreadable
from podium.apiserver.registry.call import Call
from podium.apiserver.registry.errors import TooLargeResourceVersion
from podium.apiserver.registry.registry import Registry
from podium.apiserver.registry.update import not_found
from podium.machinery.errors import Expired, InternalError
from podium.store.protocol import Compacted, FutureRevision, Unreadable

PAGE_OF_STORE = 500
"""How many records are read from the store at a time for a page of an old snapshot."""

INCONSISTENT = -1
"""The revision in a token that goes on with what is there now."""

TOO_OLD_LIST = "The resourceVersion for the provided list is too old."
TOO_OLD_CONTINUE = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new "
    "list without the continue parameter, or use the continue token in this response to retrieve the "
    "remainder of the results. Continuing with the provided token results in an inconsistent list - objects "
    "that were created, modified, or deleted between the time the first chunk was returned and now may show "
    "up in the list."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOptions:
    """metav1.ListOptions for a list, valid. `revision` 0: as new as possible."""

    selection: Selection
    limit: int = 0
    continue_token: str = ""
    revision: int = 0
    exact: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A list, or a page of one."""

    entries: Sequence[Entry]
    revision: int
    continue_token: str = ""
    remaining: int | None = None
    looked_at: int = 0
    """How many objects were looked at for it."""


async def fresh(registry: Registry, revision: int) -> None:
    """Return once the cache shows `revision`. Raises `TooLargeResourceVersion` when it does not get there."""
    try:
        await registry.cacher.wait_fresh(revision)
    except TooHighRevision as error:
        raise TooLargeResourceVersion(revision, error.current) from None


async def get(registry: Registry, call: Call, *, revision: int = 0) -> Entry:
    """Return the object's entry, at least as new as `revision`. Raises `NotFound`."""
    if revision > registry.cacher.revision:
        await fresh(registry, revision)
    entry = call.served.root.entries.get(call.served.key(call.namespace, call.name))
    if entry is None:
        raise not_found(call)
    if call.served.needs_preparing:
        await call.served.prepare([entry])
    return entry


async def list_entries(registry: Registry, call: Call, options: ListOptions) -> Listing:
    """Return the selected entries. Raises `Expired` for a snapshot that is gone."""
    listing = await _list_entries(registry, call, options)
    if call.served.needs_preparing:
        await call.served.prepare(listing.entries)
    return listing


async def _list_entries(registry: Registry, call: Call, options: ListOptions) -> Listing:
    start_after = ""
    revision, exact = options.revision, options.exact
    if options.continue_token:
        token = paging.decode(options.continue_token, options.selection.prefix)
        # A negative revision is an inconsistent continuation: the rest as it is now.
        start_after, revision, exact = token.start_after, max(0, token.revision), token.revision > 0
    if revision > registry.cacher.revision:
        await fresh(registry, revision)
    root = call.served.root
    if root.unreadable:
        _see_readable(call, options.selection)
    if exact and revision < root.changed_revision:
        return await _from_store(registry, call, options, revision, start_after)
    at = revision if exact else registry.cacher.revision
    listing = _from_cache(registry, call, options, at, start_after)
    if (metrics := registry.metrics) is not None:
        metrics.listed(call.served.resource, listing.looked_at, len(listing.entries))
    return listing


def _see_readable(call: Call, selection: Selection) -> None:
    """Raise what is to be said of objects in the selection's range that cannot be made out."""
    error = unreadable.within(call, selection.prefix, selection.name)
    if error is not None:
        raise error


def _from_cache(
    registry: Registry, call: Call, options: ListOptions, revision: int, start_after: str
) -> Listing:
    selection, limit = options.selection, options.limit
    root = call.served.root
    if selection.everything and not selection.name and limit <= 0 and not start_after:
        entries = root.select(selection)
        return Listing(entries=entries, revision=revision, looked_at=len(entries))
    if selection.name:
        entry = root.entries.get(selection.prefix + selection.name)
        candidates: Sequence[Entry] | None = [entry] if entry is not None and entry.key > start_after else []
    else:
        candidates = root.candidates(selection, after=start_after)
    entries = []
    more, remaining, looked_at = False, 0, 0
    for entry in root.range(selection.prefix, after=start_after) if candidates is None else candidates:
        looked_at += 1
        if not selection.everything and not selection.matches(entry):
            continue
        entries.append(entry)
        if limit > 0 and len(entries) == limit:
            # Whether one of the rest matches is not looked at: the next page may be empty, as upstream's.
            remaining = root.count(selection.prefix, after=entry.key)
            more = remaining > 0
            break
    return _page(selection, entries, revision, more=more, remaining=remaining, looked_at=looked_at)


def _page(
    selection: Selection,
    entries: list[Entry],
    revision: int,
    *,
    more: bool,
    remaining: int,
    looked_at: int = 0,
) -> Listing:
    if not more or selection.name:
        return Listing(entries=entries, revision=revision, looked_at=looked_at)
    token = paging.encode(paging.Token(revision=revision, start_after=entries[-1].key), selection.prefix)
    # With a selector nobody knows how many of the rest match.
    counted = remaining if selection.everything and not selection.name else None
    return Listing(
        entries=entries,
        revision=revision,
        continue_token=token,
        remaining=counted,
        looked_at=looked_at,
    )


async def _from_store(
    registry: Registry, call: Call, options: ListOptions, revision: int, start_after: str
) -> Listing:
    """Read a snapshot that the cache has left behind."""
    root, selection, limit = call.served.root, options.selection, options.limit
    prefix = root.prefix + selection.prefix
    after = root.prefix + start_after if start_after else ""
    entries: list[Entry] = []
    while True:
        try:
            page = await registry.store.list(
                prefix, start_after=after, limit=PAGE_OF_STORE if limit else 0, revision=revision
            )
        except Compacted:
            if not options.continue_token:
                raise Expired(TOO_OLD_LIST) from None
            rest = paging.Token(revision=INCONSISTENT, start_after=start_after)
            token = paging.encode(rest, selection.prefix)
            raise Expired(TOO_OLD_CONTINUE, continue_token=token) from None
        except FutureRevision as error:
            # Who asks for this very version is not told to come again.
            raise TooLargeResourceVersion(revision, error.current, retry_after_s=0) from None
        for index, record in enumerate(page.records):
            if isinstance(record, Unreadable):
                raise InternalError(
                    f'Internal error occurred: unable to transform key "{record.key}": {record.error}'
                )
            entry = Entry.of(record, len(root.prefix))
            if selection.name and entry.name != selection.name:
                continue
            if selection.everything or selection.matches(entry):
                entries.append(entry)
                if limit and len(entries) == limit:
                    left = len(page.records) - index - 1 + page.remaining
                    return _page(selection, entries, revision, more=left > 0, remaining=left)
        if not page.more:
            return Listing(entries=entries, revision=revision)
        after = page.records[-1].key


def list_metadata(listing: Listing) -> bytes:
    """Return the list's metadata as JSON."""
    metadata: dict[str, object] = {"resourceVersion": str(listing.revision)}
    if listing.continue_token:
        metadata["continue"] = listing.continue_token
    if listing.remaining:
        metadata["remainingItemCount"] = listing.remaining
    return orjson.dumps(metadata)
