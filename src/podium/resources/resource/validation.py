"""What is wrong with devices: their classes, the claims for them, the slices that list them.

That expressions compile is for those who evaluate them.
"""

from __future__ import annotations

from podium.machinery import validation
from podium.machinery.errors import FieldError, Object
from podium.resources.checks import Errors, immutable, named, objects, required_name, spec_of
from podium.resources.defaulting import given

_PLACES = ("nodeName", "nodeSelector", "allNodes", "perDeviceNodeSelection")


def validate_class(device_class: Object) -> Errors:
    """Check a DeviceClass."""
    return _selectors(spec_of(device_class), "spec")


def _selectors(spec: Object, path: str) -> Errors:
    errors: Errors = []
    for index, selector in enumerate(objects(spec.get("selectors"))):
        cel = given(selector, "cel")
        if cel is None:
            errors.append(FieldError.required(f"{path}.selectors[{index}].cel"))
        elif not cel.get("expression"):
            errors.append(FieldError.required(f"{path}.selectors[{index}].cel.expression"))
    return errors


def validate_claim(claim: Object) -> Errors:
    """Check a ResourceClaim."""
    return _claim_spec(spec_of(claim), "spec")


def validate_claim_update(new: Object, old: Object) -> Errors:
    """Check a changed ResourceClaim: what it asks for stays."""
    return immutable(new, old, "spec")


def validate_template(template: Object) -> Errors:
    """Check a ResourceClaimTemplate."""
    return _claim_spec(given(spec_of(template), "spec") or {}, "spec.spec")


def _claim_spec(spec: Object, path: str) -> Errors:
    errors: Errors = []
    seen: set[str] = set()
    for index, request in enumerate(objects((given(spec, "devices") or {}).get("requests"))):
        here = f"{path}.devices.requests[{index}]"
        name = str(request.get("name") or "")
        errors += required_name(f"{here}.name", name, validation.dns1123_label_errors)
        if name in seen:
            errors.append(FieldError.duplicate(f"{here}.name", name))
        seen.add(name)
        exactly, first = given(request, "exactly"), objects(request.get("firstAvailable"))
        if (exactly is None) == (not first):
            detail = "exactly one of `exactly` or `firstAvailable` is required"
            errors.append(FieldError.required(here, detail))
        if exactly is not None:
            errors += _exact(exactly, f"{here}.exactly")
        for sub_index, sub in enumerate(first):
            sub_path = f"{here}.firstAvailable[{sub_index}]"
            errors += required_name(f"{sub_path}.name", sub.get("name"), validation.dns1123_label_errors)
            errors += _exact(sub, sub_path)
    return errors


def _exact(request: Object, path: str) -> Errors:
    name = request.get("deviceClassName")
    errors = required_name(f"{path}.deviceClassName", name, validation.dns1123_subdomain_errors)
    return errors + _selectors(request, path)


def validate_slice(resource_slice: Object) -> Errors:
    """Check a ResourceSlice."""
    spec = spec_of(resource_slice)
    pool = given(spec, "pool") or {}
    errors = required_name("spec.driver", spec.get("driver"), validation.dns1123_subdomain_errors)
    if not pool.get("name"):
        errors.append(FieldError.required("spec.pool.name"))
    else:
        for part in str(pool["name"]).split("/"):
            errors += named("spec.pool.name", part, validation.dns1123_subdomain_errors)
    count = pool.get("resourceSliceCount") or 0
    if count <= 0:
        errors.append(FieldError.invalid("spec.pool.resourceSliceCount", count, "must be greater than zero"))
    places = [place for place in _PLACES if spec.get(place)]
    if len(places) != 1:
        listed = ", ".join(f"`{place}`" for place in _PLACES)
        detail = f"exactly one of {listed} is required"
        if places:
            errors.append(FieldError.invalid("spec", f"{{{', '.join(places)}}}", detail))
        else:
            errors.append(FieldError.required("spec", detail))
    seen: set[str] = set()
    for index, device in enumerate(objects(spec.get("devices"))):
        path = f"spec.devices[{index}].name"
        name = str(device.get("name") or "")
        errors += required_name(path, name, validation.dns1123_label_errors)
        if name in seen:
            errors.append(FieldError.duplicate(path, name))
        seen.add(name)
    return errors


def validate_slice_update(new: Object, old: Object) -> Errors:
    """Check a changed ResourceSlice: who publishes it and from where stays."""
    errors = validate_slice(new)
    spec, before = spec_of(new), spec_of(old)
    errors += immutable(spec, before, "driver", field="spec")
    errors += validation.validate_immutable(
        (given(spec, "pool") or {}).get("name"), (given(before, "pool") or {}).get("name"), "spec.pool.name"
    )
    return errors + immutable(spec, before, "nodeName", field="spec")
