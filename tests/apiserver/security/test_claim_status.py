"""The status of claims for devices: who may allocate, and who may report about which driver's devices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from podium.machinery.errors import Object
from podium.machinery.meta import deep_copy
from tests.apiserver.security.cluster import ALICE, ROOT, Cluster, rule, run

CLAIMS = "/apis/resource.k8s.io/v1/namespaces/default/resourceclaims"
STATUS = f"{CLAIMS}/c/status"
GROUP = "resource.k8s.io"
MERGE = "application/merge-patch+json"
ACCOUNT = "system:serviceaccount:default:driver"
POD = {"resource": "pods", "name": "p", "uid": "u"}
REPORT = {"driver": "gpu.example", "pool": "p", "device": "d0"}
OTHERS = {"driver": "nic.example", "pool": "p", "device": "d1"}


def allocation(node: str = "n1") -> Object:
    field = {"key": "metadata.name", "operator": "In", "values": [node]}
    results = [{"request": "r", **{**REPORT}}, {"request": "r", **OTHERS}]
    return {
        "devices": {"results": results},
        "nodeSelector": {"nodeSelectorTerms": [{"matchFields": [field]}]},
    }


async def claim(cluster: Cluster, **status: Any) -> Object:
    """Make the claim `c`, with a status that the administrator gave it; alice may write it, no more."""
    requests = [{"name": "r", "exactly": {"deviceClassName": "k", "allocationMode": "All"}}]
    made = await cluster.ok(
        "POST", CLAIMS, {"metadata": {"name": "c"}, "spec": {"devices": {"requests": requests}}}
    )
    await cluster.grant(ALICE, rule("update patch", GROUP, "resourceclaims/status"), namespace="default")
    if status:
        made = await cluster.ok("PUT", STATUS, {**made, "status": status})
    return made  # type: ignore[no-any-return]


async def denied(cluster: Cluster, method: str, body: Object, **more: Any) -> list[tuple[str, str]]:
    """Ask as alice what is refused; return the field and the words of each refusal."""
    status, answer = await cluster.call(ALICE, method, STATUS, body, **more)
    assert status == 422, answer
    return [(cause["field"], cause["message"]) for cause in answer["details"]["causes"]]


def test_to_allocate_and_to_reserve_needs_the_right_to_bind_everywhere(tmp_path: Path) -> None:
    async def attack(cluster: Cluster) -> None:
        made = await claim(cluster)
        await cluster.grant(ALICE, rule("update", GROUP, "resourceclaims/binding"), namespace="default")
        (refusal,) = await denied(cluster, "PUT", {**made, "status": {"allocation": allocation()}})
        assert refusal == (
            "status.allocation",
            "Forbidden: changing status.allocation or status.reservedFor requires "
            'resource="resourceclaims/binding", verb="update" permission: '
            'resourceclaims.resource.k8s.io is forbidden: User "alice" cannot update '
            'resource "resourceclaims/binding" in API group "resource.k8s.io" at the cluster scope',
        )
        await cluster.grant(ALICE, rule("update", GROUP, "resourceclaims/binding"))
        made = await cluster.ok("PUT", STATUS, {**made, "status": {"allocation": allocation()}}, who=ALICE)
        patch = {"status": {"reservedFor": [POD]}}
        ((_, words),) = await denied(cluster, "PATCH", patch, type=MERGE)
        assert 'verb="patch" permission' in words
        made["status"]["reservedFor"] = [POD]
        await cluster.ok("PUT", STATUS, made, who=ALICE)

    run(tmp_path, attack)


def test_a_claim_is_not_given_back_without_the_right_to_bind(tmp_path: Path) -> None:
    async def attack(cluster: Cluster) -> None:
        made = await claim(cluster, allocation=allocation(), devices=[REPORT])
        refusals = await denied(cluster, "PUT", {**made, "status": {}})
        assert [field for field, _ in refusals] == ["status.allocation"]
        given_back = await cluster.ok("PATCH", STATUS, {"status": {"allocation": None}}, type=MERGE)
        assert given_back["status"] == {}  # no report outlives its device

    run(tmp_path, attack)


def test_each_driver_reports_about_its_own_devices(tmp_path: Path) -> None:
    async def attack(cluster: Cluster) -> None:
        made = await claim(cluster, allocation=allocation(), devices=[OTHERS])
        granted = rule("arbitrary-node:update", GROUP, "resourceclaims/driver", "gpu.example")
        (refusal,) = await denied(cluster, "PUT", reporting(made, REPORT, OTHERS))
        assert refusal == (
            "status.devices",
            'Forbidden: changing status.devices requires resource="resourceclaims/driver", '
            'verb="[arbitrary-node:update]" permission: '
            'resourceclaims.resource.k8s.io "gpu.example" is forbidden: '
            'User "alice" cannot arbitrary-node:update resource "resourceclaims/driver" in API group '
            '"resource.k8s.io" in the namespace "default"',
        )
        await cluster.grant(ALICE, granted, namespace="default")
        made = await cluster.ok("PUT", STATUS, reporting(made, REPORT, OTHERS), who=ALICE)
        ((_, words),) = await denied(cluster, "PUT", reporting(made, REPORT))
        assert '"nic.example" is forbidden' in words
        ((_, words),) = await denied(cluster, "PUT", reporting(made, REPORT, {**OTHERS, "data": {"a": 1}}))
        assert '"nic.example" is forbidden' in words

    run(tmp_path, attack)


def test_a_driver_may_be_confined_to_the_claims_of_its_own_node(tmp_path: Path) -> None:
    async def attack(cluster: Cluster) -> None:
        made = await claim(cluster, allocation=allocation("n1"))
        rules = [
            rule("update patch", GROUP, "resourceclaims/status"),
            rule("associated-node:update", GROUP, "resourceclaims/driver"),
        ]
        await cluster.grant(ACCOUNT, *rules, namespace="default")
        body = reporting(made, REPORT)
        status, answer = await cluster.call(ROOT, "PUT", STATUS, body, headers=acting_on("n2"))
        assert (status, 'verb="[arbitrary-node:update]"' in answer["message"]) == (422, True)
        await cluster.ok("PUT", STATUS, body, headers=acting_on("n1"))
        # What is asked first is what the refusal tells of.
        patch: Object = {"status": {"devices": []}}
        status, answer = await cluster.call(ROOT, "PATCH", STATUS, patch, type=MERGE, headers=acting_on("n1"))
        assert (status, "cannot associated-node:patch resource" in answer["message"]) == (422, True)

    run(tmp_path, attack)


def reporting(made: Object, *reports: Object) -> Object:
    body: Object = deep_copy(made)
    body["status"]["devices"] = list(reports)
    return body


def acting_on(node: str) -> tuple[tuple[str, str], ...]:
    """Return the headers by which the administrator acts as the driver's pod on a node."""
    return (
        ("impersonate-user", ACCOUNT),
        ("impersonate-extra-authentication.kubernetes.io%2fnode-name", node),
    )
