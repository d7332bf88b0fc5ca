"""What custom resources count, under upstream's names: rules in CEL, conversions by webhook."""

from __future__ import annotations

from threading import Lock
from typing import Literal

from podium.base.metrics import Registry, exponential

RULE_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
CONVERSION_BOUNDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 45.0, 60.0)

Failure = Literal[
    "",
    "conversion_webhook_call_failure",
    "conversion_webhook_malformed_response_failure",
    "conversion_webhook_partial_response_failure",
    "conversion_webhook_invalid_converted_object_failure",
    "conversion_webhook_no_objects_returned_failure",
]


class CustomResourceMetrics:
    """The families of one server."""

    def __init__(self, make: Registry) -> None:
        self._lock = Lock()
        self._rules = {
            "compilation": make.histogram(
                "apiserver_cel_compilation_duration_seconds",
                "Time to compile the rules of a custom resource.",
                RULE_BOUNDS,
            ),
            "evaluation": make.histogram(
                "apiserver_cel_evaluation_duration_seconds",
                "Time in the rules for one object of a custom resource.",
                RULE_BOUNDS,
            ),
        }
        self._conversions = make.histogram(
            "apiserver_crd_conversion_webhook_duration_seconds",
            "Time of conversions by a webhook, by the definition that names it.",
            exponential(0.001, 2, 15),
            *("crd_name", "from_version", "to_version", "succeeded"),
        )
        self._requests = make.counter(
            "apiserver_conversion_webhook_request_total",
            "Calls of conversion webhooks, by what came of them.",
            *("result", "failure_type"),
        )
        self._request_time = make.histogram(
            "apiserver_conversion_webhook_duration_seconds",
            "Time of calls of conversion webhooks.",
            CONVERSION_BOUNDS,
            *("result", "failure_type"),
        )

    def rules_took(self, what: Literal["compilation", "evaluation"], seconds: float) -> None:
        """Record a step of rules. They run in threads."""
        with self._lock:
            self._rules[what].labels().observe(seconds)

    def converted(self, definition: str, old: str, new: str, seconds: float, *, well: bool) -> None:
        """Record a conversion from one version to another."""
        self._conversions.labels(definition, old, new, "true" if well else "false").observe(seconds)

    def called(self, seconds: float, failure: Failure) -> None:
        """Record one call of a webhook."""
        labels = ("failure" if failure else "success", failure)
        self._requests.labels(*labels).inc()
        self._request_time.labels(*labels).observe(seconds)
