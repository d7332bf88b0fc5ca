"""ResourceClaimTemplate, resource.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources import deferred
from podium.resources.defaulting import child
from podium.resources.printing import AGE, NAME, of_stored
from podium.resources.resource import defaults, v1beta1
from podium.resources.resource.gates import claim_fields
from podium.resources.twins import deprecated, twin


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
    metadata_again=1,
    gated=claim_fields("spec.spec"),
    defaults=_defaults,
    columns=(
        NAME,
        AGE,
    ),
    delete_returns_object=True,
    validate=deferred.check("resource.validation", "validate_template"),
    validate_update=deferred.update_check("resource.validation", "validate_template_update"),
)

RESOURCECLAIMTEMPLATES_V1BETA2 = twin(
    RESOURCECLAIMTEMPLATES,
    "v1beta2",
    deprecation=deprecated("resource.k8s.io/v1beta2", "ResourceClaimTemplate", "1.36", "1.39"),
)

RESOURCECLAIMTEMPLATES_V1BETA1 = twin(
    RESOURCECLAIMTEMPLATES,
    "v1beta1",
    deprecation=deprecated("resource.k8s.io/v1beta1", "ResourceClaimTemplate", "1.35", "1.38"),
    to_storage=v1beta1.template_to_v1,
    from_storage=v1beta1.template_from_v1,
    defaults=v1beta1.default_template,
    columns=of_stored(RESOURCECLAIMTEMPLATES.columns, v1beta1.template_to_v1),
)
