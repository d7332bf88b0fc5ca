"""From a pod's container to what the runtime creates. Pure: environment, mounts and image are handed in."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from podium.kubelet.cgroups import container_resources
from podium.kubelet.cri.runtime import (
    ContainerConfig,
    ContainerSecurity,
    Image,
    Mount,
    Namespaces,
    Propagation,
)
from podium.kubelet.environment import ConfigFault, expand
from podium.kubelet.paths import container_log_name
from podium.kubelet.pod_machine import IMAGE_ANNOTATION
from podium.kubelet.pods import full_name
from podium.kubelet.sandbox_config import (
    LABEL_CONTAINER_NAME,
    ClusterSettings,
    namespaces,
    pod_labels,
    seccomp_profile,
    supplemental_groups,
)
from podium.machinery.errors import Object

DEFAULT_TERMINATION_PATH = "/dev/termination-log"
ANNOTATION_RESTARTS = "io.kubernetes.container.restartCount"
ANNOTATION_TERMINATION_PATH = "io.kubernetes.container.terminationMessagePath"
ANNOTATION_TERMINATION_POLICY = "io.kubernetes.container.terminationMessagePolicy"

# What upstream hides from and freezes for containers whose procMount is Default.
MASKED_PATHS = (
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
)
READONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerInputs:
    """What a container's configuration needs beside the pod."""

    attempt: int
    image_ref: str
    image: Image
    environment: Mapping[str, str]
    mounts: Sequence[Mount]
    termination_log: str
    """The host's file that becomes the container's terminationMessagePath."""
    target_id: str = ""
    """The container whose process namespace an ephemeral container joins."""


def container_config(
    pod: Object, container: Object, inputs: ContainerInputs, settings: ClusterSettings
) -> ContainerConfig:
    """Return what the runtime creates. Raises ConfigFault when the image may not run as asked."""
    env = inputs.environment
    name = container["name"]
    termination_path = str(container.get("terminationMessagePath") or DEFAULT_TERMINATION_PATH)
    security = container_security(pod, container, inputs.image, target_id=inputs.target_id)
    mounts = [*inputs.mounts, Mount(container_path=termination_path, host_path=inputs.termination_log)]
    return ContainerConfig(
        name=name,
        attempt=inputs.attempt,
        image=inputs.image_ref,
        command=tuple(expand(word, env) for word in container.get("command") or ()),
        args=tuple(expand(word, env) for word in container.get("args") or ()),
        working_dir=str(container.get("workingDir") or ""),
        env=tuple(env.items()),
        mounts=tuple(mounts),
        labels={**pod_labels(pod), LABEL_CONTAINER_NAME: name},
        annotations={
            IMAGE_ANNOTATION: str(container.get("image") or ""),
            ANNOTATION_RESTARTS: str(inputs.attempt),
            ANNOTATION_TERMINATION_PATH: termination_path,
            ANNOTATION_TERMINATION_POLICY: str(container.get("terminationMessagePolicy") or "File"),
        },
        log_path=container_log_name(name, inputs.attempt),
        stdin=bool(container.get("stdin")),
        stdin_once=bool(container.get("stdinOnce")),
        tty=bool(container.get("tty")),
        resources=container_resources(pod, container, settings.memory_bytes),
        security=security,
    )


def container_security(
    pod: Object, container: Object, image: Image, *, target_id: str = ""
) -> ContainerSecurity:
    """Return the effective security context: the container's over the pod's over the image's."""
    pod_context = pod["spec"].get("securityContext") or {}
    context = {
        **{
            key: pod_context[key]
            for key in ("runAsUser", "runAsGroup", "runAsNonRoot", "seccompProfile")
            if pod_context.get(key) is not None
        },
        **{
            key: value for key, value in (container.get("securityContext") or {}).items() if value is not None
        },
    }
    user, username = context.get("runAsUser"), ""
    if user is None:
        user, username = image.uid, image.username
    _check_non_root(pod, container, context, user, username)
    privileged = bool(context.get("privileged"))
    unmasked = privileged or context.get("procMount") == "Unmasked"
    capabilities = context.get("capabilities") or {}
    spaces = namespaces(pod)
    if target_id:
        spaces = Namespaces(network=spaces.network, pid="TARGET", ipc=spaces.ipc, target_id=target_id)
    return ContainerSecurity(
        privileged=privileged,
        run_as_user=user,
        run_as_username="" if user is not None else username,
        run_as_group=context.get("runAsGroup"),
        read_only_root=bool(context.get("readOnlyRootFilesystem")),
        no_new_privileges=context.get("allowPrivilegeEscalation") is False,
        supplemental_groups=supplemental_groups(pod),
        add_capabilities=tuple(capabilities.get("add") or ()),
        drop_capabilities=tuple(capabilities.get("drop") or ()),
        seccomp=seccomp_profile(None if privileged else context.get("seccompProfile")),
        masked_paths=() if unmasked else MASKED_PATHS,
        readonly_paths=() if unmasked else READONLY_PATHS,
        namespaces=spaces,
    )


def _check_non_root(pod: Object, container: Object, context: Object, user: int | None, username: str) -> None:
    if not context.get("runAsNonRoot"):
        return
    where = f'(pod: "{full_name(pod)}", container: {container["name"]})'
    if context.get("runAsUser") is not None:
        if int(context["runAsUser"]) == 0:
            raise ConfigFault(f"container's runAsUser breaks non-root policy {where}")
    elif username:
        raise ConfigFault(
            f"container has runAsNonRoot and image has non-numeric user ({username}), "
            f"cannot verify user is non-root {where}"
        )
    elif not user:
        raise ConfigFault(f"container has runAsNonRoot and image will run as root {where}")


def volume_mounts(
    container: Object,
    volumes: Mapping[str, str],
    subpaths: Mapping[str, str],
    read_only: Collection[str] = (),
) -> list[Mount]:
    """Return the container's mounts: `volumes` by volume name, `subpaths` by mount path, both on the host.

    Volumes in `read_only` are not written to, whatever the mount says.

    Raises ConfigFault for a mount of a volume that is not there.
    """
    mounts = []
    for mount in container.get("volumeMounts") or ():
        if mount["name"] not in volumes:
            raise ConfigFault(
                f'cannot find volume "{mount["name"]}" to mount into container "{container["name"]}"'
            )
        path = str(mount["mountPath"])
        propagation: Propagation = mount.get("mountPropagation") or "None"
        mounts.append(
            Mount(
                container_path=path if path.startswith("/") else f"/{path}",
                host_path=subpaths.get(path) or volumes[mount["name"]],
                read_only=bool(mount.get("readOnly")) or mount["name"] in read_only,
                propagation=propagation,
            )
        )
    return mounts


def subpath_of(mount: Object, environment: Mapping[str, str]) -> str:
    """Return the part of the volume that a mount shows, empty for all of it. Raises ConfigFault."""
    if mount.get("subPathExpr"):
        path = expand(str(mount["subPathExpr"]), environment)
        if "$(" in path:
            raise ConfigFault(f"missing value for subPathExpr {mount['subPathExpr']!r}")
    else:
        path = str(mount.get("subPath") or "")
    if path.startswith("/") or ".." in path.split("/"):
        raise ConfigFault(f"must not contain '..' or be absolute: subPath {path!r}")
    return path
