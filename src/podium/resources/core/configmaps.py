"""ConfigMap, v1."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources import deferred
from podium.resources.defaulting import drop_zero
from podium.resources.printing import AGE, NAME, column


def _defaults(config_map: Object) -> None:
    drop_zero(config_map, "data", "binaryData")


CONFIGMAPS = Resource(
    version="v1",
    kind="ConfigMap",
    plural="configmaps",
    namespaced=True,
    short_names=("cm",),
    schema="io.k8s.api.core.v1.ConfigMap",
    metadata_again=1,
    defaults=_defaults,
    columns=(
        NAME,
        column("Data", lambda obj: len(obj.get("data") or ()) + len(obj.get("binaryData") or ())),
        AGE,
    ),
    validate=deferred.check("core.config_validation", "validate_config_map"),
    validate_update=deferred.update_check("core.config_validation", "validate_config_map_update"),
)
