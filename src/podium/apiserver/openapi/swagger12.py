"""The API described in Swagger 1.2, as upstream once served it at /swaggerapi. Pure.

An index lists what there is; below it is one declaration for each group and version. Types go by short names,
`v1.Pod`, and say less than OpenAPI: maps are objects, and of alternatives nothing is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from podium.apiserver.openapi.documents import by_path, consumes_of, parameters_of, produces_of
from podium.apiserver.openapi.operations import Operation
from podium.machinery.errors import Json, Object

_VERSION = "1.2"
_NO_INFO = {"title": "", "description": ""}
_PREFIX = "#/definitions/"


def index(names: Iterable[str]) -> Object:
    """Return the listing of the declarations called `names` (`api/v1`, `apis/apps/v1`, ...)."""
    apis = [{"path": f"/{name}", "description": _description(name)} for name in names]
    return {"swaggerVersion": _VERSION, "apis": apis, "apiVersion": "", "info": _NO_INFO}


def _description(name: str) -> str:
    if name == "version":
        return "the version of this server"
    whole = name.startswith("api/") or name.count("/") == 2
    return f"API at /{name}" if whole else "get information of a group"


def declaration(name: str, found: Sequence[Operation], definitions: Object, base: str) -> Object:
    """Return the declaration of one of them. `base` is where this server is."""
    version = name.rpartition("/")[2] if name.startswith("api/") or name.count("/") == 2 else ""
    return {
        "swaggerVersion": _VERSION,
        "apiVersion": version,
        "basePath": base,
        "resourcePath": f"/{name}",
        "info": _NO_INFO,
        "apis": [
            {
                "path": path.rstrip("/") or "/",
                "description": _description(name),
                "operations": [_operation(one) for one in operations],
            }
            for path, operations in by_path(found).items()
        ],
        "models": {short(full): _model(full, definition) for full, definition in definitions.items()},
    }


def short(name: str) -> str:
    """Return the last two parts of a definition's name, which is how types were called."""
    return ".".join(name.rsplit(".", 2)[-2:])


def _operation(operation: Operation) -> Object:
    answer = short(operation.answer) if operation.answer else "string"
    parameters = [
        {
            "type": one.type,
            "paramType": "path" if one.placed else "query",
            "name": one.name,
            "description": one.description,
            "required": one.placed,
            "allowMultiple": False,
        }
        for one in parameters_of(operation)
    ]
    if operation.body:
        parameters.append(
            {
                "type": short(operation.body),
                "paramType": "body",
                "name": "body",
                "description": "",
                "required": operation.body_required,
                "allowMultiple": False,
            }
        )
    return {
        "type": answer,
        "method": operation.method.upper(),
        "summary": operation.description,
        "nickname": operation.id,
        "parameters": parameters,
        "responseMessages": [{"code": 200, "message": "OK", "responseModel": answer}],
        "produces": list(produces_of(operation)),
        "consumes": list(consumes_of(operation)),
    }


def _model(name: str, definition: Object) -> Object:
    made: Object = {"id": short(name)}
    for key in ("description", "required"):
        if key in definition:
            made[key] = definition[key]
    properties: Mapping[str, Object] = definition.get("properties") or {}
    return {**made, "properties": {field: _property(schema) for field, schema in properties.items()}}


def _property(schema: Object) -> Object:
    made = _typed(schema)
    if "description" in schema:
        made["description"] = schema["description"]
    return made


def _typed(schema: Json) -> Object:
    reference = schema.get("$ref")
    if isinstance(reference, str):
        return {"$ref": short(reference.removeprefix(_PREFIX))}
    kind = schema.get("type") or "object"
    made: Object = {"type": kind if isinstance(kind, str) else "object"}
    if "format" in schema:
        made["format"] = schema["format"]
    if made["type"] == "array":
        made["items"] = _typed(schema.get("items") or {})
    return made
