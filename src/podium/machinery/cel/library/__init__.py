"""The functions that expressions can call, one file a library, each a table of declarations."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from podium.machinery.cel.declarations import Overload, by_name
from podium.machinery.cel.library import (
    authorizer,
    formats,
    lists,
    network,
    numbers,
    operators,
    optionals,
    patterns,
    standard,
    text,
    times,
)

_LIBRARIES = (
    operators,
    standard,
    times,
    optionals,
    text,
    lists,
    patterns,
    network,
    numbers,
    formats,
    authorizer,
)


@lru_cache(maxsize=32)
def functions(minor: int) -> Mapping[str, tuple[Overload, ...]]:
    """Return the functions of Kubernetes 1.`minor`, by name."""
    return by_name(
        overload for library in _LIBRARIES for overload in library.OVERLOADS if overload.since <= minor
    )
