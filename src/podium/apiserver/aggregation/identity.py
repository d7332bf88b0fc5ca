"""Who asks, in the headers by which a front proxy tells it. Pure. Upstream: client-go/transport."""

from __future__ import annotations

import string

from podium.apiserver.chain import User
from podium.base.http.message import Headers

USER, UID, GROUP, EXTRA_PREFIX = "x-remote-user", "x-remote-uid", "x-remote-group", "x-remote-extra-"
_KEY_CHARACTERS = frozenset(string.ascii_letters + string.digits + "!#$&'*+-.^_`|~")
"""What may stand in the name of a header, but for the percent sign, which escapes."""


def set_identity(headers: Headers, user: User) -> None:
    """Replace what `headers` say about who asks.

    Raises ValueError when the identity cannot be told in headers without becoming another one.
    """
    for name in [name for name, _ in headers if name.startswith("x-remote-")]:
        headers.remove(name)
    headers.add(USER, _value(user.name))
    if user.uid:
        headers.add(UID, _value(user.uid))
    for group in user.groups:
        headers.add(GROUP, _value(group))
    for key, values in user.extra.items():
        for value in values:
            headers.add(EXTRA_PREFIX + escaped_key(key), _value(value))


def escaped_key(key: str) -> str:
    """Return a key of the extras as the end of a header's name."""
    return "".join(
        chr(byte) if chr(byte) in _KEY_CHARACTERS else f"%{byte:02X}" for byte in key.encode("utf-8")
    )


def _value(text: str) -> str:
    """Return a header's value whose bytes are `text` in UTF-8, as upstream sends it."""
    if text != text.strip() or any(character < " " or character == "\x7f" for character in text):
        raise ValueError(f"cannot tell {text!r} in a header")
    return text.encode("utf-8").decode("latin-1")
