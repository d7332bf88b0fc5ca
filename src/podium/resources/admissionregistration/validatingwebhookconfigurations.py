"""ValidatingWebhookConfiguration, admissionregistration.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.resource import Resource
from podium.resources import deferred
from podium.resources.admissionregistration import defaults
from podium.resources.printing import AGE, NAME, column

VALIDATINGWEBHOOKCONFIGURATIONS = Resource(
    group="admissionregistration.k8s.io",
    version="v1",
    core_finalizers=False,
    kind="ValidatingWebhookConfiguration",
    plural="validatingwebhookconfigurations",
    namespaced=False,
    categories=("api-extensions",),
    schema="io.k8s.api.admissionregistration.v1.ValidatingWebhookConfiguration",
    metadata_again=1,
    compares_metadata=False,
    generation=True,
    generation_fields=("webhooks",),
    defaults=defaults.default_validating_webhooks,
    columns=(
        NAME,
        column("Webhooks", lambda obj: len(obj.get("webhooks") or ()), type="integer"),
        AGE,
    ),
    unconditional_update=False,
    validate=deferred.check("admissionregistration.validation", "validate_webhooks"),
    validate_update=deferred.update_check("admissionregistration.validation", "validate_webhooks_update"),
)
