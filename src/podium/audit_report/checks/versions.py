"""What is too old: API versions on their way out, and servers without support."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache

from podium.audit_report.checks import Family
from podium.audit_report.context import Context
from podium.audit_report.finding import Problem, Rule, Severity
from podium.audit_report.workloads import as_object
from podium.machinery.errors import Object
from podium.resources.catalogue import declared
from podium.resources.twins import deprecated

DEPRECATED = Rule(
    id="deprecated-api",
    severity=Severity.MEDIUM,
    title="An API version is deprecated or gone",
    why="After the next upgrade it may not be served, and what uses it fails.",
    fix="Use the version that is named; `kubectl convert` rewrites manifests.",
)
OUTDATED = Rule(
    id="outdated-server",
    severity=Severity.HIGH,
    title="The API server's release is no longer supported",
    why="Vulnerabilities that are found in it are not mended.",
    fix="Upgrade, one minor release after the other.",
)

SUPPORTED_MINORS = 3
"""The newest release and as many before it, all in all, get patches."""
SERVER = "Server"
"""The kind of what stands for a live API server; see `live.py`."""
_ASKED_FOR_BY_CLUSTERS = frozenset({("", "v1", "endpoints")})
"""What controllers of every cluster, upstream's too, ask for: that tells nothing of its users."""
_RELEASE = re.compile(r"v?(\d+)\.(\d+)")
_REMOVED = re.compile(r"unavailable in v(\d+)\.(\d+)\+")
_SINCE = re.compile(r"deprecated in v(\d+)\.(\d+)\+")

Release = tuple[int, int]


_FLOW_CONTROL = "flowcontrol.apiserver.k8s.io"
_NEVER_SERVED = {
    (f"{_FLOW_CONTROL}/{version}", kind): deprecated(
        f"{_FLOW_CONTROL}/{version}", kind, since, until, f"{_FLOW_CONTROL}/v1"
    )
    for version, since, until in (
        ("v1beta1", "1.23", "1.26"),
        ("v1beta2", "1.26", "1.29"),
        ("v1beta3", "1.29", "1.32"),
    )
    for kind in ("FlowSchema", "PriorityLevelConfiguration")
}
"""What upstream has removed and Podium does not declare."""


@cache
def _deprecations() -> Mapping[tuple[str, str], str]:
    """Return upstream's warning for each version of a kind that has one."""
    known = {
        (resource.api_version, resource.kind): resource.deprecation
        for resource in declared(legacy=True)
        if resource.deprecation
    }
    return {**_NEVER_SERVED, **known}


def _check(obj: Object, context: Context) -> Iterator[Problem]:
    if obj.get("kind") == SERVER:
        yield from _server(obj, context)
        return
    warning = _deprecations().get((str(obj.get("apiVersion") or ""), str(obj.get("kind") or "")))
    if warning and release_in(warning, _SINCE, before=context.release):
        gone = release_in(warning, _REMOVED, before=context.release)
        yield Problem(DEPRECATED, ("apiVersion",), warning, Severity.HIGH if gone else None)


def release_in(text: str, pattern: re.Pattern[str], *, before: Release) -> bool:
    """Whether a warning names a release that is `before` or not after it."""
    found = pattern.search(text)
    return found is not None and (int(found[1]), int(found[2])) <= before


def release_of(version: str) -> Release | None:
    """Return major and minor of `v1.36.2`, or of `1.36+`."""
    found = _RELEASE.match(version)
    return (int(found[1]), int(found[2])) if found else None


def _server(server: Object, context: Context) -> Iterator[Problem]:
    status = as_object(server.get("status"))
    version = str(status.get("gitVersion") or "")
    release = release_of(version)
    if release is not None and release < (context.release[0], context.release[1] - SUPPORTED_MINORS + 1):
        newest = ".".join(map(str, context.release))
        yield Problem(OUTDATED, ("status", "gitVersion"), f"it is {version}; {newest} is current")
    requested = status.get("requestedDeprecatedAPIs")
    for index, one in enumerate(requested if isinstance(requested, list) else ()):
        told = as_object(one)
        group, removed = told.get("group") or "", told.get("removedRelease") or ""
        if (group, told.get("version"), told.get("resource")) in _ASKED_FOR_BY_CLUSTERS:
            continue
        name = f"{group}/{told.get('version')}" if group else str(told.get("version"))
        detail = f"somebody has asked for {told.get('resource')} in {name}"
        path = ("status", "requestedDeprecatedAPIs", index)
        yield Problem(DEPRECATED, path, f"{detail}, which is gone in {removed}" if removed else detail)


VERSIONS = Family(name="Versions", rules=(DEPRECATED, OUTDATED), check=_check)
