"""Configuration files of the API server: objects with an apiVersion and a kind, read strictly.

What a file may contain is declared as nested dictionaries, from which come upstream's words for what is
wrong with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from podium.machinery.codec import json, yaml
from podium.machinery.decode import DecodeError, decoder
from podium.machinery.errors import Object
from podium.machinery.shape import Field, Kind, Shape

Declared = Any
"""`"string"` and other kinds of shapes, `[element]`, or `{field: declared}`."""


def shape_of(name: str, declared: Declared) -> Shape:
    """Return the shape of what is declared; `name` is the type's in messages, `v1.Policy`."""
    if isinstance(declared, dict):
        fields = {
            key: Field(name=key, shape=shape_of(_named(key), part), pointer=True, always=False)
            for key, part in declared.items()
        }
        return Shape(kind="struct", go_type=name, lazy_fields=lambda: fields)
    if isinstance(declared, list):
        element = shape_of(name, declared[0])
        return Shape(kind="list", go_type=f"[]{element.go_type}", element=element)
    kind: Kind = declared
    return Shape(kind=kind, go_type=kind)


def _named(key: str) -> str:
    return key[:1].upper() + key[1:]


def decode(data: bytes, kind: str, declared: Mapping[str, Declared], api_versions: Sequence[str]) -> Object:
    """Return the object in a YAML or JSON text, `{}` for an empty one. Raises ValueError."""
    if not data:
        return {}
    value = yaml.decode(data)
    if not isinstance(value, dict):
        raise ValueError(f"couldn't get version/kind; json parse error: not an object: {json.summary(data)}")
    if problem := json.type_meta_problem(value):
        raise ValueError(problem)
    found_kind, found_version = value.get("kind"), value.get("apiVersion")
    shown = data.decode(errors="replace")
    if not found_kind:
        raise ValueError(f"Object 'Kind' is missing in '{shown}'")
    if not found_version:
        raise ValueError(f"Object 'apiVersion' is missing in '{shown}'")
    if found_kind != kind or found_version not in api_versions:
        raise ValueError(f'no kind "{found_kind}" is registered for version "{found_version}"')
    version = found_version.rpartition("/")[2]
    whole = {"apiVersion": "string", "kind": "string", **declared}
    duplicated = yaml.duplicates(data)
    try:
        unknown = decoder(shape_of(f"{version}.{kind}", whole))(value)
    except DecodeError as error:
        raise ValueError(str(error)) from None
    wrong = [*duplicated, *(f'unknown field "{path}"' for path in unknown)]
    if wrong:
        raise ValueError(json.strict_error(wrong))
    return value
