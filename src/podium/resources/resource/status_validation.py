"""What is wrong with the status of claims: what they were given, who uses it, what drivers say about it."""

from __future__ import annotations

import ipaddress

from podium.machinery import validation
from podium.machinery.errors import FieldError, Object
from podium.resources.checks import Errors, metadata_of, objects, spec_of
from podium.resources.core.affinity_validation import validate_node_selector
from podium.resources.defaulting import given
from podium.resources.resource import names
from podium.resources.resource.slice_validation import validate_binding
from podium.resources.resource.validation import (
    CONFIG_MAX,
    Requests,
    request_names,
    validate_claim_configuration,
    validate_raw,
    validate_reference,
)

RESERVED_MAX = 256
RESULTS_MAX = 32
CONDITIONS_MAX = 8
DATA_SIZE_BYTES_MAX = 10 * 1024
INTERFACE_LENGTH_MAX = 256
HARDWARE_ADDRESS_LENGTH_MAX = 128
IPS_MAX = 16
_SOURCES = ("FromClaim", "FromClass")
_UNBOUNDED = 10**9

DeviceId = tuple[str, ...]


def validate_claim_status(new: Object, old: Object) -> Errors:
    """Check a changed status of a ResourceClaim."""
    status, before = given(new, "status") or {}, given(old, "status") or {}
    requests = request_names(spec_of(new))
    allocation = given(status, "allocation")
    reserved = objects(status.get("reservedFor"))
    errors = names.distinct(
        reserved, RESERVED_MAX, _consumer, lambda consumer: consumer.get("uid") or "", "status.reservedFor"
    )
    allocated = _allocated(allocation or {})
    errors += names.distinct(
        objects(status.get("devices")),
        _UNBOUNDED,
        lambda device, path: _device(device, path, allocated),
        _device_id,
        "status.devices",
        shown=_shown_id,
    )
    if reserved and allocation is None:
        detail = "may not be specified when `allocated` is not set"
        errors.append(FieldError.forbidden("status.reservedFor", detail))
    elif metadata_of(new).get("deletionTimestamp") and any(
        consumer not in objects(before.get("reservedFor")) for consumer in reserved
    ):
        detail = "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set"
        errors.append(FieldError.forbidden("status.reservedFor", detail))
    was = given(before, "allocation")
    if allocation is None:
        return errors
    if was is not None:
        return errors + validation.validate_immutable(allocation, was, "status.allocation")
    return errors + _allocation(allocation, "status.allocation", requests)


def _consumer(consumer: Object, path: str) -> Errors:
    return [
        FieldError.required(f"{path}.{key}") for key in ("resource", "name", "uid") if not consumer.get(key)
    ]


def _device_id(device: Object) -> DeviceId:
    parts = tuple(str(device.get(key) or "") for key in ("driver", "pool", "device"))
    return (*parts, str(device["shareID"])) if device.get("shareID") is not None else parts


def _shown_id(device: Object) -> Object:
    """Return what tells a device, as upstream's errors show it."""
    keys = ("driver", "pool", "device", "shareID")
    return {key[0].upper() + key[1:]: str(device.get(key) or "") for key in keys}


def _allocated(allocation: Object) -> set[DeviceId]:
    return {_device_id(result) for result in objects((given(allocation, "devices") or {}).get("results"))}


def _allocation(allocation: Object, path: str, requests: Requests) -> Errors:
    devices = given(allocation, "devices") or {}
    errors = names.bounded(
        objects(devices.get("results")),
        RESULTS_MAX,
        lambda result, here: _result(result, here, requests),
        f"{path}.devices.results",
    )
    errors += names.bounded(
        objects(devices.get("config")),
        2 * CONFIG_MAX,
        lambda config, here: _allocated_configuration(config, here, requests),
        f"{path}.devices.config",
    )
    selector = given(allocation, "nodeSelector")
    return errors + (validate_node_selector(selector, f"{path}.nodeSelector") if selector is not None else [])


def _result(result: Object, path: str, requests: Requests) -> Errors:
    errors = validate_reference(f"{path}.request", str(result.get("request") or ""), requests)
    errors += _named_device(result, path)
    errors += validate_binding(result, path)
    if result.get("shareID") is not None:
        errors += names.uid(f"{path}.shareID", str(result["shareID"]))
    return errors


def _named_device(device: Object, path: str) -> Errors:
    return [
        *names.driver(f"{path}.driver", str(device.get("driver") or "")),
        *names.pool(f"{path}.pool", str(device.get("pool") or "")),
        *names.device(f"{path}.device", str(device.get("device") or "")),
    ]


def _allocated_configuration(config: Object, path: str, requests: Requests) -> Errors:
    source = str(config.get("source") or "")
    errors: Errors = []
    if not source:
        errors.append(FieldError.required(f"{path}.source"))
    elif source not in _SOURCES:
        errors.append(FieldError.not_supported(f"{path}.source", source, _SOURCES))
    return errors + validate_claim_configuration(config, path, requests)


def _device(device: Object, path: str, allocated: set[DeviceId]) -> Errors:
    errors = _named_device(device, path)
    if device.get("shareID") is not None:
        errors += names.uid(f"{path}.shareID", str(device["shareID"]))
    if _device_id(device) not in allocated:
        detail = "must be an allocated device in the claim"
        errors.append(FieldError.invalid(path, _shown_id(device), detail))
    conditions = objects(device.get("conditions"))
    if len(conditions) > CONDITIONS_MAX:
        errors.append(FieldError.too_many(f"{path}.conditions", len(conditions), CONDITIONS_MAX))
    errors += validation.validate_conditions(conditions, f"{path}.conditions")
    if device.get("data") is not None:
        errors += validate_raw(f"{path}.data", device["data"], DATA_SIZE_BYTES_MAX)
    network = given(device, "networkData")
    return errors + (_network(network, f"{path}.networkData") if network is not None else [])


def _network(network: Object, path: str) -> Errors:
    errors: Errors = []
    for key, length_max in (
        ("interfaceName", INTERFACE_LENGTH_MAX),
        ("hardwareAddress", HARDWARE_ADDRESS_LENGTH_MAX),
    ):
        if len(str(network.get(key) or "").encode()) > length_max:
            errors.append(FieldError.too_long(f"{path}.{key}", length_max))
    ips = [str(address) for address in network.get("ips") or ()]
    return errors + names.distinct(ips, IPS_MAX, _address, str, f"{path}.ips")


def _address(text: str, path: str) -> Errors:
    try:
        address = ipaddress.ip_interface(text)
    except ValueError:
        address = None
    if address is None or "/" not in text:
        detail = "must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)"
        return [FieldError.invalid(path, text, detail)]
    if str(address) != text:
        return [FieldError.invalid(path, text, f'must be in canonical form ("{address}")')]
    return []
