"""What a patch has made of an object, as upstream shows it when that does not decode."""

from __future__ import annotations

from podium.machinery.codec import json
from podium.machinery.errors import Json

_ESCAPED = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def shown(old: Json, new: Json, *, as_sent: bool) -> str:
    """Return `new` as JSON. What the patch has gone into is sorted by key; the rest is as it was in `old`.

    Values that are in the patch only are left as they were sent, if `as_sent`.
    """
    text = json.encode(_laid_out(old, new, as_sent)).decode()
    for char, escaped in _ESCAPED.items():
        text = text.replace(char, escaped)
    return text


def _laid_out(old: Json, new: Json, as_sent: bool) -> Json:
    if isinstance(new, dict):
        if new is old or (as_sent and not isinstance(old, dict)):
            return new
        before = old if isinstance(old, dict) else {}
        return {key: _laid_out(before.get(key), new[key], as_sent) for key in sorted(new)}
    if isinstance(new, list) and new is not old:
        parts = old if isinstance(old, list) else []
        known = {id(part): part for part in parts}
        return [
            _laid_out(known.get(id(part), parts[index] if index < len(parts) else None), part, as_sent)
            for index, part in enumerate(new)
        ]
    return new
