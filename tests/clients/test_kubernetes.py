"""The official Python client: typed and dynamic, watches, patches, logs, custom objects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.clients.conftest import deployment_manifest, pod_manifest, widget_manifest
from tests.e2e.conftest import until

pytest.importorskip("kubernetes")

from kubernetes import client, config, dynamic, stream, utils, watch
from kubernetes.client.exceptions import ApiException

pytestmark = [pytest.mark.clients, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def api(kubeconfig: str) -> Iterator[Any]:
    with config.new_client_from_config(kubeconfig) as connected:
        yield connected


@pytest.fixture(scope="module")
def core(api: Any) -> Any:
    return client.CoreV1Api(api)


def config_map(name: str, **data: str) -> Any:
    return client.V1ConfigMap(metadata=client.V1ObjectMeta(name=name, labels={"of": "test"}), data=data)


def test_create_read_replace_delete(core: Any, namespace: str) -> None:
    made = core.create_namespaced_config_map(namespace, config_map("crud", a="1"))
    assert made.metadata.uid and made.metadata.creation_timestamp
    made.data["b"] = "2"
    core.replace_namespaced_config_map("crud", namespace, made)
    assert core.read_namespaced_config_map("crud", namespace).data == {"a": "1", "b": "2"}
    with pytest.raises(ApiException) as stale:
        core.replace_namespaced_config_map("crud", namespace, made)
    assert stale.value.status == 409
    core.delete_namespaced_config_map("crud", namespace)
    with pytest.raises(ApiException) as gone:
        core.read_namespaced_config_map("crud", namespace)
    assert gone.value.status == 404


@pytest.mark.parametrize(
    ("media_type", "patch"),
    [
        ("application/json-patch+json", [{"op": "add", "path": "/data/new", "value": "x"}]),
        ("application/merge-patch+json", {"data": {"new": "x"}}),
        ("application/strategic-merge-patch+json", {"data": {"new": "x"}}),
    ],
)
def test_patch(core: Any, namespace: str, media_type: str, patch: Any) -> None:
    name = "patched-" + media_type.partition("/")[2].partition("-")[0]
    core.create_namespaced_config_map(namespace, config_map(name, a="1"))
    patched = core.patch_namespaced_config_map(name, namespace, patch, _content_type=media_type)
    assert patched.data == {"a": "1", "new": "x"}


def test_server_side_apply_and_its_conflict(api: Any, core: Any, namespace: str) -> None:
    maps = dynamic.DynamicClient(api).resources.get(api_version="v1", kind="ConfigMap")
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "applied"}, "data": {"a": "1"}}
    applied = maps.server_side_apply(namespace=namespace, body=body, field_manager="one")
    assert applied.metadata.managedFields[0].manager == "one"
    body["data"] = {"a": "2"}
    with pytest.raises(dynamic.exceptions.ConflictError):
        maps.server_side_apply(namespace=namespace, body=body, field_manager="two")
    maps.server_side_apply(namespace=namespace, body=body, field_manager="two", force_conflicts=True)
    assert core.read_namespaced_config_map("applied", namespace).data == {"a": "2"}


def test_pages(core: Any, namespace: str) -> None:
    for number in range(5):
        core.create_namespaced_secret(
            namespace, client.V1Secret(metadata=client.V1ObjectMeta(name=f"page-{number}"))
        )
    names: list[str] = []
    token = None
    pages = 0
    while token != "":
        page = core.list_namespaced_secret(namespace, limit=2, _continue=token)
        names += [secret.metadata.name for secret in page.items]
        token = page.metadata._continue or ""
        pages += 1
    assert names == [f"page-{number}" for number in range(5)]
    assert pages == 3


def test_watch(core: Any, namespace: str) -> None:
    listed = core.list_namespaced_config_map(namespace, label_selector="watched=yes")
    labels = {"watched": "yes"}
    core.create_namespaced_config_map(
        namespace, client.V1ConfigMap(metadata=client.V1ObjectMeta(name="seen", labels=labels))
    )
    core.patch_namespaced_config_map("seen", namespace, {"data": {"a": "1"}})
    core.delete_namespaced_config_map("seen", namespace)
    seen = []
    watcher = watch.Watch()
    for event in watcher.stream(
        core.list_namespaced_config_map,
        namespace,
        label_selector="watched=yes",
        resource_version=listed.metadata.resource_version,
        timeout_seconds=10,
    ):
        seen.append(event["type"])
        if event["type"] == "DELETED":
            watcher.stop()
    assert seen == ["ADDED", "MODIFIED", "DELETED"]


def test_a_watch_that_ends_by_itself(core: Any, namespace: str) -> None:
    watcher = watch.Watch()
    assert not list(
        watcher.stream(
            core.list_namespaced_config_map, namespace, label_selector="none=none", timeout_seconds=1
        )
    )


def test_a_pod_runs_and_has_logs(core: Any, namespace: str) -> None:
    core.create_namespaced_pod(namespace, pod_manifest("runs"))
    until(lambda: core.read_namespaced_pod_status("runs", namespace).status.phase == "Running", "Running")
    assert "simulated node" in core.read_namespaced_pod_log("runs", namespace)
    with pytest.raises(ApiException):
        stream.stream(core.connect_get_namespaced_pod_exec, "runs", namespace, command=["ls"], stdout=True)
    core.delete_namespaced_pod("runs", namespace, grace_period_seconds=0)


def test_a_deployment_scales(api: Any, namespace: str) -> None:
    utils.create_from_dict(api, deployment_manifest("scaled"), namespace=namespace)
    apps = client.AppsV1Api(api)
    apps.patch_namespaced_deployment_scale("scaled", namespace, {"spec": {"replicas": 3}})
    until(
        lambda: apps.read_namespaced_deployment("scaled", namespace).status.ready_replicas == 3,
        "three ready replicas",
    )
    apps.delete_namespaced_deployment("scaled", namespace, propagation_policy="Foreground")
    until(
        lambda: not client.AppsV1Api(api).list_namespaced_replica_set(namespace).items, "no replica set left"
    )


def test_an_eviction(core: Any, namespace: str) -> None:
    core.create_namespaced_pod(namespace, pod_manifest("evicted"))
    until(lambda: core.read_namespaced_pod("evicted", namespace).status.phase == "Running", "Running")
    eviction = client.V1Eviction(metadata=client.V1ObjectMeta(name="evicted", namespace=namespace))
    core.create_namespaced_pod_eviction("evicted", namespace, eviction)
    until(
        lambda: "evicted" not in {p.metadata.name for p in core.list_namespaced_pod(namespace).items}, "gone"
    )


def test_custom_objects(api: Any, namespace: str, widgets: dict[str, Any]) -> None:
    where = (widgets["spec"]["group"], "v1", namespace, "widgets")
    custom = client.CustomObjectsApi(api)
    made = custom.create_namespaced_custom_object(*where, widget_manifest("one", 2))
    assert made["spec"] == {"size": 2, "colour": "green"}
    with pytest.raises(ApiException) as invalid:
        custom.create_namespaced_custom_object(*where, widget_manifest("large", 1000))
    assert invalid.value.status == 422
    patched = custom.patch_namespaced_custom_object(*where, "one", {"spec": {"size": 3}})
    assert patched["metadata"]["generation"] == 2
    custom.patch_namespaced_custom_object_status(*where, "one", {"status": {"size": 3}})
    custom.patch_namespaced_custom_object_scale(*where, "one", {"spec": {"replicas": 4}})
    found = custom.get_namespaced_custom_object(*where, "one")
    assert (found["spec"]["size"], found["status"]["size"]) == (4, 3)
    assert len(custom.list_namespaced_custom_object(*where)["items"]) == 1
    custom.delete_namespaced_custom_object(*where, "one")
