"""An issuer on the network: its discovery document, and its keys, fetched when they are needed.

    discover -> Provider(jwks_uri) -> KeySet.verify(token)

Keys are kept until a token comes that none of them has signed; then they are fetched again, unless the answer
that brought them said how long they hold (Cache-Control). Tokens that come meanwhile wait for the same fetch,
and a set that has just been fetched is not asked for again: whoever sends tokens with invented key ids does
not make this server flood the issuer. Upstream: github.com/coreos/go-oidc.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from email.utils import parsedate_to_datetime

from podium.apiserver.authn.oidc.jose import Key, Token, json_object, key_set
from podium.apiserver.authn.oidc.web import Fetched, FetchError, Web
from podium.base.clock import Clock

WELL_KNOWN = "/.well-known/openid-configuration"
EARLY_S = 30.0
"""Keys that would go stale within this may be fetched again now."""
REFETCH_S = 1.0
"""Between two fetches for the sake of tokens that no key has signed. Upstream has no such limit."""

SHOWN_BYTES_MAX = 1024
"""So much of an error's text goes into a message."""

_MAX_AGE = re.compile(r"(?:^|[,\s])(?:s-maxage|max-age)\s*=\s*\"?(\d+)", re.IGNORECASE)

Recorded = Callable[[bytes | None], None]
"""Hears of each fetch of keys: the set as it came, None when it failed."""


async def discover(web: Web, issuer: str, discovery_url: str = "") -> str:
    """Return where the issuer's keys are. Raises `FetchError`.

    The document must name `issuer`, wherever it was fetched from.
    """
    fetched = await web.get(discovery_url or issuer.removesuffix("/") + WELL_KNOWN)
    if fetched.status != 200:
        raise FetchError(f"{fetched.status}: {_text(fetched)}")
    try:
        document = json_object(fetched.body)
    except ValueError as error:
        raise FetchError(f"oidc: failed to decode provider discovery object: {error}") from None
    if document.get("issuer") != issuer:
        raise FetchError(
            "oidc: issuer did not match the issuer returned by provider, "
            f'expected "{issuer}" got "{document.get("issuer") or ""}"'
        )
    uri = document.get("jwks_uri")
    if not uri or not isinstance(uri, str):
        raise FetchError("provider did not return JWKS URL")
    return uri


class KeySet:
    """The keys at one URL."""

    def __init__(self, web: Web, url: str, *, clock: Clock, recorded: Recorded = lambda _body: None) -> None:
        self._web = web
        self._url = url
        self._clock = clock
        self._recorded = recorded
        self._keys: tuple[Key, ...] = ()
        self._stale_at_s = float("-inf")
        self._tried_at_s = float("-inf")
        self._failure: FetchError | None = None
        """Of the last fetch."""
        self._fetching: asyncio.Task[None] | None = None

    async def verify(self, token: Token) -> bool:
        """Tell whether one of the keys has signed `token`. Raises `FetchError` when there are none."""
        # Stale keys still count: an issuer that is away does not lock anybody out.
        if token.verified_by(self._keys):
            return True
        now = self._clock.monotonic_s()
        if now + EARLY_S <= self._stale_at_s:
            return False
        if now < self._tried_at_s + REFETCH_S and self._fetching is None:
            if self._failure is not None:
                raise self._failure
            return False
        await self._fetch()
        return token.verified_by(self._keys)

    async def _fetch(self) -> None:
        if self._fetching is None:
            self._fetching = asyncio.create_task(self._refetch(), name="apiserver-oidc-keys")
            self._fetching.add_done_callback(self._fetched)
        # Whoever gives up waiting does not take the fetch away from the others.
        await asyncio.shield(self._fetching)

    def _fetched(self, task: asyncio.Task[None]) -> None:
        self._fetching = None
        if not task.cancelled():
            task.exception()  # Has been seen: everybody who waits is told of it.

    async def _refetch(self) -> None:
        self._tried_at_s = self._clock.monotonic_s()
        self._failure = None
        try:
            fetched = await self._web.get(self._url)
            if fetched.status != 200:
                raise FetchError(f"oidc: get keys failed: {fetched.status} {_text(fetched)}")
            try:
                keys = key_set(fetched.body)
            except ValueError as error:
                raise FetchError(f"oidc: failed to decode keys: {error} {_text(fetched)}") from None
        except FetchError as error:
            self._failure = error
            self._recorded(None)
            raise
        self._recorded(fetched.body)
        self._keys = keys
        self._stale_at_s = self._clock.monotonic_s() + self._holds_s(fetched)

    def _holds_s(self, fetched: Fetched) -> float:
        """Return how long the answer may be kept; 0 where it does not say."""
        control = fetched.headers.get("cache-control")
        if "no-store" in control or "no-cache" in control:
            return 0.0
        if match := _MAX_AGE.search(control):
            return float(min(int(match[1]), 10**9))
        try:
            expires = parsedate_to_datetime(fetched.headers.get("expires"))
            return max(0.0, (expires - self._clock.now()).total_seconds())
        except (TypeError, ValueError):
            return 0.0


def _text(fetched: Fetched) -> str:
    return fetched.body[:SHOWN_BYTES_MAX].decode(errors="replace")
