"""What is wrong with replication controllers."""

from __future__ import annotations

from podium.machinery import labels
from podium.machinery.errors import FieldError, Object
from podium.resources.checks import Errors, metadata_of, nonnegative, spec_of
from podium.resources.core.pod_validation import validate_template
from podium.resources.defaulting import given


def validate_controller(controller: Object) -> Errors:
    """Check a ReplicationController."""
    spec = spec_of(controller)
    errors = nonnegative(spec, "spec", "minReadySeconds")
    selector = spec.get("selector") or {}
    if not selector:
        errors.append(FieldError.required("spec.selector"))
    errors += nonnegative(spec, "spec", "replicas")
    template = given(spec, "template")
    if template is None:
        errors.append(FieldError.required("spec.template"))
        return errors
    template_labels = metadata_of(template).get("labels")
    if selector and not labels.from_map(selector).matches(template_labels or {}):
        detail = "`selector` does not match template `labels`"
        errors.append(FieldError.invalid("spec.template.metadata.labels", template_labels, detail))
    errors += validate_template(template, "spec.template")
    pod = given(template, "spec") or {}
    policy = pod.get("restartPolicy") or ""
    if policy != "Always":
        path = "spec.template.spec.restartPolicy"
        errors.append(FieldError.not_supported(path, policy, ("Always",)))
    if pod.get("activeDeadlineSeconds") is not None:
        detail = "activeDeadlineSeconds in ReplicationController is not Supported"
        errors.append(FieldError.forbidden("spec.template.spec.activeDeadlineSeconds", detail))
    return errors
