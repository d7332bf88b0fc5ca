"""Groups that a token does not carry but points at: distributed claims of OpenID Connect.

    "_claim_names": {"groups": "src1"},
    "_claim_sources": {"src1": {"endpoint": "https://…", "access_token": "…"}}

The endpoint answers with another token, whose issuer is discovered like the first. Upstream: claimResolver of
apiserver/plugin/pkg/authenticator/token/oidc.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from podium.apiserver.authn.oidc.jose import untrusted_issuer
from podium.apiserver.authn.oidc.verifier import TokenError, Verifier
from podium.apiserver.authn.oidc.web import FetchError, Web
from podium.machinery.errors import Object

ISSUERS_MAX = 32
"""Of distributed claims. A token can only be pointed at them by an issuer that is trusted."""

Discover = Callable[[str], asyncio.Future[Verifier]]
"""Issuer -> what knows its tokens, in time."""


class ClaimResolver:
    """Resolves one claim."""

    def __init__(self, claim: str, web: Web, discover: Discover) -> None:
        self._claim = claim
        self._web = web
        self._discover = discover
        self._verifiers: dict[str, asyncio.Future[Verifier]] = {}

    async def expand(self, claims: Object) -> Object:
        """Return the claims with the distributed one among them, where there is one. Raises `TokenError`."""
        if self._claim in claims or claims.get("_claim_names") is None:
            return claims
        names = _map_of(claims["_claim_names"], str)
        if names is None:
            raise TokenError("oidc: error parsing distributed claim names")
        if "_claim_sources" not in claims:
            raise TokenError("oidc: no claim sources")
        sources = _map_of(claims["_claim_sources"], dict)
        if sources is None:
            raise TokenError("oidc: could not parse claim sources")
        name = names.get(self._claim)
        if name is None:
            return claims
        if name not in sources:
            raise TokenError(f"id token _claim_names contained a source {name} missing in _claims_sources")
        endpoint = sources[name].get("endpoint")
        if not endpoint:
            return claims  # An aggregated claim, perhaps, which is not supported.
        return {**claims, self._claim: await self._resolve(str(endpoint), sources[name])}

    async def _resolve(self, endpoint: str, source: Object) -> Any:
        text = await self._fetch(endpoint, str(source.get("access_token") or ""))
        issuer = untrusted_issuer(text)
        if issuer is None:
            raise TokenError(
                f"getting untrusted issuer from endpoint {endpoint} failed for claim "
                f'"{self._claim}": malformed token'
            )
        try:
            claims = await self._verifier(issuer).verify(text)
        except TokenError as error:
            raise TokenError(f"verify distributed claim token: {error}") from None
        if self._claim not in claims:
            raise TokenError(
                f'jwt returned by distributed claim endpoint "{endpoint}" did not contain claim: '
                f"{self._claim}"
            )
        return claims[self._claim]

    async def _fetch(self, endpoint: str, token: str) -> str:
        try:
            fetched = await self._web.get(endpoint, token=token)
            if not 200 <= fetched.status <= 226:
                raise FetchError(f"error while getting distributed claim JWT: {fetched.status}")
            return fetched.body.decode("ascii")
        except (FetchError, UnicodeDecodeError) as error:
            raise TokenError(f'while getting distributed claim "{self._claim}": {error}') from None

    def _verifier(self, issuer: str) -> Verifier:
        found = self._verifiers.get(issuer)
        if found is None:
            if len(self._verifiers) >= ISSUERS_MAX:
                self._verifiers.pop(next(iter(self._verifiers))).cancel()
            found = self._verifiers[issuer] = self._discover(issuer)
        if not found.done() or found.cancelled():
            # The token comes again; until then the issuer is known, if it can be.
            raise TokenError(f'verifier not initialized for issuer: "{issuer}"')
        return found.result()


def _map_of(value: Any, kind: type) -> dict[str, Any] | None:
    good = isinstance(value, dict) and all(isinstance(inner, kind) for inner in value.values())
    return value if good else None
