"""What holds for everything in a namespace."""

from __future__ import annotations

from collections.abc import Iterator

from podium.audit_report.checks import Family
from podium.audit_report.context import Context
from podium.audit_report.finding import Problem, Rule, Severity
from podium.audit_report.workloads import TEMPLATES, as_object
from podium.machinery.errors import Object

ENFORCE = "pod-security.kubernetes.io/enforce"
POD_SECURITY = Rule(
    id="namespace-pod-security",
    severity=Severity.MEDIUM,
    title="A namespace takes any pod",
    why="Whoever may create pods in it may create privileged ones, and with them take the node.",
    fix=f"Label it {ENFORCE}: restricted, or baseline.",
)
QUOTA = Rule(
    id="namespace-quota",
    severity=Severity.LOW,
    title="A namespace has no ResourceQuota",
    why="A mistake in it may take all that the cluster has.",
    fix="Create a ResourceQuota.",
)
LIMIT_RANGE = Rule(
    id="namespace-limit-range",
    severity=Severity.LOW,
    title="A namespace has no LimitRange",
    why="Containers that say nothing get neither requests nor limits.",
    fix="Create a LimitRange with defaults.",
)
NETWORK_POLICY = Rule(
    id="namespace-network-policy",
    severity=Severity.MEDIUM,
    title="A namespace has no NetworkPolicy",
    why="Every pod of the cluster may connect to every pod in it, and these to anywhere.",
    fix="Create a NetworkPolicy that denies all, and others for what is needed.",
)

_OBJECTS = ((QUOTA, "ResourceQuota"), (LIMIT_RANGE, "LimitRange"), (NETWORK_POLICY, "NetworkPolicy"))


def _check(obj: Object, context: Context) -> Iterator[Problem]:
    if obj.get("kind") != "Namespace" or obj.get("apiVersion") != "v1":
        return
    metadata = as_object(obj.get("metadata"))
    name = str(metadata.get("name") or "")
    # Every cluster has this one, and where all is well it stays empty.
    if name == "default" and not any(context.all(kind, name) for kind in TEMPLATES):
        return
    level = as_object(metadata.get("labels")).get(ENFORCE)
    if level not in ("baseline", "restricted"):
        what = f"it enforces {level}" if level else "it enforces nothing"
        yield Problem(POD_SECURITY, ("metadata", "labels", ENFORCE), what)
    for rule, kind in _OBJECTS:
        if kind not in context.unseen and not context.all(kind, name):
            yield Problem(rule, ("metadata", "name"), f"there is no {kind} in {name}")


NAMESPACES = Family(name="Namespaces", rules=(POD_SECURITY, QUOTA, LIMIT_RANGE, NETWORK_POLICY), check=_check)
