"""The TLS that kube-apiserver serves with, made of files, and made anew when they change."""

from __future__ import annotations

import re
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from podium.base.clock import Clock
from podium.base.file_changes import Stamp, follow, stamp
from podium.base.http.door import Contexts
from podium.base.log import Log

_DOMAIN = re.compile(r"(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_ADDRESS = re.compile(r"[0-9.]+|.*:.*")

_log = Log("kube-apiserver")


@dataclass(frozen=True, slots=True, kw_only=True)
class PairFiles:
    """The files of a certificate and its key, and for whom they are: no names mean the certificate's."""

    certificate: str
    key: str
    names: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingFiles:
    """What the flags say."""

    pair: PairFiles
    named: Sequence[PairFiles] = ()
    """`--tls-sni-cert-key`: the first that names a host wins."""
    authorities: Sequence[str] = ()
    """Of clients' certificates."""
    minimum_version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2
    ciphers: str = ""
    """OpenSSL's names; "" leaves only TLS 1.3."""

    def paths(self) -> list[str]:
        pairs = [path for pair in (self.pair, *self.named) for path in (pair.certificate, pair.key)]
        return [*pairs, *self.authorities]


def contexts(files: ServingFiles) -> Contexts:
    """Read the files. Raises ValueError that says what is wrong with which of them.

    A session, which carries a client's verified certificate, cannot go on in other contexts than those it was
    begun in: it does not outlive the authorities it was verified by.
    """
    default = _context(files, files.pair)
    if not files.named:
        return Contexts(default)
    by_name: dict[str, ssl.SSLContext] = {}
    extracted: dict[str, ssl.SSLContext] = {}
    made = [default]
    for pair in files.named:
        context = _context(files, pair)
        made.append(context)
        for name in pair.names:
            by_name.setdefault(name.rstrip(".").lower(), context)
        for name in () if pair.names else _names_of(pair.certificate):
            extracted.setdefault(name.lower(), context)
    names = {**extracted, **by_name}
    for context in made:
        context.sni_callback = partial(_choose, names, default)
    return Contexts(default, {name: names[name] for name in names if _ADDRESS.fullmatch(name)})


def _choose(
    names: dict[str, ssl.SSLContext],
    default: ssl.SSLContext,
    connection: Any,
    name: str | None,
    _context: ssl.SSLContext,
) -> None:
    """Serve the certificate of the name that a client asks for; without a name, what it has already."""
    if not name:
        return
    labels = name.rstrip(".").lower().split(".")
    # "a.b.c", then "*.b.c", then "*.*.c", as Go.
    candidates = (".".join(("*",) * count + tuple(labels[count:])) for count in range(len(labels) + 1))
    connection.context = next((names[one] for one in candidates if one in names), default)


def _context(files: ServingFiles, pair: PairFiles) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = files.minimum_version
    if files.ciphers:
        context.set_ciphers(files.ciphers)
    else:
        context.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        context.load_cert_chain(pair.certificate, pair.key)
    except OSError as error:  # ssl.SSLError too
        raise ValueError(f"{pair.certificate}, {pair.key}: no certificate with its key: {error}") from None
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    if files.authorities:
        context.verify_mode = ssl.CERT_OPTIONAL
    for authorities in files.authorities:
        try:
            context.load_verify_locations(authorities)
        except OSError as error:
            raise ValueError(f"{authorities}: no certificates: {error}") from None
    return context


def _names_of(path: str) -> list[str]:
    """Return the hosts that a certificate is for. IP addresses are no names that a client may ask for."""
    from cryptography import x509  # noqa: PLC0415
    from cryptography.x509.oid import NameOID  # noqa: PLC0415

    with open(path, "rb") as file:  # noqa: PTH123 - one name less to import on the way to every start
        certificate = x509.load_pem_x509_certificate(file.read())
    common = [str(one.value) for one in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    names = [
        name
        for name in common
        if name == "*" or (_DOMAIN.fullmatch(name) and not re.fullmatch(r"[0-9.]+", name))
    ]
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return names
    return [*names, *found.get_values_for_type(x509.DNSName)]


@dataclass(slots=True, kw_only=True)
class Following:
    """Makes the contexts anew when one of their files has changed."""

    files: ServingFiles
    replace: Callable[[Contexts, bool], Awaitable[None]]
    """Takes the new contexts, and whether it is the authorities that have changed."""
    seen: Stamp = field(init=False)
    _authorities: Stamp = field(init=False)
    _complained: bool = False

    def __post_init__(self) -> None:
        self.seen = stamp(self.files.paths())
        self._authorities = stamp(self.files.authorities)

    async def run(self, clock: Clock) -> None:
        """For ever. Files that do not fit together leave things as they are, until they do."""
        await follow(self.files.paths(), self._changed, clock=clock, seen=self.seen)

    async def _changed(self) -> bool:
        authorities = stamp(self.files.authorities)
        try:
            made = contexts(self.files)
        except (OSError, ValueError) as error:
            # Most likely somebody is between replacing a certificate and replacing its key.
            if not self._complained:
                _log.warning("the certificates stay as they were", error=error)
            self._complained = True
            return False
        self._complained = False
        _log.info("certificates have changed")
        await self.replace(made, authorities != self._authorities)
        self._authorities = authorities
        return True
