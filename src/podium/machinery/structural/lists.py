"""Lists that are sets or maps hold nothing twice."""

from __future__ import annotations

import orjson

from podium.machinery.errors import FieldError, Json, Object
from podium.machinery.golang import as_map
from podium.machinery.structural.pruning import joined
from podium.machinery.structural.values import ABSENT, correlated, key_of, same


def list_errors(value: Json, schema: Json, path: str, old: Json = ABSENT) -> list[FieldError]:
    """Return what occurs twice in the sets and maps below a value; unchanged lists are not looked at."""
    if not isinstance(schema, dict) or (old is not ABSENT and same(old, value)):
        return []
    if isinstance(value, list):
        return _own_errors(value, schema, path) + _errors_inside(value, schema, path, old)
    errors: list[FieldError] = []
    if isinstance(value, dict):
        properties, others = schema.get("properties") or {}, schema.get("additionalProperties")
        before = old if isinstance(old, dict) else {}
        for key, part in value.items():
            inner = properties.get(key, others)
            errors += list_errors(part, inner, joined(path, key), before.get(key, ABSENT))
    return errors


def _errors_inside(values: list[Json], schema: Object, path: str, old: Json) -> list[FieldError]:
    items = schema.get("items")
    if not isinstance(items, dict) or items.get("type") not in ("array", "object"):
        return []
    before = correlated(schema, old)
    errors: list[FieldError] = []
    for index, item in enumerate(values):
        earlier = before.get(key_of(schema, item), ABSENT) if before else ABSENT
        errors += list_errors(item, items, f"{path}[{index}]", earlier)
    return errors


def _own_errors(values: list[Json], schema: Object, path: str) -> list[FieldError]:
    type = schema.get("x-kubernetes-list-type")
    if type == "set":
        return _repeated(values, [_text(value) for value in values], values, path)
    if type != "map":
        return []
    for index, item in enumerate(values):
        if item is not None and not isinstance(item, dict):
            detail = "must be an object for an array of list-type map"
            return [FieldError.invalid(f"{path}[{index}]", as_map(item), detail)]
    names = schema.get("x-kubernetes-list-map-keys") or ()
    shown: list[Json] = []
    for item in values:
        keys = {name: item[name] for name in sorted(names) if name in item} if isinstance(item, dict) else {}
        shown.append(keys)
    return _repeated(values, [_text(keys) for keys in shown], shown, path)


def _repeated(values: list[Json], texts: list[bytes], shown: list[Json], path: str) -> list[FieldError]:
    seen: dict[bytes, bool] = {}
    errors = []
    for index in range(len(values)):
        text = texts[index]
        if text not in seen:
            seen[text] = False
        elif not seen[text]:
            # Each is reported once, at its second place.
            seen[text] = True
            errors.append(FieldError.duplicate(f"{path}[{index}]", as_map(shown[index])))
    return errors


def _text(value: Json) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
