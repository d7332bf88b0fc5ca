"""One cluster with simulated nodes for the tests of other people's clients, and what they share."""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conformance.client import Api
from tests.e2e.conftest import RunningCluster, free_port, until

WIDGETS = Path(__file__).parent / "widgets.yaml"
WIDGETS_NAME = "widgets.clients.podium.dev"

_numbers = itertools.count(1)


@contextmanager
def simulated_cluster(work: Path, *flags: str) -> Iterator[RunningCluster]:
    """A cluster of its own below `work`: the whole control plane, two nodes that pretend."""
    running = RunningCluster(state_dir=work / "cluster", port=free_port())
    try:
        running.podium("up", f"--port={running.port}", "--nodes=0", "--simulate=2", *flags)
        yield running
    finally:
        running.podium("down", check=False)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCluster]:
    with simulated_cluster(tmp_path_factory.mktemp("clients")) as running:
        yield running


@pytest.fixture(scope="session")
def kubeconfig(cluster: RunningCluster) -> str:
    """The path of the administrator's kubeconfig."""
    return str(cluster.state_dir / "kubeconfig")


def new_namespace(cluster: RunningCluster, prefix: str) -> str:
    """Make a namespace in which a pod may be created at once."""
    name = f"{prefix}-{next(_numbers)}"
    cluster.kubectl("create", "namespace", name)
    until(
        lambda: "default" in cluster.kubectl("get", "serviceaccounts", "-n", name, "-o", "name"),
        f"the default service account of {name}",
    )
    return name


@pytest.fixture(scope="module")
def namespace(cluster: RunningCluster, request: pytest.FixtureRequest) -> str:
    """A namespace for the tests of one file."""
    module = request.module.__name__.rpartition(".")[2]
    return new_namespace(cluster, module.removeprefix("test_").replace("_", "-"))


@pytest.fixture(scope="session")
def widgets(cluster: RunningCluster) -> dict[str, Any]:
    """The definition of a custom resource that is served: namespaced, with a status and a scale."""
    cluster.kubectl("apply", "-f", str(WIDGETS))
    until(lambda: is_established(cluster.get("crd", WIDGETS_NAME)), "an established definition")
    made: dict[str, Any] = yaml.safe_load(WIDGETS.read_text())
    return made


def definition(client: str) -> dict[str, Any]:
    """A definition like that of the widgets, in a group of one client's own, for it to create and to use."""
    text = WIDGETS.read_text().replace("clients.podium.dev", f"{client}.clients.podium.dev")
    made: dict[str, Any] = yaml.safe_load(text)
    return made


def is_established(definition: dict[str, Any]) -> bool:
    conditions = definition.get("status", {}).get("conditions") or []
    return any(c["type"] == "Established" and c["status"] == "True" for c in conditions)


@pytest.fixture(scope="session")
def expired(cluster: RunningCluster) -> str:
    """A resourceVersion from which ConfigMaps cannot be watched any more: 410.

    Since then more has been written than is kept of events (docs/architecture.md, the queues on the way).
    """
    api = Api.of(cluster.state_dir / "kubeconfig")
    path = "/api/v1/namespaces/default/configmaps"
    version: str = api.post(path, {"metadata": {"name": "large"}})["metadata"]["resourceVersion"]
    for number in range(6):
        api.patch(f"{path}/large", {"data": {"of": str(number) * 900_000}})
    api.delete(f"{path}/large")
    api.close()
    return version


def pod_manifest(name: str, **labels: str) -> dict[str, Any]:
    """A pod that a simulated node runs."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels},
        "spec": {"containers": [{"name": "main", "image": "podium.local/none:1"}]},
    }


def deployment_manifest(name: str, replicas: int = 1) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "main", "image": "podium.local/none:1"}]},
            },
        },
    }


def widget_manifest(name: str, size: int = 1) -> dict[str, Any]:
    return {
        "apiVersion": "clients.podium.dev/v1",
        "kind": "Widget",
        "metadata": {"name": name},
        "spec": {"size": size},
    }


def run(*words: str, **kwargs: Any) -> subprocess.CompletedProcess[str]:
    """Run a program and return what it printed; never raises for its exit code."""
    return subprocess.run(words, capture_output=True, text=True, check=False, **kwargs)
