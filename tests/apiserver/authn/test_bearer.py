"""Where tokens stand in a request, static and bootstrap tokens, the union of methods, and the reviews."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

from podium.apiserver import authn
from podium.apiserver.authn.bearer import WEBSOCKET_PREFIX, take_token
from podium.apiserver.authn.bootstrap_token import BootstrapTokenAuthenticator
from podium.apiserver.authn.token_file import TokenFileAuthenticator
from podium.apiserver.chain import Question, User
from podium.machinery.errors import BadRequest, Object, Unauthorized
from podium.machinery.resource import Resource
from podium.resources.authentication.selfsubjectreviews import SELFSUBJECTREVIEWS
from podium.resources.authentication.tokenreviews import TOKENREVIEWS
from podium.resources.core.secrets import SECRETS
from podium.resources.core.serviceaccounts import SERVICEACCOUNTS
from tests.apiserver.authn.helpers import ISSUER, PRIVATE, cluster, request
from tests.apiserver.authn.test_certificate import issued
from tests.apiserver.fakes import FakeClock, FakeReader


@pytest.mark.parametrize(
    ("value", "token"),
    [
        ("Bearer abc", "abc"),
        ("bearer abc", "abc"),
        ("  BEARER abc  ", "abc"),
        ("Bearer abc def", "abc"),
        ("Bearer ", ""),
        ("Bearer  abc", ""),
        ("Bearer", ""),
        ("Basic dTpw", ""),
        ("", ""),
    ],
)
def test_header(value: str, token: str) -> None:
    sent = request(("Authorization", value))
    assert take_token(sent) == token
    assert ("authorization" in sent.headers) is (token == ""), "a proxied request must not pass it on"


def test_websocket_subprotocol() -> None:
    encoded = base64.urlsafe_b64encode(b"abc").decode().rstrip("=")
    sent = request(("Sec-WebSocket-Protocol", f"v5.channel.k8s.io, {WEBSOCKET_PREFIX}{encoded}"))
    assert take_token(sent) == "abc"
    assert sent.headers.get_all("sec-websocket-protocol") == ["v5.channel.k8s.io"]


def test_websocket_subprotocol_that_is_no_token() -> None:
    with pytest.raises(Unauthorized):
        take_token(request(("Sec-WebSocket-Protocol", f"{WEBSOCKET_PREFIX}x")))


TOKEN_FILE = ["secret1,alice,1", 'secret2,bob,2,"dev, ops"', "", ",nobody,3"]


@pytest.mark.parametrize(
    ("token", "user"),
    [
        ("secret1", User(name="alice", uid="1", groups=("system:authenticated",))),
        ("secret2", User(name="bob", uid="2", groups=("dev", "ops", "system:authenticated"))),
        ("secret3", None),
        ("", None),
    ],
)
def test_token_file(token: str, user: User | None) -> None:
    found = asyncio.run(TokenFileAuthenticator.parse(TOKEN_FILE).identify(token, ()))
    assert (found.user if found else None) == user


def test_token_file_with_too_few_columns() -> None:
    with pytest.raises(ValueError, match="at least 3 columns"):
        TokenFileAuthenticator.parse(["token,user"])


# --- bootstrap tokens

TOKEN = "abcdef.0123456789abcdef"


def bootstrap_secret(**data: str | None) -> Object:
    values: dict[str, str | None] = {
        "token-id": "abcdef",
        "token-secret": "0123456789abcdef",
        "usage-bootstrap-authentication": "true",
        **{key.replace("_", "-"): value for key, value in data.items()},
    }
    encoded = {k: base64.b64encode(v.encode()).decode() for k, v in values.items() if v is not None}
    return {
        "metadata": {"name": "bootstrap-token-abcdef", "namespace": "kube-system"},
        "type": "bootstrap.kubernetes.io/token",
        "data": encoded,
    }


def bootstrap(secret: Object | None, token: str = TOKEN) -> Any:
    reader = FakeReader()
    if secret is not None:
        reader.put(SECRETS, secret)
    authenticator = BootstrapTokenAuthenticator(reader.cached(SECRETS), clock=FakeClock())
    return asyncio.run(authenticator.identify(token, ("a",)))


def test_bootstrap_token() -> None:
    found = bootstrap(
        bootstrap_secret(
            auth_extra_groups="system:bootstrappers:kubeadm:default-node-token",
            expiration="2026-03-01T12:00:01Z",
        )
    )
    assert found.user == User(
        name="system:bootstrap:abcdef",
        groups=(
            "system:bootstrappers",
            "system:bootstrappers:kubeadm:default-node-token",
            "system:authenticated",
        ),
    )


@pytest.mark.parametrize("token", ["nonsense", "ABCDEF.0123456789abcdef", TOKEN + "0", "abcdef"])
def test_not_a_bootstrap_token(token: str) -> None:
    assert bootstrap(bootstrap_secret(), token) is None


@pytest.mark.parametrize(
    "secret",
    [
        None,
        {**bootstrap_secret(), "type": "Opaque"},
        bootstrap_secret(token_secret="0123456789abcdeX"),
        bootstrap_secret(token_secret=None),
        bootstrap_secret(token_id="fedcba"),
        bootstrap_secret(usage_bootstrap_authentication="false"),
        bootstrap_secret(expiration="2026-03-01T12:00:00Z"),
        bootstrap_secret(expiration="soon"),
        bootstrap_secret(auth_extra_groups="system:masters"),
        {**bootstrap_secret(), "data": {"token-secret": "!"}},
    ],
    ids=str,
)
def test_bootstrap_token_refused(secret: Object | None) -> None:
    with pytest.raises(Unauthorized):
        bootstrap(secret)


# --- all methods together


def build(reader: FakeReader | None = None) -> authn.Authentication:
    options = authn.Options(issuer=ISSUER, signing_key=PRIVATE, token_file=["secret,carol,3,dev"])
    return authn.build(reader or cluster(), options, clock=FakeClock())


def who(*headers: tuple[str, str], certificate: bytes | None = None) -> str | None:
    sent = request(*headers, certificate=certificate)
    user = asyncio.run(build().authenticator.authenticate(sent))
    return user.name if user else None


def test_certificate_goes_before_token() -> None:
    certificate = issued("alice")
    bearer = ("Authorization", "Bearer secret")
    assert who(certificate=certificate) == "alice"
    assert who(bearer) == "carol"
    assert who(bearer, certificate=certificate) == "alice"
    assert who(("Authorization", "Bearer wrong"), certificate=certificate) == "alice"
    assert who() is None


def test_an_unusable_certificate_leaves_the_token() -> None:
    assert who(("Authorization", "Bearer secret"), certificate=b"garbage") == "carol"
    with pytest.raises(Unauthorized):
        who(certificate=b"garbage")


@pytest.mark.parametrize("enabled", [True, False])
def test_bootstrap_tokens_only_when_asked_for(enabled: bool) -> None:
    reader = FakeReader()
    reader.put(SECRETS, bootstrap_secret())
    options = authn.Options(issuer=ISSUER, bootstrap_tokens=enabled)
    authenticator = authn.build(reader, options, clock=FakeClock()).authenticator
    sent = request(("Authorization", f"Bearer {TOKEN}"))
    if enabled:
        assert asyncio.run(authenticator.authenticate(sent)) is not None
    else:
        with pytest.raises(Unauthorized):
            asyncio.run(authenticator.authenticate(sent))


def test_unknown_token() -> None:
    with pytest.raises(Unauthorized):
        who(("Authorization", "Bearer wrong"))


def ask(resource: Resource, spec: Object | None = None, reader: FakeReader | None = None) -> Object:
    obj: Object = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": {}}
    if spec is not None:
        obj["spec"] = spec
    me = User(name="me", uid="7", groups=("a", "b"), extra={"k": ("v",)})
    question = Question(resource=resource, namespace="", object=obj, user=me)
    answer: Object = asyncio.run(build(reader).answers[resource.group_plural](question))  # type: ignore[arg-type]
    return answer


def token_for(reader: FakeReader, *audiences: str) -> str:
    account = reader.cached(SERVICEACCOUNTS).get("ns", "robot")
    issuer = build(reader).token_issuer
    assert account is not None and issuer is not None
    issued = issuer.issue(account, audiences=audiences, expiration_s=600, bound=None)
    return asyncio.run(issued).token


def test_token_review() -> None:
    reader = cluster()
    status = ask(TOKENREVIEWS, {"token": token_for(reader)}, reader)["status"]
    assert status["authenticated"] is True
    assert status["audiences"] == [ISSUER]
    assert status["user"]["username"] == "system:serviceaccount:ns:robot"


def test_token_review_for_other_audiences() -> None:
    reader = cluster()
    token = token_for(reader, "vault", ISSUER)
    status = ask(TOKENREVIEWS, {"token": token, "audiences": ["vault", "x"]}, reader)["status"]
    assert status["audiences"] == ["vault"]
    refused = ask(TOKENREVIEWS, {"token": token, "audiences": ["x"]}, reader)["status"]
    assert "authenticated" not in refused
    assert refused["error"] == (
        f'[invalid bearer token, token audiences ["vault" "{ISSUER}"] is invalid '
        'for the target audiences ["x"]]'
    )


def test_token_review_of_nonsense() -> None:
    assert ask(TOKENREVIEWS, {"token": "x"})["status"] == {"user": {}, "error": "invalid bearer token"}
    with pytest.raises(BadRequest, match="token is required for TokenReview in authentication"):
        ask(TOKENREVIEWS, {"token": ""})


def test_self_subject_review() -> None:
    answer = ask(SELFSUBJECTREVIEWS)
    assert answer["metadata"] == {"creationTimestamp": "2026-03-01T12:00:00Z"}
    assert answer["status"]["userInfo"] == {
        "username": "me",
        "uid": "7",
        "groups": ["a", "b"],
        "extra": {"k": ["v"]},
    }
