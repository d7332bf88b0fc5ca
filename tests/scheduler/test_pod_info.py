from __future__ import annotations

from typing import Any

import pytest

from podium.machinery.errors import Object
from podium.scheduler.pod_info import HostPort, host_ports, is_terminal, pod_info, pod_requests
from tests.scheduler.builders import container, info, pod

MIB = 1024 * 1024


def sidecar(name: str, **requests: str) -> Object:
    return {**container(name, **requests), "restartPolicy": "Always"}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        pytest.param({"containers": [container()]}, {}, id="nothing asked for"),
        pytest.param(
            {"containers": [container("a", cpu="250m", memory="1Mi"), container("b", cpu="1")]},
            {"cpu": 1250, "memory": MIB},
            id="containers add up",
        ),
        pytest.param(
            {
                "containers": [container("a", cpu="2", memory="1G"), container("b", cpu="1", memory="1G")],
                "initContainers": [
                    container("i", cpu="2", memory="1G"),
                    container("j", cpu="2", memory="3G"),
                ],
            },
            {"cpu": 3000, "memory": 3_000_000_000},
            id="the hungriest init container",
        ),
        pytest.param(
            {
                "containers": [container("a", cpu="2")],
                "initContainers": [sidecar("s", cpu="1"), container("i", cpu="5"), sidecar("t", cpu="1")],
            },
            {"cpu": 6000},
            id="an init container runs beside the sidecars before it",
        ),
        pytest.param(
            {
                "containers": [container("a", cpu="5")],
                "initContainers": [sidecar("s", cpu="1"), container("i", cpu="5"), sidecar("t", cpu="1")],
            },
            {"cpu": 7000},
            id="containers run beside all sidecars",
        ),
        pytest.param(
            {
                "containers": [container("a", cpu="1")],
                "initContainers": [container("i", cpu="3")],
                "overhead": {"cpu": "250m", "memory": "1Mi"},
            },
            {"cpu": 3250, "memory": MIB},
            id="overhead comes on top",
        ),
        pytest.param(
            {
                "containers": [container("a", cpu="1", **{"example.com/gpu": "2"})],
                "resources": {"requests": {"cpu": "3"}},
            },
            {"cpu": 3000, "example.com/gpu": 2},
            id="the pod's own requests win",
        ),
        pytest.param(
            {"containers": [container("a", cpu="9E", memory="16Ei"), container("b", memory="16Ei")]},
            {"cpu": 2**56, "memory": 2**56},
            id="absurd amounts stay countable",
        ),
        pytest.param(
            {"containers": [container(cpu="a lot", memory="1")]},
            {"memory": 1},
            id="odd amounts count as none",
        ),
    ],
)
def test_pod_requests(spec: Object, expected: dict[str, int]) -> None:
    assert pod_requests(spec, {}) == expected


@pytest.mark.parametrize(
    ("containers", "cpu_milli", "memory_mib"),
    [
        pytest.param([container()], 100, 200, id="none"),
        pytest.param([container("a"), container("b", cpu="1")], 1100, 400, id="per container"),
        pytest.param([container(cpu="0", memory="0")], 0, 0, id="zero on purpose"),
    ],
)
def test_what_asks_for_nothing_still_counts_in_scores(
    containers: list[Object], cpu_milli: int, memory_mib: int
) -> None:
    read = info(containers=containers)
    assert (read.scoring_cpu_milli, read.scoring_memory_bytes) == (cpu_milli, memory_mib * MIB)
    assert read.requests.get("memory") is None


def port(**fields: Any) -> Object:
    return {**container(), "ports": [fields]}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        pytest.param({"containers": [port(containerPort=80)]}, (), id="no host port"),
        pytest.param(
            {"containers": [port(containerPort=80, hostPort=80)]},
            (HostPort("TCP", 80, "0.0.0.0"),),
            id="defaults",
        ),
        pytest.param(
            {
                "containers": [port(hostPort=53, protocol="UDP", hostIP="10.0.0.1")],
                "initContainers": [{**port(hostPort=1), "restartPolicy": "Always"}, port(hostPort=2)],
            },
            (HostPort("TCP", 1, "0.0.0.0"), HostPort("UDP", 53, "10.0.0.1")),
            id="sidecars count, init containers do not",
        ),
    ],
)
def test_host_ports(spec: Object, expected: tuple[HostPort, ...]) -> None:
    assert host_ports(spec) == expected


def test_what_is_read_from_a_pod() -> None:
    read = pod_info(
        pod(
            "a",
            owner="rs",
            labels={"app": "a"},
            priority=7,
            schedulingGates=[{"name": "wait"}],
            deleting=True,
        )
    )
    assert (read.key, read.owner_uid, read.labels, read.priority) == ("default/a", "rs", {"app": "a"}, 7)
    assert read.gated
    assert read.terminating


@pytest.mark.parametrize(("phase", "terminal"), [("Running", False), ("Failed", True), ("Succeeded", True)])
def test_is_terminal(phase: str, terminal: bool) -> None:
    assert is_terminal(pod(phase=phase)) is terminal
