"""Attacks on authentication, each by its name: who should not get in does not, and nobody becomes more than
they are.

All methods are on at once, as on a real server: a token that one of them refuses is seen by all the others.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import ssl
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from podium.apiserver import authn
from podium.apiserver.authn.impersonation import HeaderImpersonator
from podium.apiserver.authn.impersonation_metrics import ImpersonationMetrics
from podium.apiserver.authn.issued import Bundle
from podium.apiserver.authn.oidc.config import (
    AuthenticationConfiguration,
    ClaimMappings,
    ClaimOrExpression,
    JwtConfig,
)
from podium.apiserver.authn.oidc.config import Issuer as IssuerConfig
from podium.apiserver.authn.oidc.service import JwtOptions
from podium.apiserver.authn.oidc.validation import validate
from podium.apiserver.authn.request_header import RequestHeaderOptions
from podium.apiserver.authn.token_file import TokenFileAuthenticator
from podium.apiserver.chain import Decision, RequestInfo, User
from podium.base import pki
from podium.base.http.message import Request
from podium.base.metrics import Registry
from podium.machinery.errors import BadRequest, Forbidden, Unauthorized
from podium.resources.core.nodes import NODES
from podium.resources.core.pods import PODS
from podium.resources.core.secrets import SECRETS
from podium.resources.core.serviceaccounts import SERVICEACCOUNTS
from tests.apiserver.authn.helpers import ISSUER, PRIVATE, SIGNING, cluster, request
from tests.apiserver.authn.oidc_issuer import CA_PEM, CLIENT_ID, Issuer, ec_key, issuer, jwk, rsa_key
from tests.apiserver.authn.test_bearer import bootstrap_secret
from tests.apiserver.fakes import FakeClock, asks

NOW_S = int(FakeClock().now().timestamp())
CLOCK = FakeClock()
CLIENTS = pki.create_ca("kubernetes", now=CLOCK.now())
PROXIES = pki.create_ca("front-proxies", now=CLOCK.now())
STATIC, BOOTSTRAP = "static-token-of-carol", "abcdef.0123456789abcdef"


@pytest.fixture(scope="module")
def oidc() -> Iterator[Issuer]:
    with issuer() as served:
        served.keys = {"k1": ec_key("k1"), "r1": rsa_key("other")}
        yield served


class Gate:
    """A server with every method of authentication."""

    def __init__(self, oidc: Issuer) -> None:
        self.oidc = oidc
        self.clock = FakeClock()
        self.reader = cluster()
        self.reader.put(SECRETS, bootstrap_secret())
        config = JwtConfig(
            issuer=IssuerConfig(url=oidc.url, audiences=(CLIENT_ID,), certificate_authority=CA_PEM),
            claim_mappings=ClaimMappings(
                username=ClaimOrExpression(claim="sub", prefix="oidc:"),
                groups=ClaimOrExpression(claim="groups", prefix="oidc:"),
            ),
        )
        issuers, errors = validate(
            AuthenticationConfiguration(jwt=(config,)), disallowed_issuers=[ISSUER], version="1.36"
        )
        assert not errors
        options = authn.Options(
            issuer=ISSUER,
            signing_key=PRIVATE,
            token_file=[f"{STATIC},carol,3"],
            bootstrap_tokens=True,
            client_ca=Bundle(CLIENTS.certificate_pem),
            request_header=RequestHeaderOptions(
                client_ca=Bundle(PROXIES.certificate_pem), allowed_names=("front-proxy",)
            ),
            jwt=JwtOptions(issuers=issuers, version="1.36"),
        )
        self.built = authn.build(self.reader, options, clock=self.clock)

        (background,) = self.built.background
        self._runner = asyncio.Runner()
        self._task = self._runner.run(self._start(background))

    async def _start(self, background: authn.Background) -> asyncio.Task[None]:
        """Wait until the issuer has been reached: a good token is known."""
        task = asyncio.create_task(background())
        async with asyncio.timeout(10):
            while True:
                sent = request(("Authorization", f"Bearer {self.oidc.token()}"))
                try:
                    await self.built.authenticator.authenticate(sent)
                except Unauthorized:
                    await asyncio.sleep(0.001)
                else:
                    return task

    def close(self) -> None:
        async def stop() -> None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

        self._runner.run(stop())
        self._runner.close()

    def enter(self, *headers: tuple[str, str], certificate: bytes | None = None) -> str:
        """Return who gets in: a name, "" for nobody in particular, "refused"."""
        return self.let_in(request(*headers, certificate=certificate))

    def let_in(self, sent: Request) -> str:
        at_once = self.built.recognise(sent)

        async def run() -> str:
            try:
                user = await self.built.authenticator.authenticate(sent)
            except Unauthorized:
                assert at_once is None
                return "refused"
            assert at_once in (None, user), "the shortcut sees what the chain sees"
            return user.name if user is not None else ""

        return self._runner.run(run())

    def bearer(self, token: str) -> str:
        return self.enter(("Authorization", f"Bearer {token}"))

    def service_account_token(self, **bound: Any) -> str:
        robot = self.reader.cached(SERVICEACCOUNTS).get("ns", "robot")
        assert robot is not None
        assert self.built.token_issuer is not None
        asked: dict[str, Any] = {"audiences": (), "expiration_s": 600, "bound": None, **bound}
        return asyncio.run(self.built.token_issuer.issue(robot, **asked)).token


@pytest.fixture(scope="module")
def gate(oidc: Issuer) -> Iterator[Gate]:
    one = Gate(oidc)
    yield one
    one.close()


def encoded(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def parts(token: str) -> tuple[dict[str, Any], dict[str, Any], str]:
    header, payload, signature = token.split(".")
    decoded = [json.loads(base64.urlsafe_b64decode(part + "==")) for part in (header, payload)]
    return decoded[0], decoded[1], signature


def reheaded(token: str, **changes: Any) -> str:
    """Return the token with another header, its payload and signature as they were."""
    header, payload, signature = parts(token)
    return f"{encoded({**header, **changes})}.{encoded(payload)}.{signature}"


def hmac_signed(token: str, key: bytes, algorithm: str = "HS256") -> str:
    header, payload, _ = parts(token)
    signed = f"{encoded({**header, 'alg': algorithm})}.{encoded(payload)}"
    return f"{signed}.{encoded(hmac.digest(key, signed.encode(), hashlib.sha256))}"


def public_pem(key: Any) -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return bytes(key.public_key().public_bytes(serialization.Encoding.PEM, form))


def resigned(token: str, key: Any, algorithm: str = "ES256", **header: Any) -> str:
    """Return the token's claims signed by somebody else."""
    found, payload, _ = parts(token)
    headers = {**found, **header}
    headers.pop("alg")
    return jwt.encode(payload, key, algorithm=algorithm, headers=headers)


ATTACKER = ec_key("attacker")


# --- who has a good token gets in


def test_the_gate_opens_for_good_tokens(gate: Gate) -> None:
    """Otherwise every attack below would fail for a reason that is not its own."""
    assert gate.bearer(gate.oidc.token()) == "oidc:jane"
    assert gate.bearer(gate.oidc.token(key="r1", algorithm="RS256")) == "oidc:jane"
    assert gate.bearer(gate.service_account_token()) == "system:serviceaccount:ns:robot"
    assert gate.bearer(STATIC) == "carol"
    assert gate.bearer(BOOTSTRAP) == "system:bootstrap:abcdef"


# --- tokens of an issuer


ISSUERS_TOKENS: dict[str, Callable[[Issuer], str]] = {
    "expired": lambda i: i.token(exp=NOW_S - 1),
    "expired_long_ago": lambda i: i.token(exp=0),
    "expiry_before_time_began": lambda i: i.token(exp=-(10**15)),
    "no_expiry": lambda i: i.token(exp=None),
    "expiry_that_is_text": lambda i: signed_as_is(i, exp="4102444800"),
    "expiry_that_is_true": lambda i: signed_as_is(i, exp=True),
    "not_yet_valid": lambda i: i.token(nbf=NOW_S + 61),
    "not_before_the_end_of_time": lambda i: i.token(nbf=10**15),
    "wrong_audience": lambda i: i.token(aud="another-client"),
    "audience_that_contains_ours": lambda i: i.token(aud=f"{CLIENT_ID}-2"),
    "no_audience": lambda i: i.token(aud=None),
    "empty_audiences": lambda i: i.token(aud=[]),
    "audience_of_the_api_server": lambda i: i.token(aud=ISSUER),
    "audience_that_is_an_object": lambda i: signed_as_is(i, aud={CLIENT_ID: CLIENT_ID}),
    "issuer_with_a_slash": lambda i: i.token(iss=i.url + "/"),
    "issuer_that_begins_like_ours": lambda i: i.token(iss=i.url + ".evil.example"),
    "issuer_in_another_case": lambda i: i.token(iss=i.url.upper()),
    "no_issuer": lambda i: i.token(iss=None),
    "issuer_that_is_a_list": lambda i: signed_as_is(i, iss=[i.url]),
    "the_service_accounts_issuer": lambda i: i.token(iss=ISSUER),
    "alg_none": lambda i: reheaded(i.token(), alg="none").rpartition(".")[0] + ".",
    "alg_none_with_the_signature": lambda i: reheaded(i.token(), alg="none"),
    "alg_none_in_another_case": lambda i: reheaded(i.token(), alg="NoNe").rpartition(".")[0] + ".",
    "alg_empty": lambda i: reheaded(i.token(), alg=""),
    "alg_missing": lambda i: reheaded(i.token(), alg=None),
    "alg_that_is_a_list": lambda i: reheaded(i.token(), alg=["ES256"]),
    "hs256_with_the_public_key": lambda i: hmac_signed(i.token(), public_pem(i.keys["k1"])),
    "hs256_with_the_rsa_public_key": lambda i: hmac_signed(
        i.token(key="r1", algorithm="RS256"), public_pem(i.keys["r1"])
    ),
    "hs256_with_the_key_set": lambda i: hmac_signed(i.token(), json.dumps(jwk("k1", i.keys["k1"])).encode()),
    "hs256_with_nothing": lambda i: hmac_signed(i.token(), b""),
    "hs512_called_hs256": lambda i: hmac_signed(i.token(), public_pem(i.keys["k1"]), "HS512"),
    "another_algorithm_than_the_keys": lambda i: reheaded(i.token(), alg="RS256"),
    "another_curve_than_the_keys": lambda i: reheaded(i.token(), alg="ES384"),
    "no_signature": lambda i: i.token().rpartition(".")[0] + ".",
    "signature_of_zeros": lambda i: i.token().rpartition(".")[0] + "." + encoded(bytes(64)),
    "signature_in_der": lambda i: (
        i.token().rpartition(".")[0] + "." + encoded(ATTACKER.sign(b"x", ec.ECDSA(hashes.SHA256())))
    ),
    "another_payload": lambda i: with_payload(i.token(), sub="root"),
    "signed_by_somebody_else": lambda i: resigned(i.token(), ATTACKER),
    "signed_by_somebody_else_without_a_kid": lambda i: resigned(i.token(), ATTACKER, kid=""),
    "signed_by_the_service_accounts_key": lambda i: resigned(i.token(), SIGNING.private),
    "key_in_the_header": lambda i: resigned(i.token(), ATTACKER, jwk=attackers_jwk()),
    "key_set_in_the_header": lambda i: resigned(i.token(), ATTACKER, jku="https://evil.example/keys"),
    "certificate_in_the_header": lambda i: resigned(i.token(), ATTACKER, x5u="https://evil.example/x"),
    "kid_that_is_a_path": lambda i: resigned(i.token(), ATTACKER, kid="../../../../dev/null"),
    "kid_that_is_sql": lambda i: resigned(i.token(), ATTACKER, kid="x' UNION SELECT 'key'--"),
    "kid_that_is_a_command": lambda i: resigned(i.token(), ATTACKER, kid="|touch /tmp/x"),
    "kid_of_another_key": lambda i: reheaded(i.token(), kid="r1"),
    "kid_that_is_a_number": lambda i: reheaded(i.token(), kid=1),
    "kid_that_is_long": lambda i: reheaded(i.token(), kid="x" * 40_000),
    "critical_header": lambda i: resigned(i.token(), i.keys["k1"], crit=["x"], x=1),
    "json_form": lambda i: json_form(i.token()),
    "four_parts": lambda i: i.token() + ".x",
    "two_parts": lambda i: i.token().rpartition(".")[0],
    "empty_parts": lambda i: "..",
    "many_dots": lambda i: "." * 60_000,
    "header_that_is_no_json": lambda i: "x" + i.token(),
    "header_that_is_a_list": lambda i: encoded([]) + "." + i.token().partition(".")[2],
    "payload_that_is_a_list": lambda i: with_raw_payload(i.token(), b"[]"),
    "payload_that_nests_deep": lambda i: with_raw_payload(
        i.token(), b'{"iss":"%s","x":%s}' % (i.url.encode(), b"[" * 900 + b"]" * 900)
    ),
    "base64_with_garbage": lambda i: i.token().replace(".", ".\u00e9", 1),
    "oversized": lambda i: i.token(groups=["g" * 100] * 400, exp=NOW_S - 1),
    "oversized_nonsense": lambda i: "x" * 60_000,
}


def signed_as_is(i: Issuer, **claims: Any) -> str:
    """Return a token with claims that no library would sign."""
    _, payload, _ = parts(i.token())
    header = {"alg": "ES256", "kid": "k1"}
    signed = f"{encoded(header)}.{encoded({**payload, **claims})}"
    algorithm = jwt.get_algorithm_by_name("ES256")
    return f"{signed}.{encoded(algorithm.sign(signed.encode(), i.keys['k1']))}"


def with_payload(token: str, **claims: Any) -> str:
    header, payload, signature = parts(token)
    return f"{encoded(header)}.{encoded({**payload, **claims})}.{signature}"


def with_raw_payload(token: str, raw: bytes) -> str:
    header, _, signature = token.split(".")
    return f"{header}.{encoded(raw)}.{signature}"


def json_form(token: str) -> str:
    protected, payload, signature = token.split(".")
    return json.dumps({"payload": payload, "protected": protected, "signature": signature})


def attackers_jwk() -> dict[str, Any]:
    made: Any = jwt.get_algorithm_by_name("ES256")
    found: dict[str, Any] = made.to_jwk(ATTACKER.public_key(), as_dict=True)
    return found


@pytest.mark.parametrize("attack", ISSUERS_TOKENS)
def test_issuers_token(gate: Gate, attack: str) -> None:
    assert gate.bearer(ISSUERS_TOKENS[attack](gate.oidc)) == "refused"
    assert gate.oidc.asked("/keys") == 1, "they are not asked for again and again"


# --- tokens of service accounts


SERVICE_ACCOUNTS_TOKENS: dict[str, Callable[[str], str]] = {
    "alg_none": lambda t: reheaded(t, alg="none").rpartition(".")[0] + ".",
    "hs256_with_the_public_key": lambda t: hmac_signed(t, public_pem(SIGNING.private)),
    "signed_by_somebody_else": lambda t: resigned(t, ATTACKER),
    "signed_by_somebody_else_without_a_kid": lambda t: resigned(t, ATTACKER, kid=""),
    "kid_that_is_a_path": lambda t: resigned(t, ATTACKER, kid="/etc/kubernetes/pki/sa.pub"),
    "kid_that_nobody_has": lambda t: resigned(t, SIGNING.private, kid="x"),
    "another_payload": lambda t: with_payload(t, sub="system:serviceaccount:kube-system:admin"),
    "key_in_the_header": lambda t: resigned(t, ATTACKER, jwk=attackers_jwk()),
    "no_signature": lambda t: t.rpartition(".")[0] + ".",
    "signature_of_zeros": lambda t: t.rpartition(".")[0] + "." + encoded(bytes(64)),
    "an_issuers_key": lambda t: resigned(t, ec_key("k1"), kid="k1"),
    "expired": lambda t: claiming(t, exp=NOW_S - 61),
    "not_yet_valid": lambda t: claiming(t, nbf=NOW_S + 61),
    "issued_in_the_future": lambda t: claiming(t, iat=NOW_S + 61),
    "no_expiry": lambda t: claiming(t, exp=None),
    "wrong_audience": lambda t: claiming(t, aud=["vault"]),
    "wrong_issuer": lambda t: claiming(t, iss="https://elsewhere"),
    "a_subject_that_is_not_the_accounts": lambda t: claiming(t, sub="system:admin"),
    "a_secrets_token_that_no_secret_holds": lambda t: claiming(t, iss="kubernetes/serviceaccount"),
}


def claiming(token: str, **claims: Any) -> str:
    """Return the token with other claims, signed with the server's own key: what its thief would like."""
    header, payload, _ = parts(token)
    whole = {name: value for name, value in {**payload, **claims}.items() if value is not None}
    return jwt.encode(whole, SIGNING.private, algorithm="ES256", headers={"kid": header["kid"]})


@pytest.mark.parametrize("attack", SERVICE_ACCOUNTS_TOKENS)
def test_service_accounts_token(gate: Gate, attack: str) -> None:
    assert gate.bearer(SERVICE_ACCOUNTS_TOKENS[attack](gate.service_account_token())) == "refused"


@pytest.mark.parametrize(
    ("bound", "gone"),
    [
        pytest.param(None, (SERVICEACCOUNTS, "ns", "robot"), id="of_a_deleted_service_account"),
        pytest.param(PODS, (PODS, "ns", "web"), id="of_a_deleted_pod"),
        pytest.param(SECRETS, (SECRETS, "ns", "held"), id="of_a_deleted_secret"),
        pytest.param(NODES, (NODES, "", "n1"), id="of_a_deleted_node"),
    ],
)
@pytest.mark.parametrize("comes_back", [False, True], ids=["", "that_has_come_back"])
def test_token(gate: Gate, bound: Any, gone: tuple[Any, str, str], comes_back: bool) -> None:
    resource, namespace, name = gone
    obj = None
    if bound is not None:
        found = gate.reader.cached(bound).get(namespace, name)
        obj = {**found, "kind": bound.kind} if found is not None else None
    token = gate.service_account_token(bound=obj)
    assert gate.bearer(token) == "system:serviceaccount:ns:robot"
    there = gate.reader.cached(resource).get(namespace, name)
    assert there is not None
    gate.reader.cached(resource).remove(namespace, name)
    try:
        if comes_back:
            gate.reader.put(resource, {**there, "metadata": {**there["metadata"], "uid": "another"}})
        assert gate.bearer(token) == "refused", "at once, though it was good a moment ago"
    finally:
        gate.reader.put(resource, there)


# --- static and bootstrap tokens


@pytest.mark.parametrize(
    "token",
    [
        STATIC[:-1],
        STATIC + "x",
        STATIC.upper(),
        STATIC + "\x00",
        "carol",
        BOOTSTRAP[:-1] + "0",
        BOOTSTRAP + "0",
        BOOTSTRAP.upper(),
        "abcdef.",
        "abcdef." + "0" * 16,
        "../../a.0123456789abcdef",
        "fedcba.0123456789abcdef",
    ],
)
def test_tokens_that_are_nearly_right(gate: Gate, token: str) -> None:
    assert gate.bearer(token) == "refused"


def test_bootstrap_tokens_are_compared_in_constant_time(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []
    in_constant_time = hmac.compare_digest

    def compare(left: bytes, right: bytes) -> bool:
        compared.append((left, right))
        return in_constant_time(left, right)

    monkeypatch.setattr("podium.apiserver.authn.bootstrap_token.hmac.compare_digest", compare)
    assert gate.bearer(BOOTSTRAP[:-1] + "0") == "refused"
    assert (b"0123456789abcdef", b"0123456789abcde0") in compared


def test_static_tokens_are_not_compared_at_all() -> None:
    """They are looked up by their digest, which tells nothing of how near a guess is; nor are they kept."""
    users = TokenFileAuthenticator.parse([f"{STATIC},carol,3"])._users
    assert list(users) == [hashlib.sha256(STATIC.encode()).digest()]


# --- certificates, and headers of front proxies


def der(pair: pki.KeyPair) -> bytes:
    return ssl.PEM_cert_to_DER_cert(pair.certificate_pem.decode())


def issued(ca: pki.KeyPair, name: str, *groups: str, days: int = 1, ago: int = 0) -> bytes:
    now = CLOCK.now() - timedelta(days=ago)
    return der(pki.issue(ca, common_name=name, organizations=groups, client=True, days=days, now=now))


OTHER_CA = pki.create_ca("other", now=CLOCK.now())
HEADERS = (("X-Remote-User", "root"), ("X-Remote-Group", "system:masters"), ("X-Remote-Extra-Scopes", "all"))


@pytest.mark.parametrize(
    ("certificate", "who"),
    [
        pytest.param(None, "", id="no_certificate"),
        pytest.param(issued(CLIENTS, "dave"), "dave", id="a_clients_certificate"),
        pytest.param(
            issued(CLIENTS, "front-proxy"), "front-proxy", id="the_proxys_name_from_another_authority"
        ),
        pytest.param(issued(PROXIES, "someone"), "refused", id="the_proxys_authority_with_another_name"),
        pytest.param(issued(OTHER_CA, "front-proxy"), "refused", id="an_unknown_authority"),
        pytest.param(issued(PROXIES, "front-proxy", days=1, ago=2), "refused", id="an_expired_certificate"),
        pytest.param(b"garbage", "refused", id="garbage"),
    ],
)
def test_forged_headers_of_a_front_proxy(gate: Gate, certificate: bytes | None, who: str) -> None:
    assert gate.enter(*HEADERS, certificate=certificate) == who


@pytest.mark.parametrize("certificate", [None, issued(CLIENTS, "dave"), issued(PROXIES, "front-proxy")])
def test_credentials_and_forged_headers_go_no_further(gate: Gate, certificate: bytes | None) -> None:
    sent = request(*HEADERS, ("Authorization", f"Bearer {STATIC}"), ("Accept", "x"), certificate=certificate)
    gate.let_in(sent)
    assert [name for name, _ in sent.headers] == ["accept"]


def test_a_front_proxy_is_believed(gate: Gate) -> None:
    assert gate.enter(*HEADERS, certificate=issued(PROXIES, "front-proxy")) == "root"


@pytest.mark.parametrize("name", ["X_Remote_User", "X-Remote-User ", "XRemote-User", "X-Remote-User\u00a0"])
def test_headers_that_are_nearly_a_front_proxys(gate: Gate, name: str) -> None:
    assert gate.enter((name, "root"), certificate=issued(CLIENTS, "dave")) == "dave"


def test_a_certificate_of_the_proxies_authority_makes_no_client(gate: Gate) -> None:
    assert gate.enter(certificate=issued(PROXIES, "system:admin", "system:masters")) == "refused"
    assert gate.enter(certificate=issued(PROXIES, "front-proxy", "system:masters")) == "refused"


# --- impersonation


class Rights:
    """Allows what is listed: verb, group/resource/subresource, name."""

    def __init__(self, *allowed: tuple[str, str, str]) -> None:
        self.allowed = set(allowed)

    async def authorize(self, user: User, info: RequestInfo) -> Decision:
        resource = "/".join(part for part in (info.api_group, info.resource, info.subresource) if part)
        names = {info.name, "*"}
        return Decision(allowed=any((info.verb, resource, name) in self.allowed for name in names))


USERS = ("impersonate", "users", "*")
GROUPS = ("impersonate", "groups", "developers")
USER = ("Impersonate-User", "jane")


@pytest.mark.parametrize(
    ("rights", "headers", "refusal"),
    [
        pytest.param((), (USER,), Forbidden, id="of_a_user"),
        pytest.param(
            (("impersonate", "users", "joe"),), (USER,), Forbidden, id="of_a_user_other_than_the_one_allowed"
        ),
        pytest.param((USERS,), (USER, ("Impersonate-Group", "admins")), Forbidden, id="of_a_group"),
        pytest.param((USERS,), (USER, ("Impersonate-Group", "system:masters")), Forbidden, id="of_masters"),
        pytest.param(
            (USERS, GROUPS),
            (USER, ("Impersonate-Group", "developers"), ("Impersonate-Group", "system:masters")),
            Forbidden,
            id="of_masters_beside_an_allowed_group",
        ),
        pytest.param((USERS,), (USER, ("Impersonate-Uid", "7")), Forbidden, id="of_a_uid"),
        pytest.param((USERS,), (USER, ("Impersonate-Extra-Scopes", "all")), Forbidden, id="of_extra"),
        pytest.param(
            (USERS, ("impersonate", "authentication.k8s.io/userextras/scopes", "view")),
            (USER, ("Impersonate-Extra-Scopes", "view"), ("Impersonate-Extra-Scopes", "all")),
            Forbidden,
            id="of_extra_with_one_value_too_many",
        ),
        pytest.param(
            (USERS,),
            (("Impersonate-User", "system:serviceaccount:kube-system:admin"),),
            Forbidden,
            id="of_a_service_account_by_rights_on_users",
        ),
        pytest.param(
            (("impersonate:user-info", "authentication.k8s.io/groups", "system:masters"),),
            (USER, ("Impersonate-Group", "system:masters")),
            Forbidden,
            id="of_masters_by_narrow_rights",
        ),
        pytest.param((USERS,), (("Impersonate-Group", "developers"),), BadRequest, id="of_a_group_alone"),
        pytest.param((USERS,), (("Impersonate-Uid", "7"),), BadRequest, id="of_a_uid_alone"),
        pytest.param((USERS,), (("Impersonate-Extra-X", "y"),), BadRequest, id="of_extra_alone"),
        pytest.param(
            (USERS, GROUPS),
            (("Impersonate-User", ""), ("Impersonate-Group", "developers")),
            BadRequest,
            id="of_a_user_without_a_name",
        ),
    ],
)
def test_impersonation(
    rights: tuple[tuple[str, str, str], ...], headers: tuple[tuple[str, str], ...], refusal: type[Exception]
) -> None:
    impersonator = HeaderImpersonator(Rights(*rights))
    mallory = User(name="mallory", groups=("system:authenticated",))
    with pytest.raises(refusal):
        asyncio.run(impersonator.impersonate(mallory, request(*headers), asks("get", "secrets")))


def test_impersonation_with_rights_to_it_all() -> None:
    impersonator = HeaderImpersonator(Rights(USERS, GROUPS))
    sent = request(USER, ("Impersonate-Group", "developers"))
    became = asyncio.run(impersonator.impersonate(User(name="m"), sent, asks("get", "secrets")))
    assert became == User(name="jane", groups=("developers", "system:authenticated"))
    assert not [name for name, _ in sent.headers if name.startswith("impersonate-")], (
        "nobody acts on it again"
    )


def test_impersonation_is_counted_by_mode() -> None:
    registry = Registry()
    narrow = (
        ("impersonate:user-info", "authentication.k8s.io/users", "jane"),
        ("impersonate-on:user-info:get", "secrets", ""),
    )
    impersonator = HeaderImpersonator(Rights(USERS, *narrow), ImpersonationMetrics(registry))
    asyncio.run(impersonator.impersonate(User(name="m"), request(USER), asks("get", "secrets")))
    asyncio.run(impersonator.impersonate(User(name="m"), request(USER), asks("get", "pods")))
    with pytest.raises(Forbidden):
        asyncio.run(
            impersonator.impersonate(
                User(name="m"), request(USER, ("Impersonate-Group", "a")), asks("get", "pods")
            )
        )
    counted = {
        line
        for line in registry.text().decode().splitlines()
        if line.startswith("apiserver_impersonation") and "_total{" in line
    }
    prefix = "apiserver_impersonation"
    assert counted == {
        f'{prefix}_attempts_total{{mode="user-info",decision="allowed"}} 1',
        f'{prefix}_attempts_total{{mode="legacy",decision="allowed"}} 1',
        f'{prefix}_attempts_total{{mode="",decision="denied"}} 1',
        f'{prefix}_authorization_attempts_total{{mode="user-info",decision="allowed"}} 2',
        f'{prefix}_authorization_attempts_total{{mode="user-info",decision="denied"}} 2',
        f'{prefix}_authorization_attempts_total{{mode="legacy",decision="allowed"}} 2',
        f'{prefix}_authorization_attempts_total{{mode="legacy",decision="denied"}} 1',
    }


# --- where a token stands


@pytest.mark.parametrize(
    ("headers", "who"),
    [
        ((("Authorization", f"Basic {STATIC}"),), ""),
        ((("Authorization", f"bearer  {STATIC}"),), ""),
        ((("Authorization", f"Bearer\t{STATIC}"),), ""),
        ((("X-Authorization", f"Bearer {STATIC}"),), ""),
        ((("Cookie", f"token={STATIC}"),), ""),
        ((("Authorization", "Bearer wrong"), ("Authorization", f"Bearer {STATIC}")), "refused"),
    ],
)
def test_tokens_in_places_where_they_do_not_count(
    gate: Gate, headers: tuple[tuple[str, str], ...], who: str
) -> None:
    assert gate.enter(*headers) == who
