"""What a request asks for, read from its method and path. Upstream's RequestInfoFactory."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from podium.apiserver.chain import RequestInfo
from podium.base.caching import KEPT_LENGTH_MAX
from podium.base.http.message import Request, query_of
from podium.machinery import fields
from podium.machinery.errors import ApiError
from podium.machinery.validation import path_segment_errors

_VERBS = {
    "POST": "create",
    "GET": "get",
    "HEAD": "get",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
}
_NAMESPACE_SUBRESOURCES = ("status", "finalize")
_NONE = ("",)
_NOT_WATCHING = ("false", "0")


INFOS_KEPT = 1024
"""Clients ask for the same things over and over: what short targets ask for is kept."""


def request_info(request: Request) -> RequestInfo:
    """Return what `request` asks for. Whether such a resource exists is not looked at."""
    read = _read if len(request.target) > KEPT_LENGTH_MAX else _kept
    return read(request.method, request.path, request.raw_query)


def _read(method: str, path: str, raw_query: str) -> RequestInfo:
    parts = path.split("/")
    if "" in parts:
        parts = [part for part in parts if part]
    if len(parts) < 3 or parts[0] not in ("api", "apis"):
        return RequestInfo(verb=method.lower(), path=path)
    prefix = parts[0]
    if prefix == "apis":
        if len(parts) < 4:
            return RequestInfo(verb=method.lower(), path=path)
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        group, version, rest = "", parts[1], parts[2:]
    verb = _VERBS.get(method, "")
    by_path = rest[0] in ("watch", "proxy") and len(rest) > 1
    if by_path:
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
    # What is behind a proxy of old is the path there.
    subresource = rest[2] if len(rest) > 2 and verb != "proxy" else ""
    label_selector = field_selector = ""
    query = query_of(raw_query)
    if query and not name and method in ("GET", "HEAD", "DELETE") and not by_path:
        # Selectors count where several objects are meant; the old paths of watches never told of them.
        label_selector = query.get("labelSelector", _NONE)[0]
        field_selector = query.get("fieldSelector", _NONE)[0]
    if not name and verb == "get":
        verb = "watch" if _watches(query) else "list"
        name = _name_in(field_selector)
    elif not name and verb == "delete":
        verb = "deletecollection"
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


_kept = lru_cache(maxsize=INFOS_KEPT)(_read)


def _watches(query: Mapping[str, list[str]]) -> bool:
    values = query.get("watch")
    return values is not None and values[0].lower() not in _NOT_WATCHING


def _name_in(field_selector: str) -> str:
    """Return the one name that a field selector asks for: such a list is authorized as one of that name."""
    if "metadata.name" not in field_selector:
        return ""
    # Read exactly as the list itself will read it: a comma may be escaped.
    try:
        name = fields.parse(field_selector).exact("metadata.name") or ""
    except ApiError:
        return ""
    return "" if path_segment_errors(name) else name
