"""Warnings: what is valid all the same."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from podium.base import pki
from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources.apps.deployments import DEPLOYMENTS
from podium.resources.apps.statefulsets import STATEFULSETS
from podium.resources.batch.cronjobs import CRONJOBS
from podium.resources.core.nodes import NODES
from podium.resources.core.persistentvolumeclaims import PERSISTENTVOLUMECLAIMS
from podium.resources.core.persistentvolumes import PERSISTENTVOLUMES
from podium.resources.core.pods import PODS
from podium.resources.core.resourcequotas import RESOURCEQUOTAS
from podium.resources.core.secrets import SECRETS
from podium.resources.core.services import SERVICES
from podium.resources.discovery.endpointslices import ENDPOINTSLICES
from podium.resources.networking.ingresses import INGRESSES
from podium.resources.networking.networkpolicies import NETWORKPOLICIES
from podium.resources.node.runtimeclasses import RUNTIMECLASSES
from podium.resources.storage.storageclasses import STORAGECLASSES


def named(name: str = "a", **annotations: str) -> Object:
    return {"name": name, "annotations": dict(annotations)}


def a_pod(**spec: Any) -> Object:
    containers = spec.pop("containers", [{"name": "c", "image": "i"}])
    return {"metadata": named(), "spec": {"containers": containers, **spec}}


@pytest.mark.parametrize(
    ("spec", "warnings"),
    [
        ({}, []),
        (
            {"nodeSelector": {"beta.kubernetes.io/os": "linux"}},
            [
                'spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" '
                "instead",
            ],
        ),
        (
            {"volumes": [{"name": "v", "gitRepo": {"repository": "r"}}]},
            ["spec.volumes[0].gitRepo: deprecated in v1.11, and disabled by default in v1.33+"],
        ),
        (
            {"topologySpreadConstraints": [{"topologyKey": "zone", "maxSkew": 1}]},
            [
                "spec.topologySpreadConstraints[0].labelSelector: a null labelSelector "
                "results in matching no "
                "pod",
            ],
        ),
        (
            {"imagePullSecrets": [{"name": "s"}, {"name": "s"}, {}]},
            [
                'spec.imagePullSecrets[1].name: duplicate name "s"',
                'spec.imagePullSecrets[2].name: invalid empty name ""',
            ],
        ),
        (
            {"hostAliases": [{"ip": "010.0.0.1"}]},
            ['spec.hostAliases[0].ip: non-standard IP address "010.0.0.1" is invalid: use "10.0.0.1"'],
        ),
        (
            {
                "containers": [
                    {"name": "c", "env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]}
                ]
            },
            [
                'spec.containers[0].env[1]: hides previous definition of "A", which may be '
                "dropped when using "
                "apply",
            ],
        ),
        (
            {
                "containers": [
                    {"name": "c", "env": [{"name": "A", "value": "1"}, {"name": "A", "value": "$(A)2"}]}
                ]
            },
            [],
        ),
        (
            {"containers": [{"name": "c", "resources": {"limits": {"memory": "100m"}}}]},
            [
                'spec.containers[0].resources.limits[memory]: fractional byte value "100m" '
                "is invalid, must be "
                "an integer",
            ],
        ),
        (
            {
                "containers": [
                    {"name": "c", "ports": [{"name": "p", "containerPort": 80, "protocol": "TCP"}]},
                    {"name": "d", "ports": [{"name": "p", "containerPort": 80, "protocol": "TCP"}]},
                ]
            },
            [
                "spec.containers[1].ports[0]: duplicate port definition with spec.containers[0].ports[0]",
                'spec.containers[1].ports[0]: duplicate port name "p" with spec.containers[0].ports[0], '
                "services and probes that select ports by name will use spec.containers[0].ports[0]",
            ],
        ),
        (
            {"terminationGracePeriodSeconds": -1},
            [
                "spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be "
                "treated as 1",
            ],
        ),
        (
            {
                "volumes": [
                    {
                        "name": "v",
                        "configMap": {"name": "m", "items": [{"path": "a"}, {"path": "a/b"}]},
                    }
                ]
            },
            ['volume "v" (ConfigMap "m"): overlapping paths: "a/b" with "a"'],
        ),
    ],
)
def test_pods(spec: Object, warnings: list[str]) -> None:
    pod = a_pod(**spec)
    assert PODS.warnings(pod, None) == warnings
    assert PODS.warnings(pod, pod) == []


def test_templates_are_pods_further_down() -> None:
    pod = a_pod(nodeSelector={"node-role.kubernetes.io/master": ""})
    deployment = {"metadata": named("a.b"), "spec": {"template": pod}}
    name, label = DEPLOYMENTS.warnings(deployment, None)
    assert name.startswith("metadata.name: this is used in Pod names and hostnames, which can result in")
    assert label == (
        "spec.template.spec.nodeSelector[node-role.kubernetes.io/master]: use "
        '"node-role.kubernetes.io/control-plane" instead'
    )
    assert DEPLOYMENTS.warnings(deployment, deployment) == []


@pytest.mark.parametrize(
    ("resource", "obj", "warnings"),
    [
        (
            SERVICES,
            {"spec": {"type": "ClusterIP", "clusterIPs": ["fd00:0::1"], "externalIPs": ["1.2.3.4"]}},
            [
                'spec.clusterIPs[0]: IPv6 address "fd00:0::1" should be in RFC 5952 '
                'canonical format ("fd00::1")',
                "spec.externalIPs is deprecated and may no longer be implemented in some clusters",
            ],
        ),
        (
            SERVICES,
            {
                "spec": {
                    "type": "ClusterIP",
                    "clusterIP": "None",
                    "loadBalancerIP": "1.2.3.4",
                    "sessionAffinity": "ClientIP",
                }
            },
            [
                "spec.loadBalancerIP is ignored for headless services",
                "spec.SessionAffinity is ignored for headless services",
            ],
        ),
        (
            NODES,
            {"spec": {"externalID": "x", "podCIDRs": ["10.0.0.1/24"]}},
            [
                "spec.externalID: this field is deprecated, and is unused by Kubernetes",
                'spec.podCIDRs[0]: CIDR value "10.0.0.1/24" is ambiguous in this context (should be '
                '"10.0.0.0/24" or "10.0.0.1/32"?)',
            ],
        ),
        (
            PERSISTENTVOLUMES,
            {"spec": {"persistentVolumeReclaimPolicy": "Recycle", "storageos": {}}},
            [
                "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the "
                "recommended approach is to use dynamic provisioning.",
                "spec.storageOS: deprecated in v1.22, non-functional in v1.25+",
            ],
        ),
        (
            PERSISTENTVOLUMECLAIMS,
            {
                "metadata": {"annotations": {"volume.beta.kubernetes.io/storage-class": "fast"}},
                "spec": {"resources": {"requests": {"storage": "1500m"}}},
            },
            [
                "metadata.annotations[volume.beta.kubernetes.io/storage-class]: deprecated since v1.8; use "
                '"storageClassName" attribute instead',
                'spec.resources.requests[storage]: fractional byte value "1500m" is invalid, must be an '
                "integer",
            ],
        ),
        (
            RESOURCEQUOTAS,
            {"spec": {"hard": {"cpu": "4", "limits.cpu": "2"}}},
            ["ResourceQuota cpu (4) should be less than limits.cpu (2)"],
        ),
        (
            STATEFULSETS,
            {"spec": {"template": a_pod(), "revisionHistoryLimit": -1}},
            [
                "spec.revisionHistoryLimit: a negative value retains all historical "
                "revisions; a value >= 0 is "
                "recommended",
            ],
        ),
        (
            NETWORKPOLICIES,
            {"spec": {"ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.0/08"}}]}]}},
            [
                'spec.ingress[0].from[0].ipBlock.cidr: non-standard CIDR value "10.0.0.0/08" is invalid: use '
                '"10.0.0.0/8"',
            ],
        ),
        (
            INGRESSES,
            {"metadata": {"annotations": {"kubernetes.io/ingress.class": "nginx"}}, "spec": {}},
            [
                'annotation "kubernetes.io/ingress.class" is deprecated, please use '
                "'spec.ingressClassName' "
                "instead",
            ],
        ),
        (
            ENDPOINTSLICES,
            {"addressType": "FQDN", "endpoints": []},
            ["spec.addressType: FQDN endpoints are deprecated"],
        ),
        (
            RUNTIMECLASSES,
            {"scheduling": {"nodeSelector": {"beta.kubernetes.io/arch": "amd64"}}},
            ['scheduling.nodeSelector: deprecated since v1.14; use "kubernetes.io/arch" instead'],
        ),
        (
            STORAGECLASSES,
            {
                "allowedTopologies": [
                    {"matchLabelExpressions": [{"key": "failure-domain.beta.kubernetes.io/zone"}]}
                ]
            },
            [
                "allowedTopologies[0].matchLabelExpressions[0].key: deprecated since v1.17; use "
                '"topology.kubernetes.io/zone" instead',
            ],
        ),
    ],
)
def test_others(resource: Resource, obj: Object, warnings: list[str]) -> None:
    obj.setdefault("metadata", {"name": "a"})
    assert resource.warnings(obj, None) == warnings


def test_a_schedule_with_a_time_zone_is_noticed_on_update() -> None:
    job = {"spec": {"template": a_pod()}}
    cron = {"metadata": {"name": "a"}, "spec": {"schedule": "TZ=UTC * * * * *", "jobTemplate": {"spec": job}}}
    assert CRONJOBS.warnings(cron, None) == []
    assert [text[:35] for text in CRONJOBS.warnings(cron, cron)] == ["cannot use TZ or CRON_TZ in spec.sp"]


AUTHORITY = pki.create_ca("ca")
PAIR = pki.issue(AUTHORITY, common_name="a", server=True)
OTHER = pki.issue(AUTHORITY, common_name="b", server=True)


@pytest.mark.parametrize(
    ("certificate", "key", "warning"),
    [
        (PAIR.certificate_pem, PAIR.key_pem, ""),
        (PAIR.certificate_pem, OTHER.key_pem, "tls: private key does not match public key"),
        (b"nothing", PAIR.key_pem, "tls: failed to find any PEM data in certificate input"),
        (PAIR.certificate_pem, b"", "tls: failed to find any PEM data in key input"),
        (
            PAIR.certificate_pem,
            PAIR.certificate_pem,
            "tls: found a certificate rather than a key in the PEM for the private key",
        ),
        (
            PAIR.key_pem,
            PAIR.certificate_pem,
            "tls: failed to find certificate PEM data in certificate input, but did find a private key; PEM "
            "inputs may have been switched",
        ),
    ],
)
def test_certificates_and_keys_of_secrets(certificate: bytes, key: bytes, warning: str) -> None:
    data = {"tls.crt": base64.b64encode(certificate).decode(), "tls.key": base64.b64encode(key).decode()}
    secret = {"type": "kubernetes.io/tls", "data": data}
    assert SECRETS.warnings(secret, None) == ([warning] if warning else [])
