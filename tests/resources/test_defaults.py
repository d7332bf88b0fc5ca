"""Defaults against upstream: what is stored of what was sent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from podium.machinery.errors import Object
from podium.machinery.meta import deep_copy
from podium.machinery.resource import Resource
from podium.machinery.schema import Schemas
from podium.resources.catalogue import BUILTIN, find_kind
from podium.resources.core import images
from podium.resources.core.namespaces import NAMESPACES
from podium.resources.core.pod_spec import aggregated
from podium.resources.core.pods import PODS
from podium.resources.core.qos import qos_class
from tests.resources.recorded import SHARED, Step, as_received, creations

TESTDATA = sorted((SHARED / "upstream" / "api-testdata").glob("*.json"))

# What others than defaulting set, at these paths: the system, admission, allocation of addresses and ports.
SYSTEM = ("uid", "resourceVersion", "creationTimestamp", "managedFields", "namespace", "generation")
SET_BY_OTHERS: dict[str, tuple[str, ...]] = {
    "pods": (
        "spec.volumes",
        "spec.tolerations",
        "spec.serviceAccount",
        "spec.serviceAccountName",
        "spec.priority",
        "spec.preemptionPolicy",
        "spec.containers.*.volumeMounts",
        "spec.initContainers.*.volumeMounts",
    ),
    "services": (
        "spec.clusterIP",
        "spec.clusterIPs",
        "spec.ipFamilies",
        "spec.ipFamilyPolicy",
        "spec.healthCheckNodePort",
        "spec.ports.*.nodePort",
    ),
    "nodes": ("spec.taints",),
    "persistentvolumes": ("metadata.finalizers",),
    "persistentvolumeclaims": ("metadata.finalizers",),
    # The server adds these a moment later, so the recordings leave them out.
    "flowschemas": ("status",),
    "customresourcedefinitions": ("status.conditions",),
}


def without(value: Any, path: list[str]) -> None:
    """Remove what is at a path, `*` being any index of a list."""
    if path[0] == "*":
        for item in value if isinstance(value, list) else ():
            without(item, path[1:])
    elif isinstance(value, dict):
        if len(path) == 1:
            value.pop(path[0], None)
        elif path[0] in value:
            without(value[path[0]], path[1:])


def compared(obj: Object, resource: Resource) -> Object:
    """Return the part of an object that defaulting alone decides."""
    obj = deep_copy(obj)
    for name in SYSTEM:
        obj["metadata"].pop(name, None)
    for path in SET_BY_OTHERS.get(resource.plural, ()):
        without(obj, path.split("."))
    return obj


def stored(step: Step) -> Object:
    """Return what would be stored of the step's body, without admission and allocation."""
    resource = step.resource
    kept = resource.storage or resource
    obj = as_received(step)
    schemas = Schemas.load()
    schemas.compile(resource.schema).decode(obj)
    resource.defaults(obj)
    obj = resource.to_storage(obj)
    kept.prepare_create(obj)
    obj = resource.from_storage(obj)
    schemas.compile(resource.schema).complete(obj)
    return {**obj, "apiVersion": resource.api_version, "kind": resource.kind}


@pytest.mark.parametrize("step", list(creations(201)), ids=lambda step: step.id)
def test_stores_what_upstream_stores(step: Step) -> None:
    assert compared(stored(step), step.resource) == compared(step.answer, step.resource)


def api_objects() -> Iterator[tuple[str, Resource]]:
    for path in TESTDATA:
        obj = orjson.loads(path.read_bytes())
        resource = find_kind(obj.get("apiVersion", ""), obj.get("kind", ""))
        if resource is not None:
            yield path.name, resource


@pytest.mark.parametrize(("name", "resource"), list(api_objects()))
def test_defaulting_twice_is_defaulting_once(name: str, resource: Resource) -> None:
    obj = orjson.loads((SHARED / "upstream" / "api-testdata" / name).read_bytes())
    resource.defaults(obj)
    once = deep_copy(obj)
    resource.defaults(obj)
    assert obj == once


@pytest.mark.parametrize("resource", BUILTIN, ids=lambda r: f"{r.group_plural}.{r.version}")
def test_nothing_fails_on_an_empty_object(resource: Resource) -> None:
    obj: Object = {"metadata": {"name": "x", "uid": "u"}}
    resource.defaults(obj)
    kept = resource.storage or resource
    obj = resource.to_storage(obj)
    kept.prepare_create(obj)
    kept.validate(obj)
    kept.validate_update(obj, deep_copy(obj))
    kept.validate_status_update(obj, deep_copy(obj))
    kept.prepare_update(obj, deep_copy(obj))
    for check in kept.validate_subresources.values():
        check(obj, deep_copy(obj))
    resource.from_storage(obj)
    for getter in resource.selectable.values():
        assert isinstance(getter(obj), str)


@pytest.mark.parametrize(("name", "resource"), list(api_objects()))
def test_nothing_fails_on_a_full_object(name: str, resource: Resource) -> None:
    obj = orjson.loads(Path(SHARED / "upstream" / "api-testdata" / name).read_bytes())
    resource.defaults(obj)
    kept = resource.storage or resource
    obj = resource.to_storage(obj)
    kept.validate(obj)
    kept.validate_update(obj, deep_copy(obj))
    kept.validate_status_update(obj, deep_copy(obj))
    kept.prepare_update(obj, deep_copy(obj))
    for check in kept.validate_subresources.values():
        check(obj, deep_copy(obj))
    for getter in resource.selectable.values():
        assert isinstance(getter(obj), str)


@pytest.mark.parametrize("resource", BUILTIN, ids=lambda r: f"{r.group_plural}.{r.version}")
def test_an_unchanged_object_is_a_valid_update(resource: Resource) -> None:
    """Whatever is stored can be written back."""
    for step in creations(201):
        if step.resource is resource and resource.storage is None:
            obj = {**step.answer}
            obj["metadata"] = {**obj["metadata"], "resourceVersion": "1"}
            new = deep_copy(obj)
            resource.prepare_update(new, obj)
            assert resource.validate_update(new, obj) == []
            assert new == obj


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        ("nginx:1.27", "IfNotPresent"),
        ("registry.example.com:5000/nginx", "Always"),
        ("registry.example.com:5000/nginx:1", "IfNotPresent"),
        ("nginx@sha256:" + "0" * 64, "IfNotPresent"),
        ("nginx:latest@sha256:" + "0" * 64, "Always"),
        ("", "IfNotPresent"),
    ],
)
def test_pull_policy_follows_the_tag(image: str, policy: str) -> None:
    assert images.pull_policy(image) == policy


def _pod(**resources: Any) -> Object:
    return {"containers": [{"name": "c", "resources": resources}]}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (_pod(), "BestEffort"),
        (_pod(requests={"cpu": "0"}), "BestEffort"),
        (_pod(requests={"example.com/gpu": "1"}), "BestEffort"),
        (_pod(requests={"cpu": "1"}), "Burstable"),
        (_pod(requests={"cpu": "1"}, limits={"cpu": "1"}), "Burstable"),
        (_pod(requests={"cpu": "1", "memory": "1Gi"}, limits={"cpu": "1", "memory": "1Gi"}), "Guaranteed"),
        (
            _pod(requests={"cpu": "1000m", "memory": "1024Mi"}, limits={"cpu": "1", "memory": "1Gi"}),
            "Guaranteed",
        ),
        (_pod(requests={"cpu": "1", "memory": "1Gi"}, limits={"cpu": "2", "memory": "1Gi"}), "Burstable"),
    ],
)
def test_quality_of_service(spec: Object, expected: str) -> None:
    assert qos_class(spec) == expected


def test_init_containers_need_room_one_after_the_other() -> None:
    def of(cpu: str, **more: str) -> Object:
        return {"name": "c", "resources": {"requests": {"cpu": cpu}}, **more}

    spec = {
        "initContainers": [of("1", restartPolicy="Always"), of("5"), of("2", restartPolicy="Always")],
        "containers": [of("1"), of("500m")],
    }
    # 1 + 5 while the second one runs; 1 + 2 + 1.5 later.
    assert aggregated(spec, "requests") == {"cpu": "6"}


def test_an_empty_pod_gets_a_whole_spec() -> None:
    pod: Object = {"spec": {"containers": [{"name": "c", "image": "i"}]}}
    PODS.defaults(pod)
    assert pod["spec"]["terminationGracePeriodSeconds"] == 30
    assert pod["spec"]["containers"][0]["resources"] == {}


def test_a_namespace_with_a_generated_name_is_labelled_once_it_has_it() -> None:
    namespace: Object = {"metadata": {"generateName": "x-"}}
    NAMESPACES.defaults(namespace)
    assert "labels" not in namespace["metadata"]
    namespace["metadata"]["name"] = "x-abcde"
    NAMESPACES.prepare_create(namespace)
    assert namespace["metadata"]["labels"] == {"kubernetes.io/metadata.name": "x-abcde"}
    assert namespace["spec"] == {"finalizers": ["kubernetes"]}
