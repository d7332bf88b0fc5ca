"""What Endpoints and EndpointSlices share: which pods stand behind a Service, and on which ports. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from podium.controllers.common import pods as podlib
from podium.machinery import meta
from podium.machinery.errors import Json, Object
from podium.resources.core.pods import PODS
from podium.resources.core.services import SERVICES
from podium.runtime.controller import Caches, Watch, own_key
from podium.runtime.informer import Delta

HEADLESS = "service.kubernetes.io/headless"


def selects(service: Object, pod: Object) -> bool:
    selector = service["spec"].get("selector")
    return bool(selector) and selector.items() <= meta.labels(pod).items()


BY_LABEL = "by-label"
"""The index of pods by `NAMESPACE/LABEL=VALUE`, one for each label."""
BY_SELECTOR = "by-selector"
"""The index of Services by the first term of their selector, in the same form."""


def label_terms(pod: Object) -> list[str]:
    """The index function of `BY_LABEL`."""
    metadata = meta.metadata(pod)
    namespace = metadata.get("namespace") or ""
    return [f"{namespace}/{name}={value}" for name, value in (metadata.get("labels") or {}).items()]


def selector_term(service: Object) -> list[str]:
    """The index function of `BY_SELECTOR`."""
    for name, value in (service["spec"].get("selector") or {}).items():
        return [f"{meta.namespace(service)}/{name}={value}"]
    return []


def pods_of(service: Object, caches: Caches) -> list[Object]:
    """Return the pods that the Service selects."""
    pods = caches[PODS]
    return [
        pod
        for term in selector_term(service)
        for pod in pods.by_index(BY_LABEL, term)
        if selects(service, pod)
    ]


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
    """The keys_of of pods: the Services that select it, or did, if that could show in their endpoints."""
    old, new = delta.old, delta.new
    services = caches[SERVICES]
    if not services.count(meta.namespace(delta.object)):
        return ()
    if old is not None and new is not None and _shown(old) == _shown(new):
        return ()
    return {
        meta.key(service)
        for pod in (old, new)
        if pod is not None
        for term in label_terms(pod)
        for service in services.by_index(BY_SELECTOR, term)
        if selects(service, pod)
    }


def _shown(pod: Object) -> tuple[object, ...]:
    """Return what endpoints depend on, of a pod whose containers' ports never change."""
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    return (
        meta.labels(pod),
        meta.deleting(pod),
        podlib.is_ready(pod),
        podlib.is_finished(pod),
        status.get("podIP"),
        status.get("podIPs"),
        spec.get("nodeName"),
    )


SERVICES_AND_PODS = (
    Watch(resource=SERVICES, keys_of=own_key, indexes={BY_SELECTOR: selector_term}),
    Watch(resource=PODS, keys_of=services_of_pod, indexes={BY_LABEL: label_terms}),
)
"""What whoever makes endpoints of some form has to follow."""
