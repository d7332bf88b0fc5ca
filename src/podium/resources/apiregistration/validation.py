"""What is wrong with an APIService. Upstream: kube-aggregator/pkg/apis/apiregistration/validation."""

from __future__ import annotations

import binascii

from podium.machinery import validation
from podium.machinery.errors import FieldError, Object
from podium.machinery.errors import shown as quoted
from podium.resources.checks import Errors, named, supported

GROUP_PRIORITY_MAX = 20_000
VERSION_PRIORITY_MAX = 1000
CONDITION_STATUSES = ("True", "False", "Unknown")


def validate_api_service(api_service: Object) -> Errors:
    spec = api_service.get("spec") or {}
    errors = _name(api_service.get("metadata") or {}, spec)
    group, version = spec.get("group") or "", spec.get("version") or ""
    if not group and version != "v1":
        errors.append(
            FieldError.required("spec.group", "only v1 may have an empty group and it better be legacy kube")
        )
    if group:
        errors += named("spec.group", group, validation.dns1123_subdomain_errors)
    errors += named("spec.version", version, validation.dns1035_label_errors)
    for field, highest in (
        ("groupPriorityMinimum", GROUP_PRIORITY_MAX),
        ("versionPriority", VERSION_PRIORITY_MAX),
    ):
        priority = spec.get(field) or 0
        if not 0 < priority <= highest:
            detail = f"must be positive and less than {highest}"
            errors.append(FieldError.invalid(f"spec.{field}", priority, detail))
    if spec.get("service") is None:
        return errors + _local(spec)
    return errors + _remote(spec)


def _name(metadata: Object, spec: Object) -> Errors:
    name = metadata.get("name") or ""
    required = f"{spec.get('version') or ''}.{spec.get('group') or ''}"
    if name == required or not name or validation.path_segment_errors(name):
        return []
    detail = f'must be `spec.version+"."+spec.group`: {quoted(required)}'
    return [FieldError.invalid("metadata.name", name, detail)]


def _bundle_size(spec: Object) -> int:
    try:
        return len(binascii.a2b_base64(spec.get("caBundle") or ""))
    except ValueError:
        return 0


def _local(spec: Object) -> Errors:
    errors: Errors = []
    if size := _bundle_size(spec):
        detail = "local APIServices may not have a caBundle"
        errors.append(FieldError.invalid("spec.caBundle", f"{size} bytes", detail))
    if spec.get("insecureSkipTLSVerify"):
        detail = "local APIServices may not have insecureSkipTLSVerify"
        errors.append(FieldError.invalid("spec.insecureSkipTLSVerify", True, detail))
    return errors


def _remote(spec: Object) -> Errors:
    errors: Errors = []
    service = spec["service"]
    errors += [
        FieldError.required(f"spec.service.{key}") for key in ("namespace", "name") if not service.get(key)
    ]
    port = service.get("port") or 0
    if wrong := validation.port_number_errors(port):
        detail = "port is not valid: " + ", ".join(wrong)
        errors.append(FieldError.invalid("spec.service.port", port, detail))
    if spec.get("insecureSkipTLSVerify") and _bundle_size(spec):
        detail = "may not be true if caBundle is present"
        errors.append(FieldError.invalid("spec.insecureSkipTLSVerify", True, detail))
    return errors


def validate_api_service_status(new: Object, _old: Object) -> Errors:
    errors: Errors = []
    for index, condition in enumerate((new.get("status") or {}).get("conditions") or ()):
        errors += supported(f"status.conditions[{index}].status", condition.get("status"), CONDITION_STATUSES)
    return errors
