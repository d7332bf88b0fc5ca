"""What Endpoints and EndpointSlices share: which pods stand behind a Service, and on which ports. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from podium.controllers.common import pods as podlib
from podium.machinery import meta
from podium.machinery.errors import Json, Object
from podium.resources.core.services import SERVICES
from podium.runtime.controller import Caches
from podium.runtime.informer import Delta

HEADLESS = "service.kubernetes.io/headless"


def selects(service: Object, pod: Object) -> bool:
    selector = service["spec"].get("selector")
    return bool(selector) and selector.items() <= meta.labels(pod).items()


def has_selector(service: Object) -> bool:
    """Tell whether the Service's endpoints are ours to make."""
    return service["spec"].get("selector") is not None and service["spec"].get("type") != "ExternalName"


def is_headless(service: Object) -> bool:
    return bool(service["spec"].get("clusterIP") == "None")


def may_serve(pod: Object, *, terminating: bool) -> bool:
    """Tell whether the pod has an address and has not ended; with `terminating`, one being deleted may."""
    if podlib.is_finished(pod) or (meta.deleting(pod) and not terminating):
        return False
    status = pod.get("status") or {}
    return bool(status.get("podIP") or status.get("podIPs"))


def addresses(pod: Object) -> list[str]:
    status = pod.get("status") or {}
    ips = [entry["ip"] for entry in status.get("podIPs") or () if entry.get("ip")]
    return ips or ([status["podIP"]] if status.get("podIP") else [])


def hostname(service: Object, pod: Object) -> str:
    """Return the pod's own name under the Service's domain, "" when it has none there."""
    spec = pod.get("spec") or {}
    if spec.get("hostname") and spec.get("subdomain") == meta.name(service):
        return str(spec["hostname"])
    return ""


def target_ref(pod: Object) -> Object:
    return {
        "kind": "Pod",
        "namespace": meta.namespace(pod),
        "name": meta.name(pod),
        "uid": meta.uid(pod),
    }


def ports(service: Object, pod: Object) -> list[Object]:
    """Return the Service's ports as this pod has them; a named port that it lacks is left out."""
    found = []
    for port in service["spec"].get("ports") or ():
        protocol = port.get("protocol") or "TCP"
        number = _port_number(pod, port.get("targetPort", port["port"]), protocol)
        if number is None:
            continue
        entry: Object = {"name": port.get("name") or "", "port": number, "protocol": protocol}
        if port.get("appProtocol"):
            entry["appProtocol"] = port["appProtocol"]
        found.append(entry)
    return found


def _port_number(pod: Object, target: Json, protocol: str) -> int | None:
    if isinstance(target, int):
        return target
    spec = pod.get("spec") or {}
    sidecars = [c for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always"]
    for container in [*(spec.get("containers") or ()), *sidecars]:
        for port in container.get("ports") or ():
            if port.get("name") == target and (port.get("protocol") or "TCP") == protocol:
                return int(port["containerPort"])
    return None


def services_of_pod(delta: Delta, caches: Caches) -> Iterable[str]:
    """The keys_of of pods: the Services that select it, or did."""
    namespace = meta.namespace(delta.object)
    pods = [pod for pod in (delta.old, delta.new) if pod is not None]
    return [
        meta.key(service)
        for service in caches[SERVICES].list(namespace)
        if any(selects(service, pod) for pod in pods)
    ]
