"""The README's transcript, from the first `kubectl get nodes` to an empty machine, as a user would type it.

The tests of this file run in order and build on one another, as the commands of a session do.
"""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import select
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.e2e.conftest import ROOT, WAIT_S, RunningCluster, kubectl_program, until

pytestmark = pytest.mark.e2e

NS = ("-n", "hello")
REQUESTS = 60


def fetch(url: str) -> str:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=5) as answer:
        body: bytes = answer.read()
    return body.decode()


def answer(url: str) -> str:
    """Return what `url` answers, "" while nobody does: a rule of the proxy may come or go a little later."""
    try:
        return fetch(url)
    except OSError:
        return ""


def pods(cluster: RunningCluster, *, ready: bool = True) -> list[str]:
    """Names of the hello pods that are not on their way out."""
    items = cluster.get("pods", *NS)["items"]
    return [
        pod["metadata"]["name"]
        for pod in items
        if "deletionTimestamp" not in pod["metadata"]
        and (
            not ready
            or any(
                c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", [])
            )
        )
    ]


def test_the_cluster_presents_itself(cluster: RunningCluster) -> None:
    nodes = cluster.kubectl("get", "nodes", "-o", "wide").splitlines()
    assert re.match(r"NAME +STATUS +ROLES +AGE +VERSION +INTERNAL-IP +EXTERNAL-IP +OS-IMAGE", nodes[0])
    assert re.search(r" Ready .* containerd://", nodes[1])
    assert "is running at" in cluster.kubectl("cluster-info")
    assert "deployments" in cluster.kubectl("api-resources")
    assert re.search(r"Server Version: v1\.36", cluster.kubectl("version"))
    cluster.kubectl("get", "pods", "-A")


def test_the_example_comes_up(cluster: RunningCluster) -> None:
    cluster.kubectl("apply", "-f", str(ROOT / "examples" / "hello"))
    cluster.kubectl("rollout", "status", "deploy/hello", *NS, "--timeout=90s")
    table = cluster.kubectl("get", "deploy,rs,po,svc,ep", *NS, "-o", "wide")
    assert "deployment.apps/hello   3/3" in table
    assert len(pods(cluster)) == 3


def test_applying_again_changes_nothing(cluster: RunningCluster) -> None:
    output = cluster.kubectl("apply", "-f", str(ROOT / "examples" / "hello"))
    assert set(re.findall(r"(\w+)$", output, re.MULTILINE)) == {"unchanged"}


def test_the_service_balances_over_the_pods(cluster: RunningCluster) -> None:
    address = cluster.get("service", "hello", *NS)["spec"]["clusterIP"]

    def answers() -> set[str]:
        return {answer(f"http://{address}/") for _ in range(REQUESTS)} - {""}

    seen = until(lambda: len(found := answers()) == 3 and found, "an answer from each pod")
    assert {re.sub(r"hello-\S+", "POD", text) for text in seen or ()} == {"Hello from POD (green)\n"}


def test_a_node_port_answers(cluster: RunningCluster) -> None:
    cluster.kubectl(
        "expose", "deploy/hello", *NS, "--name=outside", "--type=NodePort", "--port=80", "--target-port=http"
    )
    port = cluster.get("service", "outside", *NS)["spec"]["ports"][0]["nodePort"]
    node = cluster.get("nodes")["items"][0]
    address = next(a["address"] for a in node["status"]["addresses"] if a["type"] == "InternalIP")
    until(lambda: answer(f"http://{address}:{port}/").startswith("Hello"), "an answer on the node port")


def test_names_resolve_in_pods(cluster: RunningCluster) -> None:
    pod = pods(cluster)[0]
    address = cluster.get("service", "hello", *NS)["spec"]["clusterIP"]

    def resolves(name: str) -> bool:
        asked = cluster.kubectl("exec", *NS, pod, "--", "wget", "-qO-", f"http://{name}/", check=False)
        return asked.startswith("Hello from")

    for name in ("hello", "hello.hello", "hello.hello.svc.cluster.local"):
        until(partial(resolves, name), name)
    lookup = cluster.kubectl("exec", *NS, pod, "--", "nslookup", "hello.hello.svc.cluster.local")
    assert address in lookup


def test_logs(cluster: RunningCluster) -> None:
    pod = pods(cluster)[0]
    assert "hello: listening on port 8080" in cluster.kubectl("logs", *NS, pod)
    assert len(cluster.kubectl("logs", *NS, pod, "--tail=1").splitlines()) == 1


def test_logs_follow(cluster: RunningCluster) -> None:
    pod = pods(cluster)[0]
    address = cluster.get("pod", pod, *NS)["status"]["podIP"]
    with subprocess.Popen(
        [kubectl_program(), "logs", "-f", "--tail=0", *NS, pod],
        env={**os.environ, "KUBECONFIG": str(cluster.state_dir / "kubeconfig")},
        stdout=subprocess.PIPE,
    ) as follower:
        assert follower.stdout is not None
        try:
            deadline = time.monotonic() + WAIT_S
            while time.monotonic() < deadline:
                fetch(f"http://{address}:8080/")
                if select.select([follower.stdout], [], [], 0.3)[0]:
                    break
            else:
                pytest.fail("no log line followed")
            assert follower.stdout.readline()
        finally:
            follower.terminate()


def test_exec(cluster: RunningCluster) -> None:
    pod = pods(cluster)[0]
    assert cluster.kubectl("exec", *NS, pod, "--", "hostname").strip() == pod
    assert (
        cluster.kubectl("exec", "-i", *NS, pod, "--", "cat", stdin="through and back") == "through and back"
    )
    failed = cluster.kubectl("exec", *NS, pod, "--", "sh", "-c", "exit 7", check=False)
    assert "exit code 7" in failed


def test_exec_on_a_terminal(cluster: RunningCluster) -> None:
    pod = pods(cluster)[0]
    child, terminal = pty.fork()
    if child == 0:
        os.environ["KUBECONFIG"] = str(cluster.state_dir / "kubeconfig")
        os.execv(kubectl_program(), ["kubectl", "exec", "-it", *NS, pod, "--", "sh"])
    seen = b""
    os.write(terminal, b"echo $((6*7)); tty; exit\n")
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline and select.select([terminal], [], [], WAIT_S)[0]:
        try:
            data = os.read(terminal, 4096)
        except OSError:  # how Linux says that the other side of a terminal is gone
            break
        seen += data
    _, status = os.waitpid(child, 0)
    assert b"42" in seen
    assert b"/dev/pts/" in seen
    assert os.waitstatus_to_exitcode(status) == 0


def test_port_forward(cluster: RunningCluster) -> None:
    pod = pods(cluster)[0]
    with subprocess.Popen(
        [kubectl_program(), "port-forward", *NS, pod, ":8080"],
        env={**os.environ, "KUBECONFIG": str(cluster.state_dir / "kubeconfig")},
        stdout=subprocess.PIPE,
        text=True,
    ) as forwarder:
        assert forwarder.stdout is not None
        try:
            line = forwarder.stdout.readline()
            port = re.search(r"127\.0\.0\.1:(\d+)", line)
            assert port is not None, line
            for _ in range(3):
                assert pod in fetch(f"http://127.0.0.1:{port[1]}/")
        finally:
            forwarder.terminate()


def test_describe_tells_the_pod_s_story(cluster: RunningCluster) -> None:
    pod = pods(cluster)[0]

    def told() -> bool:
        story = cluster.kubectl("describe", "pod", *NS, pod)
        reasons = ("Scheduled", "Pulled", "Created", "Started")
        return all(re.search(rf"Normal +{reason} ", story) for reason in reasons)

    until(told, "an event for each step")


def test_a_deleted_pod_is_replaced(cluster: RunningCluster) -> None:
    gone = pods(cluster)[0]
    cluster.kubectl("delete", "pod", *NS, gone)
    until(lambda: len(pods(cluster)) == 3, "three pods again")
    assert gone not in pods(cluster, ready=False)


def test_a_configmap_s_change_reaches_the_pods(cluster: RunningCluster) -> None:
    cluster.kubectl("patch", "configmap", "hello", *NS, "-p", '{"data":{"greeting":"Bonjour"}}')
    address = cluster.get("service", "hello", *NS)["spec"]["clusterIP"]
    until(lambda: answer(f"http://{address}/").startswith("Bonjour"), "the new greeting")


def image_of(cluster: RunningCluster) -> set[str]:
    items = cluster.get("pods", *NS)["items"]
    return {
        pod["spec"]["containers"][0]["image"] for pod in items if "deletionTimestamp" not in pod["metadata"]
    }


def test_rollout_and_undo(cluster: RunningCluster) -> None:
    cluster.kubectl("set", "image", *NS, "deploy/hello", "web=podium.local/hello:2")
    cluster.kubectl("rollout", "status", *NS, "deploy/hello", "--timeout=90s")
    assert image_of(cluster) == {"podium.local/hello:2"}
    assert "2" in cluster.kubectl("rollout", "history", *NS, "deploy/hello")
    cluster.kubectl("rollout", "undo", *NS, "deploy/hello")
    cluster.kubectl("rollout", "status", *NS, "deploy/hello", "--timeout=90s")
    assert image_of(cluster) == {"podium.local/hello:1"}


def test_scale(cluster: RunningCluster) -> None:
    cluster.kubectl("scale", *NS, "deploy/hello", "--replicas=5")
    until(lambda: len(pods(cluster)) == 5, "five pods")
    cluster.kubectl("scale", *NS, "deploy/hello", "--replicas=2")
    until(lambda: len(cluster.get("pods", *NS)["items"]) == 2, "two pods")


def test_an_image_that_is_not_there_is_told(cluster: RunningCluster) -> None:
    cluster.kubectl("run", "lost", *NS, "--image=podium.local/lost:1", "--image-pull-policy=Never")
    until(lambda: "ErrImageNeverPull" in cluster.kubectl("get", "pod", *NS, "lost"), "ErrImageNeverPull")
    cluster.kubectl("delete", "pod", *NS, "lost")


def test_a_pod_too_large_says_why_it_waits(cluster: RunningCluster) -> None:
    container = {
        "name": "c",
        "image": "podium.local/hello:1",
        "resources": {"requests": {"cpu": "1000"}},
    }
    spec = json.dumps({"spec": {"containers": [container]}})
    cluster.kubectl("run", "large", *NS, "--image=podium.local/hello:1", f"--overrides={spec}")
    until(
        lambda: (
            "0/1 nodes are available: 1 Insufficient cpu" in cluster.kubectl("describe", "pod", *NS, "large")
        ),
        "the FailedScheduling event",
    )
    cluster.kubectl("delete", "pod", *NS, "large")


def test_a_crashing_container_backs_off(cluster: RunningCluster) -> None:
    cluster.kubectl(
        "run", "crash", *NS, "--image=podium.local/hello:1", "--command", "--", "sh", "-c", "exit 3"
    )
    until(lambda: "CrashLoopBackOff" in cluster.kubectl("get", "pod", *NS, "crash"), "CrashLoopBackOff")
    status = cluster.get("pod", "crash", *NS)["status"]["containerStatuses"][0]
    assert status["lastState"]["terminated"]["exitCode"] == 3
    cluster.kubectl("delete", "pod", *NS, "crash")


def container_processes() -> int:
    """How many processes of the example's image there are on this machine."""
    return sum(b"/www/serve" in command for command in commands())


def commands() -> Iterator[bytes]:
    """Yield the command line of every process of this machine."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has just ended
            yield (process / "cmdline").read_bytes()


def denials(cluster: RunningCluster) -> list[str]:
    """Return the lines that count what authorizers have denied since the API server started."""
    lines = cluster.kubectl("get", "--raw", "/metrics").splitlines()
    counted = [line for line in lines if line.startswith("apiserver_authorization_decisions_total")]
    assert any('decision="allowed"' in line for line in counted)
    return [line for line in counted if 'decision="denied"' in line and not line.endswith(" 0")]


def test_each_component_has_all_the_rights_it_needs(cluster: RunningCluster) -> None:
    assert denials(cluster) == []


COMPONENTS = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "containerd",
    "kubelet",
    "kube-proxy",
    "podium-dns",
)


@pytest.mark.parametrize("component", COMPONENTS)
def test_a_killed_component_heals_and_containers_stay(cluster: RunningCluster, component: str) -> None:
    def containers() -> dict[str, int]:
        return {
            status["containerID"]: status["restartCount"]
            for pod in cluster.get("pods", *NS)["items"]
            for status in pod["status"].get("containerStatuses", ())
        }

    before = containers()
    pid = cluster.component_pid(component)
    os.kill(pid, signal.SIGKILL)
    until(lambda: cluster.component_pid(component) != pid, f"another {component}")
    until(lambda: "ok" in cluster.kubectl("get", "--raw=/readyz", check=False), "readyz")
    # The proof that it heals: something new still goes through the whole cluster.
    name = f"after-{component}"
    cluster.kubectl("create", "deployment", *NS, name, "--image=podium.local/hello:1")
    cluster.kubectl("expose", "deployment", *NS, name, "--port=80", "--target-port=8080")
    cluster.kubectl("rollout", "status", *NS, f"deploy/{name}", "--timeout=90s")
    address = cluster.get("service", name, *NS)["spec"]["clusterIP"]
    until(lambda: "from" in answer(f"http://{address}/cgi-bin/index.cgi"), "the new service")
    probe = ("exec", *NS, pods(cluster)[0], "--", "wget", "-qO-", f"http://{name}/")
    until(lambda: "from" in cluster.kubectl(*probe, check=False), "the new name")
    cluster.kubectl("delete", "deployment,service", *NS, name)
    until(lambda: containers() == before, "the same containers as before, never restarted")


def test_nothing_is_left_of_a_deleted_namespace(cluster: RunningCluster) -> None:
    assert container_processes() > 0
    cluster.kubectl("delete", "namespace", "hello", "--timeout=90s")
    assert "NotFound" in cluster.kubectl("get", "namespace", "hello", check=False)
    until(lambda: container_processes() == 0, "no container left")
    assert denials(cluster) == []


def test_the_cluster_wakes_with_its_data(cluster: RunningCluster) -> None:
    cluster.kubectl("create", "configmap", "kept", "--from-literal=key=value")
    assert "is stopped" in cluster.podium("down").stdout
    assert cluster.podium("status", check=False).returncode == 3
    cluster.podium("up")
    assert cluster.get("configmap", "kept")["data"] == {"key": "value"}
    assert "kubelet" in cluster.podium("status").stdout


def test_a_killed_supervisor_is_survived(cluster: RunningCluster) -> None:
    cluster.kubectl("create", "deployment", "steady", "--image=podium.local/hello:1")
    cluster.kubectl("rollout", "status", "deploy/steady", "--timeout=90s")
    pid = int((cluster.state_dir / "lock").read_text())
    os.kill(pid, signal.SIGKILL)
    until(lambda: cluster.podium("status", check=False).returncode == 3, "the end of the supervisor")
    cluster.podium("up")
    cluster.kubectl("rollout", "status", "deploy/steady", "--timeout=90s")
    assert cluster.get("pods")["items"][0]["status"]["containerStatuses"][0]["restartCount"] == 0


def test_down_leaves_nothing_behind(cluster: RunningCluster) -> None:
    cluster.podium("down")
    run_dir = f"/run/podium/{_slot(cluster)}"
    mounts = Path("/proc/self/mountinfo").read_text()
    assert run_dir not in mounts
    assert str(cluster.state_dir) not in mounts
    assert not Path(run_dir).exists()
    assert container_processes() == 0
    for line in commands():
        command = line.decode(errors="replace")
        assert str(cluster.state_dir) not in command, command
        assert run_dir not in command, command
    tables = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True).stdout
    assert f"podium-{_slot(cluster)}-" not in tables
    for kind in ("netns", "link"):
        listed = subprocess.run(["ip", kind, "show"], capture_output=True, text=True, check=True).stdout
        assert f"podium-{_slot(cluster)}" not in listed
    assert not list(Path("/sys/fs/cgroup").glob(f"**/podium-{_slot(cluster)}"))


def _slot(cluster: RunningCluster) -> int:
    return int(json.loads((cluster.state_dir / "cluster.json").read_text())["slot"])
