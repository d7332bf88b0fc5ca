"""Service-account tokens: signature once, everything that can change on every use.

A token's signature and claims never change, so a verified token is remembered. Whether its service account,
pod, secret and node still exist is read from the watch caches each time: a deleted pod's token is dead at
once, and there is no cache to wait for (upstream keeps a good answer for ten seconds).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import orjson

from podium.apiserver.authn import claims as claims_of
from podium.apiserver.authn.bearer import Identified, Refused
from podium.apiserver.authn.certificate import CREDENTIAL_ID
from podium.apiserver.authn.claims import LEGACY_ISSUER, Claims, Reference
from podium.apiserver.authn.keys import VerificationKey
from podium.apiserver.authn.legacy_token import LegacyTokens
from podium.apiserver.authn.names import service_account_groups, service_account_user
from podium.apiserver.authn.service_account_metrics import ServiceAccountMetrics
from podium.apiserver.chain import ALL_AUTHENTICATED, User, View
from podium.base.clock import Clock, WallClock, parse_rfc3339
from podium.base.metrics import Registry
from podium.machinery import meta
from podium.machinery.errors import Object

POD_NAME = "authentication.kubernetes.io/pod-name"
POD_UID = "authentication.kubernetes.io/pod-uid"
NODE_NAME = "authentication.kubernetes.io/node-name"
NODE_UID = "authentication.kubernetes.io/node-uid"

# Clocks may differ this much, and an object may be this long in deletion, before a token suffers for it.
LEEWAY_S = 60.0
REMEMBERED_MAX = 4096
_NOTES = "authentication.k8s.io/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """The views of what tokens may be bound to."""

    service_accounts: View
    pods: View
    secrets: View
    nodes: View


class ServiceAccountAuthenticator:
    """Knows the tokens of its issuers, and the older ones kept in Secrets."""

    def __init__(
        self,
        *,
        issuers: Sequence[str],
        keys: Callable[[], Sequence[VerificationKey]],
        audiences: Sequence[str],
        bound: Bound,
        clock: Clock | None = None,
        metrics: ServiceAccountMetrics | None = None,
        used: Callable[[Object], None] = lambda _secret: None,
        lookup: bool = True,
    ) -> None:
        """`keys` is called when the first token comes: loading keys imports `cryptography`.

        `used` and `lookup` are about tokens kept in Secrets, see `LegacyTokens`.
        """
        self._issuers = frozenset((*issuers, LEGACY_ISSUER))
        self._keys = keys
        self._audiences = tuple(audiences)
        self._bound = bound
        self._clock = clock or WallClock()
        self._metrics = metrics or ServiceAccountMetrics(Registry())
        self._legacy = LegacyTokens(
            secrets=bound.secrets,
            service_accounts=bound.service_accounts,
            metrics=self._metrics,
            used=used,
            lookup=lookup,
        )
        self._remembered: dict[bytes, Claims] = {}

    def forget(self) -> None:
        """Look at all signatures anew: the keys have changed."""
        self._remembered.clear()

    async def identify(self, token: str, audiences: Sequence[str]) -> Identified | None:
        claims = self._claims(token)
        if claims is None:
            return None
        identified = self._identified(claims, token, audiences)
        notes = self._notes(claims)
        return replace(identified, notes=notes) if notes else identified

    def recall(self, token: str, audiences: Sequence[str]) -> Identified | None:
        claims = self._claims(token)
        return None if claims is None else self._identified(claims, token, audiences)

    def _identified(self, claims: Claims, token: str, audiences: Sequence[str]) -> Identified:
        good_for = [a for a in claims.audiences or self._audiences if a in audiences]
        if not good_for:
            raise Refused(
                f"token audiences {_quoted(claims.audiences)} is invalid "
                f"for the target audiences {_quoted(audiences)}"
            )
        if not claims.legacy:
            self._check_time(claims)
        self._check_bound(claims, token)
        self._count(claims)
        return Identified(user=_user(claims), audiences=tuple(good_for))

    def _notes(self, claims: Claims) -> dict[str, str]:
        """Return what the audit log shall know: tokens without an end, and those past the time to renew."""
        notes: dict[str, str] = {}
        if not claims.audiences:
            notes[f"{_NOTES}legacy-token"] = claims.subject
        if claims.legacy and claims.secret is not None:
            account = self._bound.service_accounts.get(claims.namespace, claims.service_account.name) or {}
            generated = any(one.get("name") == claims.secret.name for one in account.get("secrets") or ())
            kind = "autogenerated" if generated else "manual"
            notes[f"{_NOTES}legacy-token-{kind}-secret"] = claims.secret.name
        if claims.warn_after and (late_s := int(self._clock.now().timestamp() - claims.warn_after)) > 0:
            stale = f"subject: {claims.subject}, seconds after warning threshold: {late_s}"
            notes[f"{_NOTES}stale-token"] = stale
        return notes

    def _claims(self, token: str) -> Claims | None:
        """Return the claims of a token of ours with a good signature, None for another issuer's."""
        digest = hashlib.sha256(token.encode()).digest()
        remembered = self._remembered.get(digest)
        if remembered is not None:
            return remembered
        header, payload = _unverified(token)
        issuer = payload.get("iss") if payload is not None else None
        if payload is None or header is None or not isinstance(issuer, str) or issuer not in self._issuers:
            return None
        self._check_signature(token, str(header.get("kid") or ""))
        try:
            claims = claims_of.parse(payload)
        except ValueError as error:
            raise Refused(str(error)) from error
        if claims.subject != service_account_user(claims.namespace, claims.service_account.name):
            raise Refused("the subject is not the service account of the claims")
        while len(self._remembered) >= REMEMBERED_MAX:
            self._remembered.pop(next(iter(self._remembered)))
        self._remembered[digest] = claims
        return claims

    def _check_signature(self, token: str, key_id: str) -> None:
        """Return when the key that the token names has signed it, or any where it names none."""
        import jwt  # noqa: PLC0415

        keys = [key for key in self._keys() if key_id in ("", key.key_id)]
        if not keys:
            raise Refused("invalid signature, no keys found")
        for key in keys:
            try:
                jwt.decode(token, key.public, algorithms=[key.algorithm], options=_SIGNATURE_ONLY)  # type: ignore[arg-type]
            except jwt.PyJWTError:
                continue
            return
        raise Refused("invalid signature")

    def _check_time(self, claims: Claims) -> None:
        now = self._clock.now().timestamp()
        if claims.not_before is not None and now < claims.not_before - LEEWAY_S:
            raise Refused("service account token is not valid yet")
        if claims.expires is not None and now > claims.expires + LEEWAY_S:
            raise Refused("service account token has expired")
        if claims.issued_at is not None and now < claims.issued_at - LEEWAY_S:
            raise Refused("service account token is issued in the future")

    def _check_bound(self, claims: Claims, token: str) -> None:
        if claims.legacy:
            self._legacy.check(claims, token)
            return
        namespace, account = claims.namespace, claims.service_account
        found = self._bound.service_accounts.get(namespace, account.name)
        if found is None:
            raise Refused(f'serviceaccounts "{account.name}" not found')
        if meta.uid(found) != account.uid:
            raise Refused(f"service account UID ({meta.uid(found)}) does not match claim ({account.uid})")
        if self._long_deleted(found):
            raise Refused(f"service account {namespace}/{account.name} has been deleted")
        if claims.secret is not None:
            self._require(self._bound.secrets, namespace, claims.secret, "secret")
        if claims.pod is not None:
            self._require(self._bound.pods, namespace, claims.pod, "pod")
        elif claims.node is not None:
            # The node of a bound pod is only told on; a token bound to a node falls with it.
            self._require(self._bound.nodes, None, claims.node, "node")

    def _require(self, view: View, namespace: str | None, wanted: Reference, what: str) -> None:
        obj = view.get(namespace, wanted.name)
        if obj is None:
            raise Refused("service account token has been invalidated")
        if meta.uid(obj) != wanted.uid:
            raise Refused(
                f"{what} UID ({meta.uid(obj)}) does not match service account {what} ref claim ({wanted.uid})"
            )
        if self._long_deleted(obj):
            raise Refused("service account token has been invalidated")

    def _long_deleted(self, obj: Object) -> bool:
        moment = meta.metadata(obj).get("deletionTimestamp")
        if not moment:
            return False
        return parse_rfc3339(moment) < self._clock.now() - timedelta(seconds=LEEWAY_S)

    def _count(self, claims: Claims) -> None:
        if not claims.audiences:
            self._metrics.legacy.value += 1
        elif claims.warn_after:
            stale = self._clock.now().timestamp() > claims.warn_after
            (self._metrics.stale if stale else self._metrics.valid).value += 1


# Times and audiences are checked here, with the injected clock and upstream's leeway.
_SIGNATURE_ONLY = {
    "verify_signature": True,
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_aud": False,
    "verify_iss": False,
    "verify_sub": False,
    "verify_jti": False,
}


def _user(claims: Claims) -> User:
    extra: dict[str, tuple[str, ...]] = {}
    if claims.token_id:
        extra[CREDENTIAL_ID] = (f"JTI={claims.token_id}",)
    if claims.pod is not None:
        extra[POD_NAME], extra[POD_UID] = (claims.pod.name,), (claims.pod.uid,)
    if claims.node is not None:
        extra[NODE_NAME] = (claims.node.name,)
        if claims.node.uid:
            extra[NODE_UID] = (claims.node.uid,)
    return User(
        name=service_account_user(claims.namespace, claims.service_account.name),
        uid=claims.service_account.uid,
        groups=(*service_account_groups(claims.namespace), ALL_AUTHENTICATED),
        extra=extra,
    )


def _unverified(token: str) -> tuple[Object | None, Object | None]:
    """Return what a token claims to be, to see whose it is; nothing in it is believed yet."""
    parts = token.split(".")
    if len(parts) != 3:
        return None, None
    header, payload = _json(parts[0]), _json(parts[1])
    return header, payload


def _json(part: str) -> Object | None:
    try:
        value = orjson.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _quoted(values: Sequence[str]) -> str:
    return "[" + " ".join(f'"{value}"' for value in values) + "]"
