"""The order of versions: v2, v1, v1beta2, v1beta1, v1alpha1, and then names of other kinds."""

from __future__ import annotations

import re

_VERSION = re.compile(r"v([1-9]\d*)(?:(alpha|beta)([1-9]\d*))?", re.ASCII)
_STAGES = {None: 0, "beta": 1, "alpha": 2}


def preference(version: str) -> tuple[int, int, int, int, str]:
    """Return a sort key: what clients should prefer comes first."""
    match = _VERSION.fullmatch(version)
    if match is None:
        return 1, 0, 0, 0, version
    return 0, _STAGES[match[2]], -int(match[1]), -int(match[3] or 0), version
