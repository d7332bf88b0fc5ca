"""What is wrong with classes of devices and with claims for devices, and templates of claims.

Selectors: `selectors`; slices: `slice_validation`; the status of claims: `status_validation`.
"""

from __future__ import annotations

import orjson

from podium.machinery import validation
from podium.machinery.errors import FieldError, Json, Object
from podium.resources.checks import Errors, immutable, named, objects, required_name, spec_of
from podium.resources.core.resource_names import is_extended
from podium.resources.core.volume_validation import template_metadata
from podium.resources.defaulting import given
from podium.resources.resource import names
from podium.resources.resource.selectors import selector_errors
from podium.resources.resource.taints import validate_toleration

REQUESTS_MAX = 32
CONSTRAINTS_MAX = 32
CONFIG_MAX = 32
SELECTORS_MAX = 32
ALTERNATIVES_MAX = 8
EXPRESSION_SIZE_BYTES_MAX = 10 * 1024
PARAMETERS_SIZE_BYTES_MAX = 10 * 1024
_MODES = ("All", "ExactCount")
_ONE_OF = "exactly one of `exactly` or `firstAvailable` is required"
_NO_REQUEST = (
    "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'"
)

Requests = dict[str, set[str]]
"""The names of a claim's requests, each with those of its alternatives."""


def validate_class(device_class: Object) -> Errors:
    """Check a DeviceClass."""
    spec = spec_of(device_class)
    errors = _selectors(spec, "spec")
    errors += names.bounded(
        objects(spec.get("config")),
        CONFIG_MAX,
        validate_configuration,
        "spec.config",
    )
    extended = spec.get("extendedResourceName")
    if extended is not None and not is_extended(str(extended)):
        detail = "must be a valid extended resource name"
        errors.append(FieldError.invalid("spec.extendedResourceName", extended, detail))
    return errors


def _selectors(holder: Object, path: str) -> Errors:
    return names.bounded(objects(holder.get("selectors")), SELECTORS_MAX, _selector, f"{path}.selectors")


def _selector(selector: Object, path: str) -> Errors:
    cel = given(selector, "cel")
    if cel is None:
        return [FieldError.required(f"{path}.cel")]
    expression = str(cel.get("expression") or "")
    if len(expression.encode()) > EXPRESSION_SIZE_BYTES_MAX:
        return [FieldError.too_long(f"{path}.cel.expression", EXPRESSION_SIZE_BYTES_MAX)]
    return selector_errors(expression, f"{path}.cel.expression")


def validate_claim(claim: Object) -> Errors:
    """Check a ResourceClaim."""
    return _claim_spec(spec_of(claim), "spec")


def validate_claim_update(new: Object, old: Object) -> Errors:
    """Check a changed ResourceClaim: what it asks for stays."""
    return immutable(new, old, "spec")


def validate_template(template: Object) -> Errors:
    """Check a ResourceClaimTemplate."""
    spec = spec_of(template)
    metadata = given(spec, "metadata") or {}
    errors = template_metadata(metadata, "spec.metadata")
    return errors + _claim_spec(given(spec, "spec") or {}, "spec.spec")


def validate_template_update(new: Object, old: Object) -> Errors:
    """Check a changed ResourceClaimTemplate: what it makes stays."""
    return validate_template(new) + immutable(new, old, "spec")


def request_names(spec: Object) -> Requests:
    """Return the names under which a claim's requests can be referred to."""
    return {
        str(request.get("name") or ""): {
            str(sub.get("name") or "") for sub in objects(request.get("firstAvailable"))
        }
        for request in objects((given(spec, "devices") or {}).get("requests"))
    }


def _claim_spec(spec: Object, path: str) -> Errors:
    devices, path = given(spec, "devices") or {}, f"{path}.devices"
    requests = request_names(spec)
    errors = names.distinct(
        objects(devices.get("requests")), REQUESTS_MAX, _request, _name, f"{path}.requests"
    )
    errors += names.bounded(
        objects(devices.get("constraints")),
        CONSTRAINTS_MAX,
        lambda constraint, here: _constraint(constraint, here, requests),
        f"{path}.constraints",
    )
    return errors + names.bounded(
        objects(devices.get("config")),
        CONFIG_MAX,
        lambda config, here: validate_claim_configuration(config, here, requests),
        f"{path}.config",
    )


def _name(named_object: Object) -> str:
    return str(named_object.get("name") or "")


def _request(request: Object, path: str) -> Errors:
    errors = names.device(f"{path}.name", _name(request))
    exactly, first = given(request, "exactly"), objects(request.get("firstAvailable"))
    if exactly is None and not first:
        errors.append(FieldError.required(path, _ONE_OF))
    elif exactly is not None and first:
        errors.append(FieldError.invalid(path, None, f"{_ONE_OF}, but multiple fields are set"))
    elif exactly is not None:
        errors += _exact(exactly, f"{path}.exactly")
    else:
        errors += names.distinct(first, ALTERNATIVES_MAX, _alternative, _name, f"{path}.firstAvailable")
    return errors


def _alternative(request: Object, path: str) -> Errors:
    return names.device(f"{path}.name", _name(request)) + _exact(request, path)


def _exact(request: Object, path: str) -> Errors:
    name = request.get("deviceClassName")
    errors = required_name(f"{path}.deviceClassName", name, validation.dns1123_subdomain_errors)
    errors += _selectors(request, path)
    mode, count = request.get("allocationMode"), request.get("count") or 0
    if mode == "All":
        if count:
            detail = "must not be specified when allocationMode is 'All'"
            errors.append(FieldError.invalid(f"{path}.count", count, detail))
    elif mode == "ExactCount":
        if count <= 0:
            errors.append(FieldError.invalid(f"{path}.count", count, "must be greater than zero"))
    else:
        errors.append(FieldError.not_supported(f"{path}.allocationMode", mode or "", _MODES))
    for index, toleration in enumerate(objects(request.get("tolerations"))):
        errors += validate_toleration(toleration, f"{path}.tolerations[{index}]")
    return errors


def _constraint(constraint: Object, path: str, requests: Requests) -> Errors:
    errors = _references(constraint, path, requests)
    match, unlike = constraint.get("matchAttribute"), constraint.get("distinctAttribute")
    if match is not None:
        return errors + names.fully_qualified(f"{path}.matchAttribute", str(match))
    if unlike is not None:
        return errors + names.fully_qualified(f"{path}.distinctAttribute", str(unlike))
    detail = 'exactly one of "matchAttribute" or "distinctAttribute" is required, but multiple fields are set'
    return [*errors, FieldError.required(path, detail)]


def _references(holder: Object, path: str, requests: Requests) -> Errors:
    return names.distinct(
        [str(name) for name in holder.get("requests") or ()],
        REQUESTS_MAX,
        lambda name, here: validate_reference(here, name, requests),
        str,
        f"{path}.requests",
    )


def validate_reference(field: str, name: str, requests: Requests) -> Errors:
    """Ask for the name of a request, or of an alternative of one: `request/alternative`."""
    request, slash, sub = name.partition("/")
    if "/" in sub:
        return [FieldError.invalid(field, name, _NO_REQUEST)]
    errors: Errors = []
    for part in (request, sub) if slash else (request,):
        errors += named(field, part, validation.dns1123_label_errors)
    if request not in requests or (slash and sub not in requests[request]):
        errors.append(FieldError.invalid(field, name, _NO_REQUEST))
    return errors


def validate_claim_configuration(config: Object, path: str, requests: Requests) -> Errors:
    """Check what a driver is told about the devices for some requests."""
    return _references(config, path, requests) + validate_configuration(config, path)


def validate_configuration(config: Object, path: str) -> Errors:
    """Check what a driver is told about devices."""
    opaque = given(config, "opaque")
    if opaque is None:
        return [FieldError.required(f"{path}.opaque")]
    errors = names.driver(f"{path}.opaque.driver", str(opaque.get("driver") or ""))
    return errors + validate_raw(
        f"{path}.opaque.parameters", opaque.get("parameters"), PARAMETERS_SIZE_BYTES_MAX
    )


def validate_raw(field: str, value: Json, size_bytes_max: int) -> Errors:
    """Ask for a JSON object that is not too large."""
    if value is None:
        return [FieldError.required(field)]
    if len(orjson.dumps(value)) > size_bytes_max:
        return [FieldError.too_long(field, size_bytes_max)]
    if not isinstance(value, dict):
        return [FieldError.invalid(field, "<value omitted>", "must be a valid JSON object")]
    return []
