"""How deep a value may nest: deeper than any API goes, and shallow enough for every walk over it.

Upstream's decoders stop at 10,000 levels. orjson encodes no more than 254, and a walk in Python costs up to
four stack frames a level, so that what has passed this bound can be walked, copied, wrapped and encoded
anywhere without a thought.
"""

from __future__ import annotations

from podium.machinery.errors import Json

DEPTH_MAX = 200
TOO_DEEP = "exceeded max depth"


def too_deep(value: Json) -> bool:
    """Tell whether containers nest deeper than DEPTH_MAX. Walks level by level, without recursion."""
    level = [value]
    for _ in range(DEPTH_MAX):
        below: list[Json] = []
        for part in level:
            if part.__class__ is dict:
                below += part.values()
            elif part.__class__ is list:
                below += part
        level = [part for part in below if part.__class__ is dict or part.__class__ is list]
        if not level:
            return False
    return True


def text_too_deep(text: bytes, value: Json) -> bool:
    """As `too_deep`, for a value that `text`, JSON, decoded to: most texts are told by their brackets."""
    return len(text) > 2 * DEPTH_MAX and text.count(b"{") + text.count(b"[") > DEPTH_MAX and too_deep(value)
