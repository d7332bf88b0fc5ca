"""What is wrong with ResourceSlices: the devices that a driver publishes."""

from __future__ import annotations

from itertools import pairwise

from podium.machinery import validation
from podium.machinery.errors import FieldError, Object
from podium.machinery.quantity import Quantity
from podium.resources.checks import Errors, immutable, named, objects, parse_quantity, same, spec_of
from podium.resources.coordination.validation import is_semantic_version
from podium.resources.core.affinity_validation import validate_node_selector
from podium.resources.core.resource_names import is_native
from podium.resources.defaulting import given
from podium.resources.resource import names
from podium.resources.resource.taints import validate_taint

DEVICES_MAX = 128
DEVICES_WITH_MORE_MAX = 64
"""Of slices whose devices have taints, counters or lists of attributes."""
COUNTER_SETS_MAX = 8
COUNTERS_MAX = 32
CONSUMPTIONS_MAX = 2
TAINTS_MAX = 16
ATTRIBUTES_MAX = 32
ATTRIBUTE_VALUES_MAX = 48
ATTRIBUTE_LENGTH_MAX = 64
BINDING_CONDITIONS_MAX = 4
POLICY_VALUES_MAX = 10
_KEY_LENGTH_MAX = names.DRIVER_LENGTH_MAX + 1 + names.ID_LENGTH_MAX
_LISTS = ("bools", "ints", "strings", "versions")
_PLACES = "`nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection`"
_DEVICE_PLACES = (
    "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is "
    "set to true in the ResourceSlice spec"
)


def validate_slice(resource_slice: Object) -> Errors:
    """Check a ResourceSlice."""
    return _slice(spec_of(resource_slice), None)


def validate_slice_update(new: Object, old: Object) -> Errors:
    """Check a changed ResourceSlice: who publishes it and from where stays."""
    return _slice(spec_of(new), spec_of(old))


def _slice(spec: Object, old: Object | None) -> Errors:
    pool = given(spec, "pool") or {}
    errors = names.driver("spec.driver", str(spec.get("driver") or ""))
    errors += _pool(pool)
    if old is not None:
        errors += immutable(pool, given(old, "pool") or {}, "name", field="spec.pool")
        errors += immutable(spec, old, "driver", "nodeName", field="spec")
    errors += _places(spec)
    counters, devices = objects(spec.get("sharedCounters")), objects(spec.get("devices"))
    if counters and devices:
        errors.append(FieldError.invalid("spec", "", "only one of `sharedCounters` or `devices` is allowed"))
    by_name = {device.get("name"): device for device in objects((old or {}).get("devices"))}
    per_device = bool(spec.get("perDeviceNodeSelection"))
    errors += names.distinct(
        devices,
        DEVICES_WITH_MORE_MAX if any(_has_more(device) for device in devices) else DEVICES_MAX,
        lambda device, path: _device(device, by_name.get(device.get("name")), path, per_device=per_device),
        lambda device: device.get("name") or "",
        "spec.devices",
    )
    return errors + names.distinct(
        counters,
        COUNTER_SETS_MAX,
        lambda counter_set, path: _counters(counter_set, path, "name"),
        lambda counter_set: counter_set.get("name") or "",
        "spec.sharedCounters",
    )


def _has_more(device: Object) -> bool:
    attributes = [value for value in (given(device, "attributes") or {}).values() if isinstance(value, dict)]
    return bool(device.get("taints") or device.get("consumesCounters")) or any(
        attribute.get(key) is not None for attribute in attributes for key in _LISTS
    )


def _pool(pool: Object) -> Errors:
    errors = names.pool("spec.pool.name", str(pool.get("name") or ""))
    count, generation = pool.get("resourceSliceCount") or 0, pool.get("generation") or 0
    if count <= 0:
        errors.append(FieldError.invalid("spec.pool.resourceSliceCount", count, "must be greater than zero"))
    if generation < 0:
        detail = "must be greater than or equal to zero"
        errors.append(FieldError.invalid("spec.pool.generation", generation, detail))
    return errors


def _places(spec: Object) -> Errors:
    """Ask for one way to say where the devices are."""
    errors, places = _node_places(spec, "spec")
    selector = given(spec, "nodeSelector")
    if selector is not None and len(terms := objects(selector.get("nodeSelectorTerms"))) != 1:
        detail = "must have exactly one node selector term"
        errors.append(FieldError.invalid("spec.nodeSelector.nodeSelectorTerms", terms or None, detail))
    per_device = spec.get("perDeviceNodeSelection")
    if per_device:
        places.append("`perDeviceNodeSelection`")
    elif per_device is not None:
        errors.append(_must_be_true("spec.perDeviceNodeSelection"))
    detail = f"exactly one of {_PLACES} is required"
    if not places:
        errors.append(FieldError.required("spec", detail))
    elif len(places) > 1:
        shown = f"{{{', '.join(places)}}}"
        errors.append(FieldError.invalid("spec", shown, f"{detail}, but multiple fields are set"))
    return errors


def _node_places(holder: Object, path: str) -> tuple[Errors, list[str]]:
    """Return what is wrong with the ways to name nodes that are used, and which these are."""
    errors: Errors = []
    places = []
    name, selector, every = holder.get("nodeName"), given(holder, "nodeSelector"), holder.get("allNodes")
    if name:
        places.append("`nodeName`")
        errors += named(f"{path}.nodeName", str(name), validation.dns1123_subdomain_errors)
    elif name is not None:
        detail = "must not be empty"
        if path == "spec":
            detail = "must be either unset or set to a non-empty string"
        errors.append(FieldError.invalid(f"{path}.nodeName", "", detail))
    if selector is not None:
        places.append("`nodeSelector`")
        errors += validate_node_selector(selector, f"{path}.nodeSelector")
    if every:
        places.append("`allNodes`")
    elif every is not None:
        errors.append(_must_be_true(f"{path}.allNodes"))
    return errors, places


def _must_be_true(field: str) -> FieldError:
    return FieldError.invalid(field, False, "must be either unset or set to true")


def _counters(holder: Object, path: str, name_key: str) -> Errors:
    name, counters = str(holder.get(name_key) or ""), given(holder, "counters") or {}
    errors = names.device(f"{path}.{name_key}", name) if name else [FieldError.required(f"{path}.{name_key}")]
    if not counters:
        errors.append(FieldError.required(f"{path}.counters"))
    elif len(counters) > COUNTERS_MAX:
        errors.append(FieldError.too_many(f"{path}.counters", len(counters), COUNTERS_MAX))
    else:
        for key in counters:
            errors += names.device(f"{path}.counters", key)
    return errors


def _device(device: Object, old: Object | None, path: str, *, per_device: bool) -> Errors:
    attributes, capacity = given(device, "attributes") or {}, given(device, "capacity") or {}
    errors = names.device(f"{path}.name", str(device.get("name") or ""))
    count = len(attributes) + len(capacity)
    if count > ATTRIBUTES_MAX:
        detail = f"the total number of attributes and capacities must not exceed {ATTRIBUTES_MAX}"
        errors.append(FieldError.invalid(path, count, detail))
    values = sum(_values_count(attribute) for attribute in attributes.values())
    if values > ATTRIBUTE_VALUES_MAX:
        detail = f"the total number of attribute values must not exceed {ATTRIBUTE_VALUES_MAX}"
        errors.append(FieldError.invalid(path, values, detail))
    for key, attribute in attributes.items():
        errors += names.qualified(f"{path}.attributes", key)
        errors += _attribute(attribute, f"{path}.attributes[{names.truncated(key, _KEY_LENGTH_MAX)}]")
    shared = bool(device.get("allowMultipleAllocations"))
    for key, amount in capacity.items():
        errors += names.qualified(f"{path}.capacity", key)
        here = f"{path}.capacity[{names.truncated(key, _KEY_LENGTH_MAX)}]"
        errors += _capacity(amount, here, shared=shared)
    taints = objects(device.get("taints"))
    if old is None or not same(taints, objects(old.get("taints"))):
        errors += names.bounded(
            taints, TAINTS_MAX, lambda taint, here: validate_taint(taint, None, here), f"{path}.taints"
        )
    errors += names.distinct(
        objects(device.get("consumesCounters")),
        CONSUMPTIONS_MAX,
        lambda consumption, here: _counters(consumption, here, "counterSet"),
        lambda consumption: consumption.get("counterSet") or "",
        f"{path}.consumesCounters",
    )
    errors += _device_places(device, path, per_device=per_device)
    errors += validate_binding(device, path)
    return errors + _mappings(
        given(device, "nodeAllocatableResourceMappings") or {},
        capacity,
        f"{path}.nodeAllocatableResourceMappings",
    )


def _values_count(attribute: Object) -> int:
    return sum(len(attribute.get(key) or ()) for key in _LISTS) or 1


def _device_places(device: Object, path: str, *, per_device: bool) -> Errors:
    if not per_device:
        if any(device.get(key) is not None for key in ("nodeName", "nodeSelector", "allNodes")):
            detail = (
                "`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is "
                "set to true in the ResourceSlice spec"
            )
            return [FieldError.invalid(path, None, detail)]
        return []
    errors, places = _node_places(device, path)
    if not places:
        errors.append(FieldError.required(path, _DEVICE_PLACES))
    elif len(places) > 1:
        errors.append(FieldError.invalid(path, f"{{{', '.join(places)}}}", _DEVICE_PLACES))
    return errors


def _attribute(attribute: Object, path: str) -> Errors:
    errors: Errors = []
    if attribute.get("string") is not None:
        errors += _string(f"{path}.string", str(attribute["string"]))
    if attribute.get("version") is not None:
        errors += _version(f"{path}.version", str(attribute["version"]))
    for index, value in enumerate(attribute.get("strings") or ()):
        errors += _string(f"{path}.strings[{index}]", str(value))
    for index, value in enumerate(attribute.get("versions") or ()):
        errors += _version(f"{path}.versions[{index}]", str(value))
    keys = ("bool", "int", "string", "version", *_LISTS)
    found = [key for key in keys if attribute.get(key) is not None]
    if len(found) != 1:
        shown = attribute if found else ""
        errors.append(FieldError.invalid(path, shown, "exactly one value must be specified"))
    return errors


def _string(field: str, value: str) -> Errors:
    too_long = len(value.encode()) > ATTRIBUTE_LENGTH_MAX
    return [FieldError.too_long(field, ATTRIBUTE_LENGTH_MAX)] if too_long else []


def _version(field: str, value: str) -> Errors:
    errors: Errors = []
    if not is_semantic_version(value):
        detail = "must be a string compatible with semver.org spec 2.0.0"
        errors.append(FieldError.invalid(field, value, detail))
    return errors + _string(field, value)


def _capacity(capacity: Object, path: str, *, shared: bool) -> Errors:
    policy, path = given(capacity, "requestPolicy"), f"{path}.requestPolicy"
    if policy is None:
        return []
    if not shared:
        return [FieldError.forbidden(path, "allowMultipleAllocations must be true")]
    values, within = policy.get("validValues") or [], given(policy, "validRange")
    if values and within is not None:
        detail = (
            'exactly one policy can be specified, cannot specify "validValues" and "validRange" at the same '
            "time"
        )
        return [FieldError.forbidden(path, detail)]
    key = "validValues" if values else "validRange"
    if not values and within is None:
        return []
    if policy.get("default") is None:
        return [FieldError.required(f"{path}.default", f"required when {key} is defined")]
    most, usual = parse_quantity(capacity.get("value")), parse_quantity(policy["default"])
    if values:
        return _policy_values(usual, most, [parse_quantity(value) for value in values], f"{path}.validValues")
    return _policy_range(usual, most, within or {}, f"{path}.validRange")


def _policy_values(usual: Quantity, most: Quantity, values: list[Quantity], path: str) -> Errors:
    errors: Errors = []
    for index, (one, following) in enumerate(pairwise(values), start=1):
        if following < one:
            detail = "values must be sorted in ascending order"
            errors.append(FieldError.invalid(f"{path}[{index}]", str(following), detail))

    def check(value: Quantity, here: str) -> Errors:
        detail = f"option is larger than capacity value: {most}"
        return [FieldError.invalid(here, str(value), detail)] if most < value else []

    errors += names.distinct(values, POLICY_VALUES_MAX, check, lambda value: str(value.value()), path)
    if usual not in values:
        detail = "default value is not valid according to the requestPolicy"
        errors.append(FieldError.invalid(path, str(usual), detail))
    return errors


def _policy_range(usual: Quantity, most: Quantity, within: Object, path: str) -> Errors:
    if within.get("min") is None:
        return [FieldError.required(f"{path}.min", "required when validRange is defined")]
    low = parse_quantity(within["min"])
    high = parse_quantity(within["max"]) if within.get("max") is not None else None
    errors: Errors = []

    def wrong(key: str, value: Quantity, detail: str) -> None:
        errors.append(FieldError.invalid(f"{path}.{key}", str(value), detail))

    if most < low:
        wrong("min", low, f"min is larger than capacity value: {most}")
    if usual < low:
        wrong("min", usual, f"default is less than min: {low}")
    if high is not None:
        if high < low:
            wrong("max", low, f"min is larger than max: {high}")
        if most < high:
            wrong("max", high, f"max is larger than capacity value: {most}")
        if high < usual:
            wrong("max", usual, f"default is more than max: {high}")
    if within.get("step") is not None:
        step = parse_quantity(within["step"])
        added = low + step
        if most < added:
            wrong("step", step, f"one step {added} is larger than capacity value: {most}")
        for value in (usual, high):
            if value is not None and step.value() and (value.value() - low.value()) % step.value():
                wrong("step", value, f"value is not a multiple of a given step ({step}) from ({low})")
    return errors


def validate_binding(device: Object, path: str) -> Errors:
    """Check the conditions under which a device is bound, and under which that has failed."""
    wanted = [str(condition) for condition in device.get("bindingConditions") or ()]
    failed = [str(condition) for condition in device.get("bindingFailureConditions") or ()]
    errors: Errors = []
    for key, conditions in (("bindingConditions", wanted), ("bindingFailureConditions", failed)):
        errors += names.bounded(
            conditions,
            BINDING_CONDITIONS_MAX,
            lambda condition, here: named(here, condition, validation.qualified_name_errors),
            f"{path}.{key}",
        )
    errors += _repeated(f"{path}.bindingConditions", wanted, ())
    errors += _repeated(f"{path}.bindingFailureConditions", failed, wanted)
    if failed and not wanted:
        detail = "bindingConditions are required to use bindingFailureConditions"
        errors.append(FieldError.invalid(f"{path}.bindingConditions", None, detail))
    if wanted and not failed:
        detail = "bindingFailureConditions are required to use bindingConditions"
        errors.append(FieldError.invalid(f"{path}.bindingFailureConditions", None, detail))
    return errors


def _repeated(field: str, conditions: list[str], others: list[str] | tuple[()]) -> Errors:
    errors: Errors = []
    for index, condition in enumerate(conditions):
        if condition in conditions[:index]:
            errors.append(FieldError.duplicate(f"{field}[{index}]", condition))
        if condition in others:
            detail = "bindingFailureConditions must not overlap with bindingConditions"
            errors.append(FieldError.invalid(f"{field}[{index}]", condition, detail))
    return errors


def _mappings(mappings: Object, capacity: Object, path: str) -> Errors:
    errors: Errors = []
    for name, mapping in mappings.items():
        here = f"{path}[{name}]"
        if not is_native(name):
            errors.append(FieldError.invalid(here, name, "must be a node allocatable resource name"))
        factor, key = mapping.get("allocationMultiplier"), mapping.get("capacityKey")
        if factor is None and key is None:
            detail = "at least one of allocationMultiplier or capacityKey must be set"
            errors.append(FieldError.invalid(here, "", detail))
        if factor is not None and parse_quantity(factor).nanos <= 0:
            field = f"{here}.allocationMultiplier"
            errors.append(FieldError.invalid(field, str(factor), "must be positive"))
        if key == "":
            detail = "capacityKey must not be an empty string"
            errors.append(FieldError.invalid(f"{here}.capacityKey", "", detail))
        elif key is not None and key not in capacity:
            errors.append(FieldError.not_found(f"{here}.capacityKey", key))
    return errors
