"""What a request asks for, read from its method and path. Upstream's RequestInfoFactory."""

from __future__ import annotations

from podium.apiserver.chain import RequestInfo
from podium.base.http.message import Request

_VERBS = {
    "POST": "create",
    "GET": "get",
    "HEAD": "get",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
}
_NAMESPACE_SUBRESOURCES = ("status", "finalize")
_NOT_WATCHING = ("false", "0", "False", "FALSE", "f", "F")


def request_info(request: Request) -> RequestInfo:
    """Return what `request` asks for. Whether such a resource exists is not looked at."""
    path = request.path
    parts = [part for part in path.split("/") if part]
    if len(parts) < 3 or parts[0] not in ("api", "apis"):
        return RequestInfo(verb=request.method.lower(), path=path)
    prefix = parts[0]
    if prefix == "apis":
        if len(parts) < 4:
            return RequestInfo(verb=request.method.lower(), path=path)
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        group, version, rest = "", parts[1], parts[2:]
    verb = _VERBS.get(request.method, "")
    if rest[0] in ("watch", "proxy") and len(rest) > 1:
        # Deprecated prefixes: /api/v1/watch/pods.
        verb, rest = rest[0], rest[1:]
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 1:
        namespace = rest[1]
        # /namespaces/{name} and its own subresources speak of the namespace, the rest of what is in it.
        if len(rest) > 2 and rest[2] not in _NAMESPACE_SUBRESOURCES:
            rest = rest[2:]
    resource = rest[0]
    name = rest[1] if len(rest) > 1 else ""
    subresource = rest[2] if len(rest) > 2 else ""
    label_selector = field_selector = ""
    if request.raw_query:
        label_selector = request.parameter("labelSelector")
        field_selector = request.parameter("fieldSelector")
    if not name or verb == "get":
        if not name and verb == "get":
            verb = "list"
            name = _name_in(field_selector)
        elif not name and verb == "delete":
            verb = "deletecollection"
        if verb in ("list", "get") and not subresource and _watches(request):
            verb = "watch"
    return RequestInfo(
        verb=verb,
        path=path,
        is_resource=True,
        api_prefix=prefix,
        api_group=group,
        api_version=version,
        namespace=namespace,
        resource=resource,
        subresource=subresource,
        name=name,
        label_selector=label_selector,
        field_selector=field_selector,
        parts=tuple(rest),
    )


def _watches(request: Request) -> bool:
    if "watch" not in request.raw_query:
        return False
    values = request.query.get("watch")
    return values is not None and values[0] not in _NOT_WATCHING


def _name_in(field_selector: str) -> str:
    """Return the one name that a field selector asks for: such a list is authorized as one of that name."""
    if "metadata.name" not in field_selector:
        return ""
    for term in field_selector.split(","):
        path, equals, value = term.partition("=")
        if path == "metadata.name" and equals:
            return value.removeprefix("=")
    return ""
