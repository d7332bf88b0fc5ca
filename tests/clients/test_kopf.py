"""kopf: an operator that lives on watches, patches with finalizers and status, custom resources, events."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.clients.conftest import widget_manifest
from tests.e2e.conftest import until

pytest.importorskip("kopf")

import kopf
from kubernetes import client, config

pytestmark = [pytest.mark.clients, pytest.mark.filterwarnings("ignore")]


class Operator:
    """Keeps a ConfigMap for every Widget, and remembers what it was told."""

    def __init__(self, api: Any) -> None:
        self.core = client.CoreV1Api(api)
        self.heard: list[str] = []
        self.registry = kopf.OperatorRegistry()
        widgets = {"registry": self.registry}
        kopf.on.login(**widgets)(kopf.login_with_kubeconfig)
        kopf.on.create("widgets", id="created", **widgets)(self.created)
        kopf.on.field("widgets", field="spec.size", old=kopf.PRESENT, new=kopf.PRESENT, **widgets)(
            self.resized
        )
        kopf.on.delete("widgets", **widgets)(self.deleted)

    def created(
        self, spec: Any, name: str, namespace: str, body: Any, patch: Any, **_: Any
    ) -> dict[str, Any]:
        self.heard.append("created")
        config_map: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}
        config_map["data"] = {"size": str(spec["size"])}
        kopf.adopt(config_map, owner=body)
        self.core.create_namespaced_config_map(namespace, config_map)
        patch.status["size"] = spec["size"]
        kopf.info(body, reason="Made", message="a config map")
        return {"made": name}

    def resized(self, old: int, new: int, name: str, namespace: str, **_: Any) -> None:
        self.heard.append(f"resized {old} {new}")
        self.core.patch_namespaced_config_map(name, namespace, {"data": {"size": str(new)}})

    def deleted(self, name: str, **_: Any) -> None:
        self.heard.append("deleted")


@pytest.fixture
def operator(
    kubeconfig: str, namespace: str, widgets: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Operator]:
    monkeypatch.setenv("KUBECONFIG", kubeconfig)
    made = Operator(config.new_client_from_config(kubeconfig))
    settings = kopf.OperatorSettings()
    settings.execution.max_workers = 2
    stop, ready = threading.Event(), threading.Event()
    thread = threading.Thread(
        target=lambda: kopf.run(
            registry=made.registry,
            settings=settings,
            namespaces=[namespace],
            standalone=True,
            stop_flag=stop,
            ready_flag=ready,
        )
    )
    thread.start()
    try:
        assert ready.wait(30)
        yield made
    finally:
        stop.set()
        thread.join(30)


def test_an_operator(kubeconfig: str, namespace: str, widgets: dict[str, Any], operator: Operator) -> None:
    custom = client.CustomObjectsApi(config.new_client_from_config(kubeconfig))
    where = (widgets["spec"]["group"], "v1", namespace, "widgets")

    def widget() -> dict[str, Any]:
        found: dict[str, Any] = custom.get_namespaced_custom_object(*where, "one")
        return found

    custom.create_namespaced_custom_object(*where, widget_manifest("one", 2))
    until(lambda: "created" in widget().get("status", {}), "the handler's result")
    made = widget()
    assert made["metadata"]["finalizers"] == ["kopf.zalando.org/KopfFinalizerMarker"]
    assert (made["status"]["created"], made["status"]["size"]) == ({"made": "one"}, 2)
    owned = operator.core.read_namespaced_config_map("one", namespace)
    assert owned.metadata.owner_references[0].uid == made["metadata"]["uid"]

    custom.patch_namespaced_custom_object(*where, "one", {"spec": {"size": 5}})
    until(
        lambda: operator.core.read_namespaced_config_map("one", namespace).data["size"] == "5", "the new size"
    )
    until(
        lambda: any(e.reason == "Made" for e in operator.core.list_namespaced_event(namespace).items),
        "the operator's event",
    )

    custom.delete_namespaced_custom_object(*where, "one")
    until(lambda: "deleted" in operator.heard, "the deletion handler")
    until(lambda: not custom.list_namespaced_custom_object(*where)["items"], "the widget's end")
    until(
        lambda: (
            "one" not in {m.metadata.name for m in operator.core.list_namespaced_config_map(namespace).items}
        ),
        "the garbage collector",
    )
    assert operator.heard == ["created", "resized 2 5", "deleted"]
