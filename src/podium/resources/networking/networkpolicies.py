"""NetworkPolicy, networking.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources import deferred
from podium.resources.defaulting import absent, child, drop_zero, items
from podium.resources.printing import AGE, NAME, column, selector_text, spec


def _defaults(policy: Object) -> None:
    spec = child(policy, "spec")
    child(spec, "podSelector")
    for direction in ("ingress", "egress"):
        for rule in items(spec, direction):
            for port in items(rule, "ports"):
                absent(port, "protocol", "TCP")
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]
    drop_zero(spec, "ingress", "egress")


NETWORKPOLICIES = Resource(
    group="networking.k8s.io",
    version="v1",
    kind="NetworkPolicy",
    plural="networkpolicies",
    namespaced=True,
    short_names=("netpol",),
    schema="io.k8s.api.networking.v1.NetworkPolicy",
    generation=True,
    defaults=_defaults,
    columns=(
        NAME,
        column("Pod-Selector", lambda obj: selector_text(spec(obj).get("podSelector"))),
        AGE,
    ),
    validate=deferred.check("networking.validation", "validate_network_policy"),
    validate_update=deferred.update_check("networking.validation", "validate_network_policy_update"),
    warnings=deferred.warnings("networking.validation", "network_policy_warnings"),
)
