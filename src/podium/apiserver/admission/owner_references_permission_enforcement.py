"""OwnerReferencesPermissionEnforcement: who may not delete an object may not have it collected either.

And who may not touch the finalizers of an owner may not hold up its deletion (blockOwnerDeletion).
"""

from __future__ import annotations

from podium.apiserver.admission.plugin import Plugin
from podium.apiserver.admission.writes import refused
from podium.apiserver.chain import Attributes, Authorizer, RequestInfo
from podium.machinery.errors import Object

_LEFT_OUT = {("pods", "", "status")}
"""Writes that cannot change owners anyway: plural, group, subresource."""


class OwnerReferencesPermissionEnforcement(Plugin):
    name = "OwnerReferencesPermissionEnforcement"

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    async def validate(self, attributes: Attributes) -> None:
        if attributes.operation not in ("CREATE", "UPDATE"):
            return
        resource = attributes.resource
        if (resource.plural, resource.group, attributes.subresource) in _LEFT_OUT:
            return
        new, old = _owners(attributes.object), _owners(attributes.old_object)
        if new == old:
            return
        if attributes.operation != "CREATE":
            await self._check_delete(attributes)
        blocking = newly_blocking(new, old)
        if blocking and not await self._allowed(attributes, _finalize("*", "*", "*", "*")):
            for reference in blocking:
                await self._check_finalize(attributes, reference)

    async def _check_delete(self, attributes: Attributes) -> None:
        resource = attributes.resource
        info = RequestInfo(
            verb="delete",
            path="",
            is_resource=True,
            api_group=resource.group,
            api_version=resource.version,
            namespace=attributes.namespace,
            resource=resource.plural,
            subresource=attributes.subresource,
            name=attributes.name,
        )
        decision = await self._authorizer.authorize(attributes.user, info)
        if not decision.allowed:
            why = f"cannot set an ownerRef on a resource you can't delete: {decision.reason}, <nil>"
            raise refused(attributes, why)

    async def _check_finalize(self, attributes: Attributes, reference: Object) -> None:
        version, kind = reference.get("apiVersion") or "", reference.get("kind") or ""
        owner = attributes.host.find_kind(version, kind) if attributes.host is not None else None
        if owner is None:
            group, _, short = version.rpartition("/")
            shown = f"{group}/{short}" if group else short
            raise refused(
                attributes,
                "cannot set blockOwnerDeletion in this case because cannot find RESTMapping for APIVersion "
                f'{version} Kind {kind}: no matches for kind "{kind}" in version "{shown}"',
            )
        info = _finalize(owner.group, owner.version, owner.plural, reference.get("name") or "")
        if owner.namespaced:
            info = _finalize(info.api_group, info.api_version, info.resource, info.name, attributes.namespace)
        decision = await self._authorizer.authorize(attributes.user, info)
        if not decision.allowed:
            raise refused(
                attributes,
                "cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set "
                f"finalizers on: {decision.reason}, <nil>",
            )

    async def _allowed(self, attributes: Attributes, info: RequestInfo) -> bool:
        return (await self._authorizer.authorize(attributes.user, info)).allowed


def newly_blocking(new: list[Object], old: list[Object]) -> list[Object]:
    """Return the references that hold up an owner's deletion, and did not before."""
    blocked = {one.get("uid") for one in old if one.get("blockOwnerDeletion")}
    return [one for one in new if one.get("blockOwnerDeletion") and one.get("uid") not in blocked]


def _owners(obj: Object | None) -> list[Object]:
    return ((obj or {}).get("metadata") or {}).get("ownerReferences") or []


def _finalize(group: str, version: str, plural: str, name: str, namespace: str = "") -> RequestInfo:
    return RequestInfo(
        verb="update",
        path="",
        is_resource=True,
        api_group=group,
        api_version=version,
        namespace=namespace,
        resource=plural,
        subresource="finalizers",
        name=name,
    )
