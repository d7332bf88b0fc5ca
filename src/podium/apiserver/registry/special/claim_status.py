"""Who may change what in the status of a claim for devices: one rule for the allocation, one for each driver.

Whoever may write `resourceclaims/status` needs a right to `resourceclaims/binding` as well to allocate and
to reserve, and one to `resourceclaims/driver` to report about the devices of the driver of that name; the
latter for any node, or for that node alone on which the service account's pod runs.
Upstream: pkg/registry/resource/utils.go.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from podium.apiserver.authn.names import split_service_account
from podium.apiserver.authn.service_account import NODE_NAME
from podium.apiserver.authz.messages import forbidden
from podium.apiserver.chain import RequestInfo, User
from podium.apiserver.registry.call import Call
from podium.machinery.errors import FieldError, Object
from podium.machinery.meta import dig
from podium.machinery.validation import validate_immutable
from podium.resources.checks import objects

if TYPE_CHECKING:
    from podium.apiserver.registry.registry import Registry

GATE = "DRAResourceClaimGranularStatusAuthorization"
ALLOCATION = "status.allocation"
DEVICES = "status.devices"


async def not_by_caller(
    registry: Registry, call: Call, verb: str, claim: Object, before: Object
) -> list[FieldError]:
    """Return what the caller, who may `verb` the status of claims, may not change of this one."""
    if not registry.catalog.enabled(GATE):
        return []
    errors = await _not_bound(registry, call, verb, claim, before)
    # Without an allocation nothing is left to report: whoever takes it away takes the reports with it.
    if dig(claim, "status", "allocation") is not None:
        errors += await _not_reported(registry, call, verb, claim, before)
    return errors


async def _not_bound(
    registry: Registry, call: Call, verb: str, claim: Object, before: Object
) -> list[FieldError]:
    if not any(_changed(claim, before, part) for part in ("allocation", "reservedFor")):
        return []
    info = replace(call.as_verb(verb), subresource="binding", namespace="", name="")
    why = await _denial(registry, call, info)
    if why is None:
        return []
    detail = (
        "changing status.allocation or status.reservedFor requires "
        f'resource="resourceclaims/binding", verb="{verb}" permission: {why}'
    )
    return [FieldError.forbidden(ALLOCATION, detail)]


def _changed(claim: Object, before: Object, part: str) -> bool:
    new, old = dig(claim, "status", part), dig(before, "status", part)
    # An empty list is none; an empty allocation is one.
    appears = part == "allocation" and (new is None) != (old is None)
    return appears or bool(validate_immutable(new, old, part))


async def _not_reported(
    registry: Registry, call: Call, verb: str, claim: Object, before: Object
) -> list[FieldError]:
    drivers = changed_drivers(claim, before)
    if not drivers:
        return []
    verbs = [f"arbitrary-node:{verb}"]
    if _on_node(call.user, allocated_node(claim)):
        verbs.insert(0, f"associated-node:{verb}")
    errors = []
    for driver in sorted(drivers):
        why = await _driver_denial(registry, call, verbs, driver)
        if why is not None:
            detail = (
                f'changing status.devices requires resource="resourceclaims/driver", '
                f'verb="[{" ".join(verbs)}]" permission: {why}'
            )
            errors.append(FieldError.forbidden(DEVICES, detail))
    return errors


async def _driver_denial(registry: Registry, call: Call, verbs: list[str], driver: str) -> str | None:
    """Return why none of the verbs is allowed: what was said to the first."""
    first = None
    for verb in verbs:
        why = await _denial(registry, call, replace(call.as_verb(verb), subresource="driver", name=driver))
        if why is None:
            return None
        first = first or why
    return first


async def _denial(registry: Registry, call: Call, info: RequestInfo) -> str | None:
    decision = await registry.may(call, info)
    if decision.allowed:
        return None
    reason = ": ".join(part for part in (decision.error, decision.reason) if part)
    return forbidden(call.user, info, reason).message


def changed_drivers(claim: Object, before: Object) -> set[str]:
    """Return the drivers of the devices about which is reported anew, otherwise, or no longer."""
    old = {_device(report): report for report in objects(dig(before, "status", "devices"))}
    drivers = set()
    for report in objects(dig(claim, "status", "devices")):
        if old.pop(_device(report), None) != report:
            drivers.add(report.get("driver") or "")
    return drivers | {report.get("driver") or "" for report in old.values()}


def _device(report: Object) -> tuple[str, ...]:
    return tuple(report.get(key) or "" for key in ("driver", "pool", "device", "shareID"))


def allocated_node(claim: Object) -> str:
    """Return the one node by whose name the devices are to be had, empty when there is no such node."""
    terms = objects(dig(claim, "status", "allocation", "nodeSelector", "nodeSelectorTerms"))
    if len(terms) != 1 or terms[0].get("matchExpressions"):
        return ""
    fields = objects(terms[0].get("matchFields"))
    if len(fields) != 1:
        return ""
    values = fields[0].get("values") or []
    if (fields[0].get("key"), fields[0].get("operator"), len(values)) != ("metadata.name", "In", 1):
        return ""
    return str(values[0])


def _on_node(user: User, node: str) -> bool:
    """Tell whether the user is a service account whose token is bound to a pod on the node."""
    return (
        bool(node) and split_service_account(user.name) is not None and user.extra.get(NODE_NAME) == (node,)
    )


def drop_deallocated(claim: Object, before: Object) -> None:
    """Take back, in place, what is reported about devices that `claim` has no longer."""
    reports = objects(dig(claim, "status", "devices"))
    gone = _allocated(before) - _allocated(claim)
    if reports and gone:
        kept = [report for report in reports if _device(report) not in gone]
        claim["status"] = {**claim["status"], "devices": kept}
        if not kept:
            del claim["status"]["devices"]


def _allocated(claim: Object) -> set[tuple[str, ...]]:
    return {_device(result) for result in objects(dig(claim, "status", "allocation", "devices", "results"))}
