"""Bearer tokens: where a request carries one, and the protocol of those who know what it means."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, runtime_checkable

from podium.apiserver.chain import User
from podium.base.http.message import Request
from podium.base.log import Log
from podium.machinery.errors import Unauthorized

_log = Log("podium.apiserver.authn")

# Browsers cannot set headers on a WebSocket; the token travels as a subprotocol (upstream's KEP-less habit).
WEBSOCKET_PREFIX = "base64url.bearer.authorization.k8s.io."
EXTRA_SPACE = "the provided Authorization header contains extra space before the bearer token, and is ignored"
_SUBPROTOCOL = "sec-websocket-protocol"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identified:
    """Whom a token names, and for which of the asked-for audiences it is good."""

    user: User
    audiences: tuple[str, ...] = ()
    """Empty: for those of the API server."""
    notes: Mapping[str, str] = field(default_factory=dict)
    """What the audit log shall know of the token, by qualified name."""
    warnings: tuple[str, ...] = ()
    """What whoever uses it shall be told."""


class Refused(Unauthorized):
    """Why a token is not accepted. The client hears `Unauthorized`; a TokenReview tells the reason."""

    def __init__(self, why: str) -> None:
        super().__init__()
        self.why = why


class TokenAuthenticator(Protocol):
    """Knows one sort of token."""

    async def identify(self, token: str, audiences: Sequence[str]) -> Identified | None:
        """Return whom `token` names; None when it is not of this sort.

        Raises `Unauthorized` when it is, but wrong. The token must be meant for one of `audiences`; sorts
        without audiences ignore them, and say none: they are meant for the API server's own.
        """
        ...


@runtime_checkable
class Recalling(Protocol):
    """A token authenticator that knows its tokens without waiting."""

    def recall(self, token: str, audiences: Sequence[str]) -> Identified | None:
        """As `identify`."""
        ...


class TokenUnion:
    """Asks token authenticators in turn; one that refuses a token does not keep others from knowing it."""

    def __init__(self, authenticators: Sequence[TokenAuthenticator], audiences: Sequence[str]) -> None:
        """`audiences` are the API server's own."""
        self._authenticators = tuple(authenticators)
        self._audiences = tuple(audiences)

    async def identify(self, token: str, audiences: Sequence[str]) -> Identified | None:
        reasons: list[str] = []
        refused = False
        for authenticator in self._authenticators:
            try:
                identified = await authenticator.identify(token, audiences)
            except Unauthorized as error:
                refused = True
                if isinstance(error, Refused):
                    reasons.append(error.why)
                continue
            if identified is None:
                continue
            good_for = identified.audiences or tuple(a for a in self._audiences if a in audiences)
            if good_for:
                return replace(identified, audiences=good_for)
        if reasons:
            raise Refused(", ".join(dict.fromkeys(reasons)))
        if refused:
            raise Unauthorized()
        return None


class BearerAuthenticator:
    """Asks each token authenticator in turn about the token that a request carries."""

    def __init__(self, authenticators: Sequence[TokenAuthenticator], audiences: Sequence[str]) -> None:
        self._union = TokenUnion(authenticators, audiences)
        self.audiences = tuple(audiences)
        recalling = [
            authenticator for authenticator in authenticators if isinstance(authenticator, Recalling)
        ]
        # A sort of token that takes waiting may come before the next one in order.
        self._recalling = tuple(a for a, b in zip(recalling, authenticators, strict=False) if a is b)

    async def authenticate(self, request: Request) -> User | None:
        token = take_token(request)
        if not token:
            return None
        try:
            identified = await self.identify(token, self.audiences)
        except Refused as refused:
            # The client hears nothing but Unauthorized.
            _log.info("a token is not accepted", why=refused.why)
            raise
        request.warnings += identified.warnings
        if request.audit is not None:
            for key, text in identified.notes.items():
                request.audit.annotate(key, text)
        return identified.user

    def recall(self, request: Request) -> User | None:
        """Return whom the request's token names if nothing needs to be waited for; leave it there."""
        words = request.headers.get("authorization").strip().split(" ", 2)
        if len(words) < 2 or words[0].lower() != "bearer":
            return None
        for authenticator in self._recalling:
            identified = authenticator.recall(words[1], self.audiences)
            if identified is not None:
                return identified.user
        return None

    async def identify(self, token: str, audiences: Sequence[str]) -> Identified:
        """Return whom `token` names. Raises `Unauthorized` when nobody knows it."""
        identified = await self._union.identify(token, audiences)
        if identified is None:
            raise Unauthorized()
        return identified


def take_token(request: Request) -> str:
    """Return the request's bearer token, or "". It is taken out, lest a proxied request pass it on."""
    words = request.headers.get("authorization").strip().split(" ", 2)
    if len(words) >= 2 and words[0].lower() == "bearer":
        if words[1]:
            request.headers.remove("authorization")
            return words[1]
        # An empty token (`Bearer  x`) is ignored, as upstream does, not refused.
        if len(words) == 3:
            request.warnings += (EXTRA_SPACE,)
    return _websocket_token(request) if _SUBPROTOCOL in request.headers else ""


def _websocket_token(request: Request) -> str:
    token = ""
    kept: list[str] = []
    for value in request.headers.get_all(_SUBPROTOCOL):
        for protocol in (part.strip() for part in value.split(",")):
            if not protocol.startswith(WEBSOCKET_PREFIX):
                kept.append(protocol)
                continue
            encoded = protocol.removeprefix(WEBSOCKET_PREFIX)
            try:
                token = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
            except (binascii.Error, UnicodeDecodeError) as error:
                raise Unauthorized() from error
    if token:
        request.headers.remove(_SUBPROTOCOL)
        if kept:
            request.headers.set(_SUBPROTOCOL, ", ".join(kept))
    return token
