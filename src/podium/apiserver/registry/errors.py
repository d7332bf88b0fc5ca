"""Answers that only the registry gives, beside the common tree of `machinery.errors`."""

from __future__ import annotations

from podium.machinery.errors import Invalid, Object, Timeout

OPTIMISTIC_LOCK = (
    "the object has been modified; please apply your changes to the latest version and try again"
)


class TooLargeResourceVersion(Timeout):
    """504: the client knows a version that this server has not reached."""

    def __init__(self, asked: int, current: int, *, retry_after_s: int = 1) -> None:
        details: Object = {
            "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
        }
        if retry_after_s:
            details["retryAfterSeconds"] = retry_after_s
        super().__init__(f"Timeout: Too large resource version: {asked}, current: {current}", details=details)


def invalid_options(kind: str, errors: list[str], causes: list[dict[str, str]]) -> Invalid:
    """Return upstream's Invalid for an options object (`ListOptions.meta.k8s.io "" is invalid: ...`)."""
    summary = errors[0] if len(errors) == 1 else "[" + ", ".join(errors) + "]"
    return Invalid(
        f'{kind}.meta.k8s.io "" is invalid: {summary}',
        details={"group": "meta.k8s.io", "kind": kind, "causes": causes},
    )
