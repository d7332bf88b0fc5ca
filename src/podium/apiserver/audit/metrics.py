"""The figures of audit logging."""

from __future__ import annotations

from podium.base.metrics import Registry


class AuditMetrics:
    """What an API server counts of its audit events; zeros where it audits nothing."""

    def __init__(self, registry: Registry) -> None:
        self.events = registry.counter(
            "apiserver_audit_event_total", "Audit events made and handed to the backends."
        ).labels()
        self.errors = registry.counter(
            "apiserver_audit_error_total", "Audit events that were lost, by who lost them.", "plugin"
        )
        self.levels = registry.counter(
            "apiserver_audit_level_total", "Requests by the level that the policy has for them.", "level"
        )
        self.rejected = registry.counter(
            "apiserver_audit_requests_rejected_total",
            "Requests refused because their audit event could not be kept.",
        ).labels()
