"""Writing the ControllerRevisions that `history` plans."""

from __future__ import annotations

from collections.abc import Iterable

from podium.controllers.common.history import History, template_of
from podium.controllers.common.template import same_template
from podium.machinery import meta
from podium.machinery.errors import AlreadyExists, Conflict, NotFound, Object
from podium.machinery.resource import Resource
from podium.resources.apps.controllerrevisions import CONTROLLERREVISIONS
from podium.runtime.controller import Context


async def keep(context: Context, resource: Resource, owner: Object, history: History) -> None:
    """Write what `history` wants. Raises Conflict when the next look has to start afresh."""
    if history.renumber is not None:
        await context.client.update(CONTROLLERREVISIONS, history.renumber)
    if history.create is None:
        return
    try:
        await context.client.create(CONTROLLERREVISIONS, history.create)
    except AlreadyExists:
        name, namespace = meta.name(history.create), meta.namespace(owner)
        live = await context.client.get(CONTROLLERREVISIONS, name, namespace)
        same = same_template(template_of(live), owner["spec"]["template"])
        if not (same and meta.controlled_by(live, owner)):
            # Another template has this hash, or another owner the name: the next try hashes differently.
            status = dict(owner.get("status") or {})
            status["collisionCount"] = int(status.get("collisionCount") or 0) + 1
            await context.client.update(resource, {**owner, "status": status}, subresource="status")
        raise Conflict(f"ControllerRevision {namespace}/{name} is there already") from None


async def drop(context: Context, revisions: Iterable[Object]) -> None:
    """Delete revisions; those that are gone already are fine."""
    for revision in revisions:
        try:
            await context.client.delete(CONTROLLERREVISIONS, meta.name(revision), meta.namespace(revision))
        except NotFound:
            continue
