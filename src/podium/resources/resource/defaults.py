"""Defaults of devices and of the requests for them, in claims, templates of claims and slices."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.resources.defaulting import absent, blank, child, given, items


def default_claim_spec(spec: Object) -> None:
    """Fill in how many devices each request asks for."""
    for request in items(child(spec, "devices"), "requests"):
        exactly = given(request, "exactly")
        for sub in ([exactly] if exactly is not None else []) + list(items(request, "firstAvailable")):
            default_request(sub)


def default_request(request: Object) -> None:
    """Fill in how many devices a request, or an alternative of one, asks for."""
    blank(request, "allocationMode", "ExactCount")
    if request["allocationMode"] == "ExactCount":
        blank(request, "count", 1)
    for toleration in items(request, "tolerations"):
        blank(toleration, "operator", "Equal")


def default_device(device: Object) -> None:
    """Fill in what a device of a slice leaves out."""
    for mapping in (given(device, "nodeAllocatableResourceMappings") or {}).values():
        if isinstance(mapping, dict):
            absent(mapping, "allocationMultiplier", "1")


def stamp_taint(taint: Object, now: str) -> None:
    """Say since when a device is tainted, where its owner does not."""
    absent(taint, "timeAdded", now)
