"""Client certificates: whom they name, when they are good, and that no bytes crash the reader."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from podium.apiserver.authn.certificate import CertificateAuthenticator, read_identity
from podium.apiserver.chain import User
from podium.base import pki
from podium.machinery.errors import Unauthorized
from tests.apiserver.authn.helpers import request
from tests.apiserver.fakes import FakeClock

CLOCK = FakeClock()
CA = pki.create_ca("ca", now=CLOCK.now())


def der(pem: bytes) -> bytes:
    return x509.load_pem_x509_certificate(pem).public_bytes(serialization.Encoding.DER)


def issued(name: str, *organizations: str, days: int = 1) -> bytes:
    pair = pki.issue(
        CA, common_name=name, organizations=organizations, client=True, days=days, now=CLOCK.now()
    )
    return der(pair.certificate_pem)


def identify(certificate: bytes | None, clock: FakeClock = CLOCK) -> User | None:
    authenticator = CertificateAuthenticator(clock=clock)
    return asyncio.run(authenticator.authenticate(request(certificate=certificate)))


def test_common_name_and_organizations() -> None:
    user = identify(issued("alice", "dev", "system:masters"))
    assert user is not None
    assert user.name == "alice"
    assert user.groups == ("dev", "system:masters", "system:authenticated")
    assert user.extra["authentication.kubernetes.io/credential-id"][0].startswith("X509SHA256=")


def test_names_beyond_ascii() -> None:
    user = identify(issued("søren", "日本"))
    assert user is not None
    assert (user.name, user.groups[0]) == ("søren", "日本")


def test_no_certificate_is_nobody() -> None:
    assert identify(None) is None


@pytest.mark.parametrize("shift", [timedelta(days=-2), timedelta(days=2)], ids=["not yet", "expired"])
def test_outside_its_time(shift: timedelta) -> None:
    certificate = issued("alice")
    clock = FakeClock(CLOCK.now() + shift)
    with pytest.raises(Unauthorized):
        identify(certificate, clock)


def test_no_common_name_is_nobody() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:masters")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(CLOCK.now() - timedelta(days=1))
        .not_valid_after(CLOCK.now() + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    assert identify(certificate.public_bytes(serialization.Encoding.DER)) is None


def test_far_dates() -> None:
    ca = pki.create_ca("x", days=365 * 60, now=CLOCK.now())
    assert read_identity(der(ca.certificate_pem)).not_after.year == 2086


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_no_bytes_crash_the_reader(data: bytes) -> None:
    with pytest.raises(ValueError):
        read_identity(data)


@settings(deadline=None)
@given(st.data())
def test_damaged_certificates_are_refused_or_read(data: st.DataObject) -> None:
    whole = bytearray(_SAMPLE)
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        read_identity(bytes(whole))
    except ValueError:
        return


_SAMPLE = issued("alice", "dev")
