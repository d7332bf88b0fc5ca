"""Making and deleting the pods of a controller, many at once, with upstream's events."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

from podium.machinery import meta
from podium.machinery.errors import ApiError, NotFound, Object
from podium.machinery.validation import is_dns1123_subdomain
from podium.resources.core.pods import PODS
from podium.runtime.controller import Context, Failed, namespace_is_terminating

T = TypeVar("T")

SLOW_START_BATCH = 1
BURST_MAX = 500
"""Pods made or deleted for one key in one go."""
PARALLEL_MAX = 32
"""Requests in flight for one key."""


def pod_from_template(template: Object, owner: Object, *, labels: Iterable[tuple[str, str]] = ()) -> Object:
    """Return the pod that `owner` makes from `template`, with a generated name."""
    of_template: Object = template.get("metadata") or {}
    prefix = meta.name(owner) + "-"
    if not is_dns1123_subdomain(prefix + "x"):
        prefix = meta.name(owner)
    metadata: Object = {
        "generateName": prefix,
        "namespace": meta.namespace(owner),
        "labels": {**(of_template.get("labels") or {}), **dict(labels)},
        "annotations": dict(of_template.get("annotations") or {}),
        "finalizers": list(of_template.get("finalizers") or []),
        "ownerReferences": [meta.owner_reference(owner)],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {key: value for key, value in metadata.items() if value},
        "spec": meta.deep_copy(template.get("spec") or {}),
    }


async def create_pod(context: Context, owner: Object, pod: Object) -> Object:
    """Create `pod` and say so on `owner`. Raises ApiError, after an event that says why."""
    try:
        created = await context.client.create(PODS, pod)
    except ApiError as error:
        if not namespace_is_terminating(error):
            context.recorder.event(owner, "Warning", "FailedCreate", f"Error creating: {error.message}")
        raise
    context.recorder.event(owner, "Normal", "SuccessfulCreate", f"Created pod: {meta.name(created)}")
    return created


async def delete_pod(context: Context, owner: Object, pod: Object) -> None:
    """Delete `pod` and say so on `owner`. One that is gone already is fine."""
    try:
        await context.client.delete(PODS, meta.name(pod), meta.namespace(pod), uid=meta.uid(pod))
    except NotFound:
        return
    except ApiError as error:
        context.recorder.event(owner, "Warning", "FailedDelete", f"Error deleting: {error.message}")
        raise
    context.recorder.event(owner, "Normal", "SuccessfulDelete", f"Deleted pod: {meta.name(pod)}")


async def slow_start(items: Sequence[T], act: Callable[[T], Awaitable[object]]) -> Exception | None:
    """Act on the items in batches of 1, 2, 4, ...; stop after a batch with a failure and return the first.

    So a quota that refuses every pod is met with one request, not with hundreds.
    """
    position, batch = 0, SLOW_START_BATCH
    while position < len(items):
        error = await in_parallel(items[position : position + batch], act)
        if error is not None:
            return error
        position += batch
        batch *= 2
    return None


async def in_parallel(items: Sequence[T], act: Callable[[T], Awaitable[object]]) -> Exception | None:
    """Act on all items; return the first error, after all have ended."""
    gate = asyncio.Semaphore(PARALLEL_MAX)
    errors: list[Exception] = []

    async def one(item: T) -> None:
        async with gate:
            try:
                await act(item)
            except (ApiError, Failed, OSError) as error:  # OSError: the connection, or its timeout
                errors.append(error)

    if len(items) == 1:
        await one(items[0])
    else:
        async with asyncio.TaskGroup() as group:
            for item in items:
                group.create_task(one(item))
    return errors[0] if errors else None
