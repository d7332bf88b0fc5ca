"""ClusterTrustBundle, certificates.k8s.io/v1beta1 and v1alpha1."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources import deferred
from podium.resources.defaulting import child
from podium.resources.printing import NAME, NONE, column, spec
from podium.resources.selecting import fields
from podium.resources.twins import deprecated, twin


def _defaults(bundle: Object) -> None:
    child(bundle, "spec")


CLUSTERTRUSTBUNDLES = Resource(
    group="certificates.k8s.io",
    version="v1beta1",
    kind="ClusterTrustBundle",
    plural="clustertrustbundles",
    namespaced=False,
    schema="io.k8s.api.certificates.v1beta1.ClusterTrustBundle",
    gate="ClusterTrustBundle",
    defaults=_defaults,
    columns=(
        NAME,
        column("SignerName", lambda obj: spec(obj).get("signerName") or NONE),
    ),
    selectable=fields("spec.signerName"),
    # What a name may be depends on the signer.
    name_errors=lambda _name: [],
    validate=deferred.check("certificates.bundle_validation", "validate_bundle"),
    validate_update=deferred.update_check("certificates.bundle_validation", "validate_bundle_update"),
    unconditional_update=False,
)

CLUSTERTRUSTBUNDLES_V1ALPHA1 = twin(
    CLUSTERTRUSTBUNDLES,
    "v1alpha1",
    deprecation=deprecated("certificates.k8s.io/v1alpha1", "ClusterTrustBundle", "1.34", "1.37"),
)
