"""Classes, drivers, attachments and capacities of storage: what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from podium.resources.storage.csidrivers import CSIDRIVERS
from podium.resources.storage.csinodes import CSINODES
from podium.resources.storage.csistoragecapacities import CSISTORAGECAPACITIES
from podium.resources.storage.storageclasses import STORAGECLASSES
from podium.resources.storage.volumeattachments import VOLUMEATTACHMENTS
from podium.resources.storage.volumeattributesclasses import VOLUMEATTRIBUTESCLASSES
from tests.resources.refusals import changed, faults

BIG = {"k": "v" * 256 * 1024}


def storage_class(**more: Any) -> Any:
    return {"metadata": {"name": "c"}, "provisioner": "a.example/p", **more}


def topology(*requirements: tuple[str, list[str]]) -> Any:
    return {"matchLabelExpressions": [{"key": key, "values": values} for key, values in requirements]}


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, []),
        ({"allowedTopologies": [topology(("zone", ["a", "b"]))]}, []),
        ({"provisioner": ""}, ["provisioner: Required value"]),
        ({"parameters": BIG}, ["parameters: Too long: may not be more than 262144 bytes"]),
        (
            {"parameters": {str(index): "" for index in range(513)}},
            ["parameters: Too long: may not be more than 512 bytes"],
        ),
        ({"parameters": {"": "x"}}, ['parameters: Invalid value: "": field can not be empty.']),
        (
            {"reclaimPolicy": "Recycle", "volumeBindingMode": "Now"},
            [
                'reclaimPolicy: Unsupported value: "Recycle": supported values: "Delete", "Retain"',
                'volumeBindingMode: Unsupported value: "Now": supported values: "Immediate", '
                '"WaitForFirstConsumer"',
            ],
        ),
        (
            {"allowedTopologies": [topology(("zone", ["a", "a"])), topology(("z", []), ("z", ["a"]))]},
            [
                'allowedTopologies[0].matchLabelExpressions[0].values[1]: Duplicate value: "a"',
                "allowedTopologies[1].matchLabelExpressions[0].values: Required value",
                'allowedTopologies[1].matchLabelExpressions[1].key: Duplicate value: "z"',
            ],
        ),
        (
            {"allowedTopologies": [topology(("zone", ["a", "b"])), topology(("zone", ["b", "a"]))]},
            ['allowedTopologies[1].matchLabelExpressions: Duplicate value: ""'],
        ),
    ],
)
def test_storage_classes(more: Any, expected: list[str]) -> None:
    assert faults(STORAGECLASSES, storage_class(**more)) == expected


def test_a_class_keeps_what_it_does() -> None:
    old = storage_class(reclaimPolicy="Delete", volumeBindingMode="Immediate", parameters={"a": "b"})
    assert faults(STORAGECLASSES, {**old, "allowVolumeExpansion": True}, old) == []
    new = {**old, "parameters": {"a": "c"}, "reclaimPolicy": "Retain"}
    assert [fault.split(":")[0] for fault in faults(STORAGECLASSES, new, old)] == [
        "parameters",
        "reclaimPolicy",
    ]


def test_attributes_classes() -> None:
    good = {"metadata": {"name": "v"}, "driverName": "d", "parameters": {"a": "b"}}
    assert faults(VOLUMEATTRIBUTESCLASSES, good) == []
    assert faults(VOLUMEATTRIBUTESCLASSES, {"metadata": {"name": "v"}}) == [
        "driverName: Required value",
        "parameters: Required value: must contain at least one key/value pair",
    ]
    assert faults(VOLUMEATTRIBUTESCLASSES, {**good, "driverName": "e", "parameters": {"a": "c"}}, good) == [
        "driverName: Forbidden: updates to driverName are forbidden.",
        "parameters: Forbidden: updates to parameters are forbidden.",
    ]


def driver(**spec: Any) -> Any:
    return {"metadata": {"name": "d"}, "spec": spec}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, []),
        (
            {"fsGroupPolicy": "X", "volumeLifecycleModes": ["Persistent", "Y"]},
            [
                'spec.fsGroupPolicy: Unsupported value: "X": supported values: "File", "None", '
                '"ReadWriteOnceWithFSType"',
                'spec.volumeLifecycleModes: Unsupported value: "Y": supported values: "Persistent", '
                '"Ephemeral"',
            ],
        ),
        (
            {
                "tokenRequests": [
                    {"audience": "a", "expirationSeconds": 599},
                    {"audience": "b", "expirationSeconds": 2**32 + 1},
                    {"audience": "a"},
                ]
            },
            [
                "spec.tokenRequests[0].expirationSeconds: Invalid value: 599: may not specify a duration "
                "less than 10 minutes",
                "spec.tokenRequests[1].expirationSeconds: Invalid value: 4294967297: may not specify a "
                "duration larger than 2^32 seconds",
                'spec.tokenRequests[2].audience: Duplicate value: "a"',
            ],
        ),
        (
            {"nodeAllocatableUpdatePeriodSeconds": 9, "serviceAccountTokenInSecrets": True},
            [
                "spec.nodeAllocatableUpdatePeriodSeconds: Invalid value: 9: must be greater than or equal to "
                "10 seconds",
                "spec.serviceAccountTokenInSecrets: Invalid value: true: serviceAccountTokenInSecrets is set "
                "but no tokenRequests are specified",
            ],
        ),
    ],
)
def test_drivers(spec: Any, expected: list[str]) -> None:
    assert faults(CSIDRIVERS, driver(**spec)) == expected


def test_a_driver_keeps_how_its_volumes_are_attached() -> None:
    old = driver(attachRequired=True, volumeLifecycleModes=["Persistent"])
    new = driver(attachRequired=False, volumeLifecycleModes=["Ephemeral"])
    assert faults(CSIDRIVERS, new, old) == [
        "spec.attachedRequired: Invalid value: false: field is immutable",
        'spec.volumeLifecycleModes: Invalid value: ["Ephemeral"]: field is immutable',
    ]


def test_a_driver_is_warned_of_tokens_that_are_logged() -> None:
    asking = driver(tokenRequests=[{"audience": "a"}])
    assert len(CSIDRIVERS.warnings(asking, None)) == 1
    assert CSIDRIVERS.warnings(asking, asking) == []
    assert CSIDRIVERS.warnings(changed(asking, {"spec": {"serviceAccountTokenInSecrets": False}}), None) == []


def csi_node(*drivers: Any) -> Any:
    return {"metadata": {"name": "n"}, "spec": {"drivers": list(drivers)}}


def test_csi_nodes() -> None:
    one = {"name": "d.example", "nodeID": "x", "topologyKeys": ["zone"], "allocatable": {"count": 3}}
    assert faults(CSINODES, csi_node(one)) == []
    bad = {"name": "d.example", "nodeID": "i" * 257, "topologyKeys": ["a", "a"], "allocatable": {"count": -1}}
    assert faults(CSINODES, csi_node(one, bad, {"name": "x" * 64, "nodeID": ""})) == [
        f'spec.drivers[1].nodeID: Invalid value: "{"i" * 257}": must be 256 characters or less',
        "spec.drivers[1].allocatable.count: Invalid value: -1: must be greater than or equal to 0",
        'spec.drivers[1].name: Duplicate value: "d.example"',
        'spec.drivers[1]: Duplicate value: "a"',
        "spec.drivers[2].name: Too long: may not be more than 63 bytes",
        "spec.drivers[2].nodeID: Required value",
    ]
    assert faults(CSINODES, csi_node({**one, "allocatable": {"count": 4}}), csi_node(one)) == []
    moved = faults(CSINODES, csi_node({**one, "nodeID": "y"}), csi_node(one))
    assert [fault.split(":")[0] for fault in moved] == ["spec.drivers"]


def test_capacities() -> None:
    good = {"metadata": {"name": "c"}, "storageClassName": "s", "capacity": "1Gi", "nodeTopology": {}}
    assert faults(CSISTORAGECAPACITIES, good) == []
    negative = {**good, "capacity": "-1"}
    assert faults(CSISTORAGECAPACITIES, negative) == [
        'capacity: Invalid value: "-1": must be greater than or equal to 0'
    ]
    new = {**good, "storageClassName": "t", "nodeTopology": {"matchLabels": {"a": "b"}}}
    assert [fault.split(":")[0] for fault in faults(CSISTORAGECAPACITIES, new, good)] == [
        "nodeTopology",
        "storageClassName",
    ]


def attachment(source: Any, **status: Any) -> Any:
    spec = {"attacher": "d.example", "nodeName": "n", "source": source}
    return {"metadata": {"name": "a"}, "spec": spec, "status": {"attached": False, **status}}


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        (attachment({"persistentVolumeName": "pv"}), []),
        (attachment({"inlineVolumeSpec": {"capacity": {}}}), []),
        (
            attachment({}),
            [
                "spec.source: Required value: must specify exactly one of inlineVolumeSpec and "
                "persistentVolumeName"
            ],
        ),
        (
            attachment({"persistentVolumeName": "pv", "inlineVolumeSpec": {"capacity": {}}}),
            ["spec.source: Forbidden: must specify exactly one of inlineVolumeSpec and persistentVolumeName"],
        ),
        (
            attachment(
                {"persistentVolumeName": "pv"},
                attachmentMetadata=BIG,
                attachError={"message": "m" * 1025, "errorCode": -1},
            ),
            [
                "status.attachmentMetadata: Too long: may not be more than 262144 bytes",
                "status.attachError.message: Too long: may not be more than 262144 bytes",
                "status.attachError.errorCode: Invalid value: -1: must be between 0 and 2147483647, "
                "inclusive",
            ],
        ),
    ],
)
def test_attachments(obj: Any, expected: list[str]) -> None:
    assert faults(VOLUMEATTACHMENTS, obj) == expected


def test_what_is_attached_where_stays() -> None:
    old = attachment({"persistentVolumeName": "pv"})
    moved = changed(old, {"spec": {"nodeName": "m"}})
    assert [fault.split(":")[0] for fault in faults(VOLUMEATTACHMENTS, moved, old)] == ["spec"]
