"""What the plugins share: telling which writes concern them, and refusing in upstream's words."""

from __future__ import annotations

from collections.abc import Sequence

from podium.apiserver.chain import Attributes, Operation
from podium.machinery.errors import Forbidden, Object
from podium.machinery.resource import Resource
from podium.machinery.validation import path_segment_errors


def refused(attributes: Attributes, why: str, *, causes: Sequence[Object] = ()) -> Forbidden:
    """Return the 403 that says why this write is not admitted."""
    resource = attributes.resource
    error = Forbidden.to(resource.plural, resource.group, _name(attributes), why)
    if causes:
        error.details = {**(error.details or {}), "causes": list(causes)}
    return error


def unaskable(name: str) -> str:
    """Say why nothing of this name can be asked for by a path, as upstream's client says it; else nothing."""
    if not name:
        return "resource name may not be empty"
    faults = path_segment_errors(name)
    return f'invalid resource name "{name}": [{", ".join(faults)}]' if faults else ""


def _name(attributes: Attributes) -> str:
    """Return the object's name as far as it is known before one is generated."""
    metadata = (attributes.object or {}).get("metadata") or {}
    return attributes.name or metadata.get("name") or metadata.get("generateName") or "Unknown"


def concerns(
    attributes: Attributes, resource: Resource, *operations: Operation, subresource: str = ""
) -> Object | None:
    """Return the object of a write of `resource` by one of `operations`; None for every other write."""
    if attributes.resource.plural != resource.plural or attributes.resource.group != resource.group:
        return None
    if attributes.subresource != subresource or attributes.operation not in operations:
        return None
    return attributes.object


def spec_of(obj: Object) -> Object:
    """Return the object's spec, to be changed; validation, which comes later, may still find it missing."""
    spec = obj.get("spec")
    if not isinstance(spec, dict):
        spec = obj["spec"] = {}
    return spec
