"""DaemonSet, apps/v1."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.resource import Resource
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
    map_text,
    selector_text,
    spec,
    status,
    template_containers,
)

TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"
_COUNTS = ("currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady")


def _defaults(daemon_set: Object) -> None:
    spec = child(daemon_set, "spec")
    # Upstream keeps this count in a field of its own, which v1 always shows as an annotation.
    child(child(daemon_set, "metadata"), "annotations").setdefault(TEMPLATE_GENERATION, "0")
    pod_spec.default_template(child(spec, "template"))
    strategy = child(spec, "updateStrategy")
    blank(strategy, "type", "RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        rolling = child(strategy, "rollingUpdate")
        absent(rolling, "maxUnavailable", 1)
        absent(rolling, "maxSurge", 0)
    absent(spec, "revisionHistoryLimit", 10)
    drop_zero(spec, "minReadySeconds")
    status = child(daemon_set, "status")
    for name in _COUNTS:
        absent(status, name, 0)


def _prepare_create(daemon_set: Object) -> None:
    daemon_set["status"] = dict.fromkeys(_COUNTS, 0)
    _set_template_generation(daemon_set, 1)


def _prepare_update(new: Object, old: Object) -> None:
    generation = _template_generation(old)
    before, after = (old.get("spec") or {}).get("template"), (new.get("spec") or {}).get("template")
    _set_template_generation(new, generation + 1 if before != after else generation)


def _template_generation(daemon_set: Object) -> int:
    annotations = (daemon_set.get("metadata") or {}).get("annotations") or {}
    text = str(annotations.get(TEMPLATE_GENERATION) or "0")
    return int(text) if text.isdecimal() else 0


def _set_template_generation(daemon_set: Object, generation: int) -> None:
    child(child(daemon_set, "metadata"), "annotations")[TEMPLATE_GENERATION] = str(generation)


def _node_selector(daemon_set: Object) -> str:
    template = spec(daemon_set).get("template") or {}
    return map_text((template.get("spec") or {}).get("nodeSelector"))


DAEMONSETS = Resource(
    group="apps",
    version="v1",
    kind="DaemonSet",
    plural="daemonsets",
    namespaced=True,
    short_names=("ds",),
    categories=("all",),
    schema="io.k8s.api.apps.v1.DaemonSet",
    gated=TEMPLATE_FIELDS,
    while_off=TEMPLATE_WHILE_OFF,
    while_on=TEMPLATE_WHILE_ON,
    status=True,
    generation=True,
    defaults=_defaults,
    prepare_create=_prepare_create,
    prepare_update=_prepare_update,
    hidden_annotations=(TEMPLATE_GENERATION,),
    columns=(
        NAME,
        column("Desired", lambda obj: count(status(obj).get("desiredNumberScheduled")), type="integer"),
        column("Current", lambda obj: count(status(obj).get("currentNumberScheduled")), type="integer"),
        column("Ready", lambda obj: count(status(obj).get("numberReady")), type="integer"),
        column("Up-to-date", lambda obj: count(status(obj).get("updatedNumberScheduled")), type="integer"),
        column("Available", lambda obj: count(status(obj).get("numberAvailable")), type="integer"),
        column("Node Selector", _node_selector),
        AGE,
        *container_columns(template_containers),
        column("Selector", lambda obj: selector_text(spec(obj).get("selector")), wide=True),
    ),
    warnings=deferred.warnings("core.warnings", "changed_template_warnings"),
    validate=deferred.check("apps.validation", "validate_daemon_set"),
    validate_update=deferred.update_check("apps.validation", "validate_daemon_set_update"),
    validate_status_update=deferred.update_check("apps.validation", "validate_daemon_set_status"),
)
