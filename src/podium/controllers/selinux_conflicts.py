"""Which pods could not use a volume together where SELinux is on. Pure, but for the memory of `VolumeUses`.

Nothing is known here about the nodes' own defaults: of a label, only what the pod says counts.
Upstream: pkg/controller/volume/selinuxwarning/{cache,translator}.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from podium.machinery import meta
from podium.machinery.errors import Object

RECURSIVE = "Recursive"
MOUNT_OPTION = "MountOption"
_PARTS = ("user", "role", "type", "level")
_CONTAINERS = ("initContainers", "containers", "ephemeralContainers")


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """What is behind a volume of a pod, as far as it matters here."""

    name: str
    """The same for all pods that use it."""
    mounts_with_label: bool
    """It can be mounted with a label, instead of having each file labelled."""
    csi_driver: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """How one pod uses a volume."""

    label: str
    policy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """Why a pod (namespace/name) may not be able to use a volume."""

    about: str
    pod: str
    value: str
    other_pod: str
    other_value: str

    @property
    def reason(self) -> str:
        return f"{self.about}Conflict"

    @property
    def message(self) -> str:
        """The event's text. Other namespaces are not told about."""
        end = "If both pods land on the same node, only one of them may access the volume."
        namespace, other = meta.split_key(self.pod)[0], meta.split_key(self.other_pod)
        if namespace == other[0]:
            return (
                f'{self.about} "{self.value}" conflicts with pod {other[1]} that uses the same volume as'
                f' this pod with {self.about} "{self.other_value}". {end}'
            )
        return (
            f'{self.about}"{self.value}" conflicts with another pod that uses the same volume as this pod'
            f" with a different {self.about}. {end}"
        )


def labels_of_mounts(pod: Object) -> dict[str, set[str]]:
    """Return, for each volume that a container mounts, the labels its containers ask for."""
    spec = pod.get("spec") or {}
    of_pod = meta.dig(spec, "securityContext", "seLinuxOptions")
    labels: dict[str, set[str]] = {}
    for container in (c for kind in _CONTAINERS for c in spec.get(kind) or ()):
        options = meta.dig(container, "securityContext", "seLinuxOptions") or of_pod
        for mount in container.get("volumeMounts") or ():
            found = labels.setdefault(mount["name"], set())
            if options is not None:
                found.add(label_of(options))
    return labels


def label_of(options: Mapping[str, str]) -> str:
    label = ":".join(options.get(part) or "" for part in _PARTS)
    return "" if label == ":::" else label


def labels_conflict(one: str, other: str) -> bool:
    """Tell whether two labels cannot be the same on any node: parts that are not given may be anything,
    but for the level, which nodes do not fill in."""
    (*first, level), (*second, other_level) = _split(one), _split(other)
    if level != other_level:
        return True
    return any(a and b and a != b for a, b in zip(first, second, strict=True))


def _split(label: str) -> list[str]:
    parts = label.split(":", 3)
    return parts + [""] * (len(_PARTS) - len(parts))


def use_of(pod: Object, label: str, *, mounts_with_label: bool) -> Use:
    """Return how the pod, whose containers ask for `label`, uses a volume."""
    policy = meta.dig(pod, "spec", "securityContext", "seLinuxChangePolicy") or MOUNT_OPTION
    if policy == RECURSIVE or not mounts_with_label or not label:
        return Use(label="", policy=RECURSIVE)
    return Use(label=label, policy=policy)


class VolumeUses:
    """The volumes of all pods, and the conflicts there are."""

    def __init__(self) -> None:
        self._pods: dict[str, dict[str, Use]] = {}
        self._drivers: dict[str, str] = {}
        self._volumes: dict[str, set[str]] = {}
        """pod -> its volumes"""

    def add(self, pod: str, volume: Volume, use: Use) -> list[Conflict]:
        """Take note of a use; return the conflicts that were not there before, for both sides."""
        uses = self._pods.setdefault(volume.name, {})
        self._drivers.setdefault(volume.name, volume.csi_driver)
        self._volumes.setdefault(pod, set()).add(volume.name)
        if uses.get(pod) == use:
            return []
        uses[pod] = use
        return list(_conflicts(pod, use, uses))

    def drop(self, pod: str) -> None:
        for name in self._volumes.pop(pod, ()):
            uses = self._pods[name]
            del uses[pod]
            if not uses:
                del self._pods[name], self._drivers[name]

    def pods_of_driver(self, driver: str) -> list[str]:
        """Return the pods with volumes of a CSI driver."""
        return [pod for name, uses in self._pods.items() if self._drivers[name] == driver for pod in uses]

    def conflicts(self) -> set[Conflict]:
        """Return all conflicts there are now, each from both sides."""
        shared = (uses for uses in self._pods.values() if len(uses) > 1)
        return {c for uses in shared for pod, use in uses.items() for c in _conflicts(pod, use, uses)}


def _conflicts(pod: str, use: Use, uses: Mapping[str, Use]) -> Iterator[Conflict]:
    checks: Iterable[tuple[str, Callable[[Use], str], Callable[[str, str], bool]]] = (
        ("SELinuxChangePolicy", lambda one: one.policy, lambda a, b: a != b),
        ("SELinuxLabel", lambda one: one.label, labels_conflict),
    )
    for other_pod, other in uses.items():
        for name, value_of, differ in checks:
            mine, theirs = value_of(use), value_of(other)
            if other_pod != pod and differ(mine, theirs):
                yield Conflict(about=name, pod=pod, value=mine, other_pod=other_pod, other_value=theirs)
                yield Conflict(about=name, pod=other_pod, value=theirs, other_pod=pod, other_value=mine)
