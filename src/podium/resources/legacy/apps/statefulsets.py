"""StatefulSet: apps/v1beta1, which replaces pods only when they are deleted, and apps/v1beta2."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.resources.apps import statefulsets as v1
from podium.resources.defaulting import blank, child
from podium.resources.legacy import packages
from podium.resources.legacy.apps.defaults import default_from_template
from podium.resources.legacy.apps.scales import old_scale
from podium.resources.legacy.older import older


def _v1beta1_defaults(stateful_set: Object) -> None:
    default_from_template(stateful_set)
    blank(child(child(stateful_set, "spec"), "updateStrategy"), "type", "OnDelete")
    v1.STATEFULSETS.defaults(stateful_set)


V1BETA1 = older(
    v1.STATEFULSETS,
    packages.V1BETA1,
    deprecated=(1, 8),
    removed=(1, 16),
    defaults=_v1beta1_defaults,
    scale=old_scale(v1.STATEFULSETS, packages.V1BETA1),
    default_propagation="Orphan",
)
V1BETA2 = older(
    v1.STATEFULSETS,
    packages.V1BETA2,
    deprecated=(1, 9),
    removed=(1, 16),
    scale=old_scale(v1.STATEFULSETS, packages.V1BETA2),
    default_propagation="Orphan",
)
