"""From the name of a provider to its factory."""

from __future__ import annotations

from podium.cloud.interface import ENTRY_POINTS, Factory
from podium.runtime import plugins

BUILT_IN = {
    "fake": "podium.cloud.providers.fake:fake",
    "local": "podium.cloud.providers.local:local",
}


def factory(name: str) -> Factory:
    """Return the factory of the provider that a command line names. Raises ValueError, which says why not."""
    if not name:
        raise ValueError("--cloud-provider cannot be empty")
    return plugins.load(name, what="cloud provider", group=ENTRY_POINTS, built_in=BUILT_IN)
