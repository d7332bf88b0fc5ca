"""Tokens of other issuers (OpenID Connect): one authenticator for each issuer, and all of them together."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from time import perf_counter

from podium.apiserver.authn.bearer import Identified, Refused
from podium.apiserver.authn.names import authenticated
from podium.apiserver.authn.oidc.distributed import ClaimResolver
from podium.apiserver.authn.oidc.identity import identify
from podium.apiserver.authn.oidc.jose import untrusted_issuer
from podium.apiserver.authn.oidc.metrics import JwtMetrics
from podium.apiserver.authn.oidc.provider import KeySet, discover
from podium.apiserver.authn.oidc.validation import Compiled
from podium.apiserver.authn.oidc.verifier import TokenError, Verifier
from podium.apiserver.authn.oidc.web import FetchError, Web
from podium.apiserver.chain import User
from podium.apiserver.server_id import hashed
from podium.base.clock import Clock
from podium.base.log import Log
from podium.machinery.errors import Object

DISCOVERY_INTERVAL_S = 10.0
"""Between attempts to reach an issuer that has not been reached yet."""

_log = Log("podium.apiserver.authn")


class JwtAuthenticator:
    """Knows the tokens of one issuer, once that has been reached."""

    def __init__(
        self, compiled: Compiled, *, algorithms: Sequence[str], metrics: JwtMetrics, clock: Clock
    ) -> None:
        issuer = compiled.config.issuer
        self.issuer = issuer.url
        self._compiled = compiled
        self._algorithms = algorithms
        self._metrics = metrics
        self._clock = clock
        self._web = Web(issuer.certificate_authority)
        self._verifier: Verifier | None = None
        self._failure = "is not initialized"
        self._tasks: set[asyncio.Task[Verifier]] = set()
        groups = compiled.config.claim_mappings.groups.claim
        self._resolver = ClaimResolver(groups, self._web, self._discovery) if groups else None
        hash_ = hashed(self.issuer)
        self._succeeded = metrics.latency.labels("success", hash_)
        self._failed = metrics.latency.labels("failure", hash_)

    def start(self) -> asyncio.Task[Verifier]:
        """Begin to look for the issuer; the task ends when it has been found."""
        return self._discovery(self.issuer)

    @property
    def problem(self) -> str:
        """Why no token can be verified yet; "" once they can."""
        if self._verifier is not None:
            return ""
        return f'oidc: authenticator for issuer "{self.issuer}" {self._failure}'

    async def identify(self, token: str) -> User | None:
        """Return whom `token` names, None when it is another issuer's. Raises `Refused`."""
        if untrusted_issuer(token) != self.issuer:
            return None
        started = perf_counter()
        try:
            user = await self._identify(token)
        except TokenError as error:
            self._failed.observe(perf_counter() - started)
            raise Refused(str(error)) from None
        self._succeeded.observe(perf_counter() - started)
        return user

    async def _identify(self, token: str) -> User:
        if self._verifier is None:
            raise TokenError("oidc: authenticator not initialized")
        try:
            claims = await self._verifier.verify(token)
        except TokenError as error:
            raise TokenError(f"oidc: verify token: {error}") from None
        return identify(self._compiled, await self._expanded(claims))

    async def _expanded(self, claims: Object) -> Object:
        if self._resolver is None:
            return claims
        try:
            return await self._resolver.expand(claims)
        except TokenError as error:
            raise TokenError(f"oidc: could not expand distributed claims: {error}") from None

    def _discovery(self, issuer: str) -> asyncio.Task[Verifier]:
        task = asyncio.create_task(self._discover(issuer), name="apiserver-oidc-discovery")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _discover(self, issuer: str) -> Verifier:
        """Return what verifies the tokens of `issuer`, which may be one of distributed claims."""
        own = issuer == self.issuer
        config = self._compiled.config.issuer
        while True:
            try:
                uri = await discover(self._web, issuer, config.discovery_url if own else "")
                break
            except FetchError as error:
                if own:
                    self._failure = f"is not healthy: {error}"
                _log.error("an issuer of tokens was not reached", issuer=issuer, error=str(error))
            await self._clock.sleep(DISCOVERY_INTERVAL_S)
        keys = KeySet(
            self._web,
            uri,
            clock=self._clock,
            recorded=(lambda body: self._metrics.fetched(issuer, body)) if own else (lambda _body: None),
        )
        verifier = Verifier(
            issuer, keys, audiences=config.audiences, algorithms=self._algorithms, clock=self._clock
        )
        if own:
            self._verifier = verifier
        return verifier

    async def close(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._web.close()


class JwtAuthenticators:
    """All issuers of a configuration. Implements `TokenAuthenticator`."""

    def __init__(self, authenticators: Sequence[JwtAuthenticator] = ()) -> None:
        self.current = tuple(authenticators)
        """Replaced when the configuration is."""

    async def identify(self, token: str, audiences: Sequence[str]) -> Identified | None:
        # Its audiences have been checked against the configuration: it is meant for this server.
        for authenticator in self.current:
            user = await authenticator.identify(token)
            if user is not None:
                return Identified(user=authenticated(user))
        return None
