"""ReplicaSet: extensions/v1beta1 and apps/v1beta2."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.resources.apps import replicasets as v1
from podium.resources.legacy import packages
from podium.resources.legacy.apps.defaults import default_from_template
from podium.resources.legacy.apps.scales import old_scale
from podium.resources.legacy.older import SELECTOR_MAY_CHANGE, older


def _extensions_defaults(replica_set: Object) -> None:
    default_from_template(replica_set)
    v1.REPLICASETS.defaults(replica_set)


EXTENSIONS = older(
    v1.REPLICASETS,
    packages.EXTENSIONS,
    deprecated=(1, 8),
    removed=(1, 16),
    defaults=_extensions_defaults,
    scale=old_scale(v1.REPLICASETS, packages.EXTENSIONS),
    tolerates=SELECTOR_MAY_CHANGE,
    default_propagation="Orphan",
)
V1BETA2 = older(
    v1.REPLICASETS,
    packages.V1BETA2,
    deprecated=(1, 9),
    removed=(1, 16),
    scale=old_scale(v1.REPLICASETS, packages.V1BETA2),
    default_propagation="Orphan",
)
