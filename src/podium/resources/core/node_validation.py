"""What is wrong with nodes, on create and on update."""

from __future__ import annotations

import json
import re
from itertools import pairwise

from podium.machinery import validation
from podium.machinery.addresses import older_cidr, parse_network
from podium.machinery.errors import FieldError, Object, shown
from podium.resources.checks import Errors, internal, metadata_of, named, objects, one_of, spec_of
from podium.resources.core import resource_names
from podium.resources.core.addresses import is_ipv6
from podium.resources.core.pod_validation import TAINT_EFFECTS
from podium.resources.defaulting import given

_TAINTS = "scheduler.alpha.kubernetes.io/taints"
_FEATURE = re.compile(r"[A-Z][a-zA-Z0-9]*(/[a-zA-Z][a-zA-Z0-9]*)*")
_FEATURE_LENGTH_MAX = 253
_UNCAMELED = (
    "must start with an UpperCamelCase segment, with subsequent segments separated by '/' (e.g., MyFeature "
    "or MyFeature/mySubFeature), and contain only alphanumeric characters and slashes"
)


def validate_node(node: Object) -> Errors:
    """Check a Node."""
    # Taints are of the spec; upstream's errors place them in the metadata.
    errors = _annotations(node) + _taints(objects(spec_of(node).get("taints")), "metadata.taints")
    errors += _amounts(node)
    swap = given(given(given(node, "status") or {}, "nodeInfo") or {}, "swap") or {}
    if swap.get("capacity") is not None and swap["capacity"] <= 0:
        here = "metadata.nodeSwapStatus.capacity"
        errors.append(FieldError.invalid(here, swap["capacity"], "must be greater than zero"))
    errors += _features(node)
    cidrs = spec_of(node).get("podCIDRs") or []
    for index, cidr in enumerate(cidrs):
        errors += older_cidr(f"spec.podCIDRs[{index}]", cidr)
    wrong = next((index for index, cidr in enumerate(cidrs) if parse_network(cidr) is None), None)
    if wrong is not None and len(cidrs) > 1:
        why = f"invalid CIDR[{wrong}]: <nil> (invalid CIDR address: {cidrs[wrong]})"
        detail = f"invalid PodCIDRs. failed to check with dual stack with error:{why}"
        errors.append(internal("spec.podCIDRs", detail))
    if len(cidrs) > 2 or (len(cidrs) == 2 and is_ipv6(cidrs[0]) == is_ipv6(cidrs[1])):
        detail = "may specify no more than one CIDR for each IP family"
        errors.append(FieldError.invalid("spec.podCIDRs", cidrs, detail))
    return errors


def _annotations(node: Object) -> Errors:
    """Check the annotation that taints were, before there was a field."""
    text = (metadata_of(node).get("annotations") or {}).get(_TAINTS)
    if not text:
        return []
    try:
        taints = json.loads(text)
    except ValueError:
        taints = None
    if not isinstance(taints, list):
        # Go's message tells what its parser stumbled over.
        return [FieldError.invalid("metadata.annotations", _TAINTS, "json: cannot unmarshal taints")]
    return _taints(objects(taints), f"metadata.annotations.{_TAINTS}")


def _features(node: Object) -> Errors:
    names = (given(node, "status") or {}).get("declaredFeatures") or []
    errors: Errors = []
    for index, name in enumerate(names):
        here = f"status.declaredFeatures[{index}]"
        if len(name) > _FEATURE_LENGTH_MAX:
            fault = f"must be no more than {_FEATURE_LENGTH_MAX} characters"
            errors.append(FieldError.invalid(here, name, f"invalid feature name {shown(name)}: {fault}"))
        elif not _FEATURE.fullmatch(name):
            errors.append(FieldError.invalid(here, name, f"invalid feature name {shown(name)}: {_UNCAMELED}"))
    for index, (name, following) in enumerate(pairwise(names), 1):
        here = f"status.declaredFeatures[{index}]"
        if name == following:
            errors.append(FieldError.duplicate(here, following))
        elif name > following:
            errors.append(FieldError.invalid(here, following, "list must be sorted alphabetically"))
    return errors


def _taints(taints: list[Object], path: str) -> Errors:
    errors: Errors = []
    seen: set[tuple[object, object]] = set()
    for index, taint in enumerate(taints):
        here = f"{path}[{index}]"
        key, value, effect = taint.get("key") or "", taint.get("value") or "", taint.get("effect")
        errors += named(f"{here}.key", key, validation.qualified_name_errors)
        faults = validation.label_value_errors(value)
        if faults:
            errors.append(FieldError.invalid(f"{here}.value", value, ";".join(faults)))
        errors += one_of(f"{here}.effect", effect, TAINT_EFFECTS)
        if (key, effect) in seen:
            shown = {"Key": key, "Value": value, "Effect": effect, "TimeAdded": taint.get("timeAdded")}
            error = FieldError.duplicate(here, shown)
            detail = "taints must be unique by key and effect pair"
            errors.append(FieldError(error.field, error.reason, f"{error.message}: {detail}"))
        seen.add((key, effect))
    return errors


def _amounts(node: Object) -> Errors:
    errors: Errors = []
    status = given(node, "status") or {}
    for key in ("capacity", "allocatable"):
        for name, value in sorted((status.get(key) or {}).items()):
            errors += resource_names.quantity_errors(f"status.{key}.{name}", name, value)
    return errors


def validate_node_update(new: Object, old: Object) -> Errors:
    """Check a changed Node. Upstream looks twice, and names twice what is wrong with it as it is."""
    return validate_node(new) + validate_node_status(new, old)


def validate_node_status(new: Object, old: Object) -> Errors:
    """Check a changed Node, or a changed status of one: what it was given once stays."""
    errors = _annotations(new) + _amounts(new) + _features(new)
    addresses = objects((given(new, "status") or {}).get("addresses"))
    for index, address in enumerate(addresses):
        if address in addresses[:index]:
            shown = {"Type": address.get("type"), "Address": address.get("address")}
            errors.append(FieldError.duplicate(f"status.addresses[{index}]", shown))
    spec, before = spec_of(new), spec_of(old)
    cidrs, were = spec.get("podCIDRs") or [], before.get("podCIDRs") or []
    if were:
        detail = 'node updates may not change podCIDR except from "" to valid'
        if len(cidrs) != len(were):
            errors.append(FieldError.forbidden("spec.podCIDRs", detail))
        else:
            changed = sum(cidr != was for cidr, was in zip(cidrs, were, strict=True))
            errors += [FieldError.forbidden("spec.podCIDRs", detail)] * changed
    if before.get("providerID") and before["providerID"] != spec.get("providerID"):
        detail = 'node updates may not change providerID except from "" to valid'
        errors.append(FieldError.forbidden("spec.providerID", detail))
    source = given(spec, "configSource")
    if source is not None and given(source, "configMap") is None:
        detail = "exactly one reference subfield must be non-nil"
        errors.append(FieldError.invalid("spec.configSource", source, detail))
    errors += _taints(objects(spec.get("taints")), "metadata.taints")
    if (spec.get("externalID") or "") != (before.get("externalID") or ""):
        errors.append(FieldError.forbidden("spec.externalID", "may not be updated"))
    return errors
