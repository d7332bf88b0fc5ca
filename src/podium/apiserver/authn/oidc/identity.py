"""Whom the claims of a good token name: claims and expressions into a user, and the rules about both.

Pure. Upstream: apiserver/plugin/pkg/authenticator/token/oidc, whose order and texts these are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from podium.apiserver.authn.certificate import CREDENTIAL_ID
from podium.apiserver.authn.oidc.expressions import Rule
from podium.apiserver.authn.oidc.validation import Compiled
from podium.apiserver.authn.oidc.verifier import TokenError
from podium.apiserver.chain import User
from podium.machinery import cel
from podium.machinery.errors import Object

_NO_TEXTS = "expression must return a string or a list of strings"
_KINDS = {str: "string", bool: "bool", int: "number", float: "number", list: "array", dict: "object"}


def identify(compiled: Compiled, claims: Object) -> User:
    """Return the user that the claims name, without the group of everybody. Raises `TokenError`."""
    expressions = compiled.expressions
    bound: dict[str, Any] = {"claims": _as_seen(claims) if expressions.over_claims else {}}
    user = User(
        name=_name(compiled, claims, bound),
        groups=_groups(compiled, claims, bound),
        uid=_uid(compiled, claims, bound),
        extra=_extra(compiled, claims, bound),
    )
    for rule in compiled.config.claim_validation_rules:
        if rule.claim:
            _require(claims, rule.claim, rule.required_value)
    _check(expressions.claim_rules, bound, "claim validation expression")
    if expressions.user_rules:
        _check(expressions.user_rules, {"user": _user_as_seen(user)}, "user info validation rule")
    return user


def _name(compiled: Compiled, claims: Object, bound: Object) -> str:
    program = compiled.expressions.username
    if program is not None:
        try:
            name = _evaluated(program, bound)
        except TokenError as error:
            raise TokenError(f"oidc: error evaluating username claim expression: {error}") from None
        if not isinstance(name, str):
            raise TokenError(
                "oidc: error evaluating username claim expression: "
                "username claim expression must return a string"
            )
        if not name:
            raise TokenError("oidc: empty username via CEL expression is not allowed")
        return name
    mapping = compiled.config.claim_mappings.username
    try:
        name = text_claim(claims, mapping.claim)
    except TokenError as error:
        raise TokenError(f'oidc: parse username claims "{mapping.claim}": {error}') from None
    if mapping.claim == "email" and "email_verified" in claims:
        verified = claims["email_verified"]
        if not isinstance(verified, bool):
            wrong = _mismatch(verified, "bool")
            raise TokenError(f"oidc: parse 'email_verified' claim: {wrong}")
        if not verified:
            raise TokenError("oidc: email not verified")
    return (mapping.prefix or "") + name


def _groups(compiled: Compiled, claims: Object, bound: Object) -> tuple[str, ...]:
    mapping = compiled.config.claim_mappings.groups
    if mapping.claim in claims and mapping.claim:
        value = claims[mapping.claim]
        groups = [value] if isinstance(value, str) else [] if value is None else value
        if not isinstance(groups, list) or not all(isinstance(group, str) for group in groups):
            raise TokenError(f'oidc: parse groups claim "{mapping.claim}": {_mismatch(value, "string")}')
        return tuple((mapping.prefix or "") + group for group in groups)
    if compiled.expressions.groups is None:
        return ()
    try:
        return _texts(_evaluated(compiled.expressions.groups, bound))
    except TokenError as error:
        raise TokenError(f"oidc: error evaluating group claim expression: {error}") from None


def _uid(compiled: Compiled, claims: Object, bound: Object) -> str:
    claim = compiled.config.claim_mappings.uid.claim
    if claim:
        try:
            return text_claim(claims, claim)
        except TokenError as error:
            raise TokenError(f'oidc: parse uid claim "{claim}": {error}') from None
    if compiled.expressions.uid is None:
        return ""
    try:
        uid = _evaluated(compiled.expressions.uid, bound)
        if not isinstance(uid, str):
            raise TokenError("uid claim expression must return a string")
    except TokenError as error:
        raise TokenError(f"oidc: error evaluating uid claim expression: {error}") from None
    return uid


def _extra(compiled: Compiled, claims: Object, bound: Object) -> dict[str, tuple[str, ...]]:
    extra: dict[str, tuple[str, ...]] = {}
    if isinstance(claims.get("jti"), str) and claims["jti"]:
        extra[CREDENTIAL_ID] = (f"JTI={claims['jti']}",)
    # Evaluated all before the first is looked at: an expression that fails is told of before a wrong value.
    values = [(key, program, _evaluated(program, bound)) for key, program in compiled.expressions.extra]
    for key, program, value in values:
        try:
            texts = _texts(value)
        except TokenError as error:
            where = program.expression
            raise TokenError(f"oidc: error evaluating extra claim expression: {where}: {error}") from None
        if texts:
            extra[key] = texts
    return extra


def _require(claims: Object, claim: str, value: str) -> None:
    if claim not in claims:
        raise TokenError(f"oidc: required claim {claim} not present in ID token")
    try:
        found = text_claim(claims, claim)
    except TokenError as error:
        raise TokenError(f"oidc: parse claim {claim}: {error}") from None
    if found != value:
        raise TokenError(f"oidc: required claim {claim} value does not match. Got = {found}, want = {value}")


def _check(rules: Sequence[Rule], bound: Object, what: str) -> None:
    try:
        results = [(rule, _evaluated(rule.program, bound)) for rule in rules]
        for rule, result in results:
            if result is not True:
                raise TokenError(f"validation expression '{rule.program.expression}' failed: {rule.message}")
    except TokenError as error:
        raise TokenError(f"oidc: error evaluating {what}: {error}") from None


def _evaluated(program: cel.Program, bound: Object) -> Any:
    try:
        return program.evaluate(bound, cost_limit=cel.CALL_COST_MAX).value
    except cel.CelRuntimeError as error:
        raise TokenError(f"expression '{program.expression}' resulted in error: {error}") from None


def _texts(value: Any) -> tuple[str, ...]:
    """Return a string, or a list of strings, less what is empty."""
    if value is None:
        return ()
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise TokenError(_NO_TEXTS)
    return tuple(one for one in value if one)


def text_claim(claims: Object, name: str) -> str:
    """Return a claim that is a string; null is "", as Go reads it. Raises `TokenError`."""
    if name not in claims:
        raise TokenError("claim not present")
    value = claims[name]
    if value is None:
        return ""
    if not isinstance(value, str):
        raise TokenError(_mismatch(value, "string"))
    return value


def _mismatch(value: Any, wanted: str) -> str:
    return f"json: cannot unmarshal {_KINDS.get(type(value), 'value')} into Go value of type {wanted}"


def _as_seen(claims: Object) -> Any:
    """Return the claims as expressions see them: numbers are doubles, and keys may be escaped."""
    return cel.escaped_maps(_with_doubles(claims))


def _with_doubles(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _with_doubles(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_with_doubles(inner) for inner in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _user_as_seen(user: User) -> Object:
    extra = {key: list(values) for key, values in user.extra.items()}
    return {
        "username": user.name,
        "uid": user.uid,
        "groups": list(user.groups),
        "extra": cel.escaped_maps(extra),
    }
