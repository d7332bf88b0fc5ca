"""The types that expressions give to the objects of a kind, read from the server's OpenAPI v3 documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from podium.client.client import Client
from podium.machinery.cel.types import Type, types_from_schema
from podium.machinery.errors import ApiError, Json

_PREFIX = "#/components/schemas/"
_ANYTHING = {"x-kubernetes-int-or-string": True}
"""A value of which nothing is known: what `types_from_schema` takes for dynamic."""

Gvk = tuple[str, str, str]


class Types:
    """Types and kinds as the server has them now: made for one question, and forgotten after it."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._documents: dict[str, Mapping[str, Json]] = {}
        self._kinds: dict[str, Mapping[str, str]] = {}

    async def kind(self, group: str, version: str, plural: str) -> Gvk | None:
        """Return the kind of a resource; None when the server does not serve it."""
        path = _path(group, version)
        if path not in self._kinds:
            listed = await self._get(f"/{path}")
            self._kinds[path] = {
                one["name"]: one["kind"] for one in (listed or {}).get("resources") or () if one.get("kind")
            }
        kind = self._kinds[path].get(plural)
        return None if kind is None else (group, version, kind)

    async def type(self, gvk: Gvk) -> Type | None:
        """Return the type of a kind; None when it has no schema."""
        group, version, kind = gvk
        path = _path(group, version)
        if path not in self._documents:
            document = await self._get(f"/openapi/v3/{path}")
            self._documents[path] = ((document or {}).get("components") or {}).get("schemas") or {}
        schemas = self._documents[path]
        wanted = {"group": group, "version": version, "kind": kind}
        for schema in schemas.values():
            if wanted in (schema.get("x-kubernetes-group-version-kind") or ()):
                return types_from_schema(resolved(schema, schemas), root=True, name=kind)
        return None

    async def _get(self, path: str) -> Any:
        try:
            return orjson.loads(await self._client.raw("GET", path))
        except ApiError as error:
            if error.code in (403, 404):
                return None
            raise


def _path(group: str, version: str) -> str:
    return f"apis/{group}/{version}" if group else f"api/{version}"


def resolved(schema: Mapping[str, Json], schemas: Mapping[str, Json]) -> dict[str, Json]:
    """Return a schema with what it refers to put in its place; what refers to itself is anything."""
    return _resolved(schema, schemas, frozenset())


def _resolved(
    schema: Mapping[str, Json], schemas: Mapping[str, Json], seen: frozenset[str]
) -> dict[str, Json]:
    reference = schema.get("$ref")
    every = schema.get("allOf")
    if reference is None and isinstance(every, list) and len(every) == 1:
        reference = every[0].get("$ref")
    if isinstance(reference, str):
        name = reference.removeprefix(_PREFIX)
        target = schemas.get(name)
        if name in seen or not isinstance(target, dict):
            return dict(_ANYTHING)
        return _resolved(target, schemas, seen | {name})
    if "type" not in schema and ("oneOf" in schema or "anyOf" in schema):
        return dict(_ANYTHING)
    made = dict(schema)
    if isinstance(schema.get("properties"), dict):
        made["properties"] = {
            key: _resolved(part, schemas, seen) for key, part in schema["properties"].items()
        }
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            made[key] = _resolved(schema[key], schemas, seen)
    return made
