"""What is wrong with a pod's spec, in pods and in templates of them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from podium.machinery import validation
from podium.machinery.addresses import older_ip
from podium.machinery.errors import FieldError, Json, Object, quoted
from podium.resources.checks import (
    INT32_MAX,
    Errors,
    metadata_of,
    named,
    objects,
    one_of,
)
from podium.resources.core import claim_references, pod_annotations
from podium.resources.core import container_validation as containers
from podium.resources.core import pod_platform_validation as platform
from podium.resources.core import security_validation as security
from podium.resources.core.affinity_validation import validate_affinity, validate_spread_constraints
from podium.resources.core.pod_resources_validation import validate_pod_resources
from podium.resources.core.volume_validation import validate_volumes
from podium.resources.defaulting import given

DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
TAINT_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
COMPARISONS = ("Lt", "Gt")
_NAMESERVERS_MAX = 3
_SEARCHES_MAX = 32
_SEARCHES_LENGTH_MAX = 2048
_SYSCTL = r"([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?"
_SYSCTL_LENGTH_MAX = 253


def validate_pod_spec(
    spec: Object, path: str, *, pod_name: str = "", is_pod: bool = False, mirrored: bool = False
) -> Errors:
    """Check a pod's spec. `pod_name` is known for pods only, not for templates."""
    errors: Errors = []
    grace = spec.get("terminationGracePeriodSeconds")
    if grace is None:
        errors.append(FieldError.required(f"{path}.terminationGracePeriodSeconds"))
    volumes = validate_volumes(spec.get("volumes"), pod_name, f"{path}.volumes")
    errors += volumes.errors
    errors += claim_references.validate_claims(spec, f"{path}.resourceClaims", mirrored=mirrored)
    around = containers.Around(
        volumes=volumes.sources,
        claims=claim_references.claim_names(spec),
        grace_period_s=grace,
        restart_policy=str(spec.get("restartPolicy") or ""),
        system=str((given(spec, "os") or {}).get("name") or ""),
        host_users=spec.get("hostUsers") is not False,
    )
    errors += containers.validate_containers(spec, around, f"{path}.containers")
    errors += containers.validate_init_containers(spec, around, f"{path}.initContainers")
    errors += containers.validate_ephemeral_containers(spec, around, f"{path}.ephemeralContainers")
    errors += validate_pod_resources(spec, f"{path}.resources")
    errors += _host_network_ports(spec, f"{path}.containers", is_pod=is_pod)
    errors += one_of(f"{path}.restartPolicy", spec.get("restartPolicy"), containers.RESTART_POLICIES)
    errors += one_of(f"{path}.dnsPolicy", spec.get("dnsPolicy"), DNS_POLICIES)
    errors += validation.validate_labels(spec.get("nodeSelector"), f"{path}.nodeSelector")
    errors += _security_context(spec, f"{path}.securityContext")
    if spec.get("affinity"):
        errors += validate_affinity(given(spec, "affinity"), f"{path}.affinity")
    errors += _dns_config(spec, f"{path}.dnsConfig")
    for index, gate in enumerate(objects(spec.get("readinessGates"))):
        here = f"{path}.readinessGates[{index}].conditionType"
        errors += named(here, str(gate.get("conditionType") or ""), validation.qualified_name_errors)
    errors += _scheduling_gates(spec, f"{path}.schedulingGates")
    if spec.get("topologySpreadConstraints"):
        errors += validate_spread_constraints(spec, f"{path}.topologySpreadConstraints")
    errors += platform.validate_host_processes(spec, path)
    errors += platform.validate_host_users(spec, path)
    errors += platform.validate_hostname(spec, path)
    errors += _names(spec, path)
    errors += validate_tolerations(objects(spec.get("tolerations")), f"{path}.tolerations")
    errors += _host_aliases(spec, f"{path}.hostAliases")
    if spec.get("priorityClassName"):
        name = str(spec["priorityClassName"])
        errors += named(f"{path}.priorityClassName", name, validation.dns1123_subdomain_errors)
    if spec.get("runtimeClassName") is not None:
        name = str(spec["runtimeClassName"])
        errors += named(f"{path}.runtimeClassName", name, validation.dns1123_subdomain_errors)
    preemption = spec.get("preemptionPolicy")
    if preemption is not None:
        errors += one_of(f"{path}.preemptionPolicy", preemption, ("PreemptLowerPriority", "Never"))
    errors += containers.validate_resources({"limits": spec.get("overhead") or {}}, f"{path}.overhead")
    errors += platform.validate_system(spec, path)
    errors += platform.validate_scheduling_group(spec, path)
    return errors + platform.validate_file_volumes(spec, path)


def _names(spec: Object, path: str) -> Errors:
    errors: Errors = []
    for key in ("serviceAccountName", "nodeName"):
        if spec.get(key):
            errors += named(f"{path}.{key}", spec[key], validation.dns1123_subdomain_errors)
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline <= INT32_MAX:
        detail = validation.range_message(1, INT32_MAX)
        errors.append(FieldError.invalid(f"{path}.activeDeadlineSeconds", deadline, detail))
    for key in ("hostname", "subdomain"):
        if spec.get(key):
            errors += named(f"{path}.{key}", spec[key], validation.dns1123_label_errors)
    return errors


def _host_network_ports(spec: Object, path: str, *, is_pod: bool) -> Errors:
    errors: Errors = []
    if not spec.get("hostNetwork"):
        return errors
    for index, container in enumerate(objects(spec.get("containers"))):
        for port_index, port in enumerate(objects(container.get("ports"))):
            host_port = port.get("hostPort") or 0
            if (is_pod or host_port) and host_port != port.get("containerPort"):
                here = f"{path}[{index}].ports[{port_index}].hostPort"
                detail = "must match `containerPort` when `hostNetwork` is true"
                errors.append(FieldError.invalid(here, host_port, detail))
    return errors


def _security_context(spec: Object, path: str) -> Errors:
    context = given(spec, "securityContext") or {}
    errors: Errors = []
    for key in ("fsGroup", "runAsUser", "runAsGroup"):
        number = context.get(key)
        if number is not None:
            faults = validation.user_id_errors(number)
            errors += validation.invalid_each(f"{path}.{key}", number, faults)
    for index, group in enumerate(context.get("supplementalGroups") or ()):
        faults = validation.user_id_errors(group)
        errors += validation.invalid_each(f"{path}.supplementalGroups[{index}]", group, faults)
    if spec.get("shareProcessNamespace") and spec.get("hostPID"):
        detail = "ShareProcessNamespace and HostPID cannot both be enabled"
        errors.append(FieldError.invalid(f"{path}.shareProcessNamespace", True, detail))
    errors += _sysctls(spec, context, f"{path}.sysctls")
    policy = context.get("fsGroupChangePolicy")
    if policy is not None and policy not in ("Always", "OnRootMismatch"):
        values = ("Always", "OnRootMismatch")
        errors.append(FieldError.not_supported(f"{path}.fsGroupChangePolicy", policy, values))
    errors += containers.validate_seccomp(given(context, "seccompProfile"), f"{path}.seccompProfile")
    options = given(context, "windowsOptions")
    errors += security.validate_windows_options(options, f"{path}.windowsOptions")
    errors += security.validate_app_armor(given(context, "appArmorProfile"), f"{path}.appArmorProfile")
    groups = context.get("supplementalGroupsPolicy")
    if groups is not None and groups not in ("Merge", "Strict"):
        values = ("Merge", "Strict")
        errors.append(FieldError.not_supported(f"{path}.supplementalGroupsPolicy", groups, values))
    return errors


def _sysctls(spec: Object, context: Object, path: str) -> Errors:
    errors: Errors = []
    seen: set[str] = set()
    for index, sysctl in enumerate(objects(context.get("sysctls"))):
        here = f"{path}[{index}].name"
        name = str(sysctl.get("name") or "")
        if not name:
            errors.append(FieldError.required(here))
        elif len(name) > _SYSCTL_LENGTH_MAX or not re.fullmatch(_SYSCTL, name):
            detail = f"must have at most {_SYSCTL_LENGTH_MAX} characters and match regex ^{_SYSCTL}$"
            errors.append(FieldError.invalid(here, name, detail))
        elif name in seen:
            errors.append(FieldError.duplicate(here, name))
        seen.add(name)
        dotted = name.replace("/", ".")
        if dotted.startswith("net.") and spec.get("hostNetwork"):
            errors.append(FieldError.invalid(here, name, "may not be specified when 'hostNetwork' is true"))
        if spec.get("hostIPC") and dotted.startswith(
            ("kernel.shm", "kernel.msg", "kernel.sem", "fs.mqueue.")
        ):
            errors.append(FieldError.invalid(here, name, "may not be specified when 'hostIPC' is true"))
    return errors


def _dns_config(spec: Object, path: str) -> Errors:
    config = given(spec, "dnsConfig")
    if spec.get("dnsPolicy") == "None":
        if config is None:
            return [FieldError.required(path, "must provide `dnsConfig` when `dnsPolicy` is None")]
        if not config.get("nameservers"):
            detail = "must provide at least one DNS nameserver when `dnsPolicy` is None"
            return [FieldError.required(f"{path}.nameservers", detail)]
    if config is None:
        return []
    errors: Errors = []
    servers, searches = config.get("nameservers") or [], config.get("searches") or []
    if len(servers) > _NAMESERVERS_MAX:
        detail = f"must not have more than {_NAMESERVERS_MAX} nameservers"
        errors.append(FieldError.invalid(f"{path}.nameservers", servers, detail))
    for index, server in enumerate(servers):
        errors += older_ip(f"{path}.nameservers[{index}]", server)
    if len(searches) > _SEARCHES_MAX:
        detail = f"must not have more than {_SEARCHES_MAX} search paths"
        errors.append(FieldError.invalid(f"{path}.searches", searches, detail))
    if len(" ".join(searches)) > _SEARCHES_LENGTH_MAX:
        detail = (
            f"must not have more than {_SEARCHES_LENGTH_MAX} characters (including spaces) in the search list"
        )
        errors.append(FieldError.invalid(f"{path}.searches", searches, detail))
    for index, search in enumerate(searches):
        if search != ".":
            here = f"{path}.searches[{index}]"
            errors += named(here, search.removesuffix("."), validation.underscored_subdomain_errors)
    for index, option in enumerate(objects(config.get("options"))):
        if not option.get("name"):
            errors.append(FieldError.required(f"{path}.options[{index}]", "must not be empty"))
    return errors


def _scheduling_gates(spec: Object, path: str) -> Errors:
    errors: Errors = []
    seen: set[str] = set()
    for index, gate in enumerate(objects(spec.get("schedulingGates"))):
        name = str(gate.get("name") or "")
        errors += named(f"{path}[{index}]", name, validation.qualified_name_errors)
        if name in seen:
            errors.append(FieldError.duplicate(f"{path}[{index}]", name))
        seen.add(name)
    return errors


def _host_aliases(spec: Object, path: str) -> Errors:
    errors: Errors = []
    for index, alias in enumerate(objects(spec.get("hostAliases"))):
        here = f"{path}[{index}]"
        ip = str(alias.get("ip") or "")
        errors += older_ip(f"{here}.ip", ip)
        for name_index, name in enumerate(alias.get("hostnames") or ()):
            errors += named(f"{here}.hostnames[{name_index}]", name, validation.dns1123_subdomain_errors)
    return errors


def validate_tolerations(tolerations: Sequence[Object], path: str) -> Errors:
    """Check a list of tolerations."""
    errors: Errors = []
    for index, toleration in enumerate(tolerations):
        errors += _toleration(toleration, f"{path}[{index}]")
    return errors


def _toleration(toleration: Object, path: str) -> Errors:
    errors: Errors = []
    key, operator = toleration.get("key") or "", toleration.get("operator") or ""
    value, effect = toleration.get("value") or "", toleration.get("effect") or ""
    if key:
        errors += named(f"{path}.key", key, validation.qualified_name_errors)
    elif operator != "Exists":
        detail = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
        errors.append(FieldError.invalid(f"{path}.operator", operator, detail))
    if toleration.get("tolerationSeconds") is not None and effect != "NoExecute":
        detail = "effect must be 'NoExecute' when `tolerationSeconds` is set"
        errors.append(FieldError.invalid(f"{path}.effect", effect, detail))
    if operator in ("", "Equal"):
        faults = validation.label_value_errors(value)
        if faults:
            errors.append(FieldError.invalid(f"{path}.operator", value, ";".join(faults)))
    elif operator == "Exists":
        if value:
            detail = "value must be empty when `operator` is 'Exists'"
            errors.append(FieldError.invalid(f"{path}.operator", value, detail))
    elif operator not in COMPARISONS:  # Of these: `no_comparisons`, `compared_numbers`.
        errors.append(FieldError.not_supported(f"{path}.operator", operator, ("Equal", "Exists")))
    if effect:
        errors += one_of(f"{path}.effect", effect, TAINT_EFFECTS)
    return errors


def _compared(value: str, field: str) -> Errors:
    """Ask for a whole number, written in one way only, that 64 bits can hold."""
    errors: Errors = []
    if not re.fullmatch("0|-?[1-9][0-9]*", value, re.ASCII):
        detail = "must be a valid decimal integer in canonical form" if value else "must be non-empty"
        errors.append(FieldError.invalid(field, value, detail))
    fault = ""
    if not re.fullmatch("[+-]?[0-9]+", value, re.ASCII):
        fault = "invalid syntax"
    elif not -(2**63) <= int(value) < 2**63:
        fault = "value out of range"
    if fault:
        detail = f"strconv.ParseInt: parsing {quoted(value)}: {fault}"
        errors.append(FieldError.invalid(field, value, detail))
    return errors


def no_comparisons(new: Object, old: Object | None, path: str) -> Errors:
    """Refuse tolerations that compare numbers, unless there is one already.

    `path` is where the object has the pod's spec.
    """
    found = _comparing(new, path)
    if not found or (old is not None and _comparing(old, path)):
        return compared_numbers(new, old, path)
    return [refused_comparison(toleration, f"{path}.tolerations[{index}]") for index, toleration in found]


def refused_comparison(toleration: Object, path: str) -> FieldError:
    """Return what is said where tolerations may not compare."""
    supported = ("Equal", "Exists", *COMPARISONS)
    return FieldError.not_supported(f"{path}.operator", str(toleration["operator"]), supported)


def compared_numbers(new: Object, _old: Object | None, path: str) -> Errors:
    """Ask for whole numbers in tolerations that compare."""
    return [
        error
        for index, toleration in _comparing(new, path)
        for error in _compared(str(toleration.get("value") or ""), f"{path}.tolerations[{index}].value")
    ]


def _comparing(value: Object, path: str) -> list[tuple[int, Object]]:
    for part in path.split("."):
        value = given(value, part) or {}
    return [
        (index, toleration)
        for index, toleration in enumerate(objects(value.get("tolerations")))
        if toleration.get("operator") in COMPARISONS
    ]


def validate_template(template: Object, path: str) -> Errors:
    """Check a PodTemplateSpec."""
    metadata, spec = metadata_of(template), given(template, "spec") or {}
    errors = validation.validate_labels(metadata.get("labels"), f"{path}.labels")
    annotations = metadata.get("annotations") or {}
    if annotations:
        errors += validation.validate_annotations(annotations, f"{path}.annotations")
        errors += pod_annotations.validate_annotations(annotations, spec, f"{path}.annotations")
    errors += validate_pod_spec(spec, f"{path}.spec")
    errors += security.validate_profile_annotations(template, f"{path}.spec")
    if spec.get("ephemeralContainers"):
        detail = "ephemeral containers not allowed in pod template"
        errors.append(FieldError.forbidden(f"{path}.spec.ephemeralContainers", detail))
    return errors


def validate_pod_template(pod_template: Object) -> Errors:
    """Check a PodTemplate."""
    return validate_template(given(pod_template, "template") or {}, "template")


def validate_pod(pod: Object) -> Errors:
    """Check what new and changed pods have in common."""
    spec: Json = given(pod, "spec") or {}
    name = str(metadata_of(pod).get("name") or "")
    annotations = metadata_of(pod).get("annotations") or {}
    errors = pod_annotations.validate_annotations(annotations, spec, "metadata.annotations")
    mirrored = pod_annotations.MIRROR in annotations
    errors += validate_pod_spec(spec, "spec", pod_name=name, is_pod=True, mirrored=mirrored)
    if not spec.get("serviceAccountName"):
        for index, volume in enumerate(objects(spec.get("volumes"))):
            for source_index, source in enumerate(objects((given(volume, "projected") or {}).get("sources"))):
                if given(source, "serviceAccountToken") is not None:
                    here = f"spec.volumes[{index}].projected.sources[{source_index}].serviceAccountToken"
                    detail = "must not be specified when serviceAccountName is not set"
                    errors.append(FieldError.forbidden(here, detail))
    return errors + containers.validate_images(spec, "spec")


def validate_new_pod(pod: Object) -> Errors:
    """Check a pod that is to be created."""
    errors = validate_pod(pod)
    spec: Json = given(pod, "spec") or {}
    if spec.get("ephemeralContainers"):
        errors.append(FieldError.forbidden("spec.ephemeralContainers", "cannot be set on create"))
    if spec.get("nodeName") and spec.get("schedulingGates"):
        detail = "cannot be set until all schedulingGates have been cleared"
        errors.append(FieldError.forbidden("spec.nodeName", detail))
    return errors + security.validate_profile_annotations(pod)
