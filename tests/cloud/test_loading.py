"""A provider of somebody else's: one file, named by module or by entry point."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from podium.cloud.interface import Setup
from podium.cloud.loading import factory
from podium.cloud.service import service_lb
from podium.resources.core.services import SERVICES
from tests.cloud.builders import go, service, until
from tests.controllers.builders import running
from tests.runtime.fakes import FakeApi

THEIRS = """
from podium.cloud.interface import Cloud, Setup


class Balancers:
    def __init__(self, address):
        self.address = address

    async def get(self, cluster, service):
        return await self.ensure(cluster, service, [])

    async def ensure(self, cluster, service, nodes):
        return {"ingress": [{"ip": self.address, "ipMode": "Proxy"}]}

    async def update(self, cluster, service, nodes):
        pass

    async def ensure_deleted(self, cluster, service):
        pass


def make(setup: Setup) -> Cloud:
    return Cloud(name="theirs", load_balancers=Balancers(setup.config.decode()))
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "their_cloud.py").write_text(THEIRS)
    listing = tmp_path / "their_cloud-1.0.dist-info"
    listing.mkdir()
    (listing / "METADATA").write_text("Metadata-Version: 2.1\nName: their-cloud\nVersion: 1.0\n")
    (listing / "entry_points.txt").write_text("[podium.cloud_providers]\ntheirs = their_cloud:make\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("name", ["their_cloud:make", "theirs"])
def test_a_provider_of_somebody_elses(name: str) -> None:
    async def test() -> None:
        api = FakeApi()
        setup = Setup(client=api.client(), cluster_name="kubernetes", config=b"192.0.2.7")
        balancers = factory(name)(setup).load_balancers
        assert balancers is not None
        api.put(SERVICES, service())
        async with running(api, [service_lb(balancers, "kubernetes")]):
            await until(lambda: api.table(SERVICES)["default/web"]["status"]["loadBalancer"])
        assert api.table(SERVICES)["default/web"]["status"]["loadBalancer"] == {
            "ingress": [{"ip": "192.0.2.7", "ipMode": "Proxy"}]
        }

    go(test)
