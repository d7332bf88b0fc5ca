"""The real server: keys that are replaced while it runs, limits of tokens, tokens kept in Secrets."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest

from podium.apiserver.authn.keys import signing_key
from podium.base import pki
from podium.controllers.bootstrap_signer import signature
from tests.apiserver.authn.api import Api
from tests.wire.server import controllers, running

ISSUER = "https://kubernetes.default.svc.cluster.local"
MERGE = {"content-type": "application/merge-patch+json"}
ACCOUNTS = "/api/v1/namespaces/default/serviceaccounts"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys")


@pytest.fixture(scope="module")
def api(folder: Path) -> Iterator[Api]:
    (folder / "more.key").write_bytes(pki.create_signing_key())
    flags = (
        f"--service-account-key-file={folder / 'more.key'}",
        f"--service-account-issuer={ISSUER}",
        "--service-account-issuer=https://formerly",
        "--service-account-max-token-expiration=2h",
        "--service-account-jwks-uri=https://keys.example/jwks",
    )
    with running(folder, *flags) as server:
        one = Api(server)
        one.ok("POST", ACCOUNTS, {"metadata": {"name": "robot"}})
        yield one


def until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def request_token(api: Api, **spec: Any) -> Any:
    return api.ask("POST", f"{ACCOUNTS}/robot/token", {"spec": spec})


def signed_by(api: Api) -> str:
    return str(jwt.get_unverified_header(request_token(api).body["status"]["token"])["kid"])


def key_ids(api: Api) -> set[str]:
    return {key["kid"] for key in api.ok("GET", "/openid/v1/jwks")["keys"]}


def test_what_is_published(api: Api) -> None:
    document = api.ask("GET", "/.well-known/openid-configuration")
    assert document.body["issuer"] == ISSUER
    assert document.body["jwks_uri"] == "https://keys.example/jwks"
    keys = api.ask("GET", "/openid/v1/jwks")
    assert keys.headers["content-type"] == "application/jwk-set+json"
    assert keys.headers["cache-control"] == document.headers["cache-control"] == "public, max-age=3600"


def test_a_token_lives_no_longer_than_allowed(api: Api) -> None:
    answer = request_token(api, expirationSeconds=10_000)
    assert answer.body["spec"]["expirationSeconds"] == 7200
    assert answer.headers.get_all("warning") == [
        '299 - "requested expiration of 10000 seconds shortened to 7200 seconds"'
    ]
    claims = jwt.decode(answer.body["status"]["token"], options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == 7200
    assert request_token(api, expirationSeconds=7200).headers.get_all("warning") is None


TOKEN_KIND = "TokenRequest.authentication.k8s.io"
BOUND = "the UID in the bound object reference (x) does not match the UID in record"


@pytest.mark.parametrize(
    ("body", "code", "says"),
    [
        ({"metadata": {"name": "x"}}, 422, f'{TOKEN_KIND} "robot" is invalid: metadata.name: Invalid value'),
        ({"metadata": {"uid": "x"}}, 409, f'cannot be fulfilled on {TOKEN_KIND} "robot": the UID in the'),
        ({"kind": "Secret", "name": "bound", "uid": "x"}, 409, f'fulfilled on Secret "bound": {BOUND}'),
        ({"kind": "Pod", "name": "none", "uid": "x"}, 404, 'pods "none" not found'),
        ({"kind": "Secret", "apiVersion": "a/v1"}, 400, "cannot bind token to object of type a/v1, Kind=Sec"),
        ({"kind": "Foo"}, 400, "cannot bind token to object of type /, Kind=Foo"),
    ],
    ids=["name", "uid", "bound-uid", "none", "group", "kind"],
)
def test_requests_for_something_else_are_refused(api: Api, body: Any, code: int, says: str) -> None:
    api.ask("POST", "/api/v1/namespaces/default/secrets", {"metadata": {"name": "bound"}})
    body = body if "metadata" in body else {"spec": {"boundObjectRef": body}}
    refused = api.ask("POST", f"{ACCOUNTS}/robot/token", body)
    assert refused.status == code
    assert says in refused.body["message"]


def legacy(folder: Path, uid: str, **changes: Any) -> str:
    prefix = "kubernetes.io/serviceaccount/"
    claims = {
        "iss": "kubernetes/serviceaccount",
        prefix + "namespace": "default",
        prefix + "secret.name": "held",
        prefix + "service-account.name": "robot",
        prefix + "service-account.uid": uid,
        "sub": "system:serviceaccount:default:robot",
        **changes,
    }
    return jwt.encode(claims, signing_key((folder / "more.key").read_bytes()).private, "ES256")


def test_a_token_in_a_secret_is_good_and_its_use_is_noted(api: Api, folder: Path) -> None:
    uid = api.ok("GET", f"{ACCOUNTS}/robot")["metadata"]["uid"]
    token = legacy(folder, uid)
    secret = {
        "metadata": {"name": "held", "annotations": {"kubernetes.io/service-account.name": "robot"}},
        "type": "kubernetes.io/service-account-token",
        "data": {"token": base64.b64encode(token.encode()).decode()},
    }
    assert api.who(token) == ""
    api.ok("POST", "/api/v1/namespaces/default/secrets", secret)
    assert api.who(token) == "system:serviceaccount:default:robot"
    path = "/api/v1/namespaces/default/secrets/held"
    assert api.ask("GET", path, token=token).headers.get_all("warning") is None
    api.ok("PATCH", f"{ACCOUNTS}/robot", {"secrets": [{"name": "held"}]}, **MERGE)
    told = api.ask("GET", path, token=token)
    assert told.status == 403
    assert told.headers.get_all("warning") == [
        '299 - "Use tokens from the TokenRequest API or manually created secret-based tokens instead of '
        'auto-generated secret-based tokens."'
    ]
    api.ok("PATCH", f"{ACCOUNTS}/robot", {"secrets": None}, **MERGE)

    def noted() -> bool:
        return "kubernetes.io/legacy-token-last-used" in (api.ok("GET", path)["metadata"].get("labels") or {})

    until(noted, "the use of the token is noted")
    api.ok("DELETE", path)
    assert api.who(token) == ""


@pytest.mark.parametrize(
    ("token", "status"),
    [("x" * 60_000, 401), ("." * 60_000, 401), ("x" * 1_100_000, 431), ("x.y.z", 401), ("caf\u00e9", 401)],
    ids=["long", "dots", "too_long", "short", "beyond_ascii"],
)
def test_tokens_that_are_none(api: Api, token: str, status: int) -> None:
    assert api.ask("GET", "/api/v1/pods", token=token).status == status
    assert api.who(api.server.token) == "admin"


def test_a_space_too_many_is_told(api: Api) -> None:
    answer = api.ask("GET", "/version", token=f" {api.server.token}")
    assert answer.status == 200, "anybody may ask"
    assert answer.headers.get_all("warning") == [
        '299 - "the provided Authorization header contains extra space before the bearer token, and is '
        'ignored"'
    ]


def test_controllers_of_tokens(api: Api, folder: Path) -> None:
    """A Secret is filled with a token that is good; cluster-info is signed; an expired token goes."""
    secrets = "/api/v1/namespaces/default/secrets"
    system = "/api/v1/namespaces/kube-system/secrets"
    made = {
        "metadata": {"name": "lasting", "annotations": {"kubernetes.io/service-account.name": "robot"}},
        "type": "kubernetes.io/service-account-token",
    }
    info = {"metadata": {"name": "cluster-info"}, "data": {"kubeconfig": "the truth"}}
    api.ok("POST", "/api/v1/namespaces/kube-public/configmaps", info)
    for token_id, expiration in (("abcdef", "2100-01-01T00:00:00Z"), ("fedcba", "2020-01-01T00:00:00Z")):
        data = {
            "token-id": token_id,
            "token-secret": "0123456789abcdef",
            "usage-bootstrap-signing": "true",
            "expiration": expiration,
        }
        name = f"bootstrap-token-{token_id}"
        api.ok(
            "POST",
            system,
            {"metadata": {"name": name}, "type": "bootstrap.kubernetes.io/token", "stringData": data},
        )
    wanted = "--controllers=serviceaccount-token,bootstrap-signer,tokencleaner"
    with controllers(api.server, folder, wanted):
        api.ok("POST", secrets, made)
        until(lambda: "token" in (api.ok("GET", f"{secrets}/lasting").get("data") or {}), "it is filled")
        held = api.ok("GET", f"{secrets}/lasting")["data"]
        token = base64.b64decode(held["token"]).decode()
        assert jwt.get_unverified_header(token).keys() == {"alg", "kid"}
        assert base64.b64decode(held["namespace"]) == b"default"
        assert api.who(token) == "system:serviceaccount:default:robot"
        where = "/api/v1/namespaces/kube-public/configmaps/cluster-info"
        until(lambda: "jws-kubeconfig-abcdef" in api.ok("GET", where)["data"], "it is signed")
        assert api.ok("GET", where)["data"] == {
            "kubeconfig": "the truth",
            "jws-kubeconfig-abcdef": signature("the truth", "abcdef", "0123456789abcdef"),
        }
        until(lambda: api.ask("GET", f"{system}/bootstrap-token-fedcba").status == 404, "it is deleted")
        assert api.ask("GET", f"{system}/bootstrap-token-abcdef").status == 200
        api.ok("DELETE", f"{secrets}/lasting")
        assert api.who(token) == ""


def test_keys_are_rolled_over_without_a_restart(api: Api, folder: Path) -> None:
    files = folder / "sa.key", folder / "more.key"
    old, new = files[0].read_bytes(), pki.create_signing_key()
    ids = {name: signing_key(pem).key_id for name, pem in (("old", old), ("new", new))}
    first = request_token(api).body["status"]["token"]
    assert api.who(first)
    # The new key is published before anything is signed with it; nonsense changes nothing.
    files[1].write_bytes(b"nonsense")
    files[1].write_bytes(new)
    until(lambda: ids["new"] in key_ids(api), "the new key is published")
    assert api.who(first)
    files[0].write_bytes(new)
    files[1].write_bytes(old)
    until(lambda: signed_by(api) == ids["new"], "tokens are signed with the new key")
    second = request_token(api).body["status"]["token"]
    until(lambda: key_ids(api) == {ids["old"], ids["new"]}, "the old key verifies")
    assert api.who(first)
    assert api.who(second)
    files[1].write_bytes(new)
    until(lambda: key_ids(api) == {ids["new"]}, "the old key is gone")
    assert api.who(first) == ""
    assert api.who(second)
