"""Clients from kubeconfig files: what `kubectl config view` shows, read for one context.

Podium writes its own kubeconfigs as JSON, which is YAML too: reading one then needs no YAML parser, and a
component starts sooner.
"""

from __future__ import annotations

import base64
import binascii
import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from podium.base.clock import Clock, WallClock
from podium.base.http.client import HttpTransport
from podium.base.metrics import Registry
from podium.client.client import Client, Transport
from podium.client.measured import ClientMetrics, MeasuredTransport

TOKEN_REREAD_S = 10.0
"""How old a token read from a file may get: the kubelet rotates the files of service-account tokens."""


class KubeconfigError(ValueError):
    """A kubeconfig that cannot be used, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """One context of a kubeconfig, with everything that is needed to connect."""

    server: str
    ca: bytes = b""
    """PEM; empty means the system's authorities."""
    insecure: bool = False
    tls_server_name: str = ""
    certificate: bytes = b""
    key: bytes = b""
    token: str = ""
    token_file: str = ""
    namespace: str = "default"

    def ssl_context(self) -> ssl.SSLContext | None:
        """Return the TLS settings for this server and identity; None for plain http."""
        if not self.server.startswith("https:"):
            return None
        return client_ssl_context(
            ca=self.ca, certificate=self.certificate, key=self.key, insecure=self.insecure
        )

    def transport(self) -> HttpTransport:
        token: str | Callable[[], str] = TokenFile(self.token_file) if self.token_file else self.token
        return HttpTransport(
            self.server,
            ssl_context=self.ssl_context(),
            token=token,
            server_hostname=self.tls_server_name or None,
        )


class TokenFile:
    """A bearer token in a file that may change: read again when what was read is old."""

    def __init__(self, path: str, *, clock: Clock | None = None) -> None:
        self._path = Path(path)
        self._clock = clock or WallClock()
        self._token = ""
        self._read_at = float("-inf")

    def __call__(self) -> str:
        now = self._clock.monotonic_s()
        if now - self._read_at > TOKEN_REREAD_S:
            try:
                self._token = self._path.read_text(encoding="utf-8").strip()
            except OSError:
                # While a file is being replaced the old token is better than none.
                if not self._token:
                    raise
            self._read_at = now
        return self._token


def client_from_kubeconfig(
    path: str, *, user_agent: str, context: str = "", server: str = "", metrics: Registry | None = None
) -> Client:
    """Return a client for the current (or the named) context of the file. Raises KubeconfigError.

    `server` takes the place of the one in the file. With `metrics` it counts its requests there.
    """
    connection = load(path, context=context, server=server)
    transport: Transport = connection.transport()
    if metrics is not None:
        transport = MeasuredTransport(transport, ClientMetrics(metrics), connection.server)
    return Client(transport, user_agent=user_agent)


def transport_without_identity(path: str, *, server: str = "") -> HttpTransport:
    """Return what reaches the server of the file's current context and says nothing of who asks."""
    return replace(load(path, server=server), certificate=b"", key=b"", token="", token_file="").transport()


def load(path: str, *, context: str = "", server: str = "") -> Connection:
    """Read one context of a kubeconfig. Raises KubeconfigError.

    `server` takes the place of the one in the file; without a file it is all there is to know.
    """
    if server:
        connection = load(path, context=context) if path else Connection(server=server)
        return replace(connection, server=server)
    try:
        text = Path(path).read_bytes()
    except OSError as error:
        raise KubeconfigError(f"cannot read kubeconfig {path}: {error.strerror}") from error
    return parse(_decode(text, path), folder=Path(path).parent, context=context)


def _decode(text: bytes, path: str) -> dict[str, Any]:
    try:
        config = orjson.loads(text)
    except ValueError:
        import yaml  # noqa: PLC0415 - only for files that are not JSON

        try:
            config = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise KubeconfigError(f"kubeconfig {path} is neither JSON nor YAML: {error}") from error
    if not isinstance(config, dict):
        raise KubeconfigError(f"kubeconfig {path} holds no configuration")
    return config


def parse(config: dict[str, Any], *, folder: Path, context: str = "") -> Connection:
    """Return the connection that `config` describes; relative paths start at `folder`."""
    chosen = context or str(config.get("current-context") or "")
    if not chosen:
        raise KubeconfigError("the kubeconfig has no current-context")
    where = _named(config, "contexts", "context", chosen)
    cluster = _named(config, "clusters", "cluster", str(where.get("cluster") or ""))
    user = _named(config, "users", "user", str(where["user"])) if where.get("user") else {}
    server = str(cluster.get("server") or "")
    if not server:
        raise KubeconfigError(f'the cluster of context "{chosen}" has no server')
    for unsupported in ("exec", "auth-provider"):
        if user.get(unsupported):
            raise KubeconfigError(f'the user of context "{chosen}" needs a credential plugin ({unsupported})')
    token_file = str(user.get("tokenFile") or "")
    return Connection(
        server=server,
        ca=_material(cluster, "certificate-authority", folder),
        insecure=bool(cluster.get("insecure-skip-tls-verify")),
        tls_server_name=str(cluster.get("tls-server-name") or ""),
        certificate=_material(user, "client-certificate", folder),
        key=_material(user, "client-key", folder),
        token=str(user.get("token") or ""),
        token_file=str(folder / token_file) if token_file else "",
        namespace=str(where.get("namespace") or "default"),
    )


def _named(config: dict[str, Any], section: str, field: str, name: str) -> dict[str, Any]:
    for entry in config.get(section) or ():
        if isinstance(entry, dict) and entry.get("name") == name:
            found = entry.get(field) or {}
            if isinstance(found, dict):
                return found
    raise KubeconfigError(f'the kubeconfig has no {field} named "{name}"')


def _material(section: dict[str, Any], field: str, folder: Path) -> bytes:
    """Return the PEM given as data or in a file; data win, as in upstream."""
    data = section.get(f"{field}-data")
    if data:
        try:
            return base64.b64decode("".join(str(data).split()), validate=True)
        except (binascii.Error, ValueError) as error:
            raise KubeconfigError(f"{field}-data is not base64") from error
    path = section.get(field)
    if not path:
        return b""
    try:
        return (folder / str(path)).read_bytes()
    except OSError as error:
        raise KubeconfigError(f"cannot read {field} {path}: {error.strerror}") from error


def client_ssl_context(
    *, ca: bytes = b"", certificate: bytes = b"", key: bytes = b"", insecure: bool = False
) -> ssl.SSLContext:
    """Return a client's TLS settings from PEM. Raises KubeconfigError when a certificate does not fit."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        if insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        elif ca:
            context.load_verify_locations(cadata=ca.decode("ascii"))
        else:
            context.load_default_certs()
        if certificate:
            load_pair(context, certificate, key)
    except (ssl.SSLError, UnicodeDecodeError) as error:
        raise KubeconfigError(f"bad certificate or key: {error}") from error
    return context


def load_pair(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """Load a certificate and its key, for which `ssl` wants a path: one into memory where the system has
    that, else one that only we can read and that is gone at once."""
    pem = certificate.rstrip() + b"\n" + key
    if hasattr(os, "memfd_create") and Path("/proc/self/fd").is_dir():
        fd = os.memfd_create("client-certificate", os.MFD_CLOEXEC)
        try:
            os.write(fd, pem)
            context.load_cert_chain(f"/proc/self/fd/{fd}")
        finally:
            os.close(fd)
        return
    import tempfile  # noqa: PLC0415 - not needed on Linux

    fd, path = tempfile.mkstemp()  # Made with mode 0600.
    try:
        os.write(fd, pem)
        context.load_cert_chain(path)
    finally:
        os.close(fd)
        Path(path).unlink()
