"""The official Python client: typed and dynamic, watches, patches, logs, custom objects."""

from __future__ import annotations

import json
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


def test_apply_with_the_typed_client(core: Any, namespace: str) -> None:
    def apply(manager: str, value: str, **how: Any) -> Any:
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "typed"}, "data": {"a": value}}
        return core.patch_namespaced_config_map(
            "typed",
            namespace,
            body,
            field_manager=manager,
            _content_type="application/apply-patch+yaml",
            **how,
        )

    apply("one", "1")
    with pytest.raises(ApiException) as conflict:
        apply("two", "2")
    assert conflict.value.status == 409
    assert 'conflict with "one"' in json.loads(conflict.value.body)["message"]
    assert apply("two", "2", force=True).data == {"a": "2"}


def test_selectors_and_a_dry_run(core: Any, namespace: str) -> None:
    for name, labels in (("x", {"tier": "one"}), ("y", {"tier": "two"}), ("z", {"rank": "one"})):
        meta = client.V1ObjectMeta(name=f"select-{name}", labels={"of": "selectors", **labels})
        core.create_namespaced_config_map(namespace, client.V1ConfigMap(metadata=meta))
    for selector, expected in {
        "of=selectors,tier": "xy",
        "of=selectors,!tier": "z",
        "of=selectors,tier in (one,two)": "xy",
        "of=selectors,tier notin (one)": "yz",
        "of=selectors,tier!=two": "xz",
        "of==selectors,rank=one": "z",
    }.items():
        found = core.list_namespaced_config_map(namespace, label_selector=selector).items
        assert [m.metadata.name for m in found] == [f"select-{name}" for name in expected], selector
    by_field = core.list_config_map_for_all_namespaces(
        field_selector=f"metadata.namespace={namespace},metadata.name!=select-x", label_selector="tier"
    )
    assert [m.metadata.name for m in by_field.items] == ["select-y"]
    dry = core.create_namespaced_config_map(namespace, config_map("dry"), dry_run="All")
    assert dry.metadata.uid
    core.delete_collection_namespaced_config_map(namespace, label_selector="of=selectors")
    left = core.list_namespaced_config_map(namespace, label_selector="of in (selectors,dry)")
    assert left.items == []


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


def test_a_watch_resumes_where_another_ended(core: Any, namespace: str) -> None:
    """The stream is closed after each event; the library goes on from the last version it has seen."""
    version = core.list_namespaced_config_map(namespace).metadata.resource_version
    for number in range(3):
        core.create_namespaced_config_map(namespace, config_map(f"resumed-{number}"))
    seen = []
    for _ in range(3):
        events = watch.Watch().stream(
            core.list_namespaced_config_map, namespace, resource_version=version, timeout_seconds=60
        )
        event = next(iter(events))
        seen.append(event["object"].metadata.name)
        version = event["object"].metadata.resource_version
    assert seen == ["resumed-0", "resumed-1", "resumed-2"]


def test_a_watch_from_too_long_ago(core: Any, namespace: str, expired: str) -> None:
    core.create_namespaced_config_map(namespace, config_map("after-410"))
    with pytest.raises(ApiException) as gone:
        list(
            watch.Watch().stream(
                core.list_namespaced_config_map, namespace, resource_version=expired, timeout_seconds=60
            )
        )
    assert gone.value.status == 410
    listed = core.list_namespaced_config_map(namespace)
    assert "after-410" in {m.metadata.name for m in listed.items}
    core.delete_namespaced_config_map("after-410", namespace)
    again = watch.Watch().stream(
        core.list_namespaced_config_map,
        namespace,
        resource_version=listed.metadata.resource_version,
        timeout_seconds=60,
    )
    assert next(iter(again))["type"] == "DELETED"


def test_bookmarks(core: Any, namespace: str) -> None:
    core.create_namespaced_config_map(namespace, config_map("marked"))
    events = watch.Watch().stream(
        core.list_namespaced_config_map,
        namespace,
        field_selector="metadata.name=marked",
        allow_watch_bookmarks=True,
        send_initial_events=True,
        resource_version_match="NotOlderThan",
        timeout_seconds=60,
    )
    added, mark = next(events), next(events)
    assert (added["type"], mark["type"]) == ("ADDED", "BOOKMARK")
    meta = mark["raw_object"]["metadata"]
    assert meta["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert int(meta["resourceVersion"]) >= int(added["object"].metadata.resource_version)


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
    followed = watch.Watch().stream(core.read_namespaced_pod_log, name="runs", namespace=namespace)
    assert "simulated node" in next(iter(followed))
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


def test_scale_status_and_orphans(api: Any, namespace: str) -> None:
    apps = client.AppsV1Api(api)
    utils.create_from_dict(api, deployment_manifest("left"), namespace=namespace)
    # Without a resourceVersion: a controller writes the object at the same time.
    meta = client.V1ObjectMeta(name="left", namespace=namespace)
    wanted = client.V1Scale(metadata=meta, spec=client.V1ScaleSpec(replicas=2))
    assert apps.replace_namespaced_deployment_scale("left", namespace, wanted).spec.replicas == 2
    until(
        lambda: apps.read_namespaced_deployment_scale("left", namespace).status.replicas == 2, "two replicas"
    )
    condition = {"type": "ByTest", "status": "True", "reason": "R", "message": "m"}
    patched = apps.patch_namespaced_deployment_status(
        "left", namespace, {"status": {"conditions": [condition]}, "spec": {"replicas": 9}}
    )
    assert "ByTest" in {c.type for c in patched.status.conditions}
    assert patched.spec.replicas == 2
    apps.delete_namespaced_deployment("left", namespace, propagation_policy="Orphan")

    def left() -> Any:
        found = apps.list_namespaced_replica_set(namespace, label_selector="app=left").items
        return [s for s in found if not s.metadata.owner_references]

    (orphan,) = until(left, "a replica set without owner")
    apps.delete_namespaced_replica_set(orphan.metadata.name, namespace, propagation_policy="Background")
    core = client.CoreV1Api(api)
    until(lambda: not core.list_namespaced_pod(namespace, label_selector="app=left").items, "no pod left")


def test_a_definition_of_its_own(api: Any, namespace: str) -> None:
    made = definition("official")
    name = made["metadata"]["name"]
    extensions = client.ApiextensionsV1Api(api)
    extensions.create_custom_resource_definition(made)
    until(
        lambda: is_established(
            api.sanitize_for_serialization(extensions.read_custom_resource_definition(name))
        ),
        "an established definition",
    )
    where = (made["spec"]["group"], "v1", namespace, "widgets")
    manifest = widget_manifest("one", 2) | {"apiVersion": f"{made['spec']['group']}/v1"}
    custom = client.CustomObjectsApi(api)
    custom.create_namespaced_custom_object(*where, manifest)
    current = custom.get_namespaced_custom_object(*where, "one")
    current["status"] = {"size": 2}
    custom.replace_namespaced_custom_object_status(*where, "one", current)
    assert custom.get_namespaced_custom_object_scale(*where, "one")["status"]["replicas"] == 2
    extensions.delete_custom_resource_definition(name)

    def gone() -> bool:
        try:
            custom.list_namespaced_custom_object(*where)
        except ApiException as error:
            return bool(error.status == 404)
        return False

    until(gone, "the end of the resource")


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
