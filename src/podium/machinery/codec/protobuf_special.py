"""Messages whose JSON looks different: times, quantities, free-form JSON, and named lists."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from podium.machinery.errors import Json, Object

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Way = tuple[Callable[[Object], Json], Callable[[Json], Object]]


def _moment(message: Object) -> datetime | None:
    # An empty message is Go's zero time, which JSON writes as null.
    if not message:
        return None
    micros = message.get("nanos", 0) // 1000
    return _EPOCH + timedelta(seconds=message.get("seconds", 0), microseconds=micros)


def _time_to_json(message: Object) -> Json:
    moment = _moment(message)
    return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _micro_time_to_json(message: Object) -> Json:
    moment = _moment(message)
    return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _time_from_json(value: Json) -> Object:
    if value is None:
        return {}
    seconds = datetime.fromisoformat(value) - _EPOCH
    # Upstream sends whole seconds of a Time, whatever it was given.
    return {"seconds": seconds // timedelta(seconds=1), "nanos": 0}


def _micro_time_from_json(value: Json) -> Object:
    if value is None:
        return {}
    elapsed = datetime.fromisoformat(value) - _EPOCH
    seconds = elapsed // timedelta(seconds=1)
    return {"seconds": seconds, "nanos": (elapsed - timedelta(seconds=seconds)).microseconds * 1000}


def _int_or_string_to_json(message: Object) -> Json:
    return message.get("strVal", "") if message.get("type") == 1 else message.get("intVal", 0)


def _int_or_string_from_json(value: Json) -> Object:
    if isinstance(value, str):
        return {"type": 1, "intVal": 0, "strVal": value}
    return {"type": 0, "intVal": value or 0, "strVal": ""}


def _raw(field: str) -> Way:
    def to_json(message: Object) -> Json:
        raw = base64.b64decode(message.get(field, ""))
        return orjson.loads(raw) if raw else None

    def from_json(value: Json) -> Object:
        if value is None:
            return {}
        return {field: base64.b64encode(orjson.dumps(value)).decode()}

    return to_json, from_json


def _or_array_to_json(message: Object) -> Json:
    return message.get("jSONSchemas") or message.get("schema")


def _or_array_from_json(value: Json) -> Object:
    return {"jSONSchemas": value} if isinstance(value, list) else {"schema": value}


def _or_bool_to_json(message: Object) -> Json:
    return message["schema"] if "schema" in message else message.get("allows", False)


def _or_bool_from_json(value: Json) -> Object:
    return {"allows": value} if isinstance(value, bool) else {"allows": True, "schema": value}


def _or_strings_to_json(message: Object) -> Json:
    return message.get("property") or message.get("schema")


def _or_strings_from_json(value: Json) -> Object:
    return {"property": value} if isinstance(value, list) else {"schema": value}


def _items_to_json(message: Object) -> Json:
    return message.get("items", [])


def _items_from_json(value: Json) -> Object:
    return {"items": value or []}


def _text_to_json(message: Object) -> Json:
    return message.get("string", "")


def _text_from_json(value: Json) -> Any:
    return {"string": "0" if value is None else str(value)}


NAMED_LIST: Way = (_items_to_json, _items_from_json)

WAYS: dict[str, Way] = {
    "Time": (_time_to_json, _time_from_json),
    "MicroTime": (_micro_time_to_json, _micro_time_from_json),
    "Quantity": (_text_to_json, _text_from_json),
    "IntOrString": (_int_or_string_to_json, _int_or_string_from_json),
    "RawExtension": _raw("raw"),
    "JSON": _raw("raw"),
    "FieldsV1": _raw("Raw"),
    "JSONSchemaPropsOrArray": (_or_array_to_json, _or_array_from_json),
    "JSONSchemaPropsOrBool": (_or_bool_to_json, _or_bool_from_json),
    "JSONSchemaPropsOrStringArray": (_or_strings_to_json, _or_strings_from_json),
}
