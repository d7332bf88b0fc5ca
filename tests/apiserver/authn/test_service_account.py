"""Service-account tokens: issued ones work, and nothing else does, however it is made."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Sequence
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from podium.apiserver import authn
from podium.apiserver.authn.bearer import Identified, Refused
from podium.apiserver.authn.issuer import EXTENDED_EXPIRATION_S, ServiceAccountTokenIssuer
from podium.apiserver.authn.key_ring import KeyRing
from podium.apiserver.authn.keys import check, signing_key, verification_keys
from podium.apiserver.authn.legacy_token import LastUsed
from podium.apiserver.authn.service_account import Bound, ServiceAccountAuthenticator
from podium.apiserver.authn.service_account_metrics import ServiceAccountMetrics
from podium.base import pki
from podium.base.metrics import Registry
from podium.machinery import meta
from podium.machinery.errors import Object, Unauthorized
from podium.machinery.resource import Resource
from podium.resources.core.nodes import NODES
from podium.resources.core.pods import PODS
from podium.resources.core.secrets import SECRETS
from podium.resources.core.serviceaccounts import SERVICEACCOUNTS
from tests.apiserver.authn.helpers import ISSUER, PRIVATE, SIGNING, VERIFICATION, cluster, request
from tests.apiserver.fakes import FakeClock, FakeReader


class World:
    """A cluster with an issuer and an authenticator that share a key and a clock."""

    def __init__(self, *, lookup: bool = True) -> None:
        self.clock = FakeClock()
        self.registry = Registry()
        self.last_used = LastUsed(self.clock)
        self.reader = cluster()
        self.issuer = ServiceAccountTokenIssuer(
            issuer=ISSUER,
            signing_key=lambda: SIGNING,
            verification_keys=lambda: VERIFICATION,
            audiences=(ISSUER,),
            clock=self.clock,
        )
        bound = Bound(
            service_accounts=self.reader.cached(SERVICEACCOUNTS),
            pods=self.reader.cached(PODS),
            secrets=self.reader.cached(SECRETS),
            nodes=self.reader.cached(NODES),
        )
        self.authenticator = ServiceAccountAuthenticator(
            issuers=(ISSUER,),
            keys=lambda: VERIFICATION,
            audiences=(ISSUER,),
            bound=bound,
            clock=self.clock,
            metrics=ServiceAccountMetrics(self.registry),
            used=self.last_used,
            lookup=lookup,
        )

    def object(self, resource: Resource, name: str, namespace: str = "ns") -> Object:
        found = self.reader.cached(resource).get(namespace if resource.namespaced else None, name)
        assert found is not None
        return found

    def issue(
        self,
        *,
        bound: Resource | None = None,
        name: str = "",
        audiences: Sequence[str] = (),
        expiration_s: int = 600,
    ) -> str:
        obj = self.object(bound, name) if bound is not None else None
        node = self.object(NODES, "n1") if bound is PODS else None
        account = self.object(SERVICEACCOUNTS, "robot")
        issued = self.issuer.issue(
            account, audiences=audiences, expiration_s=expiration_s, bound=obj, bound_node=node
        )
        return asyncio.run(issued).token

    def identify(self, token: str, *audiences: str) -> Identified | None:
        return asyncio.run(self.authenticator.identify(token, audiences or (ISSUER,)))


def payload(token: str) -> Any:
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def test_an_issued_token_identifies_its_account() -> None:
    world = World()
    token = world.issue()
    found = world.identify(token)
    assert found is not None
    assert found.audiences == (ISSUER,)
    assert found.user.name == "system:serviceaccount:ns:robot"
    assert found.user.uid == "sa-uid"
    assert found.user.groups == (
        "system:serviceaccounts",
        "system:serviceaccounts:ns",
        "system:authenticated",
    )
    jti = payload(token)["jti"]
    assert found.user.extra == {"authentication.kubernetes.io/credential-id": (f"JTI={jti}",)}


def test_a_pods_token_tells_of_a_node_that_is_gone() -> None:
    world = World()
    issued = world.issuer.issue(
        world.object(SERVICEACCOUNTS, "robot"),
        audiences=(),
        expiration_s=600,
        bound=world.object(PODS, "web"),
        bound_node={"metadata": {"name": "gone"}},
    )
    token = asyncio.run(issued).token
    assert payload(token)["kubernetes.io"]["node"] == {"name": "gone"}
    found = world.identify(token)
    assert found is not None
    assert found.user.extra["authentication.kubernetes.io/node-name"] == ("gone",)
    assert "authentication.kubernetes.io/node-uid" not in found.user.extra


def test_claims_are_upstreams() -> None:
    world = World()
    claims = payload(world.issue(bound=PODS, name="web", expiration_s=3607))
    now = int(world.clock.now().timestamp())
    assert claims == {
        "aud": [ISSUER],
        "exp": now + EXTENDED_EXPIRATION_S,
        "iat": now,
        "iss": ISSUER,
        "jti": claims["jti"],
        "kubernetes.io": {
            "namespace": "ns",
            "node": {"name": "n1", "uid": "node-uid"},
            "pod": {"name": "web", "uid": "pod-uid"},
            "serviceaccount": {"name": "robot", "uid": "sa-uid"},
            "warnafter": now + 3607,
        },
        "nbf": now,
        "sub": "system:serviceaccount:ns:robot",
    }


def test_only_the_marked_lifetime_is_extended() -> None:
    world = World()
    now = int(world.clock.now().timestamp())
    for token in (
        world.issue(bound=PODS, name="web", expiration_s=3600),
        world.issue(expiration_s=3600),
        world.issue(bound=PODS, name="web", expiration_s=3600, audiences=["vault"]),
    ):
        assert payload(token)["exp"] == now + 3600
        assert "warnafter" not in payload(token)["kubernetes.io"]


def test_a_pods_token_tells_of_pod_and_node() -> None:
    world = World()
    found = world.identify(world.issue(bound=PODS, name="web"))
    assert found is not None
    extra = {key.partition("/")[2]: value for key, value in found.user.extra.items()}
    del extra["credential-id"]
    assert extra == {
        "pod-name": ("web",),
        "pod-uid": ("pod-uid",),
        "node-name": ("n1",),
        "node-uid": ("node-uid",),
    }


@pytest.mark.parametrize(
    ("after_s", "good"), [(0, True), (600, True), (660, True), (661, False), (10**6, False)]
)
def test_expiry_with_upstreams_leeway(after_s: float, good: bool) -> None:
    world = World()
    token = world.issue(expiration_s=600)
    assert world.identify(token) is not None
    world.clock.advance(after_s)
    if good:
        assert world.identify(token) is not None
    else:
        with pytest.raises(Refused, match="Unauthorized"):
            world.identify(token)


def test_not_yet_valid() -> None:
    world = World()
    token = world.issue()
    world.clock.advance(-61)
    with pytest.raises(Unauthorized):
        world.identify(token)


def test_audiences_must_meet() -> None:
    world = World()
    token = world.issue(audiences=["vault", "other"])
    with pytest.raises(Refused) as refusal:
        world.identify(token)
    assert refusal.value.why.startswith('token audiences ["vault" "other"] is invalid')
    found = world.identify(token, "x", "other", "vault")
    assert found is not None
    assert found.audiences == ("vault", "other")


BOUND = [
    pytest.param(SERVICEACCOUNTS, "robot", None, id="service account"),
    pytest.param(PODS, "web", PODS, id="pod"),
    pytest.param(SECRETS, "held", SECRETS, id="secret"),
    pytest.param(NODES, "n1", NODES, id="node"),
]


def put_again(reader: FakeReader, resource: Resource, obj: Object, **metadata: str) -> None:
    reader.put(resource, {**obj, "metadata": {**obj["metadata"], **metadata}})


@pytest.mark.parametrize(("resource", "name", "bound"), BOUND)
def test_a_token_falls_with_what_it_is_bound_to(
    resource: Resource, name: str, bound: Resource | None
) -> None:
    world = World()
    token = world.issue(bound=bound, name=name)
    obj = world.object(resource, name)
    assert world.identify(token) is not None

    put_again(world.reader, resource, obj, uid="another")
    with pytest.raises(Refused, match="Unauthorized"):
        world.identify(token)

    put_again(world.reader, resource, obj, deletionTimestamp="2026-03-01T12:00:00Z")
    assert world.identify(token) is not None, "deletion is forgiven for a minute"
    world.clock.advance(61)
    with pytest.raises(Unauthorized):
        world.identify(token)

    put_again(world.reader, resource, obj)
    assert world.identify(token) is not None
    world.reader.cached(resource).remove(meta.namespace(obj), name)
    with pytest.raises(Unauthorized):
        world.identify(token)


def test_the_node_of_a_bound_pod_may_go_first() -> None:
    world = World()
    token = world.issue(bound=PODS, name="web")
    world.reader.cached(NODES).remove("", "n1")
    assert world.identify(token) is not None


# --- forgeries


def segment(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def forged(header: Object, claims: Object, signature: bytes) -> str:
    return f"{segment(header)}.{segment(claims)}.{segment(signature)}"


def hmac_with_public_key(claims: Object, key: bytes) -> str:
    head = f"{segment({'alg': 'HS256', 'kid': SIGNING.key_id})}.{segment(claims)}"
    return f"{head}.{segment(hmac.new(key, head.encode(), hashlib.sha256).digest())}"


def forgeries() -> list[Any]:
    claims = payload(World().issue())
    other = signing_key(pki.create_signing_key())
    genuine = World().issue()
    head, body, signature = genuine.split(".")
    promoted = {**claims, "sub": "system:serviceaccount:kube-system:admin"}
    rsa_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return [
        pytest.param(forged({"alg": "none"}, claims, b""), id="alg none"),
        pytest.param(forged({"alg": "None", "kid": SIGNING.key_id}, claims, b""), id="alg None"),
        pytest.param(forged({}, claims, b""), id="no alg"),
        pytest.param(hmac_with_public_key(claims, pki.public_key(PRIVATE)), id="HMAC with the public key"),
        pytest.param(jwt.encode(claims, other.private, "ES256"), id="another key"),
        pytest.param(
            jwt.encode(claims, other.private, "ES256", headers={"kid": SIGNING.key_id}),
            id="another key under our name",
        ),
        pytest.param(jwt.encode(claims, rsa_key, "RS256", headers={"kid": SIGNING.key_id}), id="RSA for EC"),
        pytest.param(f"{head}.{segment(promoted)}.{signature}", id="another account"),
        pytest.param(f"{head}.{body}.{signature[:-4]}AAAA", id="damaged signature"),
        pytest.param(f"{head}.{body}.", id="no signature"),
        pytest.param(
            jwt.encode({**claims, "exp": None}, SIGNING.private, "ES256"), id="ours, but without expiry"
        ),
        pytest.param(jwt.encode(promoted, SIGNING.private, "ES256"), id="subject is not the account"),
        pytest.param(
            jwt.encode({k: v for k, v in claims.items() if k != "kubernetes.io"}, SIGNING.private, "ES256"),
            id="no private claims",
        ),
        pytest.param(
            jwt.encode({**claims, "exp": "later"}, SIGNING.private, "ES256"), id="expiry is no number"
        ),
    ]


@pytest.mark.parametrize("token", forgeries())
def test_forgeries_are_refused(token: str) -> None:
    with pytest.raises(Unauthorized):
        World().identify(token)


@pytest.mark.parametrize(
    "token",
    ["nonsense", "a.b", "a.b.c", "..", "é.è.ê", segment({"alg": "none"}) + "." + segment([1]) + ".x"],
)
def test_what_is_no_token_of_ours_is_somebody_elses(token: str) -> None:
    assert World().identify(token) is None


def test_another_issuers_token_is_somebody_elses() -> None:
    claims = payload(World().issue())
    token = jwt.encode({**claims, "iss": "https://elsewhere"}, SIGNING.private, "ES256")
    assert World().identify(token) is None


def test_the_cache_stays_bounded_and_knows_tokens_apart() -> None:
    world = World()
    tokens = [world.issue() for _ in range(3)]
    for token in tokens * 2:
        assert world.identify(token) is not None
    assert len(world.authenticator._remembered) == 3


# --- tokens kept in Secrets


def legacy(**changes: Any) -> str:
    prefix = "kubernetes.io/serviceaccount/"
    claims = {
        "iss": "kubernetes/serviceaccount",
        prefix + "namespace": "ns",
        prefix + "secret.name": "held",
        prefix + "service-account.name": "robot",
        prefix + "service-account.uid": "sa-uid",
        "sub": "system:serviceaccount:ns:robot",
        **changes,
    }
    return jwt.encode(claims, SIGNING.private, "ES256")


def holding(world: World, token: str, **metadata: Any) -> Object:
    """Put the token into its Secret."""
    secret = world.object(SECRETS, "held")
    whole = {
        **secret,
        "metadata": {**secret["metadata"], **metadata},
        "data": {"token": base64.b64encode(token.encode()).decode()},
    }
    world.reader.put(SECRETS, whole)
    return whole


def refusal(world: World, token: str) -> str:
    with pytest.raises(Refused) as refused:
        world.identify(token)
    return refused.value.why


def test_a_secrets_token_lives_as_long_as_the_secret_holds_it() -> None:
    world = World()
    token = legacy()
    assert refusal(world, token) == "Token does not match server's copy"
    secret = holding(world, token)
    found = world.identify(token)
    assert found is not None
    assert found.user.name == "system:serviceaccount:ns:robot"
    assert found.audiences == (ISSUER,)
    world.reader.put(SECRETS, {**secret, "data": {"token": "b3RoZXI="}})
    assert refusal(world, token) == "Token does not match server's copy"
    world.reader.cached(SECRETS).remove("ns", "held")
    assert refusal(world, token) == "Token has been invalidated"


@pytest.mark.parametrize(
    ("secret", "account", "why"),
    [
        ({"deletionTimestamp": "2026-03-01T12:00:00Z"}, {}, "Token has been invalidated"),
        ({}, None, 'serviceaccounts "robot" not found'),
        ({}, {"uid": "other"}, "ServiceAccount UID (other) does not match claim (sa-uid)"),
        (
            {},
            {"deletionTimestamp": "2026-03-01T12:00:00Z"},
            "ServiceAccount ns/robot has been deleted",
        ),
        (
            {"labels": {"kubernetes.io/legacy-token-invalid-since": "2026-02-01"}},
            {},
            "the token in secret ns/held for service account ns/robot has been marked invalid. Use ",
        ),
    ],
)
def test_secrets_tokens_that_are_not_good_any_more(
    secret: dict[str, Any], account: dict[str, Any] | None, why: str
) -> None:
    world = World()
    token = legacy()
    holding(world, token, **secret)
    if account is None:
        world.reader.cached(SERVICEACCOUNTS).remove("ns", "robot")
    else:
        robot = world.object(SERVICEACCOUNTS, "robot")
        world.reader.put(SERVICEACCOUNTS, {**robot, "metadata": {**robot["metadata"], **account}})
    assert refusal(world, token).startswith(why)


def test_without_lookup_the_signature_is_enough() -> None:
    world = World(lookup=False)
    assert world.identify(legacy()) is not None
    assert refusal(world, legacy()[:-4] + "AAAA") == "invalid signature"


def test_uses_of_secrets_tokens_are_noted_once_a_day() -> None:
    world = World()
    token = legacy()
    label = "kubernetes.io/legacy-token-last-used"
    for labels in ({}, {label: "2026-02-28"}, {label: "2026-03-01"}, {label: "2026-03-02"}):
        holding(world, token, labels=labels)
        world.identify(token)
    merged: list[tuple[str, str, Object]] = []

    class Writer:
        async def merge(self, resource: Resource, namespace: str, name: str, patch: Object) -> None:
            assert resource is SECRETS
            merged.append((namespace, name, patch))

    async def run() -> None:
        noting = asyncio.create_task(world.last_used.run(Writer()))
        while not merged:
            await asyncio.sleep(0)
        noting.cancel()

    asyncio.run(run())
    assert merged == [("ns", "held", {"metadata": {"uid": "secret-uid", "labels": {label: "2026-03-01"}}})]


def test_what_is_counted() -> None:
    world = World()
    token = legacy()
    holding(world, token)
    world.identify(token)
    pods = world.issue(bound=PODS, name="web", expiration_s=3607)
    world.identify(pods)
    world.clock.advance(3700)
    world.identify(pods)
    world.identify(pods)
    counted = {
        line.split()[0].removeprefix("serviceaccount_"): line.split()[1]
        for line in world.registry.text().decode().splitlines()
        if line.startswith("serviceaccount_")
    }
    assert counted == {
        "legacy_tokens_total": "1",
        "legacy_manual_token_uses_total": "1",
        "legacy_auto_token_uses_total": "0",
        "invalid_legacy_auto_token_uses_total": "0",
        "valid_tokens_total": "1",
        "stale_tokens_total": "2",
    }


def test_what_the_audit_log_shall_know_of_a_token() -> None:
    world = World()
    token = world.issue(bound=PODS, name="web", expiration_s=3607)
    found = world.identify(token)
    assert found is not None
    assert found.notes == {}
    world.clock.advance(3608)
    found = world.identify(token)
    assert found is not None
    told = "subject: system:serviceaccount:ns:robot, seconds after warning threshold: 1"
    assert found.notes == {"authentication.k8s.io/stale-token": told}

    token = legacy()
    held = {"token": base64.b64encode(token.encode()).decode()}
    world.reader.put(SECRETS, {**world.object(SECRETS, "held"), "data": held})
    found = world.identify(token)
    assert found is not None
    prefix = "authentication.k8s.io/legacy-token"
    assert found.notes == {prefix: "system:serviceaccount:ns:robot", f"{prefix}-manual-secret": "held"}
    robot = world.object(SERVICEACCOUNTS, "robot")
    world.reader.put(SERVICEACCOUNTS, {**robot, "secrets": [{"name": "held"}]})
    found = world.identify(token)
    assert found is not None
    assert found.notes[f"{prefix}-autogenerated-secret"] == "held"


# --- keys


def test_rsa_keys_verify_too() -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    assert signing_key(pem).algorithm == "RS256"
    [verification] = verification_keys([pem + pem])
    jwk = verification.as_jwk()
    assert (jwk["kty"], jwk["alg"], jwk["e"]) == ("RSA", "RS256", "AQAB")
    world = World()
    world.authenticator._keys = lambda: [*VERIFICATION, verification]
    token = jwt.encode(payload(world.issue()), key, "RS256")
    assert world.identify(token) is not None


def test_published_keys_verify_tokens() -> None:
    world = World()
    [published] = world.issuer.json_web_key_set()["keys"]
    assert published["kid"] == SIGNING.key_id
    assert jwt.get_unverified_header(world.issue()) == {"alg": "ES256", "kid": SIGNING.key_id}
    key = jwt.PyJWK(published).key
    jwt.decode(world.issue(), key, algorithms=["ES256"], options={"verify_exp": False, "verify_aud": False})
    configuration = world.issuer.open_id_configuration()
    assert configuration["issuer"] == ISSUER
    assert configuration["id_token_signing_alg_values_supported"] == ["ES256"]


def test_a_token_names_its_key() -> None:
    world = World()
    claims = payload(world.issue())
    unknown = jwt.encode(claims, SIGNING.private, "ES256", headers={"kid": "unknown"})
    assert refusal(world, unknown) == "invalid signature, no keys found"
    assert world.identify(jwt.encode(claims, SIGNING.private, "ES256")) is not None


def test_keys_that_are_replaced() -> None:
    old, new = pki.create_signing_key(), pki.create_signing_key()
    ring = KeyRing([], old)
    told: list[str] = []
    ring.changed = lambda: told.append("changed")
    assert ring.signing().key_id == signing_key(old).key_id
    for verifying, signing in (([], b"nonsense"), ([b"nonsense"], None), ([], None)):
        with pytest.raises(ValueError):
            ring.replace(verifying, signing)
    assert [key.key_id for key in ring.verification()] == [signing_key(old).key_id]
    assert not told
    ring.replace([old], new)
    assert ring.signing().key_id == signing_key(new).key_id
    assert {key.key_id for key in ring.verification()} == {signing_key(k).key_id for k in (old, new)}
    assert told == ["changed"]


def test_other_issuers_of_ours() -> None:
    """The first issuer's name is in new tokens; all of them are accepted."""
    reader = cluster()
    old = authn.build(reader, authn.Options(issuer="https://old", signing_key=PRIVATE), clock=FakeClock())
    options = authn.Options(issuer="https://new", other_issuers=["https://old"], signing_key=PRIVATE)
    both = authn.build(reader, options, clock=FakeClock())
    robot = reader.cached(SERVICEACCOUNTS).get("ns", "robot")
    assert robot is not None

    async def run() -> None:
        for issuing, name in ((old, "https://old"), (both, "https://new")):
            assert issuing.token_issuer is not None
            issued = await issuing.token_issuer.issue(robot, audiences=(), expiration_s=600, bound=None)
            assert payload(issued.token)["iss"] == name
            found = await both.authenticator.authenticate(
                request(("Authorization", f"Bearer {issued.token}"))
            )
            assert found is not None
            assert found.name == "system:serviceaccount:ns:robot"

    asyncio.run(run())


def test_keys_that_a_password_protects_are_none() -> None:
    key: Any = SIGNING.private
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    for read in (signing_key, check, lambda data: verification_keys([data])):
        with pytest.raises(ValueError):
            read(pem)


@pytest.mark.parametrize(
    "form", [serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL]
)
def test_good_keys_look_good(form: serialization.PrivateFormat) -> None:
    key: Any = SIGNING.private
    for one in (key, rsa.generate_private_key(public_exponent=65537, key_size=2048)):
        pem = one.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
        public = one.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        check(pem)
        check(b"# a comment\n" + public + pem)


@pytest.mark.parametrize(
    ("issuer", "found"),
    [
        ("https://a/b", True),
        ("kubernetes", False),
        ("http://a", False),
        ("https://a?x=y", False),
        ("https://a#x", False),
        ("https://[a", False),
    ],
)
def test_documents_are_served_where_the_issuer_is_a_place_to_look_for_them(issuer: str, found: bool) -> None:
    made = ServiceAccountTokenIssuer(
        issuer=issuer, signing_key=lambda: SIGNING, verification_keys=lambda: VERIFICATION, audiences=()
    )
    assert made.discoverable is found
