"""Controllers of tokens: what is signed, what is marked, what goes; and how tokens in Secrets are signed."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from podium.base import pki
from podium.controllers import bootstrap_signer, legacy_serviceaccount_token_cleaner
from podium.controllers.bootstrap_signer import signature, signing_tokens
from podium.controllers.legacy_serviceaccount_token_cleaner import INVALID_SINCE, LAST_USED, mounted
from podium.controllers.serviceaccount_token import signed
from podium.machinery.bootstrap_tokens import left_s
from podium.machinery.errors import Object

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


# --- bootstrap tokens


def bootstrap_token(token_id: str = "abcdef", name: str = "", **data: str | None) -> Object:
    values = {
        "token-id": token_id,
        "token-secret": "0123456789abcdef",
        "usage-bootstrap-signing": "true",
        **{key.replace("_", "-"): value for key, value in data.items()},
    }
    return {
        "metadata": {"name": name or f"bootstrap-token-{token_id}", "namespace": "kube-system"},
        "type": "bootstrap.kubernetes.io/token",
        "data": {key: base64.b64encode(value.encode()).decode() for key, value in values.items() if value},
    }


def test_a_signature_is_upstreams() -> None:
    """With what upstream's own tests sign."""
    content = "Hello from the other side. I must have called a thousand times."
    head = "eyJhbGciOiJIUzI1NiIsImtpZCI6Impvc2h1YSJ9.."
    secret = "my voice is my passcode"
    assert signature(content, "joshua", secret) == head + "VShe2taLd-YTrmWuRkcL_8QTNDHYxQIEBsAYYiIj1_8"
    assert signature("", "joshua", secret) == head + "7Ui1ALizW4jXphVUB7xUqC9vLYLL9RZeOFfVLoB7Tgk"


@pytest.mark.parametrize(
    ("secret", "signs"),
    [
        (bootstrap_token(), True),
        (bootstrap_token(expiration="2026-03-01T12:00:01Z"), True),
        (bootstrap_token(expiration="2026-03-01T12:00:00Z"), False),
        (bootstrap_token(expiration="soon"), False),
        (bootstrap_token(usage_bootstrap_signing="false"), False),
        (bootstrap_token(usage_bootstrap_signing=None), False),
        (bootstrap_token(token_secret=None), False),
        (bootstrap_token(name="bootstrap-token-other1"), False),
        (bootstrap_token("abc"), False),
        ({**bootstrap_token(), "type": "Opaque"}, False),
    ],
)
def test_which_tokens_sign(secret: Object, signs: bool) -> None:
    assert signing_tokens([secret], NOW) == ({"abcdef": "0123456789abcdef"} if signs else {})


def test_cluster_info_has_the_signatures_of_the_tokens_there_are() -> None:
    info: Object = {"data": {"kubeconfig": "x", "other": "y", "jws-kubeconfig-gone12": "z"}}
    tokens = {"abcdef": "0123456789abcdef"}
    new = bootstrap_signer.plan(info, tokens)
    assert new is not None
    assert new["data"] == {
        "kubeconfig": "x",
        "other": "y",
        "jws-kubeconfig-abcdef": signature("x", "abcdef", "0123456789abcdef"),
    }
    assert bootstrap_signer.plan(new, tokens) is None
    assert bootstrap_signer.plan({"data": {"other": "y"}}, tokens) is None
    assert bootstrap_signer.plan({}, tokens) is None


@pytest.mark.parametrize(
    ("expiration", "expected"),
    [(None, None), ("2026-03-01T12:01:00Z", 60), ("2026-03-01T11:00:00Z", 0), ("never", 0)],
)
def test_how_long_a_token_is_good(expiration: str | None, expected: float | None) -> None:
    assert left_s(bootstrap_token(expiration=expiration), NOW) == expected


# --- tokens in Secrets


def secret(**changes: Any) -> Object:
    labels = {key: value for key, value in changes.items() if key.startswith("kubernetes.io/")}
    metadata = {
        "name": "robot-token",
        "namespace": "ns",
        "uid": "u",
        "creationTimestamp": "2020-01-01T00:00:00Z",
        "labels": labels,
        **{key: value for key, value in changes.items() if not key.startswith("kubernetes.io/")},
    }
    return {"metadata": metadata, "type": "kubernetes.io/service-account-token"}


ACCOUNT: Object = {"metadata": {"name": "robot"}, "secrets": [{"name": "robot-token"}]}


@pytest.mark.parametrize(
    ("one", "account", "mounts", "expected"),
    [
        pytest.param(secret(), ACCOUNT, (), "mark", id="never used"),
        pytest.param(secret(**{LAST_USED: "2025-02-28"}), ACCOUNT, (), "mark", id="not used for a year"),
        pytest.param(secret(**{LAST_USED: "2025-03-01"}), ACCOUNT, (), "", id="used within the year"),
        pytest.param(secret(**{LAST_USED: "yesterday"}), ACCOUNT, (), "", id="nobody can read when"),
        pytest.param(secret(creationTimestamp="2025-03-02T00:00:00Z"), ACCOUNT, (), "", id="young"),
        pytest.param(secret(deletionTimestamp="2026-01-01T00:00:00Z"), ACCOUNT, (), "", id="going"),
        pytest.param(secret(), None, (), "", id="nobody's"),
        pytest.param(secret(), {"metadata": {}}, (), "", id="made by a user"),
        pytest.param(secret(), ACCOUNT, ("robot-token",), "", id="mounted"),
        pytest.param(secret(**{INVALID_SINCE: "2025-02-28"}), ACCOUNT, (), "delete", id="marked long ago"),
        pytest.param(secret(**{INVALID_SINCE: "2025-03-01"}), ACCOUNT, (), "", id="marked lately"),
        pytest.param(secret(**{INVALID_SINCE: "x"}), ACCOUNT, (), "mark", id="marked wrongly"),
        pytest.param({**secret(), "type": "Opaque"}, ACCOUNT, (), "", id="another secret"),
    ],
)
def test_unused_tokens(one: Object, account: Object | None, mounts: tuple[str, ...], expected: str) -> None:
    decided = legacy_serviceaccount_token_cleaner.plan(
        [one],
        lambda _secret: account,
        lambda _namespace: frozenset(mounts),
        now=NOW,
        period=timedelta(days=365),
    )
    assert decided.mark == ((one,) if expected == "mark" else ())
    assert decided.delete == ((one,) if expected == "delete" else ())


def test_secrets_that_pods_name() -> None:
    pod: Object = {
        "metadata": {"name": "p"},
        "spec": {
            "imagePullSecrets": [{"name": "pull"}],
            "containers": [{"env": [{"valueFrom": {"secretKeyRef": {"name": "env"}}}]}],
            "volumes": [{"name": "v", "secret": {"secretName": "volume"}}],
        },
    }
    assert mounted([pod]) - {""} == {"pull", "env", "volume"}


@pytest.mark.parametrize("kind", ["RS256", "ES256", "ES384"])
def test_a_token_is_signed_as_its_key_wants(kind: str) -> None:
    key: Any = (
        rsa.generate_private_key(public_exponent=65537, key_size=2048)
        if kind == "RS256"
        else ec.generate_private_key(ec.SECP256R1() if kind == "ES256" else ec.SECP384R1())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    account = {"metadata": {"name": "robot", "namespace": "ns", "uid": "1"}}
    token = signed(pem, {"metadata": {"name": "held", "namespace": "ns"}}, account)
    assert jwt.get_unverified_header(token) == {"alg": kind, "kid": pki.key_id(key.public_key())}
    claims = jwt.decode(token, key.public_key(), algorithms=[kind])
    assert claims["sub"] == "system:serviceaccount:ns:robot"
    assert claims["kubernetes.io/serviceaccount/secret.name"] == "held"
