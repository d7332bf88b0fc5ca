"""JSON Merge Patch (RFC 7386)."""

from __future__ import annotations

from podium.machinery.errors import BadRequest, Json, Object
from podium.machinery.golang import found_kind


def apply(obj: Object, patch: Json) -> Object:
    """Return `obj` with `patch` merged in; both stay as they are, and unchanged parts are shared.

    Unlike the RFC, nulls go away inside lists, too, but for those that are elements.

    Raises BadRequest when the patch is no object.
    """
    if patch is None:
        raise BadRequest("Invalid JSON Patch")
    if not isinstance(patch, dict):
        raise BadRequest(
            f"error decoding patch: json: cannot unmarshal {found_kind(patch)} into Go value of type "
            "map[string]interface {}"
        )
    return _merged(obj, patch)


def _merged(target: Json, patch: Object) -> Object:
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            result[key] = _merged(result.get(key), value)
        elif isinstance(value, list):
            result[key] = _without_nulls(value)
        else:
            result[key] = value
    return result


def _without_nulls(value: Json) -> Json:
    """Return a value of the patch without members that are null: upstream's library takes them out."""
    if isinstance(value, dict):
        return {key: _without_nulls(part) for key, part in value.items() if part is not None}
    return [_without_nulls(part) for part in value] if isinstance(value, list) else value
