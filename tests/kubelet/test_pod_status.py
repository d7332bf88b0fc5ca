"""How pods look in the API: phases, conditions and container states in upstream's words."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from podium.kubelet.cri.runtime import ContainerStatus
from podium.kubelet.pod_machine import Memory, Observed, Waiting
from podium.kubelet.pod_status import Failure, StatusContext, pod_status
from podium.kubelet.status_manager import says, status_patch
from podium.machinery.errors import Object
from tests.kubelet.node import make_pod
from tests.kubelet.test_pod_machine import APP, INIT, SIDE, sandbox, status

NOW = datetime(2026, 11, 23, 8, 30, tzinfo=UTC)


def status_of(
    pod: Object, *statuses: ContainerStatus, memory: Memory | None = None, **context: Any
) -> Object:
    observed = Observed(sandboxes=(sandbox(),), containers=statuses)
    full = StatusContext(now=NOW, host_ips=("192.0.2.1",), **context)
    return pod_status(pod, observed, memory or Memory(), full)


def conditions(found: Object) -> dict[str, str]:
    """Return `True`, or `False Reason`, by type."""
    return {c["type"]: f"{c['status']} {c.get('reason', '')}".strip() for c in found["conditions"]}


B: Object = {"name": "b", "image": "b:1"}
PHASES: tuple[tuple[str, dict[str, Any], tuple[ContainerStatus, ...], dict[str, Any], str], ...] = (
    ("nothing yet", {}, (), {}, "Pending"),
    ("all run", {}, (status("app"),), {}, "Running"),
    ("exited under Always", {}, (status("app", "exited", code=1),), {}, "Running"),
    ("failed under OnFailure", {"restartPolicy": "OnFailure"},
     (status("app", "exited", code=1),), {}, "Running"),
    ("succeeded under OnFailure", {"restartPolicy": "OnFailure"},
     (status("app", "exited"),), {}, "Succeeded"),
    ("succeeded", {"restartPolicy": "Never"}, (status("app", "exited"),), {}, "Succeeded"),
    ("failed", {"restartPolicy": "Never"}, (status("app", "exited", code=1),), {}, "Failed"),
    ("init runs", {"initContainers": [INIT]}, (status("init"),), {}, "Pending"),
    ("init failed for good", {"initContainers": [INIT], "restartPolicy": "Never"},
     (status("init", "exited", code=1),), {}, "Failed"),
    ("init failed and comes again", {"initContainers": [INIT]},
     (status("init", "exited", code=1),), {}, "Pending"),
    ("only the sidecar runs yet", {"initContainers": [SIDE]}, (status("side"),), {}, "Pending"),
    ("sidecar and container run", {"initContainers": [SIDE]}, (status("side"), status("app")), {}, "Running"),
    ("over, killed by deletion", {}, (status("app", "exited", code=137),), {"stopped": True}, "Failed"),
    ("over, ended well by deletion", {}, (status("app", "exited"),), {"stopped": True}, "Succeeded"),
    ("over before it began", {}, (), {"stopped": True}, "Failed"),
    ("deadline exceeded, still running", {}, (status("app"),),
     {"failure": Failure(reason="DeadlineExceeded", message="late")}, "Running"),
    ("deadline exceeded, stopped", {}, (status("app", "exited", code=137),),
     {"failure": Failure(reason="DeadlineExceeded", message="late"), "stopped": True}, "Failed"),
)  # fmt: skip


@pytest.mark.parametrize(("_id", "spec", "statuses", "context", "phase"), PHASES, ids=[p[0] for p in PHASES])
def test_phase(
    _id: str,
    spec: dict[str, Any],
    statuses: tuple[ContainerStatus, ...],
    context: dict[str, Any],
    phase: str,
) -> None:
    assert status_of(make_pod(APP, **spec), *statuses, **context)["phase"] == phase


def test_a_ready_pod_in_full() -> None:
    pod = make_pod(
        {
            **APP,
            "resources": {"requests": {"cpu": "1"}},
            "volumeMounts": [{"name": "v", "mountPath": "/v", "readOnly": True}],
        }
    )
    found = status_of(pod, status("app"))
    when = "2026-11-23T08:30:00Z"

    def true(type: str) -> Object:
        common = {"lastProbeTime": None, "lastTransitionTime": when, "observedGeneration": 1}
        return {"type": type, "status": "True", **common}

    assert found == {
        "phase": "Running",
        "observedGeneration": 1,
        "conditions": [
            true("PodReadyToStartContainers"),
            true("Initialized"),
            true("Ready"),
            true("ContainersReady"),
            true("PodScheduled"),
        ],
        "hostIP": "192.0.2.1",
        "hostIPs": [{"ip": "192.0.2.1"}],
        "podIP": "10.0.0.2",
        "podIPs": [{"ip": "10.0.0.2"}],
        "startTime": when,
        "qosClass": "Burstable",
        "containerStatuses": [
            {
                "name": "app",
                "state": {"running": {"startedAt": "1970-01-01T00:00:00Z"}},
                "lastState": {},
                "ready": True,
                "restartCount": 0,
                "image": "app:1",
                "imageID": "",
                "containerID": "containerd://app-0",
                "started": True,
                "allocatedResources": {"cpu": "1"},
                "resources": {"requests": {"cpu": "1"}},
                "volumeMounts": [
                    {"name": "v", "mountPath": "/v", "readOnly": True, "recursiveReadOnly": "Disabled"}
                ],
            }
        ],
    }


def test_a_pod_that_is_being_created() -> None:
    pod = make_pod(APP, B, initContainers=[INIT])
    found = status_of(pod, status("init"))
    assert conditions(found) == {
        "PodReadyToStartContainers": "True",
        "Initialized": "False ContainersNotInitialized",
        "Ready": "False ContainersNotReady",
        "ContainersReady": "False ContainersNotReady",
        "PodScheduled": "True",
    }
    messages = {c["type"]: c.get("message") for c in found["conditions"]}
    assert messages["Initialized"] == "containers with incomplete status: [init]"
    assert messages["Ready"] == "containers with unready status: [app b]"
    assert found["containerStatuses"][0]["state"] == {"waiting": {"reason": "PodInitializing"}}


def test_statuses_are_sorted_by_name_and_those_of_inits_as_declared() -> None:
    inits = [{**INIT, "name": "z"}, {**INIT, "name": "a"}]
    found = status_of(make_pod(B, APP, initContainers=inits))
    assert [entry["name"] for entry in found["containerStatuses"]] == ["app", "b"]
    assert [entry["name"] for entry in found["initContainerStatuses"]] == ["z", "a"]


def test_a_completed_pod() -> None:
    found = status_of(make_pod(APP, restartPolicy="Never"), status("app", "exited"))
    assert conditions(found)["Ready"] == "False PodCompleted"
    assert conditions(found)["ContainersReady"] == "False PodCompleted"
    assert conditions(found)["Initialized"] == "True PodCompleted"
    terminated = found["containerStatuses"][0]["state"]["terminated"]
    assert (terminated["exitCode"], terminated["reason"]) == (0, "Completed")
    assert terminated["containerID"] == "containerd://app-0"


def test_a_crash_loop_shows_the_back_off_and_the_last_end() -> None:
    memory = Memory(waiting={"app": Waiting(reason="CrashLoopBackOff", message="back-off 10s")})
    found = status_of(make_pod(APP), status("app", "exited", code=3, attempt=2), memory=memory)
    container = found["containerStatuses"][0]
    assert container["state"] == {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}}
    assert container["lastState"]["terminated"]["exitCode"] == 3
    assert container["lastState"]["terminated"]["reason"] == "Error"
    assert container["restartCount"] == 2
    assert found["phase"] == "Running"


def test_a_restarted_container_shows_how_the_last_one_ended() -> None:
    found = status_of(make_pod(APP), status("app", attempt=1), status("app", "exited", code=9))
    container = found["containerStatuses"][0]
    assert "running" in container["state"]
    assert container["lastState"]["terminated"]["exitCode"] == 9


def test_a_readiness_probe_decides_ready_and_a_startup_probe_started() -> None:
    pod = make_pod({**APP, "readinessProbe": {"exec": {}}, "startupProbe": {"exec": {}}})
    verdicts = [
        (Memory(), (False, False)),
        (Memory(ready={"app-0": True}), (False, False)),
        (Memory(started={"app-0": True}), (True, False)),
        (Memory(started={"app-0": True}, ready={"app-0": True}), (True, True)),
    ]
    for memory, expected in verdicts:
        container = status_of(pod, status("app"), memory=memory)["containerStatuses"][0]
        assert (container["started"], container["ready"]) == expected


def test_readiness_gates_hold_the_pod_back() -> None:
    pod = make_pod(APP, readinessGates=[{"conditionType": "example.com/gate"}])
    found = status_of(pod, status("app"))
    assert conditions(found)["Ready"] == "False ReadinessGatesNotReady"
    assert conditions(found)["ContainersReady"] == "True"
    pod["status"] = {"conditions": [{"type": "example.com/gate", "status": "True"}]}
    assert conditions(status_of(pod, status("app")))["Ready"] == "True"


def test_transition_times_are_carried_over() -> None:
    pod = make_pod(APP)
    old = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    pod["status"] = {"conditions": [old], "startTime": "2026-01-01T00:00:00Z"}
    found = status_of(pod, status("app"))
    times = {c["type"]: c["lastTransitionTime"] for c in found["conditions"]}
    assert times["Ready"] == "2026-01-01T00:00:00Z"
    assert times["Initialized"] == "2026-11-23T08:30:00Z"
    assert found["startTime"] == "2026-01-01T00:00:00Z"


def test_an_oom_kill_is_named() -> None:
    killed = replace(status("app", "exited", code=137), reason="OOMKilled")
    state = status_of(make_pod(APP), killed)["containerStatuses"][0]["state"]
    assert state["terminated"]["reason"] == "OOMKilled"


def test_a_patch_replaces_own_fields_and_merges_conditions() -> None:
    old = {"phase": "Pending", "reason": "x", "conditions": [{"type": "Ready", "status": "False"}]}
    new = {
        "phase": "Running",
        "podIPs": [{"ip": "10.0.0.2"}],
        "conditions": [{"type": "Ready", "status": "True"}],
    }
    assert status_patch(old, new) == {
        "phase": "Running",
        "reason": None,
        "podIPs": [{"ip": "10.0.0.2"}, {"$patch": "replace"}],
        "conditions": [{"reason": None, "message": None, "type": "Ready", "status": "True"}],
    }


def test_what_the_api_says_already_is_recognised() -> None:
    pod = make_pod(APP)
    found = status_of(pod, status("app"))
    others = {"type": "example.com/gate", "status": "True"}
    held = {**found, "conditions": [*found["conditions"], others]}
    assert says(held, found)
    assert not says({**held, "phase": "Pending"}, found)
    assert not says({**held, "conditions": [others]}, found)
