"""Deployment, apps/v1."""

from __future__ import annotations

from podium.machinery import labels
from podium.machinery.errors import Object
from podium.machinery.gated import Gated
from podium.machinery.resource import Resource, Scale
from podium.resources import deferred
from podium.resources.core import pod_spec
from podium.resources.core.pod_gates import TEMPLATE_FIELDS, TEMPLATE_WHILE_OFF, TEMPLATE_WHILE_ON
from podium.resources.defaulting import absent, blank, child, drop_zero
from podium.resources.printing import (
    AGE,
    NAME,
    column,
    container_columns,
    count,
    spec,
    status,
    template_containers,
)
from podium.resources.scaling import selector_of_labels


def _defaults(deployment: Object) -> None:
    spec = child(deployment, "spec")
    pod_spec.default_template(child(spec, "template"))
    absent(spec, "replicas", 1)
    strategy = child(spec, "strategy")
    blank(strategy, "type", "RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        rolling = child(strategy, "rollingUpdate")
        absent(rolling, "maxUnavailable", "25%")
        absent(rolling, "maxSurge", "25%")
    absent(spec, "revisionHistoryLimit", 10)
    absent(spec, "progressDeadlineSeconds", 600)
    drop_zero(spec, "paused", "minReadySeconds")
    _shown_status(child(deployment, "status"))


def _shown_status(status: Object) -> None:
    drop_zero(
        status, "replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "observedGeneration"
    )
    drop_zero(status, "unavailableReplicas", "conditions")


def _prepare_create(deployment: Object) -> None:
    deployment["status"] = {}


def _ready(deployment: Object) -> str:
    return f"{count(status(deployment).get('readyReplicas'))}/{count(spec(deployment).get('replicas'))}"


def _selector(deployment: Object) -> str:
    try:
        return str(labels.from_label_selector(spec(deployment).get("selector")))
    except ValueError:
        return "<invalid>"


DEPLOYMENTS = Resource(
    group="apps",
    version="v1",
    kind="Deployment",
    plural="deployments",
    namespaced=True,
    short_names=("deploy",),
    categories=("all",),
    schema="io.k8s.api.apps.v1.Deployment",
    gated=(
        *TEMPLATE_FIELDS,
        Gated(gate="DeploymentReplicaSetTerminatingReplicas", paths=("status.terminatingReplicas",)),
    ),
    while_off=TEMPLATE_WHILE_OFF,
    while_on=TEMPLATE_WHILE_ON,
    scale=Scale(selector=selector_of_labels),
    status=True,
    generation=True,
    generation_fields=("spec", "metadata.annotations"),
    defaults=_defaults,
    prepare_create=_prepare_create,
    columns=(
        NAME,
        column("Ready", _ready),
        column("Up-to-date", lambda obj: count(status(obj).get("updatedReplicas"))),
        column("Available", lambda obj: count(status(obj).get("availableReplicas"))),
        AGE,
        *container_columns(template_containers),
        column("Selector", _selector, wide=True),
    ),
    warnings=deferred.warnings("core.warnings", "workload_warnings"),
    validate=deferred.check("apps.validation", "validate_deployment"),
    validate_update=deferred.update_check("apps.validation", "validate_deployment_update"),
    validate_status_update=deferred.update_check("apps.validation", "validate_deployment_status"),
)
