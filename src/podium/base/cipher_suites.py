"""TLS versions and cipher suites by the names that upstream's flags give them, which are Go's.

Go has no say over the suites of TLS 1.3, and neither has the flag: they may be named, and are always there.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence

SECURE = {
    "TLS_AES_128_GCM_SHA256": "",
    "TLS_AES_256_GCM_SHA384": "",
    "TLS_CHACHA20_POLY1305_SHA256": "",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
}
"""Go's name -> OpenSSL's; empty for those of TLS 1.3."""

INSECURE = {
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256": "ECDHE-ECDSA-AES128-SHA256",
    "TLS_ECDHE_ECDSA_WITH_RC4_128_SHA": "ECDHE-ECDSA-RC4-SHA",
    "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA": "ECDHE-RSA-DES-CBC3-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256": "ECDHE-RSA-AES128-SHA256",
    "TLS_ECDHE_RSA_WITH_RC4_128_SHA": "ECDHE-RSA-RC4-SHA",
    "TLS_RSA_WITH_3DES_EDE_CBC_SHA": "DES-CBC3-SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA": "AES128-SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA256": "AES128-SHA256",
    "TLS_RSA_WITH_AES_128_GCM_SHA256": "AES128-GCM-SHA256",
    "TLS_RSA_WITH_AES_256_CBC_SHA": "AES256-SHA",
    "TLS_RSA_WITH_AES_256_GCM_SHA384": "AES256-GCM-SHA384",
    "TLS_RSA_WITH_RC4_128_SHA": "RC4-SHA",
}
"""Those that Go offers only to who asks for them. OpenSSL may know some of them no more."""

DEFAULT = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""What TLS 1.2 is served with where no flag says more: forward secrecy and authenticated encryption."""

_VERSIONS = {"VersionTLS12": ssl.TLSVersion.TLSv1_2, "VersionTLS13": ssl.TLSVersion.TLSv1_3}
_BROKEN_VERSIONS = ("VersionTLS10", "VersionTLS11")


def minimum_version(name: str) -> ssl.TLSVersion:
    """Return the version of `--tls-min-version`, "" for the default. Raises ValueError."""
    if not name:
        return ssl.TLSVersion.TLSv1_2
    if name in _BROKEN_VERSIONS:
        raise ValueError(f"{name} is no longer safe, and not served; there are {', '.join(_VERSIONS)}")
    if name not in _VERSIONS:
        raise ValueError(f'unknown tls version "{name}"')
    return _VERSIONS[name]


def openssl_names(suites: Sequence[str]) -> str:
    """Return what OpenSSL is told for `--tls-cipher-suites`; "" when only TLS 1.3 is left.

    Raises ValueError for a suite that does not exist, and when this machine's OpenSSL has none of them.
    """
    if not suites:
        return DEFAULT
    known = {**SECURE, **INSECURE}
    for suite in suites:
        if suite not in known:
            raise ValueError(f"Cipher suite {suite} not supported or doesn't exist")
    names = ":".join(dict.fromkeys(known[suite] for suite in suites if known[suite]))
    if names:
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).set_ciphers(names)
        except ssl.SSLError:
            raise ValueError(f"none of these is supported on this machine: {', '.join(suites)}") from None
    return names


def insecure(suites: Sequence[str]) -> list[str]:
    """Return those of the suites that are known to be weak."""
    return [suite for suite in suites if suite in INSECURE]
