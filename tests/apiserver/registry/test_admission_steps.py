"""Who is asked about a write: those who look at its resource, and are awake."""

from __future__ import annotations

import pytest

from podium.apiserver import admission
from podium.apiserver.authz import AlwaysAllow
from podium.apiserver.registry.admission_steps import Steps
from podium.machinery.resource import Resource
from podium.resources.core.configmaps import CONFIGMAPS
from podium.resources.core.nodes import NODES
from podium.resources.core.persistentvolumeclaims import PERSISTENTVOLUMECLAIMS
from tests.apiserver.fakes import FakeReader


@pytest.mark.parametrize(
    ("resource", "step", "asked"),
    [
        (CONFIGMAPS, "admit", "NamespaceLifecycle NodeRestriction"),
        (CONFIGMAPS, "validate", "PodSecurity ResourceQuota"),
        (NODES, "admit", "NamespaceLifecycle NodeRestriction TaintNodesByCondition"),
        (
            PERSISTENTVOLUMECLAIMS,
            "admit",
            "NamespaceLifecycle LimitRanger NodeRestriction DefaultStorageClass StorageObjectInUseProtection",
        ),
        (
            PERSISTENTVOLUMECLAIMS,
            "validate",
            "LimitRanger PodSecurity PersistentVolumeClaimResize ResourceQuota",
        ),
    ],
    ids=lambda value: value.plural if isinstance(value, Resource) else None,
)
def test_only_those_who_look_at_a_resource_are_asked(resource: Resource, step: str, asked: str) -> None:
    steps = Steps(admission.build(FakeReader(), AlwaysAllow()))
    assert [name for name, _ in steps.hooks(step, resource)] == asked.split()
