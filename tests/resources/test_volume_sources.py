"""Sources of volumes, of pods and of persistent volumes: what each needs, and upstream's words for it."""

from __future__ import annotations

from typing import Any

import pytest

from podium.machinery.errors import Object
from podium.resources.core.persistentvolumes import PERSISTENTVOLUMES
from podium.resources.core.pods import PODS
from tests.resources.refusals import changed, faults

PORTAL = "portal.example.com:3260"
IQN = "iqn.2001-04.com.example:storage.disk1"
INCLUSIVE = "must be between {} and {}, inclusive"
TOO_LONG = (
    "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters "
    "if iscsi.initiatorName is specified."
)


def pod(*volumes: Object) -> Object:
    return {
        "metadata": {"name": "p", "namespace": "default"},
        "spec": {
            "containers": [{"name": "c", "image": "i"}],
            "volumes": list(volumes),
            "serviceAccountName": "default",
        },
    }


def volume(annotations: Object | None = None, **spec: Any) -> Object:
    return {
        "metadata": {"name": "v", "annotations": annotations or {}},
        "spec": {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, **spec},
    }


@pytest.mark.parametrize(
    ("kind", "source", "expected"),
    [
        ("gcePersistentDisk", {}, ["persistentDisk.pdName: Required value"]),
        (
            "awsElasticBlockStore",
            {"volumeID": "v", "partition": 256},
            [f"awsElasticBlockStore.partition: Invalid value: 256: {INCLUSIVE.format(1, 255)}"],
        ),
        (
            "nfs",
            {"server": "s"},
            ["nfs.path: Required value", 'nfs.path: Invalid value: "": must be an absolute path'],
        ),
        (
            "iscsi",
            {"targetPortal": PORTAL, "iqn": "abc", "lun": 300, "chapAuthSession": True},
            [
                'iscsi.iqn: Invalid value: "abc": must be valid format starting with iqn, eui, or naa',
                f"iscsi.lun: Invalid value: 300: {INCLUSIVE.format(0, 255)}",
                "iscsi.secretRef: Required value",
            ],
        ),
        (
            "iscsi",
            {"targetPortal": PORTAL + "x" * 40, "iqn": "eui.0123456789abcdef", "initiatorName": "iqn.x"},
            [
                'iscsi.initiatorname: Invalid value: "iqn.x": must be valid format',
                f'name: Invalid value: "v": {TOO_LONG}',
            ],
        ),
        ("iscsi", {"targetPortal": PORTAL, "iqn": IQN, "initiatorName": IQN}, []),
        ("glusterfs", {}, ["glusterfs.endpoints: Required value", "glusterfs.path: Required value"]),
        ("flocker", {}, ["flocker: Required value: one of datasetName and datasetUUID is required"]),
        (
            "flocker",
            {"datasetName": "a/b", "datasetUUID": "u"},
            [
                'flocker: Invalid value: "resource": datasetName and datasetUUID can not be specified '
                "simultaneously",
                "flocker.datasetName: Invalid value: \"a/b\": must not contain '/'",
            ],
        ),
        ("rbd", {}, ["rbd.monitors: Required value", "rbd.image: Required value"]),
        (
            "cinder",
            {"secretRef": {}},
            ["cinder.volumeID: Required value", "cinder.secretRef.name: Required value"],
        ),
        ("cephfs", {}, ["cephfs.monitors: Required value"]),
        (
            "quobyte",
            {"registry": "a,b:1"},
            [
                'quobyte.registry: Invalid value: "a,b:1": must be a host:port pair or multiple pairs '
                "separated "
                "by commas",
                "quobyte.volume: Required value",
            ],
        ),
        (
            "fc",
            {"targetWWNs": ["w"], "wwids": ["x"]},
            [
                'fc.targetWWNs: Invalid value: ["w"]: targetWWNs and wwids can not be specified '
                "simultaneously",
                "fc.lun: Required value: lun is required if targetWWNs is specified",
            ],
        ),
        (
            "flexVolume",
            {"options": {"x.kubernetes.io/a": "b", "ok": "c"}},
            [
                "flexVolume.driver: Required value",
                'flexVolume.options[x.kubernetes.io/a]: Invalid value: "x.kubernetes.io/a": '
                "kubernetes.io and "
                "k8s.io namespaces are reserved",
            ],
        ),
        ("azureFile", {}, ["azureFile.secretName: Required value", "azureFile.shareName: Required value"]),
        (
            "azureDisk",
            {"diskName": "d", "diskURI": "x", "kind": "Managed", "cachingMode": "Some"},
            [
                'azureDisk.cachingMode: Unsupported value: "Some": supported values: "None", '
                '"ReadOnly", "ReadWrite"',
                'azureDisk.diskURI: Unsupported value: "x": supported values: "/subscriptions/{sub-id}/'
                'resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}"',
            ],
        ),
        ("vsphereVolume", {}, ["vsphereVolume.volumePath: Required value"]),
        ("photonPersistentDisk", {}, ["photonPersistentDisk.pdID: Required value"]),
        ("portworxVolume", {}, ["portworxVolume.volumeID: Required value"]),
        (
            "scaleIO",
            {},
            [
                "scaleIO.gateway: Required value",
                "scaleIO.system: Required value",
                "scaleIO.volumeName: Required value",
            ],
        ),
        (
            "storageos",
            {"secretRef": {}},
            ["storageos.volumeName: Required value", "storageos.secretRef.name: Required value"],
        ),
        (
            "csi",
            {"nodePublishSecretRef": {}},
            ["csi.driver: Required value", "csi.nodePublishSecretRef.name: Required value"],
        ),
        (
            "gitRepo",
            {"directory": "/../x"},
            [
                "gitRepo.repository: Required value",
                'gitRepo.directory: Invalid value: "/../x": must be a relative path',
                "gitRepo.directory: Invalid value: \"/../x\": must not contain '..'",
            ],
        ),
        ("image", {}, ["image.reference: Required value"]),
        ("ephemeral", {}, ["ephemeral.volumeClaimTemplate: Required value"]),
        (
            "downwardAPI",
            {"items": [{"path": "f", "resourceFieldRef": {"resource": "limits.cpu"}}, {"path": "../x"}]},
            [
                "downwardAPI.resourceFieldRef.containerName: Required value",
                "downwardAPI.path: Invalid value: \"../x\": must not contain '..'",
                "downwardAPI: Required value: one of fieldRef and resourceFieldRef is required",
            ],
        ),
        (
            "downwardAPI",
            {
                "items": [
                    {
                        "path": "f",
                        "resourceFieldRef": {
                            "containerName": "c",
                            "resource": "requests.memory",
                            "divisor": "2Mi",
                        },
                    }
                ]
            },
            [
                'downwardAPI.resourceFieldRef.divisor: Invalid value: "requests.memory": only '
                "divisor's values "
                "1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei are supported with the memory "
                "resource"
            ],
        ),
        (
            "projected",
            {
                "sources": [
                    {"secret": {"name": "s", "items": [{"key": "a", "path": "p"}]}},
                    {"configMap": {"name": "m", "items": [{"key": "a", "path": "p"}]}},
                    {"serviceAccountToken": {"path": "/t"}, "secret": {"name": "s"}},
                    {},
                ]
            },
            [
                'projected: Invalid value: "m": conflicting duplicate paths',
                'projected.path: Invalid value: "/t": must be a relative path',
                "projected.sources[2]: Forbidden: may not specify more than 1 volume type per source",
            ],
        ),
        (
            "projected",
            {
                "sources": [
                    {"clusterTrustBundle": {"path": "b"}},
                    {"clusterTrustBundle": {"name": "a:b", "path": "b"}},
                ]
            },
            [
                "projected.sources[0].clusterTrustBundle: Required value: either name or signerName "
                "must be specified",
                'projected: Invalid value: "b": conflicting duplicate paths',
            ],
        ),
        (
            "projected",
            {"sources": [{"podCertificate": {"signerName": "example.com/s", "keyType": "DSA"}}]},
            [
                'projected.sources[0].podCertificate.keyType: Unsupported value: "DSA": supported '
                'values: "RSA3072", '
                '"RSA4096", "ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519"',
                "projected.sources[0].podCertificate: Required value: specify at least one of "
                "credentialBundlePath, "
                "keyPath, and certificateChainPath",
            ],
        ),
    ],
)
def test_a_source_of_a_pod(kind: str, source: Object, expected: list[str]) -> None:
    found = faults(PODS, pod({"name": "v", kind: source}))
    assert found == [f"spec.volumes[0].{text}" for text in expected]


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        ({"emptyDir": {}, "cephfs": {"monitors": ["m"]}}, ["spec.volumes[0].cephFS"]),
        ({"emptyDir": {}, "downwardAPI": {}}, ["spec.volumes[0].downwarAPI"]),
        ({"emptyDir": {}, "flexVolume": {"driver": "d"}}, ["spec.volumes[0].flexVolume"]),
    ],
)
def test_one_source_is_enough(sources: Object, expected: list[str]) -> None:
    found = faults(PODS, pod({"name": "v", **sources}))
    assert found == [f"{path}: Forbidden: may not specify more than 1 volume type" for path in expected]


def test_the_claim_of_an_ephemeral_volume() -> None:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    template = {"metadata": {"name": "mine", "labels": {"a": "b"}}, "spec": spec}
    found = faults(PODS, pod({"name": "v", "ephemeral": {"volumeClaimTemplate": template}}))
    assert found == [
        "spec.volumes[0].ephemeral.volumeClaimTemplate.metadata.name: Forbidden: cannot be set",
    ]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"hostPath": {"path": "/x"}, "flexVolume": {"driver": "d"}}, []),
        (
            {"hostPath": {"path": "/x"}, "cephfs": {"monitors": ["m"]}},
            ["spec.cephFS: Forbidden: may not specify more than 1 volume type"],
        ),
        (
            {"glusterfs": {"endpoints": "e", "path": "p", "endpointsNamespace": ""}},
            [
                'spec.glusterfs.endpointsNamespace: Invalid value: "": if the endpointnamespace is set, '
                "it must be a "
                "valid namespace name"
            ],
        ),
        (
            {"cinder": {"volumeID": "v", "secretRef": {"name": "s"}}},
            ["spec.cinder.secretRef.namespace: Required value"],
        ),
        (
            {"iscsi": {"targetPortal": PORTAL, "iqn": "x"}},
            ['spec.iscsi.iqn: Invalid value: "x": must be valid format'],
        ),
        (
            {"iscsi": {"targetPortal": "p" * 63, "iqn": IQN, "initiatorName": IQN}},
            [f'spec.iscsi.targetportal: Invalid value: "{"p" * 63}": {TOO_LONG}'],
        ),
        (
            {"azureFile": {"secretName": "s", "shareName": "t", "secretNamespace": ""}},
            ["spec.azureFile.secretNamespace: Required value"],
        ),
        (
            {"local": {"path": "/a/../b"}},
            [
                "spec.local.path: Invalid value: \"/a/../b\": must not contain '..'",
                "spec.nodeAffinity: Required value: Local volume requires node affinity",
            ],
        ),
        (
            {"hostPath": {"path": "/x"}, "accessModes": ["ReadWriteOncePod", "ReadWriteOncePod"]},
            [],
        ),
        (
            {"hostPath": {"path": "/x"}, "capacity": {"storage": "-1"}},
            [
                "spec.capacity[storage]: Invalid value: -1: must be a valid resource quantity",
                'spec.capacity[storage]: Invalid value: "-1": must be greater than zero',
            ],
        ),
    ],
)
def test_a_source_of_a_persistent_volume(spec: Object, expected: list[str]) -> None:
    assert faults(PERSISTENTVOLUMES, volume(**spec)) == expected


def test_mount_options_by_annotation() -> None:
    annotation = {"volume.beta.kubernetes.io/mount-options": "ro"}
    assert faults(PERSISTENTVOLUMES, volume(annotation, nfs={"server": "s", "path": "/p"})) == []
    assert faults(PERSISTENTVOLUMES, volume(annotation, hostPath={"path": "/x"})) == [
        "metadata.annotations.volume.beta.kubernetes.io/mount-options: Forbidden: "
        "may not specify mount options for this volume type"
    ]


def test_what_was_wrong_before_may_stay() -> None:
    """A volume whose node affinity names a value that newer rules refuse can still be written."""

    def of(value: str) -> Object:
        expression = {"key": "zone", "operator": "In", "values": [value]}
        required = {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}
        return volume(local={"path": "/x"}, nodeAffinity={"required": required})

    old = of("not valid!")
    PERSISTENTVOLUMES.defaults(old)
    found = faults(PERSISTENTVOLUMES, old)
    assert [fault.partition(": ")[0] for fault in found] == [
        "spec.nodeAffinity.required.nodeSelectorTerms[0].matchExpressions[0].values[0]"
    ]
    assert faults(PERSISTENTVOLUMES, changed(old, {"metadata": {"labels": {"a": "b"}}}), old) == []
