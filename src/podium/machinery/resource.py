"""What a resource is: one declared value from which routes, discovery, storage, validation and tables follow.

The values live in `podium.resources`, one file each; a CustomResourceDefinition becomes the same value at
run time, so built-in resources have no private path.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from podium.machinery.errors import FieldError, Json, Object
from podium.machinery.gated import Gated

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of `kubectl get`. `priority` above 0 shows only with `-o wide`."""

    name: str
    value: Callable[[Object, datetime], Json]
    """Return the cell for an object at a moment (ages need the moment). Must not raise on odd objects."""
    type: str = "string"
    format: str = ""
    description: str = ""
    priority: int = 0
    defined: bool = True
    """False: the cell has no definition among the columns, as with one kind of upstream's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Where the scale subresource finds its numbers, as JSON paths such as `.spec.replicas`."""

    replicas: str = ".spec.replicas"
    status_replicas: str = ".status.replicas"
    selector: Callable[[Object], str]
    """Return the label selector of the scaled pods in its text form."""
    version: str = "autoscaling/v1"
    schema: str = "io.k8s.api.autoscaling.v1.Scale"
    split_selector: bool = False
    """The status has the selector's text as `targetSelector`, and as `selector` its labels if that is all
    there is to it: as in versions before autoscaling/v1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subresource:
    """A path below an object that is neither status nor scale: `pods/exec`, `serviceaccounts/token`, ..."""

    name: str
    kind: str
    verbs: tuple[str, ...]
    group: str = ""
    version: str = ""
    """Group and version of `kind` where they differ from the resource's own, as discovery shows them."""


def _nothing(_object: Object) -> None:
    """Leave an object as it is."""


def _nothing_on_update(_new: Object, _old: Object | None) -> None:
    """Leave both objects as they are."""


def _as_it_is(object: Object) -> Object:
    return object


def _no_errors(_object: Object) -> list[FieldError]:
    return []


def _no_errors_on_update(_new: Object, _old: Object) -> list[FieldError]:
    return []


def _nothing_tolerated(_error: FieldError) -> bool:
    return False


def _no_warnings(_new: Object, _old: Object | None) -> list[str]:
    return []


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One REST resource in one version. All functions are pure; objects are plain dicts in wire form."""

    group: str = ""
    version: str
    kind: str
    plural: str
    singular: str = ""
    """Defaults to the kind in lower case."""
    list_kind_name: str = ""
    """The list's kind where it is not the kind with `List` behind it."""
    namespaced: bool
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ALL_VERBS
    schema: str
    """The definition's name in the OpenAPI document: `io.k8s.api.core.v1.Pod`."""
    stored: bool = True
    """False for kinds that are questions (SubjectAccessReview, ...): create is answered by a function."""
    gate: str = ""
    """The feature gate without which the resource is not served, whatever the runtime config says."""
    gated: tuple[Gated, ...] = ()
    """Fields that need a gate: dropped from what is written while it is off."""
    while_off: Mapping[str, Callable[[Object, Object | None], list[FieldError]]] = field(default_factory=dict)
    """(new, old; None on create), by gate: what is wrong with an object only while the gate is off."""
    while_on: Mapping[str, Callable[[Object, Object | None], list[FieldError]]] = field(default_factory=dict)
    """The same of a gate that is on."""
    legacy: bool = False
    """Upstream has removed it: served only where `api/legacy`, its version or the resource is asked for."""
    storage_prefix: str = ""
    """The key's part after /registry/ where upstream's is not the plural (`services/specs`, `minions`)."""

    storage: Resource | None = None
    """The resource in whose version objects are kept where two versions share one storage (events.k8s.io/v1
    is kept as core/v1, autoscaling/v1 as v2); None: its own. Requests decode, patch and default in the
    version they name; `to_storage` then gives what the storage resource prepares, validates and keeps, and
    `from_storage` what this version answers. The keys in the store are the storage resource's. What this
    version checks of itself comes on top, and sees the storage form too."""
    to_storage: Callable[[Object], Object] = _as_it_is
    """Return the object in the storage resource's version; the argument stays as it is."""
    from_storage: Callable[[Object], Object] = _as_it_is
    """Return the stored object in this version; the argument stays as it is."""

    status: bool = False
    """Has the status subresource: create and update ignore `status`, update of status ignores the rest."""
    scale: Scale | None = None
    subresources: tuple[Subresource, ...] = ()

    defaults: Callable[[Object], None] = _nothing
    """Fill in defaults, in place, before admission. Idempotent."""
    defaults_by_gate: Mapping[str, Callable[[Object], None]] = field(default_factory=dict)
    """What `defaults` does besides while a gate is on."""
    prepare_create: Callable[[Object], None] = _nothing
    """Reset what a creator may not set (status, generation), in place, before validation. The system's
    metadata (uid, creationTimestamp, final name) is set already, for what derives from it."""
    prepare_update: Callable[[Object, Object], None] = _nothing_on_update
    prepare_own: Callable[[Object, Object | None], None] = _nothing_on_update
    """What is done besides, before either, to writes in this version itself: (new, old)."""
    """(new, old): carry over what an updater of the object itself may not change, in place. Not for writes
    through subresources, each of which has its own rule of what it may change."""
    stamp: Callable[[Object, Object | None, str], None] | None = None
    """(new, old; None on create, the time): write the times that the server gives, in place, before the
    object is prepared."""
    validate: Callable[[Object], list[FieldError]] = _no_errors
    """Return what is wrong with a new object beyond the schema and the metadata."""
    validate_update: Callable[[Object, Object], list[FieldError]] = _no_errors_on_update
    """(new, old): return which forbidden changes were made and what is wrong with the new object as such, in
    upstream's order."""
    validate_status_update: Callable[[Object, Object], list[FieldError]] = _no_errors_on_update
    validate_subresources: Mapping[str, Callable[[Object, Object], list[FieldError]]] = field(
        default_factory=dict
    )
    """(new, old), by subresource: what is wrong with a write through it, where that is neither `status` nor
    judged by `validate_update` (pods/resize, namespaces/finalize, ...)."""
    tolerates: Callable[[FieldError], bool] = _nothing_tolerated
    """Whether a version that is stored as another allows what the storage resource finds wrong."""
    warnings_as_sent: Callable[[Object, Object | None], list[str]] = _no_warnings
    """What creators are told about an object before `prepare_create` completes it."""
    warnings: Callable[[Object, Object | None], list[str]] = _no_warnings
    """(new, old; None on create): what clients should know of an object that is valid all the same."""
    warns_of_status: bool = False
    """Whether `warnings` looks at writes of the status too."""
    deprecation: str = ""
    """A warning that goes with every answer about this resource."""
    name_errors: Callable[[str], list[str]] | None = None
    """Return what is wrong with a name; None means a DNS subdomain (RFC 1123)."""
    core_finalizers: bool = True
    """Finalizers in one word have to be upstream's own."""
    metadata_again: int = 0
    """How often upstream's checks of an update look at the metadata as at that of a new object, besides
    once for every kind. Each time tells of every fault, and asks of generateName what is asked of names."""
    status_metadata_again: int = 0
    """The same for updates of the status."""
    compares_metadata: bool = True
    """Whether those checks compare the metadata with the old one once more, too."""
    status_compares_metadata: bool = True

    generation: bool = False
    """metadata.generation grows by one with every change of the spec."""
    generation_of_dropped: bool = False
    """It grows too when all that a write says anew is dropped."""
    generation_start: int = 1
    """The generation of a new object; with 0 there is none until the first change."""
    generation_fields: tuple[str, ...] = ("spec",)
    """Top-level fields whose change counts as a change of the spec; "metadata.annotations" may be one, and
    "*" stands for all but the metadata, and the status where that is a subresource."""
    checks_in_thread: bool = False
    """Checks may take so long that others should not wait for them."""
    create_on_update: bool = False
    """PUT on a missing name creates it."""
    unconditional_update: bool = True
    """PUT without a resourceVersion overwrites."""
    delete_returns_object: bool = False
    """DELETE answers with the object instead of a Status."""
    prepare_delete: Callable[[Object, datetime], None] | None = None
    """(object, now): set, in place, what keeps the object until somebody has cleaned up behind it. Its parts
    are shared but for the metadata."""
    terminating: bool = False
    """The resource itself is going away: nothing can be created any more."""
    default_propagation: str = "Background"
    """What becomes of dependents when the deleter does not say: Background or Orphan. With Unsupported there
    are none, and what the deleter says does not matter."""
    grace_period_s: Callable[[Object], int | None] | None = None
    """Return the object's own graceful-deletion period; None as function or result: deletion is immediate."""

    selectable: Mapping[str, Callable[[Object], str]] = field(default_factory=dict)
    """Field selectors beyond metadata.name and metadata.namespace: path -> value in the object."""
    unselectable: str = ""
    """What is said of other fields, `{}` for the field, where upstream has words of the kind's own."""
    hidden_annotations: tuple[str, ...] = ()
    """Annotations that tables and lists of metadata leave out: fields of upstream's under another name."""
    columns: tuple[Column, ...] = ()
    """Printer columns; empty means Name and Created At, as upstream prints unknown kinds."""
    row_conditions: Callable[[Object], list[Object]] | None = None
    """Return what a table's row says about its object besides the cells: that it has completed."""
    row_order: Callable[[Object], tuple[int, str]] | None = None
    """Return what the rows of a list are sorted by; None leaves them in the list's order."""

    api_version: str = field(init=False)
    """Group and version as objects name them: `apps/v1`, `v1`."""
    group_plural: str = field(init=False)
    """The resource as messages and RBAC name it: `deployments.apps`, `pods`."""

    def __post_init__(self) -> None:
        # Made once: every request asks for them several times.
        for name, value in (
            ("api_version", f"{self.group}/{self.version}" if self.group else self.version),
            ("group_plural", f"{self.plural}.{self.group}" if self.group else self.plural),
        ):
            object.__setattr__(self, name, value)

    @property
    def singular_name(self) -> str:
        return self.singular or self.kind.lower()

    @property
    def list_kind(self) -> str:
        return self.list_kind_name or self.kind + "List"

    @property
    def group_version_path(self) -> str:
        """The URL's head: `/api/v1` or `/apis/apps/v1`."""
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str = "") -> str:
        """Return the URL path of the collection, or of one object, or of a subresource of it."""
        path = self.group_version_path
        if self.namespaced and namespace:
            path += f"/namespaces/{namespace}"
        path += f"/{self.plural}"
        if name:
            path += f"/{name}"
        if subresource:
            path += f"/{subresource}"
        return path

    def storage_key(self, namespace: str | None, name: str) -> str:
        """Return the key in the store, the same as upstream's in etcd."""
        if self.namespaced:
            return f"{self.storage_root}{namespace}/{name}"
        return f"{self.storage_root}{name}"

    @property
    def storage_root(self) -> str:
        """The prefix of all keys of this resource, with its closing slash."""
        if self.storage_prefix:
            return f"/registry/{self.storage_prefix}/"
        return f"/registry/{self.plural}/"
