"""ReplicaSet, apps/v1."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.gated import Gated
from podium.machinery.resource import Resource, Scale
from podium.resources import deferred
from podium.resources.core import pod_spec
from podium.resources.core.pod_gates import TEMPLATE_FIELDS, TEMPLATE_WHILE_OFF, TEMPLATE_WHILE_ON
from podium.resources.defaulting import absent, child, drop_zero
from podium.resources.printing import (
    AGE,
    NAME,
    column,
    container_columns,
    count,
    selector_text,
    spec,
    status,
    template_containers,
)
from podium.resources.scaling import selector_of_labels


def _defaults(replica_set: Object) -> None:
    spec = child(replica_set, "spec")
    pod_spec.default_template(child(spec, "template"))
    absent(spec, "replicas", 1)
    drop_zero(spec, "minReadySeconds")
    status = child(replica_set, "status")
    absent(status, "replicas", 0)
    drop_zero(status, "fullyLabeledReplicas", "readyReplicas", "availableReplicas", "observedGeneration")


def _prepare_create(replica_set: Object) -> None:
    replica_set["status"] = {"replicas": 0}


REPLICASETS = Resource(
    group="apps",
    version="v1",
    kind="ReplicaSet",
    plural="replicasets",
    namespaced=True,
    short_names=("rs",),
    categories=("all",),
    schema="io.k8s.api.apps.v1.ReplicaSet",
    gated=(
        *TEMPLATE_FIELDS,
        Gated(gate="DeploymentReplicaSetTerminatingReplicas", paths=("status.terminatingReplicas",)),
    ),
    while_off=TEMPLATE_WHILE_OFF,
    while_on=TEMPLATE_WHILE_ON,
    scale=Scale(selector=selector_of_labels),
    status=True,
    generation=True,
    defaults=_defaults,
    prepare_create=_prepare_create,
    columns=(
        NAME,
        column("Desired", lambda obj: count(spec(obj).get("replicas")), type="integer"),
        column("Current", lambda obj: count(status(obj).get("replicas")), type="integer"),
        column("Ready", lambda obj: count(status(obj).get("readyReplicas")), type="integer"),
        AGE,
        *container_columns(template_containers),
        column("Selector", lambda obj: selector_text(spec(obj).get("selector")), wide=True),
    ),
    warnings=deferred.warnings("core.warnings", "workload_warnings"),
    validate=deferred.check("apps.validation", "validate_replica_set"),
    validate_update=deferred.update_check("apps.validation", "validate_replica_set_update"),
    validate_status_update=deferred.update_check("apps.validation", "validate_replica_set_status"),
)
