"""pykube-ng: queries, updates by merge patch, watches, scaling, logs."""

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

pytest.importorskip("pykube")

import pykube

pytestmark = [pytest.mark.clients, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def api(kubeconfig: str) -> Any:
    return pykube.HTTPClient(pykube.KubeConfig.from_file(kubeconfig), timeout=30)


def config_map(api: Any, namespace: str, name: str, **data: str) -> Any:
    return pykube.ConfigMap(
        api,
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": namespace, "labels": {"of": "pykube"}},
            "data": data,
        },
    )


def test_create_update_patch_delete(api: Any, namespace: str) -> None:
    made = config_map(api, namespace, "crud", a="1")
    made.create()
    made.obj["data"]["b"] = "2"
    made.update()
    made.patch({"data": {"c": "3"}})
    made.patch({"data": {"d": "4"}}, subresource=None)
    made.reload()
    assert made.obj["data"] == {"a": "1", "b": "2", "c": "3", "d": "4"}
    made.delete()
    assert not made.exists()


def test_queries(api: Any, namespace: str) -> None:
    for number in range(3):
        config_map(api, namespace, f"query-{number}").create()
    maps = pykube.ConfigMap.objects(api, namespace=namespace)
    assert len(maps.filter(selector={"of": "pykube"})) == 3
    assert [m.name for m in maps.filter(field_selector={"metadata.name": "query-1"})] == ["query-1"]
    assert maps.get_by_name("query-2").name == "query-2"
    assert maps.get_or_none(name="missing") is None
    with_sets = maps.filter(selector={"of__in": {"pykube", "x"}, "none__neq": "x"})
    assert len(with_sets) == 3
    assert len(maps.filter(selector={"of__notin": {"pykube"}, "of": "pykube"})) == 0
    table = maps.as_table()
    assert [column["name"] for column in table.columns] == ["Name", "Data", "Age"]


def test_an_update_of_what_has_changed_meanwhile(api: Any, namespace: str) -> None:
    made = config_map(api, namespace, "stale", a="1")
    made.create()
    other = pykube.ConfigMap.objects(api, namespace=namespace).get_by_name("stale")
    other.patch({"data": {"b": "2"}})
    made.obj["data"]["a"] = "3"
    with pytest.raises(pykube.exceptions.HTTPError) as conflict:
        made.update()
    assert conflict.value.code == 409


def test_watches_that_resume_and_expire(api: Any, namespace: str, expired: str) -> None:
    query = pykube.ConfigMap.objects(api, namespace=namespace).filter(
        field_selector={"metadata.name": "seen"}
    )
    version = query.response["metadata"]["resourceVersion"]
    seen = config_map(api, namespace, "seen")
    seen.create()
    seen.patch({"data": {"a": "1"}})
    types = []
    for _ in range(2):
        event = next(iter(query.watch(since=version)))
        types.append(event.type)
        version = event.object.metadata["resourceVersion"]
    assert types == ["ADDED", "MODIFIED"]
    # Nothing happens: the server ends it.
    assert list(query.watch(since=version, params={"timeoutSeconds": 1})) == []
    # This library hands the error over as an event.
    (event,) = query.watch(since=expired, params={"timeoutSeconds": 60})
    assert (event.type, event.object.obj["code"]) == ("ERROR", 410)
    marks = query.watch(
        params={
            "allowWatchBookmarks": "true",
            "sendInitialEvents": "true",
            "resourceVersionMatch": "NotOlderThan",
        }
    )
    stream = iter(marks)
    assert [next(stream).type for _ in range(2)] == ["ADDED", "BOOKMARK"]


def test_a_pod_runs_and_has_logs(api: Any, namespace: str) -> None:
    manifest = pod_manifest("runs")
    manifest["metadata"]["namespace"] = namespace
    pod = pykube.Pod(api, manifest)
    pod.create()

    def ready() -> bool:
        pod.reload()
        return bool(pod.ready)

    until(ready, "a ready pod")
    assert "simulated node" in pod.logs()
    pod.delete()


def scale(deployment: Any, replicas: int) -> None:
    """Scale as this library does: by a patch with the resourceVersion it has read, which may be old."""
    while True:
        try:
            deployment.scale(replicas)
        except pykube.exceptions.HTTPError as error:
            assert error.code == 409
            deployment.reload()
        else:
            return


def test_a_deployment_scales_and_rolls(api: Any, namespace: str) -> None:
    manifest = deployment_manifest("scaled")
    manifest["metadata"]["namespace"] = namespace
    deployment = pykube.Deployment(api, manifest)
    deployment.create()
    scale(deployment, 2)
    assert deployment.replicas == 2

    def settled() -> bool:
        deployment.reload()
        return "observedGeneration" in deployment.obj["status"] and bool(deployment.ready)

    until(settled, "a ready deployment")
    condition = {"type": "ByTest", "status": "True", "reason": "R", "message": "m"}
    deployment.patch({"status": {"conditions": [condition]}}, subresource="status")
    assert "ByTest" in {c["type"] for c in deployment.obj["status"]["conditions"]}
    deployment.delete(propagation_policy="Orphan")
    sets = pykube.ReplicaSet.objects(api, namespace=namespace)

    def left() -> Any:
        return [s for s in sets.all() if not s.metadata.get("ownerReferences")]

    (orphan,) = until(left, "a replica set without owner")
    orphan.delete(propagation_policy="Background")
    pods = pykube.Pod.objects(api, namespace=namespace).filter(selector={"app": "scaled"})
    until(lambda: not list(pods.all()), "no pod left")


def test_a_definition_of_its_own(api: Any, namespace: str) -> None:
    made = definition("pykube")
    crd = pykube.CustomResourceDefinition(api, made)
    crd.create()

    def established() -> bool:
        crd.reload()
        return is_established(crd.obj)

    until(established, "an established definition")
    version = f"{made['spec']['group']}/v1"
    manifest = widget_manifest("one", 2) | {"apiVersion": version}
    manifest["metadata"]["namespace"] = namespace
    widget = pykube.object_factory(api, version, "Widget")(api, manifest)
    widget.create()
    widget.patch({"status": {"size": 2}}, subresource="status")
    assert widget.obj["status"] == {"size": 2}
    crd.delete()
    until(lambda: not crd.exists(), "the end of the definition")


def test_custom_resources(api: Any, namespace: str, widgets: dict[str, Any]) -> None:
    widget_class = pykube.object_factory(api, "clients.podium.dev/v1", "Widget")
    manifest = widget_manifest("one", 2)
    manifest["metadata"]["namespace"] = namespace
    widget = widget_class(api, manifest)
    widget.create()
    widget.patch({"spec": {"size": 3}})
    widget.patch({"status": {"size": 3}}, subresource="status")
    assert widget.obj["spec"] == {"size": 3, "colour": "green"}
    assert len(widget_class.objects(api, namespace=namespace)) == 1
    widget.delete()
