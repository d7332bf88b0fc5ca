"""Merging an apply configuration into an object without owners: what mutating admission policies do.

Lists are merged by their keys, sets are united, and fields that the configuration leaves out stay. Nobody
comes to own anything. Upstream: apiserver/pkg/admission/plugin/policy/mutating/patch/smd.go.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime

from podium.machinery.errors import ApiError, Json, Object
from podium.machinery.managed_fields import shape_of
from podium.machinery.patch import apply as server_side
from podium.machinery.schema import Schema
from podium.machinery.shape import Shape

_HEAD = re.compile(r"^failed to create typed patch object \(.*?\): ")
"""What an applier is told besides."""
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


def merge(obj: Object, config: Object, schema: Schema) -> Object:
    """Return `obj` with `config` merged into it; both stay as they are.

    Raises ValueError for a configuration that does not fit the schema, or that has part of something that can
    only be set as a whole, which would lose the rest of it.
    """
    atomics = list(_atomics(config, shape_of(schema), ""))
    if atomics:
        found = ", ".join(atomics)
        raise ValueError(
            f"invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: {found}"
        )
    metadata: Object = obj.get("metadata") or {}
    bare = {**obj, "metadata": {key: value for key, value in metadata.items() if key != "managedFields"}}
    kind, api_version = obj.get("kind") or "", obj.get("apiVersion") or ""
    try:
        merged = server_side.apply(
            bare,
            {**config, "kind": kind, "apiVersion": api_version},
            manager="policy",
            force=True,
            api_version=api_version,
            kind=kind,
            now=_NEVER,
            schema=schema,
        )
    except ApiError as error:
        why = _HEAD.sub("", error.message)
        raise ValueError(f"failed to convert patch object to typed object: {why}") from None
    result: Object = dict(merged.get("metadata") or {})
    result.pop("managedFields", None)
    if "managedFields" in metadata:
        result["managedFields"] = metadata["managedFields"]
    return {**merged, "metadata": result}


def _atomics(value: Json, shape: Shape, path: str) -> Iterator[str]:
    """Yield the paths of atomic containers in a configuration."""
    if isinstance(value, dict) and shape.kind in ("struct", "map"):
        if shape.atomic:
            yield path
        for key, part in value.items():
            if shape.kind == "map":
                inner, atomic = shape.element, False
            else:
                field = shape.fields.get(key)
                if field is None:
                    continue
                inner, atomic = field.shape, field.atomic
            here = f"{path}.{key}"
            if atomic and isinstance(part, dict | list) and inner is not None and not _says_so(inner):
                yield here
            if inner is not None:
                yield from _atomics(part, inner, here)
    elif isinstance(value, list) and shape.kind == "list":
        if _says_so(shape):
            yield path
        for index, item in enumerate(value):
            if shape.element is not None:
                yield from _atomics(item, shape.element, f"{path}[{index}]")


def _says_so(shape: Shape) -> bool:
    return shape.atomic or (shape.kind == "list" and shape.list_type == "atomic")
