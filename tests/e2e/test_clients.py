"""Other people's clients in real containers: commands, their input and exit codes, logs, ports."""

from __future__ import annotations

import asyncio
import io
import os
import shutil
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tests.clients.conftest import run
from tests.clients.tools import NODE, NODE_HOME
from tests.e2e.conftest import RunningCluster, until

pytestmark = [pytest.mark.e2e, pytest.mark.filterwarnings("ignore")]

NAMESPACE, POD = "clients", "one"
WITHIN_S = 60.0
BOTH = ["sh", "-c", "echo out; echo err >&2"]
FAILING = ["sh", "-c", "exit 7"]
READING = ["sh", "-c", 'read line; echo "got $line"']


@pytest.fixture(scope="module")
def kubeconfig(cluster: RunningCluster) -> Iterator[str]:
    """The administrator's, of a cluster in which the pod runs."""
    cluster.kubectl("create", "namespace", NAMESPACE)
    until(
        lambda: "default" in cluster.kubectl("get", "serviceaccounts", "-n", NAMESPACE, "-o", "name"),
        "the default service account",
    )
    container = '{"spec":{"containers":[{"name":"main","image":"podium.local/hello:1"}]}}'
    image = "--image=podium.local/hello:1"
    cluster.kubectl("run", POD, "-n", NAMESPACE, image, f"--overrides={container}")
    cluster.kubectl("wait", f"pod/{POD}", "-n", NAMESPACE, "--for=condition=Ready", "--timeout=90s")
    until(lambda: "listening" in cluster.kubectl("logs", "-n", NAMESPACE, POD), "the first line of its log")
    yield str(cluster.state_dir / "kubeconfig")
    cluster.kubectl("delete", "namespace", NAMESPACE)


def test_kubernetes(kubeconfig: str) -> None:
    pytest.importorskip("kubernetes")
    from kubernetes import client, config, watch  # noqa: PLC0415
    from kubernetes.stream import portforward, stream  # noqa: PLC0415

    # A client for each: a stream changes the one it is given.
    def core() -> Any:
        return client.CoreV1Api(config.new_client_from_config(kubeconfig))

    def start(command: list[str], **more: Any) -> Any:
        return stream(
            core().connect_get_namespaced_pod_exec,
            POD,
            NAMESPACE,
            command=command,
            stdout=True,
            stderr=True,
            _preload_content=False,
            **more,
        )

    both = start(BOTH)
    both.run_forever(timeout=WITHIN_S)
    assert (both.read_stdout(), both.read_stderr(), both.returncode) == ("out\n", "err\n", 0)
    failing = start(FAILING)
    failing.run_forever(timeout=WITHIN_S)
    assert failing.returncode == 7
    reading = start(READING, stdin=True)
    reading.write_stdin("a line\n")
    reading.run_forever(timeout=WITHIN_S)
    assert reading.read_stdout() == "got a line\n"

    followed = watch.Watch().stream(core().read_namespaced_pod_log, name=POD, namespace=NAMESPACE)
    assert "listening" in next(followed)

    forwarded = portforward(core().connect_get_namespaced_pod_portforward, POD, NAMESPACE, ports="8080")
    connection = forwarded.socket(8080)
    connection.settimeout(WITHIN_S)
    connection.sendall(b"GET /cgi-bin/index.cgi HTTP/1.0\r\n\r\n")
    assert connection.recv(4096).startswith(b"HTTP/1.")
    connection.close()


def test_kubernetes_asyncio(kubeconfig: str) -> None:
    pytest.importorskip("kubernetes_asyncio")
    from kubernetes_asyncio import client, config  # noqa: PLC0415
    from kubernetes_asyncio.stream import WsApiClient  # noqa: PLC0415

    async def body() -> None:
        configuration = client.Configuration()
        await config.load_kube_config(kubeconfig, client_configuration=configuration)
        async with WsApiClient(configuration) as api:
            core = client.CoreV1Api(api)
            printed = await core.connect_get_namespaced_pod_exec(
                POD, NAMESPACE, command=BOTH, stdout=True, stderr=True
            )
            assert sorted(printed.split()) == ["err", "out"]
            failing = await core.connect_get_namespaced_pod_exec(
                POD, NAMESPACE, command=FAILING, stdout=True, _preload_content=False
            )
            async with failing as stream:
                errors = [message.data[1:] async for message in stream if message.data[0] == 3]
            assert api.parse_error_data(errors[0].decode()) == 7

    asyncio.run(asyncio.wait_for(body(), WITHIN_S))


def test_lightkube(kubeconfig: str) -> None:
    lightkube = pytest.importorskip("lightkube")
    from lightkube.config.kubeconfig import KubeConfig  # noqa: PLC0415

    # The client without threads: in the other one a thread still reads from the number of a socket that has
    # been closed, and so takes bytes from the next connection (WRONG_VERSION_NUMBER, once in five).
    async def body() -> None:
        client = lightkube.AsyncClient(config=KubeConfig.from_file(kubeconfig), namespace=NAMESPACE)

        async def execute(command: list[str], **more: Any) -> Any:
            return await client.exec(POD, command=command, stdout=True, timeout=WITHIN_S, **more)

        both = await execute(BOTH, stderr=True)
        assert (both.stdout, both.stderr, both.exit_code) == ("out\n", "err\n", 0)
        assert (await execute(FAILING)).exit_code == 7
        assert (await execute(READING, stdin="a line\n")).stdout == "got a line\n"
        assert "listening" in "".join([line async for line in client.log(POD)])
        await client.close()

    asyncio.run(asyncio.wait_for(body(), 2 * WITHIN_S))


def test_kr8s(kubeconfig: str) -> None:
    kr8s = pytest.importorskip("kr8s")
    from kr8s.objects import Pod  # noqa: PLC0415

    api = kr8s.api(kubeconfig=kubeconfig, namespace=NAMESPACE)
    pod = Pod.get(POD, api=api)
    output, errors = io.BytesIO(), io.BytesIO()
    assert pod.exec(BOTH, stdout=output, stderr=errors).returncode == 0
    assert (output.getvalue(), errors.getvalue()) == (b"out\n", b"err\n")
    assert pod.exec(FAILING, check=False).returncode == 7
    assert "listening" in next(iter(pod.logs(follow=True)))
    with pod.portforward(remote_port=8080) as port:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://127.0.0.1:{port}/cgi-bin/index.cgi", timeout=WITHIN_S) as answer:
            assert answer.status == 200


def test_pykube(kubeconfig: str) -> None:
    """It has no way to run a command."""
    pykube = pytest.importorskip("pykube")
    api = pykube.HTTPClient(pykube.KubeConfig.from_file(kubeconfig), timeout=WITHIN_S)
    pod = pykube.Pod.objects(api, namespace=NAMESPACE).get_by_name(POD)
    assert "listening" in pod.logs(container="main", tail_lines=5)


def test_node(kubeconfig: str) -> None:
    program = shutil.which("node")
    if program is None or not NODE_HOME.exists():
        pytest.skip("no node here, or its client library is not installed (python -m tests.clients.tools)")
    environment = {
        **os.environ,
        "KUBECONFIG": kubeconfig,
        "CLIENT_HOME": str(NODE_HOME),
        "NAMESPACE": NAMESPACE,
        "POD": POD,
    }
    done = run(program, str(NODE / "exec.mjs"), env=environment, timeout=2 * WITHIN_S)
    assert done.returncode == 0, done.stdout + done.stderr
