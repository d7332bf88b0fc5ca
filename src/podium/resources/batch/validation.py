"""What is wrong with jobs and cron jobs, on create and on update."""

from __future__ import annotations

import re

from podium.machinery import labels, validation
from podium.machinery.errors import FieldError, Object
from podium.machinery.meta import deep_copy
from podium.resources.batch.indexes import BadIndexes, count_indexes
from podium.resources.batch.jobs import LEGACY_NAME_LABEL, LEGACY_UID_LABEL, NAME_LABEL, UID_LABEL
from podium.resources.batch.schedule import schedule_error
from podium.resources.checks import (
    Errors,
    immutable,
    metadata_of,
    nonnegative,
    objects,
    omitted,
    one_of,
    spec_of,
    unchanged,
)
from podium.resources.core.pod_validation import validate_template
from podium.resources.defaulting import given
from podium.resources.ratcheting import without_old_faults

_ACTIONS = ("Count", "FailIndex", "FailJob", "Ignore")
_REPLACEMENTS = ("Failed", "TerminatingOrFailed")
_PARALLELISM_INDEXED_MAX = 100_000
_FAILED_INDEXES_MAX = 100_000
_COMPLETIONS_SOFT_MAX = 100_000
_HIGH_COMPLETIONS_MAX = 10_000
_PATTERNS_MAX = 20
_SUCCEEDED_INDEXES_LENGTH_MAX = 64 * 1024
_RULES_MAX = 20
_EXIT_CODES_MAX = 255
_CRON_NAME_LENGTH_MAX = 52


def validate_job(job: Object) -> Errors:
    """Check a Job."""
    return _job(job, prefixed=True)


def _job(job: Object, *, prefixed: bool) -> Errors:
    """`prefixed`: the labels that start with the group's name must be there too."""
    spec = spec_of(job)
    errors = _generated_selector(job, spec, prefixed=prefixed) + _selected_job_spec(spec)
    completions = spec.get("completions")
    if spec.get("completionMode") == "Indexed" and completions and completions > 0:
        name = str(metadata_of(job).get("name") or "")
        longest = f"{name}-{completions - 1}"
        if not validation.is_dns1123_label(longest):
            detail = f"will not able to create pod with invalid DNS label: {longest}"
            errors.append(FieldError.invalid("metadata.name", name, detail))
    return errors


def _generated_selector(job: Object, spec: Object, *, prefixed: bool) -> Errors:
    """Check that nobody but the server wrote the selector and the labels it rests on."""
    if spec.get("manualSelector"):
        return []
    metadata = metadata_of(job)
    uid, name = metadata.get("uid"), metadata.get("name")
    template_labels = metadata_of(given(spec, "template") or {}).get("labels") or {}
    selector = given(spec, "selector")
    if selector is None or not uid:
        return []
    errors: Errors = []
    expected = {LEGACY_UID_LABEL: uid, LEGACY_NAME_LABEL: name}
    if prefixed:
        expected |= {UID_LABEL: uid, NAME_LABEL: name}
    for label, value in expected.items():
        path = "spec.template.metadata.labels"
        if label not in template_labels:
            errors.append(FieldError.required(path, f"must be '{value}'"))
        elif template_labels[label] != value:
            errors.append(FieldError.invalid(path, template_labels, f"must be '{value}'"))
    try:
        generated = labels.from_label_selector(selector).matches(expected)
    except ValueError:
        return errors
    if not generated:
        errors.append(FieldError.invalid("spec.selector", selector, "`selector` not auto-generated"))
    return errors


def _selected_job_spec(spec: Object) -> Errors:
    errors = _job_spec(spec, "spec")
    selector = given(spec, "selector")
    if selector is None:
        errors.append(FieldError.required("spec.selector"))
    errors += validation.validate_label_selector(selector, "spec.selector")
    template_labels = metadata_of(given(spec, "template") or {}).get("labels")
    try:
        parsed = labels.from_label_selector(selector)
    except ValueError:
        return errors
    if not parsed.matches(template_labels or {}):
        detail = "`selector` does not match template `labels`"
        errors.append(FieldError.invalid("spec.template.metadata.labels", template_labels, detail))
    return errors


def _job_spec(spec: Object, path: str) -> Errors:
    errors = nonnegative(
        spec,
        path,
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
        "backoffLimitPerIndex",
        "maxFailedIndexes",
    )
    if spec.get("maxFailedIndexes") is not None and spec.get("backoffLimitPerIndex") is None:
        detail = "when maxFailedIndexes is specified"
        errors.append(FieldError.required(f"{path}.backoffLimitPerIndex", detail))
    errors += _managed_by(spec, f"{path}.managedBy")
    errors += _completion_mode(spec, path)
    policy = given(spec, "podFailurePolicy")
    if policy is not None:
        errors += _failure_policy(policy, spec, f"{path}.podFailurePolicy")
    success = given(spec, "successPolicy")
    if success is not None:
        errors += _success_policy(success, spec, f"{path}.successPolicy")
    errors += _replacement(spec, policy, f"{path}.podReplacementPolicy")
    template = given(spec, "template") or {}
    errors += validate_template(template, f"{path}.template")
    restart = (given(template, "spec") or {}).get("restartPolicy")
    here = f"{path}.template.spec.restartPolicy"
    if restart in (None, "", "Always"):
        errors.append(FieldError.required(here, 'valid values: "OnFailure", "Never"'))
    elif restart not in ("OnFailure", "Never"):
        errors.append(FieldError.not_supported(here, restart, ("OnFailure", "Never")))
    elif policy is not None and restart != "Never":
        detail = 'only "Never" is supported when podFailurePolicy is specified'
        errors.append(FieldError.invalid(here, restart, detail))
    return errors


def _managed_by(spec: Object, path: str) -> Errors:
    manager = spec.get("managedBy")
    if manager is None:
        return []
    errors = validation.validate_domain_prefixed_path(str(manager), path)
    return [*errors, FieldError.too_long(path, 63)] if len(manager) > 63 else errors


def _completion_mode(spec: Object, path: str) -> Errors:
    mode = spec.get("completionMode")
    failed, completions = spec.get("maxFailedIndexes"), spec.get("completions")
    parallelism, per_index = spec.get("parallelism"), spec.get("backoffLimitPerIndex")
    errors: Errors = []
    if mode is not None and mode not in ("NonIndexed", "Indexed"):
        modes = ("NonIndexed", "Indexed")
        errors.append(FieldError.not_supported(f"{path}.completionMode", mode, modes))
    if mode == "Indexed":
        if completions is None:
            detail = "when completion mode is Indexed"
            errors.append(FieldError.required(f"{path}.completions", detail))
        if parallelism is not None and parallelism > _PARALLELISM_INDEXED_MAX:
            detail = (
                f"must be less than or equal to {_PARALLELISM_INDEXED_MAX} when completion mode is Indexed"
            )
            errors.append(FieldError.invalid(f"{path}.parallelism", parallelism, detail))
        if completions is not None and failed is not None and failed > completions:
            detail = "must be less than or equal to completions"
            errors.append(FieldError.invalid(f"{path}.maxFailedIndexes", failed, detail))
        if failed is not None and failed > _FAILED_INDEXES_MAX:
            detail = f"must be less than or equal to {_FAILED_INDEXES_MAX}"
            errors.append(FieldError.invalid(f"{path}.maxFailedIndexes", failed, detail))
        if completions is not None and completions > _COMPLETIONS_SOFT_MAX and per_index is not None:
            errors += _many_completions(parallelism, failed, path)
    elif mode in (None, "NonIndexed"):
        for key in ("backoffLimitPerIndex", "maxFailedIndexes"):
            if spec.get(key) is not None:
                detail = "requires indexed completion mode"
                errors.append(FieldError.invalid(f"{path}.{key}", spec[key], detail))
    return errors


def _many_completions(parallelism: int | None, failed: int | None, path: str) -> Errors:
    errors: Errors = []
    if failed is None:
        detail = f"must be specified when completions is above {_COMPLETIONS_SOFT_MAX}"
        errors.append(FieldError.required(f"{path}.maxFailedIndexes", detail))
    for key, value in (("parallelism", parallelism), ("maxFailedIndexes", failed)):
        if value is not None and value > _HIGH_COMPLETIONS_MAX:
            detail = (
                f"must be less than or equal to {_HIGH_COMPLETIONS_MAX} when completions are above "
                f"{_COMPLETIONS_SOFT_MAX} and used with backoff limit per index"
            )
            errors.append(FieldError.invalid(f"{path}.{key}", value, detail))
    return errors


def _failure_policy(policy: Object, spec: Object, path: str) -> Errors:
    rules = objects(policy.get("rules"))
    errors: Errors = []
    if len(rules) > _RULES_MAX:
        errors.append(FieldError.too_many(f"{path}.rules", len(rules), _RULES_MAX))
    pod = given(given(spec, "template") or {}, "spec") or {}
    names = {c.get("name") for key in ("containers", "initContainers") for c in objects(pod.get(key))}
    for index, rule in enumerate(rules):
        errors += _failure_rule(rule, spec, names, f"{path}.rules[{index}]")
    return errors


def _failure_rule(rule: Object, spec: Object, names: set[object], path: str) -> Errors:
    errors: Errors = []
    action = rule.get("action") or ""
    if not action:
        shown = " ".join(f'"{name}"' for name in _ACTIONS)
        errors.append(FieldError.required(f"{path}.action", f"valid values: [{shown}]"))
    elif action == "FailIndex":
        if spec.get("backoffLimitPerIndex") is None:
            detail = "requires the backoffLimitPerIndex to be set"
            errors.append(FieldError.invalid(f"{path}.action", action, detail))
    elif action not in _ACTIONS:
        errors.append(FieldError.not_supported(f"{path}.action", action, _ACTIONS))
    codes, conditions = given(rule, "onExitCodes"), objects(rule.get("onPodConditions"))
    if codes is not None:
        errors += _exit_codes(codes, names, f"{path}.onExitCodes")
    if len(conditions) > _PATTERNS_MAX:
        errors.append(FieldError.too_many(f"{path}.onPodConditions", len(conditions), _PATTERNS_MAX))
    for index, condition in enumerate(conditions):
        here = f"{path}.onPodConditions[{index}]"
        kind = str(condition.get("type") or "")
        errors += validation.invalid_each(f"{here}.type", kind, validation.qualified_name_errors(kind))
        statuses = ("False", "True", "Unknown")
        if not condition.get("status"):
            detail = 'valid values: ["False" "True" "Unknown"]'
            errors.append(FieldError.required(f"{here}.status", detail))
        else:
            errors += one_of(f"{here}.status", condition.get("status"), statuses)
    if codes is not None and conditions:
        errors.append(omitted(path, "specifying both OnExitCodes and OnPodConditions is not supported"))
    if codes is None and not conditions:
        errors.append(omitted(path, "specifying one of OnExitCodes and OnPodConditions is required"))
    return errors


def _exit_codes(codes: Object, names: set[object], path: str) -> Errors:
    errors: Errors = []
    operator, values = codes.get("operator") or "", codes.get("values") or []
    operators = ("In", "NotIn")
    if not operator:
        errors.append(FieldError.required(f"{path}.operator", 'valid values: ["In" "NotIn"]'))
    elif operator not in operators:
        errors.append(FieldError.not_supported(f"{path}.operator", operator, operators))
    name = codes.get("containerName")
    if name is not None and name not in names:
        detail = "must be one of the container or initContainer names in the pod template"
        errors.append(FieldError.invalid(f"{path}.containerName", name, detail))
    here = f"{path}.values"
    if not values:
        errors.append(FieldError.invalid(here, values, "at least one value is required"))
    elif len(values) > _EXIT_CODES_MAX:
        errors.append(FieldError.too_many(here, len(values), _EXIT_CODES_MAX))
    seen: set[int] = set()
    for index, value in enumerate(values):
        if operator == "In" and value == 0:
            detail = "must not be 0 for the In operator"
            errors.append(FieldError.invalid(f"{here}[{index}]", value, detail))
        if value in seen:
            errors.append(FieldError.duplicate(f"{here}[{index}]", value))
        seen.add(value)
    if list(values) != sorted(values):
        errors.append(FieldError.invalid(here, values, "must be ordered"))
    return errors


def _success_policy(policy: Object, spec: Object, path: str) -> Errors:
    if spec.get("completionMode") != "Indexed":
        return [FieldError.invalid(path, policy, "requires indexed completion mode")]
    rules = objects(policy.get("rules"))
    errors: Errors = []
    if not rules:
        detail = "at least one rules must be specified when the successPolicy is specified"
        errors.append(FieldError.required(f"{path}.rules", detail))
    if len(rules) > _RULES_MAX:
        errors.append(FieldError.too_many(f"{path}.rules", len(rules), _RULES_MAX))
    for index, rule in enumerate(rules):
        here = f"{path}.rules[{index}]"
        if rule.get("succeededCount") is None and rule.get("succeededIndexes") is None:
            detail = "at least one of succeededCount or succeededIndexes must be specified"
            errors.append(FieldError.required(here, detail))
        errors += _success_rule(rule, spec.get("completions") or 0, here)
    return errors


def _success_rule(rule: Object, completions: int, path: str) -> Errors:
    indexes, count = rule.get("succeededIndexes"), rule.get("succeededCount")
    errors: Errors = []
    total = 0
    if indexes is not None:
        here = f"{path}.succeededIndexes"
        if len(indexes) > _SUCCEEDED_INDEXES_LENGTH_MAX:
            errors.append(FieldError.too_long(here, _SUCCEEDED_INDEXES_LENGTH_MAX))
        try:
            total = count_indexes(indexes, completions)
        except BadIndexes as fault:
            errors.append(FieldError.invalid(here, indexes, f"error parsing succeededIndexes: {fault}"))
    if count is None:
        return errors
    here = f"{path}.succeededCount"
    errors += nonnegative(rule, path, "succeededCount")
    if count > completions:
        detail = f"must be less than or equal to {completions} (the number of specified completions)"
        errors.append(FieldError.invalid(here, count, detail))
    if indexes is not None and count > total:
        detail = (
            f"must be less than or equal to {total} (the number of indexes in the specified succeededIndexes "
            "field)"
        )
        errors.append(FieldError.invalid(here, count, detail))
    return errors


def _replacement(spec: Object, policy: Object | None, path: str) -> Errors:
    replacement = spec.get("podReplacementPolicy")
    if replacement is None:
        return []
    if policy is not None and replacement != "Failed":
        return [FieldError.not_supported(path, replacement, ("Failed",))]
    if replacement not in _REPLACEMENTS:
        return [FieldError.not_supported(path, replacement, _REPLACEMENTS)]
    return []


def validate_job_update(new: Object, old: Object) -> Errors:
    """Check a changed Job: what its pods are made from cannot change once they may run."""
    spec, before = spec_of(new), spec_of(old)
    old_labels = metadata_of(given(before, "template") or {}).get("labels") or {}
    prefixed = UID_LABEL in old_labels and NAME_LABEL in old_labels
    # Upstream looks twice, and names twice what is wrong with the spec.
    errors = without_old_faults(
        _job(new, prefixed=prefixed) + _selected_job_spec(spec), lambda: _job(old, prefixed=prefixed)
    )
    if spec.get("completionMode") != "Indexed":
        errors += immutable(spec, before, "completions", field="spec")
    elif spec.get("completions") not in (None, before.get("completions"), spec.get("parallelism")):
        detail = "can only be modified in tandem with spec.parallelism"
        errors.append(FieldError.invalid("spec.completions", spec.get("completions"), detail))
    errors += immutable(spec, before, "selector", field="spec")
    errors += _template_update(new, old)
    return errors + immutable(
        spec,
        before,
        "completionMode",
        "podFailurePolicy",
        "backoffLimitPerIndex",
        "managedBy",
        "successPolicy",
        field="spec",
    )


def _template_update(new: Object, old: Object) -> Errors:
    """Check a changed template. Where pods go and what they may use can change while there are none."""
    template, follows = given(spec_of(new), "template") or {}, given(spec_of(old), "template") or {}
    if not _idle(old):
        return _unless_same("spec.template", template, follows)
    follows = _scheduled_alike(follows, template)
    pod, was = given(template, "spec") or {}, given(follows, "spec") or {}
    return _unless_same("spec.template.spec", pod, _with_resources_of(was, pod))


def _unless_same(path: str, new: Object, old: Object) -> Errors:
    return [] if unchanged(new, old) else [FieldError.invalid(path, new, validation.IMMUTABLE)]


def _idle(job: Object) -> bool:
    """Say whether a job is suspended, and has no pods left."""
    status = given(job, "status") or {}
    paused = not status.get("startTime") or any(
        condition.get("type") == "Suspended" and condition.get("status") == "True"
        for condition in objects(status.get("conditions"))
    )
    return bool(spec_of(job).get("suspend")) and paused and not status.get("active")


def same_resources(new: Object, old: Object | None) -> Errors:
    """Refuse a change of what a suspended job's pods may use."""
    if old is None or not _idle(old):
        return []
    template, before = given(spec_of(new), "template") or {}, given(spec_of(old), "template") or {}
    return _unless_same("spec.template", template, _scheduled_alike(before, template))


def same_scheduling_once_started(new: Object, old: Object | None) -> Errors:
    """Refuse a change of where the pods go of a job that has run before it was suspended."""
    if old is None or not _idle(old) or not (given(old, "status") or {}).get("startTime"):
        return []
    template, before = given(spec_of(new), "template") or {}, given(spec_of(old), "template") or {}
    pod, was = given(template, "spec") or {}, given(before, "spec") or {}
    return _unless_same("spec.template.spec", pod, _with_resources_of(was, pod))


def _scheduled_alike(template: Object, wanted: Object) -> Object:
    """Return the template, with pods that go where those of `wanted` go."""
    follows: Object = deep_copy(template)
    follows.setdefault("metadata", {})
    for key in ("annotations", "labels"):
        _copy(metadata_of(wanted), follows["metadata"], key)
    pod, wanted_pod = follows.setdefault("spec", {}), given(wanted, "spec") or {}
    for key in ("nodeSelector", "tolerations", "schedulingGates"):
        _copy(wanted_pod, pod, key)
    affinity = {**(given(pod, "affinity") or {})}
    _copy(given(wanted_pod, "affinity") or {}, affinity, "nodeAffinity")
    if affinity or given(wanted_pod, "affinity") is not None:
        pod["affinity"] = affinity
    else:
        pod.pop("affinity", None)
    return follows


def _with_resources_of(pod: Object, wanted: Object) -> Object:
    """Return the pod, with containers that may use what those of `wanted` may."""
    made: Object = dict(pod)
    for key in ("containers", "initContainers"):
        own, others = objects(pod.get(key)), objects(wanted.get(key))
        if own and len(own) == len(others):
            made[key] = [
                _resourced(one, other) if one.get("name") == other.get("name") else one
                for one, other in zip(own, others, strict=True)
            ]
    return made


def _resourced(container: Object, wanted: Object) -> Object:
    made: Object = dict(container)
    _copy(wanted, made, "resources")
    return made


def _copy(source: Object, target: Object, key: str) -> None:
    if key in source:
        target[key] = source[key]
    else:
        target.pop(key, None)


def validate_cron_job(cron_job: Object) -> Errors:
    """Check a CronJob."""
    errors = _cron_job_spec(spec_of(cron_job), None)
    name = str(metadata_of(cron_job).get("name") or "")
    if len(name) > _CRON_NAME_LENGTH_MAX:
        detail = f"must be no more than {_CRON_NAME_LENGTH_MAX} characters"
        errors.append(FieldError.invalid("metadata.name", name, detail))
    return errors


def validate_cron_job_update(new: Object, old: Object) -> Errors:
    """Check a changed CronJob."""
    before = spec_of(old)
    return without_old_faults(_cron_job_spec(spec_of(new), before), lambda: _cron_job_spec(before, before))


def _cron_job_spec(spec: Object, before: Object | None) -> Errors:
    errors: Errors = []
    schedule, zone = str(spec.get("schedule") or ""), spec.get("timeZone")
    if not schedule:
        errors.append(FieldError.required("spec.schedule"))
    else:
        fault = schedule_error(schedule)
        if fault:
            errors.append(FieldError.invalid("spec.schedule", schedule, fault))
        had_zone = before is not None and "TZ" in str(before.get("schedule") or "")
        if "TZ" in schedule and not had_zone:
            detail = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
            errors.append(FieldError.invalid("spec.schedule", schedule, detail))
        elif "TZ" in schedule and zone is not None:
            detail = "cannot use both timeZone field and TZ or CRON_TZ in schedule"
            errors.append(FieldError.invalid("spec.schedule", schedule, detail))
    errors += nonnegative(spec, "spec", "startingDeadlineSeconds")
    if before is None or before.get("timeZone") != zone:
        errors += _time_zone(zone)
    policies = ("Allow", "Forbid", "Replace")
    errors += one_of("spec.concurrencyPolicy", spec.get("concurrencyPolicy"), policies)
    template = given(given(spec, "jobTemplate") or {}, "spec") or {}
    path = "spec.jobTemplate.spec"
    errors += _job_spec(template, path)
    if template.get("selector") is not None:
        detail = "`selector` will be auto-generated"
        errors.append(FieldError.invalid(f"{path}.selector", template["selector"], detail))
    if template.get("manualSelector"):
        errors.append(FieldError.not_supported(f"{path}.manualSelector", True, ("nil", "false")))
    return errors + nonnegative(spec, "spec", "successfulJobsHistoryLimit", "failedJobsHistoryLimit")


def _time_zone(zone: object) -> Errors:
    path = "spec.timeZone"
    if zone is None:
        return []
    if not isinstance(zone, str) or not zone:
        return [FieldError.invalid(path, zone, "timeZone must be nil or non-empty string")]
    if zone.count("/") > 2:
        return [FieldError.invalid(path, zone, f"unknown time zone {zone}")]
    for part in zone.split("/"):
        if part in (".", "..") or part.startswith("-") or not re.fullmatch(r"[A-Za-z.\-_+0-9]{1,14}", part):
            return [FieldError.invalid(path, zone, f"unknown time zone {zone}")]
    errors: Errors = []
    if zone.lower() == "local":
        detail = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
        errors.append(FieldError.invalid(path, zone, detail))
    if zone != "Local" and not _known_time_zone(zone):
        errors.append(FieldError.invalid(path, zone, f"unknown time zone {zone}"))
    return errors


def _known_time_zone(zone: str) -> bool:
    # Time zones are asked for by cron jobs only, so their module is not loaded before.
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # noqa: PLC0415

    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True
