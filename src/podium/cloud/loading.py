"""From the name of a provider to its factory."""

from __future__ import annotations

import importlib
from importlib.metadata import entry_points

from podium.cloud.interface import ENTRY_POINTS, Factory

BUILT_IN = {
    "fake": "podium.cloud.providers.fake:fake",
    "local": "podium.cloud.providers.local:local",
}


def factory(name: str) -> Factory:
    """Return the factory of the provider that a command line names. Raises ValueError, which says why not."""
    if not name:
        raise ValueError("--cloud-provider cannot be empty")
    path = BUILT_IN.get(name, name)
    if ":" not in path:
        listed = entry_points(group=ENTRY_POINTS, name=path)
        if not listed:
            raise ValueError(f'unknown cloud provider "{name}"')
        path = next(iter(listed)).value
    module, _, attribute = path.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute, None)
    except ImportError as error:
        raise ValueError(f'could not load cloud provider "{name}": {error}') from error
    if not callable(found):
        raise ValueError(f'could not load cloud provider "{name}": {module} has no function {attribute!r}')
    made: Factory = found
    return made
