"""One cluster with simulated nodes for all conformance tests."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from podium.testing import Cluster
from tests.conformance.client import Api

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    with Cluster(simulated_nodes=3) as running:
        yield running


@pytest.fixture(scope="session")
def api(cluster: Cluster) -> Iterator[Api]:
    """A client of the cluster's administrator."""
    made = Api.of(cluster.kubeconfig)
    yield made
    made.close()


@pytest.fixture
def namespace(api: Api) -> Iterator[str]:
    """A namespace for one test, in which a pod may be created at once."""
    name = f"conformance-{next(_numbers)}"
    api.post("/api/v1/namespaces", {"metadata": {"name": name}})
    api.until(f"/api/v1/namespaces/{name}/serviceaccounts/default", bool, "the default service account")
    yield name
    api.delete(f"/api/v1/namespaces/{name}")
