"""Pod, v1."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.resource import Resource, Subresource
from podium.resources.core import pod_columns, pod_spec
from podium.resources.defaulting import child


def _defaults(pod: Object) -> None:
    pod_spec.default_pod(child(pod, "spec"))
    child(pod, "status")


PODS = Resource(
    version="v1",
    kind="Pod",
    plural="pods",
    namespaced=True,
    short_names=("po",),
    categories=("all",),
    schema="io.k8s.api.core.v1.Pod",
    status=True,
    subresources=(
        Subresource(name="attach", kind="PodAttachOptions", verbs=("create", "get")),
        Subresource(name="binding", kind="Binding", verbs=("create",)),
        Subresource(name="ephemeralcontainers", kind="Pod", verbs=("get", "patch", "update")),
        Subresource(name="eviction", kind="Eviction", verbs=("create",), group="policy", version="v1"),
        Subresource(name="exec", kind="PodExecOptions", verbs=("create", "get")),
        Subresource(name="log", kind="Pod", verbs=("get",)),
        Subresource(name="portforward", kind="PodPortForwardOptions", verbs=("create", "get")),
        Subresource(
            name="proxy", kind="PodProxyOptions", verbs=("create", "delete", "get", "patch", "update")
        ),
        Subresource(name="resize", kind="Pod", verbs=("get", "patch", "update")),
    ),
    generation=True,
    delete_returns_object=True,
    defaults=_defaults,
    columns=pod_columns.COLUMNS,
)
