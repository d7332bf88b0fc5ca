"""resource.k8s.io/v1beta1 in the words of v1: a request's own fields stand beside `firstAvailable` there, not
under `exactly`, and a device's under `basic`.

Arguments stay as they are: what is changed is copied on the way down.
"""

from __future__ import annotations

from collections.abc import Callable

from podium.machinery.errors import Json, Object
from podium.resources.defaulting import absent, child, given, items
from podium.resources.resource import defaults

_EXACT = (
    "deviceClassName",
    "selectors",
    "allocationMode",
    "count",
    "adminAccess",
    "tolerations",
    "capacity",
)
_OWN_OF_DEVICE = ("name", "basic")


def claim_to_v1(claim: Object) -> Object:
    """Return a ResourceClaim as v1 says it."""
    return {**claim, "spec": _spec_to_v1(given(claim, "spec") or {})}


def claim_from_v1(claim: Object) -> Object:
    """Return a v1 ResourceClaim as v1beta1 says it."""
    return {**claim, "spec": _spec_from_v1(given(claim, "spec") or {})}


def template_to_v1(template: Object) -> Object:
    """Return a ResourceClaimTemplate as v1 says it."""
    spec = given(template, "spec") or {}
    return {**template, "spec": {**spec, "spec": _spec_to_v1(given(spec, "spec") or {})}}


def template_from_v1(template: Object) -> Object:
    """Return a v1 ResourceClaimTemplate as v1beta1 says it."""
    spec = given(template, "spec") or {}
    return {**template, "spec": {**spec, "spec": _spec_from_v1(given(spec, "spec") or {})}}


def _spec_to_v1(spec: Object) -> Object:
    return _with_requests(spec, _request_to_v1)


def _spec_from_v1(spec: Object) -> Object:
    return _with_requests(spec, _request_from_v1)


def _with_requests(spec: Object, convert: Callable[[Object], Object]) -> Object:
    devices = given(spec, "devices")
    if devices is None or not isinstance(devices.get("requests"), list):
        return spec
    requests = [convert(one) if isinstance(one, dict) else one for one in devices["requests"]]
    return {**spec, "devices": {**devices, "requests": requests}}


def _request_to_v1(request: Object) -> Object:
    exactly = {key: value for key, value in request.items() if key in _EXACT and not _unset(key, value)}
    kept = {key: value for key, value in request.items() if key not in _EXACT}
    return {**kept, "exactly": exactly} if exactly else kept


def _unset(key: str, value: Json) -> bool:
    """Whether the field is as good as absent: a plain value that is zero."""
    return value is None or (key in ("deviceClassName", "allocationMode", "count") and not value)


def _request_from_v1(request: Object) -> Object:
    exactly = given(request, "exactly")
    kept = {key: value for key, value in request.items() if key != "exactly"}
    return {"deviceClassName": "", **kept, **(exactly or {})}


def slice_to_v1(resource_slice: Object) -> Object:
    """Return a ResourceSlice as v1 says it."""
    spec = {
        key: value
        for key, value in (given(resource_slice, "spec") or {}).items()
        if value or key not in ("nodeName", "allNodes")
    }
    if isinstance(spec.get("devices"), list):
        spec["devices"] = [_device_to_v1(device) for device in spec["devices"]]
    return {**resource_slice, "spec": spec}


def slice_from_v1(resource_slice: Object) -> Object:
    """Return a v1 ResourceSlice as v1beta1 says it."""
    spec = given(resource_slice, "spec") or {}
    if isinstance(spec.get("devices"), list):
        spec = {**spec, "devices": [_device_from_v1(device) for device in spec["devices"]]}
    return {**resource_slice, "spec": spec}


def _device_to_v1(device: Json) -> Json:
    if not isinstance(device, dict):
        return device
    return {
        **{key: value for key, value in device.items() if key != "basic"},
        **(given(device, "basic") or {}),
    }


def _device_from_v1(device: Json) -> Json:
    if not isinstance(device, dict):
        return device
    basic = {key: value for key, value in device.items() if key not in _OWN_OF_DEVICE}
    return {**{key: value for key, value in device.items() if key in _OWN_OF_DEVICE}, "basic": basic}


def default_claim(claim: Object) -> None:
    """Fill in a ResourceClaim."""
    _default_spec(child(claim, "spec"))
    child(claim, "status")


def default_template(template: Object) -> None:
    """Fill in a ResourceClaimTemplate."""
    spec = child(template, "spec")
    child(spec, "metadata")
    _default_spec(child(spec, "spec"))


def _default_spec(spec: Object) -> None:
    for request in items(child(spec, "devices"), "requests"):
        # A request with alternatives must say nothing itself.
        if request.get("deviceClassName"):
            defaults.default_request(request)
        for alternative in items(request, "firstAvailable"):
            defaults.default_request(alternative)


def default_slice(resource_slice: Object) -> None:
    """Fill in a ResourceSlice."""
    spec = child(resource_slice, "spec")
    absent(child(spec, "pool"), "generation", 0)
    for device in items(spec, "devices"):
        basic = given(device, "basic")
        if basic is not None:
            defaults.default_device(basic)
