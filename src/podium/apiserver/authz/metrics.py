"""What authorizers count, under upstream's names."""

from __future__ import annotations

from dataclasses import dataclass

from podium.base.metrics import Counter, Registry

REQUEST_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
CONDITION_BOUNDS = (0.001, 0.005, 0.01, 0.025, 0.1, 0.2, 0.25)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decisions:
    """How often one authorizer has decided."""

    allowed: Counter
    denied: Counter


class AuthorizationMetrics:
    """The families of one server."""

    def __init__(self, make: Registry) -> None:
        self.registry = make
        prefix = "apiserver_authorization"
        self.decisions = make.counter(
            f"{prefix}_decisions_total",
            "Requests allowed or denied, by the authorizer that did.",
            *("type", "name", "decision"),
        )
        self.webhook_evaluations = make.counter(
            f"{prefix}_webhook_evaluations_total",
            "Calls of authorization webhooks, by what came of them.",
            *("name", "result"),
        )
        self.webhook_time = make.histogram(
            f"{prefix}_webhook_duration_seconds",
            "Time of calls of authorization webhooks.",
            REQUEST_BOUNDS,
            *("name", "result"),
        )
        self.webhook_fail_open = make.counter(
            f"{prefix}_webhook_evaluations_fail_open_total",
            "Failures of authorization webhooks that were passed over.",
            *("name", "result"),
        )
        self.condition_errors = make.counter(
            f"{prefix}_match_condition_evaluation_errors_total",
            "Requests for which a match condition could not be evaluated.",
            *("type", "name"),
        )
        self.condition_exclusions = make.counter(
            f"{prefix}_match_condition_exclusions_total",
            "Requests that match conditions kept from an authorizer.",
            *("type", "name"),
        )
        self.condition_time = make.histogram(
            f"{prefix}_match_condition_evaluation_seconds",
            "Time to evaluate the match conditions of an authorizer.",
            CONDITION_BOUNDS,
            *("type", "name"),
        )
        controller = "apiserver_authorization_config_controller"
        self.reloads = make.counter(
            f"{controller}_automatic_reloads_total",
            "Reloads of the authorization configuration.",
            *("status", "apiserver_id_hash"),
        )
        self.reloaded_at = make.gauge(
            f"{controller}_automatic_reload_last_timestamp_seconds",
            "When the authorization configuration was last reloaded.",
            *("status", "apiserver_id_hash"),
        )
        self.config_info = make.gauge(
            f"{controller}_last_config_info",
            "The hash of the authorization configuration in use.",
            *("apiserver_id_hash", "hash"),
        )

    def decisions_of(self, type: str, name: str) -> Decisions:
        """Return the counters of one authorizer."""
        return Decisions(
            allowed=self.decisions.labels(type, name, "allowed"),
            denied=self.decisions.labels(type, name, "denied"),
        )
