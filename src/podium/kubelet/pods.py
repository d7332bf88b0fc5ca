"""Questions about a pod that many parts of the kubelet ask. All pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from podium.machinery.errors import Object
from podium.machinery.quantity import parse as parse_quantity

DEFAULT_GRACE_S = 30
MIB = 1024 * 1024


def pod_key(pod: Object) -> str:
    meta = pod["metadata"]
    return f"{meta['namespace']}/{meta['name']}"


def pod_uid(pod: Object) -> str:
    return str(pod["metadata"]["uid"])


def full_name(pod: Object) -> str:
    """Return upstream's `name_namespace(uid)`, by which messages name a pod."""
    meta = pod["metadata"]
    return f"{meta['name']}_{meta['namespace']}({meta['uid']})"


def containers(pod: Object) -> list[Object]:
    return list(pod["spec"].get("containers") or ())


def init_containers(pod: Object) -> list[Object]:
    return list(pod["spec"].get("initContainers") or ())


def ephemeral_containers(pod: Object) -> list[Object]:
    return list(pod["spec"].get("ephemeralContainers") or ())


def all_containers(pod: Object) -> Iterator[Object]:
    """Yield init containers, containers and ephemeral containers, in this order."""
    yield from init_containers(pod)
    yield from containers(pod)
    yield from ephemeral_containers(pod)


def find_container(pod: Object, name: str) -> Object | None:
    return next((container for container in all_containers(pod) if container["name"] == name), None)


def is_sidecar(container: Object) -> bool:
    """Say whether an init container keeps running beside the others (restartPolicy Always)."""
    return container.get("restartPolicy") == "Always"


def field_path(pod: Object, name: str) -> str:
    """Return where a container stands in its pod, as events name it: `spec.containers{app}`."""
    for field in ("containers", "initContainers", "ephemeralContainers"):
        if any(container["name"] == name for container in pod["spec"].get(field) or ()):
            return f"spec.{field}{{{name}}}"
    return ""


def restart_policy(pod: Object) -> str:
    return str(pod["spec"].get("restartPolicy") or "Always")


def host_network(pod: Object) -> bool:
    return bool(pod["spec"].get("hostNetwork"))


def is_terminal(pod: Object) -> bool:
    """Say whether the pod's reported phase is final."""
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def termination_grace_s(pod: Object) -> int:
    """Return how long the pod's containers have to stop, in whole seconds, at least 1 as upstream's."""
    meta = pod["metadata"]
    if meta.get("deletionTimestamp") and meta.get("deletionGracePeriodSeconds") is not None:
        return max(1, int(meta["deletionGracePeriodSeconds"]))
    grace = pod["spec"].get("terminationGracePeriodSeconds")
    return max(1, DEFAULT_GRACE_S if grace is None else int(grace))


def ns_time(moment_ns: int) -> datetime:
    return datetime.fromtimestamp(moment_ns / 1e9, UTC)


def request(container: Object, resource: str) -> str | None:
    """Return what a container requests of a resource; a limit alone is also the request."""
    resources = container.get("resources") or {}
    found = (resources.get("requests") or {}).get(resource)
    if found is None:
        found = (resources.get("limits") or {}).get(resource)
    return None if found is None else str(found)


def limit(container: Object, resource: str) -> str | None:
    found = ((container.get("resources") or {}).get("limits") or {}).get(resource)
    return None if found is None else str(found)


def milli(quantity: str | None) -> int:
    return parse_quantity(quantity).milli() if quantity else 0


def value(quantity: str | None) -> int:
    return parse_quantity(quantity).value() if quantity else 0


def qos_class(pod: Object) -> str:
    """Return Guaranteed, Burstable or BestEffort: the API server's word, else computed as it would."""
    recorded = (pod.get("status") or {}).get("qosClass")
    if recorded:
        return str(recorded)
    every = [*init_containers(pod), *containers(pod)]
    amounts = [
        (milli(request(container, name)), milli(limit(container, name)))
        for container in every
        for name in ("cpu", "memory")
    ]
    if not any(requested or limited for requested, limited in amounts):
        return "BestEffort"
    if all(limited and requested == limited for requested, limited in amounts):
        return "Guaranteed"
    return "Burstable"
