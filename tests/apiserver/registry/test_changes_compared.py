"""Changes of existing objects of which upstream's own server, sent the same, once said something else."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from podium.machinery.meta import deep_copy
from podium.machinery.patch import merge
from tests.apiserver.harness import Api, api

PODS = "/api/v1/namespaces/default/pods"
TEMPLATES = "/api/v1/namespaces/default/podtemplates"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
NODES = "/api/v1/nodes"
SERVICES = "/api/v1/namespaces/default/services"
CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
IN_POD = {"containers": [{"name": "c", "image": "i"}]}
POD = {"metadata": {"name": "a"}, "spec": IN_POD}
ENDPOINT = {"addresses": ["10.0.0.1"]}
SLICE = {"metadata": {"name": "a"}, "addressType": "IPv4", "endpoints": [ENDPOINT], "ports": []}
SERVICE = {"metadata": {"name": "a"}, "spec": {"ports": [{"port": 80}]}}


async def put(server: Api, place: str, obj: Any, patch: Any, subresource: str = "") -> tuple[int, Any]:
    """Create an object, then replace it by itself with a merge patch applied; the answer to that."""
    created = await server.ok("POST", place, obj)
    changed = merge.apply(deep_copy(created), patch)
    return await server.call("PUT", f"{place}/{created['metadata']['name']}{subresource}", changed)


@pytest.mark.parametrize(
    ("place", "obj", "patch", "generation"),
    [
        pytest.param(
            TEMPLATES,
            {"metadata": {"name": "a"}, "template": {"spec": IN_POD}},
            {"template": {"metadata": {"labels": {"a": "b"}}}},
            2,
            id="the template of a PodTemplate",
        ),
        pytest.param(
            TEMPLATES,
            {"metadata": {"name": "a"}, "template": {"spec": IN_POD}},
            {"metadata": {"labels": {"a": "b"}}},
            1,
            id="the labels of a PodTemplate",
        ),
        pytest.param(
            SLICES,
            SLICE,
            {"endpoints": [{**ENDPOINT, "deprecatedTopology": {"a": "b"}}]},
            2,
            id="a topology, which is dropped",
        ),
        pytest.param(SLICES, SLICE, {"metadata": {"annotations": {"a": "b"}}}, 1, id="an annotation"),
    ],
)
def test_generations(tmp_path: Path, place: str, obj: Any, patch: Any, generation: int) -> None:
    async def main() -> None:
        async with api(tmp_path) as server:
            code, answer = await put(server, place, obj, patch)
            assert (code, answer["metadata"]["generation"]) == (200, generation)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("place", "obj", "patch", "fields"),
    [
        pytest.param(
            PODS, POD, {"spec": {"securityContext": {"runAsUser": 0}}}, ["spec"], id="zero, but written"
        ),
        pytest.param(
            PODS, POD, {"spec": {"securityContext": {"windowsOptions": {}}}}, ["spec"], id="an empty part"
        ),
        pytest.param(PODS, POD, {"spec": {"volumes": []}}, [], id="an empty list"),
        pytest.param(PODS, POD, {"spec": {"schedulingGroup": {}}}, [], id="behind a gate, and empty"),
        pytest.param(
            PODS,
            POD,
            {"spec": {"runtimeClassName": ""}},
            ["spec.runtimeClassName", "spec"],
            id="a class without a name",
        ),
        pytest.param(
            CONFIGMAPS,
            {"metadata": {"name": "a"}},
            {"metadata": {"generateName": "A"}},
            ["metadata.generateName"],
            id="what names were made from",
        ),
        pytest.param(
            SERVICES, SERVICE, {"metadata": {"generateName": "A"}}, [], id="the same of kinds checked less"
        ),
        pytest.param(
            SERVICES,
            SERVICE,
            {"metadata": {"generateName": "a/b"}},
            ["metadata.generateName"],
            id="what no path can have",
        ),
        pytest.param(
            CONFIGMAPS,
            {"metadata": {"name": "a"}},
            {"metadata": {"finalizers": ["%/a"]}},
            ["metadata.finalizers"],
            id="a finalizer that is no name",
        ),
    ],
)
def test_refusals(tmp_path: Path, place: str, obj: Any, patch: Any, fields: list[str]) -> None:
    async def main() -> None:
        async with api(tmp_path) as server:
            code, answer = await put(server, place, obj, patch)
            causes = answer["details"]["causes"] if code == 422 else []
            assert list(dict.fromkeys(cause["field"] for cause in causes)) == fields
            assert code == (422 if fields else 200)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("status", "told"),
    [
        ({"podIP": "10.0.0.1"}, ("10.0.0.1", ["10.0.0.1"])),
        ({"podIPs": [{"ip": "10.0.0.1"}, {"ip": "::1"}]}, ("10.0.0.1", ["10.0.0.1", "::1"])),
        ({"podIP": "10.0.0.2", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "::1"}]}, ("10.0.0.2", ["10.0.0.2"])),
    ],
)
def test_the_first_address_of_a_pod(tmp_path: Path, status: Any, told: tuple[str, list[str]]) -> None:
    async def main() -> None:
        async with api(tmp_path) as server:
            code, answer = await put(server, PODS, POD, {"status": status}, "/status")
            ips = [ip["ip"] for ip in answer["status"]["podIPs"]]
            assert (code, answer["status"]["podIP"], ips) == (200, *told)

    asyncio.run(main())


def test_a_pod_is_given_a_second_at_least(tmp_path: Path) -> None:
    async def main() -> None:
        async with api(tmp_path) as server:
            spec = {**IN_POD, "terminationGracePeriodSeconds": -5}
            pod = await server.ok("POST", PODS, {"metadata": {"name": "a"}, "spec": spec})
            assert pod["spec"]["terminationGracePeriodSeconds"] == 1
            template = {"metadata": {"name": "a"}, "template": {"spec": spec}}
            made = await server.ok("POST", TEMPLATES, template)
            assert made["template"]["spec"]["terminationGracePeriodSeconds"] == -5

    asyncio.run(main())


def test_nodes_are_not_configured_by_their_status(tmp_path: Path) -> None:
    async def main() -> None:
        async with api(tmp_path) as server:
            node = {"metadata": {"name": "a"}}
            code, answer = await put(server, NODES, node, {"status": {"config": {"error": "x"}}}, "/status")
            assert code == 200
            assert "config" not in answer["status"]

    asyncio.run(main())


def test_a_gated_pod_without_affinity_may_get_one(tmp_path: Path) -> None:
    terms = [{"matchExpressions": [{"key": "a", "operator": "Exists"}]}]
    affinity = {
        "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    }

    async def main() -> None:
        async with api(tmp_path) as server:
            gated = {"metadata": {"name": "a"}, "spec": {**IN_POD, "schedulingGates": [{"name": "a"}]}}
            code, answer = await put(
                server, PODS, gated, {"spec": {"affinity": affinity, "nodeSelector": {"a": "b"}}}
            )
            assert (code, answer.get("message")) == (200, None)

    asyncio.run(main())


BALANCED = {"metadata": {"name": "a"}, "spec": {"type": "NodePort", "ports": [{"port": 80, "name": "x"}]}}


@pytest.mark.parametrize("spec", [{"clusterIP": None}, {"clusterIPs": []}, {"clusterIPs": None}])
def test_a_service_keeps_its_address(tmp_path: Path, spec: Any) -> None:
    async def main() -> None:
        async with api(tmp_path) as server:
            code, answer = await put(server, SERVICES, BALANCED, {"spec": spec})
            assert code == 200, answer["message"]
            assert answer["spec"]["clusterIPs"] == [answer["spec"]["clusterIP"]] != [None]

    asyncio.run(main())


def test_a_service_that_becomes_a_name_lets_go(tmp_path: Path) -> None:
    async def main() -> None:
        async with api(tmp_path) as server:
            patch = {"spec": {"type": "ExternalName", "externalName": "a.b", "clusterIPs": None}}
            code, answer = await put(server, SERVICES, BALANCED, patch)
            assert code == 200, answer["message"]
            assert not answer["spec"].keys() & {"clusterIP", "clusterIPs", "internalTrafficPolicy"}
            assert "nodePort" not in answer["spec"]["ports"][0]

    asyncio.run(main())


def test_the_node_port_of_a_port_goes_with_its_name(tmp_path: Path) -> None:
    async def main() -> None:
        async with api(tmp_path) as server:
            before = await server.ok("POST", SERVICES, BALANCED)
            changed = deep_copy(before)
            changed["spec"]["ports"] = [{"port": 81, "name": "x"}, {"port": 80, "name": "y"}]
            after = await server.ok("PUT", f"{SERVICES}/a", changed)
            numbers = [port["nodePort"] for port in after["spec"]["ports"]]
            assert numbers[0] == before["spec"]["ports"][0]["nodePort"] != numbers[1]

    asyncio.run(main())
