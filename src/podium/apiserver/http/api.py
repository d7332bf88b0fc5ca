"""Resource requests: from request info to the verb's file. Dictionary look-ups, no patterns.

Api.handle -> (get | list | watch | create | update | patch | delete | deletecollection | special)
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping

from podium.apiserver.chain import RequestInfo, User
from podium.apiserver.http import collection, create, delete, get, patch, update, watching
from podium.apiserver.http.respond import add_warnings, failure, not_found_page
from podium.apiserver.registry.call import Call
from podium.apiserver.registry.registry import Registry
from podium.apiserver.registry.served import Served
from podium.base.http.message import Request, Response
from podium.base.tasks import in_task
from podium.machinery.errors import ApiError, MethodNotAllowed, NotFound

Verb = Callable[[Registry, Call, Request], Awaitable[Response]]
Special = Callable[[Registry, Call, Request, RequestInfo], Awaitable[Response]]
"""Answers one subresource of one resource, or every verb of a resource that is stored in no usual way."""

_COLLECTION_VERBS: Mapping[str, Verb] = {
    "list": get.list_objects,
    "watch": watching.watch_objects,
    "create": create.create_object,
    "deletecollection": collection.delete_objects,
}
_OBJECT_VERBS: Mapping[str, Verb] = {
    "get": get.get_object,
    "watch": watching.watch_objects,
    "update": update.update_object,
    "patch": patch.patch_object,
    "delete": delete.delete_object,
}
_SUBRESOURCE_VERBS: Mapping[str, Verb] = {
    "get": get.get_object,
    "update": update.update_object,
    "patch": patch.patch_object,
}
_REMOVED = re.compile(r"unavailable in v(\d+\.\d+)\+")
_STATUS_VERBS = ("get", "update", "patch")


def _is_of_namespaces(info: RequestInfo) -> bool:
    """Whether the path is that of Namespaces themselves, or of one of them: it names a namespace too.

    /api/v1/namespaces/a/namespaces/b is neither: whoever rules `a` would be let in to rule `b`.
    """
    if info.resource != "namespaces":
        return False
    below = "/".join(info.parts)
    root = f"/{info.api_prefix}/" + (f"{info.api_group}/" if info.api_group else "") + info.api_version
    return info.path.rstrip("/") in (f"{root}/{below}", f"{root}/watch/{below}")


def unknown_resource() -> NotFound:
    return NotFound("the server could not find the requested resource", details={})


def method_not_allowed() -> MethodNotAllowed:
    return MethodNotAllowed("the server does not allow this method on the requested resource", details={})


def removed_release(deprecation: str) -> str:
    """Return the release that a built-in resource's warning names as the first without it; "" for none."""
    found = _REMOVED.search(deprecation)
    return found[1] if found else ""


def _see_path(served: Served, info: RequestInfo) -> None:
    """Raise `NotFound` where there is nothing at all at a path."""
    resource = served.resource
    if info.namespace and not resource.namespaced and not _is_of_namespaces(info):
        raise unknown_resource()
    named = len(info.parts) > 1
    if named and resource.namespaced and not info.namespace:
        raise unknown_resource()
    declared = {*served.subresources, *(("status",) if resource.status else ())}
    if resource.scale is not None:
        declared.add("scale")
    if info.subresource and info.subresource not in declared:
        raise unknown_resource()


class Api:
    """The verbs over one registry."""

    def __init__(self, registry: Registry, specials: Mapping[tuple[str, str], Special]) -> None:
        self._registry = registry
        self._specials = specials
        """By (`Resource.group_plural`, subresource)."""

    async def handle(
        self,
        request: Request,
        info: RequestInfo,
        user: User,
        initialised: Callable[[], None] = lambda: None,
    ) -> Response:
        """Answer an authorized resource request. Raises `ApiError`.

        A watch calls `initialised` when it has sent its initial state.
        """
        catalog = self._registry.catalog
        resources = catalog.group(info.api_group, info.api_version)
        if resources is None:
            if not catalog.knows_group(info.api_group) or catalog.is_custom_group(info.api_group):
                return not_found_page()
            raise unknown_resource()
        if "//" in info.path:
            raise unknown_resource()
        served = resources.get(info.resource)
        if served is None:
            if catalog.is_custom_group(info.api_group):
                return not_found_page()
            raise unknown_resource()
        if (
            served.custom
            and bool(info.namespace) is not served.resource.namespaced
            and (info.namespace or info.name or info.verb == "create")
        ):
            return not_found_page()
        if served.resource.terminating and info.verb == "create":
            raise MethodNotAllowed(
                f"{info.verb} not allowed while custom resource definition is terminating", details={}
            )
        call = Call(
            served=served,
            user=user,
            namespace=info.namespace if served.resource.namespaced else "",
            name=info.name,
            subresource=info.subresource,
            initialised=initialised,
        )
        if request.audit is not None:
            call.annotations = request.audit.annotations
            call.audit = request.audit
        handler = self._find(served, request, info)
        if served.resource.deprecation:
            call.warn(served.resource.deprecation)
            self._note_deprecation(call)
        try:
            if isinstance(handler, tuple):
                await in_task()  # Some of them reach out, with time limits.
                response = await handler[0](self._registry, call, request, info)
            else:
                response = await handler(self._registry, call, request)
        except ApiError as error:
            if not call.warnings:
                raise
            response = failure(error, request, self._registry.media_types)
        if call.warnings:
            add_warnings(response, call.warnings)
        return response

    def _note_deprecation(self, call: Call) -> None:
        """Tell metrics and audit log that somebody uses what is on its way out."""
        resource = call.served.resource
        removed = "" if call.served.custom else removed_release(resource.deprecation)
        call.annotate("k8s.io/deprecated", "true")
        if removed:
            call.annotate("k8s.io/removed-release", removed)
        if self._registry.metrics is not None:
            labels = (resource.group, resource.version, resource.plural, call.subresource, removed)
            self._registry.metrics.deprecated.labels(*labels).set(1)

    def _find(self, served: Served, request: Request, info: RequestInfo) -> Verb | tuple[Special]:
        resource = served.resource
        if request.method in ("HEAD", "OPTIONS") and info.subresource != "proxy":
            _see_path(served, info)
            raise method_not_allowed()
        if info.namespace and not resource.namespaced and not _is_of_namespaces(info):
            raise unknown_resource()
        if info.subresource:
            return self._find_subresource(served, info)
        if len(info.parts) > 1 and "get" not in resource.verbs:
            raise unknown_resource()  # What is only asked, reviews for one, has no objects.
        special = self._specials.get((resource.group_plural, ""))
        if special is not None and info.verb in resource.verbs:
            return (special,)
        if len(info.parts) < 2:
            if resource.namespaced and not info.namespace and info.verb not in ("list", "watch"):
                raise method_not_allowed()
            verb = _COLLECTION_VERBS.get(info.verb)
        else:
            if resource.namespaced and not info.namespace:
                raise unknown_resource()
            verb = _OBJECT_VERBS.get(info.verb)
        if verb is None or info.verb not in resource.verbs:
            if len(info.parts) > 1 and not _OBJECT_VERBS.keys() & resource.verbs:
                raise unknown_resource()  # It is only ever asked, and never there.
            raise method_not_allowed()
        return verb

    def _find_subresource(self, served: Served, info: RequestInfo) -> Verb | tuple[Special]:
        resource, name = served.resource, info.subresource
        if resource.namespaced and not info.namespace:
            raise unknown_resource()
        if name == "status" and resource.status:
            verbs: tuple[str, ...] = _STATUS_VERBS
        elif name == "scale" and resource.scale is not None:
            verbs = _STATUS_VERBS
        elif name in served.subresources:
            verbs = served.subresources[name].verbs
        elif served.custom:
            raise NotFound.of(resource.plural, resource.group, info.name)
        else:
            raise unknown_resource()
        if len(info.parts) > 3 and name != "proxy":
            raise unknown_resource()
        if info.verb not in verbs and (info.verb or name != "proxy"):
            raise method_not_allowed()
        special = self._specials.get((resource.group_plural, name)) or self._specials.get(("*", name))
        if special is not None:
            return (special,)
        if name == "proxy":
            raise unknown_resource()
        verb = _SUBRESOURCE_VERBS.get(info.verb)
        if verb is None:
            raise unknown_resource()  # Declared, but this server has been given nothing that answers it.
        return verb
