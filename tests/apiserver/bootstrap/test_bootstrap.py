"""The cluster's own objects are those of a fresh upstream cluster; a restart changes only what it should."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from podium.apiserver import bootstrap
from podium.apiserver.authz.rbac import GROUP
from podium.apiserver.bootstrap import rbac
from podium.apiserver.bootstrap.planning import Options, Write, missing, plan, unfit
from podium.apiserver.bootstrap.roles import (
    CLOUD_CONTROLLER_MANAGER,
    CLOUD_CONTROLLER_MANAGER_IN_KUBE_SYSTEM,
    CLUSTER_ROLES,
)
from podium.machinery import meta
from podium.machinery.errors import Object
from podium.machinery.feature_gates import FeatureGates
from podium.machinery.resource import Resource
from podium.machinery.runtime_config import RuntimeConfig
from podium.machinery.schema import Schemas
from podium.resources.catalogue import BUILTIN
from podium.resources.core.endpoints import ENDPOINTS
from podium.resources.core.namespaces import NAMESPACES
from podium.resources.core.services import SERVICES
from podium.resources.discovery.endpointslices import ENDPOINTSLICES
from podium.resources.flowcontrol.flowschemas import FLOWSCHEMAS
from podium.resources.networking.ipaddresses import IPADDRESSES
from podium.resources.networking.servicecidrs import SERVICECIDRS
from podium.resources.rbac.clusterrolebindings import CLUSTERROLEBINDINGS
from podium.resources.rbac.clusterroles import CLUSTERROLES
from podium.store.protocol import Record
from tests.apiserver.fakes import FakeClock, FakeReader

FLOW_CONTROL = "api-priority-and-fairness-config"
TRUTH = Path(__file__).parents[3].parent / "shared" / "wire" / "bootstrap"
OPTIONS = Options(
    advertise_address="192.0.2.10",
    port=6443,
    client_ca_pem="<pem>",
    group_versions=[
        (r.group, r.version) for r in RuntimeConfig().served(BUILTIN, FeatureGates(version="1.36"))
    ],
)
# What the controller manager makes, not the API server.
FROM_CONTROLLERS = {"kube-root-ca.crt"}
# The options of this test trust no front proxy, so none of its headers are published.
REQUEST_HEADER = "requestheader-"
OUR_OWN = {"system:podium-dns", "system:cloud-controller-manager", rbac.CONTROLLERS_ROLE}
CLOCK = FakeClock()


def planned(reader: FakeReader | None = None, options: Options = OPTIONS) -> list[Write]:
    return plan(reader or FakeReader(), options, CLOCK.now())


def filled() -> FakeReader:
    reader = FakeReader()
    for write in planned():
        reader.put(write.resource, write.object)
    return reader


def without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: without_times(v) for k, v in value.items() if k not in ("lastTransitionTime", "since")}
    return [without_times(item) for item in value] if isinstance(value, list) else value


def comparable(obj: Object) -> Object:
    obj = without_times(obj)
    obj["metadata"] = {k: v for k, v in obj["metadata"].items() if k != "generation"}
    if "data" in obj:
        obj["data"] = {k: v for k, v in obj["data"].items() if not k.startswith(REQUEST_HEADER)}
    return obj


@pytest.mark.skipif(not TRUTH.exists(), reason="the recordings of upstream are not here")
@pytest.mark.parametrize(
    "plural",
    [
        "apiservices",
        "clusterrolebindings",
        "clusterroles",
        "configmaps",
        "endpoints",
        "endpointslices",
        "flowschemas",
        "ipaddresses",
        "namespaces",
        "priorityclasses",
        "prioritylevelconfigurations",
        "rolebindings",
        "roles",
        "servicecidrs",
        "services",
    ],
)
def test_equals_a_fresh_upstream_cluster(plural: str) -> None:
    truth = {
        meta.key(obj): comparable(obj)
        for obj in json.loads((TRUTH / f"{plural}.json").read_text())
        if obj["metadata"]["name"] not in FROM_CONTROLLERS
    }
    ours = {
        meta.key(write.object): comparable(write.object)
        for write in planned()
        if write.resource.plural == plural and write.object["metadata"]["name"] not in OUR_OWN
    }
    assert sorted(ours) == sorted(truth)
    for key, obj in truth.items():
        assert ours[key] == obj, key


def test_a_complete_cluster_needs_nothing() -> None:
    assert planned(filled()) == []


def changed(reader: FakeReader, resource: Resource, name: str, **fields: Any) -> list[Write]:
    """Plan after the object has been changed by somebody."""
    current = reader.cached(resource).get(None, name)
    assert current is not None
    metadata = {**current["metadata"], **fields.pop("metadata", {})}
    reader.put(resource, {**current, **fields, "metadata": metadata})
    return planned(reader)


def test_missing_rules_come_back_and_added_ones_stay() -> None:
    added = {"verbs": ["get"], "apiGroups": ["example.com"], "resources": ["things"]}
    [write] = changed(filled(), CLUSTERROLES, "system:node-problem-detector", rules=[added])
    rules = write.object["rules"]
    assert rules[0] == added
    assert rules[1:] == list(CLUSTER_ROLES["system:node-problem-detector"])


def test_covered_rules_are_not_added_again() -> None:
    everything = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
    assert changed(filled(), CLUSTERROLES, "system:node-problem-detector", rules=[everything]) == []


def test_missing_labels_come_back() -> None:
    [write] = changed(filled(), CLUSTERROLES, "edit", metadata={"labels": {"mine": "yes"}})
    assert write.object["metadata"]["labels"] == {
        "mine": "yes",
        "kubernetes.io/bootstrapping": "rbac-defaults",
        "rbac.authorization.k8s.io/aggregate-to-admin": "true",
    }


def test_a_role_without_autoupdate_is_left_alone() -> None:
    off = {"annotations": {rbac.AUTOUPDATE: "false"}}
    assert changed(filled(), CLUSTERROLES, "system:node", rules=[], metadata=off) == []
    assert changed(filled(), CLUSTERROLEBINDINGS, "cluster-admin", subjects=[], metadata=off) == []


def test_missing_subjects_come_back_and_added_ones_stay() -> None:
    mine = {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "me"}
    [write] = changed(filled(), CLUSTERROLEBINDINGS, "cluster-admin", subjects=[mine])
    assert [subject["name"] for subject in write.object["subjects"]] == ["me", "system:masters"]


def test_a_binding_to_another_role_is_somebodys_own() -> None:
    elsewhere = {"apiGroup": GROUP, "kind": "ClusterRole", "name": "view"}
    assert changed(filled(), CLUSTERROLEBINDINGS, "cluster-admin", subjects=[], roleRef=elsewhere) == []


def test_a_flow_schema_taken_over_is_left_alone() -> None:
    [write] = changed(filled(), FLOWSCHEMAS, "probes", spec={"matchingPrecedence": 3})
    assert write.object["spec"]["matchingPrecedence"] == 2
    taken = {"annotations": {"apf.kubernetes.io/autoupdate-spec": "false"}}
    assert changed(filled(), FLOWSCHEMAS, "probes", spec={"matchingPrecedence": 3}, metadata=taken) == []


AUTOUPDATE = "apf.kubernetes.io/autoupdate-spec"


@pytest.mark.parametrize(
    ("name", "said", "generation", "follows"),
    [
        ("probes", "true", 7, True),
        ("probes", "T", 7, True),
        ("probes", "false", 1, False),
        ("probes", "0", 1, False),
        ("probes", None, 1, True),
        ("probes", None, 2, False),
        ("probes", "perhaps", 1, True),
        ("probes", "perhaps", 2, False),
        ("exempt", "false", 7, True),
        ("catch-all", None, 7, True),
    ],
)
def test_whether_flow_control_follows_the_server(
    name: str, said: str | None, generation: int, follows: bool
) -> None:
    reader = filled()
    original = reader.cached(FLOWSCHEMAS).get(None, name)
    assert original is not None
    metadata = {"annotations": {} if said is None else {AUTOUPDATE: said}, "generation": generation}
    spec = {**original["spec"], "matchingPrecedence": 77}
    [*writes] = changed(reader, FLOWSCHEMAS, name, spec=spec, metadata=metadata)
    if follows:
        [write] = writes
        assert write.object["spec"] == original["spec"]
    for write in writes:
        assert write.object["metadata"]["annotations"][AUTOUPDATE] == ("true" if follows else "false")
    assert bool(writes) is (follows or said not in ("false", "0"))


def test_flow_control_is_kept_while_running_and_what_is_no_longer_known_goes() -> None:
    reader = filled()
    reader.cached(FLOWSCHEMAS).remove("", "probes")
    for name, said in (("old", "true"), ("mine", "false"), ("plain", "")):
        annotations = {AUTOUPDATE: said} if said else {}
        reader.put(FLOWSCHEMAS, {"metadata": {"name": name, "annotations": annotations}, "spec": {}})
    writes, gone = unfit(reader, OPTIONS, CLOCK.now())
    assert [meta.name(write.object) for write in writes] == ["probes"]
    assert [meta.name(write.object) for write in gone] == ["old"]


def test_a_new_address_is_followed() -> None:
    moved = Options(
        advertise_address="192.0.2.77",
        port=6443,
        client_ca_pem="<pem>",
        group_versions=OPTIONS.group_versions,
    )
    writes = planned(filled(), moved)
    assert [write.resource for write in writes] == [ENDPOINTS, ENDPOINTSLICES]
    assert writes[0].object["subsets"][0]["addresses"] == [{"ip": "192.0.2.77"}]
    assert writes[1].object["endpoints"][0]["addresses"] == ["192.0.2.77"]


def test_only_what_is_indispensable_is_put_back_while_running() -> None:
    reader = filled()
    for resource, namespace, name in (
        (SERVICES, "default", "kubernetes"),
        (ENDPOINTSLICES, "default", "kubernetes"),
        (SERVICECIDRS, "", "kubernetes"),
        (IPADDRESSES, "", "10.96.0.1"),
        (NAMESPACES, "", "kube-node-lease"),
        (CLUSTERROLES, "", "view"),
        (FLOWSCHEMAS, "", "probes"),
    ):
        reader.cached(resource).remove(namespace, name)
    elsewhere = Options(advertise_address="192.0.2.77", port=6443)
    writes = missing(reader, elsewhere, CLOCK.now())
    assert [write.resource for write in writes] == [
        NAMESPACES,
        SERVICECIDRS,
        IPADDRESSES,
        SERVICES,
        ENDPOINTSLICES,
    ]


class _Store:
    """As much of a store as bootstrap uses."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}

    async def create(self, key: str, value: bytes) -> Record:
        assert key not in self.values
        self.values[key] = value
        revision = len(self.values) + 1
        return Record(key=key, value=value, create_revision=revision, mod_revision=revision)


def written(store: _Store) -> int:
    schema_of = Schemas.load().compile
    return asyncio.run(
        bootstrap.run(store, FakeReader(), OPTIONS, schema_of, clock=CLOCK)  # type: ignore[arg-type]
    )


def test_run_writes_storable_objects() -> None:
    store = _Store()
    newest = written(store)
    assert newest == len(store.values) + 1
    assert "/registry/namespaces/kube-system" in store.values
    assert "/registry/services/specs/default/kubernetes" in store.values
    for value in store.values.values():
        obj = json.loads(value)
        assert obj["metadata"]["uid"]
        assert obj["metadata"]["creationTimestamp"] == "2026-03-01T12:00:00Z"


OWNERS = {
    "namespaces/kube-system": [("kube-apiserver", "Update", "", {"metadata"})],
    "services/specs/default/kubernetes": [("kube-apiserver", "Update", "", {"metadata", "spec"})],
    "clusterroles/view": [("kube-apiserver", "Update", "", {"metadata", "aggregationRule", "rules"})],
    "prioritylevelconfigurations/exempt": [
        (f"{FLOW_CONTROL}-producer-v1", "Update", "", {"metadata", "spec"})
    ],
    "flowschemas/exempt": [
        (f"{FLOW_CONTROL}-consumer-v1", "Apply", "status", {"status"}),
        (f"{FLOW_CONTROL}-producer-v1", "Update", "", {"metadata", "spec"}),
    ],
}


@pytest.mark.parametrize("key", OWNERS)
def test_fields_have_upstreams_owners(key: str) -> None:
    store = _Store()
    written(store)
    obj = json.loads(store.values[f"/registry/{key}"])
    owners = [
        (e["manager"], e["operation"], e.get("subresource", ""), {name[2:] for name in e["fieldsV1"]})
        for e in obj["metadata"]["managedFields"]
    ]
    assert owners == OWNERS[key]


def test_conditions_of_flow_schemas_say_since_when() -> None:
    store = _Store()
    written(store)
    [condition] = json.loads(store.values["/registry/flowschemas/exempt"])["status"]["conditions"]
    assert condition["lastTransitionTime"] == "2026-03-01T12:00:00Z"


def test_storage_has_upstreams_generations() -> None:
    if not TRUTH.exists():
        pytest.skip("the recordings of upstream are not here")
    resources = {resource.plural: resource for resource in BUILTIN}
    for path in TRUTH.glob("*.json"):
        for obj in json.loads(path.read_text()):
            assert resources[path.stem].generation == ("generation" in obj["metadata"]), path.stem


def test_the_cloud_controller_manager_can_become_nobody_else() -> None:
    """Whoever may make tokens of any account holds the rights of all."""
    everywhere = [resource for rule in CLOUD_CONTROLLER_MANAGER for resource in rule["resources"]]
    assert not {"secrets", "serviceaccounts", "serviceaccounts/token", "configmaps", "leases"} & {*everywhere}
    [tokens] = [
        rule
        for rule in CLOUD_CONTROLLER_MANAGER_IN_KUBE_SYSTEM
        if rule["resources"] == ["serviceaccounts/token"]
    ]
    assert tokens["resourceNames"] == ["node-controller", "route-controller", "service-controller"]
