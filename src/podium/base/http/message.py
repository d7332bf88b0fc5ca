"""What travels over HTTP, for servers and clients alike: headers, requests, responses, raw connections."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import parse_qsl, unquote


class Headers:
    """An ordered list of header fields; names compare without regard to case."""

    __slots__ = ("_first", "_items")

    def __init__(self, items: Iterable[tuple[str, str]] = ()) -> None:
        self._items = [(name.lower(), value) for name, value in items]
        self._first: dict[str, str] | None = None
        """The first value of each name, once somebody has asked for one."""

    @classmethod
    def of_lower(cls, items: list[tuple[str, str]]) -> Headers:
        """Return headers that own `items`, whose names are in lower case already."""
        headers = cls.__new__(cls)
        headers._items = items
        headers._first = None
        return headers

    def get(self, name: str, default: str = "") -> str:
        """Return the first value of `name`."""
        if self._first is None:
            self._first = dict(reversed(self._items))
        return self._first.get(name.lower(), default)

    def get_all(self, name: str) -> list[str]:
        name = name.lower()
        return [value for key, value in self._items if key == name]

    def add(self, name: str, value: str) -> None:
        self._items.append((name.lower(), value))
        self._first = None

    def extend_lower(self, items: Iterable[tuple[str, str]]) -> None:
        """Add fields whose names are in lower case already."""
        self._items.extend(items)
        self._first = None

    def set(self, name: str, value: str) -> None:
        """Replace every value of `name` by one."""
        name = name.lower()
        self._items = [item for item in self._items if item[0] != name]
        self._items.append((name, value))
        self._first = None

    def remove(self, name: str) -> None:
        name = name.lower()
        self._items = [item for item in self._items if item[0] != name]
        self._first = None

    def tokens(self, name: str) -> list[str]:
        """Return the comma-separated elements of all values of `name`, in lower case."""
        return [t.strip().lower() for value in self.get_all(name) for t in value.split(",") if t.strip()]

    def __contains__(self, name: str) -> bool:
        if self._first is None:
            self._first = dict(reversed(self._items))
        return name.lower() in self._first

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        return f"Headers({self._items!r})"


class RawConnection(Protocol):
    """A connection after its upgrade: bytes both ways."""

    async def read(self) -> bytes:
        """Return the next bytes; b"" when the peer has closed its side."""
        ...

    async def write(self, data: bytes) -> None:
        """Send, waiting while the peer is slow. Raises ConnectionError when it is gone."""
        ...

    def close(self) -> None: ...


class StreamWriter(Protocol):
    """The body of a streamed response. Writes of one event-loop turn leave together."""

    def write(self, data: bytes) -> None:
        """Queue `data` for sending. Never blocks; look at `buffered_bytes` to judge a slow reader."""
        ...

    async def drain(self) -> None:
        """Return once the buffer is small again. Raises ConnectionError when the peer is gone."""
        ...

    @property
    def buffered_bytes(self) -> int: ...

    @property
    def closed(self) -> bool:
        """The peer is gone; further writes are dropped."""
        ...

    async def wait_closed(self) -> None:
        """Return when the peer is gone or the server is shutting down."""
        ...

    def abort(self) -> None:
        """Cut the connection (a reader too slow to keep)."""
        ...


BAD_ESCAPE = re.compile("%(?![0-9A-Fa-f]{2})")
"""A percent sign that two hexadecimal digits do not follow."""


def query_of(raw: str) -> dict[str, list[str]]:
    """Return the parameters of a query, each with all its values, in order.

    As Go has it, what is not written well is none of them.
    """
    values: dict[str, list[str]] = {}
    if raw:
        if ";" in raw or ("%" in raw and BAD_ESCAPE.search(raw)):
            raw = "&".join(one for one in raw.split("&") if ";" not in one and not BAD_ESCAPE.search(one))
        for key, value in parse_qsl(raw, keep_blank_values=True):
            values.setdefault(key, []).append(value)
    return values


BodyReader = Callable[[], Awaitable[bytes]]


async def _no_body() -> bytes:
    return b""


class HttpError(Exception):
    """A request that cannot be served as HTTP. Raised out of a handler, the server answers with `status`."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        """Kubernetes' word for it, as in `Status.reason`."""
        self.message = message


class BodyTooLarge(HttpError):
    """The request's body is longer than the server reads at once (413)."""

    def __init__(self, size_bytes_max: int) -> None:
        super().__init__(413, "RequestEntityTooLarge", f"Request entity too large: limit is {size_bytes_max}")


class Request:
    """One request as the server hands it to its handler."""

    __slots__ = (
        "__weakref__",
        "_query",
        "audit",
        "cancel",
        "gone",
        "headers",
        "method",
        "path",
        "peer_certificate",
        "raw_path",
        "raw_query",
        "read_body",
        "read_chunk",
        "remote",
        "target",
        "tls",
        "unsecured",
        "warnings",
    )

    def __init__(
        self,
        *,
        method: str,
        target: str,
        headers: Headers | None = None,
        read_body: BodyReader = _no_body,
        read_chunk: BodyReader = _no_body,
        peer_certificate: bytes | None = None,
        remote: str = "",
        tls: bool = True,
    ) -> None:
        self.method = method
        self.target = target
        """The request target as sent: path and query, still percent-encoded."""
        self.raw_path, _, self.raw_query = target.partition("?")
        self.path = unquote(self.raw_path) if "%" in target else self.raw_path
        self.headers = Headers() if headers is None else headers
        self.read_body = read_body
        """Read the whole body, once. Raises BodyTooLarge, HttpError, or ConnectionError when the peer is
        gone."""
        self.read_chunk = read_chunk
        """Instead of `read_body`: read the next piece of a body of any length; b"" at its end."""
        self.peer_certificate = peer_certificate
        """The verified client certificate as DER; None when none was presented."""
        self.remote = remote
        """The peer's address, `host:port`."""
        self.tls = tls
        self.unsecured = False
        """Set for what came by a port without access control: its sender is trusted with everything."""
        self.cancel: Callable[[], None] | None = None
        """Cancels whoever handles this request; None where nobody can tell."""
        self.gone: Callable[[], None] | None = None
        """Set by a handler that wants to be told when the peer leaves before it is answered."""
        self.audit: Any = None
        """The audit record of the request, where its handler keeps one."""
        self.warnings: tuple[str, ...] = ()
        """What the sender is to be told beside the answer."""
        self._query: dict[str, list[str]] | None = None

    @property
    def query(self) -> dict[str, list[str]]:
        """The query parameters, each with all its values, in order."""
        if self._query is None:
            self._query = query_of(self.raw_query)
        return self._query

    def parameter(self, name: str, default: str = "") -> str:
        """Return the first value of query parameter `name`."""
        values = self.query.get(name)
        return values[0] if values else default


@dataclass(slots=True, kw_only=True)
class Response:
    """What a handler answers. Exactly one of `body`, `stream` and `upgrade` carries the content."""

    status: int = 200
    headers: Headers = field(default_factory=Headers)
    body: bytes | Sequence[bytes] = b""
    """The content; a sequence is sent joined, without copying it first."""
    stream: Callable[[StreamWriter], Awaitable[None]] | None = None
    """Writes a body of unknown length (chunked); the body ends when it returns."""
    upgrade: Callable[[RawConnection], Awaitable[None]] | None = None
    """With status 101: takes over the connection after the head is sent, until it returns."""
    sent: Callable[[], None] | None = None
    """Called when a long body, or one of several parts, has been sent, or can no longer be."""


Handler = Callable[[Request], Awaitable[Response]]
