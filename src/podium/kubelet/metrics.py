"""What a kubelet counts, under upstream's names."""

from __future__ import annotations

from collections.abc import Callable

from podium.base.metrics import Registry


class KubeletMetrics:
    """The figures of one kubelet, read from its pods whenever somebody collects."""

    def __init__(self, registry: Registry, node_name: str, count: Callable[[], tuple[int, int, int]]) -> None:
        """`count` returns the desired pods, those with a sandbox, and the running containers."""
        registry.gauge("kubelet_node_name", "1 for the name of the node.", "node").labels(node_name).set(1)
        desired = registry.gauge("kubelet_desired_pods", "Pods that the API wants here.", "static")
        pods = registry.gauge("kubelet_running_pods", "Pods with a sandbox.").labels()
        containers = registry.gauge(
            "kubelet_running_containers", "Containers, by their state.", "container_state"
        )

        def read() -> None:
            wanted, sandboxes, running = count()
            desired.labels("").set(wanted)
            pods.set(sandboxes)
            containers.labels("running").set(running)

        registry.before_collection(read)
