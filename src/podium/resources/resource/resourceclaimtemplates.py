"""ResourceClaimTemplate, resource.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources import deferred
from podium.resources.defaulting import child
from podium.resources.printing import AGE, NAME
from podium.resources.resource import defaults


def _defaults(template: Object) -> None:
    spec = child(template, "spec")
    child(spec, "metadata")
    defaults.default_claim_spec(child(spec, "spec"))


RESOURCECLAIMTEMPLATES = Resource(
    group="resource.k8s.io",
    version="v1",
    kind="ResourceClaimTemplate",
    plural="resourceclaimtemplates",
    namespaced=True,
    schema="io.k8s.api.resource.v1.ResourceClaimTemplate",
    defaults=_defaults,
    columns=(
        NAME,
        AGE,
    ),
    delete_returns_object=True,
    validate=deferred.check("resource.validation", "validate_template"),
    validate_update=deferred.update_check("resource.validation", "validate_claim_update"),
)
