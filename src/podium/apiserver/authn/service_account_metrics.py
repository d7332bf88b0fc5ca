"""What is counted of service-account tokens, under upstream's names."""

from __future__ import annotations

from podium.base.metrics import Counter, Registry


class ServiceAccountMetrics:
    """The counters of one server."""

    def __init__(self, registry: Registry) -> None:
        def counter(name: str, text: str) -> Counter:
            return registry.counter(f"serviceaccount_{name}", text).labels()

        self.legacy = counter("legacy_tokens_total", "Uses of tokens without an audience.")
        self.stale = counter(
            "stale_tokens_total", "Uses of pods' tokens that should have been replaced by newer ones."
        )
        self.valid = counter("valid_tokens_total", "Uses of pods' tokens that are of their time.")
        self.manual = counter("legacy_manual_token_uses_total", "Uses of tokens in Secrets that users made.")
        self.generated = counter(
            "legacy_auto_token_uses_total", "Uses of tokens in Secrets that were made for service accounts."
        )
        self.invalid = counter(
            "invalid_legacy_auto_token_uses_total", "Uses of tokens in Secrets that are marked as invalid."
        )
