"""What the controllers of the cloud count, under upstream's names."""

from __future__ import annotations

from podium.base.metrics import Registry, exponential

_SINCE_CREATION_S = exponential(1, 4, 6)
_SYNC_S = exponential(1, 2, 15)


class CloudMetrics:
    def __init__(self, registry: Registry) -> None:
        self.taint_removal_delay = registry.histogram(
            "node_controller_cloud_provider_taint_removal_delay_seconds",
            "How old a node was when the taint was taken off with which it waits for the cloud.",
            _SINCE_CREATION_S,
        ).labels()
        self.initial_sync_delay = registry.histogram(
            "node_controller_initial_node_sync_delay_seconds",
            "How old a node was when it had been told for the first time what it is.",
            _SINCE_CREATION_S,
        ).labels()
        self.route_syncs = registry.counter(
            "route_controller_route_sync_total", "How often the routes of all nodes were looked after."
        ).labels()
        self.balancer_syncs = registry.counter(
            "service_controller_loadbalancer_sync_total", "How often a load balancer was told of its nodes."
        ).labels()
        self.node_sync_errors = registry.counter(
            "service_controller_nodesync_error_total", "How often that did not work."
        ).labels()
        self.node_sync_latency = registry.histogram(
            "service_controller_nodesync_latency_seconds",
            "How long it took to tell all load balancers of a change of the nodes.",
            _SYNC_S,
        ).labels()
        self.host_update_latency = registry.histogram(
            "service_controller_update_loadbalancer_host_latency_seconds",
            "How long it took to tell one load balancer.",
            _SYNC_S,
        ).labels()
