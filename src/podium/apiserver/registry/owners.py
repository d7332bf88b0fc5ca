"""Owner references that an object has twice: the second goes, and the client is told."""

from __future__ import annotations

import orjson

from podium.apiserver.registry.call import Call
from podium.machinery.errors import Object

_SENT = (
    ".metadata.ownerReferences contains duplicate entries; API server dedups owner references in 1.20+, and "
    "may reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: "
)
_ADMITTED = (
    ".metadata.ownerReferences contains duplicate entries after mutating admission happens; API server "
    "dedups owner references in 1.20+, and may reject such requests as early as 1.24; "
    "duplicate UID(s) observed: "
)


def without_repeats(call: Call, obj: Object, *, admitted: bool = False) -> None:
    """Take out of `obj`, in place, owner references that are equal in every field to an earlier one.

    Patches come by only once they are `admitted`; creations and replacements before that too.
    """
    references = obj["metadata"].get("ownerReferences")
    if not references or len(references) == 1:
        return
    kept: dict[bytes, Object] = {}  # by all that they say: there may be many
    repeated: list[str] = []
    for reference in references:
        if kept.setdefault(orjson.dumps(reference, option=orjson.OPT_SORT_KEYS), reference) is not reference:
            repeated.append(str(reference.get("uid") or ""))
    if repeated:
        obj["metadata"]["ownerReferences"] = list(kept.values())
        call.warn((_ADMITTED if admitted else _SENT) + ", ".join(repeated))
