"""What is wrong with the spec of a claim: in claims, ephemeral volumes and claim templates."""

from __future__ import annotations

from dataclasses import dataclass

from podium.machinery import validation
from podium.machinery.errors import FieldError, Object
from podium.resources.checks import Errors, named, parse_quantity
from podium.resources.defaulting import given

ACCESS_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
VOLUME_MODES = ("Block", "Filesystem")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerated:
    """What a claim may have because it had such before: newer rules do not keep it from being written."""

    selector_values: bool = False
    api_groups: bool = False

    @classmethod
    def of(cls, old_spec: Object) -> Tolerated:
        sources = (given(old_spec, key) or {} for key in ("dataSource", "dataSourceRef"))
        return cls(
            selector_values=bool(validation.validate_label_selector(given(old_spec, "selector"), "")),
            api_groups=any(source.get("apiGroup") is not None for source in sources),
        )


def access_mode_errors(spec: Object, path: str) -> Errors:
    """Check the access modes of a claim or of a volume, where there are any."""
    modes = spec.get("accessModes") or []
    errors: Errors = [
        FieldError.not_supported(f"{path}.accessModes", mode, ACCESS_MODES)
        for mode in modes
        if mode not in ACCESS_MODES
    ]
    if "ReadWriteOncePod" in modes and set(modes) & set(ACCESS_MODES) != {"ReadWriteOncePod"}:
        detail = "may not use ReadWriteOncePod with other access modes"
        errors.append(FieldError.forbidden(f"{path}.accessModes", detail))
    return errors


def validate_claim_spec(spec: Object, path: str, tolerated: Tolerated = Tolerated()) -> Errors:
    """Check the spec of a persistent volume claim."""
    errors: Errors = []
    if not spec.get("accessModes"):
        errors.append(FieldError.required(f"{path}.accessModes", "at least 1 access mode is required"))
    selector = given(spec, "selector")
    if selector is not None:
        errors += validation.validate_label_selector(
            selector, f"{path}.selector", any_values=tolerated.selector_values
        )
    errors += access_mode_errors(spec, path)
    storage = ((given(spec, "resources") or {}).get("requests") or {}).get("storage")
    if storage is None:
        errors.append(FieldError.required(f"{path}.resources[storage]"))
    elif parse_quantity(storage).nanos <= 0:
        detail = "must be greater than zero"
        errors.append(FieldError.invalid(f"{path}.resources[storage]", str(storage), detail))
    if spec.get("storageClassName"):
        errors += named(
            f"{path}.storageClassName", spec["storageClassName"], validation.dns1123_subdomain_errors
        )
    mode = spec.get("volumeMode")
    if mode is not None and mode not in VOLUME_MODES:
        errors.append(FieldError.not_supported(f"{path}.volumeMode", mode, VOLUME_MODES))
    for key in ("dataSource", "dataSourceRef"):
        source = given(spec, key)
        if source is not None:
            errors += _data_source(source, f"{path}.{key}", any_group=tolerated.api_groups)
    errors += _both_sources(spec, path)
    if spec.get("volumeAttributesClassName"):
        rule = validation.dns1123_subdomain_errors
        errors += named(f"{path}.volumeAttributesClassName", spec["volumeAttributesClassName"], rule)
    return errors


def _both_sources(spec: Object, path: str) -> Errors:
    source, reference = given(spec, "dataSource"), given(spec, "dataSourceRef")
    if source is None or reference is None:
        return []
    detail = ""
    if reference.get("namespace"):
        detail = "may not be specified when dataSourceRef.namespace is specified"
    elif any(source.get(key) != reference.get(key) for key in ("apiGroup", "kind", "name")):
        detail = "must match dataSourceRef"
    # What upstream shows as the value is the other field's path, of which nothing can be seen.
    return [FieldError.invalid(path, {}, detail)] if detail else []


def _data_source(source: Object, path: str, *, any_group: bool) -> Errors:
    errors: Errors = [FieldError.required(f"{path}.{key}") for key in ("name", "kind") if not source.get(key)]
    if not source.get("apiGroup") and source.get("kind") != "PersistentVolumeClaim":
        detail = "must be 'PersistentVolumeClaim' when referencing the default apiGroup"
        errors.append(FieldError.invalid(path, source.get("kind") or "", detail))
    if source.get("apiGroup") and not any_group:
        errors += named(f"{path}.apiGroup", source["apiGroup"], validation.dns1123_subdomain_errors)
    if source.get("namespace"):
        errors += named(f"{path}.namespace", source["namespace"], validation.dns1123_label_errors)
    return errors
