"""Which authority issued a client certificate, where TLS trusts several for different purposes.

TLS verifies a client's certificate against all authorities together. Which of them it was is read from the
issuer's name; where two authorities bear the same name, the signature decides, which loads `cryptography`.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from functools import lru_cache

from podium.apiserver.authn.der import elements

_EXPLICIT_0 = 0xA0


class Bundle:
    """The certificates of a file of authorities, which may be replaced while the server runs."""

    __slots__ = ("pem",)

    def __init__(self, pem: bytes = b"") -> None:
        self.pem = pem


class Authorities:
    """The authorities of one purpose, told apart from those of the others."""

    def __init__(self, own: Bundle, others: Bundle) -> None:
        """Raises ValueError for what is no PEM."""
        self._bundles = own, others
        self._read()

    def _read(self) -> None:
        own, others = (bundle.pem for bundle in self._bundles)
        self._read_from = own, others
        self._own = certificates_of(own)
        self._names = frozenset(_names(one)[1] for one in self._own)
        other_names = {_names(one)[1] for one in certificates_of(others) if one not in self._own}
        self._ambiguous = self._names & other_names
        self._known = lru_cache(maxsize=1024)(self._issued)

    def issued(self, certificate: bytes) -> bool:
        """Tell whether one of the authorities of now has issued it."""
        (own, others), (own_read, others_read) = self._bundles, self._read_from
        if own.pem is not own_read or others.pem is not others_read:
            self._read()
        return self._known(certificate)

    def _issued(self, certificate: bytes) -> bool:
        try:
            issuer, _ = _names(certificate)
        except ValueError:
            return False
        if issuer not in self._names:
            return False
        return issuer not in self._ambiguous or _signed_by_one_of(certificate, self._own)


def certificates_of(pem: bytes) -> list[bytes]:
    """Return the certificates in `pem` as DER. Raises ValueError."""
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    text = pem.decode("ascii", "replace")
    blocks = [part.partition(end)[0] for part in text.split(begin)[1:]]
    return [ssl.PEM_cert_to_DER_cert(begin + block + end) for block in blocks]


def _names(certificate: bytes) -> tuple[bytes, bytes]:
    """Return the names of issuer and subject, encoded. Raises ValueError."""
    try:
        (_, outer) = next(elements(certificate))
        (_, to_be_signed) = next(elements(outer))
        fields = [value for tag, value in elements(to_be_signed) if tag != _EXPLICIT_0]
        return fields[2], fields[4]
    except (IndexError, StopIteration) as error:
        raise ValueError("not a certificate") from error


def _signed_by_one_of(certificate: bytes, authorities: Sequence[bytes]) -> bool:
    from cryptography import x509  # noqa: PLC0415
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415

    leaf = x509.load_der_x509_certificate(certificate)
    for authority in authorities:
        try:
            leaf.verify_directly_issued_by(x509.load_der_x509_certificate(authority))
        except (InvalidSignature, ValueError, TypeError):
            continue
        return True
    return False
