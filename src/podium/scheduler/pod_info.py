"""What the scheduler wants to know of a pod, read once from the object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from podium.machinery import meta, quantity
from podium.machinery.errors import Object

CPU = "cpu"
"""Counted in thousandths; every other resource in units."""
MEMORY = "memory"
EPHEMERAL_STORAGE = "ephemeral-storage"
PODS = "pods"

# What a container without a request counts as in scores, so that nodes do not look empty when they are full
# of pods that asked for nothing.
SCORING_CPU_MILLI = 100
SCORING_MEMORY_BYTES = 200 * 1024 * 1024

AMOUNT_MAX = 2**56
"""More than any node has. Keeps sums over a node's pods, and a hundred times them, within 64 bits."""

ANY_ADDRESS = "0.0.0.0"
TERMINAL_PHASES = frozenset(("Succeeded", "Failed"))

Amounts = Mapping[str, int]


@dataclass(frozen=True, slots=True, order=True)
class HostPort:
    """A port of the node that a pod wants for itself."""

    protocol: str
    port: int
    address: str


@dataclass(frozen=True, slots=True)
class PodClaim:
    """A claim, of the pod's namespace, that a pod mounts."""

    name: str
    ephemeral: bool
    """It is made for this pod."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PodInfo:
    """A pod, and what scheduling it depends on."""

    pod: Object
    uid: str
    namespace: str
    name: str
    node_name: str
    priority: int
    labels: Mapping[str, str]
    owner_uid: str
    """The controller's uid; empty for a pod of its own."""
    terminating: bool
    gated: bool
    requests: Amounts
    """What is set aside on the node."""
    scoring_cpu_milli: int
    scoring_memory_bytes: int
    host_ports: tuple[HostPort, ...]
    claims: tuple[PodClaim, ...] = ()

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"

    @property
    def spec(self) -> Object:
        return self.pod.get("spec") or {}


def pod_info(pod: Object) -> PodInfo:
    """Read `pod`. Odd values count as absent: a pod that the API took must not stop the scheduler."""
    spec: Object = pod.get("spec") or {}
    owner = meta.controller_ref(pod)
    requests = pod_requests(spec, {})
    scoring = pod_requests(spec, {CPU: SCORING_CPU_MILLI, MEMORY: SCORING_MEMORY_BYTES})
    return PodInfo(
        pod=pod,
        uid=meta.uid(pod),
        namespace=meta.namespace(pod),
        name=meta.name(pod),
        node_name=spec.get("nodeName") or "",
        priority=spec.get("priority") or 0,
        labels=meta.labels(pod),
        owner_uid=owner.get("uid", "") if owner else "",
        terminating=meta.deleting(pod),
        gated=bool(spec.get("schedulingGates")),
        requests={name: amount for name, amount in requests.items() if amount},
        scoring_cpu_milli=scoring.get(CPU, 0),
        scoring_memory_bytes=scoring.get(MEMORY, 0),
        host_ports=host_ports(spec),
        claims=pod_claims(meta.name(pod), spec),
    )


def is_terminal(pod: Object) -> bool:
    """Tell whether the pod has run its course and uses its node no more."""
    return (pod.get("status") or {}).get("phase") in TERMINAL_PHASES


def amounts(resources: Object | None) -> dict[str, int]:
    """Return a resource list as whole numbers."""
    found: dict[str, int] = {}
    for name, text in (resources or {}).items():
        try:
            amount = quantity.parse(text)
        except quantity.QuantityError:
            continue
        found[name] = min(AMOUNT_MAX, amount.milli() if name == CPU else amount.value())
    return found


def pod_requests(spec: Object, missing: Amounts) -> dict[str, int]:
    """Return what a pod needs at its hungriest moment; `missing` stands in for what a container leaves out.

    Containers and sidecars run together; before that, each init container runs beside the sidecars that come
    before it. Example: sidecar 1, init 5, sidecar 1, containers 2 together need max(1 + 1 + 2, 1 + 5) = 6.
    """
    together: dict[str, int] = {}
    for container in spec.get("containers") or ():
        _add(together, _container_requests(container, missing))
    sidecars: dict[str, int] = {}
    highest: dict[str, int] = {}
    for container in spec.get("initContainers") or ():
        requests = _container_requests(container, missing)
        if container.get("restartPolicy") == "Always":
            _add(together, requests)
            _add(sidecars, requests)
            moment = sidecars
        else:
            _add(requests, sidecars)
            moment = requests
        for name, amount in moment.items():
            highest[name] = max(highest.get(name, 0), amount)
    for name, amount in highest.items():
        together[name] = max(together.get(name, 0), amount)
    for name, amount in amounts((spec.get("resources") or {}).get("requests")).items():
        # The pod's own request takes the place of its containers' where pods may have one.
        if name in (CPU, MEMORY) or name.startswith("hugepages-"):
            together[name] = amount
    _add(together, amounts(spec.get("overhead")))
    return {name: min(AMOUNT_MAX, amount) for name, amount in together.items()}


def _container_requests(container: Object, missing: Amounts) -> dict[str, int]:
    return {**missing, **amounts((container.get("resources") or {}).get("requests"))}


def _add(total: dict[str, int], more: Amounts) -> None:
    for name, amount in more.items():
        total[name] = total.get(name, 0) + amount


def host_ports(spec: Object) -> tuple[HostPort, ...]:
    """Return the host ports of a pod's containers and sidecars."""
    sidecars = (c for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always")
    return tuple(
        sorted(
            {
                HostPort(port.get("protocol") or "TCP", port["hostPort"], port.get("hostIP") or ANY_ADDRESS)
                for container in (*(spec.get("containers") or ()), *sidecars)
                for port in container.get("ports") or ()
                if port.get("hostPort")
            }
        )
    )


def pod_claims(pod_name: str, spec: Object) -> tuple[PodClaim, ...]:
    """Return the claims of a pod's volumes."""
    found = []
    for volume in spec.get("volumes") or ():
        source = volume.get("persistentVolumeClaim")
        if source is not None:
            found.append(PodClaim(source.get("claimName") or "", False))
        elif volume.get("ephemeral") is not None:
            found.append(PodClaim(f"{pod_name}-{volume.get('name')}", True))
    return tuple(found)
