"""From a current resource to an older version of it: what stays, what starts anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from podium.machinery.derived import Package
from podium.machinery.errors import FieldError, Object
from podium.machinery.meta import deep_copy
from podium.machinery.resource import Resource
from podium.resources.printing import of_stored

Conversion = Callable[[Object], Object]
Release = tuple[int, int]


def same(obj: Object) -> Object:
    """Convert between versions that differ in nothing but their name."""
    return dict(obj)


def older(
    resource: Resource,
    package: Package,
    *,
    deprecated: Release,
    removed: Release,
    replacement: str | None = "",
    to_storage: Conversion = same,
    from_storage: Conversion = same,
    **changes: Any,
) -> Resource:
    """Return the version of `resource` that `package` describes, with further `changes` to its fields.

    `deprecated` and `removed` are the releases that the warning names, and `replacement` what it recommends:
    the current version unless given, nothing for None. The conversions are to and from the version of
    `resource`, which may itself be kept as another one.
    """
    storage = resource.storage or resource
    if replacement == "":
        replacement = f"{resource.api_version} {resource.kind}"
    way_in, way_out = _chained(to_storage, resource.to_storage), _chained(resource.from_storage, from_storage)
    if storage is resource:
        way_in, way_out = to_storage, from_storage
    columns = resource.columns if to_storage is same else of_stored(resource.columns, to_storage)
    found: dict[str, Any] = {
        "group": package.group,
        "version": package.version,
        "schema": package.definition(resource.kind),
        "legacy": True,
        "storage": storage,
        "to_storage": way_in,
        "from_storage": way_out,
        "columns": columns,
        "deprecation": deprecation(
            f"{package.group}/{package.version}", resource.kind, deprecated, removed, replacement
        ),
        # What is wrong with an object is for the version in which it is stored to say.
        "validate": _no_errors,
        "validate_update": _no_errors_on_update,
        "validate_status_update": _no_errors_on_update,
        "validate_subresources": {},
    }
    return replace(resource, **(found | changes))


def _chained(first: Conversion, second: Conversion) -> Conversion:
    return lambda obj: second(first(obj))


def _no_errors(_obj: Object) -> list[FieldError]:
    return []


def _no_errors_on_update(_new: Object, _old: Object) -> list[FieldError]:
    return []


def deprecation(
    api_version: str, kind: str, deprecated: Release, removed: Release, replacement: str | None
) -> str:
    """Return the warning that goes with a version that upstream has removed."""
    text = f"{api_version} {kind} is deprecated in v{_dotted(deprecated)}+"
    text += f", unavailable in v{_dotted(removed)}+"
    return f"{text}; use {replacement}" if replacement else text


def _dotted(release: Release) -> str:
    return ".".join(str(part) for part in release)


def tolerating(*texts: str, at: str) -> Callable[[FieldError], bool]:
    """Return what tolerates errors at the field `at` that say any of `texts`."""
    return lambda error: error.field == at and any(text in error.message for text in texts)


SELECTOR_MAY_CHANGE = tolerating("field is immutable", at="spec.selector")


def copied(obj: Object, *parts: str) -> Object:
    """Return a copy of `obj` whose `parts` are deep copies, the caller's to change."""
    result = dict(obj)
    for part in parts:
        if part in result:
            result[part] = deep_copy(result[part])
    return result


def annotate(obj: Object, key: str, value: str | None) -> None:
    """Set an annotation, or remove it for None, in an object whose metadata is the caller's to change."""
    metadata = obj["metadata"]
    annotations = dict(metadata.get("annotations") or {})
    if value is None:
        annotations.pop(key, None)
    else:
        annotations[key] = value
    if annotations:
        metadata["annotations"] = annotations
    else:
        metadata.pop("annotations", None)


def annotation(obj: Object, key: str) -> str | None:
    found: str | None = ((obj.get("metadata") or {}).get("annotations") or {}).get(key)
    return found
