"""What a cloud provider implements: instances, load balancers, routes. A provider is one file.

    def my_cloud(setup: Setup) -> Cloud: ...

is a factory; `cloud-controller-manager --cloud-provider my_package.my_cloud:my_cloud` names it, or a name
under which the entry point group `podium.cloud_providers` lists it. The three parts are optional: a part that
is None is not this provider's, and the controllers of that part do not start.

Services and Nodes are passed as the API writes them (plain dicts), shared and read-only. Any exception means
"did not work": it is told in an event and tried again, with back-off. Every method may be called again with
the same arguments, after a restart too, and must come to the same end. Upstream: k8s.io/cloud-provider.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from podium.client.client import Client
from podium.machinery.errors import Object

ENTRY_POINTS = "podium.cloud_providers"


class ImplementedElsewhere(Exception):
    """This load balancer is somebody else's work: nothing is written about it, and no error is told."""


class RetryAfter(Exception):
    """Did not work, and is to be tried again in `seconds` instead of after the usual back-off."""

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__(message)
        self.seconds = seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceMetadata:
    """What a node's instance is. Empty parts are not written to the node."""

    provider_id: str
    """`PROVIDER://ID`. May be empty for a node that has one already."""
    instance_type: str = ""
    addresses: Sequence[Object] = ()
    """As in a node's status: `{"type": "InternalIP", "address": "..."}`."""
    zone: str = ""
    region: str = ""
    additional_labels: dict[str, str] = field(default_factory=dict)
    """Set where the node does not have them; those of Kubernetes' own domains are left out."""


class Instances(Protocol):
    """The machines behind the nodes (upstream's InstancesV2)."""

    async def exists(self, node: Object) -> bool:
        """Tell whether the node's instance exists, running or not. A node without one is deleted."""
        ...

    async def shutdown(self, node: Object) -> bool:
        """Tell whether the node's instance exists and is shut down. Such a node is tainted."""
        ...

    async def metadata(self, node: Object) -> InstanceMetadata | None:
        """Describe the node's instance; None: leave this node alone for now."""
        ...


class LoadBalancers(Protocol):
    """Addresses outside of the cluster that lead to Services of type LoadBalancer."""

    async def get(self, cluster: str, service: Object) -> Object | None:
        """Return the balancer's `status.loadBalancer`, None when there is no balancer."""
        ...

    async def ensure(self, cluster: str, service: Object, nodes: Sequence[Object]) -> Object:
        """Have a balancer for the Service over `nodes`; return what `status.loadBalancer` is to be."""
        ...

    async def update(self, cluster: str, service: Object, nodes: Sequence[Object]) -> None:
        """Have the Service's balancer, if there is one, lead to `nodes`."""
        ...

    async def ensure_deleted(self, cluster: str, service: Object) -> None:
        """Have no balancer for the Service, nor anything that was made for one."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """How packets for a node's pods reach the node."""

    target_node: str
    destination_cidr: str
    name: str = ""
    """The provider's own name for it."""
    target_addresses: Sequence[Object] = ()
    """The node's addresses when the route was made."""
    by_address: bool = False
    """The route depends on the node's addresses, and is made anew when they change."""
    blackhole: bool = False
    """Leads to an instance that is gone; is deleted."""


class Routes(Protocol):
    """The routes of the network between the nodes."""

    async def list(self, cluster: str) -> Sequence[Route]:
        """Return the routes that belong to the cluster."""
        ...

    async def create(self, cluster: str, name_hint: str, route: Route) -> None:
        """Make a route. `name_hint` (the node's uid) may serve to name it."""
        ...

    async def delete(self, cluster: str, route: Route) -> None:
        """Remove a route that `list` has returned."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloud:
    """A provider, ready for use."""

    name: str
    instances: Instances | None = None
    load_balancers: LoadBalancers | None = None
    routes: Routes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What a factory is given."""

    client: Client
    """Has the rights of the cloud-controller-manager. Whoever keeps records through it must write them with
    the resourceVersion they were read at: two managers may believe to lead for a moment."""
    cluster_name: str
    config: bytes = b""
    """What the file says that `--cloud-config` names."""
    load_balancer_range: str = ""
    """What `--local-load-balancer-range` says, for the provider `local`."""
    node_namespaces: str = ""
    """What `--local-node-namespaces` says, for the same."""


Factory = Callable[[Setup], Cloud]
