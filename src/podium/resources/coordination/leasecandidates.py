"""LeaseCandidate, coordination.k8s.io/v1beta1 and v1alpha2."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.machinery.validation import config_map_key_errors
from podium.resources import deferred
from podium.resources.defaulting import child
from podium.resources.printing import AGE, NAME, column, spec
from podium.resources.twins import deprecated, twin


def _defaults(candidate: Object) -> None:
    child(candidate, "spec")


LEASECANDIDATES = Resource(
    group="coordination.k8s.io",
    version="v1beta1",
    kind="LeaseCandidate",
    core_finalizers=False,
    plural="leasecandidates",
    namespaced=True,
    schema="io.k8s.api.coordination.v1beta1.LeaseCandidate",
    defaults=_defaults,
    columns=(
        NAME,
        column("LeaseName", lambda obj: spec(obj).get("leaseName") or ""),
        column("BinaryVersion", lambda obj: spec(obj).get("binaryVersion") or ""),
        column("EmulationVersion", lambda obj: spec(obj).get("emulationVersion") or ""),
        AGE,
    ),
    name_errors=config_map_key_errors,
    create_on_update=True,
    validate=deferred.check("coordination.validation", "validate_candidate"),
    validate_update=deferred.update_check("coordination.validation", "validate_candidate_update"),
    unconditional_update=False,
    deprecation=deprecated("coordination.k8s.io/v1beta1", "LeaseCandidate", "1.36", "1.39"),
)

LEASECANDIDATES_V1ALPHA2 = twin(
    LEASECANDIDATES,
    "v1alpha2",
    deprecation=deprecated("coordination.k8s.io/v1alpha2", "LeaseCandidate", "1.35", "1.38"),
)
