"""Connections to extension API servers: TLS as the APIService says, this server's front-proxy certificate."""

from __future__ import annotations

import contextlib
import ssl
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path

from podium.apiserver.aggregation.registration import Registration
from podium.apiserver.streaming.service_resolver import ServiceResolver, server_name
from podium.base.http.client import HttpTransport
from podium.base.log import Log

TRANSPORTS_MAX = 256

_log = Log("podium.apiserver.aggregation")


class Misconfigured(Exception):
    """No connection can be made with what the APIService or this server's flags say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyCertificate:
    """--proxy-client-cert-file and --proxy-client-key-file: by which extension servers know this server."""

    certificate_file: str = ""
    key_file: str = ""

    def stamp(self) -> tuple[int, ...]:
        """Return what changes when the files do."""
        with contextlib.suppress(OSError):
            return tuple(
                Path(path).stat().st_mtime_ns for path in (self.certificate_file, self.key_file) if path
            )
        return ()


@dataclass(slots=True, kw_only=True)
class _Backend:
    """One way to speak to one Service, and the connections to each of its addresses."""

    context: ssl.SSLContext
    transports: OrderedDict[str, HttpTransport] = field(default_factory=OrderedDict)


class Backends:
    """All backends of one API server."""

    def __init__(self, resolver: ServiceResolver, certificate: ProxyCertificate) -> None:
        self._resolver = resolver
        self._certificate = certificate
        self._stamp = certificate.stamp()
        self._known: dict[tuple[str, str, int, bytes, bool], _Backend] = {}

    def transport(self, wanted: Registration) -> HttpTransport:
        """Return the transport to one address of the backend. Raises `Unresolvable` and `Misconfigured`."""
        address = self._resolver.resolve(wanted.namespace, wanted.service, wanted.port)
        backend = self._known.get(wanted.backend)
        if backend is None:
            backend = self._known[wanted.backend] = _Backend(context=self._context(wanted))
        transport = backend.transports.get(address.url)
        if transport is None:
            _make_room(backend)
            transport = backend.transports[address.url] = HttpTransport(
                address.url,
                ssl_context=backend.context,
                server_hostname=server_name(wanted.namespace, wanted.service),
            )
        backend.transports.move_to_end(address.url)
        return transport

    def _context(self, wanted: Registration) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            if wanted.insecure:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            elif wanted.ca_pem:
                context.load_verify_locations(cadata=wanted.ca_pem.decode("ascii"))
            else:
                context.load_default_certs()
        except (ssl.SSLError, ValueError):
            raise Misconfigured(
                "unable to load root certificates: unable to parse bytes as PEM block"
            ) from None
        if self._certificate.certificate_file:
            try:
                context.load_cert_chain(self._certificate.certificate_file, self._certificate.key_file)
            except (ssl.SSLError, OSError) as error:
                raise Misconfigured(f"unable to load the proxy client certificate: {error}") from None
        return context

    def look_again(self) -> None:
        """Use the certificate's files anew if they have changed; open exchanges go on."""
        stamp = self._certificate.stamp()
        if stamp != self._stamp:
            _log.info("the proxy client certificate has changed")
            self._stamp = stamp
            for key in list(self._known):
                self._drop(key)

    def keep(self, wanted: set[tuple[str, str, int, bytes, bool]]) -> None:
        """Forget the backends that are in no registration any more."""
        for key in [key for key in self._known if key not in wanted]:
            self._drop(key)

    def _drop(self, key: tuple[str, str, int, bytes, bool]) -> None:
        for transport in self._known.pop(key).transports.values():
            transport.close_idle()

    async def close(self) -> None:
        for backend in self._known.values():
            for transport in backend.transports.values():
                await transport.close()
        self._known.clear()


def _make_room(backend: _Backend) -> None:
    if len(backend.transports) >= TRANSPORTS_MAX:
        idle = [url for url, transport in backend.transports.items() if not transport.in_use]
        for url in idle[: TRANSPORTS_MAX // 4]:
            backend.transports.pop(url).close_idle()
