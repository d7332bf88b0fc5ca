"""Environments: every source, their order, expansion, and upstream's words for what is missing."""

from __future__ import annotations

import base64

import pytest

from podium.kubelet.environment import (
    ConfigFault,
    EnvironmentSources,
    environment,
    expand,
    service_environment,
)
from podium.machinery.errors import Object
from tests.kubelet.node import make_pod

CONFIG: Object = {"metadata": {"name": "conf"}, "data": {"colour": "blue", "bad key": "x"}}
SECRET: Object = {"metadata": {"name": "sec"}, "data": {"password": base64.b64encode(b"s3cret").decode()}}
SERVICE: Object = {
    "metadata": {"name": "my-db", "namespace": "shop"},
    "spec": {"clusterIP": "10.96.0.7", "ports": [{"name": "pg", "port": 5432, "protocol": "TCP"}]},
}
KUBERNETES: Object = {
    "metadata": {"name": "kubernetes", "namespace": "default"},
    "spec": {"clusterIP": "10.96.0.1", "ports": [{"name": "https", "port": 443, "protocol": "TCP"}]},
}
SOURCES = EnvironmentSources(
    config_maps={"conf": CONFIG},
    secrets={"sec": SECRET},
    host_ips=("192.0.2.1",),
    pod_ips=("10.0.0.2",),
    node_allocatable={"cpu": "4", "memory": "8Gi"},
)


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("$(A)", "x"),
        ("$(A)$(B)", "xy"),
        ("$$(A)", "$(A)"),
        ("$(C)", "$(C)"),
        ("$(A", "$(A"),
        ("$A ${A} $", "$A ${A} $"),
        ("a$$b", "a$b"),
        ("$$$(A)", "$x"),
        ("$()", "$()"),
        ("", ""),
    ],
)
def test_expand(text: str, result: str) -> None:
    assert expand(text, {"A": "x", "B": "y"}) == result


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ({"fieldRef": {"fieldPath": "metadata.name"}}, "web"),
        ({"fieldRef": {"fieldPath": "metadata.labels['app']"}}, "hello"),
        ({"fieldRef": {"fieldPath": "metadata.labels['none']"}}, ""),
        ({"fieldRef": {"fieldPath": "status.podIP"}}, "10.0.0.2"),
        ({"fieldRef": {"fieldPath": "status.hostIP"}}, "192.0.2.1"),
        ({"fieldRef": {"fieldPath": "spec.nodeName"}}, "node-1"),
        ({"configMapKeyRef": {"name": "conf", "key": "colour"}}, "blue"),
        ({"secretKeyRef": {"name": "sec", "key": "password"}}, "s3cret"),
        ({"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}, "64"),
        ({"resourceFieldRef": {"resource": "limits.cpu"}}, "1"),
        ({"resourceFieldRef": {"resource": "requests.cpu", "divisor": "1m"}}, "250"),
        ({"resourceFieldRef": {"resource": "limits.ephemeral-storage"}}, "0"),
    ],
    ids=str,
)
def test_value_from(source: Object, value: str) -> None:
    container: Object = {
        "name": "app",
        "env": [{"name": "X", "valueFrom": source}],
        "resources": {"requests": {"cpu": "250m"}, "limits": {"cpu": "500m", "memory": "64Mi"}},
    }
    pod = make_pod(container, nodeName="node-1")
    pod["metadata"]["labels"] = {"app": "hello"}
    assert environment(pod, container, SOURCES)["X"] == value


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"configMapKeyRef": {"name": "gone", "key": "a"}}, 'configmap "gone" not found'),
        ({"secretKeyRef": {"name": "gone", "key": "a"}}, 'secret "gone" not found'),
        ({"configMapKeyRef": {"name": "conf", "key": "a"}}, "couldn't find key a in ConfigMap shop/conf"),
        ({"secretKeyRef": {"name": "sec", "key": "a"}}, "couldn't find key a in Secret shop/sec"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_missing_is_named_unless_it_is_optional(source: Object, message: str) -> None:
    container: Object = {"name": "app", "env": [{"name": "X", "valueFrom": source}]}
    with pytest.raises(ConfigFault) as fault:
        environment(make_pod(container), container, SOURCES)
    assert str(fault.value) == message
    ((kind, reference),) = source.items()
    container["env"] = [{"name": "X", "valueFrom": {kind: {**reference, "optional": True}}}]
    assert "X" not in environment(make_pod(container), container, SOURCES)


def test_env_wins_over_env_from_and_sees_what_stands_before_it() -> None:
    container: Object = {
        "name": "app",
        "envFrom": [{"configMapRef": {"name": "conf"}}, {"secretRef": {"name": "sec"}, "prefix": "S_"}],
        "env": [
            {"name": "LATE", "value": "$(NEXT)"},
            {"name": "NEXT", "value": "$(colour)-$(S_password)"},
            {"name": "colour", "value": "red"},
            {"name": "THEN", "value": "$(colour)"},
        ],
    }
    found = environment(make_pod(container), container, SOURCES)
    assert found == {
        "colour": "red",
        "S_password": "s3cret",
        "LATE": "$(NEXT)",
        "NEXT": "blue-s3cret",
        "THEN": "red",
    }


def test_service_variables() -> None:
    pod = make_pod({"name": "app"})
    found = service_environment(pod, [SERVICE, KUBERNETES])
    assert found["MY_DB_SERVICE_HOST"] == "10.96.0.7"
    assert found["MY_DB_SERVICE_PORT"] == "5432"
    assert found["MY_DB_SERVICE_PORT_PG"] == "5432"
    assert found["MY_DB_PORT"] == "tcp://10.96.0.7:5432"
    assert found["MY_DB_PORT_5432_TCP"] == "tcp://10.96.0.7:5432"
    assert found["MY_DB_PORT_5432_TCP_PROTO"] == "tcp"
    assert found["MY_DB_PORT_5432_TCP_ADDR"] == "10.96.0.7"
    assert found["KUBERNETES_SERVICE_HOST"] == "10.96.0.1"


def test_without_service_links_only_the_api_server_is_named() -> None:
    pod = make_pod({"name": "app"}, enableServiceLinks=False)
    headless = {**SERVICE, "spec": {**SERVICE["spec"], "clusterIP": "None"}}
    names = service_environment(pod, [SERVICE, KUBERNETES, headless])
    assert {name.partition("_")[0] for name in names} == {"KUBERNETES"}
