"""The seams of the API server's handler chain: what one stop hands to the next, and what each stop may ask.

    panic guard -> request info -> authn -> impersonation -> authz -> verb (-> admission -> registry -> store)

`apiserver/server.py` composes the chain; `authn/`, `authz/` and `admission/` implement the protocols of this
file and import nothing else of the API server. Everything here is a value or a protocol.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from podium.base.http.message import Request
from podium.machinery.errors import Object
from podium.machinery.labels import Requirement
from podium.machinery.resource import Resource

if TYPE_CHECKING:
    from podium.apiserver.admission.metrics import AdmissionMetrics
    from podium.apiserver.webhook_client import WebhookClient
    from podium.base.metrics import Registry as MetricsRegistry

ANONYMOUS = "system:anonymous"
ALL_AUTHENTICATED = "system:authenticated"
ALL_UNAUTHENTICATED = "system:unauthenticated"
MASTERS = "system:masters"
LOOPBACK_USER = "system:apiserver"
"""Whom the API server is when it calls itself (bootstrap, namespaces made at start)."""


# --- who asks for what


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """An identity, as an authenticator found it or as an impersonator asked for it."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What selectors require of the objects that a request is about; whatever else they say is not known.

    Requirements narrow, so that one that is missing makes a decision no wider than it has to be.
    """

    fields: tuple[tuple[str, str, str], ...] = ()
    """(path, `=` or `!=`, value)"""
    labels: tuple[Requirement, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestInfo:
    """What a request asks for, read from its method, path and query alone (upstream's RequestInfo).

    For a resource request `verb` is one of get, list, watch, create, update, patch, delete,
    deletecollection; for any other path it is the HTTP method in lower case and only `path` is set.
    """

    verb: str
    path: str
    is_resource: bool = False
    api_prefix: str = ""
    """`api` or `apis` for resource requests."""
    api_group: str = ""
    api_version: str = ""
    namespace: str = ""
    resource: str = ""
    """The plural as it stands in the path, whether or not such a resource exists."""
    subresource: str = ""
    name: str = ""
    label_selector: str = ""
    field_selector: str = ""
    selection: Selection | None = None
    """What the selectors require, where that did not come as text."""
    parts: tuple[str, ...] = ()
    """The path's segments from the resource on: `("pods", "a", "proxy", "x")`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """An authorizer's word: it allows, denies, or has no opinion and leaves it to those behind it.

    `reason` is shown to the client when access is denied. `error` is what kept the authorizer from a better
    decision; with it, a request that nobody allows fails rather than being forbidden.
    """

    allowed: bool
    denied: bool = False
    """Nobody else is asked."""
    reason: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldRules:
    """The rules that a user holds in a namespace, as far as they can be told."""

    rules: tuple[Object, ...] = ()
    incomplete: bool = False
    errors: tuple[str, ...] = ()


class Authenticator(Protocol):
    """Finds out who sent a request."""

    async def authenticate(self, request: Request) -> User | None:
        """Return who sent `request`; None when it bears no credentials that this authenticator knows.

        Raises `Unauthorized` when it bears credentials that are wrong. The chain turns None into the
        anonymous user where anonymous requests are allowed, else into `Unauthorized`; implementations add
        `system:authenticated` to the groups of a user they return.
        """
        ...


class Authorizer(Protocol):
    """Decides whether a user may do what a request asks for."""

    async def authorize(self, user: User, info: RequestInfo) -> Decision:
        """Return the decision. Never raises for a denial; must be fast: every request passes here."""
        ...


class Impersonator(Protocol):
    """Acts on the `Impersonate-*` headers."""

    async def impersonate(self, user: User, request: Request, info: RequestInfo) -> User:
        """Return whom the rest of the chain shall see: `user` itself when no impersonation is asked for.

        Raises `Forbidden` when `user` may not impersonate, `BadRequest`-like errors for senseless headers.
        """
        ...


class AuditRecord(Protocol):
    """What is kept of one request for the audit log; `Request.audit` while it is worked on."""

    annotations: dict[str, str]

    @property
    def wants_requests(self) -> bool:
        """Whether events hold what clients send, and notes that quote it."""
        ...

    def took(self, stop: str, elapsed_s: float) -> None:
        """Add to the time that a stop of the chain has cost."""
        ...


# --- admission

Operation = Literal["CREATE", "UPDATE", "DELETE", "CONNECT"]


@dataclass(slots=True, kw_only=True)
class Attributes:
    """One write on its way to the store, as admission sees it. Plugins change `object`, and nothing else."""

    operation: Operation
    resource: Resource
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    """Empty for a create whose name is still to be generated."""
    object: Object | None
    """What is to be written, already decoded and defaulted; None for DELETE. Admitting plugins change it in
    place. For a subresource with a kind of its own (Binding, Eviction, TokenRequest, Scale) it is that kind's
    object; for CONNECT the options."""
    old_object: Object | None = None
    """What is stored now (UPDATE, DELETE); read-only."""
    options: Object = field(default_factory=dict)
    """CreateOptions, UpdateOptions, PatchOptions or DeleteOptions."""
    user: User
    dry_run: bool = False
    warnings: list[str] = field(default_factory=list)
    """Texts that go to the client as Warning headers."""
    annotations: dict[str, str] = field(default_factory=dict)
    """What plugins leave for the audit log, by qualified name; the first word stands."""
    audit: AuditRecord | None = None
    """What the audit log keeps of the request; None: nothing."""
    host: Host | None = None
    """What the server does for plugins that need other versions of the object."""
    reinvocation: Reinvocation | None = None
    """Made by the first plugin that may want the others to look again."""

    def annotate(self, key: str, value: str) -> None:
        """Leave a note for the audit log; what has been said under `key` stays."""
        self.annotations.setdefault(key, value)

    def warn(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings.append(text)


@dataclass(slots=True, kw_only=True)
class Reinvocation:
    """Whether the admitting plugins are asked a second time, because the object has changed behind some."""

    again: bool = False
    """This is the second time."""
    wanted: bool = False
    values: dict[str, Any] = field(default_factory=dict)
    """What each plugin remembers from the first time, by its name."""

    @staticmethod
    def of(attributes: Attributes) -> Reinvocation:
        if attributes.reinvocation is None:
            attributes.reinvocation = Reinvocation()
        return attributes.reinvocation


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind in one version of its group."""

    group: str
    version: str
    kind: str

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version


class Host(Protocol):
    """What the API server does for admission plugins, beyond reading."""

    @property
    def metrics(self) -> AdmissionMetrics | None: ...

    @property
    def webhooks(self) -> WebhookClient: ...

    def equivalents(self, resource: Resource, subresource: str) -> Sequence[Resource]:
        """Return every resource that shows the same objects, `resource` itself among them, where it has the
        subresource."""
        ...

    def kind_of(self, resource: Resource, subresource: str) -> Kind:
        """Return the kind that a resource, or a subresource with a kind of its own, bears."""
        ...

    async def convert(self, obj: Object, source: Resource, target: Resource) -> Object:
        """Return `obj` in the version of `target`. Raises `ApiError` when a conversion webhook fails."""
        ...

    def complete(self, obj: Object, resource: Resource) -> Sequence[str]:
        """Prune and default `obj`, in place, after something has changed it; return the paths of unknown
        fields. Raises ValueError for values of the wrong type."""
        ...

    def merged(self, obj: Object, config: Object, resource: Resource) -> Object:
        """Return `obj` with an apply configuration merged into it. Raises ValueError."""
        ...

    def find_kind(self, api_version: str, kind: str) -> Resource | None:
        """Return the resource that serves a kind; None when nobody does."""
        ...

    async def create(self, resource: Resource, obj: Object) -> None:
        """Create an object of the cluster as the server itself. Raises `ApiError`."""
        ...

    async def objects(self, resource: Resource, namespace: str, name: str = "") -> Sequence[Object]:
        """Return the object of a name, or all of a namespace ("" for all there are), in the resource's
        version; shared and read-only."""
        ...


class AdmissionPlugin(Protocol):
    """One admission plugin. Both hooks are called for every write; a plugin looks away by returning."""

    name: str

    async def admit(self, attributes: Attributes) -> None:
        """Change `attributes.object` in place, or refuse by raising an `ApiError`. May run more than once for
        one request (an update is tried again after a conflict): it must be idempotent."""
        ...

    async def validate(self, attributes: Attributes) -> None:
        """Refuse by raising an `ApiError`. Sees the object as it will be stored."""
        ...


# --- reading the cluster, and writing to it


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewChange:
    """What happened to one object: `old` is None for a new one, `new` for a deleted one."""

    old: Object | None
    new: Object | None


class View(Protocol):
    """One resource as the watch cache holds it: everything acknowledged before the call is visible.

    Objects carry apiVersion, kind and metadata.resourceVersion; they are shared and read-only.
    """

    def get(self, namespace: str | None, name: str) -> Object | None: ...

    def list(self, namespace: str | None = None) -> Iterable[Object]:
        """Return the objects in key order, of one namespace or of all."""
        ...

    def subscribe(self, handler: Callable[[ViewChange], None]) -> None:
        """Call `handler` for each object there is, at once, and for each change from then on: in order, in
        the event loop, before the change is answered to its writer. It must not block or raise."""
        ...


class Reader(Protocol):
    """Reads cluster state from the watch caches, without HTTP and without asking anybody."""

    def cached(self, resource: Resource) -> View:
        """Return the view of a stored resource. May be called before the server has started; the view is
        empty until then."""
        ...


class Writer(Protocol):
    """Writes to the cluster as the API server itself."""

    async def merge(self, resource: Resource, namespace: str, name: str, patch: Object) -> None:
        """Apply a JSON merge patch to an object. Raises `ApiError`."""
        ...


# --- answers by functions


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A create of a kind that is not stored (SubjectAccessReview, TokenReview, SelfSubjectReview, ...)."""

    resource: Resource
    namespace: str
    object: Object
    """Decoded and defaulted; a copy of its own that the answer may extend."""
    user: User


Answer = Callable[[Question], Awaitable[Object]]
"""Return the object with its status. Raises `ApiError`, e.g. `Invalid` for a senseless spec."""

Answers = Mapping[str, Answer]
"""By `Resource.group_plural`: `subjectaccessreviews.authorization.k8s.io`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedToken:
    token: str
    expiration: str
    """RFC 3339."""
    token_id: str = ""
    """The token's claim `jti`."""


class TokenIssuer(Protocol):
    """Signs service-account tokens for the TokenRequest subresource."""

    async def issue(
        self,
        service_account: Object,
        *,
        audiences: Sequence[str],
        expiration_s: int,
        bound: Object | None,
        bound_node: Object | None = None,
    ) -> IssuedToken:
        """Return a token for `service_account`, bound to `bound` (a Pod, Secret or Node; None: unbound).

        `bound_node` is the Node of a bound pod. No audiences means the API server's own.
        """
        ...

    @property
    def audiences(self) -> Sequence[str]:
        """The API server's own audiences; what TokenRequest fills in when none are asked for."""
        ...

    @property
    def expiration_s_max(self) -> int:
        """The longest that a token may be asked for; 0 where there is no limit."""
        ...

    @property
    def discoverable(self) -> bool:
        """Whether the documents below are served: the issuer's name is a URL to find them by."""
        ...

    def open_id_configuration(self) -> Object:
        """Return the document of /.well-known/openid-configuration."""
        ...

    def json_web_key_set(self) -> Object:
        """Return the document of /openid/v1/jwks."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Everything the access rooms contribute to one API server."""

    authenticator: Authenticator
    authorizer: Authorizer
    impersonator: Impersonator | None = None
    admission: Sequence[AdmissionPlugin] = ()
    """In the order of their calls; all `admit` run before the first `validate`."""
    answers: Answers = field(default_factory=dict)
    token_issuer: TokenIssuer | None = None
    recognise: Callable[[Request], User | None] = lambda _request: None
    """Return who sent a request where that can be said at once, as the authenticator would; None where it may
    have to wait, or to refuse. The request stays as it is."""
    permits: Callable[[User, RequestInfo], bool] = lambda _user, _info: False
    """Whether a user may, where that can be said at once; what is not permitted, the authorizer decides."""
    anonymous: bool = True
    """Requests without credentials are `system:anonymous`; otherwise they are Unauthorized."""
    anonymous_paths: Sequence[str] = ()
    """Where alone they may be anonymous; empty: at all paths."""
    background: Sequence[Callable[[], Coroutine[Any, Any, None]]] = ()
    """What runs as long as the server does: each waits for ever, and tidies up when it is cancelled."""
    writing: Sequence[Callable[[Writer], Coroutine[Any, Any, None]]] = ()
    """As `background`, for what also writes."""


class AccessFactory(Protocol):
    """Composes access control."""

    def __call__(self, reader: Reader, registry: MetricsRegistry | None = None) -> Access:
        """The server calls it once, before it starts, with the reader of its own caches and the registry of
        what it counts."""
        ...
