"""What a cluster makes for itself at its first start: nobody's decision, so nobody is told of it. Pure."""

from __future__ import annotations

from podium.audit_report.workloads import as_object
from podium.machinery.errors import Object

_LABEL = "kubernetes.io/bootstrapping"
_PREFIX = "system:"
_OTHERS = frozenset({"cluster-admin", "admin", "edit", "view", "extension-apiserver-authentication-reader"})
_TO_EVERYBODY = {
    "system:basic-user": frozenset({"system:authenticated"}),
    "system:discovery": frozenset({"system:authenticated"}),
    "system:public-info-viewer": frozenset({"system:authenticated", "system:unauthenticated"}),
    "system:service-account-issuer-discovery": frozenset({"system:serviceaccounts"}),
}
_EVERYBODY = frozenset(
    {"system:anonymous", "system:unauthenticated", "system:authenticated", "system:serviceaccounts"}
)


def is_bootstrap(obj: Object) -> bool:
    """Whether a role or binding is one of the cluster's own: by its name, and by the label that the API
    server gives it. Either alone could be anybody's."""
    metadata = as_object(obj.get("metadata"))
    name = str(metadata.get("name") or "")
    labelled = as_object(metadata.get("labels")).get(_LABEL) == "rbac-defaults"
    return labelled and (name.startswith(_PREFIX) or name in _OTHERS)


def is_added(binding: Object, subject: Object) -> bool:
    """Whether somebody has added a subject to a binding of the cluster's own."""
    name = str(subject.get("name") or "")
    if subject.get("kind") == "ServiceAccount":
        return subject.get("namespace") != "kube-system"
    if name in _EVERYBODY:
        own = str(as_object(binding.get("metadata")).get("name") or "")
        return name not in _TO_EVERYBODY.get(own, ())
    return not name.startswith(_PREFIX)
