"""Who is asked about a write: those who look at its resource, and are awake."""

from __future__ import annotations

import pytest

from podium.apiserver import admission
from podium.apiserver.authz.union import AlwaysAllow
from podium.apiserver.registry.admission_steps import Steps
from podium.machinery.resource import Resource
from podium.resources.core.configmaps import CONFIGMAPS
from podium.resources.core.nodes import NODES
from podium.resources.core.persistentvolumeclaims import PERSISTENTVOLUMECLAIMS
from tests.apiserver.fakes import FakeReader


@pytest.mark.parametrize(
    ("resource", "step", "asked", "spared"),
    [
        (CONFIGMAPS, "admit", "NamespaceLifecycle NodeRestriction", "ServiceAccount LimitRanger Priority"),
        (CONFIGMAPS, "validate", "ResourceQuota", "ServiceAccount LimitRanger CertificateSigning"),
        (NODES, "admit", "NodeRestriction TaintNodesByCondition", "ServiceAccount DefaultStorageClass"),
        (
            PERSISTENTVOLUMECLAIMS,
            "admit",
            "NamespaceLifecycle DefaultStorageClass StorageObjectInUseProtection",
            "TaintNodesByCondition DefaultIngressClass RuntimeClass",
        ),
        (
            PERSISTENTVOLUMECLAIMS,
            "validate",
            "LimitRanger PersistentVolumeClaimResize",
            "Priority RuntimeClass",
        ),
    ],
    ids=lambda value: value.plural if isinstance(value, Resource) else None,
)
def test_only_those_who_look_at_a_resource_are_asked(
    resource: Resource, step: str, asked: str, spared: str
) -> None:
    steps = Steps(admission.build(FakeReader(), AlwaysAllow()))
    names = [name for name, _ in steps.hooks(step, resource)]
    assert [name for name in names if name in asked.split()] == asked.split()
    assert not set(names) & set(spared.split())
