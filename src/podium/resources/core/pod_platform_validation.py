"""What is wrong with a pod on the system it is for: Linux or Windows, the host's namespaces, its hostname."""

from __future__ import annotations

from collections.abc import Iterator

from podium.machinery import validation
from podium.machinery.errors import FieldError, Object
from podium.resources.checks import Errors, named, objects
from podium.resources.defaulting import given

SYSTEMS = ("linux", "windows")
HOSTNAME_LENGTH_MAX = 64
_CONTAINERS = ("initContainers", "containers", "ephemeralContainers")
_NOT_ON_WINDOWS = "cannot be set for a windows pod"
_NOT_ON_LINUX = "windows options cannot be set for a linux pod"
_OWN_USERS = "when `hostUsers` is false"
_LINUX_POD = (
    ("securityContext", "appArmorProfile"),
    ("securityContext", "seLinuxOptions"),
    ("", "hostUsers"),
    ("", "hostPID"),
    ("", "hostIPC"),
    ("securityContext", "seccompProfile"),
    ("securityContext", "fsGroup"),
    ("securityContext", "fsGroupChangePolicy"),
    ("securityContext", "sysctls"),
    ("", "shareProcessNamespace"),
    ("securityContext", "runAsUser"),
    ("securityContext", "runAsGroup"),
    ("securityContext", "supplementalGroups"),
    ("securityContext", "supplementalGroupsPolicy"),
    ("securityContext", "seLinuxChangePolicy"),
)
_TRUE_ONLY = ("hostPID", "hostIPC")
_LINUX_CONTAINER = (
    "appArmorProfile",
    "seLinuxOptions",
    "seccompProfile",
    "capabilities",
    "readOnlyRootFilesystem",
    "privileged",
    "allowPrivilegeEscalation",
    "procMount",
    "runAsUser",
    "runAsGroup",
)


def containers_of(spec: Object, path: str) -> Iterator[tuple[str, Object]]:
    """Yield each container with its path, init containers first."""
    for kind in _CONTAINERS:
        for index, container in enumerate(objects(spec.get(kind))):
            yield f"{path}.{kind}[{index}]", container


def validate_host_processes(spec: Object, path: str) -> Errors:
    """Check containers that are processes of a Windows host: all of them, on the host's network."""
    if not _mentions_windows(spec):
        return []
    errors: Errors = []
    of_pod = _host_process(spec)
    count = total = 0
    for here, container in containers_of(spec, path):
        total += 1
        own = _host_process(container)
        if of_pod is not None and own is not None and of_pod != own:
            shown = "true" if of_pod else "false"
            detail = f"pod hostProcess value must be identical if both are specified, was {shown}"
            field = f"{here}.securityContext.windowsOptions.hostProcess"
            errors.append(FieldError.invalid(field, own, detail))
        count += bool(own if own is not None else of_pod)
    if count and count != total:
        detail = (
            "If pod contains any hostProcess containers then all containers must be HostProcess containers"
        )
        errors.append(FieldError.invalid(path, "", detail))
    if count and not spec.get("hostNetwork"):
        detail = "hostNetwork must be true if pod contains any hostProcess containers"
        errors.append(FieldError.invalid(f"{path}.hostNetwork", False, detail))
    return errors


def _mentions_windows(spec: Object) -> bool:
    lists = ([spec], *(objects(spec.get(kind)) for kind in _CONTAINERS))
    return any(
        (given(holder, "securityContext") or {}).get("windowsOptions") for some in lists for holder in some
    )


def _host_process(holder: Object) -> bool | None:
    value = (given(given(holder, "securityContext") or {}, "windowsOptions") or {}).get("hostProcess")
    return None if value is None else bool(value)


def validate_host_users(spec: Object, path: str) -> Errors:
    """Refuse the host's namespaces to pods with users of their own. The network: `while_off`."""
    if spec.get("hostUsers") is not False:
        return []
    errors = [
        FieldError.forbidden(f"{path}.{spelt}", _OWN_USERS)
        for key, spelt in (("hostPID", "HostPID"), ("hostIPC", "HostIPC"))
        if spec.get(key)
    ]
    return errors + [
        FieldError.forbidden(f"{here}.volumeDevices", _OWN_USERS)
        for here, container in containers_of(spec, path)
        if container.get("volumeDevices")
    ]


def host_network_of_own_users(new: Object, old: Object | None) -> Errors:
    """Refuse the host's network to a pod with users of its own, unless it has both already."""

    def both(pod: Object) -> bool:
        spec = given(pod, "spec") or {}
        return bool(spec.get("hostNetwork")) and spec.get("hostUsers") is False

    if not both(new) or (old is not None and both(old)):
        return []
    return [FieldError.forbidden("spec.hostNetwork", _OWN_USERS)]


def validate_hostname(spec: Object, path: str) -> Errors:
    """Check a hostname that replaces the pod's own."""
    name = spec.get("hostnameOverride")
    if name is None:
        return []
    field = f"{path}.hostnameOverride"
    errors = [
        FieldError.forbidden(field, f"may not be specified when {key} is true")
        for key in ("setHostnameAsFQDN", "hostNetwork")
        if spec.get(key)
    ]
    if len(str(name)) > HOSTNAME_LENGTH_MAX:
        errors.append(FieldError.too_long(field, HOSTNAME_LENGTH_MAX))
    return errors + named(field, str(name), validation.dns1123_subdomain_errors)


def validate_system(spec: Object, path: str) -> Errors:
    """Check that a pod for one system has nothing of the other's."""
    system = given(spec, "os")
    if system is None:
        return []
    name = str(system.get("name") or "")
    if not name:
        return [FieldError.required(f"{path}.os.name")]
    if name not in SYSTEMS:
        return [FieldError.not_supported(f"{path}.os", name, SYSTEMS)]
    return _linux(spec, path) if name == "linux" else _windows(spec, path)


def is_windows(spec: Object) -> bool:
    """Say whether the pod is for Windows."""
    return (given(spec, "os") or {}).get("name") == "windows"


def _linux(spec: Object, path: str) -> Errors:
    return [
        FieldError.forbidden(f"{here}.securityContext.windowsOptions", _NOT_ON_LINUX)
        for here, holder in ((path, spec), *containers_of(spec, path))
        if (given(holder, "securityContext") or {}).get("windowsOptions") is not None
    ]


def _windows(spec: Object, path: str) -> Errors:
    errors: Errors = []
    for holder, key in _LINUX_POD:
        value = (given(spec, holder) or {} if holder else spec).get(key)
        if value if key in _TRUE_ONLY else value is not None:
            here = f"{path}.{holder}.{key}" if holder else f"{path}.{key}"
            errors.append(FieldError.forbidden(here, _NOT_ON_WINDOWS))
    for at, container in containers_of(spec, path):
        context = given(container, "securityContext") or {}
        errors += [
            FieldError.forbidden(f"{at}.securityContext.{key}", _NOT_ON_WINDOWS)
            for key in _LINUX_CONTAINER
            if context.get(key) is not None
        ]
    return errors


def validate_scheduling_group(spec: Object, path: str) -> Errors:
    """Check which group of pods a pod belongs to."""
    group = given(spec, "schedulingGroup")
    if group is None:
        return []
    field = f"{path}.schedulingGroup.podGroupName"
    name = group.get("podGroupName")
    if name is None:
        return [FieldError.invalid(field, None, "must specify one of: `podGroupName`")]
    return named(field, str(name), validation.dns1123_subdomain_errors)


def validate_file_volumes(spec: Object, path: str) -> Errors:
    """Ask for empty volumes behind variables that are read from files."""
    errors: Errors = []
    volumes: dict[object, Object] | None = None
    for here, container in containers_of(spec, path):
        for index, variable in enumerate(objects(container.get("env"))):
            source = variable.get("valueFrom")
            reference = given(source, "fileKeyRef") if source else None
            if reference is None:
                continue
            if volumes is None:
                volumes = {volume.get("name"): volume for volume in objects(spec.get("volumes"))}
            field = f"{here}.env[{index}].valueFrom.fileKeyRef.volumeName"
            name = str(reference.get("volumeName") or "")
            if name not in volumes:
                errors.append(FieldError.not_found(field, name))
            elif volumes[name].get("emptyDir") is None:
                detail = "referenced volume must be of type emptyDir"
                errors.append(FieldError.invalid(field, name, detail))
    return errors
