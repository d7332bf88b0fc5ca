"""Kinds that are off by default: bundles, pod certificates, groups of pods, candidates, migrations."""

from __future__ import annotations

from typing import Any

import pytest

from podium.base import pki
from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources.apiserverinternal.storageversions import STORAGEVERSIONS
from podium.resources.certificates.clustertrustbundles import CLUSTERTRUSTBUNDLES
from podium.resources.certificates.podcertificaterequests import PODCERTIFICATEREQUESTS
from podium.resources.coordination.leasecandidates import LEASECANDIDATES
from podium.resources.coordination.leases import LEASES
from podium.resources.scheduling.podgroups import PODGROUPS
from podium.resources.scheduling.workloads import WORKLOADS
from podium.resources.storagemigration.storageversionmigrations import STORAGEVERSIONMIGRATIONS
from tests.resources.test_devices import changed, texts

CA = pki.create_ca("ca").certificate_pem.decode()
LEAF = pki.issue(pki.create_ca("ca"), common_name="leaf", server=True).certificate_pem.decode()
BUNDLE: Object = {"metadata": {"name": "roots"}, "spec": {"trustBundle": CA}}
SIGNED = changed(
    changed(BUNDLE, "metadata.name", "example.com:signer:a"), "spec.signerName", "example.com/signer"
)
CANDIDATE: Object = {
    "metadata": {"name": "a"},
    "spec": {
        "leaseName": "l",
        "binaryVersion": "1.36.0",
        "emulationVersion": "1.36.0",
        "strategy": "OldestEmulationVersion",
    },
}
MIGRATION: Object = {
    "metadata": {"name": "m"},
    "spec": {"resource": {"resource": "deployments", "group": "apps"}},
}
VERSION: Object = {
    "metadata": {"name": "apps.deployments"},
    "spec": {},
    "status": {
        "storageVersions": [
            {"apiServerID": "a", "encodingVersion": "apps/v1", "decodableVersions": ["apps/v1"]}
        ],
        "commonEncodingVersion": "apps/v1",
    },
}
GROUP: Object = {"metadata": {"name": "g"}, "spec": {"schedulingPolicy": {"gang": {"minCount": 2}}}}
WORKLOAD: Object = {
    "metadata": {"name": "w"},
    "spec": {"podGroupTemplates": [{"name": "t", "schedulingPolicy": {"basic": {}}}]},
}
POD_REQUEST: Object = {
    "metadata": {"name": "r"},
    "spec": {
        "signerName": "example.com/signer",
        "podName": "p",
        "podUID": "1",
        "serviceAccountName": "default",
        "serviceAccountUID": "2",
        "nodeName": "n",
        "nodeUID": "3",
        "maxExpirationSeconds": 86400,
    },
}


@pytest.mark.parametrize(
    ("resource", "valid", "path", "value", "errors"),
    [
        (CLUSTERTRUSTBUNDLES, BUNDLE, "metadata.name", "roots", []),
        (CLUSTERTRUSTBUNDLES, SIGNED, "metadata.name", "example.com:signer:a", []),
        (
            CLUSTERTRUSTBUNDLES,
            BUNDLE,
            "metadata.name",
            "a:b",
            [
                'metadata.name: Invalid value: "a:b": ClusterTrustBundle without '
                'signer name must not have ":" '
                "in its name",
            ],
        ),
        (
            CLUSTERTRUSTBUNDLES,
            SIGNED,
            "metadata.name",
            "roots",
            [
                'metadata.name: Invalid value: "roots": ClusterTrustBundle for signerName example.com/signer '
                "must be named with prefix example.com:signer:",
            ],
        ),
        (
            CLUSTERTRUSTBUNDLES,
            BUNDLE,
            "spec.trustBundle",
            "nothing",
            [
                'spec.trustBundle: Invalid value: "<value omitted>": at least one trust anchor must be '
                "provided",
            ],
        ),
        (
            CLUSTERTRUSTBUNDLES,
            BUNDLE,
            "spec.trustBundle",
            CA + CA,
            [
                'spec.trustBundle: Invalid value: "<value omitted>": duplicate trust anchor (indices [0 1])',
            ],
        ),
        (
            CLUSTERTRUSTBUNDLES,
            BUNDLE,
            "spec.trustBundle",
            CA + LEAF,
            [
                'spec.trustBundle: Invalid value: "<value omitted>": entry 1 does not have the CA bit set',
            ],
        ),
        (
            CLUSTERTRUSTBUNDLES,
            BUNDLE,
            "spec.trustBundle",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            [
                'spec.trustBundle: Invalid value: "<value omitted>": entry 0 does not parse as X.509',
            ],
        ),
        (LEASECANDIDATES, CANDIDATE, "metadata.name", "a", []),
        (
            LEASECANDIDATES,
            CANDIDATE,
            "spec.emulationVersion",
            "1.37.0",
            [
                'spec.binaryVersion: Invalid value: "1.36.0": must be greater than or equal to '
                "`emulationVersion`",
            ],
        ),
        (
            LEASECANDIDATES,
            CANDIDATE,
            "spec.emulationVersion",
            None,
            [
                "spec.emulationVersion: Required value: must be specified when `strategy` is "
                "'OldestEmulationVersion'",
            ],
        ),
        (
            LEASECANDIDATES,
            CANDIDATE,
            "spec.binaryVersion",
            "v1",
            [
                'spec.binaryVersion: Invalid value: "v1": must be a valid semantic version',
                'spec.binaryVersion: Invalid value: "v1": must be greater than or equal to '
                "`emulationVersion`",
            ],
        ),
        (
            LEASES,
            {"metadata": {"name": "l"}, "spec": {}},
            "spec.leaseDurationSeconds",
            0,
            ["spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0"],
        ),
        (STORAGEVERSIONMIGRATIONS, MIGRATION, "metadata.name", "m", []),
        (
            STORAGEVERSIONMIGRATIONS,
            MIGRATION,
            "spec.resource.resource",
            None,
            ["spec.resource.resource: Required value: resource is required to be set"],
        ),
        (STORAGEVERSIONS, VERSION, "metadata.name", "apps.deployments", []),
        (
            STORAGEVERSIONS,
            VERSION,
            "status.commonEncodingVersion",
            "apps/v2",
            [
                'status.commonEncodingVersion: Invalid value: "apps/v2": the actual common encoding version '
                "is apps/v1",
            ],
        ),
        (
            STORAGEVERSIONS,
            VERSION,
            "status.storageVersions.0.decodableVersions",
            ["apps/v2"],
            [
                'status.storageVersions[0].decodableVersions: Invalid value: ["apps/v2"]: decodableVersions '
                "must include encodingVersion apps/v1",
            ],
        ),
        (PODGROUPS, GROUP, "metadata.name", "g", []),
        (
            PODGROUPS,
            GROUP,
            "spec.schedulingPolicy",
            {},
            ['spec.schedulingPolicy: Invalid value: "": must specify one of: `basic`, `gang`'],
        ),
        (
            PODGROUPS,
            GROUP,
            "spec.schedulingPolicy.basic",
            {},
            [
                'spec.schedulingPolicy: Invalid value: "{basic, gang}": must specify exactly one of: '
                "`basic`, `gang`",
            ],
        ),
        (
            PODGROUPS,
            GROUP,
            "spec.schedulingPolicy.gang.minCount",
            -1,
            [
                "spec.schedulingPolicy.gang.minCount: Invalid value: -1: must be greater than or equal to 1",
            ],
        ),
        (WORKLOADS, WORKLOAD, "metadata.name", "w", []),
        (
            WORKLOADS,
            WORKLOAD,
            "spec.podGroupTemplates",
            [WORKLOAD["spec"]["podGroupTemplates"][0]] * 2,
            [
                'spec.podGroupTemplates[1]: Duplicate value: {"name":"t","schedulingPolicy":'
                '{"basic":{}},"schedulingConstraints":null}'
            ],
        ),
        (
            PODCERTIFICATEREQUESTS,
            POD_REQUEST,
            "metadata.name",
            "r",
            [
                "spec: Invalid value: exactly one of (stubPKCS10Request) or (pkixPublicKey, "
                "proofOfPossession) must be set",
            ],
        ),
        (
            PODCERTIFICATEREQUESTS,
            changed(POD_REQUEST, "spec.stubPKCS10Request", "AAAA"),
            "spec.maxExpirationSeconds",
            60,
            [
                "spec.maxExpirationSeconds: Invalid value: 60: must be in the range [3600, 7862400]",
                "spec.stubPKCS10Request: Invalid value: must be a valid PKCS#10 CSR",
            ],
        ),
    ],
)
def test_what_is_wrong(resource: Resource, valid: Object, path: str, value: Any, errors: list[str]) -> None:
    assert texts(resource.validate(changed(valid, path, value))) == errors


def test_the_name_of_a_storage_version_is_group_and_resource() -> None:
    assert STORAGEVERSIONS.name_errors is not None
    assert STORAGEVERSIONS.name_errors("apps.deployments") == []
    assert STORAGEVERSIONS.name_errors("deployments") == ["name must be in the form of <group>.<resource>"]


def test_a_group_of_pods_stays_what_it_is() -> None:
    errors = PODGROUPS.validate_update(changed(GROUP, "spec.schedulingPolicy", {"basic": {}}), GROUP)
    assert texts(errors) == ["spec.schedulingPolicy: Invalid value: null: field is immutable"]


def test_a_migration_ends_once() -> None:
    def with_condition(*kinds: str) -> Object:
        conditions = [
            {"type": kind, "status": "True", "reason": "R", "lastTransitionTime": "2026-01-01T00:00:00Z"}
            for kind in kinds
        ]
        return {**MIGRATION, "status": {"conditions": conditions}}

    check = STORAGEVERSIONMIGRATIONS.validate_status_update
    assert check(with_condition("Succeeded"), with_condition("Running")) == []
    (both,) = check(with_condition("Succeeded", "Failed"), MIGRATION)
    assert both.message.endswith("Both success and failed conditions cannot be true at the same time")
    (undone,) = check(with_condition("Running"), with_condition("Succeeded"))
    assert undone.message.endswith("Success condition cannot be set to false once it is true")
