"""The objects that parametrise a policy for one of its bindings."""

from __future__ import annotations

from collections.abc import Sequence

from podium.apiserver.admission.matching import namespace_of
from podium.apiserver.admission.policies.compiled import Binding, Policy
from podium.apiserver.chain import Attributes
from podium.machinery import labels
from podium.machinery.errors import ApiError, Object
from podium.machinery.resource import Resource


class Misconfigured(Exception):
    """A policy or a binding asks for what there is not. The text is upstream's."""


def param_resource(policy: Policy, attributes: Attributes) -> Resource | None:
    """Return the resource of a policy's parameters; None when it has none. Raises `Misconfigured`."""
    kind = policy.param_kind
    if kind is None:
        return None
    version, name = kind.get("apiVersion") or "", kind.get("kind") or ""
    found = attributes.host.find_kind(version, name) if attributes.host is not None else None
    if found is None:
        shown = version if "/" in version else f"/{version}"
        raise Misconfigured(f"failed to find resource referenced by paramKind: '{shown}, Kind={name}'")
    return found


async def collect(
    policy: Policy, binding: Binding, resource: Resource | None, attributes: Attributes
) -> Sequence[Object | None]:
    """Return the parameters, each of which the policy is evaluated with; None alone where it takes none.

    Nothing at all, where none are found and that is allowed. Raises `Misconfigured`.
    """
    reference = binding.param_ref
    if resource is None or reference is None:
        return [None]
    own, namespace = reference.get("namespace") or "", ""
    if resource.namespaced:
        namespace = own or namespace_of(attributes)
        if not namespace:
            raise Misconfigured(
                "cannot use namespaced paramRef in policy binding that matches cluster-scoped resources"
            )
    elif own:
        raise Misconfigured("paramRef.namespace must not be provided for a cluster-scoped `paramKind`")
    found = await _find(reference, resource, namespace, attributes)
    if not found and reference.get("parameterNotFoundAction") == "Deny":
        raise Misconfigured("no params found for policy binding with `Deny` parameterNotFoundAction")
    return found


async def _find(
    reference: Object, resource: Resource, namespace: str, attributes: Attributes
) -> Sequence[Object]:
    assert attributes.host is not None
    name, selector = reference.get("name") or "", reference.get("selector")
    if name and selector is not None:
        raise Misconfigured("paramRef.name and paramRef.selector are mutually exclusive")
    if not name and selector is None:
        raise Misconfigured("one of name or selector must be provided")
    try:
        found = await attributes.host.objects(resource, namespace, name)
    except ApiError as error:
        raise Misconfigured(error.message) from None
    if name:
        return found
    parsed = labels.from_label_selector(selector)
    return [obj for obj in found if parsed.matches(obj["metadata"].get("labels") or {})]
