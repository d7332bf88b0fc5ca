"""Reading and writing the ControllerRevisions that `history` plans."""

from __future__ import annotations

from collections.abc import Iterable

from podium.controllers.common.claim import ORPHANS, claim, plan_claims
from podium.controllers.common.history import History, template_of
from podium.controllers.common.template import same_template
from podium.machinery import meta
from podium.machinery.errors import AlreadyExists, Conflict, NotFound, Object
from podium.machinery.labels import Selector
from podium.machinery.resource import Resource
from podium.resources.apps.controllerrevisions import CONTROLLERREVISIONS
from podium.runtime.controller import Context


async def owned(context: Context, resource: Resource, owner: Object, selector: Selector) -> list[Object]:
    """Return the owner's revisions, those adopted now included.

    Revisions without an owner are what is left when a DaemonSet or StatefulSet was deleted and its pods were
    kept: one made anew takes pods and history over, and restarts nothing.
    """
    cache = context.caches[CONTROLLERREVISIONS]
    candidates = [
        *cache.by_index(ORPHANS, meta.uid(owner)),
        *cache.by_index(ORPHANS, f"{meta.namespace(owner)}/"),
    ]
    claims = plan_claims(owner, selector, candidates)
    return await claim(context.client, resource, owner, CONTROLLERREVISIONS, claims)


async def keep(context: Context, resource: Resource, owner: Object, history: History) -> Object:
    """Write what `history` wants; return the revision of the current template.

    Raises Conflict when the next look has to start afresh.
    """
    if history.renumber is not None:
        await context.client.update(CONTROLLERREVISIONS, history.renumber)
    if history.create is None:
        return history.update
    try:
        await context.client.create(CONTROLLERREVISIONS, history.create)
        return history.update
    except AlreadyExists:
        name, namespace = meta.name(history.create), meta.namespace(owner)
        live = await context.client.get(CONTROLLERREVISIONS, name, namespace)
        if same_template(template_of(live), owner["spec"]["template"]):
            return live  # whoever owns it; when it goes, it is made anew
        # Another template has this hash: the next try hashes differently.
        status = dict(owner.get("status") or {})
        status["collisionCount"] = int(status.get("collisionCount") or 0) + 1
        await context.client.update(resource, {**owner, "status": status}, subresource="status")
        raise Conflict(f"ControllerRevision {namespace}/{name} holds another template") from None


async def drop(context: Context, revisions: Iterable[Object]) -> None:
    """Delete revisions; those that are gone already are fine."""
    for revision in revisions:
        try:
            await context.client.delete(CONTROLLERREVISIONS, meta.name(revision), meta.namespace(revision))
        except NotFound:
            continue
