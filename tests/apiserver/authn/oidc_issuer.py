"""A real issuer of OpenID Connect tokens: HTTPS on a port of its own, keys that can be rolled over."""

from __future__ import annotations

import json
import ssl
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from podium.base import pki

CA = pki.create_ca("issuer-ca")
CA_PEM = CA.certificate_pem.decode()
CLIENT_ID = "my-client"


@cache
def rsa_key(name: str) -> rsa.RSAPrivateKey:
    """Return one key for each name; making them takes long, so the tests share them."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@cache
def ec_key(name: str, curve: str = "P-256") -> ec.EllipticCurvePrivateKey:
    curves: dict[str, ec.EllipticCurve] = {
        "P-256": ec.SECP256R1(),
        "P-384": ec.SECP384R1(),
        "P-521": ec.SECP521R1(),
    }
    return ec.generate_private_key(curves[curve])


def jwk(key_id: str, private: Any) -> dict[str, Any]:
    """Return the public half of a key as a member of a key set."""
    algorithm: Any = RSAAlgorithm if isinstance(private, rsa.RSAPrivateKey) else ECAlgorithm
    return {**algorithm.to_jwk(private.public_key(), as_dict=True), "kid": key_id, "use": "sig"}


class Issuer:
    """What the server answers; a test changes it while it runs."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.reset()

    def reset(self) -> None:
        """Be as after a start."""
        self.keys: dict[str, Any] = {"k1": ec_key("k1")}
        self.requests: Counter[str] = Counter()
        self.available = True
        self.cache_control = ""
        self.document: dict[str, Any] = {}
        """What the discovery document says otherwise."""
        self.pages: dict[str, tuple[str, str]] = {}
        """Further paths: the bearer token they want, and what they say."""
        self.redirects: dict[str, str] = {}

    def token(
        self, *, key: str = "k1", algorithm: str = "ES256", kid: str | None = None, **claims: Any
    ) -> str:
        """Return a token; claims are added to those of a good one, and left out where they are None."""
        whole = {"iss": self.url, "aud": CLIENT_ID, "sub": "jane", "exp": 4102444800, **claims}
        payload = {name: value for name, value in whole.items() if value is not None}
        headers = {"kid": key if kid is None else kid}
        return jwt.encode(payload, self.keys[key], algorithm=algorithm, headers=headers)

    def asked(self, path: str) -> int:
        return self.requests[path]

    def answer(self, path: str, authorization: str) -> tuple[int, str]:
        self.requests[path] += 1
        if not self.available:
            return 503, "not now"
        if path in self.redirects:
            return 302, self.redirects[path]
        if path in ("/.well-known/openid-configuration", "/elsewhere"):
            return 200, json.dumps({"issuer": self.url, "jwks_uri": f"{self.url}/keys", **self.document})
        if path == "/keys":
            return 200, json.dumps({"keys": [jwk(name, key) for name, key in self.keys.items()]})
        wanted, text = self.pages.get(path, ("", ""))
        if not text:
            return 404, "nothing here"
        return (200, text) if not wanted or authorization == f"Bearer {wanted}" else (401, "who are you?")


@contextmanager
def issuer() -> Iterator[Issuer]:
    """Run an issuer until the context ends."""
    served: Issuer

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # Head and body leave together: no waiting for an acknowledgement between them.

        def do_GET(self) -> None:
            status, text = served.answer(self.path, self.headers.get("authorization", ""))
            body = text.encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            if status == 302:
                self.send_header("location", text)
            if served.cache_control:
                self.send_header("cache-control", served.cache_control)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.socket = _context().wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    served = Issuer(f"https://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@cache
def _context() -> ssl.SSLContext:
    pair = pki.issue(
        CA, common_name="issuer", ip_addresses=["127.0.0.1"], dns_names=["localhost"], server=True
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with TemporaryDirectory() as folder:
        certificate, key = Path(folder) / "tls.crt", Path(folder) / "tls.key"
        certificate.write_bytes(pair.certificate_pem)
        key.write_bytes(pair.key_pem)
        context.load_cert_chain(certificate, key)
    return context
