"""What webhooks and admission policies count, under upstream's names."""

from __future__ import annotations

from podium.base.metrics import Registry

ADMISSION_BOUNDS = (0.005, 0.025, 0.1, 0.5, 1.0, 2.5)
WEBHOOK_BOUNDS = (*ADMISSION_BOUNDS, 10.0, 25.0)
CONDITION_BOUNDS = (0.001, 0.005, 0.01, 0.025, 0.1, 0.2, 0.25)
POLICY_BOUNDS = (0.0000005, 0.001, 0.01, 0.1, 1.0)
CODE_MAX = 600
"""Greater codes are counted as this one: webhooks choose them."""


class AdmissionMetrics:
    """The families of one server."""

    def __init__(self, make: Registry) -> None:
        prefix = "apiserver_admission"
        condition = ("name", "kind", "type", "operation")
        self.webhook_time = make.histogram(
            f"{prefix}_webhook_admission_duration_seconds",
            "Time in one admission webhook.",
            WEBHOOK_BOUNDS,
            *("name", "type", "operation", "rejected"),
        )
        self.webhook_requests = make.counter(
            f"{prefix}_webhook_request_total",
            "Calls of admission webhooks.",
            *("name", "type", "operation", "code", "rejected"),
        )
        self.webhook_rejections = make.counter(
            f"{prefix}_webhook_rejection_count",
            "Requests refused by admission webhooks, or because they failed.",
            *("name", "type", "operation", "error_type", "rejection_code"),
        )
        self.webhook_fail_open = make.counter(
            f"{prefix}_webhook_fail_open_count",
            "Failures of admission webhooks that were passed over.",
            *("name", "type"),
        )
        request = ("request_operation", "resource", "subresource")
        self.pod_security = make.counter(
            "pod_security_evaluations_total",
            "Pods and templates held against a level of pod security, and what came of it.",
            *("decision", "policy_level", "policy_version", "mode", *request),
        )
        self.pod_security_exemptions = make.counter(
            "pod_security_exemptions_total", "Requests that are exempt from pod security.", *request
        )
        self.condition_errors = make.counter(
            f"{prefix}_match_condition_evaluation_errors_total",
            "Match conditions that could not be evaluated.",
            *condition,
        )
        self.condition_exclusions = make.counter(
            f"{prefix}_match_condition_exclusions_total",
            "Requests that match conditions kept from a webhook or a policy.",
            *condition,
        )
        self.condition_time = make.histogram(
            f"{prefix}_match_condition_evaluation_seconds",
            "Time to evaluate the match conditions of a webhook or a policy.",
            CONDITION_BOUNDS,
            *condition,
        )
        checks = ("policy", "policy_binding", "error_type", "enforcement_action")
        self.policy_checks = make.counter(
            "apiserver_validating_admission_policy_check_total",
            "Verdicts of validating admission policies.",
            *checks,
        )
        self.policy_time = make.histogram(
            "apiserver_validating_admission_policy_check_duration_seconds",
            "Time in one validating admission policy.",
            POLICY_BOUNDS,
            *checks,
        )
        self.mutation_checks = make.counter(
            "apiserver_mutating_admission_policy_check_total",
            "Uses of mutating admission policies.",
            *checks[:3],
        )
        self.mutation_time = make.histogram(
            "apiserver_mutating_admission_policy_check_duration_seconds",
            "Time in one mutating admission policy.",
            POLICY_BOUNDS,
            *checks[:3],
        )

    def webhook(
        self, name: str, kind: str, operation: str, *, elapsed_s: float, rejected: bool, code: int
    ) -> None:
        """Count a call; `kind` is `admit` or `validating`."""
        word = "true" if rejected else "false"
        self.webhook_requests.labels(name, kind, operation, str(min(code, CODE_MAX)), word).inc()
        self.webhook_time.labels(name, kind, operation, word).observe(elapsed_s)

    def rejection(self, name: str, kind: str, operation: str, *, error: str, code: int) -> None:
        """Count a refusal; `error` says whose fault it is."""
        self.webhook_rejections.labels(name, kind, operation, error, str(min(code, CODE_MAX))).inc()
