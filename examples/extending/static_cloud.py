"""A cloud in one file: who has which address, and where machines stand, is written down.

    {"services": {"default/web": "192.0.2.7"}, "nodes": {"n1": {"zone": "rack-1"}}}

in a file, and

    PYTHONPATH=examples/extending cloud-controller-manager --kubeconfig=… \
        --cloud-provider=static_cloud:make --cloud-config=FILE
"""

import json

from podium.cloud.interface import Cloud, InstanceMetadata, RetryAfter, Setup


def make(setup: Setup) -> Cloud:
    written = json.loads(setup.config)
    return Cloud(
        name="static",
        instances=Machines(written.get("nodes", {})),
        load_balancers=Addresses(written.get("services", {})),
    )


class Machines:
    def __init__(self, nodes):
        self.nodes = nodes

    async def exists(self, node):
        return node["metadata"]["name"] in self.nodes

    async def shutdown(self, node):
        return False

    async def metadata(self, node):
        name = node["metadata"]["name"]
        if name not in self.nodes:
            return None  # left alone until somebody writes it down
        return InstanceMetadata(provider_id=f"static://{name}", zone=self.nodes[name].get("zone", ""))


class Addresses:
    def __init__(self, services):
        self.services = services

    def _address(self, service):
        metadata = service["metadata"]
        return self.services.get(f"{metadata['namespace']}/{metadata['name']}")

    async def get(self, cluster, service):
        address = self._address(service)
        return {"ingress": [{"ip": address}]} if address else None

    async def ensure(self, cluster, service, nodes):
        status = await self.get(cluster, service)
        if status is None:
            raise RetryAfter("no address is written down for the service", seconds=60)
        return status

    async def update(self, cluster, service, nodes):
        """The addresses lead to all nodes anyway."""

    async def ensure_deleted(self, cluster, service):
        """An address that is written down stays."""
