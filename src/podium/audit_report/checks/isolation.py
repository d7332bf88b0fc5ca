"""How far containers are kept from the node and from each other."""

from __future__ import annotations

from collections.abc import Iterator

from podium.audit_report.checks import Family
from podium.audit_report.context import Context
from podium.audit_report.finding import Problem, Rule, Severity
from podium.audit_report.workloads import Container, Workload, as_list, as_object, texts, workload_of
from podium.machinery.errors import Object

PRIVILEGED = Rule(
    id="privileged",
    severity=Severity.CRITICAL,
    title="A container is privileged",
    why="It may do on the node whatever root may do there.",
    fix="Remove securityContext.privileged; add the single capabilities that are needed.",
)
HOST_NAMESPACES = Rule(
    id="host-namespaces",
    severity=Severity.HIGH,
    title="A pod shares namespaces of the node",
    why="It sees, and may reach, processes or connections of the node and of other pods.",
    fix="Remove hostNetwork, hostPID and hostIPC.",
)
HOST_PATH = Rule(
    id="host-path",
    severity=Severity.HIGH,
    title="A pod mounts a directory of the node",
    why="What it reads or writes there belongs to the node, and may lead to its credentials or to root.",
    fix="Use a PersistentVolumeClaim, a ConfigMap or an emptyDir; if it must be, mount it read-only.",
)
CAPABILITIES = Rule(
    id="added-capabilities",
    severity=Severity.HIGH,
    title="A container is given further capabilities",
    why="Each is a part of what root may do, and several lead to all of it.",
    fix="Remove them from securityContext.capabilities.add; NET_BIND_SERVICE is tolerated.",
)
KEPT_CAPABILITIES = Rule(
    id="capabilities-kept",
    severity=Severity.LOW,
    title="A container keeps the capabilities that it starts with",
    why="Few programs need any of the fourteen that the container runtime leaves them.",
    fix='Set securityContext.capabilities.drop to ["ALL"].',
)
ROOT = Rule(
    id="run-as-root",
    severity=Severity.MEDIUM,
    title="A container may run as root",
    why="Whoever breaks out of it is root on the node.",
    fix="Set securityContext.runAsNonRoot: true, and a runAsUser other than 0 if the image names none.",
)
WRITABLE_ROOT = Rule(
    id="writable-root-filesystem",
    severity=Severity.LOW,
    title="A container's root filesystem is writable",
    why="An intruder may change or add programs, which then run as part of the container.",
    fix="Set securityContext.readOnlyRootFilesystem: true, and mount an emptyDir where files are written.",
)
ESCALATION = Rule(
    id="privilege-escalation",
    severity=Severity.MEDIUM,
    title="A container's processes may gain privileges",
    why="A program with the setuid bit gives whoever runs it the rights of root in the container.",
    fix="Set securityContext.allowPrivilegeEscalation: false.",
)
SECCOMP = Rule(
    id="seccomp",
    severity=Severity.MEDIUM,
    title="A container has no seccomp profile",
    why="It may use every system call, and those that no program needs are how kernels are attacked.",
    fix="Set securityContext.seccompProfile.type: RuntimeDefault, for the pod or the container.",
)

_TOLERATED = ("NET_BIND_SERVICE",)


def _check(obj: Object, _context: Context) -> Iterator[Problem]:
    workload = workload_of(obj)
    if workload is None or as_object(workload.spec.get("os")).get("name") == "windows":
        return
    yield from _pod(workload)
    for container in workload.containers():
        yield from _container(workload, container)


def _pod(workload: Workload) -> Iterator[Problem]:
    spec, path = workload.spec, workload.spec_path
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if spec.get(field) is True:
            yield Problem(HOST_NAMESPACES, (*path, field), f"{field} is true")
    for index, volume in enumerate(as_list(spec.get("volumes"))):
        mounted = as_object(volume).get("hostPath")
        if isinstance(mounted, dict):
            where = str(mounted.get("path") or "")
            yield Problem(HOST_PATH, (*path, "volumes", index, "hostPath"), f"{where} of the node is mounted")


def _container(workload: Workload, container: Container) -> Iterator[Problem]:
    own, pods = (
        as_object(container.spec.get("securityContext")),
        as_object(workload.spec.get("securityContext")),
    )
    path, name = (*container.path, "securityContext"), container.name
    if own.get("privileged") is True:
        yield Problem(PRIVILEGED, (*path, "privileged"), f"container {name} is privileged")
    elif own.get("allowPrivilegeEscalation") is not False:
        detail = f"container {name} does not set allowPrivilegeEscalation to false"
        yield Problem(ESCALATION, (*path, "allowPrivilegeEscalation"), detail)
    user = own.get("runAsUser", pods.get("runAsUser"))
    if user == 0:
        detail = f"container {name} runs as user 0"
        yield Problem(ROOT, (*path, "runAsUser"), detail, Severity.HIGH)
    elif own.get("runAsNonRoot", pods.get("runAsNonRoot")) is not True and user is None:
        yield Problem(ROOT, (*path, "runAsNonRoot"), f"container {name} may run as whom its image says")
    profile = as_object(own.get("seccompProfile", pods.get("seccompProfile"))).get("type")
    if profile not in ("RuntimeDefault", "Localhost"):
        yield Problem(SECCOMP, (*path, "seccompProfile"), f"container {name} may use every system call")
    if own.get("readOnlyRootFilesystem") is not True:
        detail = f"container {name} may write to its root filesystem"
        yield Problem(WRITABLE_ROOT, (*path, "readOnlyRootFilesystem"), detail)
    capabilities = as_object(own.get("capabilities"))
    added = [one for one in texts(capabilities.get("add")) if one.upper() not in _TOLERATED]
    if added:
        detail = f"container {name} adds {', '.join(added)}"
        yield Problem(CAPABILITIES, (*path, "capabilities", "add"), detail)
    if "ALL" not in [one.upper() for one in texts(capabilities.get("drop"))]:
        detail = f"container {name} does not drop ALL"
        yield Problem(KEPT_CAPABILITIES, (*path, "capabilities", "drop"), detail)


ISOLATION = Family(
    name="Isolation",
    rules=(
        PRIVILEGED,
        HOST_NAMESPACES,
        HOST_PATH,
        CAPABILITIES,
        KEPT_CAPABILITIES,
        ROOT,
        WRITABLE_ROOT,
        ESCALATION,
        SECCOMP,
    ),
    check=_check,
)
