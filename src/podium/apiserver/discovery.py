"""What this server serves, told to clients: /api, /apis and below, plain and aggregated.

Everything is made from the catalog on first request and kept until the catalog changes.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import orjson

from podium.apiserver.http.negotiation import (
    JSON,
    PROTOBUF,
    TYPES,
    YAML,
    accept_of,
    accepted_as_it_is,
    clauses,
    see_routed,
)
from podium.apiserver.http.respond import compress, encoded, not_found_page, takes_gzip
from podium.apiserver.registry.served import Catalog, Served
from podium.base.http.message import Headers, Request, Response
from podium.machinery.codec import protobuf, yaml
from podium.machinery.errors import MethodNotAllowed, NotAcceptable, NotFound, Object

_AGGREGATED = ";g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_META = "io.k8s.apimachinery.pkg.apis.meta.v1."
_GROUP_DISCOVERY = "io.k8s.api.apidiscovery.v2.APIGroupDiscovery"
_HASHED_VERSIONS = {
    "CustomResourceDefinition": "v1beta1",
    "MutatingAdmissionPolicy": "v1beta1",
    "MutatingAdmissionPolicyBinding": "v1beta1",
}
"""Kinds that upstream's storage keeps in an older version than the one served, which the hash tells."""

_STATUS_VERBS = ["get", "patch", "update"]
_FIRST_GROUP = "apiregistration.k8s.io"
"""It has no APIService of its own, and comes before all that have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteVersion:
    """A group and version that another server answers, as its APIService and that server describe it."""

    group: str
    version: str
    group_priority: int
    version_priority: int
    resources: Sequence[Object]
    """As the aggregated form of discovery shows them."""
    current: bool
    """The other server was heard of when last asked."""


class Discovery:
    """The discovery documents of one catalog."""

    def __init__(
        self,
        catalog: Catalog,
        server_address: Callable[[], str],
        media_types: tuple[str, ...] = TYPES,
    ) -> None:
        self._catalog = catalog
        self._media_types = media_types
        self._server_address = server_address
        """Return `host:port` under which clients of any network reach this server."""
        self._documents: dict[str, bytes] = {}
        self._aggregated: dict[str, tuple[bytes, str]] = {}
        self._remote: dict[tuple[str, str], RemoteVersion] = {}
        self.aggregations = 0
        """How often the aggregated form was made."""
        catalog.on_change(self._forget)

    def _forget(self) -> None:
        self._documents.clear()
        self._aggregated.clear()

    def set_remote(self, versions: Sequence[RemoteVersion]) -> None:
        """Show what other servers serve behind this one, and nothing else of that kind."""
        self._remote = {(one.group, one.version): one for one in versions}
        self._forget()

    def handle(self, request: Request) -> Response | None:
        """Answer a request below /api or /apis that names no resource; None when it is another path."""
        parts = [part for part in request.path.split("/") if part]
        if not parts or parts[0] not in ("api", "apis") or request.path.startswith("//"):
            return None
        if "//" in request.path:
            if parts[0] == "apis":
                return not_found_page()
            if "//" in request.path.rstrip("/"):
                raise NotFound("the server could not find the requested resource", details={})
        if request.method not in ("GET", "HEAD", "DELETE", "PATCH") or (
            request.method != "GET" and (parts[0] == "api" or len(parts) > 2)
        ):
            if parts[0] == "apis" and len(parts) > 1 and parts[1] not in self._groups():
                return not_found_page()
            raise MethodNotAllowed(
                "the server does not allow this method on the requested resource", details={}
            )
        if len(parts) == 1:
            aggregated = self._wants_aggregated(request)
            if aggregated:
                return self._aggregate(request, parts[0], aggregated)
        path = "/".join(parts)
        document = self._documents.get(path)
        if document is None:
            made = self._make(parts)
            if made is None:
                return not_found_page()
            document = self._documents[path] = orjson.dumps(made)
        media_type, definition = JSON, ""
        accept = accept_of(request)
        if accept not in ("", JSON, "*/*"):
            # What is about no version comes from a part of upstream that knows no CBOR.
            of_version = len(parts) == (2 if parts[0] == "api" else 3)
            offered = self._media_types if of_version else TYPES
            # The document of /apis is not reached through the router, nor are those of groups.
            if of_version or parts[0] == "api":
                see_routed(accept, offered)
            media_type = accepted_as_it_is(accept, offered)
            definition = _META + str(orjson.loads(document)["kind"]) if media_type == PROTOBUF else ""
        return encoded(document, request, media_type=media_type, definition=definition)

    # --- plain

    def _make(self, parts: list[str]) -> Object | None:
        match parts:
            case ["api"]:
                return {
                    "kind": "APIVersions",
                    "versions": ["v1"],
                    "serverAddressByClientCIDRs": [
                        {"clientCIDR": "0.0.0.0/0", "serverAddress": self._server_address()}
                    ],
                }
            case ["api", version]:
                return self._resources("", version)
            case ["apis"]:
                groups = [self._group(group, versions) for group, versions in self._groups().items()]
                return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
            case ["apis", group]:
                versions = self._groups().get(group)
                if versions is None:
                    return None
                return {"kind": "APIGroup", "apiVersion": "v1", **self._group(group, versions)}
            case ["apis", group, version]:
                if group not in self._groups() or (
                    self._catalog.group(group, version) is None and self._catalog.is_custom_group(group)
                ):
                    return None
                return self._resources(group, version)
        return None

    def _groups(self) -> Mapping[str, list[str]]:
        """Return the versions of each named group, in order of declaration, which is that of preference."""
        groups: dict[str, list[str]] = {}
        for group, version in self._catalog.versions():
            if group:
                groups.setdefault(group, []).append(version)
        return self._with_remote(groups) if self._remote else groups

    def _with_remote(self, groups: Mapping[str, list[str]]) -> Mapping[str, list[str]]:
        from podium.apiserver.aggregation.autoregister import own_priorities  # noqa: PLC0415
        from podium.apiserver.aggregation.registration import Placed, in_order  # noqa: PLC0415

        remote = self._remote
        placed = [
            Placed(group, version, *own_priorities(group, version))
            for group, versions in groups.items()
            for version in versions
            if group != _FIRST_GROUP and (group, version) not in remote
        ]
        placed += [
            Placed(one.group, one.version, one.group_priority, one.version_priority)
            for one in remote.values()
        ]
        first = {group: groups[group] for group in groups if group == _FIRST_GROUP}
        return {**first, **in_order(placed)}

    def _group(self, group: str, versions: list[str]) -> Object:
        listed = [{"groupVersion": f"{group}/{version}", "version": version} for version in versions]
        return {"name": group, "versions": listed, "preferredVersion": listed[0]}

    def _resources(self, group: str, version: str) -> Object:
        resources = self._catalog.group(group, version)
        if resources is None:
            raise NotFound("the server could not find the requested resource", details={})
        listed: list[Object] = []
        for served in resources.values():
            listed += _api_resources(served)
        custom = any(served.custom for served in resources.values())
        listed.sort(key=lambda one: str(one["name"]).partition("/")[0] if custom else str(one["name"]))
        group_version = f"{group}/{version}" if group else version
        # Upstream names the document's own version for groups, and none for the core.
        head: Object = {"kind": "APIResourceList"}
        if group:
            head["apiVersion"] = "v1"
        return {**head, "groupVersion": group_version, "resources": listed}

    # --- aggregated

    def _wants_aggregated(self, request: Request) -> str:
        """Return the media type of the aggregated form if the client wants that before the plain one."""
        accept = accept_of(request)
        if "apidiscovery" not in accept:
            return ""
        for clause in clauses(accept):
            media_type = next((one for one in TYPES if clause.takes(one)), "")
            if media_type and "as" not in clause.parameters:
                return ""
            # v2beta1 is gone since 1.35.
            if (
                media_type
                and clause.parameters.get("as") == "APIGroupDiscoveryList"
                and clause.parameters.get("g") == "apidiscovery.k8s.io"
                and clause.parameters.get("v") == "v2"
            ):
                return media_type
        raise NotAcceptable(f"only the following media types are accepted: {', '.join(TYPES)}")

    def _aggregate(self, request: Request, prefix: str, media_type: str) -> Response:
        known = self._aggregated.get(f"{media_type} {prefix}")
        if known is None:
            self.aggregations += 1
            made = self._aggregated_list(prefix)
            plain = orjson.dumps(made)
            body = plain
            if media_type == PROTOBUF:
                raw = protobuf.encode_list(_GROUP_DISCOVERY, {}, made["items"])
                body = protobuf.wrap(made["apiVersion"], made["kind"], raw)
            elif media_type == YAML:
                body = yaml.encode(made)
            etag = hashlib.sha512(plain).hexdigest().upper()
            known = self._aggregated[f"{media_type} {prefix}"] = (body, etag)
        body, etag = known
        quoted = f'"{etag}"'
        headers = Headers((("cache-control", "public"), ("etag", quoted), ("vary", "Accept")))
        if request.headers.get("if-none-match") == quoted:
            return Response(status=304, headers=headers)
        headers.set("content-type", media_type + _AGGREGATED)
        response = Response(headers=headers, body=body)
        if takes_gzip(request):
            compress(response)
        return response

    def _aggregated_list(self, prefix: str) -> Object:
        groups: Mapping[str, list[str]] = self._groups() if prefix == "apis" else {"": ["v1"]}
        items = []
        for group, versions in groups.items():
            listed = []
            for version in versions:
                remote = self._remote.get((group, version))
                if remote is not None:
                    listed.append(_remote_version(remote))
                    continue
                resources = self._catalog.group(group, version) or {}
                found = [_discovery_resource(served) for served in resources.values()]
                listed.append({"version": version, "resources": found, "freshness": "Current"})
            items.append({"metadata": {"name": group} if group else {}, "versions": listed})
        return {
            "kind": "APIGroupDiscoveryList",
            "apiVersion": "apidiscovery.k8s.io/v2",
            "metadata": {},
            "items": items,
        }


def _remote_version(remote: RemoteVersion) -> Object:
    made: Object = {"version": remote.version}
    if remote.resources:
        made["resources"] = list(remote.resources)
    return {**made, "freshness": "Current" if remote.current else "Stale"}


def _storage_version_hash(served: Served) -> str:
    storage = served.resource.storage or served.resource
    version = _HASHED_VERSIONS.get(storage.kind, storage.version)
    if served.custom:
        version = served.stored_api_version.rpartition("/")[2]
    text = f"{storage.group}/{version}/{storage.kind}"
    return b64encode(hashlib.sha256(text.encode()).digest()[:8]).decode()


def _subresources(served: Served) -> list[tuple[str, str, str, str, list[str]]]:
    """Return (name, group, version, kind, verbs) of each, sorted; group and version where they differ.

    Those of custom resources stand in upstream's order.
    """
    resource = served.resource
    found = [(sub.name, sub.group, sub.version, sub.kind, sorted(sub.verbs)) for sub in resource.subresources]
    if resource.status:
        found.append(("status", "", "", resource.kind, _STATUS_VERBS))
    if resource.scale is not None:
        group, _, version = resource.scale.version.rpartition("/")
        found.append(("scale", group, version, "Scale", _STATUS_VERBS))
    return found if served.custom else sorted(found)


def _api_resources(served: Served) -> list[Object]:
    resource = served.resource
    main: Object = {
        "name": resource.plural,
        "singularName": resource.singular_name,
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": list(resource.verbs) if served.custom else sorted(resource.verbs),
    }
    if resource.short_names:
        main["shortNames"] = list(resource.short_names)
    if resource.categories:
        main["categories"] = list(resource.categories)
    if resource.stored and "list" in resource.verbs and "create" in resource.verbs:
        main["storageVersionHash"] = _storage_version_hash(served)
    listed = [main]
    for name, group, version, kind, verbs in _subresources(served):
        sub: Object = {
            "name": f"{resource.plural}/{name}",
            "singularName": "",
            "namespaced": resource.namespaced,
        }
        if group:
            sub["group"] = group
        if version:
            sub["version"] = version
        listed.append({**sub, "kind": kind, "verbs": verbs})
    return listed


def _home(group: str, version: str) -> Object:
    return {"group": group, "version": version}


def _discovery_resource(served: Served) -> Object:
    resource = served.resource
    # Of built-in resources upstream says it only where it differs.
    home = _home(resource.group, resource.version) if served.custom else _home("", "")
    found: Object = {
        "resource": resource.plural,
        "responseKind": {**home, "kind": resource.kind},
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular_name,
        "verbs": list(resource.verbs) if served.custom else sorted(resource.verbs),
    }
    if resource.short_names:
        found["shortNames"] = list(resource.short_names)
    if resource.categories:
        found["categories"] = list(resource.categories)
    subresources = [
        {
            "subresource": name,
            "responseKind": {**(_home(group, version) if group else home), "kind": kind},
            "verbs": verbs,
        }
        for name, group, version, kind, verbs in _subresources(served)
    ]
    if subresources:
        found["subresources"] = subresources
    return found
