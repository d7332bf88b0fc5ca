"""Front proxies: believed by certificate and name, and told apart from clients."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime

import pytest

from podium.apiserver.authn import Options, build
from podium.apiserver.authn.issued import Authorities, Bundle
from podium.apiserver.authn.request_header import RequestHeaderOptions
from podium.apiserver.chain import User
from podium.base import pki
from podium.base.http.message import Headers, Request
from podium.machinery.errors import Unauthorized
from tests.apiserver.fakes import FakeClock, FakeReader

CLIENTS, PROXIES = pki.create_ca("kubernetes"), pki.create_ca("front-proxy-ca")


def der(pair: pki.KeyPair) -> bytes:
    return ssl.PEM_cert_to_DER_cert(pair.certificate_pem.decode())


PROXY = der(pki.issue(PROXIES, common_name="front-proxy-client", client=True))
OTHER_PROXY = der(pki.issue(PROXIES, common_name="other", client=True))
CLIENT = der(pki.issue(CLIENTS, common_name="front-proxy-client", organizations=("dev",), client=True))


def authenticate(
    certificate: bytes | None, *headers: tuple[str, str], names: tuple[str, ...] = ("front-proxy-client",)
) -> tuple[User | None, Headers]:
    options = Options(
        issuer="https://issuer",
        client_ca=Bundle(CLIENTS.certificate_pem),
        request_header=RequestHeaderOptions(
            client_ca=Bundle(PROXIES.certificate_pem),
            allowed_names=names,
            username_headers=("X-Remote-User", "X-User"),
            uid_headers=("X-Remote-Uid",),
        ),
    )
    clock = FakeClock(datetime.now(UTC))
    authenticator = build(FakeReader(), options, clock=clock).authenticator
    request = Request(method="GET", target="/api", headers=Headers(headers), peer_certificate=certificate)
    return asyncio.run(authenticator.authenticate(request)), request.headers


def test_a_front_proxy_tells_who_asks_and_its_headers_go_no_further() -> None:
    user, left = authenticate(
        PROXY,
        ("X-User", "jané".encode().decode("latin-1")),
        ("X-Remote-Uid", "7"),
        ("X-Remote-Group", "a"),
        ("X-Remote-Group", ""),
        ("X-Remote-Group", "b"),
        ("X-Remote-Extra-Acme.com%2Fproject", "p"),
        ("accept", "*/*"),
    )
    assert user == User(
        name="jané",
        uid="7",
        groups=("a", "b", "system:authenticated"),
        extra={"acme.com/project": ("p",)},
    )
    assert list(left) == [("accept", "*/*")]


def test_a_front_proxy_may_tell_of_nobody() -> None:
    user, _ = authenticate(
        PROXY, ("X-Remote-User", "system:anonymous"), ("X-Remote-Group", "system:unauthenticated")
    )
    assert user is not None
    assert user.groups == ("system:unauthenticated",)


def test_a_client_that_sends_such_headers_is_whom_its_certificate_says() -> None:
    user, _ = authenticate(CLIENT, ("X-Remote-User", "admin"), ("X-Remote-Group", "system:masters"))
    assert user is not None
    assert (user.name, user.groups) == ("front-proxy-client", ("dev", "system:authenticated"))


def test_without_a_certificate_such_headers_are_nothing() -> None:
    assert (authenticate(None, ("X-Remote-User", "admin")))[0] is None


@pytest.mark.parametrize("certificate", [OTHER_PROXY, b"nonsense"])
def test_other_names_and_other_certificates_are_refused(certificate: bytes) -> None:
    with pytest.raises(Unauthorized):
        authenticate(certificate, ("X-Remote-User", "admin"))


def test_a_front_proxy_is_no_client() -> None:
    with pytest.raises(Unauthorized):
        authenticate(PROXY)


def test_any_name_will_do_where_none_are_listed() -> None:
    user, _ = authenticate(OTHER_PROXY, ("X-Remote-User", "jane"), names=())
    assert user is not None
    assert user.name == "jane"


def test_authorities_of_the_same_name_are_told_apart_by_their_signatures() -> None:
    namesake = pki.create_ca("kubernetes")
    leaf = der(pki.issue(namesake, common_name="x", client=True))
    clients, others = Bundle(CLIENTS.certificate_pem), Bundle(namesake.certificate_pem)
    assert Authorities(others, clients).issued(leaf)
    assert not Authorities(clients, others).issued(leaf)


def test_authorities_may_be_replaced() -> None:
    clients, proxies = Bundle(CLIENTS.certificate_pem), Bundle(PROXIES.certificate_pem)
    authorities = Authorities(clients, proxies)
    assert authorities.issued(CLIENT)
    clients.pem = pki.create_ca("another").certificate_pem
    assert not authorities.issued(CLIENT)
