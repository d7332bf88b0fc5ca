"""Issuing service-account tokens (the TokenRequest subresource) and publishing how to verify them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from urllib.parse import urlsplit

from podium.apiserver.authn.keys import SigningKey, VerificationKey
from podium.apiserver.authn.names import service_account_user
from podium.apiserver.chain import IssuedToken
from podium.base.clock import Clock, WallClock, rfc3339
from podium.base.ids import new_uid
from podium.machinery import meta
from podium.machinery.errors import Object

# The lifetime that the ServiceAccount plugin asks for in a pod's projected volume is a mark: such a token
# lives a year, for clients that never reload it, and only counts as stale after the hour it asked for.
MARKED_EXPIRATION_S = 3607
EXTENDED_EXPIRATION_S = 365 * 24 * 60 * 60

OPENID_CONFIGURATION = "/.well-known/openid-configuration"
JWKS = "/openid/v1/jwks"
KEY_SET_TYPE = "application/jwk-set+json"
KEYS_KEPT_S = 3600
"""How long others may rely on what these documents say: a new key is published so long before it signs."""

_CLAIM_OF_KIND = {"Pod": "pod", "Secret": "secret", "Node": "node"}


class ServiceAccountTokenIssuer:
    """Signs tokens that `ServiceAccountAuthenticator` accepts."""

    def __init__(
        self,
        *,
        issuer: str,
        signing_key: Callable[[], SigningKey],
        verification_keys: Callable[[], Sequence[VerificationKey]],
        audiences: Sequence[str],
        jwks_uri: str = "",
        expiration_s_max: int = 0,
        extend_expiration: bool = True,
        clock: Clock | None = None,
    ) -> None:
        """Nobody is given a token for longer than `expiration_s_max`, where that is not 0, but for the tokens
        of pods that are extended."""
        self._issuer = issuer
        self._signing_key = signing_key
        self._verification_keys = verification_keys
        self._audiences = tuple(audiences)
        self._jwks_uri = jwks_uri or issuer.rstrip("/") + JWKS
        self._expiration_s_max = expiration_s_max
        self._extends = extend_expiration
        self._clock = clock or WallClock()

    @property
    def discoverable(self) -> bool:
        try:
            parts = urlsplit(self._issuer)
        except ValueError:
            return False
        return parts.scheme == "https" and not parts.query and not parts.fragment

    @property
    def expiration_s_max(self) -> int:
        return self._expiration_s_max

    @property
    def audiences(self) -> Sequence[str]:
        return self._audiences

    async def issue(
        self,
        service_account: Object,
        *,
        audiences: Sequence[str],
        expiration_s: int,
        bound: Object | None,
        bound_node: Object | None = None,
    ) -> IssuedToken:
        import jwt  # noqa: PLC0415

        now = self._clock.now()
        audiences = tuple(audiences) or self._audiences
        issued_at = int(now.timestamp())
        lives_s, warn_after_s = expiration_s, 0
        in_pod = bound is not None and bound.get("kind") == "Pod"
        marked = self._extends and expiration_s == MARKED_EXPIRATION_S
        if marked and in_pod and set(audiences) <= set(self._audiences):
            lives_s, warn_after_s = EXTENDED_EXPIRATION_S, expiration_s

        namespace, name = meta.namespace(service_account), meta.name(service_account)
        private: Object = {"namespace": namespace}
        if bound_node is not None:
            private["node"] = _reference(bound_node)
        if bound is not None:
            private[_CLAIM_OF_KIND[bound["kind"]]] = _reference(bound)
        private["serviceaccount"] = _reference(service_account)
        if warn_after_s:
            private["warnafter"] = issued_at + warn_after_s
        token_id = new_uid()
        payload = {
            "aud": list(audiences),
            "exp": issued_at + lives_s,
            "iat": issued_at,
            "iss": self._issuer,
            "jti": token_id,
            "kubernetes.io": private,
            "nbf": issued_at,
            "sub": service_account_user(namespace, name),
        }
        key = self._signing_key()
        # An empty `typ` is left out of the header, where upstream has none either.
        headers = {"kid": key.key_id, "typ": ""}
        token = jwt.encode(payload, key.private, algorithm=key.algorithm, headers=headers)
        expiration = rfc3339(now + timedelta(seconds=expiration_s))
        return IssuedToken(token=token, expiration=expiration, token_id=token_id)

    def open_id_configuration(self) -> Object:
        algorithms = sorted({key.algorithm for key in self._verification_keys()})
        return {
            "issuer": self._issuer,
            "jwks_uri": self._jwks_uri,
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": algorithms,
        }

    def json_web_key_set(self) -> Object:
        return {"keys": [key.as_jwk() for key in self._verification_keys()]}


def _reference(obj: Object) -> Object:
    """Return name and uid; the Node of a pod may be gone, and then has no uid."""
    uid = meta.uid(obj)
    return {"name": meta.name(obj), "uid": uid} if uid else {"name": meta.name(obj)}
