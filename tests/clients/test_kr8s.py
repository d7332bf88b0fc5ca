"""kr8s: objects with methods, patches, watch, scale, logs, and kinds found by discovery."""

from __future__ import annotations

from typing import Any

import pytest

from tests.clients.conftest import (
    definition,
    deployment_manifest,
    is_established,
    pod_manifest,
    widget_manifest,
)
from tests.e2e.conftest import until

pytest.importorskip("kr8s")

import kr8s
from kr8s.objects import ConfigMap, CustomResourceDefinition, Deployment, Pod, ReplicaSet, new_class

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


def test_watch_and_where_it_goes_on(api: Any) -> None:
    """From a version that is too old this library asks again and again for the same: not tested here."""

    def first(since: str | None = None) -> Any:
        return next(api.watch("configmaps", label_selector="watched=yes", since=since))

    for number in range(2):
        manifest = {"metadata": {"name": f"watched-{number}", "labels": {"watched": "yes"}}}
        ConfigMap(manifest, api=api).create()
    event, one = first()
    assert (event, one.name) == ("ADDED", "watched-0")
    event, two = first(one.metadata.resourceVersion)
    assert (event, two.name) == ("ADDED", "watched-1")
    one.delete()
    assert first(two.metadata.resourceVersion)[0] == "DELETED"


def test_selectors_and_pages(api: Any) -> None:
    """The library reads pages of a hundred."""
    for number in range(101):
        labels = {"of": "selectors", "parity": "odd" if number % 2 else "even"}
        manifest = {"metadata": {"name": f"select-{number:03}", "labels": labels}}
        ConfigMap(manifest, api=api).create()
    assert len(list(api.get("configmaps", label_selector={"of": "selectors"}))) == 101
    odd = list(api.get("configmaps", label_selector="of=selectors,parity notin (even)"))
    assert len(odd) == 50
    assert [m.name for m in api.get("configmaps", "select-100")] == ["select-100"]
    fields = {"metadata.namespace": api.namespace, "metadata.name": "select-007"}
    assert [m.name for m in api.get("configmaps", namespace=kr8s.ALL, field_selector=fields)] == [
        "select-007"
    ]


def test_a_definition_of_its_own(api: Any) -> None:
    made = definition("kr8s")
    crd = CustomResourceDefinition(made, api=api)
    crd.create()

    def established() -> bool:
        crd.refresh()
        return is_established(crd.raw)

    until(established, "an established definition")
    version = f"{made['spec']['group']}/v1"
    kind = new_class(
        kind="Widget",
        version=version,
        plural="widgets",
        namespaced=True,
        scalable=True,
        scalable_spec="size",
    )
    widget = kind(widget_manifest("one", 2) | {"apiVersion": version}, api=api)
    widget.create()
    widget.scale(3)
    widget.patch({"status": {"size": 3}}, subresource="status")
    assert (widget.raw["spec"]["size"], widget.raw["status"]["size"]) == (3, 3)
    widget.delete()
    crd.delete()
    until(lambda: not crd.exists(), "the end of the definition")


def test_scale(api: Any) -> None:
    deployment = Deployment(deployment_manifest("scaled"), api=api)
    deployment.create()
    deployment.scale(3)
    until(deployment.ready, "a ready deployment")
    assert deployment.replicas == 3
    condition = {"type": "ByTest", "status": "True", "reason": "R", "message": "m"}
    deployment.patch({"status": {"conditions": [condition]}}, subresource="status")
    assert "ByTest" in {c["type"] for c in deployment.raw["status"]["conditions"]}
    deployment.delete(propagation_policy="Orphan")

    def left() -> Any:
        found = ReplicaSet.list(label_selector="app=scaled", api=api)
        return [s for s in found if not s.metadata.get("ownerReferences")]

    (orphan,) = until(left, "a replica set without owner")
    orphan.delete(propagation_policy="Foreground")
    until(lambda: not list(api.get("pods", label_selector="app=scaled")), "no pod left")


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
