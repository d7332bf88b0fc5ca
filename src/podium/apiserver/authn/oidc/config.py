"""AuthenticationConfiguration: what `--authentication-config` says, and what the `--oidc-*` flags amount to.

Upstream: apiserver/pkg/apis/apiserver.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from podium.apiserver import config_file
from podium.machinery.errors import Object

KIND = "AuthenticationConfiguration"
GROUP = "apiserver.config.k8s.io"
API_VERSIONS = (f"{GROUP}/v1", f"{GROUP}/v1beta1", f"{GROUP}/v1alpha1")

SIGNING_ALGORITHMS = ("ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512")


@dataclass(frozen=True, slots=True, kw_only=True)
class Issuer:
    url: str = ""
    discovery_url: str = ""
    certificate_authority: str = ""
    """PEM; empty means the system's authorities."""
    audiences: tuple[str, ...] = ()
    audience_match_policy: str = ""
    egress_selector_type: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimValidationRule:
    """Either a claim that must have a value, or an expression over `claims` that must be true."""

    claim: str = ""
    required_value: str = ""
    expression: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimOrExpression:
    claim: str = ""
    prefix: str | None = None
    expression: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtraMapping:
    key: str = ""
    value_expression: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimMappings:
    username: ClaimOrExpression = field(default_factory=ClaimOrExpression)
    groups: ClaimOrExpression = field(default_factory=ClaimOrExpression)
    uid: ClaimOrExpression = field(default_factory=ClaimOrExpression)
    """Never with a prefix."""
    extra: tuple[ExtraMapping, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class UserValidationRule:
    expression: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class JwtConfig:
    """One issuer, and whom its tokens name."""

    issuer: Issuer = field(default_factory=Issuer)
    claim_validation_rules: tuple[ClaimValidationRule, ...] = ()
    claim_mappings: ClaimMappings = field(default_factory=ClaimMappings)
    user_validation_rules: tuple[UserValidationRule, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Anonymous:
    """Whether requests without credentials are taken."""

    enabled: bool = False
    paths: tuple[str, ...] = ()
    """At these paths alone; none means at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthenticationConfiguration:
    jwt: tuple[JwtConfig, ...] = ()
    anonymous: Anonymous | None = None


_CLAIM = {"claim": "string", "expression": "string"}
_DECLARED = {
    "jwt": [
        {
            "issuer": {
                "url": "string",
                "discoveryURL": "string",
                "certificateAuthority": "string",
                "audiences": ["string"],
                "audienceMatchPolicy": "string",
                "egressSelectorType": "string",
            },
            "claimValidationRules": [{**_CLAIM, "requiredValue": "string", "message": "string"}],
            "claimMappings": {
                "username": {**_CLAIM, "prefix": "string"},
                "groups": {**_CLAIM, "prefix": "string"},
                "uid": _CLAIM,
                "extra": [{"key": "string", "valueExpression": "string"}],
            },
            "userValidationRules": [{"expression": "string", "message": "string"}],
        }
    ],
    "anonymous": {"enabled": "bool", "conditions": [{"path": "string"}]},
}


def parse(data: bytes) -> AuthenticationConfiguration:
    """Return the configuration that a file holds. Raises ValueError; what it says is not yet checked."""
    if not data:
        raise ValueError("empty config data")
    value = config_file.decode(data, KIND, _DECLARED, API_VERSIONS)
    told = value.get("anonymous")
    anonymous = None
    if told is not None:
        paths = tuple(_text(condition, "path") for condition in _objects(told, "conditions"))
        anonymous = Anonymous(enabled=bool(told.get("enabled")), paths=paths)
    return AuthenticationConfiguration(
        jwt=tuple(_jwt(one) for one in _objects(value, "jwt")), anonymous=anonymous
    )


def _text(value: Object, name: str) -> str:
    return value.get(name) or ""


def _objects(value: Object, name: str) -> list[Object]:
    """Return a list of objects; null in it is an empty one, as Go reads it."""
    return [one or {} for one in value.get(name) or ()]


def _jwt(value: Object) -> JwtConfig:
    issuer, mappings = value.get("issuer") or {}, value.get("claimMappings") or {}
    return JwtConfig(
        issuer=Issuer(
            url=_text(issuer, "url"),
            discovery_url=_text(issuer, "discoveryURL"),
            certificate_authority=_text(issuer, "certificateAuthority"),
            audiences=tuple(audience or "" for audience in issuer.get("audiences") or ()),
            audience_match_policy=_text(issuer, "audienceMatchPolicy"),
            egress_selector_type=_text(issuer, "egressSelectorType"),
        ),
        claim_validation_rules=tuple(
            ClaimValidationRule(
                claim=_text(rule, "claim"),
                required_value=_text(rule, "requiredValue"),
                expression=_text(rule, "expression"),
                message=_text(rule, "message"),
            )
            for rule in _objects(value, "claimValidationRules")
        ),
        claim_mappings=ClaimMappings(
            username=_claim(mappings.get("username") or {}),
            groups=_claim(mappings.get("groups") or {}),
            uid=_claim(mappings.get("uid") or {}),
            extra=tuple(
                ExtraMapping(key=_text(one, "key"), value_expression=_text(one, "valueExpression"))
                for one in _objects(mappings, "extra")
            ),
        ),
        user_validation_rules=tuple(
            UserValidationRule(expression=_text(rule, "expression"), message=_text(rule, "message"))
            for rule in _objects(value, "userValidationRules")
        ),
    )


def _claim(value: Object) -> ClaimOrExpression:
    return ClaimOrExpression(
        claim=_text(value, "claim"), prefix=value.get("prefix"), expression=_text(value, "expression")
    )
