"""Tokens of other issuers, against a real one: who they name, and when they are not believed."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podium.apiserver.authn.bearer import Refused
from podium.apiserver.authn.oidc.authenticator import JwtAuthenticator
from podium.apiserver.authn.oidc.config import (
    SIGNING_ALGORITHMS,
    AuthenticationConfiguration,
    ClaimMappings,
    ClaimOrExpression,
    ClaimValidationRule,
    ExtraMapping,
    JwtConfig,
    UserValidationRule,
)
from podium.apiserver.authn.oidc.config import Issuer as IssuerConfig
from podium.apiserver.authn.oidc.jose import key_set, parse, untrusted_issuer
from podium.apiserver.authn.oidc.metrics import JwtMetrics
from podium.apiserver.authn.oidc.validation import Compiled, validate
from podium.apiserver.authn.oidc.web import FetchError, Web
from podium.apiserver.chain import User
from podium.base.metrics import Registry
from tests.apiserver.authn.oidc_issuer import CA_PEM, CLIENT_ID, Issuer, ec_key, issuer, rsa_key
from tests.apiserver.fakes import FakeClock

NOW_S = FakeClock().now().timestamp()
SUBJECT = ClaimMappings(username=ClaimOrExpression(claim="sub", prefix=""))


@pytest.fixture(scope="module")
def served() -> Iterator[Issuer]:
    with issuer() as running:
        yield running


@pytest.fixture
def oidc(served: Issuer) -> Issuer:
    """The issuer as if it had just started."""
    served.reset()
    return served


def compiled(oidc: Issuer, config: JwtConfig | None = None, **more: Any) -> Compiled:
    """Return a configuration that trusts the issuer."""
    config = config or JwtConfig(claim_mappings=SUBJECT)
    told = IssuerConfig(url=oidc.url, audiences=(CLIENT_ID,), certificate_authority=CA_PEM)
    whole = AuthenticationConfiguration(jwt=(replace(config, issuer=replace(told, **more)),))
    (one,), errors = validate(whole, disallowed_issuers=(), version="1.36")
    assert not errors, errors
    return one


class Running:
    """An authenticator with what it counts."""

    def __init__(self, made: Compiled, algorithms: tuple[str, ...]) -> None:
        self.clock = FakeClock()
        self.registry = Registry()
        metrics = JwtMetrics(self.registry, clock=self.clock)
        self.authenticator = JwtAuthenticator(made, algorithms=algorithms, metrics=metrics, clock=self.clock)

    async def who(self, token: str) -> User | None:
        return await self.authenticator.identify(token)

    async def why_not(self, token: str) -> str:
        with pytest.raises(Refused) as refused:
            await self.authenticator.identify(token)
        return refused.value.why


@contextlib.asynccontextmanager
async def running(
    made: Compiled, *, algorithms: tuple[str, ...] = SIGNING_ALGORITHMS, ready: bool = True
) -> AsyncIterator[Running]:
    one = Running(made, algorithms)
    try:
        if ready:
            await one.authenticator.start()
        yield one
    finally:
        await one.authenticator.close()


def encoded(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def who(made: Compiled, token: str) -> User | None:
    async def run() -> User | None:
        async with running(made) as one:
            return await one.who(token)

    return asyncio.run(run())


def why_not(made: Compiled, token: str) -> str:
    async def run() -> str:
        async with running(made) as one:
            return await one.why_not(token)

    return asyncio.run(run())


# --- whom a token names


def mapped(**mappings: Any) -> JwtConfig:
    return JwtConfig(claim_mappings=replace(SUBJECT, **mappings))


def by_expression(text: str) -> ClaimOrExpression:
    return ClaimOrExpression(expression=text)


@pytest.mark.parametrize(
    ("mappings", "claims", "user"),
    [
        pytest.param({}, {}, User(name="jane"), id="the subject"),
        pytest.param(
            {"username": ClaimOrExpression(claim="name", prefix="oidc:")},
            {"name": "Jane"},
            User(name="oidc:Jane"),
            id="a claim with a prefix",
        ),
        pytest.param(
            {"username": ClaimOrExpression(claim="email", prefix="")},
            {"email": "jane@example.com", "email_verified": True},
            User(name="jane@example.com"),
            id="a verified mail address",
        ),
        pytest.param(
            {"groups": ClaimOrExpression(claim="groups", prefix="g:")},
            {"groups": ["a", "b"]},
            User(name="jane", groups=("g:a", "g:b")),
            id="groups",
        ),
        pytest.param(
            {"groups": ClaimOrExpression(claim="role", prefix="")},
            {"role": "admin"},
            User(name="jane", groups=("admin",)),
            id="one group that is no list",
        ),
        pytest.param(
            {"groups": ClaimOrExpression(claim="groups", prefix="")}, {}, User(name="jane"), id="no groups"
        ),
        pytest.param(
            {"uid": ClaimOrExpression(claim="oid")}, {"oid": "7"}, User(name="jane", uid="7"), id="a uid"
        ),
        pytest.param(
            {},
            {"jti": "x1"},
            User(name="jane", extra={"authentication.kubernetes.io/credential-id": ("JTI=x1",)}),
            id="the token's own id",
        ),
        pytest.param(
            {
                "username": by_expression("claims.sub + '@' + claims.realm"),
                "groups": by_expression("claims.roles.map(r, 'role:' + r)"),
                "uid": by_expression("string(int(claims.number))"),
                "extra": (
                    ExtraMapping(key="example.org/tenant", value_expression="claims.?tenant.orValue('')"),
                    ExtraMapping(key="example.org/realm", value_expression="claims.realm"),
                ),
            },
            {"realm": "x", "roles": ["a", ""], "number": 12},
            User(
                name="jane@x",
                groups=("role:a", "role:"),
                uid="12",
                extra={"example.org/realm": ("x",)},
            ),
            id="expressions",
        ),
        pytest.param(
            {"username": by_expression("claims.kubernetes__dot__io.pod.name__dash__of")},
            {"kubernetes.io": {"pod": {"name-of": "web"}}},
            User(name="web"),
            id="escaped names",
        ),
        pytest.param(
            {"groups": by_expression("claims.numbers.exists(n, n == 2.5) ? ['', 'yes'] : []")},
            {"numbers": [1, 2.5]},
            User(name="jane", groups=("yes",)),
            id="numbers are doubles",
        ),
    ],
)
def test_whom_it_names(oidc: Issuer, mappings: dict[str, Any], claims: dict[str, Any], user: User) -> None:
    assert who(compiled(oidc, mapped(**mappings)), oidc.token(**claims)) == user


@pytest.mark.parametrize(
    ("mappings", "claims", "why"),
    [
        (
            {"username": ClaimOrExpression(claim="name", prefix="")},
            {},
            'parse username claims "name": claim not',
        ),
        ({}, {"sub": 7}, "cannot unmarshal number into Go value of type string"),
        (
            {"username": ClaimOrExpression(claim="email", prefix="")},
            {"email": "a@b", "email_verified": False},
            "oidc: email not verified",
        ),
        (
            {"username": ClaimOrExpression(claim="email", prefix="")},
            {"email": "a@b", "email_verified": "true"},
            "parse 'email_verified' claim",
        ),
        (
            {"groups": ClaimOrExpression(claim="groups", prefix="")},
            {"groups": {"a": 1}},
            "parse groups claim",
        ),
        ({"groups": ClaimOrExpression(claim="groups", prefix="")}, {"groups": [1]}, "parse groups claim"),
        ({"uid": ClaimOrExpression(claim="oid")}, {}, 'parse uid claim "oid": claim not present'),
        ({"username": by_expression("claims.n")}, {"n": 1}, "username claim expression must return a string"),
        (
            {"username": by_expression("claims.n")},
            {"n": ""},
            "empty username via CEL expression is not allowed",
        ),
        (
            {"username": by_expression("claims.n")},
            {},
            "expression 'claims.n' resulted in error: no such key: n",
        ),
        (
            {"groups": by_expression("claims.n")},
            {"n": 1},
            "expression must return a string or a list of strings",
        ),
        (
            {"extra": (ExtraMapping(key="a.org/b", value_expression="claims.n"),)},
            {"n": [1]},
            "error evaluating extra claim expression: claims.n: expression must return",
        ),
    ],
)
def test_whom_it_does_not_name(
    oidc: Issuer, mappings: dict[str, Any], claims: dict[str, Any], why: str
) -> None:
    assert why in why_not(compiled(oidc, mapped(**mappings)), oidc.token(**claims))


RULES = JwtConfig(
    claim_mappings=replace(SUBJECT, groups=ClaimOrExpression(claim="groups", prefix="")),
    claim_validation_rules=(
        ClaimValidationRule(claim="hd", required_value="example.com"),
        ClaimValidationRule(expression="claims.exp - claims.iat <= 3600.0", message="lives too long"),
    ),
    user_validation_rules=(
        UserValidationRule(expression="!user.username.startsWith('system:')", message="reserved"),
        UserValidationRule(expression="user.groups.all(g, g != 'system:masters')", message="no masters"),
    ),
)
KEPT: dict[str, Any] = {"hd": "example.com", "iat": NOW_S, "exp": NOW_S + 60}


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        pytest.param({"hd": None}, "oidc: required claim hd not present in ID token", id="no claim"),
        pytest.param(
            {"hd": "evil.com"}, "required claim hd value does not match. Got = evil.com", id="another value"
        ),
        pytest.param({"hd": 1}, "oidc: parse claim hd", id="no text"),
        pytest.param(
            {"exp": NOW_S + 9999},
            "error evaluating claim validation expression: validation expression "
            "'claims.exp - claims.iat <= 3600.0' failed: lives too long",
            id="a rule on claims",
        ),
        pytest.param(
            {"iat": None}, "error evaluating claim validation expression: expression", id="an error"
        ),
        pytest.param({"sub": "system:admin"}, "failed: reserved", id="a rule on the user"),
        pytest.param({"groups": ["system:masters"]}, "failed: no masters", id="a rule on groups"),
    ],
)
def test_rules(oidc: Issuer, claims: dict[str, Any], why: str) -> None:
    made = compiled(oidc, RULES)
    assert who(made, oidc.token(**KEPT)) == User(name="jane")
    assert why in why_not(made, oidc.token(**{**KEPT, **claims}))


# --- whether it is believed


@pytest.mark.parametrize("algorithm", SIGNING_ALGORITHMS)
def test_algorithms(oidc: Issuer, algorithm: str) -> None:
    curves = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}
    key: Any = ec_key("other", curves[algorithm]) if algorithm in curves else rsa_key("other")
    oidc.keys = {"k1": ec_key("k1"), "other": key}
    made = compiled(oidc)
    token = oidc.token(key="other", algorithm=algorithm)
    assert who(made, token) == User(name="jane")

    async def run() -> str:
        async with running(made, algorithms=("HS256",)) as one:
            return await one.why_not(token)

    assert "signed with unsupported algorithm" in asyncio.run(run())


def test_a_token_without_key_id_is_tried_with_all_keys(oidc: Issuer) -> None:
    oidc.keys = {"k0": ec_key("k0"), "k1": ec_key("k1"), "k2": rsa_key("other")}
    assert who(compiled(oidc), oidc.token(kid="")) == User(name="jane")


def test_audiences(oidc: Issuer) -> None:
    made = compiled(oidc, audiences=("a", "b"), audience_match_policy="MatchAny")
    assert who(made, oidc.token(aud=["x", "b"])) == User(name="jane")
    assert why_not(made, oidc.token(aud="x")).endswith('oidc: expected audience in ["a" "b"] got ["x"]')


def test_a_token_of_somebody_else_is_left_to_others(oidc: Issuer) -> None:
    made = compiled(oidc)
    for token in (oidc.token(iss="https://other"), "a.b.c", "secret"):
        assert who(made, token) is None


def test_discovery_elsewhere(oidc: Issuer) -> None:
    made = compiled(oidc, discovery_url=f"{oidc.url}/elsewhere")
    assert who(made, oidc.token()) == User(name="jane")
    assert oidc.requests == {"/elsewhere": 1, "/keys": 1}


# --- the way there


def fetched(url: str, token: str = "") -> int:
    async def run() -> int:
        web = Web(CA_PEM)
        try:
            return (await web.get(url, token=token)).status
        finally:
            await web.close()

    return asyncio.run(run())


def test_redirects_are_followed_so_far(oidc: Issuer) -> None:
    oidc.redirects = {"/.well-known/openid-configuration": "/elsewhere"}
    assert who(compiled(oidc), oidc.token()) == User(name="jane")
    oidc.redirects = {"/a": "/b", "/b": "/a"}
    with pytest.raises(FetchError, match="stopped after 10 redirects"):
        fetched(f"{oidc.url}/a")


def test_a_token_is_not_carried_to_another_host(oidc: Issuer) -> None:
    oidc.pages["/groups"] = ("secret", "claims")
    oidc.redirects = {"/here": "/groups", "/there": f"{oidc.url}/groups".replace("127.0.0.1", "localhost")}
    assert fetched(f"{oidc.url}/here", "secret") == 200
    assert fetched(f"{oidc.url}/there", "secret") == 401


@pytest.mark.parametrize("url", ["nonsense", "https://", "ftp://a/b", "https://127.0.0.1:1/x", "https://[/"])
def test_places_that_are_none(url: str) -> None:
    with pytest.raises(FetchError):
        fetched(url)


# --- what is no token and no key set

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=3,
)


@settings(max_examples=60, deadline=None)
@given(st.text() | st.lists(_JSON, min_size=2, max_size=3).map(lambda all_: ".".join(map(encoded, all_))))
def test_no_text_upsets_the_reader_of_tokens(text: str) -> None:
    untrusted_issuer(text)
    try:
        parse(text)
    except ValueError as error:
        assert str(error).startswith("oidc: malformed jwt")


@settings(max_examples=60, deadline=None)
@given(
    st.binary()
    | st.lists(
        st.dictionaries(st.sampled_from(["kty", "kid", "crv", "x", "y", "n", "e"]), _JSON)
        | st.fixed_dictionaries(
            {"kty": st.just("EC"), "crv": st.just("P-256"), "x": st.text(), "y": st.text()}
        )
        | st.fixed_dictionaries({"kty": st.just("RSA"), "n": st.text(), "e": st.text()})
        | _JSON,
        max_size=3,
    ).map(lambda keys: json.dumps({"keys": keys}).encode())
)
def test_no_bytes_upset_the_reader_of_keys(data: bytes) -> None:
    try:
        key_set(data)
    except ValueError:
        return


# --- keys


def test_keys_are_fetched_once_and_again_when_they_are_rolled_over(oidc: Issuer) -> None:
    async def run() -> None:
        async with running(compiled(oidc)) as one:
            assert not oidc.asked("/keys"), "not before they are needed"
            first = oidc.token()
            await asyncio.gather(*(one.who(first) for _ in range(5)))
            assert oidc.asked("/keys") == 1, "all wait for the same"
            oidc.keys = {"k2": ec_key("k2")}
            new = oidc.token(key="k2")
            assert "failed to verify id token signature" in await one.why_not(new), "just fetched"
            one.clock.advance(1)
            assert await one.who(new) == User(name="jane")
            assert oidc.asked("/keys") == 2
            one.clock.advance(1)
            assert "failed to verify id token signature" in await one.why_not(first), "an old key"
            assert oidc.asked("/keys") == 3

    asyncio.run(run())


def test_keys_hold_as_long_as_the_issuer_says(oidc: Issuer) -> None:
    oidc.cache_control = "public, max-age=600"

    async def run() -> None:
        async with running(compiled(oidc)) as one:
            await one.who(oidc.token())
            oidc.keys = {"k2": ec_key("k2")}
            one.clock.advance(500)
            await one.why_not(oidc.token(key="k2"))
            assert oidc.asked("/keys") == 1
            one.clock.advance(80)
            assert await one.who(oidc.token(key="k2")) == User(name="jane")

    asyncio.run(run())


def test_an_issuer_that_goes_away_does_not_lock_out(oidc: Issuer) -> None:
    async def run() -> None:
        async with running(compiled(oidc)) as one:
            await one.who(oidc.token())
            oidc.available = False
            one.clock.advance(3600)
            assert await one.who(oidc.token()) == User(name="jane")
            oidc.keys["k2"] = ec_key("k2")
            why = "fetching keys oidc: get keys failed: 503 not now"
            assert why in await one.why_not(oidc.token(key="k2"))
            asked = oidc.asked("/keys")
            assert why in await one.why_not(oidc.token(key="k2"))
            assert oidc.asked("/keys") == asked, "it has just failed"

    asyncio.run(run())


def test_an_issuer_that_is_not_there_at_first(oidc: Issuer) -> None:
    oidc.available = False

    async def run() -> None:
        async with running(compiled(oidc), ready=False) as one:
            assert "authenticator not initialized" in await one.why_not(oidc.token())
            looking = one.authenticator.start()
            async with asyncio.timeout(10):
                while oidc.asked("/.well-known/openid-configuration") < 2:
                    await asyncio.sleep(0.001)
            assert "503: not now" in one.authenticator.problem
            oidc.available = True
            await looking
            assert not one.authenticator.problem
            assert await one.who(oidc.token()) == User(name="jane")

    asyncio.run(run())


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ({"issuer": "https://evil"}, "issuer did not match the issuer returned by provider"),
        ({"jwks_uri": ""}, "provider did not return JWKS URL"),
    ],
)
def test_documents_that_are_not_the_issuers(oidc: Issuer, document: dict[str, str], why: str) -> None:
    oidc.document = document

    async def run() -> None:
        async with running(compiled(oidc), ready=False) as one:
            one.authenticator.start()
            async with asyncio.timeout(10):
                while why not in one.authenticator.problem:
                    await asyncio.sleep(0.001)

    asyncio.run(run())


def test_another_authority(oidc: Issuer) -> None:
    async def run() -> None:
        async with running(compiled(oidc, certificate_authority=""), ready=False) as one:
            one.authenticator.start()
            async with asyncio.timeout(10):
                while "x509: certificate signed by unknown authority" not in one.authenticator.problem:
                    await asyncio.sleep(0.001)

    asyncio.run(run())


# --- distributed claims

GROUPS = mapped(groups=ClaimOrExpression(claim="groups", prefix=""))


def pointing(oidc: Issuer, **source: str) -> str:
    source = {"endpoint": f"{oidc.url}/groups", "access_token": "secret", **source}
    return oidc.token(_claim_names={"groups": "src1"}, _claim_sources={"src1": source})


async def until_known(one: Running, token: str) -> User | None:
    """Ask until the issuer of the distributed claim has been discovered."""
    async with asyncio.timeout(10):
        while True:
            try:
                return await one.who(token)
            except Refused as refused:
                if "verifier not initialized" not in refused.why:
                    raise
                await asyncio.sleep(0.001)


def test_distributed_groups(oidc: Issuer) -> None:
    oidc.pages["/groups"] = ("secret", oidc.token(groups=["a", "b"]))

    async def run() -> User | None:
        async with running(compiled(oidc, GROUPS)) as one:
            return await until_known(one, pointing(oidc))

    assert asyncio.run(run()) == User(name="jane", groups=("a", "b"))


@pytest.mark.parametrize(
    ("claims", "page", "why"),
    [
        ({"_claim_names": {"groups": "x"}}, None, "no claim sources"),
        ({"_claim_names": 1, "_claim_sources": {}}, None, "error parsing distributed claim names"),
        ({"_claim_names": {"groups": "x"}, "_claim_sources": 1}, None, "could not parse claim sources"),
        ({"_claim_names": {"groups": "x"}, "_claim_sources": {}}, None, "contained a source x missing"),
        ({}, "nonsense", "malformed token"),
        ({}, {"sub": "x"}, "did not contain claim: groups"),
        ({}, {"groups": ["a"], "aud": "other"}, "expected audience"),
        ({}, {"groups": ["a"], "exp": 1}, "token is expired"),
        ({}, None, "error while getting distributed claim JWT: 404"),
    ],
)
def test_distributed_groups_that_are_not_believed(
    oidc: Issuer, claims: dict[str, Any], page: Any, why: str
) -> None:
    if page is not None:
        oidc.pages["/groups"] = ("", page if isinstance(page, str) else oidc.token(**page))
    token = oidc.token(**claims) if claims else pointing(oidc)

    async def run() -> None:
        async with running(compiled(oidc, GROUPS)) as one:
            with pytest.raises(Refused) as refused:
                await until_known(one, token)
            assert "could not expand distributed claims" in refused.value.why
            assert why in refused.value.why

    asyncio.run(run())


@pytest.mark.parametrize(
    "claims",
    [
        {"groups": ["own"], "_claim_names": {"groups": "x"}},
        {"groups": ["own"]},
    ],
)
def test_groups_in_the_token_go_before_distributed_ones(oidc: Issuer, claims: dict[str, Any]) -> None:
    assert who(compiled(oidc, GROUPS), oidc.token(**claims)) == User(name="jane", groups=("own",))


def test_what_is_counted(oidc: Issuer) -> None:
    async def run() -> str:
        async with running(compiled(oidc)) as one:
            await one.who(oidc.token())
            await one.why_not(oidc.token(aud="x"))
            await one.who(oidc.token(iss="https://other"))
            oidc.available = False
            one.clock.advance(60)
            oidc.keys["k2"] = ec_key("k2")
            await one.why_not(oidc.token(key="k2"))
            return one.registry.text().decode()

    text = asyncio.run(run())
    latency = "apiserver_authentication_jwt_authenticator_latency_seconds_count"
    assert f'{latency}{{result="success",jwt_issuer_hash="sha256:' in text
    assert [line[-2:] for line in text.splitlines() if line.startswith(latency)] == [" 2", " 1"]
    assert text.count("jwks_fetch_last_timestamp_seconds{") == 2
    assert text.count("jwks_fetch_last_key_set_info{") == 1
