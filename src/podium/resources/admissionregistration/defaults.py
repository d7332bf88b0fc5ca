"""Defaults that webhook configurations and admission policies share."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.resources.defaulting import absent, child, given, items

WEBHOOK_TIMEOUT_S = 10
WEBHOOK_PORT = 443


def default_validating_webhooks(configuration: Object) -> None:
    """Fill in the webhooks of a ValidatingWebhookConfiguration."""
    for webhook in items(configuration, "webhooks"):
        _default_webhook(webhook)


def default_mutating_webhooks(configuration: Object) -> None:
    """Fill in the webhooks of a MutatingWebhookConfiguration."""
    for webhook in items(configuration, "webhooks"):
        _default_webhook(webhook)
        absent(webhook, "reinvocationPolicy", "Never")


def _default_webhook(webhook: Object) -> None:
    absent(webhook, "failurePolicy", "Fail")
    absent(webhook, "matchPolicy", "Equivalent")
    child(webhook, "namespaceSelector")
    child(webhook, "objectSelector")
    absent(webhook, "timeoutSeconds", WEBHOOK_TIMEOUT_S)
    for rule in items(webhook, "rules"):
        absent(rule, "scope", "*")
    service = given(child(webhook, "clientConfig"), "service")
    if service is not None:
        absent(service, "port", WEBHOOK_PORT)


def default_policy(policy: Object) -> None:
    """Fill in an admission policy of either kind."""
    spec = child(policy, "spec")
    absent(spec, "failurePolicy", "Fail")
    _default_match(given(spec, "matchConstraints"))


def default_policy_binding(binding: Object) -> None:
    """Fill in a binding of an admission policy of either kind."""
    _default_match(given(child(binding, "spec"), "matchResources"))


def _default_match(match: Object | None) -> None:
    if match is None:
        return
    absent(match, "matchPolicy", "Equivalent")
    child(match, "namespaceSelector")
    child(match, "objectSelector")
    for rules in ("resourceRules", "excludeResourceRules"):
        for rule in items(match, rules):
            absent(rule, "scope", "*")
