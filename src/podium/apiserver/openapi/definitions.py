"""The definitions that operations reach: built-in ones as published, custom ones from their schemas."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from podium.apiserver.openapi.defaults import add_defaults
from podium.apiserver.openapi.enums import add_enums
from podium.apiserver.openapi.operations import Operation
from podium.machinery.errors import Json, Object
from podium.machinery.resource import Resource
from podium.machinery.schema import Schemas

if TYPE_CHECKING:
    from podium.machinery.structural.schema import StructuralSchema

_LIST = "List"
_KINDS = "x-kubernetes-group-version-kind"
# What v3 can say of values that are of one type or another, and v2 cannot.
_V3: Mapping[str, Object] = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {"oneOf": [{"type": "string"}, {"type": "number"}]},
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": {
        "format": "int-or-string",
        "oneOf": [{"type": "integer"}, {"type": "string"}],
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Custom:
    """A version of a custom resource."""

    name: str
    """Of its definition."""
    schema: StructuralSchema
    resource: Resource


class Definitions:
    """Definitions by name. Each is a fresh value, the caller's own."""

    def __init__(self, schemas: Schemas, custom: Sequence[Custom]) -> None:
        self._schemas = schemas
        self._custom = {one.name: one for one in custom}

    def reached(self, found: Iterable[Operation], *, v3: bool = False) -> Object:
        """Return every definition that the operations reach, with v2's references.

        `v3` keeps what v2 cannot say of custom resources.
        """
        result: Object = {}
        waiting = [name for operation in found for name in (operation.body, operation.answer) if name]
        while waiting:
            name = waiting.pop()
            if name in result:
                continue
            definition = self._definition(name, v3)
            if definition is None:
                continue
            result[name] = definition
            waiting += _references(definition)
        return dict(sorted(result.items()))

    def reached_v3(self, found: Iterable[Operation], group_version: tuple[str, str]) -> Object:
        """Return them as v3 says it, but for where references lead: with defaults, and of the kinds that a
        definition stands for only those of the document's own group and version."""
        definitions = self.reached(found, v3=True)
        for name, definition in definitions.items():
            if name in _V3:
                definition.pop("type", None)
                definition.update(_V3[name])
            elif name not in self._custom and name.removesuffix(_LIST) not in self._custom:
                add_defaults(name, definition)
            kinds = definition.get(_KINDS) or ()
            if len(kinds) > 1:
                definition[_KINDS] = [
                    kind for kind in kinds if (kind["group"], kind["version"]) in (("", "v1"), group_version)
                ]
        return definitions

    def _definition(self, name: str, v3: bool) -> Object | None:
        custom = self._custom.get(name)
        if custom is not None:
            from podium.machinery.structural.published import published  # noqa: PLC0415

            return published(
                custom.schema.source,
                _kind(custom.resource),
                v3=v3,
                preserve=custom.schema.preserve,
                selectable=tuple(custom.resource.selectable),
            )
        item = self._custom.get(name.removesuffix(_LIST)) if name.endswith(_LIST) else None
        if item is not None:
            from podium.machinery.structural.published import published_list  # noqa: PLC0415

            return published_list(item.name, _kind(item.resource), selectable=tuple(item.resource.selectable))
        if name not in self._schemas:
            return None
        definition = self._schemas.definition(name)
        add_enums(name, definition)
        return definition


def _kind(resource: Resource) -> tuple[str, str, str, str]:
    return resource.group, resource.version, resource.kind, resource.list_kind


def _references(value: Json) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _references(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key == "$ref" and isinstance(item, str):
                yield item.removeprefix("#/definitions/")
            else:
                yield from _references(item)
