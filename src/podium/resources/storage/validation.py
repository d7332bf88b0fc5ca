"""What is wrong with the kinds of storage.k8s.io. Upstream: pkg/apis/storage/validation/validation.go."""

from __future__ import annotations

from collections.abc import Mapping

from podium.machinery import validation
from podium.machinery.errors import FieldError, Json, Object
from podium.machinery.meta import dict_or_none
from podium.resources.checks import (
    Errors,
    immutable,
    named,
    nonnegative_quantity,
    objects,
    spec_of,
    unchanged,
)
from podium.resources.defaulting import given

RECLAIM_POLICIES = ("Delete", "Retain")
BINDING_MODES = ("Immediate", "WaitForFirstConsumer")
FS_GROUP_POLICIES = ("File", "None", "ReadWriteOnceWithFSType")
LIFECYCLE_MODES = ("Persistent", "Ephemeral")

_PARAMETERS_MAX = 512
_PARAMETERS_BYTES_MAX = 256 * 1024
_MESSAGE_LENGTH_MAX = 1024
_DRIVER_NAME_LENGTH_MAX = 63
_NODE_ID_LENGTH_MAX = 256
_TOKEN_LIFE_MIN_S = 600
_TOKEN_LIFE_MAX_S = 2**32
_ALLOCATABLE_PERIOD_MIN_S = 10
_INT32_RANGE = validation.range_message(0, 2**31 - 1)
_TOKENS_IN_SECRETS = (
    "spec.serviceAccountTokenInSecrets is unset; if supported by this CSI driver, set to true to prevent "
    "possible logging of tokens in volume attributes"
)


# --- classes ---


def validate_class(storage_class: Object) -> Errors:
    """Check a StorageClass."""
    errors = _provisioner(storage_class, "provisioner")
    errors += _parameters(storage_class, required=False)
    policy, mode = storage_class.get("reclaimPolicy"), storage_class.get("volumeBindingMode")
    if policy and policy not in RECLAIM_POLICIES:
        errors.append(FieldError.not_supported("reclaimPolicy", policy, RECLAIM_POLICIES))
    if mode is None:
        errors.append(FieldError.required("volumeBindingMode"))
    elif mode not in BINDING_MODES:
        errors.append(FieldError.not_supported("volumeBindingMode", mode, BINDING_MODES))
    return errors + _topologies(storage_class)


def validate_class_update(new: Object, old: Object) -> Errors:
    """Check a changed StorageClass: what it does stays."""
    keys = ("parameters", "provisioner", "reclaimPolicy", "volumeBindingMode")
    return validate_class(new) + immutable(new, old, *keys)


def _provisioner(obj: Object, key: str) -> Errors:
    name = str(obj.get(key) or "")
    if not name:
        return [FieldError.required(key)]
    faults = validation.qualified_name_errors(name.lower())
    return validation.invalid_each(key, name.lower(), faults)


def _parameters(obj: Object, *, required: bool) -> Errors:
    parameters = dict_or_none(obj.get("parameters")) or {}
    if len(parameters) > _PARAMETERS_MAX:
        return [FieldError.too_long("parameters", _PARAMETERS_MAX)]
    errors: Errors = []
    if "" in parameters:
        errors.append(FieldError.invalid("parameters", "", "field can not be empty."))
    if _size_bytes(parameters) > _PARAMETERS_BYTES_MAX:
        errors.append(FieldError.too_long("parameters", _PARAMETERS_BYTES_MAX))
    if required and not parameters:
        errors.append(FieldError.required("parameters", "must contain at least one key/value pair"))
    return errors


def _size_bytes(texts: Mapping[str, Json]) -> int:
    return sum(len(key.encode()) + len(str(value or "").encode()) for key, value in texts.items())


def _topologies(storage_class: Object) -> Errors:
    errors: Errors = []
    terms = objects(storage_class.get("allowedTopologies"))
    # Upstream compares with as many empty terms as there are terms, too.
    seen: list[dict[str, frozenset[str]]] = [{} for _ in terms]
    for index, term in enumerate(terms):
        path = f"allowedTopologies[{index}].matchLabelExpressions"
        expressions: dict[str, frozenset[str]] = {}
        for at, requirement in enumerate(objects(term.get("matchLabelExpressions"))):
            key, values = str(requirement.get("key") or ""), requirement.get("values") or []
            here = f"{path}[{at}]"
            if not values:
                errors.append(FieldError.required(f"{here}.values"))
            errors += [
                FieldError.duplicate(f"{here}.values[{place}]", value)
                for place, value in enumerate(values)
                if value in values[:place]
            ]
            errors += named(f"{here}.key", key, validation.qualified_name_errors)
            if key in expressions:
                errors.append(FieldError.duplicate(f"{here}.key", key))
            expressions[key] = frozenset(values)
        errors += [FieldError.duplicate(path, "") for one in seen if one == expressions]
        seen.append(expressions)
    return errors


def validate_attributes_class(attributes: Object) -> Errors:
    """Check a VolumeAttributesClass."""
    return _provisioner(attributes, "driverName") + _parameters(attributes, required=True)


def validate_attributes_class_update(new: Object, old: Object) -> Errors:
    """Check a changed VolumeAttributesClass: nothing of what it says changes."""
    errors = [
        FieldError.forbidden(key, f"updates to {key} are forbidden.")
        for key in ("driverName", "parameters")
        if not unchanged(new.get(key), old.get(key))
    ]
    return errors + validate_attributes_class(new)


# --- drivers and their nodes ---


def driver_name_errors(field: str, name: str) -> Errors:
    """Check the name of a CSI driver where another object mentions it."""
    if not name:
        return [FieldError.required(field)]
    errors: Errors = []
    if len(name) > _DRIVER_NAME_LENGTH_MAX:
        errors.append(FieldError.too_long(field, _DRIVER_NAME_LENGTH_MAX))
    faults = validation.dns1123_subdomain_errors(name.lower())
    return errors + validation.invalid_each(field, name, faults)


def validate_csi_driver(driver: Object) -> Errors:
    """Check a CSIDriver."""
    spec = spec_of(driver)
    errors: Errors = []
    for key, shown in (
        ("attachRequired", "attachedRequired"),
        ("podInfoOnMount", "podInfoOnMount"),
        ("storageCapacity", "storageCapacity"),
    ):
        if spec.get(key) is None:
            errors.append(FieldError.required(f"spec.{shown}"))
    policy = spec.get("fsGroupPolicy")
    if policy is not None and policy not in FS_GROUP_POLICIES:
        errors.append(FieldError.not_supported("spec.fsGroupPolicy", policy, FS_GROUP_POLICIES))
    errors += _token_requests(objects(spec.get("tokenRequests")))
    errors += [
        FieldError.not_supported("spec.volumeLifecycleModes", mode, LIFECYCLE_MODES)
        for mode in spec.get("volumeLifecycleModes") or ()
        if mode not in LIFECYCLE_MODES
    ]
    if spec.get("seLinuxMount") is None:
        errors.append(FieldError.required("spec.seLinuxMount"))
    period = spec.get("nodeAllocatableUpdatePeriodSeconds")
    if period is not None and period < _ALLOCATABLE_PERIOD_MIN_S:
        detail = "must be greater than or equal to 10 seconds"
        errors.append(FieldError.invalid("spec.nodeAllocatableUpdatePeriodSeconds", period, detail))
    in_secrets = spec.get("serviceAccountTokenInSecrets")
    if in_secrets is not None and not spec.get("tokenRequests"):
        detail = "serviceAccountTokenInSecrets is set but no tokenRequests are specified"
        errors.append(FieldError.invalid("spec.serviceAccountTokenInSecrets", in_secrets, detail))
    return errors


def validate_csi_driver_update(new: Object, old: Object) -> Errors:
    """Check a changed CSIDriver: how its volumes are attached, and for how long they live, stays."""
    spec, before = spec_of(new), spec_of(old)
    errors = validate_csi_driver(new)
    if spec.get("attachRequired") != before.get("attachRequired"):
        value = spec.get("attachRequired")
        errors.append(FieldError.invalid("spec.attachedRequired", value, validation.IMMUTABLE))
    return errors + immutable(spec, before, "volumeLifecycleModes", field="spec")


def csi_driver_warnings(new: Object, old: Object | None) -> list[str]:
    """Tell of tokens that a driver may log."""
    spec = spec_of(new)
    requests = spec.get("tokenRequests")
    if not requests or spec.get("serviceAccountTokenInSecrets") is not None:
        return []
    if old is not None and unchanged(requests, spec_of(old).get("tokenRequests")):
        return []
    return [_TOKENS_IN_SECRETS]


def _token_requests(requests: list[Object]) -> Errors:
    errors: Errors = []
    audiences: set[str] = set()
    for index, request in enumerate(requests):
        path = f"spec.tokenRequests[{index}]"
        audience, life_s = str(request.get("audience") or ""), request.get("expirationSeconds")
        if audience in audiences:
            errors.append(FieldError.duplicate(f"{path}.audience", audience))
            continue
        audiences.add(audience)
        if life_s is None:
            continue
        if life_s < _TOKEN_LIFE_MIN_S:
            detail = "may not specify a duration less than 10 minutes"
            errors.append(FieldError.invalid(f"{path}.expirationSeconds", life_s, detail))
        if life_s > _TOKEN_LIFE_MAX_S:
            detail = "may not specify a duration larger than 2^32 seconds"
            errors.append(FieldError.invalid(f"{path}.expirationSeconds", life_s, detail))
    return errors


def validate_csi_node(node: Object) -> Errors:
    """Check a CSINode."""
    errors: Errors = []
    names: set[str] = set()
    for index, driver in enumerate(objects(spec_of(node).get("drivers"))):
        path = f"spec.drivers[{index}]"
        name = str(driver.get("name") or "")
        errors += driver_name_errors(f"{path}.name", name)
        node_id = str(driver.get("nodeID") or "")
        if not node_id:
            errors.append(FieldError.required(f"{path}.nodeID"))
        if len(node_id.encode()) > _NODE_ID_LENGTH_MAX:
            detail = f"must be {_NODE_ID_LENGTH_MAX} characters or less"
            errors.append(FieldError.invalid(f"{path}.nodeID", node_id, detail))
        count = (given(driver, "allocatable") or {}).get("count")
        if count is not None:
            errors += validation.validate_nonnegative(count, f"{path}.allocatable.count")
        if name in names:
            errors.append(FieldError.duplicate(f"{path}.name", name))
        names.add(name)
        errors += _topology_keys(driver.get("topologyKeys") or [], path)
    return errors


def _topology_keys(keys: list[str], path: str) -> Errors:
    errors: Errors = []
    for index, key in enumerate(keys):
        if not key:
            errors.append(FieldError.required(path))
        if key in keys[:index]:
            errors.append(FieldError.duplicate(path, key))
        errors += named(path, key, validation.qualified_name_errors)
    return errors


def validate_csi_node_update(new: Object, old: Object) -> Errors:
    """Check a changed CSINode: a driver stays what it was, but for what it can carry."""
    errors = validate_csi_node(new)
    before = {driver.get("name"): driver for driver in objects(spec_of(old).get("drivers"))}
    for driver in objects(spec_of(new).get("drivers")):
        was = before.get(driver.get("name"))
        if was is not None and not unchanged({**driver, "allocatable": None}, {**was, "allocatable": None}):
            errors.append(FieldError.invalid("spec.drivers", driver, validation.IMMUTABLE))
    return errors


def validate_capacity(capacity: Object) -> Errors:
    """Check a CSIStorageCapacity."""
    errors: Errors = []
    topology = given(capacity, "nodeTopology")
    if topology is not None:
        errors += validation.validate_label_selector(topology, "nodeTopology")
    name = str(capacity.get("storageClassName") or "")
    errors += named("storageClassName", name, validation.dns1123_subdomain_errors)
    if capacity.get("capacity") is not None:
        errors += nonnegative_quantity("capacity", capacity["capacity"])
    return errors


def validate_capacity_update(new: Object, old: Object) -> Errors:
    """Check a changed CSIStorageCapacity: of which class and where stays."""
    return validate_capacity(new) + [
        FieldError.invalid(key, new.get(key), validation.IMMUTABLE)
        for key in ("nodeTopology", "storageClassName")
        if not unchanged(new.get(key), old.get(key))
    ]


# --- attachments ---


def validate_attachment(attachment: Object) -> Errors:
    """Check a VolumeAttachment."""
    spec = spec_of(attachment)
    errors = driver_name_errors("spec.attacher", str(spec.get("attacher") or ""))
    source = given(spec, "source") or {}
    inline, volume = given(source, "inlineVolumeSpec"), source.get("persistentVolumeName")
    exactly_one = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"
    if inline is None and volume is None:
        errors.append(FieldError.required("spec.source", exactly_one))
    elif inline is not None and volume is not None:
        errors.append(FieldError.forbidden("spec.source", exactly_one))
    elif volume == "":
        detail = "must specify non empty persistentVolumeName"
        errors.append(FieldError.required("spec.source.persistentVolumeName", detail))
    node = str(spec.get("nodeName") or "")
    errors += named("spec.nodeName", node, validation.dns1123_subdomain_errors)
    errors += _attachment_status(attachment)
    if volume is not None:
        path = "spec.source.persistentVolumeName"
        errors += named(path, volume, validation.dns1123_subdomain_errors)
    return errors


def validate_attachment_update(new: Object, old: Object) -> Errors:
    """Check a changed VolumeAttachment: what is attached where stays."""
    return validate_attachment(new) + immutable(new, old, "spec")


def _attachment_status(attachment: Object) -> Errors:
    status = dict_or_none(attachment.get("status")) or {}
    errors: Errors = []
    if _size_bytes(dict_or_none(status.get("attachmentMetadata")) or {}) > _PARAMETERS_BYTES_MAX:
        errors.append(FieldError.too_long("status.attachmentMetadata", _PARAMETERS_BYTES_MAX))
    for key in ("attachError", "detachError"):
        error = given(status, key)
        if error is None:
            continue
        if len(str(error.get("message") or "").encode()) > _MESSAGE_LENGTH_MAX:
            # The limit that upstream names is the one of the metadata.
            errors.append(FieldError.too_long(f"status.{key}.message", _PARAMETERS_BYTES_MAX))
        code = error.get("errorCode")
        if code is not None and code < 0:
            errors.append(FieldError.invalid(f"status.{key}.errorCode", code, _INT32_RANGE))
    return errors
