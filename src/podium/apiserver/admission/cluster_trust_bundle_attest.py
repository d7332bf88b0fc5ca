"""ClusterTrustBundleAttest: only those who may `attest` for a signer say whom it trusts."""

from __future__ import annotations

from podium.apiserver.admission.certificates import may_for_signer
from podium.apiserver.admission.plugin import Plugin
from podium.apiserver.admission.writes import concerns, refused
from podium.apiserver.chain import Attributes, Authorizer
from podium.machinery.errors import Object
from podium.resources.certificates.clustertrustbundles import CLUSTERTRUSTBUNDLES

_OF_GARBAGE_COLLECTION = ("ownerReferences", "finalizers", "managedFields", "resourceVersion", "generation")


class ClusterTrustBundleAttest(Plugin):
    name = "ClusterTrustBundleAttest"
    resources = (CLUSTERTRUSTBUNDLES,)

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    async def validate(self, attributes: Attributes) -> None:
        bundle = concerns(attributes, CLUSTERTRUSTBUNDLES, "CREATE", "UPDATE")
        if bundle is None:
            return
        signer = (bundle.get("spec") or {}).get("signerName") or ""
        if not signer:
            return
        old = attributes.old_object
        if old is not None and _substance(bundle) == _substance(old):
            return
        if not await may_for_signer(self._authorizer, attributes, "attest", signer):
            raise refused(attributes, f'user not permitted to attest for signerName "{signer}"')


def _substance(bundle: Object) -> Object:
    """Return a bundle without what garbage collection writes."""
    metadata = bundle.get("metadata") or {}
    kept = {key: value for key, value in metadata.items() if key not in _OF_GARBAGE_COLLECTION}
    return {**bundle, "metadata": kept}
