"""Namespace, v1."""

from __future__ import annotations

from podium.machinery.errors import FieldError, Object
from podium.machinery.meta import deleting
from podium.machinery.resource import Resource, Subresource
from podium.machinery.validation import dns1123_label_errors, invalid_each, qualified_name_errors
from podium.resources.defaulting import blank, child
from podium.resources.printing import AGE, NAME, column, status
from podium.resources.selecting import field, fields

NAME_LABEL = "kubernetes.io/metadata.name"
_STANDARD_FINALIZERS = ("kubernetes", "orphan", "foregroundDeletion")


def _defaults(namespace: Object) -> None:
    metadata = child(namespace, "metadata")
    if metadata.get("name"):
        child(metadata, "labels")[NAME_LABEL] = metadata["name"]
    child(namespace, "spec")
    blank(child(namespace, "status"), "phase", "Active")


def _prepare_create(namespace: Object) -> None:
    namespace["status"] = {"phase": "Active"}
    # Upstream keeps the finalizers a creator named and makes sure of its own.
    finalizers = list(child(namespace, "spec").get("finalizers") or ())
    if "kubernetes" not in finalizers:
        finalizers.append("kubernetes")
    namespace["spec"]["finalizers"] = finalizers
    # A generated name is known only now.
    _defaults(namespace)


def _prepare_update(new: Object, old: Object) -> None:
    new["spec"] = {"finalizers": list((old.get("spec") or {}).get("finalizers") or ())}
    new["status"] = dict(old.get("status") or {})


def _finalizers(namespace: Object) -> list[str]:
    return list((namespace.get("spec") or {}).get("finalizers") or ())


def _finalizer_errors(path: str, finalizer: str) -> list[FieldError]:
    errors = invalid_each(path, finalizer, qualified_name_errors(finalizer))
    if "/" not in finalizer and finalizer not in _STANDARD_FINALIZERS:
        detail = "name is neither a standard finalizer name nor is it fully qualified"
        errors.append(FieldError.invalid(path, finalizer, detail))
    return errors


def _validate(new: Object) -> list[FieldError]:
    # Upstream does not say which of them is wrong of a new namespace.
    return [e for finalizer in _finalizers(new) for e in _finalizer_errors("spec.finalizers", finalizer)]


def _validate_finalize(new: Object, _old: Object) -> list[FieldError]:
    return [
        error
        for index, finalizer in enumerate(_finalizers(new))
        for error in _finalizer_errors(f"spec.finalizers[{index}]", finalizer)
    ]


def _validate_status(new: Object, _old: Object) -> list[FieldError]:
    phase = status(new).get("phase") or ""
    wanted, when = ("Terminating", "not empty") if deleting(new) else ("Active", "empty")
    if phase == wanted:
        return []
    detail = f"may only be '{wanted}' if `deletionTimestamp` is {when}"
    return [FieldError.invalid("status.Phase", phase, detail)]


NAMESPACES = Resource(
    version="v1",
    kind="Namespace",
    plural="namespaces",
    namespaced=False,
    short_names=("ns",),
    verbs=("create", "delete", "get", "list", "patch", "update", "watch"),
    schema="io.k8s.api.core.v1.Namespace",
    metadata_again=1,
    status=True,
    subresources=(Subresource(name="finalize", kind="Namespace", verbs=("update",)),),
    defaults=_defaults,
    prepare_create=_prepare_create,
    prepare_update=_prepare_update,
    columns=(
        NAME,
        column("Status", lambda obj: status(obj).get("phase") or ""),
        AGE,
    ),
    delete_returns_object=True,
    name_errors=dns1123_label_errors,
    selectable=fields("status.phase") | {"name": field("metadata.name")},
    validate=_validate,
    validate_status_update=_validate_status,
    validate_subresources={"finalize": _validate_finalize},
)
