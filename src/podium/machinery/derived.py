"""Definitions of API versions that the published schemas no longer have, derived from those that they have.

    INGRESS = Package(
        name="io.k8s.api.networking.v1beta1",
        group="networking.k8s.io",
        version="v1beta1",
        bases=("io.k8s.api.networking.v1",),
        changes={"IngressSpec": Change(renamed={"defaultBackend": "backend"})},
    )
    schemas = Schemas.load("1.36", (INGRESS,))
    schemas.compile("io.k8s.api.networking.v1beta1.Ingress")

An old version's definition is a newer one's with declared differences: what refers to the newer package then
refers to the old one. Whatever the published schemas do have is taken from there.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field

from podium.machinery.errors import Json, Object

_REF = "#/$defs/"
_GVK = "x-kubernetes-group-version-kind"
_FROM_NOTHING: Object = {"type": "object", "properties": {}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One definition as a difference to its base."""

    base: str | None = None
    """The base's full name where it is not the first of that name in the package's bases; "" for none."""
    renamed: Mapping[str, str] = field(default_factory=dict)
    """The base's name of a field -> this version's."""
    without: tuple[str, ...] = ()
    """Fields of the base that this version lacks."""
    fields: Mapping[str, Object] = field(default_factory=dict)
    """Further fields as the published schemas write them; see `ref`. One that the base has is replaced."""
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    """Required in the base, but not here."""
    unusual: str = ""
    """Entries as in the table of `machinery.wire_form`, by this version's names; the rest is the base's."""
    description: str = ""
    """For definitions that have no base."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """All definitions of one API version."""

    name: str
    """`io.k8s.api.extensions.v1beta1`."""
    group: str
    version: str
    bases: tuple[str, ...]
    """The packages that have what this one has too, the first that has a name first."""
    changes: Mapping[str, Change] = field(default_factory=dict)
    """By the definition's short name."""
    shared: frozenset[str] = frozenset()
    """Short names that are the base's even when something here refers to them."""

    def definition(self, kind: str) -> str:
        return f"{self.name}.{kind}"


def ref(name: str) -> Object:
    """Return the schema of a field that is a `name`, in full."""
    return {"$ref": _REF + name}


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What a derived definition was made of, for those who know more of its base."""

    base: str
    """The full name of the base, "" when there is none."""
    change: Change
    package: Package


class Derived:
    """The derived definitions of some packages."""

    def __init__(
        self, packages: Iterable[Package], known: Container[str], parse: Callable[[str], Object]
    ) -> None:
        """`known` and `parse` are the published definitions."""
        self._packages = {package.name: package for package in packages}
        self._known = known
        self._parse = parse

    def origin(self, name: str) -> Origin | None:
        """Return what `name` is to be derived from, None when it is none of the packages'."""
        prefix, _, short = name.rpartition(".")
        package = self._packages.get(prefix)
        if package is None or name in self._known or short in package.shared:
            return None
        change = package.changes.get(short)
        if change is not None and change.base is not None:
            return Origin(base=change.base, change=change, package=package)
        for base in package.bases:
            if f"{base}.{short}" in self._known:
                return Origin(base=f"{base}.{short}", change=change or _UNCHANGED, package=package)
        return None

    def make(self, name: str, origin: Origin) -> Object:
        """Return the definition as the published schemas would have it; the caller owns it."""
        change, package = origin.change, origin.package
        source = self._parse(origin.base) if origin.base else dict(_FROM_NOTHING)
        if change.description:
            source["description"] = change.description
        properties = {
            change.renamed.get(key, key): part
            for key, part in (source.get("properties") or {}).items()
            if key not in change.without
        }
        properties |= change.fields
        required = {change.renamed.get(key, key) for key in source.get("required") or ()}
        required = (required - {*change.optional, *change.without}) | {*change.required}
        source.pop("required", None)
        if required:
            source["required"] = sorted(required)
        if properties:
            source["properties"] = properties
        if _GVK in source:
            kind = name.rpartition(".")[2]
            source[_GVK] = [{"group": package.group, "kind": kind, "version": package.version}]
        made = self._referring_here(source, package)
        assert isinstance(made, dict)
        return made

    def _referring_here(self, value: Json, package: Package) -> Json:
        """Return a schema whose references to the base packages lead to `package`."""
        if isinstance(value, list):
            return [self._referring_here(part, package) for part in value]
        if not isinstance(value, dict):
            return value
        made = {key: self._referring_here(part, package) for key, part in value.items()}
        target = made.get("$ref")
        if isinstance(target, str):
            base, _, short = target.removeprefix(_REF).rpartition(".")
            own = package.definition(short)
            if base in package.bases and (own in self._known or self.origin(own) is not None):
                made["$ref"] = _REF + own
        return made


_UNCHANGED = Change()
