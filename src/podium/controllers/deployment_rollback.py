"""Back to an earlier revision of a Deployment, as clients of the oldest API versions ask for it. Pure.

They write the revision into a field that apps/v1 keeps as an annotation. Newer clients copy the template of
the old ReplicaSet themselves, which is all that a rollback is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from podium.controllers.common.template import POD_TEMPLATE_HASH, same_template
from podium.controllers.deployment_plan import NOT_COPIED, REVISION, ROLLBACK_TO
from podium.machinery import meta
from podium.machinery.errors import Object


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollback:
    """The Deployment as it is to be written, and the event that tells of it."""

    deployment: Object
    event_type: str
    reason: str
    message: str


def wants_rollback(deployment: Object) -> bool:
    """Whether somebody has asked for a rollback; what is no number asks for nothing."""
    return meta.annotations(deployment).get(ROLLBACK_TO, "").isdecimal()


def plan_rollback(deployment: Object, replica_sets: Sequence[Object]) -> Rollback:
    """Decide what becomes of a Deployment that wants to be rolled back; the wish is gone afterwards."""
    new = meta.copy_path(deployment, "metadata", "annotations")
    wanted = int(new["metadata"]["annotations"].pop(ROLLBACK_TO))
    revisions = {_revision(rs): rs for rs in replica_sets if _revision(rs)}
    if wanted == 0:
        wanted = _last_but_one(revisions)
        if wanted == 0:
            return _refused(new, "DeploymentRollbackRevisionNotFound", "Unable to find last revision.")
    found = revisions.get(wanted)
    if found is None:
        return _refused(
            new, "DeploymentRollbackRevisionNotFound", "Unable to find the revision to rollback to."
        )
    name = meta.name(deployment)
    template = _without_hash(found["spec"]["template"])
    if same_template(found["spec"]["template"], deployment["spec"]["template"]):
        message = f'The rollback revision contains the same template as current deployment "{name}"'
        return _refused(new, "DeploymentRollbackTemplateUnchanged", message)
    new["spec"] = {**new["spec"], "template": template}
    new["metadata"]["annotations"] = _annotations(new, found)
    return Rollback(
        deployment=new,
        event_type="Normal",
        reason="DeploymentRollback",
        message=f'Rolled back deployment "{name}" to revision {wanted}',
    )


def _refused(deployment: Object, reason: str, message: str) -> Rollback:
    return Rollback(deployment=deployment, event_type="Warning", reason=reason, message=message)


def _revision(rs: Object) -> int:
    text = meta.annotations(rs).get(REVISION, "")
    return int(text) if text.isdecimal() else 0


def _last_but_one(revisions: dict[int, Object]) -> int:
    known = sorted(revisions)
    return known[-2] if len(known) > 1 else 0


def _without_hash(template: Object) -> Object:
    made = meta.copy_path(template, "metadata", "labels")
    made["metadata"]["labels"].pop(POD_TEMPLATE_HASH, None)
    return made


def _annotations(deployment: Object, rs: Object) -> dict[str, str]:
    """Return the Deployment's own annotations with those that the ReplicaSet was given at its time."""
    kept = {key: value for key, value in meta.annotations(deployment).items() if key in NOT_COPIED}
    given = {key: value for key, value in meta.annotations(rs).items() if key not in NOT_COPIED}
    return {**kept, **given}
