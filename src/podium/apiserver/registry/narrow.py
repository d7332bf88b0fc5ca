"""Subresources that bear the kind of their resource but change one part of it only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from podium.apiserver.registry.special.claim_status import drop_deallocated
from podium.base.clock import Clock, rfc3339
from podium.machinery.errors import FieldError, Object
from podium.machinery.validation import qualified_name_errors
from podium.resources.apps.daemonsets import TEMPLATE_GENERATION

Narrow = Callable[[Object, Object, Clock], None]
"""(new, old, clock): take back, in place, everything that `new` may not change."""

Check = Callable[[Object, Object], list[FieldError]]
"""(new, old): what is wrong with a narrowed update."""


def narrow_to_status(new: Object, old: Object, _clock: Clock) -> None:
    """status of most resources: whoever may write it may write the metadata with it, finalizers too."""
    _restore(new, old, but=("status",))


def narrow_to_status_alone(new: Object, old: Object, _clock: Clock) -> None:
    """status of newer kinds: the metadata stays too, but for who owns the status now."""
    _restore(new, old, but=("status",))
    _restore_metadata(new, old)


def narrow_to_custom_status(new: Object, old: Object, clock: Clock) -> None:
    """status of custom resources: of the metadata nothing may change at all."""
    narrow_to_status_alone(new, old, clock)
    _carry(new["metadata"], old["metadata"], "generateName")


def _narrow_to_deployment_status(new: Object, old: Object, clock: Clock) -> None:
    narrow_to_status(new, old, clock)
    _carry(new["metadata"], old["metadata"], "labels")


def _narrow_to_daemon_set_status(new: Object, old: Object, clock: Clock) -> None:
    """daemonsets/status: the status; the template's generation is no part of it, though an annotation."""
    narrow_to_status(new, old, clock)
    was = (old["metadata"].get("annotations") or {}).get(TEMPLATE_GENERATION)
    if was is not None:
        new["metadata"]["annotations"] = {
            **(new["metadata"].get("annotations") or {}),
            TEMPLATE_GENERATION: was,
        }


def _narrow_to_phase(new: Object, old: Object, clock: Clock) -> None:
    """persistentvolumes/status: the status, which says since when the phase is what it is."""
    narrow_to_status(new, old, clock)
    status, before = new.get("status") or {}, old.get("status") or {}
    same_phase = status.get("phase") == before.get("phase")
    now, was = status.get("lastPhaseTransitionTime"), before.get("lastPhaseTransitionTime")
    if same_phase and now is None and was is not None:
        new["status"] = {**status, "lastPhaseTransitionTime": was}
    elif not same_phase and (now is None or now == was):
        new["status"] = {**status, "lastPhaseTransitionTime": rfc3339(clock.now())}


def _narrow_to_node_status(new: Object, old: Object, clock: Clock) -> None:
    """nodes/status: the status, without what nodes were configured with through the API, once upon a time."""
    narrow_to_status(new, old, clock)
    if (old.get("status") or {}).get("config") is None:
        (new.get("status") or {}).pop("config", None)


def _narrow_to_pod_status(new: Object, old: Object, clock: Clock) -> None:
    """pods/status: the status; what kubelets of old did not know of it stays, and so do the owners, which
    they wrote wrongly."""
    narrow_to_status(new, old, clock)
    for name in ("ownerReferences", "deletionTimestamp"):
        _carry(new["metadata"], old["metadata"], name)
    status, before = dict(new.get("status") or {}), old.get("status") or {}
    for key in ("qosClass", "observedGeneration"):
        if not status.get(key) and before.get(key):
            status[key] = before[key]
    seen: dict[Any, list[Any]] = {}
    for condition in before.get("conditions") or ():
        seen.setdefault(condition.get("type"), []).append(condition.get("observedGeneration"))
    conditions = status.get("conditions")
    if conditions and any(any(generations) for generations in seen.values()):
        status["conditions"] = [_observed(condition, seen) for condition in conditions]
    new["status"] = status


def _observed(condition: Object, seen: dict[Any, list[Any]]) -> Object:
    generations = seen.get(condition.get("type"))
    generation = generations.pop(0) if generations else None
    if condition.get("observedGeneration") or not generation:
        return condition
    return {**condition, "observedGeneration": generation}


def _narrow_to_claim_status(new: Object, old: Object, clock: Clock) -> None:
    """resourceclaims/status: the status, without reports about devices that the claim has no longer."""
    narrow_to_status_alone(new, old, clock)
    drop_deallocated(new, old)


def _narrow_to_finalizers(new: Object, old: Object, _clock: Clock) -> None:
    """namespaces/finalize: spec.finalizers."""
    finalizers = (new.get("spec") or {}).get("finalizers")
    _restore(new, old, but=())
    spec = dict(old.get("spec") or {})
    if finalizers:
        spec["finalizers"] = finalizers
    else:
        spec.pop("finalizers", None)
    new["spec"] = spec
    _restore_metadata(new, old)
    _carry(new["metadata"], old["metadata"], "managedFields")


def _narrow_to_approval(new: Object, old: Object, clock: Clock) -> None:
    """certificatesigningrequests/approval: the conditions of the status."""
    conditions = (new.get("status") or {}).get("conditions")
    _restore(new, old, but=())
    status = dict(old.get("status") or {})
    _put(status, "conditions", stamped(conditions, status.get("conditions"), clock))
    new["status"] = status
    _restore_metadata(new, old)


def stamped(conditions: list[Object] | None, old: list[Object] | None, clock: Clock) -> list[Object] | None:
    """Return certificate conditions with the times that the system fills in."""
    now = rfc3339(clock.now())
    before = {condition.get("type"): condition for condition in old or ()}
    result = []
    for condition in conditions or ():
        known = before.get(condition.get("type"))
        made = dict(condition)
        if not made.get("lastUpdateTime"):
            made["lastUpdateTime"] = now
        if not made.get("lastTransitionTime"):
            same = known is not None and known.get("status") == made.get("status")
            made["lastTransitionTime"] = known.get("lastTransitionTime") or now if same and known else now
        result.append(made)
    return result or None


def _narrow_to_ephemeral_containers(new: Object, old: Object, _clock: Clock) -> None:
    """pods/ephemeralcontainers: their list."""
    containers = (new.get("spec") or {}).get("ephemeralContainers")
    _restore(new, old, but=())
    spec = dict(old["spec"])
    _put(spec, "ephemeralContainers", containers)
    new["spec"] = spec
    _restore_metadata(new, old)


def _narrow_to_resources(new: Object, old: Object, _clock: Clock) -> None:
    """pods/resize: the resources of the pod and of its containers, and how these take a change of them.

    Other containers than there are, or in another order, are left to be refused.
    """
    asked = new.get("spec") or {}
    parts = ("containers", "initContainers")
    if any(len(asked.get(part) or ()) != len(old["spec"].get(part) or ()) for part in parts):
        return
    _restore(new, old, but=())
    spec = dict(old["spec"])
    _put(spec, "resources", asked.get("resources"))
    for part in parts:
        if part in spec:
            spec[part] = _resized(spec[part], asked.get(part) or ())
    new["spec"] = spec
    _restore_metadata(new, old)


def _resized(containers: list[Object], asked: Any) -> list[Object]:
    result = []
    for container, wanted in zip(containers, asked, strict=True):
        if container.get("name") != wanted.get("name"):
            return list(asked)
        made = dict(container)
        for part in ("resources", "resizePolicy"):
            _put(made, part, wanted.get(part))
        result.append(made)
    return result


def _restore(new: Object, old: Object, *, but: tuple[str, ...]) -> None:
    kept = ("kind", "apiVersion", "metadata", *but)
    for name in list(new):
        if name not in kept:
            del new[name]
    for name, value in old.items():
        if name not in kept:
            new[name] = value


def _restore_metadata(new: Object, old: Object) -> None:
    """Keep all of the old metadata but what bookkeeping needs, and what upstream forgets."""
    sent = new["metadata"]
    metadata = dict(old["metadata"])
    for name in ("resourceVersion", "managedFields", "uid", "generateName"):
        _carry(metadata, sent, name)
    new["metadata"] = metadata


def _carry(new: Object, old: Object, name: str) -> None:
    _put(new, name, old.get(name))


def _put(obj: Object, name: str, value: Any) -> None:
    if value is None:
        obj.pop(name, None)
    else:
        obj[name] = value


_STATUS_ALONE = (
    "devicetaintrules.resource.k8s.io",
    "podcertificaterequests.certificates.k8s.io",
    "podgroups.scheduling.k8s.io",
    "resourcepoolstatusrequests.resource.k8s.io",
    "servicecidrs.networking.k8s.io",
    "storageversionmigrations.storagemigration.k8s.io",
    "storageversions.internal.apiserver.k8s.io",
    "validatingadmissionpolicies.admissionregistration.k8s.io",
    "volumeattachments.storage.k8s.io",
)
"""Upstream's strategies that reset the metadata of a status; the older ones never did, and that of custom
resources' definitions resets it to itself."""

NARROW: Mapping[tuple[str, str], Narrow] = {
    ("namespaces", "finalize"): _narrow_to_finalizers,
    ("certificatesigningrequests.certificates.k8s.io", "approval"): _narrow_to_approval,
    ("pods", "ephemeralcontainers"): _narrow_to_ephemeral_containers,
    ("pods", "resize"): _narrow_to_resources,
    ("nodes", "status"): _narrow_to_node_status,
    ("pods", "status"): _narrow_to_pod_status,
    ("deployments.apps", "status"): _narrow_to_deployment_status,
    ("daemonsets.apps", "status"): _narrow_to_daemon_set_status,
    ("persistentvolumes", "status"): _narrow_to_phase,
    ("resourceclaims.resource.k8s.io", "status"): _narrow_to_claim_status,
    **{(name, "status"): narrow_to_status_alone for name in _STATUS_ALONE},
}
"""By (`Resource.group_plural`, subresource)."""


# --- what each of them may not do


def _check_finalizers(new: Object, _old: Object) -> list[FieldError]:
    errors = []
    for index, name in enumerate((new.get("spec") or {}).get("finalizers") or ()):
        field = f"spec.finalizers[{index}]"
        problems = qualified_name_errors(name)
        if not problems and "/" not in name and name != "kubernetes":
            problems = ["name is neither a standard finalizer name nor is it fully qualified"]
        errors += [FieldError.invalid(field, name, problem) for problem in problems]
    return errors


def _check_approval(new: Object, old: Object) -> list[FieldError]:
    field = "status.conditions"
    types = [one.get("type") for one in (new.get("status") or {}).get("conditions") or ()]
    before = [one.get("type") for one in (old.get("status") or {}).get("conditions") or ()]
    errors = [
        FieldError.forbidden(field, f'updates may not remove a condition of type "{kind}"')
        for kind in ("Approved", "Denied", "Failed")
        if kind in before and kind not in types
    ]
    if "Approved" in types and "Denied" in types:
        detail = "Approved and Denied conditions are mutually exclusive"
        errors.append(FieldError.invalid(field, "Denied", detail))
    return errors


CHECKS: Mapping[tuple[str, str], Check] = {
    ("namespaces", "finalize"): _check_finalizers,
    ("certificatesigningrequests.certificates.k8s.io", "approval"): _check_approval,
}
