"""What is wrong with the containers of a pod: ordinary, init and ephemeral ones."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from podium.machinery import validation
from podium.machinery.errors import FieldError, Json, Object
from podium.resources.checks import (
    Errors,
    named,
    no_backsteps,
    nonnegative,
    objects,
    one_of,
    parse_quantity,
    port_or_name,
    relative_path,
    required_name,
)
from podium.resources.core import claim_references, resource_names
from podium.resources.core import restart_validation as restarts
from podium.resources.core import security_validation as security
from podium.resources.core.field_references import object_field, resource_field
from podium.resources.defaulting import given

TERMINATION_MESSAGE_POLICIES = ("File", "FallbackToLogsOnError")
PULL_POLICIES = ("Always", "IfNotPresent", "Never")
PROTOCOLS = ("SCTP", "TCP", "UDP")
RESTART_POLICIES = ("Always", "OnFailure", "Never")
_PROPAGATIONS = ("Bidirectional", "HostToContainer", "None")
_RECURSIVELY = ("Disabled", "Enabled", "IfPossible")
_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc", "sleep")
_NOT_FOR_INIT = "may not be set for init containers without restartPolicy=Always"
_NOT_FOR_EPHEMERAL = "cannot be set for an Ephemeral Container"
_NO_EPHEMERAL_FIELDS = (
    "ports",
    "resources",
    "resizePolicy",
    "restartPolicy",
    "restartPolicyRules",
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
    "lifecycle",
)
"""In upstream's order."""
_EMPTY_MATTERS = ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe")
"""An empty object there is one to upstream: these are pointers."""
_ENV_FIELDS = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What containers are checked against: the pod around them."""

    volumes: dict[str, Object]
    claims: set[str]
    """The names of the pod's resource claims."""
    grace_period_s: int | None
    restart_policy: str = ""
    system: str = ""
    """What `spec.os.name` says."""
    host_users: bool = True


def validate_containers(spec: Object, around: Around, path: str) -> Errors:
    """Check the ordinary containers, of which there must be one."""
    containers = objects(spec.get("containers"))
    if not containers:
        return [FieldError.required(path)]
    errors: Errors = []
    names: set[str] = set()
    for index, container in enumerate(containers):
        here = f"{path}[{index}]"
        errors += _common(container, around, here)
        errors += _name_once(container, names, here)
        errors += _lifecycle_and_probes(container, around, here)
        errors += restarts.validate_restarts(container, here)
    return errors + _host_port_conflicts(containers, path)


def validate_init_containers(spec: Object, around: Around, path: str) -> Errors:
    """Check the init containers; those that restart always are sidecars and may have probes."""
    errors: Errors = []
    names = {str(container.get("name") or "") for container in objects(spec.get("containers"))}
    for index, container in enumerate(objects(spec.get("initContainers"))):
        here = f"{path}[{index}]"
        errors += _common(container, around, here)
        policy = container.get("restartPolicy")
        errors += restarts.validate_restarts(container, here, init=True)
        errors += restarts.validate_init_resize_policy(container, here)
        errors += _name_once(container, names, here)
        if policy == "Always":
            errors += _lifecycle_and_probes(container, around, here)
            continue
        errors += [
            FieldError.forbidden(f"{here}.{key}", _NOT_FOR_INIT)
            for key in ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe")
            if given(container, key) is not None
        ]
    return errors


def validate_ephemeral_containers(spec: Object, around: Around, path: str) -> Errors:
    """Check the ephemeral containers, which have fewer fields."""
    errors: Errors = []
    others = {
        str(container.get("name") or "")
        for key in ("containers", "initContainers")
        for container in objects(spec.get(key))
    }
    names = set(others)
    for index, container in enumerate(objects(spec.get("ephemeralContainers"))):
        here = f"{path}[{index}]"
        errors += _common(container, around, here)
        errors += _image_without_spaces(container, here)
        errors += _name_once(container, names, here)
        target = container.get("targetContainerName")
        if target and target not in others:
            errors.append(FieldError.not_found(f"{here}.targetContainerName", target))
        errors += [
            FieldError.forbidden(f"{here}.{key}", _NOT_FOR_EPHEMERAL)
            for key in _NO_EPHEMERAL_FIELDS
            if container.get(key) or (container.get(key) == {} and key in _EMPTY_MATTERS)
        ]
        for mount_index, mount in enumerate(objects(container.get("volumeMounts"))):
            errors += [
                FieldError.forbidden(f"{here}.volumeMounts[{mount_index}].{key}", _NOT_FOR_EPHEMERAL)
                for key in ("subPath", "subPathExpr")
                if mount.get(key)
            ]
    return errors


def validate_images(spec: Object, path: str) -> Errors:
    """Check what only pods, and not templates of them, are refused for."""
    errors: Errors = []
    for key in ("containers", "initContainers"):
        for index, container in enumerate(objects(spec.get(key))):
            errors += _image_without_spaces(container, f"{path}.{key}[{index}]")
    return errors


def _image_without_spaces(container: Object, path: str) -> Errors:
    image = str(container.get("image") or "")
    if image.strip() == image:
        return []
    return [FieldError.invalid(f"{path}.image", image, "must not have leading or trailing whitespace")]


def _name_once(container: Object, names: set[str], path: str) -> Errors:
    name = str(container.get("name") or "")
    if name in names:
        return [FieldError.duplicate(f"{path}.name", name)]
    if name:
        names.add(name)
    return []


def _common(container: Object, around: Around, path: str) -> Errors:
    errors = required_name(f"{path}.name", container.get("name"), validation.dns1123_label_errors)
    if not container.get("image"):
        errors.append(FieldError.required(f"{path}.image"))
    errors += one_of(
        f"{path}.terminationMessagePolicy",
        container.get("terminationMessagePolicy"),
        TERMINATION_MESSAGE_POLICIES,
    )
    errors += _ports(container, f"{path}.ports")
    errors += _env(container, f"{path}.env")
    errors += _env_from(container, f"{path}.envFrom")
    errors += _mounts(container, around, f"{path}.volumeMounts")
    errors += _devices(container, around, f"{path}.volumeDevices")
    errors += one_of(f"{path}.imagePullPolicy", container.get("imagePullPolicy"), PULL_POLICIES)
    resources = given(container, "resources") or {}
    errors += validate_resources(resources, f"{path}.resources", around.claims)
    errors += restarts.validate_resize_policy(container, around.restart_policy, f"{path}.resizePolicy")
    errors += _security_context(given(container, "securityContext"), around, f"{path}.securityContext")
    return errors


def _ports(container: Object, path: str) -> Errors:
    errors: Errors = []
    names: set[str] = set()
    for index, port in enumerate(objects(container.get("ports"))):
        here = f"{path}[{index}]"
        name = port.get("name")
        if name:
            faults = validation.port_name_errors(name)
            errors += validation.invalid_each(f"{here}.name", name, faults)
            if not faults:
                if name in names:
                    errors.append(FieldError.duplicate(f"{here}.name", name))
                names.add(name)
        number = port.get("containerPort")
        if not number:
            errors.append(FieldError.required(f"{here}.containerPort"))
        else:
            faults = validation.port_number_errors(number)
            errors += validation.invalid_each(f"{here}.containerPort", number, faults)
        host_port = port.get("hostPort")
        if host_port:
            faults = validation.port_number_errors(host_port)
            errors += validation.invalid_each(f"{here}.hostPort", host_port, faults)
        errors += one_of(f"{here}.protocol", port.get("protocol"), PROTOCOLS)
    return errors


def _host_port_conflicts(containers: list[Object], path: str) -> Errors:
    errors: Errors = []
    taken: set[str] = set()
    for index, container in enumerate(containers):
        for port_index, port in enumerate(objects(container.get("ports"))):
            if not port.get("hostPort"):
                continue
            key = f"{port.get('protocol')}/{port.get('hostIP') or ''}/{port['hostPort']}"
            if key in taken:
                errors.append(FieldError.duplicate(f"{path}[{index}].ports[{port_index}].hostPort", key))
            taken.add(key)
    return errors


def _env(container: Object, path: str) -> Errors:
    errors: Errors = []
    for index, variable in enumerate(objects(container.get("env"))):
        here = f"{path}[{index}]"
        errors += required_name(f"{here}.name", variable.get("name"), validation.env_var_name_errors)
        source = given(variable, "valueFrom")
        if source is not None:
            errors += _env_source(variable, source, f"{here}.valueFrom")
    return errors


def _env_source(variable: Object, source: Object, path: str) -> Errors:
    errors: Errors = []
    found = 0
    for key in ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef"):
        reference = given(source, key)
        if reference is None:
            continue
        found += 1
        match key:
            case "fieldRef":
                errors += object_field(reference, f"{path}.{key}", _ENV_FIELDS)
            case "resourceFieldRef":
                errors += resource_field(reference, f"{path}.{key}")
            case "configMapKeyRef" | "secretKeyRef":
                errors += _key_reference(reference, f"{path}.{key}")
            case "fileKeyRef":
                errors += _file_key(reference, f"{path}.{key}")
    detail = ""
    if not found:
        detail = (
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, "
            "`secretKeyRef` or `fileKeyRef`"
        )
    elif variable.get("value"):
        detail = "may not be specified when `value` is not empty"
    elif found > 1:
        detail = "may not have more than one field specified at a time"
    if detail:
        errors.append(FieldError.invalid(path, "", detail))
    return errors


def _key_reference(reference: Object, path: str) -> Errors:
    errors = named(f"{path}.name", str(reference.get("name") or ""), validation.dns1123_subdomain_errors)
    return errors + required_name(f"{path}.key", reference.get("key"), validation.config_map_key_errors)


def _file_key(reference: Object, path: str) -> Errors:
    errors = required_name(f"{path}.key", reference.get("key"), validation.env_var_name_errors)
    errors += required_name(
        f"{path}.volumeName", reference.get("volumeName"), validation.dns1123_label_errors
    )
    file = str(reference.get("path") or "")
    return errors + (no_backsteps(f"{path}.path", file) if file else [FieldError.required(f"{path}.path")])


def _env_from(container: Object, path: str) -> Errors:
    errors: Errors = []
    for index, source in enumerate(objects(container.get("envFrom"))):
        here = f"{path}[{index}]"
        if source.get("prefix"):
            errors += named(f"{here}.prefix", source["prefix"], validation.env_var_name_errors)
        found = 0
        for key in ("configMapRef", "secretRef"):
            reference = given(source, key)
            if reference is not None:
                found += 1
                errors += required_name(
                    f"{here}.{key}.name", reference.get("name"), validation.dns1123_subdomain_errors
                )
        if not found:
            detail = "must specify one of: `configMapRef` or `secretRef`"
            errors.append(FieldError.invalid(path, "", detail))
        elif found > 1:
            detail = "may not have more than one field specified at a time"
            errors.append(FieldError.invalid(path, "", detail))
    return errors


def _mounts(container: Object, around: Around, path: str) -> Errors:
    errors: Errors = []
    paths: set[str] = set()
    devices = {
        str(device.get("name")): device.get("devicePath")
        for device in objects(container.get("volumeDevices"))
    }
    for index, mount in enumerate(objects(container.get("volumeMounts"))):
        here = f"{path}[{index}]"
        name, where = str(mount.get("name") or ""), str(mount.get("mountPath") or "")
        if not name:
            errors.append(FieldError.required(f"{here}.name"))
        if name not in around.volumes:
            errors.append(FieldError.not_found(f"{here}.name", name))
        if not where:
            errors.append(FieldError.required(f"{here}.mountPath"))
        if where in paths:
            errors.append(FieldError.invalid(f"{here}.mountPath", where, "must be unique"))
        paths.add(where)
        if name in devices:
            errors.append(FieldError.invalid(f"{here}.name", name, "must not already exist in volumeDevices"))
        if where in devices.values():
            detail = "must not already exist as a path in volumeDevices"
            errors.append(FieldError.invalid(f"{here}.mountPath", where, detail))
        # Upstream names the list here, not the mount in it.
        if mount.get("subPath"):
            errors += relative_path(f"{path}.subPath", mount["subPath"])
        if mount.get("subPathExpr"):
            if mount.get("subPath"):
                detail = "subPathExpr and subPath are mutually exclusive"
                errors.append(FieldError.invalid(f"{here}.subPathExpr", mount["subPathExpr"], detail))
            errors += relative_path(f"{path}.subPathExpr", mount["subPathExpr"])
        errors += _propagation(mount.get("mountPropagation"), container, f"{path}.mountPropagation")
        errors += _recursively(mount, f"{path}.recursiveReadOnly")
    return errors


def _recursively(mount: Object, path: str) -> Errors:
    """Check whether what is mounted below a mount is to be read-only too."""
    mode = mount.get("recursiveReadOnly")
    if mode is None or mode == "Disabled":
        return []
    if mode not in _RECURSIVELY:
        return [FieldError.not_supported(path, mode, _RECURSIVELY)]
    errors: Errors = []
    if not mount.get("readOnly"):
        errors.append(FieldError.forbidden(path, "may only be specified when readOnly is true"))
    if mount.get("mountPropagation") not in (None, "None"):
        detail = "may only be specified when mountPropagation is None or not specified"
        errors.append(FieldError.forbidden(path, detail))
    return errors


def _propagation(mode: Json, container: Object, path: str) -> Errors:
    if mode is None:
        return []
    if mode not in _PROPAGATIONS:
        return [FieldError.not_supported(path, mode, _PROPAGATIONS)]
    if mode == "Bidirectional" and not (given(container, "securityContext") or {}).get("privileged"):
        detail = "Bidirectional mount propagation is available only to privileged containers"
        return [FieldError.forbidden(path, detail)]
    return []


def _devices(container: Object, around: Around, path: str) -> Errors:
    errors: Errors = []
    names: set[str] = set()
    paths: set[str] = set()
    mounts = objects(container.get("volumeMounts"))
    mounted = {str(mount.get("name") or "") for mount in mounts}
    mount_paths = {str(mount.get("mountPath") or "") for mount in mounts}
    for index, device in enumerate(objects(container.get("volumeDevices"))):
        here = f"{path}[{index}]"
        name, where = str(device.get("name") or ""), str(device.get("devicePath") or "")
        volume = around.volumes.get(name)
        if not name:
            errors.append(FieldError.required(f"{here}.name"))
        if name in names:
            errors.append(FieldError.invalid(f"{here}.name", name, "must be unique"))
        if volume is None:
            errors.append(FieldError.not_found(f"{here}.name", name))
        elif "persistentVolumeClaim" not in volume and "ephemeral" not in volume:
            detail = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"
            errors.append(FieldError.invalid(f"{here}.name", name, detail))
        if not where:
            errors.append(FieldError.required(f"{here}.devicePath"))
        if where in paths:
            errors.append(FieldError.invalid(f"{here}.devicePath", where, "must be unique"))
        if where and no_backsteps(path, where):
            errors.append(FieldError.invalid(f"{here}.devicePath", where, "can not contain backsteps ('..')"))
        else:
            paths.add(where)
        if name in mounted:
            errors.append(FieldError.invalid(f"{here}.name", name, "must not already exist in volumeMounts"))
        if where in mount_paths:
            detail = "must not already exist as a path in volumeMounts"
            errors.append(FieldError.invalid(f"{here}.devicePath", where, detail))
        names.add(name)
    return errors


def validate_resources(
    resources: Object,
    path: str,
    claims: Collection[str] = (),
    *,
    name_errors: Callable[[str, str], Errors] = resource_names.container_name_errors,
) -> Errors:
    """Check requests and limits: known names, sane amounts, requests not above limits."""
    errors: Errors = []
    limits = resources.get("limits") or {}
    requests = resources.get("requests") or {}
    for name, value in sorted(limits.items()):
        here = f"{path}.limits[{name}]"
        errors += name_errors(here, name)
        errors += resource_names.quantity_errors(here, name, value)
        errors += _whole_pages(here, name, value)
    for name, value in sorted(requests.items()):
        here = f"{path}.requests[{name}]"
        errors += name_errors(here, name)
        errors += resource_names.quantity_errors(here, name, value)
        if name in limits:
            request, limit = parse_quantity(value), parse_quantity(limits[name])
            if request != limit and not resource_names.overcommit_allowed(name):
                detail = f"must be equal to {name} limit of {limits[name]}"
                errors.append(FieldError.invalid(f"{path}.requests", str(value), detail))
            elif request > limit:
                detail = f"must be less than or equal to {name} limit of {limits[name]}"
                errors.append(FieldError.invalid(f"{path}.requests", str(value), detail))
        elif not resource_names.overcommit_allowed(name):
            detail = "Limit must be set for non overcommitable resources"
            errors.append(FieldError.required(f"{path}.limits", detail))
        errors += _whole_pages(here, name, value)
    names = limits.keys() | requests.keys()
    if any(map(resource_names.is_huge_pages, names)) and not names & {"cpu", "memory"}:
        errors.append(FieldError.forbidden(path, "HugePages require cpu or memory"))
    return errors + claim_references.validate_references(resources, claims, f"{path}.claims")


def _whole_pages(path: str, name: str, value: Json) -> Errors:
    """Ask for a multiple of the size of page that the resource's name says."""
    if not resource_names.is_huge_pages(name):
        return []
    page = parse_quantity(name.removeprefix(resource_names.HUGE_PAGES)).milli()
    if page > 0 and page % 1000 == 0 and parse_quantity(value).milli() % page == 0:
        return []
    return [FieldError.invalid(path, str(value), f"{value} is not positive integer multiple of {name}")]


def validate_seccomp(profile: Object | None, path: str) -> Errors:
    """Check a seccomp profile of a pod or a container."""
    if profile is None:
        return []
    errors: Errors = []
    kind, local = profile.get("type"), profile.get("localhostProfile")
    kinds = ("Localhost", "RuntimeDefault", "Unconfined")
    if not kind:
        errors.append(FieldError.required(f"{path}.type", "type is required when seccompProfile is set"))
    elif kind not in kinds:
        errors.append(FieldError.not_supported(f"{path}.type", kind, kinds))
    if kind == "Localhost":
        if local is None:
            detail = "must be set when seccomp type is Localhost"
            errors.append(FieldError.required(f"{path}.localhostProfile", detail))
        else:
            errors += relative_path(f"{path}.localhostProfile", local)
    elif local is not None:
        detail = "can only be set when seccomp type is Localhost"
        errors.append(FieldError.invalid(f"{path}.localhostProfile", profile, detail))
    return errors


def _security_context(context: Object | None, around: Around, path: str) -> Errors:
    if context is None:
        return []
    errors: Errors = []
    for key in ("runAsUser", "runAsGroup"):
        number = context.get(key)
        if number is not None:
            faults = validation.user_id_errors(number)
            errors += validation.invalid_each(f"{path}.{key}", number, faults)
    mount = context.get("procMount")
    if mount is not None and mount not in ("Default", "Unmasked"):
        errors.append(FieldError.not_supported(f"{path}.procMount", mount, ("Default", "Unmasked")))
    if mount == "Unmasked" and around.host_users:
        detail = "`hostUsers` must be false to use `Unmasked`"
        errors.append(FieldError.invalid(f"{path}.procMount", mount, detail))
    errors += validate_seccomp(given(context, "seccompProfile"), f"{path}.seccompProfile")
    if context.get("allowPrivilegeEscalation") is False:
        if context.get("privileged"):
            detail = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
            errors.append(FieldError.invalid(path, context, detail))
        if "CAP_SYS_ADMIN" in ((given(context, "capabilities") or {}).get("add") or ()):
            detail = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"
            errors.append(FieldError.invalid(path, context, detail))
    options = given(context, "windowsOptions")
    errors += security.validate_windows_options(options, f"{path}.windowsOptions")
    return errors + security.validate_app_armor(given(context, "appArmorProfile"), f"{path}.appArmorProfile")


def _lifecycle_and_probes(container: Object, around: Around, path: str) -> Errors:
    errors: Errors = []
    lifecycle = given(container, "lifecycle") or {}
    for key in ("postStart", "preStop"):
        handler = given(lifecycle, key)
        if handler is not None:
            errors += _handler(handler, around, f"{path}.lifecycle.{key}")
    signal = lifecycle.get("stopSignal")
    if signal is not None:
        errors += restarts.validate_stop_signal(str(signal), around.system, f"{path}.lifecycle.stopSignal")
    for key in ("livenessProbe", "readinessProbe", "startupProbe"):
        probe = given(container, key)
        if probe is not None:
            errors += _probe(key, probe, around, f"{path}.{key}")
    return errors


def _probe(kind: str, probe: Object, around: Around, path: str) -> Errors:
    errors = _handler(probe, around, path)
    errors += nonnegative(
        probe,
        path,
        "initialDelaySeconds",
        "timeoutSeconds",
        "periodSeconds",
        "successThreshold",
        "failureThreshold",
    )
    grace = probe.get("terminationGracePeriodSeconds")
    if grace is not None and grace <= 0:
        detail = "must be greater than 0"
        errors.append(FieldError.invalid(f"{path}.terminationGracePeriodSeconds", grace, detail))
    if kind == "readinessProbe":
        if grace is not None:
            detail = "must not be set for readinessProbes"
            errors.append(FieldError.invalid(f"{path}.terminationGracePeriodSeconds", grace, detail))
    elif probe.get("successThreshold") != 1:
        threshold = probe.get("successThreshold") or 0
        errors.append(FieldError.invalid(f"{path}.successThreshold", threshold, "must be 1"))
    return errors


def _handler(handler: Object, around: Around, path: str) -> Errors:
    errors: Errors = []
    found = 0
    for kind in _HANDLERS:
        action = given(handler, kind)
        if action is None:
            continue
        if found:
            detail = "may not specify more than 1 handler type"
            errors.append(FieldError.forbidden(f"{path}.{kind}", detail))
            continue
        found += 1
        errors += _action(kind, action, around, f"{path}.{kind}")
    if not found:
        errors.append(FieldError.required(path, "must specify a handler type"))
    return errors


def _action(kind: str, action: Object, around: Around, path: str) -> Errors:
    match kind:
        case "exec":
            return [] if action.get("command") else [FieldError.required(f"{path}.command")]
        case "httpGet":
            errors: Errors = []
            if not action.get("path"):
                errors.append(FieldError.required(f"{path}.path"))
            errors += port_or_name(f"{path}.port", action.get("port"))
            schemes = ("HTTP", "HTTPS")
            if action.get("scheme") not in schemes:
                scheme = action.get("scheme") or ""
                errors.append(FieldError.not_supported(f"{path}.scheme", scheme, schemes))
            for header in objects(action.get("httpHeaders")):
                name = str(header.get("name") or "")
                errors += named(f"{path}.httpHeaders", name, validation.http_header_name_errors)
            return errors
        case "tcpSocket" | "grpc":
            return port_or_name(f"{path}.port", action.get("port"))
        case "sleep":
            seconds, grace = action.get("seconds") or 0, around.grace_period_s
            if grace is not None and not 0 <= seconds <= grace:
                detail = f"must be non-negative and less than terminationGracePeriodSeconds ({grace})"
                return [FieldError.invalid(path, seconds, detail)]
    return []
