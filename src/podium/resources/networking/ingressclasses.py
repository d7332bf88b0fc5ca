"""IngressClass, networking.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources import deferred
from podium.resources.defaulting import absent, child, given
from podium.resources.printing import AGE, NONE, column, name, spec


def _defaults(ingress_class: Object) -> None:
    parameters = given(child(ingress_class, "spec"), "parameters")
    if parameters is not None:
        absent(parameters, "scope", "Cluster")


DEFAULT_ANNOTATION = "ingressclass.kubernetes.io/is-default-class"


def _name(ingress_class: Object) -> str:
    annotations = (ingress_class.get("metadata") or {}).get("annotations") or {}
    suffix = " (default)" if annotations.get(DEFAULT_ANNOTATION) == "true" else ""
    return name(ingress_class) + suffix


def _parameters(ingress_class: Object) -> str:
    parameters = given(spec(ingress_class), "parameters")
    if parameters is None:
        return NONE
    group = f".{parameters['apiGroup']}" if parameters.get("apiGroup") is not None else ""
    return f"{parameters.get('kind')}{group}/{parameters.get('name')}"


INGRESSCLASSES = Resource(
    group="networking.k8s.io",
    version="v1",
    kind="IngressClass",
    plural="ingressclasses",
    namespaced=False,
    schema="io.k8s.api.networking.v1.IngressClass",
    metadata_again=1,
    generation=True,
    defaults=_defaults,
    columns=(
        column("Name", _name, format="name"),
        column("Controller", lambda obj: spec(obj).get("controller") or ""),
        column("Parameters", _parameters),
        AGE,
    ),
    validate=deferred.check("networking.ingress_validation", "validate_ingress_class"),
    validate_update=deferred.update_check("networking.ingress_validation", "validate_ingress_class_update"),
)
