"""Tokens kept in Secrets of type kubernetes.io/service-account-token: good while the Secret holds them.

Whether such a token is still used is noted on its Secret, day by day, so that the controller that tidies up
knows which ones nobody needs. Upstream: pkg/serviceaccount/legacy.go.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
from collections.abc import Callable
from datetime import timedelta

from podium.apiserver.authn.bearer import Refused
from podium.apiserver.authn.claims import Claims
from podium.apiserver.authn.service_account_metrics import ServiceAccountMetrics
from podium.apiserver.chain import View, Writer
from podium.base.clock import Clock
from podium.base.log import Log
from podium.machinery import meta
from podium.machinery.errors import ApiError, NotFound, Object
from podium.resources.core.secrets import SECRETS

INVALID_SINCE = "kubernetes.io/legacy-token-invalid-since"
LAST_USED = "kubernetes.io/legacy-token-last-used"
WAITING_MAX = 1024
"""Secrets whose use is still to be noted; one more use is noted another time."""

_INVALIDATED = "Token has been invalidated"
_log = Log("podium.apiserver.authn")


class LegacyTokens:
    """Checks the tokens whose signature is good."""

    def __init__(
        self,
        *,
        secrets: View,
        service_accounts: View,
        metrics: ServiceAccountMetrics,
        used: Callable[[Object], None],
        lookup: bool,
    ) -> None:
        """`used` hears of the Secret of each token that is used. Without `lookup` nothing but the signature
        counts (`--service-account-lookup`)."""
        self._secrets = secrets
        self._service_accounts = service_accounts
        self._metrics = metrics
        self._used = used
        self._lookup = lookup

    def check(self, claims: Claims, token: str) -> None:
        """Return when the token is still good. Raises `Refused`."""
        if not self._lookup:
            return
        namespace, account = claims.namespace, claims.service_account
        name = claims.secret.name if claims.secret is not None else ""
        secret = self._secrets.get(namespace, name)
        if secret is None or meta.deleting(secret):
            raise Refused(_INVALIDATED)
        held = str((secret.get("data") or {}).get("token") or "")
        if not hmac.compare_digest(held.encode(), base64.b64encode(token.encode())):
            raise Refused("Token does not match server's copy")
        found = self._service_accounts.get(namespace, account.name)
        if found is None:
            raise Refused(f'serviceaccounts "{account.name}" not found')
        if meta.deleting(found):
            raise Refused(f"ServiceAccount {namespace}/{account.name} has been deleted")
        if meta.uid(found) != account.uid:
            raise Refused(f"ServiceAccount UID ({meta.uid(found)}) does not match claim ({account.uid})")
        if meta.labels(secret).get(INVALID_SINCE):
            self._metrics.invalid.value += 1
            self._used(secret)
            raise Refused(
                f"the token in secret {namespace}/{name} for service account {namespace}/{account.name} has "
                "been marked invalid. Use tokens from the TokenRequest API or manually created secret-based "
                f"tokens, or remove the '{INVALID_SINCE}' label from the secret to temporarily allow use of "
                "this token"
            )
        if any(reference.get("name") == name for reference in found.get("secrets") or ()):
            self._metrics.generated.value += 1
        else:
            self._metrics.manual.value += 1
        self._used(secret)


class LastUsed:
    """Notes on Secrets the day when their tokens were last used."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: dict[tuple[str, str], str] = {}
        self._wake = asyncio.Event()

    def __call__(self, secret: Object) -> None:
        """Note that the token of `secret` was used; at most once a day something is written."""
        today, tomorrow = self._days()
        # Another server's clock may be a little ahead of ours.
        if meta.labels(secret).get(LAST_USED) in (today, tomorrow) or len(self._waiting) >= WAITING_MAX:
            return
        self._waiting[meta.namespace(secret), meta.name(secret)] = meta.uid(secret)
        self._wake.set()

    async def run(self, writer: Writer) -> None:
        """Write what is to be noted, for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                (namespace, name), uid = self._waiting.popitem()
                noted = {"metadata": {"uid": uid, "labels": {LAST_USED: self._days()[0]}}}
                try:
                    await writer.merge(SECRETS, namespace, name, noted)
                except NotFound:
                    continue
                except ApiError as error:
                    _log.error(
                        "the use of a token was not noted", secret=f"{namespace}/{name}", error=str(error)
                    )

    def _days(self) -> tuple[str, str]:
        now = self._clock.now()
        return now.date().isoformat(), (now + timedelta(days=1)).date().isoformat()
