"""WebSocket messages over a raw connection, on either side (RFC 6455; framing by wsproto)."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from podium.base.http.message import Headers, HttpError, RawConnection, Request

if TYPE_CHECKING:
    from podium.base.http.client import HttpTransport

MESSAGE_BYTES_MAX = 4 * 1024 * 1024
PARTS_MAX = 256
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TOO_BIG = 1009


def is_websocket(headers: Headers) -> bool:
    """Whether a request asks for a WebSocket."""
    return "upgrade" in headers.tokens("connection") and "websocket" in headers.tokens("upgrade")


def offered_protocols(headers: Headers) -> list[str]:
    """Return the subprotocols of a request, in its order, as spelled."""
    values = headers.get_all("sec-websocket-protocol")
    return [p.strip() for value in values for p in value.split(",") if p.strip()]


def accept_headers(request: Request, protocol: str = "") -> Headers:
    """Return the headers of the 101 that accepts `request`. Raises HttpError when it is malformed."""
    headers, key = request.headers, request.headers.get("sec-websocket-key")
    try:
        whole = len(base64.b64decode(key, validate=True)) == 16
    except ValueError:
        whole = False
    if request.method != "GET" or not whole or headers.get("sec-websocket-version") != "13":
        raise HttpError(400, "BadRequest", "malformed WebSocket handshake")
    answer = Headers(
        [("upgrade", "websocket"), ("connection", "Upgrade"), ("sec-websocket-accept", _accept(key))]
    )
    if protocol:
        answer.add("sec-websocket-protocol", protocol)
    return answer


def _accept(key: str) -> str:
    return base64.b64encode(hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest()).decode()


class WebSocket:
    """Whole messages both ways. Pings are answered while somebody receives.

    Messages sent by several tasks do not mix: each is given to the connection at once.
    """

    def __init__(
        self,
        raw: RawConnection,
        *,
        server: bool,
        protocol: str = "",
        message_bytes_max: int = MESSAGE_BYTES_MAX,
    ) -> None:
        from wsproto import connection, events  # noqa: PLC0415 - most processes never need it

        self._raw = raw
        self._events = events
        side = connection.ConnectionType.SERVER if server else connection.ConnectionType.CLIENT
        self._framing = connection.Connection(side)
        self._message_bytes_max = message_bytes_max
        self._ready: list[bytes | str] = []
        self._parts: list[Any] = []
        self._size = 0
        self._closed = False
        self.protocol = protocol

    async def receive(self) -> bytes | str | None:
        """Return the next message, bytes or text as it was sent; None when the peer has closed."""
        while not self._ready:
            if self._closed:
                return None
            try:
                data = await self._raw.read()
            except ConnectionError:
                data = b""
            if not data:
                self._closed = True
                return None
            await self._take(data)
        return self._ready.pop(0)

    async def _take(self, data: bytes) -> None:
        from wsproto.utilities import ProtocolError  # noqa: PLC0415

        try:
            self._framing.receive_data(data)
            for event in self._framing.events():
                await self._event(event)
        except ProtocolError:
            await self.close(1002)

    async def _event(self, event: Any) -> None:
        events = self._events
        if isinstance(event, events.Message):
            self._size += len(event.data)
            if self._size > self._message_bytes_max:
                await self.close(_TOO_BIG)
                return
            self._parts.append(event.data)
            if len(self._parts) > PARTS_MAX:
                # Tiny fragments would cost many times their size.
                self._parts = ["".join(self._parts) if isinstance(event.data, str) else b"".join(self._parts)]
            if event.message_finished:
                text = isinstance(event, events.TextMessage)
                self._ready.append("".join(self._parts) if text else b"".join(self._parts))
                self._parts, self._size = [], 0
        elif isinstance(event, events.Ping):
            await self._raw.write(self._framing.send(event.response()))
        elif isinstance(event, events.CloseConnection) and not self._closed:
            self._closed = True
            with contextlib.suppress(ConnectionError):
                await self._raw.write(self._framing.send(event.response()))
            self._raw.close()

    async def send(self, message: bytes | str) -> None:
        """Send one message, waiting while the peer is slow. Raises ConnectionError when it is gone."""
        if self._closed:
            raise ConnectionResetError("the WebSocket is closed")
        events = self._events
        event = events.TextMessage(message) if isinstance(message, str) else events.BytesMessage(message)
        await self._raw.write(self._framing.send(event))

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Say good-bye, once, and close the connection."""
        if not self._closed:
            self._closed = True
            farewell = self._events.CloseConnection(code=code, reason=reason[:120])
            with contextlib.suppress(ConnectionError):
                await self._raw.write(self._framing.send(farewell))
        self._raw.close()


async def connect(
    transport: HttpTransport,
    target: str,
    *,
    protocols: Sequence[str] = (),
    headers: Sequence[tuple[str, str]] = (),
) -> WebSocket:
    """Open a WebSocket as a client. Raises HttpError with the server's status when it does not agree."""
    key = base64.b64encode(secrets.token_bytes(16)).decode()
    fields = [
        *headers,
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", key),
    ]
    if protocols:
        fields.append(("sec-websocket-protocol", ", ".join(protocols)))
    response, raw = await transport.upgrade("GET", target, headers=fields)
    if raw is None:
        try:
            message = (await response.read()).decode(errors="replace")
        finally:
            response.close()
        raise HttpError(response.status, "BadRequest", message)
    chosen = response.headers.get("sec-websocket-protocol")
    if response.headers.get("sec-websocket-accept") != _accept(key) or (chosen and chosen not in protocols):
        raw.close()
        raise ConnectionError("the server's WebSocket handshake is wrong")
    return WebSocket(raw, server=False, protocol=chosen)
