"""The two steps of admission over all plugins: those that have something to do are asked, and measured."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING

from podium.apiserver.admission.dynamic import DynamicPlugin
from podium.apiserver.admission.plugin import Plugin
from podium.apiserver.chain import AdmissionPlugin, Attributes
from podium.machinery.resource import Resource

if TYPE_CHECKING:
    from podium.apiserver.metrics import ApiServerMetrics
    from podium.base.metrics import Histogram

_Hook = Callable[[Attributes], Awaitable[None]]
_Hooked = tuple[AdmissionPlugin, _Hook]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measured:
    """Whom one step asks about one operation on one resource, with the histograms of those who consent."""

    hooks: Sequence[tuple[str, _Hook, Callable[[float], None]]]
    """(name, hook, what notes the seconds that it took)."""
    whole: Callable[[float], None]


class Steps:
    """Asks the plugins in their order."""

    def __init__(self, plugins: Sequence[AdmissionPlugin]) -> None:
        self.plugins = plugins
        self._admitting: Sequence[_Hooked] = ()
        self._validating: Sequence[_Hooked] = ()
        self._chosen: dict[tuple[str, str, str], Sequence[tuple[str, _Hook]]] = {}
        """By step and resource: the hooks of those who look at its writes."""
        self._measured: dict[tuple[str, str, str, str], _Measured] = {}
        self._children: dict[tuple[str, str, str, str], Histogram] = {}
        for plugin in plugins:
            if isinstance(plugin, DynamicPlugin):
                plugin.on_change = self._choose
        self._choose()

    def _choose(self) -> None:
        """Find out who has something to do: a plugin that sleeps is not even asked."""
        awake = [p for p in self.plugins if not (isinstance(p, DynamicPlugin) and p.asleep)]
        self._admitting = [(p, p.admit) for p in awake if type(p).admit is not Plugin.admit]
        self._validating = [(p, p.validate) for p in awake if type(p).validate is not Plugin.validate]
        self._chosen.clear()
        self._measured.clear()

    def hooks(self, step: str, resource: Resource) -> Sequence[tuple[str, _Hook]]:
        """Return whom one step ("admit" or "validate") asks about writes of `resource`."""
        key = (step, resource.group, resource.plural)
        chosen = self._chosen.get(key)
        if chosen is None:
            hooked = self._admitting if step == "admit" else self._validating
            chosen = [(_name(plugin), hook) for plugin, hook in hooked if _looks_at(plugin, resource)]
            self._chosen[key] = chosen
        return chosen

    async def admit(self, attributes: Attributes, metrics: ApiServerMetrics | None) -> None:
        """Let every plugin change the object, and look again where one asks for it.

        Raises what the first that refuses raises.
        """
        await self._run("admit", attributes, metrics)
        reinvocation = attributes.reinvocation
        if reinvocation is not None and reinvocation.wanted:
            reinvocation.again = True
            await self._run("admit", attributes, metrics)

    async def validate(self, attributes: Attributes, metrics: ApiServerMetrics | None) -> None:
        """Let every plugin refuse."""
        await self._run("validate", attributes, metrics)

    async def _run(
        self,
        step: str,
        attributes: Attributes,
        metrics: ApiServerMetrics | None,
    ) -> None:
        if metrics is None:
            for _, hook in self.hooks(step, attributes.resource):
                await hook(attributes)
            return
        resource, operation = attributes.resource, attributes.operation
        key = (step, resource.group, resource.plural, operation)
        measured = self._measured.get(key) or self._measure(key, metrics, resource)
        asked, began = "", perf_counter()
        started = began
        try:
            for asked, hook, note in measured.hooks:  # noqa: B007 - whoever raises is who was asked
                await hook(attributes)
                now = perf_counter()
                note(now - started)
                started = now
        except BaseException:
            now = perf_counter()
            self._of(metrics, asked, step, operation, "true").observe(now - started)
            self._of(metrics, "", step, operation, "true").observe(now - began)
            raise
        measured.whole(started - began)

    def _measure(
        self, key: tuple[str, str, str, str], metrics: ApiServerMetrics, resource: Resource
    ) -> _Measured:
        """Note whom a step asks, together with where it is written down how long they take."""
        step, _, _, operation = key
        measured = self._measured[key] = _Measured(
            hooks=[
                (name, hook, self._of(metrics, name, step, operation, "false").noted.append)
                for name, hook in self.hooks(step, resource)
            ],
            whole=self._of(metrics, "", step, operation, "false").noted.append,
        )
        return measured

    def _of(
        self, metrics: ApiServerMetrics, name: str, step: str, operation: str, rejected: str
    ) -> Histogram:
        """Return the child of one plugin, or of the whole step where `name` is empty."""
        key = (name, step, operation, rejected)
        child = self._children.get(key)
        if child is None:
            if name:
                child = metrics.admission_plugins.labels(name, step, operation, rejected)
            else:
                child = metrics.admission_steps.labels(step, operation, rejected)
            self._children[key] = child
        return child


def _looks_at(plugin: AdmissionPlugin, resource: Resource) -> bool:
    only = plugin.resources if isinstance(plugin, Plugin) else ()
    return not only or any((r.group, r.plural) == (resource.group, resource.plural) for r in only)


def _name(plugin: AdmissionPlugin) -> str:
    return getattr(plugin, "name", "") or type(plugin).__name__
