"""CSINode, storage.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources import deferred
from podium.resources.defaulting import child
from podium.resources.printing import AGE, NAME, column, spec


def _defaults(node: Object) -> None:
    child(node, "spec").setdefault("drivers", None)


CSINODES = Resource(
    group="storage.k8s.io",
    version="v1",
    kind="CSINode",
    plural="csinodes",
    namespaced=False,
    schema="io.k8s.api.storage.v1.CSINode",
    metadata_again=1,
    compares_metadata=False,
    defaults=_defaults,
    columns=(
        NAME,
        column("Drivers", lambda obj: len(spec(obj).get("drivers") or ()), type="integer"),
        AGE,
    ),
    delete_returns_object=True,
    unconditional_update=False,
    validate=deferred.check("storage.validation", "validate_csi_node"),
    validate_update=deferred.update_check("storage.validation", "validate_csi_node_update"),
)
