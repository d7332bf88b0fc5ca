"""What is wrong with what controllers say about a job.

Most rules are checked only where what they speak of changes: a change of the spec may have broken one before
the controller could follow.
"""

from __future__ import annotations

from podium.base.clock import parse_rfc3339
from podium.machinery.errors import FieldError, Object
from podium.resources.batch.indexes import BadIndexes, count_indexes, overlap
from podium.resources.checks import Errors, nonnegative, objects, omitted, spec_of, unchanged
from podium.resources.defaulting import given

_CONDITIONS = "status.conditions"


class _State:
    """A job's status, as the rules ask for it."""

    def __init__(self, job: Object) -> None:
        self.status: Object = given(job, "status") or {}
        self.true = {
            condition.get("type")
            for condition in objects(self.status.get("conditions"))
            if condition.get("status") == "True"
        }
        self.complete = "Complete" in self.true
        self.failed = "Failed" in self.true
        self.finished = self.complete or self.failed
        self.failing = "FailureTarget" in self.true
        self.met = "SuccessCriteriaMet" in self.true

    def count(self, key: str) -> int:
        return int(self.status.get(key) or 0)


def validate_job_status(new: Object, old: Object) -> Errors:
    """Check a job's status against its spec and against what it was."""
    spec, state, before = spec_of(new), _State(new), _State(old)
    errors = nonnegative(state.status, "status", "active", "succeeded", "failed", "ready", "terminating")
    errors += _uncounted(given(state.status, "uncountedTerminatedPods") or {})
    errors += _outcome(state, before)
    errors += _times(state, before)
    errors += _finishing(spec, state, before)
    errors += _indexes(spec, state, before)
    changed = _changed(state, before, "terminating") or state.finished != before.finished
    if changed and state.count("terminating") > 0 and state.finished:
        terminating = state.count("terminating")
        detail = "terminating>0 is invalid for finished job"
        errors.append(FieldError.invalid("status.terminating", terminating, detail))
    changed = _changed(state, before, "ready", "active")
    ready = state.status.get("ready")
    if changed and ready is not None and ready > state.count("active"):
        errors.append(FieldError.invalid("status.ready", ready, "cannot set more ready pods than active"))
    errors += _criteria(spec, state)
    return errors + _steps(new, spec, state, before, old)


def _changed(state: _State, before: _State, *keys: str) -> bool:
    return any(state.status.get(key) != before.status.get(key) for key in keys)


def _uncounted(uncounted: Object) -> Errors:
    errors: Errors = []
    seen: set[str] = set()
    for key in ("succeeded", "failed"):
        for index, uid in enumerate(uncounted.get(key) or ()):
            path = f"status.uncountedTerminatedPods.{key}[{index}]"
            if not uid:
                errors.append(FieldError.invalid(path, uid, "must not be empty"))
            elif uid in seen:
                errors.append(FieldError.duplicate(path, uid))
            seen.add(uid)
    return errors


def _outcome(state: _State, before: _State) -> Errors:
    errors: Errors = []
    completed = state.complete != before.complete
    if (completed or state.failed != before.failed) and state.complete and state.failed:
        errors.append(omitted(_CONDITIONS, "cannot set Complete=True and Failed=true conditions"))
    if (completed or state.failing != before.failing) and state.complete and state.failing:
        errors.append(omitted(_CONDITIONS, "cannot set Complete=True and FailureTarget=true conditions"))
    return errors


def _times(state: _State, before: _State) -> Errors:
    path = "status.completionTime"
    started, completed = state.status.get("startTime"), state.status.get("completionTime")
    errors: Errors = []
    if state.complete != before.complete or _changed(state, before, "completionTime"):
        if completed is not None and not state.complete:
            detail = "cannot set completionTime when there is no Complete=True condition"
            errors.append(FieldError.invalid(path, completed, detail))
        if completed is None and state.complete:
            errors.append(FieldError.required(path, "completionTime is required for Complete jobs"))
    if (
        _changed(state, before, "startTime", "completionTime")
        and started is not None
        and completed is not None
        and parse_rfc3339(completed) < parse_rfc3339(started)
    ):
        errors.append(FieldError.invalid(path, completed, "must be equal to or after `startTime`"))
    return errors


def _finishing(spec: Object, state: _State, before: _State) -> Errors:
    errors: Errors = []
    changed = state.failed != before.failed or _changed(state, before, "failedIndexes")
    if changed and state.failed and not state.failing:
        detail = "cannot set Failed=True condition without the FailureTarget=true condition"
        errors.append(omitted(_CONDITIONS, detail))
    changed = state.complete != before.complete or state.met != before.met
    if changed and state.complete and not state.met:
        detail = "cannot set Complete=True condition without the SuccessCriteriaMet=true condition"
        errors.append(omitted(_CONDITIONS, detail))
    if not state.finished:
        return errors
    finishes = not before.finished
    active = state.count("active")
    if (finishes or _changed(state, before, "active")) and active > 0:
        errors.append(FieldError.invalid("status.active", active, "active>0 is invalid for finished job"))
    never_runs = spec.get("suspend") is True and spec.get("completions") == 0
    changed = (finishes or _changed(state, before, "startTime")) and not never_runs
    if changed and state.status.get("startTime") is None:
        errors.append(FieldError.required("status.startTime", "startTime is required for finished job"))
    path = "status.uncountedTerminatedPods"
    uncounted = given(state.status, "uncountedTerminatedPods") or {}
    was = given(before.status, "uncountedTerminatedPods")
    if (finishes or not unchanged(uncounted, was)) and (
        uncounted.get("failed") or uncounted.get("succeeded")
    ):
        errors.append(FieldError.invalid(path, uncounted, "must be empty for finished job"))
    return errors


def _indexes(spec: Object, state: _State, before: _State) -> Errors:
    completions, by_index = spec.get("completions"), spec.get("backoffLimitPerIndex") is not None
    completed, failed = str(state.status.get("completedIndexes") or ""), state.status.get("failedIndexes")
    new_completed = completed != str(before.status.get("completedIndexes") or "")
    new_failed = _changed(state, before, "failedIndexes")
    errors: Errors = []
    if new_completed and completions is not None:
        errors += unreadable("status.completedIndexes", completed, completions)
    if new_failed and completions is not None and by_index and failed is not None:
        errors += unreadable("status.failedIndexes", failed, completions)
    if new_completed and completed and spec.get("completionMode") != "Indexed":
        detail = "cannot set non-empty completedIndexes when non-indexed completion mode"
        errors.append(FieldError.invalid("status.completedIndexes", completed, detail))
    if new_failed and not by_index and failed is not None:
        detail = "cannot set non-null failedIndexes when backoffLimitPerIndex is null"
        errors.append(FieldError.invalid("status.failedIndexes", failed, detail))
    if (new_failed or new_completed) and completions is not None and failed and completed:
        both = overlap(completed, failed, completions)
        if both is not None:
            detail = f"failedIndexes and completedIndexes overlap at index: {both}"
            errors.append(FieldError.invalid("status.failedIndexes", failed, detail))
    return errors


def unreadable(path: str, text: str, completions: int) -> Errors:
    """Return what is wrong with a set of indexes at `path`."""
    try:
        count_indexes(text, completions)
    except BadIndexes as fault:
        detail = f"error parsing {path.rpartition('.')[2]}: {fault}"
        return [FieldError.invalid(path, text, detail)]
    return []


def _criteria(spec: Object, state: _State) -> Errors:
    errors: Errors = []
    if state.met and state.failed:
        errors.append(omitted(_CONDITIONS, "cannot set SuccessCriteriaMet=True and Failed=true conditions"))
    if state.met and state.failing:
        detail = "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions"
        errors.append(omitted(_CONDITIONS, detail))
    if given(spec, "successPolicy") is not None and state.complete and not state.met:
        detail = "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True"
        errors.append(omitted(_CONDITIONS, detail))
    return errors


def _steps(new: Object, spec: Object, state: _State, before: _State, old: Object) -> Errors:
    """Check that nothing that is over is undone."""
    errors: Errors = [
        omitted(_CONDITIONS, f"cannot disable the terminal {kind}=True condition")
        for kind in ("Failed", "Complete", "FailureTarget")
        if kind in before.true and kind not in state.true
    ]
    for key in ("failed", "succeeded"):
        # Indexed jobs whose completions follow their parallelism may shrink.
        elastic = spec.get("completionMode") == "Indexed" and spec.get("completions") == spec.get(
            "parallelism"
        )
        if state.count(key) < before.count(key) and not (key == "succeeded" and elastic):
            detail = f"cannot decrease the {key} counter"
            errors.append(FieldError.invalid(f"status.{key}", state.count(key), detail))
    completed, was = state.status.get("completionTime"), before.status.get("completionTime")
    if completed is not None and was is not None and completed != was:
        errors.append(FieldError.invalid("status.completionTime", completed, "field is immutable"))
    started, was = state.status.get("startTime"), before.status.get("startTime")
    resumes = "Suspended" in before.true and any(
        condition.get("type") == "Suspended" and condition.get("status") == "False"
        for condition in objects(state.status.get("conditions"))
    )
    if was is not None and started != was and not spec.get("suspend") and not resumes:
        detail = "field is immutable for unsuspended job once set"
        errors.append(FieldError.invalid("status.startTime", started, detail))
    if before.met and not state.met:
        errors.append(omitted(_CONDITIONS, "cannot disable the SuccessCriteriaMet=True condition"))
    if before.complete and not before.met and state.met:
        detail = "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions"
        errors.append(omitted(_CONDITIONS, detail))
    return errors
