"""What a Job's spec says of single failures and successes: pod failure and success policy, limits per index.

Pure; used by job.py. Upstream: pkg/controller/job/pod_failure_policy.go, success_policy.go, backoff_utils.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from podium.controllers.common import indexes as indexlib
from podium.machinery import meta
from podium.machinery.errors import Object

INDEX = "batch.kubernetes.io/job-completion-index"
FAILURES = "batch.kubernetes.io/job-index-failure-count"
IGNORED = "batch.kubernetes.io/job-index-ignored-failure-count"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a pod's failure means to its Job."""

    counts: bool = True
    """It counts towards the limits. An ignored one does not."""
    fails_index: bool = False
    fails_job: str = ""
    """Why the whole Job fails by it; empty: it does not."""


COUNTED = Verdict()


def verdict(policy: Object | None, pod: Object) -> Verdict:
    """Return what the first rule that matches says of a pod that failed."""
    for number, rule in enumerate((policy or {}).get("rules") or ()):
        action = rule.get("action")
        why = _matches(rule, pod)
        if why is None:
            continue
        if action == "Ignore":
            return Verdict(counts=False)
        if action == "FailIndex":
            return Verdict(fails_index=True)
        if action == "FailJob":
            return Verdict(fails_job=f"{why} matching FailJob rule at index {number}")
        return COUNTED
    return COUNTED


def _matches(rule: Object, pod: Object) -> str | None:
    """Return in words what of the pod the rule matches."""
    status: Object = pod.get("status") or {}
    where = f"{meta.namespace(pod)}/{meta.name(pod)}"
    if codes := rule.get("onExitCodes"):
        for container in _ended(status):
            code = container["state"]["terminated"].get("exitCode", 0)
            listed = code in (codes.get("values") or ())
            if (
                code != 0
                and codes.get("containerName") in (None, container.get("name"))
                and listed == (codes.get("operator") == "In")
            ):
                return f"Container {container.get('name')} for pod {where} failed with exit code {code}"
        return None
    patterns = {(p.get("type"), p.get("status", "True")) for p in rule.get("onPodConditions") or ()}
    for condition in status.get("conditions") or ():
        if (condition.get("type"), condition.get("status")) in patterns:
            return f"Pod {where} has condition {condition['type']}"
    return None


def _ended(status: Object) -> list[Object]:
    listed = [*(status.get("containerStatuses") or ()), *(status.get("initContainerStatuses") or ())]
    return [container for container in listed if meta.dig(container, "state", "terminated")]


def success(policy: Object | None, done: set[int]) -> str | None:
    """Return which rule of a success policy the indexes that are done fulfil, in upstream's words."""
    if not done:
        return None
    for number, rule in enumerate((policy or {}).get("rules") or ()):
        named = rule.get("succeededIndexes")
        count = rule.get("succeededCount")
        wanted = indexlib.parse(named) if named is not None else None
        reached = len(done if wanted is None else done & wanted)
        if wanted is not None and count is None:
            count = len(wanted)
        if count and reached >= count:
            return f"Matched rules at index {number}"
    return None


def completion_index(pod: Object) -> int | None:
    text = meta.annotations(pod).get(INDEX)
    return int(text) if text is not None and text.isdecimal() else None


def failures(pod: Object) -> int:
    """Return how often the pod's index had failed before the pod was made."""
    return _number(pod, FAILURES)


def attempts(pod: Object) -> int:
    """Return how many pods there were of the index before this one."""
    return failures(pod) + _number(pod, IGNORED)


def _number(pod: Object, name: str) -> int:
    text = meta.annotations(pod).get(name, "")
    return int(text) if text.isdecimal() else 0


def index_failed(spec: Object, pod: Object) -> bool:
    """Say whether the failure of this pod is the end of its index."""
    limit = spec.get("backoffLimitPerIndex")
    if limit is None:
        return False
    judged = verdict(spec.get("podFailurePolicy"), pod)
    return judged.fails_index or (judged.counts and failures(pod) >= int(limit))


def latest(pods: Iterable[Object]) -> dict[int, Object]:
    """Return the newest pod of each index."""
    newest: dict[int, Object] = {}
    for pod in pods:
        index = completion_index(pod)
        if index is not None and (index not in newest or attempts(pod) > attempts(newest[index])):
            newest[index] = pod
    return newest


def count_annotations(spec: Object, replaced: Object | None) -> dict[str, str]:
    """Return the annotations that carry an index's failures on to the pod after `replaced`."""
    failed = ignored = 0
    if replaced is not None:
        counts = verdict(spec.get("podFailurePolicy"), replaced).counts
        failed = failures(replaced) + counts
        ignored = _number(replaced, IGNORED) + (not counts)
    return {FAILURES: str(failed), **({IGNORED: str(ignored)} if ignored else {})}


def index_limit(spec: Object, done: set[int], failed: Sequence[int] | set[int]) -> tuple[str, str] | None:
    """Return reason and message of a Job that fails by its failed indexes."""
    limit, completions = spec.get("maxFailedIndexes"), spec.get("completions")
    if limit is not None and len(failed) > int(limit):
        message = "Job has exceeded the specified maximal number of failed indexes"
        return "MaxFailedIndexesExceeded", message
    if failed and completions is not None and len(failed) + len(done) >= int(completions):
        return "FailedIndexes", "Job has failed indexes"
    return None
