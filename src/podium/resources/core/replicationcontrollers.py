"""ReplicationController, v1."""

from __future__ import annotations

from functools import partial

from podium.machinery.errors import Object
from podium.machinery.resource import Resource, Scale
from podium.machinery.validation import dns1123_subdomain_errors
from podium.resources import deferred
from podium.resources.core import pod_spec
from podium.resources.core.pod_gates import TEMPLATE_FIELDS, TEMPLATE_WHILE_OFF, TEMPLATE_WHILE_ON
from podium.resources.defaulting import absent, child, drop_zero, given
from podium.resources.printing import (
    AGE,
    NAME,
    column,
    container_columns,
    count,
    map_text,
    spec,
    status,
    template_containers,
)
from podium.resources.scaling import selector_of_map
from podium.resources.selecting import number


def _defaults(controller: Object) -> None:
    spec = child(controller, "spec")
    absent(spec, "replicas", 1)
    drop_zero(spec, "minReadySeconds")
    template = given(spec, "template")
    if template is not None:
        pod_spec.default_template(template)
        labels = (template.get("metadata") or {}).get("labels")
        if labels:
            if not spec.get("selector"):
                spec["selector"] = dict(labels)
            if not child(controller, "metadata").get("labels"):
                controller["metadata"]["labels"] = dict(labels)
    absent(child(controller, "status"), "replicas", 0)


def _prepare_create(controller: Object) -> None:
    controller["status"] = {"replicas": 0}


REPLICATIONCONTROLLERS = Resource(
    version="v1",
    kind="ReplicationController",
    name_errors=partial(dns1123_subdomain_errors, unit="bytes"),
    plural="replicationcontrollers",
    namespaced=True,
    short_names=("rc",),
    categories=("all",),
    schema="io.k8s.api.core.v1.ReplicationController",
    gated=TEMPLATE_FIELDS,
    while_off=TEMPLATE_WHILE_OFF,
    while_on=TEMPLATE_WHILE_ON,
    storage_prefix="controllers",
    scale=Scale(selector=selector_of_map),
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
        column("Selector", lambda obj: map_text(spec(obj).get("selector")), wide=True),
    ),
    selectable={"status.replicas": number("status.replicas")},
    warnings=deferred.warnings("core.warnings", "workload_warnings"),
    validate=deferred.check("core.controller_validation", "validate_controller"),
    validate_update=deferred.check_again("core.controller_validation", "validate_controller"),
    validate_status_update=deferred.update_check("apps.validation", "validate_replica_set_status"),
)
