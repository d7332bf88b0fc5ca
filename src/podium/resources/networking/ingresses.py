"""Ingress, networking.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources import deferred
from podium.resources.defaulting import child
from podium.resources.printing import AGE, NAME, NONE, column, load_balancer_addresses, spec


def _defaults(ingress: Object) -> None:
    child(ingress, "spec")
    child(child(ingress, "status"), "loadBalancer")


def _prepare_create(ingress: Object) -> None:
    ingress["status"] = {"loadBalancer": {}}


HOSTS_SHOWN_MAX = 3


def _hosts(ingress: Object) -> str:
    hosts: list[str] = []
    rules = spec(ingress).get("rules") or ()
    for rule in rules:
        if len(hosts) == HOSTS_SHOWN_MAX:
            return f"{','.join(hosts)} + {len(rules) - HOSTS_SHOWN_MAX} more..."
        if rule.get("host"):
            hosts.append(rule["host"])
    return ",".join(hosts) or "*"


INGRESSES = Resource(
    group="networking.k8s.io",
    version="v1",
    kind="Ingress",
    plural="ingresses",
    namespaced=True,
    short_names=("ing",),
    schema="io.k8s.api.networking.v1.Ingress",
    metadata_again=1,
    storage_prefix="ingress",
    status=True,
    generation=True,
    defaults=_defaults,
    prepare_create=_prepare_create,
    columns=(
        NAME,
        column("Class", lambda obj: spec(obj).get("ingressClassName") or NONE),
        column("Hosts", _hosts),
        column("Address", lambda obj: ",".join(load_balancer_addresses(obj))),
        column("Ports", lambda obj: "80, 443" if spec(obj).get("tls") else "80"),
        AGE,
    ),
    validate=deferred.check("networking.ingress_validation", "validate_ingress"),
    validate_update=deferred.update_check("networking.ingress_validation", "validate_ingress_update"),
    validate_status_update=deferred.update_check("networking.ingress_validation", "validate_ingress_status"),
    warnings=deferred.warnings("networking.ingress_validation", "ingress_warnings"),
    warns_of_status=True,
)
