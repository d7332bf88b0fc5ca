"""No one grants what they do not hold: the checks on writing roles and bindings.

Upstream does this in the storage of these resources, whatever authorizes the request; here it stands in the
admission chain, behind everything that may still change the object.
"""

from __future__ import annotations

from podium.apiserver.admission.plugin import Plugin
from podium.apiserver.authz.rbac import GROUP, RbacAuthorizer
from podium.apiserver.authz.rules import described, quoted_list, uncovered
from podium.apiserver.chain import MASTERS, Attributes, Authorizer, RequestInfo
from podium.machinery.errors import Forbidden, NotFound, Object
from podium.resources.rbac.clusterrolebindings import CLUSTERROLEBINDINGS
from podium.resources.rbac.clusterroles import CLUSTERROLES
from podium.resources.rbac.rolebindings import ROLEBINDINGS
from podium.resources.rbac.roles import ROLES

_ROLES = ("roles", "clusterroles")
_BINDINGS = ("rolebindings", "clusterrolebindings")
_FULL_AUTHORITY: tuple[Object, ...] = (
    {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
    {"verbs": ["*"], "nonResourceURLs": ["*"]},
)
# An update of these alone lets the garbage collector do its work, and grants nobody anything.
_HARMLESS_METADATA = ("ownerReferences", "finalizers", "managedFields", "resourceVersion", "generation")


class EscalationCheck(Plugin):
    """Refuses roles and bindings that grant more than their writer holds in that namespace."""

    name = "RBACEscalationCheck"
    resources = (ROLES, CLUSTERROLES, ROLEBINDINGS, CLUSTERROLEBINDINGS)

    def __init__(self, rbac: RbacAuthorizer, authorizer: Authorizer) -> None:
        self._rbac = rbac
        self._authorizer = authorizer

    async def admit(self, attributes: Attributes) -> None:
        if attributes.object is None or attributes.subresource:
            return
        if attributes.operation not in ("CREATE", "UPDATE"):
            return
        if MASTERS in attributes.user.groups:
            return
        if attributes.old_object is not None and _only_harmless(attributes.object, attributes.old_object):
            return
        if attributes.resource.plural in _ROLES:
            await self._check_role(attributes, attributes.object)
        elif attributes.resource.plural in _BINDINGS:
            await self._check_binding(attributes, attributes.object)

    async def _check_role(self, attributes: Attributes, role: Object) -> None:
        if await self._may(attributes, "escalate", attributes.resource.plural, attributes.name):
            return
        self._confirm(attributes, tuple(role.get("rules") or ()))
        if role.get("aggregationRule") and self._missing(attributes, _FULL_AUTHORITY):
            why = "must have cluster-admin privileges to use the aggregationRule"
            raise _refused(attributes, why)

    async def _check_binding(self, attributes: Attributes, binding: Object) -> None:
        reference = binding.get("roleRef") or {}
        kind, name = reference.get("kind", ""), reference.get("name", "")
        plural = "clusterroles" if kind == "ClusterRole" else "roles"
        if await self._may(attributes, "bind", plural, name):
            return
        rules = self._rbac.role_rules(attributes.namespace, kind, name)
        if rules is None:
            raise NotFound.of(plural, GROUP, name)
        self._confirm(attributes, rules)

    async def _may(self, attributes: Attributes, verb: str, plural: str, name: str) -> bool:
        info = RequestInfo(
            verb=verb,
            path="",
            is_resource=True,
            api_prefix="apis",
            api_group=GROUP,
            api_version=attributes.resource.version,
            namespace=attributes.namespace,
            resource=plural,
            name=name,
        )
        return (await self._authorizer.authorize(attributes.user, info)).allowed

    def _missing(self, attributes: Attributes, wanted: tuple[Object, ...]) -> list[Object]:
        return uncovered(self._rbac.rules_for(attributes.user, attributes.namespace).rules, wanted)

    def _confirm(self, attributes: Attributes, wanted: tuple[Object, ...]) -> None:
        missing = self._missing(attributes, wanted)
        if not missing:
            return
        user = attributes.user
        why = (
            f'user "{user.name}" (groups={quoted_list(user.groups)}) is attempting to grant RBAC permissions '
            "not currently held:\n" + "\n".join(described(missing))
        )
        errors = self._rbac.rules_for(user, attributes.namespace).errors
        if errors:
            why += f"; resolution errors: [{' '.join(errors)}]"
        raise _refused(attributes, why)


def _only_harmless(new: Object, old: Object) -> bool:
    return _significant(new) == _significant(old)


def _significant(obj: Object) -> Object:
    metadata = {k: v for k, v in (obj.get("metadata") or {}).items() if k not in _HARMLESS_METADATA}
    return {**obj, "metadata": metadata}


def _refused(attributes: Attributes, why: str) -> Forbidden:
    resource = attributes.resource
    return Forbidden.to(resource.plural, resource.group, attributes.name, why)
