"""watch: the initial state where it is asked for, then events as they come, bookmarks, and an end in time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from time import perf_counter

from podium.apiserver.cacher.audience import Audience
from podium.apiserver.cacher.cacher import TooHighRevision
from podium.apiserver.cacher.selection import Selection
from podium.apiserver.cacher.watcher import Rendering, Watcher
from podium.apiserver.registry import unreadable
from podium.apiserver.registry.call import Call
from podium.apiserver.registry.errors import TooLargeResourceVersion
from podium.apiserver.registry.registry import Registry
from podium.base.http.message import StreamWriter
from podium.machinery.errors import Expired

BOOKMARK_INTERVAL_S = 60.0
CHUNK_BYTES = 256 * 1024
"""The initial state is written in pieces of this size, waiting for the client after each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchOptions:
    """metav1.ListOptions for a watch, valid."""

    selection: Selection
    revision: int | None
    """Events after this revision; None: the state of now first, as ADDED."""
    initial_events: bool = False
    """sendInitialEvents: a bookmark says where the initial state ends."""
    only_new: bool = False
    """sendInitialEvents=false without a version: start with what comes next."""
    at_least_revision: int = 0
    bookmarks: bool = False
    timeout_s: float


async def watch(
    registry: Registry, call: Call, options: WatchOptions, rendering: Rendering, writer: StreamWriter
) -> None:
    """Serve one watch until its client leaves or its time is up."""
    started = perf_counter()
    root = call.served.root
    if options.at_least_revision > registry.cacher.revision:
        try:
            await registry.cacher.wait_fresh(options.at_least_revision)
        except TooHighRevision as error:
            too_large = TooLargeResourceVersion(options.at_least_revision, error.current)
            writer.write(rendering.error(too_large.status()))
            return
    if root.unreadable:
        lost = unreadable.within(call, options.selection.prefix, options.selection.name)
        if lost is not None:
            writer.write(rendering.error(lost.status()))
            return
    watcher = Watcher(writer, options.selection, rendering)
    watcher.after_revision = registry.cacher.revision
    resource, metrics = call.served.resource, registry.metrics
    if metrics is not None:
        labels = (resource.group, resource.version, resource.plural)
        watcher.sizes = metrics.watch_event_sizes.labels(*labels)
        watcher.terminated = metrics.state.terminated_watchers.labels(resource.group, resource.plural)
    try:
        lines = _initial_lines(registry, call, options, watcher)
    except Expired as error:
        writer.write(rendering.error(error.status()))
        return
    root.add(watcher)
    if metrics is not None:
        metrics.init_events.labels(resource.group, resource.plural).inc(len(lines))
    try:
        for line in lines:
            writer.write(line)
            if watcher.sizes is not None:
                watcher.sizes.observe(len(line))
            if writer.buffered_bytes > CHUNK_BYTES:
                await writer.drain()
        watcher.go_live()
        call.initialised()
        if metrics is not None and options.initial_events:
            scope = "resource" if call.name else "namespace" if call.namespace else "cluster"
            metrics.watch_lists.labels(*labels, scope).observe(perf_counter() - started)
        await _until_end(registry, options, watcher)
    except ConnectionError:
        pass
    finally:
        root.remove(watcher)


def _initial_lines(registry: Registry, call: Call, options: WatchOptions, watcher: Watcher) -> list[bytes]:
    """Return what the client is to see before any live event. Raises `Expired`."""
    root, rendering = call.served.root, watcher.rendering
    if options.revision is not None:
        watcher.after_revision = max(options.revision, registry.cacher.revision)
        audience, selection = Audience(options.selection, rendering), options.selection
        events = (event for event in root.events_after(options.revision) if selection.in_range(event.key))
        return [line for event in events if (line := audience.line(event, {})) is not None]
    if options.only_new:
        return []
    lines = [rendering.line("ADDED", entry) for entry in root.select(options.selection)]
    if options.initial_events:
        lines.append(rendering.bookmark(registry.cacher.revision, initial_events_end=True))
    return lines


async def _until_end(registry: Registry, options: WatchOptions, watcher: Watcher) -> None:
    clock, writer = registry.clock, watcher.writer
    deadline = clock.monotonic_s() + options.timeout_s
    gone = asyncio.ensure_future(writer.wait_closed())
    try:
        while (left := deadline - clock.monotonic_s()) > 0:
            pause = min(left, BOOKMARK_INTERVAL_S)
            timer = asyncio.ensure_future(clock.sleep(pause))
            try:
                await asyncio.wait((gone, timer), return_when=asyncio.FIRST_COMPLETED)
            finally:
                timer.cancel()
            if gone.done():
                return
            if options.bookmarks and registry.cacher.revision >= (options.revision or 0):
                writer.write(watcher.rendering.bookmark(registry.cacher.revision, initial_events_end=False))
    finally:
        gone.cancel()
