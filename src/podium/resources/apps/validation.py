"""What is wrong with the workloads of apps/v1, on create and on update."""

from __future__ import annotations

from podium.machinery import labels, validation
from podium.machinery.errors import FieldError, Object
from podium.resources.checks import (
    Errors,
    immutable,
    int_or_percent_value,
    metadata_of,
    named,
    nonnegative,
    nonnegative_int_or_percent,
    not_above_100_percent,
    objects,
    spec_of,
    unchanged,
)
from podium.resources.core.claim_validation import validate_claim_spec
from podium.resources.core.pod_validation import validate_template
from podium.resources.defaulting import given
from podium.resources.ratcheting import without_old_faults

_MISMATCH = "`selector` does not match template `labels`"
_BEYOND_REPLICAS = "cannot be greater than status.replicas"


def selector_errors(spec: Object, what: str) -> Errors:
    """Check a selector that must be there and select something."""
    selector = given(spec, "selector")
    if selector is None:
        return [FieldError.required("spec.selector")]
    errors = validation.validate_label_selector(selector, "spec.selector")
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        errors.append(FieldError.invalid("spec.selector", selector, f"empty selector is invalid for {what}"))
    return errors


def _parsed(spec: Object) -> labels.Selector | None:
    """Return what the selector selects, None when it cannot be read."""
    try:
        return labels.from_label_selector(given(spec, "selector"))
    except ValueError:
        return None


def label_mismatch(selector: labels.Selector, template: Object, path: str) -> Errors:
    """Check that the selector selects the pods made from the template."""
    template_labels = metadata_of(template).get("labels")
    if selector.empty or selector.matches(template_labels or {}):
        return []
    return [FieldError.invalid(f"{path}.metadata.labels", template_labels, _MISMATCH)]


def _always_running(template: Object, what: str) -> Errors:
    """Check what templates of pods that never end may not say."""
    errors: Errors = []
    spec = given(template, "spec") or {}
    policy = spec.get("restartPolicy") or ""
    if policy != "Always":
        errors.append(FieldError.not_supported("spec.template.spec.restartPolicy", policy, ("Always",)))
    if spec.get("activeDeadlineSeconds") is not None:
        detail = f"activeDeadlineSeconds in {what} is not Supported"
        errors.append(FieldError.forbidden("spec.template.spec.activeDeadlineSeconds", detail))
    return errors


def _replicated_template(spec: Object) -> Errors:
    """Check the selector and the template of a Deployment or a ReplicaSet."""
    # Upstream says "deployment" for both.
    errors = selector_errors(spec, "deployment")
    selector = _parsed(spec)
    if selector is None:
        errors.append(FieldError.invalid("spec.selector", spec.get("selector"), "invalid label selector"))
        return errors
    template = given(spec, "template") or {}
    errors += label_mismatch(selector, template, "spec.template")
    errors += validate_template(template, "spec.template")
    return errors + _always_running(template, "ReplicaSet")


def validate_deployment(deployment: Object) -> Errors:
    """Check a Deployment."""
    spec = spec_of(deployment)
    errors = nonnegative(spec, "spec", "replicas")
    errors += _replicated_template(spec)
    errors += _deployment_strategy(given(spec, "strategy") or {}, "spec.strategy")
    errors += nonnegative(spec, "spec", "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds")
    deadline = spec.get("progressDeadlineSeconds")
    if deadline is not None and deadline <= (spec.get("minReadySeconds") or 0):
        detail = "must be greater than minReadySeconds"
        errors.append(FieldError.invalid("spec.progressDeadlineSeconds", deadline, detail))
    return errors


def _deployment_strategy(strategy: Object, path: str) -> Errors:
    rolling = given(strategy, "rollingUpdate")
    here = f"{path}.rollingUpdate"
    match strategy.get("type"):
        case "Recreate":
            if rolling is None:
                return []
            detail = "may not be specified when strategy `type` is 'Recreate'"
            return [FieldError.forbidden(here, detail)]
        case "RollingUpdate":
            if rolling is None:
                return [FieldError.required(here, "this should be defaulted and never be nil")]
            return _rolling_deployment(rolling, here)
    shown = {"Type": strategy.get("type") or "", "RollingUpdate": rolling and _go_rolling(rolling)}
    return [FieldError.not_supported(path, shown, ("Recreate", "RollingUpdate"))]


def _go_rolling(rolling: Object) -> Object:
    """Return the rolling update as upstream's internals print it."""
    return {"MaxUnavailable": rolling.get("maxUnavailable"), "MaxSurge": rolling.get("maxSurge")}


def _rolling_deployment(rolling: Object, path: str) -> Errors:
    unavailable, surge = rolling.get("maxUnavailable"), rolling.get("maxSurge")
    errors = nonnegative_int_or_percent(f"{path}.maxUnavailable", unavailable)
    errors += nonnegative_int_or_percent(f"{path}.maxSurge", surge)
    if not int_or_percent_value(unavailable) and not int_or_percent_value(surge):
        # A text that is no percentage has been reported already, and counts as zero here too.
        detail = "may not be 0 when `maxSurge` is 0"
        errors.append(FieldError.invalid(f"{path}.maxUnavailable", unavailable, detail))
    return errors + not_above_100_percent(f"{path}.maxUnavailable", unavailable)


def validate_deployment_update(new: Object, old: Object) -> Errors:
    """Check a changed Deployment."""
    errors = without_old_faults(validate_deployment(new), lambda: validate_deployment(old))
    return errors + immutable(spec_of(new), spec_of(old), "selector", field="spec")


def _status_counts(status: Object, *counts: str, ready: str = "readyReplicas") -> Errors:
    """Check that no count of pods in a status is above the number of pods.

    `ready`: what the message calls the number of ready pods.
    """
    total = status.get("replicas") or 0
    errors: Errors = [
        FieldError.invalid(f"status.{key}", status.get(key) or 0, _BEYOND_REPLICAS)
        for key in counts
        if (status.get(key) or 0) > total
    ]
    available = status.get("availableReplicas") or 0
    if available > (status.get("readyReplicas") or 0):
        detail = f"cannot be greater than {ready}"
        errors.append(FieldError.invalid("status.availableReplicas", available, detail))
    return errors


def _collisions(new: Object, old: Object) -> Errors:
    """Check that the count of names that were taken never falls."""
    count, before = ((given(side, "status") or {}).get("collisionCount") for side in (new, old))
    if before is None or (count or 0) >= before:
        return []
    return [FieldError.invalid("status.collisionCount", count or 0, "cannot be decremented")]


def validate_deployment_status(new: Object, old: Object) -> Errors:
    """Check a Deployment's status."""
    status = given(new, "status") or {}
    errors = nonnegative(
        status,
        "status",
        "observedGeneration",
        "replicas",
        "updatedReplicas",
        "readyReplicas",
        "availableReplicas",
        "unavailableReplicas",
        "terminatingReplicas",
        "collisionCount",
    )
    errors += _status_counts(status, "updatedReplicas", "readyReplicas", "availableReplicas")
    return errors + _collisions(new, old)


def validate_replica_set(replica_set: Object) -> Errors:
    """Check a ReplicaSet."""
    spec = spec_of(replica_set)
    return nonnegative(spec, "spec", "replicas", "minReadySeconds") + _replicated_template(spec)


def validate_replica_set_update(new: Object, old: Object) -> Errors:
    """Check a changed ReplicaSet."""
    errors = without_old_faults(validate_replica_set(new), lambda: validate_replica_set(old))
    return errors + immutable(spec_of(new), spec_of(old), "selector", field="spec")


def validate_replica_set_status(new: Object, _old: Object) -> Errors:
    """Check a ReplicaSet's or a ReplicationController's status."""
    status = given(new, "status") or {}
    errors = nonnegative(
        status,
        "status",
        "replicas",
        "fullyLabeledReplicas",
        "readyReplicas",
        "availableReplicas",
        "observedGeneration",
        "terminatingReplicas",
    )
    return errors + _status_counts(status, "fullyLabeledReplicas", "readyReplicas", "availableReplicas")


def validate_daemon_set(daemon_set: Object) -> Errors:
    """Check a DaemonSet."""
    spec = spec_of(daemon_set)
    template, selector = given(spec, "template") or {}, given(spec, "selector")
    errors = validation.validate_label_selector(selector, "spec.selector")
    parsed = _parsed(spec)
    template_labels = metadata_of(template).get("labels")
    if parsed is not None and not parsed.matches(template_labels or {}):
        errors.append(FieldError.invalid("spec.template.metadata.labels", template_labels, _MISMATCH))
    if selector is not None and not selector.get("matchLabels") and not selector.get("matchExpressions"):
        detail = "empty selector is invalid for daemonset"
        errors.append(FieldError.invalid("spec.selector", selector, detail))
    errors += validate_template(template, "spec.template")
    errors += _always_running(template, "DaemonSet")
    errors += nonnegative(spec, "spec", "minReadySeconds")
    errors += _daemon_set_strategy(given(spec, "updateStrategy") or {}, "spec.updateStrategy")
    return errors + nonnegative(spec, "spec", "revisionHistoryLimit")


def _daemon_set_strategy(strategy: Object, path: str) -> Errors:
    rolling = given(strategy, "rollingUpdate")
    match strategy.get("type"):
        case "OnDelete":
            return []
        case "RollingUpdate":
            if rolling is None:
                return [FieldError.required(f"{path}.rollingUpdate")]
            return _rolling_daemon_set(rolling, f"{path}.rollingUpdate")
    shown = {"Type": strategy.get("type") or "", "RollingUpdate": rolling and _go_rolling(rolling)}
    return [FieldError.not_supported(path, shown, ("RollingUpdate", "OnDelete"))]


def _rolling_daemon_set(rolling: Object, path: str) -> Errors:
    unavailable, surge = rolling.get("maxUnavailable"), rolling.get("maxSurge")
    errors = nonnegative_int_or_percent(f"{path}.maxUnavailable", unavailable)
    errors += nonnegative_int_or_percent(f"{path}.maxSurge", surge)
    errors += not_above_100_percent(f"{path}.maxUnavailable", unavailable)
    errors += not_above_100_percent(f"{path}.maxSurge", surge)
    has_unavailable, has_surge = int_or_percent_value(unavailable), int_or_percent_value(surge)
    if has_unavailable and has_surge:
        detail = "may not be set when maxUnavailable is non-zero"
        errors.append(FieldError.invalid(f"{path}.maxSurge", surge, detail))
    elif not has_unavailable and not has_surge:
        errors.append(FieldError.required(f"{path}.maxUnavailable", "cannot be 0 when maxSurge is 0"))
    return errors


def validate_daemon_set_update(new: Object, old: Object) -> Errors:
    """Check a changed DaemonSet."""
    errors = without_old_faults(validate_daemon_set(new), lambda: validate_daemon_set(old))
    return immutable(spec_of(new), spec_of(old), "selector", field="spec") + errors


def validate_daemon_set_status(new: Object, old: Object) -> Errors:
    """Check a DaemonSet's status."""
    errors = nonnegative(
        given(new, "status") or {},
        "status",
        "currentNumberScheduled",
        "numberMisscheduled",
        "desiredNumberScheduled",
        "numberReady",
        "observedGeneration",
        "updatedNumberScheduled",
        "numberAvailable",
        "numberUnavailable",
        "collisionCount",
    )
    return errors + _collisions(new, old)


_MUTABLE_IN_STATEFUL_SETS = (
    "replicas",
    "template",
    "updateStrategy",
    "minReadySeconds",
    "ordinals",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
)


def validate_stateful_set(stateful_set: Object) -> Errors:
    """Check a StatefulSet."""
    return _stateful_set_spec(spec_of(stateful_set), new=True)


def _stateful_set_spec(spec: Object, *, new: bool, pods: bool = True) -> Errors:
    """`new`: check what cannot change afterwards too. `pods`: check what they are made from."""
    errors = _stateful_set_policies(spec)
    if new:
        for index, claim in enumerate(objects(spec.get("volumeClaimTemplates"))):
            claim_spec = given(claim, "spec") or {}
            errors += validate_claim_spec(claim_spec, f"spec.volumeClaimTemplates[{index}].spec")
    errors += nonnegative(spec, "spec", "replicas", "minReadySeconds")
    ordinals = given(spec, "ordinals")
    if ordinals is not None:
        errors += nonnegative(ordinals, "spec.ordinals", "start")
    if new and spec.get("serviceName"):
        errors += named("spec.serviceName", spec["serviceName"], validation.dns1123_label_errors)
    errors += selector_errors(spec, "statefulset")
    selector = _parsed(spec)
    template = given(spec, "template") or {}
    if selector is None:
        errors.append(FieldError.invalid("spec.selector", spec.get("selector"), ""))
    else:
        errors += label_mismatch(selector, template, "spec.template")
        if pods:
            errors += validate_template(_template_with_claims(template, spec), "spec.template")
        metadata = metadata_of(template)
        errors += validation.validate_labels(metadata.get("labels"), "spec.template.labels")
        errors += validation.validate_annotations(metadata.get("annotations"), "spec.template.annotations")
    return errors + _always_running(template, "StatefulSet")


def _stateful_set_policies(spec: Object) -> Errors:
    errors: Errors = []
    management = spec.get("podManagementPolicy")
    if management not in ("OrderedReady", "Parallel"):
        detail = "must be 'OrderedReady' or 'Parallel'"
        errors.append(FieldError.invalid("spec.podManagementPolicy", management, detail))
    strategy = given(spec, "updateStrategy") or {}
    rolling = given(strategy, "rollingUpdate")
    path = "spec.updateStrategy.rollingUpdate"
    match strategy.get("type"):
        case "OnDelete":
            if rolling is not None:
                detail = "only allowed for updateStrategy 'RollingUpdate'"
                errors.append(FieldError.invalid(path, rolling, detail))
        case "RollingUpdate":
            if rolling is not None:
                errors += nonnegative(rolling, path, "partition")
                if rolling.get("maxUnavailable") is not None:
                    unavailable = rolling["maxUnavailable"]
                    errors += nonnegative_int_or_percent(f"{path}.maxUnavailable", unavailable)
                    if not int_or_percent_value(unavailable):
                        detail = "cannot be 0"
                        errors.append(FieldError.invalid(f"{path}.maxUnavailable", unavailable, detail))
                    errors += not_above_100_percent(f"{path}.maxUnavailable", unavailable)
        case _:
            detail = "must be 'RollingUpdate' or 'OnDelete'"
            errors.append(FieldError.invalid("spec.updateStrategy", strategy, detail))
    retention = given(spec, "persistentVolumeClaimRetentionPolicy") or {}
    for key in ("whenDeleted", "whenScaled"):
        policy = retention.get(key)
        if policy is not None and policy not in ("Retain", "Delete"):
            here = f"spec.persistentVolumeClaimRetentionPolicy.{key}"
            errors.append(FieldError.not_supported(here, policy, ("Retain", "Delete")))
    return errors


def _template_with_claims(template: Object, spec: Object) -> Object:
    """Return the template as the controller will complete it: claims as volumes, names of its own."""
    given_claims = objects(spec.get("volumeClaimTemplates"))
    claims = {str(metadata_of(claim).get("name") or "") for claim in given_claims}
    pod = {
        key: value
        for key, value in (given(template, "spec") or {}).items()
        if key not in ("subdomain", "hostname")
    }
    if claims:
        own = [volume for volume in objects(pod.get("volumes")) if volume.get("name") not in claims]
        from_claims = [
            {"name": name, "persistentVolumeClaim": {"claimName": name}} for name in sorted(claims)
        ]
        pod["volumes"] = from_claims + own
    return {**template, "spec": pod}


def validate_stateful_set_update(new: Object, old: Object) -> Errors:
    """Check a changed StatefulSet: what its pods were made from cannot change."""
    spec, before = spec_of(new), spec_of(old)
    errors = _stateful_set_spec(spec, new=False)
    if errors and _stateful_set_spec(before, new=False):
        # Older releases accepted templates that no pod can be made from.
        errors = _stateful_set_spec(spec, new=False, pods=False)
    kept = {**spec, **{key: before.get(key) for key in _MUTABLE_IN_STATEFUL_SETS}}
    if not unchanged(kept, before):
        detail = (
            "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', "
            "'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and "
            "'minReadySeconds' are forbidden"
        )
        errors.append(FieldError.forbidden("spec", detail))
    return errors


def validate_stateful_set_status(new: Object, old: Object) -> Errors:
    """Check a StatefulSet's status."""
    status = given(new, "status") or {}
    errors = nonnegative(
        status,
        "status",
        "replicas",
        "readyReplicas",
        "currentReplicas",
        "updatedReplicas",
        "availableReplicas",
        "observedGeneration",
        "collisionCount",
    )
    counts = ("readyReplicas", "currentReplicas", "updatedReplicas", "availableReplicas")
    errors += _status_counts(status, *counts, ready="status.readyReplicas")
    return errors + _collisions(new, old)


def validate_revision(revision: Object) -> Errors:
    """Check a ControllerRevision."""
    errors = nonnegative(revision, "", "revision")
    data = revision.get("data")
    if data is None:
        errors.append(FieldError.required("data", "data is mandatory"))
    elif not isinstance(data, dict):
        errors.append(FieldError.required("data", "data must be a valid JSON object"))
    return errors


def validate_revision_update(new: Object, old: Object) -> Errors:
    """Check a changed ControllerRevision: what it records cannot change."""
    return nonnegative(new, "", "revision") + immutable(new, old, "data")
