"""What checks may know beside the object that they judge."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from podium.audit_report.workloads import as_object
from podium.machinery.errors import Object
from podium.resources.catalogue import BUILTIN


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The other objects, and what the command line says."""

    objects: Mapping[tuple[str, str, str], Object] = field(default_factory=dict)
    """By kind, namespace and name."""
    by_namespace: Mapping[tuple[str, str], Sequence[Object]] = field(default_factory=dict)
    """The objects of a kind that a namespace has."""
    registries: tuple[str, ...] = ()
    """Where images may come from; any registry where none is named."""
    release: tuple[int, int] = (1, 36)
    """The release of Kubernetes that objects are for."""
    system: bool = False
    """Kubernetes' own roles and bindings are judged as anybody's."""
    unseen: frozenset[str] = frozenset()
    """Kinds that could not be read: that there is none of them is not known."""

    def get(self, kind: str, namespace: str, name: str) -> Object | None:
        return self.objects.get((kind, namespace, name))

    def all(self, kind: str, namespace: str) -> Sequence[Object]:
        return self.by_namespace.get((kind, namespace), ())


def context_of(
    objects: Iterable[Object],
    *,
    registries: Iterable[str] = (),
    release: tuple[int, int] = (1, 36),
    system: bool = False,
    unseen: Iterable[str] = (),
) -> Context:
    """Return the context of a set of objects."""
    found: dict[tuple[str, str, str], Object] = {}
    homes: dict[tuple[str, str], list[Object]] = {}
    for obj in objects:
        kind, namespace, name = key_of(obj)
        found[kind, namespace, name] = obj
        homes.setdefault((kind, namespace), []).append(obj)
    return Context(
        objects=found,
        by_namespace=homes,
        registries=tuple(registries),
        release=release,
        system=system,
        unseen=frozenset(unseen),
    )


@cache
def scopes() -> Mapping[str, bool]:
    """Return of each built-in kind whether its objects are in namespaces."""
    return {resource.kind: resource.namespaced for resource in BUILTIN}


def key_of(obj: Object) -> tuple[str, str, str]:
    """Return kind, namespace and name; what names no namespace is in `default`, as kubectl puts it."""
    metadata = as_object(obj.get("metadata"))
    kind = str(obj.get("kind") or "")
    namespace = str(metadata.get("namespace") or "")
    namespaced = scopes().get(kind)
    if namespaced is not None:
        namespace = (namespace or "default") if namespaced else ""
    return kind, namespace, str(metadata.get("name") or metadata.get("generateName") or "")
