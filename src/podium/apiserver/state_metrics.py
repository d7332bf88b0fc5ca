"""The API server's figures about itself that are read when somebody asks: build, gates, caches, health."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from podium.apiserver.cacher.root import EVENTS_KEPT_MAX
from podium.base.metrics import Registry
from podium.base.process_metrics import add_start_time

_HOUR, _DAY = 3600.0, 86400.0
_EXPIRATION_BOUNDS = (
    *(0.0, 0.5 * _HOUR, _HOUR, 2 * _HOUR, 6 * _HOUR, 12 * _HOUR),
    *(_DAY, 2 * _DAY, 4 * _DAY, 7 * _DAY, 30 * _DAY, 90 * _DAY, 180 * _DAY, 360 * _DAY),
)
_GROUP_RESOURCE = ("group", "resource")
_VERSIONS = ("binary", "component", "emulation", "min_compat")
_ACTS_AS = ("emulation", "minCompatibility")
_BUILD = {
    "major": "major",
    "minor": "minor",
    "git_version": "gitVersion",
    "git_commit": "gitCommit",
    "git_tree_state": "gitTreeState",
    "build_date": "buildDate",
    "go_version": "goVersion",
    "compiler": "compiler",
    "platform": "platform",
}
"""Label -> field of /version."""


@dataclass(frozen=True, slots=True)
class CacheState:
    """One resource in the watch cache."""

    group: str
    resource: str
    events: int
    """That it has taken since the start."""


class StateMetrics:
    """The families at /metrics."""

    def __init__(self, registry: Registry) -> None:
        self._build = registry.gauge("kubernetes_build_info", "1, with what this server is.", *_BUILD)
        self._version = registry.gauge(
            "version_info", "1, with the versions that this server is and acts as.", *_VERSIONS
        )
        self._features = registry.gauge(
            "kubernetes_feature_enabled", "Whether a feature gate is on.", "name", "stage"
        )
        self._received = registry.counter(
            "apiserver_watch_cache_events_received_total",
            "Changes that the watch cache took from the store.",
            *_GROUP_RESOURCE,
        )
        self._dispatched = registry.counter(
            "apiserver_watch_cache_events_dispatched_total",
            "Changes that the watch cache offered to its watchers.",
            *_GROUP_RESOURCE,
        )
        self._from_storage = registry.counter(
            "apiserver_storage_events_received_total", "Changes that the store told of.", *_GROUP_RESOURCE
        )
        self._initializations = registry.counter(
            "apiserver_watch_cache_initializations_total",
            "How often the watch cache was filled from the store.",
            *_GROUP_RESOURCE,
        )
        self._revision = registry.gauge(
            "apiserver_watch_cache_resource_version",
            "The version that the watch cache shows.",
            *_GROUP_RESOURCE,
        )
        self._capacity = registry.gauge(
            "watch_cache_capacity", "How many changes are kept for watches that come back.", *_GROUP_RESOURCE
        )
        self.terminated_watchers = registry.counter(
            "apiserver_terminated_watchers_total",
            "Watches that were cut off because their client was too slow.",
            *_GROUP_RESOURCE,
        )
        self.client_certificates = registry.histogram(
            "apiserver_client_certificate_expiration_seconds",
            "How long the certificates of clients are still valid, request by request.",
            _EXPIRATION_BOUNDS,
        ).labels()

        self._handshake_errors = registry.counter(
            "apiserver_tls_handshake_errors_total", "Connections that came to no agreement about TLS."
        ).labels()

    def describe_build(self, version: Mapping[str, str]) -> None:
        """Take what /version says."""
        binary = version["gitVersion"].removeprefix("v").partition("-")[0].partition("+")[0]
        versions = (f"{version[f'{what}Major']}.{version[f'{what}Minor']}" for what in _ACTS_AS)
        self._version.labels(binary, "kube", *versions).set(1)
        self._build.labels(*(version[field] for field in _BUILD.values())).set(1)

    def describe_features(self, features: Iterable[tuple[str, str, bool]]) -> None:
        """Take the gates: (name, stage, whether on)."""
        for name, stage, enabled in features:
            shown = "" if stage.upper() in ("GA", "STABLE") else stage.upper()
            self._features.labels(name, shown).set(1 if enabled else 0)

    def read_handshakes(self, failed: int) -> None:
        self._handshake_errors.value = failed

    def read_caches(self, caches: Iterable[CacheState], revision: int) -> None:
        for cache in caches:
            labels = (cache.group, cache.resource)
            for family in (self._received, self._dispatched, self._from_storage):
                family.labels(*labels).value = cache.events
            self._initializations.labels(*labels).value = 1
            self._revision.labels(*labels).set(revision)
            self._capacity.labels(*labels).set(EVENTS_KEPT_MAX)


class InFlight:
    """How many requests are being served and how many wait, by whether they change something."""

    def __init__(self, registry: Registry) -> None:
        self.executing = {False: 0, True: 0}
        self._waiting = {False: 0, True: 0}
        self._executing_high = {False: 0, True: 0}
        self._waiting_high = {False: 0, True: 0}
        self._executing_gauge = registry.gauge(
            "apiserver_current_inflight_requests",
            "Most requests that were being served at a time since this was last read; long-running ones are "
            "not among them.",
            "request_kind",
        )
        self._waiting_gauge = registry.gauge(
            "apiserver_current_inqueue_requests",
            "Most requests that waited in queues at a time since this was last read.",
            "request_kind",
        )
        registry.before_collection(self._collect)

    def executes(self, mutating: bool, by: int) -> None:
        self.executing[mutating] = now = self.executing[mutating] + by
        if by > 0:
            self._executing_high[mutating] = max(self._executing_high[mutating], now)

    def waits(self, mutating: bool, by: int) -> None:
        self._waiting[mutating] += by
        self._waiting_high[mutating] = max(self._waiting_high[mutating], self._waiting[mutating])

    def _collect(self) -> None:
        for mutating, kind in ((False, "readOnly"), (True, "mutating")):
            self._executing_gauge.labels(kind).set(self._executing_high[mutating])
            self._waiting_gauge.labels(kind).set(self._waiting_high[mutating])
        self._executing_high.update(self.executing)
        self._waiting_high.update(self._waiting)


class HealthMetrics:
    """The families at /metrics/slis: what came of the checks that somebody asked for."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        add_start_time(registry)
        self._last = registry.gauge(
            "kubernetes_healthcheck", "Whether a check last succeeded.", "name", "type"
        )
        self._count = registry.counter(
            "kubernetes_healthchecks_total", "Checks by what came of them.", "name", "type", "status"
        )

    def checked(self, kind: str, name: str, healthy: bool) -> None:
        self._last.labels(name, kind).set(1 if healthy else 0)
        self._count.labels(name, kind, "success" if healthy else "error").inc()
