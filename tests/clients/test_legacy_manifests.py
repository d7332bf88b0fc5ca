"""A folder of manifests as they were written in 2018, with today's kubectl, where old APIs are served."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import simulated_cluster
from tests.e2e.conftest import RunningCluster, until

MANIFESTS = Path(__file__).parent / "manifests_of_2018"


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCluster]:
    """A cluster on which the folder has been applied."""
    work = tmp_path_factory.mktemp("legacy")
    with simulated_cluster(work, "--runtime-config=api/legacy=true") as running:
        until(
            lambda: "default" in running.kubectl("get", "serviceaccounts", "-o", "name"),
            "the default service account",
        )
        running.kubectl("apply", "-f", str(MANIFESTS))
        yield running


def test_the_deployment_rolls_out(old: RunningCluster) -> None:
    old.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    assert old.get("deployments.v1.apps", "web")["status"]["readyReplicas"] == 2
    assert old.get("deployments.v1beta1.extensions", "web")["status"]["readyReplicas"] == 2


def test_applying_again_changes_nothing(old: RunningCluster) -> None:
    kinds = "ingress,networkpolicy,pdb,hpa,cronjob,role,rolebinding,crd,storageclass,priorityclass"
    generations = [
        "get",
        kinds,
        "-o",
        "jsonpath={range .items[*]}{.metadata.uid}{.metadata.generation} {end}",
    ]
    before = old.kubectl(*generations)
    # kubectl says "configured" of lists whose items have been filled in, though nothing comes of it.
    assert "created" not in old.kubectl("apply", "-f", str(MANIFESTS))
    assert old.kubectl(*generations) == before


def test_a_changed_manifest_changes_the_object_and_nothing_else(old: RunningCluster) -> None:
    manifest = (MANIFESTS / "30-web.yaml").read_text().replace("nginx:1.13", "nginx:1.14")
    assert "deployment.extensions/web configured" in old.kubectl("apply", "-f", "-", stdin=manifest)
    old.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    images = old.kubectl("get", "pods", "-l", "app=web", "-o", "jsonpath={..image}")
    assert set(images.split()) == {"nginx:1.14"}


@pytest.mark.parametrize(
    ("resource", "name", "path", "value"),
    [
        ("ingresses.v1.networking.k8s.io", "web", "spec.defaultBackend.service.name", "web"),
        ("networkpolicies.v1.networking.k8s.io", "web", "spec.policyTypes", ["Ingress"]),
        ("poddisruptionbudgets.v1.policy", "web", "spec.minAvailable", 1),
        ("daemonsets.v1.apps", "agent", "spec.updateStrategy.type", "OnDelete"),
        ("statefulsets.v1.apps", "db", "spec.updateStrategy.type", "OnDelete"),
        ("cronjobs.v1.batch", "nightly", "spec.schedule", "0 3 * * *"),
        ("roles.v1.rbac.authorization.k8s.io", "web", "rules.0.resources", ["configmaps"]),
        ("priorityclasses.v1.scheduling.k8s.io", "important", "value", 1000),
        ("storageclasses.v1.storage.k8s.io", "slow", "reclaimPolicy", "Delete"),
        (
            "horizontalpodautoscalers.v2.autoscaling",
            "web",
            "spec.metrics.0.resource.target.averageUtilization",
            70,
        ),
        (
            "customresourcedefinitions.v1.apiextensions.k8s.io",
            "crontabs.stable.example.com",
            "spec.versions.0.additionalPrinterColumns.0.jsonPath",
            ".spec.cronSpec",
        ),
    ],
    ids=lambda value: value.split(".")[0] if isinstance(value, str) and "." in value else "",
)
def test_each_reads_in_its_current_version(
    old: RunningCluster, resource: str, name: str, path: str, value: Any
) -> None:
    found = old.get(resource, name)
    for part in path.split("."):
        found = found[int(part)] if part.isdecimal() else found[part]
    assert found == value


def test_resources_of_the_old_definition(old: RunningCluster) -> None:
    manifest = """
apiVersion: stable.example.com/v1
kind: CronTab
metadata: {name: mine}
spec: {cronSpec: "* * * * */5", image: whatever}
"""
    old.kubectl("apply", "-f", "-", stdin=manifest)
    assert "* * * * */5" in old.kubectl("get", "ct", "mine")
    refused = old.kubectl(
        "apply",
        "-f",
        "-",
        stdin=manifest.replace("* * * * */5", "never").replace("mine", "other"),
        check=False,
    )
    assert "spec.cronSpec" in refused


def test_kubectl_tells_that_it_is_old_and_explains_it(old: RunningCluster) -> None:
    said = old.kubectl("get", "deployments.v1beta1.extensions", check=False)
    assert "extensions/v1beta1 Deployment is deprecated in v1.8+, unavailable in v1.16+" in said
    explained = old.kubectl("explain", "deployment.spec.rollbackTo", "--api-version=extensions/v1beta1")
    assert "RollbackConfig" in explained


def test_asking_the_old_way_what_somebody_may(old: RunningCluster) -> None:
    review = (
        '{"apiVersion": "authorization.k8s.io/v1beta1", "kind": "SubjectAccessReview", "spec": '
        '{"group": ["system:masters"], "resourceAttributes": {"verb": "get", "resource": "pods"}}}'
    )
    path = "--raw=/apis/authorization.k8s.io/v1beta1/subjectaccessreviews"
    answer = json.loads(old.kubectl("create", path, "-f", "-", stdin=review))
    assert (answer["apiVersion"], answer["spec"]["group"], answer["status"]["allowed"]) == (
        "authorization.k8s.io/v1beta1",
        ["system:masters"],
        True,
    )


def test_a_security_policy_is_understood_and_said_to_be_idle(old: RunningCluster) -> None:
    manifest = str(MANIFESTS / "05-policy.yaml")
    old.kubectl("delete", "-f", manifest)
    assert "is kept, but not enforced" in old.kubectl("apply", "-f", manifest, check=False)
    assert old.get("podsecuritypolicies.v1beta1.policy", "restricted")["spec"]["volumes"] == [
        "configMap",
        "emptyDir",
    ]
    assert "MustRunAsNonRoot" in old.kubectl("get", "psp", "restricted")


def test_going_back_the_old_way(old: RunningCluster) -> None:
    old.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    old.kubectl(
        "create",
        "--raw=/apis/extensions/v1beta1/namespaces/default/deployments/web/rollback",
        "-f",
        "-",
        stdin='{"apiVersion": "extensions/v1beta1", "kind": "DeploymentRollback", "name": "web", '
        '"rollbackTo": {"revision": 1}}',
    )

    def image() -> str:
        return old.kubectl(
            "get", "deployment", "web", "-o", "jsonpath={.spec.template.spec.containers[0].image}"
        )

    until(lambda: image() == "nginx:1.13", "the image of the first revision")


def test_dependents_of_an_old_owner_go_with_it(old: RunningCluster) -> None:
    uid = old.get("deployment", "web")["metadata"]["uid"]
    manifest = f"""
apiVersion: v1
kind: ConfigMap
metadata:
  name: dependent
  ownerReferences:
  - {{apiVersion: extensions/v1beta1, kind: Deployment, name: web, uid: {uid}}}
"""
    old.kubectl("apply", "-f", "-", stdin=manifest)
    old.kubectl("delete", "deployments.v1beta1.extensions", "web", "--cascade=background")
    until(
        lambda: "dependent" not in old.kubectl("get", "configmaps,replicasets", "-o", "name"),
        "the deletion of what the deployment owns",
    )
    until(lambda: "web-" not in old.kubectl("get", "pods", "-o", "name"), "the deletion of the pods")


def test_a_namespace_with_old_objects_can_be_deleted(old: RunningCluster) -> None:
    old.kubectl("create", "namespace", "gone")
    until(
        lambda: "default" in old.kubectl("get", "serviceaccounts", "-n", "gone", "-o", "name"),
        "the default service account",
    )
    old.kubectl("apply", "-n", "gone", "-f", str(MANIFESTS / "30-web.yaml"))
    old.kubectl("delete", "namespace", "gone", "--timeout=60s")
