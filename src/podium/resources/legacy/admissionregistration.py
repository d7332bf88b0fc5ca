"""Webhook configurations and admission policies, admissionregistration.k8s.io/v1beta1.

Webhooks of old are ignored when they fail, match exactly, get 30 seconds, and need not say whether they have
side effects.
"""

from __future__ import annotations

from podium.machinery.derived import Change, Package
from podium.machinery.errors import FieldError, Object
from podium.resources.admissionregistration.mutatingwebhookconfigurations import MUTATINGWEBHOOKCONFIGURATIONS
from podium.resources.admissionregistration.validatingadmissionpolicies import VALIDATINGADMISSIONPOLICIES
from podium.resources.admissionregistration.validatingadmissionpolicybindings import (
    VALIDATINGADMISSIONPOLICYBINDINGS,
)
from podium.resources.admissionregistration.validatingwebhookconfigurations import (
    VALIDATINGWEBHOOKCONFIGURATIONS,
)
from podium.resources.defaulting import absent, blank, items
from podium.resources.legacy.older import older

_WEBHOOK = Change(optional=("admissionReviewVersions", "sideEffects"))
PACKAGE = Package(
    name="io.k8s.api.admissionregistration.v1beta1",
    group="admissionregistration.k8s.io",
    version="v1beta1",
    bases=("io.k8s.api.admissionregistration.v1",),
    shared=frozenset(("RuleWithOperations",)),
    changes={"MutatingWebhook": _WEBHOOK, "ValidatingWebhook": _WEBHOOK},
)

TIMEOUT_S = 30
_SIDE_EFFECTS = ("Unknown", "None", "Some", "NoneOnDryRun")


def _default_webhooks(configuration: Object) -> None:
    for webhook in items(configuration, "webhooks"):
        absent(webhook, "failurePolicy", "Ignore")
        absent(webhook, "matchPolicy", "Exact")
        absent(webhook, "sideEffects", "Unknown")
        absent(webhook, "timeoutSeconds", TIMEOUT_S)
        blank(webhook, "admissionReviewVersions", ["v1beta1"])


def _default_validating(configuration: Object) -> None:
    _default_webhooks(configuration)
    VALIDATINGWEBHOOKCONFIGURATIONS.defaults(configuration)


def _default_mutating(configuration: Object) -> None:
    _default_webhooks(configuration)
    MUTATINGWEBHOOKCONFIGURATIONS.defaults(configuration)


def _tolerates(error: FieldError) -> bool:
    """Any side effects may be declared, and webhooks of one configuration may share a name."""
    if error.field.endswith(".sideEffects"):
        return any(f'"{value}"' in error.message.partition(": supported")[0] for value in _SIDE_EFFECTS)
    return error.reason == "FieldValueDuplicate" and error.field.endswith(".name")


RESOURCES = (
    older(
        MUTATINGWEBHOOKCONFIGURATIONS,
        PACKAGE,
        deprecated=(1, 16),
        removed=(1, 22),
        defaults=_default_mutating,
        tolerates=_tolerates,
    ),
    older(VALIDATINGADMISSIONPOLICIES, PACKAGE, deprecated=(1, 31), removed=(1, 34), replacement=None),
    older(VALIDATINGADMISSIONPOLICYBINDINGS, PACKAGE, deprecated=(1, 31), removed=(1, 34), replacement=None),
    older(
        VALIDATINGWEBHOOKCONFIGURATIONS,
        PACKAGE,
        deprecated=(1, 16),
        removed=(1, 22),
        defaults=_default_validating,
        tolerates=_tolerates,
    ),
)
PACKAGES = (PACKAGE,)
