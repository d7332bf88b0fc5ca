"""Lease, coordination.k8s.io/v1."""

from __future__ import annotations

from podium.machinery.gated import Gated
from podium.machinery.resource import Resource
from podium.resources import deferred
from podium.resources.printing import AGE, NAME, column, spec

LEASES = Resource(
    group="coordination.k8s.io",
    version="v1",
    kind="Lease",
    core_finalizers=False,
    plural="leases",
    namespaced=True,
    schema="io.k8s.api.coordination.v1.Lease",
    gated=(Gated(gate="CoordinatedLeaderElection", paths=("spec.strategy", "spec.preferredHolder")),),
    create_on_update=True,
    columns=(
        NAME,
        column("Holder", lambda obj: spec(obj).get("holderIdentity") or ""),
        AGE,
    ),
    validate=deferred.check("coordination.validation", "validate_lease"),
    validate_update=deferred.check_new("coordination.validation", "validate_lease"),
    unconditional_update=False,
)
