"""sig-apps: the lives of ControllerRevisions and ReplicaSets beside the controllers that use them."""

from __future__ import annotations

from tests.conformance.client import Api, collection
from tests.conformance.contract import covers
from tests.conformance.examples import daemon_set, workload
from tests.conformance.test_workloads import ready, running_pods


@covers("[sig-apps] ControllerRevision [Serial] should manage the lifecycle of a ControllerRevision")
def test_the_life_of_a_controller_revision(api: Api, namespace: str) -> None:
    path = collection("apps/v1", "daemonsets", namespace)
    revisions = collection("apps/v1", "controllerrevisions", namespace)
    nodes = len(api.get("/api/v1/nodes")["items"])
    api.post(path, daemon_set("d"))
    api.until(f"{path}/d", lambda o: o["status"].get("numberReady") == nodes, "a daemon on each node")

    def count(number: int) -> None:
        api.until(
            revisions,
            lambda o: sum(r["metadata"]["labels"].get("app") == "d" for r in o["items"]) == number,
            f"{number} revisions",
        )

    count(1)
    (first,) = api.get(revisions, label_selector="app=d")["items"]
    name = first["metadata"]["name"]
    assert api.get(f"{revisions}/{name}")["metadata"]["ownerReferences"][0]["kind"] == "DaemonSet"
    api.patch(f"{revisions}/{name}", {"metadata": {"labels": {name: "patched"}}})
    assert api.get(revisions, label_selector=f"{name}=patched")["items"]

    # Another one of the same template takes over when the first goes.
    mine = {
        "apiVersion": "apps/v1",
        "kind": "ControllerRevision",
        "metadata": {
            "name": "mine",
            "labels": first["metadata"]["labels"],
            "ownerReferences": first["metadata"]["ownerReferences"],
        },
        "data": first["data"],
        "revision": first["revision"] + 1,
    }
    api.post(revisions, mine)
    count(2)
    api.delete(f"{revisions}/{name}")
    count(1)
    api.update(f"{revisions}/mine", lambda o: o["metadata"]["labels"].update({name: "updated"}))
    assert api.get(revisions, label_selector=f"{name}=updated")["items"]

    api.patch(f"{path}/d", {"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 1}}}})
    count(2)
    api.until(
        f"{path}/d",
        lambda o: o["status"].get("updatedNumberScheduled") == o["status"].get("numberAvailable") == nodes,
        "the update's end",
    )
    api.delete(revisions, label_selector=f"{name}=updated")
    count(1)
    (last,) = api.get(revisions, label_selector="app=d")["items"]
    assert last["revision"] == 3


@covers("[sig-apps] ReplicaSet Replace and Patch tests")
def test_a_replica_set_is_scaled_and_patched(api: Api, namespace: str) -> None:
    path = collection("apps/v1", "replicasets", namespace)
    api.post(path, workload("web", 1))
    api.until(f"{path}/web", ready(1), "one pod")
    assert len(running_pods(api, namespace, "web")) == 1
    api.update(f"{path}/web", lambda o: o["spec"].update(replicas=2))
    api.until(f"{path}/web", ready(2), "two pods")
    template = {"spec": {"terminationGracePeriodSeconds": 0}, "metadata": {"labels": {"patched": "yes"}}}
    labels = {"labels": {"patched": "yes"}}
    api.patch(f"{path}/web", {"metadata": labels, "spec": {"replicas": 3, "template": template}})
    patched = api.until(f"{path}/web", ready(3), "three pods")
    assert patched["metadata"]["labels"]["patched"] == "yes"
    assert patched["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 0
    # Only the third is of the new template.
    assert patched["status"]["fullyLabeledReplicas"] == 1
