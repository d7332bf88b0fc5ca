"""The authenticators of a server's issuers over its life: reaching the issuers, taking a changed file.

A file that has changed replaces all authenticators at once, when all its issuers have been reached; whatever
is wrong with it, the ones there are stay. Upstream: pkg/kubeapiserver/options/authentication.go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from podium.apiserver.authn.oidc import config
from podium.apiserver.authn.oidc.authenticator import JwtAuthenticator, JwtAuthenticators
from podium.apiserver.authn.oidc.config import SIGNING_ALGORITHMS, Anonymous
from podium.apiserver.authn.oidc.metrics import JwtMetrics
from podium.apiserver.authn.oidc.validation import Compiled, aggregate, validate
from podium.base import file_changes
from podium.base.clock import Clock
from podium.base.log import Log
from podium.machinery.errors import FieldError

UPDATE_TIMEOUT_S = 60.0
"""How long the issuers of a changed file have to be reached, and the old ones' requests to end."""

_ANONYMOUS_CHANGED = str(FieldError.forbidden("anonymous", "changed from initial configuration file"))

_log = Log("podium.apiserver.authn")


@dataclass(frozen=True, slots=True, kw_only=True)
class JwtOptions:
    """What flags or a file say about tokens of other issuers, checked."""

    issuers: tuple[Compiled, ...]
    algorithms: Sequence[str] = SIGNING_ALGORITHMS
    version: str
    """Kubernetes', which chooses the libraries of expressions."""
    disallowed_issuers: Sequence[str] = ()
    path: str = ""
    """Of the file; "" where flags said it."""
    data: bytes = b""
    """What stood in the file."""
    stamp: file_changes.Stamp = ()
    """From before it was read."""
    anonymous: Anonymous | None = None
    """As the file says it, which may not change."""


class Rejected(ValueError):
    """A configuration that says what it may not say."""


def read(
    data: bytes, *, version: str, disallowed_issuers: Sequence[str]
) -> tuple[tuple[Compiled, ...], Anonymous | None]:
    """Return the issuers of a configuration, compiled. Raises ValueError, `Rejected` among them."""
    configuration = config.parse(data)
    compiled, errors = validate(configuration, disallowed_issuers=disallowed_issuers, version=version)
    if errors:
        raise Rejected(aggregate(errors))
    for one in compiled:
        if selector := one.config.issuer.egress_selector_type:
            # There is no egress selector here to find it by: going another way is not what was asked for.
            raise Rejected(f'oidc: egress lookup required with egress selector type "{selector}"')
    return compiled, configuration.anonymous


@dataclass(slots=True)
class JwtService:
    """Owns the authenticators. `changed` is called when others take their place."""

    options: JwtOptions
    metrics: JwtMetrics
    clock: Clock
    changed: Callable[[], None] = lambda: None
    authenticators: JwtAuthenticators = field(init=False)
    _data: bytes = field(init=False)
    _retiring: set[asyncio.Task[None]] = field(init=False, default_factory=set)

    def __post_init__(self) -> None:
        self._data = self.options.data
        self.authenticators = JwtAuthenticators(self._made(self.options.issuers))
        if self.options.path:
            self.metrics.configured(self._data)

    async def run(self) -> None:
        """Reach the issuers, and follow the file where there is one, until cancelled."""
        try:
            for one in self.authenticators.current:
                one.start()
            if not self.options.path:
                await asyncio.Event().wait()
            await file_changes.follow(
                [self.options.path], self._reload, clock=self.clock, seen=self.options.stamp
            )
        finally:
            for task in self._retiring:
                task.cancel()
            await asyncio.gather(*self._retiring, return_exceptions=True)
            await _close(self.authenticators.current)

    async def _reload(self) -> bool:
        """Take the file as it is now; return whether that is settled."""
        try:
            data = _read(self.options.path)
        except OSError as error:
            self._failed(f"it cannot be read: {error}")
            return True
        if data == self._data:
            return True
        try:
            compiled, anonymous = read(
                data, version=self.options.version, disallowed_issuers=self.options.disallowed_issuers
            )
            if anonymous != self.options.anonymous:
                raise Rejected(_ANONYMOUS_CHANGED)
        except ValueError as error:
            # What stands there will never do; the next change is looked at again.
            self._data = data
            self._failed(str(error))
            return True
        fresh = self._made(compiled)
        if not await self._reached(fresh):
            await _close(fresh)
            return False
        self._replace(fresh)
        self._data = data
        self.metrics.reloaded(data)
        _log.info("the authentication configuration has been reloaded", file=self.options.path)
        return True

    async def _reached(self, fresh: Sequence[JwtAuthenticator]) -> bool:
        try:
            async with asyncio.timeout(UPDATE_TIMEOUT_S):
                await asyncio.gather(*(one.start() for one in fresh))
        except TimeoutError:
            self._failed(", ".join(one.problem for one in fresh if one.problem))
            return False
        except BaseException:
            await _close(fresh)
            raise
        return True

    def _replace(self, fresh: Sequence[JwtAuthenticator]) -> None:
        old, self.authenticators.current = self.authenticators.current, tuple(fresh)
        self.changed()
        known = {one.issuer for one in fresh}
        for one in old:
            if one.issuer not in known:
                self.metrics.forget(one.issuer)
        task = asyncio.create_task(self._retire(old), name="apiserver-oidc-retiring")
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    async def _retire(self, old: Sequence[JwtAuthenticator]) -> None:
        try:
            await self.clock.sleep(UPDATE_TIMEOUT_S)
        finally:
            await _close(old)

    def _made(self, issuers: Sequence[Compiled]) -> tuple[JwtAuthenticator, ...]:
        return tuple(
            JwtAuthenticator(one, algorithms=self.options.algorithms, metrics=self.metrics, clock=self.clock)
            for one in issuers
        )

    def _failed(self, why: str) -> None:
        self.metrics.reloaded(None)
        _log.error(
            "the authentication configuration has not been reloaded", file=self.options.path, error=why
        )


def _read(path: str) -> bytes:
    return Path(path).read_bytes()


async def _close(authenticators: Sequence[JwtAuthenticator]) -> None:
    for one in authenticators:
        await one.close()
