"""Whether a token is one of an issuer's, for us, and of now. Upstream: github.com/coreos/go-oidc."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime

from podium.apiserver.authn.oidc import jose
from podium.apiserver.authn.oidc.provider import KeySet
from podium.apiserver.authn.oidc.web import FetchError
from podium.base.clock import Clock, rfc3339
from podium.machinery import cel
from podium.machinery.errors import Object

NOT_BEFORE_LEEWAY_S = 60.0


class TokenError(Exception):
    """Why a token is not accepted, or whom it names cannot be told."""


class Verifier:
    """Knows the tokens of one issuer."""

    def __init__(
        self, issuer: str, keys: KeySet, *, audiences: Sequence[str], algorithms: Sequence[str], clock: Clock
    ) -> None:
        self._issuer = issuer
        self._keys = keys
        self._audiences = tuple(audiences)
        self._algorithms = tuple(algorithms)
        self._clock = clock

    async def verify(self, text: str) -> Object:
        """Return the claims of a good token. Raises `TokenError`."""
        try:
            token = jose.parse(text)
        except ValueError as error:
            raise TokenError(str(error)) from None
        if token.algorithm not in self._algorithms:
            raise TokenError(
                "oidc: id token signed with unsupported algorithm, expected "
                f"{quoted(self._algorithms)} got {cel.quoted(token.algorithm)}"
            )
        try:
            if not await self._keys.verify(token):
                raise TokenError("failed to verify signature: failed to verify id token signature")
        except FetchError as error:
            raise TokenError(f"failed to verify signature: fetching keys {error}") from None
        try:
            claims = jose.json_object(token.payload)
        except ValueError as error:
            raise TokenError(f"oidc: failed to unmarshal claims: {error}") from None
        self._check_issuer(claims)
        self._check_audiences(claims)
        self._check_time(claims)
        return claims

    def _check_issuer(self, claims: Object) -> None:
        issuer = claims.get("iss") or ""
        if issuer == self._issuer or (self._issuer == jose.GOOGLE and issuer == jose.GOOGLE_WITHOUT_SCHEME):
            return
        raise TokenError(
            f"oidc: id token issued by a different provider, expected {cel.quoted(self._issuer)} "
            f"got {cel.quoted(str(issuer))}"
        )

    def _check_audiences(self, claims: Object) -> None:
        told = claims.get("aud")
        audiences = [told] if isinstance(told, str) else told or []
        if not isinstance(audiences, list) or not all(isinstance(one, str) for one in audiences):
            raise TokenError("oidc: failed to unmarshal claims: aud is no list of strings")
        if any(audience in self._audiences for audience in audiences):
            return
        if len(self._audiences) == 1:
            wanted = cel.quoted(self._audiences[0])
            raise TokenError(f"oidc: expected audience {wanted} got {quoted(audiences)}")
        raise TokenError(
            f"oidc: expected audience in {quoted(sorted(self._audiences))} got {quoted(audiences)}"
        )

    def _check_time(self, claims: Object) -> None:
        now = self._clock.now()
        expires = _time(claims, "exp")
        if expires is None or expires < now.timestamp():
            shown = rfc3339(datetime.fromtimestamp(expires, UTC)) if expires is not None else "never given"
            raise TokenError(f"oidc: token is expired (Token Expiry: {shown})")
        not_before = _time(claims, "nbf")
        if not_before is not None and now.timestamp() + NOT_BEFORE_LEEWAY_S < not_before:
            raise TokenError(
                f"oidc: current time {rfc3339(now)} before the nbf (not before) time: "
                f"{rfc3339(datetime.fromtimestamp(not_before, UTC))}"
            )


def _time(claims: Object, name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TokenError(f"oidc: failed to unmarshal claims: {name} is no time")
    # Years that no calendar has are as far off as anybody can mean.
    return float(min(max(value, 0), 253402300799))


def quoted(texts: Sequence[str]) -> str:
    """Return a list of texts as Go prints it with %q."""
    return f"[{' '.join(map(cel.quoted, texts))}]"
