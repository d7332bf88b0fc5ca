"""Where connections read into: one buffer for all that live in one thread.

A connection takes what it got before its event loop reads the next, so they can share. The buffers that
asyncio otherwise makes anew for every read (uvloop's for TLS have 256 KiB) cost more than TLS itself.
"""

from __future__ import annotations

import threading

INBOX_BYTES = 64 * 1024
"""What is read from a connection at once."""

_thread = threading.local()


def inbox() -> memoryview:
    """Return the calling thread's buffer."""
    found: memoryview | None = getattr(_thread, "inbox", None)
    if found is None:
        found = _thread.inbox = memoryview(bytearray(INBOX_BYTES))
    return found
