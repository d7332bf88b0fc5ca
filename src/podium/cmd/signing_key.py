"""The key that signs service-account tokens, also where no flag names one.

Since 1.20 upstream does not start without `--service-account-signing-key-file`; before, a server without it
had no tokens but those in Secrets, which the controller manager signs. Pods of today get theirs from the API
server: with a command line from those days it signs them with a key of its own making, kept in `--cert-dir`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from podium.base.log import Log

FILE = "service-account-signing.key"

_log = Log("kube-apiserver")


def signing_key(arguments: argparse.Namespace) -> bytes | None:
    """Return the key (PEM); None where there is none, and none can be kept: then nobody is given a token."""
    if arguments.service_account_signing_key_file:
        return Path(arguments.service_account_signing_key_file).read_bytes()
    if not arguments.service_account_key_file:
        return None
    kept = Path(arguments.cert_dir) / FILE
    try:
        if not kept.exists():
            from podium.base import pki  # noqa: PLC0415

            pki.write_private(kept, pki.create_signing_key())
            _log.info("tokens are signed with a key made for it", key=kept)
        return kept.read_bytes()
    except OSError as error:
        _log.warning("no service-account tokens are issued: no place for their key", key=kept, error=error)
        return None
