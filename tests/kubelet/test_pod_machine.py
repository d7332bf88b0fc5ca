"""The pod machine's decisions: each case is a pod, what the runtime holds, and what should be done."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from podium.kubelet.cri.runtime import ContainerState, ContainerStatus, Sandbox
from podium.kubelet.pod_machine import (
    Action,
    CreateSandbox,
    Memory,
    Observed,
    Plan,
    RemoveContainer,
    RemoveSandbox,
    Restarts,
    StartContainer,
    StopContainer,
    StopPod,
    back_off,
    duration,
    plan_stop,
    plan_sync,
    prune,
)
from podium.machinery.errors import Object
from tests.kubelet.node import make_pod

NOW_S = 1_800_000_000.0
APP: Object = {"name": "app", "image": "app:1"}
SIDE: Object = {"name": "side", "image": "side:1", "restartPolicy": "Always"}
INIT: Object = {"name": "init", "image": "init:1"}
INIT2: Object = {"name": "init2", "image": "init:1"}


def sandbox(attempt: int = 0, *, ready: bool = True, ips: tuple[str, ...] = ("10.0.0.2",)) -> Sandbox:
    return Sandbox(
        id=f"sandbox-{attempt}",
        name="web",
        namespace="shop",
        uid="u",
        attempt=attempt,
        ready=ready,
        created_at_ns=attempt,
        ips=ips,
    )


def status(
    name: str,
    state: ContainerState = "running",
    *,
    code: int = 0,
    attempt: int = 0,
    ended_s_ago: float = 0,
    sandbox: int = 0,
    image: str | None = None,
) -> ContainerStatus:
    finished = int((NOW_S - ended_s_ago) * 1e9) if state == "exited" else 0
    return ContainerStatus(
        id=f"{name}-{attempt}",
        sandbox_id=f"sandbox-{sandbox}",
        name=name,
        attempt=attempt,
        state=state,
        created_at_ns=1,
        started_at_ns=2,
        finished_at_ns=finished,
        exit_code=code,
        annotations={} if image is None else {"podium.dev/container-image": image},
    )


def start(name: str, attempt: int = 0, restarts: int | None = None) -> StartContainer:
    remembered = None if restarts is None else Restarts(count=restarts, last_s=NOW_S)
    return StartContainer(name=name, attempt=attempt, restarts=remembered)


@dataclass(frozen=True, kw_only=True)
class Case:
    id: str
    spec: dict[str, Any] = field(default_factory=dict)
    containers: tuple[Object, ...] = (APP,)
    sandboxes: tuple[Sandbox, ...] = (sandbox(),)
    statuses: tuple[ContainerStatus, ...] = ()
    memory: Memory = Memory()  # noqa: RUF009 - frozen
    actions: tuple[Action, ...] = ()
    wake_after_s: float | None = None
    waiting: dict[str, str] = field(default_factory=dict)


CASES = (
    Case(id="nothing there: a sandbox first", sandboxes=(), actions=(CreateSandbox(attempt=0),)),
    Case(id="sandbox ready: start the container", actions=(start("app"),)),
    Case(id="all runs: nothing to do", statuses=(status("app"),)),
    Case(
        id="sandbox died: a new one, after stopping what is left",
        sandboxes=(sandbox(ready=False),),
        statuses=(status("app", "exited", code=137),),
        actions=(StopPod(), CreateSandbox(attempt=1)),
    ),
    Case(
        id="sandbox without an address is replaced",
        sandboxes=(sandbox(ips=()),),
        actions=(StopPod(), CreateSandbox(attempt=1)),
    ),
    Case(
        id="on the host's network it needs none",
        spec={"hostNetwork": True},
        sandboxes=(
            Sandbox(
                id="s",
                name="web",
                namespace="shop",
                uid="u",
                attempt=0,
                ready=True,
                created_at_ns=0,
                host_network=True,
            ),
        ),
        actions=(start("app"),),
    ),
    Case(
        id="sandbox died, policy Never: no new one",
        spec={"restartPolicy": "Never"},
        sandboxes=(sandbox(ready=False),),
        statuses=(status("app", "exited", code=1),),
    ),
    Case(
        id="sandbox died after success, policy OnFailure: no new one",
        spec={"restartPolicy": "OnFailure"},
        sandboxes=(sandbox(ready=False),),
        statuses=(status("app", "exited"),),
    ),
    Case(
        id="first exit: restarted at once",
        statuses=(status("app", "exited", code=1),),
        actions=(start("app", 1, 1),),
    ),
    Case(
        id="exit 0 is restarted too under Always",
        statuses=(status("app", "exited"),),
        actions=(start("app", 1, 1),),
    ),
    Case(
        id="second exit: held for 10 s",
        statuses=(status("app", "exited", code=1, attempt=1, ended_s_ago=4),),
        memory=Memory(restarts={"app": Restarts(count=1, last_s=NOW_S - 5)}),
        wake_after_s=6,
        waiting={"app": "back-off 10s restarting failed container=app pod=web_shop(u)"},
    ),
    Case(
        id="back-off over: restarted, and the next is longer",
        statuses=(status("app", "exited", code=1, attempt=1, ended_s_ago=10),),
        memory=Memory(restarts={"app": Restarts(count=1, last_s=NOW_S - 11)}),
        actions=(start("app", 2, 2),),
    ),
    Case(
        id="ran for long: back-off starts over",
        statuses=(status("app", "exited", code=1, attempt=9),),
        memory=Memory(restarts={"app": Restarts(count=9, last_s=NOW_S - 601)}),
        actions=(start("app", 10, 1),),
    ),
    Case(
        id="policy Never: everything over, the sandbox goes",
        spec={"restartPolicy": "Never"},
        statuses=(status("app", "exited", code=1),),
        actions=(StopPod(),),
    ),
    Case(
        id="policy OnFailure: success is not restarted",
        spec={"restartPolicy": "OnFailure"},
        containers=(APP, {"name": "b", "image": "b"}),
        statuses=(status("app", "exited"), status("b")),
    ),
    Case(
        id="policy OnFailure: failure is",
        spec={"restartPolicy": "OnFailure"},
        statuses=(status("app", "exited", code=2),),
        actions=(start("app", 1, 1),),
    ),
    Case(
        id="a container created and never started is made again",
        statuses=(status("app", "created"),),
        actions=(start("app", 1, 1),),
    ),
    Case(
        id="init containers: one after the other, the first first",
        spec={"initContainers": [INIT, INIT2]},
        actions=(start("init"),),
    ),
    Case(
        id="init runs: wait",
        spec={"initContainers": [INIT, INIT2]},
        statuses=(status("init"),),
    ),
    Case(
        id="init done: the next",
        spec={"initContainers": [INIT, INIT2]},
        statuses=(status("init", "exited"),),
        actions=(start("init2"),),
    ),
    Case(
        id="all inits done: the containers",
        spec={"initContainers": [INIT, INIT2]},
        statuses=(status("init2", "exited"), status("init", "exited")),
        actions=(start("app"),),
    ),
    Case(
        id="init failed: again",
        spec={"initContainers": [INIT]},
        statuses=(status("init", "exited", code=1),),
        actions=(start("init", 1, 1),),
    ),
    Case(
        id="init failed, policy Never: the pod is lost",
        spec={"initContainers": [INIT], "restartPolicy": "Never"},
        statuses=(status("init", "exited", code=1),),
        actions=(StopPod(),),
    ),
    Case(
        id="inits are not run again while the pod runs",
        spec={"initContainers": [INIT]},
        statuses=(status("app"),),
    ),
    Case(
        id="in a new sandbox inits run again",
        spec={"initContainers": [INIT]},
        sandboxes=(sandbox(1), sandbox(0, ready=False)),
        statuses=(status("app", "exited", code=137), status("init", "exited")),
        actions=(start("init", 1, 1),),
    ),
    Case(
        id="sidecar first",
        spec={"initContainers": [SIDE, INIT]},
        actions=(start("side"),),
    ),
    Case(
        id="sidecar up: the init after it",
        spec={"initContainers": [SIDE, INIT]},
        statuses=(status("side"),),
        actions=(start("init"),),
    ),
    Case(
        id="sidecar with a startup probe holds the rest until it is started",
        spec={"initContainers": [{**SIDE, "startupProbe": {"exec": {}}}]},
        statuses=(status("side"),),
    ),
    Case(
        id="sidecar's startup probe succeeded",
        spec={"initContainers": [{**SIDE, "startupProbe": {"exec": {}}}]},
        statuses=(status("side"),),
        memory=Memory(started={"side-0": True}),
        actions=(start("app"),),
    ),
    Case(
        id="a sidecar that died beside the containers is restarted, they are left alone",
        spec={"initContainers": [SIDE]},
        statuses=(status("side", "exited", code=1), status("app")),
        actions=(start("side", 1, 1),),
    ),
    Case(
        id="containers over, only the sidecar runs: everything stops",
        spec={"initContainers": [SIDE], "restartPolicy": "Never"},
        statuses=(status("side"), status("app", "exited")),
        actions=(StopPod(),),
    ),
    Case(
        id="liveness failed: stopped, to be restarted",
        statuses=(status("app"),),
        memory=Memory(failing={"app-0": "liveness"}),
        actions=(
            StopContainer(
                id="app-0", name="app", message="Container app failed liveness probe, will be restarted"
            ),
        ),
    ),
    Case(
        id="startup failed, with the probe's own grace period",
        containers=({**APP, "startupProbe": {"exec": {}, "terminationGracePeriodSeconds": 5}},),
        statuses=(status("app"),),
        memory=Memory(failing={"app-0": "startup"}),
        actions=(
            StopContainer(
                id="app-0",
                name="app",
                message="Container app failed startup probe, will be restarted",
                grace_s=5,
            ),
        ),
    ),
    Case(
        id="the image changed: stopped, to be restarted",
        statuses=(status("app", image="app:0"),),
        actions=(
            StopContainer(
                id="app-0", name="app", message="Container app definition changed, will be restarted"
            ),
        ),
    ),
    Case(
        id="an image pull that failed waits for its time",
        memory=Memory(retry_at_s={"app": NOW_S + 7}),
        wake_after_s=7,
    ),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_plan_sync(case: Case) -> None:
    pod = make_pod(*case.containers, **case.spec)
    pod["metadata"]["uid"] = "u"
    plan = plan_sync(pod, Observed(sandboxes=case.sandboxes, containers=case.statuses), case.memory, NOW_S)
    waiting = {name: held.message for name, held in plan.waiting.items()}
    assert Plan(actions=plan.actions, wake_after_s=plan.wake_after_s) == Plan(
        actions=case.actions, wake_after_s=case.wake_after_s
    )
    assert waiting == case.waiting


def test_a_restart_count_survives_a_runtime_that_forgot() -> None:
    pod = make_pod(APP)
    pod["status"] = {
        "containerStatuses": [{"name": "app", "restartCount": 4, "containerID": "containerd://x"}]
    }
    plan = plan_sync(pod, Observed(sandboxes=(sandbox(),)), Memory(), NOW_S)
    assert plan.actions == (start("app", 5),)


def test_back_off_doubles_up_to_five_minutes() -> None:
    held: list[int] = []
    restarts: Restarts | None = None
    now_s = NOW_S
    for _ in range(8):
        dead = ContainerStatus(
            id="a", name="a", attempt=0, state="exited", created_at_ns=0, finished_at_ns=int(now_s * 1e9)
        )
        wait_s, _ = back_off(dead, restarts, now_s)
        held.append(round(wait_s))
        free, restarts = back_off(dead, restarts, now_s + wait_s)
        assert free == 0
        now_s += wait_s + 1
    assert held == [0, 10, 20, 40, 80, 160, 300, 300]


@pytest.mark.parametrize(("seconds", "text"), [(10, "10s"), (80, "1m20s"), (300, "5m0s")], ids=str)
def test_durations_read_as_gos(seconds: int, text: str) -> None:
    assert duration(seconds) == text


def test_sidecars_stop_last_and_in_reverse() -> None:
    side2 = {**SIDE, "name": "side2"}
    pod = make_pod(APP, {"name": "b", "image": "b"}, initContainers=[SIDE, side2])
    alive = (status("app"), status("b"), status("side"), status("side2"))
    waves = [[stop.name for stop in wave.containers] for wave in plan_stop(pod, Observed(containers=alive))]
    assert waves == [["app", "b"], ["side2"], ["side"]]


def test_what_is_dead_is_pruned_but_for_the_last() -> None:
    dead = tuple(status("app", "exited", attempt=attempt) for attempt in (3, 2, 1))
    observed = Observed(
        sandboxes=(sandbox(1), sandbox(0, ready=False)),
        containers=(status("app", attempt=4, sandbox=1), *dead),
    )
    pod = make_pod(APP)
    assert prune(pod, observed) == (RemoveContainer(id="app-2"), RemoveContainer(id="app-1"))
    emptied = Observed(sandboxes=observed.sandboxes, containers=observed.containers[:1])
    assert prune(pod, emptied) == (RemoveSandbox(id="sandbox-0"),)
