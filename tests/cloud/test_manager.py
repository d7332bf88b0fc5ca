"""The program: two managers and an API server, as processes, each with the rights of its role alone."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest

from podium.base import pki
from podium.cmd import cloud_controller_manager
from tests.cloud.builders import node, service
from tests.wire.server import Running, running

PATIENCE_S = 30.0
T = TypeVar("T")
LEASE = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/cloud-controller-manager"
SERVICES = "/api/v1/namespaces/default/services"


def call(server: Running, method: str, path: str, body: Any = None) -> Any:
    request = urllib.request.Request(
        server.url + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"authorization": f"Bearer {server.token}", "content-type": "application/json"},
    )
    context = ssl.create_default_context(cafile=str(server.ca_file))
    with urllib.request.urlopen(request, context=context, timeout=PATIENCE_S) as answer:
        return json.loads(answer.read())


def until(check: Callable[[], T], what: str) -> T:
    deadline = time.monotonic() + PATIENCE_S
    while not (value := check()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not in time: {what}")
        time.sleep(0.05)
    return value


def kubeconfig(server: Running, directory: Path) -> Path:
    """Return the file with which its bearer is system:cloud-controller-manager."""
    ca = pki.KeyPair(
        certificate_pem=(directory / "ca.crt").read_bytes(), key_pem=(directory / "ca.key").read_bytes()
    )
    pair = pki.issue(ca, common_name="system:cloud-controller-manager", client=True)
    user = {
        "client-certificate-data": base64.b64encode(pair.certificate_pem).decode(),
        "client-key-data": base64.b64encode(pair.key_pem).decode(),
    }
    cluster = {"server": server.url, "certificate-authority": str(server.ca_file)}
    path = directory / "cloud.kubeconfig"
    path.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "c", "cluster": cluster}],
                "users": [{"name": "u", "user": user}],
                "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
                "current-context": "c",
            }
        )
    )
    return path


@contextlib.contextmanager
def managers(
    server: Running, directory: Path, count: int, *flags: str
) -> Iterator[tuple[list[subprocess.Popen[bytes]], list[Path]]]:
    logs = [directory / f"manager-{number}.log" for number in range(count)]
    command = [sys.executable, "-m", "podium.cmd.cloud_controller_manager"]
    command += [f"--kubeconfig={kubeconfig(server, directory)}", "--cloud-provider=local", *flags]
    command.append("--secure-port=0")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    processes = []
    for log in logs:
        with log.open("ab") as output:
            processes.append(subprocess.Popen(command, stderr=output, env=environment))
    try:
        yield processes, logs
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(timeout=10)


def addresses(server: Running) -> list[str]:
    return [
        ingress["ip"]
        for one in call(server, "GET", SERVICES)["items"]
        for ingress in (one["status"].get("loadBalancer") or {}).get("ingress") or ()
    ]


def make(server: Running, *names: str) -> None:
    for name in names:
        made = service(name)
        made["spec"]["ports"] = [{"port": 80}]
        call(server, "POST", SERVICES, made)


RANGE = "--local-load-balancer-range=192.0.2.0/28"


def complaints(logs: Sequence[Path]) -> list[str]:
    lines = [line for log in logs for line in log.read_text().splitlines()]
    return [line for line in lines if "forbidden" in line.lower() or "crashed" in line]


def test_a_killed_leader_is_replaced_and_no_address_is_given_twice(tmp_path: Path) -> None:
    flags = [
        RANGE,
        "--leader-elect-lease-duration=4s",
        "--leader-elect-renew-deadline=3500ms",
        "--leader-elect-retry-period=200ms",
    ]
    with (
        running(tmp_path, "--authorization-mode=RBAC") as server,
        managers(server, tmp_path, 2, *flags) as (processes, logs),
    ):
        make(server, "a", "b", "c")
        until(lambda: len(addresses(server)) == 3, "the first addresses")
        holder = call(server, "GET", LEASE)["spec"]["holderIdentity"]
        (leader,) = (p for p, log in zip(processes, logs, strict=True) if holder in log.read_text())
        make(server, "d", "e", "f")
        leader.kill()
        make(server, "g", "h")
        call(server, "DELETE", f"{SERVICES}/a")
        until(lambda: names(server) == {"kubernetes", *"bcdefgh"}, "the end of what was deleted")
        until(lambda: len(addresses(server)) == 7, "an address for everyone else")
        assert len(set(addresses(server))) == 7
        assert call(server, "GET", LEASE)["spec"]["holderIdentity"] != holder
        assert complaints(logs) == []


def test_accounts_of_their_own_have_all_the_rights_they_need(tmp_path: Path) -> None:
    flags = [RANGE, "--leader-elect=false", "--use-service-account-credentials"]
    with (
        running(tmp_path, "--authorization-mode=RBAC") as server,
        managers(server, tmp_path, 1, *flags) as (_, logs),
    ):
        uninitialized = {"key": "node.cloudprovider.kubernetes.io/uninitialized", "effect": "NoSchedule"}
        call(server, "POST", "/api/v1/nodes", node(taints=[uninitialized]))
        make(server, "a")

        def initialised() -> Any:
            found = call(server, "GET", "/api/v1/nodes/n1")
            return found if found["spec"].get("providerID") else None

        spec = until(initialised, "an initialised node")["spec"]
        assert (spec["providerID"], uninitialized["key"] in str(spec)) == ("local://n1", False)

        until(lambda: addresses(server) == ["192.0.2.1"], "an address")
        assert finalizers(server, "a") == ["service.kubernetes.io/load-balancer-cleanup"]
        changed = call(server, "GET", f"{SERVICES}/a")
        changed["spec"]["type"] = "ClusterIP"
        del changed["spec"]["ports"][0]["nodePort"], changed["metadata"]["resourceVersion"]
        call(server, "PUT", f"{SERVICES}/a", changed)
        until(lambda: finalizers(server, "a") == [], "no finalizer on another type")
        assert addresses(server) == []
        assert complaints(logs) == []


def names(server: Running) -> set[str]:
    return {one["metadata"]["name"] for one in call(server, "GET", SERVICES)["items"]}


def finalizers(server: Running, name: str) -> list[str]:
    found: list[str] = call(server, "GET", f"{SERVICES}/{name}")["metadata"].get("finalizers") or []
    return found


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "--cloud-provider cannot be empty"),
        (["--cloud-provider=nonsense"], 'unknown cloud provider "nonsense"'),
        (["--cloud-provider=no.such.module:make"], "could not load cloud provider"),
        (["--cloud-provider=podium.cloud.interface:nothing"], "has no function 'nothing'"),
        (["--cloud-provider=local", "--local-load-balancer-range=x"], "--local-load-balancer-range: "),
        (["--cloud-provider=local", "--cluster-cidr=10.0.0.0/99"], "--cluster-cidr: "),
        (["--cloud-provider=local", "--cluster-cidr=10.0.0.0/9,10.1.0.0/16"], "not configured as dual stack"),
        (["--cloud-provider=fake", "--cloud-config=/does/not/exist"], "/does/not/exist"),
        (["--cloud-provider=fake", "--controllers=nonsense"], '"nonsense" is not in the list of known'),
        (["--cloud-provider=fake", "--concurrent-service-syncs=0"], "--concurrent-service-syncs must be"),
    ],
    ids=str,
)
def test_wrong_flags(flags: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        cloud_controller_manager.main(["--kubeconfig=x", *flags])
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("wish", "names"),
    [
        ("*", ["cloud-node", "cloud-node-lifecycle", "service-lb", "node-route"]),
        ("service", ["service-lb"]),
        ("*,-route,-cloud-node-lifecycle", ["cloud-node", "service-lb"]),
        ("cloud-node-controller", ["cloud-node"]),
    ],
)
def test_controllers_go_by_their_names_of_old_too(wish: str, names: list[str]) -> None:
    known = cloud_controller_manager.all_controllers()
    found = cloud_controller_manager._chosen(known, wish)
    assert [controller.name.removesuffix("-controller") for controller in found] == names
