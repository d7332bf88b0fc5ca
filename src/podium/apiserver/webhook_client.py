"""Calls webhooks: admission and conversion of custom resources post JSON to a URL or to a Service.

A webhook that cannot be reached, takes too long, or answers anything but a success in JSON is a `CallFailed`
with upstream's text. Connections are kept, for each address, name and set of authorities. Redirects are not
followed: a webhook answers itself. Upstream: apiserver/pkg/util/webhook and client-go/rest.
"""

from __future__ import annotations

import asyncio
import binascii
import errno
import math
import socket
import ssl
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

import orjson

from podium.apiserver.streaming.service_resolver import Address, Unresolvable, server_name
from podium.base.http.client import HttpResponse, HttpTransport
from podium.base.tasks import in_task
from podium.client.kubeconfig import Connection, TokenFile, load_pair
from podium.machinery.errors import Object

TRANSPORTS_MAX = 200
CONNECTIONS_MAX = 64
ANSWER_BYTES_MAX = 8 * 1024 * 1024
"""More than the largest object as a patch in base64."""
SHOWN_BYTES_MAX = 1024
"""So much of an error's text goes into a message."""
DEFAULT_PORT = 443

_HEADERS = [("content-type", "application/json"), ("accept", "application/json, */*")]

Resolve = Callable[[str, str, int], Address]
"""(namespace, name, port) of a Service -> where to connect to. Raises `Unresolvable`."""

_MEANINGS = {
    400: "the server rejected our request for an unknown reason",
    401: "the server has asked for the client to provide credentials",
    404: "the server could not find the requested resource",
    405: "the server does not allow this method on the requested resource",
    409: "the server reported a conflict",
    422: "the server rejected our request due to an error in our request",
    429: "the server has received too many requests and has asked us to try again later",
    503: "the server is currently unable to handle the request",
    504: "the server was unable to return a response in the time allotted, but may still be processing the "
    "request",
}
"""How upstream's client puts an error status into words."""

_CERTIFICATE_FAULTS = {
    10: "x509: certificate has expired or is not yet valid",
    18: "x509: certificate signed by unknown authority",
    19: "x509: certificate signed by unknown authority",
    20: "x509: certificate signed by unknown authority",
    21: "x509: certificate signed by unknown authority",
}
"""OpenSSL's verdicts in upstream's words."""


class CallFailed(Exception):
    """No answer that could be used. `code` is the HTTP status that metrics tell of it."""

    def __init__(self, text: str, code: int = 503) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a webhook is reached."""

    url: str
    """As messages show it."""
    connect: str
    path: str
    server_name: str


class WebhookClient:
    """One for a server; `resolve` says where Services are."""

    def __init__(self, resolve: Resolve) -> None:
        self._resolve = resolve
        self._transports: OrderedDict[tuple[str, str, str, Connection | None], HttpTransport] = OrderedDict()

    async def post(
        self, config: Object, body: bytes, *, timeout_s: float, identity: Connection | None = None
    ) -> bytes:
        """Return the answer to `body` of the webhook that a `clientConfig` describes. Raises `CallFailed`.

        Of `identity` only certificate, key and token count: who the server is to the webhook.
        """
        query = f"?timeout={math.ceil(timeout_s)}s"
        shown = f'Post "{_shown_url(config)}{query}"'
        try:
            target = self._target(config)
        except CallFailed as error:
            raise CallFailed(f"{shown}: {error}") from None
        await in_task()
        try:
            async with asyncio.timeout(timeout_s):
                return await self._exchange(target, config.get("caBundle") or "", identity, query, body)
        except TimeoutError:
            raise CallFailed(f"{shown}: context deadline exceeded") from None
        except ConnectionError as error:
            raise CallFailed(f"{shown}: {reason(error, target.connect)}") from None

    async def _exchange(
        self, target: Target, bundle: str, identity: Connection | None, query: str, body: bytes
    ) -> bytes:
        return await exchange(self._transport(target, bundle, identity), target.path + query, body)

    def _transport(self, target: Target, bundle: str, identity: Connection | None) -> HttpTransport:
        key = (target.connect, target.server_name, bundle, identity)
        found = self._transports.get(key)
        if found is None:
            self._make_room()
            found = self._transports[key] = HttpTransport(
                target.connect,
                ssl_context=_context(bundle, identity) if target.connect.startswith("https:") else None,
                token=_token(identity),
                connections_max=CONNECTIONS_MAX,
                server_hostname=target.server_name,
            )
        self._transports.move_to_end(key)
        return found

    def _make_room(self) -> None:
        if len(self._transports) >= TRANSPORTS_MAX:
            for key in [k for k, t in self._transports.items() if not t.in_use][: TRANSPORTS_MAX // 4]:
                self._transports.pop(key).close_idle()

    async def close(self) -> None:
        for transport in self._transports.values():
            await transport.close()
        self._transports.clear()

    def _target(self, config: Object) -> Target:
        url = config.get("url")
        if url:
            parts = urlsplit(url)
            return Target(
                url=url,
                connect=f"{parts.scheme}://{parts.netloc}",
                path=parts.path or "/",
                server_name=parts.hostname or "",
            )
        service = config.get("service") or {}
        name, namespace = service.get("name") or "", service.get("namespace") or ""
        try:
            address = self._resolve(namespace, name, service.get("port") or DEFAULT_PORT)
        except Unresolvable as error:
            raise CallFailed(str(error)) from None
        return Target(
            url=_shown_url(config),
            connect=address.url,
            path=_path(service),
            server_name=server_name(namespace, name),
        )


def _shown_url(config: Object) -> str:
    url = config.get("url")
    if url:
        return str(url)
    service = config.get("service") or {}
    name = server_name(service.get("namespace") or "", service.get("name") or "")
    return f"https://{name}:{service.get('port') or DEFAULT_PORT}{_path(service)}"


def _path(service: Object) -> str:
    return "/" + str(service.get("path") or "").lstrip("/")


async def exchange(transport: HttpTransport, path: str, body: bytes) -> bytes:
    """Post `body`, return the answer. Raises ConnectionError, and `CallFailed` for an answer that is none."""
    try:
        return await _once(transport, path, body)
    except ConnectionResetError:
        # The webhook may have closed a kept connection just when it was used. Once more on a new one.
        transport.close_idle()
        return await _once(transport, path, body)


async def _once(transport: HttpTransport, path: str, body: bytes) -> bytes:
    async with transport.request("POST", path, headers=_HEADERS, body=body) as response:
        raw = await _read(response)
        status = response.status
    if not 200 <= status <= 206:
        raise CallFailed(_meaning(status, raw), status)
    return raw


async def _read(response: HttpResponse) -> bytes:
    parts, size = [], 0
    async for chunk in response.chunks():
        size += len(chunk)
        if size > ANSWER_BYTES_MAX:
            raise CallFailed(f"the answer is longer than {ANSWER_BYTES_MAX} bytes")
        parts.append(chunk)
    return b"".join(parts)


def _context(bundle: str, identity: Connection | None) -> ssl.SSLContext:
    try:
        authorities = binascii.a2b_base64(bundle).decode() if bundle else ""
        context = ssl.create_default_context(cadata=authorities or None)
    except (ssl.SSLError, ValueError):
        raise CallFailed(
            "unable to load root certificates: unable to parse bytes as PEM block", 500
        ) from None
    if identity is not None and identity.certificate:
        try:
            load_pair(context, identity.certificate, identity.key)
        except (ssl.SSLError, OSError) as error:
            raise CallFailed(f"unable to load the client certificate: {error}", 500) from None
    return context


def _token(identity: Connection | None) -> str | Callable[[], str]:
    if identity is None:
        return ""
    return TokenFile(identity.token_file) if identity.token_file else identity.token


def _meaning(status: int, raw: bytes) -> str:
    """Return what upstream's client says of an error: the server's own Status, or its code in words."""
    try:
        told = orjson.loads(raw)
    except orjson.JSONDecodeError:
        told = None
    if isinstance(told, dict) and told.get("kind") == "Status" and told.get("message"):
        return str(told["message"])
    text = raw[:SHOWN_BYTES_MAX].decode(errors="replace").strip()
    if status in (403, 406, 415) and text:
        return text
    if status in _MEANINGS:
        return _MEANINGS[status]
    if status >= 500:
        return f'an error on the server ("{text or "unknown"}") has prevented the request from succeeding'
    return f"the server responded with the status code {status} but did not return more information"


def reason(error: ConnectionError, url: str) -> str:
    """Return what Go's client says when no answer came from the server at `url`."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            told = _CERTIFICATE_FAULTS.get(cause.verify_code, cause.verify_message)
            return f"tls: failed to verify certificate: {told}"
        if isinstance(cause, socket.gaierror):
            return f"dial tcp: lookup {urlsplit(url).hostname}: no such host"
        refused = isinstance(cause, ConnectionRefusedError) or (
            isinstance(cause, OSError) and cause.errno == errno.ECONNREFUSED
        )
        if refused:
            address = urlsplit(url)
            return f"dial tcp {address.hostname}:{address.port or DEFAULT_PORT}: connect: connection refused"
        cause = cause.__cause__
    if isinstance(error, ConnectionResetError):
        return "EOF"
    return str(error)
