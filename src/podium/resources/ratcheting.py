"""What a changed object may keep though newer rules refuse it: faults that it had before.

Rules are tightened now and then, and an object that was accepted under the older ones must still be labelled,
scaled and deleted. Upstream tolerates certain kinds of faults in an object that already had such a fault; all
other faults are reported, old or not.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from podium.machinery.errors import FieldError

Errors = list[FieldError]


@dataclass(frozen=True, slots=True)
class _Kind:
    """Faults, as `field: message`, and what the old object must have had for them to be tolerated."""

    tolerated: re.Pattern[str]
    had: re.Pattern[str]


def _kind(tolerated: str, had: str = "") -> _Kind:
    return _Kind(re.compile(tolerated), re.compile(had or tolerated))


_KINDS = (
    # Pods, and templates for them. Upstream: pkg/api/pod/util.go.
    _kind(r"\.(limits|requests)\[hugepages-[^]]*\]: .* is not positive integer multiple of "),
    _kind(
        r"(\.affinity\.pod(Anti)?Affinity\..*Selector|^spec\.selector)\.matchExpressions\[\d+\]\.values\[",
        r"\.affinity\.pod(Anti)?Affinity\..*Selector\.|^spec\.selector\.matchExpressions\[\d+\]\.values\[",
    ),
    _kind(r"\.affinity\.nodeAffinity\.requiredDuring.*\.matchExpressions\[\d+\]\.values\["),
    _kind(r"\.topologySpreadConstraints\[\d+\]\.labelSelector\."),
    _kind(r"\.topologySpreadConstraints\[\d+\]\.matchLabelKeys"),
    _kind(r"\.volumes\[\d+\]\.projected\.path: Invalid value: "),
    _kind(
        r"\.securityContext\.sysctls\[\d+\]\.name: .* may not be specified when 'host(Network|IPC)' is true"
    ),
    _kind(r"\.volumeDevices: .* when `hostUsers` is false"),
    _kind(r"\[controller\.kubernetes\.io/pod-deletion-cost\]: "),
    # Disruption budgets.
    _kind(r"^spec\.selector\.matchExpressions\[\d+\]\.values\[", r"^spec\.selector\."),
    # Network policies: of all their selectors, when the first of them was wrong.
    _kind(
        r"^spec\.(podSelector|(in|e)gress\[.*Selector)\.matchExpressions\[\d+\]\.values\[",
        r"^spec\.podSelector\.",
    ),
    # Webhooks.
    _kind(r"^webhooks\[\d+\]\.sideEffects: Unsupported value: \"(Some|Unknown)\"", r"\.sideEffects: "),
    _kind(r"^webhooks\[\d+\]\.admissionReviewVersions: .* must include at least one of "),
    _kind(r"^webhooks\[\d+\]\.name: Duplicate value: "),
    _kind(
        r"^webhooks\[\d+\]\.(namespace|object)Selector\.matchExpressions\[\d+\]\.values\[",
        r"^webhooks\[\d+\]\.(namespace|object)Selector\.",
    ),
)


def without_old_faults(errors: Errors, old: Callable[[], Errors]) -> Errors:
    """Return the faults but those that an update tolerates.

    `old` checks the object as it was: it is asked only when there is something that might be tolerated.
    """
    texts = [f"{error.field}: {error.message}" for error in errors]
    suspects = [kind for kind in _KINDS if any(kind.tolerated.search(text) for text in texts)]
    if not suspects:
        return errors
    before = [f"{error.field}: {error.message}" for error in old()]
    kinds = [kind for kind in suspects if any(kind.had.search(text) for text in before)]
    return [
        error
        for error, text in zip(errors, texts, strict=True)
        if not any(kind.tolerated.search(text) for kind in kinds)
    ]
