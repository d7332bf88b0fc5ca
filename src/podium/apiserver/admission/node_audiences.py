"""For which audiences a node may have tokens made: those that a pod on it asks for.

Upstream: NodeRestriction with ServiceAccountNodeAudienceRestriction. Volumes of old types that a CSI driver
took over have none here.
"""

from __future__ import annotations

from collections.abc import Iterator

from podium.apiserver.admission.writes import refused
from podium.apiserver.chain import Attributes, Authorizer, Reader, RequestInfo
from podium.machinery import meta
from podium.machinery.errors import Object
from podium.resources.core.persistentvolumeclaims import PERSISTENTVOLUMECLAIMS
from podium.resources.core.persistentvolumes import PERSISTENTVOLUMES
from podium.resources.storage.csidrivers import CSIDRIVERS

VERB = "request-serviceaccounts-token-audience"


class Audiences:
    """Compares what a node asks for with its pods' volumes."""

    def __init__(self, reader: Reader, authorizer: Authorizer) -> None:
        self._authorizer = authorizer
        self._claims = reader.cached(PERSISTENTVOLUMECLAIMS)
        self._volumes = reader.cached(PERSISTENTVOLUMES)
        self._drivers = reader.cached(CSIDRIVERS)

    async def check(self, attributes: Attributes, pod: Object) -> None:
        """Refuse a TokenRequest for an audience that `pod` does not use. Raises `Forbidden`."""
        audiences = meta.dig(attributes.object, "spec", "audiences", default=[])
        if len(audiences) > 1:
            raise refused(attributes, "node may only request 0 or 1 audiences")
        audience = audiences[0] if audiences else ""
        if audience in self._used(pod):
            return
        info = RequestInfo(
            verb=VERB,
            path="",
            is_resource=True,
            api_prefix="api",
            api_version="v1",
            namespace=attributes.namespace,
            resource=audience,
            name=attributes.name,
        )
        decision = await self._authorizer.authorize(attributes.user, info)
        if decision.allowed:
            return
        not_found, user = f'audience "{audience}" not found in pod spec volume', attributes.user.name
        if decision.error:
            why = f"error authorizing {user} to request tokens for this audience: {decision.error}"
            raise refused(attributes, f"{not_found}, {why}")
        raise refused(
            attributes, f"{not_found}, {user} is not authorized to request tokens for this audience"
        )

    def _used(self, pod: Object) -> Iterator[str]:
        for volume in meta.dig(pod, "spec", "volumes", default=[]):
            for source in meta.dig(volume, "projected", "sources", default=[]):
                token = source.get("serviceAccountToken")
                if token is not None:
                    yield token.get("audience") or ""
            driver = self._drivers.get(None, self._driver(pod, volume))
            for request in meta.dig(driver, "spec", "tokenRequests", default=[]):
                yield request.get("audience") or ""

    def _driver(self, pod: Object, volume: Object) -> str:
        """Return the name of the CSI driver behind a volume, "" for none."""
        claim = meta.dig(volume, "persistentVolumeClaim", "claimName", default="")
        if volume.get("ephemeral"):
            claim = f"{meta.name(pod)}-{volume.get('name', '')}"
        if not claim:
            return meta.dig(volume, "csi", "driver", default="") or ""
        bound = self._claims.get(meta.namespace(pod), claim)
        found = self._volumes.get(None, meta.dig(bound, "spec", "volumeName", default=""))
        return meta.dig(found, "spec", "csi", "driver", default="") or ""
