"""AuthenticationConfiguration: what is refused, in upstream's words; a file that changes under the server."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podium.apiserver import authn
from podium.apiserver.authn.oidc import service
from podium.apiserver.authn.oidc.config import Anonymous, parse
from podium.apiserver.authn.oidc.service import JwtOptions
from podium.apiserver.server_id import hashed, server_id
from podium.base.clock import WallClock
from podium.base.metrics import Registry
from podium.machinery.errors import Unauthorized
from tests.apiserver.authn.helpers import ISSUER, cluster, request
from tests.apiserver.authn.oidc_issuer import CA_PEM, CLIENT_ID, Issuer, issuer

VERSION = "apiserver.config.k8s.io/v1"
GOOD: dict[str, Any] = {
    "issuer": {"url": "https://issuer.example", "audiences": ["a"]},
    "claimMappings": {"username": {"claim": "sub", "prefix": ""}},
}
SUB = {"claim": "sub", "prefix": ""}


def file(*jwt: dict[str, Any], version: str = VERSION, **more: Any) -> bytes:
    whole = {"apiVersion": version, "kind": "AuthenticationConfiguration", "jwt": list(jwt), **more}
    return json.dumps(whole).encode()


def read(data: bytes) -> Any:
    return service.read(data, version="1.36", disallowed_issuers=["https://own"])


def issuer_with(**more: Any) -> dict[str, Any]:
    return {**GOOD, "issuer": {**GOOD["issuer"], **more}}


def mappings_with(**more: Any) -> dict[str, Any]:
    return {**GOOD, "claimMappings": {**GOOD["claimMappings"], **more}}


def rules(*more: dict[str, Any]) -> dict[str, Any]:
    return {**GOOD, "claimValidationRules": list(more)}


def user_rules(*more: dict[str, Any]) -> dict[str, Any]:
    return {**GOOD, "userValidationRules": list(more)}


@pytest.mark.parametrize("version", ["v1", "v1beta1", "v1alpha1"])
def test_versions(version: str) -> None:
    (one,), anonymous = read(file(GOOD, version=f"apiserver.config.k8s.io/{version}"))
    assert one.config.issuer.url == "https://issuer.example"
    assert anonymous is None


def test_everything_at_once() -> None:
    whole = {
        "issuer": {
            "url": "https://issuer.example",
            "discoveryURL": "https://inside.example/.well-known/openid-configuration",
            "certificateAuthority": CA_PEM,
            "audiences": ["a", "b"],
            "audienceMatchPolicy": "MatchAny",
            "egressSelectorType": "",
        },
        "claimValidationRules": [
            {"claim": "hd", "requiredValue": "example.com"},
            {"expression": "claims.email_verified == true", "message": "not verified"},
        ],
        "claimMappings": {
            "username": {"expression": "claims.email"},
            "groups": {"expression": "claims.groups"},
            "uid": {"claim": "oid"},
            "extra": [{"key": "example.org/x", "valueExpression": "claims.x"}],
        },
        "userValidationRules": [{"expression": "user.username != ''"}],
    }
    (one,), anonymous = read(
        file(whole, anonymous={"enabled": True, "conditions": [{"path": "/livez"}, {"path": "/readyz"}]})
    )
    assert one.expressions.over_claims
    assert one.config.issuer.audiences == ("a", "b")
    assert anonymous == Anonymous(enabled=True, paths=("/livez", "/readyz"))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "empty config data"),
        (b"kind: X\napiVersion: v1\n", 'no kind "X" is registered for version "v1"'),
        (b"apiVersion: v1\n", "Object 'Kind' is missing in"),
        (b"kind: AuthenticationConfiguration\n", "Object 'apiVersion' is missing in"),
        (file({**GOOD, "issuers": 1}), 'strict decoding error: unknown field "jwt[0].issuers"'),
        (file(issuer_with(url=["x"])), "cannot unmarshal"),
        (b"{not yaml", "yaml"),
    ],
)
def test_files_that_are_none(data: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)):
        parse(data)


_SHAPES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=3,
)
_FIELDS = st.sampled_from(
    [
        ("jwt",),
        ("jwt", 0),
        ("jwt", 0, "issuer"),
        ("jwt", 0, "issuer", "url"),
        ("jwt", 0, "issuer", "audiences"),
        ("jwt", 0, "claimMappings"),
        ("jwt", 0, "claimMappings", "username"),
        ("jwt", 0, "claimMappings", "extra"),
        ("jwt", 0, "claimValidationRules"),
        ("jwt", 0, "userValidationRules"),
        ("anonymous",),
    ]
)


@settings(max_examples=60, deadline=None)
@given(_FIELDS, _SHAPES)
def test_no_shape_upsets_the_reader(place: tuple[str | int, ...], shape: Any) -> None:
    whole: Any = json.loads(file(GOOD))
    target = whole
    for step in place[:-1]:
        target = target[step]
    target[place[-1]] = shape
    try:
        read(json.dumps(whole).encode())
    except ValueError as error:
        assert str(error)


@pytest.mark.parametrize(
    "lists", ["jwt", "claimValidationRules", "userValidationRules", "extra", "audiences", "conditions"]
)
def test_null_in_lists_is_something_empty(lists: str) -> None:
    one = {
        "jwt": file(None),  # type: ignore[arg-type]
        "claimValidationRules": file(rules(None)),  # type: ignore[arg-type]
        "userValidationRules": file(user_rules(None)),  # type: ignore[arg-type]
        "extra": file(mappings_with(extra=[None])),
        "audiences": file(issuer_with(audiences=[None])),
        "conditions": file(anonymous={"enabled": False, "conditions": [None]}),
    }[lists]
    with pytest.raises(service.Rejected):
        read(one)


@pytest.mark.parametrize(
    ("jwt", "why"),
    [
        (issuer_with(url=""), "jwt[0].issuer.url: Required value"),
        (
            issuer_with(url="http://x"),
            'jwt[0].issuer.url: Invalid value: "http://x": URL scheme must be https',
        ),
        (
            issuer_with(url="https://u:p@x"),
            'jwt[0].issuer.url: Invalid value: "https://u:p@x": URL must not contain a username or password',
        ),
        (
            issuer_with(url="https://x?a=b"),
            'jwt[0].issuer.url: Invalid value: "https://x?a=b": URL must not contain a query',
        ),
        (
            issuer_with(url="https://x#a"),
            'jwt[0].issuer.url: Invalid value: "https://x#a": URL must not contain a fragment',
        ),
        (
            issuer_with(url="https://own"),
            'jwt[0].issuer.url: Invalid value: "https://own": URL must not overlap with disallowed issuers: '
            "[https://own]",
        ),
        (
            issuer_with(discoveryURL="https://issuer.example/"),
            'jwt[0].issuer.discoveryURL: Invalid value: "https://issuer.example/": '
            "discoveryURL must be different from URL",
        ),
        (
            issuer_with(audiences=[]),
            "jwt[0].issuer.audiences: Required value: at least one jwt[0].issuer.audiences is required",
        ),
        (issuer_with(audiences=[""]), "jwt[0].issuer.audiences[0]: Required value"),
        (
            issuer_with(audiences=["a", "a"], audienceMatchPolicy="MatchAny"),
            'jwt[0].issuer.audiences[1]: Duplicate value: "a"',
        ),
        (
            issuer_with(audiences=["a", "b"]),
            'jwt[0].issuer.audienceMatchPolicy: Invalid value: "": '
            "audienceMatchPolicy must be MatchAny for multiple audiences",
        ),
        (
            issuer_with(audienceMatchPolicy="All"),
            'jwt[0].issuer.audienceMatchPolicy: Invalid value: "All": '
            "audienceMatchPolicy must be empty or MatchAny for single audience",
        ),
        (
            issuer_with(certificateAuthority="x"),
            'jwt[0].issuer.certificateAuthority: Invalid value: "<omitted>": '
            "data does not contain any valid RSA or ECDSA certificates",
        ),
        (
            issuer_with(egressSelectorType="etcd"),
            'jwt[0].issuer.egressSelectorType: Invalid value: "etcd": '
            "egress selector must be either controlplane or cluster",
        ),
        (
            rules({"claim": "a", "expression": "true"}),
            'jwt[0].claimValidationRules[0]: Invalid value: "a": claim and expression can\'t both be set',
        ),
        (rules({}), "jwt[0].claimValidationRules[0]: Required value: claim or expression is required"),
        (
            rules({"claim": "a", "message": "m"}),
            'jwt[0].claimValidationRules[0].message: Invalid value: "m": '
            "may not be specified when claim is set",
        ),
        (
            rules({"claim": "a"}, {"claim": "a"}),
            'jwt[0].claimValidationRules[1].claim: Duplicate value: "a"',
        ),
        (
            rules({"expression": "true", "requiredValue": "v"}),
            'jwt[0].claimValidationRules[0].requiredValue: Invalid value: "v": '
            "may not be specified when expression is set",
        ),
        (
            rules({"expression": "true"}, {"expression": "true"}),
            'jwt[0].claimValidationRules[1].expression: Duplicate value: "true"',
        ),
        (
            rules({"expression": "claims.foo"}),
            'jwt[0].claimValidationRules[0].expression: Invalid value: "claims.foo": must evaluate to bool',
        ),
        (
            rules({"expression": "foo"}),
            'jwt[0].claimValidationRules[0].expression: Invalid value: "foo": compilation failed: ERROR: '
            "<input>:1:1: undeclared reference to 'foo' (in container '')\n | foo\n | ^",
        ),
        (
            mappings_with(username={}),
            "jwt[0].claimMappings.username: Required value: claim or expression is required",
        ),
        (
            mappings_with(username={"claim": "a"}),
            "jwt[0].claimMappings.username.prefix: Required value: prefix is required when claim is set. "
            "It can be set to an empty string to disable prefixing",
        ),
        (
            mappings_with(username={"claim": "a", "expression": "'b'"}),
            'jwt[0].claimMappings.username: Invalid value: "": claim and expression can\'t both be set',
        ),
        (
            mappings_with(groups={"expression": "claims.a", "prefix": "x"}),
            'jwt[0].claimMappings.groups.prefix: Invalid value: "x": '
            "may not be specified when expression is set",
        ),
        (
            mappings_with(uid={"claim": "a", "expression": "'b'"}),
            'jwt[0].claimMappings.uid: Invalid value: "": claim and expression can\'t both be set',
        ),
        (
            mappings_with(extra=[{"key": "x", "valueExpression": "'a'"}]),
            'jwt[0].claimMappings.extra[0].key: Invalid value: "x": '
            'must be a domain-prefixed path (such as "acme.io/foo")',
        ),
        (
            mappings_with(extra=[{"key": "my.k8s.io/x", "valueExpression": "'a'"}]),
            'jwt[0].claimMappings.extra[0].key: Invalid value: "my.k8s.io/x": '
            "k8s.io, kubernetes.io and their subdomains are reserved for Kubernetes use",
        ),
        (
            mappings_with(extra=[{"key": "a.org/X", "valueExpression": "'a'"}]),
            'jwt[0].claimMappings.extra[0].key: Invalid value: "a.org/X": must be lowercase',
        ),
        (
            mappings_with(extra=[{"key": "a.org/x"}]),
            "jwt[0].claimMappings.extra[0].valueExpression: Required value",
        ),
        (
            mappings_with(extra=[{"key": "a.org/x", "valueExpression": "'a'"}] * 2),
            'jwt[0].claimMappings.extra[1].key: Duplicate value: "a.org/x"',
        ),
        (
            mappings_with(username={"expression": "claims.email"}),
            'jwt[0].claimMappings.username.expression: Invalid value: "claims.email": '
            "claims.email_verified must be used in claimMappings.username.expression or "
            "claimMappings.extra[*].valueExpression or claimValidationRules[*].expression "
            "when claims.email is used in claimMappings.username.expression",
        ),
        (user_rules({}), "jwt[0].userValidationRules[0].expression: Required value"),
        (
            user_rules({"expression": "user.nosuch == ''"}),
            "jwt[0].userValidationRules[0].expression: Invalid value: \"user.nosuch == ''\": "
            "compilation failed: ERROR: <input>:1:5: undefined field 'nosuch'"
            "\n | user.nosuch == ''\n | ....^",
        ),
    ],
)
def test_what_is_wrong(jwt: dict[str, Any], why: str) -> None:
    with pytest.raises(service.Rejected) as refused:
        read(file(jwt))
    assert str(refused.value) == why


VERIFIES = {"expression": "claims.?email_verified.orValue(true) == true"}


@pytest.mark.parametrize(
    ("expression", "more", "good"),
    [
        ("claims.email", {}, False),
        ("claims.?email.orValue('x')", {}, False),
        ("has(claims.email) ? claims.email : claims.sub", {}, False),
        ("claims.email.trim()", {}, False),
        ("['yay', string(claims.email), 'panda'].join(' ')", {}, False),
        ("{claims.?email: 'panda'}", {}, False),
        ("{'fancy': claims.?email}", {}, False),
        ("['a'].map(i, i + claims.email)", {}, False),
        ("claims.email_", {}, True),
        ("claims.other.claims.email", {}, True),
        ("claims['email']", {}, True),
        ("claims.?email_verified.orValue(true) ? claims.email : claims.sub", {}, True),
        ("claims.email", {"claimValidationRules": [VERIFIES]}, True),
        ("claims.email", {"claimValidationRules": [{"expression": "has(claims.email_verified_)"}]}, False),
        ("claims.email", {"claimValidationRules": [{"claim": "email_verified"}]}, False),
        ("claims.email", {"userValidationRules": [{"expression": "user.uid == 'email_verified'"}]}, False),
    ],
)
def test_a_mail_address_that_nobody_has_verified_names_nobody(
    expression: str, more: dict[str, Any], good: bool
) -> None:
    one = {**mappings_with(username={"expression": expression}), **more}
    if good:
        read(file(one))
    else:
        with pytest.raises(service.Rejected, match=r"claims\.email_verified must be used in"):
            read(file(one))


def test_an_egress_selector_that_is_not_there() -> None:
    """As upstream without `--egress-selector-config-file`."""
    with pytest.raises(service.Rejected, match='egress lookup required with egress selector type "cluster"'):
        read(file(issuer_with(egressSelectorType="cluster")))


def test_several_faults_and_issuers() -> None:
    with pytest.raises(service.Rejected) as refused:
        read(
            file(GOOD, issuer_with(audiences=[]), anonymous={"enabled": False, "conditions": [{"path": "/"}]})
        )
    assert str(refused.value) == (
        "[jwt[1].issuer.audiences: Required value: at least one jwt[1].issuer.audiences is required, "
        'jwt[1].issuer.url: Duplicate value: "https://issuer.example", '
        'anonymous.conditions: Invalid value: [{"path":"/"}]: '
        "enabled should be set to true when conditions are defined]"
    )
    with pytest.raises(service.Rejected, match="jwt: Too many: 65: must have at most 64 items"):
        read(file(*[GOOD] * 65))


# --- a file that changes


class Quick(WallClock):
    """Real time, in which nothing is waited for long."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(min(seconds, 0.005))


class Server:
    """Authentication with a configuration file."""

    def __init__(self, path: Path) -> None:
        data = path.read_bytes()
        issuers, anonymous = service.read(data, version="1.36", disallowed_issuers=[ISSUER])
        jwt = JwtOptions(issuers=issuers, version="1.36", path=str(path), data=data, anonymous=anonymous)
        self.registry = Registry()
        self.built = authn.build(
            cluster(), authn.Options(issuer=ISSUER, jwt=jwt), clock=Quick(), registry=self.registry
        )

    async def who(self, token: str) -> str:
        try:
            user = await self.built.authenticator.authenticate(request(("Authorization", f"Bearer {token}")))
        except Unauthorized:
            return ""
        return user.name if user is not None else ""

    async def until(self, holds: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(10):
            while not await holds():
                await asyncio.sleep(0.005)

    async def until_is(self, token: str, name: str) -> None:
        async def holds() -> bool:
            return await self.who(token) == name

        await self.until(holds)

    async def until_failures(self, count: int) -> None:
        wanted = f'reloads_total{{status="failure",apiserver_id_hash="{hashed(server_id())}"}} {count}\n'

        async def holds() -> bool:
            return wanted in self.registry.text().decode()

        await self.until(holds)


def trusting(oidc: Issuer, prefix: str = "", **more: Any) -> bytes:
    one = {
        "issuer": {"url": oidc.url, "audiences": [CLIENT_ID], "certificateAuthority": CA_PEM},
        "claimMappings": {"username": {"claim": "sub", "prefix": prefix}},
    }
    return file(one, **more)


def test_a_changed_file_is_taken_and_a_wrong_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "authn.yaml"

    async def run(oidc: Issuer, other: Issuer) -> None:
        path.write_bytes(trusting(oidc))
        server = Server(path)
        (background,) = server.built.background
        task = asyncio.create_task(background())
        token, foreign = oidc.token(), other.token()
        try:
            await server.until_is(token, "jane")
            assert await server.who(foreign) == ""
            path.write_bytes(trusting(oidc, prefix="a:"))
            await server.until_is(token, "a:jane")
            for count, wrong in enumerate(
                (
                    b"nonsense: [",
                    trusting(oidc, prefix="b:").replace(b"https", b"http"),
                    trusting(oidc, prefix="b:", anonymous={"enabled": True}),
                ),
                start=1,
            ):
                path.write_bytes(wrong)
                await server.until_failures(count)
            path.unlink()
            await server.until_failures(4)
            assert await server.who(token) == "a:jane", "what was there stays"
            path.write_bytes(trusting(other))
            await server.until_is(foreign, "jane")
            assert await server.who(token) == ""
            text = server.registry.text().decode()
            label = f'apiserver_id_hash="{hashed(server_id())}"'
            assert f'automatic_reloads_total{{status="success",{label}}} 2\n' in text
            assert text.count("authentication_config_controller_last_config_info{") == 1
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    with issuer() as oidc, issuer() as other:
        asyncio.run(run(oidc, other))


def test_an_issuer_that_is_not_reached_does_not_replace_one_that_was(tmp_path: Path) -> None:
    path = tmp_path / "authn.yaml"

    async def run(oidc: Issuer, other: Issuer) -> None:
        other.available = False
        path.write_bytes(trusting(oidc))
        server = Server(path)
        (background,) = server.built.background
        task = asyncio.create_task(background())
        try:
            await server.until_is(oidc.token(), "jane")
            path.write_bytes(trusting(other))
            async with asyncio.timeout(10):
                while other.asked("/.well-known/openid-configuration") < 3:
                    await asyncio.sleep(0.005)
            assert await server.who(oidc.token(jti="another")) == "jane"
            other.available = True
            await server.until_is(other.token(), "jane")
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    with issuer() as oidc, issuer() as other:
        asyncio.run(run(oidc, other))
