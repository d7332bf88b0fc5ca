"""sig-apps, as far as simulated nodes go: statuses, scales, rollouts, adoption, jobs, budgets."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.client import JSON_PATCH, Api, Object, collection, condition, holds
from tests.conformance.contract import case, covers, note
from tests.conformance.examples import (
    IMAGE,
    daemon_set,
    ending_template,
    job,
    pod,
    replication_controller,
    service,
    workload,
)

BASIC = "[sig-apps] StatefulSet Basic StatefulSet functionality [StatefulSetBasic]"
CONDITION = {
    "type": "Patched",
    "status": "True",
    "reason": "E2E",
    "message": "Set by a test",
    "lastTransitionTime": "2026-01-01T00:00:00Z",
}


def running_pods(api: Api, namespace: str, app: str) -> list[Object]:
    found: list[Object] = api.get(collection("v1", "pods", namespace), label_selector=f"app={app}")["items"]
    return [
        p for p in found if p["status"].get("phase") == "Running" and "deletionTimestamp" not in p["metadata"]
    ]


def ready(count: int) -> Any:
    return lambda o: o["status"].get("readyReplicas", 0) == count


def main_container(o: Any) -> Object:
    found: Object = o["spec"]["template"]["spec"]["containers"][0]
    return found


def rolled_out(o: Any) -> bool:
    """Say whether the object's controller has done all that its spec asks."""
    status, wanted = o["status"], o["spec"].get("replicas", 1)
    return bool(
        status.get("observedGeneration") == o["metadata"]["generation"]
        and status.get("replicas", 0) == wanted
        and status.get("updatedReplicas", 0) == wanted
        and status.get("availableReplicas", 0) == wanted
    )


@pytest.mark.parametrize(
    ("api_version", "plural", "example", "status"),
    [
        case(
            "[sig-apps] Deployment should validate Deployment Status endpoints",
            "apps/v1",
            "deployments",
            workload("s"),
            {"conditions": [CONDITION]},
        ),
        case(
            "[sig-apps] ReplicaSet should validate Replicaset Status endpoints",
            "apps/v1",
            "replicasets",
            workload("s"),
            {"conditions": [CONDITION]},
        ),
        case(
            f"{BASIC} should validate Statefulset Status endpoints",
            "apps/v1",
            "statefulsets",
            workload("s", serviceName="s"),
            {"conditions": [CONDITION]},
        ),
        case(
            "[sig-apps] Daemon set [Serial] should verify changes to a daemon set status",
            "apps/v1",
            "daemonsets",
            daemon_set("s"),
            {"conditions": [CONDITION]},
        ),
        case(
            "[sig-apps] Job should apply changes to a job status",
            "batch/v1",
            "jobs",
            job("s", template=ending_template("600")),
            {"conditions": [CONDITION]},
        ),
        case(
            "[sig-apps] DisruptionController should update/patch PodDisruptionBudget status",
            "policy/v1",
            "poddisruptionbudgets",
            {
                "metadata": {"name": "s"},
                "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "none"}}},
            },
            {"conditions": [CONDITION]},
        ),
        case(
            "[sig-network] Services should complete a service status lifecycle",
            "v1",
            "services",
            service("s", type="LoadBalancer"),
            {"loadBalancer": {"ingress": [{"ip": "203.0.113.1"}]}},
        ),
        case(
            "[sig-api-machinery] ResourceQuota should apply changes to a resourcequota status",
            "v1",
            "resourcequotas",
            {"metadata": {"name": "s"}, "spec": {"hard": {"cpu": "500m"}}},
            {"hard": {"cpu": "500m", "memory": "500Mi"}},
        ),
        case(
            "[sig-storage] PersistentVolumes CSI Conformance should apply changes to a pv/pvc status",
            "v1",
            "persistentvolumeclaims",
            {
                "metadata": {"name": "s"},
                "spec": {
                    "accessModes": ["ReadWriteOnce"],
                    "resources": {"requests": {"storage": "1Gi"}},
                    "storageClassName": "none",
                },
            },
            {"conditions": [CONDITION]},
        ),
        case(
            "[sig-node] Pods should patch a pod status",
            "v1",
            "pods",
            pod("s", schedulerName="nobody"),
            {"conditions": [CONDITION]},
        ),
    ],
)
def test_status_is_patched_and_updated(
    api: Api, namespace: str, api_version: str, plural: str, example: Object, status: Object
) -> None:
    path = collection(api_version, plural, namespace)
    made = api.post(path, example)
    again = {"conditions": [CONDITION | {"type": "Updated"}]} if "conditions" in status else status
    with api.watch(path, resource_version=made["metadata"]["resourceVersion"], timeout_seconds=60) as events:
        patched = api.patch(f"{path}/s/status", {"status": status, "spec": {"nonsense": "x"}})
        assert holds(patched["status"], status)
        assert "nonsense" not in patched["spec"]
        events.until("MODIFIED", lambda o: holds(o["status"], status))
        more = again.get("conditions", [])
        api.update(f"{path}/s/status", lambda o: o["status"].setdefault("conditions", []).extend(more))
        if again is not status:
            events.until("MODIFIED", lambda o: holds(o["status"], again))


@pytest.mark.parametrize(
    ("api_version", "plural", "example"),
    [
        case(
            "[sig-apps] Deployment Deployment should have a working scale subresource",
            "apps/v1",
            "deployments",
            workload("s"),
        ),
        case(
            "[sig-apps] ReplicaSet Replicaset should have a working scale subresource",
            "apps/v1",
            "replicasets",
            workload("s"),
        ),
        case(
            f"{BASIC} should have a working scale subresource",
            "apps/v1",
            "statefulsets",
            workload("s", serviceName="s"),
        ),
        case(
            "[sig-apps] ReplicationController should get and update a ReplicationController scale",
            "v1",
            "replicationcontrollers",
            replication_controller("s"),
        ),
    ],
)
def test_scale(api: Api, namespace: str, api_version: str, plural: str, example: Object) -> None:
    path = collection(api_version, plural, namespace)
    api.post(path, example)
    scale = api.get(f"{path}/s/scale")
    assert (scale["kind"], scale["apiVersion"], scale["spec"]["replicas"]) == ("Scale", "autoscaling/v1", 1)
    scale["metadata"].pop("resourceVersion")
    scale["spec"]["replicas"] = 2
    assert api.put(f"{path}/s/scale", scale)["spec"]["replicas"] == 2
    assert api.get(f"{path}/s")["spec"]["replicas"] == 2
    api.patch(f"{path}/s/scale", {"spec": {"replicas": 4}})
    api.until(f"{path}/s", ready(4), "four ready replicas")
    assert api.get(f"{path}/s/scale")["status"]["replicas"] == 4


# Deployments


@covers("[sig-apps] Deployment should run the lifecycle of a Deployment")
def test_the_life_of_a_deployment(api: Api, namespace: str) -> None:
    path = collection("apps/v1", "deployments", namespace)
    made = api.post(path, workload("web", 2))
    api.until(f"{path}/web", rolled_out, "the first rollout")
    with api.watch(path, resource_version=made["metadata"]["resourceVersion"], timeout_seconds=60) as events:
        api.patch(f"{path}/web", {"metadata": {"labels": {"patched": "yes"}}, "spec": {"replicas": 3}})
        events.until("MODIFIED", lambda o: o["metadata"]["labels"].get("patched") == "yes")
        api.until(f"{path}/web", rolled_out, "the patched replicas")
        assert any(
            d["metadata"]["name"] == "web" for d in api.get(collection("apps/v1", "deployments"))["items"]
        )
        api.update(f"{path}/web", lambda o: main_container(o).update(image="podium.local/none:2"))
        api.until(f"{path}/web", rolled_out, "the new image")
        assert condition(api.get(f"{path}/web/status"), "Available") is not None
        api.delete(path, label_selector="app=web")
        events.until("DELETED", lambda o: o["metadata"]["name"] == "web")


@covers(
    "[sig-apps] Deployment RollingUpdateDeployment should delete old pods and create new ones",
    "[sig-apps] ReplicaSet should serve a basic image on each replica with a public image",
)
def test_a_rolling_update_adopts_and_replaces(api: Api, namespace: str) -> None:
    sets, path = (collection("apps/v1", kind, namespace) for kind in ("replicasets", "deployments"))
    orphan = api.post(sets, workload("web", 1))
    api.until(f"{sets}/web", ready(1), "the replica set's pod")
    made = workload("web", 1)
    made["spec"]["template"]["spec"]["containers"][0]["image"] = "podium.local/none:2"
    api.post(path, made)
    api.until(f"{path}/web", rolled_out, "the rollout")
    adopted = api.get(f"{sets}/web")
    assert adopted["metadata"]["ownerReferences"][0]["kind"] == "Deployment"
    assert adopted["metadata"]["uid"] == orphan["metadata"]["uid"]
    api.until(f"{sets}/web", lambda o: o["spec"]["replicas"] == 0, "the old set at zero")


@covers("[sig-apps] Deployment RecreateDeployment should delete old pods and create new ones")
def test_recreate_never_runs_both(api: Api, namespace: str) -> None:
    path = collection("apps/v1", "deployments", namespace)
    api.post(path, workload("web", 2, strategy={"type": "Recreate"}))
    api.until(f"{path}/web", rolled_out, "the first rollout")
    pods = collection("v1", "pods", namespace)
    version = api.get(pods)["metadata"]["resourceVersion"]
    alive = {p["metadata"]["uid"] for p in running_pods(api, namespace, "web")}
    old = set(alive)
    with api.watch(pods, resource_version=version, timeout_seconds=60) as events:
        patch = [
            {
                "op": "replace",
                "path": "/spec/template/spec/containers/0/image",
                "value": "podium.local/none:2",
            }
        ]
        api.patch(f"{path}/web", patch, JSON_PATCH)
        while not alive or alive & old:
            type_, found = events.next()
            if type_ == "DELETED":
                alive.discard(found["metadata"]["uid"])
            elif type_ == "ADDED":
                alive.add(found["metadata"]["uid"])
                assert not alive & old, "an old pod was there when a new one came"
    api.until(f"{path}/web", rolled_out, "the second rollout")


@covers("[sig-apps] Deployment deployment should delete old replica sets")
def test_old_replica_sets_go(api: Api, namespace: str) -> None:
    path = collection("apps/v1", "deployments", namespace)
    api.post(path, workload("web", 1, revisionHistoryLimit=0))
    api.until(f"{path}/web", rolled_out, "the first rollout")
    api.patch(f"{path}/web", {"spec": {"template": {"metadata": {"labels": {"v": "2"}}}}})
    api.until(f"{path}/web", rolled_out, "the second rollout")
    api.until(
        collection("apps/v1", "replicasets", namespace),
        lambda o: [s["spec"]["template"]["metadata"]["labels"].get("v") for s in o["items"]] == ["2"],
        "the newest set alone",
    )


@covers("[sig-apps] Deployment deployment should support rollover")
def test_rollover(api: Api, namespace: str) -> None:
    path = collection("apps/v1", "deployments", namespace)
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    api.post(path, workload("web", 1, strategy=strategy, minReadySeconds=500))
    for version in ("2", "3"):
        api.patch(f"{path}/web", {"spec": {"template": {"metadata": {"labels": {"v": version}}}}})
    api.patch(f"{path}/web", {"spec": {"minReadySeconds": 0}})
    api.until(f"{path}/web", rolled_out, "the last rollout")
    sets = api.get(collection("apps/v1", "replicasets", namespace))["items"]
    by_version = {s["spec"]["template"]["metadata"]["labels"].get("v"): s["spec"]["replicas"] for s in sets}
    assert by_version.pop("3") == 1
    assert set(by_version.values()) <= {0}


@covers("[sig-apps] Deployment deployment should support proportional scaling")
def test_proportional_scaling(api: Api, namespace: str) -> None:
    path = collection("apps/v1", "deployments", namespace)
    sets = collection("apps/v1", "replicasets", namespace)
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 2, "maxSurge": 3}}
    api.post(path, workload("web", 10, strategy=strategy))
    api.until(f"{path}/web", rolled_out, "ten replicas")
    stuck = {"spec": {"template": {"spec": {"nodeSelector": {"nowhere": "true"}}}}}
    api.patch(f"{path}/web", stuck)

    def sizes(found: Any) -> list[int]:
        return sorted(s["spec"]["replicas"] for s in found["items"])

    api.until(sets, lambda o: sizes(o) == [5, 8], "the rollout is stuck at five new pods")
    api.until(f"{path}/web", lambda o: o["status"].get("unavailableReplicas") == 5, "five unavailable")
    api.patch(f"{path}/web", {"spec": {"replicas": 30}})
    api.until(sets, lambda o: sizes(o) == [13, 20], "both sets grown in proportion")


# ReplicaSets and ReplicationControllers


@pytest.mark.parametrize(
    ("api_version", "plural", "example"),
    [
        ("apps/v1", "replicasets", workload("web")),
        ("v1", "replicationcontrollers", replication_controller("web")),
    ],
    ids=["replicasets", "replicationcontrollers"],
)
def test_adoption_and_release(
    api: Api, namespace: str, api_version: str, plural: str, example: Object
) -> None:
    pods, path = collection("v1", "pods", namespace), collection(api_version, plural, namespace)
    orphan = api.post(pods, pod("orphan", {"app": "web"}))
    owner = api.post(path, example)

    def owners(found: Any) -> list[str]:
        return [reference["uid"] for reference in found["metadata"].get("ownerReferences") or ()]

    adopted = api.until(f"{pods}/orphan", owners, "the pod's adoption")
    assert adopted["metadata"]["uid"] == orphan["metadata"]["uid"]
    assert owners(adopted) == [owner["metadata"]["uid"]]
    assert adopted["metadata"]["ownerReferences"][0]["controller"] is True
    api.patch(f"{pods}/orphan", {"metadata": {"labels": {"app": "other"}}})
    api.until(f"{pods}/orphan", lambda o: not owners(o), "the pod's release")
    api.until(f"{path}/web", ready(1), "another pod instead")


note(
    "[sig-apps] ReplicaSet should adopt matching pods on creation and release no longer matching pods",
    "test_adoption",
)
note("[sig-apps] ReplicationController should adopt matching pods on creation", "test_adoption_and_release")
note("[sig-apps] ReplicationController should release no longer matching pods", "test_adoption_and_release")


@covers(
    "[sig-apps] ReplicationController should surface a failure condition on a common issue like exceeded quota"
)
def test_a_quota_shows_as_a_condition(api: Api, namespace: str) -> None:
    quotas = collection("v1", "resourcequotas", namespace)
    path = collection("v1", "replicationcontrollers", namespace)
    api.post(quotas, {"metadata": {"name": "q"}, "spec": {"hard": {"pods": "2"}}})
    api.until(f"{quotas}/q", lambda o: o["status"].get("used") is not None, "the quota's status")
    api.post(path, replication_controller("web", 3))
    failing = api.until(f"{path}/web", lambda o: condition(o, "ReplicaFailure"), "the failure's condition")
    failure = condition(failing, "ReplicaFailure")
    assert failure is not None and failure["reason"] == "FailedCreate"
    api.patch(f"{path}/web/scale", {"spec": {"replicas": 2}})
    api.until(f"{path}/web", lambda o: condition(o, "ReplicaFailure") is None, "no failure any more")


@covers(
    "[sig-apps] ReplicationController should test the lifecycle of a ReplicationController",
    "[sig-apps] ReplicationController should serve a basic image on each replica with a public image",
)
def test_the_life_of_a_replication_controller(api: Api, namespace: str) -> None:
    path = collection("v1", "replicationcontrollers", namespace)
    made = api.post(path, replication_controller("web", 2))
    with api.watch(path, resource_version=made["metadata"]["resourceVersion"], timeout_seconds=60) as events:
        events.until("MODIFIED", ready(2))
        api.patch(f"{path}/web", {"metadata": {"labels": {"patched": "yes"}}})
        events.until("MODIFIED", lambda o: o["metadata"]["labels"].get("patched") == "yes")
        api.patch(f"{path}/web/status", {"status": {"availableReplicas": 0, "readyReplicas": 0}})
        api.patch(f"{path}/web/scale", {"spec": {"replicas": 3}})
        events.until("MODIFIED", ready(3))
        assert len(running_pods(api, namespace, "web")) == 3
        everywhere = api.get(collection("v1", "replicationcontrollers"), label_selector="patched=yes")
        assert [o["metadata"]["name"] for o in everywhere["items"]] == ["web"]
        api.update(f"{path}/web", lambda o: o["spec"].update(replicas=1))
        events.until("MODIFIED", ready(1))
        api.delete(path, label_selector="patched=yes")
        events.until("DELETED")


# StatefulSets and DaemonSets


@covers(
    f"{BASIC} should perform rolling updates and roll backs of template modifications",
    f"{BASIC} should perform canary updates and phased rolling updates of template modifications",
)
def test_a_stateful_set_rolls_in_order_by_partition_and_back(api: Api, namespace: str) -> None:
    path, pods = collection("apps/v1", "statefulsets", namespace), collection("v1", "pods", namespace)
    api.post(
        collection("v1", "services", namespace), service("web", clusterIP="None", selector={"app": "web"})
    )
    api.post(path, workload("web", 3, serviceName="web"))
    first = api.until(f"{path}/web", rolled_out, "the first rollout")["status"]["updateRevision"]

    def revisions() -> list[str]:
        return [
            api.get(f"{pods}/web-{n}")["metadata"]["labels"]["controller-revision-hash"] for n in range(3)
        ]

    def partition(count: int) -> Object:
        return {"spec": {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": count}}}}

    def another(path: str, uid: str) -> None:
        api.until(path, lambda o: o["metadata"]["uid"] != uid, "another one in its place")

    def updated(count: int) -> Any:
        return lambda o: (
            o["status"].get("observedGeneration") == o["metadata"]["generation"]
            and o["status"].get("updatedReplicas", 0) == count
            and o["status"].get("availableReplicas", 0) == 3
        )

    api.patch(f"{path}/web", partition(2))
    api.patch(
        f"{path}/web",
        [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": f"{IMAGE}2"}],
        JSON_PATCH,
    )
    canary = api.until(f"{path}/web", updated(1), "the canary")
    second = canary["status"]["updateRevision"]
    assert revisions() == [first, first, second]
    for name in ("web-0", "web-2"):  # each comes back as what it was
        gone = api.get(f"{pods}/{name}")["metadata"]["uid"]
        api.delete(f"{pods}/{name}", {"gracePeriodSeconds": 0})
        another(f"{pods}/{name}", gone)
    api.until(f"{path}/web", updated(1), "both to run")
    assert revisions() == [first, first, second]
    api.patch(f"{path}/web", partition(0))
    api.until(f"{path}/web", updated(3), "the rest")
    assert revisions() == [second] * 3
    api.until(f"{path}/web", lambda o: o["status"]["currentRevision"] == second, "the new current revision")
    api.patch(
        f"{path}/web",
        [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": IMAGE}],
        JSON_PATCH,
    )
    api.until(
        f"{path}/web", lambda o: updated(3)(o) and o["status"]["updateRevision"] == first, "the way back"
    )
    assert revisions() == [first] * 3


@covers("[sig-apps] Daemon set [Serial] should run and stop simple daemon")
def test_a_daemon_runs_on_every_node_and_is_revived(api: Api, namespace: str) -> None:
    path, pods = collection("apps/v1", "daemonsets", namespace), collection("v1", "pods", namespace)
    nodes = {n["metadata"]["name"] for n in api.get("/api/v1/nodes")["items"]}
    api.post(path, daemon_set("d"))
    api.until(f"{path}/d", lambda o: o["status"].get("numberReady") == len(nodes), "a daemon on each node")
    running = running_pods(api, namespace, "d")
    assert {p["spec"]["nodeName"] for p in running} == nodes
    victim = running[0]["metadata"]["name"]
    api.delete(f"{pods}/{victim}", {"gracePeriodSeconds": 0})
    api.until_gone(f"{pods}/{victim}")
    api.until(
        pods,
        lambda _: {p["spec"]["nodeName"] for p in running_pods(api, namespace, "d")} == nodes,
        "its revival",
    )


@covers("[sig-apps] Daemon set [Serial] should run and stop complex daemon")
def test_a_daemon_follows_its_node_selector(api: Api, namespace: str) -> None:
    path, node = (
        collection("apps/v1", "daemonsets", namespace),
        "/api/v1/nodes/" + api.get("/api/v1/nodes")["items"][0]["metadata"]["name"],
    )
    made = daemon_set("d")
    made["spec"]["template"]["spec"]["nodeSelector"] = {"colour": namespace}
    api.post(path, made)
    api.until(f"{path}/d", lambda o: o["status"].get("observedGeneration") == 1, "the controller's look")
    assert running_pods(api, namespace, "d") == []
    api.patch(node, {"metadata": {"labels": {"colour": namespace}}})
    api.until(f"{path}/d", lambda o: o["status"].get("numberReady") == 1, "the daemon on that node")
    api.patch(node, {"metadata": {"labels": {"colour": None}}})
    api.until(f"{path}/d", lambda o: o["status"].get("currentNumberScheduled") == 0, "the daemon's end")


@covers(
    "[sig-apps] Daemon set [Serial] should update pod when spec was updated and update strategy is RollingUpdate",
    "[sig-apps] Daemon set [Serial] should rollback without unnecessary restarts",
)
def test_a_daemon_set_rolls_and_back_without_restarts(api: Api, namespace: str) -> None:
    path = collection("apps/v1", "daemonsets", namespace)
    nodes = len(api.get("/api/v1/nodes")["items"])
    api.post(path, daemon_set("d"))

    def updated(o: Any) -> bool:
        status = o["status"]
        return bool(
            status.get("observedGeneration") == o["metadata"]["generation"]
            and status.get("updatedNumberScheduled", 0) == status.get("numberAvailable", 0) == nodes
        )

    def image(name: str) -> None:
        api.patch(
            f"{path}/d",
            [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": name}],
            JSON_PATCH,
        )

    api.until(f"{path}/d", updated, "the first rollout")
    image("podium.local/none:2")
    api.until(f"{path}/d", updated, "the second rollout")
    before = {p["metadata"]["uid"] for p in running_pods(api, namespace, "d")}
    nobody = {"spec": {"template": {"spec": {"schedulerName": "nobody"}}}}
    api.patch(f"{path}/d", nobody)
    api.until(
        f"{path}/d", lambda o: o["status"].get("updatedNumberScheduled", 0) == 1, "a rollout that is stuck"
    )
    api.patch(f"{path}/d", {"spec": {"template": {"spec": {"schedulerName": "default-scheduler"}}}})
    api.until(f"{path}/d", updated, "the way back")
    after = {p["metadata"]["uid"] for p in running_pods(api, namespace, "d")}
    assert len(before & after) >= nodes - 1
    revisions = api.get(collection("apps/v1", "controllerrevisions", namespace), label_selector="app=d")[
        "items"
    ]
    assert len(revisions) == 3


# Jobs


@covers("[sig-apps] Job should delete a job")
def test_a_deleted_job_takes_its_pods(api: Api, namespace: str) -> None:
    path, pods = collection("batch/v1", "jobs", namespace), collection("v1", "pods", namespace)
    api.post(path, job("j", template=ending_template("600"), parallelism=2, completions=2))
    api.until(f"{path}/j", lambda o: o["status"].get("ready") == 2, "two running pods")
    api.delete(f"{path}/j", {"propagationPolicy": "Background"})
    api.until_gone(f"{path}/j")
    api.until(pods, lambda o: not o["items"], "no pods")


@covers("[sig-apps] Job should adopt matching orphans and release non-matching pods")
def test_a_job_adopts_and_releases(api: Api, namespace: str) -> None:
    path, pods = collection("batch/v1", "jobs", namespace), collection("v1", "pods", namespace)
    api.post(path, job("j", template=ending_template("600"), parallelism=2, completions=2))
    api.until(f"{path}/j", lambda o: o["status"].get("active") == 2, "two pods")
    name = api.get(pods)["items"][0]["metadata"]["name"]
    api.patch(f"{pods}/{name}", {"metadata": {"ownerReferences": None}})
    api.until(f"{pods}/{name}", lambda o: o["metadata"].get("ownerReferences"), "its adoption")
    api.patch(
        f"{pods}/{name}",
        {
            "metadata": {
                "labels": dict.fromkeys(
                    (
                        "job-name",
                        "batch.kubernetes.io/job-name",
                        "controller-uid",
                        "batch.kubernetes.io/controller-uid",
                    )
                )
            }
        },
    )
    api.until(f"{pods}/{name}", lambda o: not o["metadata"].get("ownerReferences"), "its release")


@covers("[sig-apps] Job should create pods for an Indexed job with completion indexes and specified hostname")
def test_an_indexed_job(api: Api, namespace: str) -> None:
    path, pods = collection("batch/v1", "jobs", namespace), collection("v1", "pods", namespace)
    api.post(path, job("j", parallelism=2, completions=4, completionMode="Indexed"))
    done = api.until(f"{path}/j", lambda o: condition(o, "Complete"), "the job's completion")
    assert done["status"]["completedIndexes"] == "0-3"
    found = api.get(pods)["items"]
    indexes = [p["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"] for p in found]
    assert sorted(indexes) == ["0", "1", "2", "3"]
    assert {p["spec"]["hostname"] for p in found} == {f"j-{index}" for index in indexes}
    assert all(p["metadata"]["name"].startswith(p["spec"]["hostname"]) for p in found)


@pytest.mark.parametrize(
    ("policy", "succeeded"),
    [
        case(
            "[sig-apps] Job with successPolicy should succeeded when all indexes succeeded",
            {"succeededCount": 3},
            3,
        ),
        case(
            "[sig-apps] Job with successPolicy succeededCount rule should succeeded even when some indexes remain pending",
            {"succeededCount": 1},
            1,
        ),
        case(
            "[sig-apps] Job with successPolicy succeededIndexes rule should succeeded even when some indexes remain pending",
            {"succeededIndexes": "0"},
            1,
        ),
    ],
)
def test_success_policies(api: Api, namespace: str, policy: Object, succeeded: int) -> None:
    """Where some indexes have to stay pending, the others have no node to run on."""
    path, pods = collection("batch/v1", "jobs", namespace), collection("v1", "pods", namespace)
    template = ending_template()
    if succeeded < 3:
        template["spec"]["schedulingGates"] = [{"name": "example.com/wait"}]
    spec = {
        "completionMode": "Indexed",
        "parallelism": 3,
        "completions": 3,
        "successPolicy": {"rules": [policy]},
    }
    api.post(path, job("j", template=template, **spec))
    if succeeded < 3:
        waiting = api.until(pods, lambda o: len(o["items"]) == 3, "three pods")["items"]
        first = next(p["metadata"]["name"] for p in waiting if p["spec"]["hostname"] == "j-0")
        api.patch(f"{pods}/{first}", {"spec": {"schedulingGates": None}})
    done = api.until(f"{path}/j", lambda o: condition(o, "Complete"), "the job's success")
    assert done["status"]["succeeded"] == succeeded
    met = condition(done, "SuccessCriteriaMet")
    assert met is not None and met["reason"] == "SuccessPolicy"
    assert done["status"]["completedIndexes"] == ("0-2" if succeeded == 3 else "0")
    assert done["status"].get("failed", 0) == 0  # what still waited is no failure


def running_pod(api: Api, pods: str, index: int) -> str:
    """Return the name of the pod of an index of the job `j`, once it runs."""

    def running(found: Any) -> list[str]:
        return [
            p["metadata"]["name"]
            for p in found["items"]
            if p["spec"]["hostname"] == f"j-{index}" and p["status"].get("phase") == "Running"
        ]

    (name,) = running(api.until(pods, running, f"a running pod of index {index}"))
    return name


def fail(api: Api, pods: str, index: int, code: int = 1) -> None:
    """Say of an index's running pod that its container failed, as the node of a real one would."""
    name = running_pod(api, pods, index)
    terminated = {"exitCode": code, "reason": "Error", "finishedAt": "2026-01-01T00:00:00Z"}
    ended = {"name": "main", "image": IMAGE, "imageID": "", "ready": False, "restartCount": 0}
    api.patch(
        f"{pods}/{name}/status",
        {
            "status": {
                "phase": "Failed",
                "containerStatuses": [{**ended, "state": {"terminated": terminated}}],
            }
        },
    )


def on_code(action: str) -> Object:
    return {"rules": [{"action": action, "onExitCodes": {"operator": "In", "values": [42]}}]}


@pytest.mark.parametrize(
    ("spec", "codes", "reason", "failed_indexes"),
    [
        case(
            "[sig-apps] Job should execute all indexes despite some failing when using backoffLimitPerIndex",
            {"backoffLimitPerIndex": 1},
            [(0, 1), (2, 1), (0, 1), (2, 1)],
            "FailedIndexes",
            "0,2",
        ),
        case(
            "[sig-apps] Job should terminate job execution when the number of failed indexes exceeds maxFailedIndexes",
            {"backoffLimitPerIndex": 0, "maxFailedIndexes": 1},
            [(0, 1), (1, 1)],
            "MaxFailedIndexesExceeded",
            "0,1",
        ),
        case(
            "[sig-apps] Job should mark indexes as failed when the FailIndex action is matched in podFailurePolicy",
            {"backoffLimitPerIndex": 1, "podFailurePolicy": on_code("FailIndex")},
            [(0, 42)],
            "FailedIndexes",
            "0",
        ),
        case(
            "[sig-apps] Job should allow to use the pod failure policy on exit code to fail the job early",
            {"backoffLimit": 1, "podFailurePolicy": on_code("FailJob")},
            [(0, 42)],
            "PodFailurePolicy",
            None,
        ),
    ],
)
def test_failing_jobs(
    api: Api,
    namespace: str,
    spec: Object,
    codes: list[tuple[int, int]],
    reason: str,
    failed_indexes: str | None,
) -> None:
    path, pods = collection("batch/v1", "jobs", namespace), collection("v1", "pods", namespace)
    api.post(
        path,
        job(
            "j",
            template=ending_template("600"),
            parallelism=3,
            completions=3,
            completionMode="Indexed",
            **spec,
        ),
    )
    for index, code in codes:
        fail(api, pods, index, code)
    if reason == "FailedIndexes":
        end_the_others(api, path, pods, (failed_indexes or "").split(","))
    done = api.until(f"{path}/j", lambda o: condition(o, "Failed"), "the job's failure")
    failed = condition(done, "Failed")
    assert failed is not None and failed["reason"] == reason
    assert done["status"].get("failedIndexes") == failed_indexes


def end_the_others(api: Api, path: str, pods: str, failed: list[str]) -> None:
    """Let the indexes that did not fail succeed, each as soon as it runs."""
    failed_indexes = ",".join(failed)
    api.until(f"{path}/j", lambda o: o["status"].get("failedIndexes") == failed_indexes, "the failed indexes")
    for index in range(3):
        if str(index) not in failed:
            name = running_pod(api, pods, index)
            api.patch(f"{pods}/{name}/status", {"status": {"phase": "Succeeded"}})


@covers(
    "[sig-apps] Job should allow to use a pod failure policy to ignore failure matching on DisruptionTarget condition"
)
def test_an_eviction_is_ignored(api: Api, namespace: str) -> None:
    path, pods = collection("batch/v1", "jobs", namespace), collection("v1", "pods", namespace)
    ignore = {
        "rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]
    }
    api.post(path, job("j", template=ending_template("600"), backoffLimit=0, podFailurePolicy=ignore))
    api.until(f"{path}/j", lambda o: o["status"].get("ready") == 1, "a running pod")
    (first,) = (p["metadata"]["name"] for p in api.get(pods)["items"])
    api.post(
        f"{pods}/{first}/eviction",
        {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": first}},
    )
    api.until_gone(f"{pods}/{first}")

    def another(found: Any) -> list[str]:
        return [
            p["metadata"]["name"]
            for p in found["items"]
            if p["metadata"]["name"] != first and p["status"].get("phase") == "Running"
        ]

    (second,) = another(api.until(pods, another, "another running pod"))
    api.patch(f"{pods}/{second}/status", {"status": {"phase": "Succeeded"}})
    done = api.until(f"{path}/j", lambda o: condition(o, "Complete"), "the job's completion")
    assert done["status"].get("failed", 0) == 0


# Cron jobs


@covers("[sig-apps] CronJob should not schedule jobs when suspended [Slow]")
def test_a_suspended_cron_job_makes_none(api: Api, namespace: str) -> None:
    """Upstream waits for minutes; here the controller's look at the job is enough: it made none when due."""
    path = collection("batch/v1", "cronjobs", namespace)
    template = {"spec": {"template": ending_template()}}
    spec = {"schedule": "*/1 * * * *", "jobTemplate": template}
    api.post(path, {"metadata": {"name": "c"}, "spec": {**spec, "suspend": True}})
    assert api.get(f"{path}/c")["spec"]["suspend"] is True
    assert api.get(f"{path}/c")["status"].get("active") is None
    assert api.get(collection("batch/v1", "jobs", namespace))["items"] == []


# Disruption budgets


@covers(
    "[sig-apps] DisruptionController should observe PodDisruptionBudget status updated",
    "[sig-apps] DisruptionController should block an eviction until the PDB is updated to allow it",
)
def test_a_budget_blocks_an_eviction_until_it_allows_it(api: Api, namespace: str) -> None:
    pods, budgets = (
        collection("v1", "pods", namespace),
        collection("policy/v1", "poddisruptionbudgets", namespace),
    )
    for name in ("a", "b", "c"):
        api.post(pods, pod(name, {"foo": "bar"}))
    budget = {"minAvailable": 3, "selector": {"matchLabels": {"foo": "bar"}}}
    api.post(budgets, {"metadata": {"name": "b"}, "spec": budget})
    status = api.until(f"{budgets}/b", lambda o: o["status"].get("currentHealthy") == 3, "three healthy")[
        "status"
    ]
    assert (status["disruptionsAllowed"], status["expectedPods"]) == (0, 3)
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "a"}}
    refusal = api.refused(429, "POST", f"{pods}/a/eviction", eviction)
    assert refusal["details"]["causes"][0]["reason"] == "DisruptionBudget"
    api.patch(f"{budgets}/b", {"spec": {"minAvailable": 2}})
    api.until(f"{budgets}/b", lambda o: o["status"]["disruptionsAllowed"] == 1, "one allowed")
    api.post(f"{pods}/a/eviction", eviction)
    api.until_gone(f"{pods}/a")
    budget["minAvailable"] = 2
    api.delete(f"{budgets}/b")
