"""Who sends a request: one file per method, composed by `build`."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from podium.apiserver.authn import reviews
from podium.apiserver.authn.bearer import BearerAuthenticator, TokenAuthenticator, TokenUnion
from podium.apiserver.authn.bootstrap_token import BootstrapTokenAuthenticator
from podium.apiserver.authn.certificate import CertificateAuthenticator
from podium.apiserver.authn.issued import Authorities, Bundle
from podium.apiserver.authn.issuer import ServiceAccountTokenIssuer
from podium.apiserver.authn.key_ring import KeyRing, follow
from podium.apiserver.authn.legacy_token import LastUsed
from podium.apiserver.authn.service_account import Bound, ServiceAccountAuthenticator
from podium.apiserver.authn.service_account_metrics import ServiceAccountMetrics
from podium.apiserver.authn.token_file import TokenFileAuthenticator
from podium.apiserver.chain import Answers, Authenticator, Reader, TokenIssuer, User, Writer
from podium.base import file_changes
from podium.base.clock import Clock, WallClock
from podium.base.http.message import Headers, Request
from podium.base.metrics import Registry
from podium.machinery.errors import Unauthorized
from podium.resources.core.nodes import NODES
from podium.resources.core.pods import PODS
from podium.resources.core.secrets import SECRETS
from podium.resources.core.serviceaccounts import SERVICEACCOUNTS

if TYPE_CHECKING:
    from podium.apiserver.authn.oidc.service import JwtOptions
    from podium.apiserver.authn.request_header import RequestHeaderAuthenticator, RequestHeaderOptions
    from podium.apiserver.authn.webhook import WebhookOptions


SUCCESS_TTL_S = 10.0
"""How long it is remembered whose a token is that takes asking, or much computing."""

Background = Callable[[], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the flags of the API server say about authentication."""

    issuer: str
    """--service-account-issuer"""
    service_account_keys: Sequence[bytes] = ()
    """PEM of --service-account-key-file: keys that verify tokens. The signing key's own is always one."""
    signing_key: bytes | None = None
    """PEM of --service-account-signing-key-file."""
    audiences: Sequence[str] = ()
    """--api-audiences; the issuer by default."""
    jwks_uri: str = ""
    """--service-account-jwks-uri, or where else the keys are served."""
    key_files: Sequence[str] = ()
    """Where `service_account_keys` came from; read again when they change."""
    signing_key_file: str = ""
    """Where `signing_key` came from, likewise."""
    keys_stamp: file_changes.Stamp | None = None
    """Of these files, from before they were read."""
    token_expiration_s_max: int = 0
    """--service-account-max-token-expiration; 0: no limit."""
    extend_token_expiration: bool = True
    """--service-account-extend-token-expiration"""
    service_account_lookup: bool = True
    """--service-account-lookup"""
    token_file: Iterable[str] | None = None
    """The lines of --token-auth-file."""
    bootstrap_tokens: bool = False
    """--enable-bootstrap-token-auth"""
    client_ca: Bundle = field(default_factory=Bundle)
    """--client-ca-file"""
    other_issuers: Sequence[str] = ()
    """Further --service-account-issuer: their tokens are taken, none are issued in their names."""
    request_header: RequestHeaderOptions | None = None
    """--requestheader-*; None where there is no authority of front proxies."""
    jwt: JwtOptions | None = None
    """--oidc-* or --authentication-config; None where no other issuer is known."""
    webhook: WebhookOptions | None = None
    """--authentication-token-webhook-*; None where no webhook is asked."""
    anonymous_paths: Sequence[str] = ()
    """Where alone requests without credentials are taken; empty: at all paths."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Authentication:
    """What this room contributes to the chain."""

    authenticator: Authenticator
    token_issuer: TokenIssuer | None
    recognise: Callable[[Request], User | None]
    answers: Answers = field(default_factory=dict)
    background: Sequence[Background] = ()
    writing: Sequence[Callable[[Writer], Coroutine[Any, Any, None]]] = ()


class Union:
    """Asks authenticators in turn; the first user wins, errors count only when nobody is found."""

    def __init__(
        self,
        authenticators: Sequence[Authenticator],
        recognise: Callable[[Request], User | None],
        done: Callable[[Headers], None],
    ) -> None:
        """`recognise` returns the user whom the authenticators would, where that takes no waiting, or None.
        `done` is called with the headers of a request when it has been decided whose it is."""
        self._authenticators = tuple(authenticators)
        self._recognise = recognise
        self._done = done

    async def authenticate(self, request: Request) -> User | None:
        user = self._recognise(request) or await self._first(request)
        self._done(request.headers)
        return user

    async def _first(self, request: Request) -> User | None:
        refusal: Unauthorized | None = None
        for authenticator in self._authenticators:
            try:
                user = await authenticator.authenticate(request)
            except Unauthorized as error:
                refusal = refusal or error
                continue
            if user is not None:
                return user
        if refusal is not None:
            raise refusal
        return None


def build(
    reader: Reader, options: Options, *, clock: Clock | None = None, registry: Registry | None = None
) -> Authentication:
    """Compose the authenticators: client certificate first, then bearer tokens, as upstream."""
    clock = clock or WallClock()
    issuers = (options.issuer, *options.other_issuers)
    audiences = tuple(options.audiences) or issuers
    registry = registry or Registry()
    ring = KeyRing(options.service_account_keys, options.signing_key)
    last_used = LastUsed(clock)
    tokens: list[TokenAuthenticator] = []
    if options.token_file is not None:
        tokens.append(TokenFileAuthenticator.parse(options.token_file))
    bound = Bound(
        service_accounts=reader.cached(SERVICEACCOUNTS),
        pods=reader.cached(PODS),
        secrets=reader.cached(SECRETS),
        nodes=reader.cached(NODES),
    )
    service_accounts = ServiceAccountAuthenticator(
        issuers=issuers,
        keys=ring.verification,
        audiences=audiences,
        bound=bound,
        clock=clock,
        metrics=ServiceAccountMetrics(registry),
        used=last_used,
        lookup=options.service_account_lookup,
    )
    ring.changed = service_accounts.forget
    tokens.append(service_accounts)
    if options.bootstrap_tokens:
        tokens.append(BootstrapTokenAuthenticator(reader.cached(SECRETS), clock=clock))
    remote = _remote(options, clock, registry, audiences)
    tokens += remote.authenticators
    bearer = BearerAuthenticator(tokens, audiences)

    issuer: TokenIssuer | None = None
    if options.signing_key is not None:
        issuer = ServiceAccountTokenIssuer(
            issuer=options.issuer,
            signing_key=ring.signing,
            verification_keys=ring.verification,
            audiences=audiences,
            jwks_uri=options.jwks_uri,
            expiration_s_max=options.token_expiration_s_max,
            extend_expiration=options.extend_token_expiration,
            clock=clock,
        )
    proxy, certificate = _by_certificate(options, clock)
    told = options.request_header
    proxied = [name.lower() for name in told.username_headers] if told is not None else []

    def recognise(request: Request) -> User | None:
        for name in proxied:
            if name in request.headers:
                return None
        try:
            return certificate.identify(request) or bearer.recall(request)
        except Unauthorized:
            return None  # The chain finds out what is to be said of it.

    def done(headers: Headers) -> None:
        # Nobody behind this may act on credentials, nor be told whom a client would like to be.
        if "authorization" in headers:
            headers.remove("authorization")
        if proxy is not None:
            proxy.clear(headers)

    authenticators = (*([proxy] if proxy is not None else ()), certificate, bearer)
    return Authentication(
        authenticator=Union(authenticators, recognise, done),
        token_issuer=issuer,
        recognise=recognise,
        answers=reviews.answers(bearer, clock=clock),
        background=[*_following(ring, options, clock), *remote.background],
        writing=[last_used.run],
    )


def _following(ring: KeyRing, options: Options, clock: Clock) -> Sequence[Background]:
    files, signing = options.key_files, options.signing_key_file
    if not files and not signing:
        return ()
    return [lambda: follow(ring, files, signing, clock=clock, seen=options.keys_stamp)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Remote:
    """Those who ask others, or compute much; they come last."""

    authenticators: Sequence[TokenAuthenticator] = ()
    background: Sequence[Background] = ()


def _remote(options: Options, clock: Clock, registry: Registry, audiences: Sequence[str]) -> _Remote:
    if options.jwt is None and options.webhook is None:
        return _Remote()
    from podium.apiserver.authn.token_cache import CachedTokenAuthenticator, TokenCacheMetrics  # noqa: PLC0415

    metrics = TokenCacheMetrics(registry)
    asked: list[TokenAuthenticator] = []
    background: list[Background] = []
    service = None
    if options.jwt is not None:
        from podium.apiserver.authn.oidc.metrics import JwtMetrics  # noqa: PLC0415
        from podium.apiserver.authn.oidc.service import JwtService  # noqa: PLC0415

        service = JwtService(options.jwt, JwtMetrics(registry, clock=clock), clock)
        asked.append(service.authenticators)
        background.append(service.run)
    if options.webhook is not None:
        from podium.apiserver.authn.webhook import WebhookAuthenticator  # noqa: PLC0415

        webhook = WebhookAuthenticator(options.webhook, audiences=audiences, clock=clock)
        ttl_s = options.webhook.cache_ttl_s
        asked.append(
            CachedTokenAuthenticator(
                webhook, success_ttl_s=ttl_s, failure_ttl_s=ttl_s, clock=clock, metrics=metrics, errors=False
            )
        )
        background.append(webhook.run)
    cached = CachedTokenAuthenticator(
        TokenUnion(asked, audiences),
        success_ttl_s=SUCCESS_TTL_S,
        failure_ttl_s=0.0,
        clock=clock,
        metrics=metrics,
    )
    if service is not None:
        service.changed = cached.forget
    return _Remote(authenticators=[cached], background=background)


def _by_certificate(
    options: Options, clock: Clock
) -> tuple[RequestHeaderAuthenticator | None, CertificateAuthenticator]:
    """Return those that go by the client's certificate: of front proxies, where there are any, of clients."""
    headers = options.request_header
    if headers is None:
        return None, CertificateAuthenticator(clock=clock)
    from podium.apiserver.authn.request_header import RequestHeaderAuthenticator  # noqa: PLC0415

    proxies = Authorities(headers.client_ca, options.client_ca)
    clients = Authorities(options.client_ca, headers.client_ca)
    return (
        RequestHeaderAuthenticator(headers, proxies, clock=clock),
        CertificateAuthenticator(authorities=clients, clock=clock),
    )
