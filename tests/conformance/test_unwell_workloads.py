"""sig-apps, when pods are unwell, and cron jobs at their times.

A container that breaks is said to have broken in its pod's status, as the node of a real one would say it; a
time that comes is one that was not served yet, so that nobody waits for it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from podium.base.clock import rfc3339
from tests.conformance.client import Api, Object, collection, condition
from tests.conformance.contract import case, covers
from tests.conformance.examples import daemon_set, ending_template, workload
from tests.conformance.test_workloads import BASIC, ready, running_pods


def probe(api: Api, path: str, *, ready: bool, of: tuple[str, ...], count: int) -> None:
    """Let the readiness probes of these pods fail, or succeed again, until the set says `count` are ready.

    Said more than once where need be: the node may still be telling of the pod's start.
    """
    pods = path.replace("/apis/apps/", "/api/").rpartition("/statefulsets")[0] + "/pods"

    def said(stateful_set: Object) -> bool:
        for name in of:
            found = api.get(f"{pods}/{name}")
            before = condition(found, "Ready")
            now = {**(before or {}), "status": "True" if ready else "False"}
            if before is not None and now != before:
                others = [c for c in found["status"]["conditions"] if c["type"] != "Ready"]
                api.patch(f"{pods}/{name}/status", {"status": {"conditions": [*others, now]}})
        return bool(stateful_set["status"].get("readyReplicas", 0) == count)

    api.until(path, said, f"{count} ready pods")


def names(api: Api, pods: str) -> list[str]:
    return sorted(p["metadata"]["name"] for p in api.get(pods)["items"])


def quiet(api: Api, path: str, pods: str, expected: list[str]) -> None:
    """Require that the controller has looked, and that these are the pods all the same."""
    seen = api.get(path)["metadata"]["generation"]
    api.until(path, lambda o: o["status"].get("observedGeneration") == seen, "the controller's look")
    assert names(api, pods) == expected


@covers(
    f"{BASIC} Scaling should happen in predictable order and halt if any stateful pod is unhealthy [Slow]"
)
def test_a_stateful_set_goes_in_order_and_stops_at_an_unwell_pod(api: Api, namespace: str) -> None:
    path, pods = collection("apps/v1", "statefulsets", namespace), collection("v1", "pods", namespace)
    version = api.get(pods)["metadata"]["resourceVersion"]
    with api.watch(pods, resource_version=version, timeout_seconds=60) as events:
        api.post(path, workload("web", 1, serviceName="web"))
        api.until(f"{path}/web", ready(1), "the first")
        probe(api, f"{path}/web", ready=False, of=("web-0",), count=0)
        api.patch(f"{path}/web", {"spec": {"replicas": 3}})
        quiet(api, f"{path}/web", pods, ["web-0"])
        probe(api, f"{path}/web", ready=True, of=("web-0",), count=3)
        all_three = ("web-0", "web-1", "web-2")
        probe(api, f"{path}/web", ready=False, of=all_three, count=0)
        api.patch(f"{path}/web", {"spec": {"replicas": 0}})
        quiet(api, f"{path}/web", pods, list(all_three))
        for name in all_three:
            now = {"type": "Ready", "status": "True"}
            api.patch(f"{pods}/{name}/status", {"status": {"conditions": [now]}})
        api.until(pods, lambda o: not o["items"], "all to go")
        order: list[tuple[str, str]] = []
        while len(order) < 6:
            type_, found = events.next()
            if type_ in ("ADDED", "DELETED"):
                order.append((type_, found["metadata"]["name"]))
    came = [("ADDED", f"web-{number}") for number in (0, 1, 2)]
    assert order == [*came, *(("DELETED", f"web-{number}") for number in (2, 1, 0))]


@covers(f"{BASIC} Burst scaling should run to completion even with unhealthy pods [Slow]")
def test_a_parallel_stateful_set_waits_for_nobody(api: Api, namespace: str) -> None:
    path, pods = collection("apps/v1", "statefulsets", namespace), collection("v1", "pods", namespace)
    api.post(path, workload("web", 1, serviceName="web", podManagementPolicy="Parallel"))
    api.until(f"{path}/web", ready(1), "the first")
    probe(api, f"{path}/web", ready=False, of=("web-0",), count=0)
    api.patch(f"{path}/web", {"spec": {"replicas": 3}})
    api.until(pods, lambda o: len(o["items"]) == 3, "the other two")
    probe(api, f"{path}/web", ready=False, of=("web-0", "web-1"), count=1)
    api.patch(f"{path}/web", {"spec": {"replicas": 0}})
    api.until(pods, lambda o: not o["items"], "all to go")
    api.until(f"{path}/web", lambda o: o["status"]["replicas"] == 0, "a status without pods")


@covers(f"{BASIC} Should recreate evicted statefulset")
def test_a_pod_that_its_node_turned_away_is_made_again(api: Api, namespace: str) -> None:
    path, pods = collection("apps/v1", "statefulsets", namespace), collection("v1", "pods", namespace)
    made = api.post(path, workload("web", 1, serviceName="web"))
    first = api.until(f"{path}/web", ready(1), "its pod") and api.get(f"{pods}/web-0")
    turned_away = {"phase": "Failed", "reason": "NodePorts", "message": "Pod was rejected"}
    api.patch(f"{pods}/web-0/status", {"status": turned_away})
    again = api.until(
        pods,
        lambda o: [p for p in o["items"] if p["metadata"]["uid"] != first["metadata"]["uid"]],
        "another one",
    )["items"][0]
    assert (again["metadata"]["name"], again["metadata"]["ownerReferences"][0]["uid"]) == (
        "web-0",
        made["metadata"]["uid"],
    )
    api.until(f"{path}/web", ready(1), "it to run")


@covers("[sig-apps] Daemon set [Serial] should retry creating failed daemon pods")
def test_a_daemon_that_failed_is_made_again(api: Api, namespace: str) -> None:
    path, pods = collection("apps/v1", "daemonsets", namespace), collection("v1", "pods", namespace)
    nodes = {n["metadata"]["name"] for n in api.get("/api/v1/nodes")["items"]}
    api.post(path, daemon_set("d"))
    api.until(f"{path}/d", lambda o: o["status"].get("numberReady") == len(nodes), "a daemon on each node")
    victim = running_pods(api, namespace, "d")[0]
    name = victim["metadata"]["name"]
    api.patch(f"{pods}/{name}/status", {"status": {"phase": "Failed"}})
    api.until_gone(f"{pods}/{name}")
    api.until(
        pods,
        lambda _: {p["spec"]["nodeName"] for p in running_pods(api, namespace, "d")} == nodes,
        "its revival",
    )
    told = collection("v1", "events", namespace)
    api.until(told, lambda o: any(e["reason"] == "FailedDaemonPod" for e in o["items"]), "an event about it")


# Cron jobs


def at_minute(moment: datetime) -> str:
    """The schedule that has this minute of each day."""
    return f"{moment.minute} {moment.hour} * * *"


def serve(api: Api, path: str, moment: datetime, namespace: str) -> None:
    """Give the cron job a schedule whose last time was `moment`, and have that served.

    A changed schedule makes up for nothing; so the status says that nothing has been served for a day.
    """
    api.patch(f"{path}/c", {"spec": {"schedule": at_minute(moment)}})
    before = rfc3339(moment - timedelta(hours=20))
    api.patch(f"{path}/c/status", {"status": {"lastScheduleTime": before}})


@pytest.mark.parametrize(
    ("policy", "jobs"),
    [
        case("[sig-apps] CronJob should schedule multiple jobs concurrently", "Allow", [0, 1]),
        case("[sig-apps] CronJob should not schedule new jobs when ForbidConcurrent [Slow]", "Forbid", [0]),
        case("[sig-apps] CronJob should replace jobs when ReplaceConcurrent", "Replace", [1]),
    ],
)
def test_a_time_that_comes_while_a_job_runs(api: Api, namespace: str, policy: str, jobs: list[int]) -> None:
    path, made = collection("batch/v1", "cronjobs", namespace), collection("batch/v1", "jobs", namespace)
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    moments = [now - timedelta(minutes=20), now - timedelta(minutes=10)]
    spec = {
        "schedule": at_minute(now + timedelta(hours=12)),
        "concurrencyPolicy": policy,
        "jobTemplate": {"spec": {"template": ending_template("600")}},
    }
    api.post(path, {"metadata": {"name": "c"}, "spec": spec})
    api.until(f"{path}/c", lambda o: o, "the cron job")
    serve(api, path, moments[0], namespace)
    api.until(f"{path}/c", lambda o: o["status"].get("active"), "the first job")
    serve(api, path, moments[1], namespace)
    if policy == "Forbid":
        told = collection("v1", "events", namespace)
        api.until(
            told, lambda o: any(e["reason"] == "JobAlreadyActive" for e in o["items"]), "the refusal's event"
        )
    wanted = sorted(f"c-{int(moments[number].timestamp()) // 60}" for number in jobs)

    def running(found: Object) -> list[str]:
        return sorted(
            j["metadata"]["name"] for j in found["items"] if "deletionTimestamp" not in j["metadata"]
        )

    api.until(made, lambda o: running(o) == wanted, f"the jobs of {policy}")
    api.until(
        f"{path}/c",
        lambda o: sorted(r["name"] for r in o["status"].get("active") or ()) == wanted,
        "the same in the status",
    )
