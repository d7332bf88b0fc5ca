"""StatefulSet, apps/v1."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.gated import Gated
from podium.machinery.resource import Resource, Scale
from podium.machinery.validation import dns1123_label_errors
from podium.resources import deferred
from podium.resources.core import pod_spec, volumes
from podium.resources.core.pod_gates import TEMPLATE_FIELDS, TEMPLATE_WHILE_OFF, TEMPLATE_WHILE_ON
from podium.resources.defaulting import absent, blank, child, drop_zero, given, items
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


def _defaults(stateful_set: Object) -> None:
    spec = child(stateful_set, "spec")
    pod_spec.default_template(child(spec, "template"))
    blank(spec, "podManagementPolicy", "OrderedReady")
    strategy = child(spec, "updateStrategy")
    if not strategy.get("type"):
        strategy["type"] = "RollingUpdate"
        child(strategy, "rollingUpdate")
    rolling = given(strategy, "rollingUpdate")
    if strategy["type"] == "RollingUpdate" and rolling is not None:
        absent(rolling, "partition", 0)
    retention = child(spec, "persistentVolumeClaimRetentionPolicy")
    blank(retention, "whenDeleted", "Retain")
    blank(retention, "whenScaled", "Retain")
    absent(spec, "replicas", 1)
    absent(spec, "revisionHistoryLimit", 10)
    drop_zero(spec, "minReadySeconds", "serviceName", "volumeClaimTemplates")
    for claim in items(spec, "volumeClaimTemplates"):
        claim["apiVersion"], claim["kind"] = "v1", "PersistentVolumeClaim"
        child(claim, "metadata")
        volumes.default_claim_spec(child(claim, "spec"))
        blank(child(claim, "status"), "phase", "Pending")
    status = child(stateful_set, "status")
    absent(status, "replicas", 0)
    absent(status, "availableReplicas", 0)


def _prepare_create(stateful_set: Object) -> None:
    stateful_set["status"] = {"replicas": 0, "availableReplicas": 0}


def _ready(stateful_set: Object) -> str:
    return f"{count(status(stateful_set).get('readyReplicas'))}/{count(spec(stateful_set).get('replicas'))}"


def _default_unavailable(stateful_set: Object) -> None:
    strategy = child(child(stateful_set, "spec"), "updateStrategy")
    rolling = given(strategy, "rollingUpdate")
    if strategy.get("type") == "RollingUpdate" and rolling is not None:
        absent(rolling, "maxUnavailable", 1)


STATEFULSETS = Resource(
    group="apps",
    version="v1",
    kind="StatefulSet",
    name_errors=dns1123_label_errors,
    plural="statefulsets",
    namespaced=True,
    short_names=("sts",),
    categories=("all",),
    schema="io.k8s.api.apps.v1.StatefulSet",
    gated=(
        *TEMPLATE_FIELDS,
        Gated(gate="MaxUnavailableStatefulSet", paths=("spec.updateStrategy.rollingUpdate.maxUnavailable",)),
    ),
    while_off=TEMPLATE_WHILE_OFF,
    while_on=TEMPLATE_WHILE_ON,
    scale=Scale(selector=selector_of_labels),
    status=True,
    generation=True,
    defaults=_defaults,
    defaults_by_gate={"MaxUnavailableStatefulSet": _default_unavailable},
    prepare_create=_prepare_create,
    columns=(
        NAME,
        column("Ready", _ready),
        AGE,
        *container_columns(template_containers),
    ),
    warnings=deferred.warnings("warnings", "stateful_set_warnings"),
    validate=deferred.check("apps.validation", "validate_stateful_set"),
    validate_update=deferred.update_check("apps.validation", "validate_stateful_set_update"),
    validate_status_update=deferred.update_check("apps.validation", "validate_stateful_set_status"),
)
