"""The catalogue against what upstream's discovery names."""

from __future__ import annotations

from functools import cache
from typing import Any

import orjson
import pytest

from podium.machinery.feature_gates import FeatureGates
from podium.machinery.resource import ALL_VERBS, Resource
from podium.machinery.runtime_config import RuntimeConfig
from podium.machinery.schema import Schemas
from podium.resources import catalogue
from tests.resources.recorded import RECORDINGS, SHARED

GV = tuple[str, str]


def _resources(groups: list[Any]) -> dict[GV, dict[str, Any]]:
    return {
        (group["metadata"].get("name", ""), version["version"]): {
            resource["resource"]: resource for resource in version["resources"]
        }
        for group in groups
        for version in group["versions"]
    }


@cache
def served() -> dict[GV, dict[str, Any]]:
    """What a default upstream server serves."""
    recording = orjson.loads((RECORDINGS / "discovery.json").read_bytes())
    found: dict[GV, dict[str, Any]] = {}
    for scenario in recording["scenarios"]:
        if scenario["name"] == "aggregated-discovery":
            for step in scenario["steps"]:
                found |= _resources(step["expect"]["body"]["items"])
    return found


@cache
def known() -> dict[GV, dict[str, Any]]:
    """What upstream knows with every feature on."""
    return _resources(
        orjson.loads((SHARED / "upstream" / "discovery" / "aggregated_v2.json").read_bytes())["items"]
    )


def _served(runtime_config: str, gates: str) -> dict[GV, list[str]]:
    """Return what a server with these flags serves, in order."""
    config = RuntimeConfig.parse([runtime_config], catalogue.BUILTIN)
    found = config.served(catalogue.BUILTIN, FeatureGates.parse([gates], "1.36"))
    return {gv: [r.plural for r in group] for gv, group in catalogue.by_group_version(found).items()}


def test_serves_exactly_what_upstream_serves_by_default() -> None:
    ours = {gv: set(plurals) for gv, plurals in _served("", "").items()}
    assert ours == {gv: set(resources) for gv, resources in served().items()}


def test_serves_all_that_upstream_knows_with_every_gate_and_api_on() -> None:
    ours = _served("api/all=true,api/legacy=false", "AllAlpha=true,AllBeta=true")
    del ours["", "v1"]  # Not in the recorded document, which is that of /apis.
    assert list(ours.items()) == [(gv, list(resources)) for gv, resources in known().items()]


def _described(resource: Resource) -> dict[str, Any]:
    subresources: dict[str, Any] = {
        sub.name: (sub.group, sub.version, sub.kind, list(sub.verbs)) for sub in resource.subresources
    }
    if resource.status:
        subresources["status"] = ("", "", resource.kind, ["get", "patch", "update"])
    if resource.scale:
        group, _, version = resource.scale.version.partition("/")
        subresources["scale"] = (group, version, "Scale", ["get", "patch", "update"])
    return {
        "kind": resource.kind,
        "namespaced": resource.namespaced,
        "singular": resource.singular_name,
        "short names": list(resource.short_names),
        "categories": list(resource.categories),
        "verbs": list(resource.verbs),
        "subresources": subresources,
    }


def _expected(found: Any) -> dict[str, Any]:
    return {
        "kind": found["responseKind"]["kind"],
        "namespaced": found["scope"] == "Namespaced",
        "singular": found["singularResource"],
        "short names": found.get("shortNames", []),
        "categories": found.get("categories", []),
        "verbs": found["verbs"],
        "subresources": {
            sub["subresource"]: (
                sub["responseKind"]["group"],
                sub["responseKind"]["version"],
                sub["responseKind"]["kind"],
                sub["verbs"],
            )
            for sub in found.get("subresources", [])
        },
    }


@pytest.mark.parametrize("resource", catalogue.BUILTIN, ids=lambda r: f"{r.group_plural}.{r.version}")
def test_is_described_as_upstream_describes_it(resource: Resource) -> None:
    if resource.legacy:
        return
    gv = (resource.group, resource.version)
    for documents in (served(), known()):
        if gv in documents and resource.plural in documents[gv]:
            assert _described(resource) == _expected(documents[gv][resource.plural])
    assert gv in served() or gv in known()


def test_groups_come_in_upstream_order() -> None:
    """The order of groups decides which one a client prefers for a short name."""
    recording = orjson.loads((RECORDINGS / "discovery.json").read_bytes())
    groups = next(
        step["expect"]["body"]["groups"]
        for scenario in recording["scenarios"]
        for step in scenario["steps"]
        if step.get("request") == "GET /apis" and "groups" in step["expect"]["body"]
    )
    ours = list(dict.fromkeys(group for group, _ in _served("", "")))
    assert ours == ["", *(group["name"] for group in groups)]


@pytest.mark.parametrize("resource", catalogue.BUILTIN, ids=lambda r: f"{r.group_plural}.{r.version}")
def test_has_a_schema(resource: Resource) -> None:
    assert resource.schema in Schemas.load()


def test_keys_are_upstream_keys() -> None:
    roots = {r.group_plural: r.storage_root for r in catalogue.BUILTIN}
    assert roots["pods"] == "/registry/pods/"
    assert roots["services"] == "/registry/services/specs/"
    assert roots["endpoints"] == "/registry/services/endpoints/"
    assert roots["nodes"] == "/registry/minions/"
    assert roots["replicationcontrollers"] == "/registry/controllers/"
    assert roots["ingresses.networking.k8s.io"] == "/registry/ingress/"
    assert roots["deployments.apps"] == "/registry/deployments/"
    assert roots["apiservices.apiregistration.k8s.io"] == "/registry/apiregistration.k8s.io/apiservices/"


def test_no_two_resources_share_keys_without_saying_so() -> None:
    roots = [r.storage_root for r in catalogue.BUILTIN if r.stored and r.storage is None]
    assert len(roots) == len(set(roots))
    for resource in catalogue.BUILTIN:
        if resource.storage is not None:
            assert resource.storage_root == resource.storage.storage_root


def test_finds_by_plural_and_by_kind() -> None:
    deployments = catalogue.find("apps", "v1", "deployments")
    assert deployments is not None
    assert catalogue.find_kind("apps/v1", "Deployment") is deployments
    assert deployments.verbs == ALL_VERBS
    assert catalogue.find("apps", "v9", "deployments") is None
    assert catalogue.find_kind("v1", "Nosuch") is None
