"""Client certificates: the common name is the user, the organizations are its groups.

TLS has verified the chain before a request arrives; what is left is to read the subject, and to see that the
certificate has not expired on a connection that lives longer than it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from podium.apiserver.authn.der import COMMON_NAME, ORGANIZATION, USER_UID, attributes_of, elements
from podium.apiserver.authn.issued import Authorities
from podium.apiserver.chain import ALL_AUTHENTICATED, User
from podium.base.clock import Clock, WallClock
from podium.base.http.message import Request
from podium.machinery.errors import Unauthorized

CREDENTIAL_ID = "authentication.kubernetes.io/credential-id"

_EXPLICIT_0 = 0xA0
_UTC_TIME, _GENERALIZED_TIME = 0x17, 0x18


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a certificate says about its bearer."""

    user: User | None
    """None for a certificate without a common name: it identifies nobody."""
    common_name: str
    not_before: datetime
    not_after: datetime


class CertificateAuthenticator:
    """Authenticates by the certificate that TLS verified."""

    def __init__(self, *, authorities: Authorities | None = None, clock: Clock | None = None) -> None:
        """`authorities` are those of clients, where TLS trusts others too."""
        self._authorities = authorities
        self._clock = clock or WallClock()

    async def authenticate(self, request: Request) -> User | None:
        return self.identify(request)

    def identify(self, request: Request) -> User | None:
        """As `authenticate`, which waits for nothing."""
        if request.peer_certificate is None:
            return None
        if self._authorities is not None and not self._authorities.issued(request.peer_certificate):
            raise Unauthorized()
        try:
            identity = read_identity(request.peer_certificate)
        except ValueError as error:
            raise Unauthorized() from error
        if not identity.not_before <= self._clock.now() <= identity.not_after:
            raise Unauthorized()
        return identity.user


@lru_cache(maxsize=1024)
def read_identity(der: bytes) -> Identity:
    """Return what the certificate says. Raises ValueError when it is no X.509 certificate."""
    try:
        return _read_identity(der)
    except (IndexError, UnicodeDecodeError, StopIteration) as error:
        raise ValueError("not a certificate") from error


def _read_identity(der: bytes) -> Identity:
    (_, certificate) = next(elements(der))
    (_, to_be_signed) = next(elements(certificate))
    fields = [field for field in elements(to_be_signed) if field[0] != _EXPLICIT_0]
    # serial, signature algorithm, issuer, validity, subject, ...
    validity, subject = fields[3][1], fields[4][1]
    not_before, not_after = (_time(tag, value) for tag, value in elements(validity))

    common_name = uid = ""
    organizations: list[str] = []
    for oid, value in attributes_of(subject):
        if oid == COMMON_NAME:
            common_name = value
        elif oid == ORGANIZATION:
            organizations.append(value)
        elif oid == USER_UID:
            uid = value
    user = None
    if common_name:
        user = User(
            name=common_name,
            uid=uid,
            groups=(*organizations, ALL_AUTHENTICATED),
            extra={CREDENTIAL_ID: ("X509SHA256=" + hashlib.sha256(der).hexdigest(),)},
        )
    return Identity(user=user, common_name=common_name, not_before=not_before, not_after=not_after)


def _time(tag: int, value: bytes) -> datetime:
    text = value.decode("ascii")
    if tag == _GENERALIZED_TIME:
        return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
    if tag != _UTC_TIME:
        raise ValueError("time")
    # Two-digit years: RFC 5280 puts 50..99 into the last century, strptime 69..99.
    century = "19" if int(text[:2]) >= 50 else "20"
    return datetime.strptime(century + text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
