"""What users of the kinds outside the core should know though what they wrote is valid."""

from __future__ import annotations

from podium.machinery.errors import Object
from podium.resources.checks import metadata_of, objects, spec_of
from podium.resources.core.node_labels import deprecated_label, label_selector_warnings
from podium.resources.core.pod_warnings import claim_warnings, name_warnings, template_warnings
from podium.resources.core.warnings import changed_template_warnings
from podium.resources.defaulting import given

_COMPLETIONS_SOFT_MAX = 100_000
_PARALLELISM_SOFT_MAX = 10_000


def stateful_set_warnings(stateful_set: Object, old: Object | None) -> list[str]:
    """Return the warnings about a StatefulSet."""
    spec = spec_of(stateful_set)
    found = changed_template_warnings(stateful_set, old)
    # Upstream's path on update has a capital letter.
    inside = "" if old is None else ".Spec"
    for index, claim in enumerate(objects(spec.get("volumeClaimTemplates"))):
        found += claim_warnings(given(claim, "spec") or {}, f"spec.volumeClaimTemplates[{index}]{inside}")
    if (spec.get("revisionHistoryLimit") or 0) < 0:
        found.append(
            "spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is "
            "recommended"
        )
    return found


def job_warnings(job: Object, old: Object | None) -> list[str]:
    """Return the warnings about a Job."""
    found = name_warnings(str(metadata_of(job).get("name") or "")) if old is None else []
    if old is None or job.get("spec") != old.get("spec"):
        found += _job_spec(spec_of(job), "spec")
    return found


def _job_spec(spec: Object, path: str) -> list[str]:
    found = []
    if (
        spec.get("completionMode") == "Indexed"
        and (spec.get("completions") or 0) > _COMPLETIONS_SOFT_MAX
        and (spec.get("parallelism") or 0) > _PARALLELISM_SOFT_MAX
    ):
        found.append(
            f"{path}: In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher "
            "than 10^4, Kubernetes might not be able to track completedIndexes when a "
            "big number of indexes fail"
        )
    return found + template_warnings(given(spec, "template"), f"{path}.template")


def cron_job_warnings(cron_job: Object, old: Object | None) -> list[str]:
    """Return the warnings about a CronJob."""
    spec = spec_of(cron_job)
    found = name_warnings(str(metadata_of(cron_job).get("name") or "")) if old is None else []
    if old is None or spec != spec_of(old):
        found += _job_spec(given(given(spec, "jobTemplate") or {}, "spec") or {}, "spec.jobTemplate.spec")
    if old is not None and "TZ" in str(spec.get("schedule") or ""):
        found.append(
            "cannot use TZ or CRON_TZ in spec.spec.schedule, use timeZone instead, see "
            "https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details"
        )
    return found


def runtime_class_warnings(runtime_class: Object, _old: Object | None) -> list[str]:
    """Return the warnings about a RuntimeClass."""
    selector = given(given(runtime_class, "scheduling") or {}, "nodeSelector") or {}
    return [f"scheduling.nodeSelector: {deprecated_label(key)}" for key in selector if deprecated_label(key)]


def storage_class_warnings(storage_class: Object, _old: Object | None) -> list[str]:
    """Return the warnings about a StorageClass."""
    found = []
    for index, topology in enumerate(objects(storage_class.get("allowedTopologies"))):
        for at, expression in enumerate(objects(topology.get("matchLabelExpressions"))):
            message = deprecated_label(str(expression.get("key") or ""))
            if message:
                found.append(f"allowedTopologies[{index}].matchLabelExpressions[{at}].key: {message}")
    return found


def capacity_warnings(capacity: Object, _old: Object | None) -> list[str]:
    """Return the warnings about a CSIStorageCapacity."""
    return list(label_selector_warnings(given(capacity, "nodeTopology"), "nodeTopology"))
