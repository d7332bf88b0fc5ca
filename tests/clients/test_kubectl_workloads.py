"""What people do to workloads with kubectl, as stories: roll out and back, autoscale, drain, delete.

`k` is kubectl in the story's namespace; a line that fails ends the story.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.apiserver.aggregation.extension import NAMESPACE
from tests.clients.conftest import deployment_manifest, new_namespace
from tests.clients.metrics_server import MetricsServer, own_address
from tests.e2e.conftest import RunningCluster, kubectl_program, until

pytestmark = pytest.mark.clients

WITHIN_S = 120.0
Story = Callable[..., str]


@pytest.fixture
def namespace(cluster: RunningCluster) -> Iterator[str]:
    name = new_namespace(cluster, "workloads")
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def story(cluster: RunningCluster, namespace: str, tmp_path: Path) -> Story:
    """Return what tells a story: a script, and files by name. It returns what was printed."""

    def tell(script: str, *, fails: bool = False, **files: list[Any]) -> str:
        for name, documents in files.items():
            (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump_all(documents))
        k = f'k() {{ {kubectl_program()} -n {namespace} "$@"; }}'
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", f"{k}\n{script}"],
            env={**os.environ, "KUBECONFIG": str(cluster.state_dir / "kubeconfig")},
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=WITHIN_S,
            check=False,
        )
        assert (done.returncode != 0) == fails, done.stdout
        return done.stdout

    return tell


def in_order(printed: str, *patterns: str) -> None:
    """Require that what was printed has these, one after the other."""
    rest = printed
    for pattern in patterns:
        found = re.search(pattern, rest)
        assert found is not None, f"{pattern!r} is not in, or not at its place in:\n{printed}"
        rest = rest[found.end() :]


def workload(kind: str, name: str = "web", replicas: int = 2, **spec: Any) -> dict[str, Any]:
    made = deployment_manifest(name, replicas)
    made["kind"] = kind
    made["spec"] |= spec
    if kind == "DaemonSet":
        del made["spec"]["replicas"]
    if kind == "StatefulSet":
        made["spec"]["serviceName"] = name
    return made


EVENTS = {
    "Deployment": (
        r"Normal +ScalingReplicaSet .*deployment-controller +Scaled up replica set web-\w+ from 0 to",
    ),
    "StatefulSet": (
        r"Normal +SuccessfulCreate .*statefulset-controller +Create Pod web-0 in StatefulSet web successful",
    ),
    "DaemonSet": (r"Normal +SuccessfulCreate .*daemonset-controller +Created pod: web-\w+",),
}


@pytest.mark.parametrize("kind", EVENTS)
def test_rolling_out_and_back(story: Story, kind: str) -> None:
    printed = story(
        f"""
        r={kind.lower()}/web; k apply -f web.yaml; k rollout status $r
        k annotate $r kubernetes.io/change-cause=second; k set image $r main=podium.local/none:2
        k rollout status $r; k rollout history $r; k rollout history $r --revision=2
        k rollout undo $r; k rollout status $r
        k get $r -o 'jsonpath={{.spec.template.spec.containers[0].image}}{{"\\n"}}'
        k rollout history $r; k rollout restart $r; k rollout status $r
        k get $r -o 'jsonpath={{.spec.template.metadata.annotations}}{{"\\n"}}'; k rollout history $r
        k get pods -l app=web -o 'jsonpath={{.items[*].spec.containers[0].image}}{{"\\n"}}'
        k describe $r
        """,
        web=[workload(kind)],
    )
    in_order(
        printed,
        "created",
        r"image updated",
        r"REVISION +CHANGE-CAUSE\n1 +\S+\n2 +second",  # a Deployment's current ReplicaSet is annotated too
        r"Image:\s+podium.local/none:2",
        r"rolled back",
        r"\npodium.local/none:1\n",
        r"REVISION +CHANGE-CAUSE\n2 +second\n3 +",
        r"restarted",
        r"kubectl.kubernetes.io/restartedAt",
        r"\n4 ",
        r"podium.local/none:1 podium.local/none:1\n",
        *EVENTS[kind],
    )


def test_a_paused_deployment_waits_with_what_it_is_told(story: Story) -> None:
    printed = story(
        """
        k apply -f web.yaml; k rollout status deploy/web; k rollout pause deploy/web
        k set image deploy/web main=podium.local/none:2; k set env deploy/web A=b
        k scale deploy/web --replicas=3
        k wait deploy/web --for=jsonpath='{.status.readyReplicas}'=3 --timeout=60s
        k get rs -l app=web --no-headers
        k wait deploy/web --for=condition=Progressing=Unknown --timeout=60s; k rollout resume deploy/web
        k rollout status deploy/web; k rollout history deploy/web; k get pods -l app=web -o \
            'jsonpath={range .items[*]}{.spec.containers[0].image}{.spec.containers[0].env}{"\\n"}{end}'
        k rollout pause ds/none || true
        """,
        web=[workload("Deployment")],
    )
    in_order(
        printed,
        r"paused",
        r"(?m)^web-\w+ +3 +3 +3 ",
        r"deployment.apps/web condition met",
        r"resumed",
        r"CHANGE-CAUSE\n1 +<none>\n2 +<none>\n\n",
        r'podium.local/none:2\[{"name":"A","value":"b"}\]\n',
    )


def test_a_rollout_that_does_not_get_on_is_told_of_and_undone(story: Story) -> None:
    nowhere = {"spec": {"template": {"spec": {"nodeSelector": {"nowhere": "at-all"}}}}}
    printed = story(
        f"""
        k apply -f web.yaml; k rollout status deploy/web; k patch deploy/web -p '{json.dumps(nowhere)}'
        k rollout status deploy/web || echo "ended with $?"; k get deploy/web -o \
            'jsonpath={{.status.conditions[?(@.type=="Progressing")].reason}}{{"\\n"}}'
        k get pods -l app=web --field-selector=status.phase=Running -o name | wc -l
        k rollout undo deploy/web; k rollout status deploy/web; k get pods -l app=web -o name | wc -l
        """,
        web=[workload("Deployment", progressDeadlineSeconds=2)],
    )
    in_order(
        printed,
        r'error: deployment "web" exceeded its progress deadline\nended with 1',
        "ProgressDeadlineExceeded",
        r"\n2\n",
        "rolled back",
        "successfully rolled out",
        r"\n2\n",
    )


def test_autoscaling_by_what_a_metrics_server_says(
    cluster: RunningCluster, story: Story, namespace: str, tmp_path: Path
) -> None:
    address = own_address()
    if not address:
        pytest.skip("this machine has no address that may be an endpoint")
    web = workload("Deployment", replicas=1)
    web["spec"]["template"]["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "100m"}}
    server = MetricsServer(tmp_path, cpu="190m")
    server.start()
    try:
        story("k apply -f web.yaml; k rollout status deploy/web", web=[web])
        server.pods[namespace] = cluster.kubectl(
            "get", "pods", "-n", namespace, "-o", "jsonpath={.items[*].metadata.name}"
        ).split()
        printed = story(
            f"""
            {kubectl_program()} apply -f metrics.yaml
            k wait apiservice/v1beta1.metrics.k8s.io --for=condition=Available --timeout=60s
            k autoscale deploy/web --min=1 --max=3 --cpu-percent=80
            k wait deploy/web --for=jsonpath='{{.spec.replicas}}'=3 --timeout=60s; k rollout status deploy/web
            k describe hpa web; k get hpa web --no-headers
            """,
            metrics=server.manifests(address),
        )
        in_order(
            printed,
            "web autoscaled",
            r"Name: +web",
            r"resource cpu on pods +\(as a percentage of request\): +\d+% \(\d+m\) / 80%",
            r"ScalingActive +True +ValidMetricFound",
            r"Normal +SuccessfulRescale .*New size: 3; reason: cpu resource utilization "
            r"\(percentage of request\) above target",
            r"web +Deployment/web +cpu: \d+%/80% +1 +3 ",
        )
        assert "metrics" in cluster.kubectl("get", "--raw", "/apis")
        assert "190m" in cluster.kubectl("top", "pods", "-n", namespace)
    finally:
        cluster.kubectl("delete", "apiservice", "v1beta1.metrics.k8s.io", "--ignore-not-found")
        cluster.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false")
        server.stop()


def test_draining_waits_for_a_budget(cluster: RunningCluster, story: Story) -> None:
    bare = {"containers": [{"name": "main", "image": "podium.local/none:1"}]}
    kept = bare | {"volumes": [{"name": "here", "emptyDir": {}}]}
    printed = story(
        f"""
        k apply -f web.yaml -f agent.yaml; k rollout status deploy/web; k rollout status ds/agent
        k create pdb web --selector=app=web --min-available=2
        n=$(k get pods -l app=web -o 'jsonpath={{.items[0].spec.nodeName}}')
        trap '{kubectl_program()} uncordon $n' EXIT
        for pod in bare kept; do sed "s/NODE/$n/" $pod.yaml | k apply -f -; done
        k wait pod/bare pod/kept --for=condition=Ready --timeout=60s
        k drain $n --timeout=1s || true
        k drain $n --ignore-daemonsets --force --timeout=1s || true
        k drain $n --ignore-daemonsets --force --delete-emptydir-data --timeout=60s > drain.out 2>&1 & pid=$!
        until grep -q 'Cannot evict pod' drain.out; do sleep .2; done
        k get pdb web --no-headers; k get pods bare kept --ignore-not-found -o name
        k get node $n --no-headers; k scale deploy/web --replicas=3; wait $pid; cat drain.out
        k get pods -l app=web -o 'jsonpath={{.items[*].spec.nodeName}}' | tr ' ' '\\n' | grep -c $n || true
        k get pods -l app=agent -o name | wc -l
        """,
        web=[workload("Deployment")],
        agent=[workload("DaemonSet", "agent")],
        bare=[
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": "bare"},
                "spec": bare | {"nodeName": "NODE"},
            }
        ],
        kept=[
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": "kept"},
                "spec": kept | {"nodeName": "NODE"},
            }
        ],
    )
    in_order(
        printed,
        r"cannot delete DaemonSet-managed Pods \(use --ignore-daemonsets to ignore\): \S*/agent-",
        r"Pods that declare no controller \(use --force to override\): \S*/bare",
        r"cannot delete Pods with local storage \(use --delete-emptydir-data to override\): \S*/kept",
        r"cannot delete Pods with local storage",
        r"web +2 +N/A +0 ",
        r"Ready,SchedulingDisabled",
        r"Warning: ignoring DaemonSet-managed Pods: \S*/agent-",
        r"will retry after 5s\): Cannot evict pod as it would violate the pod's disruption budget",
        r"pod/web-\S+ evicted",
        r"drained",
        r"\n0\n2\n",
        r"uncordoned",
    )
    # Others' pods on the node may come between; both went before the budget let go.
    assert "pod/bare evicted" in printed
    assert "pod/kept evicted" in printed


def test_a_taint_drives_pods_away_and_daemons_with_them(story: Story) -> None:
    printed = story(
        f"""
        k apply -f web.yaml -f agent.yaml; k rollout status deploy/web; k rollout status ds/agent
        n=$(k get pods -l app=web -o 'jsonpath={{.items[0].spec.nodeName}}')
        p=$(k get pods -l app=web -o name --field-selector=spec.nodeName=$n | head -1)
        trap '{kubectl_program()} taint node $n away-' EXIT
        k taint node $n away=now:NoExecute; k wait $p --for=delete --timeout=60s
        k wait ds/agent --for=jsonpath='{{.status.desiredNumberScheduled}}'=1 --timeout=60s
        k get pods -o 'jsonpath={{.items[*].spec.nodeName}}' | tr ' ' '\\n' | grep -c $n || true
        k taint node $n away-; k wait ds/agent --for=jsonpath='{{.status.numberReady}}'=2 --timeout=60s
        trap - EXIT
        """,
        web=[workload("Deployment")],
        agent=[workload("DaemonSet", "agent")],
    )
    in_order(printed, "tainted", "condition met", r"\n0\n", "untainted", "condition met")


def test_a_job_made_of_a_cron_job(story: Story) -> None:
    cron = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "nightly"},
        "spec": {
            "schedule": "0 0 1 1 *",
            "jobTemplate": {"metadata": {"labels": {"of": "nightly"}}, "spec": {"template": _ENDING}},
        },
    }
    printed = story(
        """
        k apply -f cron.yaml; k create job now --from=cronjob/nightly
        k wait job/now --for=condition=Complete --timeout=60s; k get job now --show-labels --no-headers
        k get job now -o 'jsonpath={.metadata.annotations}{.metadata.ownerReferences[0].kind}{"\\n"}'
        k describe job now
        k wait cronjob/nightly --for=jsonpath='{.status.lastSuccessfulTime}' --timeout=60s
        k describe cronjob nightly
        """,
        cron=[cron],
    )
    in_order(
        printed,
        r"(?m)^now +Complete +1/1 .*of=nightly",
        r'"cronjob.kubernetes.io/instantiate":"manual"',
        "CronJob",
        r"Pods Statuses: +0 Active \(0 Ready\) / 1 Succeeded / 0 Failed",
        r"Normal +SuccessfulCreate .*job-controller +Created pod: now-\w+",
        r"Normal +Completed .*job-controller +Job completed",
        r"Warning +UnexpectedJob .*cronjob-controller +Saw a job that the controller did not create or",
    )


_ENDING: dict[str, Any] = {
    "metadata": {"annotations": {"podium.dev/simulated-run-seconds": "0"}},
    "spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "podium.local/none:1"}]},
}


@pytest.mark.parametrize("cascade", ["background", "foreground"])
def test_what_is_deleted_takes_along_what_it_owns(story: Story, cascade: str) -> None:
    printed = story(
        f"""
        k apply -f all.yaml; k rollout status deploy/web; k rollout status sts/db; k rollout status ds/agent
        k wait job/end --for=condition=Complete --timeout=60s
        k delete -f all.yaml --cascade={cascade} --timeout=60s; k get deploy,sts,ds,job
        k wait rs,pods,controllerrevisions --all --for=delete --timeout=60s
        k get rs,pods,controllerrevisions
        """,
        all=[workload("Deployment"), workload("StatefulSet", "db"), workload("DaemonSet", "agent"), _JOB],
    )
    in_order(printed, *['" deleted'] * 4, "No resources found", "No resources found")


_JOB: dict[str, Any] = {
    "apiVersion": "batch/v1",
    "kind": "Job",
    "metadata": {"name": "end"},
    "spec": {"template": _ENDING},
}


def test_what_is_left_behind_is_taken_over(cluster: RunningCluster, story: Story, namespace: str) -> None:
    manifests = [workload("Deployment"), workload("StatefulSet", "db"), workload("DaemonSet", "agent")]
    pods = "k get pods --sort-by=.metadata.uid -o 'jsonpath={.items[*].metadata.uid}{\"\\n\"}'"
    lasting = {**_ENDING, "metadata": {"annotations": {"podium.dev/simulated-run-seconds": "600"}}}
    job = {**_JOB, "spec": {"template": lasting}}
    ready = "k rollout status deploy/web; k rollout status sts/db; k rollout status ds/agent"
    story(f"k apply -f all.yaml; {ready}", all=manifests)
    before = story(pods)
    left = story(
        f"""
        k delete -f all.yaml --cascade=orphan
        k get rs,pods,controllerrevisions -o \
            'jsonpath={{.items[*].metadata.ownerReferences[*].kind}}{{"\\n"}}'
        k apply -f all.yaml; {ready}
        k get rs,controllerrevisions -o name
        """
    )
    assert story(pods) == before
    in_order(left, *['" deleted'] * 3, r"\n(ReplicaSet ?)+\n", "created")
    assert len(re.findall(r"(?m)^(?:replicaset|controllerrevision)\.apps/", left)) == 3
    # A Job's pods are no longer counted by anybody: its finalizer must not hold them.
    story(
        "k apply -f job.yaml; k wait pods -l job-name=end --for=create --timeout=60s; "
        "k delete job/end --cascade=orphan; "
        "k wait pods -l job-name=end --for=condition=Ready --timeout=60s; k get pods -l job-name=end",
        job=[job],
    )
    until(
        lambda: (
            cluster.get("pods", "-n", namespace, "-l", "job-name=end")["items"][0]["metadata"].get(
                "finalizers"
            )
            is None
        ),
        "the finalizer's end",
    )
    story("k delete pods -l job-name=end --now --timeout=60s")


def test_scaling_what_has_the_expected_size(cluster: RunningCluster, story: Story, namespace: str) -> None:
    printed = story(
        """
        k apply -f db.yaml; k rollout status sts/db
        k scale sts/db --current-replicas=5 --replicas=1 || echo "ended with $?"
        k scale sts/db --current-replicas=2 --replicas=3; k rollout status sts/db
        k wait pod/db-2 --for=jsonpath='{.status.phase}'=Running --timeout=60s
        k scale sts/db --replicas=1; k wait pod/db-2 pod/db-1 --for=delete --timeout=60s
        k get pods -o name; k get pvc -o name; k wait pvc/data-db-1 pvc/data-db-2 --for=delete --timeout=60s
        k get pvc -o name; k delete sts/db; k wait pvc --all --for=delete --timeout=60s; k get pvc -o name
        """,
        db=[
            *(_volume(namespace, number) for number in range(3)),
            workload(
                "StatefulSet",
                "db",
                persistentVolumeClaimRetentionPolicy={"whenDeleted": "Delete", "whenScaled": "Delete"},
                volumeClaimTemplates=[_claim(namespace)],
            ),
        ],
    )
    in_order(
        printed,
        r"Expected replicas to be 5, was 2\nended with 1|expected replicas to be 5, was 2\nended with 1",
        r"statefulset.apps/db scaled",
        r"\npod/db-0\n",
        r"persistentvolumeclaim/data-db-0\n",
        r'statefulset.apps "db" deleted',
    )
    assert cluster.kubectl("get", "pvc", "-n", namespace, "-o", "name") == ""
    cluster.kubectl("delete", "pv", "-l", f"of={namespace}")


def _claim(storage_class: str) -> dict[str, Any]:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    return {"metadata": {"name": "data"}, "spec": spec | {"storageClassName": storage_class}}


def _volume(storage_class: str, number: int) -> dict[str, Any]:
    """A volume for such a claim."""
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "capacity": {"storage": "1Gi"},
        "storageClassName": storage_class,
    }
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"{storage_class}-{number}", "labels": {"of": storage_class}},
        "spec": spec | {"hostPath": {"path": "/tmp"}},
    }
