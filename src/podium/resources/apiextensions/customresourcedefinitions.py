"""CustomResourceDefinition, apiextensions.k8s.io/v1."""

from __future__ import annotations

from datetime import datetime

from podium.base.clock import rfc3339
from podium.machinery.errors import Object
from podium.machinery.resource import Resource
from podium.resources import deferred
from podium.resources.defaulting import absent, blank, child, given, items

WEBHOOK_PORT = 443
FINALIZER = "customresourcecleanup.apiextensions.k8s.io"


def _defaults(definition: Object) -> None:
    spec = child(definition, "spec")
    names = child(spec, "names")
    kind = str(names.get("kind") or "")
    if kind:
        blank(names, "singular", kind.lower())
        blank(names, "listKind", kind + "List")
    absent(spec, "conversion", {"strategy": "None"})
    conversion = child(spec, "conversion")
    webhook = given(conversion, "webhook") or {}
    if webhook.get("clientConfig") is None and not webhook.get("conversionReviewVersions"):
        conversion.pop("webhook", None)
    service = given(given(webhook, "clientConfig") or {}, "service")
    if service is not None:
        absent(service, "port", WEBHOOK_PORT)
    for version in items(spec, "versions"):
        for column in items(version, "additionalPrinterColumns"):
            if column.get("priority") == 0:
                del column["priority"]
    status = child(definition, "status")
    accepted = child(status, "acceptedNames")
    absent(accepted, "plural", "")
    absent(accepted, "kind", "")
    if not status.get("storedVersions"):
        status["storedVersions"] = _storage_versions(spec) or None


def _storage_versions(spec: Object) -> list[str]:
    return [str(version.get("name")) for version in items(spec, "versions") if version.get("storage")][:1]


def _prepare_create(definition: Object) -> None:
    definition["status"] = {
        "acceptedNames": {"plural": "", "kind": ""},
        "storedVersions": _storage_versions(child(definition, "spec")),
    }


def _prepare_update(new: Object, old: Object) -> None:
    """What is stored in a version stays on record, and a new storage version is added to it."""
    new["status"] = status = dict(old.get("status") or {})
    stored = list(status.get("storedVersions") or ())
    for version in _storage_versions(new.get("spec") or {}):
        if version not in stored:
            stored.append(version)
    status["storedVersions"] = stored


def _prepare_delete(definition: Object, now: datetime) -> None:
    """The objects go first: the definition stays until they are gone."""
    metadata = definition["metadata"]
    finalizers = list(metadata.get("finalizers") or ())
    metadata["finalizers"] = finalizers if FINALIZER in finalizers else [*finalizers, FINALIZER]
    status = dict(definition.get("status") or {})
    pending = {
        "type": "Terminating",
        "status": "True",
        "lastTransitionTime": rfc3339(now),
        "reason": "InstanceDeletionPending",
        "message": "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
    }
    others = [one for one in status.get("conditions") or () if one.get("type") != "Terminating"]
    status["conditions"] = [*others, pending]
    definition["status"] = status


CUSTOMRESOURCEDEFINITIONS = Resource(
    group="apiextensions.k8s.io",
    version="v1",
    core_finalizers=False,
    kind="CustomResourceDefinition",
    plural="customresourcedefinitions",
    namespaced=False,
    short_names=("crd", "crds"),
    categories=("api-extensions",),
    schema="io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition",
    storage_prefix="apiextensions.k8s.io/customresourcedefinitions",
    status=True,
    generation=True,
    defaults=_defaults,
    prepare_create=_prepare_create,
    prepare_update=_prepare_update,
    unconditional_update=False,
    checks_in_thread=True,
    prepare_delete=_prepare_delete,
    delete_returns_object=True,
    validate=deferred.check("apiextensions.validation", "validate_definition"),
    validate_update=deferred.update_check("apiextensions.validation", "validate_definition_update"),
    validate_status_update=deferred.update_check("apiextensions.validation", "validate_definition_status"),
    warnings=deferred.warnings("apiextensions.format_warnings", "warn_of_formats"),
)
