"""The API described for tools: /openapi/v2, and /openapi/v3 with one document for each group and version.

Made from the catalog and the schemas on first request, and kept until the catalog changes. What clients read
from it: schemas (kubectl explain, merge keys), which operation takes which kind, and that writes understand
`fieldValidation`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import orjson

from podium.apiserver.http.respond import compress, json_bytes
from podium.apiserver.registry.served import Catalog, Served
from podium.base.http.message import Request, Response
from podium.machinery.errors import Json, NotFound, Object
from podium.machinery.schema import Schemas

if TYPE_CHECKING:
    from podium.apiserver.aggregation.remote_openapi import Kept
    from podium.machinery.structural.schema import StructuralSchema

_META = "io.k8s.apimachinery.pkg.apis.meta.v1."
_STATUS, _DELETE_OPTIONS, _PATCH, _WATCH_EVENT = (
    _META + name for name in ("Status", "DeleteOptions", "Patch", "WatchEvent")
)
_VERSION_INFO = "io.k8s.apimachinery.pkg.version.Info"
_SUBRESOURCE_SCHEMAS = {
    "Binding": "io.k8s.api.core.v1.Binding",
    "Eviction": "io.k8s.api.policy.v1.Eviction",
    "Scale": "io.k8s.api.autoscaling.v1.Scale",
    "TokenRequest": "io.k8s.api.authentication.v1.TokenRequest",
}
_MEDIA = ("application/json", "application/yaml", "application/vnd.kubernetes.protobuf")
_PATCH_MEDIA = (
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
)
_PROXY_METHODS = ("get", "put", "post", "delete", "options", "head", "patch")

_LIST_PARAMETERS = (
    ("allowWatchBookmarks", "boolean"),
    ("continue", "string"),
    ("fieldSelector", "string"),
    ("labelSelector", "string"),
    ("limit", "integer"),
    ("resourceVersion", "string"),
    ("resourceVersionMatch", "string"),
    ("sendInitialEvents", "boolean"),
    ("timeoutSeconds", "integer"),
    ("watch", "boolean"),
)
_WRITE_PARAMETERS = (("dryRun", "string"), ("fieldManager", "string"), ("fieldValidation", "string"))
_PATCH_PARAMETERS = (*_WRITE_PARAMETERS, ("force", "boolean"))
_DELETE_PARAMETERS = (
    ("dryRun", "string"),
    ("gracePeriodSeconds", "integer"),
    ("orphanDependents", "boolean"),
    ("propagationPolicy", "string"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method on one path, in words that both versions of OpenAPI can be made of."""

    path: str
    method: str
    action: str
    """x-kubernetes-action; "" for paths that are no resources."""
    id: str
    kind: tuple[str, str, str] | None = None
    """(group, version, kind) of what the operation is about."""
    body: str = ""
    answer: str = ""
    """Definitions; an empty answer is a string."""
    created: bool = False
    parameters: tuple[tuple[str, str], ...] = ()
    custom: bool = False
    """On a custom resource, which takes no strategic merge patches: kubectl chooses by what is said here."""


# --- what there is


def operations(served: Served) -> Iterator[Operation]:
    """Yield every operation on one resource and its subresources."""
    resource = served.resource
    root = resource.group_version_path
    gvk = (resource.group, resource.version, resource.kind)
    scoped = f"{root}/namespaces/{{namespace}}/{resource.plural}" if resource.namespaced else ""
    every = f"{root}/{resource.plural}"
    collection = scoped or every
    schema, list_schema = resource.schema, resource.schema + "List"
    scope = "Namespaced" if resource.namespaced else ""
    name = _operation_name(served, scope)
    verbs = resource.verbs
    if "list" in verbs:
        yield Operation(
            path=collection,
            method="get",
            action="list",
            id=f"list{name}",
            kind=gvk,
            answer=list_schema,
            parameters=_LIST_PARAMETERS,
        )
        if scoped:
            yield Operation(
                path=every,
                method="get",
                action="list",
                id=f"list{_operation_name(served, '')}ForAllNamespaces",
                kind=gvk,
                answer=list_schema,
                parameters=_LIST_PARAMETERS,
            )
    if "create" in verbs:
        yield Operation(
            path=collection,
            method="post",
            action="post",
            id=f"create{name}",
            kind=gvk,
            body=schema,
            answer=schema,
            created=True,
            parameters=_WRITE_PARAMETERS,
        )
    if "deletecollection" in verbs:
        yield Operation(
            path=collection,
            method="delete",
            action="deletecollection",
            id=f"deleteCollection{name}",
            kind=gvk,
            body=_DELETE_OPTIONS,
            answer=_STATUS,
            parameters=(*_LIST_PARAMETERS, *_DELETE_PARAMETERS),
        )
    yield from _object_operations(f"{collection}/{{name}}", name, gvk, schema, verbs)
    yield from _subresource_operations(served, f"{collection}/{{name}}", name, gvk)
    if "watch" in verbs:
        yield from _watch_operations(served, gvk, name)


def _operation_name(served: Served, scope: str) -> str:
    resource = served.resource
    group = "".join(part.capitalize() for part in resource.group.removesuffix(".k8s.io").split(".")) or "Core"
    return f"{group}{resource.version.capitalize()}{scope}{resource.kind}"


def _object_operations(
    path: str, name: str, gvk: tuple[str, str, str], schema: str, verbs: Iterable[str]
) -> Iterator[Operation]:
    if "get" in verbs:
        yield Operation(path=path, method="get", action="get", id=f"read{name}", kind=gvk, answer=schema)
    if "update" in verbs:
        yield Operation(
            path=path,
            method="put",
            action="put",
            id=f"replace{name}",
            kind=gvk,
            body=schema,
            answer=schema,
            parameters=_WRITE_PARAMETERS,
        )
    if "patch" in verbs:
        yield Operation(
            path=path,
            method="patch",
            action="patch",
            id=f"patch{name}",
            kind=gvk,
            body=_PATCH,
            answer=schema,
            parameters=_PATCH_PARAMETERS,
        )
    if "delete" in verbs:
        yield Operation(
            path=path,
            method="delete",
            action="delete",
            id=f"delete{name}",
            kind=gvk,
            body=_DELETE_OPTIONS,
            answer=_STATUS,
            parameters=_DELETE_PARAMETERS,
        )


def _subresource_operations(
    served: Served, path: str, name: str, gvk: tuple[str, str, str]
) -> Iterator[Operation]:
    resource = served.resource
    status_verbs = ("get", "update", "patch")
    if resource.status:
        yield from _object_operations(f"{path}/status", f"{name}Status", gvk, resource.schema, status_verbs)
    if resource.scale is not None:
        scale = ("autoscaling", "v1", "Scale")
        schema = _SUBRESOURCE_SCHEMAS["Scale"]
        yield from _object_operations(f"{path}/scale", f"{name}Scale", scale, schema, status_verbs)
    for sub in resource.subresources:
        below, own = f"{path}/{sub.name}", f"{name}{sub.name.capitalize()}"
        sub_gvk = (sub.group or resource.group, sub.version or resource.version, sub.kind)
        if sub.name == "proxy":
            for target, suffix in ((below, ""), (f"{below}/{{path}}", "WithPath")):
                for method in _PROXY_METHODS:
                    yield Operation(
                        path=target,
                        method=method,
                        action="connect",
                        id=f"connect{method.capitalize()}{own}{suffix}",
                        kind=sub_gvk,
                    )
        elif sub.kind == resource.kind and sub.name != "log":
            yield from _object_operations(below, own, gvk, resource.schema, sub.verbs)
        elif sub.kind in _SUBRESOURCE_SCHEMAS:
            schema = _SUBRESOURCE_SCHEMAS[sub.kind]
            yield Operation(
                path=below,
                method="post",
                action="post",
                id=f"create{own}",
                kind=sub_gvk,
                body=schema,
                answer=schema,
                created=True,
                parameters=_WRITE_PARAMETERS,
            )
        elif sub.name == "log":
            yield Operation(path=below, method="get", action="get", id=f"read{own}", kind=gvk)
        else:
            for method in ("get", "post"):
                yield Operation(
                    path=below,
                    method=method,
                    action="connect",
                    id=f"connect{method.capitalize()}{own}",
                    kind=sub_gvk,
                )


def _watch_operations(served: Served, gvk: tuple[str, str, str], name: str) -> Iterator[Operation]:
    resource = served.resource
    root = f"{resource.group_version_path}/watch"
    paths = [(f"{root}/{resource.plural}", "watchlist", "List")]
    if resource.namespaced:
        scoped = f"{root}/namespaces/{{namespace}}/{resource.plural}"
        paths = [
            (paths[0][0], "watchlist", "ListForAllNamespaces"),
            (scoped, "watchlist", "List"),
            (f"{scoped}/{{name}}", "watch", ""),
        ]
    else:
        paths.append((f"{root}/{resource.plural}/{{name}}", "watch", ""))
    for path, action, suffix in paths:
        yield Operation(
            path=path,
            method="get",
            action=action,
            id=f"watch{name}{suffix}",
            kind=gvk,
            answer=_WATCH_EVENT,
            parameters=_LIST_PARAMETERS,
        )


def _document(path: str, id: str, answer: str) -> Operation:
    return Operation(path=path, method="get", action="", id=id, answer=answer)


def _group_operations(group: str) -> list[Operation]:
    return [_document(f"/apis/{group}/", f"get{_title(group)}APIGroup", _META + "APIGroup")]


def _version_operations(group: str, version: str) -> list[Operation]:
    path = f"/apis/{group}/{version}/" if group else f"/api/{version}/"
    return [_document(path, f"get{_title(group)}{_title(version)}APIResources", _META + "APIResourceList")]


def _title(text: str) -> str:
    return "".join(part.capitalize() for part in text.split(".")) or "Core"


_ROOTS: dict[str, Operation] = {
    ".well-known/openid-configuration": _document(
        "/.well-known/openid-configuration/", "getServiceAccountIssuerOpenIDConfiguration", ""
    ),
    "api": _document("/api/", "getCoreAPIVersions", _META + "APIVersions"),
    "apis": _document("/apis/", "getAPIVersions", _META + "APIGroupList"),
    "openid/v1/jwks": _document("/openid/v1/jwks/", "getServiceAccountIssuerOpenIDKeyset", ""),
    "version": _document("/version/", "getCodeVersion", _VERSION_INFO),
}


# --- documents


class OpenApi:
    """The OpenAPI documents of one catalog."""

    def __init__(self, catalog: Catalog, schemas: Callable[[], Schemas], version: str) -> None:
        self._catalog = catalog
        self._schemas = schemas
        self._version = version
        self.custom: Mapping[str, StructuralSchema] = {}
        """The schemas of custom resources, by the names of their definitions."""
        self._documents: dict[str, bytes] = {}
        self._index: bytes = b""
        self._remote_v3: Mapping[str, str] = {}
        self._remote_v2: Sequence[Kept] = ()
        catalog.on_change(self._forget)

    def _forget(self) -> None:
        self._documents.clear()
        self._index = b""

    def set_remote(self, v3: Mapping[str, str], v2: Sequence[Kept]) -> None:
        """Show what other servers serve behind this one: where their v3 documents are, by name
        (`apis/GROUP/VERSION`), and what is to go into the one of v2."""
        if v3 != self._remote_v3 or v2 != self._remote_v2:
            self._remote_v3, self._remote_v2 = v3, v2
            self._forget()

    def v2(self, request: Request) -> Response:
        """Answer /openapi/v2."""
        return self._answer(request, "v2", self._make_v2)

    def v3(self, request: Request) -> Response:
        """Answer /openapi/v3 and what is below it. Raises `NotFound`."""
        name = request.path.removeprefix("/openapi/v3").strip("/")
        if not name:
            return self._answer(request, "v3", self._make_index)
        found = self._operations(name)
        if not found:
            raise NotFound("the server could not find the requested resource", details={})
        response = self._answer(request, name, lambda: self._make_v3(found))
        if request.parameter("hash"):
            response.headers.set("cache-control", "public, immutable")
        return response

    def _answer(self, request: Request, key: str, make: Callable[[], Object]) -> Response:
        document = self._documents.get(key)
        if document is None:
            document = self._documents[key] = orjson.dumps(make())
        response = json_bytes(document)
        etag = f'"{hashlib.sha512(document).hexdigest().upper()}"'
        response.headers.set("etag", etag)
        response.headers.set("vary", "Accept")
        if request.headers.get("if-none-match") == etag:
            response.status, response.body = 304, b""
        elif "gzip" in request.headers.get("accept-encoding"):
            compress(response)
        return response

    def _operations(self, name: str) -> list[Operation]:
        """Return the operations of the v3 document `name`, such as `apis/apps/v1`."""
        if name in _ROOTS:
            return [_ROOTS[name]]
        match name.split("/"):
            case ["api", version]:
                group = ""
            case ["apis", group]:
                known = any(group == served for served, _ in self._catalog.versions())
                return _group_operations(group) if known else []
            case ["apis", group, version]:
                pass
            case _:
                return []
        resources = self._catalog.group(group, version)
        if resources is None:
            return []
        found = _version_operations(group, version)
        for served in resources.values():
            made = operations(served)
            found += (replace(one, custom=True) for one in made) if served.custom else made
        return found

    def _names(self) -> list[str]:
        names = list(_ROOTS)
        for group, version in self._catalog.versions():
            names += [f"apis/{group}", f"apis/{group}/{version}"] if group else [f"api/{version}"]
        return sorted(set(names))

    def _make_index(self) -> Object:
        paths = {}
        for name in self._names():
            # The hash says when to read again; resources are declared, so their names are enough.
            found = self._operations(name)
            known: list[object] = [(operation.path, operation.id) for operation in found]
            known += [
                (one, self.custom[one].source) for one in {op.answer for op in found} if one in self.custom
            ]
            digest = hashlib.sha256(repr((self._version, known)).encode()).hexdigest().upper()
            paths[name] = {"serverRelativeURL": f"/openapi/v3/{name}?hash={digest}"}
        paths |= {name: {"serverRelativeURL": url} for name, url in self._remote_v3.items()}
        return {"paths": dict(sorted(paths.items()))}

    def _make_v3(self, found: list[Operation]) -> Object:
        paths: Object = {}
        for operation in found:
            item = paths.setdefault(operation.path, {})
            item[operation.method] = _v3_operation(operation)
            placed = _path_parameters(operation.path)
            if placed:
                item["parameters"] = [
                    {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
                    for name in placed
                ]
        schemas = {name: _v3_schema(definition) for name, definition in self._definitions(found).items()}
        return {
            "openapi": "3.0.0",
            "info": {"title": "Kubernetes", "version": f"v{self._version}"},
            "paths": paths,
            "components": {
                "schemas": schemas,
                "securitySchemes": {
                    "BearerToken": {
                        "type": "apiKey",
                        "description": "Bearer Token authentication",
                        "name": "authorization",
                        "in": "header",
                    }
                },
            },
        }

    def _make_v2(self) -> Object:
        found = [operation for name in self._names() for operation in self._operations(name)]
        paths: Object = {}
        for operation in found:
            item = paths.setdefault(operation.path, {})
            item[operation.method] = _v2_operation(operation)
            placed = _path_parameters(operation.path)
            if placed:
                item["parameters"] = [
                    {"name": name, "in": "path", "required": True, "type": "string", "uniqueItems": True}
                    for name in placed
                ]
        definitions = self._definitions(found)
        if self._remote_v2:
            from podium.apiserver.aggregation.remote_openapi import merge  # noqa: PLC0415

            merge(paths, definitions, [kept.document() for kept in self._remote_v2])
        return {
            "swagger": "2.0",
            "info": {"title": "Kubernetes", "version": f"v{self._version}"},
            "paths": paths,
            "definitions": definitions,
            "securityDefinitions": {
                "BearerToken": {
                    "type": "apiKey",
                    "description": "Bearer Token authentication",
                    "name": "authorization",
                    "in": "header",
                }
            },
            "security": [{"BearerToken": []}],
        }

    def _custom_definition(self, name: str) -> Object | None:
        schema = self.custom.get(name)
        if schema is None and not (name.endswith("List") and name[: -len("List")] in self.custom):
            return None
        from podium.machinery.structural.published import published, published_list  # noqa: PLC0415

        if schema is not None:
            return published(schema.source, self._kind_of(name))
        item = name.removesuffix("List")
        return published_list(item, self._kind_of(item))

    def _kind_of(self, name: str) -> tuple[str, str, str, str]:
        for resources in self._catalog.versions().values():
            for served in resources.values():
                resource = served.resource
                if resource.schema == name:
                    return resource.group, resource.version, resource.kind, resource.list_kind
        return "", "", "", ""

    def _definitions(self, found: list[Operation]) -> Object:
        """Return every definition that the operations reach."""
        schemas = self._schemas()
        result: Object = {}
        waiting = [name for operation in found for name in (operation.body, operation.answer) if name]
        while waiting:
            name = waiting.pop()
            if name in result:
                continue
            definition = self._custom_definition(name)
            if definition is None:
                if name not in schemas:
                    continue
                definition = schemas.definition(name)
            result[name] = definition
            waiting += _references(definition)
        return dict(sorted(result.items()))


def _references(value: Json) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _references(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key == "$ref" and isinstance(item, str):
                yield item.removeprefix("#/definitions/")
            else:
                yield from _references(item)


def _path_parameters(path: str) -> list[str]:
    return [part[1:-1] for part in path.split("/") if part.startswith("{")]


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
    if operation.action:
        common["x-kubernetes-action"] = operation.action
    if operation.kind is not None:
        group, version, kind = operation.kind
        common["x-kubernetes-group-version-kind"] = {"group": group, "version": version, "kind": kind}
    return common


def _codes(operation: Operation) -> list[tuple[str, str]]:
    codes = [("200", "OK")]
    if operation.created or operation.method in ("put", "patch"):
        codes.append(("201", "Created"))
    if operation.created or operation.method == "delete":
        codes.append(("202", "Accepted"))
    return codes


def _patch_media(operation: Operation) -> tuple[str, ...]:
    return tuple(type for type in _PATCH_MEDIA if not (operation.custom and "strategic" in type))


def _v3_operation(operation: Operation) -> Object:
    made = _common(operation)
    if operation.parameters:
        made["parameters"] = [
            {"name": name, "in": "query", "schema": {"type": type, "uniqueItems": True}}
            for name, type in operation.parameters
        ]
    if operation.body:
        media = _patch_media(operation) if operation.body == _PATCH else ("*/*",)
        reference = {"schema": {"$ref": f"#/components/schemas/{operation.body}"}}
        made["requestBody"] = {"content": dict.fromkeys(media, reference)}
    schema: Object = {"type": "string"}
    if operation.answer:
        schema = {"$ref": f"#/components/schemas/{operation.answer}"}
    content = {media: {"schema": schema} for media in (_MEDIA if operation.answer else ("*/*",))}
    made["responses"] = {code: {"description": text, "content": content} for code, text in _codes(operation)}
    return made


def _v2_operation(operation: Operation) -> Object:
    made = _common(operation)
    made["consumes"] = list(_patch_media(operation)) if operation.body == _PATCH else ["*/*"]
    made["produces"] = list(_MEDIA)
    made["schemes"] = ["https"]
    parameters: list[Object] = [
        {"name": name, "in": "query", "type": type, "uniqueItems": True}
        for name, type in operation.parameters
    ]
    if operation.body:
        reference = {"$ref": f"#/definitions/{operation.body}"}
        parameters.insert(0, {"name": "body", "in": "body", "required": True, "schema": reference})
    if parameters:
        made["parameters"] = parameters
    schema: Object = {"type": "string"}
    if operation.answer:
        schema = {"$ref": f"#/definitions/{operation.answer}"}
    made["responses"] = {code: {"description": text, "schema": schema} for code, text in _codes(operation)}
    return made


def _v3_schema(value: Json) -> Json:
    """Return a definition of v2 as v3 says it: references elsewhere, and alone in their object."""
    if isinstance(value, list):
        return [_v3_schema(item) for item in value]
    if not isinstance(value, dict):
        return value
    made = {key: _v3_schema(item) for key, item in value.items()}
    reference = made.get("$ref")
    if isinstance(reference, str):
        made["$ref"] = reference = reference.replace("#/definitions/", "#/components/schemas/")
        if len(made) > 1:
            del made["$ref"]
            made["allOf"] = [{"$ref": reference}]
    return made
