"""A provider of somebody else's: one file, named by module or by entry point."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest

from podium.cloud.initialisation import UNINITIALIZED_TAINT
from podium.cloud.interface import Setup
from podium.cloud.loading import factory
from podium.cloud.node import cloud_node
from podium.cloud.service import service_lb
from podium.resources.core.nodes import NODES
from podium.resources.core.services import SERVICES
from tests.cloud.builders import go, node, service, until
from tests.controllers.builders import running
from tests.runtime.fakes import FakeApi

EXAMPLES = Path(__file__).parents[2] / "examples" / "extending"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listing = tmp_path / "static_cloud-1.0.dist-info"
    listing.mkdir()
    (listing / "METADATA").write_text("Metadata-Version: 2.1\nName: static-cloud\nVersion: 1.0\n")
    (listing / "entry_points.txt").write_text("[podium.cloud_providers]\nstatic = static_cloud:make\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.syspath_prepend(str(EXAMPLES))
    importlib.invalidate_caches()


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("name", ["static_cloud:make", "static"])
def test_a_provider_of_somebody_elses(name: str) -> None:
    async def test() -> None:
        api = FakeApi()
        written = {"services": {"default/web": "192.0.2.7"}, "nodes": {"n1": {"zone": "rack-1"}}}
        setup = Setup(client=api.client(), cluster_name="kubernetes", config=json.dumps(written).encode())
        cloud = factory(name)(setup)
        assert cloud.load_balancers is not None and cloud.instances is not None
        api.put(SERVICES, service())
        for here in ("n1", "n2"):
            api.put(NODES, node(here, taints=[{"key": UNINITIALIZED_TAINT, "effect": "NoSchedule"}]))
        controllers = [service_lb(cloud.load_balancers, "kubernetes"), cloud_node(cloud.instances)]
        async with running(api, controllers):
            await until(lambda: api.table(SERVICES)["default/web"]["status"]["loadBalancer"])
            await until(lambda: "providerID" in api.table(NODES)["n1"]["spec"])
        found = api.table(SERVICES)["default/web"]["status"]["loadBalancer"]
        assert found == {"ingress": [{"ip": "192.0.2.7"}]}
        assert api.table(NODES)["n1"]["metadata"]["labels"]["topology.kubernetes.io/zone"] == "rack-1"
        assert "providerID" not in api.table(NODES)["n2"]["spec"], "nothing is written down of it"

    go(test)
