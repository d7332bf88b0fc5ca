"""Keys and certificates: authorities, the certificates they issue, service-account signing keys, safe files.

Used by the composition roots (`podium up`, `join`) to give every component its identity, and by the API
server for the keys that sign service-account tokens. All keys are P-256: making one takes a fraction of a
millisecond where RSA 2048 takes tens. `cryptography` is imported inside the functions, because most
processes import this module without ever making or reading a key.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import os
import secrets
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

CA_DAYS = 3650
LEAF_DAYS = 365

# A certificate made now must be valid on a machine whose clock is a little behind.
BACKDATE = timedelta(minutes=5)
SHORT = timedelta(hours=8)
"""Certificates that last less lose nothing to the backdating."""
_KEY_USAGES = frozenset(
    (
        "signing",
        "digital signature",
        "content commitment",
        "key encipherment",
        "data encipherment",
        "key agreement",
        "cert sign",
        "crl sign",
    )
)
_EXTENDED_USAGES = {
    "any": "2.5.29.37.0",
    "server auth": "1.3.6.1.5.5.7.3.1",
    "client auth": "1.3.6.1.5.5.7.3.2",
    "code signing": "1.3.6.1.5.5.7.3.3",
    "email protection": "1.3.6.1.5.5.7.3.4",
    "s/mime": "1.3.6.1.5.5.7.3.4",
    "ipsec end system": "1.3.6.1.5.5.7.3.5",
    "ipsec tunnel": "1.3.6.1.5.5.7.3.6",
    "ipsec user": "1.3.6.1.5.5.7.3.7",
    "timestamping": "1.3.6.1.5.5.7.3.8",
    "ocsp signing": "1.3.6.1.5.5.7.3.9",
    "microsoft sgc": "1.3.6.1.4.1.311.10.3.3",
    "netscape sgc": "2.16.840.1.113730.4.1",
}

COMMON_NAME_LENGTH_MAX = 64

_TOKEN_ALGORITHMS = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPair:
    """A certificate and its private key, both PEM."""

    certificate_pem: bytes
    key_pem: bytes


def create_ca(common_name: str, *, days: int = CA_DAYS, now: datetime | None = None) -> KeyPair:
    """Return a new self-signed authority that may sign leaf certificates only."""
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415

    key = _new_key()
    name = _subject(common_name, ())
    certificate = (
        _builder(name, name, key.public_key(), days, now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(ca=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return _pair(certificate, key)


def issue(
    ca: KeyPair,
    *,
    common_name: str,
    organizations: Sequence[str] = (),
    dns_names: Iterable[str] = (),
    ip_addresses: Iterable[str] = (),
    server: bool = False,
    client: bool = False,
    days: int = LEAF_DAYS,
    now: datetime | None = None,
) -> KeyPair:
    """Return a new key with a certificate signed by `ca`; it never outlives the authority.

    `common_name` becomes the user name and `organizations` the groups of a client certificate.
    """
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415
    from cryptography.x509.oid import ExtendedKeyUsageOID  # noqa: PLC0415

    authority = x509.load_pem_x509_certificate(ca.certificate_pem)
    authority_key = serialization.load_pem_private_key(ca.key_pem, password=None)
    if not isinstance(authority_key, ec.EllipticCurvePrivateKey):
        raise ValueError("the authority's key is not an elliptic-curve key")

    usages = [
        usage
        for wanted, usage in (
            (server, ExtendedKeyUsageOID.SERVER_AUTH),
            (client, ExtendedKeyUsageOID.CLIENT_AUTH),
        )
        if wanted
    ]
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in dict.fromkeys(dns_names)]
    names += [x509.IPAddress(ipaddress.ip_address(text)) for text in dict.fromkeys(ip_addresses)]

    key = _new_key()
    builder = (
        _builder(
            _subject(common_name, organizations),
            authority.subject,
            key.public_key(),
            days,
            now,
            not_after_max=authority.not_valid_after_utc,
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(ca=False), critical=True)
        .add_extension(_authority_key_identifier(authority), critical=False)
    )
    if usages:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return _pair(builder.sign(authority_key, hashes.SHA256()), key)


def token_algorithm(public: object) -> str:
    """Return the one algorithm (RFC 7518) that tokens are signed with by the owner of a key.

    Raises ValueError for a kind of key that signs none.
    """
    from cryptography.hazmat.primitives.asymmetric import ec, rsa  # noqa: PLC0415

    if isinstance(public, rsa.RSAPublicKey):
        return "RS256"
    if isinstance(public, ec.EllipticCurvePublicKey) and public.curve.name in _TOKEN_ALGORITHMS:
        return _TOKEN_ALGORITHMS[public.curve.name]
    raise ValueError("service-account keys must be RSA or ECDSA on P-256, P-384 or P-521")


def key_id(public: rsa.RSAPublicKey | ec.EllipticCurvePublicKey) -> str:
    """Return the name by which upstream's tokens tell their key: the digest of its encoding."""
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415

    form = serialization.PublicFormat.SubjectPublicKeyInfo
    encoded = public.public_bytes(serialization.Encoding.DER, form)
    return base64.urlsafe_b64encode(hashlib.sha256(encoded).digest()).decode().rstrip("=")


def sign(
    ca: KeyPair,
    request: x509.CertificateSigningRequest,
    *,
    usages: Iterable[str],
    lifetime: timedelta,
    now: datetime | None = None,
) -> bytes:
    """Return the certificate (PEM) that a signing request asks for; it never outlives the authority.

    Subject, names and key are the request's; `usages` are those of the certificates API. It is valid since
    a few minutes ago, for `lifetime` in all; one that is short-lived for that much from now on. Raises
    ValueError when the request is not signed with its own key, or the authority has expired.
    """
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec, rsa  # noqa: PLC0415

    if not request.is_signature_valid:
        raise ValueError("the request is not signed with its own key")
    authority = x509.load_pem_x509_certificate(ca.certificate_pem)
    authority_key = serialization.load_pem_private_key(ca.key_pem, password=None)
    if not isinstance(authority_key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise ValueError("the authority's key is neither an elliptic-curve nor an RSA key")
    wanted = frozenset(usages)
    start = _moment(now)
    end = start + lifetime - (BACKDATE if lifetime >= SHORT else timedelta())
    if start >= authority.not_valid_after_utc:
        raise ValueError(f"the signer has expired: NotAfter={authority.not_valid_after_utc}")
    builder = (
        x509.CertificateBuilder()
        .subject_name(request.subject)
        .issuer_name(authority.subject)
        .public_key(request.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start - BACKDATE)
        .not_valid_after(min(end, authority.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_authority_key_identifier(authority), critical=False)
    )
    if wanted & _KEY_USAGES:
        builder = builder.add_extension(_plain_usages(wanted), critical=True)
    if extended := [x509.ObjectIdentifier(oid) for name, oid in _EXTENDED_USAGES.items() if name in wanted]:
        builder = builder.add_extension(x509.ExtendedKeyUsage(list(dict.fromkeys(extended))), critical=False)
    try:
        names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        pass
    else:
        builder = builder.add_extension(names.value, critical=names.critical)
    return builder.sign(authority_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _plain_usages(wanted: frozenset[str]) -> x509.KeyUsage:
    from cryptography import x509  # noqa: PLC0415

    agreement = "key agreement" in wanted
    return x509.KeyUsage(
        digital_signature=bool(wanted & {"signing", "digital signature"}),
        content_commitment="content commitment" in wanted,
        key_encipherment="key encipherment" in wanted,
        data_encipherment="data encipherment" in wanted,
        key_agreement=agreement,
        key_cert_sign="cert sign" in wanted,
        crl_sign="crl sign" in wanted,
        # These two say something about the agreement, and nothing without it.
        encipher_only=agreement and "encipher only" in wanted,
        decipher_only=agreement and "decipher only" in wanted,
    )


def create_signing_key() -> bytes:
    """Return a new private key (PEM) for signing service-account tokens with ES256."""
    return _key_pem(_new_key())


def public_key(private_pem: bytes) -> bytes:
    """Return the public half (PEM) of a private key."""
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415

    key = serialization.load_pem_private_key(private_pem, password=None)
    return key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def expires_within(certificate_pem: bytes, days: float, *, now: datetime | None = None) -> bool:
    """Tell whether the certificate will have expired `days` from now (0: is it expired?)."""
    from cryptography import x509  # noqa: PLC0415

    certificate = x509.load_pem_x509_certificate(certificate_pem)
    return certificate.not_valid_after_utc <= _moment(now) + timedelta(days=days)


def covers(certificate_pem: bytes, names: Iterable[str]) -> bool:
    """Tell whether each of `names` (DNS names or IP addresses) is a subject alternative name."""
    from cryptography import x509  # noqa: PLC0415

    certificate = x509.load_pem_x509_certificate(certificate_pem)
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        held: set[str] = set()
    else:
        held = {name.lower() for name in extension.get_values_for_type(x509.DNSName)}
        held |= {str(address) for address in extension.get_values_for_type(x509.IPAddress)}
    return all(_canonical_name(name) in held for name in names)


def issued_by(certificate_pem: bytes, ca_certificate_pem: bytes) -> bool:
    """Tell whether the authority's key signed the certificate: false after the authority was replaced."""
    from cryptography import x509  # noqa: PLC0415
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415

    certificate = x509.load_pem_x509_certificate(certificate_pem)
    authority = x509.load_pem_x509_certificate(ca_certificate_pem)
    try:
        certificate.verify_directly_issued_by(authority)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def write_private(path: str | os.PathLike[str], pem: bytes) -> None:
    """Put `pem` at `path`, for its owner alone; after a crash the old file is there or the new one."""
    _write(Path(path), pem, mode=0o600)


def write_public(path: str | os.PathLike[str], pem: bytes) -> None:
    """Put `pem` at `path`, readable by all, with the same promise as `write_private`."""
    _write(Path(path), pem, mode=0o644)


def _write(path: Path, content: bytes, *, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    # O_EXCL with the final mode: at no moment can another user open the file, whatever the umask.
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            if hasattr(os, "fchmod"):
                os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)


def _sync_directory(directory: Path) -> None:
    """Make a rename durable, where the system lets directories be opened."""
    try:
        descriptor = os.open(directory, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _moment(now: datetime | None) -> datetime:
    return now if now is not None else datetime.now(UTC)


def _canonical_name(name: str) -> str:
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return name.lower()


def _new_key() -> ec.EllipticCurvePrivateKey:
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    return ec.generate_private_key(ec.SECP256R1())


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415

    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> KeyPair:
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415

    return KeyPair(
        certificate_pem=certificate.public_bytes(serialization.Encoding.PEM), key_pem=_key_pem(key)
    )


def _subject(common_name: str, organizations: Sequence[str]) -> x509.Name:
    from cryptography import x509  # noqa: PLC0415
    from cryptography.x509.oid import NameOID  # noqa: PLC0415

    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, name) for name in organizations]
    if len(common_name) <= COMMON_NAME_LENGTH_MAX:
        attributes.append(x509.NameAttribute(NameOID.COMMON_NAME, common_name))
    else:
        # X.509 allows 64 characters, but `system:node:` and a host name of 63 are more, and neither
        # OpenSSL nor Go minds.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            attributes.append(x509.NameAttribute(NameOID.COMMON_NAME, common_name, _validate=False))
    return x509.Name(attributes)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    days: int,
    now: datetime | None,
    *,
    not_after_max: datetime | None = None,
) -> x509.CertificateBuilder:
    from cryptography import x509  # noqa: PLC0415

    start = _moment(now)
    end = start + timedelta(days=days)
    if not_after_max is not None:
        end = min(end, not_after_max)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start - BACKDATE)
        .not_valid_after(end)
    )


def _key_usage(*, ca: bool) -> x509.KeyUsage:
    from cryptography import x509  # noqa: PLC0415

    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


def _authority_key_identifier(authority: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    from cryptography import x509  # noqa: PLC0415

    try:
        identifier = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        # An authority made elsewhere need not carry one.
        public = authority.public_key()
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(public)  # type: ignore[arg-type]
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)
