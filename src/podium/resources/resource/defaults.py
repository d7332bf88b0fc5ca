"""Defaults of device requests, in claims and in templates of claims."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.resources.defaulting import blank, child, given, items


def default_claim_spec(spec: Object) -> None:
    """Fill in how many devices each request asks for."""
    for request in items(child(spec, "devices"), "requests"):
        exactly = given(request, "exactly")
        for sub in ([exactly] if exactly is not None else []) + list(items(request, "firstAvailable")):
            blank(sub, "allocationMode", "ExactCount")
            if sub["allocationMode"] == "ExactCount":
                blank(sub, "count", 1)
