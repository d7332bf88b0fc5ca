"""A component's own little server: health for everybody, the rest for who may read it.

Who asks is told by a client certificate or a bearer token, or is anonymous; the API server says whose a token
is (TokenReview) and whether that user may (SubjectAccessReview), as upstream's delegated authentication and
authorization do. Certificates are judged by `identify`, which the composition root gives.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import orjson

from podium.base.clock import Clock, WallClock
from podium.base.http.message import Headers, Request, Response
from podium.base.log import Log
from podium.base.metrics import CONTENT_TYPE, Registry
from podium.client.client import Client
from podium.machinery.errors import ApiError, Forbidden, InternalError, Object, Unauthorized
from podium.resources.authentication.tokenreviews import TOKENREVIEWS
from podium.resources.authorization.subjectaccessreviews import SUBJECTACCESSREVIEWS
from podium.runtime.health import Checks

HEALTH = ("healthz", "livez", "readyz")
ALWAYS_ALLOWED = tuple(f"/{kind}" for kind in HEALTH)
DECISIONS_MAX = 256
DECISION_KEPT_S = 10.0

_log = Log("podium.serving")


@dataclass(frozen=True, slots=True, kw_only=True)
class Who:
    """Who asks."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


ANONYMOUS = Who(name="system:anonymous", groups=("system:unauthenticated",))
Identify = Callable[[Request], Awaitable[Who | None]]
"""Tell whom the request's certificate names, None when it has none. Raises Unauthorized."""
Page = Callable[[Request], Response]


async def _nobody(_request: Request) -> Who | None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Who may read what."""

    identify: Identify = _nobody
    token_kept_s: float = DECISION_KEPT_S
    """How long it is remembered whose a token is."""
    allowed_kept_s: float = DECISION_KEPT_S
    """How long it is remembered that somebody may."""
    denied_kept_s: float = DECISION_KEPT_S
    """How long it is remembered that somebody may not."""
    always_allowed: Sequence[str] = ALWAYS_ALLOWED
    """Paths that everybody may read; with a `*` at the end, all that begin so."""
    token_client: Client | None = None
    """In whose name tokens are reviewed, where not in the component's own."""
    access_client: Client | None = None
    """In whose name access is reviewed."""


class ComponentServer:
    """Answers the requests."""

    def __init__(
        self,
        registry: Registry,
        client: Client,
        *,
        clock: Clock | None = None,
        checks: Checks | None = None,
        access: Access | None = None,
    ) -> None:
        self._registry = registry
        self._access = access or Access()
        self._token_client = self._access.token_client or client
        self._access_client = self._access.access_client or client
        clock = clock or WallClock()
        self._checks = checks or Checks()
        self._pages: dict[str, Page] = {"/metrics": self._metrics}
        self._tokens: _Kept[str, Who | None] = _Kept(clock)
        self._decisions: _Kept[tuple[str, str, str], bool] = _Kept(clock)

    def add_page(self, path: str, page: Page) -> None:
        self._pages[path] = page

    def add_document(self, path: str, make: Callable[[], Object]) -> None:
        """Serve what `make` returns, as JSON."""
        headers = (("content-type", "application/json"),)
        self.add_page(path, lambda _request: Response(headers=Headers(headers), body=orjson.dumps(make())))

    def paths(self) -> list[str]:
        return [*self._pages, *ALWAYS_ALLOWED]

    async def handler(self, request: Request) -> Response:
        path = request.path.rstrip("/") or "/"
        try:
            await self._authorize(request, path)
            return self._answer(request, path)
        except ApiError as error:
            headers = Headers((("content-type", "application/json"),))
            return Response(status=error.code, headers=headers, body=orjson.dumps(error.status()))

    def _answer(self, request: Request, path: str) -> Response:
        if request.method not in ("GET", "HEAD"):
            return _text("Method Not Allowed\n", 405)
        if path in self._pages:
            return self._pages[path](request)
        kind, _, only = path[1:].partition("/")
        page = self._checks.page(kind, only, request.query) if kind in HEALTH else None
        if page is None:
            return _text("404 page not found\n", 404)
        status, text = page
        return _text(text, status)

    def _metrics(self, _request: Request) -> Response:
        headers = Headers((("content-type", CONTENT_TYPE),))
        return Response(headers=headers, body=self._registry.text())

    # Who may

    async def _authorize(self, request: Request, path: str) -> None:
        """Raises Unauthorized, Forbidden, or InternalError when nobody can tell."""
        if self._is_open(path):
            return
        try:
            who = await self._identify(request)
            verb = {"GET": "get", "HEAD": "head", "PUT": "put", "POST": "post"}.get(request.method, "delete")
            allowed = await self._may(who, verb, path)
        except Unauthorized:
            raise
        except (ApiError, ConnectionError, TimeoutError, OSError) as error:
            _log.warning("cannot decide about a request", path=path, error=repr(error))
            raise InternalError("Internal error") from error
        if not allowed:
            raise Forbidden.to("", "", "", f'User "{who.name}" cannot {verb} path "{path}"')

    def _is_open(self, path: str) -> bool:
        return any(
            path.startswith(open[:-1]) if open.endswith("*") else path == open
            for open in self._access.always_allowed
        )

    async def _identify(self, request: Request) -> Who:
        who = await self._access.identify(request)
        if who is not None:
            return who
        scheme, _, token = request.headers.get("authorization").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            return ANONYMOUS
        token = token.strip()
        found = self._tokens.get(token)
        if found is None:
            found = (await self._review(token),)
            self._tokens.keep(token, found[0], self._access.token_kept_s)
        if found[0] is None:
            raise Unauthorized()
        return found[0]

    async def _review(self, token: str) -> Who | None:
        review = await self._token_client.create(TOKENREVIEWS, {"spec": {"token": token}})
        status = review.get("status") or {}
        if not status.get("authenticated"):
            return None
        user = status.get("user") or {}
        return Who(
            name=user.get("username", ""),
            uid=user.get("uid", ""),
            groups=tuple(user.get("groups") or ()),
            extra={key: tuple(values) for key, values in (user.get("extra") or {}).items()},
        )

    async def _may(self, who: Who, verb: str, path: str) -> bool:
        key = (repr(who), verb, path)
        known = self._decisions.get(key)
        if known is not None:
            return known[0]
        spec = {
            "user": who.name,
            "uid": who.uid,
            "groups": list(who.groups),
            "extra": {key: list(values) for key, values in who.extra.items()},
            "nonResourceAttributes": {"path": path, "verb": verb},
        }
        answer = await self._access_client.create(SUBJECTACCESSREVIEWS, {"spec": spec})
        allowed = bool((answer.get("status") or {}).get("allowed"))
        access = self._access
        self._decisions.keep(key, allowed, access.allowed_kept_s if allowed else access.denied_kept_s)
        return allowed


K = TypeVar("K")
V = TypeVar("V")


class _Kept(Generic[K, V]):
    """Answers that are good for a while."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._answers: OrderedDict[K, tuple[float, V]] = OrderedDict()

    def get(self, key: K) -> tuple[V] | None:
        known = self._answers.get(key)
        return (known[1],) if known is not None and known[0] > self._clock.monotonic_s() else None

    def keep(self, key: K, value: V, seconds: float) -> None:
        self._answers[key] = (self._clock.monotonic_s() + seconds, value)
        self._answers.move_to_end(key)
        if len(self._answers) > DECISIONS_MAX:
            self._answers.popitem(last=False)


def _text(body: str, status: int) -> Response:
    headers = Headers((("content-type", "text/plain; charset=utf-8"), ("x-content-type-options", "nosniff")))
    return Response(status=status, headers=headers, body=body.encode())
