"""The base of plugins that objects of the API configure: they sleep until there are any."""

from __future__ import annotations

from collections.abc import Callable

from podium.apiserver.admission.plugin import Plugin


class DynamicPlugin(Plugin):
    """While `asleep`, the server does not ask the plugin at all, which is how nothing costs nothing."""

    asleep = True
    on_change: Callable[[], None] | None = None
    """Set by who asks the plugins: called when the plugin falls asleep or wakes."""

    def sleep(self, asleep: bool) -> None:
        """Fall asleep, or wake."""
        if asleep is not self.asleep:
            self.asleep = asleep
            if self.on_change is not None:
                self.on_change()
