"""ControllerRevision, apps/v1."""

from __future__ import annotations

from podium.machinery import meta
from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources import deferred
from podium.resources.printing import AGE, NAME, NONE, column


def _controller(revision: Object) -> str:
    reference = meta.controller_ref(revision)
    if reference is None:
        return NONE
    group = meta.split_api_version(str(reference.get("apiVersion") or ""))[0]
    kind = str(reference.get("kind") or "")
    return f"{kind}.{group}".rstrip(".").lower() + f"/{reference.get('name')}"


CONTROLLERREVISIONS = Resource(
    group="apps",
    version="v1",
    kind="ControllerRevision",
    plural="controllerrevisions",
    namespaced=True,
    schema="io.k8s.api.apps.v1.ControllerRevision",
    metadata_again=1,
    columns=(
        NAME,
        column("Controller", _controller),
        column("Revision", lambda obj: obj.get("revision") or 0),
        AGE,
    ),
    validate=deferred.check("apps.validation", "validate_revision"),
    validate_update=deferred.update_check("apps.validation", "validate_revision_update"),
)
