"""The flags of authentication: what they amount to, and what is refused before anything starts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from podium.apiserver.authn.oidc.config import ClaimOrExpression, ClaimValidationRule
from podium.base import pki
from podium.cmd import kube_apiserver
from podium.cmd.authentication_flags import Authentication, authentication
from tests.apiserver.authn.oidc_issuer import CA_PEM

OIDC = ("--oidc-issuer-url=https://issuer", "--oidc-client-id=me")


def asked(*flags: str) -> Authentication:
    made = kube_apiserver.parser()
    return authentication(made, made.parse_args(flags), version="1.36")


def refused(capsys: pytest.CaptureFixture[str], *flags: str) -> str:
    with pytest.raises(SystemExit) as stopped:
        asked(*flags)
    assert stopped.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "username", "groups"),
    [
        ((), ClaimOrExpression(claim="sub", prefix="https://issuer#"), ClaimOrExpression()),
        (("--oidc-username-claim=email",), ClaimOrExpression(claim="email", prefix=""), ClaimOrExpression()),
        (("--oidc-username-prefix=-",), ClaimOrExpression(claim="sub", prefix=""), ClaimOrExpression()),
        (
            ("--oidc-username-prefix=x:", "--oidc-groups-claim=roles"),
            ClaimOrExpression(claim="sub", prefix="x:"),
            ClaimOrExpression(claim="roles", prefix=""),
        ),
        (
            ("--oidc-groups-claim=roles", "--oidc-groups-prefix=g:"),
            ClaimOrExpression(claim="sub", prefix="https://issuer#"),
            ClaimOrExpression(claim="roles", prefix="g:"),
        ),
    ],
)
def test_an_issuer_by_flags(
    flags: tuple[str, ...], username: ClaimOrExpression, groups: ClaimOrExpression
) -> None:
    jwt = asked(*OIDC, *flags).options.jwt
    assert jwt is not None
    (one,) = jwt.issuers
    assert one.config.claim_mappings.username == username
    assert one.config.claim_mappings.groups == groups
    assert one.config.issuer.audiences == ("me",)
    assert list(jwt.algorithms) == ["RS256"]


def test_more_about_an_issuer_by_flags(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text(CA_PEM)
    more = (f"--oidc-ca-file={tmp_path / 'ca.crt'}", "--oidc-signing-algs=ES256,RS512")
    jwt = asked(*OIDC, *more, "--oidc-required-claim=hd=a=b", "--oidc-required-claim=x=y").options.jwt
    assert jwt is not None
    (one,) = jwt.issuers
    assert one.config.issuer.certificate_authority == CA_PEM
    assert one.config.claim_validation_rules == (
        ClaimValidationRule(claim="hd", required_value="a=b"),
        ClaimValidationRule(claim="x", required_value="y"),
    )
    assert list(jwt.algorithms) == ["ES256", "RS512"]


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (
            OIDC[:1],
            "oidc-issuer-url and oidc-client-id must be specified together when any oidc-* flags are set",
        ),
        (("--oidc-groups-claim=x",), "oidc-issuer-url and oidc-client-id must be specified together"),
        (
            (*OIDC, "--authentication-config=x"),
            "authentication-config file and oidc-* flags are mutually exclu",
        ),
        (
            ("--oidc-issuer-url=http://issuer", OIDC[1]),
            'invalid authentication configuration: jwt[0].issuer.url: Invalid value: "http://issuer": URL',
        ),
        ((*OIDC, "--oidc-signing-algs=HS256"), 'oidc: unsupported signing alg: "HS256"'),
        ((*OIDC, "--oidc-required-claim=x"), "malformed pair, expect string=string: x"),
        ((*OIDC, "--oidc-ca-file=/no/such/file"), "/no/such/file"),
        (
            ("--oidc-issuer-url=https://me", OIDC[1], "--service-account-issuer=https://me"),
            "must not overlap",
        ),
        (("--service-account-issuer=",), "service-account-issuer should not be an empty string"),
        (("--service-account-issuer=a",) * 2, 'service-account-issuer "a" is already specified'),
        (
            ("--authentication-config=/no/such/file",),
            'failed to load authentication configuration from file "/no/such/file"',
        ),
        (("--token-auth-file=/no/such/file",), "/no/such/file"),
        (
            ("--authentication-token-webhook-config-file=x", "--authentication-token-webhook-version=v2"),
            'unsupported authentication webhook version "v2", supported versions are "v1", "v1beta1"',
        ),
        (("--authentication-token-webhook-config-file=/no/such/file",), "cannot read kubeconfig /no/such/fi"),
        (("--authentication-token-webhook-cache-ttl=soon",), 'invalid duration "soon"'),
    ],
)
def test_refused(flags: tuple[str, ...], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert complaint in refused(capsys, *flags)


def file(folder: Path, **more: Any) -> str:
    path = folder / "authn.json"
    version = "apiserver.config.k8s.io/v1"
    path.write_text(json.dumps({"apiVersion": version, "kind": "AuthenticationConfiguration", **more}))
    return f"--authentication-config={path}"


def test_anonymous_requests_as_the_file_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    some = {"enabled": True, "conditions": [{"path": "/livez"}]}
    told = asked(file(tmp_path, anonymous=some))
    assert told.anonymous
    assert told.options.anonymous_paths == ("/livez",)
    assert not asked(file(tmp_path, anonymous={"enabled": False})).anonymous
    assert asked(file(tmp_path)).anonymous
    assert not asked(file(tmp_path), "--anonymous-auth=false").anonymous
    complaint = "--anonymous-auth flag cannot be set when anonymous field is configured"
    assert complaint in refused(capsys, file(tmp_path, anonymous=some), "--anonymous-auth=true")


def test_several_issuers_of_service_accounts() -> None:
    options = asked("--service-account-issuer=https://new", "--service-account-issuer=https://old").options
    assert (options.issuer, list(options.other_issuers)) == ("https://new", ["https://old"])


def test_the_token_webhook(tmp_path: Path) -> None:
    assert asked().options.webhook is None
    config = {
        "clusters": [{"name": "c", "cluster": {"server": "https://hook/authenticate"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": ""}}],
        "current-context": "c",
    }
    path = tmp_path / "webhook"
    path.write_text(json.dumps(config))
    flag = f"--authentication-token-webhook-config-file={path}"
    webhook = asked(flag).options.webhook
    assert webhook is not None
    assert (webhook.connection.server, webhook.version) == ("https://hook/authenticate", "v1beta1")
    assert webhook.cache_ttl_s == 120
    more = ("--authentication-token-webhook-version=v1", "--authentication-token-webhook-cache-ttl=1m30s")
    webhook = asked(flag, *more).options.webhook
    assert webhook is not None
    assert (webhook.version, webhook.cache_ttl_s) == ("v1", 90)


def test_without_keys_of_their_own_tokens_are_verified_with_the_servers(tmp_path: Path) -> None:
    key, other = tmp_path / "tls.key", tmp_path / "sa.key"
    for path in (key, other):
        path.write_bytes(pki.create_signing_key())
    tls = f"--tls-private-key-file={key}"
    assert list(asked(tls).options.key_files) == [str(key)]
    assert asked(tls).options.signing_key is None
    assert list(
        asked(tls, f"--service-account-key-file={other}", f"--cert-dir={tmp_path}").options.key_files
    ) == [str(other)]
    assert list(asked(tls, f"--service-account-signing-key-file={other}").options.key_files) == []


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "data does not contain any valid RSA or ECDSA public keys"),
        ("nonsense", "data does not contain any valid RSA or ECDSA public keys"),
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "the block PUBLIC KEY is damaged"),
        ("-----BEGIN PUBLIC KEY-----\n?\n-----END PUBLIC KEY-----\n", "the block PUBLIC KEY is damaged"),
        (
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----\n",
            "the private key is encrypted",
        ),
    ],
)
def test_files_that_hold_no_keys(
    text: str, complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "key"
    path.write_text(text)
    told = refused(capsys, f"--service-account-key-file={path}", f"--cert-dir={tmp_path}")
    assert f"error reading public key file {path}: {complaint}" in told
    told = refused(capsys, f"--service-account-signing-key-file={path}")
    assert f"failed to parse service-account-issuer-key-file: {complaint}" in told
