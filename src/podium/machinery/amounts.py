"""What a pod asks for in all, for those who limit, count or place it.

Upstream: component-helpers/resource.
"""

from __future__ import annotations

from collections.abc import Mapping

from podium.machinery import meta
from podium.machinery.errors import Object
from podium.machinery.quantity import ZERO, Quantity, parse

Amounts = dict[str, Quantity]


def amounts(texts: Mapping[str, str] | None) -> Amounts:
    """Return a resource list as quantities."""
    return {name: parse(text) for name, text in (texts or {}).items()}


def add(total: Amounts, more: Mapping[str, Quantity]) -> None:
    """Add `more` to `total`, in place."""
    for name, amount in more.items():
        total[name] = total.get(name, ZERO) + amount


def pod_amounts(spec: Object, part: str, status: Object | None = None) -> Amounts:
    """Return the `requests` or `limits` (`part`) of a pod.

    Containers run together, and so do init containers that restart (sidecars); the others run one at a time
    before them, beside the sidecars that came earlier. What the pod itself says takes their place. Overhead
    comes on top of requests, and of the limits there are. With `status`, what is being resized has the most
    of what is asked for, allocated and in force.
    """
    of = _Effective(status or {})
    together: Amounts = {}
    for container in spec.get("containers") or ():
        add(together, of(container, part))
    sidecars: Amounts = {}
    starting: Amounts = {}
    for container in spec.get("initContainers") or ():
        if container.get("restartPolicy") == "Always":
            add(sidecars, of(container, part))
            _raise_to(starting, sidecars)
        else:
            beside = dict(sidecars)
            add(beside, _of(container, part))
            _raise_to(starting, beside)
    add(together, sidecars)
    _raise_to(together, starting)
    together.update(_of(spec, part))
    for name, amount in amounts(spec.get("overhead")).items():
        if part == "requests" or together.get(name):
            together[name] = together.get(name, ZERO) + amount
    return together


def _of(holder: Object, part: str) -> Amounts:
    return amounts(meta.dig(holder, "resources", part, default={}))


class _Effective:
    """What containers have, by the status of their pod. Upstream: determineEffectiveRequests and -Limits."""

    def __init__(self, status: Object) -> None:
        statuses = [*(status.get("containerStatuses") or ()), *(status.get("initContainerStatuses") or ())]
        self._statuses = {one.get("name"): one for one in statuses if one.get("resources") is not None}
        pending = [c for c in status.get("conditions") or () if c.get("type") == "PodResizePending"]
        self._infeasible = bool(pending) and pending[0].get("reason") == "Infeasible"

    def __call__(self, container: Object, part: str) -> Amounts:
        asked = _of(container, part)
        status = self._statuses.get(container.get("name"))
        if status is None:
            return asked
        most = {} if self._infeasible else asked
        _raise_to(most, _of(status, part))
        if part == "requests":
            _raise_to(most, amounts(status.get("allocatedResources")))
        return most


def _raise_to(total: Amounts, least: Mapping[str, Quantity]) -> None:
    for name, amount in least.items():
        if total.get(name, ZERO) < amount or name not in total:
            total[name] = amount
