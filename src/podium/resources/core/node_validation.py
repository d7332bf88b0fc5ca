"""What is wrong with nodes, on create and on update."""

from __future__ import annotations

from podium.machinery import validation
from podium.machinery.addresses import older_cidr
from podium.machinery.errors import FieldError, Object
from podium.resources.checks import Errors, named, objects, one_of, spec_of
from podium.resources.core import resource_names
from podium.resources.core.addresses import is_ipv6
from podium.resources.core.pod_validation import TAINT_EFFECTS
from podium.resources.defaulting import given


def validate_node(node: Object) -> Errors:
    """Check a Node."""
    # Taints are of the spec; upstream's errors place them in the metadata.
    errors = _taints(node, "metadata.taints") + _amounts(node)
    cidrs = spec_of(node).get("podCIDRs") or []
    for index, cidr in enumerate(cidrs):
        errors += older_cidr(f"spec.podCIDRs[{index}]", cidr)
    if len(cidrs) > 2 or (len(cidrs) == 2 and is_ipv6(cidrs[0]) == is_ipv6(cidrs[1])):
        detail = "may specify no more than one CIDR for each IP family"
        errors.append(FieldError.invalid("spec.podCIDRs", cidrs, detail))
    return errors


def _taints(node: Object, path: str) -> Errors:
    errors: Errors = []
    seen: set[tuple[object, object]] = set()
    for index, taint in enumerate(objects(spec_of(node).get("taints"))):
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
    """Check a changed Node, or a changed status of one: what it was given once stays."""
    errors = _amounts(new)
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
    return errors + _taints(new, "metadata.taints")
