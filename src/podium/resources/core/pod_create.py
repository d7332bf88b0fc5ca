"""What a pod gets when it is created, besides defaults."""

from __future__ import annotations

from collections.abc import Iterator

from podium.machinery.errors import Object
from podium.resources.core.qos import qos_class
from podium.resources.defaulting import child, given, items

APPARMOR_PREFIX = "container.apparmor.security.beta.kubernetes.io/"
_CONTAINER_LISTS = ("initContainers", "containers", "ephemeralContainers")
_PLAIN_PROFILES = {"unconfined": "Unconfined", "runtime/default": "RuntimeDefault"}
_LOCAL = "localhost/"
_LOCAL_LENGTH_MAX = 4095


def prepare_pod(pod: Object) -> None:
    """Set the status, in place, and complete the spec from labels and annotations."""
    spec = child(pod, "spec")
    pod["status"] = {"phase": "Pending", "qosClass": qos_class(spec)}
    metadata = pod.get("metadata") or {}
    if spec.get("schedulingGates"):
        pod["status"]["conditions"] = [_gated(metadata.get("creationTimestamp"))]
    labels = metadata.get("labels") or {}
    if labels:
        _settle_label_keys(spec, labels)
    annotations = metadata.get("annotations")
    if annotations and any(key.startswith(APPARMOR_PREFIX) for key in annotations):
        _settle_profiles(spec, annotations)


def _gated(now: object) -> Object:
    return {
        "type": "PodScheduled",
        "status": "False",
        "lastProbeTime": None,
        "lastTransitionTime": now,
        "reason": "SchedulingGated",
        "message": "Scheduling is blocked due to non-empty scheduling gates",
    }


def _settle_label_keys(spec: Object, labels: Object) -> None:
    """Put the values that the pod has for label keys into the selectors that these narrow."""
    affinity = given(spec, "affinity")
    if affinity is not None:
        for kind in ("podAffinity", "podAntiAffinity"):
            rules = given(affinity, kind)
            for preferred in items(rules, "preferredDuringSchedulingIgnoredDuringExecution"):
                _narrow(given(preferred, "podAffinityTerm") or {}, labels)
            for term in items(rules, "requiredDuringSchedulingIgnoredDuringExecution"):
                _narrow(term, labels)
    for constraint in items(spec, "topologySpreadConstraints"):
        _narrow(constraint, labels)


def _narrow(term: Object, labels: Object) -> None:
    selector = given(term, "labelSelector")
    if selector is None:
        return
    for field, operator in (("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn")):
        for key in term.get(field) or ():
            if key in labels:
                requirement = {"key": key, "operator": operator, "values": [labels[key]]}
                selector["matchExpressions"] = [*(selector.get("matchExpressions") or ()), requirement]


def _settle_profiles(spec: Object, annotations: Object) -> None:
    """Put AppArmor profiles that annotations name into the fields that took their place."""
    for container, _, profile in _profiles(spec, annotations):
        if profile is not None:
            child(container, "securityContext")["appArmorProfile"] = profile


def profile_warnings(pod: Object, _old: Object | None) -> list[str]:
    """Return the warnings about annotations that say what fields should."""
    annotations = (pod.get("metadata") or {}).get("annotations")
    if not annotations or not any(key.startswith(APPARMOR_PREFIX) for key in annotations):
        return []
    return [
        f'metadata.annotations[{key}]: deprecated since v1.30; use the "appArmorProfile" field instead'
        for _, key, _ in _profiles(pod.get("spec") or {}, annotations)
    ]


def _profiles(spec: Object, annotations: Object) -> Iterator[tuple[Object, str, Object | None]]:
    """Yield containers whose annotation says more than the fields, with its key and what it names."""
    if (given(spec, "os") or {}).get("name") == "windows":
        return
    whole = given(given(spec, "securityContext") or {}, "appArmorProfile")
    for kind in _CONTAINER_LISTS:
        for container in items(spec, kind):
            key = f"{APPARMOR_PREFIX}{container.get('name')}"
            own = given(given(container, "securityContext") or {}, "appArmorProfile")
            if key not in annotations or own is not None:
                continue
            profile = profile_of(str(annotations[key]))
            if profile is None or profile != whole:
                yield container, key, profile


def profile_of(annotation: str) -> Object | None:
    """Return the profile that an annotation names, None when it names none that is valid."""
    if annotation in _PLAIN_PROFILES:
        return {"type": _PLAIN_PROFILES[annotation]}
    name = annotation.removeprefix(_LOCAL)
    if not annotation.startswith(_LOCAL) or not name or name != name.strip() or len(name) > _LOCAL_LENGTH_MAX:
        return None
    return {"type": "Localhost", "localhostProfile": name}
