"""What is counted of impersonation, under upstream's names (filters/impersonation/metrics)."""

from __future__ import annotations

from podium.base.metrics import Registry

_BOUNDS = tuple(0.001 * 2**power for power in range(15))
_LABELS = ("mode", "decision")
_PREFIX = "apiserver_impersonation"


class ImpersonationMetrics:
    """The families of one server. A refused attempt was refused in every mode, so that it has none."""

    def __init__(self, registry: Registry) -> None:
        self._attempts = registry.counter(
            f"{_PREFIX}_attempts_total", "Requests that asked to be somebody else's.", *_LABELS
        )
        self._attempt_time = registry.histogram(
            f"{_PREFIX}_attempts_duration_seconds", "Time to decide about such a request.", _BOUNDS, *_LABELS
        )
        self._checks = registry.counter(
            f"{_PREFIX}_authorization_attempts_total", "What authorizers were asked for it.", *_LABELS
        )
        self._check_time = registry.histogram(
            f"{_PREFIX}_authorization_attempts_duration_seconds",
            "Time of one such question.",
            _BOUNDS,
            *_LABELS,
        )

    def attempted(self, mode: str, *, allowed: bool, seconds: float) -> None:
        labels = _labels(mode, allowed)
        self._attempts.labels(*labels).inc()
        self._attempt_time.labels(*labels).observe(seconds)

    def checked(self, mode: str, *, allowed: bool, seconds: float) -> None:
        labels = _labels(mode, allowed)
        self._checks.labels(*labels).inc()
        self._check_time.labels(*labels).observe(seconds)


def _labels(mode: str, allowed: bool) -> tuple[str, str]:
    return mode, "allowed" if allowed else "denied"
