"""What the authenticators of tokens from other issuers count, under upstream's names."""

from __future__ import annotations

from podium.apiserver.server_id import hashed, server_id
from podium.base.clock import Clock, WallClock
from podium.base.metrics import Registry

LATENCY_BOUNDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_KEYS = ("jwt_issuer_hash", "apiserver_id_hash")


class JwtMetrics:
    """The families of one server."""

    def __init__(self, registry: Registry, *, clock: Clock | None = None) -> None:
        self._server = hashed(server_id())
        self._clock = clock or WallClock()
        jwt = "apiserver_authentication_jwt_authenticator"
        self.latency = registry.histogram(
            f"{jwt}_latency_seconds",
            "Time to authenticate a token of an issuer, where no answer was remembered.",
            LATENCY_BOUNDS,
            *("result", "jwt_issuer_hash"),
        )
        self.fetched_at = registry.gauge(
            f"{jwt}_jwks_fetch_last_timestamp_seconds",
            "When the keys of an issuer were last fetched.",
            *("result", *_KEYS),
        )
        self.key_set = registry.gauge(
            f"{jwt}_jwks_fetch_last_key_set_info",
            "The hash of the keys that were last fetched from an issuer.",
            *(*_KEYS, "hash"),
        )
        controller = "apiserver_authentication_config_controller"
        self.reloads = registry.counter(
            f"{controller}_automatic_reloads_total",
            "Reloads of the authentication configuration.",
            *("status", "apiserver_id_hash"),
        )
        self.reloaded_at = registry.gauge(
            f"{controller}_automatic_reload_last_timestamp_seconds",
            "When the authentication configuration was last reloaded.",
            *("status", "apiserver_id_hash"),
        )
        self.config = registry.gauge(
            f"{controller}_last_config_info",
            "The hash of the authentication configuration in use.",
            *("apiserver_id_hash", "hash"),
        )

    def fetched(self, issuer: str, body: bytes | None) -> None:
        """Record a fetch of an issuer's keys; None: it failed."""
        hash_ = hashed(issuer)
        result = "failure" if body is None else "success"
        self.fetched_at.labels(result, hash_, self._server).set(self._now())
        if body is not None:
            self.key_set.remove(lambda labels: labels[:2] == (hash_, self._server))
            self.key_set.labels(hash_, self._server, hashed(body)).set(1)

    def forget(self, issuer: str) -> None:
        """Drop what is told of the keys of an issuer that is configured no more."""
        hash_ = hashed(issuer)
        self.key_set.remove(lambda labels: labels[0] == hash_)
        self.fetched_at.remove(lambda labels: labels[1] == hash_)

    def configured(self, data: bytes) -> None:
        """Tell which configuration is in use."""
        self.config.clear()
        self.config.labels(self._server, hashed(data)).set(1)

    def reloaded(self, data: bytes | None) -> None:
        """Record that a changed configuration was taken; None: that it was not."""
        status = "failure" if data is None else "success"
        self.reloads.labels(status, self._server).inc()
        self.reloaded_at.labels(status, self._server).set(self._now())
        if data is not None:
            self.configured(data)

    def _now(self) -> float:
        return self._clock.now().timestamp()
