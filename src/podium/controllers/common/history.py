"""ControllerRevisions: the templates that a DaemonSet or StatefulSet has had, numbered. Pure.

`kubectl rollout undo` reads `data` and applies it as a patch, so its form is upstream's.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from podium.controllers.common.template import same_template, template_hash
from podium.machinery import meta
from podium.machinery.errors import Object
from podium.resources.apps.controllerrevisions import CONTROLLERREVISIONS

HASH = "controller-revision-hash"
"""The label of pods that names their revision: a DaemonSet's by its hash, a StatefulSet's by its name. The
revisions of a DaemonSet carry it too."""
REVISION_HASH = "controller.kubernetes.io/hash"
"""The label of a StatefulSet's revisions."""
NAME_PREFIX_CHARS_MAX = 223


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """The revision of the template as it is now, and what to write so that it is there and the newest."""

    update: Object
    """The revision of the current template; it may have to be created first."""
    create: Object | None
    renumber: Object | None
    """A revision that is current again and gets a new number."""


def data_of(template: Object) -> Object:
    return {"spec": {"template": {**template, "$patch": "replace"}}}


def template_of(revision: Object) -> Object:
    template = dict(meta.dig(revision, "data", "spec", "template", default={}))
    template.pop("$patch", None)
    return template


def order_of(revision: Object) -> tuple[int, str, str]:
    """The sort key of revisions, the oldest first."""
    created = str(meta.metadata(revision).get("creationTimestamp") or "")
    return int(revision.get("revision") or 0), created, meta.name(revision)


def plan_history(owner: Object, revisions: Sequence[Object]) -> History:
    """Find, or make, the revision of the owner's template among its `revisions`."""
    template = owner["spec"]["template"]
    newest = max((int(r.get("revision") or 0) for r in revisions), default=0)
    same = [r for r in revisions if same_template(template_of(r), template)]
    if same:
        found = max(same, key=order_of)
        if int(found.get("revision") or 0) < newest:
            found = {**found, "revision": newest + 1}
            return History(update=found, create=None, renumber=found)
        return History(update=found, create=None, renumber=None)
    made = _revision(owner, newest + 1)
    return History(update=made, create=made, renumber=None)


def _revision(owner: Object, number: int) -> Object:
    template = owner["spec"]["template"]
    collisions = (owner.get("status") or {}).get("collisionCount")
    label = HASH
    if owner["kind"] == "StatefulSet":
        # Counted from the start: one made anew, without a status yet, must find the name it had.
        label, collisions = REVISION_HASH, int(collisions or 0)
    hash_ = template_hash(data_of(template), collisions)
    return {
        "apiVersion": CONTROLLERREVISIONS.api_version,
        "kind": CONTROLLERREVISIONS.kind,
        "metadata": {
            "name": f"{meta.name(owner)[:NAME_PREFIX_CHARS_MAX]}-{hash_}",
            "namespace": meta.namespace(owner),
            "labels": {**meta.labels(template), label: hash_},
            "annotations": dict(meta.annotations(owner)),
            "ownerReferences": [meta.owner_reference(owner)],
        },
        "data": data_of(template),
        "revision": number,
    }


def duplicates(owner: Object, revisions: Iterable[Object], kept: Object) -> list[Object]:
    """Return the revisions that hold the owner's template as `kept` does."""
    return [
        revision
        for revision in revisions
        if meta.name(revision) != meta.name(kept)
        and same_template(template_of(revision), owner["spec"]["template"])
    ]


def expendable(
    owner: Object,
    revisions: Iterable[Object],
    in_use: Collection[str],
    kept: Collection[str],
    *,
    used_count: bool = False,
) -> list[Object]:
    """Return the revisions beyond the owner's history limit, oldest first.

    Those in `kept` (by name) do not count. Those whose hash or name a pod still carries stay; whether they
    count is where DaemonSets (`used_count`) and StatefulSets differ.
    """
    limit = owner["spec"].get("revisionHistoryLimit")
    history = sorted((r for r in revisions if meta.name(r) not in kept), key=order_of)
    unused = [r for r in history if meta.name(r) not in in_use and meta.labels(r).get(HASH) not in in_use]
    surplus = len(history if used_count else unused) - int(10 if limit is None else limit)
    return unused[: max(0, surplus)]
