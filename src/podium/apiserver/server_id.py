"""What tells API servers of one store apart in figures: the hash of upstream's name for a server."""

from __future__ import annotations

import hashlib
import socket
from base64 import b32encode
from functools import cache


@cache
def server_id() -> str:
    """Return this server's name: it follows from the host's."""
    digest = hashlib.sha256(socket.gethostname().encode()).digest()[:16]
    return "apiserver-" + b32encode(digest).decode().rstrip("=").lower()


def hashed(text: str | bytes) -> str:
    """Return a text's hash, as labels show what should not be shown; "" for none."""
    data = text.encode() if isinstance(text, str) else text
    return f"sha256:{hashlib.sha256(data).hexdigest()}" if data else ""
