"""Certificates that real TLS accepts, dates, names, and files that never show half their content."""

from __future__ import annotations

import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from podium.base import pki

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def ca() -> pki.KeyPair:
    return pki.create_ca("podium")


def _context(side: ssl._SSLMethod, pair: pki.KeyPair, ca: pki.KeyPair, folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(side)
    context.load_verify_locations(cadata=ca.certificate_pem.decode())
    # Python 3.13 asks for this by default: key usages and identifiers must be what RFC 5280 wants.
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.verify_mode = ssl.CERT_REQUIRED
    certificate, key = folder / f"{side}.crt", folder / f"{side}.key"
    pki.write_public(certificate, pair.certificate_pem)
    pki.write_private(key, pair.key_pem)
    context.load_cert_chain(certificate, key)
    return context


def test_mutual_tls_with_strict_verification(ca: pki.KeyPair, tmp_path: Path) -> None:
    server = pki.issue(
        ca, common_name="kube-apiserver", dns_names=["localhost"], ip_addresses=["127.0.0.1"], server=True
    )
    client = pki.issue(ca, common_name="alice", organizations=["dev", "ops"], client=True)
    left, right = socket.socketpair()
    seen: dict[str, object] = {}

    def serve() -> None:
        context = _context(ssl.PROTOCOL_TLS_SERVER, server, ca, tmp_path)
        with context.wrap_socket(left, server_side=True) as connection:
            seen["subject"] = (connection.getpeercert() or {})["subject"]
            connection.sendall(b"x")

    thread = threading.Thread(target=serve)
    thread.start()
    context = _context(ssl.PROTOCOL_TLS_CLIENT, client, ca, tmp_path)
    with context.wrap_socket(right, server_hostname="127.0.0.1") as connection:
        assert connection.recv(1) == b"x"
    thread.join()
    assert seen["subject"] == (
        (("organizationName", "dev"),),
        (("organizationName", "ops"),),
        (("commonName", "alice"),),
    )


def test_leaf_never_outlives_its_authority() -> None:
    ca = pki.create_ca("short", days=10, now=NOW)
    leaf = pki.issue(ca, common_name="x", client=True, days=365, now=NOW)
    assert x509.load_pem_x509_certificate(leaf.certificate_pem).not_valid_after_utc == NOW + timedelta(
        days=10
    )


@pytest.mark.filterwarnings("ignore:Attribute.s length")  # cryptography, when the test reads it back
def test_long_node_name(ca: pki.KeyPair) -> None:
    name = "system:node:" + "n" * 63
    pair = pki.issue(ca, common_name=name, client=True)
    certificate = x509.load_pem_x509_certificate(pair.certificate_pem)
    assert certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == name


@pytest.mark.parametrize(
    ("days", "later", "expired"),
    [(0, timedelta(days=29), False), (0, timedelta(days=30), True), (7, timedelta(days=24), True)],
)
def test_expires_within(days: int, later: timedelta, expired: bool) -> None:
    ca = pki.create_ca("x", days=30, now=NOW)
    assert pki.expires_within(ca.certificate_pem, days, now=NOW + later) is expired


@pytest.mark.parametrize(
    ("names", "covered"),
    [
        (["kubernetes", "10.96.0.1"], True),
        (["KUBERNETES"], True),
        (["::1"], True),
        (["0:0:0:0:0:0:0:1"], True),
        (["other"], False),
        (["10.96.0.2"], False),
        ([], True),
    ],
)
def test_covers(ca: pki.KeyPair, names: list[str], covered: bool) -> None:
    pair = pki.issue(
        ca, common_name="x", dns_names=["kubernetes"], ip_addresses=["10.96.0.1", "::1"], server=True
    )
    assert pki.covers(pair.certificate_pem, names) is covered


def test_covers_without_alternative_names(ca: pki.KeyPair) -> None:
    pair = pki.issue(ca, common_name="x", client=True)
    assert not pki.covers(pair.certificate_pem, ["x"])


def test_issued_by_tells_authorities_of_one_name_apart(ca: pki.KeyPair) -> None:
    pair = pki.issue(ca, common_name="x", client=True)
    assert pki.issued_by(pair.certificate_pem, ca.certificate_pem)
    assert not pki.issued_by(pair.certificate_pem, pki.create_ca("podium").certificate_pem)
    assert not pki.issued_by(pair.certificate_pem, pki.create_ca("other").certificate_pem)


def test_write_private_replaces_atomically(tmp_path: Path) -> None:
    path = tmp_path / "pki" / "key.pem"
    pki.write_private(path, b"old")
    path.chmod(0o644)
    pki.write_private(path, b"new")
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["key.pem"]


def test_write_leaves_nothing_behind_when_it_fails(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError):
        pki.write_private(tmp_path / "taken", b"x")
    assert [entry.name for entry in tmp_path.iterdir()] == ["taken"]


def test_signing_key_has_a_public_half() -> None:
    private = pki.create_signing_key()
    assert private.startswith(b"-----BEGIN PRIVATE KEY-----")
    assert pki.public_key(private).startswith(b"-----BEGIN PUBLIC KEY-----")
