"""EventRateLimit: events are the noise of a cluster; the configuration says how much anybody may make."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping

from podium.apiserver.admission.plugin import Plugin
from podium.apiserver.admission.writes import concerns
from podium.apiserver.chain import Attributes
from podium.base.clock import Clock
from podium.machinery.errors import FieldError, Object, TooManyRequests
from podium.resources.core.events import EVENTS

CACHE_SIZE = 4096

Key = Callable[[Attributes], str]


def _source_and_object(attributes: Attributes) -> str:
    event = attributes.object or {}
    source, about = event.get("source") or {}, event.get("involvedObject") or {}
    parts = [source.get("component"), source.get("host")]
    parts += [about.get(key) for key in ("kind", "namespace", "name", "uid", "apiVersion")]
    return "".join(part or "" for part in parts)


_KEYS: Mapping[str, Key] = {
    "Server": lambda _attributes: "",
    "Namespace": lambda attributes: attributes.namespace,
    "User": lambda attributes: attributes.user.name,
    "SourceAndObject": _source_and_object,
}


class EventRateLimit(Plugin):
    name = "EventRateLimit"
    resources = (EVENTS,)

    def __init__(self, clock: Clock, configuration: Object) -> None:
        """Raises ValueError for a configuration that makes no sense."""
        limits = configuration.get("limits") or []
        if errors := configuration_errors(limits):
            raise ValueError("; ".join(map(str, errors)))
        self._limits = [_Limit(limit, clock) for limit in limits]

    async def validate(self, attributes: Attributes) -> None:
        # As upstream, not of those of events.k8s.io, although they are the same.
        if concerns(attributes, EVENTS, "CREATE", "UPDATE") is None or attributes.dry_run:
            return
        reached = [why for limit in self._limits if (why := limit.take(attributes))]
        if reached:
            message = reached[0] if len(reached) == 1 else f"[{', '.join(dict.fromkeys(reached))}]"
            raise TooManyRequests(message, details={"retryAfterSeconds": 1}, headers={"retry-after": "1"})


def configuration_errors(limits: list[Object]) -> list[FieldError]:
    """Return what is wrong with the limits of a configuration."""
    if not limits:
        return [FieldError.invalid("limits", limits, "must not be empty")]
    errors = []
    for index, limit in enumerate(limits):
        path = f"limits[{index}]"
        if limit.get("type") not in _KEYS:
            errors.append(FieldError.not_supported(f"{path}.type", limit.get("type") or "", tuple(_KEYS)))
        errors += [
            FieldError.invalid(f"{path}.{key}", limit.get(key) or 0, "must be positive")
            for key in ("burst", "qps")
            if (limit.get(key) or 0) <= 0
        ]
        if (limit.get("cacheSize") or 0) < 0:
            errors.append(FieldError.invalid(f"{path}.cacheSize", limit["cacheSize"], "must not be negative"))
    return errors


class _Limit:
    """One kind of limit: a bucket of tokens for each key, the least recently used of which are forgotten."""

    def __init__(self, limit: Object, clock: Clock) -> None:
        self._type: str = limit["type"]
        self._key = _KEYS[self._type]
        self._rate, self._burst = float(limit["qps"]), float(limit["burst"])
        self._size: int = limit.get("cacheSize") or CACHE_SIZE
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """Tokens left, and when."""

    def take(self, attributes: Attributes) -> str:
        """Take a token; return why there is none, "" when there was."""
        key, now = self._key(attributes), self._clock.monotonic_s()
        tokens, then = self._buckets.pop(key, (self._burst, now))
        tokens = min(self._burst, tokens + (now - then) * self._rate)
        enough = tokens >= 1.0
        self._buckets[key] = (tokens - 1.0 if enough else tokens, now)
        if len(self._buckets) > self._size:
            self._buckets.popitem(last=False)
        return "" if enough else f"limit reached on type {self._type} for key {key}"
