"""RuntimeClass, node.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.resource import Resource
from podium.resources import deferred
from podium.resources.printing import AGE, NAME, column

RUNTIMECLASSES = Resource(
    group="node.k8s.io",
    version="v1",
    kind="RuntimeClass",
    core_finalizers=False,
    plural="runtimeclasses",
    namespaced=False,
    schema="io.k8s.api.node.v1.RuntimeClass",
    metadata_again=1,
    columns=(
        NAME,
        column("Handler", lambda obj: obj.get("handler") or ""),
        AGE,
    ),
    unconditional_update=False,
    create_on_update=True,
    validate=deferred.check("node.validation", "validate_runtime_class"),
    validate_update=deferred.update_check("node.validation", "validate_runtime_class_update"),
    warnings=deferred.warnings("warnings", "runtime_class_warnings"),
)
