"""Operations and definitions as documents of OpenAPI v2 and v3. Pure.

Parameters that all operations of a path share stand with the path, as upstream's builder has them; in v2
those that many paths share are written once and referred to.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping, Sequence

import orjson

from podium.apiserver.openapi.operations import MEDIA, PATCH, Operation
from podium.apiserver.openapi.parameters import PRETTY, Parameter, placed
from podium.machinery.errors import Json, Object

_PATCHES = (
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
)
_WATCHES = ("application/json;stream=watch", "application/vnd.kubernetes.protobuf;stream=watch")
_CUSTOM_MEDIA = ("application/json", "application/yaml")
_TEXTS = {"200": "OK", "201": "Created", "202": "Accepted"}
_UNAUTHORIZED: Mapping[str, Object] = {"401": {"description": "Unauthorized"}}
_BEARER = {
    "BearerToken": {
        "type": "apiKey",
        "description": "Bearer Token authentication",
        "name": "authorization",
        "in": "header",
    }
}
_UNSHARED = ("name", "fieldValidation", "dryRun")
"""kubectl looks for the last two at the operations; names are of one kind each."""


def v2(found: Iterable[Operation], definitions: Object, version: str) -> Object:
    paths: Object = {}
    for path, operations in by_path(found).items():
        common, own = _split(operations)
        item: Object = {operation.method: _v2_operation(operation, own) for operation in operations}
        if common:
            item["parameters"] = [_v2_parameter(one) for one in common]
        paths[path] = item
    return {
        "swagger": "2.0",
        "info": _info(version),
        "paths": paths,
        "definitions": definitions,
        "securityDefinitions": _BEARER,
        "security": [{"BearerToken": []}],
    }


def v3(found: Iterable[Operation], definitions: Object, version: str) -> Object:
    paths: Object = {}
    for path, operations in by_path(found).items():
        common, own = _split(operations)
        item: Object = {operation.method: _v3_operation(operation, own) for operation in operations}
        if common:
            item["parameters"] = [_v3_parameter(one) for one in common]
        paths[path] = item
    schemas = {name: v3_schema(definition) for name, definition in definitions.items()}
    return {
        "openapi": "3.0.0",
        "info": _info(version),
        "paths": paths,
        "components": {**({"schemas": schemas} if schemas else {}), "securitySchemes": _BEARER},
    }


def _info(version: str) -> Object:
    return {"title": "Kubernetes", "version": f"v{version}"}


def by_path(found: Iterable[Operation]) -> dict[str, list[Operation]]:
    by_path: dict[str, list[Operation]] = {}
    for operation in found:
        by_path.setdefault(operation.path, []).append(operation)
    return by_path


def _split(operations: Sequence[Operation]) -> tuple[list[Parameter], frozenset[Parameter]]:
    """Return the parameters that all the operations of one path have, sorted; and the others."""
    sets = [frozenset(parameters_of(operation)) for operation in operations]
    common = frozenset.intersection(*sets)
    return _sorted(common), frozenset().union(*sets) - common


def parameters_of(operation: Operation) -> list[Parameter]:
    """Return all parameters but the body, those in the path first."""
    kind = operation.named or (operation.kind or ("", "", ""))[2]
    parts = [part[1:-1] for part in operation.path.split("/") if part.startswith("{")]
    found = [placed(part, kind) for part in parts]
    return [*found, *operation.parameters, *([PRETTY] if operation.pretty else [])]


def _sorted(parameters: Iterable[Parameter]) -> list[Parameter]:
    return sorted(parameters, key=lambda one: (one.name, not one.placed))


def _tag(path: str) -> str:
    """Return what client generators group an operation by: `core_v1`, `rbacAuthorization_v1`, ..."""
    head, *rest = path.strip("/").split("/")
    if head not in ("api", "apis"):
        return "WellKnown" if head == ".well-known" else head
    if head == "api":
        return "_".join(["core", *rest[:1]])
    if not rest:
        return head
    first, *others = rest[0].removesuffix(".k8s.io").split(".")
    return "_".join([first + "".join(part.capitalize() for part in others), *rest[1:2]])


def _common(operation: Operation) -> Object:
    common: Object = {"tags": [_tag(operation.path)], "operationId": operation.id}
    if operation.description:
        common["description"] = operation.description
    if operation.action:
        common["x-kubernetes-action"] = operation.action
    if operation.kind is not None:
        group, version, kind = operation.kind
        common["x-kubernetes-group-version-kind"] = {"group": group, "version": version, "kind": kind}
    return common


def consumes_of(operation: Operation) -> Sequence[str]:
    if operation.consumes is not None:
        return operation.consumes
    if operation.body == PATCH:
        return [one for one in _PATCHES if not (operation.custom and "strategic" in one)]
    return _CUSTOM_MEDIA if operation.custom else ("*/*",)


def produces_of(operation: Operation) -> Sequence[str]:
    if operation.produces is not None:
        return operation.produces
    if operation.custom:
        return _CUSTOM_MEDIA
    return (*MEDIA, *_WATCHES) if operation.streams else MEDIA


# --- v2


def _v2_parameter(one: Parameter) -> Object:
    made: Object = {"name": one.name, "in": "path" if one.placed else "query"}
    if one.description:
        made["description"] = one.description
    if one.placed:
        made["required"] = True
    return {**made, "type": one.type, "uniqueItems": True}


def _v2_operation(operation: Operation, own: frozenset[Parameter]) -> Object:
    made = _common(operation)
    if consumes := consumes_of(operation):
        made["consumes"] = list(consumes)
    made["produces"] = list(produces_of(operation))
    made["schemes"] = ["https"]
    parameters: list[Object] = []
    if operation.body:
        body: Object = {"name": "body", "in": "body"}
        if operation.body_required:
            body["required"] = True
        parameters.append({**body, "schema": {"$ref": f"#/definitions/{operation.body}"}})
    parameters += [_v2_parameter(one) for one in _sorted(own & {*parameters_of(operation)})]
    if parameters:
        made["parameters"] = parameters
    schema: Object = {"type": "string"}
    if operation.answer:
        schema = {"$ref": f"#/definitions/{operation.answer}"}
    answers = {code: {"description": _TEXTS[code], "schema": schema} for code in operation.codes}
    made["responses"] = {**answers, **_UNAUTHORIZED}
    return made


def share_parameters(document: Object) -> None:
    """Write a v2 document's parameters once each, in place, and refer to them."""
    shared: dict[str, Object] = {}

    def referring(parameters: list[Object]) -> list[Object]:
        return [_reference(one, shared) for one in parameters]

    for item in document["paths"].values():
        for part in (item, *(value for key, value in item.items() if key != "parameters")):
            if "parameters" in part:
                part["parameters"] = referring(part["parameters"])
    document["parameters"] = dict(sorted(shared.items()))


def _reference(parameter: Object, shared: dict[str, Object]) -> Object:
    name = parameter.get("name")
    if "$ref" in parameter or name in _UNSHARED:
        return parameter
    if name == "body":
        schema = str((parameter.get("schema") or {}).get("$ref"))
        if not schema.startswith("#/definitions/io.k8s.apimachinery"):
            return parameter
    digest = hashlib.sha256(orjson.dumps(parameter)).digest()[:6]
    key = f"{name}-{urlsafe_b64encode(digest).decode()}"
    shared[key] = parameter
    return {"$ref": f"#/parameters/{key}"}


# --- v3


def _v3_parameter(one: Parameter) -> Object:
    made: Object = {"name": one.name, "in": "path" if one.placed else "query"}
    if one.description:
        made["description"] = one.description
    if one.placed:
        made["required"] = True
    return {**made, "schema": {"type": one.type, "uniqueItems": True}}


def _v3_operation(operation: Operation, own: frozenset[Parameter]) -> Object:
    made = _common(operation)
    parameters = [_v3_parameter(one) for one in _sorted(own & {*parameters_of(operation)})]
    if parameters:
        made["parameters"] = parameters
    if operation.body:
        reference = {"schema": {"$ref": f"#/components/schemas/{operation.body}"}}
        made["requestBody"] = {"content": dict.fromkeys(consumes_of(operation), reference)}
        if operation.body_required:
            made["requestBody"]["required"] = True
    schema: Object = {"type": "string"}
    if operation.answer:
        schema = {"$ref": f"#/components/schemas/{operation.answer}"}
    content = {media: {"schema": schema} for media in produces_of(operation)}
    answers = {code: {"description": _TEXTS[code], "content": content} for code in operation.codes}
    made["responses"] = {**answers, **_UNAUTHORIZED}
    return made


def v3_schema(value: Json) -> Json:
    """Return a definition of v2 as v3 says it: references elsewhere, and alone in their object."""
    if isinstance(value, list):
        return [v3_schema(item) for item in value]
    if not isinstance(value, dict):
        return value
    made = {key: v3_schema(item) for key, item in value.items()}
    reference = made.get("$ref")
    if isinstance(reference, str):
        made["$ref"] = reference = reference.replace("#/definitions/", "#/components/schemas/")
        if len(made) > 1:
            del made["$ref"]
            made["allOf"] = [{"$ref": reference}]
    return made


def v3_of_v2(document: Object, version: str) -> Object:
    """Return what v3 can say of a v2 document that somebody else has written; some of it is lost."""
    paths: Object = {}
    for path, item in document["paths"].items():
        made = paths[path] = {
            method: _v3_of_operation(operation)
            for method, operation in item.items()
            if method != "parameters"
        }
        if "parameters" in item:
            made["parameters"] = [
                _v3_of_parameter(one) for one in item["parameters"] if one.get("in") != "body"
            ]
    schemas = {name: v3_schema(definition) for name, definition in document["definitions"].items()}
    return {
        "openapi": "3.0.0",
        "info": _info(version),
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": _BEARER},
    }


_KEPT = ("description", "operationId", "tags", "deprecated")


def _v3_of_operation(operation: Object) -> Object:
    made = {key: value for key, value in operation.items() if key in _KEPT or key.startswith("x-")}
    parameters = operation.get("parameters") or []
    if in_query := [_v3_of_parameter(one) for one in parameters if one.get("in") != "body"]:
        made["parameters"] = in_query
    for body in (one for one in parameters if one.get("in") == "body"):
        content = {"schema": v3_schema(body.get("schema") or {})}
        made["requestBody"] = {"content": dict.fromkeys(operation.get("consumes") or ["*/*"], content)}
    made["responses"] = {}
    for code, response in (operation.get("responses") or {}).items():
        answer = made["responses"][code] = {"description": response.get("description") or ""}
        if "schema" in response:
            schema = {"schema": v3_schema(response["schema"])}
            answer["content"] = dict.fromkeys(operation.get("produces") or ["*/*"], schema)
    return made


def _v3_of_parameter(parameter: Object) -> Object:
    said: Object = {
        key: parameter[key] for key in ("name", "in", "description", "required") if key in parameter
    }
    schema = {key: parameter[key] for key in ("type", "format", "uniqueItems") if key in parameter}
    return {**said, "schema": schema}
