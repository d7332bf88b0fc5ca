"""lightkube: typed models, server-side apply, patches of each type, generic resources."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.clients.conftest import deployment_manifest, pod_manifest, widget_manifest
from tests.e2e.conftest import until

pytest.importorskip("lightkube")

import lightkube
from lightkube.config.kubeconfig import KubeConfig
from lightkube.core.exceptions import ApiError
from lightkube.generic_resource import create_namespaced_resource
from lightkube.models.autoscaling_v1 import ScaleSpec
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.core_v1 import ConfigMap, Pod, Secret
from lightkube.types import CascadeType, PatchType

pytestmark = [pytest.mark.clients, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def client(kubeconfig: str, namespace: str) -> Iterator[Any]:
    with lightkube.Client(
        config=KubeConfig.from_file(kubeconfig), namespace=namespace, field_manager="lightkube"
    ) as connected:
        yield connected


def test_create_get_replace_delete(client: Any) -> None:
    made = client.create(ConfigMap(metadata=ObjectMeta(name="crud"), data={"a": "1"}))
    made.data["b"] = "2"
    client.replace(made)
    assert client.get(ConfigMap, "crud").data == {"a": "1", "b": "2"}
    client.delete(ConfigMap, "crud")
    with pytest.raises(ApiError) as gone:
        client.get(ConfigMap, "crud")
    assert gone.value.status.code == 404


@pytest.mark.parametrize(
    ("type_", "patch"),
    [
        (PatchType.JSON, [{"op": "add", "path": "/data/new", "value": "x"}]),
        (PatchType.MERGE, {"data": {"new": "x"}}),
        (PatchType.STRATEGIC, {"data": {"new": "x"}}),
        (
            PatchType.APPLY,
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "patched-apply"},
                "data": {"new": "x"},
            },
        ),
    ],
    ids=lambda value: value.name.lower() if isinstance(value, PatchType) else "",
)
def test_patch(client: Any, type_: PatchType, patch: Any) -> None:
    name = f"patched-{type_.name.lower()}"
    client.create(ConfigMap(metadata=ObjectMeta(name=name), data={"a": "1"}))
    assert client.patch(ConfigMap, name, patch, patch_type=type_).data == {"a": "1", "new": "x"}


def test_apply_and_its_conflict(client: Any) -> None:
    client.apply(ConfigMap(metadata=ObjectMeta(name="applied"), data={"a": "1"}))
    with pytest.raises(ApiError) as conflict:
        client.apply(ConfigMap(metadata=ObjectMeta(name="applied"), data={"a": "2"}), field_manager="other")
    assert conflict.value.status.code == 409
    client.apply(
        ConfigMap(metadata=ObjectMeta(name="applied"), data={"a": "2"}), field_manager="other", force=True
    )
    assert client.get(ConfigMap, "applied").data == {"a": "2"}


def test_pages_labels_and_fields(client: Any) -> None:
    for number in range(5):
        labels = {"parity": "odd" if number % 2 else "even"}
        client.create(Secret(metadata=ObjectMeta(name=f"page-{number}", labels=labels)))
    assert len(list(client.list(Secret, chunk_size=2))) == 5
    assert len(list(client.list(Secret, labels={"parity": "odd"}))) == 2
    assert [s.metadata.name for s in client.list(Secret, fields={"metadata.name": "page-3"})] == ["page-3"]


def test_watch_wait_and_log(client: Any) -> None:
    client.create(Pod.from_dict(pod_manifest("runs")))
    for _, pod in client.watch(Pod, fields={"metadata.name": "runs"}, server_timeout=30):
        if pod.status.phase == "Running":
            break
    client.wait(Pod, "runs", for_conditions=["Ready"])
    assert "simulated node" in "".join(client.log("runs"))
    client.delete(Pod, "runs", grace_period=0)


def test_scale_and_delete_with_dependents(client: Any) -> None:
    client.create(Deployment.from_dict(deployment_manifest("scaled")))
    client.replace(Deployment.Scale(metadata=ObjectMeta(name="scaled"), spec=ScaleSpec(replicas=2)), "scaled")
    until(lambda: client.get(Deployment, "scaled").status.readyReplicas == 2, "two ready replicas")
    client.delete(Deployment, "scaled", cascade=CascadeType.FOREGROUND)
    until(lambda: not list(client.list(Pod, labels={"app": "scaled"})), "no pod left")


def test_custom_resources(client: Any, widgets: dict[str, Any]) -> None:
    widget_class = create_namespaced_resource(widgets["spec"]["group"], "v1", "Widget", "widgets")
    made = client.create(widget_class.from_dict(widget_manifest("one", 2)))
    assert made["spec"] == {"size": 2, "colour": "green"}
    client.apply(widget_class.from_dict(widget_manifest("two", 5)), force=True)
    made["status"] = {"size": 2}
    client.patch(widget_class.Status, "one", {"status": {"size": 2}}, patch_type=PatchType.MERGE)
    assert client.get(widget_class, "one")["status"] == {"size": 2}
    assert {w.metadata.name for w in client.list(widget_class)} == {"one", "two"}
    client.deletecollection(widget_class)
    assert not list(client.list(widget_class))
