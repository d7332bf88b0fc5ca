"""Formats in a definition's schemas that nobody checks: they mean nothing, and the author is told.

Upstream: apiextensions-apiserver/pkg/apiserver/validation/formats.go.
"""

from __future__ import annotations

from collections.abc import Iterator

from podium.machinery.errors import Json, Object
from podium.machinery.structural.formats import is_known
from podium.resources.checks import objects, spec_of
from podium.resources.defaulting import given

_MAPS = ("properties", "patternProperties", "definitions")
_LISTS = ("allOf", "oneOf", "anyOf")
_SINGLE = ("items", "additionalProperties", "not")


def warn_of_formats(new: Object, old: Object | None) -> list[str]:
    """Return a warning for each unknown format that the definition did not have before."""
    known = set(_unrecognized(old)) if old is not None else set()
    return [f'unrecognized format "{format}"' for format in _unrecognized(new) if format not in known]


def _unrecognized(definition: Object) -> list[str]:
    found: list[str] = []
    for version in objects(spec_of(definition).get("versions")):
        schema = given(given(version, "schema") or {}, "openAPIV3Schema")
        found += [format for format in _formats(schema) if format not in found]
    return found


def _formats(schema: Json) -> Iterator[str]:
    if not isinstance(schema, dict):
        return
    format = schema.get("format")
    if format and not is_known(str(format), str(schema.get("type") or "")):
        yield str(format)
    for name in _SINGLE:
        yield from _formats(schema.get(name))
    for name in _LISTS:
        for part in schema.get(name) or ():
            yield from _formats(part)
    for name in _MAPS:
        for key in sorted(schema.get(name) or {}):
            yield from _formats(schema[name][key])
