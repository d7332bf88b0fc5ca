"""Policies and bindings for tests."""

from __future__ import annotations

from typing import Any

from podium.machinery.errors import Object
from tests.apiserver.admission.webhooks.hooks import rule
from tests.apiserver.harness import Api

GROUP = "/apis/admissionregistration.k8s.io/v1"
VALIDATING = f"{GROUP}/validatingadmissionpolicies"
VALIDATING_BINDINGS = f"{GROUP}/validatingadmissionpolicybindings"
MUTATING = f"{GROUP}/mutatingadmissionpolicies"
MUTATING_BINDINGS = f"{GROUP}/mutatingadmissionpolicybindings"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"


def policy(name: str, *validations: Object, rules: list[Object] | None = None, **spec: Any) -> Object:
    """Return a policy over the creation of config maps, unless told otherwise."""
    made: Object = {
        "matchConstraints": {"resourceRules": rules or [rule("configmaps")]},
        **({"validations": list(validations)} if validations else {}),
        **spec,
    }
    return {"metadata": {"name": name}, "spec": made}


def expression(text: str, **more: Any) -> Object:
    return {"expression": text, **more}


def apply(text: str) -> Object:
    return {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": text}}


def json_patch(text: str) -> Object:
    return {"patchType": "JSONPatch", "jsonPatch": {"expression": text}}


def mutating(name: str, *mutations: Object, **spec: Any) -> Object:
    spec.setdefault("reinvocationPolicy", "Never")
    return policy(name, mutations=list(mutations), **spec)


def binding(name: str, policy_name: str, *actions: str, **spec: Any) -> Object:
    made: Object = {"policyName": policy_name, **spec}
    if actions:
        made["validationActions"] = list(actions)
    return {"metadata": {"name": name}, "spec": made}


async def enforce(running: Api, made: Object, *actions: str, **spec: Any) -> None:
    """Create a validating policy `p` and its binding `b`."""
    await running.ok("POST", VALIDATING, made)
    name = made["metadata"]["name"]
    await running.ok("POST", VALIDATING_BINDINGS, binding(f"{name}-b", name, *(actions or ("Deny",)), **spec))


async def mutate(running: Api, made: Object, **spec: Any) -> None:
    """Create a mutating policy and its binding."""
    await running.ok("POST", MUTATING, made)
    name = made["metadata"]["name"]
    await running.ok("POST", MUTATING_BINDINGS, binding(f"{name}-b", name, **spec))


def deployment(name: str, replicas: int = 1) -> Object:
    labels = {"app": name}
    return {
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "c", "image": "pause"}]},
            },
        },
    }
