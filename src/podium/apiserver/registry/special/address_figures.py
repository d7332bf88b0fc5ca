"""The figures of Services' addresses and ports, under upstream's names ({ip,port}allocator/metrics.go)."""

from __future__ import annotations

from podium.base.metrics import Registry

_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_PREFIX = "kube_apiserver_clusterip_allocator_"
_PORTS = "kube_apiserver_nodeport_allocator_"


class AddressFigures:
    """What is counted of each range. The scope is `static` for an address somebody chose, else `dynamic`."""

    def __init__(self, registry: Registry) -> None:
        self._allocated = registry.gauge(
            f"{_PREFIX}allocated_ips", "Addresses of a range that are taken.", "cidr"
        )
        self._available = registry.gauge(
            f"{_PREFIX}available_ips", "Addresses of a range that are free.", "cidr"
        )
        self._allocations = registry.counter(
            f"{_PREFIX}allocation_total", "Addresses given to Services.", "cidr", "scope"
        )
        self._errors = registry.counter(
            f"{_PREFIX}allocation_errors_total", "Addresses that could not be given.", "cidr", "scope"
        )
        self._durations = registry.histogram(
            f"{_PREFIX}allocation_duration_seconds", "How long finding an address took.", _BOUNDS, "cidr"
        )

    def given(self, cidr: str, scope: str, seconds: float) -> None:
        self._allocations.labels(cidr, scope).inc()
        self._durations.labels(cidr).observe(seconds)

    def refused(self, cidr: str, scope: str) -> None:
        self._errors.labels(cidr, scope).inc()

    def usage(self, cidr: str, *, taken: int, free: int) -> None:
        self._allocated.labels(cidr).set(taken)
        self._available.labels(cidr).set(free)


class PortFigures:
    """What is counted of node ports. The scope is as with addresses."""

    def __init__(self, registry: Registry) -> None:
        self._allocated = registry.gauge(f"{_PORTS}allocated_ports", "Node ports that are taken.").labels()
        self._available = registry.gauge(f"{_PORTS}available_ports", "Node ports that are free.").labels()
        self._allocations = registry.counter(
            f"{_PORTS}allocation_total", "Node ports given to Services.", "scope"
        )
        self._errors = registry.counter(
            f"{_PORTS}allocation_errors_total", "Node ports that could not be given.", "scope"
        )

    def given(self, scope: str) -> None:
        self._allocations.labels(scope).inc()

    def refused(self, scope: str) -> None:
        self._errors.labels(scope).inc()

    def usage(self, *, taken: int, free: int) -> None:
        self._allocated.set(taken)
        self._available.set(free)
