"""lightkube: typed models, server-side apply, patches of each type, generic resources."""

from __future__ import annotations

from collections.abc import Iterator
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

pytest.importorskip("lightkube")

import lightkube
from lightkube import operators
from lightkube.config.kubeconfig import KubeConfig
from lightkube.core.exceptions import ApiError
from lightkube.generic_resource import create_namespaced_resource
from lightkube.models.autoscaling_v1 import ScaleSpec
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.apiextensions_v1 import CustomResourceDefinition
from lightkube.resources.apps_v1 import Deployment, ReplicaSet
from lightkube.resources.core_v1 import ConfigMap, Pod, Secret
from lightkube.types import CascadeType, OnErrorAction, OnErrorResult, PatchType

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


def test_watches_that_resume_end_and_expire(client: Any, expired: str) -> None:
    listed = client.list(ConfigMap, labels={"watched": "yes"})
    assert list(listed) == []
    for number in range(2):
        meta = ObjectMeta(name=f"watched-{number}", labels={"watched": "yes"})
        client.create(ConfigMap(metadata=meta))

    def first(version: str) -> Any:
        return next(client.watch(ConfigMap, labels={"watched": "yes"}, resource_version=version))

    _, one = first(listed.resourceVersion)
    _, two = first(one.metadata.resourceVersion)
    assert [m.metadata.name for m in (one, two)] == ["watched-0", "watched-1"]

    # The server ends each after a second; the library begins the next where it was.
    events = client.watch(
        ConfigMap, labels={"watched": "yes"}, resource_version=two.metadata.resourceVersion, server_timeout=1
    )
    client.delete(ConfigMap, "watched-0")
    assert next(events)[0] == "DELETED"
    client.delete(ConfigMap, "watched-1")
    assert next(events)[1].metadata.name == "watched-1"

    with pytest.raises(ApiError) as gone:
        first(expired)
    assert gone.value.status.code == 410
    # The library's own way on from there is to begin anew.
    client.create(ConfigMap(metadata=ObjectMeta(name="after-410", labels={"watched": "yes"})))
    anew = client.watch(
        ConfigMap,
        labels={"watched": "yes"},
        resource_version=expired,
        on_error=lambda *_: OnErrorResult(OnErrorAction.RETRY),
    )
    assert next(anew)[1].metadata.name == "after-410"


def test_selectors(client: Any) -> None:
    for name, labels in (("x", {"tier": "one"}), ("y", {"tier": "two"}), ("z", {"rank": "one"})):
        meta = ObjectMeta(name=f"select-{name}", labels={"of": "selectors", **labels})
        client.create(ConfigMap(metadata=meta))
    for selector, expected in (
        ({"tier": operators.exists()}, "xy"),
        ({"tier": operators.not_exists()}, "z"),
        ({"tier": operators.in_(["one", "two"])}, "xy"),
        ({"tier": operators.not_in(["one"])}, "yz"),
        ({"tier": operators.not_equal("two")}, "xz"),
    ):
        found = client.list(ConfigMap, labels={"of": "selectors", **selector})
        assert [m.metadata.name for m in found] == [f"select-{name}" for name in expected], selector
    dry = client.create(ConfigMap(metadata=ObjectMeta(name="dry")), dry_run=True)
    assert dry.metadata.uid
    fields = {"metadata.name": operators.not_equal("select-x")}
    left = client.list(ConfigMap, labels={"of": "selectors"}, fields=fields)
    assert [m.metadata.name for m in left] == ["select-y", "select-z"]


def test_a_definition_of_its_own(client: Any) -> None:
    made = definition("lightkube")
    client.create(CustomResourceDefinition.from_dict(made))
    name = made["metadata"]["name"]
    until(
        lambda: is_established(client.get(CustomResourceDefinition, name).to_dict()),
        "an established definition",
    )
    kind = create_namespaced_resource(made["spec"]["group"], "v1", "Widget", "widgets")
    manifest = widget_manifest("one", 2) | {"apiVersion": f"{made['spec']['group']}/v1"}
    client.create(kind.from_dict(manifest))
    client.apply(kind.Status.from_dict(manifest | {"status": {"size": 2}, "spec": {}}), "one", force=True)
    scale = client.get(kind.Scale, "one")
    assert (scale.spec.replicas, scale.status.replicas) == (2, 2)
    client.delete(CustomResourceDefinition, name)


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


def test_status_and_orphans(client: Any) -> None:
    client.create(Deployment.from_dict(deployment_manifest("left")))
    until(lambda: client.get(Deployment, "left").status.readyReplicas, "a ready replica")
    condition = {"type": "ByTest", "status": "True", "reason": "R", "message": "m"}
    patched = client.patch(
        Deployment.Status, "left", {"status": {"conditions": [condition]}}, patch_type=PatchType.STRATEGIC
    )
    assert "ByTest" in {c.type for c in patched.status.conditions}
    client.delete(Deployment, "left", cascade=CascadeType.ORPHAN)
    found = until(
        lambda: [
            s for s in client.list(ReplicaSet, labels={"app": "left"}) if not s.metadata.ownerReferences
        ],
        "a replica set without owner",
    )
    client.delete(ReplicaSet, found[0].metadata.name, cascade=CascadeType.BACKGROUND)
    until(lambda: not list(client.list(Pod, labels={"app": "left"})), "no pod left")


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
