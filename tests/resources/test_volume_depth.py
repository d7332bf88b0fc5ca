"""Volumes and claims: classes, data sources, attributes, and what may change."""

from __future__ import annotations

from typing import Any

import pytest

from podium.machinery.errors import Object
from podium.resources.core.persistentvolumeclaims import PERSISTENTVOLUMECLAIMS
from podium.resources.core.persistentvolumes import PERSISTENTVOLUMES
from tests.resources.test_devices import changed, texts

CLASS = "volume.beta.kubernetes.io/storage-class"


def a_claim(annotations: Object | None = None, status: Object | None = None, **spec: Any) -> Object:
    """Return a stored claim."""
    claim: Object = {"metadata": {"name": "c", "annotations": annotations or {}}}
    claim["spec"] = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
        **spec,
    }
    PERSISTENTVOLUMECLAIMS.defaults(claim)
    PERSISTENTVOLUMECLAIMS.prepare_create(claim)
    claim["status"] |= status or {}
    return claim


def a_volume(csi: Object | None = None, **spec: Any) -> Object:
    """Return a stored volume."""
    volume: Object = {"metadata": {"name": "v"}}
    volume["spec"] = {
        "accessModes": ["ReadWriteOnce"],
        "capacity": {"storage": "1Gi"},
        "csi": {"driver": "d.example.com", "volumeHandle": "h", **(csi or {})},
        **spec,
    }
    PERSISTENTVOLUMES.defaults(volume)
    return volume


APPLIED = {"phase": "Bound", "currentVolumeAttributesClassName": "a"}
SNAPSHOT = {"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": "s"}


@pytest.mark.parametrize(
    ("spec", "fields"),
    [
        ({"dataSource": SNAPSHOT}, []),
        ({"dataSourceRef": {**SNAPSHOT, "namespace": "other"}}, []),
        ({"dataSource": SNAPSHOT, "dataSourceRef": {**SNAPSHOT, "name": "t"}}, ["spec"]),
        ({"dataSource": SNAPSHOT, "dataSourceRef": {**SNAPSHOT, "namespace": "n"}}, ["spec"]),
        (
            {"dataSourceRef": {**SNAPSHOT, "apiGroup": "A B", "namespace": "x.y"}},
            ["spec.dataSourceRef.apiGroup", "spec.dataSourceRef.namespace"],
        ),
        ({"volumeAttributesClassName": "A_"}, ["spec.volumeAttributesClassName"]),
    ],
)
def test_claims(spec: Object, fields: list[str]) -> None:
    found = [error.field for error in PERSISTENTVOLUMECLAIMS.validate(a_claim(**spec))]
    assert list(dict.fromkeys(found)) == fields


@pytest.mark.parametrize(
    ("old", "new", "fields"),
    [
        ({"annotations": {CLASS: "a"}}, {"annotations": {CLASS: "a"}, "storageClassName": "a"}, []),
        ({"annotations": {CLASS: "a"}}, {"storageClassName": "a"}, []),
        ({"annotations": {CLASS: "a"}}, {"annotations": {CLASS: "b"}}, [f"metadata.annotations[{CLASS}]"]),
        ({}, {"storageClassName": "a"}, []),
        (
            {"annotations": {CLASS: "a"}},
            {"storageClassName": "b"},
            [f"metadata.annotations[{CLASS}]", "spec"],
        ),
        ({"storageClassName": "a"}, {"storageClassName": "b"}, ["spec"]),
        (
            {"volumeAttributesClassName": "a", "status": APPLIED},
            {"status": APPLIED},
            ["spec.volumeAttributesClassName"],
        ),
    ],
)
def test_changed_claims(old: Object, new: Object, fields: list[str]) -> None:
    errors = PERSISTENTVOLUMECLAIMS.validate_update(a_claim(**new), a_claim(**old))
    assert [error.field for error in errors] == fields


def test_a_claim_of_a_client_that_knows_one_field() -> None:
    old, new = a_claim(dataSource=SNAPSHOT), a_claim(dataSource=SNAPSHOT)
    assert new["spec"]["dataSourceRef"] == SNAPSHOT
    del new["spec"]["dataSourceRef"]
    PERSISTENTVOLUMECLAIMS.prepare_update(new, old)
    assert new["spec"]["dataSourceRef"] == SNAPSHOT
    # One that was stored before there were two.
    del old["spec"]["dataSourceRef"]
    assert PERSISTENTVOLUMECLAIMS.validate_update(new, old) == []


def test_status_of_a_claim() -> None:
    status = {
        "capacity": {"storage": "-1"},
        "allocatedResources": {"cpu": "1"},
        "allocatedResourceStatuses": {"storage": "Soon"},
    }
    claim = a_claim(status=status)
    states = (
        '"ControllerResizeInProgress", "ControllerResizeInfeasible", "NodeResizeInProgress", '
        '"NodeResizeInfeasible", "NodeResizePending"'
    )
    assert texts(PERSISTENTVOLUMECLAIMS.validate_status_update(claim, claim)) == [
        "status.capacity[storage]: Invalid value: -1: must be a valid resource quantity",
        f'status.allocatedResourceStatuses: Unsupported value: "storage": supported values: {states}',
        'status.allocatedResources: Unsupported value: "cpu": supported values: "storage"',
    ]


@pytest.mark.parametrize(
    ("parts", "fields"),
    [
        ({}, []),
        ({"csi": {"driver": "", "volumeHandle": ""}}, ["spec.csi.driver", "spec.csi.volumeHandle"]),
        (
            {"csi": {"nodePublishSecretRef": {"name": "A"}}},
            ["spec.csi.nodePublishSecretRef.name", "spec.csi.nodePublishSecretRef.namespace"],
        ),
        ({"volumeAttributesClassName": ""}, ["spec.volumeAttributesClassName"]),
    ],
)
def test_volumes(parts: Object, fields: list[str]) -> None:
    assert [error.field for error in PERSISTENTVOLUMES.validate(a_volume(**parts))] == fields


SECRET = {"name": "s", "namespace": "n"}


@pytest.mark.parametrize(
    ("old", "new", "fields"),
    [
        ({}, {"csi": {"controllerExpandSecretRef": SECRET}}, []),
        ({"csi": {"controllerExpandSecretRef": SECRET}}, {}, ["spec.persistentvolumesource"]),
        ({}, {"csi": {"nodePublishSecretRef": SECRET}}, ["spec.persistentvolumesource"]),
        ({"volumeAttributesClassName": "a"}, {}, ["spec.volumeAttributesClassName"]),
    ],
)
def test_changed_volumes(old: Object, new: Object, fields: list[str]) -> None:
    errors = PERSISTENTVOLUMES.validate_update(a_volume(**new), a_volume(**old))
    assert [error.field for error in errors] == fields


def test_node_affinity_while_it_may_not_change() -> None:
    term = {"matchExpressions": [{"key": "beta.kubernetes.io/os", "operator": "In", "values": ["linux"]}]}
    old = a_volume(nodeAffinity={"required": {"nodeSelectorTerms": [term]}})
    key = "spec.nodeAffinity.required.nodeSelectorTerms.0.matchExpressions.0.key"
    check = PERSISTENTVOLUMES.while_off["MutablePVNodeAffinity"]
    assert check(changed(old, key, "kubernetes.io/os"), old) == []
    assert [error.field for error in check(changed(old, key, "other"), old)] == ["nodeAffinity"]
    assert check(changed(old, key, "other"), a_volume()) == []
