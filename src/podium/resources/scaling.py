"""What the scale subresource of workloads shares: the selector of the scaled pods as text."""

from __future__ import annotations

from podium.machinery import labels
from podium.machinery.errors import Object


def selector_of_labels(obj: Object) -> str:
    """Return `spec.selector`, a metav1.LabelSelector, in its text form."""
    return str(labels.from_label_selector((obj.get("spec") or {}).get("selector")))


def selector_of_map(obj: Object) -> str:
    """Return `spec.selector`, a plain map, in its text form."""
    return str(labels.from_map((obj.get("spec") or {}).get("selector") or {}))
