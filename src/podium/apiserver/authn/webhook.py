"""The token webhook: another server answers a TokenReview.

Upstream: apiserver/plugin/pkg/authenticator/token/webhook.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from podium.apiserver.authn.bearer import Identified, Refused
from podium.apiserver.authn.names import authenticated
from podium.apiserver.chain import User
from podium.apiserver.kubeconfig_webhook import KubeconfigWebhook
from podium.apiserver.webhook_client import CallFailed
from podium.base.clock import Clock
from podium.base.log import Log
from podium.client.kubeconfig import Connection
from podium.machinery.errors import Object

GROUP = "authentication.k8s.io"
KIND = "TokenReview"
VERSIONS = ("v1", "v1beta1")
TIMEOUT_S = 30.0
CACHE_TTL_S = 120.0

_log = Log("podium.apiserver.authn.webhook")


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookOptions:
    """--authentication-token-webhook-*"""

    connection: Connection
    version: str = "v1beta1"
    cache_ttl_s: float = CACHE_TTL_S
    """How long its answers are kept, good and bad ones; failures to answer are not."""


class WebhookAuthenticator:
    """Asks one webhook about every token that it is given."""

    def __init__(self, options: WebhookOptions, *, audiences: Sequence[str], clock: Clock) -> None:
        """`audiences` are the API server's: those of a user without any."""
        self._version = options.version
        self._audiences = tuple(audiences)
        self._webhook = KubeconfigWebhook(options.connection, timeout_s=TIMEOUT_S, clock=clock)

    async def identify(self, token: str, audiences: Sequence[str]) -> Identified | None:
        spec: Object = {"token": token}
        if audiences:
            spec["audiences"] = list(audiences)
        review = {
            "kind": KIND,
            "apiVersion": f"{GROUP}/{self._version}",
            "metadata": {},
            "spec": spec,
            "status": {"user": {}},
        }
        try:
            status = _status(await self._webhook.post(orjson.dumps(review)), self._version)
        except CallFailed as error:
            # Bad configuration, or an outage: the log is the place where somebody looks for it.
            _log.error("the token webhook has failed", error=str(error))
            raise Refused(str(error)) from None
        good_for = [one for one in audiences if one in (status.audiences or self._audiences)]
        if not good_for:
            return None
        if status.user is None:
            if status.error:
                raise Refused(status.error)
            return None
        return Identified(user=authenticated(status.user), audiences=tuple(good_for))

    async def run(self) -> None:
        """Wait; when cancelled, close the connections."""
        try:
            await asyncio.Event().wait()
        finally:
            await self._webhook.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Status:
    user: User | None
    audiences: tuple[str, ...]
    error: str


def _status(raw: bytes, version: str) -> _Status:
    """Return what a webhook's answer says. Raises `CallFailed` for one that is no review."""
    try:
        review = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise CallFailed(f"couldn't get version/kind; json parse error: {error}", 0) from None
    found = (review.get("apiVersion"), review.get("kind")) if isinstance(review, dict) else ("", "")
    if found != (f"{GROUP}/{version}", KIND):
        raise CallFailed(f"the answer is no {KIND} of {GROUP}/{version}", 0)
    try:
        return _read(_typed(review.get("status"), dict))
    except TypeError:
        raise CallFailed(f"the answer's status is not one of a {KIND}", 0) from None


def _read(status: Object) -> _Status:
    user = None
    if _typed(status.get("authenticated"), bool):
        told = _typed(status.get("user"), dict)
        user = User(
            name=_typed(told.get("username"), str),
            uid=_typed(told.get("uid"), str),
            groups=_texts(told.get("groups")),
            extra=_extra(_typed(told.get("extra"), dict)),
        )
    return _Status(
        user=user, audiences=_texts(status.get("audiences")), error=_typed(status.get("error"), str)
    )


def _extra(told: Object) -> Mapping[str, tuple[str, ...]]:
    return {key: _texts(values) for key, values in told.items()}


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(_typed(one, str) for one in _typed(value, list))


def _typed(value: Any, kind: type) -> Any:
    """Return the value, or the kind's empty one for none. Raises TypeError for another kind."""
    if value is None:
        return kind()
    if value.__class__ is not kind:
        raise TypeError(value)
    return value
