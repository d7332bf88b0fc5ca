"""The API's schemas: loaded from the published definitions, compiled kind by kind on first use.

    schemas = Schemas.load("1.36")
    pod = schemas.compile("io.k8s.api.core.v1.Pod")
    unknown = pod.decode(obj)      # prunes, normalises; raises DecodeError on a wrong type
    pod.complete(obj)              # what upstream writes even when empty: `status: {}`, ...

The definitions come from the package `kubernetes-validate`, whose file is mapped into memory and cut by
definition without being parsed; only the definitions that a compiled kind reaches are ever parsed. The
package itself is never imported, which would cost more than everything here.
"""

from __future__ import annotations

import importlib.util
import mmap
import re
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from pathlib import Path

import orjson

from podium.machinery import complete, decode
from podium.machinery.derived import Derived, Package
from podium.machinery.errors import Json, Object
from podium.machinery.shape import Field, Kind, Shape
from podium.machinery.wire_form import Unusual, derived_unusual, unusual

_PACKAGE = "kubernetes_validate"
_START = re.compile(rb'\n    "([^"]+)": (?=\{)')
_REF = "#/$defs/"
_META = "io.k8s.apimachinery.pkg.apis.meta.v1."

_SPECIAL: dict[str, tuple[Kind, str]] = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": ("quantity", "resource.Quantity"),
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": ("int-or-string", "intstr.IntOrString"),
    _META + "Time": ("time", "v1.Time"),
    _META + "MicroTime": ("micro-time", "v1.MicroTime"),
    _META + "FieldsV1": ("any", "v1.FieldsV1"),
    "io.k8s.apimachinery.pkg.runtime.RawExtension": ("any", "runtime.RawExtension"),
}
_JSON_SCHEMA = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps"
_OR_SCHEMA = frozenset(f"{_JSON_SCHEMA}Or{other}" for other in ("Array", "Bool", "StringArray"))
"""Where a definition of a custom resource may say either a schema or something else."""
_QUANTITY = next(iter(_SPECIAL))
# Swagger says what JSON schema's oneOf cannot say to its readers.
_PUBLISHED: dict[str, Object] = {
    _QUANTITY: {"type": "string"},
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": {"format": "int-or-string", "type": "string"},
}
# Keys of associative lists that upstream defaults, so that an applied element may leave them out.
_KEY_DEFAULTS = {"protocol": "TCP"}


def _key_defaults(keys: Iterable[str], element: Shape) -> Mapping[str, Json]:
    if element.go_type == "v1.LocalObjectReference":
        return {"name": ""}
    return {key: _KEY_DEFAULTS[key] for key in keys if key in _KEY_DEFAULTS}


class Schemas:
    """All definitions of one Kubernetes version."""

    def __init__(self, version: str, definitions: _Definitions, packages: Iterable[Package] = ()) -> None:
        self.version = version
        self._definitions = definitions
        self._derived = Derived(packages, definitions.spans, definitions.parse)
        self._shapes: dict[str, Shape] = {}
        self._compiled: dict[str, Schema] = {}

    @staticmethod
    def load(version: str = "1.36", packages: Iterable[Package] = ()) -> Schemas:
        """Return the schemas of a Kubernetes minor version, and of `packages` that it no longer has.

        Raises LookupError when there are none for the version.
        """
        return Schemas(version, _Definitions(_file(version)), packages)

    @staticmethod
    def versions() -> list[str]:
        """Return the minor versions there are schemas for, oldest first."""
        found = {match[1] for path in _folder().iterdir() if (match := _VERSION.fullmatch(path.name))}
        return sorted(found, key=lambda version: [int(part) for part in version.split(".")])

    def names(self) -> list[str]:
        """Return the names of all published definitions."""
        return sorted(self._definitions.spans)

    def __contains__(self, name: str) -> bool:
        return name in self._definitions.spans or self._derived.origin(name) is not None

    def definition(self, name: str) -> Object:
        """Return a definition as Kubernetes publishes it in OpenAPI v2; the caller owns it."""
        return _published(name, self._source(name))

    def _source(self, name: str) -> Object:
        origin = self._derived.origin(name)
        return self._definitions.parse(name) if origin is None else self._derived.make(name, origin)

    def _unusual(self, name: str) -> Mapping[str, Unusual]:
        origin = self._derived.origin(name)
        if origin is None:
            return unusual(name)
        change = origin.change
        return derived_unusual(
            origin.base, change.renamed, change.without, change.unusual, origin.package.version
        )

    def compile(self, name: str) -> Schema:
        """Return the schema of a definition. Raises LookupError for an unknown name."""
        schema = self._compiled.get(name)
        if schema is None:
            if name not in self:
                raise LookupError(f"no definition {name} in Kubernetes {self.version}")
            schema = self._compiled[name] = Schema(name, self._shape(name))
        return schema

    def _shape(self, name: str) -> Shape:
        shape = self._shapes.get(name)
        if shape is None:
            shape = self._shapes[name] = self._definition_shape(name)
        return shape

    def _definition_shape(self, name: str) -> Shape:
        if name in _SPECIAL:
            kind, go_type = _SPECIAL[name]
            # What is inside an extension is its owner's alone, as one value.
            return Shape(kind=kind, go_type=go_type, atomic=go_type == "runtime.RawExtension")
        if name in _OR_SCHEMA:
            return Shape(kind="any", go_type="v1.JSONSchemaProps", alternative=self._shape(_JSON_SCHEMA))
        source = self._source(name)
        go_type = ".".join(name.rsplit(".", 2)[-2:])
        if "properties" in source:
            return self._struct(source, go_type, self._unusual(name))
        if _type(source) == "object" and "additionalProperties" not in source:
            return Shape(kind="struct", go_type=go_type)
        return self._inline(source, go_type)

    def _struct(self, source: Object, go_type: str, odd: Mapping[str, Unusual]) -> Shape:
        def fields() -> dict[str, Field]:
            required = frozenset(source.get("required") or ())
            is_kind = "x-kubernetes-group-version-kind" in source
            return {
                name: self._field(name, part, name in required, is_kind, odd.get(name) or _AS_USUAL)
                for name, part in source["properties"].items()
            }

        return Shape(
            kind="struct",
            go_type=go_type,
            lazy_fields=fields,
            atomic=source.get("x-kubernetes-map-type") == "atomic",
            preserve_unknown=source.get("x-kubernetes-preserve-unknown-fields") is True,
        )

    def _field(self, name: str, source: Object, required: bool, is_kind: bool, odd: Unusual) -> Field:
        shape = self._inline(source, odd.go_type)
        pointer = shape.kind not in ("string", "bytes", "list", "map") and not required
        if shape.kind == "struct" and (name == "metadata" or (is_kind and name in ("spec", "status"))):
            pointer = False
        always = required
        if odd.pointer is not None:
            pointer = odd.pointer
        if odd.always is not None:
            always = odd.always
        strategy = source.get("x-kubernetes-patch-strategy") or ""
        return Field(
            name=name,
            shape=shape,
            pointer=pointer,
            always=always,
            omit_empty_struct=odd.omit_empty_struct,
            atomic=shape.atomic or source.get("x-kubernetes-map-type") == "atomic",
            merge_key=source.get("x-kubernetes-patch-merge-key") or "",
            strategies=frozenset(strategy.split(",")) if strategy else frozenset(),
        )

    def _inline(self, source: Object, go_type: str = "") -> Shape:
        """Return the shape of a schema that stands inside another. `go_type` overrides the derived name."""
        reference = source.get("$ref")
        if reference is not None:
            return self._shape(reference.removeprefix(_REF))
        if source.get("x-kubernetes-int-or-string"):
            return Shape(kind="int-or-string", go_type="intstr.IntOrString")
        match _type(source):
            case "string":
                if source.get("format") == "byte":
                    return Shape(kind="bytes", go_type=go_type or "[]uint8")
                return Shape(kind="string", go_type=go_type or "string")
            case "boolean":
                return Shape(kind="bool", go_type=go_type or "bool")
            case "integer":
                is_short = source.get("format") == "int32"
                return Shape(
                    kind="int32" if is_short else "int64",
                    go_type=go_type or ("int32" if is_short else "int64"),
                )
            case "number":
                return Shape(kind="number", go_type=go_type or "float64")
            case "array":
                return self._list(source, go_type)
            case "object":
                return self._object(source, go_type)
            case _:
                return Shape(kind="any", go_type=go_type or "interface {}")

    def _list(self, source: Object, go_type: str) -> Shape:
        element_type = go_type.removeprefix("[]") if go_type.startswith("[]") else ""
        element = self._inline(source.get("items") or {}, element_type)
        keys = tuple(source.get("x-kubernetes-list-map-keys") or ())
        list_type = source.get("x-kubernetes-list-type", "atomic")
        return Shape(
            kind="list",
            go_type=go_type or f"[]{element.go_type}",
            element=element,
            list_type=list_type,
            atomic=list_type == "atomic",
            map_keys=keys,
            key_defaults=_key_defaults(keys, element),
        )

    def _object(self, source: Object, go_type: str) -> Shape:
        atomic = source.get("x-kubernetes-map-type") == "atomic"
        values = source.get("additionalProperties")
        if isinstance(values, dict):
            prefix, _, rest = go_type.partition("]")
            element = self._inline(values, rest if prefix.startswith("map[") else "")
            own = go_type or f"map[string]{element.go_type}"
            return Shape(kind="map", go_type=own, element=element, atomic=atomic)
        if source.get("properties"):
            return self._struct(source, go_type or "struct", {})
        return Shape(kind="any", go_type=go_type or "map[string]interface {}", atomic=atomic)


_AS_USUAL = Unusual()


class Schema:
    """One kind, compiled. All methods work on plain objects in wire form."""

    def __init__(self, name: str, shape: Shape) -> None:
        self.name = name
        self.shape = shape

    def decode(self, obj: Object) -> list[str]:
        """Bring a decoded JSON object into the form that upstream reads from it, in place.

        Unknown fields go away, and their paths are returned in document order, as in upstream's strict
        decoding errors (`spec.containers[0].foo`). So do nulls, and zero values of fields that upstream
        leaves out when empty. Times, quantities and bytes get their canonical text.
        Raises `DecodeError` with upstream's message for the first value that does not fit.
        """
        return self._decoder(obj)

    def complete(self, obj: Object) -> None:
        """Leave out what is empty, and write what upstream writes even when empty, in place. Idempotent."""
        self._completer(obj)

    def seal(self, obj: Object) -> None:
        """`complete`, and write empty required lists and maps as null, as storage does upstream."""
        self._sealer(obj)

    def skeleton(self) -> Object:
        """Return the empty object of this kind, completed: what a creation is compared with."""
        obj: Object = {}
        self._completer(obj)
        return obj

    @cached_property
    def _decoder(self) -> Callable[[Json], list[str]]:
        return decode.decoder(self.shape)

    @cached_property
    def _completer(self) -> Callable[[Json], None]:
        return complete.completer(self.shape, seal=False)

    @cached_property
    def _sealer(self) -> Callable[[Json], None]:
        return complete.completer(self.shape, seal=True)


class _Definitions:
    """The file, cut into definitions but not parsed."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self.spans = {match[1].decode(): match.end() for match in _START.finditer(self._data)}
        self._whole: Object | None = None
        if not self.spans:
            # Not laid out as expected: parse it all, at the price of some megabytes.
            self._whole = orjson.loads(self._data[:])["$defs"]
            self.spans = dict.fromkeys(self._whole, 0)

    def parse(self, name: str) -> Object:
        if self._whole is not None:
            copy: Object = orjson.loads(orjson.dumps(self._whole[name]))
            return copy
        start = self.spans.get(name)
        if start is None:
            raise LookupError(f"no definition {name}")
        end = self._data.find(b"\n    }", start) + len(b"\n    }")
        definition: Object = orjson.loads(self._data[start:end])
        return definition


_VERSION = re.compile(r"v(\d+\.\d+)\.\d+-local")


def _folder() -> Path:
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise LookupError(f"the package {_PACKAGE} is not installed")
    return Path(spec.submodule_search_locations[0]) / "kubernetes-json-schema"


def _file(version: str) -> Path:
    path = _folder() / f"v{version}.0-local" / "_definitions.json"
    if not path.exists():
        raise LookupError(f"no schemas for Kubernetes {version}; there are {', '.join(Schemas.versions())}")
    return path


def _type(source: Object) -> str:
    """Return the JSON type; `[type, "null"]`, which the package writes for optional fields, is just type."""
    kind = source.get("type")
    return (kind[0] if isinstance(kind, list) else kind) or ""


def _published(name: str, source: Object) -> Object:
    """Undo what the package did to a definition."""
    if name in _PUBLISHED:
        return {**{key: value for key, value in source.items() if key != "oneOf"}, **_PUBLISHED[name]}
    if "x-kubernetes-group-version-kind" in source:
        for part in ("apiVersion", "kind"):
            (source.get("properties") or {}).get(part, {}).pop("enum", None)
    result = _plain(source)
    assert isinstance(result, dict)
    return result


def _plain(source: Json) -> Json:
    if isinstance(source, list):
        return [_plain(part) for part in source]
    if not isinstance(source, dict):
        return source
    result = {}
    for key, value in source.items():
        if key == "type" and isinstance(value, list):
            result[key] = value[0]
        elif key == "$ref" and isinstance(value, str):
            result[key] = value.replace(_REF, "#/definitions/")
        else:
            result[key] = _plain(value)
    return result
