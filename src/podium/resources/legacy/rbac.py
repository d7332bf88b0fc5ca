"""Roles and their bindings: rbac.authorization.k8s.io/v1beta1 and v1alpha1.

In the latter a subject names an API version instead of a group, and the user `*` means all who have
authenticated.
"""

from __future__ import annotations

from podium.machinery.derived import Change, Package
from podium.machinery.errors import Object
from podium.resources.defaulting import blank, child, items
from podium.resources.legacy.older import copied, older
from podium.resources.rbac.clusterrolebindings import CLUSTERROLEBINDINGS
from podium.resources.rbac.clusterroles import CLUSTERROLES
from podium.resources.rbac.defaults import GROUP
from podium.resources.rbac.rolebindings import ROLEBINDINGS
from podium.resources.rbac.roles import ROLES

_BASE = "io.k8s.api.rbac.v1"
V1BETA1_PACKAGE = Package(name="io.k8s.api.rbac.v1beta1", group=GROUP, version="v1beta1", bases=(_BASE,))
V1ALPHA1_PACKAGE = Package(
    name="io.k8s.api.rbac.v1alpha1",
    group=GROUP,
    version="v1alpha1",
    bases=(_BASE,),
    changes={
        "Subject": Change(
            without=("apiGroup",),
            fields={
                "apiVersion": {
                    "type": "string",
                    "description": "The API version of the subject; only its group matters.",
                }
            },
        )
    },
)

_ALL = "system:authenticated"
_OWN = f"{GROUP}/v1alpha1"


def _subject_to_v1(subject: Object) -> Object:
    result = {key: value for key, value in subject.items() if key != "apiVersion"}
    kind = subject.get("kind")
    if kind in ("User", "Group"):
        result["apiGroup"] = GROUP
    elif kind != "ServiceAccount":
        group = str(subject.get("apiVersion") or "").rpartition("/")[0]
        if group:
            result["apiGroup"] = group
    if kind == "User" and subject.get("name") == "*":
        result |= {"kind": "Group", "name": _ALL}
    return result


def _subject_from_v1(subject: Object) -> Object:
    result = {key: value for key, value in subject.items() if key != "apiGroup"}
    kind, group = subject.get("kind"), subject.get("apiGroup") or ""
    if kind == "ServiceAccount" and not group:
        result["apiVersion"] = "v1"
    elif kind in ("User", "Group") and group == GROUP:
        result["apiVersion"] = _OWN
    elif group:
        result["apiVersion"] = f"{group}/"
    return result


def to_v1(binding: Object) -> Object:
    """Return the binding with subjects as v1 has them."""
    result = copied(binding, "subjects")
    if result.get("subjects"):
        result["subjects"] = [_subject_to_v1(subject) for subject in items(result, "subjects")]
    return result


def from_v1(binding: Object) -> Object:
    """Return the binding with subjects as v1alpha1 has them."""
    result = copied(binding, "subjects")
    if result.get("subjects"):
        result["subjects"] = [_subject_from_v1(subject) for subject in items(result, "subjects")]
    return result


def _default_alpha_binding(binding: Object) -> None:
    blank(child(binding, "roleRef"), "apiGroup", GROUP)
    for subject in items(binding, "subjects"):
        if not subject.get("apiVersion"):
            if subject.get("kind") == "ServiceAccount":
                subject["apiVersion"] = "v1"
            elif subject.get("kind") in ("User", "Group"):
                subject["apiVersion"] = _OWN


RESOURCES = (
    *(
        older(resource, V1BETA1_PACKAGE, deprecated=(1, 17), removed=(1, 22))
        for resource in (CLUSTERROLEBINDINGS, CLUSTERROLES, ROLEBINDINGS, ROLES)
    ),
    *(
        older(
            resource,
            V1ALPHA1_PACKAGE,
            deprecated=(1, 17),
            removed=(1, 22),
            to_storage=to_v1,
            from_storage=from_v1,
            defaults=_default_alpha_binding,
        )
        for resource in (CLUSTERROLEBINDINGS, ROLEBINDINGS)
    ),
    *(
        older(resource, V1ALPHA1_PACKAGE, deprecated=(1, 17), removed=(1, 22))
        for resource in (CLUSTERROLES, ROLES)
    ),
)
PACKAGES = (V1BETA1_PACKAGE, V1ALPHA1_PACKAGE)
