"""PodTemplate, v1."""

from __future__ import annotations

from dataclasses import replace

from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources import deferred
from podium.resources.core import pod_spec
from podium.resources.core.pod_gates import pod_fields, while_off, while_on
from podium.resources.defaulting import child
from podium.resources.printing import NAME, column, container_columns, map_text


def _defaults(template: Object) -> None:
    pod_spec.default_template(child(template, "template"))


def _pod_template(obj: Object) -> Object:
    template = obj.get("template")
    return template if isinstance(template, dict) else {}


def _containers(obj: Object) -> list[Object]:
    return list((_pod_template(obj).get("spec") or {}).get("containers") or ())


_CONTAINERS, _IMAGES = (replace(c, priority=0) for c in container_columns(_containers))


PODTEMPLATES = Resource(
    version="v1",
    kind="PodTemplate",
    plural="podtemplates",
    namespaced=True,
    schema="io.k8s.api.core.v1.PodTemplate",
    gated=pod_fields("template.spec"),
    while_off=while_off("template.spec"),
    while_on=while_on("template.spec"),
    generation=True,
    generation_fields=("template",),
    delete_returns_object=True,
    defaults=_defaults,
    columns=(
        NAME,
        _CONTAINERS,
        _IMAGES,
        column("Pod Labels", lambda obj: map_text((_pod_template(obj).get("metadata") or {}).get("labels"))),
    ),
    warnings=deferred.warnings("core.warnings", "pod_template_warnings"),
    validate=deferred.check("core.pod_validation", "validate_pod_template"),
    validate_update=deferred.check_again("core.pod_validation", "validate_pod_template"),
)
