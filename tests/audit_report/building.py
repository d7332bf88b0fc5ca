"""Objects for checks: one that breaks no rule, and changes to it."""

from __future__ import annotations

from typing import Any

from podium.audit_report.catalogue import FAMILIES
from podium.audit_report.checks.labels import PREFIX, RECOMMENDED
from podium.audit_report.context import Context, context_of
from podium.audit_report.finding import Problem
from podium.audit_report.workloads import TEMPLATES
from podium.machinery.errors import Object

RBAC = "rbac.authorization.k8s.io/v1"


def container(**changes: Any) -> Object:
    """Return a container that breaks no rule, but for `changes`; a field that is None is left out."""
    whole = {
        "name": "c",
        "image": "registry.example.com/app:1.2",
        "resources": {"requests": {"cpu": "1", "memory": "1Mi"}, "limits": {"cpu": "1", "memory": "1Mi"}},
        "livenessProbe": {"httpGet": {"path": "/", "port": 80}},
        "readinessProbe": {"httpGet": {"path": "/", "port": 80}},
        "securityContext": security(),
        **changes,
    }
    return {key: value for key, value in whole.items() if value is not None}


def security(**changes: Any) -> Object:
    whole = {
        "runAsNonRoot": True,
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
        **changes,
    }
    return {key: value for key, value in whole.items() if value is not None}


def workload(
    *containers: Object,
    kind: str = "Deployment",
    name: str = "web",
    metadata: Object | None = None,
    **spec: Any,
) -> Object:
    """Return a workload with these containers, or a good one, and further fields of the pod's spec."""
    pod = {
        "serviceAccountName": "web",
        "automountServiceAccountToken": False,
        "containers": list(containers) or [container()],
        **spec,
    }
    inner: Object = {"spec": {key: value for key, value in pod.items() if value is not None}}
    for step in reversed(TEMPLATES[kind]):
        inner = {str(step): inner}
    labels = {PREFIX + label: "x" for label in RECOMMENDED}
    head = {"name": name, "namespace": "default", "labels": labels, **(metadata or {})}
    version = {
        "Pod": "v1",
        "PodTemplate": "v1",
        "ReplicationController": "v1",
        "Job": "batch/v1",
        "CronJob": "batch/v1",
    }
    return {"apiVersion": version.get(kind, "apps/v1"), "kind": kind, "metadata": head, **inner}


def namespace(**labels: str) -> Object:
    marks = {"pod-security.kubernetes.io/enforce": "restricted", **labels}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a", "labels": marks}}


def in_namespace(kind: str, api_version: str = "v1", name: str = "x", namespace: str = "a") -> Object:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": namespace}}


GUARDS = [
    in_namespace("ResourceQuota"),
    in_namespace("LimitRange"),
    in_namespace("NetworkPolicy", "networking.k8s.io/v1"),
]
"""What a namespace needs, to break no rule."""


OWN = {"kubernetes.io/bootstrapping": "rbac-defaults"}
"""The label of what a cluster makes for itself."""


def role(
    *verbs: str,
    on: str = "configmaps",
    group: str = "",
    metadata: Object | None = None,
    **more: Any,
) -> Object:
    rule = {"apiGroups": [group], "resources": on.split(), "verbs": list(verbs), **more}
    head = {"name": "r", "namespace": "a", **(metadata or {})}
    return {"apiVersion": RBAC, "kind": "Role", "metadata": head, "rules": [rule]}


def binding(kind: str, name: str, role: str = "view", metadata: Object | None = None, **more: Any) -> Object:
    subject = {"kind": kind, "name": name, **more}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}
    head = {"name": "b", "namespace": "a", **(metadata or {})}
    return {
        "apiVersion": RBAC,
        "kind": "RoleBinding",
        "metadata": head,
        "roleRef": reference,
        "subjects": [subject],
    }


def problems(obj: Object, *others: Object, context: Context | None = None, **more: Any) -> list[Problem]:
    """Return everything that is wrong with an object among others."""
    known = context or context_of([obj, *others], **more)
    return [problem for family in FAMILIES for problem in family.check(obj, known)]


def broken(obj: Object, *others: Object, **more: Any) -> set[str]:
    return {problem.rule.id for problem in problems(obj, *others, **more)}
