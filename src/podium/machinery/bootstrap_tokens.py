"""Bootstrap tokens as they are kept: Secrets in kube-system, from whose data everybody reads the same.

The Secret `bootstrap-token-ID` has `token-id`, `token-secret`, `expiration` (RFC 3339, or none), and says
what the token may be used for: `usage-bootstrap-authentication`, `usage-bootstrap-signing`.
"""

from __future__ import annotations

import base64
import binascii
from datetime import datetime

from podium.base.clock import parse_rfc3339
from podium.machinery.errors import Object

SECRET_TYPE = "bootstrap.kubernetes.io/token"
SECRET_PREFIX = "bootstrap-token-"
NAMESPACE = "kube-system"


def value(secret: Object, key: str) -> str:
    """Return one entry of a Secret's data as text; "" when it is missing or unreadable."""
    try:
        return base64.b64decode((secret.get("data") or {}).get(key) or "").decode()
    except (binascii.Error, UnicodeDecodeError):
        return ""


def left_s(secret: Object, now: datetime) -> float | None:
    """Return how long the token is still good; 0 when it has expired, None when it never does."""
    expiration = value(secret, "expiration")
    if not expiration:
        return None
    try:
        return max(0.0, (parse_rfc3339(expiration) - now).total_seconds())
    except ValueError:
        return 0.0  # What nobody can read has expired.
