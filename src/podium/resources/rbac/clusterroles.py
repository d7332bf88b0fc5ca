"""ClusterRole, rbac.authorization.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.resource import Resource
from podium.machinery.validation import path_segment_errors
from podium.resources import deferred
from podium.resources.rbac import defaults

CLUSTERROLES = Resource(
    group="rbac.authorization.k8s.io",
    version="v1",
    kind="ClusterRole",
    plural="clusterroles",
    namespaced=False,
    schema="io.k8s.api.rbac.v1.ClusterRole",
    metadata_again=1,
    create_on_update=True,
    defaults=defaults.default_role,
    name_errors=path_segment_errors,
    validate=deferred.check("rbac.validation", "validate_cluster_role"),
    validate_update=deferred.check_again("rbac.validation", "validate_cluster_role"),
)
