"""OpenAPI documents as protobuf, in the messages of gnostic (openapi.v2 and openapi.v3), for kubectl.

One table a message: the key in JSON, the field's number, and how its value is written. What has no field in
gnostic's messages is left out, as its parser does; extensions (`x-...`) go along as YAML, which JSON is.
Pure.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping

import orjson

from podium.machinery.codec.protobuf_wire import tag
from podium.machinery.errors import Json, Object

Write = Callable[[int, Json], bytes]
"""Return a field with its number, for a value in JSON."""
Table = Mapping[str, tuple[int, Write]]

_VARINT, _FIXED64, _BYTES = 0, 1, 2


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    made.append(value)
    return bytes(made)


def _field(number: int, content: bytes) -> bytes:
    return tag(number, _BYTES) + _varint(len(content)) + content


def _text(number: int, value: Json) -> bytes:
    return _field(number, str(value).encode())


def _truth(number: int, value: Json) -> bytes:
    return tag(number, _VARINT) + (b"\1" if value else b"\0")


def _integer(number: int, value: Json) -> bytes:
    return tag(number, _VARINT) + _varint(int(value))


def _double(number: int, value: Json) -> bytes:
    return tag(number, _FIXED64) + struct.pack("<d", float(value))


def _texts(number: int, value: Json) -> bytes:
    return b"".join(_text(number, one) for one in value)


def _any(number: int, value: Json) -> bytes:
    return _field(number, _text(2, orjson.dumps(value).decode()))


def _anys(number: int, value: Json) -> bytes:
    return b"".join(_any(number, one) for one in value)


def _one(write: Callable[[Json], bytes]) -> Write:
    return lambda number, value: _field(number, write(value))


def _each(write: Callable[[Json], bytes]) -> Write:
    return lambda number, value: b"".join(_field(number, write(one)) for one in value)


def _named(write: Callable[[Json], bytes], number: int = 1) -> Callable[[Json], bytes]:
    """Return what writes a mapping as the message that holds a list of names and values."""
    return lambda value: b"".join(
        _field(number, _text(1, name) + _field(2, write(one))) for name, one in value.items()
    )


def _message(table: Table, value: Object, extensions: int) -> bytes:
    parts = []
    for key, item in value.items():
        known = table.get(key)
        if known is not None:
            parts.append(known[1](known[0], item))
        elif extensions and key.startswith("x-"):
            parts.append(_field(extensions, _text(1, key) + _any(2, item)))
    return b"".join(parts)


def _string_array(value: Json) -> bytes:
    return _texts(1, value)


_security = _each(_named(_string_array))

# --- v2


def _v2_schema(value: Json) -> bytes:
    return _message(_V2_SCHEMA, value, 31)


def _v2_additional(value: Json) -> bytes:
    return _truth(2, value) if isinstance(value, bool) else _field(1, _v2_schema(value))


def _v2_items(value: Json) -> bytes:
    return b"".join(_field(1, _v2_schema(one)) for one in (value if isinstance(value, list) else [value]))


def _type(value: Json) -> bytes:
    return _texts(1, value if isinstance(value, list) else [value])


_V2_SCHEMA: Table = {
    "$ref": (1, _text),
    "format": (2, _text),
    "title": (3, _text),
    "description": (4, _text),
    "default": (5, _any),
    "multipleOf": (6, _double),
    "maximum": (7, _double),
    "exclusiveMaximum": (8, _truth),
    "minimum": (9, _double),
    "exclusiveMinimum": (10, _truth),
    "maxLength": (11, _integer),
    "minLength": (12, _integer),
    "pattern": (13, _text),
    "maxItems": (14, _integer),
    "minItems": (15, _integer),
    "uniqueItems": (16, _truth),
    "maxProperties": (17, _integer),
    "minProperties": (18, _integer),
    "required": (19, _texts),
    "enum": (20, _anys),
    "additionalProperties": (21, _one(_v2_additional)),
    "type": (22, _one(_type)),
    "items": (23, _one(_v2_items)),
    "allOf": (24, _each(_v2_schema)),
    "properties": (25, _one(_named(_v2_schema))),
    "example": (30, _any),
}
_V2_BODY: Table = {
    "description": (1, _text),
    "name": (2, _text),
    "in": (3, _text),
    "required": (4, _truth),
    "schema": (5, _one(_v2_schema)),
}
_V2_QUERY: Table = {
    "required": (1, _truth),
    "in": (2, _text),
    "description": (3, _text),
    "name": (4, _text),
    "type": (6, _text),
    "format": (7, _text),
    "default": (10, _any),
    "uniqueItems": (20, _truth),
}
_V2_PATH: Table = {
    "required": (1, _truth),
    "in": (2, _text),
    "description": (3, _text),
    "name": (4, _text),
    "type": (5, _text),
    "format": (6, _text),
    "default": (8, _any),
    "uniqueItems": (18, _truth),
}


def _v2_parameter(value: Json) -> bytes:
    match value.get("in"):
        case "body":
            return _field(1, _message(_V2_BODY, value, 6))
        case "path":
            return _field(2, _field(4, _message(_V2_PATH, value, 22)))
    return _field(2, _field(3, _message(_V2_QUERY, value, 23)))


def _v2_parameter_or_reference(value: Json) -> bytes:
    if "$ref" in value:
        return _field(2, _text(1, value["$ref"]))
    return _field(1, _v2_parameter(value))


def _v2_response(value: Json) -> bytes:
    made = _text(1, value.get("description", ""))
    if "schema" in value:
        made += _field(2, _field(1, _v2_schema(value["schema"])))
    return _field(1, made)


def _v2_operation(value: Json) -> bytes:
    return _message(_V2_OPERATION, value, 13)


_V2_OPERATION: Table = {
    "tags": (1, _texts),
    "summary": (2, _text),
    "description": (3, _text),
    "operationId": (5, _text),
    "produces": (6, _texts),
    "consumes": (7, _texts),
    "parameters": (8, _each(_v2_parameter_or_reference)),
    "responses": (9, _one(_named(_v2_response))),
    "schemes": (10, _texts),
    "deprecated": (11, _truth),
    "security": (12, _security),
}
_V2_PATH_ITEM: Table = {
    **{
        method: (number, _one(_v2_operation))
        for number, method in enumerate(("get", "put", "post", "delete", "options", "head", "patch"), 2)
    },
    "parameters": (9, _each(_v2_parameter_or_reference)),
}
_V2_INFO: Table = {"title": (1, _text), "version": (2, _text), "description": (3, _text)}
_V2_API_KEY: Table = {"type": (1, _text), "name": (2, _text), "in": (3, _text), "description": (4, _text)}
_V2_DOCUMENT: Table = {
    "swagger": (1, _text),
    "info": (2, _one(lambda value: _message(_V2_INFO, value, 7))),
    "schemes": (5, _texts),
    "consumes": (6, _texts),
    "produces": (7, _texts),
    "paths": (8, _one(_named(lambda value: _message(_V2_PATH_ITEM, value, 10), 2))),
    "definitions": (9, _one(_named(_v2_schema))),
    "parameters": (10, _one(_named(_v2_parameter))),
    "security": (12, _security),
    "securityDefinitions": (13, _one(_named(lambda value: _field(2, _message(_V2_API_KEY, value, 5))))),
}


def v2(document: Object) -> bytes:
    """Return a v2 document as an openapi.v2.Document."""
    return _message(_V2_DOCUMENT, document, 16)


# --- v3


def _v3_schema(value: Json) -> bytes:
    """Return a SchemaOrReference."""
    if "$ref" in value:
        return _field(2, _text(1, value["$ref"]))
    return _field(1, _v3_plain_schema(value))


def _v3_plain_schema(value: Json) -> bytes:
    return _message(_V3_SCHEMA, value, 36)


def _v3_default(number: int, value: Json) -> bytes:
    if isinstance(value, bool):
        return _field(number, _truth(2, value))
    if isinstance(value, int | float):
        return _field(number, _double(1, value))
    # Objects have no place in gnostic's message.
    return _field(number, _text(3, value)) if isinstance(value, str) else b""


def _v3_additional(value: Json) -> bytes:
    return _truth(2, value) if isinstance(value, bool) else _field(1, _v3_schema(value))


def _v3_items(value: Json) -> bytes:
    return b"".join(_field(1, _v3_schema(one)) for one in (value if isinstance(value, list) else [value]))


_V3_SCHEMA: Table = {
    "nullable": (1, _truth),
    "readOnly": (3, _truth),
    "writeOnly": (4, _truth),
    "example": (7, _any),
    "deprecated": (8, _truth),
    "title": (9, _text),
    "multipleOf": (10, _double),
    "maximum": (11, _double),
    "exclusiveMaximum": (12, _truth),
    "minimum": (13, _double),
    "exclusiveMinimum": (14, _truth),
    "maxLength": (15, _integer),
    "minLength": (16, _integer),
    "pattern": (17, _text),
    "maxItems": (18, _integer),
    "minItems": (19, _integer),
    "uniqueItems": (20, _truth),
    "maxProperties": (21, _integer),
    "minProperties": (22, _integer),
    "required": (23, _texts),
    "enum": (24, _anys),
    "type": (25, _text),
    "allOf": (26, _each(_v3_schema)),
    "oneOf": (27, _each(_v3_schema)),
    "anyOf": (28, _each(_v3_schema)),
    "not": (29, _one(_v3_plain_schema)),
    "items": (30, _one(_v3_items)),
    "properties": (31, _one(_named(_v3_schema))),
    "additionalProperties": (32, _one(_v3_additional)),
    "default": (33, _v3_default),
    "description": (34, _text),
    "format": (35, _text),
}
_V3_PARAMETER: Table = {
    "name": (1, _text),
    "in": (2, _text),
    "description": (3, _text),
    "required": (4, _truth),
    "schema": (10, _one(_v3_schema)),
}


def _v3_parameter(value: Json) -> bytes:
    return _field(1, _message(_V3_PARAMETER, value, 14))


def _v3_media(value: Json) -> bytes:
    return _field(1, _v3_schema(value["schema"])) if "schema" in value else b""


_v3_content = _one(_named(_v3_media))


def _v3_body(value: Json) -> bytes:
    table: Table = {"description": (1, _text), "content": (2, _v3_content), "required": (3, _truth)}
    return _field(1, _message(table, value, 4))


def _v3_response(value: Json) -> bytes:
    return _field(1, _message({"description": (1, _text), "content": (3, _v3_content)}, value, 5))


def _v3_operation(value: Json) -> bytes:
    return _message(_V3_OPERATION, value, 13)


_V3_OPERATION: Table = {
    "tags": (1, _texts),
    "summary": (2, _text),
    "description": (3, _text),
    "operationId": (5, _text),
    "parameters": (6, _each(_v3_parameter)),
    "requestBody": (7, _one(_v3_body)),
    "responses": (8, _one(_named(_v3_response, 2))),
    "deprecated": (10, _truth),
    "security": (11, _security),
}
_V3_PATH_ITEM: Table = {
    **{
        method: (number, _one(_v3_operation))
        for number, method in enumerate(("get", "put", "post", "delete", "options", "head", "patch"), 4)
    },
    "parameters": (13, _each(_v3_parameter)),
}
_V3_INFO: Table = {"title": (1, _text), "description": (2, _text), "version": (6, _text)}
_V3_API_KEY: Table = {"type": (1, _text), "description": (2, _text), "name": (3, _text), "in": (4, _text)}
_V3_COMPONENTS: Table = {
    "schemas": (1, _one(_named(_v3_schema))),
    "securitySchemes": (7, _one(_named(lambda value: _field(1, _message(_V3_API_KEY, value, 9))))),
}
_V3_DOCUMENT: Table = {
    "openapi": (1, _text),
    "info": (2, _one(lambda value: _message(_V3_INFO, value, 7))),
    "paths": (4, _one(_named(lambda value: _message(_V3_PATH_ITEM, value, 14)))),
    "components": (5, _one(lambda value: _message(_V3_COMPONENTS, value, 10))),
    "security": (6, _security),
}


def v3(document: Object) -> bytes:
    """Return a v3 document as an openapi.v3.Document."""
    return _message(_V3_DOCUMENT, document, 9)
