"""The checks of the Pod Security Standards: pure, one function each, in upstream's words.

A check returns (reason, detail) of what it finds wrong with a pod's spec, or None.
Upstream: k8s.io/pod-security-admission/policy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from podium.machinery import meta
from podium.machinery.errors import Json, Object


class Violation(NamedTuple):
    """What a check finds: `reason (detail)`."""

    reason: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.reason} ({self.detail})" if self.detail else self.reason


Check = Callable[[Object, Mapping[str, str]], Violation | None]
"""(spec of a pod, its annotations) -> what is wrong."""

_BASELINE_CAPABILITIES = frozenset(
    {
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    }
)
_SAFE_SYSCTLS = frozenset(
    {
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.ping_group_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_wmem",
    }
)
_SELINUX_TYPES = frozenset({"", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"})
_RESTRICTED_VOLUMES = frozenset(
    {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "persistentVolumeClaim",
        "projected",
        "secret",
        "image",
    }
)
_APP_ARMOR_ANNOTATION = "container.apparmor.security.beta.kubernetes.io/"


# --- baseline


def app_armor(spec: Object, annotations: Mapping[str, str]) -> Violation | None:
    setters: list[str] = []
    values: set[str] = set()
    for who, context in _contexts(spec):
        profile = meta.dig(context, "appArmorProfile", "type")
        if profile not in (None, "RuntimeDefault", "Localhost"):
            setters.append(who)
            values.add(profile)
    forbidden = sorted(
        f"{key}={_quoted([value])}"
        for key, value in annotations.items()
        if key.startswith(_APP_ARMOR_ANNOTATION)
        and value not in ("", "runtime/default")
        and not value.startswith("localhost/")
    )
    if not setters and not forbidden:
        return None
    details: list[str] = []
    if forbidden:
        details.append(f"{_plural('annotation', forbidden)} {', '.join(forbidden)}")
    if setters:
        details.append(f"{_who(setters)} must not set AppArmor profile type to {_quoted(sorted(values))}")
    one = len(setters) + len(forbidden) == 1
    return Violation(f"forbidden AppArmor profile{'' if one else 's'}", " and ".join(details))


def capabilities_baseline(spec: Object, _: Mapping[str, str]) -> Violation | None:
    containers: list[str] = []
    added: set[str] = set()
    for container in _containers(spec):
        wrong = set(_security(container, "capabilities", "add", default=())) - _BASELINE_CAPABILITIES
        if wrong:
            containers.append(container["name"])
            added |= wrong
    if not containers:
        return None
    what = f"must not include {_quoted(sorted(added))} in securityContext.capabilities.add"
    return Violation("non-default capabilities", f"{_named('container', containers)} {what}")


def host_namespaces(spec: Object, _: Mapping[str, str]) -> Violation | None:
    wrong = [f"{field}=true" for field in ("hostNetwork", "hostPID", "hostIPC") if spec.get(field)]
    return Violation("host namespaces", ", ".join(wrong)) if wrong else None


def host_path_volumes(spec: Object, _: Mapping[str, str]) -> Violation | None:
    volumes = [volume["name"] for volume in spec.get("volumes") or () if volume.get("hostPath") is not None]
    return Violation("hostPath volumes", _named("volume", volumes)) if volumes else None


def host_ports(spec: Object, _: Mapping[str, str]) -> Violation | None:
    containers: list[str] = []
    ports: set[int] = set()
    for container in _containers(spec):
        own = {port["hostPort"] for port in container.get("ports") or () if port.get("hostPort")}
        if own:
            containers.append(container["name"])
            ports |= own
    if not containers:
        return None
    uses = "uses" if len(containers) == 1 else "use"
    word = "hostPort" if len(ports) == 1 else "hostPorts"
    shown = ", ".join(str(port) for port in sorted(ports, key=str))
    return Violation(word, f"{_named('container', containers)} {uses} {word} {shown}")


def host_probes(spec: Object, _: Mapping[str, str]) -> Violation | None:
    containers: list[str] = []
    hosts: set[str] = set()
    for container in _containers(spec):
        handlers = [container.get(f"{kind}Probe") for kind in ("liveness", "readiness", "startup")]
        handlers += [meta.dig(container, "lifecycle", hook) for hook in ("postStart", "preStop")]
        own = {
            host
            for handler in handlers
            for kind in ("httpGet", "tcpSocket")
            if (host := meta.dig(handler, kind, "host")) not in (None, "", "127.0.0.1", "::1")
        }
        if own:
            containers.append(container["name"])
            hosts |= own
    if not containers:
        return None
    uses = "uses" if len(containers) == 1 else "use"
    word = _plural("probe or lifecycle host", list(hosts))
    return Violation(
        "probe or lifecycle host", f"{_named('container', containers)} {uses} {word} {_quoted(sorted(hosts))}"
    )


def privileged(spec: Object, _: Mapping[str, str]) -> Violation | None:
    containers = [c["name"] for c in _containers(spec) if _security(c, "privileged")]
    if not containers:
        return None
    return Violation(
        "privileged", f"{_named('container', containers)} must not set securityContext.privileged=true"
    )


def proc_mount(spec: Object, _: Mapping[str, str]) -> Violation | None:
    wrong = {
        c["name"]: mount
        for c in _containers(spec)
        if (mount := _security(c, "procMount")) not in (None, "Default")
    }
    if not wrong:
        return None
    values = _quoted(sorted(set(wrong.values())))
    what = f"must not set securityContext.procMount to {values}"
    return Violation("procMount", f"{_named('container', list(wrong))} {what}")


def selinux_options(spec: Object, _: Mapping[str, str]) -> Violation | None:
    setters: list[str] = []
    types: set[str] = set()
    user = role = False
    for who, context in _contexts(spec):
        options = context.get("seLinuxOptions") or {}
        bad_type = (options.get("type") or "") not in _SELINUX_TYPES
        if bad_type:
            types.add(options["type"])
        if bad_type or options.get("user") or options.get("role"):
            setters.append(who)
        user, role = user or bool(options.get("user")), role or bool(options.get("role"))
    if not setters:
        return None
    details = [f"{_plural('type', list(types))} {_quoted(sorted(types))}"] if types else []
    if user:
        details.append("user may not be set")
    if role:
        details.append("role may not be set")
    what = f"set forbidden securityContext.seLinuxOptions: {'; '.join(details)}"
    return Violation("seLinuxOptions", f"{_who(setters)} {what}")


def seccomp_baseline(spec: Object, _: Mapping[str, str]) -> Violation | None:
    return _seccomp_explicit(spec)


def sysctls(spec: Object, _: Mapping[str, str]) -> Violation | None:
    names = [s["name"] for s in meta.dig(spec, "securityContext", "sysctls", default=())]
    wrong = [name for name in names if name.replace("/", ".") not in _SAFE_SYSCTLS]
    return Violation("forbidden sysctls", ", ".join(wrong)) if wrong else None


def windows_host_process(spec: Object, _: Mapping[str, str]) -> Violation | None:
    setters = [who for who, c in _contexts(spec) if meta.dig(c, "windowsOptions", "hostProcess")]
    if not setters:
        return None
    what = "must not set securityContext.windowsOptions.hostProcess=true"
    return Violation("hostProcess", f"{_who(setters)} {what}")


# --- restricted


def allow_privilege_escalation(spec: Object, _: Mapping[str, str]) -> Violation | None:
    if _windows(spec):
        return None
    containers = [
        c["name"] for c in _containers(spec) if _security(c, "allowPrivilegeEscalation") is not False
    ]
    if not containers:
        return None
    what = "must set securityContext.allowPrivilegeEscalation=false"
    return Violation("allowPrivilegeEscalation != false", f"{_named('container', containers)} {what}")


def capabilities_restricted(spec: Object, _: Mapping[str, str]) -> Violation | None:
    if _windows(spec):
        return None
    keeping: list[str] = []
    adding: list[str] = []
    added: set[str] = set()
    for container in _containers(spec):
        if "ALL" not in _security(container, "capabilities", "drop", default=()):
            keeping.append(container["name"])
        wrong = set(_security(container, "capabilities", "add", default=())) - {"NET_BIND_SERVICE"}
        if wrong:
            adding.append(container["name"])
            added |= wrong
    details: list[str] = []
    if keeping:
        details.append(f'{_named("container", keeping)} must set securityContext.capabilities.drop=["ALL"]')
    if adding:
        what = f"must not include {_quoted(sorted(added))} in securityContext.capabilities.add"
        details.append(f"{_named('container', adding)} {what}")
    return Violation("unrestricted capabilities", "; ".join(details)) if details else None


def restricted_volumes(spec: Object, _: Mapping[str, str]) -> Violation | None:
    names: list[str] = []
    types: set[str] = set()
    for volume in spec.get("volumes") or ():
        wrong = [
            t for t, v in volume.items() if t != "name" and v is not None and t not in _RESTRICTED_VOLUMES
        ]
        if wrong:
            names.append(volume["name"])
            types.update(wrong)
    if not names:
        return None
    uses = "uses" if len(names) == 1 else "use"
    word = _plural("restricted volume type", list(types))
    return Violation(
        "restricted volume types", f"{_named('volume', names)} {uses} {word} {_quoted(sorted(types))}"
    )


def run_as_non_root(spec: Object, _: Mapping[str, str]) -> Violation | None:
    pod = meta.dig(spec, "securityContext", "runAsNonRoot")
    setters = ["pod"] if pod is False else []
    explicit: list[str] = []
    implicit: list[str] = []
    for container in _containers(spec):
        own = _security(container, "runAsNonRoot")
        if own is False:
            explicit.append(container["name"])
        elif own is None and not pod:
            implicit.append(container["name"])
    if explicit:
        setters.append(_named("container", explicit))
    if setters:
        what = f"{' and '.join(setters)} must not set securityContext.runAsNonRoot=false"
        return Violation("runAsNonRoot != true", what)
    if implicit:
        what = f"pod or {_named('container', implicit)} must set securityContext.runAsNonRoot=true"
        return Violation("runAsNonRoot != true", what)
    return None


def run_as_user(spec: Object, _: Mapping[str, str]) -> Violation | None:
    setters = [who for who, context in _contexts(spec) if context.get("runAsUser") == 0]
    return Violation("runAsUser=0", f"{_who(setters)} must not set runAsUser=0") if setters else None


def seccomp_restricted(spec: Object, _: Mapping[str, str]) -> Violation | None:
    if _windows(spec):
        return None
    explicit = _seccomp_explicit(spec)
    if explicit is not None:
        return explicit
    if meta.dig(spec, "securityContext", "seccompProfile") is not None:
        return None
    implicit = [c["name"] for c in _containers(spec) if _security(c, "seccompProfile") is None]
    if not implicit:
        return None
    what = 'must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
    return Violation("seccompProfile", f"pod or {_named('container', implicit)} {what}")


def _seccomp_explicit(spec: Object) -> Violation | None:
    setters: list[str] = []
    values: set[str] = set()
    for who, context in _contexts(spec):
        type = meta.dig(context, "seccompProfile", "type")
        if type not in (None, "RuntimeDefault", "Localhost"):
            setters.append(who)
            values.add(type)
    if not setters:
        return None
    what = f"must not set securityContext.seccompProfile.type to {_quoted(sorted(values))}"
    return Violation("seccompProfile", f"{_who(setters)} {what}")


BASELINE: tuple[Check, ...] = (
    app_armor,
    capabilities_baseline,
    host_namespaces,
    host_path_volumes,
    host_ports,
    host_probes,
    privileged,
    proc_mount,
    selinux_options,
    seccomp_baseline,
    sysctls,
    windows_host_process,
)
RESTRICTED: tuple[Check, ...] = (
    *(check for check in BASELINE if check not in (capabilities_baseline, seccomp_baseline)),
    allow_privilege_escalation,
    capabilities_restricted,
    restricted_volumes,
    run_as_non_root,
    run_as_user,
    seccomp_restricted,
)
LEVELS: Mapping[str, tuple[Check, ...]] = {
    "privileged": (),
    "baseline": BASELINE,
    "restricted": RESTRICTED,
}


def evaluate(level: str, pod: Object) -> list[Violation]:
    """Return what `pod` (or the template of one) violates of a level."""
    spec, annotations = pod.get("spec") or {}, meta.annotations(pod)
    return [found for check in LEVELS[level] if (found := check(spec, annotations)) is not None]


# --- looking into a pod


def _containers(spec: Object) -> Iterator[Object]:
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        yield from spec.get(kind) or ()


def _security(container: Object, *path: str, default: Json = None) -> Json:
    return meta.dig(container, "securityContext", *path, default=default)


def _contexts(spec: Object) -> Iterator[tuple[str, Object]]:
    """Yield the security contexts with whose they are: "pod", or a container's name in quotes."""
    if spec.get("securityContext"):
        yield "pod", spec["securityContext"]
    for container in _containers(spec):
        if container.get("securityContext"):
            yield f'"{container["name"]}"', container["securityContext"]


def _windows(spec: Object) -> bool:
    return bool(meta.dig(spec, "os", "name") == "windows")


def _who(setters: list[str]) -> str:
    """Return `pod and containers "a", "b"`."""
    containers = [who for who in setters if who != "pod"]
    parts = ["pod"] if len(containers) < len(setters) else []
    if containers:
        parts.append(f"{_plural('container', containers)} {', '.join(containers)}")
    return " and ".join(parts)


def _named(word: str, names: list[str]) -> str:
    return f"{_plural(word, names)} {_quoted(names)}"


def _plural(word: str, things: list[str]) -> str:
    return word if len(things) == 1 else word + "s"


def _quoted(values: Iterable[str]) -> str:
    return ", ".join(f'"{value}"' for value in values)
