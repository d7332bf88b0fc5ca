"""The pods that an object makes: whatever its kind, checks of pods see the same. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from podium.audit_report.finding import Path
from podium.machinery.errors import Object
from podium.machinery.meta import split_api_version

TEMPLATES: dict[str, Path] = {
    "Pod": (),
    "PodTemplate": ("template",),
    "Deployment": ("spec", "template"),
    "ReplicaSet": ("spec", "template"),
    "ReplicationController": ("spec", "template"),
    "StatefulSet": ("spec", "template"),
    "DaemonSet": ("spec", "template"),
    "Job": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
}
"""Where each kind has its pod template; a Pod is its own."""
_GROUPS = frozenset({"", "apps", "batch", "extensions"})
"""Whose kinds they are. Others have kinds of these names too."""
ENDING = ("Job", "CronJob")
"""Kinds whose pods come to an end: nobody waits for them to become ready."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """One container of a pod, and where it stands."""

    path: Path
    spec: Object
    init: bool = False
    """It runs before the others, and is gone when they run."""

    @property
    def name(self) -> str:
        return str(self.spec.get("name") or "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """An object that makes pods, or is one."""

    kind: str
    namespace: str
    metadata: Object
    """The object's own, whose labels and annotations are asked for."""
    template: Object
    path: Path
    """Of the template."""

    @property
    def spec(self) -> Object:
        return as_object(self.template.get("spec"))

    @property
    def spec_path(self) -> Path:
        return (*self.path, "spec")

    @property
    def ends(self) -> bool:
        return self.kind in ENDING or self.spec.get("restartPolicy") in ("Never", "OnFailure")

    def containers(self) -> Iterator[Container]:
        """Yield all containers, init containers among them."""
        for field in ("initContainers", "containers", "ephemeralContainers"):
            for index, one in enumerate(as_list(self.spec.get(field))):
                if isinstance(one, dict):
                    init = field == "initContainers" and one.get("restartPolicy") != "Always"
                    yield Container(path=(*self.spec_path, field, index), spec=one, init=init)


def workload_of(obj: Object) -> Workload | None:
    """Return the workload that an object is; None for other objects."""
    kind = str(obj.get("kind") or "")
    path = TEMPLATES.get(kind)
    if path is None or split_api_version(str(obj.get("apiVersion") or ""))[0] not in _GROUPS:
        return None
    template = obj
    for step in path:
        template = as_object(template.get(str(step)))
    metadata = as_object(obj.get("metadata"))
    return Workload(
        kind=kind,
        namespace=str(metadata.get("namespace") or "default"),
        metadata=metadata,
        template=template,
        path=path,
    )


def as_object(value: object) -> Object:
    """Return a value if it is an object, else an empty one: manifests may hold anything."""
    return value if isinstance(value, dict) else {}


def as_list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def texts(value: object) -> list[str]:
    """Return the strings of a list."""
    return [one for one in as_list(value) if isinstance(one, str)]
