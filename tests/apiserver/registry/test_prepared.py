"""What becomes of objects on their way into the store, as upstream's strategies have it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.apiserver.harness import Api, api

CORE = "/api/v1/namespaces/default"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
CLAIMS = "/apis/resource.k8s.io/v1/namespaces/default/resourceclaims"
TEMPLATES = "/apis/resource.k8s.io/v1/namespaces/default/resourceclaimtemplates"
HOST = "kubernetes.io/hostname"
MARK = {"metadata": {"labels": {"resource.kubernetes.io/admin-access": "true"}}}
MERGE = "application/merge-patch+json"


def test_accounts_keep_of_secrets_their_names_alone(tmp_path: Path) -> None:
    async def main() -> None:
        async with api(tmp_path) as running:
            secret = {"name": "a", "namespace": "elsewhere", "kind": "Secret"}
            body = {"metadata": {"name": "s"}, "secrets": [secret]}
            made = await running.ok("POST", f"{CORE}/serviceaccounts", body)
            assert made["secrets"] == [{"name": "a"}]
            made["secrets"] = [{"name": "b", "uid": "u"}]
            changed = await running.ok("PUT", f"{CORE}/serviceaccounts/s", made)
            assert changed["secrets"] == [{"name": "b"}]

    asyncio.run(main())


def test_a_creator_may_not_say_how_a_controller_is_doing(tmp_path: Path) -> None:
    async def main() -> None:
        async with api(tmp_path) as running:
            template = {
                "metadata": {"labels": {"a": "b"}},
                "spec": {"containers": [{"name": "c", "image": "i"}]},
            }
            body = {"metadata": {"name": "c"}, "spec": {"template": template}, "status": {"readyReplicas": 3}}
            made = await running.ok("POST", f"{CORE}/replicationcontrollers", body)
            assert made["status"] == {"replicas": 0}

    asyncio.run(main())


def test_limits_without_a_name_get_one(tmp_path: Path) -> None:
    async def main() -> None:
        async with api(tmp_path) as running:
            body = {"metadata": {}, "spec": {"limits": [{"type": "Pod", "max": {"cpu": "1"}}]}}
            made = await running.ok("POST", f"{CORE}/limitranges", body)
            assert len(made["metadata"]["name"]) == 36

    asyncio.run(main())


def test_topology_is_no_field_to_write_any_more(tmp_path: Path) -> None:
    async def main() -> None:
        async with api(tmp_path) as running:
            endpoint = {"addresses": ["10.0.0.1"], "deprecatedTopology": {HOST: "n"}}
            body = {"metadata": {"name": "e"}, "addressType": "IPv4", "endpoints": [endpoint]}
            made = await running.ok("POST", SLICES, body)
            assert made["endpoints"] == [{"addresses": ["10.0.0.1"], "conditions": {}}]

    asyncio.run(main())


def test_admin_access_is_for_marked_namespaces(tmp_path: Path) -> None:
    devices = {"requests": [{"name": "a", "exactly": {"deviceClassName": "c", "adminAccess": True}}]}
    claim = {"metadata": {"name": "c"}, "spec": {"devices": devices}}
    template = {"metadata": {"name": "c"}, "spec": {"spec": {"devices": devices}}}

    async def refused(running: Api, path: str, body: Any) -> None:
        status, answer = await running.call("POST", path, body)
        (cause,) = answer["details"]["causes"]
        assert (status, cause["field"]) == (422, "spec.devices.requests[0].adminAccess")
        assert "requires the `resource.kubernetes.io/admin-access: true` label" in cause["message"]

    async def main() -> None:
        async with api(tmp_path) as running:
            await refused(running, CLAIMS, claim)
            await refused(running, TEMPLATES, template)
            await running.ok("PATCH", "/api/v1/namespaces/default", MARK, type=MERGE)
            await running.ok("POST", CLAIMS, claim)
            await running.ok("POST", TEMPLATES, template)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("spec", "field", "detail"),
    [
        ({"ipFamilies": ["IPv6"]}, "spec.ipFamilies[0]", "not configured on this cluster"),
        (
            {"ipFamilyPolicy": "RequireDualStack"},
            "spec.ipFamilyPolicy",
            "this cluster is not configured for dual-stack services",
        ),
        ({"clusterIP": "fd00::1"}, "spec.clusterIPs[0]", "IPv6 is not configured on this cluster"),
        (
            {"clusterIPs": ["10.96.0.9"]},
            "spec.clusterIPs",
            "must be empty when `clusterIP` is not specified",
        ),
        (
            {"clusterIP": "10.96.0.9", "ipFamilies": ["IPv4", "IPv6"]},
            "spec.ipFamilyPolicy",
            "must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families are specified",
        ),
    ],
)
def test_what_a_service_asks_for_and_the_cluster_has_not(
    tmp_path: Path, spec: Any, field: str, detail: str
) -> None:
    async def main() -> None:
        async with api(tmp_path) as running:
            body = {
                "metadata": {"name": "s"},
                "spec": {"ports": [{"port": 80}], "selector": {"a": "b"}, **spec},
            }
            status, answer = await running.call("POST", f"{CORE}/services", body)
            assert status == 422
            assert (field, True) in [
                (cause["field"], cause["message"].endswith(detail)) for cause in answer["details"]["causes"]
            ]

    asyncio.run(main())
