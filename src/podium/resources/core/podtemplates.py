"""PodTemplate, v1."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources.core import pod_spec
from podium.resources.defaulting import child


def _defaults(template: Object) -> None:
    pod_spec.default_template(child(template, "template"))


PODTEMPLATES = Resource(
    version="v1",
    kind="PodTemplate",
    plural="podtemplates",
    namespaced=True,
    schema="io.k8s.api.core.v1.PodTemplate",
    create_on_update=True,
    delete_returns_object=True,
    defaults=_defaults,
)
