"""Code of somebody else's that a command line names: by module, or by entry point."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import Any


def load(name: str, *, what: str, group: str, built_in: Mapping[str, str]) -> Callable[..., Any]:
    """Return the function that `MODULE:FUNCTION`, a built-in name, or a name from entry points stands for.

    `what` it is called in messages, `group` that of the entry points. Raises ValueError, which says why not.
    """
    path = built_in.get(name, name)
    if ":" not in path:
        listed = entry_points(group=group, name=path)
        if not listed:
            raise ValueError(f'unknown {what} "{name}"')
        path = next(iter(listed)).value
    module, _, attribute = path.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute, None)
    except ImportError as error:
        raise ValueError(f'could not load {what} "{name}": {error}') from error
    if not callable(found):
        raise ValueError(f'could not load {what} "{name}": {module} has no function {attribute!r}')
    made: Callable[..., Any] = found
    return made
