"""What is wrong with a question about access. Upstream: pkg/apis/authorization/validation."""

from __future__ import annotations

from collections.abc import Sequence

from podium.apiserver.chain import Question
from podium.machinery.errors import FieldError, Object
from podium.machinery.validation import invalid_each, label_value_errors, qualified_name_errors


def _selector_errors(attributes: Object) -> list[FieldError]:
    errors: list[FieldError] = []
    for name in ("fieldSelector", "labelSelector"):
        selector = attributes.get(name)
        if selector is not None:
            errors += _errors_in(f"spec.resourceAttributes.{name}", selector, labels=name == "labelSelector")
    return errors


def _errors_in(path: str, selector: Object, *, labels: bool) -> list[FieldError]:
    raw, requirements = selector.get("rawSelector"), selector.get("requirements")
    if raw and requirements:
        detail = "may not specified at the same time as requirements"
        return [
            FieldError.invalid(f"{path}.rawSelector", raw, detail),
            *_requirement_errors(path, requirements, labels=labels),
        ]
    if not raw and not requirements:
        detail = f"when {path} is specified, requirements or rawSelector is required"
        return [FieldError.required(f"{path}.requirements", detail)]
    return _requirement_errors(path, requirements or (), labels=labels)


def _requirement_errors(path: str, requirements: Sequence[Object], *, labels: bool) -> list[FieldError]:
    errors: list[FieldError] = []
    for index, one in enumerate(requirements):
        where, key, values = f"{path}.requirements[{index}]", one.get("key") or "", one.get("values") or ()
        if not labels and not key:
            errors.append(FieldError.required(f"{where}.key", "must be specified"))
        # What other operators mean is for servers to know that are newer.
        operator = one.get("operator") or ""
        if operator in ("In", "NotIn") and not values:
            detail = "must be specified when `operator` is 'In' or 'NotIn'"
            errors.append(FieldError.required(f"{where}.values", detail))
        if operator in ("Exists", "DoesNotExist") and values:
            detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            errors.append(FieldError.forbidden(f"{where}.values", detail))
        if labels:
            errors += invalid_each(f"{where}.key", key, qualified_name_errors(key))
            for at, value in enumerate(values):
                errors += invalid_each(f"{where}.values[{at}]", value, label_value_errors(value))
    return errors


def attribute_errors(spec: Object) -> list[FieldError]:
    resource, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if resource is not None and path is not None:
        detail = "cannot be specified in combination with resourceAttributes"
        wrong = FieldError.invalid("spec.nonResourceAttributes", path, detail)
        return [wrong, *_selector_errors(resource)]
    if resource is None and path is None:
        detail = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        return [FieldError.invalid("spec.resourceAttributes", None, detail)]
    return _selector_errors(resource or {})


def subject_errors(spec: Object) -> list[FieldError]:
    if spec.get("user") or spec.get("groups"):
        return []
    detail = "at least one of user or group must be specified"
    return [FieldError.invalid("spec.user", spec.get("user") or "", detail)]


def metadata_errors(question: Question, *, allowed: tuple[str, ...] = ()) -> list[FieldError]:
    metadata = question.object.get("metadata") or {}
    # What the server itself fills in on the way here says nothing about the asker.
    ignored = ("managedFields", "creationTimestamp", *allowed)
    if any(value for key, value in metadata.items() if key not in ignored):
        detail = "must be empty except for namespace" if allowed else "must be empty"
        return [FieldError.invalid("metadata", metadata, detail)]
    return []


def local_errors(question: Question, spec: Object) -> list[FieldError]:
    errors: list[FieldError] = []
    attributes = spec.get("resourceAttributes")
    if attributes is not None and (attributes.get("namespace") or "") != question.namespace:
        detail = "must match metadata.namespace"
        value = attributes.get("namespace") or ""
        errors.append(FieldError.invalid("spec.resourceAttributes.namespace", value, detail))
    if spec.get("nonResourceAttributes") is not None:
        detail = "disallowed on this kind of request"
        value = spec["nonResourceAttributes"]
        errors.append(FieldError.invalid("spec.nonResourceAttributes", value, detail))
    return errors
