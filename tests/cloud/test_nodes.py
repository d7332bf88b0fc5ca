"""Nodes are initialised, kept up to date, tainted and deleted as the cloud says."""

from __future__ import annotations

from typing import Any

import pytest

from podium.cloud.initialisation import (
    PROVIDED_NODE_IP,
    UNINITIALIZED_TAINT,
    addresses,
    initialisation,
    label_repairs,
)
from podium.cloud.interface import InstanceMetadata, Instances
from podium.cloud.node import cloud_node
from podium.cloud.node_lifecycle import SHUTDOWN_TAINT, cloud_node_lifecycle
from podium.cloud.providers.fake import FakeCloud
from podium.machinery import meta
from podium.machinery.errors import Object
from podium.resources.core.nodes import NODES
from tests.cloud.builders import go, node, reasons, told, until
from tests.controllers.builders import running
from tests.runtime.fakes import FakeApi

WAITS = {"key": UNINITIALIZED_TAINT, "value": "true", "effect": "NoSchedule"}
OTHER = {"key": "mine", "effect": "NoSchedule"}
INTERNAL = {"type": "InternalIP", "address": "10.0.0.1"}
SECOND = {"type": "InternalIP", "address": "10.0.0.2"}
EXTERNAL = {"type": "ExternalIP", "address": "192.0.2.1"}
HOSTNAME = {"type": "Hostname", "address": "n1"}


def instance(provider_id: str = "fake://1", **fields: Any) -> InstanceMetadata:
    return InstanceMetadata(provider_id=provider_id, **fields)


def instances(cloud: FakeCloud) -> Instances:
    found = cloud.cloud().instances
    assert found is not None
    return found


def test_what_a_node_is_told() -> None:
    patch = initialisation(
        node(taints=[OTHER, WAITS], labels={"mine": "old"}),
        instance(
            instance_type="m1",
            zone="z1",
            region="r1",
            additional_labels={"mine": "new", "theirs": "x", "sub.kubernetes.io/no": "x", "k8s.io/no": "x"},
        ),
    )
    assert patch["spec"] == {"taints": [OTHER], "providerID": "fake://1"}
    assert patch["metadata"]["labels"] == {
        "beta.kubernetes.io/instance-type": "m1",
        "node.kubernetes.io/instance-type": "m1",
        "failure-domain.beta.kubernetes.io/zone": "z1",
        "topology.kubernetes.io/zone": "z1",
        "failure-domain.beta.kubernetes.io/region": "r1",
        "topology.kubernetes.io/region": "r1",
        "theirs": "x",
    }


def test_a_provider_id_is_never_changed() -> None:
    assert (
        "providerID" not in initialisation(node(providerID="other://1", taints=[WAITS]), instance())["spec"]
    )
    assert "providerID" not in initialisation(node(providerID="other://1"), instance(""))["spec"]
    with pytest.raises(ValueError, match="cloud provider does not set node provider ID for node n1"):
        initialisation(node(), instance(""))


@pytest.mark.parametrize(
    ("known", "told", "expected"),
    [
        ((), "", None),
        ((INTERNAL,), "", None),
        ((INTERNAL, HOSTNAME), "", None),
        ((HOSTNAME, INTERNAL), "", None),
        ((INTERNAL, EXTERNAL), "", [INTERNAL, EXTERNAL, HOSTNAME]),
        ((SECOND,), "", [SECOND, HOSTNAME]),
        ((EXTERNAL, INTERNAL, SECOND), "10.0.0.2", [SECOND, EXTERNAL, HOSTNAME]),
        ((INTERNAL,), "10.0.0.9", "failed to get node address from cloud provider that matches ip: 10.0.0.9"),
        ((INTERNAL,), "x", 'failed to parse node IP "x"'),
    ],
    ids=str,
)
def test_addresses(known: Any, told: str, expected: Any) -> None:
    asked = node()
    asked["metadata"]["annotations"] = {PROVIDED_NODE_IP: told} if told else {}
    if isinstance(expected, str):
        with pytest.raises(ValueError, match=expected):
            addresses(asked, instance(addresses=known))
    else:
        assert addresses(asked, instance(addresses=known)) == expected


@pytest.mark.parametrize(
    ("labels", "repairs"),
    [
        ({}, {}),
        ({"topology.kubernetes.io/zone": "z"}, {}),
        ({"failure-domain.beta.kubernetes.io/zone": "z"}, {"topology.kubernetes.io/zone": "z"}),
        (
            {"beta.kubernetes.io/instance-type": "a", "node.kubernetes.io/instance-type": "b"},
            {"node.kubernetes.io/instance-type": "a"},
        ),
        (
            {"failure-domain.beta.kubernetes.io/region": "r", "topology.kubernetes.io/region": "r"},
            {},
        ),
    ],
    ids=str,
)
def test_beta_labels_lead(labels: dict[str, str], repairs: dict[str, str]) -> None:
    assert label_repairs(labels) == repairs


def stored(api: FakeApi, name: str = "n1") -> Object:
    found = api.get(NODES, name)
    assert found is not None
    return found


def test_a_new_node_is_initialised_once_the_cloud_knows_it() -> None:
    async def test() -> None:
        api, cloud = FakeApi(), FakeCloud()
        cloud.faults["metadata"] = [RuntimeError("throttled")]
        cloud.known["n1"] = instance(zone="z1", addresses=(SECOND,))
        api.put(NODES, node(taints=[WAITS, OTHER]))
        async with running(api, [cloud_node(instances(cloud))]):
            await until(lambda: ("metadata", "n1") in cloud.calls)
            await api.clock.advance(1)
            await until(lambda: "Synced" in reasons(api))
            assert stored(api)["spec"] == {"taints": [OTHER], "providerID": "fake://1"}
            assert meta.labels(stored(api))["topology.kubernetes.io/zone"] == "z1"
            assert stored(api)["status"]["addresses"] == [SECOND, HOSTNAME]
            assert told(api) == [("Synced", "Node synced successfully")]
            # Later the cloud moves it.
            cloud.known["n1"] = instance(addresses=(EXTERNAL,))
            await api.clock.advance(300)
            await until(lambda: stored(api)["status"]["addresses"] == [EXTERNAL, HOSTNAME])

    go(test)


def test_a_node_the_cloud_says_nothing_of_keeps_its_taint() -> None:
    async def test() -> None:
        api, cloud = FakeApi(), FakeCloud()
        api.put(NODES, node(taints=[WAITS]))
        async with running(api, [cloud_node(instances(cloud))]):
            await until(lambda: ("metadata", "n1") in cloud.calls)
            await api.clock.advance(1)
        assert stored(api)["spec"]["taints"] == [WAITS]

    go(test)


def test_nodes_without_an_instance_are_deleted() -> None:
    async def test() -> None:
        api, cloud = FakeApi(), FakeCloud()
        cloud.known["there"] = instance()
        for name, ready in (("there", "False"), ("gone", "Unknown"), ("ready", "True")):
            api.put(NODES, node(name, ready=ready))
        cloud.faults["exists"] = [RuntimeError("throttled"), RuntimeError("throttled")]
        async with running(api, [cloud_node_lifecycle(instances(cloud))]):
            await until(lambda: ("exists", "gone") in cloud.calls)
            assert set(api.table(NODES)) == {"there", "gone", "ready"}
            await api.clock.advance(5.5)
            await until(lambda: set(api.table(NODES)) == {"there", "ready"})
            await until(lambda: told(api))
        assert told(api) == [
            ("DeletingNode", "Deleting node gone because it does not exist in the cloud provider")
        ]

    go(test)


def test_a_node_that_is_shut_down_is_tainted_until_it_is_ready() -> None:
    async def test() -> None:
        api, cloud = FakeApi(), FakeCloud(shut_down={"n1"})
        cloud.known["n1"] = instance()
        api.put(NODES, node(ready="False", taints=[OTHER]))

        def taints() -> list[str]:
            return [taint["key"] for taint in stored(api)["spec"].get("taints") or ()]

        async with running(api, [cloud_node_lifecycle(instances(cloud))]):
            await until(lambda: taints() == ["mine", SHUTDOWN_TAINT])
            await api.clock.advance(20)
            assert taints() == ["mine", SHUTDOWN_TAINT]
            api.put(NODES, node(ready="True", taints=stored(api)["spec"]["taints"]))
            await api.clock.advance(6)
            await until(lambda: taints() == ["mine"])

    go(test)
