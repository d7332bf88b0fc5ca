"""Kubelets that attack: a node's credentials are good for that node, its pods, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from podium.machinery.errors import Object
from tests.apiserver.security.cluster import N1, NS, Cluster, pod, run

MERGE = "application/merge-patch+json"
SELF = "/api/v1/nodes/n1"
SLICES = "/apis/resource.k8s.io/v1/resourceslices"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
CSINODES = "/apis/storage.k8s.io/v1/csinodes"


async def populate(cluster: Cluster) -> None:
    """Put a pod on each node, each with a secret of its own."""
    for name in ("n1", "n2"):
        await cluster.ok("POST", f"{NS}/secrets", {"metadata": {"name": f"of-{name}"}})
        volumes = [{"name": "s", "secret": {"secretName": f"of-{name}"}}]
        await cluster.ok("POST", f"{NS}/pods", pod(f"on-{name}", name, volumes=volumes))


async def mirror(cluster: Cluster, **spec: Any) -> Object:
    node = await cluster.ok("GET", SELF)
    owner = {
        "apiVersion": "v1",
        "kind": "Node",
        "name": "n1",
        "uid": node["metadata"]["uid"],
        "controller": True,
    }
    made = pod("mirror", "n1", **spec)
    made["metadata"].update(annotations={"kubernetes.io/config.mirror": "x"}, ownerReferences=[owner])
    return made


def test_a_node_reads_what_its_own_pods_need_and_nothing_else(tmp_path: Path) -> None:
    async def attack(cluster: Cluster) -> None:
        await populate(cluster)
        await cluster.ok("GET", f"{NS}/secrets/of-n1", who=N1)
        assert "no relationship found" in await cluster.refused(N1, "GET", f"{NS}/secrets/of-n2")
        for path in (f"{NS}/secrets", "/api/v1/secrets", f"{NS}/secrets?fieldSelector=metadata.name%3Dof-n2"):
            await cluster.refused(N1, "GET", path)
        await cluster.ok("GET", f"{NS}/secrets?fieldSelector=metadata.name%3Dof-n1", who=N1)
        await cluster.ok("GET", "/api/v1/pods?fieldSelector=spec.nodeName%3Dn1", who=N1)
        for selector in ("spec.nodeName%3Dn2", "spec.nodeName!%3Dn1", "metadata.name%3Don-n2", ""):
            await cluster.refused(N1, "GET", f"/api/v1/pods?fieldSelector={selector}")
        await cluster.refused(N1, "GET", f"{NS}/pods/on-n2")
        await cluster.refused(N1, "GET", "/api/v1/nodes/n2")
        await cluster.refused(N1, "GET", "/api/v1/nodes")

    run(tmp_path, attack)


@pytest.mark.parametrize(
    "selector",
    [
        "type!%3D\\%2Cmetadata.name%3Dof-n1",
        "type!%3Dx\\%2Cmetadata.name%3Dof-n1",
        "metadata.name!%3Dof-n1",
        "metadata.name%3Dof-n2&fieldSelector=metadata.name%3Dof-n1",
        "type%3DOpaque%2Cmetadata.name%3Dof-n2",
    ],
)
def test_a_name_in_a_selector_is_the_name_that_is_listed(tmp_path: Path, selector: str) -> None:
    """What is authorized as one object must not list others: a comma in a value is no separator."""

    async def attack(cluster: Cluster) -> None:
        await populate(cluster)
        await cluster.refused(N1, "GET", f"{NS}/secrets?fieldSelector={selector}")
        answer = await cluster.ok(
            "GET",
            f"{NS}/secrets?fieldSelector=metadata.name%3Dof-n1&fieldSelector=metadata.name%3Dof-n2",
            who=N1,
        )
        assert [one["metadata"]["name"] for one in answer["items"]] == ["of-n1"], "the first selector counts"

    run(tmp_path, attack)


def test_a_node_writes_only_its_own_node(tmp_path: Path) -> None:
    async def attack(cluster: Cluster) -> None:
        taint = {"spec": {"taints": [{"key": "k", "effect": "NoSchedule"}]}}
        await cluster.ok("PATCH", "/api/v1/nodes/n1", taint, type=MERGE)

        async def patched(path: str, patch: Object) -> str:
            return await cluster.refused(N1, "PATCH", path, patch, type=MERGE)

        label = {"metadata": {"labels": {"node-restriction.kubernetes.io/x": "y"}}}
        assert "labels: node-restriction.kubernetes.io/x" in await patched(SELF, label)
        role = {"metadata": {"labels": {"node-role.kubernetes.io/control-plane": ""}}}
        assert "labels: node-role" in await patched(f"{SELF}/status", role)
        assert "modify taints" in await patched(SELF, {"spec": {"taints": None}})
        assert "modify taints" in await patched(f"{SELF}/status", {"spec": {"taints": []}})
        assert 'not allowed to modify node "n2"' in await patched("/api/v1/nodes/n2", label)
        assert 'not allowed to modify node "n2"' in await patched("/api/v1/nodes/n2/status", {"status": {}})
        await cluster.refused(N1, "DELETE", SELF)
        await cluster.refused(N1, "DELETE", "/api/v1/nodes/n2")
        node = await cluster.ok("GET", SELF)
        assert node["spec"]["taints"], "and the taint is still there"

    run(tmp_path, attack)


def test_cve_2025_5187_a_node_gives_itself_no_owner(tmp_path: Path) -> None:
    """An owner that does not exist would have the node deleted, and registered anew without its taints."""

    async def attack(cluster: Cluster) -> None:
        owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "gone", "uid": "0-0"}
        patch = {"metadata": {"ownerReferences": [owner]}}
        told = 'node "n1" is not allowed to modify ownerReferences'
        for path in (SELF, f"{SELF}/status"):
            assert (await cluster.refused(N1, "PATCH", path, patch, type=MERGE)).endswith(told)
        node = await cluster.ok("GET", SELF)
        assert "ownerReferences" not in node["metadata"]
        changed = {**node, "metadata": {**node["metadata"], "ownerReferences": [owner]}}
        assert (await cluster.refused(N1, "PUT", SELF, changed)).endswith(told)

    run(tmp_path, attack)


@pytest.mark.parametrize(
    ("spec", "named"),
    [
        ({"resourceClaims": [{"name": "c", "resourceClaimName": "coveted"}]}, "resourceclaims"),
        ({"resourceClaims": [{"name": "c", "resourceClaimTemplateName": "coveted"}]}, "resourceclaims"),
        ({"volumes": [{"name": "v", "secret": {"secretName": "of-n2"}}]}, "secrets"),
        ({"volumes": [{"name": "v", "csi": {"driver": "d"}}]}, "csidrivers (via CSI volumes)"),
        ({"imagePullSecrets": [{"name": "of-n2"}]}, "secrets"),
        ({"serviceAccountName": "default"}, "serviceaccounts"),
    ],
    ids=str,
)
def test_cve_2025_4563_a_mirror_pod_names_no_other_object(tmp_path: Path, spec: Object, named: str) -> None:
    """A static pod is the node's own word: devices and secrets cannot be had by naming them in one."""

    async def attack(cluster: Cluster) -> None:
        await populate(cluster)
        told = await cluster.refused(N1, "POST", f"{NS}/pods", await mirror(cluster, **spec))
        assert told.endswith(f'node "n1" can not create pods that reference {named}')
        await cluster.ok("POST", f"{NS}/pods", await mirror(cluster), who=N1)
        await cluster.refused(N1, "GET", f"{NS}/secrets/of-n2")
        claims = {"status": {"resourceClaimStatuses": [{"name": "c", "resourceClaimName": "coveted"}]}}
        told = await cluster.refused(N1, "PATCH", f"{NS}/pods/mirror/status", claims, type=MERGE)
        assert "cannot update resource claim statues" in told

    run(tmp_path, attack)


def test_a_node_touches_no_pod_of_another(tmp_path: Path) -> None:
    async def attack(cluster: Cluster) -> None:
        await populate(cluster)
        theirs, own = f"{NS}/pods/on-n2", f"{NS}/pods/on-n1"
        await cluster.refused(N1, "DELETE", theirs)
        await cluster.refused(N1, "PATCH", f"{theirs}/status", {"status": {"phase": "Failed"}}, type=MERGE)
        eviction = {"kind": "Eviction", "apiVersion": "policy/v1", "metadata": {"name": "on-n2"}}
        await cluster.refused(N1, "POST", f"{theirs}/eviction", eviction)
        await cluster.refused(N1, "PATCH", own, {"metadata": {"labels": {"a": "b"}}}, type=MERGE)
        labels = {"metadata": {"labels": {"a": "b"}}}
        status, answer = await cluster.call(N1, "PATCH", f"{own}/status", labels, type=MERGE)
        assert status == 403, answer
        for subresource in ("exec", "attach", "portforward", "log", "proxy", "ephemeralcontainers"):
            await cluster.refused(N1, "GET", f"{own}/{subresource}")
        binding = {"target": {"kind": "Node", "name": "n1"}, "metadata": {"name": "on-n2"}}
        await cluster.refused(N1, "POST", f"{theirs}/binding", binding)
        await cluster.refused(N1, "POST", f"{NS}/pods", pod("plain", "n1"))
        stolen = await mirror(cluster)
        stolen["spec"]["nodeName"] = "n2"
        await cluster.refused(N1, "POST", f"{NS}/pods", stolen)

    run(tmp_path, attack)


def test_leases_slices_and_csinodes_are_by_name(tmp_path: Path) -> None:
    async def attack(cluster: Cluster) -> None:
        for name in ("n1", "n2"):
            spec: Object = {
                "nodeName": name,
                "driver": "d",
                "pool": {"name": name, "generation": 1, "resourceSliceCount": 1},
                "devices": [],
            }
            await cluster.ok("POST", SLICES, {"metadata": {"name": f"of-{name}"}, "spec": spec})
        lease, node = {"metadata": {"name": "n2"}}, {"metadata": {"name": "n2"}, "spec": {"drivers": []}}
        assert "same name" in await cluster.refused(N1, "POST", LEASES, lease)
        assert "system namespace" in await cluster.refused(
            N1, "POST", LEASES.replace("kube-node-lease", "default"), lease
        )
        await cluster.ok("POST", LEASES, {"metadata": {"name": "n1"}}, who=N1)
        assert "same name" in await cluster.refused(N1, "POST", CSINODES, node)
        await cluster.ok("POST", CSINODES, {**node, "metadata": {"name": "n1"}}, who=N1)
        theirs = await cluster.ok("GET", f"{SLICES}/of-n2")
        stolen = {**theirs, "metadata": {"name": "stolen"}}
        assert "same NodeName" in await cluster.refused(N1, "POST", SLICES, stolen)
        for method, path in (
            ("GET", f"{SLICES}/of-n2"),
            ("DELETE", f"{SLICES}/of-n2"),
            ("DELETE", SLICES),
            ("DELETE", f"{SLICES}?fieldSelector=spec.nodeName%3Dn2"),
            ("GET", SLICES),
        ):
            await cluster.refused(N1, method, path)
        await cluster.ok("DELETE", f"{SLICES}?fieldSelector=spec.nodeName%3Dn1", who=N1)
        assert [one["metadata"]["name"] for one in (await cluster.ok("GET", SLICES))["items"]] == ["of-n2"]

    run(tmp_path, attack)


def test_tokens_are_for_pods_on_the_node_and_what_they_use(tmp_path: Path) -> None:
    async def attack(cluster: Cluster) -> None:
        await populate(cluster)
        sources = [{"serviceAccountToken": {"audience": "vault", "path": "token"}}]
        await cluster.ok(
            "POST",
            f"{NS}/pods",
            pod("vault", "n1", volumes=[{"name": "v", "projected": {"sources": sources}}]),
        )

        async def token(name: str, *audiences: str, uid: str = "") -> tuple[int, Any]:
            found = await cluster.ok("GET", f"{NS}/pods/{name}")
            bound = {"kind": "Pod", "apiVersion": "v1", "name": name, "uid": uid or found["metadata"]["uid"]}
            body = {"spec": {"boundObjectRef": bound, "audiences": list(audiences)}}
            return await cluster.call(N1, "POST", f"{NS}/serviceaccounts/default/token", body)

        assert (await token("vault", "vault"))[0] == 201
        assert (await token("on-n1"))[0] == 201, "the one that every pod mounts is for this server"
        status, answer = await token("on-n1", "vault")
        assert (status, 'audience "vault" not found in pod spec volume' in answer["message"]) == (403, True)
        assert (await token("on-n2"))[0] == 403
        assert (await token("on-n1", uid="another"))[0] == 403
        await cluster.refused(N1, "POST", f"{NS}/serviceaccounts/default/token", {"spec": {}})
        await cluster.ok("POST", f"{NS}/serviceaccounts", {"metadata": {"name": "unused"}})
        await cluster.refused(N1, "POST", f"{NS}/serviceaccounts/unused/token", {"spec": {}})

    run(tmp_path, attack)


def test_a_node_does_not_become_somebody_else(tmp_path: Path) -> None:
    async def attack(cluster: Cluster) -> None:
        for headers in (
            (("impersonate-user", "root"), ("impersonate-group", "system:masters")),
            (("impersonate-user", "system:node:n2"),),
            (("impersonate-group", "system:masters"),),
        ):
            status, answer = await cluster.call(N1, "GET", "/api/v1/nodes/n1", headers=headers)
            assert status in (400, 403, 500), answer
            assert "items" not in answer
        front = (("x-remote-user", "root"), ("x-remote-group", "system:masters"))
        await cluster.refused(N1, "GET", "/api/v1/secrets", headers=front)

    run(tmp_path, attack)
