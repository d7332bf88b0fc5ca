"""Users that a front proxy names: another server that has authenticated them and tells of it in headers.

Believed only of a client certificate that the front proxies' own authority issued, and only of the names that
are allowed. Whoever else sends such headers has sent nothing. The headers go no further than this.
Upstream: apiserver/pkg/authentication/request/headerrequest.

A certificate counts as the authority's when the authority issued it directly: TLS has verified the chain, and
which of the two authorities it ended at (clients' or front proxies') is told by the issuer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from podium.apiserver.authn.certificate import read_identity
from podium.apiserver.authn.issued import Authorities, Bundle
from podium.apiserver.chain import ALL_AUTHENTICATED, ALL_UNAUTHENTICATED, ANONYMOUS, User
from podium.base.clock import Clock, WallClock
from podium.base.http.message import Headers, Request
from podium.machinery.errors import Unauthorized


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestHeaderOptions:
    """The flags --requestheader-*."""

    client_ca: Bundle
    allowed_names: Sequence[str] = ()
    """Common names; empty allows every one that the authority has issued."""
    username_headers: Sequence[str] = ("x-remote-user",)
    uid_headers: Sequence[str] = ()
    group_headers: Sequence[str] = ("x-remote-group",)
    extra_prefixes: Sequence[str] = ("x-remote-extra-",)


class RequestHeaderAuthenticator:
    """Authenticates by what a front proxy says."""

    def __init__(
        self, options: RequestHeaderOptions, authorities: Authorities, *, clock: Clock | None = None
    ) -> None:
        self._allowed = frozenset(options.allowed_names)
        self._authorities = authorities
        self._username = tuple(name.lower() for name in options.username_headers)
        self._uid = tuple(name.lower() for name in options.uid_headers)
        self._group = tuple(name.lower() for name in options.group_headers)
        self._prefixes = tuple(prefix.lower() for prefix in options.extra_prefixes)
        self._clock = clock or WallClock()

    async def authenticate(self, request: Request) -> User | None:
        certificate = request.peer_certificate
        if certificate is None or not self._authorities.issued(certificate):
            return None
        try:
            identity = read_identity(certificate)
        except ValueError as error:
            raise Unauthorized() from error
        if not identity.not_before <= self._clock.now() <= identity.not_after:
            raise Unauthorized()
        if self._allowed and identity.common_name not in self._allowed:
            raise Unauthorized()
        return self._user(request.headers)

    def _user(self, headers: Headers) -> User | None:
        name = _first(headers, self._username)
        if not name:
            return None
        groups = [value for header in self._group for value in _all(headers, header)]
        if name != ANONYMOUS and not {ALL_AUTHENTICATED, ALL_UNAUTHENTICATED} & set(groups):
            groups.append(ALL_AUTHENTICATED)
        return User(
            name=name, uid=_first(headers, self._uid), groups=tuple(groups), extra=self._extra(headers)
        )

    def _extra(self, headers: Headers) -> Mapping[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        for prefix in self._prefixes:
            for header, value in headers:
                if header.startswith(prefix):
                    key = unquote(header[len(prefix) :])
                    found[key] = (*found.get(key, ()), _text(value))
        return found

    def clear(self, headers: Headers) -> None:
        """Take the headers of front proxies out of a request: nobody behind may act on them."""
        for header in {name for name, _ in headers}:
            if header in (*self._username, *self._uid, *self._group) or header.startswith(self._prefixes):
                headers.remove(header)


def _text(value: str) -> str:
    """Return what a header's bytes say: front proxies write UTF-8."""
    return value.encode("latin-1", "replace").decode("utf-8", "replace")


def _first(headers: Headers, names: Sequence[str]) -> str:
    for name in names:
        if value := headers.get(name):
            return _text(value)
    return ""


def _all(headers: Headers, name: str) -> list[str]:
    return [_text(value) for value in headers.get_all(name) if value]
