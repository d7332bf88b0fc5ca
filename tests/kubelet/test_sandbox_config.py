"""Names, DNS, hosts files, cgroups and security of pods and containers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from podium.kubelet.cgroups import container_resources, cpu_shares, make_room, pod_cgroup
from podium.kubelet.container_config import container_security, subpath_of
from podium.kubelet.cri.runtime import DnsConfig, Image, Resources
from podium.kubelet.environment import ConfigFault
from podium.kubelet.sandbox_config import (
    ClusterSettings,
    HostDns,
    dns_config,
    hostname,
    hosts_file,
    parse_resolv_conf,
    sandbox_config,
)
from podium.machinery.errors import Object
from tests.kubelet.node import make_pod

GIB = 1024**3
SETTINGS = ClusterSettings(
    node_name="node-1",
    cluster_dns=("10.96.0.10",),
    host_dns=HostDns(servers=("192.0.2.53",), searches=("example.com",), options=("rotate",)),
    host_ips=("192.0.2.1",),
    memory_bytes=8 * GIB,
)
CLUSTER = DnsConfig(
    servers=("10.96.0.10",),
    searches=("shop.svc.cluster.local", "svc.cluster.local", "cluster.local", "example.com"),
    options=("ndots:5",),
)
HOST = DnsConfig(servers=("192.0.2.53",), searches=("example.com",), options=("rotate",))


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, CLUSTER),
        ({"dnsPolicy": "Default"}, HOST),
        ({"hostNetwork": True}, HOST),
        ({"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"}, CLUSTER),
        (
            {
                "dnsPolicy": "None",
                "dnsConfig": {
                    "nameservers": ["1.1.1.1"],
                    "searches": ["a.b"],
                    "options": [{"name": "ndots", "value": "2"}, {"name": "edns0"}],
                },
            },
            DnsConfig(servers=("1.1.1.1",), searches=("a.b",), options=("ndots:2", "edns0")),
        ),
        (
            {"dnsConfig": {"options": [{"name": "ndots", "value": "1"}]}},
            DnsConfig(servers=CLUSTER.servers, searches=CLUSTER.searches, options=("ndots:1",)),
        ),
    ],
    ids=str,
)
def test_dns(spec: dict[str, Any], expected: DnsConfig) -> None:
    assert dns_config(make_pod({"name": "app"}, **spec), SETTINGS) == expected


def test_resolv_conf() -> None:
    text = "# c\nnameserver 192.0.2.53 # x\nsearch a\nsearch b c\noptions ndots:2 rotate\n"
    assert parse_resolv_conf(text) == HostDns(
        servers=("192.0.2.53",), searches=("b", "c"), options=("ndots:2", "rotate")
    )


def test_host_names_and_hosts_files() -> None:
    pod = make_pod(
        {"name": "app"},
        hostname="db-0",
        subdomain="db",
        hostAliases=[{"ip": "192.0.2.9", "hostnames": ["nine", "neuf"]}],
    )
    assert hostname(pod, SETTINGS) == "db-0"
    text = hosts_file(pod, SETTINGS, ["10.0.0.2"], node_hosts="")
    assert "10.0.0.2\tdb-0.db.shop.svc.cluster.local\tdb-0\n" in text
    assert text.endswith("\n# Entries added by HostAliases.\n192.0.2.9\tnine\tneuf\n")
    pod["spec"]["setHostnameAsFQDN"] = True
    assert hostname(pod, SETTINGS) == "db-0.db.shop.svc.cluster.local"
    host = make_pod({"name": "app"}, hostNetwork=True)
    assert hostname(host, SETTINGS) == "node-1"
    assert hosts_file(host, SETTINGS, [], node_hosts="127.0.0.1\tx\n").startswith(
        "# Kubernetes-managed hosts file (host network).\n127.0.0.1\tx\n"
    )
    assert hostname(make_pod({"name": "app"}, name="x" * 70), SETTINGS) == "x" * 63


def test_sandboxes_carry_labels_that_find_them_again() -> None:
    pod = make_pod({"name": "app"}, hostPID=True)
    pod["metadata"]["labels"] = {"app": "web"}
    config = sandbox_config(pod, SETTINGS, attempt=2, log_directory="/logs", cgroup_parent="/cg")
    uid = pod["metadata"]["uid"]
    assert config.labels == {
        "app": "web",
        "io.kubernetes.pod.name": "web",
        "io.kubernetes.pod.namespace": "shop",
        "io.kubernetes.pod.uid": uid,
    }
    assert (config.attempt, config.namespaces.pid, config.namespaces.network) == (2, "NODE", "POD")


@pytest.mark.parametrize(
    ("resources", "qos", "expected"),
    [
        ({}, "besteffort/", Resources(cpu_shares=2, oom_score_adj=1000)),
        (
            {"requests": {"cpu": "500m", "memory": "2Gi"}, "limits": {"memory": "4Gi"}},
            "burstable/",
            Resources(cpu_shares=512, memory_limit_bytes=4 * GIB, oom_score_adj=750),
        ),
        (
            {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1", "memory": "1Gi"}},
            "",
            Resources(
                cpu_shares=1024,
                cpu_quota=100_000,
                cpu_period=100_000,
                memory_limit_bytes=GIB,
                oom_score_adj=-997,
            ),
        ),
    ],
    ids=["best effort", "burstable", "guaranteed"],
)
def test_resources_become_cgroup_settings(resources: Object, qos: str, expected: Resources) -> None:
    container: Object = {"name": "app", "resources": resources}
    pod = make_pod(container)
    assert container_resources(pod, container, 8 * GIB) == expected
    assert pod_cgroup(pod, "podium") == f"/podium/kubepods/{qos}pod{pod['metadata']['uid']}"


def test_cpu_shares_stay_within_the_kernels_bounds() -> None:
    assert [cpu_shares(amount) for amount in (0, 1, 1000, 10**9)] == [2, 2, 1024, 262144]


IMAGE = Image(id="i")


@pytest.mark.parametrize(
    ("pod_context", "context", "image", "message"),
    [
        ({"runAsNonRoot": True}, {}, IMAGE, "image will run as root"),
        ({"runAsNonRoot": True}, {}, Image(id="i", uid=0), "image will run as root"),
        ({}, {"runAsNonRoot": True, "runAsUser": 0}, IMAGE, "breaks non-root policy"),
        ({}, {"runAsNonRoot": True}, Image(id="i", username="app"), "non-numeric user (app)"),
        ({"runAsNonRoot": True}, {}, Image(id="i", uid=7), None),
        ({"runAsNonRoot": True, "runAsUser": 0}, {"runAsUser": 7}, IMAGE, None),
    ],
    ids=str,
)
def test_run_as_non_root(pod_context: Object, context: Object, image: Image, message: str | None) -> None:
    container: Object = {"name": "app", "securityContext": context}
    pod = make_pod(container, securityContext=pod_context)
    if message is None:
        assert container_security(pod, container, image).run_as_user == 7
        return
    with pytest.raises(ConfigFault) as fault:
        container_security(pod, container, image)
    assert message in str(fault.value)


def test_security_contexts() -> None:
    container: Object = {
        "name": "app",
        "securityContext": {
            "capabilities": {"add": ["NET_ADMIN"], "drop": ["ALL"]},
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    pod = make_pod(container, securityContext={"fsGroup": 5, "supplementalGroups": [6]})
    security = container_security(pod, container, IMAGE)
    assert security.no_new_privileges
    assert security.read_only_root
    assert (security.add_capabilities, security.drop_capabilities) == (("NET_ADMIN",), ("ALL",))
    assert security.supplemental_groups == (6, 5)
    assert security.seccomp is not None
    assert security.seccomp.type == "RuntimeDefault"
    assert "/proc/kcore" in security.masked_paths
    container["securityContext"] = {"privileged": True}
    assert container_security(pod, container, IMAGE).masked_paths == ()


@pytest.mark.parametrize(
    ("mount", "path"),
    [
        ({}, ""),
        ({"subPath": "a/b"}, "a/b"),
        ({"subPathExpr": "$(POD)/x"}, "web/x"),
        ({"subPath": "../x"}, None),
        ({"subPath": "/x"}, None),
        ({"subPathExpr": "$(NONE)"}, None),
    ],
    ids=str,
)
def test_subpaths(mount: Object, path: str | None) -> None:
    if path is None:
        with pytest.raises(ConfigFault):
            subpath_of(mount, {"POD": "web"})
    else:
        assert subpath_of(mount, {"POD": "web"}) == path


def test_only_an_inner_root_cgroup_of_v2_is_emptied(tmp_path: Path) -> None:
    assert make_room(tmp_path) == 0
    (tmp_path / "cgroup.controllers").write_text("cpu memory\n")
    (tmp_path / "cgroup.procs").write_text("7\n8\n")
    assert make_room(tmp_path) == 0
    (tmp_path / "cgroup.type").write_text("domain\n")
    assert make_room(tmp_path) == 2
    assert (tmp_path / "init" / "cgroup.procs").read_text() == "8"
