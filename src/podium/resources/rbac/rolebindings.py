"""RoleBinding, rbac.authorization.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.resource import Resource
from podium.machinery.validation import path_segment_errors
from podium.resources import deferred
from podium.resources.rbac import columns, defaults

ROLEBINDINGS = Resource(
    group="rbac.authorization.k8s.io",
    version="v1",
    kind="RoleBinding",
    plural="rolebindings",
    namespaced=True,
    schema="io.k8s.api.rbac.v1.RoleBinding",
    metadata_again=1,
    create_on_update=True,
    defaults=defaults.default_binding,
    name_errors=path_segment_errors,
    columns=columns.COLUMNS,
    validate=deferred.check("rbac.validation", "validate_role_binding"),
    validate_update=deferred.update_check("rbac.validation", "validate_role_binding_update"),
)
