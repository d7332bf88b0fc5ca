"""What may stand in an AuthenticationConfiguration; on the way the expressions are compiled.

Upstream: apiserver/pkg/apis/apiserver/validation, whose texts these are.
"""

from __future__ import annotations

import ssl
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from podium.apiserver.authn.issued import certificates_of
from podium.apiserver.authn.oidc.config import (
    AuthenticationConfiguration,
    ClaimMappings,
    ClaimOrExpression,
    ClaimValidationRule,
    Issuer,
    JwtConfig,
    UserValidationRule,
)
from podium.apiserver.authn.oidc.expressions import Expressions, Rule, compile_expression, selects_claim
from podium.machinery import cel
from podium.machinery.errors import FieldError
from podium.machinery.validation import validate_domain_prefixed_path

ISSUERS_MAX = 64
_RESERVED_DOMAINS = ("kubernetes.io", "k8s.io")
_NO_CERTIFICATES = "data does not contain any valid RSA or ECDSA certificates"
_BOTH = "claim and expression can't both be set"
_NEEDS_VERIFIED = (
    "claims.email_verified must be used in claimMappings.username.expression or "
    "claimMappings.extra[*].valueExpression or claimValidationRules[*].expression "
    "when claims.email is used in claimMappings.username.expression"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """One issuer that has been found good."""

    config: JwtConfig
    expressions: Expressions


def validate(
    configuration: AuthenticationConfiguration, *, disallowed_issuers: Sequence[str], version: str
) -> tuple[tuple[Compiled, ...], list[FieldError]]:
    """Return the compiled issuers and everything that is wrong; the former count only without the latter.

    `disallowed_issuers` are those of service accounts, which must not overlap. `version` is Kubernetes'.
    """
    if len(configuration.jwt) > ISSUERS_MAX:
        return (), [FieldError.too_many("jwt", len(configuration.jwt), ISSUERS_MAX)]
    compiled: list[Compiled] = []
    errors: list[FieldError] = []
    urls: set[str] = set()
    discovery_urls: set[str] = set()
    for at, one in enumerate(configuration.jwt):
        path = f"jwt[{at}]"
        check = _Check(one, path, disallowed_issuers, version)
        compiled.append(Compiled(config=one, expressions=check.run()))
        errors += check.errors
        issuer = one.issuer
        if issuer.url in urls:
            errors.append(FieldError.duplicate(f"{path}.issuer.url", issuer.url))
        urls.add(issuer.url)
        if issuer.discovery_url and issuer.discovery_url in discovery_urls:
            errors.append(FieldError.duplicate(f"{path}.issuer.discoveryURL", issuer.discovery_url))
        discovery_urls.add(issuer.discovery_url)
    anonymous = configuration.anonymous
    if anonymous is not None and not anonymous.enabled and anonymous.paths:
        shown = [{"path": path} for path in anonymous.paths]
        detail = "enabled should be set to true when conditions are defined"
        errors.append(FieldError.invalid("anonymous.conditions", shown, detail))
    return tuple(compiled), errors


def aggregate(errors: Sequence[FieldError]) -> str:
    """Return the errors as upstream puts several into one text."""
    texts = list(dict.fromkeys(map(str, errors)))
    return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"


class _Check:
    """Looks at one issuer; collects what is wrong with it."""

    def __init__(self, config: JwtConfig, path: str, disallowed_issuers: Sequence[str], version: str) -> None:
        self.errors: list[FieldError] = []
        self._config = config
        self._path = path
        self._disallowed = disallowed_issuers
        self._version = version

    def run(self) -> Expressions:
        config, path = self._config, self._path
        self._issuer(config.issuer, f"{path}.issuer")
        claim_rules = self._claim_rules(config.claim_validation_rules, f"{path}.claimValidationRules")
        mapped = self._mappings(config.claim_mappings, f"{path}.claimMappings", claim_rules)
        user_rules = self._user_rules(config.user_validation_rules, f"{path}.userValidationRules")
        return Expressions(
            username=mapped.username,
            groups=mapped.groups,
            uid=mapped.uid,
            extra=mapped.extra,
            claim_rules=tuple(claim_rules),
            user_rules=tuple(user_rules),
        )

    def _invalid(self, path: str, value: object, detail: str) -> None:
        self.errors.append(FieldError.invalid(path, value, detail))

    def _required(self, path: str, detail: str = "") -> None:
        self.errors.append(FieldError.required(path, detail))

    def _compile(
        self, text: str, path: str, variable: Literal["claims", "user"] = "claims", *, rule: bool = False
    ) -> cel.Program | None:
        try:
            return compile_expression(text, variable, rule=rule, version=self._version)
        except ValueError as error:
            self._invalid(path, text, str(error))
            return None

    # --- the issuer

    def _issuer(self, issuer: Issuer, path: str) -> None:
        if not issuer.url:
            self._required(f"{path}.url")
        else:
            self._url(issuer.url, f"{path}.url", self._disallowed)
        if issuer.discovery_url:
            place = f"{path}.discoveryURL"
            if issuer.url and issuer.url.rstrip("/") == issuer.discovery_url.rstrip("/"):
                self._invalid(place, issuer.discovery_url, "discoveryURL must be different from URL")
            self._url(issuer.discovery_url, place, ())
        self._audiences(issuer, path)
        if issuer.certificate_authority:
            self._authority(issuer.certificate_authority, f"{path}.certificateAuthority")
        if issuer.egress_selector_type not in ("", "controlplane", "cluster"):
            detail = "egress selector must be either controlplane or cluster"
            self._invalid(f"{path}.egressSelectorType", issuer.egress_selector_type, detail)

    def _url(self, url: str, path: str, disallowed: Collection[str]) -> None:
        if url in disallowed:
            # A list of Go's: its parts stand in no quotation marks.
            names = f"[{' '.join(sorted(disallowed))}]"
            self._invalid(path, url, f"URL must not overlap with disallowed issuers: {names}")
        try:
            parts = urlsplit(url)
        except ValueError as error:
            self._invalid(path, url, f"parse {cel.quoted(url)}: {error}")
            return
        if parts.scheme != "https":
            self._invalid(path, url, "URL scheme must be https")
        if "@" in parts.netloc:
            self._invalid(path, url, "URL must not contain a username or password")
        if parts.query:
            self._invalid(path, url, "URL must not contain a query")
        if parts.fragment:
            self._invalid(path, url, "URL must not contain a fragment")

    def _audiences(self, issuer: Issuer, path: str) -> None:
        audiences, policy = issuer.audiences, issuer.audience_match_policy
        place = f"{path}.audiences"
        if not audiences:
            self._required(place, f"at least one {place} is required")
            return
        for at, audience in enumerate(audiences):
            if not audience:
                self._required(f"{place}[{at}]")
            if audience in audiences[:at]:
                self.errors.append(FieldError.duplicate(f"{place}[{at}]", audience))
        if policy != "MatchAny" and (policy or len(audiences) > 1):
            several = len(audiences) > 1
            detail = "MatchAny for multiple audiences" if several else "empty or MatchAny for single audience"
            self._invalid(f"{path}.audienceMatchPolicy", policy, f"audienceMatchPolicy must be {detail}")

    def _authority(self, pem: str, path: str) -> None:
        try:
            found = certificates_of(pem.encode())
            if found:
                ssl.create_default_context(cadata=pem)
        except (ValueError, ssl.SSLError):
            found = []
        if not found:
            self._invalid(path, "<omitted>", _NO_CERTIFICATES)

    # --- rules

    def _claim_rules(self, rules: Sequence[ClaimValidationRule], path: str) -> list[Rule]:
        compiled: list[Rule] = []
        claims: set[str] = set()
        expressions: set[str] = set()
        for at, rule in enumerate(rules):
            place = f"{path}[{at}]"
            if rule.claim and rule.expression:
                self._invalid(place, rule.claim, _BOTH)
            elif rule.claim:
                if rule.message:
                    self._invalid(f"{place}.message", rule.message, "may not be specified when claim is set")
                if rule.claim in claims:
                    self.errors.append(FieldError.duplicate(f"{place}.claim", rule.claim))
                claims.add(rule.claim)
            elif rule.expression:
                if rule.required_value:
                    detail = "may not be specified when expression is set"
                    self._invalid(f"{place}.requiredValue", rule.required_value, detail)
                self._rule(
                    rule.expression, rule.message, f"{place}.expression", "claims", expressions, compiled
                )
            else:
                self._required(place, "claim or expression is required")
        return compiled

    def _user_rules(self, rules: Sequence[UserValidationRule], path: str) -> list[Rule]:
        compiled: list[Rule] = []
        expressions: set[str] = set()
        for at, rule in enumerate(rules):
            place = f"{path}[{at}].expression"
            if not rule.expression:
                self._required(place)
            else:
                self._rule(rule.expression, rule.message, place, "user", expressions, compiled)
        return compiled

    def _rule(
        self,
        expression: str,
        message: str,
        path: str,
        variable: Literal["claims", "user"],
        seen: set[str],
        compiled: list[Rule],
    ) -> None:
        if expression in seen:
            self.errors.append(FieldError.duplicate(path, expression))
            return
        seen.add(expression)
        program = self._compile(expression, path, variable, rule=True)
        if program is not None:
            compiled.append(Rule(program=program, message=message))

    # --- mappings

    def _mappings(self, mappings: ClaimMappings, path: str, claim_rules: Sequence[Rule]) -> Expressions:
        username = self._mapping(mappings.username, f"{path}.username", required=True)
        groups = self._mapping(mappings.groups, f"{path}.groups", required=False)
        uid = None
        if mappings.uid.claim and mappings.uid.expression:
            self._invalid(f"{path}.uid", "", _BOTH)
        elif mappings.uid.expression:
            uid = self._compile(mappings.uid.expression, f"{path}.uid.expression")
        extra = self._extra(mappings, f"{path}.extra")
        verifying = (username, *(program for _, program in extra), *(rule.program for rule in claim_rules))
        if selects_claim([username], "email") and not selects_claim(verifying, "email_verified"):
            self._invalid(f"{path}.username.expression", mappings.username.expression, _NEEDS_VERIFIED)
        return Expressions(username=username, groups=groups, uid=uid, extra=tuple(extra))

    def _mapping(self, mapping: ClaimOrExpression, path: str, *, required: bool) -> cel.Program | None:
        if mapping.expression and mapping.claim:
            self._invalid(path, "", _BOTH)
        elif mapping.expression:
            if mapping.prefix is not None:
                self._invalid(f"{path}.prefix", mapping.prefix, "may not be specified when expression is set")
            return self._compile(mapping.expression, f"{path}.expression")
        elif mapping.claim:
            if mapping.prefix is None:
                self._required(
                    f"{path}.prefix",
                    "prefix is required when claim is set. "
                    "It can be set to an empty string to disable prefixing",
                )
        elif required:
            self._required(path, "claim or expression is required")
        return None

    def _extra(self, mappings: ClaimMappings, path: str) -> list[tuple[str, cel.Program]]:
        compiled: list[tuple[str, cel.Program]] = []
        seen: set[str] = set()
        for at, mapping in enumerate(mappings.extra):
            place = f"{path}[{at}]"
            key = mapping.key
            self.errors += validate_domain_prefixed_path(key, f"{place}.key")
            if key != key.lower():
                self._invalid(f"{place}.key", key, "must be lowercase")
            domain, slash, _ = key.partition("/")
            if slash and any(domain == own or domain.endswith(f".{own}") for own in _RESERVED_DOMAINS):
                detail = "k8s.io, kubernetes.io and their subdomains are reserved for Kubernetes use"
                self._invalid(f"{place}.key", key, detail)
            if key in seen:
                self.errors.append(FieldError.duplicate(f"{place}.key", key))
                continue
            seen.add(key)
            if not mapping.value_expression:
                self._required(f"{place}.valueExpression")
                continue
            program = self._compile(mapping.value_expression, f"{place}.valueExpression")
            if program is not None:
                compiled.append((key, program))
        return compiled
