"""Every operation of the API, in words that both versions of OpenAPI can be made of. Pure.

Paths, operation ids, actions and parameters are upstream's (apiserver/pkg/endpoints/installer.go).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from podium.apiserver.openapi import parameters
from podium.apiserver.openapi.parameters import Parameter
from podium.apiserver.registry.served import Served
from podium.machinery.resource import Resource

META = "io.k8s.apimachinery.pkg.apis.meta.v1."
STATUS, DELETE_OPTIONS, PATCH, WATCH_EVENT = (
    META + name for name in ("Status", "DeleteOptions", "Patch", "WatchEvent")
)
_VERSION_INFO = "io.k8s.apimachinery.pkg.version.Info"
_SUBRESOURCE_SCHEMAS = {
    "Binding": "io.k8s.api.core.v1.Binding",
    "Eviction": "io.k8s.api.policy.v1.Eviction",
    "Scale": "io.k8s.api.autoscaling.v1.Scale",
    "TokenRequest": "io.k8s.api.authentication.v1.TokenRequest",
}
_PROXY_METHODS = ("get", "put", "post", "delete", "options", "head", "patch")
_STATUS_VERBS = ("get", "update", "patch")

Gvk = tuple[str, str, str]
"""(group, version, kind)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method on one path."""

    path: str
    method: str
    action: str
    """x-kubernetes-action; "" for paths that are no resources."""
    id: str
    description: str = ""
    kind: Gvk | None = None
    """What the operation is about."""
    named: str = ""
    """The kind whose name stands in the path."""
    body: str = ""
    body_required: bool = True
    answer: str = ""
    """Definitions; an empty answer is a string."""
    codes: tuple[str, ...] = ("200",)
    """Of success; 401 comes on top."""
    parameters: tuple[Parameter, ...] = ()
    """In the query, less `pretty`, which all have that are `pretty`."""
    pretty: bool = True
    streams: bool = False
    """May answer a watch."""
    consumes: tuple[str, ...] | None = None
    produces: tuple[str, ...] | None = None
    """None for what all resources speak."""
    custom: bool = False
    """On a custom resource, which takes no strategic merge patches: kubectl chooses by what is said here."""


def _article(kind: str) -> str:
    return f"an {kind}" if kind[:1] in "AEIOU" else f"a {kind}"


def _title(text: str) -> str:
    return "".join(part.capitalize() for part in text.split(".")) or "Core"


def _group_version(resource: Resource) -> str:
    return _title(resource.group.removesuffix(".k8s.io")) + resource.version.capitalize()


def operations(served: Served) -> Iterator[Operation]:
    """Yield every operation on one resource and its subresources."""
    yield from _operations(served.resource, custom=served.custom)


def _operations(resource: Resource, *, custom: bool) -> Iterator[Operation]:
    gvk = (resource.group, resource.version, resource.kind)
    every = f"{resource.group_version_path}/{resource.plural}"
    collection = _collection(resource)
    schema, list_schema = resource.schema, resource.schema + "List"
    scope = "Namespaced" if resource.namespaced else ""
    group_version, kind = _group_version(resource), resource.kind
    name = f"{group_version}{scope}{kind}"
    verbs = resource.verbs
    if "list" in verbs:
        paths = [(collection, f"list{name}")]
        if collection != every:
            paths.append((every, f"list{group_version}{kind}ForAllNamespaces"))
        for path, id in paths:
            yield Operation(
                path=path,
                method="get",
                action="list",
                id=id,
                description=f"list or watch objects of kind {kind}",
                kind=gvk,
                answer=list_schema,
                parameters=parameters.LIST,
                streams=True,
                custom=custom,
            )
    if "create" in verbs:
        yield Operation(
            path=collection,
            method="post",
            action="post",
            id=f"create{name}",
            description=f"create {_article(kind)}",
            kind=gvk,
            body=schema,
            answer=schema,
            codes=("200", "201", "202"),
            parameters=parameters.WRITE,
            custom=custom,
        )
    if "deletecollection" in verbs:
        yield Operation(
            path=collection,
            method="delete",
            action="deletecollection",
            id=f"delete{group_version}Collection{scope}{kind}",
            description=f"delete all objects of kind {kind} that are selected",
            kind=gvk,
            body="" if custom else DELETE_OPTIONS,
            body_required=False,
            answer=STATUS,
            parameters=parameters.LIST if custom else parameters.DELETE_COLLECTION,
            custom=custom,
        )
    yield from _object_operations(
        f"{collection}/{{name}}",
        name,
        gvk,
        schema,
        verbs,
        custom=custom,
        returns=_delete_says_object(resource),
    )
    yield from _subresource_operations(resource, f"{collection}/{{name}}", group_version, scope, custom)
    if "watch" in verbs:
        yield from _watch_operations(resource, gvk, group_version, custom)


def _delete_says_object(resource: Resource) -> bool:
    """Whether deletions are described as answering with the object; of two kinds upstream says otherwise."""
    return resource.delete_returns_object and resource.plural not in (
        "namespaces",
        "customresourcedefinitions",
    )


def _collection(resource: Resource) -> str:
    root = resource.group_version_path
    inside = "/namespaces/{namespace}" if resource.namespaced else ""
    return f"{root}{inside}/{resource.plural}"


def _object_operations(
    path: str,
    name: str,
    gvk: Gvk,
    schema: str,
    verbs: Iterable[str],
    *,
    custom: bool = False,
    returns: bool = False,
    what: str = "",
    named: str = "",
) -> Iterator[Operation]:
    kind = named or gvk[2]
    of = f"{what} of the specified {kind}" if what else f"the specified {kind}"
    operation = partial(Operation, path=path, kind=gvk, custom=custom, named=kind)
    if "get" in verbs:
        yield operation(
            method="get",
            action="get",
            id=f"read{name}",
            description=f"read {of}",
            answer=schema,
            parameters=(parameters.RESOURCE_VERSION,) if custom else (),
        )
    if "update" in verbs:
        yield operation(
            method="put",
            action="put",
            id=f"replace{name}",
            description=f"replace {of}",
            body=schema,
            answer=schema,
            codes=("200", "201"),
            parameters=parameters.WRITE,
        )
    if "patch" in verbs:
        yield operation(
            method="patch",
            action="patch",
            id=f"patch{name}",
            description=f"partially update {of}",
            body=PATCH,
            answer=schema,
            codes=("200",) if custom else ("200", "201"),
            parameters=parameters.PATCH,
        )
    if "delete" in verbs:
        yield operation(
            method="delete",
            action="delete",
            id=f"delete{name}",
            description=f"delete {_article(kind)}",
            body=DELETE_OPTIONS,
            body_required=False,
            answer=schema if returns else STATUS,
            codes=("200", "202"),
            parameters=parameters.DELETE,
        )


def _subresource_operations(
    resource: Resource, path: str, group_version: str, scope: str, custom: bool
) -> Iterator[Operation]:
    gvk = (resource.group, resource.version, resource.kind)
    name = f"{group_version}{scope}{resource.kind}"
    if resource.status:
        yield from _object_operations(
            f"{path}/status",
            f"{name}Status",
            gvk,
            resource.schema,
            _STATUS_VERBS,
            custom=custom,
            what="status",
        )
    if resource.scale is not None:
        yield from _object_operations(
            f"{path}/scale",
            f"{name}Scale",
            gvk if custom else ("autoscaling", "v1", "Scale"),
            _SUBRESOURCE_SCHEMAS["Scale"],
            _STATUS_VERBS,
            custom=custom,
            what="scale",
            named="Scale",
        )
    for sub in resource.subresources:
        below, suffix = f"{path}/{sub.name}", sub.name.capitalize()
        kind = (sub.group or resource.group, sub.version or resource.version, sub.kind)
        if sub.name == "log":
            yield _log(below, f"read{name}{suffix}", gvk)
        elif sub.kind == resource.kind:
            yield from _object_operations(
                below, f"{name}{suffix}", gvk, resource.schema, sub.verbs, what=sub.name
            )
        elif sub.kind in _SUBRESOURCE_SCHEMAS:
            schema = _SUBRESOURCE_SCHEMAS[sub.kind]
            yield Operation(
                path=below,
                method="post",
                action="post",
                id=f"create{name}{suffix}",
                description=f"create {sub.name} of {_article(resource.kind)}",
                kind=kind,
                named=sub.kind,
                body=schema,
                answer=schema,
                codes=("200", "201", "202"),
                parameters=parameters.WRITE,
            )
        else:
            head, tail = f"connect{group_version}", f"{scope}{resource.kind}{suffix}"
            yield from _connections(resource, below, sub.name, kind, head, tail)


def _log(path: str, id: str, gvk: Gvk) -> Operation:
    return Operation(
        path=path,
        method="get",
        action="get",
        id=id,
        description=f"read log of the specified {gvk[2]}",
        kind=gvk,
        named=gvk[2],
        parameters=tuple(one for one in parameters.CONNECT["log"] if one is not parameters.PRETTY),
        produces=("text/plain", *MEDIA),
    )


def _connections(
    resource: Resource, path: str, sub: str, kind: Gvk, head: str, tail: str
) -> Iterator[Operation]:
    methods = _PROXY_METHODS if sub == "proxy" else ("get", "post")
    paths = [(path, "")]
    if sub == "proxy":
        paths.append((f"{path}/{{path}}", "WithPath"))
    for target, suffix in paths:
        for method in methods:
            yield Operation(
                path=target,
                method=method,
                action="connect",
                id=f"{head}{method.capitalize()}{tail}{suffix}",
                description=f"connect {method.upper()} requests to {sub} of {resource.kind}",
                kind=kind,
                named=kind[2],
                parameters=parameters.CONNECT.get(sub, ()),
                pretty=False,
                produces=("*/*",),
            )


def _watch_operations(resource: Resource, gvk: Gvk, group_version: str, custom: bool) -> Iterator[Operation]:
    kind = resource.kind
    if custom:
        return
    root = f"{resource.group_version_path}/watch"
    every, scope = f"{root}/{resource.plural}", ""
    found = [(every, "watchlist", f"{kind}List")]
    if resource.namespaced:
        scope = "Namespaced"
        found = [(every, "watchlist", f"{kind}ListForAllNamespaces")]
        scoped = f"{root}/namespaces/{{namespace}}/{resource.plural}"
        found.append((scoped, "watchlist", f"{scope}{kind}List"))
        found.append((f"{scoped}/{{name}}", "watch", f"{scope}{kind}"))
    else:
        found.append((f"{every}/{{name}}", "watch", kind))
    for path, action, tail in found:
        many = "individual changes to a list" if action == "watchlist" else "changes to an object"
        yield Operation(
            path=path,
            method="get",
            action=action,
            id=f"watch{group_version}{tail}",
            description=f"watch {many} of kind {kind}; deprecated: list with the parameter 'watch' instead",
            kind=gvk,
            named=kind,
            answer=WATCH_EVENT,
            parameters=parameters.LIST,
            streams=True,
        )


MEDIA = ("application/json", "application/yaml", "application/vnd.kubernetes.protobuf")


def _document(
    path: str,
    id: str,
    answer: str,
    description: str,
    *,
    consumes: tuple[str, ...] = MEDIA,
    produces: tuple[str, ...] = MEDIA,
) -> Operation:
    return Operation(
        path=path,
        method="get",
        action="",
        id=id,
        description=description,
        answer=answer,
        pretty=False,
        consumes=consumes,
        produces=produces,
    )


def group_operations(group: str) -> list[Operation]:
    title = _title(group.removesuffix(".k8s.io"))
    return [
        _document(f"/apis/{group}/", f"get{title}APIGroup", META + "APIGroup", "get information of a group")
    ]


def version_operations(group: str, version: str) -> list[Operation]:
    path = f"/apis/{group}/{version}/" if group else f"/api/{version}/"
    id = f"get{_title(group.removesuffix('.k8s.io'))}{version.capitalize()}APIResources"
    return [_document(path, id, META + "APIResourceList", "get available resources")]


_JSON = ("application/json",)
ROOTS: dict[str, Operation] = {
    ".well-known/openid-configuration": _document(
        "/.well-known/openid-configuration/",
        "getServiceAccountIssuerOpenIDConfiguration",
        "",
        "get the OpenID configuration of the issuer of service account tokens",
        consumes=(),
        produces=_JSON,
    ),
    "api": _document("/api/", "getCoreAPIVersions", META + "APIVersions", "get available API versions"),
    "apis": _document("/apis/", "getAPIVersions", META + "APIGroupList", "get available API versions"),
    "openid/v1/jwks": _document(
        "/openid/v1/jwks/",
        "getServiceAccountIssuerOpenIDKeyset",
        "",
        "get the keys that service account tokens are verified with",
        consumes=(),
        produces=("application/jwk-set+json",),
    ),
    "version": _document(
        "/version/",
        "getCodeVersion",
        _VERSION_INFO,
        "get the version of this server",
        consumes=_JSON,
        produces=_JSON,
    ),
}
