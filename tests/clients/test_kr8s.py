"""kr8s: objects with methods, patches, watch, scale, logs, and kinds found by discovery."""

from __future__ import annotations

from typing import Any

import pytest

from tests.clients.conftest import deployment_manifest, pod_manifest, widget_manifest
from tests.e2e.conftest import until

pytest.importorskip("kr8s")

import kr8s
from kr8s.objects import ConfigMap, Deployment, Pod, new_class

pytestmark = [pytest.mark.clients, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def api(kubeconfig: str, namespace: str) -> Any:
    return kr8s.api(kubeconfig=kubeconfig, namespace=namespace)


def config_map(api: Any, name: str, data: dict[str, str]) -> Any:
    return ConfigMap({"metadata": {"name": name}, "data": data}, api=api)


def test_the_server_is_known(api: Any) -> None:
    assert api.version()["gitVersion"].startswith("v1.36")
    assert any(kind["name"] == "deployments" for kind in api.api_resources())


def test_create_refresh_delete(api: Any) -> None:
    made = config_map(api, "crud", {"a": "1"})
    made.create()
    assert made.exists()
    made.refresh()
    assert made.data == {"a": "1"}
    made.delete()
    until(lambda: not made.exists(), "the end of the config map")


def test_patches(api: Any) -> None:
    made = config_map(api, "patched", {"a": "1"})
    made.create()
    made.patch({"data": {"merge": "x"}})
    made.patch([{"op": "add", "path": "/data/json", "value": "x"}], type="json")
    made.label(tier="one")
    made.annotate(note="two")
    found = ConfigMap.get("patched", api=api)
    assert set(found.data) == {"a", "merge", "json"}
    assert (found.labels["tier"], found.annotations["note"]) == ("one", "two")


def test_a_pod_becomes_ready_and_has_logs(api: Any) -> None:
    pod = Pod(pod_manifest("runs", of="kr8s"), api=api)
    pod.create()
    pod.wait("condition=Ready", timeout=60)
    assert "simulated node" in "".join(pod.logs())
    assert [p.name for p in api.get("pods", label_selector={"of": "kr8s"})] == ["runs"]
    pod.delete()


def test_watch(api: Any) -> None:
    config_map(api, "seen", {}).create()
    for event, found in api.watch("configmaps", field_selector="metadata.name=seen"):
        assert (event, found.name) == ("ADDED", "seen")
        break


def test_scale(api: Any) -> None:
    deployment = Deployment(deployment_manifest("scaled"), api=api)
    deployment.create()
    deployment.scale(3)
    until(deployment.ready, "a ready deployment")
    assert deployment.replicas == 3
    deployment.delete(propagation_policy="Foreground")


def test_custom_resources(api: Any, widgets: dict[str, Any]) -> None:
    widget_class = new_class(
        kind="Widget", version="clients.podium.dev/v1", plural="widgets", namespaced=True
    )
    widget = widget_class(widget_manifest("one", 2), api=api)
    widget.create()
    widget.patch({"spec": {"size": 3}})
    widget.patch({"status": {"size": 3}}, subresource="status")
    widget.refresh()
    assert widget.raw["spec"] == {"size": 3, "colour": "green"}
    assert widget.raw["status"] == {"size": 3}
    assert [w.name for w in api.get("widgets.clients.podium.dev")] == ["one"]
    widget.delete()
