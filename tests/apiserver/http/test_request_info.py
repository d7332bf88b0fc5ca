"""What a path and a method ask for."""

from __future__ import annotations

import pytest

from podium.apiserver.http.request_info import request_info
from podium.base.http.message import Request

CASES = [
    # (method, target, verb, group, version, namespace, resource, name, subresource)
    ("GET", "/api/v1/pods", "list", "", "v1", "", "pods", "", ""),
    ("GET", "/api/v1/namespaces/a/pods?watch=1", "watch", "", "v1", "a", "pods", "", ""),
    ("GET", "/api/v1/namespaces/a/pods?watch=false", "list", "", "v1", "a", "pods", "", ""),
    ("GET", "/api/v1/namespaces/a/pods/p", "get", "", "v1", "a", "pods", "p", ""),
    ("GET", "/api/v1/namespaces/a/pods/p/log", "get", "", "v1", "a", "pods", "p", "log"),
    ("POST", "/api/v1/namespaces/a/pods/p/binding", "create", "", "v1", "a", "pods", "p", "binding"),
    ("DELETE", "/api/v1/namespaces/a/pods", "deletecollection", "", "v1", "a", "pods", "", ""),
    ("GET", "/api/v1/namespaces", "list", "", "v1", "", "namespaces", "", ""),
    ("GET", "/api/v1/namespaces/a", "get", "", "v1", "a", "namespaces", "a", ""),
    ("PUT", "/api/v1/namespaces/a/finalize", "update", "", "v1", "a", "namespaces", "a", "finalize"),
    ("PATCH", "/apis/apps/v1/namespaces/a/deployments/d", "patch", "apps", "v1", "a", "deployments", "d", ""),
    (
        "GET",
        "/apis/x.io/v1/nodes?fieldSelector=metadata.name%3Dn",
        "list",
        "x.io",
        "v1",
        "",
        "nodes",
        "n",
        "",
    ),
    ("GET", "/api/v1/watch/pods", "watch", "", "v1", "", "pods", "", ""),
]


@pytest.mark.parametrize(
    ("method", "target", "verb", "group", "version", "namespace", "resource", "name", "subresource"), CASES
)
def test_resource_requests(
    method: str,
    target: str,
    verb: str,
    group: str,
    version: str,
    namespace: str,
    resource: str,
    name: str,
    subresource: str,
) -> None:
    info = request_info(Request(method=method, target=target))
    assert info.is_resource
    assert (info.verb, info.api_group, info.api_version) == (verb, group, version)
    assert (info.namespace, info.resource) == (namespace, resource)
    assert (info.name, info.subresource) == (name, subresource)


@pytest.mark.parametrize("path", ["/", "/api", "/api/v1", "/apis", "/apis/apps", "/apis/apps/v1", "/healthz"])
def test_other_paths(path: str) -> None:
    info = request_info(Request(method="GET", target=path))
    assert not info.is_resource
    assert (info.verb, info.path) == ("get", path)
