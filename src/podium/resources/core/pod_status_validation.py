"""What the status of a pod may not say."""

from __future__ import annotations

from podium.machinery import validation
from podium.machinery.addresses import older_ip, parse_ip
from podium.machinery.errors import FieldError, Object
from podium.resources.checks import Errors, internal, named, nonnegative_quantity, objects, spec_of
from podium.resources.core import resource_names
from podium.resources.core.addresses import is_ipv6
from podium.resources.core.claim_references import claims_of
from podium.resources.core.pod_update import annotation_changes
from podium.resources.defaulting import given

_SYSTEM_CONDITIONS = ("PodScheduled", "Ready", "Initialized")
_HEALTH = ("Healthy", "Unhealthy", "Unknown")
_HEALTH_MESSAGE_LENGTH_MAX = 1024
_STATUSES = {"containerStatuses": "containers", "initContainerStatuses": "initContainers"}
_EPHEMERAL = "ephemeralContainerStatuses"


def validate_status_update(new: Object, old: Object) -> Errors:
    """Check a change of a pod's status."""
    status, before = given(new, "status") or {}, given(old, "status") or {}
    spec = spec_of(new)
    errors = annotation_changes(new, old)
    errors += _conditions(objects(status.get("conditions")))
    errors += _nominated(status, before, spec_of(old))
    generation = status.get("observedGeneration") or 0
    if generation < 0:
        detail = "must be a non-negative integer"
        errors.append(FieldError.invalid("status.observedGeneration", generation, detail))
    if before.get("qosClass"):
        errors += validation.validate_immutable(
            status.get("qosClass") or "", before.get("qosClass"), "status.qosClass"
        )
    errors += _restarts(status, before, spec_of(old))
    errors += _claims(status, spec)
    extended = given(status, "extendedResourceClaimStatus")
    if extended is not None:
        errors += _extended(extended, spec, "status.extendedResourceClaimStatus")
    errors += _allocatable(status, spec)
    errors += _addresses(status, before, "podIPs")
    hosts = objects(status.get("hostIPs"))
    if hosts and (hosts[0].get("ip") or "") != (status.get("hostIP") or ""):
        ip = hosts[0].get("ip") or ""
        errors.append(FieldError.invalid("status.hostIPs[0].ip", ip, "must be equal to `hostIP`"))
    errors += _addresses(status, before, "hostIPs")
    for key in (*_STATUSES, _EPHEMERAL):
        for index, container in enumerate(objects(status.get(key))):
            errors += _user(container, spec, f"status.{key}[{index}].user.linux")
    for key, containers in _STATUSES.items():
        by_name = {container.get("name"): container for container in objects(spec.get(containers))}
        for index, container in enumerate(objects(status.get(key))):
            here = f"status.{key}[{index}].allocatedResourcesStatus"
            errors += _allocated(container, by_name.get(container.get("name")), here)
    errors += [
        FieldError.forbidden(
            f"status.{_EPHEMERAL}[{index}].allocatedResourcesStatus",
            "must not be specified in container status",
        )
        for index, container in enumerate(objects(status.get(_EPHEMERAL)))
        if container.get("allocatedResourcesStatus")
    ]
    return errors


def _conditions(conditions: list[Object]) -> Errors:
    errors: Errors = []
    for index, condition in enumerate(conditions):
        generation = condition.get("observedGeneration") or 0
        if generation < 0:
            here = f"status.conditions[{index}].observedGeneration"
            errors.append(FieldError.invalid(here, generation, "must be a non-negative integer"))
        name = str(condition.get("type") or "")
        if name not in _SYSTEM_CONDITIONS:
            # The field's name starts with a capital in upstream's errors.
            errors += named(f"status.conditions[{index}].Type", name, validation.qualified_name_errors)
    return errors


def _nominated(status: Object, before: Object, spec: Object) -> Errors:
    nominated, path = status.get("nominatedNodeName"), "status.nominatedNodeName"
    if not nominated or nominated == before.get("nominatedNodeName"):
        return []
    errors = named(path, nominated, validation.dns1123_subdomain_errors)
    if spec.get("nodeName"):
        errors.append(FieldError.forbidden(path, "may not be set on pods that are already bound to a node"))
    return errors


def _restarts(status: Object, before: Object, spec: Object) -> Errors:
    """Refuse to say that a container which ended for good runs again."""
    errors: Errors = []
    containers = [c for key in _STATUSES.values() for c in objects(spec.get(key))]
    if not any(
        rule.get("action") == "RestartAllContainers"
        for container in containers
        for rule in objects(container.get("restartPolicyRules"))
    ):
        for key, kind in _STATUSES.items():
            by_name = {container.get("name"): container for container in objects(spec.get(kind))}
            errors += _ended_stay(status, before, key, by_name, spec)
    return errors + _ended_stay(status, before, _EPHEMERAL, {}, spec)


def _ended_stay(
    status: Object, before: Object, key: str, containers: dict[object, Object], spec: Object
) -> Errors:
    errors: Errors = []
    now = {container.get("name"): container for container in objects(status.get(key))}
    for index, was in enumerate(objects(before.get(key))):
        ended = given(given(was, "state") or {}, "terminated")
        current = now.get(was.get("name"))
        if ended is None or current is None:
            continue
        if given(given(current, "state") or {}, "terminated") is not None:
            continue
        container = containers.get(was.get("name"))
        if container is None or not _restarts_after(container, spec, ended.get("exitCode") or 0):
            detail = "may not be transitioned to non-terminated state"
            errors.append(FieldError.forbidden(f"status.{key}[{index}].state", detail))
    return errors


def _restarts_after(container: Object, spec: Object, exit_code: int) -> bool:
    own = container.get("restartPolicy")
    if own is not None:
        for rule in objects(container.get("restartPolicyRules")):
            codes = given(rule, "exitCodes") or {}
            listed = exit_code in (codes.get("values") or ())
            if listed == (codes.get("operator") == "In"):
                return True
    policy = own if own is not None else spec.get("restartPolicy")
    return policy != "Never" if policy != "OnFailure" else exit_code != 0


def _claims(status: Object, spec: Object) -> Errors:
    errors: Errors = []
    known = {claim.get("name") for claim in objects(spec.get("resourceClaims"))}
    seen: set[object] = set()
    for index, claim in enumerate(objects(status.get("resourceClaimStatuses"))):
        path, name = f"status.resourceClaimStatuses[{index}]", claim.get("name") or ""
        if name not in known:
            detail = "must match the name of an entry in `spec.resourceClaims`"
            errors.append(FieldError.invalid(f"{path}.name", name, detail))
        if name in seen:
            errors.append(FieldError.duplicate(f"{path}.name", name))
        seen.add(name)
        if claim.get("resourceClaimName") is not None:
            rule = validation.dns1123_subdomain_errors
            errors += named(f"{path}.resourceClaimName", claim["resourceClaimName"], rule)
    return errors


def _extended(status: Object, spec: Object, path: str) -> Errors:
    containers = {
        c.get("name"): c for key in ("initContainers", "containers") for c in objects(spec.get(key))
    }
    mappings = objects(status.get("requestMappings"))
    errors: Errors = []
    if not mappings:
        detail = "at least one request mapping is required"
        errors.append(FieldError.required(f"{path}.requestMappings", detail))
    seen: set[tuple[str, ...]] = set()
    keys = ("containerName", "resourceName", "requestName")
    for index, mapping in enumerate(mappings):
        here = f"{path}.requestMappings[{index}]"
        values = tuple(str(mapping.get(key) or "") for key in keys)
        name, resource, request = values
        if name not in containers:
            detail = "must match the name of an entry in spec.initContainers.name or spec.containers.name"
            errors.append(FieldError.invalid(f"{here}.containerName", name, detail))
        elif resource not in ((given(containers[name], "resources") or {}).get("requests") or {}):
            detail = (
                "must match the extended resource name of an entry in "
                "spec.initContainers.resources.requests or spec.containers.resources.requests"
            )
            errors.append(FieldError.invalid(f"{here}.resourceName", resource, detail))
        errors += named(f"{path}.requestName", request, validation.dns1123_label_errors)
        if values in seen:
            errors += [
                FieldError.duplicate(f"{here}.{key}", value) for key, value in zip(keys, values, strict=True)
            ]
        seen.add(values)
    if not status.get("resourceClaimName"):
        errors.append(FieldError.required(f"{path}.resourceClaimName"))
        return errors
    rule = validation.dns1123_subdomain_errors
    return errors + named(f"{path}.resourceClaimName", status["resourceClaimName"], rule)


def _allocatable(status: Object, spec: Object) -> Errors:
    errors: Errors = []
    known = {
        claim.get("resourceClaimName")
        for claim in (*objects(spec.get("resourceClaims")), *objects(status.get("resourceClaimStatuses")))
    }
    for index, claim in enumerate(objects(status.get("nodeAllocatableResourceClaimStatuses"))):
        path = f"status.nodeAllocatableResourceClaimStatuses[{index}]"
        name = claim.get("resourceClaimName") or ""
        if not name:
            errors.append(FieldError.required(f"{path}.resourceClaimName", "must not be empty"))
        if name not in known:
            detail = "no mapping found in pod reference"
            errors.append(FieldError.invalid(f"{path}.resourceClaimName", name, detail))
        errors += [
            FieldError.required(f"{path}.{key}", "must not be empty")
            for key in ("containers", "resources")
            if not claim.get(key)
        ]
        for resource, amount in sorted((claim.get("resources") or {}).items()):
            here = f"{path}.resources[{resource}]"
            if not resource_names.is_native(resource):
                detail = "must be a node allocatable resource name"
                errors.append(FieldError.invalid(here, resource, detail))
            if nonnegative_quantity(here, amount):
                errors.append(FieldError.invalid(here, str(amount), "must be non-negative"))
    return errors


def _addresses(status: Object, before: Object, key: str) -> Errors:
    ips = objects(status.get(key))
    texts = [str(ip.get("ip") or "") for ip in ips]
    kept = {str(ip.get("ip") or "") for ip in objects(before.get(key))}
    errors: Errors = []
    for index, text in enumerate(texts):
        errors += older_ip(f"status.{key}[{index}]", text, kept)
    wrong = next((index for index, text in enumerate(texts) if parse_ip(text) is None), None)
    if wrong is not None and len(texts) > 1:
        detail = f"failed to check for dual stack with error:invalid IP[{wrong}]: {texts[wrong]}"
        errors.append(internal(f"status.{key}", detail))
    if len(texts) > 2 or (len(texts) == 2 and is_ipv6(texts[0]) == is_ipv6(texts[1])):
        detail = "may specify no more than one IP for each IP family"
        errors.append(FieldError.invalid(f"status.{key}", ips, detail))
    return errors


def _user(container: Object, spec: Object, path: str) -> Errors:
    linux = given(given(container, "user") or {}, "linux")
    if linux is None:
        return []
    if (given(spec, "os") or {}).get("name") == "windows":
        return [FieldError.forbidden(path, "cannot be set for a windows pod")]
    numbers = [(f"{path}.{key}", linux.get(key) or 0) for key in ("uid", "gid")]
    groups = enumerate(linux.get("supplementalGroups") or ())
    numbers += [(f"{path}.supplementalGroups[{index}]", group) for index, group in groups]
    detail = validation.range_message(0, 2**31 - 1)
    return [FieldError.invalid(here, number, detail) for here, number in numbers if not 0 <= number < 2**31]


def _allocated(status: Object, container: Object | None, path: str) -> Errors:
    errors: Errors = []
    for index, resource in enumerate(objects(status.get("allocatedResourcesStatus"))):
        here, name = f"{path}[{index}]", str(resource.get("name") or "")
        if container is not None:
            resources = given(container, "resources") or {}
            detail = "must match one of the container's resource requests"
            names = set(resources.get("requests") or ())
            if name.startswith("claim:"):
                detail = (
                    "must match one of the container's resource claims in a format "
                    "'claim:<claimName>/<request>' or 'claim:<claimName>' if request is empty"
                )
                names = {f"claim:{claim}" for claim in claims_of(resources)}
            if name not in names:
                errors.append(FieldError.invalid(f"{here}.name", name, detail))
        seen: set[object] = set()
        for number, part in enumerate(objects(resource.get("resources"))):
            errors += _health(part, f"{here}.resources[{number}]", seen)
    return errors


def _health(part: Object, path: str, seen: set[object]) -> Errors:
    errors: Errors = []
    health, message = part.get("health") or "", part.get("message")
    if health not in _HEALTH:
        errors.append(FieldError.not_supported(f"{path}.health", health, _HEALTH))
    if message is not None and not message:
        errors.append(FieldError.required(f"{path}.message", "must be non-empty if specified"))
    elif message is not None and len(message) > _HEALTH_MESSAGE_LENGTH_MAX:
        errors.append(FieldError.too_long(f"{path}.message", _HEALTH_MESSAGE_LENGTH_MAX))
    identity = part.get("resourceID") or ""
    if identity in seen:
        errors.append(FieldError.duplicate(f"{path}.resourceID", identity))
    seen.add(identity)
    return errors
