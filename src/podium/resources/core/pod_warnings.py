"""What users of pods and of templates of pods should know though the pod is valid.

Upstream: pkg/api/pod/warnings.go.
"""

from __future__ import annotations

from collections.abc import Iterator

from podium.machinery import validation
from podium.machinery.addresses import ip_warnings
from podium.machinery.errors import Object
from podium.resources.checks import metadata_of, objects, parse_quantity, spec_of
from podium.resources.core.node_labels import deprecated_label, selector_term_warnings
from podium.resources.core.path_warnings import overlapping_paths
from podium.resources.defaulting import given

_CONTAINERS = ("initContainers", "containers", "ephemeralContainers")
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_GONE_16 = "deprecated in v1.11, non-functional in v1.16+"
_GONE_25 = "deprecated in v1.22, non-functional in v1.25+"
_GONE_31 = "deprecated in v1.28, non-functional in v1.31+"
_VOLUMES = {
    "photonPersistentDisk": _GONE_16,
    "gitRepo": "deprecated in v1.11, and disabled by default in v1.33+",
    "scaleIO": "deprecated in v1.16, non-functional in v1.22+",
    "flocker": _GONE_25,
    "storageos": _GONE_25,
    "quobyte": _GONE_25,
    "glusterfs": "deprecated in v1.25, non-functional in v1.26+",
    "cephfs": _GONE_31,
    "rbd": _GONE_31,
}
_SPELT = {"storageos": "storageOS"}
_ANNOTATIONS = {
    "scheduler.alpha.kubernetes.io/critical-pod": (
        'non-functional in v1.16+; use the "priorityClassName" field instead'
    ),
    "security.alpha.kubernetes.io/sysctls": 'non-functional in v1.11+; use the "sysctls" field instead',
    "security.alpha.kubernetes.io/unsafe-sysctls": (
        'non-functional in v1.11+; use the "sysctls" field instead'
    ),
}
_SECCOMP_POD = "seccomp.security.alpha.kubernetes.io/pod"
_SECCOMP_CONTAINER = "container.seccomp.security.alpha.kubernetes.io/"
_APPARMOR = "container.apparmor.security.beta.kubernetes.io/"
_NO_SECCOMP = 'non-functional in v1.27+; use the "seccompProfile" field instead'
_NO_SELECTOR = "a null labelSelector results in matching no pod"
_BYTES = ("memory", "ephemeral-storage")


def pod_warnings(pod: Object, old: Object | None) -> list[str]:
    """Return the warnings about a new pod; changed ones, which are rarely a person's doing, get none."""
    if old is not None:
        return []
    name = str(metadata_of(pod).get("name") or "")
    return [
        *name_warnings(name, "the Pod's hostname"),
        *_warnings(spec_of(pod), metadata_of(pod), "", is_template=False),
    ]


def name_warnings(name: str, used_in: str = "Pod names and hostnames") -> list[str]:
    """Say that a name that is no DNS label makes odd hostnames."""
    messages = validation.dns1123_label_errors(name)
    if not messages:
        return []
    return [
        f"metadata.name: this is used in {used_in}, which can result in surprising behavior; a DNS label is "
        f"recommended: [{' '.join(messages)}]"
    ]


def template_warnings(template: Object | None, path: str) -> list[str]:
    """Return the warnings about a template of pods at `path`."""
    if template is None:
        return []
    metadata = given(template, "metadata") or {}
    return _warnings(given(template, "spec") or {}, metadata, f"{path}.", is_template=True)


def _warnings(spec: Object, metadata: Object, at: str, *, is_template: bool) -> list[str]:
    annotations = given(metadata, "annotations") or {}
    context = given(spec, "securityContext") or {}
    return [
        *_placement(spec, at),
        *(
            f"{at}metadata.annotations[{key}]: {_ANNOTATIONS[key]}"
            for key in _ANNOTATIONS
            if key in annotations
        ),
        *_volume_warnings(spec, at),
        *overlapping_paths(objects(spec.get("volumes"))),
        *_repeated(spec, at),
        *_fractions(given(spec, "overhead") or {}, f"{at}spec.overhead"),
        *(
            [f"{at}metadata.annotations[{_SECCOMP_POD}]: {_NO_SECCOMP}"]
            if _SECCOMP_POD in annotations and context.get("seccompProfile") is None
            else []
        ),
        *_container_warnings(spec, annotations, at, is_template=is_template),
        *_ports(spec, at),
        *_grace_and_affinity(spec, at),
        *_addresses(spec, at),
    ]


def _placement(spec: Object, at: str) -> Iterator[str]:
    for key in given(spec, "nodeSelector") or {}:
        message = deprecated_label(key)
        if message:
            yield f"{at}spec.nodeSelector[{key}]: {message}"
    affinity = given(given(spec, "affinity") or {}, "nodeAffinity")
    if affinity is not None:
        here = f"{at}spec.affinity.nodeAffinity"
        terms = objects((given(affinity, _REQUIRED) or {}).get("nodeSelectorTerms"))
        for index, term in enumerate(terms):
            yield from selector_term_warnings(term, f"{here}.{_REQUIRED}.nodeSelectorTerms[{index}]")
        for index, preferred in enumerate(objects(affinity.get(_PREFERRED))):
            term = given(preferred, "preference") or {}
            yield from selector_term_warnings(term, f"{here}.{_PREFERRED}[{index}].preference", values=True)
    for index, constraint in enumerate(objects(spec.get("topologySpreadConstraints"))):
        here = f"{at}spec.topologySpreadConstraints[{index}]"
        key = str(constraint.get("topologyKey") or "")
        message = deprecated_label(key)
        if message:
            yield f"{here}.topologyKey: {key} is {message}"
        if constraint.get("labelSelector") is None:
            yield f"{here}.labelSelector: {_NO_SELECTOR}"


def _volume_warnings(spec: Object, at: str) -> Iterator[str]:
    for index, volume in enumerate(objects(spec.get("volumes"))):
        here = f"{at}spec.volumes[{index}]"
        for kind, message in _VOLUMES.items():
            if volume.get(kind) is not None:
                yield f"{here}.{_SPELT.get(kind, kind)}: {message}"
        claim = given(given(volume, "ephemeral") or {}, "volumeClaimTemplate")
        if claim is not None:
            yield from claim_warnings(
                given(claim, "spec") or {}, f"{here}.ephemeral.volumeClaimTemplate.spec"
            )


def claim_warnings(spec: Object, path: str) -> Iterator[str]:
    """Yield the warnings about what a claim asks for."""
    resources = given(spec, "resources") or {}
    for key in ("requests", "limits"):
        amount = (given(resources, key) or {}).get("storage")
        if amount is not None and parse_quantity(amount).milli() % 1000:
            yield _fraction(f"{path}.resources.{key}[storage]", str(amount))


def _fraction(path: str, amount: str) -> str:
    return f'{path}: fractional byte value "{amount}" is invalid, must be an integer'


def _fractions(amounts: Object, path: str) -> Iterator[str]:
    for name in _BYTES:
        amount = amounts.get(name)
        if amount is not None and parse_quantity(amount).milli() % 1000:
            yield _fraction(f"{path}[{name}]", str(amount))


def _repeated(spec: Object, at: str) -> Iterator[str]:
    for field, key in (("hostAliases", "ip"), ("imagePullSecrets", "name")):
        seen: set[str] = set()
        for index, item in enumerate(objects(spec.get(field))):
            value = str(item.get(key) or "")
            if value in seen:
                yield f'{at}spec.{field}[{index}].{key}: duplicate {key} "{value}"'
            seen.add(value)
    for index, item in enumerate(objects(spec.get("imagePullSecrets"))):
        if not item.get("name"):
            yield f'{at}spec.imagePullSecrets[{index}].name: invalid empty name ""'


def containers_of(spec: Object, at: str) -> Iterator[tuple[str, Object]]:
    """Yield each container of a pod spec with its path."""
    for kind in _CONTAINERS:
        for index, container in enumerate(objects(spec.get(kind))):
            yield f"{at}spec.{kind}[{index}]", container


def _container_warnings(spec: Object, annotations: Object, at: str, *, is_template: bool) -> Iterator[str]:
    pod_profile = (given(spec, "securityContext") or {}).get("appArmorProfile")
    for path, container in containers_of(spec, at):
        name, context = container.get("name"), given(container, "securityContext") or {}
        key = f"{_SECCOMP_CONTAINER}{name}"
        if key in annotations and context.get("seccompProfile") is None:
            yield f"{at}metadata.annotations[{key}]: {_NO_SECCOMP}"
        key = f"{_APPARMOR}{name}"
        if is_template and key in annotations and context.get("appArmorProfile") is None and not pod_profile:
            detail = 'deprecated since v1.30; use the "appArmorProfile" field instead'
            yield f"{at}metadata.annotations[{key}]: {detail}"
        resources = given(container, "resources") or {}
        for amount in _BYTES:
            for which in ("limits", "requests"):
                value = (given(resources, which) or {}).get(amount)
                if value is not None and parse_quantity(value).milli() % 1000:
                    yield _fraction(f"{path}.resources.{which}[{amount}]", str(value))
        yield from _variables(objects(container.get("env")), path)


def _variables(variables: list[Object], path: str) -> Iterator[str]:
    seen: set[str] = set()
    for index, variable in enumerate(variables):
        name, value = str(variable.get("name") or ""), str(variable.get("value") or "")
        reference = f"$({name})"
        hides = variable.get("valueFrom") is not None or value == reference or reference not in value
        if name in seen and hides:
            detail = f'hides previous definition of "{name}", which may be dropped when using apply'
            yield f"{path}.env[{index}]: {detail}"
        seen.add(name)


def _ports(spec: Object, at: str) -> Iterator[str]:
    seen: dict[tuple[int, str], list[tuple[str, str, int]]] = {}
    names: dict[str, str] = {}
    again = []
    for path, container in containers_of(spec, at):
        for index, port in enumerate(objects(container.get("ports"))):
            here = f"{path}.ports[{index}]"
            host_ip, host_port = str(port.get("hostIP") or ""), int(port.get("hostPort") or 0)
            if host_ip and not host_port:
                shown = (
                    f"{{Name:{port.get('name') or ''} HostPort:0 "
                    f"ContainerPort:{port.get('containerPort') or 0} "
                    f"Protocol:{port.get('protocol') or ''} HostIP:{host_ip}}}"
                )
                yield f"{here}: hostIP set without hostPort: {shown}"
            others = seen.setdefault((int(port.get("containerPort") or 0), str(port.get("protocol"))), [])
            for other, other_ip, other_port in others:
                how = _clash(host_ip, host_port, other_ip, other_port)
                if how:
                    yield f"{here}: {how} port definition with {other}"
            others.append((here, host_ip, host_port))
            name = str(port.get("name") or "")
            if name and name in names:
                again.append(
                    f'{here}: duplicate port name "{name}" with {names[name]}, services and '
                    f"probes that select "
                    f"ports by name will use {names[name]}"
                )
            elif name:
                names[name] = here
    yield from again


def _clash(ip: str, port: int, other_ip: str, other_port: int) -> str:
    """Return how two definitions of one container port are in each other's way."""
    if (ip, port) == (other_ip, other_port):
        return "duplicate"
    if not port or not other_port:
        return "overlapping"
    if port == other_port and (not ip) != (not other_ip):
        return "dangerously ambiguous"
    return ""


def _grace_and_affinity(spec: Object, at: str) -> Iterator[str]:
    if (spec.get("terminationGracePeriodSeconds") or 0) < 0:
        yield (
            f"{at}spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be "
            "treated as 1"
        )
    affinity = given(spec, "affinity") or {}
    for kind in ("podAffinity", "podAntiAffinity"):
        here, terms = f"{at}spec.affinity.{kind}", given(affinity, kind) or {}
        for index, term in enumerate(objects(terms.get(_REQUIRED))):
            if term.get("labelSelector") is None:
                yield f"{here}.{_REQUIRED}[{index}].labelSelector: {_NO_SELECTOR}"
        for index, weighted in enumerate(objects(terms.get(_PREFERRED))):
            if (given(weighted, "podAffinityTerm") or {}).get("labelSelector") is None:
                yield f"{here}.{_PREFERRED}[{index}].podAffinityTerm.labelSelector: {_NO_SELECTOR}"


def _addresses(spec: Object, at: str) -> Iterator[str]:
    servers = (given(spec, "dnsConfig") or {}).get("nameservers") or ()
    for index, server in enumerate(servers):
        yield from ip_warnings(f"{at}spec.dnsConfig.nameservers[{index}]", str(server))
    for index, alias in enumerate(objects(spec.get("hostAliases"))):
        yield from ip_warnings(f"{at}spec.hostAliases[{index}].ip", str(alias.get("ip") or ""))
