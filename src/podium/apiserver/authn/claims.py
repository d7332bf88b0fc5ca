"""What a service-account token says, as values; and which claims upstream puts where.

    {"aud": [...], "exp": 1, "iat": 0, "iss": "https://...", "jti": "uuid", "nbf": 0,
     "sub": "system:serviceaccount:ns:name",
     "kubernetes.io": {"namespace": "ns", "serviceaccount": {"name": "", "uid": ""},
                       "pod": {"name": "", "uid": ""}, "node": {...}, "secret": {...}, "warnafter": 0}}

Tokens of Secrets (`kubernetes.io/service-account-token`) are older: flat claims, no audience, no expiry.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

LEGACY_ISSUER = "kubernetes/serviceaccount"
_LEGACY = "kubernetes.io/serviceaccount/"
_KUBERNETES = "kubernetes.io"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """An object that a token depends on."""

    name: str
    uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """The claims of one token, of either sort."""

    issuer: str
    subject: str
    namespace: str
    service_account: Reference
    audiences: tuple[str, ...] = ()
    token_id: str = ""
    not_before: float | None = None
    expires: float | None = None
    issued_at: float | None = None
    warn_after: float | None = None
    """When a pod's token that lives longer should have been replaced."""
    pod: Reference | None = None
    node: Reference | None = None
    secret: Reference | None = None

    @property
    def legacy(self) -> bool:
        return self.issuer == LEGACY_ISSUER


def parse(payload: Mapping[str, Any]) -> Claims:
    """Read the claims of a verified payload. Raises ValueError for a shape no issuer of ours writes."""
    issuer = _text(payload, "iss")
    if issuer == LEGACY_ISSUER:
        return Claims(
            issuer=issuer,
            subject=_text(payload, "sub"),
            namespace=_text(payload, _LEGACY + "namespace"),
            service_account=Reference(
                name=_text(payload, _LEGACY + "service-account.name"),
                uid=_text(payload, _LEGACY + "service-account.uid"),
            ),
            # The claim names no uid: the Secret must hold the very token, which says more.
            secret=Reference(name=_text(payload, _LEGACY + "secret.name"), uid=""),
        )
    private = payload.get(_KUBERNETES)
    if not isinstance(private, Mapping):
        raise ValueError("no kubernetes.io claim")
    account = _reference(private, "serviceaccount")
    expires = _number(payload, "exp")
    if account is None or expires is None:
        raise ValueError("no service account or no expiry")
    return Claims(
        issuer=issuer,
        subject=_text(payload, "sub"),
        namespace=_text(private, "namespace"),
        service_account=account,
        audiences=_audiences(payload.get("aud")),
        token_id=payload["jti"] if isinstance(payload.get("jti"), str) else "",
        not_before=_number(payload, "nbf"),
        expires=expires,
        issued_at=_number(payload, "iat"),
        warn_after=_number(private, "warnafter"),
        pod=_reference(private, "pod"),
        # A pod's token may tell of a node that nobody has seen, by its name alone.
        node=_reference(private, "node", named_only="pod" in private),
        secret=_reference(private, "secret"),
    )


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not value:
        raise ValueError(f"claim {name} is missing")
    return value


def _number(claims: Mapping[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"claim {name} is no number")
    return float(value)


def _reference(claims: Mapping[str, Any], name: str, *, named_only: bool = False) -> Reference | None:
    value = claims.get(name)
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise ValueError(f"claim {name} is no reference")
    uid = "" if named_only and "uid" not in value else _text(value, "uid")
    return Reference(name=_text(value, "name"), uid=uid)


def _audiences(value: Any) -> tuple[str, ...]:
    values = [value] if isinstance(value, str) else value or []
    if not isinstance(values, list) or not all(isinstance(item, str) for item in values):
        raise ValueError("claim aud is no list of strings")
    return tuple(values)
